//! What stands before `://` of an address, and how the rest of it is then written.

use super::AddressError;
use crate::proto::Transport;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// As people type it: `HOST`.
    #[default]
    Any,
    /// Over UDP alone: `udp://HOST`.
    Udp,
    /// Through a TCP connection alone: `tcp://HOST`.
    Tcp,
    /// As a link, which others write: `udpstream://HOST/NAME` (RFC 3986).
    Link,
}

impl Scheme {
    /// The scheme, and what stands behind it.
    pub fn split(text: &str) -> Result<(Self, &str), AddressError> {
        let Some((scheme, rest)) = text.split_once("://") else { return Ok((Self::Any, text)) };
        // A name with a slash is not a scheme, whatever follows.
        match &*scheme.to_ascii_lowercase() {
            "udp" => Ok((Self::Udp, rest)),
            "udpstream" => Ok((Self::Link, rest)),
            "tcp" => Ok((Self::Tcp, rest)),
            _ => Err(AddressError::Scheme(scheme.to_owned())),
        }
    }

    /// The transport that it asks for, if it does.
    pub const fn transport(self) -> Option<Transport> {
        match self {
            Self::Any | Self::Link => None,
            Self::Udp => Some(Transport::Udp),
            Self::Tcp => Some(Transport::Tcp),
        }
    }

    /// `HOST[:PORT]` and what stands behind its slash, as if they had been typed.
    pub fn parts(self, rest: &str) -> Result<(String, String), AddressError> {
        let (place, name) = rest.split_once('/').unwrap_or((rest, ""));
        if self != Self::Link {
            return Ok((place.to_owned(), name.to_owned()));
        }
        if let Some(odd) = rest.chars().find(|letter| matches!(letter, '@' | '?' | '#' | '\\')) {
            return Err(AddressError::Link(odd));
        }
        // Browsers put a slash behind a host, and some behind a path.
        let name = decoded(name.trim_end_matches('/')).ok_or(AddressError::Escapes)?;
        // Of a host only the sign before an interface is escaped (RFC 6874).
        Ok((place.replace("%25", "%"), name))
    }
}

/// Text whose bytes may be written as `%` and two digits; `None` if they are no text, or no digits.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
        bytes.push((high << 4 | low) as u8);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_links_are_text_again() {
        assert_eq!(decoded("%E5%BA%AD/a%2db").as_deref(), Some("庭/a-b"));
        for bad in ["%", "%4", "%zz", "%ff", "a%"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
        assert_eq!(Scheme::split("UdpStream://h/x"), Ok((Scheme::Link, "h/x")));
        assert_eq!(Scheme::Link.parts("[fe80::1%25eth0]:7/"), Ok(("[fe80::1%eth0]:7".to_owned(), String::new())));
    }
}

//! `[udp://]HOST[:PORT]` as people type it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use crate::net::plain;

pub const DEFAULT_PORT: u16 = 9_688;

/// A server to watch, not yet looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

/// Why an address cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    #[error("tcp:// is not there yet: leave it out to watch over UDP")]
    Tcp,
    #[error("{0:?} is not a host: write HOST, HOST:PORT, 192.0.2.7:9688 or [2001:db8::7]:9688")]
    Host(String),
    #[error("{0:?} is not a port: ports are numbers from 1 to 65535")]
    Port(String),
    #[error("named streams are not there yet: leave out /{0}")]
    Name(String),
    #[error("no address is known for {host}: check the name, or use the server's IP address ({why})")]
    Unknown { host: String, why: String },
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.starts_with("tcp://") {
            return Err(AddressError::Tcp);
        }
        let rest = text.strip_prefix("udp://").unwrap_or(text);
        let (place, name) = rest.split_once('/').unwrap_or((rest, ""));
        if !name.is_empty() {
            return Err(AddressError::Name(name.to_owned()));
        }
        let (host, port) = split(place).ok_or_else(|| AddressError::Host(text.to_owned()))?;
        let number = |port: &str| port.parse().ok().filter(|port| *port != 0);
        let port = match port {
            Some(port) => number(port).ok_or_else(|| AddressError::Port(port.to_owned()))?,
            None => DEFAULT_PORT,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

fn split(place: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
        return (!host.is_empty()).then_some((host, port));
    }
    // More than one colon without brackets: a bare IPv6 address.
    if place.matches(':').count() > 1 {
        return Some((place, None));
    }
    let (host, port) = place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
    (!host.is_empty()).then_some((host, port))
}

impl Address {
    /// All socket addresses of the host.
    pub fn look_up(&self) -> Result<Vec<SocketAddr>, AddressError> {
        let unknown = |why: String| AddressError::Unknown { host: self.host.clone(), why };
        let found = (self.host.as_str(), self.port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
        let mut all: Vec<SocketAddr> = found.map(plain).collect();
        all.dedup();
        if all.is_empty() { Err(unknown("the name has no address".to_owned())) } else { Ok(all) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type() {
        let address = |text: &str| text.parse::<Address>().map(|a| (a.host, a.port));
        let good = |host: &str, port| Ok((host.to_owned(), port));
        assert_eq!(address("127.0.0.1:9688"), good("127.0.0.1", 9_688));
        assert_eq!(address("robot"), good("robot", 9_688));
        assert_eq!(address("udp://robot:7/"), good("robot", 7));
        assert_eq!(address("[::1]:5"), good("::1", 5));
        assert_eq!(address("[fe80::1%eth0]"), good("fe80::1%eth0", 9_688));
        assert_eq!(address("::1"), good("::1", 9_688));
        assert_eq!(address("tcp://robot"), Err(AddressError::Tcp));
        assert_eq!(address("robot/door"), Err(AddressError::Name("door".to_owned())));
        assert_eq!(address("robot:0"), Err(AddressError::Port("0".to_owned())));
        assert_eq!(address("robot:99999"), Err(AddressError::Port("99999".to_owned())));
        for bad in ["", ":9", "[]:9", "[::1", "[::1]9"] {
            assert!(matches!(address(bad), Err(AddressError::Host(_))), "{bad:?}");
        }
    }
}

//! Who serves streams: servers that say so on the local network (DNS-SD over multicast DNS, RFC 6763 and 6762), and SRV records of
//! names elsewhere (RFC 2782). It knows addresses and what servers say of themselves; not what is served.

mod announcer;
mod browser;
pub mod srv;

pub use self::announcer::{Announcement, Announcer, MAX_LABEL};
pub use self::browser::{Browser, Seen, Server};

use crate::proto::Transport;
use crate::units::Size;
use crate::wire::tlv::{printable, shorten};

/// What servers are called there.
const SERVICE: &str = "_udpstream._udp.local.";
/// Bytes of a title that are told: a string of a TXT record has 255 at most, its key among them.
const MAX_TITLE: usize = 200;

/// Why nothing can be announced or found.
#[derive(Debug, thiserror::Error)]
#[error("the local network cannot be asked or told by multicast DNS ({0})")]
pub struct DiscoveryError(#[from] mdns_sd::Error);

/// What a server says of its only or first open stream, in the TXT record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// `None`: it has none that is for everybody, or tells nothing of it.
    pub title: Option<String>,
    pub size: Option<Size>,
    pub live: bool,
    /// There are streams that ask for a password or a code. Which, nobody is told.
    pub guarded: bool,
    /// Nobody is let in over UDP.
    pub tcp_only: bool,
}

impl Summary {
    /// How it is asked.
    pub const fn transport(&self) -> Transport {
        if self.tcp_only { Transport::Tcp } else { Transport::Auto }
    }

    /// Keys and values of the TXT record.
    fn record(&self) -> Vec<(&'static str, String)> {
        let yes = |is: bool| if is { "1" } else { "0" }.to_owned();
        let mut all = vec![("txtvers", "1".to_owned())];
        all.extend(self.title.as_ref().map(|title| ("title", shorten(title, MAX_TITLE).to_owned())));
        all.extend(self.size.map(|size| ("size", format!("{}x{}", size.width, size.height))));
        all.extend([("live", yes(self.live)), ("guarded", yes(self.guarded))]);
        all.extend(self.tcp_only.then(|| ("udp", yes(false))));
        all
    }

    /// What a record says; whatever is no such thing is left out.
    fn read<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Self {
        let size = |text: &str| {
            let (width, height) = text.split_once('x')?;
            Some(Size::new(width.parse().ok()?, height.parse().ok()?)).filter(|size| size.pixels() > 0)
        };
        let is = |key| value(key) == Some("1");
        Self {
            title: value("title").map(printable).filter(|title| !title.is_empty()),
            size: value("size").and_then(size),
            live: is("live"),
            guarded: is("guarded"),
            tcp_only: value("udp") == Some("0"),
        }
    }
}

/// Signs that stand for others in instances' names. mdns-sd finds out who has a name already, but not where these are in it: it
/// compares what is escaped with what is not.
const SIGNS: [(char, char); 2] = [('.', '\u{2024}'), ('\\', '\u{ff3c}')];

/// A name as it is announced. It may be longer than it was.
pub fn label(name: &str) -> String {
    let stands = |letter| SIGNS.iter().find(|(sign, _)| *sign == letter).map_or(letter, |(_, other)| *other);
    name.chars().map(stands).collect()
}

/// An instance's name as it was given, out of its full name, in which dots are escaped (RFC 6763, section 4.3).
fn instance(full: &str) -> Option<String> {
    let end = full.len().checked_sub(SERVICE.len() + 1)?;
    let escaped =
        full.get(..end).filter(|_| full.is_char_boundary(end) && full[end + 1..].eq_ignore_ascii_case(SERVICE))?;
    let mut name = String::new();
    let mut letters = escaped.chars();
    while let Some(letter) = letters.next() {
        name.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    let meant = |letter| SIGNS.iter().find(|(_, other)| *other == letter).map_or(letter, |(sign, _)| *sign);
    Some(name.chars().map(meant).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_again() {
        let title = Some("庭 é".to_owned());
        let told = Summary { title, size: Some(Size::new(640, 360)), live: true, ..Summary::default() };
        let record = told.record();
        let read = |record: &[(&str, String)]| {
            Summary::read(|key| record.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str()))
        };
        assert_eq!(read(&record), told);
        let connected = Summary { tcp_only: true, ..told };
        assert_eq!((read(&connected.record()), connected.transport()), (connected, Transport::Tcp));
        let long = Summary { title: Some("庭".repeat(300)), ..Summary::default() };
        assert!(long.record().iter().all(|(key, value)| key.len() + value.len() < 255));
        let odd = [("title", "\x1b[2J\u{202e}".to_owned()), ("size", "0x7".to_owned()), ("live", "yes".to_owned())];
        assert_eq!(read(&odd), Summary { title: Some("[2J".to_owned()), ..Summary::default() });
    }

    #[test]
    fn names_may_have_dots() {
        assert_eq!(instance("a\\.b \\\\ 庭._udpstream._udp.local.").as_deref(), Some("a.b \\ 庭"));
        let announced = format!("{}.{SERVICE}", label("a.b \\ 庭"));
        assert_eq!(
            (&*announced, &*instance(&announced).expect("a name")),
            ("a․b ＼ 庭._udpstream._udp.local.", "a.b \\ 庭")
        );
        assert_eq!(instance("x._UDPSTREAM._udp.local.").as_deref(), Some("x"));
        for bad in ["", "x._http._tcp.local.", "_udpstream._udp.local.", "庭"] {
            assert_eq!(instance(bad), None, "{bad}");
        }
    }
}

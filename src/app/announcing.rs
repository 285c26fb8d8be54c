//! What a server or relay says of itself on the local network, unless it is told not to.

use std::net::SocketAddr;

use crate::discovery::{Announcement, Announcer, MAX_LABEL, Summary, label};
use crate::seal::{self, Random};

/// What the user chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnounceOptions {
    pub off: bool,
    /// Instead of what the stream and the machine are called.
    pub name: Option<String>,
}

/// What a server is called on the network: any text of a line, as long as DNS has room for it.
pub fn name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("a server needs a name, such as robot or \"The hall\"".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("a name is one line of letters".to_owned());
    }
    let bytes = label(text.trim()).len();
    if bytes > MAX_LABEL {
        let dots = if text.contains('.') { ", a dot 3 of them" } else { "" };
        return Err(format!("it has {bytes} bytes{dots}, and a name on the network {MAX_LABEL} at most"));
    }
    Ok(text.trim().to_owned())
}

impl AnnounceOptions {
    /// Announces a server that listens there. `called`: what it is called by itself, given the name of the machine. The server
    /// works without, so what fails is no more than a word to those who want to know.
    pub fn start(&self, listens: SocketAddr, summary: Summary, called: impl Fn(&str) -> String) -> Option<Announcer> {
        if self.off {
            return None;
        }
        let host = Random::new(&seal::system_seed()?).id();
        let name = self.name.clone().unwrap_or_else(|| called(&machine()));
        let started = Announcer::start(Announcement { name, listens, summary, host });
        started.inspect_err(|error| tracing::info!("this server is not announced: {error}")).ok()
    }
}

/// The machine's name, without its domain.
fn machine() -> String {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy();
    let first = name.split('.').next().unwrap_or_default();
    if first.is_empty() { "udpstream".to_owned() } else { first.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_fit_a_label() {
        assert_eq!(name(" 庭の カメラ ").as_deref(), Ok("庭の カメラ"));
        assert!(name(&"a".repeat(63)).is_ok());
        assert!(name(&format!("{}.b", "a".repeat(61))).is_err_and(|said| said.contains("65 bytes, a dot 3")));
        for (bad, part) in [(&*"庭".repeat(22), "66 bytes"), ("", "needs a name"), (" ", "needs"), ("a\nb", "one line")]
        {
            assert!(name(bad).is_err_and(|said| said.contains(part)), "{bad:?}");
        }
        assert!(!machine().is_empty());
    }
}

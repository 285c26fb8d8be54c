//! What `serve` and `relay` can be told of the group that a stream is sent to.

use clap::Args;
use udpstream::app::group::{GroupChoice, GroupOptions};

use super::help::MULTICAST;
use super::values::number;

/// `None` where nothing was said.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupChoices {
    /// Send the first stream to this multicast group or broadcast address as well, once for any number of receivers:
    /// GROUP[:PORT], as in 239.1.2.3 or [ff15::7]:9688, 255.255.255.255; auto takes a free one of 239.255.0.0/16. They watch it with
    /// `udpstream watch udp://@GROUP:PORT`. At most --max-bitrate is sent there, and 50M if that is not said [default: only to
    /// those who ask].
    #[arg(long, value_name = "GROUP", help_heading = MULTICAST)]
    pub multicast: Option<GroupChoice>,
    /// How far it goes: so many routers, and one; 1 to 255 [default: 1, no router].
    #[arg(long, value_name = "HOPS", value_parser = number(1_u8, 255), help_heading = MULTICAST)]
    pub ttl: Option<u8>,
    /// The interface that it is sent by: its name, or one of its addresses [default: where the system routes it to].
    #[arg(long, value_name = "NAME|ADDR", help_heading = MULTICAST)]
    pub interface: Option<String>,
    /// Parity for the group, which mends losses that nobody tells of: percent of the pictures, 0 to 50 [default: 10%].
    #[arg(long, value_name = "PERCENT", value_parser = percent, help_heading = MULTICAST)]
    pub fec: Option<u8>,
}

impl GroupChoices {
    /// These, and `others` where nothing was said.
    pub fn or(self, others: Self) -> Self {
        Self {
            multicast: self.multicast.or(others.multicast),
            ttl: self.ttl.or(others.ttl),
            interface: self.interface.or(others.interface),
            fec: self.fec.or(others.fec),
        }
    }

    /// How a group is sent to, if one is.
    pub fn options(self) -> Option<GroupOptions> {
        let options = GroupOptions::new(self.multicast?);
        Some(GroupOptions {
            ttl: self.ttl.unwrap_or(options.ttl),
            parity: self.fec.unwrap_or(options.parity),
            interface: self.interface,
            ..options
        })
    }

    /// Whether something is said of a group, and there is none.
    pub const fn is_useless(&self) -> bool {
        self.multicast.is_none() && (self.ttl.is_some() || self.interface.is_some() || self.fec.is_some())
    }

    /// For all streams that have a group.
    pub fn without_group(&self) -> Self {
        Self { multicast: None, ..self.clone() }
    }
}

/// What is said of options that nothing comes of.
pub const USELESS: &str = "--ttl, --interface and --fec are about a group; add --multicast";

/// `10%` or `10`.
pub fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end().parse().ok();
    number.filter(|percent| *percent <= 50).ok_or_else(|| "write a share from 0% to 50%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_written_with_or_without_its_sign() {
        assert_eq!(["10%", "0", "50 %"].map(percent), [10, 0, 50].map(Ok));
        assert!(["51", "-1", "%", "ten", "10%%"].iter().all(|bad| percent(bad).is_err()));
    }
}

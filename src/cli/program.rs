//! What `serve` can be told as a whole, on the command line or in a file.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::{Args, ValueEnum};
use udpstream::app::StatsFormat;
use udpstream::app::address::{self, DEFAULT_PORT};
use udpstream::net::Marks;
use udpstream::wire::Ecn;

use super::help::{FIGURES, LIMITS, NETWORK, OUTPUT};
use super::keys::{Key, Keyed, flag, value};
use super::values::{Datagram, datagram, dscp, ecn, number, seconds};

/// Figures on the way: a line for people, or JSON for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stats {
    /// A line on the terminal that updates itself.
    Text,
    /// One JSON object a line on standard output.
    Json,
}

impl From<Stats> for StatsFormat {
    fn from(stats: Stats) -> Self {
        match stats {
            Stats::Text => Self::Text,
            Stats::Json => Self::Json,
        }
    }
}

/// Options of the whole program; `None` where nothing was said.
#[derive(Args, Clone, Debug, Default)]
pub struct ServerChoices {
    /// UDP port, 0 to 65535; 0 takes a free one and says which [default: 9688].
    #[arg(long, value_parser = number(0_u16, u16::MAX), help_heading = NETWORK)]
    pub port: Option<u16>,
    /// UDP port for sound, 0 to 65535; 0 takes a free one [default: the one below --port].
    #[arg(long, value_name = "PORT", value_parser = number(0_u16, u16::MAX), help_heading = NETWORK)]
    pub audio_port: Option<u16>,
    /// Listen on this address only, link-local ones as ADDR%INTERFACE [default: all, IPv6 and IPv4].
    #[arg(long, value_name = "ADDR", value_parser = address::local, help_heading = NETWORK)]
    pub bind: Option<SocketAddr>,
    /// Largest UDP payload in bytes, 1200 to 65488; auto finds it for each watcher [default: auto].
    #[arg(long, value_name = "auto|BYTES", value_parser = datagram, help_heading = NETWORK)]
    pub datagram: Option<Datagram>,
    /// Let routers mark datagrams instead of dropping them: ect0 marks as TCP would be marked (RFC 3168), ect1 early and often,
    /// where routers know L4S (RFC 9331); --ecn alone is ect0 [default: off].
    #[arg(long, value_name = "off|ect0|ect1", value_parser = ecn, num_args = 0..=1, require_equals = true,
        default_missing_value = "ect0", help_heading = NETWORK)]
    pub ecn: Option<Ecn>,
    /// Differentiated services code point of all datagrams, 0 to 63 or a name such as af41, cs5 or ef [default: 0].
    #[arg(long, value_name = "N|NAME", value_parser = dscp, help_heading = NETWORK)]
    pub dscp: Option<u8>,
    /// Let --record overwrite files that are there [default: refuse].
    #[arg(long, action = clap::ArgAction::SetTrue, help_heading = OUTPUT)]
    pub force: Option<bool>,
    /// Show what is sent in a window here too, of several streams the first; closing it does not end the stream [default: no
    /// window].
    #[arg(long, action = clap::ArgAction::SetTrue, help_heading = OUTPUT)]
    pub preview: Option<bool>,
    /// Stop once so many pictures have been sent, of all streams together [default: no limit].
    #[arg(long, value_name = "N", value_parser = number(1_u64, u64::MAX), help_heading = LIMITS)]
    pub frames: Option<u64>,
    /// Stop after so many seconds [default: no limit].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = LIMITS)]
    pub duration: Option<Duration>,
    /// Figures each second and at the end [default: text].
    #[arg(long, value_enum, help_heading = FIGURES)]
    pub stats: Option<Stats>,
}

impl Keyed for ServerChoices {
    const KEYS: &'static [Key<Self>] = &[
        Key { name: "port", set: value!(port, number(0_u16, u16::MAX)) },
        Key { name: "audio-port", set: value!(audio_port, number(0_u16, u16::MAX)) },
        Key { name: "bind", set: value!(bind, address::local) },
        Key { name: "datagram", set: value!(datagram, datagram) },
        Key { name: "ecn", set: value!(ecn, ecn) },
        Key { name: "dscp", set: value!(dscp, dscp) },
        Key { name: "force", set: flag!(force) },
        Key { name: "preview", set: flag!(preview) },
        Key { name: "frames", set: value!(frames, number(1_u64, u64::MAX)) },
        Key { name: "duration", set: value!(duration, seconds) },
        Key { name: "stats", set: value!(stats, stats) },
    ];
}

fn stats(text: &str) -> Result<Stats, String> {
    Stats::from_str(text, false).map_err(|_| "write text or json".to_owned())
}

impl ServerChoices {
    /// These, and `others` where nothing was said.
    pub fn or(self, others: Self) -> Self {
        // A flag that is not on the command line says nothing.
        let flag = |flag: Option<bool>, other| flag.filter(|on| *on).or(other);
        Self {
            port: self.port.or(others.port),
            audio_port: self.audio_port.or(others.audio_port),
            bind: self.bind.or(others.bind),
            datagram: self.datagram.or(others.datagram),
            ecn: self.ecn.or(others.ecn),
            dscp: self.dscp.or(others.dscp),
            force: flag(self.force, others.force),
            preview: flag(self.preview, others.preview),
            frames: self.frames.or(others.frames),
            duration: self.duration.or(others.duration),
            stats: self.stats.or(others.stats),
        }
    }

    /// What all datagrams bear.
    pub fn marks(&self) -> Marks {
        Marks { ecn: self.ecn.unwrap_or_default(), dscp: self.dscp.unwrap_or(0) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let mut bind = self.bind.unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, 0).into());
        bind.set_port(self.port.unwrap_or(DEFAULT_PORT));
        bind
    }
}

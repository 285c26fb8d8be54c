//! `udpstream relay`: what is typed → what is passed on.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use udpstream::app::address::{self, Origins};
use udpstream::app::relay;
use udpstream::net::Marks;
use udpstream::wire::Ecn;

use super::help::{CACHE, FIGURES, LIMITS, NETWORK};
use super::program::Stats;
use super::values::{Datagram, bytes, datagram, dscp, ecn, number, seconds};

/// A relay beside its origin, on one machine, listens elsewhere.
const PORT: u16 = 9_690;

#[derive(Args, Debug)]
pub struct RelayArgs {
    /// The server above, and which of its streams: HOST[:PORT][/NAME]; the port is 9688 unless given, and without NAME all
    /// streams are passed on that it lists. Several servers that have the same, HOST,HOST/NAME, stand in for one another.
    #[arg(value_name = "ORIGIN", value_hint = ValueHint::Hostname)]
    pub origins: Origins,
    /// Port for pictures; 0 takes any that is free [default: 9690].
    #[arg(long, value_name = "PORT", value_parser = number(0_u16, u16::MAX), help_heading = NETWORK)]
    pub port: Option<u16>,
    /// Port for sound [default: the one below that of the pictures].
    #[arg(long, value_name = "PORT", value_parser = number(0_u16, u16::MAX), help_heading = NETWORK)]
    pub audio_port: Option<u16>,
    /// Listen on this address only [default: on all].
    #[arg(long, value_name = "IP", value_parser = address::local, help_heading = NETWORK)]
    pub bind: Option<SocketAddr>,
    /// Size of the largest datagrams to watchers, 1200 to 65488, or auto to find out what each path carries [default: auto].
    #[arg(long, value_name = "BYTES", value_parser = datagram, help_heading = NETWORK)]
    pub datagram: Option<Datagram>,
    /// Mark datagrams as ECN-capable: off, ect0 or ect1 [default: off].
    #[arg(long, value_name = "MARK", value_parser = ecn, help_heading = NETWORK)]
    pub ecn: Option<Ecn>,
    /// Differentiated services code point of all datagrams: a number from 0 to 63, or a name such as ef or af41 [default: 0].
    #[arg(long, value_name = "DSCP", value_parser = dscp, help_heading = NETWORK)]
    pub dscp: Option<u8>,
    /// Keep films in this folder: one that has been fetched plays to its end although the origin is away. No other process may
    /// use it [default: keep none].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = CACHE)]
    pub cache: Option<PathBuf>,
    /// How much the films may take together, such as 500M or 2G; the one used least recently gives way [default: 2G].
    #[arg(long, value_name = "BYTES", value_parser = bytes, requires = "cache", help_heading = CACHE)]
    pub cache_size: Option<u64>,
    /// Stop after so many seconds [default: no limit].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = LIMITS)]
    pub duration: Option<Duration>,
    /// Figures each second and at the end [default: text].
    #[arg(long, value_enum, help_heading = FIGURES)]
    pub stats: Option<Stats>,
}

impl RelayArgs {
    pub fn options(self, quiet: bool) -> relay::Options {
        let mut bind = self.bind.unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, 0).into());
        bind.set_port(self.port.unwrap_or(PORT));
        relay::Options {
            origins: self.origins,
            bind,
            marks: Marks { ecn: self.ecn.unwrap_or_default(), dscp: self.dscp.unwrap_or(0) },
            audio_port: self.audio_port,
            datagram: self.datagram.and_then(|datagram| datagram.0),
            cache: self.cache,
            cache_size: self.cache_size.unwrap_or(2_000_000_000),
            duration: self.duration,
            stats: self.stats.map(Into::into).unwrap_or_default(),
            quiet,
        }
    }
}

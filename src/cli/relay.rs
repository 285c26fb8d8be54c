//! `udpstream relay`: what is typed → what is passed on.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use udpstream::app::address::Origins;
use udpstream::app::relay;

use super::help::{CACHE, FIGURES, LIMITS, NETWORK, RECORDING};
use super::network::{NetworkChoices, TransportArgs};
use super::program::Stats;
use super::values::{bytes, number, seconds};

/// A relay beside its origin, on one machine, listens elsewhere.
const PORT: u16 = 9_690;

#[derive(Args, Debug)]
pub struct RelayArgs {
    /// The server above, and which of its streams: [tcp://]HOST[:PORT][/NAME]; the port is 9688 unless given, and without NAME all
    /// streams are passed on that it lists. Several servers that have the same, HOST,HOST/NAME, stand in for one another.
    #[arg(value_name = "ORIGIN", value_hint = ValueHint::Hostname)]
    pub origins: Origins,
    /// UDP port, 0 to 65535; 0 takes a free one and says which [default: 9690].
    #[arg(long, value_parser = number(0_u16, u16::MAX), help_heading = NETWORK)]
    pub port: Option<u16>,
    #[command(flatten)]
    pub network: NetworkChoices,
    #[command(flatten)]
    pub transport: TransportArgs,
    /// Keep films in this folder: one that has been fetched plays to its end although the origin is away. No other process may
    /// use it [default: keep none].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = CACHE)]
    pub cache: Option<PathBuf>,
    /// How much the films may take together, such as 500M or 2G; the one used least recently gives way [default: 2G].
    #[arg(long, value_name = "BYTES", value_parser = bytes, requires = "cache", help_heading = CACHE)]
    pub cache_size: Option<u64>,
    /// Record every stream that the origin lists, also while nobody watches, each into .mkv files of its own in this folder; they
    /// are named by the stream and the moment (UTC) at which they began [default: record nothing].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = RECORDING)]
    pub record_dir: Option<PathBuf>,
    /// How much all recordings in the folder may take together, such as 500M or 100G: the oldest is deleted first. What else
    /// is there, and what was given another name, is left alone [default: 10G].
    #[arg(long, value_name = "BYTES", value_parser = bytes, requires = "record_dir", help_heading = RECORDING)]
    pub record_size: Option<u64>,
    /// Stop after so many seconds [default: no limit].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = LIMITS)]
    pub duration: Option<Duration>,
    /// Figures each second and at the end [default: text].
    #[arg(long, value_enum, help_heading = FIGURES)]
    pub stats: Option<Stats>,
}

impl RelayArgs {
    pub fn options(self, quiet: bool) -> relay::Options {
        relay::Options {
            origins: self.transport.of_all(self.origins),
            bind: self.network.address(self.port.unwrap_or(PORT)),
            marks: self.network.marks(),
            audio_port: self.network.audio_port,
            transports: self.network.transports(),
            announce: self.network.announce(),
            datagram: self.network.datagram.and_then(|datagram| datagram.0),
            cache: self.cache,
            cache_size: self.cache_size.unwrap_or(2_000_000_000),
            record_dir: self.record_dir,
            record_size: self.record_size.unwrap_or(10_000_000_000),
            duration: self.duration,
            stats: self.stats.map(Into::into).unwrap_or_default(),
            quiet,
        }
    }
}

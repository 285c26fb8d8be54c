//! `udpstream relay`: what is typed → what is passed on.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use udpstream::app::address::Origins;
use udpstream::app::relay;
use udpstream::units::Bitrate;

use super::help::{CACHE, FIGURES, LIMITS, MULTICAST, NETWORK, RECORDING};
use super::multicast::{GroupChoices, USELESS};
use super::network::{NetworkChoices, TransportArgs};
use super::program::Stats;
use super::values::{bitrate, bytes, number, seconds};

/// A relay beside its origin, on one machine, listens elsewhere.
const PORT: u16 = 9_690;

#[derive(Args, Debug)]
pub struct RelayArgs {
    /// The server above, and which of its streams: [tcp://]HOST[:PORT][/NAME]; the port is 9688 unless given, and without NAME all
    /// streams are passed on that it lists. Several servers that have the same, HOST,HOST/NAME, stand in for one another. A group is
    /// udp://[SOURCE]@GROUP[:PORT], heard by --listen-interface.
    #[arg(value_name = "ORIGIN", value_hint = ValueHint::Hostname)]
    pub origins: Origins,
    /// UDP and TCP port, 0 to 65535; 0 takes a free one and says which [default: 9690].
    #[arg(long, value_parser = number(0_u16, u16::MAX), help_heading = NETWORK)]
    pub port: Option<u16>,
    #[command(flatten)]
    pub network: NetworkChoices,
    #[command(flatten)]
    pub transport: TransportArgs,
    #[command(flatten)]
    pub group: GroupChoices,
    /// The interface by which the origin is heard, if that is a group: its name, or one of its addresses [default: where the
    /// system routes it to].
    #[arg(long, value_name = "NAME|ADDR", help_heading = MULTICAST)]
    pub listen_interface: Option<String>,
    /// Most bits a second that the group is sent, all included, such as 20M; the origin is asked for no more on its account
    /// [default: 50M].
    #[arg(long, value_name = "BITS", value_parser = bitrate, requires = "multicast", help_heading = MULTICAST)]
    pub max_bitrate: Option<Bitrate>,
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
    /// Checks that all fits; the error is one sentence with advice.
    pub fn settle(&self) -> Result<(), String> {
        self.origins.addresses.iter().try_for_each(|server| self.transport.check(server))?;
        if self.group.is_useless() {
            return Err(USELESS.to_owned());
        }
        if self.listen_interface.is_some() && self.origins.group.is_none() {
            return Err("--listen-interface is by which a group is heard, as udp://@239.1.2.3; leave it out".to_owned());
        }
        if self.group.multicast.is_some() && self.origins.group.is_none() && self.origins.stream.is_none() {
            let origins = &self.origins;
            return Err(format!("a group has one stream: name the one that is sent there, as in {origins}/NAME"));
        }
        Ok(())
    }

    pub fn options(self, quiet: bool) -> relay::Options {
        relay::Options {
            origins: self.transport.of_all(self.origins),
            bind: self.network.address(self.port.unwrap_or(PORT)),
            marks: self.network.marks(),
            audio_port: self.network.audio_port,
            transports: self.network.transports(),
            announce: self.network.announce(),
            datagram: self.network.datagram.and_then(|datagram| datagram.0),
            listen_interface: self.listen_interface,
            max_rate: self.max_bitrate,
            group: self.group.options(),
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

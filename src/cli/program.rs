//! What `serve` can be told as a whole, on the command line or in a file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use udpstream::app::StatsFormat;
use udpstream::app::address::{self, DEFAULT_PORT};
use udpstream::app::announcing;
use udpstream::app::secrets::GivenCode;
use udpstream::app::serve::Publishers;
use udpstream::units::Bitrate;

use super::help::{FIGURES, LIMITS, NETWORK, OUTPUT, PUBLISHERS};
use super::keys::{Key, Keyed, Set, flag, value};
use super::library::{LibraryChoices, MOST_JOBS};
use super::network::NetworkChoices;
use super::talk::{self, TalkChoices};
use super::values::{bitrate, bytes, datagram, dscp, ecn, number, seconds, talk_name};

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
    /// UDP and TCP port, 0 to 65535; 0 takes a free one and says which [default: 9688].
    #[arg(long, value_parser = number(0_u16, u16::MAX), help_heading = NETWORK)]
    pub port: Option<u16>,
    #[command(flatten)]
    pub network: NetworkChoices,
    #[command(flatten)]
    pub talk: TalkChoices,
    #[command(flatten)]
    pub library: LibraryChoices,
    /// Take streams that others publish here, N publishers at most: udpstream publish HOST INPUT [default: none; 16 without N].
    #[arg(long, value_name = "N", value_parser = number(1_u16, 1_000), num_args = 0..=1, require_equals = true,
        default_missing_value = "16", help_heading = PUBLISHERS)]
    pub accept_publishers: Option<u16>,
    /// Take only publishers who have this code: new draws one and shows it, CODE is one that was drawn before, @FILE holds it and is
    /// made if it is not there, - asks for it [default: everybody may publish].
    #[arg(long, value_name = "CODE", help_heading = PUBLISHERS)]
    pub allow_publish: Option<GivenCode>,
    /// Most bits a second that a publisher may send, all included, such as 20M; who goes on sending more is shown out [default: no
    /// limit].
    #[arg(long, value_name = "BITS", value_parser = bitrate, help_heading = PUBLISHERS)]
    pub max_publish_bitrate: Option<Bitrate>,
    /// Record all that is published here, also while nobody watches, each stream into .mkv files of its own in this folder; they are
    /// named by the stream and the moment (UTC) at which they began [default: record nothing].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = PUBLISHERS)]
    pub record_dir: Option<PathBuf>,
    /// How much all recordings in the folder may take together, such as 500M or 100G: the oldest is deleted first. What else
    /// is there, and what was given another name, is left alone [default: 10G].
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = PUBLISHERS)]
    pub record_size: Option<u64>,
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
        Key { name: "audio-port", set: value!(network.audio_port, number(0_u16, u16::MAX)) },
        Key { name: "bind", set: value!(network.bind, address::local) },
        Key { name: "datagram", set: value!(network.datagram, datagram) },
        Key { name: "ecn", set: value!(network.ecn, ecn) },
        Key { name: "no-tcp", set: Set::Flag(|to| &mut to.network.no_tcp) },
        Key { name: "no-udp", set: Set::Flag(|to| &mut to.network.no_udp) },
        Key { name: "dscp", set: value!(network.dscp, dscp) },
        Key { name: "no-announce", set: Set::Flag(|to| &mut to.network.no_announce) },
        Key { name: "announce-name", set: value!(network.announce_name, announcing::name) },
        Key { name: "no-talk", set: Set::Flag(|to| &mut to.talk.no_talk) },
        Key { name: "mute", set: value!(talk.mute, talk::names) },
        Key { name: "talk", set: value!(talk.talk, talk_name) },
        Key { name: "library", set: Set::Value(|to, text| to.library.add(text)) },
        Key { name: "shared", set: Set::Flag(|to| &mut to.library.shared) },
        Key { name: "jobs", set: value!(library.jobs, number(1_u16, MOST_JOBS)) },
        Key { name: "store", set: value!(library.store, folder) },
        Key { name: "store-size", set: value!(library.store_size, bytes) },
        Key { name: "accept-publishers", set: value!(accept_publishers, number(1_u16, 1_000)) },
        Key { name: "allow-publish", set: value!(allow_publish, str::parse::<GivenCode>) },
        Key { name: "max-publish-bitrate", set: value!(max_publish_bitrate, bitrate) },
        Key { name: "record-dir", set: value!(record_dir, folder) },
        Key { name: "record-size", set: value!(record_size, bytes) },
        Key { name: "force", set: flag!(force) },
        Key { name: "preview", set: flag!(preview) },
        Key { name: "frames", set: value!(frames, number(1_u64, u64::MAX)) },
        Key { name: "duration", set: value!(duration, seconds) },
        Key { name: "stats", set: value!(stats, stats) },
    ];
}

/// A folder; any name may be one.
fn folder(text: &str) -> Result<PathBuf, String> {
    Ok(text.into())
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
            network: self.network.or(others.network),
            talk: self.talk.or(others.talk),
            library: self.library.or(others.library),
            accept_publishers: self.accept_publishers.or(others.accept_publishers),
            allow_publish: self.allow_publish.or(others.allow_publish),
            max_publish_bitrate: self.max_publish_bitrate.or(others.max_publish_bitrate),
            record_dir: self.record_dir.or(others.record_dir),
            record_size: self.record_size.or(others.record_size),
            force: flag(self.force, others.force),
            preview: flag(self.preview, others.preview),
            frames: self.frames.or(others.frames),
            duration: self.duration.or(others.duration),
            stats: self.stats.or(others.stats),
        }
    }

    /// Something is said of publishers.
    pub const fn is_about_publishers(&self) -> bool {
        self.allow_publish.is_some()
            || self.max_publish_bitrate.is_some()
            || self.record_dir.is_some()
            || self.record_size.is_some()
    }

    /// Which publishers are taken.
    pub fn publishers(&self) -> Option<Publishers> {
        let most = usize::from(self.accept_publishers?);
        Some(Publishers {
            most,
            allowed: self.allow_publish.clone(),
            max_rate: self.max_publish_bitrate,
            record_dir: self.record_dir.clone(),
            record_size: self.record_size.unwrap_or(10_000_000_000),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.network.address(self.port.unwrap_or(DEFAULT_PORT))
    }
}

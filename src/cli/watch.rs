//! `udpstream watch`: what is typed → what is watched.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use udpstream::app::address::{AddressError, Target};
use udpstream::app::group::RepairChoice;
use udpstream::app::secrets::{Given, GivenCode};
use udpstream::app::talk::TalkOptions;
use udpstream::app::watch;
use udpstream::proto::receiver::MAX_LATENCY;
use udpstream::units::{Bitrate, Size};
use udpstream::wire::message::WantedPictures;

use super::film::FilmChoices;
use super::help::{FIGURES, LIMITS, NETWORK, OUTPUT, SOUND, TALK, TIMING, WINDOW};
use super::network::TransportArgs;
use super::program::Stats;
use super::values::{bitrate, grid, number, recording, seconds, snapshot, talk_name};

#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The server, and which of its streams: [udp://|tcp://]HOST[:PORT][/NAME] or udpstream://…, an IPv6 address as [ADDR]:PORT; the port is 9688
    /// unless given, the stream the server's first; HOST/* is all of them, HOST/CODE the one with this code. A multicast
    /// group or a broadcast address is udp://[SOURCE]@GROUP[:PORT]. Several are shown side by side in one window [default: what is
    /// announced on the local network, to choose from].
    #[arg(value_name = "SERVER", value_hint = ValueHint::Hostname)]
    pub servers: Vec<Target>,
    /// How several streams are laid out, as COLSxROWS, such as 3x2 [default: as fits the window].
    #[arg(long, value_name = "COLSxROWS", value_parser = grid, help_heading = WINDOW)]
    pub grid: Option<(u8, u8)>,
    /// Receive and decode without a window [default: in a window].
    #[arg(long, help_heading = WINDOW)]
    pub headless: bool,
    /// Start in fullscreen [default: in a window].
    #[arg(long, help_heading = WINDOW)]
    pub fullscreen: bool,
    /// Leave when the stream ends [default: wait for the next one; with --headless always leave].
    #[arg(long, help_heading = WINDOW)]
    pub autoexit: bool,
    /// Save the last picture shown, as PNG or JPEG [default: save none].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = snapshot, help_heading = WINDOW)]
    pub snapshot: Option<PathBuf>,
    /// Most bits a second to ask for, all included, such as 20M or 800k [default: as many as the path carries].
    #[arg(long, value_name = "BITS", value_parser = bitrate, help_heading = NETWORK)]
    pub max_bitrate: Option<Bitrate>,
    /// Best JPEG quality to ask for, 1 to 100 [default: as good as it is served].
    #[arg(long, value_name = "N", value_parser = number(1_u8, 100), help_heading = NETWORK)]
    pub quality: Option<u8>,
    /// Ask for no larger pictures than fill so many pixels of width, 16 to 16384; a window or tile of half the size of the
    /// pictures asks for smaller ones by itself [default: no limit].
    #[arg(long, value_name = "PIXELS", value_parser = number(16_u16, 16_384), help_heading = NETWORK)]
    pub max_width: Option<u16>,
    /// The code of the stream, where it is not to stand behind HOST/: CODE, @FILE that holds it, or - to be asked
    /// [default: the one behind HOST/].
    #[arg(long, value_name = "CODE", value_parser = GivenCode::known, conflicts_with = "password",
        help_heading = NETWORK)]
    pub code: Option<GivenCode>,
    /// The password of the stream: WORDS, @FILE that holds them, or - to be asked [default: none].
    #[arg(long, value_name = "WORDS", help_heading = NETWORK)]
    pub password: Option<Given>,
    #[command(flatten)]
    pub transport: TransportArgs,
    /// Receive buffer to ask of the system, in bytes [default: 4194304; the system may grant less].
    #[arg(long, value_name = "BYTES", value_parser = number(4_096_u32, 1 << 30), help_heading = NETWORK)]
    pub receive_buffer: Option<u32>,
    /// Listen to a group by this interface: its name, or one of its addresses [default: where the system routes it to].
    #[arg(long, value_name = "NAME|ADDR", help_heading = NETWORK)]
    pub interface: Option<String>,
    /// Ask the group's server for what was lost, beside the group: where the sender says, or at this one, HOST[:PORT] [default: parity
    /// alone mends losses].
    #[arg(long, value_name = "HOST", num_args = 0..=1, require_equals = true, default_missing_value = "",
        value_parser = repair, help_heading = NETWORK)]
    pub repair: Option<RepairChoice>,
    /// Show pictures so many milliseconds after they are due, 0 to 10000: smoother on an uneven network; 0 shows them at
    /// once. A stream of more than 128 MiB in that time is shown sooner.
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = number(0, MAX_LATENCY.as_millis() as u64),
        help_heading = TIMING)]
    pub latency: u64,
    /// Wait so many milliseconds at most for what was lost of a picture, 0 to 1000: 0 waits for nothing, and a picture is shown
    /// with what has come [default: as long as the path needs, and never longer than until the next picture].
    #[arg(long, value_name = "MS", value_parser = number(0_u64, 1_000), help_heading = TIMING)]
    pub patience: Option<u64>,
    /// Play no sound, and ask for none: pictures wait for nothing [default: play it where there is any].
    #[arg(long, conflicts_with_all = ["volume", "mono"], help_heading = SOUND)]
    pub no_audio: bool,
    /// How loud, in percent, 0 to 100; the arrow keys change it, in a wall 0 and 9.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = number(0_u8, 100), help_heading = SOUND)]
    pub volume: u8,
    /// Ask for one channel, which takes half the bytes [default: stereo].
    #[arg(long, help_heading = SOUND)]
    pub mono: bool,
    /// Record to this file: .mkv, .mp4 or .avi, or .wav for sound only; nothing is encoded again [default: no recording].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = recording, help_heading = OUTPUT)]
    pub record: Option<PathBuf>,
    /// Let --record overwrite a file that is there [default: refuse].
    #[arg(long, requires = "record", help_heading = OUTPUT)]
    pub force: bool,
    /// Stop after so many pictures [default: no limit].
    #[arg(long, value_name = "N", value_parser = number(1_u64, u64::MAX), help_heading = LIMITS)]
    pub frames: Option<u64>,
    /// Stop after so many seconds [default: no limit].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = LIMITS)]
    pub duration: Option<Duration>,
    /// Give up when nothing was heard for so many seconds [default: 30 with --headless, and for HOST/*
    /// until the first answers; never in a window].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = LIMITS)]
    pub timeout: Option<Duration>,
    /// Say what is typed on standard input to all who watch the stream, and write what they say to standard output; in the window t
    /// opens a line [default: only in the window].
    #[arg(long, conflicts_with = "no_talk", help_heading = TALK)]
    pub talk: bool,
    /// Neither show nor record what others say, and say nothing [default: show it in the window].
    #[arg(long, help_heading = TALK)]
    pub no_talk: bool,
    /// The name before what is said here, at most 64 bytes [default: guest and a number].
    #[arg(long, value_name = "NAME", value_parser = talk_name, conflicts_with = "no_talk", help_heading = TALK)]
    pub name: Option<String>,
    #[command(flatten)]
    pub film: FilmChoices,
    /// Figures each second and at the end.
    #[arg(long, value_enum, default_value_t = Stats::Text, help_heading = FIGURES)]
    pub stats: Stats,
}

/// Where the group's server is: nothing is where the sender says.
fn repair(text: &str) -> Result<RepairChoice, AddressError> {
    if text.is_empty() { Ok(RepairChoice::Told) } else { text.parse().map(RepairChoice::At) }
}

impl WatchArgs {
    /// Checks that all fits; the error is one sentence with advice.
    pub fn settle(&self) -> Result<(), String> {
        self.servers.iter().try_for_each(|target| self.transport.check(&target.address))?;
        let asked = self.code == Some(GivenCode::Stdin) || self.password == Some(Given::Stdin);
        if self.talk && asked {
            return Err("standard input can be read once; with --talk give code or password as @FILE".to_owned());
        }
        if self.talk && (self.servers.len() > 1 || self.servers.iter().any(|server| server.all)) {
            return Err("what is said is said of one stream: name one with --talk".to_owned());
        }
        let groups = self.servers.iter().filter(|server| server.group.is_some()).count();
        if self.interface.is_some() && groups == 0 {
            return Err("--interface is by which a group is heard, as udp://@239.1.2.3; leave it out".to_owned());
        }
        if self.repair.is_some() && groups == 0 {
            return Err("--repair is for a group; a server is asked anyway: leave it out".to_owned());
        }
        if self.talk && groups > 0 {
            return Err("a group is only listened to: nothing can be said there; leave --talk out".to_owned());
        }
        watch::check_secrets(&self.servers, self.code.as_ref(), self.password.as_ref())
    }

    pub fn options(self, quiet: bool) -> watch::Options {
        watch::Options {
            transport: self.transport.transport,
            servers: self.servers.into_iter().map(|target| self.transport.of_target(target)).collect(),
            code: self.code,
            password: self.password,
            grid: self.grid,
            headless: self.headless,
            fullscreen: self.fullscreen,
            autoexit: self.autoexit,
            frames: self.frames,
            duration: self.duration,
            timeout: self.timeout,
            latency: Duration::from_millis(self.latency),
            patience: self.patience.map(Duration::from_millis),
            sound: watch::Sound { off: self.no_audio, volume: self.volume, mono: self.mono },
            limits: WantedPictures {
                max_rate: self.max_bitrate,
                quality: self.quality,
                max_size: self.max_width.map(|width| Size::new(width, 0)),
            },
            snapshot: self.snapshot,
            record: self.record,
            force: self.force,
            interface: self.interface,
            repair: self.repair,
            receive_buffer: self.receive_buffer.map(|bytes| bytes as usize),
            talk: TalkOptions { typed: self.talk, off: self.no_talk, name: self.name },
            start: self.film.start,
            end: self.film.end,
            together: self.film.together,
            history: !self.film.no_history,
            stats: self.stats.into(),
            quiet,
        }
    }
}

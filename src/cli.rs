//! The command line: arguments as typed → checked options.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use udpstream::app::address::{self, Address, DEFAULT_PORT};
use udpstream::app::{StatsFormat, serve, watch};
use udpstream::source::{self, Input, PaceChoice};
use udpstream::units::Rate;
use udpstream::wire::SizeClass;

/// Moving pictures over UDP with the least possible delay.
///
/// On one machine: udpstream serve film.mp4 — on another: udpstream watch HOST
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, propagate_version = true)]
pub struct Cli {
    /// Say nothing but errors.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more on stderr; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send a film, a pipe or a test card to whoever watches.
    Serve(ServeArgs),
    /// Show a stream in a window, or receive it without one.
    Watch(WatchArgs),
}

/// Figures on the way: a line for people, or JSON for programs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Stats {
    /// A line on the terminal that updates itself.
    Text,
    /// One JSON object a line on stdout.
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Pace {
    /// Find out.
    Auto,
    /// Pictures leave at their deadline.
    File,
    /// Pictures leave as they come.
    Live,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// A film or URL that ffmpeg reads; - for stdin (y4m, or anything that ffmpeg reads); test:[WxH][@FPS].
    pub input: Input,
    /// UDP port; 0 takes a free one.
    #[arg(long, default_value_t = DEFAULT_PORT)]
    pub port: u16,
    /// Listen on this address only, link-local ones as ADDR%INTERFACE [default: all, IPv6 and IPv4].
    #[arg(long, value_name = "ADDR", value_parser = address::local)]
    pub bind: Option<SocketAddr>,
    /// Scale to this width in pixels, keeping the shape [default: as it is, within 1920×1080].
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(16..=16_384))]
    pub width: Option<u16>,
    /// JPEG quality, 1 to 100.
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: u8,
    /// Pictures a second, such as 25 or 29.97 [default: the film's own].
    #[arg(long, value_name = "N", value_parser = rate)]
    pub fps: Option<Rate>,
    /// Begin again at the end.
    #[arg(long = "loop")]
    pub looped: bool,
    /// Start at once instead of with the first watcher.
    #[arg(long)]
    pub no_wait: bool,
    /// Whether pictures leave at their deadline or as they come.
    #[arg(long, value_enum, default_value_t = Pace::Auto)]
    pub pace: Pace,
    /// Pictures decoded ahead, 2 to 1000 (at most 48 MB).
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=1_000))]
    pub queue: u16,
    /// Largest UDP payload in bytes, 1200 to 65488; auto finds it for each watcher.
    #[arg(long, value_name = "auto|BYTES", default_value = "auto", value_parser = datagram)]
    pub datagram: Datagram,
    /// Stop after so many pictures.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub frames: Option<u64>,
    /// Stop after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// Figures each second and at the end.
    #[arg(long, value_enum, default_value_t = Stats::Text)]
    pub stats: Stats,
}

#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The server: [udp://]HOST[:PORT], an IPv6 address as [ADDR]:PORT; the port is 9688 unless given.
    pub server: Address,
    /// No window: receive and decode all the same.
    #[arg(long)]
    pub headless: bool,
    /// Figures each second and at the end.
    #[arg(long, value_enum, default_value_t = Stats::Text)]
    pub stats: Stats,
    /// Stop after so many pictures.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub frames: Option<u64>,
    /// Stop after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// Give up when nothing was heard for so many seconds [default: 30 with --headless, never in a window].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// Show pictures so many milliseconds after they are due: smoother on an uneven network; 0 shows them at once.
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub latency: u64,
    /// Save the last picture shown as PNG or JPEG.
    #[arg(long, value_name = "FILE", value_parser = snapshot)]
    pub snapshot: Option<PathBuf>,
    /// Start in fullscreen.
    #[arg(long)]
    pub fullscreen: bool,
    /// Receive buffer to ask of the system, in bytes [default: 4 MiB; the system may grant less].
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(4_096..=1 << 30))]
    pub receive_buffer: Option<u32>,
}

/// `--datagram` as checked: a forced class, or none.
#[derive(Clone, Copy, Debug)]
pub struct Datagram(Option<SizeClass>);

fn datagram(text: &str) -> Result<Datagram, String> {
    if text == "auto" {
        return Ok(Datagram(None));
    }
    let class = text.parse().ok().and_then(SizeClass::forced);
    class.map(|class| Datagram(Some(class))).ok_or_else(|| "write auto, or a number from 1200 to 65488".to_owned())
}

/// A name without an ending is a PNG.
fn snapshot(text: &str) -> Result<PathBuf, String> {
    let ending = Path::new(text).extension().map(|ending| ending.to_ascii_lowercase());
    match ending.as_ref().map(|ending| ending.to_str()) {
        None | Some(Some("png" | "jpg" | "jpeg")) => Ok(PathBuf::from(text)),
        Some(_) => Err("write a name that ends in .png or .jpg".to_owned()),
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    let fraction = text.split_once('/').and_then(|(n, d)| Rate::new(n.parse().ok()?, d.parse().ok()?));
    let rate = fraction.or_else(|| text.parse().ok().and_then(Rate::from_fps));
    rate.ok_or_else(|| "write a number of pictures a second, such as 25, 29.97 or 30000/1001".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0 && *seconds <= 1e9);
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "write a number of seconds above 0".to_owned())
}

impl From<Stats> for StatsFormat {
    fn from(stats: Stats) -> Self {
        match stats {
            Stats::Text => Self::Text,
            Stats::Json => Self::Json,
        }
    }
}

impl ServeArgs {
    pub fn options(self, quiet: bool) -> serve::Options {
        let pace = match self.pace {
            Pace::Auto => PaceChoice::Auto,
            Pace::File => PaceChoice::File,
            Pace::Live => PaceChoice::Live,
        };
        let mut bind = self.bind.unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, 0).into());
        bind.set_port(self.port);
        serve::Options {
            input: self.input,
            source: source::Options { width: self.width, rate: self.fps, pace, looped: self.looped },
            bind,
            quality: self.quality,
            no_wait: self.no_wait,
            queue: usize::from(self.queue),
            datagram: self.datagram.0,
            frames: self.frames,
            duration: self.duration,
            stats: self.stats.into(),
            quiet,
        }
    }
}

impl WatchArgs {
    pub fn options(self, quiet: bool) -> watch::Options {
        watch::Options {
            server: self.server,
            headless: self.headless,
            fullscreen: self.fullscreen,
            frames: self.frames,
            duration: self.duration,
            timeout: self.timeout,
            latency: Duration::from_millis(self.latency),
            snapshot: self.snapshot,
            receive_buffer: self.receive_buffer.map(|bytes| bytes as usize),
            stats: self.stats.into(),
            quiet,
        }
    }
}

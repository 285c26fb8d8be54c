//! The command line: arguments as typed → checked options.

mod generate;
mod help;
mod sense;
mod slips;
mod values;

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use udpstream::app::address::{self, DEFAULT_PORT};
use udpstream::app::{StatsFormat, devices, doctor, extract, serve, watch};
use udpstream::proto::receiver::MAX_LATENCY;
use udpstream::source::{self, Input, PaceChoice, SoundOptions};
use udpstream::units::{Rate, Size};

pub use generate::{completions, man};
use help::{FIGURES, INPUT, LIMITS, NETWORK, OUTPUT, SOUND, TIMING, WINDOW};
use values::{Datagram, beside, datagram, decibels, input, number, rate, recording, seconds, size, snapshot};

/// Moving pictures over UDP with the least possible delay.
///
/// On one machine: udpstream serve film.mp4. On another: udpstream watch HOST.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, propagate_version = true)]
#[command(after_help = help::MORE, after_long_help = help::PROGRAM)]
pub struct Cli {
    /// Say nothing but errors.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more on standard error; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the process's arguments; ends it after help, and with 2 and advice after a slip.
    pub fn read() -> Self {
        let arguments: Vec<_> = std::env::args_os().collect();
        let cli = Self::try_parse_from(&arguments).unwrap_or_else(|error| slips::advise(error, &arguments).exit());
        if let Command::Serve(args) = &cli.command
            && let Err(advice) = sense::check(args)
        {
            let mut all = Self::command();
            all.build();
            let mut serve = all.find_subcommand("serve").cloned().unwrap_or(all);
            serve.error(ErrorKind::ArgumentConflict, advice).exit()
        }
        cli
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send a film, a camera, a screen, a pipe or a test card to whoever watches.
    #[command(after_help = help::MORE, after_long_help = help::SERVE)]
    Serve(ServeArgs),
    /// Show a stream in a window, or receive it without one.
    #[command(after_help = help::MORE, after_long_help = help::watch())]
    Watch(WatchArgs),
    /// Take the sound out of a film, into a WAV file.
    ///
    /// It is written as ffmpeg decodes it: 44.1 kHz, 16 bits, stereo.
    #[command(after_help = help::MORE, after_long_help = help::EXTRACT)]
    Extract(ExtractArgs),
    /// Show the cameras, screens and microphones of this machine, and what to type for each.
    ///
    /// Cameras come with their sizes and rates. The exit code is 1 if there is nothing at all.
    #[command(after_help = help::MORE, after_long_help = help::DEVICES)]
    Devices(DevicesArgs),
    /// Look at ffmpeg, display, sound, sockets and timer, and say what to do about each.
    ///
    /// One line for each, marked ok, warning or problem. The exit code is 0 if everything needed to serve and to watch
    /// is there, and 1 if something needed is missing. Nothing is changed.
    #[command(after_help = help::MORE, after_long_help = help::DOCTOR)]
    Doctor(DoctorArgs),
    /// Print the completions for a shell.
    #[command(after_help = help::MORE, after_long_help = help::COMPLETIONS)]
    Completions {
        /// The shell that is to complete `udpstream`.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    ///
    /// Without COMMAND it is one page about everything.
    #[command(after_help = help::MORE, after_long_help = help::MAN)]
    Man {
        /// Only about this command: serve, watch, extract, devices, doctor, completions or man [default: all].
        #[arg(value_parser = ["serve", "watch", "extract", "devices", "doctor", "completions", "man"],
            hide_possible_values = true)]
        command: Option<String>,
    },
}

/// Figures on the way: a line for people, or JSON for programs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Stats {
    /// A line on the terminal that updates itself.
    Text,
    /// One JSON object a line on standard output.
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
    /// A film or URL that ffmpeg reads; camera:[DEVICE], screen:[DISPLAY][+X,Y,WxH] or mic:[DEVICE], as `udpstream
    /// devices` shows them; - for standard input (y4m, or anything that ffmpeg reads); test:[WxH][@FPS] for the test card
    /// (1280x720@30).
    #[arg(value_hint = ValueHint::FilePath, value_parser = input())]
    pub input: Input,
    /// A microphone to be heard with it: mic:[DEVICE].
    #[arg(value_name = "MIC", value_parser = beside)]
    pub ear: Option<Input>,
    /// Scale to this width in pixels, 16 to 16384, keeping the shape [default: as it is, within 1920×1080].
    #[arg(long, value_name = "PIXELS", value_parser = number(16_u16, 16_384), help_heading = INPUT)]
    pub width: Option<u16>,
    /// Pictures a second, such as 25, 29.97 or 30000/1001; of a screen at most so many [default: the film's own, else 30].
    #[arg(long, value_name = "N", value_parser = rate, help_heading = INPUT)]
    pub fps: Option<Rate>,
    /// Size that a camera is asked for, as WIDTHxHEIGHT [default: its own choice].
    #[arg(long, value_name = "WxH", value_parser = size, help_heading = INPUT)]
    pub size: Option<Size>,
    /// Leave the mouse pointer out of a screen [default: show it].
    #[arg(long, help_heading = INPUT)]
    pub no_pointer: bool,
    /// Begin again at the end; not for standard input [default: end with the film].
    #[arg(long = "loop", help_heading = INPUT)]
    pub looped: bool,
    /// JPEG quality, 1 to 100.
    #[arg(long, value_name = "N", default_value_t = 80, value_parser = number(1_u8, 100), help_heading = INPUT)]
    pub quality: u8,
    /// Pictures decoded ahead, 2 to 1000 (at most 36 MB).
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = number(2_u16, 1_000), help_heading = INPUT)]
    pub queue: u16,
    /// Take noise out of pictures and sound with light filters [default: leave both as they are].
    #[arg(long, help_heading = INPUT)]
    pub denoise: bool,
    #[command(flatten)]
    pub sound: SoundArgs,
    /// Send no sound [default: send it where there is any].
    #[arg(long, conflicts_with_all = ["audio_track", "audio_gain", "mono"], help_heading = SOUND)]
    pub no_audio: bool,
    /// UDP port, 0 to 65535; 0 takes a free one and says which.
    #[arg(long, default_value_t = DEFAULT_PORT, value_parser = number(0_u16, u16::MAX), help_heading = NETWORK)]
    pub port: u16,
    /// UDP port for sound, 0 to 65535; 0 takes a free one [default: the one below --port].
    #[arg(long, value_name = "PORT", value_parser = number(0_u16, u16::MAX), help_heading = NETWORK)]
    pub audio_port: Option<u16>,
    /// Listen on this address only, link-local ones as ADDR%INTERFACE [default: all, IPv6 and IPv4].
    #[arg(long, value_name = "ADDR", value_parser = address::local, help_heading = NETWORK)]
    pub bind: Option<SocketAddr>,
    /// Largest UDP payload in bytes, 1200 to 65488; auto finds it for each watcher.
    #[arg(long, value_name = "auto|BYTES", default_value = "auto", value_parser = datagram, help_heading = NETWORK)]
    pub datagram: Datagram,
    /// Start at once [default: start with the first watcher].
    #[arg(long, help_heading = TIMING)]
    pub no_wait: bool,
    /// Whether pictures leave at their deadline or as they come.
    #[arg(long, value_enum, default_value_t = Pace::Auto, help_heading = TIMING)]
    pub pace: Pace,
    /// Record to this file: .mkv, .mp4 or .avi, or .wav for sound only; nothing is encoded again [default: no recording].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = recording, help_heading = OUTPUT)]
    pub record: Option<PathBuf>,
    /// Let --record overwrite a file that is there [default: refuse].
    #[arg(long, requires = "record", help_heading = OUTPUT)]
    pub force: bool,
    /// Show what is sent in a window here too; closing it does not end the stream [default: no window].
    #[arg(long, help_heading = OUTPUT)]
    pub preview: bool,
    /// Stop once so many pictures have been sent [default: no limit].
    #[arg(long, value_name = "N", value_parser = number(1_u64, u64::MAX), help_heading = LIMITS)]
    pub frames: Option<u64>,
    /// Stop after so many seconds [default: no limit].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = LIMITS)]
    pub duration: Option<Duration>,
    /// Figures each second and at the end.
    #[arg(long, value_enum, default_value_t = Stats::Text, help_heading = FIGURES)]
    pub stats: Stats,
}

/// What is done to sound on its way out of a file.
#[derive(Clone, Copy, Debug, Args)]
pub struct SoundArgs {
    /// Which of the sound tracks, counted from 0 [default: the one that players choose].
    #[arg(long, value_name = "N", value_parser = number(0_u32, 999), help_heading = SOUND)]
    pub audio_track: Option<u32>,
    /// Louder or softer by so many decibels, −60 to 60; what would be louder than full scale is cut.
    #[arg(long, value_name = "DB", default_value_t = 0.0, value_parser = decibels, allow_hyphen_values = true,
        help_heading = SOUND)]
    pub audio_gain: f64,
    /// The mean of left and right on both sides [default: stereo].
    #[arg(long, help_heading = SOUND)]
    pub mono: bool,
}

#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The server: [udp://]HOST[:PORT], an IPv6 address as [ADDR]:PORT; the port is 9688 unless given.
    #[arg(value_hint = ValueHint::Hostname, required = true)]
    pub servers: Vec<address::Target>,
    /// How several streams are laid out, as COLSxROWS, such as 3x2 [default: as fits the window].
    #[arg(long, value_name = "COLSxROWS", value_parser = size, help_heading = WINDOW)]
    pub grid: Option<Size>,
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
    /// Receive buffer to ask of the system, in bytes [default: 4194304; the system may grant less].
    #[arg(long, value_name = "BYTES", value_parser = number(4_096_u32, 1 << 30), help_heading = NETWORK)]
    pub receive_buffer: Option<u32>,
    /// Show pictures so many milliseconds after they are due, 0 to 10000: smoother on an uneven network; 0 shows them at
    /// once. A stream of more than 128 MiB in that time is shown sooner.
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = number(0, MAX_LATENCY.as_millis() as u64),
        help_heading = TIMING)]
    pub latency: u64,
    /// Play no sound, and ask for none: pictures wait for nothing [default: play it where there is any].
    #[arg(long, conflicts_with_all = ["volume", "mono"], help_heading = SOUND)]
    pub no_audio: bool,
    /// How loud, in percent, 0 to 100; the arrow keys change it.
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
    /// Give up when nothing was heard for so many seconds [default: 30 with --headless, never in a window].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = LIMITS)]
    pub timeout: Option<Duration>,
    /// Figures each second and at the end.
    #[arg(long, value_enum, default_value_t = Stats::Text, help_heading = FIGURES)]
    pub stats: Stats,
}

#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// A film, a song or a URL that ffmpeg reads.
    #[arg(value_hint = ValueHint::FilePath, value_parser = input())]
    pub input: Input,
    /// The WAV file [default: INPUT with .wav in place of its ending, beside it].
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Replace a file that is there already [default: leave it as it is].
    #[arg(long)]
    pub force: bool,
    /// Take noise out with a light filter [default: leave it as it is].
    #[arg(long, help_heading = SOUND)]
    pub denoise: bool,
    #[command(flatten)]
    pub sound: SoundArgs,
}

#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// One JSON object a line on standard output [default: text].
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Do not look for a display: only `watch --headless` is wanted here [default: look for one].
    #[arg(long)]
    pub headless: bool,
    /// One JSON object a line on standard output [default: text].
    #[arg(long)]
    pub json: bool,
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
        let mut bind = self.bind.unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, 0).into());
        bind.set_port(self.port);
        let pace = match self.pace {
            Pace::Auto => PaceChoice::Auto,
            Pace::File => PaceChoice::File,
            Pace::Live => PaceChoice::Live,
        };
        let (input, ear) = match (self.input, self.ear) {
            // In either order.
            (ear @ Input::Mic(_), Some(input)) => (input, Some(ear)),
            as_named => as_named,
        };
        serve::Options {
            input,
            ear,
            source: source::Options {
                width: self.width,
                rate: self.fps,
                size: self.size,
                pointer: !self.no_pointer,
                pace,
                looped: self.looped,
                denoise: self.denoise,
                sound: (!self.no_audio).then(|| self.sound.options(self.denoise)),
            },
            bind,
            audio_port: self.audio_port,
            quality: self.quality,
            no_wait: self.no_wait,
            queue: usize::from(self.queue),
            datagram: self.datagram.0,
            frames: self.frames,
            duration: self.duration,
            record: self.record,
            force: self.force,
            preview: self.preview,
            stats: self.stats.into(),
            quiet,
        }
    }
}

impl SoundArgs {
    fn options(self, denoise: bool) -> SoundOptions {
        SoundOptions { track: self.audio_track, gain_db: self.audio_gain, mono: self.mono, denoise }
    }
}

impl WatchArgs {
    pub fn options(self, quiet: bool) -> watch::Options {
        watch::Options {
            servers: self.servers,
            grid: self.grid.map(|grid| (grid.width as u8, grid.height as u8)),
            headless: self.headless,
            fullscreen: self.fullscreen,
            autoexit: self.autoexit,
            frames: self.frames,
            duration: self.duration,
            timeout: self.timeout,
            latency: Duration::from_millis(self.latency),
            sound: watch::Sound { off: self.no_audio, volume: self.volume, mono: self.mono },
            snapshot: self.snapshot,
            record: self.record,
            force: self.force,
            receive_buffer: self.receive_buffer.map(|bytes| bytes as usize),
            stats: self.stats.into(),
            quiet,
        }
    }
}

impl ExtractArgs {
    pub fn options(self, quiet: bool) -> extract::Options {
        let sound = self.sound.options(self.denoise);
        extract::Options { input: self.input, output: self.output, force: self.force, sound, quiet }
    }
}

impl DevicesArgs {
    pub const fn options(self, quiet: bool) -> devices::Options {
        devices::Options { json: self.json, quiet }
    }
}

impl DoctorArgs {
    pub const fn options(self, quiet: bool) -> doctor::Options {
        doctor::Options { json: self.json, headless: self.headless, quiet }
    }
}

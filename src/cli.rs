//! The command line: arguments as typed → checked options.

mod cache;
mod choices;
mod conceal;
mod config;
mod film;
mod generate;
mod help;
mod history;
mod keys;
mod library;
mod ls;
mod multicast;
mod near;
mod network;
mod program;
mod publish;
mod relay;
mod sense;
mod serve;
mod slips;
mod spec;
mod streams;
mod talk;
mod values;
mod watch;

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};
use udpstream::app::{devices, doctor, extract};
use udpstream::source::{Input, SoundOptions};

use cache::CacheArgs;
pub use generate::{completions, man};
use help::SOUND;
use history::{HistoryArgs, InfoArgs};
use ls::LsArgs;
use publish::PublishArgs;
use relay::RelayArgs;
use serve::ServeArgs;
use values::{decibels, input, number};
use watch::WatchArgs;

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
        conceal::conceal(&arguments);
        let mut cli = Self::try_parse_from(&arguments).unwrap_or_else(|error| slips::advise(error, &arguments).exit());
        let (verb, settled) = match &mut cli.command {
            Command::Serve(args) => ("serve", args.settle()),
            Command::Publish(args) => ("publish", args.settle()),
            Command::Watch(args) => ("watch", args.settle()),
            Command::Relay(args) => ("relay", args.settle()),
            Command::Ls(args) => ("ls", args.settle()),
            _ => ("", Ok(())),
        };
        if let Err(advice) = settled {
            let mut all = Self::command();
            all.build();
            let mut command = all.find_subcommand(verb).cloned().unwrap_or(all);
            command.error(ErrorKind::ArgumentConflict, advice).exit()
        }
        cli
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send films, cameras, screens, a pipe or a test card to whoever watches.
    #[command(after_help = help::MORE, after_long_help = help::serve())]
    Serve(Box<ServeArgs>),
    /// Show a stream in a window, several side by side, or receive it without one.
    #[command(after_help = help::MORE, after_long_help = help::watch())]
    Watch(Box<WatchArgs>),
    /// Send one source to a server that passes it on, and get a code that others watch by.
    ///
    /// The server runs with `udpstream serve --accept-publishers`. The exit code is 3 if it refuses.
    #[command(after_help = help::MORE, after_long_help = help::publish())]
    Publish(Box<PublishArgs>),
    /// List the streams of a server, or of the local network, and what to type to watch them.
    ///
    /// The exit code is 3 if nobody answers.
    #[command(after_help = help::MORE, after_long_help = help::LS)]
    Ls(LsArgs),
    /// Pass the streams of a server on to many, fetched once; and keep films.
    ///
    /// It listens on port 9690 unless told otherwise.
    #[command(after_help = help::MORE, after_long_help = help::RELAY)]
    Relay(Box<RelayArgs>),
    /// List, remove or check the films that a relay has kept.
    #[command(after_help = help::MORE, after_long_help = help::CACHE_VERB)]
    Cache(CacheArgs),
    /// See which films of libraries were watched here, and to where; or forget them.
    #[command(after_help = help::MORE, after_long_help = help::HISTORY)]
    History(HistoryArgs),
    /// See what is known of a film or a song.
    #[command(after_help = help::MORE, after_long_help = help::INFO)]
    Info(InfoArgs),
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
        /// Only about this command: serve, watch, publish, ls, relay, cache, extract, devices, doctor, completions or man [default: all].
        #[arg(value_parser = ["serve", "watch", "publish", "ls", "relay", "cache", "extract", "devices", "doctor", "completions", "man"],
            hide_possible_values = true)]
        command: Option<String>,
    },
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

impl SoundArgs {
    fn options(self, denoise: bool) -> SoundOptions {
        SoundOptions { track: self.audio_track, gain_db: self.audio_gain, mono: self.mono, denoise }
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

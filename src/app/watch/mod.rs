//! `udpstream watch`: sockets → receiver → decoder → window, or as far as decoded pixels.

mod blocks;
mod choosing;
mod controls;
pub(super) mod figures;
mod finder;
mod follower;
pub(super) mod hearing;
mod onscreen;
mod remembering;
pub(super) mod screen;
mod sizing;
mod streams;
pub(super) mod subject;
mod trouble;
mod typing;
pub(super) mod unpacking;
pub(super) mod viewing;
pub(super) mod watching;
mod words;

use std::path::PathBuf;
use std::thread::Builder;
use std::time::Duration;

use anyhow::{Context, Error, anyhow};
use crossbeam_channel::{Sender, bounded};

pub use self::controls::Moment;
pub use self::hearing::Choice as Sound;
pub use self::onscreen::{OnScreen, attach};
use self::screen::Screen;
use self::subject::Subject;
use self::typing::Typing;
use self::viewing::Viewing;
use super::address::Target;
use super::figures::Output;
use super::group::RepairChoice;
use super::recording::Recordings;
use super::secrets::{Given, GivenCode};
use super::talk::TalkOptions;
use super::{Exit, StatsFormat, leaving, wall};
use crate::media::sound::Rendition;
use crate::proto::Transport;
use crate::proto::receiver::Secret;
use crate::units::Size;
use crate::view::{self, Handle, Order as ViewOrder};
use crate::wire::message::WantedPictures;

/// The window before the stream's size is known.
const FIRST_SIZE: Size = Size::new(1_280, 720);

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    /// One, or several side by side; none: what is on the local network.
    pub servers: Vec<Target>,
    /// What a server is reached by that is found on the local network.
    pub transport: Option<Transport>,
    /// The code of the only one.
    pub code: Option<GivenCode>,
    /// The password of the only one.
    pub password: Option<Given>,
    /// Columns and rows of several; `None`: as the window's shape wants it.
    pub grid: Option<(u8, u8)>,
    pub headless: bool,
    pub fullscreen: bool,
    /// Leave when the stream ends, also with a window.
    pub autoexit: bool,
    pub frames: Option<u64>,
    pub duration: Option<Duration>,
    pub timeout: Option<Duration>,
    pub latency: Duration,
    /// So long a picture is waited for at most of which something is lost.
    pub patience: Option<Duration>,
    pub sound: Sound,
    /// How much of the pictures is wanted at most, whatever size they are seen at.
    pub limits: WantedPictures,
    pub snapshot: Option<PathBuf>,
    pub record: Option<PathBuf>,
    /// Record over a file that is there.
    pub force: bool,
    pub receive_buffer: Option<usize>,
    /// By which a group is heard.
    pub interface: Option<String>,
    /// Where what a group has lost is asked for; `None`: nowhere.
    pub repair: Option<RepairChoice>,
    pub talk: TalkOptions,
    /// Where a film on demand begins and ends; `None`: as it does.
    pub start: Option<Moment>,
    pub end: Option<Moment>,
    /// Watch a film on demand with those who name the same.
    pub together: Option<String>,
    /// Go on where a film on demand was left, and keep where it is left.
    pub history: bool,
    pub stats: StatsFormat,
    pub quiet: bool,
}

/// Watches until the stream ends, a limit is reached or the user leaves.
pub fn watch(options: Options) -> anyhow::Result<Exit> {
    check_secrets(&options.servers, options.code.as_ref(), options.password.as_ref()).map_err(Error::msg)?;
    match &options.servers[..] {
        [] => choosing::watch(options),
        [only] if !only.all => {
            let typing = Typing::begin(&options)?;
            let only = with_code(only.clone(), options.code.as_ref())?;
            single(only, options, typing)
        }
        _ => wall::watch(options),
    }
}

/// Whether code and password fit what is watched; the error is one sentence with advice.
pub fn check_secrets(servers: &[Target], code: Option<&GivenCode>, password: Option<&Given>) -> Result<(), String> {
    let Target { address, stream, code: own_code, .. } = match servers {
        [only] if !only.all => only,
        [] if code.is_some() => return Err("a code is watched at its server: write HOST/CODE".to_owned()),
        [] => return Ok(()),
        _ if code.is_some() => return Err("--code is of one stream: write each as HOST/CODE instead".to_owned()),
        _ if password.is_some() => return Err("--password is of one stream: name it, as in HOST/NAME".to_owned()),
        _ => return Ok(()),
    };
    if servers.iter().any(|target| target.group.is_some()) && (code.is_some() || password.is_some()) {
        return Err("what is sent to a group is for everybody: leave --code and --password out".to_owned());
    }
    let coded = code.is_some() || own_code.is_some();
    if code.is_some() && (stream.is_some() || own_code.is_some()) {
        return Err("--code says which stream is meant: name the server alone".to_owned());
    }
    if coded && password.is_some() {
        return Err("a stream has a code or a password: leave one of them out".to_owned());
    }
    if password.is_some() && stream.is_none() {
        return Err(format!("a password is of one stream: name it, as in {}/NAME", address.typed()));
    }
    Ok(())
}

/// The stream with this code, if one is given.
fn with_code(target: Target, code: Option<&GivenCode>) -> anyhow::Result<Target> {
    let Some(code) = code else { return Ok(target) };
    Ok(Target { code: Some(code.code()?), ..target })
}

/// What is known of a guarded stream.
fn secret(target: &Target, password: Option<&Given>) -> anyhow::Result<Option<Secret>> {
    Ok(match (&target.code, &target.stream, password) {
        (Some(code), ..) => Some(Secret::Code(code.lookup(), code.key())),
        (None, Some(name), Some(given)) => Some(Secret::Password(name.clone(), given.key(name.as_str())?)),
        _ => None,
    })
}

/// One stream.
fn single(target: Target, options: Options, typing: Option<Typing>) -> anyhow::Result<Exit> {
    let secret = secret(&target, options.password.as_ref())?;
    let servers = target.address.look_up()?;
    let subject = Subject::new(target, None, servers).with(secret);
    let (headless, fullscreen) = (options.headless, options.fullscreen);
    let output = Output::new(options.stats, options.quiet).context("standard output could not be written to")?;
    let output = output.with_typing(options.talk.typed);
    let title = format!("connecting to {} – udpstream", subject.server());
    let mut viewing = Viewing::prepare(options, subject, output, None)?;
    viewing.catch_signals()?;
    typing.into_iter().for_each(Typing::end);
    if headless { viewing.run(Screen(None)) } else { windowed(&title, fullscreen, viewing) }
}

/// The window on this thread, all else on others.
fn windowed(title: &str, fullscreen: bool, viewing: Viewing) -> anyhow::Result<Exit> {
    let (result, outcome) = bounded(1);
    let (leaves, left) = bounded(0);
    let remote = viewing.remote();
    let ready = move |window: Handle| {
        if fullscreen {
            window.send(ViewOrder::Fullscreen).ok();
        }
        let net = move || {
            let screen = Screen(Some(window.clone()));
            attach(&screen);
            let exit = viewing.run(screen);
            window.send(ViewOrder::Close).ok();
            leaving::wait_for_window(&left, &exit);
            result.send(exit).ok();
        };
        // Without the thread `outcome` is closed, which is noticed below.
        drop(Builder::new().name("net".into()).spawn(net));
    };
    view::run(title, FIRST_SIZE, ready, |happened| remote.take(happened)).map_err(|error| anyhow!("{error}"))?;
    drop::<Sender<()>>(leaves);
    match outcome.recv_timeout(PATIENCE) {
        Ok(exit) => exit,
        Err(_) => Err(anyhow!("the network thread died or hangs: this is a bug")),
    }
}

/// Which sound is wanted: what is heard, or recorded.
fn rendition(options: &Options, heard: bool, recordings: &Recordings) -> Option<Rendition> {
    let wanted = !options.sound.off && (heard || recordings.is_running());
    wanted.then_some(if options.sound.mono { Rendition::Mono } else { Rendition::Stereo })
}

/// A goodbye and a last picture take less.
const PATIENCE: Duration = Duration::from_secs(5);

//! `udpstream watch`: sockets → receiver → decoder → window, or as far as decoded pixels.

mod blocks;
mod hearing;
mod onscreen;
pub(super) mod screen;
mod trouble;
mod watching;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use crossbeam_channel::{Receiver as Inbox, Sender, unbounded};

pub use self::hearing::Choice as Sound;
use self::hearing::Hearing;
pub use self::onscreen::OnScreen;
use self::screen::Screen;
use self::watching::{Act, Watching, Wiring};
use super::address::Address;
use super::decode::{self, Shown};
use super::figures::Output;
use super::recording::Recordings;
use super::{Exit, StatsFormat};
use crate::media::sound::Rendition;
use crate::net::{Loop, Options as SocketOptions, Socket};
use crate::proto::receiver::{Config, Receiver};
use crate::queue::Waker;
use crate::record::place::Place;
use crate::record::still::Kind;
use crate::seal;
use crate::units::Size;
use crate::view::{self, Handle, Happened, Order as ViewOrder};

/// The window before the stream's size is known.
const FIRST_SIZE: Size = Size::new(1_280, 720);

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    pub server: Address,
    pub headless: bool,
    pub fullscreen: bool,
    /// Leave when the stream ends, also with a window.
    pub autoexit: bool,
    pub frames: Option<u64>,
    pub duration: Option<Duration>,
    pub timeout: Option<Duration>,
    pub latency: Duration,
    pub sound: Sound,
    pub snapshot: Option<PathBuf>,
    pub record: Option<PathBuf>,
    /// Record over a file that is there.
    pub force: bool,
    pub receive_buffer: Option<usize>,
    pub stats: StatsFormat,
    pub quiet: bool,
}

/// Watches until the stream ends, a limit is reached or the user leaves.
pub fn watch(options: Options) -> anyhow::Result<Exit> {
    if let Some(path) = &options.snapshot {
        // Better now than after an hour's film.
        Kind::of(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            let (path, folder) = (path.display(), folder.display());
            bail!("{path} could not be written: there is no folder {folder}; create it, or choose another");
        }
    }
    let place = options.record.as_ref().map(|path| Place::take(path, options.force)).transpose()?;
    let servers = options.server.look_up()?;
    let event_loop = event_loop(&options)?;
    let mut recordings = Recordings::new(event_loop.waker());
    place.map_or(Ok(()), |place| recordings.begin(place))?;
    let (_, acts) = unbounded();
    if options.headless {
        return run(options, servers, event_loop, (Screen(None), recordings), unbounded(), acts);
    }
    windowed(options, servers, event_loop, recordings)
}

fn event_loop(options: &Options) -> anyhow::Result<Loop> {
    let any = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
    let socket = || {
        Socket::bind(SocketOptions { address: any, receive_buffer: options.receive_buffer })
            .context("no socket could be opened")
    };
    // Pictures and sound: a burst of the one does not crowd out the other.
    let mut event_loop = Loop::new(vec![socket()?, socket()?]).context("the event loop could not be started")?;
    event_loop.catch_signals().context("signals could not be caught")?;
    Ok(event_loop)
}

/// The window on this thread, all else on others.
fn windowed(
    options: Options,
    servers: Vec<SocketAddr>,
    event_loop: Loop,
    recordings: Recordings,
) -> anyhow::Result<Exit> {
    let title = format!("connecting to {} – udpstream", options.server);
    let (decoded, waiting) = unbounded();
    let (presented, seen) = unbounded();
    let (act, acts) = unbounded();
    let (result, outcome) = unbounded();
    let mut told = Told { waiting, pending: VecDeque::new(), presented, act, waker: event_loop.waker() };
    let ready = move |window: Handle| {
        if options.fullscreen {
            window.send(ViewOrder::Fullscreen).ok();
        }
        let close = window.clone();
        let net = move || {
            let exit = run(options, servers, event_loop, (Screen(Some(window)), recordings), (decoded, seen), acts);
            result.send(exit).ok();
            close.send(ViewOrder::Close).ok();
        };
        // Without the thread `outcome` is closed, which is noticed below.
        drop(Builder::new().name("net".into()).spawn(net));
    };
    view::run(&title, FIRST_SIZE, ready, |happened| told.take(happened)).map_err(|error| anyhow!("{error}"))?;
    drop(told);
    match outcome.recv_timeout(PATIENCE) {
        Ok(exit) => exit,
        Err(_) => Err(anyhow!("the network thread died or hangs: this is a bug")),
    }
}

/// What the window tells, sorted: presented pictures to the figures, all else to the event loop.
struct Told {
    /// Decoded pictures on their way to the screen, oldest first.
    waiting: Inbox<Shown>,
    pending: VecDeque<Shown>,
    presented: Sender<Shown>,
    act: Sender<Act>,
    waker: Waker,
}

impl Told {
    fn take(&mut self, happened: Happened) {
        match happened {
            Happened::Opened => {}
            Happened::Presented { id, at } => self.done(id, |shown| Some(Shown { presented: at, ..shown })),
            Happened::Superseded { id } => self.done(id, |shown| Some(Shown { superseded: true, ..shown })),
            // Nobody sees when a frozen picture would have been shown: it is in no figure.
            Happened::Withheld { id } => self.done(id, |_| None),
            Happened::Snapshot { canvas, id, still } => self.act(Act::Snapshot { canvas, id, still }),
            Happened::Wished(wish) => self.act(Act::Wish(wish)),
            Happened::Quit => self.act(Act::Quit),
        }
    }

    fn done(&mut self, id: u64, figure: impl FnOnce(Shown) -> Option<Shown>) {
        self.pending.extend(self.waiting.try_iter());
        while let Some(shown) = self.pending.pop_front() {
            if u64::from(shown.picture.unit.0) == id {
                // The event loop may have ended before the window.
                figure(shown).map(|shown| self.presented.send(shown).ok());
                break;
            }
        }
    }

    fn act(&self, act: Act) {
        self.act.send(act).ok();
        (self.waker)();
    }
}

/// Runs the event loop on this thread and the decoder on another. The decoder reports to the first half of `shown`,
/// figures are read from the second.
fn run(
    options: Options,
    servers: Vec<SocketAddr>,
    event_loop: Loop,
    (screen, recordings): (Screen, Recordings),
    (shown, figures): (Sender<Shown>, Inbox<Shown>),
    acts: Inbox<Act>,
) -> anyhow::Result<Exit> {
    onscreen::attach(&screen);
    let (work, works) = unbounded();
    let newest = Arc::new(AtomicU32::new(0));
    let settings = decode::Settings {
        window: screen.0.clone(),
        snapshot: options.snapshot.clone(),
        newest: Arc::clone(&newest),
        waker: event_loop.waker(),
    };
    let decoder: JoinHandle<_> =
        decode::spawn(settings, works, shown).context("the decoder's thread could not be started")?;
    let seed = seal::system_seed().ok_or_else(|| anyhow!("the system has no random numbers to give"))?;
    let stay = !options.headless && !options.autoexit;
    let rendition = if options.sound.mono { Rendition::Mono } else { Rendition::Stereo };
    let sound = (!options.sound.off).then_some(rendition);
    let hearing = Hearing::new(options.sound, event_loop.waker());
    let (latency, frames) = (options.latency, options.frames);
    let config = Config { seed, servers, max_datagram: 0, latency, stay, sound, frames };
    let output = Output::new(options.stats, options.quiet).context("standard output could not be written to")?;
    let mut receiver = Receiver::new(config, output.start());
    let mut app = Watching::new(options, output, screen, Wiring { work, figures, newest, acts, hearing, recordings });
    event_loop.run(&mut receiver, &mut app).context("the event loop failed")?;
    Ok(app.finish(&receiver, decoder))
}

/// A goodbye and a last picture take less.
const PATIENCE: Duration = Duration::from_secs(5);

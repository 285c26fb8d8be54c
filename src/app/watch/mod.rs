//! `udpstream watch`: sockets → receiver → decoder → window, or as far as decoded pixels.

mod blocks;
mod figures;
mod hearing;
mod onscreen;
pub(super) mod screen;
mod trouble;
mod watching;
mod words;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use crossbeam_channel::{Receiver as Inbox, Sender, bounded, unbounded};

pub use self::hearing::Choice as Sound;
use self::hearing::Hearing;
pub use self::onscreen::OnScreen;
use self::screen::Screen;
use self::watching::{Act, Watching, Wiring};
use super::address::Address;
use super::decode::{self, OnTheWay, Shown};
use super::figures::Output;
use super::recording::Recordings;
use super::{Exit, StatsFormat, leaving};
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
    if options.headless {
        let (_, acts) = bounded(1);
        let (shown, figures) = unbounded();
        let links = Links { on_the_way: OnTheWay::default(), shown, figures, acts };
        return run(options, servers, event_loop, (Screen(None), recordings), links);
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
    let on_the_way = OnTheWay::default();
    // What is shown is told by whoever shows it, which is never more than the event loop has handed out.
    let (shown, figures) = unbounded();
    let (act, acts) = bounded(ACTS);
    let (result, outcome) = bounded(1);
    let (leaves, left) = bounded(0);
    let told = Told { on_the_way: on_the_way.clone(), shown: shown.clone(), act, waker: event_loop.waker() };
    let links = Links { on_the_way, shown, figures, acts };
    let ready = move |window: Handle| {
        if options.fullscreen {
            window.send(ViewOrder::Fullscreen).ok();
        }
        let close = window.clone();
        let net = move || {
            let exit = run(options, servers, event_loop, (Screen(Some(window)), recordings), links);
            close.send(ViewOrder::Close).ok();
            leaving::wait_for_window(&left, &exit);
            result.send(exit).ok();
        };
        // Without the thread `outcome` is closed, which is noticed below.
        drop(Builder::new().name("net".into()).spawn(net));
    };
    view::run(&title, FIRST_SIZE, ready, |happened| told.take(happened)).map_err(|error| anyhow!("{error}"))?;
    drop::<(Sender<()>, Told)>((leaves, told));
    match outcome.recv_timeout(PATIENCE) {
        Ok(exit) => exit,
        Err(_) => Err(anyhow!("the network thread died or hangs: this is a bug")),
    }
}

/// What the window tells, sorted: presented pictures to the figures, all else to the event loop.
struct Told {
    on_the_way: OnTheWay,
    shown: Sender<Shown>,
    act: Sender<Act>,
    waker: Waker,
}

impl Told {
    fn take(&self, happened: Happened) {
        match happened {
            Happened::Opened => {}
            Happened::Presented { id, at } => {
                let shown = self.on_the_way.take(id).map(|shown| Shown { presented: at, ..shown });
                // The event loop may have ended before the window.
                shown.map(|shown| self.shown.send(shown).ok());
            }
            // Nobody sees when a frozen picture would have been shown: it is in no figure.
            Happened::Withheld { id } => drop(self.on_the_way.take(id)),
            Happened::Snapshot { canvas, id, still } => self.act(Act::Snapshot { canvas, id, still }),
            Happened::Wished(wish) => self.act(Act::Wish(wish)),
            Happened::Quit => self.act(Act::Quit),
        }
    }

    fn act(&self, act: Act) {
        // An event loop that does not get round to so many keys does not miss one more.
        self.act.try_send(act).ok();
        (self.waker)();
    }
}

/// What connects the event loop with decoder and window.
struct Links {
    on_the_way: OnTheWay,
    shown: Sender<Shown>,
    figures: Inbox<Shown>,
    acts: Inbox<Act>,
}

/// Runs the event loop on this thread and the decoder on another.
fn run(
    options: Options,
    servers: Vec<SocketAddr>,
    event_loop: Loop,
    (screen, recordings): (Screen, Recordings),
    Links { on_the_way, shown, figures, acts }: Links,
) -> anyhow::Result<Exit> {
    onscreen::attach(&screen);
    let work = Arc::new(decode::Inbox::new(decode::room(screen.is_there())));
    let settings = decode::Settings {
        window: screen.0.clone(),
        on_the_way,
        snapshot: options.snapshot.clone(),
        room: decode::Room::default(),
        stills: crossbeam_channel::unbounded().0,
        waker: event_loop.waker(),
    };
    let decoder: JoinHandle<_> =
        decode::spawn(settings, Arc::clone(&work), shown).context("the decoder's thread could not be started")?;
    let seed = seal::system_seed().ok_or_else(|| anyhow!("the system has no random numbers to give"))?;
    let stay = !options.headless && !options.autoexit;
    let rendition = if options.sound.mono { Rendition::Mono } else { Rendition::Stereo };
    let sound = (!options.sound.off).then_some(rendition);
    let hearing = Hearing::new(options.sound, event_loop.waker());
    let (latency, frames) = (options.latency, options.frames);
    let config = Config { seed, servers, max_datagram: 0, latency, stay, sound, frames };
    let output = Output::new(options.stats, options.quiet).context("standard output could not be written to")?;
    let mut receiver = Receiver::new(config, output.start());
    let mut app = Watching::new(options, output, screen, Wiring { work, figures, acts, hearing, recordings });
    event_loop.run(&mut receiver, &mut app).context("the event loop failed")?;
    Ok(app.finish(&receiver, decoder))
}

/// Keys that wait for the event loop.
const ACTS: usize = 64;
/// A goodbye and a last picture take less.
const PATIENCE: Duration = Duration::from_secs(5);

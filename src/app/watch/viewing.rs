//! One stream watched: an event loop with its receiver on one thread, its decoder on another, and what connects them with a
//! window or a tile. A window has one viewing, a wall many.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};
use crossbeam_channel::{Receiver as Inbox, Sender, bounded, unbounded};

use super::controls::Controls;
use super::finder::Finder;
use super::follower::Follower;
use super::hearing::{Hearing, Loudness};
use super::remembering::Remembering;
use super::screen::Screen;
use super::subject::Subject;
use super::watching::{Act, Watching, Wiring};
use super::{Options, rendition};
use crate::app::address::{Senders, Target};
use crate::app::decode::{self, OnTheWay, Room, Saved, Shown};
use crate::app::figures::Output;
use crate::app::recording::Recordings;
use crate::app::talk::Console;
use crate::app::wall::Seat;
use crate::app::{Exit, group};
use crate::net::{Loop, Options as SocketOptions, Socket};
use crate::proto::receiver::{Config, Receiver};
use crate::queue::Waker;
use crate::record::path::RecordingPath;
use crate::record::still::StillKind;
use crate::seal::{self, Random};
use crate::units::{MediaTime, Size, Time};
use crate::view::Happened;

/// A viewing before it runs.
pub struct Viewing {
    options: Options,
    subject: Subject,
    output: Output,
    event_loop: Loop,
    recordings: Recordings,
    hearing: Hearing,
    remote: Remote,
    seat: Option<Seat>,
    shown: Inbox<Shown>,
    stills: (Sender<Saved>, Inbox<Saved>),
    acts: Inbox<Act>,
}

/// The window's hold on a viewing.
#[derive(Clone)]
pub struct Remote {
    work: Arc<decode::Inbox>,
    room: Room,
    on_the_way: OnTheWay,
    shown: Sender<Shown>,
    act: Sender<Act>,
    attention: Arc<Attention>,
    waker: Waker,
}

/// Who cares: in a wall only the chosen stream is heard, and others are not seen while one is large.
pub struct Attention {
    heard: AtomicBool,
    seen: AtomicBool,
    /// Width and height of window or tile; 0: not known.
    size: AtomicU32,
    /// Somebody leaves. Beside the acts: these may be left out.
    quit: AtomicBool,
    /// Ctrl-C and its like, not obeyed yet.
    interrupts: AtomicU32,
}

impl Attention {
    pub fn is_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    pub fn is_seen(&self) -> bool {
        self.seen.load(Ordering::Relaxed)
    }

    /// How large the window or tile is, if there is one.
    pub fn size(&self) -> Option<Size> {
        let size = self.size.load(Ordering::Relaxed);
        Some(Size::new((size >> 16) as u16, size as u16)).filter(|size| size.pixels() > 0)
    }

    fn set_size(&self, size: Size) {
        self.size.store(u32::from(size.width) << 16 | u32::from(size.height), Ordering::Relaxed);
    }

    /// Whether somebody left since this was asked last.
    pub fn take_quit(&self) -> bool {
        self.quit.swap(false, Ordering::Relaxed)
    }

    /// How often somebody pressed Ctrl-C since this was asked last.
    pub fn take_interrupts(&self) -> u32 {
        self.interrupts.swap(0, Ordering::Relaxed)
    }
}

impl Viewing {
    /// Opens what it takes: sockets and the file that is recorded to. `tile`: how it goes with others in one window.
    pub fn prepare(options: Options, subject: Subject, output: Output, tile: Option<Tile>) -> anyhow::Result<Self> {
        options.snapshot.as_deref().map_or(Ok(()), check_snapshot)?;
        let place = options.record.as_ref().map(|path| RecordingPath::take(path, options.force)).transpose()?;
        let event_loop = event_loop(&options, &subject.target)?;
        let waker = event_loop.waker();
        let mut recordings = Recordings::new(Arc::clone(&waker));
        place.map_or(Ok(()), |place| recordings.begin(place))?;
        let work = Arc::new(decode::Inbox::new(decode::room(!options.headless)));
        let (shown, figures) = unbounded();
        let (act, acts) = bounded(ACTS);
        let room = if tile.is_some() && !options.headless { Room::of_tile() } else { Room::default() };
        let loudness = tile.as_ref().map_or_else(|| Loudness::new(options.sound.volume), |tile| tile.loudness.clone());
        let heard = tile.as_ref().is_none_or(|tile| tile.heard);
        let attention = Arc::new(Attention {
            heard: heard.into(),
            seen: true.into(),
            size: AtomicU32::default(),
            quit: AtomicBool::default(),
            interrupts: AtomicU32::default(),
        });
        let on_the_way = OnTheWay::default();
        let remote = Remote { work, room, on_the_way, shown, act, attention, waker: Arc::clone(&waker) };
        let hearing = Hearing::new(options.sound, loudness, heard, waker);
        let seat = tile.map(|tile| tile.seat);
        let stills = unbounded();
        Ok(Self {
            options,
            subject,
            output,
            event_loop,
            recordings,
            hearing,
            remote,
            seat,
            shown: figures,
            stills,
            acts,
        })
    }

    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// Ctrl-C and its like are heard by this viewing.
    pub fn catch_signals(&mut self) -> anyhow::Result<()> {
        self.event_loop.catch_signals().context("signals could not be caught")
    }

    /// Runs the event loop on this thread and the decoder on another.
    pub fn run(self, screen: Screen) -> anyhow::Result<Exit> {
        let Self { options, subject, output, event_loop, recordings, hearing, remote, seat, shown, stills, acts } =
            self;
        let settings = decode::Settings {
            window: screen.0.clone(),
            on_the_way: remote.on_the_way,
            snapshot: options.snapshot.clone(),
            room: remote.room,
            stills: stills.0,
            waker: event_loop.waker(),
        };
        let (work, attention) = (remote.work, remote.attention);
        let decoder: JoinHandle<_> = decode::spawn(settings, Arc::clone(&work), remote.shown)
            .context("the decoder's thread could not be started")?;
        // The name is not drawn of the receiver's seed, whose numbers are its own.
        let (seed, drawn) =
            seal::system_seed().zip(seal::system_seed()).context("the system has no random numbers to give")?;
        let name = options.talk.name(&mut Random::new(&drawn));
        let talked = screen.is_there() || options.talk.typed || options.record.is_some();
        // A tile of a wall has no room for it.
        let talk = !options.talk.off && seat.is_none() && talked;
        let (remembering, controls) = film(&options, &subject, seat.is_some(), &output);
        let config = Config {
            play: Some(controls.first()),
            together: options.together.clone(),
            stream: subject.target.stream.clone(),
            secret: subject.secret.clone(),
            latency: options.latency,
            patience: options.patience,
            stay: !options.headless && !options.autoexit,
            sound: rendition(&options, hearing.is_heard(), &recordings),
            frames: options.frames,
            limits: options.limits,
            talk: talk.then_some(name),
            ..Config::new(seed, subject.servers.clone())
        };
        let finder = subject.servers.is_empty().then(|| Finder::start(&subject, config.clone(), event_loop.waker()));
        let finder = finder.transpose()?;
        let follower = subject.instance.clone().and_then(|instance| Follower::start(instance, event_loop.waker()));
        let (start, mut receiver) = receiver(&options, &subject, config)?;
        let console = Console::open(&output, options.talk.typed, event_loop.waker())?;
        let wiring = Wiring {
            finder,
            follower,
            work,
            figures: shown,
            stills: stills.1,
            acts,
            attention,
            hearing,
            recordings,
            seat,
            console,
            controls,
            remembering,
        };
        let mut app = Watching::new(options, subject, output, screen, wiring, start);
        event_loop.run(&mut receiver, &mut app).context("the event loop failed")?;
        Ok(app.finish(&receiver, decoder))
    }
}

/// Where a film on demand begins, and what is kept of it; `tile`: it is one of several.
fn film(options: &Options, subject: &Subject, tile: bool, output: &Output) -> (Remembering, Controls) {
    let remembering = Remembering::new(options, subject, tile, output);
    let kept = remembering.resumed.filter(|_| options.start.is_none());
    let place = options.start.and_then(|start| start.of(None)).or(kept.map(media_time));
    (remembering, Controls::new(place, options.end))
}

fn media_time(at: Duration) -> MediaTime {
    MediaTime::from_micros(i64::try_from(at.as_micros()).unwrap_or(i64::MAX))
}

/// It listens to a group, or asks a server.
fn receiver(options: &Options, subject: &Subject, config: Config) -> anyhow::Result<(Time, Receiver)> {
    // Its limits run out before the receiver has a word to say of the same silence.
    let start = crate::clock::now();
    let mut receiver = match subject.target.group {
        Some(_) => Receiver::tuned(config, start),
        None => Receiver::new(config, start),
    };
    if let Some(repair) = &options.repair {
        receiver.repair_from(repair.place()?);
    }
    Ok((start, receiver))
}

/// What a viewing shares with others.
pub struct Tile {
    pub loudness: Loudness,
    /// It is the chosen one.
    pub heard: bool,
    pub seat: Seat,
}

impl Remote {
    /// Sorts what the window tells: presented pictures to the figures, all else to the event loop.
    pub fn take(&self, happened: Happened) {
        match happened {
            Happened::Opened => {}
            Happened::Resized(size) => {
                self.attention.set_size(size);
                (self.waker)();
            }
            Happened::Presented { id, at } => {
                let shown = self.on_the_way.take(id).map(|shown| Shown { presented: at, ..shown });
                // The event loop may have ended before the window.
                shown.map(|shown| self.shown.send(shown).ok());
            }
            // Nobody sees when a frozen picture would have been shown: it is in no figure.
            Happened::Withheld { id } => drop(self.on_the_way.take(id)),
            Happened::Snapshot { canvas, id, still } => self.act(Act::Snapshot { canvas, id, still }),
            Happened::Said(text) => self.act(Act::Say(text)),
            Happened::Wished(wish) => self.act(Act::Wish(wish)),
            Happened::Quit => self.quit(),
        }
    }

    /// The user leaves.
    pub fn quit(&self) {
        self.attention.quit.store(true, Ordering::Relaxed);
        (self.waker)();
    }

    /// Ctrl-C or its like: the first asks for the end, the second does not wait for it.
    pub fn interrupt(&self) {
        self.attention.interrupts.fetch_add(1, Ordering::Relaxed);
        (self.waker)();
    }

    fn act(&self, act: Act) {
        // An event loop that does not get round to so many keys does not miss one more.
        self.act.try_send(act).ok();
        (self.waker)();
    }

    /// The tile has this size now, or cannot be seen.
    pub fn visible(&self, size: Option<Size>) {
        if let Some(size) = size {
            self.room.set(size);
            self.attention.set_size(size);
            self.work.resized();
        }
        self.attention.seen.store(size.is_some(), Ordering::Relaxed);
        (self.waker)();
    }

    /// It is to be heard, or no longer.
    pub fn hear(&self, heard: bool) {
        self.attention.heard.store(heard, Ordering::Relaxed);
        (self.waker)();
    }
}

fn event_loop(options: &Options, target: &Target) -> anyhow::Result<Loop> {
    let any = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
    let socket = || {
        Socket::bind(SocketOptions { receive_buffer: options.receive_buffer, ..SocketOptions::on(any) })
            .context("no socket could be opened")
    };
    let first = match target.group {
        Some(senders) => listening(options, target, senders)?,
        None => socket()?,
    };
    // Pictures and sound: a burst of the one does not crowd out the other.
    Loop::new(vec![first, socket()?]).context("the event loop could not be started")
}

/// In the group, if it is one that is watched.
fn listening(options: &Options, target: &Target, senders: Senders) -> anyhow::Result<Socket> {
    let source = match senders {
        Senders::Any => None,
        Senders::One(source) => Some(source),
    };
    let address = target.address.look_up()?.udp.first().copied().context("a group is an address")?;
    let group = group::found(address, source, options.interface.as_deref())?;
    Socket::on_group(&group, options.receive_buffer).map_err(|error| group::not_opened(&group, &error))
}

/// Better now than after an hour's film.
fn check_snapshot(path: &Path) -> anyhow::Result<()> {
    StillKind::of(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let (path, folder) = (path.display(), folder.display());
        bail!("{path} could not be written: there is no folder {folder}; create it, or choose another");
    }
    Ok(())
}

/// Keys that wait for the event loop.
const ACTS: usize = 64;

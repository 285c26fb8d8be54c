//! `udpstream watch`: sockets → receiver → decoder → window, or as far as decoded pixels.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context, anyhow};
use crossbeam_channel::{Receiver as Inbox, Sender, unbounded};
use serde_json::{Value, json};

use super::address::Address;
use super::decode::{self, Shown, Work};
use super::figures::{self, Output, block, rounded};
use super::words::{self, Place};
use super::{Exit, StatsFormat};
use crate::net::{App, Flow, Loop, Options as SocketOptions, Socket};
use crate::proto::receiver::{Config, Event, Local, Ready, Receiver};
use crate::proto::{Input, Machine};
use crate::seal;
use crate::stats::Windowed;
use crate::units::{Size, Time};
use crate::view::{self, Handle, Happened, Order as ViewOrder};
use crate::wire::Description;

const TICK: Duration = Duration::from_secs(1);
/// Without a window nobody sees that nothing comes: give up after this time unless told otherwise.
const HEADLESS_TIMEOUT: Duration = Duration::from_secs(30);
/// The window before the stream's size is known.
const FIRST_SIZE: Size = Size::new(1_280, 720);

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    pub server: Address,
    pub headless: bool,
    pub fullscreen: bool,
    pub frames: Option<u64>,
    pub duration: Option<Duration>,
    pub timeout: Option<Duration>,
    pub latency: Duration,
    pub snapshot: Option<PathBuf>,
    pub receive_buffer: Option<usize>,
    pub stats: StatsFormat,
    pub quiet: bool,
}

/// Watches until the stream ends, a limit is reached or the user leaves.
pub fn watch(options: Options) -> anyhow::Result<Exit> {
    let servers = options.server.look_up()?;
    if options.headless {
        return start(options, servers, None, unbounded())?
            .join()
            .map_err(|_| anyhow!("the network thread died: this is a bug"))?;
    }
    windowed(options, servers)
}

fn windowed(options: Options, servers: Vec<SocketAddr>) -> anyhow::Result<Exit> {
    let title = format!("{}:{} – udpstream", options.server.host, options.server.port);
    let (shown, inbox) = unbounded();
    let (result, outcome) = unbounded();
    let waiting = inbox.clone();
    let (presented, seen) = unbounded();
    let quit = Arc::new(AtomicU32::new(0));
    let flag = Arc::clone(&quit);
    let ready = move |window: Handle| {
        let (close, fullscreen) = (window.clone(), options.fullscreen);
        if fullscreen {
            close.send(ViewOrder::Fullscreen).ok();
        }
        let thread = start_with(options, servers, Some(window), (shown, seen), Some(flag));
        let spawned = Builder::new().name("wait".into()).spawn(move || {
            let exit = thread.and_then(|thread| {
                thread.join().map_err(|_| anyhow!("the network thread died: this is a bug")).and_then(|exit| exit)
            });
            result.send(exit).ok();
            close.send(ViewOrder::Close).ok();
        });
        drop(spawned);
    };
    let mut pending: VecDeque<Shown> = VecDeque::new();
    let happened = |happened| {
        let (id, at) = match happened {
            Happened::Presented { id, at } => (id, Some(at)),
            Happened::Superseded { id } => (id, None),
            Happened::Quit => return quit.store(1, Ordering::Relaxed),
            Happened::Opened => return,
        };
        pending.extend(waiting.try_iter());
        while let Some(shown) = pending.pop_front() {
            if u64::from(shown.picture.unit.0) == id {
                let superseded = at.is_none();
                presented.send(Shown { presented: at.unwrap_or(shown.decoded), superseded, ..shown }).ok();
                break;
            }
        }
    };
    view::run(&title, FIRST_SIZE, ready, happened).map_err(|error| anyhow!("{error}"))?;
    drop(presented);
    outcome.recv_timeout(Duration::from_secs(5)).unwrap_or(Ok(Exit::Done))
}

type NetThread = JoinHandle<anyhow::Result<Exit>>;

fn start(
    options: Options,
    servers: Vec<SocketAddr>,
    window: Option<Handle>,
    shown: (Sender<Shown>, Inbox<Shown>),
) -> anyhow::Result<NetThread> {
    start_with(options, servers, window, shown, None)
}

/// Starts the network and decoder threads. `shown` is where the decoder reports to, and where figures are read from.
fn start_with(
    options: Options,
    servers: Vec<SocketAddr>,
    window: Option<Handle>,
    (shown, figures): (Sender<Shown>, Inbox<Shown>),
    quit: Option<Arc<AtomicU32>>,
) -> anyhow::Result<NetThread> {
    let any = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
    let socket = Socket::bind(SocketOptions { address: any, receive_buffer: options.receive_buffer })
        .context("no socket could be opened")?;
    let mut event_loop = Loop::new(vec![socket]).context("the event loop could not be started")?;
    event_loop.catch_signals().context("signals could not be caught")?;
    let (work, works) = unbounded();
    let newest = Arc::new(AtomicU32::new(0));
    let waker = event_loop.waker();
    let settings = decode::Settings {
        window: window.clone(),
        snapshot: options.snapshot.clone(),
        newest: Arc::clone(&newest),
        waker: Arc::clone(&waker),
    };
    let decoder = decode::spawn(settings, works, shown).context("the decoder's thread could not be started")?;
    let seed = seal::system_seed().ok_or_else(|| anyhow!("the system has no random numbers to give"))?;
    let config = Config { seed, servers, max_datagram: 0, latency: options.latency };
    let run = move || {
        let output = Output::new(options.stats, options.quiet);
        let mut receiver = Receiver::new(config, output.start());
        let mut app = Watching::new(options, output, window, work, figures, newest, quit);
        event_loop.run(&mut receiver, &mut app).context("the event loop failed")?;
        Ok(app.finish(&receiver, decoder))
    };
    Builder::new().name("net".into()).spawn(run).context("the network thread could not be started")
}

/// Why watching ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Over,
    Interrupted,
    Limit,
    Unreachable,
    Refused,
}

impl End {
    const fn name(&self) -> &'static str {
        match self {
            Self::Over => "end",
            Self::Interrupted => "interrupted",
            Self::Limit => "limit",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
        }
    }
}

/// What is measured once a picture.
#[derive(Default)]
struct Blocks {
    interval: Windowed,
    shown_interval: Windowed,
    latency: Windowed,
    network: Windowed,
    wait: Windowed,
    decode: Windowed,
    present: Windowed,
}

impl Blocks {
    fn all_mut(&mut self) -> [&mut Windowed; 7] {
        let Self { interval, shown_interval, latency, network, wait, decode, present } = self;
        [interval, shown_interval, latency, network, wait, decode, present]
    }

    fn picture(&mut self, shown: &Shown, before: Option<&Shown>) {
        let micros = |from: Time, to: Time| to.since(from).as_secs_f64() * 1e6;
        let picture = &shown.picture;
        if let Some(due) = shown.due {
            self.latency.record(micros(due, shown.presented));
            self.network.record(micros(due, picture.first_at));
        }
        self.wait.record(micros(picture.last_at, shown.handed));
        self.decode.record(micros(shown.handed, shown.decoded));
        self.present.record(micros(shown.decoded, shown.presented));
        if let Some(before) = before.filter(|before| before.picture.unit.next() == picture.unit) {
            self.interval.record(micros(before.picture.first_at, picture.first_at));
            self.shown_interval.record(micros(before.presented, shown.presented));
        }
    }
}

struct Watching {
    options: Options,
    output: Output,
    window: Option<Handle>,
    work: Option<Sender<Work>>,
    figures: Inbox<Shown>,
    newest: Arc<AtomicU32>,
    quit: Option<Arc<AtomicU32>>,
    end: Option<End>,
    killed: bool,
    description: Option<Description>,
    stream: u64,
    server: String,
    handed: u64,
    superseded: u64,
    undecodable: u64,
    last_shown: Option<Shown>,
    blocks: Blocks,
    first_picture: Option<Duration>,
    heard: Time,
    next_tick: Time,
    last: (Time, u64, u64),
    datagrams: u64,
}

impl Watching {
    fn new(
        options: Options,
        output: Output,
        window: Option<Handle>,
        work: Sender<Work>,
        figures: Inbox<Shown>,
        newest: Arc<AtomicU32>,
        quit: Option<Arc<AtomicU32>>,
    ) -> Self {
        let start = output.start();
        let server = format!("{}:{}", options.server.host, options.server.port);
        Self {
            options,
            output,
            window,
            work: Some(work),
            figures,
            newest,
            quit,
            end: None,
            killed: false,
            description: None,
            stream: 0,
            server,
            handed: 0,
            superseded: 0,
            undecodable: 0,
            last_shown: None,
            blocks: Blocks::default(),
            first_picture: None,
            heard: start,
            next_tick: start + TICK,
            last: (start, 0, 0),
            datagrams: 0,
        }
    }

    fn work(&self, work: Work) {
        if let Some(sender) = &self.work {
            // A decoder that died is found when it is joined.
            sender.send(work).ok();
        }
    }

    fn stop(&mut self, now: Time, receiver: &mut Receiver, end: End) {
        self.end.get_or_insert(end);
        receiver.handle(now, Input::Local(Local::Stop));
    }

    fn playing(&mut self, description: Description, stream: u64, rejoined: bool) -> Flow {
        if stream != self.stream {
            self.stream = stream;
            self.newest.store(0, Ordering::Relaxed);
            self.work(Work::Reset);
        }
        let (size, rate) = (description.size, description.rate);
        let again = if rejoined { "Back: " } else { "" };
        let title = &description.title;
        self.output.say(&format!("{again}{title}, {size}, {rate} fps, from {}", self.server));
        self.retitle(format!("{title} – udpstream"));
        let playing = json!({
            "width": size.width, "height": size.height, "fps_num": rate.num(), "fps_den": rate.den(),
            "length_s": description.length.map(|length| length as f64 / 1e6), "audio": description.sound,
            "stream": format!("{stream:016x}"), "title": title,
        });
        self.description = Some(description);
        match self.output.event("playing", playing) {
            Ok(()) => Flow::Continue,
            Err(_) => Flow::Stop,
        }
    }

    fn retitle(&self, title: String) {
        if let Some(window) = &self.window {
            window.send(ViewOrder::Title(title)).ok();
        }
    }

    fn warn(&mut self, code: &str, text: &str) -> Flow {
        self.output.warn(text);
        match self.output.event("warning", json!({ "code": code, "text": text })) {
            Ok(()) => Flow::Continue,
            Err(_) => Flow::Stop,
        }
    }

    fn show(&mut self, now: Time, receiver: &mut Receiver, picture: Ready, due: Option<Time>) {
        self.handed += 1;
        self.newest.store(picture.unit.0, Ordering::Relaxed);
        self.work(Work::Show { picture, due, at: now });
        if self.options.frames.is_some_and(|frames| self.handed >= frames) {
            self.stop(now, receiver, End::Limit);
        }
    }

    fn collect(&mut self) {
        let shown: Vec<Shown> = self.figures.try_iter().collect();
        for shown in shown {
            self.undecodable += u64::from(shown.undecodable);
            if shown.superseded {
                self.superseded += 1;
                continue;
            }
            self.blocks.picture(&shown, self.last_shown.as_ref());
            self.first_picture.get_or_insert(shown.presented.since(self.output.start()));
            self.last_shown = Some(shown);
        }
    }

    fn tick(&mut self, now: Time, receiver: &Receiver) -> Flow {
        let figures = self.figures(now, receiver, false);
        let counts = receiver.counts();
        self.last = (now, counts.shown, counts.bytes);
        self.blocks.all_mut().into_iter().for_each(|block| block.recent.clear());
        let length = self.description.as_ref().and_then(|d| d.length).map(Duration::from_micros);
        let place = self.last_shown.map(|shown| {
            let micros = shown.picture.media_time.micros().max(0).unsigned_abs();
            Place { position: Duration::from_micros(micros), length, looped: false }
        });
        self.output.status(&words::watching(&self.server, place, &figures));
        match self.output.event("stats", figures) {
            Ok(()) => Flow::Continue,
            Err(_) => Flow::Stop,
        }
    }

    fn figures(&self, now: Time, receiver: &Receiver, whole: bool) -> Value {
        let counts = receiver.counts();
        let (since, shown, bytes) = if whole { (self.output.start(), 0, 0) } else { self.last };
        let seconds = now.since(since).as_secs_f64().max(1e-9);
        let of = |w: &Windowed| block(if whole { w.total.block(1e3) } else { w.recent.block(1e3) });
        let b = &self.blocks;
        // What the receiver handed out but the screen could not take was late after all.
        let shown_now = counts.shown.saturating_sub(self.superseded);
        json!({
            "pictures_shown": shown_now, "pictures_damaged": counts.damaged, "pictures_lost": counts.lost,
            "pictures_late": counts.late + self.superseded, "pictures_thinned": counts.thinned,
            "slices_received": counts.slices, "slices_lost": counts.slices_lost, "slices_repaired": 0,
            "slices_rejected": counts.rejected + self.undecodable,
            "datagrams": counts.datagrams, "bytes": counts.bytes,
            "bitrate_bps": ((counts.bytes - bytes) as f64 * 8.0 / seconds).round(),
            "fps": rounded((counts.shown - shown) as f64 / seconds, 1e3),
            "interval_ms": of(&b.interval), "shown_interval_ms": of(&b.shown_interval), "latency_ms": of(&b.latency),
            "stages_ms": {
                "encode": Value::Null, "send": Value::Null, "network": of(&b.network), "wait": of(&b.wait),
                "decode": of(&b.decode), "present": of(&b.present),
            },
            "first_picture_ms": self.first_picture.map(|first| rounded(first.as_secs_f64() * 1e3, 1e3)),
            "reconnects": counts.reconnects, "rendition": 0, "quality": Value::Null, "audio": Value::Null,
            "rtt_ms": receiver.rtt().map(|rtt| rounded(rtt.as_secs_f64() * 1e3, 1e3)),
            "cpu_seconds": rounded(figures::cpu_seconds(), 1e3), "rss_bytes": figures::rss_bytes(),
        })
    }

    /// Ends the decoder and says the last word.
    fn finish(mut self, receiver: &Receiver, decoder: JoinHandle<Result<(), String>>) -> Exit {
        self.work = None;
        let decoded = decoder.join().unwrap_or_else(|_| Err("the decoder's thread died: this is a bug".to_owned()));
        self.collect();
        if let Err(sentence) = &decoded {
            self.output.warn(&format!("error: {sentence}"));
        }
        let end = self.end.clone().unwrap_or(End::Interrupted);
        let mut figures = self.figures(crate::clock::now(), receiver, true);
        figures["end"] = end.name().into();
        if !self.killed {
            self.output.conclude(&words::watched(self.output.elapsed(), &figures));
        }
        // Whoever has closed our output does not want the summary either.
        self.output.event("summary", figures).ok();
        let nothing = receiver.counts().shown == 0;
        match end {
            _ if self.killed => Exit::Killed,
            End::Unreachable | End::Refused => Exit::Unreachable,
            End::Limit if nothing => Exit::Unreachable,
            _ if decoded.is_err() => Exit::Failed,
            _ => Exit::Done,
        }
    }

    fn timeout(&self) -> Option<Duration> {
        self.options.timeout.or(self.options.headless.then_some(HEADLESS_TIMEOUT))
    }

    fn check_limits(&mut self, now: Time, receiver: &mut Receiver) {
        if self.end.is_some() {
            return;
        }
        if self.quit.as_ref().is_some_and(|quit| quit.load(Ordering::Relaxed) != 0) {
            self.stop(now, receiver, End::Interrupted);
        } else if self.options.duration.is_some_and(|limit| now >= self.output.start() + limit) {
            self.stop(now, receiver, End::Limit);
        } else if self.timeout().is_some_and(|limit| now >= self.heard + limit) {
            let seconds = now.since(self.heard).as_secs_f64();
            self.output.warn(&format!(
                "error: nothing was heard from {} for {seconds:.0} s: check that `udpstream serve` runs there, its port, \
                 and firewalls in between",
                self.server
            ));
            self.stop(now, receiver, End::Unreachable);
        }
    }

    fn refused(&mut self, now: Time, receiver: &mut Receiver, sentence: &str) -> Flow {
        let flow = self.warn("refused", &format!("{} refused: {sentence}", self.server));
        self.retitle(format!("{sentence} – udpstream"));
        if self.options.headless && self.description.is_none() {
            self.stop(now, receiver, End::Refused);
        }
        flow
    }
}

impl App<Receiver> for Watching {
    fn event(&mut self, now: Time, receiver: &mut Receiver, event: Event) -> Flow {
        match event {
            Event::Playing { description, stream, rejoined, .. } => return self.playing(description, stream, rejoined),
            Event::Slice(slice) => self.work(Work::Slice(slice)),
            Event::Show { picture, due } => self.show(now, receiver, picture, due),
            Event::Refused { sentence, .. } => return self.refused(now, receiver, &sentence),
            Event::Lost => {
                let text = format!("{} has fallen silent; looking for it.", self.server);
                self.retitle(format!("looking for {} – udpstream", self.server));
                return self.warn("lost", &text);
            }
            Event::Over { sentence, .. } => {
                self.end.get_or_insert(End::Over);
                self.output.say(&sentence);
            }
            Event::Finished => return Flow::Stop,
        }
        Flow::Continue
    }

    fn turn(&mut self, now: Time, receiver: &mut Receiver) -> Flow {
        self.collect();
        if receiver.counts().datagrams != self.datagrams {
            self.datagrams = receiver.counts().datagrams;
            self.heard = now;
        }
        self.check_limits(now, receiver);
        if now < self.next_tick {
            return Flow::Continue;
        }
        self.next_tick = (self.next_tick + TICK).max(now);
        self.tick(now, receiver)
    }

    fn deadline(&self) -> Time {
        let quit = self.quit.as_ref().map_or(Time::NEVER, |_| crate::clock::now() + Duration::from_millis(50));
        let limit = self.options.duration.map_or(Time::NEVER, |limit| self.output.start() + limit);
        let silence = self.timeout().map_or(Time::NEVER, |limit| self.heard + limit);
        let limits = if self.end.is_some() { Time::NEVER } else { limit.min(silence) };
        self.next_tick.min(limits).min(quit)
    }

    fn signal(&mut self, now: Time, receiver: &mut Receiver, _signal: i32) -> Flow {
        if self.end == Some(End::Interrupted) {
            self.killed = true;
            return Flow::Stop;
        }
        self.end = None;
        self.stop(now, receiver, End::Interrupted);
        Flow::Continue
    }
}

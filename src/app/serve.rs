//! `udpstream serve`: source → queue → encoder → server → sockets.

mod report;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::json;

use super::encode::{self, Counts, EncodeError, Order};
use super::figures::{Output, Stages};
use super::preview::{self, Act, Preview};
use super::recording::Recordings;
use super::words::{self, Place};
use super::{Exit, StatsFormat, opening, ports, terminal};
use crate::media::coded::CodedPicture;
use crate::media::sound::Chunk;
use crate::media::{Canvas, Picture};
use crate::net::{App, Flow, Loop};
use crate::proto::schedule::Demand;
use crate::proto::server::{Config, Event, Feed, Gone, Local, Server, StreamConfig, StreamKey};
use crate::proto::{Input as MachineInput, Machine};
use crate::queue::{self, Consumer, Pop, Watched, WhenFull};
use crate::record::film::Tracks;
use crate::record::path::RecordingPath;
use crate::seal;
use crate::source::{self, Info, Input, News, Pace, Running};
use crate::stats::Windowed;
use crate::units::{MediaTime, Span, Time};
use crate::view::Wish;
use crate::wire::{Description, SizeClass, StreamName};

/// The most that raw pictures may take in the queue: ten of 1080p, two of 4K.
const QUEUE_BYTES: usize = 36 << 20;
/// A minute: more than any file has its sound before or behind its pictures.
const FILE_CHUNKS: usize = 10_336;
/// Two seconds: MPEG-TS carries sound of few bits in packets of a second and more, and all of one comes at once.
const LIVE_CHUNKS: usize = 344;
const TICK: Duration = Duration::from_secs(1);
/// Less than the server holds of it; while pictures leave, sound is asked for with each of them.
const SOUND_PAUSE: Duration = Duration::from_millis(100);

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    pub input: Input,
    /// A microphone beside it.
    pub ear: Option<Input>,
    pub source: source::Options,
    pub bind: SocketAddr,
    /// For sound; `None`: the one below that of the pictures.
    pub audio_port: Option<u16>,
    pub quality: u8,
    pub no_wait: bool,
    pub queue: usize,
    pub datagram: Option<SizeClass>,
    pub frames: Option<u64>,
    pub duration: Option<Duration>,
    pub record: Option<PathBuf>,
    /// Record over a file that is there.
    pub force: bool,
    pub preview: bool,
    pub stats: StatsFormat,
    pub quiet: bool,
}

/// Serves until the film ends, a limit is reached or somebody stops it.
pub fn serve(options: Options) -> anyhow::Result<Exit> {
    let place = options.record.as_ref().map(|path| RecordingPath::take(path, options.force)).transpose()?;
    let socket = ports::bind(options.bind, "--port")?;
    let local = socket.local_addr().context("the socket has no address")?;
    let waiting = opening::listen()?;
    let mut event_loop = Loop::new(vec![socket]).context("the event loop could not be started")?;
    event_loop.catch_signals().context("signals could not be caught")?;
    let mut recordings = Recordings::new(event_loop.waker());
    place.map_or(Ok(()), |place| recordings.begin(place))?;
    let (previewed, waker) = (options.preview, event_loop.waker());
    let stream = move |preview| run(options, (waiting, event_loop), local, recordings, preview);
    if previewed { preview::run(waker, stream) } else { stream(Preview::default()) }
}

fn run(
    options: Options,
    (waiting, mut event_loop): (Loop, Loop),
    local: SocketAddr,
    mut recordings: Recordings,
    preview: Preview,
) -> anyhow::Result<Exit> {
    let Some(source) = opening::open(waiting, &options.input, options.ear.as_ref(), options.source, options.quiet)?
    else {
        if !options.quiet {
            terminal::conclude("Nothing was sent.");
        }
        return Ok(Exit::Done);
    };
    let info = source.info().clone();
    if !Canvas::fits(info.size) {
        bail!(
            "pictures of {} are more than 8K, the most that a watcher shows; serve them with a smaller --width",
            info.size
        );
    }
    let sound_port =
        if info.sound { Some(ports::add_sound(&mut event_loop, options.bind, options.audio_port)?) } else { None };
    let seed = seal::system_seed().ok_or_else(|| anyhow!("the system has no random numbers to give"))?;
    let (config, stream) = config(&options, &info, sound_port, seed)?;
    let (mut server, key) = Server::single(config, stream);

    let output = Output::new(options.stats, options.quiet).context("standard output could not be written to")?;
    recordings.stream(server.id(key), Tracks { size: info.size, rate: info.rate, sound: info.sound });
    let mut app = Serving::start(options, key, source, output, event_loop.waker(), (recordings, preview))?;
    app.announce(local, sound_port);
    event_loop.run(&mut server, &mut app).context("the event loop failed")?;
    Ok(app.finish(&server))
}

fn config(
    options: &Options,
    info: &Info,
    sound_port: Option<u16>,
    seed: seal::Seed,
) -> anyhow::Result<(Config, StreamConfig)> {
    let endless = options.source.looped || info.pace == Pace::Live;
    let length = info.length.filter(|_| !endless).map(|length| length.as_micros() as u64);
    let description = Description {
        title: info.title.clone(),
        size: info.size,
        rate: info.rate,
        length,
        live: info.pace == Pace::Live,
        sound: info.sound,
        ended: None,
        sound_ended: None,
    };
    let mut stream = StreamConfig::new(StreamName::parse("main")?, description);
    stream.quality = options.quality;
    stream.no_wait = options.no_wait;
    let mut config = Config::new(seed);
    config.datagram = options.datagram;
    config.sound_port = sound_port.unwrap_or(0);
    Ok((config, stream))
}

/// Why the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Over,
    Interrupted,
    Limit,
    Failed,
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Over => "end",
            Self::Interrupted => "interrupted",
            Self::Limit => "limit",
            Self::Failed => "failed",
        }
    }
}

struct Serving {
    options: Options,
    key: StreamKey,
    info: Info,
    output: Output,
    running: Option<Running>,
    usage: source::Usage,
    encoder: Option<JoinHandle<Result<(), EncodeError>>>,
    orders: Arc<Watched<Order>>,
    counts: Arc<Counts>,
    coded: Consumer<CodedPicture>,
    sound: Consumer<Chunk>,
    recordings: Recordings,
    preview: Preview,
    end: Option<End>,
    killed: bool,
    /// When the film began, whether or not anybody watched.
    started: Option<Time>,
    /// When to ask for a film's sound again, even if no picture leaves until then.
    sound_again: Time,
    departures: u64,
    position: Duration,
    /// When the first picture departed, and the last so far.
    sent: Option<(Time, Time)>,
    most_watchers: usize,
    departure_error: Windowed,
    stages: Stages,
    next_tick: Time,
    last: (Time, u64, u64),
}

impl Serving {
    fn start(
        options: Options,
        key: StreamKey,
        source: source::Source,
        output: Output,
        waker: queue::Waker,
        (recordings, preview): (Recordings, Preview),
    ) -> anyhow::Result<Self> {
        let info = source.info().clone();
        let live = info.pace == Pace::Live;
        let policy = if live { WhenFull::DropOldest } else { WhenFull::Block };
        let room = (QUEUE_BYTES / Picture::bytes(info.size)).clamp(2, options.queue.max(2));
        let (filling, pictures) = queue::bounded(room, policy, None);
        let (coding, coded) = queue::bounded(1, policy, Some(waker.clone()));
        let orders = Arc::new(Watched::new(Order { demand: Demand::idle(options.quality, live), stop: false }));
        let counts = Arc::new(Counts::default());
        // Whatever the operator chose: a watcher's path, or its wish, may be for less.
        let settings = encode::Settings { size: info.size, rate: info.rate, live, smallest: SizeClass::ANY };
        // A file's sound is asked for whenever pictures are, and now and then; of a live one each chunk counts.
        let (chunks, wake) = if live { (LIVE_CHUNKS, Some(waker)) } else { (FILE_CHUNKS, None) };
        let (speaking, sound) = queue::bounded(chunks, policy, wake);
        let running = source.start(filling, info.sound.then_some(speaking));
        let encoder = encode::spawn(settings, pictures, Arc::clone(&orders), Arc::clone(&counts), coding)
            .context("the encoder's thread could not be started")?;
        let start = output.start();
        Ok(Self {
            usage: running.usage(),
            running: Some(running),
            encoder: Some(encoder),
            options,
            key,
            info,
            output,
            orders,
            counts,
            coded,
            sound,
            recordings,
            preview,
            end: None,
            killed: false,
            started: None,
            sound_again: Time::NEVER,
            departures: 0,
            position: Duration::ZERO,
            sent: None,
            most_watchers: 0,
            departure_error: Windowed::default(),
            stages: Stages::default(),
            next_tick: start + TICK,
            last: (start, 0, 0),
        })
    }

    fn announce(&mut self, local: SocketAddr, sound_port: Option<u16>) {
        let listening = json!({
            "address": local.ip().to_string(), "port": local.port(), "audio_port": sound_port,
            "title": self.info.title, "width": self.info.size.width, "height": self.info.size.height,
            "fps_num": self.info.rate.num(), "fps_den": self.info.rate.den(), "details": self.info.details,
        });
        if self.output.event("listening", listening).is_err() {
            self.end = Some(End::Interrupted);
        }
        self.output.say(&format!("{}: {}", self.info.title, self.info.details));
        let port = local.port();
        let place = if local.ip().is_unspecified() { format!("HOST:{port}") } else { local.to_string() };
        self.output.say(&format!("Listening on port {port}. Watch with: udpstream watch {place}"));
        if self.recordings.is_running() && self.info.pace == Pace::File && !self.options.no_wait {
            self.output.say("Film and recording begin with the first watcher; with --no-wait they begin at once.");
        }
    }

    /// Gives the server its next picture, or the news that there is none.
    fn feed(&mut self, now: Time, server: &mut Server) {
        if server.wants_picture(self.key) {
            match self.coded.try_pop() {
                Pop::Item(picture) => {
                    self.recordings.coded(&picture);
                    self.preview.show(&picture);
                    server.handle(now, MachineInput::Local(Local::Stream(self.key, Feed::Picture(picture))));
                }
                Pop::Closed => {
                    let local = Local::Stream(self.key, self.source_ended());
                    server.handle(now, MachineInput::Local(local));
                }
                Pop::Empty => {}
            }
        }
        self.feed_sound(now, server);
        let mut demand = server.demand(self.key, 0);
        // Who looks here is a watcher too.
        demand.watched |= self.recordings.is_running() || self.preview.is_there();
        self.orders.store(Order { demand, stop: false });
    }

    /// What the recorder has to say, and what the preview's user wants.
    fn look_here(&mut self) {
        let ears = (&self.output, &self.preview.screen);
        self.recordings.tell(ears);
        for act in self.preview.acts() {
            match act {
                Act::Snapshot { canvas, id, still } => self.preview.save(canvas, &self.info.title, id, still),
                Act::Wish(Wish::Record) => {
                    self.recordings.toggle(&self.info.title, self.position, (&self.output, &self.preview.screen));
                }
                Act::Wish(_) => self.preview.screen.notice("The preview has no sound."),
            }
        }
    }

    fn feed_sound(&mut self, now: Time, server: &mut Server) {
        let runs = self.started.is_some() && self.info.sound;
        self.sound_again = if runs { now + SOUND_PAUSE } else { Time::NEVER };
        while server.wants_sound(self.key) {
            let feed = match self.sound.try_pop() {
                Pop::Item(chunk) => {
                    self.recordings.sound(&chunk.frames, chunk.first());
                    Feed::Sound(chunk)
                }
                Pop::Closed => Feed::SoundEnded,
                Pop::Empty => return,
            };
            server.handle(now, MachineInput::Local(Local::Stream(self.key, feed)));
        }
    }

    fn source_ended(&mut self) -> Feed {
        let encoded = self.encoder.take().map(JoinHandle::join);
        let mut end = None;
        let failure = match encoded {
            Some(Ok(Err(error))) => Some(error.to_string()),
            Some(Err(_)) => Some("the encoder's thread died: this is a bug".to_owned()),
            Some(Ok(Ok(()))) | None => match self.running.take().map(Running::join) {
                Some(Ok(finished)) => {
                    end = finished.end.filter(|_| self.info.pace == Pace::File);
                    None
                }
                Some(Err(error)) => Some(error.to_string()),
                None => None,
            },
        };
        match failure {
            Some(sentence) => {
                self.output.warn(&format!("error: {sentence}"));
                self.end = Some(End::Failed);
                Feed::Failed(format!("The source failed: {sentence}."))
            }
            None => {
                self.end.get_or_insert(End::Over);
                Feed::Ended(end)
            }
        }
    }

    fn stop(&mut self, now: Time, server: &mut Server, end: End, sentence: &str) {
        self.end.get_or_insert(end);
        server.handle(now, MachineInput::Local(Local::Stop(sentence.to_owned())));
    }

    /// What became of cameras, screens and microphones, and of films on their way.
    fn tell_news(&self) {
        while let Some(news) = self.running.as_ref().and_then(Running::news) {
            let (code, text) = match news {
                News::Lost(why) => ("device-lost", format!("{why}; it is tried again until it is there")),
                News::Back(name) => {
                    let article = if name.contains("://") { "" } else { "the " };
                    ("device-back", format!("{article}{name} is back"))
                }
                News::Stalled { name, seconds } => (
                    "film-stalled",
                    format!("nothing has come from {name} for {seconds} s; the film goes on when it does"),
                ),
                News::Resumed(name) => ("film-back", format!("{name} is back, and the film goes on")),
            };
            let is_loss = matches!(code, "device-lost" | "film-stalled");
            self.output.warn(&format!("{}: {text}", if is_loss { "warning" } else { "note" }));
            // Whoever no longer reads is found out by the next figures.
            self.output.event("warning", json!({ "code": code, "text": text })).ok();
        }
    }

    fn tick(&mut self, now: Time, server: &Server) -> Flow {
        self.tell_news();
        let figures = self.figures(now, server, false);
        let totals = server.totals();
        self.last = (now, totals.pictures, totals.bytes);
        self.departure_error.recent.clear();
        self.stages.next_second();
        let (length, looped) = (self.info.length, self.options.source.looped);
        let passed = self.started.map(|started| now.since(started));
        let position = self.sent.map(|_| self.position).or(passed);
        let place = position.map(|position| Place { position, length, looped });
        let line = words::serving(place, &figures);
        self.output.status(&line);
        if self.preview.is_there() {
            let fps = format!("{:.1} fps", figures["fps"].as_f64().unwrap_or(0.0));
            let state = self.sent.map_or("waiting for the first watcher", |_| &fps);
            self.preview.screen.title(&format!("{} – {state} – preview", self.info.title));
            self.preview.screen.figures(line);
        }
        self.output.event("stats", figures).map_or(Flow::Stop, |()| Flow::Continue)
    }

    /// Ends all threads and says the last word.
    fn finish(mut self, server: &Server) -> Exit {
        let order = Order { stop: true, ..self.orders.load() };
        self.orders.store(order);
        drop(self.running.take());
        let end = self.end.unwrap_or(End::Interrupted);
        let mut figures = self.figures(crate::clock::now(), server, true);
        if self.killed {
            self.recordings.abandon();
        }
        self.recordings.finish((&self.output, &self.preview.screen));
        figures["end"] = end.name().into();
        figures["recorded"] = self.recordings.json();
        if !self.killed {
            let took = self.sent.map_or(Duration::ZERO, |(first, last)| last.since(first));
            self.output.conclude(&words::served(took, self.most_watchers, &figures));
        }
        self.output.summary(figures);
        let failed = self.recordings.failed();
        let Self { coded, encoder, killed, .. } = self;
        drop(coded);
        if let Some(encoder) = encoder {
            encoder.join().ok();
        }
        match (killed, end) {
            (true, _) => Exit::Killed,
            (_, End::Failed) => Exit::Failed,
            _ if failed => Exit::Failed,
            _ => Exit::Done,
        }
    }

    fn says(&mut self, event: &Event, server: &Server) {
        match event {
            Event::Joined { address, watchers, .. } => {
                tracing::info!(%address, watchers, "joined");
                self.most_watchers = self.most_watchers.max(*watchers);
            }
            Event::Left { address, why, watchers, .. } => {
                tracing::info!(%address, ?why, watchers, "left");
                if *why == Gone::Silent {
                    self.output.say(&format!("{address} has fallen silent and was dropped."));
                }
            }
            Event::Moved { from, to, .. } => tracing::info!(%from, %to, "moved"),
            // The overload warning already explains it.
            Event::Stalled { .. } if server.is_overloaded() => {}
            Event::Stalled { by: time, .. } => {
                self.output.say(&format!(
                    "The source stood still for {:.1} s; the film goes on from there.",
                    time.as_secs_f64()
                ));
            }
            Event::Refused { address, why } => tracing::info!(%address, why, "refused"),
            Event::Overload(overloaded) => self.overload(*overloaded, server.served()),
            Event::Skipped { unit, .. } => tracing::warn!(unit = unit.0, "not cuttable to the datagram size"),
            Event::Started { .. } | Event::Departed { .. } | Event::StreamOver(_) | Event::Finished => {}
        }
    }

    fn departed(&mut self, now: Time, server: &mut Server, span: Span, due: Time, at: Time) {
        self.departures += 1;
        let first = self.sent.map_or(at, |(first, _)| first);
        self.sent = Some((first, at));
        // While a device is away pictures come seldom, and time goes on.
        let live = self.info.pace == Pace::Live;
        self.position = if live { at.since(first) } else { span.at.since(MediaTime::ZERO) };
        if self.info.pace == Pace::File {
            self.departure_error.record(at.since(due).as_secs_f64() * 1e6);
        }
        if self.options.frames.is_some_and(|frames| self.departures >= frames) {
            self.end.get_or_insert(End::Limit);
            for feed in [Feed::Ended((!live).then(|| span.end())), Feed::SoundEnded] {
                server.handle(now, MachineInput::Local(Local::Stream(self.key, feed)));
            }
        }
    }
}

impl App<Server> for Serving {
    fn event(&mut self, now: Time, server: &mut Server, event: Event) -> Flow {
        self.says(&event, server);
        match event {
            Event::Departed { span, due, at, stamps, .. } => {
                self.stages.record(&stamps, at);
                self.departed(now, server, span, due, at);
            }
            Event::Started { at, .. } => self.started = Some(at),
            Event::Finished => return Flow::Stop,
            _ => {}
        }
        self.feed(now, server);
        Flow::Continue
    }

    fn turn(&mut self, now: Time, server: &mut Server) -> Flow {
        self.feed(now, server);
        self.look_here();
        if self.options.duration.is_some_and(|limit| now >= self.output.start() + limit) && self.end.is_none() {
            self.stop(now, server, End::Limit, "The server's time is up.");
        }
        if now < self.next_tick {
            return Flow::Continue;
        }
        self.next_tick = (self.next_tick + TICK).max(now);
        self.tick(now, server)
    }

    fn deadline(&self) -> Time {
        let limit = self.options.duration.map_or(Time::NEVER, |limit| self.output.start() + limit);
        let soon = self.next_tick.min(self.sound_again);
        if self.end.is_some() { soon } else { soon.min(limit) }
    }

    fn signal(&mut self, now: Time, server: &mut Server, _signal: i32) -> Flow {
        if self.end == Some(End::Interrupted) {
            self.killed = true;
            return Flow::Stop;
        }
        self.end = Some(End::Interrupted);
        self.stop(now, server, End::Interrupted, "The server was stopped.");
        Flow::Continue
    }
}

//! The world: one server, its encoder, any number of watchers, and a network, in one thread and in virtual time.
//!
//! Everything is drawn from one seed; it is printed when a test fails. Each link has random numbers of its own, so that
//! what happens to one watcher changes nothing for the others.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use udpstream::media::sound::{Chunk, FRAMES, Frame, Rendition};
use udpstream::proto::receiver::{self, Ready, WatchCounts};
use udpstream::proto::server::{self, Config, Feed, StreamConfig, StreamKey};
use udpstream::proto::{Input, Machine, Output, Port, Reason, Received, Receiver, SendFailure, Server, Transmit};
use udpstream::units::{Time, Unit};
use udpstream::wire::object::Type;
use udpstream::wire::{Description, Hop, Kind, ObjectView, SizeClass, StreamName};

use crate::encoder::Encoder;
use crate::jpeg::Film;
use crate::link::{Link, Path};
use crate::random::Random;

pub const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 9_688);
/// The server's port for sound.
pub const SOUND: SocketAddr = SocketAddr::new(SERVER.ip(), 9_687);
/// What a default socket buffer holds.
const SOCKET_BUFFER: usize = 92;

/// An address in the network of the watchers.
pub fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 1, host)), port)
}

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A datagram that left somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub at: Time,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub kind: Kind,
    pub bytes: usize,
    /// Of a picture's slice: unit and part.
    pub slice: Option<(Unit, u16)>,
    /// Of a sound object: the chunk's number.
    pub chunk: Option<u32>,
}

/// The next so many datagrams of this kind to this address are lost.
#[derive(Clone, Copy, Debug)]
pub struct Lose {
    pub to: SocketAddr,
    pub kind: Kind,
    /// Of objects, only those of this type.
    pub object: Option<Type>,
    pub count: usize,
}

/// What a node does with what reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    /// Stopped: datagrams pile up in the socket buffer.
    Stopped,
    /// Gone without a word.
    Dead,
}

pub struct ServerNode {
    pub machine: Server,
    /// The stream that the encoder feeds.
    pub key: StreamKey,
    pub state: State,
    pub wake: Time,
    /// It is still sending what it began to send.
    busy: Time,
    pub events: Vec<(Time, server::Event)>,
    inbox: VecDeque<(Port, SocketAddr, Vec<u8>)>,
}

pub struct Watcher {
    pub machine: Receiver,
    pub address: SocketAddr,
    pub state: State,
    pub seen: Seen,
    /// How much faster its clock goes than the world's, in millionths, since the world began.
    pub ppm: i64,
    /// How far its clock was ahead of the world's when it started, ns.
    ahead: i64,
    wake: Time,
    inbox: VecDeque<(Port, SocketAddr, Vec<u8>)>,
    down: Link,
    up: Link,
}

/// What a watcher's program was told.
#[derive(Default)]
pub struct Seen {
    pub playing: Vec<(Time, u64, bool)>,
    pub shown: Vec<(Time, Ready, Option<Time>)>,
    pub slices: u64,
    pub refused: u64,
    pub lost: u64,
    pub troubles: Vec<(Time, receiver::Trouble)>,
    pub over: Vec<(Time, receiver::Over)>,
    pub finished: Option<Time>,
    /// First frame of each chunk, and whether it came.
    pub sound: Vec<(Time, u64, bool)>,
    pub sound_over: u64,
    /// When frame 0 is to be heard, as was said at these times.
    pub zero: Vec<(Time, Time)>,
    pub last_report: Time,
    /// Slices since the last picture shown.
    open: Vec<(Unit, u16, u16)>,
}

pub struct World {
    pub seed: u64,
    pub now: Time,
    pub film: Rc<Film>,
    pub server: ServerNode,
    pub encoder: Encoder,
    /// Chunks that the source has, and the next of them.
    pub chunks: u32,
    pub next_chunk: u32,
    /// Whether the server has sound, and its port for it.
    with_sound: (bool, u16),
    pub watchers: Vec<Watcher>,
    /// The server's timer fires up to this late.
    pub lateness: Duration,
    /// The server needs so long to send one datagram; meanwhile it does nothing but read.
    pub datagram_cost: Duration,
    /// The server's system refuses larger datagrams (EMSGSIZE).
    pub server_mtu: usize,
    pub lose: Vec<Lose>,
    /// Everything that left anybody, if `record` is set.
    pub sent: Vec<Sent>,
    pub record: bool,
    /// What reached addresses where nobody listens.
    pub stray: BTreeMap<SocketAddr, Vec<(Time, Vec<u8>)>>,
    flights: BTreeMap<(Time, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    number: u64,
    random: Random,
    log: DefaultHasher,
}

pub fn description(film: &Film) -> Description {
    let title = "A film".to_owned();
    let (size, rate) = (film.size, film.rate);
    Description { title, size, rate, length: None, live: false, sound: false, ended: None, sound_ended: None }
}

/// A stream of this film.
pub fn streaming(name: &str, film: &Film) -> StreamConfig {
    StreamConfig::new(StreamName::parse(name).expect("a name"), description(film))
}

pub fn secret(seed: u64, purpose: u64) -> [u8; 32] {
    let bytes = Random::fork(seed, purpose).bytes(32);
    bytes.try_into().expect("32 bytes")
}

impl World {
    pub fn new(seed: u64, film: &Rc<Film>) -> Self {
        Self::with(seed, film, Time::from_millis(60_000), |_, _| {})
    }

    /// A world whose clock starts at `now`, and a server and its stream configured by hand.
    pub fn with(seed: u64, film: &Rc<Film>, now: Time, configure: impl FnOnce(&mut Config, &mut StreamConfig)) -> Self {
        let (mut config, mut stream) = (Config::new(secret(seed, 1)), streaming("film", film));
        configure(&mut config, &mut stream);
        let with_sound = (stream.description.sound, config.sound_port);
        let (machine, key) = Server::single(config, stream);
        Self {
            seed,
            now,
            film: Rc::clone(film),
            server: ServerNode {
                machine,
                key,
                state: State::Running,
                wake: now,
                busy: now,
                events: Vec::new(),
                inbox: VecDeque::new(),
            },
            encoder: Encoder::new(Rc::clone(film)),
            chunks: u32::MAX,
            next_chunk: 0,
            with_sound,
            watchers: Vec::new(),
            lateness: Duration::ZERO,
            datagram_cost: Duration::ZERO,
            server_mtu: usize::MAX,
            lose: Vec::new(),
            sent: Vec::new(),
            record: false,
            stray: BTreeMap::new(),
            flights: BTreeMap::new(),
            number: 0,
            random: Random::fork(seed, 2),
            log: DefaultHasher::new(),
        }
    }

    /// A watcher starts now; returns its number.
    pub fn watch(&mut self, path: Path) -> usize {
        self.watch_with(path, |_| {})
    }

    pub fn watch_with(&mut self, path: Path, configure: impl FnOnce(&mut receiver::Config)) -> usize {
        self.watch_booted(self.now.since(Time::ZERO), path, configure)
    }

    /// A watcher on a machine that was started so long ago.
    pub fn watch_booted(&mut self, ago: Duration, path: Path, configure: impl FnOnce(&mut receiver::Config)) -> usize {
        let n = self.watchers.len();
        let purpose = 1_000 + 10 * n as u64;
        let mut config = receiver::Config {
            seed: secret(self.seed, purpose),
            servers: vec![SERVER],
            stream: None,
            max_datagram: 0,
            latency: Duration::ZERO,
            stay: false,
            sound: Some(Rendition::Stereo),
            frames: None,
        };
        configure(&mut config);
        self.watchers.push(Watcher {
            machine: Receiver::new(config, Time::ZERO + ago),
            address: address(n as u8 + 10, 40_000),
            state: State::Running,
            seen: Seen::default(),
            ppm: 0,
            ahead: (Time::ZERO + ago).signed_since(self.now),
            wake: self.now,
            inbox: VecDeque::new(),
            down: Link::new(path, Random::fork(self.seed, purpose + 1)),
            up: Link::new(path, Random::fork(self.seed, purpose + 2)),
        });
        n
    }

    /// Both directions of a watcher's path from now on.
    pub fn path(&mut self, watcher: usize, path: Path) {
        self.watchers[watcher].down.path = path;
        self.watchers[watcher].up.path = path;
    }

    /// Only what comes down to the watcher.
    pub fn path_down(&mut self, watcher: usize, path: Path) {
        self.watchers[watcher].down.path = path;
    }

    /// Stops or starts the server's process with its encoder.
    pub fn server_state(&mut self, state: State) {
        self.server.state = state;
        if state == State::Running {
            for (port, from, bytes) in std::mem::take(&mut self.server.inbox) {
                self.reach_server(port, from, bytes);
            }
            self.server.wake = self.now;
        }
    }

    /// The server's process ends and another starts on the same port.
    pub fn restart_server(&mut self, seed: u64) {
        let (mut config, mut stream) = (Config::new(secret(seed, 1)), streaming("film", &self.film));
        (stream.description.sound, config.sound_port) = self.with_sound;
        self.next_chunk = 0;
        (self.server.machine, self.server.key) = Server::single(config, stream);
        self.server.wake = self.now;
        self.encoder = Encoder::new(Rc::clone(&self.film));
    }

    pub fn watcher_state(&mut self, watcher: usize, state: State) {
        let now = self.now;
        let node = &mut self.watchers[watcher];
        node.state = state;
        if state == State::Running {
            for (port, from, bytes) in std::mem::take(&mut node.inbox) {
                node.machine
                    .handle(node.local(now), Input::Datagram(Received { port, from, local: None, bytes: &bytes }));
            }
            node.wake = now;
        }
    }

    pub fn tell_watcher(&mut self, watcher: usize, local: receiver::Local) {
        let node = &mut self.watchers[watcher];
        node.machine.handle(node.local(self.now), Input::Local(local));
        node.wake = self.now;
    }

    /// The stream's id on the wire.
    pub fn stream_id(&self) -> u64 {
        self.server.machine.id(self.server.key)
    }

    pub fn tell_server(&mut self, local: server::Local) {
        self.server.machine.handle(self.now, Input::Local(local));
        self.server.wake = self.now;
    }

    /// A datagram reaches the server now, whoever sent it.
    pub fn inject(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.reach_server(Port::PICTURES, from, bytes.to_vec());
    }

    /// A datagram in the name of the server's picture port.
    pub fn forge(&mut self, watcher: usize, bytes: Vec<u8>) {
        self.reach_watcher(watcher, Port::PICTURES, SERVER, bytes);
    }

    pub fn run(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    pub fn run_until(&mut self, end: Time) {
        loop {
            let next = self.next();
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.deliver();
            self.turn_server();
            for n in 0..self.watchers.len() {
                self.turn_watcher(n);
            }
        }
        self.now = end;
    }

    fn next(&self) -> Time {
        let flight = self.flights.first_key_value().map_or(Time::NEVER, |((at, _), _)| *at);
        let server = match self.server.state {
            State::Running => self.server.wake.max(self.server.busy).min(self.encoder.wake()),
            State::Stopped | State::Dead => Time::NEVER,
        };
        let running = self.watchers.iter().filter(|watcher| watcher.state == State::Running);
        running.map(|watcher| watcher.wake).min().unwrap_or(Time::NEVER).min(flight).min(server)
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.flights.first_entry()
            && entry.key().0 <= self.now
        {
            let (from, to, bytes) = entry.remove();
            if to == SERVER || to == SOUND {
                self.reach_server(if to == SERVER { Port::PICTURES } else { Port::SOUND }, from, bytes);
            } else if let Some((n, port)) = self.watcher_at(to).filter(|(n, _)| self.watchers[*n].state != State::Dead)
            {
                self.reach_watcher(n, port, from, bytes);
            } else {
                self.stray.entry(to).or_default().push((self.now, bytes));
            }
        }
    }

    /// Whose address it is, and which of his ports.
    fn watcher_at(&self, address: SocketAddr) -> Option<(usize, Port)> {
        let of = |port: Port| {
            let own = |watcher: &Watcher| watcher.on(port) == address;
            self.watchers.iter().position(own).map(|n| (n, port))
        };
        of(Port::PICTURES).or_else(|| of(Port::SOUND))
    }

    fn reach_server(&mut self, port: Port, from: SocketAddr, bytes: Vec<u8>) {
        match self.server.state {
            State::Running => {
                self.server
                    .machine
                    .handle(self.now, Input::Datagram(Received { port, from, local: None, bytes: &bytes }));
                self.server.wake = self.now;
            }
            State::Stopped if self.server.inbox.len() < SOCKET_BUFFER => {
                self.server.inbox.push_back((port, from, bytes));
            }
            State::Stopped | State::Dead => {}
        }
    }

    fn reach_watcher(&mut self, n: usize, port: Port, from: SocketAddr, bytes: Vec<u8>) {
        let watcher = &mut self.watchers[n];
        match watcher.state {
            State::Running => {
                let now = watcher.local(self.now);
                watcher.machine.handle(now, Input::Datagram(Received { port, from, local: None, bytes: &bytes }));
                watcher.wake = self.now;
            }
            State::Stopped if watcher.inbox.len() < SOCKET_BUFFER => watcher.inbox.push_back((port, from, bytes)),
            State::Stopped | State::Dead => {}
        }
    }

    fn turn_server(&mut self) {
        if self.server.state != State::Running {
            return;
        }
        // A server that never waits is handed pictures too.
        let pressed = self.datagram_cost > Duration::ZERO || self.encoder.wake() <= self.now;
        if pressed && self.encoder.step(self.now, &mut self.server.machine, self.server.key) {
            self.server.wake = self.now;
        }
        self.speak();
        if self.server.wake.max(self.server.busy) > self.now {
            return;
        }
        loop {
            match self.server.machine.poll(self.now) {
                Output::Send(transmit) if transmit.len() > self.server_mtu => {
                    let failed = Input::NotSent(transmit.port, transmit.to, SendFailure::TooLarge);
                    self.server.machine.handle(self.now, failed);
                }
                Output::Send(transmit) => {
                    self.send(if transmit.port == Port::SOUND { SOUND } else { SERVER }, &transmit);
                    if self.datagram_cost > Duration::ZERO {
                        (self.server.wake, self.server.busy) = (self.now, self.now + self.datagram_cost);
                        return;
                    }
                }
                Output::Event(event) => {
                    (self.now, format!("{event:?}")).hash(&mut self.log);
                    self.server.events.push((self.now, event));
                }
                Output::Wait(at, reason) => {
                    assert!(at > self.now, "the server would spin for {reason:?} at {:?}", self.now);
                    if self.encoder.step(self.now, &mut self.server.machine, self.server.key) || self.speak() {
                        continue;
                    }
                    let late = if reason == Reason::Departure { self.lateness } else { Duration::ZERO };
                    self.server.wake = at + self.random.duration(late);
                    break;
                }
            }
        }
    }

    /// The source hands over the sound that the server takes now.
    fn speak(&mut self) -> bool {
        let (server, key) = (&mut self.server.machine, self.server.key);
        let mut spoke = false;
        while server.wants_sound(key) {
            let feed = if self.next_chunk < self.chunks {
                let (number, captured) = (self.next_chunk, self.now);
                Feed::Sound(Chunk { number, frames: chunk(number), captured })
            } else {
                Feed::SoundEnded
            };
            server.handle(self.now, Input::Local(server::Local::Stream(key, feed)));
            self.next_chunk = self.next_chunk.saturating_add(1);
            spoke = true;
        }
        spoke
    }

    fn turn_watcher(&mut self, n: usize) {
        while self.watchers[n].state == State::Running && self.watchers[n].wake <= self.now {
            let now = self.watchers[n].local(self.now);
            match self.watchers[n].machine.poll(now) {
                Output::Send(transmit) => {
                    let from = self.watchers[n].on(transmit.port);
                    if Hop::parse(&transmit.hop).is_ok_and(|(hop, _)| hop.kind == Kind::REPORT) {
                        self.watchers[n].seen.last_report = self.now;
                    }
                    self.send(from, &transmit);
                }
                Output::Event(event) => {
                    self.log_event(n, &event);
                    self.watchers[n].seen.take(self.now, &event, &self.film);
                }
                Output::Wait(at, reason) => {
                    assert!(at > now, "watcher {n} would spin for {reason:?} at {now:?}");
                    self.watchers[n].wake = self.watchers[n].global(at);
                }
            }
        }
    }

    fn log_event(&mut self, n: usize, event: &receiver::Event) {
        (self.now, n).hash(&mut self.log);
        match event {
            receiver::Event::Slice(slice) => {
                (slice.unit, slice.x8, slice.y8, slice.jpeg.bytes()).hash(&mut self.log);
            }
            event => format!("{event:?}").hash(&mut self.log),
        }
    }

    fn send(&mut self, from: SocketAddr, transmit: &Transmit) {
        let (hop, _) = Hop::parse(&transmit.hop).expect("a machine's own hop header");
        let object = (hop.kind == Kind::OBJECT).then(|| ObjectView::parse(transmit.body.bytes()).expect("own object"));
        let header = object.map(|object| object.header);
        (self.now, from, transmit.to, &transmit.hop, transmit.body.bytes()).hash(&mut self.log);
        if self.record {
            let picture = header.filter(|header| header.kind == Type::PICTURE);
            let slice = picture.map(|header| (header.unit, header.part));
            let (at, to, kind, bytes) = (self.now, transmit.to, hop.kind, transmit.len());
            let chunk = header.filter(|header| header.kind == Type::SOUND).map(|header| header.unit.0);
            self.sent.push(Sent { at, from, to, kind, bytes, slice, chunk });
        }
        let matches = |lose: &&mut Lose| {
            lose.count > 0
                && (lose.to, lose.kind) == (transmit.to, hop.kind)
                && lose.object.is_none_or(|kind| header.is_some_and(|header| header.kind == kind))
        };
        if let Some(lose) = self.lose.iter_mut().find(matches) {
            lose.count -= 1;
            return;
        }
        let bytes = [&transmit.hop[..], transmit.body.bytes()].concat();
        let down = from == SERVER || from == SOUND;
        let at = self.watcher_at(if down { transmit.to } else { from });
        let link = at.map(|(n, _)| &mut self.watchers[n]).map(|w| if down { &mut w.down } else { &mut w.up });
        let arrivals = link.map_or_else(|| vec![self.now + ms(1)], |link| link.carry(self.now, bytes.len()));
        for at in arrivals {
            self.number += 1;
            self.flights.insert((at, self.number), (from, transmit.to, bytes.clone()));
        }
    }

    /// A digest of everything that was sent and said.
    pub fn digest(&self) -> u64 {
        self.log.finish()
    }

    /// Unit, due and actual time of every departure.
    pub fn departures(&self) -> Vec<(Unit, Time, Time)> {
        let departed = |(_, event): &(Time, server::Event)| match event {
            server::Event::Departed { unit, due, at, .. } => Some((*unit, *due, *at)),
            _ => None,
        };
        self.server.events.iter().filter_map(departed).collect()
    }

    pub fn started(&self) -> Time {
        let started = |(_, event): &(Time, server::Event)| match event {
            server::Event::Started { at, .. } => Some(*at),
            _ => None,
        };
        self.server.events.iter().find_map(started).expect("the clock runs")
    }

    pub fn counts(&self, watcher: usize) -> WatchCounts {
        self.watchers[watcher].machine.counts()
    }

    /// Everything that must hold of a watcher at any time, on any path.
    pub fn check(&self, watcher: usize) {
        let Watcher { machine, seen, .. } = &self.watchers[watcher];
        let counts = machine.counts();
        assert_eq!(counts.shown, seen.shown.len() as u64, "{counts:?}");
        let damaged = seen.shown.iter().filter(|(_, ready, _)| ready.missing > 0).count();
        assert_eq!(counts.damaged, damaged as u64, "{counts:?}");
        // What is held back for the next picture has been counted but not handed out.
        assert!(seen.slices <= counts.slices, "{counts:?}");
        if let (Some((_, first, _)), Some((_, last, _)), 0, None) =
            (seen.shown.first(), seen.shown.last(), counts.reconnects, seen.finished)
        {
            let sum = counts.shown + counts.lost + counts.late + counts.thinned;
            assert_eq!(sum, u64::from(last.unit.0 - first.unit.0 + 1), "{counts:?}");
        }
    }
}

impl Seen {
    fn take(&mut self, now: Time, event: &receiver::Event, film: &Film) {
        assert!(self.finished.is_none(), "nothing after Finished");
        match event {
            receiver::Event::Playing { stream, rejoined, .. } => {
                self.playing.push((now, *stream, *rejoined));
            }
            receiver::Event::Slice(slice) => {
                self.slices += 1;
                let name = (slice.unit, slice.x8, slice.y8);
                assert!(film.has(slice.x8, slice.y8, slice.jpeg.bytes()), "not the sender's bytes: {name:?}");
                assert!(!self.open.contains(&name), "handed out twice: {name:?}");
                self.open.push(name);
            }
            receiver::Event::Show { picture, due } => self.show(now, picture, *due),
            receiver::Event::Refused { .. } | receiver::Event::TooLarge(_) => self.refused += 1,
            receiver::Event::Listing(_) | receiver::Event::ListFailed(_) => {}
            receiver::Event::Trouble(trouble) => {
                self.lost += u64::from(*trouble == receiver::Trouble::Silent);
                self.troubles.push((now, *trouble));
            }
            receiver::Event::Sound { first, frames } => self.hear(now, *first, frames.as_deref()),
            receiver::Event::SoundOver => self.sound_over += 1,
            receiver::Event::SoundZero(zero) => self.zero.push((now, *zero)),
            receiver::Event::Over { why, .. } => self.over.push((now, *why)),
            receiver::Event::Finished => self.finished = Some(now),
        }
    }

    fn hear(&mut self, now: Time, first: u64, frames: Option<&[Frame]>) {
        let made = chunk((first / FRAMES as u64) as u32);
        assert!(frames.is_none_or(|frames| *frames == made || is_mono_of(frames, &made)), "not the sender's: {first}");
        let since = self.playing.last().map_or(Time::ZERO, |(at, ..)| *at);
        let before = self.sound.last().filter(|(at, ..)| *at >= since);
        assert!(before.is_none_or(|(_, before, _)| *before < first), "{first} after {before:?}");
        self.sound.push((now, first, frames.is_some()));
    }

    fn show(&mut self, now: Time, picture: &Ready, due: Option<Time>) {
        let open = std::mem::take(&mut self.open);
        assert!(open.iter().all(|(unit, ..)| *unit == picture.unit), "slices of another picture: {open:?} {picture:?}");
        let slices = if picture.same { 0 } else { usize::from(picture.received) };
        assert_eq!(open.len(), slices, "{picture:?}");
        let since = self.playing.last().map_or(Time::ZERO, |(at, ..)| *at);
        let before = self.shown.last().filter(|(at, ..)| *at >= since);
        assert!(before.is_none_or(|(_, before, _)| before.unit < picture.unit), "{picture:?} after {before:?}");
        self.shown.push((now, *picture, due));
    }

    /// Pictures shown from `from` until `until`.
    pub fn shown_between(&self, from: Time, until: Time) -> usize {
        self.shown.iter().filter(|(at, ..)| (from..until).contains(at)).count()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the world of seed {} failed at {:?}", self.seed, self.now);
        }
    }
}

impl Watcher {
    /// What its clock shows at a moment of the world.
    pub const fn local(&self, at: Time) -> Time {
        at.offset((at.nanos() as i128 * self.ppm as i128 / 1_000_000) as i64 + self.ahead)
    }

    /// The first moment of the world at which its clock shows this.
    pub fn global(&self, local: Time) -> Time {
        if local == Time::NEVER {
            return local;
        }
        let nanos = i128::from(local.offset(-self.ahead).nanos()) * 1_000_000 / (1_000_000 + i128::from(self.ppm));
        let mut at = Time::from_nanos(nanos as i64);
        while self.local(at) < local {
            at += Duration::from_nanos(1);
        }
        at
    }

    /// Its address on one of its ports.
    pub fn on(&self, port: Port) -> SocketAddr {
        SocketAddr::new(self.address.ip(), self.address.port() + u16::from(port.0))
    }
}

/// What chunk `number` of the world's sound holds.
pub fn chunk(number: u32) -> Vec<Frame> {
    (0..FRAMES as u32)
        .map(|frame| [(number.wrapping_mul(31).wrapping_add(frame * 7)) as i16, (frame * 13) as i16 ^ number as i16])
        .collect()
}

fn is_mono_of(frames: &[Frame], made: &[Frame]) -> bool {
    let mean = |[left, right]: Frame| ((i32::from(left) + i32::from(right)) / 2) as i16;
    frames.iter().zip(made).all(|(mono, both)| *mono == [mean(*both); 2])
}

/// Slices of one picture at the smallest class, for tests that need several.
pub fn parts(film: &Film) -> usize {
    film.slices(Unit(0), SizeClass::ANY)
}

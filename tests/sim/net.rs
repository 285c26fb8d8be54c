//! The world: one server, its encoder, any number of watchers, and a network, in one thread and in virtual time.
//!
//! Everything is drawn from one seed; it is printed when a test fails. Each link has random numbers of its own, so that
//! what happens to one watcher changes nothing for the others.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use udpstream::proto::server::{self, Config, StreamConfig, StreamKey};
use udpstream::proto::{Input, Machine, Output, Port, Reason, Received, SendFailure, Server, Transmit};
use udpstream::units::{Time, Unit};
use udpstream::wire::object::Type;
use udpstream::wire::{Ecn, Hop, Kind, ObjectView};

use crate::bottleneck::Bottleneck;
use crate::encoder::Encoder;
use crate::jpeg::Film;
use crate::projector::Projector;
use crate::random::Random;
use crate::sources::Source;

mod groups;
mod sound;
mod stream;
mod watcher;

pub use groups::group;
pub use sound::{chunk, packet};
pub use stream::{description, parts, streaming};
pub use watcher::{Seen, Watcher};

pub const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 9_688);
/// The server's port for sound.
pub const SOUND: SocketAddr = SocketAddr::new(SERVER.ip(), 9_687);
/// What a default socket buffer holds.
const SOCKET_BUFFER: usize = 92;

/// An address in the network of the watchers.
pub fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 1, host)), port)
}

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub const fn seconds(seconds: u64) -> Duration {
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
    /// Of a sound object: the chunk's or the coded unit's number.
    pub chunk: Option<u32>,
    pub coded: bool,
    /// Of an object: its stream.
    pub stream: Option<u64>,
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

pub struct World {
    pub seed: u64,
    pub now: Time,
    pub film: Rc<Film>,
    pub server: ServerNode,
    pub encoder: Encoder,
    pub others: Vec<Source>,
    /// Of the library, if there is one.
    pub projector: Option<Projector>,
    /// Chunks that the source has, and the next of them.
    pub chunks: u32,
    pub next_chunk: u32,
    /// When a microphone's frame 0 came into being; `None`: the sound is a file's, and all there.
    pub microphone: Option<Time>,
    /// The source codes sound.
    coding: bool,
    with_sound: (bool, u16),
    pub watchers: Vec<Watcher>,
    /// The narrowest place of the way to all of them.
    pub bottleneck: Option<Bottleneck>,
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
    /// Who listens to which group.
    groups: BTreeMap<SocketAddr, Vec<usize>>,
    /// What reached addresses where nobody listens.
    pub stray: BTreeMap<SocketAddr, Vec<(Time, Vec<u8>)>>,
    flights: BTreeMap<(Time, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    number: u64,
    random: Random,
    log: DefaultHasher,
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
            others: Vec::new(),
            projector: None,
            chunks: u32::MAX,
            next_chunk: 0,
            microphone: None,
            coding: false,
            with_sound,
            watchers: Vec::new(),
            bottleneck: None,
            lateness: Duration::ZERO,
            datagram_cost: Duration::ZERO,
            server_mtu: usize::MAX,
            lose: Vec::new(),
            sent: Vec::new(),
            record: false,
            groups: BTreeMap::new(),
            stray: BTreeMap::new(),
            flights: BTreeMap::new(),
            number: 0,
            random: Random::fork(seed, 2),
            log: DefaultHasher::new(),
        }
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
            self.pass_bottleneck();
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
            State::Running => self.server.wake.max(self.server.busy).min(self.sources_wake()),
            State::Stopped | State::Dead => Time::NEVER,
        };
        let running = self.watchers.iter().filter(|watcher| watcher.state == State::Running);
        let narrow = self.bottleneck.as_ref().map_or(Time::NEVER, Bottleneck::wake);
        running.map(|watcher| watcher.wake).min().unwrap_or(Time::NEVER).min(flight).min(server).min(narrow)
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

    fn reach_server(&mut self, port: Port, from: SocketAddr, bytes: Vec<u8>) {
        match self.server.state {
            State::Running => {
                self.server.machine.handle(
                    self.now,
                    Input::Datagram(Received { port, from, local: None, ecn: Ecn::Not, bytes: &bytes }),
                );
                self.server.wake = self.now;
            }
            State::Stopped if self.server.inbox.len() < SOCKET_BUFFER => {
                self.server.inbox.push_back((port, from, bytes));
            }
            State::Stopped | State::Dead => {}
        }
    }

    fn turn_server(&mut self) {
        if self.server.state != State::Running {
            return;
        }
        // A server that never waits is handed pictures too.
        let pressed = self.datagram_cost > Duration::ZERO || self.sources_wake() <= self.now;
        if pressed && self.feed() {
            self.server.wake = self.now;
        }
        if self.speak() && self.microphone.is_some() {
            self.server.wake = self.now;
        }
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
                    self.projector.iter_mut().for_each(|projector| projector.told(self.now, &event));
                    self.server.events.push((self.now, event));
                }
                Output::Wait(at, reason) => {
                    assert!(at > self.now, "the server would spin for {reason:?} at {:?}", self.now);
                    if self.feed() || self.speak() {
                        continue;
                    }
                    let late = if reason == Reason::Departure { self.lateness } else { Duration::ZERO };
                    self.server.wake = at + self.random.duration(late);
                    break;
                }
            }
        }
    }

    fn sources_wake(&self) -> Time {
        let pictures = self.others.iter().map(Source::wake).min().unwrap_or(Time::NEVER).min(self.encoder.wake());
        let projector = self.projector.as_ref().map_or(Time::NEVER, |projector| projector.wake(self.now));
        pictures.min(self.microphone_wake()).min(projector)
    }

    /// The encoder, and all that other streams' sources have, hand over what the server takes now.
    fn feed(&mut self) -> bool {
        let server = &mut self.server.machine;
        let mut gave = self.encoder.step(self.now, server, self.server.key);
        for source in &mut self.others {
            gave |= source.feed(self.now, server);
        }
        if let Some(projector) = &mut self.projector {
            gave |= projector.feed(self.now, server);
        }
        gave
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
            let coded = header.is_some_and(|header| header.kind == Type::SOUND && header.rendition == 2);
            let stream = header.map(|header| header.stream);
            self.sent.push(Sent { at, from, to, kind, bytes, slice, chunk, coded, stream });
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
        let narrow = |bottleneck: &&mut Bottleneck| down && !bottleneck.beside.contains(&transmit.to.ip());
        if let Some(bottleneck) = self.bottleneck.as_mut().filter(narrow) {
            return bottleneck.put(self.now, from, transmit.to, bytes);
        }
        self.fly(self.now, from, transmit.to, bytes);
    }

    /// What the bottleneck lets go flies on.
    fn pass_bottleneck(&mut self) {
        let passed = self.bottleneck.as_mut().map(|bottleneck| bottleneck.step(self.now));
        for passed in passed.into_iter().flatten() {
            self.fly(passed.at, passed.from, passed.to, passed.bytes);
        }
    }

    fn fly(&mut self, now: Time, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        if self.fly_to_group(from, to, &bytes) {
            return;
        }
        let down = from == SERVER || from == SOUND;
        let at = self.watcher_at(if down { to } else { from });
        let link = at.map(|(n, _)| &mut self.watchers[n]).map(|w| if down { &mut w.down } else { &mut w.up });
        let arrivals = link.map_or_else(|| vec![now + ms(1)], |link| link.carry(now, bytes.len()));
        for at in arrivals {
            self.number += 1;
            self.flights.insert((at, self.number), (from, to, bytes.clone()));
        }
    }

    /// A digest of everything that was sent and said.
    pub fn digest(&self) -> u64 {
        self.log.finish()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the world of seed {} failed at {:?}", self.seed, self.now);
        }
    }
}

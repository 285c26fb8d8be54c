//! A server, two watchers and whoever else sends, in one thread; the script decides what happens.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::balance::Balance;
use super::film::Film;
use super::forge;
use super::script::Script;
use super::seen::Seen;
use super::sources::{MOST_STREAMS, OTHERS, Source, description, serving};
use crate::media::sound::Rendition;
use crate::proto::server::{Feed, StreamConfig};
use crate::proto::{
    Input, Machine, Output, Peer, Port, Received, Receiver, SendFailure, Server, Transmit, receiver, server,
};
use crate::units::{Rate, Time, Unit};
use crate::wire::message::{COOKIE_LEN, Message, WantedPictures};
use crate::wire::{Ecn, Hop, Kind, SizeClass, StreamName};

pub const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 9_688);
/// Where it sends sound from.
const SOUND: SocketAddr = SocketAddr::new(SERVER.ip(), 9_687);
/// Datagrams on their way, and old ones that may come again.
const FLIGHTS: usize = 256;
const OLD: usize = 64;
/// Outputs in a row without a word of waiting: more than a picture for every session and all goodbyes.
const PATIENCE: usize = 2_000;

#[derive(Clone)]
struct Flight {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

struct Watcher {
    machine: Receiver,
    address: SocketAddr,
    seen: Seen,
}

pub struct World {
    now: Time,
    live: bool,
    rate: Rate,
    server: Server,
    /// How many streams a server begins with.
    streams: usize,
    sources: Vec<Source>,
    servers: u8,
    film: Film,
    watchers: Vec<Watcher>,
    flights: VecDeque<Flight>,
    old: VecDeque<Flight>,
    balance: Balance,
    /// What the path carries, and what the server's own system takes.
    mtu: (usize, usize),
    fails: Option<SendFailure>,
    /// Nothing comes from, or gets to, the server's sound port.
    deaf: bool,
    /// What the server's last Challenge to each gave him to come back with.
    challenges: BTreeMap<Peer, (u64, [u8; COOKIE_LEN])>,
    /// The last session that a watcher was given, for whoever would speak in its name, and its last hop sequence.
    pub session: u64,
    pub hop: u32,
    /// The same of the first watcher's sound session.
    pub second: (u64, u32),
}

impl World {
    pub fn new(script: &mut Script<'_>) -> Option<Self> {
        let (bits, path) = (script.u8(), script.u8());
        let rate = Rate::new(if bits & 64 == 0 { 30 } else { 1 }, 1)?;
        let class = |n: u8| SizeClass::ALL[usize::from(n) % 4].datagram();
        let now = Time::from_millis(60_000);
        // The second watcher may watch another stream than the first.
        let other = if path & 128 == 0 { None } else { Some(StreamName::parse(OTHERS[0]).ok()?) };
        let config = |n: u8| receiver::Config {
            secret: None,
            seed: [n; 32],
            servers: vec![SERVER].into(),
            stream: other.clone().filter(|_| n == 2),
            max_datagram: if bits & 32 == 0 { 0 } else { 1_452 },
            latency: if bits & 4 == 0 { Duration::ZERO } else { Duration::from_millis(100) },
            patience: [None, Some(Duration::ZERO), Some(Duration::from_millis(30))][usize::from(bits & 3) % 3],
            stay: bits & 8 != 0,
            sound: (bits & 128 != 0).then_some(Rendition::Stereo),
            limits: WantedPictures::ANY,
            frames: None,
            talk: (bits & 64 == 0).then(|| n.to_string()),
            play: None,
            together: None,
        };
        let watcher = |n: u8| {
            let mut machine = Receiver::new(config(n), now);
            let needs = (path & 32 != 0).then_some(Duration::from_millis(30));
            machine.handle(now, Input::Local(receiver::Local::Loudspeaker(needs)));
            let seen = Seen::of(bits & 128 != 0);
            Watcher { machine, address: outside(n, 40_000), seen }
        };
        let streams = if path & 192 == 0 { 1 } else { 3 };
        let (server, mut sources) = serving(1, SOUND.port(), (bits & 1 != 0, rate, bits & 2 != 0, true), streams)?;
        if bits & 16 != 0 {
            sources.iter_mut().for_each(|source| source.unit = Unit(u32::MAX - 40));
        }
        Some(Self {
            now,
            live: bits & 1 != 0,
            rate,
            server,
            streams,
            sources,
            servers: 1,
            film: Film::default(),
            watchers: vec![watcher(1), watcher(2)],
            flights: VecDeque::new(),
            old: VecDeque::new(),
            balance: Balance::default(),
            mtu: (class(path), class(path >> 2)),
            fails: None,
            deaf: path & 16 != 0,
            challenges: BTreeMap::new(),
            session: 0,
            hop: 0,
            second: (0, 0),
        })
    }

    /// A millisecond at a time, with pictures, and everything that is sent arrives.
    pub fn run(&mut self, millis: u8) {
        for _ in 0..millis {
            self.now += Duration::from_millis(1);
            self.feed();
            self.turn();
            for _ in 0..self.flights.len() {
                self.deliver(0);
            }
        }
    }

    /// Time goes by while nothing arrives.
    pub fn halt(&mut self, time: Duration) {
        self.now += time;
        self.turn();
    }

    /// The next picture and chunk of each stream, if the server would have them.
    pub fn feed(&mut self) {
        for source in &mut self.sources {
            source.feed(self.now, &mut self.server, &mut self.film);
        }
    }

    /// Pictures that never come to the server.
    pub fn skip(&mut self, count: u8) {
        let skipped = |unit: Unit| Unit(unit.0.saturating_add(u32::from(count)));
        self.sources.iter_mut().for_each(|source| source.unit = skipped(source.unit));
    }

    /// Tells one of the streams.
    pub fn feed_server(&mut self, n: usize, feed: Feed) {
        let n = n % self.sources.len().max(1);
        let Some(Source { key, .. }) = self.sources.get(n) else { return };
        let fits = match feed {
            Feed::Ended(_) => self.server.wants_picture(*key),
            Feed::SoundEnded => self.server.wants_sound(*key),
            _ => true,
        };
        if fits {
            self.server.handle(self.now, Input::Local(server::Local::Stream(*key, feed)));
        }
        self.turn();
    }

    /// The first stream turns out to have another rate, and no sound.
    pub fn describe(&mut self) {
        let Some(source) = self.sources.first_mut() else { return };
        let (live, rate) = (source.live, Rate::new(15, 1).unwrap_or(source.rate));
        if self.server.describe(source.key, description(live, rate, false)) {
            source.rate = rate;
        }
        self.turn();
    }

    /// One more stream, as long as there are few.
    pub fn open(&mut self) {
        if self.sources.len() < MOST_STREAMS
            && let Ok(name) = StreamName::parse(&format!("more-{}", self.sources.len()))
        {
            let (live, rate) = (!self.live, self.rate);
            let key = self.server.open(StreamConfig::new(name, description(live, rate, false)));
            self.sources.push(Source::new(key, live, rate));
        }
        self.turn();
    }

    pub fn tell_server(&mut self, local: server::Local) {
        self.server.handle(self.now, Input::Local(local));
        self.turn();
    }

    pub fn tell_watcher(&mut self, n: usize, local: receiver::Local) {
        self.watchers[n % 2].seen.told(&local);
        self.watchers[n % 2].machine.handle(self.now, Input::Local(local));
        self.turn();
    }

    pub fn stop_watcher(&mut self, n: usize) {
        self.tell_watcher(n, receiver::Local::Stop);
    }

    /// A new process on the same port.
    pub fn restart_server(&mut self) {
        self.replace_server(true);
    }

    /// The same, with a stream that has no sound.
    pub fn restart_mute(&mut self) {
        self.replace_server(false);
    }

    fn replace_server(&mut self, sound: bool) {
        self.servers = self.servers.wrapping_add(1);
        let plan = (self.live, self.rate, false, sound);
        let Some(serving) = serving(self.servers, SOUND.port(), plan, self.streams) else { return };
        (self.server, self.sources) = serving;
        // It knows nothing of the old one's secrets, and owes nothing for it.
        self.balance = Balance::default();
        self.turn();
    }

    pub const fn fail_next(&mut self, failure: SendFailure) {
        self.fails = Some(failure);
    }

    /// Whether the server is to be trusted no longer.
    pub fn betray(&mut self) {
        self.watchers.iter_mut().for_each(|watcher| watcher.seen.hostile = true);
    }

    /// One of the datagrams on their way arrives.
    pub fn deliver(&mut self, n: usize) {
        let n = n % self.flights.len().max(1);
        if let Some(flight) = self.flights.remove(n) {
            self.arrive(flight);
        }
    }

    pub fn lose(&mut self, n: usize) {
        let n = n % self.flights.len().max(1);
        self.flights.remove(n);
    }

    /// One that has arrived comes again, after this was done to it.
    pub fn replay(&mut self, n: usize, damage: impl FnOnce(&mut Vec<u8>), from: Option<SocketAddr>) {
        let n = n % self.old.len().max(1);
        let Some(mut flight) = self.old.get(n).cloned() else { return };
        damage(&mut flight.bytes);
        flight.from = from.unwrap_or(flight.from);
        self.arrive(flight);
    }

    pub fn send_server(&mut self, from: SocketAddr, bytes: Vec<u8>) {
        self.send_to(Port::PICTURES, from, bytes);
    }

    pub fn send_to(&mut self, port: Port, from: SocketAddr, bytes: Vec<u8>) {
        self.arrive(Flight { from, to: if port == Port::SOUND { SOUND } else { SERVER }, bytes });
    }

    /// A stranger takes the next step of joining: he asks, or joins with the cookie that he was sent.
    pub fn knock(&mut self, from: SocketAddr, port: Port, script: &mut Script<'_>) {
        let bytes = match self.challenges.remove(&Peer { port, address: from }) {
            Some(secret) => forge::true_join(secret, self.session, script),
            None => forge::hello(script),
        };
        self.send_to(port, from, bytes);
    }

    /// A stranger asks which streams there are, with the cookie that it was sent, or asks for one.
    pub fn list(&mut self, from: SocketAddr, port: Port, script: &mut Script<'_>) {
        let bytes = match self.challenges.get(&Peer { port, address: from }) {
            Some(secret) => forge::list(*secret, script),
            None => forge::hello(script),
        };
        self.send_to(port, from, bytes);
    }

    /// In the server's name.
    pub fn send_watcher(&mut self, n: usize, bytes: Vec<u8>) {
        let to = self.watchers[n % 2].address;
        self.arrive(Flight { from: SERVER, to, bytes });
    }

    /// In the name of the server's sound port, to the first watcher's ears.
    pub fn send_ears(&mut self, bytes: Vec<u8>) {
        let to = ears(self.watchers[0].address);
        self.arrive(Flight { from: SOUND, to, bytes });
    }

    /// Pictures shown by both watchers together.
    #[cfg(test)]
    pub fn shown(&self) -> u64 {
        self.watchers.iter().map(|watcher| watcher.machine.counts().pictures.shown).sum()
    }

    fn arrive(&mut self, flight: Flight) {
        let Flight { from, to, bytes } = &flight;
        if *to == SERVER || *to == SOUND {
            let port = if *to == SERVER { Port::PICTURES } else { Port::SOUND };
            self.balance.came(*from, bytes);
            self.server
                .handle(self.now, Input::Datagram(Received { port, from: *from, local: None, ecn: Ecn::Not, bytes }));
        } else if let Some(watcher) = self.watchers.iter_mut().find(|watcher| watcher.address.ip() == to.ip()) {
            let port = if *to == watcher.address { Port::PICTURES } else { Port::SOUND };
            watcher
                .machine
                .handle(self.now, Input::Datagram(Received { port, from: *from, local: None, ecn: Ecn::Not, bytes }));
        }
        self.old.push_back(flight);
        if self.old.len() > OLD {
            self.old.pop_front();
        }
        self.turn();
    }

    /// Both sides do what is due, and are looked at.
    pub fn turn(&mut self) {
        self.turn_server();
        (0..self.watchers.len()).for_each(|n| self.turn_watcher(n));
    }

    fn turn_server(&mut self) {
        for _ in 0..PATIENCE {
            match self.server.poll(self.now) {
                Output::Send(transmit) => self.send(&transmit),
                Output::Event(_) => {}
                Output::Wait(at, reason) => {
                    assert!(at > self.now, "the server would spin for {reason:?}");
                    return self.server.assert_sound();
                }
            }
        }
        panic!("the server never waits");
    }

    fn send(&mut self, transmit: &Transmit) {
        let (to, length) = (transmit.to, transmit.len());
        let too_large = (length > self.mtu.1).then_some(SendFailure::TooLarge);
        if let Some(failure) = self.fails.take().or(too_large) {
            return self.server.handle(self.now, Input::NotSent(transmit.port, to, failure));
        }
        self.balance.went(transmit);
        self.overhear(transmit);
        if length <= self.mtu.0 && !(self.deaf && transmit.port == Port::SOUND) {
            self.launch(if transmit.port == Port::SOUND { SOUND } else { SERVER }, transmit);
        }
    }

    /// Keeps what a spy on the path could use.
    fn overhear(&mut self, transmit: &Transmit) {
        let Ok((hop, _)) = Hop::parse(&transmit.hop) else { return };
        let (first, to) = (self.watchers[0].address, transmit.to);
        match Message::parse(hop.kind, transmit.body.bytes()) {
            Ok(Message::Challenge { nonce, cookie, .. }) => {
                self.challenges.insert(Peer { port: transmit.port, address: to }, (nonce, cookie));
            }
            Ok(Message::Accept(accept)) if to == first => self.session = accept.session,
            Ok(Message::Accept(accept)) if to == ears(first) => self.second.0 = accept.session,
            _ if hop.kind.is_sequenced() && to == first => self.hop = hop.sequence,
            _ if hop.kind.is_sequenced() && to == ears(first) => self.second.1 = hop.sequence,
            _ => {}
        }
    }

    fn launch(&mut self, from: SocketAddr, transmit: &Transmit) {
        if self.flights.len() == FLIGHTS {
            self.flights.pop_front();
        }
        let bytes = [&transmit.hop[..], transmit.body.bytes()].concat();
        self.flights.push_back(Flight { from, to: transmit.to, bytes });
    }

    fn turn_watcher(&mut self, n: usize) {
        for _ in 0..PATIENCE {
            let watcher = &mut self.watchers[n];
            match watcher.machine.poll(self.now) {
                Output::Send(transmit) => {
                    let from = SocketAddr::new(watcher.address.ip(), watcher.address.port() + transmit.port.0);
                    self.launch(from, &transmit);
                }
                Output::Event(event) => watcher.seen.event(&event, &self.film),
                Output::Wait(at, reason) => {
                    assert!(at > self.now, "the watcher would spin for {reason:?}");
                    watcher.machine.assert_sound();
                    return watcher.seen.agrees(&watcher.machine.counts(), watcher.machine.sound_counts());
                }
            }
        }
        panic!("the watcher never waits");
    }
}

/// Where a watcher gets its sound.
const fn ears(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port() + 1)
}

/// A stream that the server has, or has not.
pub fn name(n: u8) -> Option<StreamName> {
    let names = [&["film", "nowhere"][..], &OTHERS].concat();
    StreamName::parse(names[usize::from(n) % names.len()]).ok()
}

/// An address of the watchers' network.
pub fn outside(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 1, host)), port)
}

/// A message as a datagram.
pub fn datagram(kind: Kind, tag: u32, body: &[u8]) -> Vec<u8> {
    [&Hop::unsequenced(kind, tag, 0).to_bytes()[..], body].concat()
}

//! One server and watchers that reach it over UDP, through pipes, or both.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use udpstream::proto::receiver::{self, Config, Event};
use udpstream::proto::server::{self, StreamKey};
use udpstream::proto::{
    ConnectionState, Input, Machine, Output, Peer, Port, Received, Receiver, Server, Servers, Transmit, Transport,
};
use udpstream::units::{Bitrate, Time, Unit};
use udpstream::wire::message::{Join, Message, Role};
use udpstream::wire::tlv::{self, Tlvs};
use udpstream::wire::{Ecn, Hop, Kind};

use super::pipe::Pipe;
use crate::encoder::Encoder;
use crate::jpeg::Film;
use crate::net::{SERVER, address, secret, streaming};

pub struct TcpWatcher {
    pub machine: Receiver,
    address: SocketAddr,
    /// Its program runs and reads.
    pub reads: bool,
    pub down: Pipe,
    up: Pipe,
    open: bool,
    pub connects: u32,
    pub udp_sent: u64,
    /// Bytes of objects that the server sent it over UDP.
    pub udp_received_at_most: usize,
    latency: Duration,
    wake: Time,
    /// When each picture was shown, and how old it was.
    pub shown: Vec<(Time, Duration)>,
}

impl TcpWatcher {
    /// Pictures that were lost or damaged.
    pub fn lost(&self) -> u64 {
        let pictures = self.machine.counts().pictures;
        pictures.lost + pictures.damaged
    }

    /// Bytes that it has put into its connection.
    pub const fn up_taken(&self) -> usize {
        self.up.taken
    }

    fn peer(&self) -> Peer {
        Peer { port: Port::PICTURES.connections(), address: self.address }
    }

    fn renew(&mut self) {
        (self.down, self.up) = (Pipe::new(self.down.rate, self.latency), Pipe::new(self.up.rate, self.latency));
    }
}

pub struct TcpWorld {
    pub now: Time,
    server: Server,
    key: StreamKey,
    encoder: Encoder,
    wake: Time,
    pub watchers: Vec<TcpWatcher>,
    pub udp_open: bool,
    /// What the server sends over UDP reaches nobody.
    pub deaf: bool,
    /// Datagrams on their way: whether to the server, the watcher and the bytes.
    flights: BTreeMap<(Time, u64), (bool, usize, Vec<u8>)>,
    number: u64,
    departed: BTreeMap<Unit, Time>,
}

impl TcpWorld {
    pub fn new(seed: u64, film: &Rc<Film>, adapt: bool) -> Self {
        let now = Time::from_millis(60_000);
        let mut stream = streaming("film", film);
        stream.adapt = adapt;
        let (server, key) = Server::single(server::Config::new(secret(seed, 1)), stream);
        Self {
            now,
            server,
            key,
            encoder: Encoder::new(Rc::clone(film)),
            wake: now,
            watchers: Vec::new(),
            udp_open: true,
            deaf: false,
            flights: BTreeMap::new(),
            number: 0,
            departed: BTreeMap::new(),
        }
    }

    pub fn watch(&mut self, transport: Transport, rate: Bitrate, latency: Duration) -> usize {
        let n = self.watchers.len();
        let servers = Servers::new(transport, vec![SERVER]);
        let config = Config::new(secret(n as u64, 7), servers);
        self.watchers.push(TcpWatcher {
            machine: Receiver::new(config, self.now),
            address: address(n as u8 + 10, 40_000),
            reads: true,
            down: Pipe::new(rate, latency),
            up: Pipe::new(rate, latency),
            open: false,
            connects: 0,
            udp_sent: 0,
            udp_received_at_most: 0,
            latency,
            wake: self.now,
            shown: Vec::new(),
        });
        n
    }

    /// Somebody else joins over UDP in the name of a watcher's session.
    pub fn steal(&mut self, n: usize) {
        let session = self.server.sessions().nth(n).expect("a session").id;
        let thief = address(200, 41_000);
        self.reach_server(thief, &Message::Hello { highest: 1, lowest: 1, nonce: 7 }, 1_200);
        let Output::Send(challenge) = self.server.poll(self.now) else { panic!("an answer") };
        let Ok(Message::Challenge { cookie, .. }) = Message::parse(Kind::CHALLENGE, challenge.body.bytes()) else {
            panic!("a challenge")
        };
        let mut tlvs = Vec::new();
        tlv::put(&mut tlvs, tlv::kind::WITH_SESSION, &session.to_be_bytes());
        let tlvs = Tlvs::trusted(&tlvs);
        let join = Join { nonce: 7, cookie, role: Role::Watch, fec: 0, max_datagram: 0, tlvs };
        self.reach_server(thief, &Message::Join(join), 0);
        self.wake = self.now;
    }

    /// A message of a stranger, of so many bytes at least.
    fn reach_server(&mut self, from: SocketAddr, message: &Message<'_>, least: usize) {
        let mut bytes = Hop::unsequenced(message.kind(), 0, 0).to_bytes().to_vec();
        message.emit(&mut bytes);
        bytes.resize(bytes.len().max(least), 0);
        let received = Received { port: Port::PICTURES, from, local: None, ecn: Ecn::Not, bytes: &bytes };
        self.server.handle(self.now, Input::Datagram(received));
    }

    pub fn sessions(&self) -> usize {
        self.server.sessions().count()
    }

    /// The connection breaks, for both.
    pub fn cut(&mut self, n: usize) {
        let watcher = &mut self.watchers[n];
        (watcher.open, watcher.wake) = (false, self.now);
        watcher.renew();
        let there = Peer { port: Port::PICTURES.connections(), address: SERVER };
        watcher.machine.handle(self.now, Input::Connection(there, ConnectionState::Closed));
        let here = watcher.peer();
        self.server.handle(self.now, Input::Connection(here, ConnectionState::Closed));
        self.wake = self.now;
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.next();
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.fly();
            (0..self.watchers.len()).for_each(|n| self.pipes(n));
            self.turn_server();
            (0..self.watchers.len()).for_each(|n| self.turn_watcher(n));
        }
        self.now = end;
    }

    fn next(&self) -> Time {
        let flight = self.flights.first_key_value().map_or(Time::NEVER, |((at, _), _)| *at);
        let of = |watcher: &TcpWatcher| {
            let own = if watcher.reads { watcher.wake } else { Time::NEVER };
            own.min(watcher.down.wake()).min(watcher.up.wake())
        };
        let watchers = self.watchers.iter().map(of).min().unwrap_or(Time::NEVER);
        flight.min(watchers).min(self.wake).min(self.encoder.wake())
    }

    fn fly(&mut self) {
        while let Some(entry) = self.flights.first_entry()
            && entry.key().0 <= self.now
        {
            let (to_server, n, bytes) = entry.remove();
            let watcher = &mut self.watchers[n];
            let from = if to_server { watcher.address } else { SERVER };
            let received = Received { port: Port::PICTURES, from, local: None, ecn: Ecn::Not, bytes: &bytes };
            if to_server {
                self.server.handle(self.now, Input::Datagram(received));
                self.wake = self.now;
            } else {
                watcher.machine.handle(self.now, Input::Datagram(received));
                watcher.wake = self.now;
            }
        }
    }

    fn pipes(&mut self, n: usize) {
        let watcher = &mut self.watchers[n];
        let peer = watcher.peer();
        if watcher.down.step(self.now) {
            self.server.handle(self.now, Input::Connection(peer, ConnectionState::Ready));
            self.wake = self.now;
        }
        watcher.up.step(self.now);
        for bytes in watcher.up.read() {
            let (port, from) = (peer.port, peer.address);
            let received = Received { port, from, local: None, ecn: Ecn::Not, bytes: &bytes };
            self.server.handle(self.now, Input::Datagram(received));
            self.wake = self.now;
        }
        if watcher.reads && watcher.down.has_come() {
            for bytes in watcher.down.read() {
                let received = Received { port: peer.port, from: SERVER, local: None, ecn: Ecn::Not, bytes: &bytes };
                watcher.machine.handle(self.now, Input::Datagram(received));
            }
            watcher.wake = self.now;
            // It has made room.
            watcher.down.step(self.now);
        }
    }

    fn turn_server(&mut self) {
        if self.wake.min(self.encoder.wake()) > self.now {
            return;
        }
        loop {
            self.encoder.step(self.now, &mut self.server, self.key);
            match self.server.poll(self.now) {
                Output::Send(transmit) => self.send_down(&transmit),
                Output::Event(server::Event::Departed { unit, at, .. }) => drop(self.departed.insert(unit, at)),
                Output::Event(_) => {}
                Output::Wait(at, reason) => {
                    assert!(at > self.now, "the server would spin for {reason:?}");
                    if !self.encoder.step(self.now, &mut self.server, self.key) {
                        self.wake = at;
                        return;
                    }
                }
            }
        }
    }

    fn send_down(&mut self, transmit: &Transmit) {
        let bytes = [&transmit.hop[..], transmit.body.bytes()].concat();
        // A stranger's are lost.
        let Some(n) = self.watchers.iter().position(|watcher| watcher.address == transmit.to) else { return };
        let watcher = &mut self.watchers[n];
        if transmit.port.is_connections() {
            if watcher.down.put(self.now, &bytes) {
                let peer = watcher.peer();
                self.server.handle(self.now, Input::Connection(peer, ConnectionState::Full));
            }
        } else {
            let (hop, _) = Hop::parse(&bytes).expect("the server's own");
            watcher.udp_received_at_most += if hop.kind.is_sequenced() { bytes.len() } else { 0 };
            let at = self.now + watcher.latency;
            if !self.deaf {
                self.launch(at, (false, n, bytes));
            }
        }
    }

    fn launch(&mut self, at: Time, flight: (bool, usize, Vec<u8>)) {
        if self.udp_open {
            self.number += 1;
            self.flights.insert((at, self.number), flight);
        }
    }

    fn turn_watcher(&mut self, n: usize) {
        loop {
            let watcher = &mut self.watchers[n];
            if !watcher.reads || watcher.wake > self.now {
                return;
            }
            match watcher.machine.poll(self.now) {
                Output::Send(transmit) => {
                    let bytes = [&transmit.hop[..], transmit.body.bytes()].concat();
                    if transmit.port.is_connections() {
                        watcher.connects += u32::from(!std::mem::replace(&mut watcher.open, true));
                        watcher.up.put(self.now, &bytes);
                    } else {
                        watcher.udp_sent += 1;
                        let at = self.now + watcher.latency;
                        self.launch(at, (true, n, bytes));
                    }
                }
                Output::Event(Event::Show { picture, .. }) => {
                    let age = self.now.since(self.departed.get(&picture.unit).copied().unwrap_or(self.now));
                    watcher.shown.push((self.now, age));
                }
                Output::Event(Event::Refused { sentence, .. }) => panic!("{sentence}"),
                Output::Event(receiver::Event::Finished) => return,
                Output::Event(_) => {}
                Output::Wait(at, reason) => {
                    assert!(at > self.now, "the watcher would spin for {reason:?}");
                    watcher.wake = at;
                    return;
                }
            }
        }
    }
}

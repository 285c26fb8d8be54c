//! One deterministic exchange between a real server and real watchers in virtual time.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use udpstream::media::sound::{Chunk, FRAMES, Rendition};
use udpstream::proto::receiver::{self, Receiver};
use udpstream::proto::server::{self, Feed, Local, Server, StreamConfig, StreamKey};
use udpstream::proto::{Input, Machine, Output, Port, Received};
use udpstream::units::{Rate, Size, Time, Unit};
use udpstream::wire::description::Smaller;
use udpstream::wire::message::Message;
use udpstream::wire::{Description, Ecn, Hop, Kind, StreamName};

use crate::jpeg::Film;

pub const SERVER: SocketAddr = address(1, 9_688);
/// Where it sends sound from; what goes from there to the second watcher is lost.
pub const SOUND: SocketAddr = address(1, 9_687);
/// The three who ask; the first moves to [`MOVED`].
pub const FIRST: SocketAddr = address(2, 40_000);
pub const SECOND: SocketAddr = address(3, 40_000);
pub const STRANGER: SocketAddr = address(4, 40_000);
pub const MOVED: SocketAddr = address(2, 40_001);
const PICTURES: u32 = 20;
/// 0.8 s and a little: the last has fewer frames.
const CHUNKS: u32 = 138;
const LATENCY: Duration = Duration::from_micros(200);
const BEGIN: Time = Time::from_millis(60_000);
/// Lost on its way to the first watcher: the object with this hop sequence.
const LOST: u32 = 6;

const fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), port)
}

/// A datagram as it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub at: Time,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

struct Watcher {
    machine: Receiver,
    address: SocketAddr,
    /// Where its sound comes: this one stays.
    ears: SocketAddr,
    shown: u32,
    heard: u32,
    finished: bool,
}

struct Exchange {
    now: Time,
    film: Film,
    server: Server,
    stream: StreamKey,
    given: u32,
    chunks: u32,
    watchers: [Watcher; 2],
    flights: BTreeMap<(Time, usize), Packet>,
    log: Vec<Packet>,
}

/// Everything that was sent, in order.
pub fn exchange() -> Vec<Packet> {
    let rate = Rate::new(25, 1).unwrap();
    let film = Film::new(Size::new(64, 48), rate, 40);
    let description = Description {
        title: "A film".to_owned(),
        size: film.size,
        smaller: Smaller::worth_having(film.size),
        rate,
        length: Some(800_000),
        live: false,
        sound: true,
        ended: None,
        sound_ended: None,
        film: None,
    };
    let config = server::Config { sound_port: SOUND.port(), ..server::Config::new([1; 32]) };
    let (server, stream) = Server::single(config, StreamConfig::new(StreamName::parse("film").unwrap(), description));
    let watchers = [watcher(FIRST, 2, 0, Rendition::Stereo), watcher(SECOND, 3, 1_200, Rendition::Mono)];
    let (flights, log) = (BTreeMap::new(), Vec::new());
    let mut exchange = Exchange { now: BEGIN, film, server, stream, given: 0, chunks: 0, watchers, flights, log };
    exchange.run(Duration::from_millis(200));
    exchange.ask_in_another_version();
    exchange.watchers[0].address = MOVED;
    exchange.run(Duration::from_millis(1_800));
    for watcher in &exchange.watchers {
        assert!(watcher.finished && watcher.shown >= PICTURES - 3, "{} of {PICTURES} shown", watcher.shown);
    }
    let heard = [0, 1].map(|n| exchange.watchers[n].heard);
    assert!(heard[0] == CHUNKS && (5..CHUNKS).contains(&heard[1]), "{heard:?} of {CHUNKS} chunks heard");
    exchange.log
}

fn watcher(address: SocketAddr, seed: u8, max_datagram: u16, sound: Rendition) -> Watcher {
    let servers = vec![SERVER];
    let config = receiver::Config { max_datagram, sound: Some(sound), ..receiver::Config::new([seed; 32], servers) };
    Watcher {
        machine: Receiver::new(config, BEGIN),
        address,
        ears: beside(address),
        shown: 0,
        heard: 0,
        finished: false,
    }
}

/// The same host's socket for the other port.
const fn beside(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port() + 10_000)
}

impl Exchange {
    /// In steps of 100 µs: polling more often than needed changes nothing.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.deliver();
            self.feed();
            self.turn();
            self.now += Duration::from_micros(100);
        }
    }

    fn feed(&mut self) {
        if self.server.wants_picture(self.stream) {
            let feed = match self.given {
                PICTURES => Feed::Ended(None),
                unit => Feed::Picture(self.film.picture(Unit(unit), self.now, self.now)),
            };
            self.given = (self.given + 1).min(PICTURES);
            self.server.handle(self.now, Input::Local(Local::Stream(self.stream, feed)));
        }
        if self.server.wants_sound(self.stream) {
            let feed = match self.chunks {
                CHUNKS => Feed::SoundEnded,
                number => Feed::Sound(chunk(number, self.now)),
            };
            self.chunks = (self.chunks + 1).min(CHUNKS);
            self.server.handle(self.now, Input::Local(Local::Stream(self.stream, feed)));
        }
    }

    fn turn(&mut self) {
        loop {
            match self.server.poll(self.now) {
                Output::Send(sent) => {
                    let from = if sent.port == Port::SOUND { SOUND } else { SERVER };
                    self.send(from, sent.to, [&sent.hop, sent.body.bytes()].concat());
                }
                Output::Event(_) => {}
                Output::Wait(..) => break,
            }
        }
        for n in 0..self.watchers.len() {
            self.turn_watcher(n);
        }
    }

    fn turn_watcher(&mut self, n: usize) {
        loop {
            let Watcher { machine, address, ears, shown, heard, finished } = &mut self.watchers[n];
            match machine.poll(self.now) {
                Output::Send(sent) => {
                    let from = if sent.port == Port::SOUND { *ears } else { *address };
                    self.send(from, sent.to, [&sent.hop, sent.body.bytes()].concat());
                }
                Output::Event(receiver::Event::Show { .. }) => *shown += 1,
                Output::Event(receiver::Event::Sound { piece, .. }) => *heard += u32::from(!piece.is_lost()),
                Output::Event(receiver::Event::Finished) => *finished = true,
                Output::Event(_) => {}
                Output::Wait(..) => break,
            }
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let packet = Packet { at: self.now, from, to, bytes };
        self.log.push(packet.clone());
        let (hop, _) = Hop::parse(&packet.bytes).unwrap();
        let lost = to == FIRST && hop.kind == Kind::OBJECT && hop.sequence == LOST;
        if !lost && to != beside(SECOND) {
            self.flights.insert((self.now + LATENCY, self.log.len()), packet);
        }
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.flights.first_entry()
            && entry.key().0 <= self.now
        {
            let Packet { from, to, bytes, .. } = entry.remove();
            if let Some(port) = [SERVER, SOUND].iter().position(|other| *other == to) {
                let received = Received { port: Port(port as u16), from, local: None, ecn: Ecn::Not, bytes: &bytes };
                self.server.handle(self.now, Input::Datagram(received));
            } else if let Some(watcher) =
                self.watchers.iter_mut().find(|watcher| [watcher.address, watcher.ears].contains(&to))
            {
                let port = if to == watcher.ears { Port::SOUND } else { Port::PICTURES };
                watcher.machine.handle(
                    self.now,
                    Input::Datagram(Received { port, from, local: None, ecn: Ecn::Not, bytes: &bytes }),
                );
            }
        }
    }

    /// A Hello of somebody who speaks versions 2 to 3.
    fn ask_in_another_version(&mut self) {
        let mut bytes = Hop::unsequenced(Kind::HELLO, 0, 0).to_bytes().to_vec();
        bytes[2] = 3;
        Message::Hello { highest: 3, lowest: 2, nonce: 0x0123_4567_89ab_cdef }.emit(&mut bytes);
        self.send(STRANGER, SERVER, bytes);
    }
}

/// Louder on the left than on the right.
fn chunk(number: u32, now: Time) -> Chunk {
    let frames = if number + 1 == CHUNKS { 208 } else { FRAMES };
    let sample = |n: usize| ((number as usize * FRAMES + n) % 100) as i16;
    Chunk { number, frames: (0..frames).map(|n| [sample(n) * 200, sample(n) * -50]).collect(), captured: now }
}

#[test]
fn the_same_seeds_send_the_same_bytes() {
    assert!(exchange() == exchange());
}

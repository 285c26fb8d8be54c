//! One deterministic exchange between a real server and real watchers in virtual time.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use udpstream::proto::receiver::{self, Receiver};
use udpstream::proto::server::{self, Server};
use udpstream::proto::{Input, Machine, Output, Port, Received};
use udpstream::units::{Rate, Size, Time, Unit};
use udpstream::wire::message::Message;
use udpstream::wire::{Description, Hop, Kind};

use crate::jpeg::Film;

pub const SERVER: SocketAddr = address(1, 9_688);
/// The three who ask; the first moves to [`MOVED`].
pub const FIRST: SocketAddr = address(2, 40_000);
pub const SECOND: SocketAddr = address(3, 40_000);
pub const STRANGER: SocketAddr = address(4, 40_000);
pub const MOVED: SocketAddr = address(2, 40_001);
const PICTURES: u32 = 12;
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
    shown: u32,
    finished: bool,
}

struct Exchange {
    now: Time,
    film: Film,
    server: Server,
    given: u32,
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
        rate,
        length: Some(480_000),
        live: false,
        sound: false,
        ended: None,
        sound_ended: None,
    };
    let server = Server::new(server::Config::new([1; 32], description));
    let watchers = [watcher(FIRST, 2, 0), watcher(SECOND, 3, 1_200)];
    let mut exchange =
        Exchange { now: BEGIN, film, server, given: 0, watchers, flights: BTreeMap::new(), log: Vec::new() };
    exchange.run(Duration::from_millis(200));
    exchange.ask_in_another_version();
    exchange.watchers[0].address = MOVED;
    exchange.run(Duration::from_millis(1_800));
    for watcher in &exchange.watchers {
        assert!(watcher.finished && watcher.shown >= PICTURES - 3, "{} of {PICTURES} shown", watcher.shown);
    }
    exchange.log
}

fn watcher(address: SocketAddr, seed: u8, max_datagram: u16) -> Watcher {
    let servers = vec![SERVER];
    let config = receiver::Config { max_datagram, ..receiver::Config::new([seed; 32], servers) };
    Watcher { machine: Receiver::new(config, BEGIN), address, shown: 0, finished: false }
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
        if self.server.wants_picture() {
            let local = match self.given {
                PICTURES => server::Local::Ended,
                unit => server::Local::Picture(self.film.picture(Unit(unit), self.now, self.now)),
            };
            self.given = (self.given + 1).min(PICTURES);
            self.server.handle(self.now, Input::Local(local));
        }
    }

    fn turn(&mut self) {
        loop {
            match self.server.poll(self.now) {
                Output::Send(sent) => self.send(SERVER, sent.to, [&sent.hop, sent.body.bytes()].concat()),
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
            let Watcher { machine, address, shown, finished } = &mut self.watchers[n];
            match machine.poll(self.now) {
                Output::Send(sent) => {
                    let from = *address;
                    self.send(from, sent.to, [&sent.hop, sent.body.bytes()].concat());
                }
                Output::Event(receiver::Event::Show { .. }) => *shown += 1,
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
        if to != FIRST || hop.kind != Kind::OBJECT || hop.sequence != LOST {
            self.flights.insert((self.now + LATENCY, self.log.len()), packet);
        }
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.flights.first_entry()
            && entry.key().0 <= self.now
        {
            let Packet { from, to, bytes, .. } = entry.remove();
            let received = Received { port: Port::default(), from, bytes: &bytes };
            if to == SERVER {
                self.server.handle(self.now, Input::Datagram(received));
            } else if let Some(watcher) = self.watchers.iter_mut().find(|watcher| watcher.address == to) {
                watcher.machine.handle(self.now, Input::Datagram(received));
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

#[test]
fn the_same_seeds_send_the_same_bytes() {
    assert!(exchange() == exchange());
}

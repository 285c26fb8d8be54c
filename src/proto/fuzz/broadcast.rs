//! A server that takes publishers, one of these, and a watcher that has the code, all honest; and between them a network that loses,
//! repeats and damages as the script says, strangers who say anything in anybody's name, kills and pauses.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::forge;
use super::script::Script;
use super::world::datagram;
use crate::proto::publisher::{self, Publisher};
use crate::proto::relay::{self, Publishing, Relay};
use crate::proto::server::{self, Feed, StreamConfig};
use crate::proto::{Input, Machine, Output, Port, Received, Receiver, Transmit, receiver};
use crate::seal::{Grant, Key, LookupId};
use crate::units::{Bitrate, Rate, Size, Time};
use crate::wire::description::Smaller;
use crate::wire::{Description, Ecn, HOP_LEN, Kind};

const HUB: ([u8; 4], u16) = ([10, 0, 0, 1], 9_688);
const PUBLISHER: ([u8; 4], u16) = ([10, 0, 0, 2], 40_000);
const WATCHER: ([u8; 4], u16) = ([10, 0, 0, 3], 40_000);
/// Polls in a row without a wait: more is a spin.
const MOST_POLLS: usize = 20_000;
/// Datagrams that the network keeps to say them again.
const KEPT: usize = 64;

struct Broadcast {
    hub: Relay,
    publisher: Publisher,
    watcher: Receiver,
    allowed: Option<Key>,
    now: Time,
    /// Of the publisher's session, as its last datagram had it.
    tag: u32,
    sequence: u32,
    /// The line between publisher and server is broken.
    broken: bool,
    kept: VecDeque<(SocketAddr, Vec<u8>)>,
    started: u8,
}

/// See the head of this file.
#[doc(hidden)]
pub fn fuzz_publish(data: &[u8]) {
    let mut script = Script::new(data);
    let Some(mut broadcast) = Broadcast::new(&mut script) else { return };
    for _ in 0..super::STEPS {
        if script.is_over() {
            break;
        }
        broadcast.step(&mut script);
    }
    broadcast.run(Duration::from_secs(2));
    broadcast.hub.assert_sound();
}

fn grant() -> Grant {
    Grant { code: LookupId::new(77).map(|id| (id, Key::new([7; 32]))), owner: Key::new([8; 32]) }
}

impl Broadcast {
    fn new(script: &mut Script<'_>) -> Option<Self> {
        let choice = script.u8();
        let now = Time::from_millis(1_000);
        let allowed = (choice & 1 == 0).then(|| Key::new([9; 32]));
        let max_rate = (choice & 2 == 0).then(|| Bitrate::bps(2_000_000));
        let publishing = Some(Publishing { most: 2, allowed: allowed.clone(), max_rate });
        let mut server = server::Config::new([1; 32]);
        server.sound_port = 9_687;
        let (origins, tapped) = (Vec::new(), choice & 4 == 0);
        let config =
            relay::Config { seed: [2; 32], server, id: 7, origins: origins.into(), name: None, publishing, tapped };
        let mut watching = receiver::Config::new([3; 32], vec![HUB.into()]);
        watching.stay = true;
        watching.secret = LookupId::new(77).map(|id| receiver::Secret::Code(id, Key::new([7; 32])));
        let mut broadcast = Self {
            hub: Relay::new(config, now),
            publisher: publishes(0, now, allowed.clone())?,
            allowed,
            watcher: Receiver::new(watching, now),
            now,
            tag: 0,
            sequence: 0,
            broken: false,
            kept: VecDeque::new(),
            started: 0,
        };
        broadcast.run(Duration::from_millis(400));
        Some(broadcast)
    }

    fn step(&mut self, script: &mut Script<'_>) {
        self.sequence = self.sequence.wrapping_add(1);
        let (tag, sequence) = (self.tag, self.sequence);
        match script.choice(12) {
            0 | 1 => self.run(Duration::from_millis(u64::from(script.u8()) * 8)),
            2..=4 => self.hub_hears(PUBLISHER.into(), &forge::object(tag, sequence, script)),
            5 => self.hub_hears(PUBLISHER.into(), &forge::parity(tag, sequence, script)),
            6 => self.hub_hears(PUBLISHER.into(), &forge::chunk(tag, sequence, script)),
            7 => self.hub_hears(PUBLISHER.into(), &datagram(Kind(script.u8()), tag, script.bytes())),
            8 => self.publisher_hears(&datagram(Kind(script.u8()), tag, script.bytes())),
            9 => self.again(script),
            10 => self.hub_hears(WATCHER.into(), &datagram(Kind(script.u8()), script.u32(), script.bytes())),
            _ => self.turn(script),
        }
    }

    /// Something that was said is said once more, perhaps damaged, perhaps by somebody else.
    fn again(&mut self, script: &mut Script<'_>) {
        let Some((from, mut bytes)) = self.kept.get(script.choice(KEPT)).cloned() else { return };
        if script.u8() < 128 {
            let at = script.choice(bytes.len());
            bytes[at] ^= script.u8();
        }
        let from = if script.u8() < 64 { SocketAddr::from(([10, 0, 0, 9], 9)) } else { from };
        self.hub_hears(from, &bytes);
    }

    fn turn(&mut self, script: &mut Script<'_>) {
        match script.choice(6) {
            0 => self.broken = !self.broken,
            1 => {
                self.started += 1;
                if let Some(publisher) = publishes(self.started, self.now, self.allowed.clone()) {
                    self.publisher = publisher;
                }
            }
            2 => {
                let pause = Feed::Pause(script.u8().is_multiple_of(2));
                self.tell_publisher(server::Local::Stream(self.publisher.stream(), pause));
            }
            4 => self.publisher.handle(self.now, Input::Local(publisher::Local::Say("hm".to_owned()))),
            3 => self.tell_publisher(server::Local::Stop("Stopped.".to_owned())),
            _ => self.watcher.handle(self.now, Input::Local(receiver::Local::Pause(script.u8().is_multiple_of(2)))),
        }
    }

    fn tell_publisher(&mut self, local: server::Local) {
        self.publisher.handle(self.now, Input::Local(publisher::Local::Server(local)));
    }

    fn hub_hears(&mut self, from: SocketAddr, bytes: &[u8]) {
        let received = Received { port: Port::PICTURES, from, local: None, ecn: Ecn::Not, bytes };
        self.hub.handle(self.now, Input::Datagram(received));
    }

    fn publisher_hears(&mut self, bytes: &[u8]) {
        let received = Received { port: Port::PICTURES, from: HUB.into(), local: None, ecn: Ecn::Not, bytes };
        self.publisher.handle(self.now, Input::Datagram(received));
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let (mut polls, mut next, mut busy) = (0, Time::NEVER, true);
            while busy {
                polls += 1;
                assert!(polls < MOST_POLLS, "it spins");
                busy = self.poll_hub(&mut next) | self.poll_publisher(&mut next) | self.poll_watcher(&mut next);
            }
            if next > end {
                break;
            }
            self.now = self.now.max(next);
        }
        self.now = end;
    }

    fn poll_hub(&mut self, next: &mut Time) -> bool {
        match self.hub.poll(self.now) {
            Output::Send(transmit) => {
                let bytes = whole(&transmit);
                if transmit.to == SocketAddr::from(PUBLISHER) {
                    if !self.broken {
                        self.publisher_hears(&bytes);
                    }
                } else if transmit.to.ip() == SocketAddr::from(WATCHER).ip() {
                    let port = Port(transmit.to.port() - WATCHER.1);
                    let from = SocketAddr::from((HUB.0, HUB.1 - transmit.port.0));
                    let received = Received { port, from, local: None, ecn: Ecn::Not, bytes: &bytes };
                    self.watcher.handle(self.now, Input::Datagram(received));
                }
                true
            }
            Output::Event(_) => true,
            Output::Wait(at, _) => later(next, at),
        }
    }

    fn poll_publisher(&mut self, next: &mut Time) -> bool {
        match self.publisher.poll(self.now) {
            Output::Send(transmit) => {
                let bytes = whole(&transmit);
                self.tag = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
                self.keep(PUBLISHER.into(), &bytes);
                if !self.broken {
                    self.hub_hears(PUBLISHER.into(), &bytes);
                }
                true
            }
            Output::Event(_) => true,
            Output::Wait(at, _) => later(next, at),
        }
    }

    fn poll_watcher(&mut self, next: &mut Time) -> bool {
        match self.watcher.poll(self.now) {
            Output::Send(transmit) => {
                let (ip, port) = WATCHER;
                let from = SocketAddr::from((ip, port + transmit.port.0));
                let bytes = whole(&transmit);
                self.keep(from, &bytes);
                let received = Received { port: transmit.port, from, local: None, ecn: Ecn::Not, bytes: &bytes };
                self.hub.handle(self.now, Input::Datagram(received));
                true
            }
            Output::Event(_) => true,
            Output::Wait(at, _) => later(next, at),
        }
    }

    fn keep(&mut self, from: SocketAddr, bytes: &[u8]) {
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((from, bytes.to_vec()));
    }
}

fn later(next: &mut Time, at: Time) -> bool {
    *next = (*next).min(at);
    false
}

fn whole(transmit: &Transmit) -> Vec<u8> {
    let bytes = [&transmit.hop[..], transmit.body.bytes()].concat();
    assert!(bytes.len() >= HOP_LEN);
    bytes
}

/// A publisher of a live stream of which nothing is shown: what it sends of pictures the script makes up.
fn publishes(started: u8, now: Time, allowed: Option<Key>) -> Option<Publisher> {
    let description = Description {
        title: "A camera".to_owned(),
        size: Size::new(320, 240),
        smaller: Smaller::halved(2),
        rate: Rate::TYPICAL,
        length: None,
        live: true,
        sound: true,
        ended: None,
        sound_ended: None,
        film: None,
    };
    let config = publisher::Config {
        seed: [20 + started % 100; 32],
        servers: vec![HUB.into()].into(),
        name: None,
        grant: grant(),
        allowed,
        server: server::Config::new([120 + started % 100; 32]),
    };
    Some(Publisher::new(config, StreamConfig::new(super::world::name(0)?, description), now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the scripts would prove little.
    #[test]
    fn a_publisher_is_taken_and_its_watcher_let_in() {
        for choice in [0, 1] {
            let Some(mut broadcast) = Broadcast::new(&mut Script::new(&[choice])) else { panic!("no broadcast") };
            broadcast.run(Duration::from_secs(2));
            assert!(broadcast.publisher.is_accepted());
            assert_eq!(broadcast.hub.server().watchers(), 1);
        }
    }
}

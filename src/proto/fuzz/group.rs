//! Receivers of a group, one of which asks beside it: what is sent there is lost, repeated, damaged and made up, by its sender, by
//! others in its name, and by strangers. The honest part of it is a server's.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::film::Film;
use super::script::Script;
use super::seen::Seen;
use super::sources::{Source, serving};
use super::world::{datagram, outside};
use super::{STEPS, damage, forge};
use crate::media::sound::Rendition;
use crate::proto::receiver::{self, RepairPlace};
use crate::proto::server::{GroupConfig, Local};
use crate::proto::{Input, Machine, Output, Port, Received, Receiver, Server};
use crate::units::{Rate, Time};
use crate::wire::{Ecn, Hop, Kind};

/// Datagrams to the group that may come again.
const OLD: usize = 64;
const PATIENCE: usize = 2_000;

struct Group {
    now: Time,
    server: Server,
    sources: Vec<Source>,
    servers: u8,
    film: Film,
    receivers: Vec<(Receiver, Seen)>,
    /// To the group, and between one receiver and the server.
    old: VecDeque<Vec<u8>>,
    hop: u32,
}

/// Receivers of a group.
#[doc(hidden)]
pub fn fuzz_group(data: &[u8]) {
    let mut script = Script::new(data);
    let Some(mut group) = Group::new(&mut script) else { return };
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        match script.choice(8) {
            0..=2 => group.run(script.u8() / 2),
            3 => group.halt(Duration::from_millis(u64::from(script.u8()) * 20)),
            4 => group.again(&mut script),
            5 => group.forge(&mut script),
            6 => group.wish(&mut script),
            _ => group.server_does(&mut script),
        }
    }
    group.run(5);
}

impl Group {
    fn new(script: &mut Script<'_>) -> Option<Self> {
        let (bits, now) = (script.u8(), Time::from_millis(60_000));
        let receiver = |n: u8| {
            let config = receiver::Config {
                stay: bits & 1 != 0,
                sound: (bits & 2 != 0).then_some(Rendition::Stereo),
                latency: Duration::from_millis(if bits & 4 == 0 { 0 } else { 100 }),
                ..receiver::Config::new([n; 32], Vec::new())
            };
            let mut machine = Receiver::tuned(config, now);
            if n == 2 {
                machine.repair_from(RepairPlace::Told);
            }
            let mut seen = Seen::of(bits & 2 != 0);
            // What is sent to a group anybody may have made up.
            seen.hostile = true;
            (machine, seen)
        };
        let mut group = Self {
            now,
            server: Server::new(crate::proto::server::Config::new([0; 32])),
            sources: Vec::new(),
            servers: 0,
            film: Film::default(),
            receivers: vec![receiver(1), receiver(2)],
            old: VecDeque::new(),
            hop: 0,
        };
        group.restart(bits)?;
        Some(group)
    }

    /// Another server begins to send to the group.
    fn restart(&mut self, bits: u8) -> Option<()> {
        self.servers = self.servers.wrapping_add(1);
        let plan = (bits & 8 != 0, Rate::new(if bits & 16 == 0 { 30 } else { 1 }, 1)?, true, bits & 2 != 0);
        (self.server, self.sources) = serving(self.servers, 0, plan, 1)?;
        let mut config = GroupConfig::new(Port::GROUP, GROUP);
        (config.parity, config.unicast) = (bits % 51, SERVER.port());
        self.server.handle(self.now, Input::Local(Local::Group(self.sources.first()?.key, config)));
        Some(())
    }

    fn run(&mut self, millis: u8) {
        for _ in 0..millis {
            self.now += Duration::from_millis(1);
            for source in &mut self.sources {
                source.feed(self.now, &mut self.server, &mut self.film);
            }
            self.turn(true);
        }
    }

    /// Time goes by, and what is sent is lost.
    fn halt(&mut self, time: Duration) {
        self.now += time;
        self.turn(false);
    }

    /// One that was sent comes again, perhaps damaged, from its sender or from somebody else.
    fn again(&mut self, script: &mut Script<'_>) {
        let (n, at, bits) = (script.choice(OLD), usize::from(script.u16()), script.u8());
        let Some(mut bytes) = self.old.get(n % self.old.len().max(1)).cloned() else { return };
        if bits & 1 == 0 {
            damage(&mut bytes, at, bits);
        }
        self.come(sender(bits), &bytes);
    }

    fn forge(&mut self, script: &mut Script<'_>) {
        let from = sender(script.u8());
        let bytes = match script.choice(6) {
            0 => forge::object(0, self.hop, script),
            1 => forge::parity(0, self.hop, script),
            2 => forge::chunk(0, self.hop, script),
            3 => datagram(Kind::UPDATE, 0, &[&[0; 4][..], script.bytes()].concat()),
            4 => datagram(Kind::BYE, 0, &[&[0; 8][..], script.bytes()].concat()),
            _ => datagram(Kind(script.u8()), script.u32() & 1, script.bytes()),
        };
        self.come(from, &bytes);
    }

    fn wish(&mut self, script: &mut Script<'_>) {
        let local = match script.choice(6) {
            0 => receiver::Local::Stop,
            1 => receiver::Local::Pause(script.u8().is_multiple_of(2)),
            2 => receiver::Local::List,
            3 => receiver::Local::Sound(Rendition::of(script.u8() / 64)),
            4 => receiver::Local::Switch(None),
            _ => receiver::Local::Loudspeaker(Some(Duration::from_millis(u64::from(script.u8())))),
        };
        let n = script.choice(2);
        self.receivers[n].1.told(&local);
        self.receivers[n].0.handle(self.now, Input::Local(local));
        self.turn(true);
    }

    fn server_does(&mut self, script: &mut Script<'_>) {
        match script.choice(3) {
            0 => drop(self.restart(script.u8())),
            1 => self.server.handle(self.now, Input::Local(Local::Stop("Stopped.".to_owned()))),
            _ => {
                let (port, bytes) = (Port(u16::from(script.u8()) << (script.u8() % 2)), script.bytes());
                let received = Received { port, from: outside(9, 9), local: None, ecn: Ecn::Not, bytes };
                self.server.handle(self.now, Input::Datagram(received));
            }
        }
        self.turn(true);
    }

    /// Something comes to the group.
    fn come(&mut self, from: SocketAddr, bytes: &[u8]) {
        for (receiver, _) in &mut self.receivers {
            let received = Received { port: Port::PICTURES, from, local: None, ecn: Ecn::Not, bytes };
            receiver.handle(self.now, Input::Datagram(received));
        }
        self.turn(true);
    }

    /// All do what is due. `arrives`: what they send comes to where it is sent.
    fn turn(&mut self, arrives: bool) {
        for _ in 0..PATIENCE {
            let sent = self.turn_server(arrives);
            let said = (0..self.receivers.len()).map(|n| self.turn_receiver(n, arrives)).fold(false, |a, b| a | b);
            if !sent && !said {
                return;
            }
        }
        panic!("they never wait");
    }

    /// Returns whether it sent something to a receiver alone.
    fn turn_server(&mut self, arrives: bool) -> bool {
        let mut sent = false;
        for _ in 0..PATIENCE {
            match self.server.poll(self.now) {
                Output::Send(transmit) => {
                    let bytes = [&transmit.hop[..], transmit.body.bytes()].concat();
                    let to_group = transmit.to == GROUP;
                    assert_eq!(to_group, transmit.port == Port::GROUP, "each from its own socket");
                    if let Ok((hop, _)) = Hop::parse(&bytes) {
                        assert!(!to_group || hop.tag == 0, "a session's datagram went to the group");
                        self.hop = if to_group && hop.kind.is_sequenced() { hop.sequence } else { self.hop };
                    }
                    let port = if to_group { Port::PICTURES } else { Port::SOUND };
                    let own = |n: usize| to_group || transmit.to == outside(n as u8 + 1, 40_001);
                    for n in (0..self.receivers.len()).filter(|n| arrives && own(*n)) {
                        let from = if to_group { SENDER } else { SERVER };
                        let received = Received { port, from, local: None, ecn: Ecn::Not, bytes: &bytes };
                        self.receivers[n].0.handle(self.now, Input::Datagram(received));
                        sent = true;
                    }
                    if to_group {
                        self.old.push_back(bytes);
                        self.old.drain(..self.old.len().saturating_sub(OLD));
                    }
                }
                Output::Event(_) => {}
                Output::Wait(at, reason) => {
                    assert!(at > self.now, "the server would spin for {reason:?}");
                    self.server.assert_sound();
                    return sent;
                }
            }
        }
        panic!("the server never waits");
    }

    /// Returns whether it said something.
    fn turn_receiver(&mut self, n: usize, arrives: bool) -> bool {
        let mut said = false;
        for _ in 0..PATIENCE {
            let (receiver, seen) = &mut self.receivers[n];
            match receiver.poll(self.now) {
                Output::Send(transmit) => {
                    assert!(
                        n == 1 && transmit.port == Port::SOUND && transmit.to.ip() != GROUP.ip(),
                        "it only listens"
                    );
                    let bytes = [&transmit.hop[..], transmit.body.bytes()].concat();
                    if arrives && transmit.to == SERVER {
                        let from = outside(n as u8 + 1, 40_001);
                        let port = Port::PICTURES;
                        let received = Received { port, from, local: None, ecn: Ecn::Not, bytes: &bytes };
                        self.server.handle(self.now, Input::Datagram(received));
                        said = true;
                    }
                }
                Output::Event(event) => seen.event(&event, &self.film),
                Output::Wait(at, reason) => {
                    assert!(at > self.now, "the receiver would spin for {reason:?}");
                    receiver.assert_sound();
                    return said;
                }
            }
        }
        panic!("the receiver never waits");
    }
}

/// Somebody who sends to the group: the server, or a stranger.
fn sender(bits: u8) -> SocketAddr {
    if bits & 6 == 0 { outside(50 + bits % 3, 5_000) } else { SENDER }
}

const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 1, 2)), 9_688);
/// The server, and its socket that sends to the group.
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 9_688);
const SENDER: SocketAddr = SocketAddr::new(SERVER.ip(), 40_000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_gets_far() {
        let Some(mut group) = Group::new(&mut Script::new(&[2])) else { panic!("no group") };
        (0..20).for_each(|_| group.run(50));
        let shown: Vec<u64> = group.receivers.iter().map(|(receiver, _)| receiver.counts().pictures.shown).collect();
        assert!(shown.iter().all(|shown| *shown >= 20), "{shown:?} pictures shown in a second");
    }
}

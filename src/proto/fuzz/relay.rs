//! A relay between an origin that says whatever the script wants, and a watcher that is honest. The origin answers so that sessions
//! are made; what it says in them are objects of any name, goodbyes, updates and nonsense.

use std::net::SocketAddr;
use std::time::Duration;

use super::forge;
use super::script::Script;
use super::world::datagram;
use crate::proto::relay::{Config, Event, Local, Relay};
use crate::proto::server;
use crate::proto::{Input, Machine, Output, Port, Received, Receiver, Transmit, receiver};
use crate::units::{MediaTime, Rate, Size, Speed, Time, Unit};
use crate::wire::description::Smaller;
use crate::wire::message::{
    Accept, ClockEcho, Message, NameRange, Refuse, RefuseCode, RelayHop, State, Timeline, put_hops, put_via,
};
use crate::wire::object::Type;
use crate::wire::tlv::Tlvs;
use crate::wire::{Description, Ecn, HOP_LEN, Hop, Kind, ObjectView, VERSION};

const ORIGIN: ([u8; 4], u16) = ([10, 0, 0, 1], 9_688);
const RELAY: ([u8; 4], u16) = ([10, 0, 0, 2], 9_690);
const WATCHER: ([u8; 4], u16) = ([10, 0, 0, 3], 40_000);
/// Polls in a row without a wait: more is a spin.
const MOST_POLLS: usize = 20_000;

/// What the origin has made of a port of the relay.
#[derive(Default)]
struct Told {
    session: u64,
    sequence: u32,
}

struct Between {
    relay: Relay,
    watcher: Receiver,
    now: Time,
    /// By the relay's ports.
    told: Vec<Told>,
    /// What the origin does with who joins.
    refuses: bool,
    hash: Option<[u8; 32]>,
    stream: u64,
}

/// See the head of this file.
#[doc(hidden)]
pub fn fuzz_relay(data: &[u8]) {
    let mut script = Script::new(data);
    let mut between = Between::new(&mut script);
    for _ in 0..super::STEPS {
        if script.is_over() {
            break;
        }
        between.step(&mut script);
    }
    between.run(Duration::from_secs(2));
    between.relay.assert_sound();
}

impl Between {
    fn new(script: &mut Script<'_>) -> Self {
        let choice = script.u8();
        let mut server = server::Config::new([1; 32]);
        server.sound_port = 9_689;
        let name = (choice & 1 == 0).then(|| super::world::name(0)).flatten();
        let (tapped, publishing) = (choice & 8 != 0, None);
        let config =
            Config { seed: [2; 32], server, id: 7, origins: vec![ORIGIN.into()].into(), name, publishing, tapped };
        let mut watching = receiver::Config::new([3; 32], vec![RELAY.into()]);
        watching.talk = Some("ann".to_owned());
        (watching.stay, watching.sound) = (true, Some(crate::media::sound::Rendition::Stereo));
        let now = Time::from_millis(1_000);
        let hash = (choice & 2 == 0).then_some([9; 32]);
        let (relay, watcher) = (Relay::new(config, now), Receiver::new(watching, now));
        let mut between = Self { relay, watcher, now, told: Vec::new(), refuses: choice & 4 != 0, hash, stream: 1 };
        between.run(Duration::from_millis(300));
        between
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let port = Port(u16::from(2 + script.u8() % 6));
        let (tag, sequence) = self.told_at(port).map_or((0, 0), |told| {
            told.sequence += 1;
            (told.session as u32, told.sequence)
        });
        match script.choice(10) {
            0 | 1 => self.run(Duration::from_millis(u64::from(script.u8()) * 4)),
            2..=4 => self.say(port, forge::object(tag, sequence, script)),
            5 => self.say(port, forge::parity(tag, sequence, script)),
            6 => self.say(port, forge::chunk(tag, sequence, script)),
            7 => self.say(port, datagram(Kind(script.u8()), tag, script.bytes())),
            8 if script.u8() < 64 => {
                let session = self.told_at(port).map_or(0, |told| told.session);
                self.say(port, forge::talk(session, script));
            }
            8 => self.speak(port, script),
            _ => self.turn(script),
        }
    }

    /// Messages that a server may say.
    fn speak(&mut self, port: Port, script: &mut Script<'_>) {
        let session = self.told_at(port).map_or(0, |told| told.session);
        let mut tlvs = Vec::new();
        let range = NameRange {
            stream: script.u64(),
            kind: Type(script.u8()),
            rendition: script.u8(),
            cut: script.u8(),
            first: Unit(script.u32()),
            last: Unit(script.u32()),
        };
        let message = match script.choice(4) {
            0 => Message::Bye { session, code: u16::from(script.u8() % 6), sentence: "Gone." },
            1 => Message::Gone { session, range },
            _ => {
                let speed = Speed::new(script.u32() % 5, script.u32() % 5).unwrap_or(Speed::NORMAL);
                let media = MediaTime::from_micros(script.u64().cast_signed());
                let clock = Time::from_micros(script.u64() >> script.u8().min(63));
                let generation = u32::from(script.u8());
                Timeline { generation, state: State::Playing, media, clock, speed }.put(&mut tlvs);
                let echo = self.now.wire_micros();
                ClockEcho { echo, held: u32::from(script.u8()), clock: script.u64() >> 20 }.put(&mut tlvs);
                let ids = (0..script.choice(12)).map(|n| n as u64 + 3);
                let hops: Vec<RelayHop> = ids.map(|id| RelayHop { id, age: None }).collect();
                put_hops(&mut tlvs, &hops);
                Message::Update { number: u32::from(script.u8()), tlvs: Tlvs::trusted(&tlvs) }
            }
        };
        self.say_message(port, &message);
    }

    /// The origin changes, or the watcher does.
    fn turn(&mut self, script: &mut Script<'_>) {
        match script.choice(7) {
            0 => self.refuses = !self.refuses,
            1 => self.stream = self.stream.wrapping_add(1),
            2 => self.hash = self.hash.map_or(Some([script.u8(); 32]), |_| None),
            3 => self.watcher.handle(self.now, Input::Local(receiver::Local::Pause(script.u8().is_multiple_of(2)))),
            4 => {
                let keys: Vec<_> = self.relay.server().keys().collect();
                let range =
                    NameRange { stream: 1, kind: Type::PICTURE, rendition: 0, cut: 3, first: Unit(0), last: Unit(9) };
                let get = |key| Local::Get(key, range);
                keys.into_iter().for_each(|key| self.relay.handle(self.now, Input::Local(get(key))));
            }
            5 => self.watcher.handle(self.now, Input::Local(receiver::Local::Say("hm".to_owned()))),
            _ => self.watcher.handle(self.now, Input::Local(receiver::Local::Sound(None))),
        }
    }

    fn told_at(&mut self, port: Port) -> Option<&mut Told> {
        self.told.get_mut(usize::from(port.0))
    }

    fn say_message(&mut self, port: Port, message: &Message<'_>) {
        let kind = message.kind();
        let tag = if kind == Kind::REFUSE || kind == Kind::CHALLENGE || kind == Kind::LISTING {
            0
        } else {
            self.told_at(port).map_or(0, |told| told.session as u32)
        };
        let sequence = match self.told_at(port) {
            Some(told) if kind.is_sequenced() => {
                told.sequence += 1;
                told.sequence
            }
            _ => 0,
        };
        let mut bytes = Hop { kind, tag, sequence, sent_at: self.now.wire_micros() }.to_bytes().to_vec();
        message.emit(&mut bytes);
        self.say(port, bytes);
    }

    /// The origin says something to one of the relay's ports.
    fn say(&mut self, port: Port, bytes: Vec<u8>) {
        let from = SocketAddr::from(ORIGIN);
        let received = Received { port, from, local: None, ecn: Ecn::Not, bytes: &bytes };
        self.relay.handle(self.now, Input::Datagram(received));
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let (mut polls, mut next) = (0, Time::NEVER);
            let mut busy = true;
            while busy {
                polls += 1;
                assert!(polls < MOST_POLLS, "it spins");
                busy = self.poll_relay(&mut next) | self.poll_watcher(&mut next);
            }
            if next > end {
                break;
            }
            self.now = self.now.max(next);
        }
        self.now = end;
    }

    fn poll_relay(&mut self, next: &mut Time) -> bool {
        match self.relay.poll(self.now) {
            Output::Send(transmit) => self.deliver(&transmit),
            Output::Event(Event::Server(server::Event::Asked { id, range, .. })) => {
                self.relay.handle(self.now, Input::Local(Local::Server(server::Local::Gone(id, range))));
            }
            Output::Event(_) => {}
            Output::Wait(at, _) => {
                *next = (*next).min(at);
                return false;
            }
        }
        true
    }

    fn poll_watcher(&mut self, next: &mut Time) -> bool {
        match self.watcher.poll(self.now) {
            Output::Send(transmit) => {
                let bytes = [&transmit.hop[..], transmit.body.bytes()].concat();
                let (ip, port) = WATCHER;
                let from = SocketAddr::from((ip, port + transmit.port.0));
                let received = Received { port: transmit.port, from, local: None, ecn: Ecn::Not, bytes: &bytes };
                self.relay.handle(self.now, Input::Datagram(received));
            }
            Output::Event(_) => {}
            Output::Wait(at, _) => {
                *next = (*next).min(at);
                return false;
            }
        }
        true
    }

    /// What the relay sends goes to the watcher, or is answered by the origin.
    fn deliver(&mut self, transmit: &Transmit) {
        if transmit.port.0 < 2 {
            let bytes = [&transmit.hop[..], transmit.body.bytes()].concat();
            let port = Port(transmit.to.port() - WATCHER.1);
            let (ip, base) = RELAY;
            let from = SocketAddr::from((ip, if transmit.port == Port::SOUND { 9_689 } else { base }));
            let received = Received { port, from, local: None, ecn: Ecn::Not, bytes: &bytes };
            return self.watcher.handle(self.now, Input::Datagram(received));
        }
        let Ok((hop, _)) = Hop::parse(&transmit.hop) else { return };
        let body = transmit.body.bytes().to_vec();
        match Message::parse(hop.kind, &body) {
            Ok(Message::Hello { nonce, .. }) => {
                let challenge = Message::Challenge { nonce, cookie: [5; 24], server_nonce: 1, publish_key: None };
                self.say_message(transmit.port, &challenge);
            }
            Ok(Message::Join(join)) if self.refuses => {
                let (code, tlvs) = (RefuseCode((self.stream % 10) as u16), Tlvs::default());
                let (highest, lowest, nonce) = (VERSION, VERSION, join.nonce);
                let refuse = Refuse { nonce, highest, lowest, code, retry_after_ms: 300, sentence: "No.", tlvs };
                self.say_message(transmit.port, &Message::Refuse(refuse));
            }
            Ok(Message::Join(join)) => self.accept(transmit.port, join.nonce),
            _ => {}
        }
    }

    fn accept(&mut self, port: Port, nonce: u64) {
        let index = usize::from(port.0);
        if self.told.len() <= index {
            self.told.resize_with(index + 1, Told::default);
        }
        let session = 1_000 + self.now.micros();
        self.told[index] = Told { session, sequence: 0 };
        let mut tlvs = Vec::new();
        put_via(&mut tlvs, &[99]);
        let accept = Accept {
            nonce,
            session,
            clock: self.now.micros(),
            report_interval_ms: 50,
            silence_limit_ms: 3_000,
            sound_port: 0,
            token: 1,
            tlvs: Tlvs::trusted(&tlvs),
        };
        self.say_message(port, &Message::Accept(accept));
        let object = self.description().object(crate::seal::Random::new(&[1 + (self.stream % 3) as u8; 32]).id());
        assert!(ObjectView::parse(&object).is_ok() && object.len() > HOP_LEN);
        let hop = Hop { kind: Kind::OBJECT, tag: session as u32, sequence: 0, sent_at: self.now.wire_micros() };
        self.say(port, [&hop.to_bytes()[..], &object].concat());
    }

    fn description(&self) -> Description {
        Description {
            title: "A film".to_owned(),
            size: Size::new(320, 240),
            smaller: Smaller::halved(2),
            rate: Rate::TYPICAL,
            length: None,
            live: self.stream.is_multiple_of(2),
            sound: true,
            ended: None,
            sound_ended: None,
            film: self.hash,
        }
    }
}

//! A watcher, and the server's side of what it hears, written by hand.

use std::net::SocketAddr;

use udpstream::proto::receiver::{Config, Event, Local, Receiver};
use udpstream::proto::{Input, Machine, Output, Port, Received};
use udpstream::units::{MediaTime, Rate, Size, Speed, Time, Unit};
use udpstream::wire::description::Smaller;
use udpstream::wire::message::{Accept, Join, Message, Refuse, RefuseCode, State, Timeline};
use udpstream::wire::object::{ObjectHeader, Type, flags};
use udpstream::wire::tlv::{self, Tlvs, kind};
use udpstream::wire::{Description, Ecn, Hop, Kind, StreamName};

use crate::net::{address, ms};

pub const SIZE: Size = Size::new(64, 48);
pub const COOKIE: [u8; 24] = [7; 24];
pub const PICTURE: ObjectHeader = ObjectHeader {
    kind: Type::PICTURE,
    flags: 0,
    stream: 1,
    rendition: 0,
    cut: 0,
    tables: 80,
    format: 0,
    unit: Unit(0),
    part: 0,
    parts: 1,
    media_time: MediaTime::ZERO,
    size: SIZE,
    x8: 0,
    y8: 0,
};

/// A watcher, and the server's side of what it hears.
pub struct Told {
    pub machine: Receiver,
    server: SocketAddr,
    pub now: Time,
    pub sequence: u32,
    pub sent: Vec<(Kind, Vec<u8>)>,
    /// What was sent when, ms.
    times: Vec<(Kind, u64)>,
    pub slices: u32,
    /// Units shown, and how many of their parts were missing.
    pub shown: Vec<(u32, u16)>,
    /// When the last of them was due.
    pub due: Option<Time>,
    /// What the server describes.
    pub size: Size,
    pub too_large: Vec<Size>,
    /// Everything else that was told.
    pub events: Vec<Event>,
}

impl Told {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// A watcher configured by hand.
    pub fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let server = address(1, 9_688);
        let mut config = Config::new([3; 32], vec![server]);
        configure(&mut config);
        let machine = Receiver::new(config, Time::ZERO);
        let (now, sequence, slices) = (Time::ZERO, 0, 0);
        let mut told = Self {
            machine,
            server,
            now,
            sequence,
            sent: Vec::new(),
            times: Vec::new(),
            slices,
            shown: Vec::new(),
            due: None,
            size: SIZE,
            too_large: Vec::new(),
            events: Vec::new(),
        };
        told.wait(0);
        told
    }

    pub fn joined(session: u64) -> Self {
        let mut told = Self::new();
        let nonce = told.hello();
        told.challenge(nonce);
        told.accept(nonce, session);
        told
    }

    /// Lets so many milliseconds pass.
    pub fn wait(&mut self, millis: u64) {
        let until = self.now + ms(millis);
        loop {
            match self.machine.poll(self.now) {
                Output::Send(transmit) => {
                    let (hop, _) = Hop::parse(&transmit.hop).expect("a hop header");
                    self.sent.push((hop.kind, transmit.body.bytes().to_vec()));
                    self.times.push((hop.kind, self.now.micros() / 1_000));
                }
                Output::Event(Event::Slice(_)) => self.slices += 1,
                Output::Event(Event::Show { picture, due }) => {
                    self.shown.push((picture.unit.0, picture.missing));
                    self.due = due;
                }
                Output::Event(Event::TooLarge(size)) => self.too_large.push(size),
                Output::Event(event) => self.events.push(event),
                Output::Wait(at, _) if at < until => self.now = at.max(self.now),
                Output::Wait(..) => break self.now = until,
            }
        }
    }

    pub fn hear(&mut self, kind: Kind, session: u64, body: &[u8]) {
        let sequence = if kind.is_sequenced() { self.sequence } else { 0 };
        self.sequence += u32::from(kind.is_sequenced());
        self.datagram(kind, session as u32, sequence, body);
    }

    pub fn datagram(&mut self, kind: Kind, tag: u32, sequence: u32, body: &[u8]) {
        self.marked(kind, tag, sequence, body, Ecn::Not);
    }

    /// A datagram that the path has marked.
    pub fn marked(&mut self, kind: Kind, tag: u32, sequence: u32, body: &[u8], ecn: Ecn) {
        let hop = Hop { kind, tag, sequence, sent_at: self.now.wire_micros() };
        let bytes = [&hop.to_bytes(), body].concat();
        self.machine.handle(
            self.now,
            Input::Datagram(Received { port: Port(0), from: self.server, local: None, ecn, bytes: &bytes }),
        );
        self.wait(0);
    }

    pub fn say(&mut self, session: u64, message: &Message<'_>) {
        let mut body = Vec::new();
        message.emit(&mut body);
        self.hear(message.kind(), session, &body);
    }

    pub fn object(&mut self, header: ObjectHeader) {
        self.object_in(1, header);
    }

    pub fn object_in(&mut self, session: u64, header: ObjectHeader) {
        let mut body = Vec::new();
        header.emit(&mut body, |out| out.extend_from_slice(b"a slice"));
        self.hear(Kind::OBJECT, session, &body);
    }

    /// The nonce of the last Hello.
    pub fn hello(&self) -> u64 {
        let hello = self.sent.iter().rfind(|(kind, _)| *kind == Kind::HELLO).expect("a Hello");
        let Ok(Message::Hello { nonce, .. }) = Message::parse(hello.0, &hello.1) else { panic!("{hello:?}") };
        nonce
    }

    pub fn challenge(&mut self, nonce: u64) {
        self.say(0, &Message::Challenge { nonce, cookie: COOKIE, server_nonce: 0, publish_key: None });
    }

    /// When datagrams of this kind were sent, counted from a moment, ms.
    pub fn sent_after(&self, kind: Kind, since: Time) -> Vec<u64> {
        let since = since.micros() / 1_000;
        let times = self.times.iter().filter(|(of, at)| *of == kind && *at >= since);
        times.map(|(_, at)| at - since).collect()
    }

    pub fn timeline(&mut self, session: u64, generation: u32, clock: Time) {
        let (state, media, speed) = (State::Playing, MediaTime::ZERO, Speed::NORMAL);
        let mut tlvs = Vec::new();
        Timeline { generation, state, media, clock, speed }.put(&mut tlvs);
        self.say(session, &Message::Update { number: generation, tlvs: Tlvs::trusted(&tlvs) });
    }

    /// Accept and Description.
    pub fn accept(&mut self, nonce: u64, session: u64) {
        self.accept_only(nonce, session);
        self.describe(session, 1);
    }

    pub fn accept_only(&mut self, nonce: u64, session: u64) {
        self.accept_with(nonce, session, &[]);
    }

    /// The session is of the stream with this name and id.
    pub fn accept_stream(&mut self, nonce: u64, session: u64, name: &str, stream: u64) {
        let mut tlvs = Vec::new();
        tlv::put(&mut tlvs, kind::STREAM, name.as_bytes());
        self.sequence = 0;
        self.accept_with(nonce, session, &tlvs);
        self.describe(session, stream);
    }

    fn accept_with(&mut self, nonce: u64, session: u64, tlvs: &[u8]) {
        let (clock, report_interval_ms, silence_limit_ms, sound_port) = (0, 50, 3_000, 0);
        let tlvs = Tlvs::trusted(tlvs);
        let accept = Accept { nonce, session, clock, report_interval_ms, silence_limit_ms, sound_port, token: 0, tlvs };
        self.say(session, &Message::Accept(accept));
    }

    pub fn describe(&mut self, session: u64, stream: u64) {
        let (title, rate) = ("hand-made".to_owned(), Rate::new(25, 1).expect("25 fps"));
        let description = Description {
            title,
            size: self.size,
            smaller: Smaller::worth_having(self.size),
            rate,
            length: None,
            live: false,
            sound: false,
            ended: None,
            sound_ended: None,
            film: None,
        };
        let mut body = Vec::new();
        let header = ObjectHeader { kind: Type::DESCRIPTION, flags: flags::LAST, tables: 0, stream, ..PICTURE };
        header.emit(&mut body, |out| description.emit(out));
        self.hear(Kind::OBJECT, session, &body);
    }

    /// Whether the watcher answers for this session.
    pub fn answers(&mut self, session: u64) -> bool {
        self.sent.clear();
        self.say(session, &Message::PathCheck { token: *b"whereto?" });
        self.sent.iter().any(|(kind, body)| *kind == Kind::PATH_REPLY && body.starts_with(&session.to_be_bytes()))
    }

    /// What the program around says.
    pub fn tell(&mut self, local: Local) {
        self.machine.handle(self.now, Input::Local(local));
        self.wait(0);
    }

    pub fn refuse(&mut self, nonce: u64, code: RefuseCode) {
        let (sentence, tlvs) = ("No.", Tlvs::default());
        self.say(
            0,
            &Message::Refuse(Refuse { nonce, highest: 1, lowest: 1, code, retry_after_ms: 1_000, sentence, tlvs }),
        );
    }

    /// An Update that answers the Want with this number.
    pub fn obey(&mut self, session: u64, number: u32) {
        let mut tlvs = Vec::new();
        tlv::put(&mut tlvs, kind::WANTED, &number.to_be_bytes());
        self.say(session, &Message::Update { number: 0, tlvs: Tlvs::trusted(&tlvs) });
    }

    /// A whole picture of a stream.
    pub fn picture(&mut self, session: u64, stream: u64, unit: u32) {
        self.object_in(session, ObjectHeader { stream, unit: Unit(unit), flags: flags::LAST, ..PICTURE });
    }

    /// What the last Join says: the stream, and what is wanted of it.
    pub fn last_join(&self) -> (Option<String>, Vec<u8>) {
        let (kind, body) = self.sent.iter().rfind(|(kind, _)| *kind == Kind::JOIN).expect("a Join");
        let Ok(Message::Join(Join { tlvs, .. })) = Message::parse(*kind, body) else { panic!("{body:?}") };
        let want = tlvs.find(tlv::kind::WANT).unwrap_or_default();
        (tlvs.text(tlv::kind::STREAM).map(str::to_owned), want.to_vec())
    }

    /// Number and wishes of each Want so far.
    pub fn wants(&self) -> Vec<(u32, Vec<u8>)> {
        let wants = self.sent.iter().filter(|(kind, _)| *kind == Kind::WANT);
        let read = |(kind, body): &(Kind, Vec<u8>)| match Message::parse(*kind, body) {
            Ok(Message::Want { number, tlvs, .. }) => (number, tlvs.bytes().to_vec()),
            other => panic!("{other:?}"),
        };
        wants.map(read).collect()
    }

    /// How many datagrams of this kind were sent.
    pub fn count(&self, kind: Kind) -> usize {
        self.sent.iter().filter(|(of, _)| *of == kind).count()
    }
}

/// The wishes of a viewer, these first, and then that it asks for what is missing and waits for the next picture.
pub fn and_repair(wishes: &[u8]) -> Vec<u8> {
    [wishes, &[0, 40, 0, 5, 1, 255, 255, 0, 0]].concat()
}

/// A name that is one.
pub fn name(text: &str) -> StreamName {
    StreamName::parse(text).expect("a name")
}

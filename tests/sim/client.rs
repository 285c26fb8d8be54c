//! A client that speaks for itself, byte by byte.

use std::net::SocketAddr;
use std::time::Duration;

use udpstream::seal::{Exchange, Key, Side, Subject};
use udpstream::units::Time;
use udpstream::wire::message::{Accept, Join, List, Message, Refuse, RefuseCode, Role};
use udpstream::wire::object::{Type, flags};
use udpstream::wire::report::{Arrival, Ecn};
use udpstream::wire::tlv::{self, Tlvs, kind};
use udpstream::wire::{HOP_LEN, Hop, Kind, ObjectView, Report};

use crate::net::{World, ms};

/// A client that speaks for itself, byte by byte.
pub struct Client {
    pub address: SocketAddr,
    pub nonce: u64,
    pub cookie: [u8; 24],
    pub server_nonce: u64,
    pub session: u64,
    pub token: u64,
    reports: u32,
}

impl Client {
    /// As far as a cookie.
    pub fn greet(world: &mut World, address: SocketAddr, nonce: u64) -> Self {
        let mut client = Self { address, nonce, cookie: [0; 24], server_nonce: 0, session: 0, token: 0, reports: 0 };
        client.say(world, 0, &Message::Hello { highest: 1, lowest: 1, nonce });
        let challenge = |message: Message<'_>| match message {
            Message::Challenge { nonce: of, cookie, server_nonce, .. } if of == nonce => Some((cookie, server_nonce)),
            _ => None,
        };
        (client.cookie, client.server_nonce) = client.hear(world, challenge).expect("a challenge");
        client
    }

    pub fn join(world: &mut World, address: SocketAddr, nonce: u64) -> Self {
        Self::join_with(world, address, nonce, &[])
    }

    pub fn join_with(world: &mut World, address: SocketAddr, nonce: u64, tlvs: &[u8]) -> Self {
        let mut client = Self::greet(world, address, nonce);
        client.ask_with(world, 0, tlvs);
        let accept = |message: Message<'_>| match message {
            Message::Accept(Accept { session, token, .. }) => Some((session, token)),
            _ => None,
        };
        (client.session, client.token) = client.hear(world, accept).expect("accepted");
        client
    }

    pub fn say(&self, world: &mut World, tag: u32, message: &Message<'_>) {
        let mut bytes = Hop::unsequenced(message.kind(), tag, 0).to_bytes().to_vec();
        message.emit(&mut bytes);
        world.inject(self.address, &bytes);
        world.run(ms(5));
    }

    pub fn ask(&self, world: &mut World, max_datagram: u16) {
        self.ask_with(world, max_datagram, &[]);
    }

    pub fn ask_with(&self, world: &mut World, max_datagram: u16, tlvs: &[u8]) {
        self.ask_as(world, Role::Watch, max_datagram, tlvs);
    }

    pub fn ask_as(&self, world: &mut World, role: Role, max_datagram: u16, tlvs: &[u8]) {
        let (nonce, cookie, fec, tlvs) = (self.nonce, self.cookie, 0, Tlvs::trusted(tlvs));
        self.say(world, 0, &Message::Join(Join { nonce, cookie, role, fec, max_datagram, tlvs }));
    }

    /// The extensions of a Join that proves to know this key.
    pub fn proof(&self, key: &Key, subject: Subject<'_>, role: Role) -> Vec<u8> {
        let (client_nonce, server_nonce) = (self.nonce, self.server_nonce);
        let exchange = Exchange { role: role as u8, subject, client_nonce, server_nonce, cookie: &self.cookie };
        let mut tlvs = Vec::new();
        match subject {
            Subject::Code(id) => tlv::put(&mut tlvs, kind::LOOKUP, &id.get().to_be_bytes()),
            Subject::Name(name) => tlv::put(&mut tlvs, kind::STREAM, name.as_bytes()),
        }
        tlv::put(&mut tlvs, kind::PROOF, &key.prove(Side::Joining, &exchange));
        tlvs
    }

    /// The newest that was sent to it and is this.
    pub fn hear<T>(&self, world: &World, wanted: impl Fn(Message<'_>) -> Option<T>) -> Option<T> {
        world.stray.get(&self.address).into_iter().flatten().rev().find_map(|(_, bytes)| {
            let (hop, body) = Hop::parse(bytes).expect("the server's own");
            Message::parse(hop.kind, body).ok().and_then(&wanted)
        })
    }

    /// When the newest datagram to it left.
    pub fn newest(&self, world: &World) -> u32 {
        let (_, bytes) = world.stray[&self.address].last().expect("something was sent");
        Hop::parse(bytes).expect("the server's own").0.sent_at
    }

    pub fn report(&mut self, world: &mut World, echo: u32, token: u64) {
        self.reports += 1;
        let arrivals = vec![Arrival::received(Duration::ZERO, Ecn::Not, 0); 100];
        let report = Report { session: self.session, number: self.reports, echo, token, arrivals, ..Report::default() };
        self.say(world, self.session as u32, &Message::Report(report));
    }

    /// A report that says of arrivals what it likes.
    pub fn claim(&mut self, world: &mut World, report: Report) {
        let token = |message: Message<'_>| match message {
            Message::Update { tlvs, .. } => tlvs.find(kind::TOKEN).and_then(|token| token.try_into().ok()),
            _ => None,
        };
        self.token = self.hear(world, token).map_or(self.token, u64::from_be_bytes);
        self.reports += 1;
        let (session, number, echo, token) = (self.session, self.reports, self.newest(world), self.token);
        self.say(world, session as u32, &Message::Report(Report { session, number, echo, token, ..report }));
    }

    /// A report of what came last, with the newest token.
    pub fn live(&mut self, world: &mut World) {
        let token = |message: Message<'_>| match message {
            Message::Update { tlvs, .. } => tlvs.find(kind::TOKEN).and_then(|token| token.try_into().ok()),
            _ => None,
        };
        self.token = self.hear(world, token).map_or(self.token, u64::from_be_bytes);
        let echo = self.newest(world);
        self.report(world, echo, self.token);
    }

    /// The units of the pictures that it was sent, and whether each came with a body.
    pub fn pictures(&self, world: &World) -> Vec<(Time, u32, bool)> {
        let objects = world.stray.get(&self.address).into_iter().flatten().filter_map(|(at, bytes)| {
            let object = ObjectView::parse(&bytes[HOP_LEN..]).ok().filter(|_| bytes[3] == Kind::OBJECT.0)?;
            Some((*at, object.header))
        });
        let first = objects.filter(|(_, header)| header.kind == Type::PICTURE && header.part == 0);
        first.map(|(at, header)| (at, header.unit.0, header.flags & flags::SAME == 0)).collect()
    }

    /// How many chunks of sound it was sent after a moment.
    pub fn chunks_since(&self, world: &World, moment: Time) -> usize {
        let all = world.stray.get(&self.address).into_iter().flatten().filter(|(at, _)| *at > moment);
        let objects = all.filter(|(_, bytes)| bytes[3] == Kind::OBJECT.0);
        let kinds = objects.filter_map(|(_, bytes)| ObjectView::parse(&bytes[HOP_LEN..]).ok());
        kinds.filter(|object| object.header.kind == Type::SOUND).count()
    }

    /// The parts that it was sent of a picture, and of how many.
    pub fn parts(&self, world: &World, unit: u32) -> Vec<(u16, u16)> {
        let all = world.stray.get(&self.address).into_iter().flatten();
        let objects = all.filter(|(_, bytes)| bytes[3] == Kind::OBJECT.0);
        let headers = objects.filter_map(|(_, bytes)| Some(ObjectView::parse(&bytes[HOP_LEN..]).ok()?.header));
        let own = headers.filter(|header| header.kind == Type::PICTURE && header.unit.0 == unit);
        own.map(|header| (header.part, header.parts)).collect()
    }

    /// Asks for the page of the listing that begins with this stream.
    pub fn list(&self, world: &mut World, first: u16) {
        self.say(world, 0, &Message::List(List { nonce: self.nonce, cookie: self.cookie, first }));
    }

    pub fn want(&self, world: &mut World, number: u32, tlvs: &[u8]) {
        let tlvs = Tlvs::trusted(tlvs);
        self.say(world, self.session as u32, &Message::Want { session: self.session, number, tlvs });
    }

    /// The numbers of the Wants that were acknowledged.
    pub fn wanted(&self, world: &World) -> Vec<u32> {
        let number = |bytes: &[u8]| {
            let (hop, body) = Hop::parse(bytes).ok()?;
            let Ok(Message::Update { number: 0, tlvs }) = Message::parse(hop.kind, body) else { return None };
            tlvs.find(kind::WANTED)?.try_into().ok().map(u32::from_be_bytes)
        };
        world.stray[&self.address].iter().filter_map(|(_, bytes)| number(bytes)).collect()
    }

    /// Which stream it is told that it has joined.
    pub fn accepted_name(&self, world: &World) -> Option<String> {
        self.hear(world, |message| match message {
            Message::Accept(accept) => accept.tlvs.text(kind::STREAM).map(str::to_owned),
            _ => None,
        })
    }

    /// Why it was turned away last.
    pub fn sentence(&self, world: &World) -> Option<(u16, String)> {
        self.hear(world, |message| match message {
            Message::Refuse(refuse) => Some((refuse.code.0, refuse.sentence.to_owned())),
            _ => None,
        })
    }

    /// Media that was sent to it.
    pub fn objects(&self, world: &World) -> usize {
        let all = world.stray.get(&self.address).into_iter().flatten();
        all.filter(|(_, bytes)| bytes[3] == Kind::OBJECT.0).count()
    }

    pub fn refusal(&self, world: &World) -> Option<RefuseCode> {
        self.hear(world, |message| match message {
            Message::Refuse(Refuse { code, .. }) => Some(code),
            _ => None,
        })
    }
}

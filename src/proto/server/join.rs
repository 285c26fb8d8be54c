//! Joining: Hello, cookie, Join, Accept, Refuse; and a known watcher at a new address. Nothing is stored, and no more
//! goes out than came in, before a cookie has come back.

use std::net::{IpAddr, SocketAddr};

use super::session::{Gone, NewPath, Session};
use super::{Config, Event, Phase, Queued, SILENCE_LIMIT, Server};
use crate::proto::{Received, Transmit, hop};
use crate::units::{MediaTime, Time, Unit};
use crate::wire::message::{Accept, Join, Message, Refuse, RefuseCode, Role};
use crate::wire::object::{ObjectHeader, Type, flags};
use crate::wire::tlv::Tlvs;
use crate::wire::{Description, Kind, MIN_DATAGRAM, SizeClass, VERSION};

/// A refusal: the code for programs, the sentence for people, when to try again (ms).
struct Refusal(RefuseCode, &'static str, u32);

impl Server {
    pub(super) fn hello(&mut self, now: Time, datagram: Received<'_>, versions: (u8, u8), nonce: u64) {
        if datagram.bytes.len() < MIN_DATAGRAM {
            self.totals.rejected += 1;
            return;
        }
        if self.is_backed_up() {
            return;
        }
        if !(versions.0..=versions.1).contains(&VERSION) {
            let why = "This server speaks version 1 of the protocol only: use a watcher of the same release.";
            return self.refuse(now, datagram.from, nonce, &Refusal(RefuseCode::VERSION, why, 10_000));
        }
        let cookie = self.jar.bake(minute(now), &subject(datagram, nonce));
        let message = Message::Challenge { nonce, cookie, server_nonce: self.random.u64() };
        self.say(now, datagram.from, Kind::CHALLENGE, 0, &message);
    }

    pub(super) fn join(&mut self, now: Time, datagram: Received<'_>, join: &Join<'_>) {
        let from = datagram.from;
        if !self.jar.is_ours(minute(now), &subject(datagram, join.nonce), &join.cookie) {
            self.totals.rejected += 1;
            return;
        }
        if self.is_backed_up() {
            return;
        }
        if let Some(&slot) = self.by_address.get(&from) {
            let session = self.sessions[slot].as_ref();
            match session.filter(|s| s.nonce == join.nonce && s.cookie == join.cookie) {
                // The Accept was lost on the way: the same again.
                Some(_) => return self.welcome(now, slot),
                None => self.remove(slot, Gone::Replaced),
            }
        }
        match self.refusal(now, from, join) {
            Some(refusal) => self.refuse(now, from, join.nonce, &refusal),
            None => self.admit(now, from, join),
        }
    }

    fn refusal(&mut self, now: Time, from: SocketAddr, join: &Join<'_>) -> Option<Refusal> {
        let Config { max_sessions, max_sessions_per_address, max_joins_per_second, .. } = self.config;
        if join.role != Role::Watch {
            let why = "This server only takes watchers: it neither feeds relays nor takes published streams.";
            return Some(Refusal(RefuseCode::ROLE, why, 10_000));
        }
        if self.phase != Phase::Running {
            return Some(Refusal(RefuseCode::ENDED, "The stream has just ended.", 1_000));
        }
        if self.by_id.len() >= max_sessions {
            return Some(Refusal(RefuseCode::FULL, "The server has as many watchers as it takes.", 5_000));
        }
        let same_host = self.by_address.range(host_range(from.ip())).count();
        if same_host >= max_sessions_per_address {
            let why = "Your address already has as many watchers as the server allows.";
            return Some(Refusal(RefuseCode::TOO_MANY_FROM_ADDRESS, why, 5_000));
        }
        let second = now.micros() / 1_000_000;
        if self.joins_second != second {
            self.joins_second = second;
            self.joins.clear();
        }
        let joins = self.joins.entry(network(from.ip())).or_default();
        *joins += 1;
        let busy = *joins > max_joins_per_second && !from.ip().is_loopback();
        busy.then_some(Refusal(RefuseCode::BUSY, "Too many joined from your network this second.", 1_000))
    }

    fn refuse(&mut self, now: Time, to: SocketAddr, nonce: u64, refusal: &Refusal) {
        let &Refusal(code, sentence, retry_after_ms) = refusal;
        let (highest, lowest, tlvs) = (VERSION, VERSION, Tlvs::default());
        let refuse = Refuse { nonce, highest, lowest, code, retry_after_ms, sentence, tlvs };
        self.say(now, to, Kind::REFUSE, 0, &Message::Refuse(refuse));
        self.totals.refused += 1;
        self.events.push_back(Event::Refused { address: to, why: sentence });
    }

    fn admit(&mut self, now: Time, from: SocketAddr, join: &Join<'_>) {
        let mut session = Session::new(self.random.id(), from, join.nonce, join.cookie, now);
        let wish = SizeClass::ALL.into_iter().find(|class| class.datagram() <= usize::from(join.max_datagram));
        session.limit = if join.max_datagram == 0 { SizeClass::LOOPBACK } else { wish.unwrap_or(SizeClass::ANY) };
        let accept = Accept {
            nonce: join.nonce,
            session: session.id,
            clock: now.micros(),
            report_interval_ms: self.report_interval().as_millis() as u16,
            silence_limit_ms: SILENCE_LIMIT.as_millis() as u16,
            sound_port: self.config.sound_port,
            tlvs: Tlvs::default(),
        };
        Message::Accept(accept).emit(&mut session.welcome);
        let (id, slot) = (session.id, self.free_slot());
        self.by_id.insert(id, slot);
        self.by_address.insert(from, slot);
        self.sessions[slot] = Some(session);
        self.events.push_back(Event::Joined { id, address: from, watchers: self.by_id.len() });
        self.welcome(now, slot);
        self.probe(slot);
        self.tell_timeline(slot);
        self.next_upkeep = now;
    }

    fn free_slot(&mut self) -> usize {
        let free = self.sessions.iter().position(Option::is_none);
        free.unwrap_or_else(|| {
            self.sessions.push(None);
            self.sessions.len() - 1
        })
    }

    /// Accept and Description.
    fn welcome(&mut self, now: Time, slot: usize) {
        let Some(session) = &self.sessions[slot] else { return };
        let header = hop(Kind::ACCEPT, session.tag(), now);
        let body = session.welcome.clone().into();
        let to = session.address;
        let port = crate::proto::Port::default();
        self.out.push_back(Queued::Message(Transmit { port, to, hop: header.to_bytes(), body }));
        self.describe(slot);
    }

    /// A Description object: what the stream is, and whether it has ended.
    pub(super) fn describe(&mut self, slot: usize) {
        let ended = self.leaving().then_some(Unit(self.units));
        let description = Description { ended, ..self.config.description.clone() };
        let header = ObjectHeader {
            kind: Type::DESCRIPTION,
            flags: flags::LAST,
            stream: self.stream,
            rendition: 0,
            cut: 0,
            tables: 0,
            format: 0,
            // One name, one byte string: the description of the running and of the ended stream are two units.
            unit: Unit(u32::from(ended.is_some())),
            part: 0,
            parts: 1,
            media_time: MediaTime::ZERO,
            size: description.size,
            x8: 0,
            y8: 0,
        };
        let mut object = Vec::with_capacity(128);
        header.emit(&mut object, |out| description.emit(out));
        self.send_sequenced(slot, Kind::OBJECT, object);
    }

    /// Sends a sequenced message or object to one watcher. It gets its place in the sequence when it leaves.
    pub(super) fn send_sequenced(&mut self, slot: usize, kind: Kind, body: Vec<u8>) {
        let Some(session) = &self.sessions[slot] else { return };
        self.out.push_back(Queued::Sequenced { session: session.id, kind, body: body.into() });
    }

    /// Sends a message outside any sequence.
    pub(super) fn say(&mut self, now: Time, to: SocketAddr, kind: Kind, tag: u32, message: &Message<'_>) {
        self.out.push_back(Queued::Message(Transmit::message(to, hop(kind, tag, now), message)));
    }

    /// A known session speaks from elsewhere: it must prove that it receives there. 24 bytes for the 50 or more of
    /// its report.
    pub(super) fn new_address(&mut self, now: Time, slot: usize, address: SocketAddr) {
        if self.is_backed_up() {
            return;
        }
        let token = self.random.u64().to_be_bytes();
        let Some(session) = self.sessions[slot].as_mut() else { return };
        // The token stays while the address does, so that a late reply still counts.
        let path = session.new_path.filter(|path| path.address == address).unwrap_or(NewPath { address, token });
        session.new_path = Some(path);
        let tag = session.tag();
        self.say(now, address, Kind::PATH_CHECK, tag, &Message::PathCheck { token: path.token });
    }

    pub(super) fn path_reply(&mut self, from: SocketAddr, id: u64, token: [u8; 8]) {
        let Some(&slot) = self.by_id.get(&id) else { return };
        let Some(session) = self.sessions[slot].as_mut() else { return };
        if session.new_path.is_none_or(|path| path.address != from || path.token != token) {
            return;
        }
        session.new_path = None;
        let old = std::mem::replace(&mut session.address, from);
        self.by_address.remove(&old);
        if let Some(other) = self.by_address.insert(from, slot).filter(|other| *other != slot) {
            self.remove(other, Gone::Replaced);
            self.by_address.insert(from, slot);
        }
        self.events.push_back(Event::Moved { id, from: old, to: from });
    }
}

/// What a cookie is bound to.
fn subject(datagram: Received<'_>, nonce: u64) -> Vec<u8> {
    let mut subject = Vec::with_capacity(32);
    match datagram.from.ip() {
        IpAddr::V4(ip) => subject.extend_from_slice(&ip.to_ipv6_mapped().octets()),
        IpAddr::V6(ip) => subject.extend_from_slice(&ip.octets()),
    }
    subject.extend_from_slice(&datagram.from.port().to_be_bytes());
    subject.push(datagram.port.0);
    subject.extend_from_slice(&nonce.to_be_bytes());
    subject
}

const fn minute(now: Time) -> u64 {
    now.micros() / 60_000_000
}

fn host_range(ip: IpAddr) -> std::ops::RangeInclusive<SocketAddr> {
    SocketAddr::new(ip, 0)..=SocketAddr::new(ip, u16::MAX)
}

/// The /24 or /48 that an address belongs to.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::from((u32::from(ip) & 0xffff_ff00).to_be_bytes()),
        IpAddr::V6(ip) => IpAddr::from((u128::from(ip) & !0 << 80).to_be_bytes()),
    }
}

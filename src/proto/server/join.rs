//! Joining: Hello, cookie, Join, Accept, Refuse; and a known watcher at a new address. Nothing is stored, and no more
//! goes out than came in, before a cookie has come back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use super::session::{Gone, NewPath, Session};
use super::{Config, Event, Phase, Queued, SILENCE_LIMIT, Server};
use crate::proto::{Peer, Port, Received, Transmit, hop};
use crate::units::{MediaTime, Time, Unit};
use crate::wire::message::{Accept, Join, Message, Refuse, RefuseCode, Role, SoundWish};
use crate::wire::object::{ObjectHeader, Type, flags};
use crate::wire::tlv::{Tlvs, kind};
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
            return self.refuse(now, datagram.peer(), nonce, &Refusal(RefuseCode::VERSION, why, 10_000));
        }
        let cookie = self.jar.bake(minute(now), &subject(datagram, nonce));
        let message = Message::Challenge { nonce, cookie, server_nonce: self.random.u64() };
        self.say(now, datagram.peer(), Kind::CHALLENGE, 0, &message);
    }

    pub(super) fn join(&mut self, now: Time, datagram: Received<'_>, join: &Join<'_>) {
        let from = datagram.peer();
        if !self.jar.is_ours(minute(now), &subject(datagram, join.nonce), &join.cookie) {
            self.totals.rejected += 1;
            return;
        }
        if self.is_backed_up() {
            return;
        }
        if let Some(&slot) = self.by_peer.get(&from) {
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

    fn refusal(&mut self, now: Time, from: Peer, join: &Join<'_>) -> Option<Refusal> {
        let Config { max_sessions, max_sessions_per_address, max_joins_per_second, .. } = self.config;
        if join.role != Role::Watch {
            let why = "This server only takes watchers: it neither feeds relays nor takes published streams.";
            return Some(Refusal(RefuseCode::ROLE, why, 10_000));
        }
        if self.phase != Phase::Running {
            return Some(Refusal(RefuseCode::ENDED, "The stream has just ended.", 1_000));
        }
        if from.port == Port::SOUND && !self.config.description.sound {
            return Some(Refusal(RefuseCode::NO_SUCH_STREAM, "This stream has no sound.", 10_000));
        }
        if self.by_peer.range(all_on(from.port)).count() >= max_sessions {
            return Some(Refusal(RefuseCode::FULL, "The server has as many watchers as it takes.", 5_000));
        }
        let ip = from.address.ip();
        let same_host = self.by_peer.range(host_on(from.port, ip)).count();
        if same_host >= max_sessions_per_address {
            let why = "Your address already has as many watchers as the server allows.";
            return Some(Refusal(RefuseCode::TOO_MANY_FROM_ADDRESS, why, 5_000));
        }
        let second = now.micros() / 1_000_000;
        if self.joins_second != second {
            self.joins_second = second;
            self.joins.clear();
        }
        let joins = self.joins.entry((from.port, network(ip))).or_default();
        *joins += 1;
        let busy = *joins > max_joins_per_second && !ip.is_loopback();
        busy.then_some(Refusal(RefuseCode::BUSY, "Too many joined from your network this second.", 1_000))
    }

    fn refuse(&mut self, now: Time, to: Peer, nonce: u64, refusal: &Refusal) {
        let &Refusal(code, sentence, retry_after_ms) = refusal;
        let (highest, lowest, tlvs) = (VERSION, VERSION, Tlvs::default());
        let refuse = Refuse { nonce, highest, lowest, code, retry_after_ms, sentence, tlvs };
        self.say(now, to, Kind::REFUSE, 0, &Message::Refuse(refuse));
        self.totals.refused += 1;
        self.events.push_back(Event::Refused { address: to.address, why: sentence });
    }

    fn admit(&mut self, now: Time, from: Peer, join: &Join<'_>) {
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
        let wish = Tlvs::parse(join.tlvs.find(kind::WANT).unwrap_or_default()).ok();
        let wish = wish.and_then(|tlvs| tlvs.find(kind::SOUND)).and_then(SoundWish::parse);
        session.pictures = from.port == Port::PICTURES;
        session.set_sound(wish.filter(|_| self.config.description.sound));
        let (id, slot) = (session.id, self.free_slot());
        self.by_id.insert(id, slot);
        self.by_peer.insert(from, slot);
        self.viewers += usize::from(session.pictures);
        let second = self.tie(&mut session, join);
        self.sessions[slot] = Some(session);
        if !second {
            self.watchers += 1;
            self.events.push_back(Event::Joined { id, address: from.address, watchers: self.watchers });
        }
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
        let Peer { port, address: to } = session.peer;
        self.out.push_back(Queued::Message(Transmit { port, to, hop: header.to_bytes(), body }));
        self.describe(slot);
    }

    /// A Description object: what the stream is, and whether it has ended.
    pub(super) fn describe(&mut self, slot: usize) {
        let ended = self.leaving().then_some(Unit(self.units));
        let sound_ended = self.leaving().then_some(Unit(self.sound.chunks())).filter(|_| self.config.description.sound);
        let description = Description { ended, sound_ended, ..self.config.description.clone() };
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
    pub(super) fn say(&mut self, now: Time, to: Peer, kind: Kind, tag: u32, message: &Message<'_>) {
        self.out.push_back(Queued::Message(Transmit::message(to, hop(kind, tag, now), message)));
    }

    /// A known session speaks from elsewhere: it must prove that it receives there. 24 bytes for the 50 or more of
    /// its report.
    pub(super) fn new_address(&mut self, now: Time, slot: usize, peer: Peer) {
        if self.is_backed_up() {
            return;
        }
        let token = self.random.u64().to_be_bytes();
        let Some(session) = self.sessions[slot].as_mut() else { return };
        // The token stays while the address does, so that a late reply still counts.
        let path = session.new_path.filter(|path| path.peer == peer).unwrap_or(NewPath { peer, token });
        session.new_path = Some(path);
        let tag = session.tag();
        self.say(now, peer, Kind::PATH_CHECK, tag, &Message::PathCheck { token: path.token });
    }

    pub(super) fn path_reply(&mut self, from: Peer, id: u64, token: [u8; 8]) {
        let Some(&slot) = self.by_id.get(&id) else { return };
        let Some(session) = self.sessions[slot].as_mut() else { return };
        if session.new_path.is_none_or(|path| path.peer != from || path.token != token) {
            return;
        }
        session.new_path = None;
        let second = session.is_second();
        let old = std::mem::replace(&mut session.peer, from);
        self.by_peer.remove(&old);
        if let Some(other) = self.by_peer.insert(from, slot).filter(|other| *other != slot) {
            self.remove(other, Gone::Replaced);
            self.by_peer.insert(from, slot);
        }
        if !second {
            self.events.push_back(Event::Moved { id, from: old.address, to: from.address });
        }
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

fn host_on(port: Port, ip: IpAddr) -> RangeInclusive<Peer> {
    let peer = |number| Peer { port, address: SocketAddr::new(ip, number) };
    peer(0)..=peer(u16::MAX)
}

fn all_on(port: Port) -> RangeInclusive<Peer> {
    let (first, last) = (Ipv4Addr::UNSPECIFIED.into(), IpAddr::from(Ipv6Addr::from(u128::MAX)));
    *host_on(port, first).start()..=*host_on(port, last).end()
}

/// The /24 or /48 that an address belongs to.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::from((u32::from(ip) & 0xffff_ff00).to_be_bytes()),
        IpAddr::V6(ip) => IpAddr::from((u128::from(ip) & !0 << 80).to_be_bytes()),
    }
}

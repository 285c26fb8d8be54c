//! Joining: Hello, cookie, Join, Accept, Refuse; and a known watcher at a new address. Nothing is stored, and no more
//! goes out than came in, before a cookie has come back.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::RangeInclusive;

use super::session::{Beginning, Gone, NewPath, Session};
use super::{Config, Event, Phase, Queued, SILENCE_LIMIT, Server};
use crate::proto::{Peer, Port, Received, Route};
use crate::units::{MediaTime, Time, Unit};
use crate::wire::message::{Accept, COOKIE_LEN, Join, Message, Refuse, RefuseCode, Role, SoundWish};
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
            return self.refuse(datagram.route(), nonce, &Refusal(RefuseCode::VERSION, why, 10_000));
        }
        let cookie = self.jar.bake(minute(now), &subject(datagram, nonce));
        let message = Message::Challenge { nonce, cookie, server_nonce: self.random.u64() };
        self.say(datagram.route(), None, &message);
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
        let old = self.by_peer.get(&from).copied();
        let same = old
            .and_then(|slot| self.sessions[slot].as_ref())
            .is_some_and(|session| session.beginning.nonce == join.nonce && session.beginning.cookie == join.cookie);
        match old.filter(|_| same) {
            // The Accept was lost on the way: the same again.
            Some(slot) => return self.welcome(slot),
            // A copy of an old Join makes no session.
            None if self.admitted.has(&join.cookie) => {
                self.totals.rejected += 1;
                return;
            }
            None => {}
        }
        if let Some(refusal) = self.refusal(now, from, join) {
            return self.refuse(datagram.route(), join.nonce, &refusal);
        }
        old.into_iter().for_each(|slot| self.remove(slot, Gone::Replaced));
        self.admitted.note(minute(now), join.cookie);
        self.admit(now, datagram.route(), join);
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
        let (smallest, wanted) = (SizeClass::ANY.datagram(), usize::from(join.max_datagram));
        if (1..smallest).contains(&wanted) {
            let why = "There are no datagrams as small as this watcher wants: the smallest have 1200 bytes.";
            return Some(Refusal(RefuseCode::TOO_SMALL, why, 60_000));
        }
        // A rejoin replaces its own old session, so that one does not count.
        let own = usize::from(self.by_peer.contains_key(&from));
        if self.overloaded && own == 0 && self.first_lane(from.port, join).is_none() {
            let why = "The server sends as much as it can: another watcher would take from those that are there.";
            return Some(Refusal(RefuseCode::FULL, why, 5_000));
        }
        if self.by_peer.range(all_on(from.port)).count().saturating_sub(own) >= max_sessions {
            return Some(Refusal(RefuseCode::FULL, "The server has as many watchers as it takes.", 5_000));
        }
        let ip = from.address.ip();
        if self.by_peer.range(host_on(from.port, ip)).count().saturating_sub(own) >= max_sessions_per_address {
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
        let busy = *joins > max_joins_per_second && !ip.is_loopback() || self.admitted.is_full(minute(now));
        busy.then_some(Refusal(RefuseCode::BUSY, "Too many joined from your network this second.", 1_000))
    }

    fn refuse(&mut self, to: Route, nonce: u64, refusal: &Refusal) {
        let &Refusal(code, sentence, retry_after_ms) = refusal;
        let (highest, lowest, tlvs) = (VERSION, VERSION, Tlvs::default());
        let refuse = Refuse { nonce, highest, lowest, code, retry_after_ms, sentence, tlvs };
        self.say(to, None, &Message::Refuse(refuse));
        self.totals.refused += 1;
        self.events.push_back(Event::Refused { address: to.peer.address, why: sentence });
    }

    fn admit(&mut self, now: Time, from: Route, join: &Join<'_>) {
        let mut session = Session::new(self.random.id(), from, self.beginning(now, from.peer.port, join));
        let accept = Accept {
            nonce: join.nonce,
            session: session.id,
            clock: now.micros(),
            report_interval_ms: self.report_interval().as_millis() as u16,
            silence_limit_ms: SILENCE_LIMIT.as_millis() as u16,
            sound_port: self.config.sound_port,
            token: self.tokens.token(now, session.id),
            tlvs: Tlvs::default(),
        };
        Message::Accept(accept).emit(&mut session.welcome);
        let wish = Tlvs::parse(join.tlvs.find(kind::WANT).unwrap_or_default()).ok();
        let wish = wish.and_then(|tlvs| tlvs.find(kind::SOUND)).and_then(SoundWish::parse);
        session.pictures = from.peer.port == Port::PICTURES;
        session.set_sound(wish.filter(|_| self.config.description.sound));
        let (id, slot) = (session.id, self.free_slot());
        self.by_id.insert(id, slot);
        self.by_peer.insert(from.peer, slot);
        if session.pictures {
            self.viewers += 1;
            self.turns.add(slot);
        }
        let second = self.tie(&mut session, join);
        self.sessions[slot] = Some(session);
        if !second {
            self.watchers += 1;
            self.events.push_back(Event::Joined { id, address: from.peer.address, watchers: self.watchers });
        }
        self.welcome(slot);
        self.probe(slot);
        self.tell_timeline(slot);
        self.next_upkeep = now;
    }

    /// What its path is to be: the operator's choice, the client's wish, or whatever is found.
    fn beginning(&self, now: Time, port: Port, join: &Join<'_>) -> Beginning {
        let most = if join.max_datagram == 0 { usize::from(u16::MAX) } else { usize::from(join.max_datagram) };
        let fits = |class: &SizeClass| class.datagram() <= most;
        let wish = SizeClass::ALL.into_iter().find(fits).unwrap_or(SizeClass::ANY);
        // Sound fits the smallest.
        let given = self.config.datagram.filter(|_| port == Port::PICTURES);
        let limit = given.map_or(wish, |given| if fits(&given) { given } else { wish });
        Beginning { nonce: join.nonce, cookie: join.cookie, at: now, limit, given: given.is_some() }
    }

    fn free_slot(&mut self) -> usize {
        let free = self.sessions.iter().position(Option::is_none);
        free.unwrap_or_else(|| {
            self.sessions.push(None);
            self.sessions.len() - 1
        })
    }

    /// Accept and Description.
    fn welcome(&mut self, slot: usize) {
        let Some(session) = &self.sessions[slot] else { return };
        let (to, tag, body) = (session.route(), session.tag(), session.welcome.clone().into());
        self.out.push_back(Queued { to, session: Some(session.id), kind: Kind::ACCEPT, tag, body });
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
        let (to, session, tag) = (session.route(), Some(session.id), session.tag());
        self.out.push_back(Queued { to, session, kind, tag, body: body.into() });
    }

    /// Sends a message outside any sequence: in a session, or to a stranger.
    pub(super) fn say(&mut self, to: Route, session: Option<u64>, message: &Message<'_>) {
        let mut body = Vec::with_capacity(64);
        message.emit(&mut body);
        let tag = session.map_or(0, |session| session as u32);
        self.out.push_back(Queued { to, session, kind: message.kind(), tag, body: body.into() });
    }

    /// A known session speaks from elsewhere: it must prove that it receives there. 24 bytes for the 50 or more of
    /// its report.
    pub(super) fn new_address(&mut self, slot: usize, route: Route) {
        if self.is_backed_up() {
            return;
        }
        let (token, peer) = (self.random.u64().to_be_bytes(), route.peer);
        let Some(session) = self.sessions[slot].as_mut() else { return };
        // The token stays while the address does, so that a late reply still counts.
        let path = session.new_path.filter(|path| path.peer == peer).unwrap_or(NewPath { peer, token });
        session.new_path = Some(path);
        let id = session.id;
        self.say(route, Some(id), &Message::PathCheck { token: path.token });
    }

    pub(super) fn path_reply(&mut self, now: Time, from: Route, id: u64, token: [u8; 8]) {
        let Some(&slot) = self.by_id.get(&id) else { return };
        let Some(session) = self.sessions[slot].as_mut() else { return };
        if session.new_path.is_none_or(|path| path.peer != from.peer || path.token != token) {
            return;
        }
        session.new_path = None;
        let (second, old) = (session.is_second(), session.peer);
        session.move_to(now, from);
        self.next_upkeep = now;
        self.by_peer.remove(&old);
        if let Some(other) = self.by_peer.insert(from.peer, slot).filter(|other| *other != slot) {
            self.remove(other, Gone::Replaced);
            self.by_peer.insert(from.peer, slot);
        }
        self.probe(slot);
        if !second {
            self.events.push_back(Event::Moved { id, from: old.address, to: from.peer.address });
        }
    }
}

/// Cookies that have admitted a session, for as long as they are good: each admits once.
pub struct Admitted {
    /// How many are remembered of one minute.
    most: usize,
    minute: u64,
    /// Of this minute, and of the one before.
    cookies: [BTreeSet<[u8; COOKIE_LEN]>; 2],
}

impl Admitted {
    pub const fn new(most: usize) -> Self {
        Self { most, minute: 0, cookies: [const { BTreeSet::new() }; 2] }
    }

    fn has(&self, cookie: &[u8; COOKIE_LEN]) -> bool {
        self.cookies.iter().any(|cookies| cookies.contains(cookie))
    }

    fn note(&mut self, minute: u64, cookie: [u8; COOKIE_LEN]) {
        if minute != self.minute {
            let [last, before] = &mut self.cookies;
            // A cookie of the last minute is still good in this one.
            *before = if minute == self.minute + 1 { std::mem::take(last) } else { BTreeSet::new() };
            last.clear();
            self.minute = minute;
        }
        self.cookies[0].insert(cookie);
    }

    /// Whether so many have been admitted in this minute that another could not be remembered.
    fn is_full(&self, minute: u64) -> bool {
        minute == self.minute && self.cookies[0].len() >= self.most
    }
}

/// Sessions made in a minute: ten thousand watchers that all come six times.
pub const MOST_ADMITTED: usize = 65_536;

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
    let peer = |address| Peer { port, address };
    // Link-local addresses are told apart by their interface.
    let last = match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, u16::MAX),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, u16::MAX, u32::MAX, u32::MAX).into(),
    };
    peer(SocketAddr::new(ip, 0))..=peer(last)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_cookies_are_remembered_and_each_minute_begins_anew() {
        let mut admitted = Admitted::new(3);
        (0..3).for_each(|n| admitted.note(7, [n; COOKIE_LEN]));
        assert!(admitted.is_full(7) && !admitted.is_full(8), "nobody is turned away for longer than the minute");
        admitted.note(8, [9; COOKIE_LEN]);
        assert!((0..3).all(|n| admitted.has(&[n; COOKIE_LEN])), "a cookie of the last minute is still good");
        admitted.note(9, [10; COOKIE_LEN]);
        assert!(!admitted.has(&[0; COOKIE_LEN]) && admitted.has(&[9; COOKIE_LEN]));
        admitted.note(20, [11; COOKIE_LEN]);
        assert!(!admitted.has(&[10; COOKIE_LEN]) && admitted.has(&[11; COOKIE_LEN]));
    }

    #[test]
    fn an_address_is_counted_whatever_its_port_and_interface() {
        let ip: IpAddr = "fe80::1".parse().expect("an address");
        let IpAddr::V6(v6) = ip else { panic!("{ip}") };
        for address in [SocketAddrV6::new(v6, 0, 0, 0), SocketAddrV6::new(v6, u16::MAX, 0, 3)] {
            assert!(host_on(Port::PICTURES, ip).contains(&Peer { port: Port::PICTURES, address: address.into() }));
        }
        let v4: IpAddr = "10.0.0.1".parse().expect("an address");
        let peer = Peer { port: Port::PICTURES, address: SocketAddr::new(v4, u16::MAX) };
        assert!(host_on(Port::PICTURES, v4).contains(&peer) && !host_on(Port::SOUND, v4).contains(&peer));
        assert!(all_on(Port::PICTURES).contains(&peer));
    }
}

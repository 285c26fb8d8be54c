//! Watchers that come through TCP connections, where UDP does not get through. They are sent the same datagrams, in the same
//! order. Such a connection says when it is full: then nothing but messages is put into it, and once there is room again the newest
//! picture follows.

use std::net::IpAddr;
use std::time::Duration;

use super::{Event, SILENCE_LIMIT, Server};
use crate::proto::door::{Guard, Refusal};
use crate::proto::session::{Gone, Session, Wishes};
use crate::proto::{ConnectionState, Peer, Port, Received, Route};
use crate::units::Time;
use crate::wire::SizeClass;
use crate::wire::message::{Join, Role};
use crate::wire::tlv::kind;

/// A watcher behind a connection may be silent for so long: the connection tells when it is gone, and one who reads nothing costs
/// nothing.
pub const CONNECTION_SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// A connection from this machine whose round trips all take longer comes through a tunnel.
const TUNNEL: Duration = Duration::from_millis(4);

/// How long whoever comes by this peer may be silent.
pub const fn silence_limit(peer: Peer) -> Duration {
    if peer.port.is_connections() { CONNECTION_SILENCE_LIMIT } else { SILENCE_LIMIT }
}

/// What datagrams are made for that go through a connection: larger ones would only be harder to pass on.
pub const fn class(ip: IpAddr) -> SizeClass {
    if is_loopback(ip) { SizeClass::LOOPBACK } else { SizeClass::JUMBO }
}

const fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback(),
    }
}

impl Server {
    pub(super) fn connection(&mut self, peer: Peer, state: ConnectionState) {
        let Some(slot) = self.sessions.at(peer) else { return };
        if state == ConnectionState::Closed {
            return self.remove(slot, Gone::Left);
        }
        let Some(session) = self.sessions.get_mut(slot).filter(|session| session.peer() == peer) else { return };
        session.media.is_full = state == ConnectionState::Full;
        if !session.media.is_full {
            self.streams[session.stream.index()].has_room(slot, session);
        }
    }

    /// The session at a connection whose media is to go where this Join comes from, over UDP.
    fn to_be_split(&self, from: Peer, join: &Join<'_>) -> Option<usize> {
        if from.port != Port::PICTURES || join.role == Role::Publish {
            return None;
        }
        let named = join.tlvs.find(kind::WITH_SESSION).and_then(|id| id.first_chunk());
        let slot = self.sessions.slot(u64::from_be_bytes(*named?))?;
        let session = self.sessions.get(slot)?;
        let connected = session.control.is_some() || session.peer().port.is_connections();
        // What is checked above only that can prove.
        let own = !matches!(self.streams[session.stream.index()].guard(), Guard::Elsewhere { .. });
        (connected && own && session.peer().address.ip() == from.address.ip()).then_some(slot)
    }

    /// Whether a Join asks for that.
    pub(in crate::proto) fn is_split(&self, from: Peer, join: &Join<'_>) -> bool {
        self.to_be_split(from, join).is_some()
    }

    /// Sends the media of a session over UDP to where its watcher has proved that it receives; what must arrive goes on through the
    /// connection. False: the Join is none that asks for that.
    pub(super) fn split(&mut self, now: Time, datagram: Received<'_>, join: &Join<'_>) -> bool {
        let from = datagram.peer();
        let Some(slot) = self.to_be_split(from, join) else { return false };
        let same = |session: &Session| session.beginning.nonce == join.nonce && session.beginning.cookie == join.cookie;
        if self.sessions.get(slot).is_some_and(same) {
            self.welcome(slot);
            return true;
        }
        if self.door.has_admitted(&join.cookie) {
            self.totals.rejected += 1;
            return true;
        }
        match self.may_split(now, from, slot, join) {
            Err(refusal) => self.refuse(datagram.route(), join.nonce, refusal),
            Ok(()) => {
                self.door.admit(now, join.cookie);
                self.split_one(now, slot, datagram.route(), join);
            }
        }
        true
    }

    /// Whoever knows a session's id must also prove what its stream asks for, and there must be room as for any other.
    fn may_split(&mut self, now: Time, from: Peer, slot: usize, join: &Join<'_>) -> Result<(), Refusal> {
        if self.door.is_one_too_many(now, from) {
            return Err(Refusal::busy());
        }
        let own = self.sessions.get(slot).map(|session| session.stream);
        let film = own.and_then(|key| self.stream(key)).filter(|stream| stream.on_demand().is_some());
        let key = match film.map(|stream| (stream.key(), stream.name().clone(), stream.guard().clone())) {
            // It is found by no name.
            Some((key, name, guard)) => self.door.passes(now, from, join, (&name, &guard)).map(|()| key)?,
            None => self.wanted(now, from, join)?,
        };
        let same = own == Some(key);
        match self.door.lacks_room(now, from, &self.sessions) {
            _ if !same => Err(Refusal::busy()),
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    fn split_one(&mut self, now: Time, slot: usize, media: Route, join: &Join<'_>) {
        let beginning = self.beginning(now, media.peer, join);
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let (id, key, old) =
            (session.id, session.stream, session.control.map_or(session.peer(), |control| control.peer));
        session.beginning = beginning;
        if let Some(other) = self.sessions.split(now, slot, media) {
            self.remove(other, Gone::Replaced);
        }
        let welcome = self.accept(now, (id, media.peer), key, join, None);
        let Some(session) = self.sessions.get_mut(slot) else { return };
        session.welcome = welcome;
        session.media.is_full = false;
        session.media.protection.schemes = join.fec;
        session.set_repair(Wishes::of_join(join.tlvs).repair);
        self.streams[key.index()].has_room(slot, session);
        self.sessions.next_upkeep = now;
        self.welcome(slot);
        self.probe(slot);
        let (from, to) = (old.address, media.peer.address);
        self.outbox.events.push_back(Event::Moved { stream: key, id, from, to });
    }

    /// Whoever seems to be on this machine, and is at the other end of a tunnel, has a path that is worth an estimate.
    pub(super) fn look_for_tunnel(&mut self, now: Time, slot: usize) {
        let is_tunnel = |session: &&Session| {
            let connected = session.peer().port.is_connections() && !session.media.is_governed;
            connected && session.media.is_beyond(TUNNEL) && self.streams[session.stream.index()].adapts()
        };
        let Some(session) = self.sessions.get(slot).filter(is_tunnel) else { return };
        let control = self.control_of(now, session);
        if let Some(session) = self.sessions.get_mut(slot) {
            (session.media.control, session.media.is_governed) = (Some(Box::new(control)), true);
        }
    }
}

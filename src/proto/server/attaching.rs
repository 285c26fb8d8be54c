//! Sessions that we have asked for ourselves, at a server that takes a stream of ours; and what such a server needs of this one.

use super::connections;
use super::joining::present;
use super::{Guard, Server, StreamKey};
use crate::proto::door::{Door, Refusal};
use crate::proto::session::{Beginning, Gone, Session};
use crate::proto::stream::Stream;
use crate::proto::{Peer, Received, Route};
use crate::seal::{Exchange, LookupId, Proof, Subject};
use crate::units::Time;
use crate::wire::message::{COOKIE_LEN, Join, Message, Scheme};
use crate::wire::{Kind, SizeClass, StreamName};

/// The terms of such a session.
pub(in crate::proto) struct Attachment {
    pub id: u64,
    pub route: Route,
    /// Ids of the server and of those that it would go through.
    pub via: Vec<u64>,
}

impl Server {
    /// A stream goes to the server at the other end from now on: nothing of it until that says what it wants. Whatever went there
    /// before is no more.
    pub(in crate::proto) fn attach(&mut self, now: Time, key: StreamKey, attachment: Attachment) {
        let Attachment { id, route, via } = attachment;
        if key.index() >= self.streams.len() {
            return;
        }
        self.detach();
        let peer = route.peer;
        let connected = peer.port.is_connections().then(|| connections::class(peer.address.ip()));
        let given = self.config.datagram.or(connected);
        let (limit, given) = (given.unwrap_or(SizeClass::LOOPBACK), given.is_some());
        let beginning = Beginning { nonce: id, cookie: [0; COOKIE_LEN], at: now, limit, given };
        let mut session = Session::new(id, key, route, beginning);
        (session.pictures, session.describe_again) = (false, true);
        self.govern(now, &mut session);
        session.media.protection.schemes = Scheme::ReedSolomon.bit();
        session.via = via;
        let slot = self.sessions.insert(session);
        if let Some(session) = self.sessions.get(slot) {
            self.streams[key.index()].add(slot, session);
        }
        self.describe_to(slot);
        self.tell_clock(now, slot);
        self.probe(slot);
        self.streams[key.index()].tell_timeline(slot, &mut self.sessions);
        self.sessions.next_upkeep = now;
    }

    /// The streams go nowhere until they are attached again.
    pub fn detach(&mut self) {
        let slots: Vec<usize> = (0..self.sessions.slots()).filter(|slot| self.sessions.get(*slot).is_some()).collect();
        slots.into_iter().for_each(|slot| self.remove(slot, Gone::Replaced));
    }

    /// When the other end of a session was heard last; `None`: it is gone.
    pub fn heard(&self, id: u64) -> Option<Time> {
        self.sessions.slot(id).and_then(|slot| self.sessions.get(slot)).map(|session| session.heard)
    }

    /// Whether a Join that is not for a stream of ours is to be looked at: its cookie is good, and there is room for an answer.
    /// Otherwise it was answered, if at all.
    pub(in crate::proto) fn is_heard(&mut self, now: Time, datagram: Received<'_>, join: &Join<'_>) -> bool {
        let known = self.door.knows(now, datagram, join.nonce, &join.cookie);
        if !known || self.outbox.is_full() || self.door.has_admitted(&join.cookie) {
            self.totals.rejected += 1;
            return false;
        }
        if self.door.is_one_too_many(now, datagram.peer()) || self.door.admits_no_more(now) {
            self.refuse(datagram.route(), join.nonce, Refusal::busy());
            return false;
        }
        true
    }

    /// What is proven in this Join, and back.
    pub(in crate::proto) fn exchange<'a>(&self, join: &'a Join<'_>, subject: Subject<'a>) -> Exchange<'a> {
        self.door.exchange(join, subject)
    }

    /// The door, for whoever lets in publishers.
    pub(in crate::proto) const fn door_mut(&mut self) -> &mut Door {
        &mut self.door
    }

    /// Whether a session was made of this Join.
    pub(in crate::proto) fn has_joined(&self, peer: Peer, nonce: u64, cookie: &[u8; COOKIE_LEN]) -> bool {
        let session = self.sessions.at(peer).and_then(|slot| self.sessions.get(slot));
        session.is_some_and(|session| session.beginning.nonce == nonce && session.beginning.cookie == *cookie)
    }

    /// Whether a stream of this name is listed whose password is checked above.
    pub(in crate::proto) fn is_guarded_elsewhere(&self, name: &StreamName) -> bool {
        let guarded = |stream: &Stream| matches!(stream.guard(), Guard::Elsewhere { .. });
        self.found().any(|stream| stream.name() == name && guarded(stream))
    }

    /// Whether a stream's proofs are checked above.
    pub(in crate::proto) fn is_checked_above(&self, key: StreamKey) -> bool {
        self.streams.get(key.index()).is_some_and(|stream| matches!(stream.guard(), Guard::Elsewhere { .. }))
    }

    /// A message to a stranger.
    pub(in crate::proto) fn say_to(&mut self, to: Route, message: &Message<'_>) {
        self.outbox.say(to, None, message);
    }

    /// Lets somebody in for whom the origin has vouched; `proof` is what it proves to him.
    pub(in crate::proto) fn admit_vouched(
        &mut self,
        now: Time,
        from: Route,
        key: StreamKey,
        join: &Join<'_>,
        proof: Proof,
    ) {
        match self.entrance(now, from.peer, key, join) {
            Ok(key) => {
                self.sessions.at(from.peer).into_iter().for_each(|slot| self.remove(slot, Gone::Replaced));
                self.door.admit(now, join.cookie);
                self.admit(now, from, key, join, Some(proof));
            }
            Err(refusal) => self.refuse(from, join.nonce, refusal),
        }
    }

    /// Those who watch a stream are told nothing more: they will notice, and come back with new proofs.
    pub(in crate::proto) fn forget_watchers(&mut self, key: StreamKey) {
        let members = self.streams.get(key.index()).map(|stream| stream.members().to_vec()).unwrap_or_default();
        let watchers = members.into_iter().filter(|slot| !self.sessions.get(*slot).is_some_and(Session::is_group));
        let members: Vec<usize> = watchers.collect();
        members.into_iter().for_each(|slot| self.remove(slot, Gone::Silent));
    }

    /// Whether a stream that is here has this code.
    pub(in crate::proto) fn has_code(&self, id: LookupId) -> bool {
        present(&self.streams).any(|stream| stream.guard().of_code(id).is_some())
    }

    /// Whether a stream of this name is listed.
    pub(in crate::proto) fn lists(&self, name: &StreamName) -> bool {
        self.found().any(|stream| stream.name() == name)
    }

    /// Sends an Accept that was written elsewhere.
    pub(in crate::proto) fn say_accept(&mut self, to: Route, id: u64, accept: Vec<u8>) {
        self.outbox.say_as(to, id as u32, Kind::ACCEPT, accept);
    }

    /// Says why a publisher is not let in.
    pub(in crate::proto) fn turn_away(&mut self, to: Route, nonce: u64, refusal: Refusal) {
        self.refuse(to, nonce, refusal);
    }

    /// An id that no session has.
    pub(in crate::proto) fn draw_id(&mut self) -> u64 {
        self.random.id()
    }
}

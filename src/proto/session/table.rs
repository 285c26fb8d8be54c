//! All sessions of a server, found by slot, by id and by address.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::Session;
use crate::media::coded::Object;
use crate::media::sound::Rendition;
use crate::proto::door::{all_on, host_on};
use crate::proto::sender::{Cargo, Control, Side, Told, ToldCell, sound};
use crate::proto::{Peer, Port, Route, SendFailure, Transmit};
use crate::units::{Bitrate, Time};
use crate::wire::{Kind, Report};

/// A session keeps its slot as long as it lives; then another may get it.
#[derive(Default)]
pub struct Sessions {
    slots: Vec<Option<Session>>,
    by_id: BTreeMap<u64, usize>,
    by_peer: BTreeMap<Peer, usize>,
    /// How many there have been.
    count: u32,
    /// The session whose sequence the datagram handed out last is in.
    stamped: Option<u64>,
    /// When they are looked after next.
    pub next_upkeep: Time,
}

impl Sessions {
    pub fn get(&self, slot: usize) -> Option<&Session> {
        self.slots.get(slot)?.as_ref()
    }

    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Session> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// The slot of the session with this id.
    pub fn slot(&self, id: u64) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// The slot of the session at this address.
    pub fn at(&self, peer: Peer) -> Option<usize> {
        self.by_peer.get(&peer).copied()
    }

    /// The slot of session `id`, if it is `from` who speaks of it.
    pub fn slot_of(&self, from: Peer, id: u64) -> Option<usize> {
        self.slot(id).filter(|slot| self.get(*slot).is_some_and(|session| session.is_of(from)))
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Slots are numbered from zero to below this.
    pub const fn slots(&self) -> usize {
        self.slots.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slots.iter().flatten()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.slots.iter_mut().flatten()
    }

    /// How many there are on one port.
    pub fn count_on(&self, port: Port) -> usize {
        self.by_peer.range(all_on(port)).count()
    }

    /// How many there are on one port from one host.
    pub fn count_from(&self, port: Port, ip: IpAddr) -> usize {
        self.by_peer.range(host_on(port, ip)).count()
    }

    /// Returns its slot.
    pub fn insert(&mut self, mut session: Session) -> usize {
        self.count = self.count.wrapping_add(1).max(1);
        session.number = self.count;
        let slot = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        self.by_id.insert(session.id, slot);
        self.by_peer.insert(session.peer(), slot);
        self.slots[slot] = Some(session);
        slot
    }

    pub fn take(&mut self, slot: usize) -> Option<Session> {
        let session = self.slots.get_mut(slot)?.take()?;
        self.by_id.remove(&session.id);
        for peer in [Some(session.peer()), session.control.map(|control| control.peer)].into_iter().flatten() {
            if self.by_peer.get(&peer) == Some(&slot) {
                self.by_peer.remove(&peer);
            }
        }
        Some(session)
    }

    /// The session in `slot` is at `new` and no longer at `old`. Returns the slot of the one that was there.
    pub fn move_to(&mut self, slot: usize, old: Peer, new: Peer) -> Option<usize> {
        self.by_peer.remove(&old);
        self.by_peer.insert(new, slot).filter(|other| *other != slot)
    }

    /// The media of the session in `slot`, which is at a connection, goes to `media` from now on. Returns the slot of the one that
    /// was there.
    pub fn split(&mut self, now: Time, slot: usize, media: Route) -> Option<usize> {
        let session = self.slots.get_mut(slot)?.as_mut()?;
        session.control = session.control.or(Some(session.route()));
        let before = session.peer();
        session.move_to(now, media);
        if !before.port.is_connections() {
            self.by_peer.remove(&before);
        }
        self.by_peer.insert(media.peer, slot).filter(|other| *other != slot)
    }

    /// A datagram in a session's sequence that is no part of a picture.
    pub fn transmit(&mut self, slot: usize, now: Time, kind: Kind, cargo: Cargo, body: Object) -> Option<Transmit> {
        let session = self.slots.get_mut(slot)?.as_mut()?;
        self.stamped = Some(session.id);
        let transmit = session.media.transmit(now, kind, cargo, body);
        self.tell_sent(now, slot, cargo, transmit.len());
        Some(transmit)
    }

    /// A session has sent so much: if it is the sound of another, the control is that one's.
    pub fn tell_sent(&mut self, now: Time, slot: usize, cargo: Cargo, bytes: usize) {
        let Some(session) = self.get(slot).filter(|session| session.media.is_governed && session.is_second()) else {
            return;
        };
        if let Some(control) = session.tied.and_then(|id| self.control_of(id)) {
            control.sends(now, Side::Sound, cargo, bytes);
        }
    }

    /// The control of the session with this id.
    fn control_of(&mut self, id: u64) -> Option<&mut Control> {
        let slot = self.slot(id)?;
        self.get_mut(slot)?.media.control.as_deref_mut()
    }

    /// The watcher in `slot` is allowed sound that leaves enough of this rate for pictures.
    pub fn allow_sound(&mut self, slot: usize, rate: Option<Bitrate>) {
        let Some(session) = self.get(slot) else { return };
        let allowed = rate.map_or(Rendition::Stereo, |rate| sound(rate, session.sound_allowed));
        let second = session.tied.and_then(|id| self.slot(id));
        let mut takes = None;
        for slot in [second, Some(slot)].into_iter().flatten() {
            let Some(session) = self.get_mut(slot) else { continue };
            session.sound_allowed = allowed;
            // Where sound changes to coded units, samples go on for a moment.
            let sent =
                session.sound_rendition().map(|sound| if session.coded { sound } else { sound.min(Rendition::Mono) });
            takes = takes.or(sent);
            if let Some(control) = &mut session.media.control {
                control.set_sound(takes.map(Rendition::bitrate).unwrap_or_default());
            }
        }
    }

    /// What a report of the session in `slot` tells of single datagrams is of use to the control of its watcher.
    pub fn tell_control(&mut self, now: Time, slot: usize, sent_at: u32, report: &Report, cells: &[ToldCell]) {
        let Some(session) = self.get(slot).filter(|session| session.media.is_governed) else { return };
        let (first, side) = match session.tied.filter(|_| session.is_second()) {
            Some(first) => (first, Side::Sound),
            None => (session.id, Side::Pictures),
        };
        let round_trip = session.stats().rtt.unwrap_or_default();
        let unreported = session.media.unreported(now, report);
        let Some(owner) = self.slot(first).and_then(|slot| self.get_mut(slot)) else { return };
        let begun = owner.media.begun();
        if let Some(control) = &mut owner.media.control {
            control.report(now, &Told { side, sent_at, cells, unreported, round_trip, begun });
            let congested = control.congested();
            owner.media.congested = congested;
            let second = owner.tied.and_then(|id| self.slot(id)).and_then(|slot| self.get_mut(slot));
            second.into_iter().for_each(|second| second.media.congested = congested);
        }
    }

    /// Notes whose sequence the datagram handed out last is in.
    pub const fn note_stamped(&mut self, id: Option<u64>) {
        self.stamped = id;
    }

    /// The datagram handed out last did not leave. A number that it took is free again if it never can.
    pub fn not_sent(&mut self, to: SocketAddr, failure: SendFailure) {
        let slot = self.stamped.take().and_then(|id| self.slot(id));
        let session = slot.and_then(|slot| self.get_mut(slot)).filter(|session| session.peer().address == to);
        let Some(session) = session else { return };
        session.media.not_sent();
        if failure == SendFailure::TooLarge {
            session.media.too_large();
        }
    }

    /// Ties a session on the sound port to the picture session in `slot`. Returns the slot of the one that it replaces.
    pub fn tie(&mut self, first: usize, second: &mut Session) -> Option<usize> {
        let first = self.get_mut(first)?;
        second.tied = Some(first.id);
        // One control for both: they share the path.
        (second.media.control, second.media.is_governed) = (None, first.media.control.is_some());
        let old = first.tied.replace(second.id);
        old.and_then(|id| self.slot(id))
    }

    /// A sound session is gone: its picture session may have another.
    pub fn untie(&mut self, second: &Session) {
        let slot = second.tied.and_then(|id| self.slot(id));
        if let Some(first) = slot.and_then(|slot| self.get_mut(slot))
            && first.tied == Some(second.id)
        {
            first.tied = None;
        }
    }

    /// Whether a picture session's own sound session is there and ready.
    pub fn is_tied_and_ready(&self, first: &Session) -> bool {
        let slot = first.tied.and_then(|id| self.slot(id));
        slot.and_then(|slot| self.get(slot)).is_some_and(|second| second.ready && second.spot.untold.is_none())
    }

    /// For fuzzing: panics if the tables disagree.
    pub fn assert_sound(&self) {
        let live = self.iter().count();
        let peers = live + self.iter().filter(|session| session.control.is_some()).count();
        assert_eq!((self.by_id.len(), self.by_peer.len()), (live, peers), "each session has an id and an address");
        for (slot, session) in self.slots.iter().enumerate() {
            let Some(session) = session else { continue };
            assert_eq!(self.by_id.get(&session.id), Some(&slot));
            assert_eq!(self.by_peer.get(&session.peer()), Some(&slot));
            session.media.assert_sound();
        }
    }
}

//! Films as a whole: what relays ask for with Get, and when it leaves.

use super::{Event, Server};
use crate::media::coded::Object;
use crate::proto::{Peer, Transmit};
use crate::units::Time;
use crate::wire::Kind;
use crate::wire::description::film_id;
use crate::wire::message::{Message, NameRange};

impl Server {
    /// A session asks for objects. Those of the film that its stream is of may be had, by relays.
    pub(super) fn get(&mut self, from: Peer, id: u64, range: NameRange) {
        let session = self.sessions.slot_of(from, id).and_then(|slot| self.sessions.get(slot));
        let Some(session) = session.filter(|session| !session.via.is_empty()) else {
            self.totals.rejected += 1;
            return;
        };
        if self.outbox.is_full() {
            // Who asks will ask again.
            self.totals.rejected += 1;
            return;
        }
        let stream = session.stream;
        let film = self.streams[stream.index()].description().film;
        if film.map(|hash| film_id(&hash)) == Some(range.stream) && range.first <= range.last {
            self.outbox.events.push_back(Event::Asked { stream, id, range });
        } else {
            self.tell_gone(id, range);
        }
    }

    /// How many bytes a session may be supplied with now; 0 also if it is gone.
    pub fn supply_room(&self, id: u64) -> usize {
        let session = self.sessions.slot(id).and_then(|slot| self.sessions.get(slot));
        session.map_or(0, |session| session.media.supply.room())
    }

    /// Whether this session is there.
    pub fn has_session(&self, id: u64) -> bool {
        self.sessions.slot(id).is_some()
    }

    pub(super) fn take_supply(&mut self, id: u64, objects: Vec<Object>) {
        let Some(slot) = self.sessions.slot(id) else { return };
        let Some(session) = self.sessions.get_mut(slot) else { return };
        session.media.supply.put(objects);
        self.supplied.insert(slot);
    }

    pub(super) fn tell_gone(&mut self, id: u64, range: NameRange) {
        let Some(slot) = self.sessions.slot(id) else { return };
        let mut body = Vec::with_capacity(28);
        Message::Gone { session: id, range }.emit(&mut body);
        self.outbox.sequenced(slot, Kind::GONE, body, &self.sessions);
    }

    /// The next object that somebody asked for, if nothing with a deadline waits.
    pub(super) fn supply(&mut self, now: Time) -> Option<Transmit> {
        let Self { sessions, supplied, .. } = self;
        supplied.retain(|slot| sessions.get(*slot).is_some_and(|session| !session.media.supply.is_empty()));
        let (slot, transmit) = supplied.iter().find_map(|slot| {
            let session = sessions.get_mut(*slot).filter(|session| session.leaving.is_none())?;
            Some((*slot, session.media.next_supply(now)?))
        })?;
        let session = self.sessions.get(slot)?;
        let (id, stream) = (session.id, session.stream.index());
        self.sessions.note_stamped(Some(id));
        self.streams[stream].totals.count(&transmit);
        Some(transmit)
    }

    /// When the next of it may leave.
    pub(super) fn supply_at(&self) -> Option<Time> {
        let sessions = self.supplied.iter().filter_map(|slot| self.sessions.get(*slot));
        let at = |session: &crate::proto::session::Session| {
            session.media.supply_at(self.polled).filter(|_| session.leaving.is_none() && !session.media.has_more())
        };
        sessions.filter_map(at).min()
    }
}

//! Who is of a stream, and who of them is sent its pictures.

use std::time::Duration;

use super::Stream;
use crate::proto::sender::Lent;
use crate::proto::session::{ANNOUNCE, Session, Sessions};
use crate::units::Time;
use crate::wire::message::NackName;
use crate::wire::object::Type;

/// A watcher that resumes again and again is sent the picture that stands after this time at the latest.
const RESUMED_AGAIN: Duration = Duration::from_secs(1);

impl Stream {
    /// How many watch or listen; two sessions of one watcher count once.
    pub const fn watchers(&self) -> usize {
        self.watchers
    }

    pub fn members(&self) -> &[usize] {
        &self.members
    }

    /// A session joins.
    pub fn add(&mut self, slot: usize, session: &Session) {
        let place = self.members.partition_point(|member| *member < slot);
        self.members.insert(place, slot);
        self.watchers += usize::from(session.is_watcher());
        self.look_again();
        if session.pictures {
            self.turns.add(slot);
        }
    }

    /// A session is gone. Returns how many pictures it was not sent at the end although it wanted them.
    pub fn remove(&mut self, slot: usize, session: &Session) -> u64 {
        if let Ok(place) = self.members.binary_search(&slot) {
            self.members.remove(place);
        }
        self.watchers -= usize::from(session.is_watcher());
        self.turns.remove(slot);
        self.look_again();
        if session.pictures { session.missed(self.totals.pictures) } else { 0 }
    }

    /// A session is sent no pictures for now, but what is left of the one on its way.
    pub fn pause(&mut self, slot: usize, sessions: &mut Sessions) {
        let Some(session) = sessions.get_mut(slot).filter(|session| session.pictures) else { return };
        session.pictures = false;
        self.turns.leave(slot);
    }

    /// A session is sent pictures again: at once the one that stands, with its body.
    pub fn resume(&mut self, now: Time, slot: usize, sessions: &mut Sessions) {
        let Some(session) = sessions.get_mut(slot).filter(|s| !s.pictures && s.is_for_pictures()) else { return };
        session.pictures = true;
        session.media.harmed();
        self.turns.add(slot);
        // Each interval once, whatever a watcher does: so it costs no more than twice what others do.
        let pause = self.config.description.rate.interval().min(RESUMED_AGAIN);
        let rested = session.resumed.is_none_or(|last| now >= last + pause);
        let stands = rested && self.stands_until().is_some_and(|until| until > now);
        // What departed meanwhile was not for it. What stands is, although it may have been sent that before: some of it may
        // have been lost.
        session.pass(self.totals.pictures - u64::from(stands));
        if stands {
            session.resumed = Some(now);
            self.turns.is_late(slot);
        }
    }

    /// The connection that a session comes by takes media again. What was begun is sent to its end, and then the newest picture.
    pub fn has_room(&mut self, slot: usize, session: &Session) {
        let (begun, lacks) = (session.media.has_more(), session.missed(self.totals.pictures) > 0);
        if begun || session.pictures && lacks {
            self.turns.has_room(slot, begun);
        }
    }

    /// A group is sent the picture that stands anew now and then, for whoever has come since.
    pub fn show_again(&mut self, now: Time, slot: usize, sessions: &mut Sessions) {
        // Where the next one departs soon, that is sent with its body.
        let long = self.departing.as_ref().is_some_and(|departing| departing.lasts() > ANNOUNCE);
        let stands = long && self.stands_until().is_some_and(|until| until > now);
        let Some(session) = sessions.get_mut(slot).filter(|session| stands && session.is_to_be_shown_again()) else {
            return;
        };
        if !session.media.has_more() && session.missed(self.totals.pictures) == 0 {
            session.media.harmed();
            session.pass(self.totals.pictures - 1);
            self.turns.is_late(slot);
        }
    }

    /// A session lacks these. Returns whether any of them had been sent to it.
    pub fn answer(&mut self, now: Time, slot: usize, session: &mut Session, names: &[NackName], lent: &Lent) -> bool {
        if self.has_said_goodbye() {
            return false;
        }
        if self.overloaded {
            // What is more than can be sent is not made less by sending some of it twice.
            return true;
        }
        let had_more = session.media.has_more();
        let mut known = session.media.ask_beside(now, lent);
        for name in names.iter().filter(|name| name.stream == self.id) {
            known |= match name.kind {
                Type::PICTURE => session.media.ask(now, name),
                Type::SOUND
                    if lent.sounds.contains(&(name.rendition, name.unit))
                        || session.was_sent_sound(name.rendition, name.unit) =>
                {
                    self.answer_sound(now, session, name)
                }
                _ => false,
            };
        }
        match (had_more, session.media.has_more()) {
            (false, true) => self.turns.is_ready(slot),
            // The pace of a picture does not concern what is sent again, unless it is that of the path.
            (true, true) if !session.media.is_governed => self.turns.hurry(slot),
            _ => {}
        }
        known
    }

    fn answer_sound(&self, now: Time, session: &mut Session, name: &NackName) -> bool {
        let Some(object) = self.sound_sent(name) else { return false };
        session.media.ask_for_sound(now, name, object);
        true
    }

    /// For fuzzing: panics if something grows without bound, or if the tables disagree.
    pub fn assert_sound(&self, sessions: &Sessions) {
        let own = |slot: &usize| sessions.get(*slot).is_some_and(|session| session.stream == self.key);
        let members: Vec<usize> = (0..sessions.slots()).filter(own).collect();
        assert_eq!(self.members, members, "each session is of its stream");
        let session = |slot: &usize| sessions.get(*slot);
        let watchers = members.iter().filter_map(session).filter(|session| session.is_watcher()).count();
        assert_eq!(self.watchers, watchers, "those counted are those there");
        self.sound.assert_sound();
        self.room.assert_sound();
        let of =
            |is: fn(&Session) -> bool| members.iter().copied().filter(move |slot| sessions.get(*slot).is_some_and(is));
        let pictures = of(|session| session.pictures).collect();
        let sending: Vec<usize> = of(|session| session.media.has_more()).collect();
        assert!(
            self.turns.assert_sound(&pictures).all(|slot| sending.contains(&slot)),
            "only who has something to send is paced"
        );
    }
}

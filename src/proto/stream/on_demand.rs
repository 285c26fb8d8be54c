//! A film on demand: a stream with a timeline of its own for one watcher, or for those who watch together. They pause it, go on,
//! go elsewhere, and change its speed.
//!
//! Whatever is more than a pause begins the timeline anew at some place, which is a *jump*. What was on its way is given up.
//! Nothing of the new place is sent to a session before that has acknowledged the jump: so it can tell by the hop sequence
//! what is of which place.

use super::load::Load;
use super::sound::Sound;
use super::{Events, Stream};
use crate::proto::server::Event;
use crate::proto::session::{Session, Sessions};
use crate::units::{MediaTime, Speed, Time};
use crate::wire::message::{Jump, Play, Seek, State, Timeline};

/// See the head of this file.
pub struct OnDemand {
    /// Those who join with this name watch together; `None`: one watches alone.
    pub party: Option<String>,
    /// Those who watch may pause it and go elsewhere.
    pub heeds: bool,
    /// Counted from 1.
    jump: u32,
    paused: bool,
    speed: Speed,
    /// Where the last jump went.
    place: MediaTime,
    /// The last picture has had its time.
    ended: bool,
    /// So many jumps have not been told to the program: what it brings is of the place before.
    unsought: u32,
}

impl OnDemand {
    pub const fn new(party: Option<String>, heeds: bool) -> Self {
        let place = MediaTime::ZERO;
        Self { party, heeds, jump: 1, paused: false, speed: Speed::NORMAL, place, ended: false, unsought: 0 }
    }
}

impl Stream {
    /// Those who watch it have its timeline for themselves.
    pub fn set_on_demand(&mut self, on_demand: OnDemand) {
        self.on_demand = Some(Box::new(on_demand));
    }

    pub fn on_demand(&self) -> Option<&OnDemand> {
        self.on_demand.as_deref()
    }

    /// Whether it stands because that was ordered.
    pub(super) fn stands(&self) -> bool {
        self.on_demand.as_ref().is_some_and(|film| film.paused)
    }

    /// How fast it is played.
    pub(super) fn speed(&self) -> Speed {
        self.on_demand.as_ref().map_or(Speed::NORMAL, |film| film.speed)
    }

    /// Which moment is shown now, or is to be shown next.
    fn place(&self, now: Time) -> MediaTime {
        let place = self.on_demand.as_ref().map_or(MediaTime::ZERO, |film| film.place);
        // After the last picture the moment is that of the end.
        let end = self.ended.flatten();
        let shown =
            self.schedule.map(|schedule| schedule.media(now)).map(|media| end.map_or(media, |end| media.min(end)));
        shown.map_or(place, |shown| shown.max(place))
    }

    /// Obeys an order, which was not heard before.
    pub fn play(&mut self, now: Time, order: Play, sessions: &mut Sessions, events: &mut Events) {
        let place = self.place(now);
        let Some(film) = self.on_demand.as_mut().filter(|film| film.heeds) else { return };
        let goes_on = film.paused && !order.paused && !film.ended;
        let slower = film.speed != order.speed && !order.paused && !film.ended;
        film.speed = order.speed;
        let pauses = order.paused && !film.paused;
        (film.paused, film.ended) = (order.paused, film.ended && order.seek.is_none());
        let here = Seek { to: place, exact: true };
        match order.seek.or((goes_on || slower).then_some(here)) {
            Some(seek) => self.jump(now, seek, sessions, events),
            None if pauses => self.stand(place, sessions),
            None => self.tell_timeline_to_all(sessions),
        }
    }

    /// Nothing later than this is shown for now.
    fn stand(&mut self, at: MediaTime, sessions: &mut Sessions) {
        self.schedule.iter_mut().for_each(|schedule| schedule.hold(at));
        self.look_again();
        self.tell_timeline_to_all(sessions);
    }

    fn jump(&mut self, now: Time, mut seek: Seek, sessions: &mut Sessions, events: &mut Events) {
        seek.to = seek.to.max(MediaTime::ZERO);
        let generation = self.schedule.map_or(1, |schedule| schedule.generation());
        if let Some(passing) = &mut self.passing {
            passing.begin_anew(now, generation);
        }
        (self.schedule, self.ended) = (None, None);
        self.forget_pictures();
        self.turns.stop();
        self.load = Load::new(self.config.description.rate.interval());
        self.sound = Sound::new(self.config.description.sound);
        if let Some(film) = &mut self.on_demand {
            (film.jump, film.unsought) = (film.jump + 1, film.unsought + 1);
            film.place = seek.to;
        }
        for slot in &self.members {
            let Some(session) = sessions.get_mut(*slot) else { continue };
            session.media.forget();
            session.forget_sound();
        }
        self.look_again();
        self.tell_timeline_to_all(sessions);
        events.push_back(Event::Sought { stream: self.key, seek });
    }

    /// The program has been told of a jump.
    pub fn note_sought(&mut self) {
        self.on_demand.iter_mut().for_each(|film| film.unsought = film.unsought.saturating_sub(1));
    }

    /// Whether the program has been told of all jumps.
    pub(super) fn is_sought(&self) -> bool {
        self.on_demand.as_ref().is_none_or(|film| film.unsought == 0)
    }

    /// Its last picture has had its time: it stands, until somebody goes elsewhere. False if it is none on demand.
    pub(super) fn rests_at_its_end(&mut self, sessions: &mut Sessions) -> bool {
        let Some(film) = self.on_demand.as_mut().filter(|film| film.heeds) else { return false };
        if !std::mem::replace(&mut film.ended, true) {
            self.tell_timeline_to_all(sessions);
        }
        true
    }

    /// Whether its end was told, and nobody has gone elsewhere.
    pub(super) fn is_at_its_end(&self) -> bool {
        self.on_demand.as_ref().is_some_and(|film| film.ended)
    }

    /// What those who watch are told of its timeline; `None` if it is none on demand.
    pub(super) fn timeline_on_demand(&self) -> Option<Timeline> {
        let film = self.on_demand.as_ref()?;
        let (speed, before) = (film.speed, self.generations_before());
        let Some(schedule) = self.schedule else {
            let clock = Time::ZERO;
            return Some(Timeline { generation: before + 1, state: State::Waiting, media: film.place, clock, speed });
        };
        let (media, clock) = match (film.ended, film.paused) {
            (true, _) => self.ended.flatten().map_or(schedule.beginning(), |end| (end, schedule.due(end))),
            (false, true) => schedule.held().map_or(schedule.beginning(), |held| (held, schedule.due(held))),
            (false, false) => schedule.beginning(),
        };
        let state = match (film.ended, film.paused) {
            (true, _) => State::Ended,
            (false, true) => State::Paused,
            (false, false) => State::Playing,
        };
        let generation = before + 1 + schedule.generation() + u32::from(film.ended);
        Some(Timeline { generation, state, media, clock, speed: schedule.speed() })
    }

    /// Which place a session is sent; an Update with this number tells it.
    pub(super) fn note_jump(&self, session: &mut Session, number: u32) -> Option<Jump> {
        let film = self.on_demand.as_ref()?;
        let spot = &mut session.spot;
        if spot.jump != film.jump {
            (spot.jump, spot.from, spot.untold) = (film.jump, session.media.next_sequence(), Some(number));
        }
        Some(Jump { number: spot.jump, from: spot.from, obeyed: spot.obeyed.unwrap_or(0) })
    }
}

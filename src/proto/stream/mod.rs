//! One stream of a server: its description and timeline, the picture in hand, sound, and the sessions that are sent them.
//!
//! It holds at most one coded picture, the next to leave; [`Stream::wants_picture`] says when it can take another. A
//! file's picture leaves at its deadline, a live one when it comes. It is cut once for each size class in use, and each
//! watcher gets the shared objects behind a hop header of its own.

mod adapt;
mod departure;
mod ending;
mod load;
mod members;
mod offer;
mod on_demand;
mod passing;
mod sound;
mod turns;

use std::collections::VecDeque;
use std::sync::Arc;

use adapt::Adapting;
use departure::Departing;
pub use ending::Goodbye;
use ending::Phase;
use load::Load;
pub use load::Meter;
use offer::{Content, Offer};
pub use on_demand::OnDemand;
pub use passing::{Adoption, Needs, Passing};
use sound::Sound;
pub use sound::Urgency;
use turns::Turns;

use super::door::Guard;
use super::schedule::{Demand, Schedule};
use super::server::{Event, Feed, Totals};
use super::session::Sessions;
use super::talk::{Room, TalkRules};
use super::{Reason, Soonest, Transmit};
use crate::units::{Bitrate, MediaTime, Speed, Time, Unit};
use crate::wire::message::{State, Timeline, bye};
use crate::wire::{Description, SizeClass, StreamName};

/// What the server will tell its program.
pub type Events = VecDeque<Event>;

/// What the operator chose for one stream.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    pub name: StreamName,
    pub description: Description,
    pub quality: u8,
    /// Below this, pictures become smaller or fewer instead.
    pub least_quality: u8,
    /// Most that a watcher is sent, sound and all included.
    pub max_rate: Option<Bitrate>,
    /// Whether a watcher is sent less than there is if its path does not carry more.
    pub adapt: bool,
    /// Start the timeline at once instead of with the first watcher.
    pub no_wait: bool,
    /// Who may watch it.
    pub guard: Guard,
}

impl StreamConfig {
    pub const fn new(name: StreamName, description: Description) -> Self {
        let (least_quality, max_rate, adapt) = (1, None, true);
        Self { name, description, quality: 80, least_quality, max_rate, adapt, no_wait: false, guard: Guard::Open }
    }
}

/// A stream of one server, in the order in which they were opened. A key is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey(usize);

impl StreamKey {
    pub(in crate::proto) const fn new(index: usize) -> Self {
        Self(index)
    }

    pub(in crate::proto) const fn index(self) -> usize {
        self.0
    }
}

/// See the head of this file.
pub struct Stream {
    key: StreamKey,
    /// The stream id of the wire.
    id: u64,
    config: StreamConfig,
    phase: Phase,
    /// Units that will have been on the timeline: one more than the last picture's.
    units: u32,
    schedule: Option<Schedule>,
    /// A live stream's media zero in our clock.
    live_zero: Option<Time>,
    /// Nobody awaits the start before then, unless something changes: see [`Stream::look_again`].
    unawaited_until: Time,
    next: Option<Offer>,
    departing: Option<Departing>,
    /// The last picture with a body of a live stream, for those who lack it.
    body: Option<Content>,
    turns: Turns,
    load: Load,
    adapting: Adapting,
    overloaded: bool,
    /// See [`Demand::fresh`].
    fresh: u64,
    /// The smallest class that the picture in hand was cut for.
    smallest: SizeClass,
    /// No more pictures will come; see [`Feed::Ended`].
    ended: Option<Option<MediaTime>>,
    sound: Sound,
    /// Slots of its sessions, rising.
    members: Vec<usize>,
    /// Sessions that are not another one's sound.
    watchers: usize,
    /// Its source has something to show, and does not want to.
    paused: bool,
    /// Of a stream whose objects come from elsewhere.
    passing: Option<Passing>,
    /// Those who watch it say how it is played.
    on_demand: Option<Box<OnDemand>>,
    /// What those who watch it say.
    pub room: Room,
    pub totals: Totals,
}

impl Stream {
    pub fn new(key: StreamKey, id: u64, config: StreamConfig, talk: &TalkRules) -> Self {
        Self {
            key,
            id,
            phase: Phase::Running,
            units: 0,
            schedule: None,
            live_zero: None,
            unawaited_until: Time::ZERO,
            next: None,
            departing: None,
            body: None,
            turns: Turns::default(),
            load: Load::new(config.description.rate.interval()),
            adapting: Adapting::new(config.description.size, config.quality),
            overloaded: false,
            fresh: 0,
            smallest: SizeClass::ANY,
            ended: None,
            sound: Sound::new(config.description.sound),
            room: Room::new(talk.clone(), id),
            config,
            paused: false,
            members: Vec::new(),
            watchers: 0,
            passing: None,
            on_demand: None,
            totals: Totals::default(),
        }
    }

    pub const fn key(&self) -> StreamKey {
        self.key
    }

    pub const fn id(&self) -> u64 {
        self.id
    }

    pub const fn name(&self) -> &StreamName {
        &self.config.name
    }

    pub fn set_guard(&mut self, guard: Guard) {
        self.config.guard = guard;
    }

    pub const fn guard(&self) -> &Guard {
        &self.config.guard
    }

    pub const fn description(&self) -> &Description {
        &self.config.description
    }

    /// Takes another description in the place of the first; false if somebody has been told that already, or something was
    /// taken from the source.
    pub fn describe(&mut self, description: Description) -> bool {
        let unseen = self.members.is_empty() && self.next.is_none() && self.schedule.is_none();
        let fresh = unseen && self.live_zero.is_none() && self.sound.is_untouched();
        if fresh {
            self.load = Load::new(description.rate.interval());
            self.sound = Sound::new(description.sound);
            self.adapting = Adapting::new(description.size, self.config.quality);
            self.config.description = description;
            self.look_again();
        }
        fresh
    }

    /// Whether a [`Feed::Picture`] or [`Feed::Ended`] would be taken now.
    pub fn wants_picture(&self) -> bool {
        self.next.is_none() && self.ended.is_none() && self.phase == Phase::Running && self.is_sought()
    }

    /// Nothing is shown until it goes on; who is sent the stream is told.
    pub fn hold(&mut self, paused: bool, sessions: &mut Sessions) {
        if std::mem::replace(&mut self.paused, paused) != paused {
            self.look_again();
            self.tell_timeline_to_all(sessions);
        }
    }

    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// What the encoder should know before its next picture.
    pub fn demand(&self) -> Demand {
        if self.paused {
            return Demand::idle(self.config.quality, self.config.description.live);
        }
        Demand {
            watched: !self.turns.is_empty(),
            wish: self.adapting.wish,
            held: self.next.is_some() && self.adapting.wish.most.is_some(),
            schedule: self.schedule,
            live: self.config.description.live,
            fresh: self.fresh,
            class: self.smallest,
        }
    }

    /// Whether pictures are made to what paths carry.
    pub const fn adapts(&self) -> bool {
        self.config.adapt
    }

    /// Whether more is to be sent than can be.
    pub const fn is_overloaded(&self) -> bool {
        self.overloaded
    }

    /// The share of pictures that were sent to those for whom they were, in the last second: 0 … 1.
    pub fn served(&self) -> f64 {
        self.load.served()
    }

    /// To be asked now and then.
    pub fn look_at_load(&mut self, now: Time) {
        if let Some(overloaded) = self.load.turn(now, self.overloaded, self.turns.is_handing_out()) {
            self.overloaded = overloaded;
        }
    }

    pub fn feed(&mut self, now: Time, feed: Feed, sessions: &Sessions) {
        self.look_again();
        let media = matches!(feed, Feed::Picture(_) | Feed::Sound(_) | Feed::CodedSound(_));
        let brought = matches!(feed, Feed::Passed(_) | Feed::PassedSound(_) | Feed::SoundEnded | Feed::Ended(_));
        if self.paused && media || brought && !self.is_sought() {
            return;
        }
        match feed {
            Feed::Picture(picture) if self.phase == Phase::Running => {
                self.take(now, Content::Coded(Arc::new(picture)), sessions);
            }
            Feed::Passed(picture) => self.pass(now, picture, sessions),
            Feed::PassedSound(sound) => self.sound.take_passed(now, sound),
            Feed::Picture(_) => {}
            Feed::Ended(end) => self.ended = Some(end),
            // The server's to obey: all who are there are told.
            Feed::Pause(_) | Feed::Say { .. } => {}
            Feed::Sound(chunk) => self.sound.take(now, chunk),
            Feed::CodedSound(unit) => self.sound.take_coded(unit),
            Feed::SoundEnded => self.sound.end(now),
            Feed::Stop(sentence) => self.stop(now, Goodbye { code: bye::STOPPED, sentence }),
            Feed::Failed(sentence) => self.stop(now, Goodbye { code: bye::FAILED, sentence }),
            Feed::Goodbye(code, sentence) => self.stop(now, Goodbye { code, sentence }),
        }
    }

    /// The next datagram that is to leave now: sound that is due, then pictures.
    pub fn send(&mut self, now: Time, sessions: &mut Sessions, events: &mut Events) -> Option<Transmit> {
        let transmit = self.sounding(now, Urgency::Due, sessions).or_else(|| self.media(now, sessions, events))?;
        Some(self.sent(transmit))
    }

    /// The next datagram of sound that may leave now, because there is nothing else to do.
    pub fn send_ahead(&mut self, now: Time, sessions: &mut Sessions) -> Option<Transmit> {
        let transmit = self.sounding(now, Urgency::MayGo, sessions)?;
        Some(self.sent(transmit))
    }

    fn sent(&mut self, transmit: Transmit) -> Transmit {
        self.totals.largest = self.totals.largest.max(transmit.len());
        self.totals.count(&transmit);
        transmit
    }

    /// When something of it is to be done next.
    pub(super) fn soonest(&self, soonest: Soonest) -> Soonest {
        soonest
            .or(self.departure_at(), Reason::Departure)
            .or(self.sound_at(Urgency::Due), Reason::Sound)
            .or(self.turns.next_paced(), Reason::Pacing)
            .or(self.ends_at(), Reason::Housekeeping)
    }

    /// How its timeline stands to the server's clock; `None` while it does not run.
    pub fn timeline(&self) -> Option<Timeline> {
        if self.on_demand.is_some() {
            return self.timeline_on_demand();
        }
        let before = self.generations_before();
        let (generation, clock) = match (self.schedule, self.passed_timeline()) {
            (Some(schedule), _) => (before + schedule.generation(), schedule.due(MediaTime::ZERO)),
            (None, Some(passed)) => passed,
            (None, None) => (before + 1, self.live_zero.or_else(|| self.paused.then_some(Time::ZERO))?),
        };
        let state = if self.paused { State::Paused } else { State::Playing };
        Some(Timeline { generation, state, media: MediaTime::ZERO, clock, speed: Speed::NORMAL })
    }

    /// Its media time now; zero while it does not run.
    pub fn media_now(&self, now: Time) -> MediaTime {
        let passed = self.passed_timeline().map(|(_, clock)| clock);
        if let Some(schedule) = self.schedule {
            return schedule.media(now);
        }
        let zero = passed.or(self.live_zero);
        zero.map_or(MediaTime::ZERO, |zero| MediaTime::from_micros(now.micros() as i64 - zero.micros() as i64))
    }

    /// Queues the timeline as a numbered update, to be repeated until it is acknowledged.
    pub fn tell_timeline(&self, slot: usize, sessions: &mut Sessions) {
        let Some(timeline) = self.timeline() else { return };
        let Some(session) = sessions.get_mut(slot) else { return };
        if let Some(group) = &mut session.group {
            // It is told all at once, and acknowledges nothing.
            (group.next, sessions.next_upkeep) = (Time::ZERO, Time::ZERO);
            return;
        }
        let mut tlvs = Vec::with_capacity(56);
        timeline.put(&mut tlvs);
        session.updates.count += 1;
        let jump = self.note_jump(session, session.updates.count);
        jump.into_iter().for_each(|jump| jump.put(&mut tlvs));
        session.updates.pending = Some((session.updates.count, tlvs));
        session.updates.next = Time::ZERO;
        sessions.next_upkeep = Time::ZERO;
    }

    fn tell_timeline_to_all(&self, sessions: &mut Sessions) {
        self.members.iter().for_each(|slot| self.tell_timeline(*slot, sessions));
    }

    /// The Description object: what the stream is, and whether it has ended.
    pub fn description_object(&self) -> Vec<u8> {
        if let Some(object) = self.passed_description(self.has_said_goodbye()) {
            return object;
        }
        let ended = self.has_said_goodbye().then_some(Unit(self.units));
        let sound_ended = ended.map(|_| Unit(self.sound.chunks())).filter(|_| self.config.description.sound);
        let description = Description { ended, sound_ended, ..self.config.description.clone() };
        description.object(self.id)
    }

    /// Whether nobody has begun it yet, it runs, or it is over.
    pub fn state(&self) -> State {
        let begun = self.schedule.is_some() || self.live_zero.is_some() || self.passed_timeline().is_some();
        match self.phase {
            Phase::Running if begun => State::Playing,
            Phase::Running => State::Waiting,
            _ => State::Ended,
        }
    }
}

//! The player: objects of a stream in; out come slices to decode, pictures to show and sound to hear, each when its time has
//! come. It knows no session: where objects came is told by their receipts, and what lies between two by [`Clock`].
//!
//! Slices of the picture that is shown next are handed out as they come ([`Event::Slice`]), so that decoding runs along
//! with receiving; [`Event::Show`] closes the picture. What is missing then is the decoder's to conceal.

mod assembly;
mod counts;
mod delay;
mod hearing;
mod playout;
mod repair_delay;
mod sound;

use std::collections::VecDeque;
use std::time::Duration;

pub use assembly::{Ready, Slice};
pub use counts::{PictureCounts, Repaired};
pub use sound::{Came, SoundCounts};

use super::Soonest;
use super::reception::{Receipt, Via};
use crate::media::sound::Piece;
use crate::proto::Reason;
use crate::units::{MediaTime, Rate, Time, Timing, Unit};
use crate::wire::Description;
use crate::wire::object::{ObjectView, Type};
use assembly::{Took, Units};
use hearing::Hearing;
use repair_delay::RepairDelay;

/// What the viewer chose.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Show pictures this long after they are due; zero: as soon as they are there.
    pub latency: Duration,
    /// Sound is wanted.
    pub sound: bool,
    /// So many pictures are shown, and no more.
    pub frames: Option<u64>,
}

/// What is known of the session that the objects come in.
pub struct Clock<'a> {
    /// When the moments of the stream were due, in our clock.
    pub timing: Option<Timing>,
    /// How many datagrams of a session did not come between two that did; `None`: nothing is known of it.
    pub missing_between: &'a dyn Fn(u64, u64, u64) -> Option<usize>,
    /// Until when it is worth waiting for what is missing of a picture; `None` as long as that cannot be told.
    pub awaited: &'a dyn Fn(Unit) -> Option<Time>,
}

/// What is to be decoded, shown and heard.
#[derive(Clone, Debug)]
pub enum Event {
    /// To be decoded into the canvas of its unit; slices of one unit come between two Shows.
    Slice(Slice),
    /// The picture's time has come. `due` is when it should have left the server (paced) or was captured (live), in
    /// our clock.
    Show { picture: Ready, due: Option<Time> },
    /// Sound from frame `first` on: a chunk of 256 frames or a coded unit of 960 (the last of a stream may have fewer), or how
    /// much is lost; in order and without gaps unless `first` jumps.
    Sound { first: u64, piece: Piece },
    /// The sound has ended with what came last.
    SoundOver,
    /// When each frame of the sound is to be heard, in our clock: frame n is that of media time n/44 100 s.
    SoundTiming(Timing),
}

/// One stream's pictures.
struct Pictures {
    id: u64,
    description: Description,
    units: Units,
    last_shown: Option<Ready>,
    ended_at: Option<Time>,
}

pub struct Player {
    config: Config,
    pictures: Option<Pictures>,
    hearing: Hearing,
    /// When the moments of the stream were due, as it was told last.
    timing: Option<Timing>,
    /// Which jump of a film on demand is played.
    jump: Option<u32>,
    /// The film stands: nothing waits for its moment.
    stands: bool,
    /// Pictures are shown so long after they are due.
    latency: Duration,
    repair: RepairDelay,
    /// Until when it is worth waiting for what is missing of the picture in front.
    awaited: Option<Time>,
    /// There is sound to be heard until then: the stream is not over before.
    hold: Option<Time>,
    paused: bool,
    /// Pictures were paused since the last one was shown: what is missing was not sent.
    paused_since: bool,
    counts: PictureCounts,
    events: VecDeque<Event>,
}

impl Player {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            pictures: None,
            hearing: Hearing::default(),
            timing: None,
            jump: None,
            stands: false,
            latency: config.latency,
            repair: RepairDelay::default(),
            awaited: None,
            hold: None,
            paused: false,
            paused_since: false,
            counts: PictureCounts::default(),
            events: VecDeque::new(),
        }
    }

    pub const fn counts(&self) -> &PictureCounts {
        &self.counts
    }

    pub const fn sound_counts(&self) -> &SoundCounts {
        self.hearing.counts()
    }

    /// How long after it was due everything is played.
    pub fn played_after(&self) -> Duration {
        self.config.latency.max(self.hearing.delay())
    }

    /// So long a picture is waited for at most after it could have been whole.
    pub fn set_patience(&mut self, patience: Duration) {
        self.repair.set_most(patience);
    }

    /// What is lost of the sound comes so long after it is missed, or zero: nothing is.
    pub fn set_sound_repair(&mut self, repair: Duration) {
        self.hearing.set_repair(repair);
    }

    /// How much later pictures are shown than they came, so that what repair brings is in time.
    pub const fn repair_delay(&self) -> Duration {
        self.repair.now()
    }

    /// Until when an object would be in time, as far as is known here; `None`: it would be too late.
    pub fn in_time(&self, kind: Type, rendition: u8, unit: Unit) -> Option<Time> {
        if kind == Type::SOUND {
            return self.hearing.in_time(rendition, unit, self.timing);
        }
        self.pictures.as_ref()?.units.is_awaited(unit).then(|| self.shown_from(unit))
    }

    /// How much playing time is held.
    pub fn held(&self) -> Duration {
        let held = |pictures: &Pictures| pictures.units.held(pictures.description.rate.interval());
        self.pictures.as_ref().map_or(Duration::ZERO, held)
    }

    /// All pictures that were wanted have been shown.
    pub fn is_done(&self) -> bool {
        self.config.frames.is_some_and(|frames| self.counts.shown >= frames.max(1))
    }

    /// What is to be decoded, shown or heard next.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A stream begins, or what was told of it has changed. Another than before ends what was in assembly.
    pub fn describe(&mut self, now: Time, id: u64, description: &Description) {
        let kept = self.pictures.take().filter(|pictures| pictures.id == id);
        let (description, units) = (description.clone(), Units::default());
        let mut pictures = match kept {
            Some(pictures) => Pictures { description, ..pictures },
            None => Pictures { id, description, units, last_shown: None, ended_at: None },
        };
        if pictures.description.ended.is_some() {
            pictures.ended_at.get_or_insert(now);
        }
        self.pictures = Some(pictures);
        self.hearing.follow(id);
    }

    /// Forgets the stream.
    pub fn forget(&mut self) {
        self.pictures = None;
    }

    /// A loudspeaker plays, and needs chunks so long before they are heard; or, with `None`, none does.
    pub const fn set_loudspeaker(&mut self, needs: Option<Duration>) {
        self.hearing.set_loudspeaker(needs);
    }

    /// Whether sound is wanted. While it is not, nothing waits for it.
    pub fn set_sound(&mut self, wanted: bool) {
        if self.config.sound != wanted {
            self.config.sound = wanted;
            self.hearing.rest();
        }
    }

    /// Whether no pictures are wanted for the time being.
    pub const fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        self.paused_since |= paused;
    }

    /// What is known of the session changes with each datagram.
    pub const fn set_timing(&mut self, timing: Option<Timing>) {
        self.timing = timing;
    }

    /// Which jump of a film on demand is played; `None`: it is none.
    pub const fn jump(&self) -> Option<u32> {
        self.jump
    }

    /// Another place of the film is played from now on: what was taken of the one before is forgotten.
    pub fn jump_to(&mut self, jump: Option<u32>) {
        if std::mem::replace(&mut self.jump, jump) == jump {
            return;
        }
        if let Some(pictures) = &mut self.pictures {
            (pictures.units, pictures.last_shown, pictures.ended_at) = (Units::default(), None, None);
        }
        (self.timing, self.hold, self.awaited) = (None, None, None);
        self.hearing.rest();
    }

    /// Whether a film on demand stands: then its picture is shown at once, and its sound is not heard.
    pub fn set_standing(&mut self, stands: bool) {
        if !std::mem::replace(&mut self.stands, stands) && stands {
            self.hearing.rest();
        }
    }

    /// Takes an object in. False: it is nothing that could be asked for.
    pub fn object(&mut self, came: Receipt, object: &ObjectView<'_>) -> bool {
        match object.header.kind {
            Type::PICTURE => self.picture(came, object),
            Type::SOUND => self.sound(came, object),
            // Text and tables: not ours yet, skipped.
            _ => true,
        }
    }

    /// As [`Player::object`], for a session that sound alone comes in.
    pub fn sound_object(&mut self, came: Receipt, object: &ObjectView<'_>) -> bool {
        match object.header.kind {
            Type::PICTURE => false,
            Type::SOUND => self.sound(came, object),
            _ => true,
        }
    }

    fn picture(&mut self, came: Receipt, object: &ObjectView<'_>) -> bool {
        let ours = |pictures: &&mut Pictures| pictures.id == object.header.stream;
        let Some(pictures) = self.pictures.as_mut().filter(ours) else { return true };
        if pictures.description.rendition(object.header.rendition) != Some(object.header.size) {
            // There is no room for a picture that was not announced.
            return false;
        }
        match pictures.units.take(came, object, pictures.description.size) {
            Took::Front(slice) => {
                self.counts.slices += 1;
                self.counts.slices_repaired.count(came.via, true);
                if !slice.jpeg.is_empty() {
                    self.events.push_back(Event::Slice(slice));
                }
            }
            Took::Held => {
                self.counts.slices += 1;
                self.counts.slices_repaired.count(came.via, true);
            }
            Took::Duplicate => self.counts.duplicates += 1,
            // The picture that stood when pictures were paused, sent again.
            Took::Late { first: false } if self.paused_since && pictures.is_last_shown(object) => {
                self.counts.duplicates += 1;
            }
            Took::Late { first: false } if came.via != Via::Sent => self.counts.slices_repaired.count(came.via, false),
            Took::Late { first } => self.counts.slice_late(first),
            Took::Nonsense => return false,
        }
        true
    }

    fn sound(&mut self, came: Receipt, object: &ObjectView<'_>) -> bool {
        let ours = self.pictures.as_ref().is_some_and(|pictures| pictures.id == object.header.stream);
        // Around a restart or a switch the sessions may be in two streams, and sound that was not asked for is not heard.
        if !ours || !self.config.sound {
            return true;
        }
        self.hearing.take(came, self.due(object.header.media_time), object)
    }

    /// Does what is due.
    pub fn tend(&mut self, now: Time, clock: &Clock<'_>) {
        self.timing = clock.timing;
        self.hearing.turn(now);
        self.keep_time();
        self.hand_out(now);
        self.show_all(now, clock);
    }

    /// When frame 0 is heard, and how long pictures wait for that.
    fn keep_time(&mut self) {
        let after = self.played_after();
        self.latency = self.hearing.latency(after).map_or(self.config.latency, |wait| self.config.latency.max(wait));
        let timing = self.timing.filter(|_| self.config.sound);
        self.events.extend(self.hearing.set_timing(timing.map(|due| due.later(after))).map(Event::SoundTiming));
        let ended_at = self.pictures.as_ref().and_then(|pictures| pictures.ended_at);
        let heard = self.hearing.until(ended_at, self.chunks());
        // The server says that it ends when it has had the last picture on its screen; here it is later by the latency.
        let seen = ended_at.map(|at| at + self.latency);
        self.hold = heard.max(seen);
    }

    /// Hands out the chunks that are to be heard next, and says when that was the last.
    fn hand_out(&mut self, now: Time) {
        let chunks = self.chunks();
        while let Some(played) = self.hearing.play(now, self.timing) {
            self.events.push_back(Event::Sound { first: played.first, piece: played.piece });
        }
        if self.hearing.is_over(chunks) {
            self.events.push_back(Event::SoundOver);
        }
    }

    /// Nothing more comes: what sound is held is handed out, and what is missing was lost.
    pub fn end(&mut self) {
        self.hand_out(Time::NEVER);
        self.hearing.ended(self.chunks());
    }

    /// How many chunks of sound there were, once the stream has ended.
    fn chunks(&self) -> Option<u32> {
        let pictures = self.pictures.as_ref().filter(|_| self.config.sound)?;
        pictures.description.sound_ended.map(|chunks| chunks.0)
    }

    /// When a moment of the stream was due at the server, in our clock.
    fn due(&self, media: MediaTime) -> Option<Time> {
        self.timing.map(|timing| timing.at(media))
    }

    /// When to tend it next; `ends`: the server has said goodbye.
    pub fn soonest(&self, ends: bool) -> Soonest {
        Soonest::new()
            .or(self.hearing.deadline(self.timing), Reason::Sound)
            .or(self.playout_deadline(ends), Reason::Playout)
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.events.is_empty(), "all is said");
        self.hearing.assert_sound();
        if let Some(pictures) = &self.pictures {
            pictures.units.assert_sound();
        }
    }
}

impl Pictures {
    fn is_last_shown(&self, object: &ObjectView<'_>) -> bool {
        self.last_shown.is_some_and(|shown| shown.unit == object.header.unit)
    }
}

/// Time to wait for stragglers once a later picture has begun: a quarter of an interval, at most 8 ms.
fn reorder_window(rate: Rate) -> Duration {
    (rate.interval() / 4).min(Duration::from_millis(8))
}

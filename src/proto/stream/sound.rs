//! Sound: chunks that wait for their moment, and who is sent them.
//!
//! A file's chunk goes out [`LEAD`] before it is due, so that a watcher has it in time and no picture waits for it; live
//! sound goes out at once. Each chunk is made into one object for each rendition in use, and shared. Coded units go out with
//! the chunk that completes them, to those who are sent them in place of chunks.
//!
//! From chunks to coded units and back there is a way only where both begin with one frame: at every fifteenth chunk. The unit
//! that ends there comes with that chunk, and goes out to both: who goes over to units decodes it to be warm for the next, and
//! to who goes back to chunks it is the last.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use super::{Phase, Stream};
use crate::media::coded::Object;
use crate::media::parity::protect;
use crate::media::sound::{
    CODED_AHEAD, CODED_FRAMES, Chunk, CodedSound, FRAMES, PassedSound, RATE, Rendition, SWITCH_CHUNKS, SWITCH_UNITS,
};
use crate::proto::Transmit;
use crate::proto::schedule::STALL;
use crate::proto::sender::{Cargo, is_named};
use crate::proto::session::{Session, Sessions};
use crate::units::{MediaTime, Time, Unit};
use crate::wire::Kind;
use crate::wire::message::{NackName, Scheme};
use crate::wire::object::ObjectView;

/// A file's sound may go out so long before it is due, whenever there is something else to do.
const LEAD: Duration = Duration::from_millis(150);
/// It goes out so long before it is due, whatever else there is to do. Between the two lies more than a picture's time
/// at 24 a second: sound needs no waking up of its own.
const LATEST: Duration = Duration::from_millis(100);
/// Chunks held: more than [`LEAD`] of them.
const HELD: usize = 64;
/// Coded units of one chunk: more than any completes.
const HELD_UNITS: usize = 8;
/// Objects that are kept once they went out: more than a third of a second of chunks in two renditions.
const REMEMBERED: usize = 128;
/// Chunks that are protected together.
const PROTECTED: u32 = 8;
/// A rendition of which nothing came for so long comes no more.
const COMES: Duration = Duration::from_millis(500);
/// What is live is heard so long after it has come, as far as is known here.
const LIVE_WAITS: Duration = Duration::from_millis(40);

/// Which moment of a chunk is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// It may go out.
    MayGo,
    /// It must.
    Due,
}

/// The sound in hand.
pub struct Sound {
    waiting: VecDeque<Waiting>,
    sending: Option<SendingSound>,
    /// What went out last, for those who lost some of it.
    sent: Sent,
    /// Coded units that the next chunk completes.
    coded: Vec<CodedSound>,
    ended: bool,
    /// One more than the last chunk's number.
    chunks: u32,
    /// When each rendition of what comes from elsewhere came last.
    came: [Option<Time>; 3],
}

/// Objects of sound that went out in the last moments.
struct Sent(VecDeque<Object>);

impl Sent {
    const fn new() -> Self {
        Self(VecDeque::new())
    }

    fn put(&mut self, objects: impl Iterator<Item = Object>) {
        self.0.extend(objects);
        self.0.drain(..self.0.len().saturating_sub(REMEMBERED));
    }

    /// Those of these chunks that are still there, in order.
    fn chunks(&self, rendition: Rendition, numbers: Range<u32>) -> impl Iterator<Item = Object> {
        let named = move |object: &&Object| {
            let view = ObjectView::parse_unchecked(object.bytes());
            view.is_ok_and(|view| view.header.rendition == rendition.id() && numbers.contains(&view.header.unit.0))
        };
        self.0.iter().filter(named).cloned()
    }

    fn find(&self, name: &NackName) -> Option<Object> {
        let meant = name.first_part == 0 && name.bitmap & 1 == 1;
        self.0.iter().rev().find(|object| meant && is_named(object, name)).cloned()
    }
}

/// A chunk that waits for its moment.
struct Waiting {
    /// `None`: the last coded units follow the last chunk, or it comes from elsewhere.
    chunk: Option<Chunk>,
    /// What is complete with it.
    coded: Vec<CodedSound>,
    passed: Option<PassedSound>,
    came: Time,
    /// How long after the beginning of the timeline it is due.
    after: Duration,
}

/// A chunk that goes out, and which session is next to get it.
struct SendingSound {
    chunk: Option<Chunk>,
    coded: Vec<CodedSound>,
    passed: Option<PassedSound>,
    /// Which renditions come at present, of what comes from elsewhere.
    comes: [bool; 3],
    /// Of the chunk, stereo and mono.
    objects: [Option<Object>; 2],
    coded_objects: Vec<Object>,
    /// What the session in front of the first unserved one is sent still.
    left: VecDeque<(usize, Kind, Object)>,
    /// Repair symbols of the last chunks with this one.
    parity: BTreeMap<(Rendition, Scheme), Vec<Object>>,
    /// The first slot that was not served yet.
    from: usize,
}

impl SendingSound {
    const fn new(chunk: Option<Chunk>, coded: Vec<CodedSound>, passed: Option<PassedSound>, comes: [bool; 3]) -> Self {
        Self {
            chunk,
            coded,
            passed,
            comes,
            objects: [None, None],
            coded_objects: Vec::new(),
            left: VecDeque::new(),
            parity: BTreeMap::new(),
            from: 0,
        }
    }

    /// Lays out what a session is sent of this, and lets it change between chunks and coded units where that can be.
    fn serve(&mut self, stream: u64, slot: usize, session: &mut Session) {
        if let Some(passed) = &self.passed {
            if session.takes_sound(passed.rendition, passed.number, self.comes) {
                self.left.push_back((slot, Kind::OBJECT, passed.object.clone()));
                session.note_sound(passed.rendition, passed.number);
            }
            return;
        }
        let rendition = session.sound_rendition();
        let was = rendition.is_some() && session.coded;
        let to_be = rendition == Some(Rendition::Coded);
        session.coded = self.can_change().map_or(was, |coded| to_be && coded);
        let Some(rendition) = rendition else { return };
        if was || session.coded {
            if self.coded_objects.is_empty() {
                self.coded_objects = self.coded.iter().map(|unit| unit.object(stream)).collect();
            }
            self.left.extend(self.coded_objects.iter().map(|object| (slot, Kind::OBJECT, object.clone())));
            self.coded.iter().for_each(|unit| session.note_sound(Rendition::Coded, unit.number));
        }
        if let Some(chunk) = self.chunk.as_ref().filter(|_| !session.coded) {
            let object = &mut self.objects[usize::from(rendition.min(Rendition::Mono).id())];
            let object = object.get_or_insert_with(|| chunk.object(stream, rendition)).clone();
            self.left.push_back((slot, Kind::OBJECT, object));
            session.note_sound(rendition.min(Rendition::Mono), chunk.number);
        }
    }

    /// Lays out the repair symbols that a session is sent behind the last of [`PROTECTED`] chunks.
    fn protect(&mut self, now: Time, sent: &Sent, slot: usize, waits: Duration, session: &mut Session) {
        let (rendition, number) = match &self.passed {
            // Those who ask are answered; of what comes from elsewhere groups alone are sent parity.
            Some(passed) => (Some(passed.rendition).filter(|_| session.is_group()), Some(passed.number)),
            None => (session.sound_rendition(), self.chunk.as_ref().map(|chunk| chunk.number)),
        };
        let Some(rendition) = rendition.filter(|_| !session.coded).map(|r| r.min(Rendition::Mono)) else { return };
        let last = number.filter(|number| (number + 1).is_multiple_of(PROTECTED));
        let Some(first) = last.map(|last| last + 1 - PROTECTED) else { return };
        let whole = session.was_sent_sound(rendition.id(), Unit(first));
        let count = session.media.symbols_of_sound(now, waits, PROTECTED as usize);
        let Some(scheme) = session.media.protection.scheme().filter(|_| whole && count > 0) else { return };
        let made = self.parity.entry((rendition, scheme)).or_default();
        if made.len() != count {
            let own = self.passed.as_ref().map(|passed| &passed.object);
            let own = own.or(self.objects[usize::from(rendition.id())].as_ref());
            let chunks: Vec<Object> =
                sent.chunks(rendition, first..first + PROTECTED - 1).chain(own.cloned()).collect();
            *made = if chunks.len() == PROTECTED as usize { protect(scheme, &chunks, count) } else { Vec::new() };
        }
        self.left.extend(made.iter().map(|symbol| (slot, Kind::PARITY, symbol.clone())));
    }

    /// Whether a coded unit ends where the chunk begins, which one can be made warm with; `None` where none could.
    fn can_change(&self) -> Option<bool> {
        let number = self.chunk.as_ref()?.number;
        let ends = number.is_multiple_of(SWITCH_CHUNKS).then(|| number / SWITCH_CHUNKS * SWITCH_UNITS)?;
        Some(self.coded.iter().any(|unit| unit.number.checked_add(1) == Some(ends)))
    }
}

/// How long after the beginning of the timeline a frame is due.
fn after(frame: u64) -> Duration {
    Duration::from_nanos((u128::from(frame) * 1_000_000_000 / u128::from(RATE)) as u64)
}

impl Sound {
    pub const fn new(expected: bool) -> Self {
        Self {
            waiting: VecDeque::new(),
            sending: None,
            sent: Sent::new(),
            coded: Vec::new(),
            ended: !expected,
            chunks: 0,
            came: [None; 3],
        }
    }

    /// Takes an object from elsewhere. Where there is no room for it the oldest goes.
    pub fn take_passed(&mut self, now: Time, passed: PassedSound) {
        if self.ended {
            return;
        }
        self.came[usize::from(passed.rendition.id())] = Some(now);
        let (after, number) = (after(passed.first()), passed.number);
        if passed.rendition != Rendition::Coded {
            self.chunks = self.chunks.max(number.saturating_add(1));
        }
        if self.waiting.len() > HELD {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting { chunk: None, coded: Vec::new(), passed: Some(passed), came: now, after });
    }

    /// Which renditions come at present, of what comes from elsewhere.
    fn comes(&self, now: Time) -> [bool; 3] {
        self.came.map(|came| came.is_some_and(|at| now.since(at) < COMES))
    }

    pub fn take(&mut self, now: Time, chunk: Chunk) {
        if !chunk.frames.is_empty() && !self.ended {
            self.chunks = self.chunks.max(chunk.number.saturating_add(1));
            let (after, coded) = (after(chunk.first()), std::mem::take(&mut self.coded));
            self.waiting.push_back(Waiting { chunk: Some(chunk), coded, passed: None, came: now, after });
        }
    }

    /// Takes a unit to the chunk that completes it, which waits or comes next. One whose chunk has left is of no use.
    pub fn take_coded(&mut self, unit: CodedSound) {
        let complete = unit.first() + (CODED_FRAMES + CODED_AHEAD) as u64;
        let number = (complete - 1) / FRAMES as u64;
        let completes =
            |waiting: &&mut Waiting| waiting.chunk.as_ref().is_some_and(|chunk| u64::from(chunk.number) == number);
        let coded = match self.waiting.iter_mut().find(completes) {
            Some(waiting) => &mut waiting.coded,
            // The last chunk may have fewer frames than its last unit asks for.
            None if number + 1 >= u64::from(self.chunks) => &mut self.coded,
            None => return,
        };
        if !self.ended && coded.len() < HELD_UNITS {
            coded.push(unit);
        }
    }

    pub fn end(&mut self, now: Time) {
        let coded = std::mem::take(&mut self.coded);
        if !coded.is_empty() && !self.ended {
            let after = after(u64::from(self.chunks) * FRAMES as u64);
            self.waiting.push_back(Waiting { chunk: None, coded, passed: None, came: now, after });
        }
        self.ended = true;
    }

    /// Whether there is sound to send, or none to wait for.
    pub fn is_there(&self) -> bool {
        self.ended || !self.waiting.is_empty()
    }

    /// When the first that waits is due.
    pub fn first_moment(&self) -> Option<MediaTime> {
        self.waiting.front().map(|waiting| MediaTime::from_micros(waiting.after.as_micros() as i64))
    }

    /// Nothing has come yet, nor has it ended.
    pub fn is_untouched(&self) -> bool {
        self.chunks == 0
    }

    /// Everything has gone out that ever will.
    pub fn is_over(&self) -> bool {
        self.ended && self.waiting.is_empty() && self.sending.is_none()
    }

    /// Nobody else is sent the chunk that is leaving.
    pub fn stop(&mut self) {
        self.sending = None;
    }

    /// Whether a chunk is on its way to some of those who are to have it.
    pub const fn is_leaving(&self) -> bool {
        self.sending.is_some()
    }

    /// How many chunks there were, once all have left.
    pub const fn chunks(&self) -> u32 {
        self.chunks
    }

    /// Nothing more leaves: what waits was not part of the stream. Returns how many chunks that were.
    pub fn cut(&mut self) -> u64 {
        let unsent = self.waiting.iter().filter_map(|waiting| waiting.chunk.as_ref());
        let count = unsent.clone().count() as u64;
        self.chunks = unsent.map(|chunk| chunk.number).next().unwrap_or(self.chunks);
        self.waiting.clear();
        self.ended = true;
        count
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.waiting.len() <= HELD + 1 && self.sending.is_none(), "{} chunks wait", self.waiting.len());
    }
}

impl Stream {
    /// Whether a [`Feed::Sound`](crate::proto::server::Feed) or `Feed::SoundEnded` would be taken now.
    pub fn wants_sound(&self) -> bool {
        !self.sound.ended && self.sound.waiting.len() < HELD && self.phase == Phase::Running && self.is_sought()
    }

    /// Whether somebody is to be sent coded sound, or still is until there is a way back to chunks.
    pub fn wants_coded_sound(&self, sessions: &Sessions) -> bool {
        let coded = |session: &Session| session.coded || session.sound_rendition() == Some(Rendition::Coded);
        self.wants_sound() && self.members.iter().filter_map(|slot| sessions.get(*slot)).any(coded)
    }

    /// When the chunk in front goes out; `None` while there is none, or the clock does not run.
    pub fn sound_at(&self, urgency: Urgency) -> Option<Time> {
        let waiting = self.sound.waiting.front()?;
        if self.is_prompt() {
            return Some(Time::ZERO);
        }
        // On a slow path chunks that leave together would be a queue.
        let evenly = urgency == Urgency::Due || self.adapting.is_tight();
        let ahead = if evenly { LATEST } else { LEAD };
        self.due(waiting).map(|due| due - ahead)
    }

    /// The next datagram of sound, if its moment has come.
    pub(super) fn sounding(&mut self, now: Time, urgency: Urgency, sessions: &mut Sessions) -> Option<Transmit> {
        loop {
            if let Some(transmit) = self.sound_to_next(now, sessions) {
                return Some(transmit);
            }
            self.sound_at(urgency).filter(|at| *at <= now)?;
            let waiting = self.sound.waiting.pop_front()?;
            if self.is_too_late(now, &waiting) {
                self.totals.chunks_unsent += u64::from(waiting.chunk.is_some());
                continue;
            }
            let Waiting { chunk, coded, passed, .. } = waiting;
            self.totals.chunks += u64::from(passed.as_ref().is_some_and(|sound| sound.rendition != Rendition::Coded));
            if let Some(chunk) = &chunk {
                self.totals.chunks += 1;
                self.set_live_zero(chunk.captured, chunk.media_time(), sessions);
            }
            let comes = self.sound.comes(now);
            self.sound.sending = Some(SendingSound::new(chunk, coded, passed, comes));
        }
    }

    /// A chunk that was held up here for so long is not sent: what comes after it would only be later still. How long a
    /// live source took to bring it is the source's own affair.
    fn is_too_late(&self, now: Time, waiting: &Waiting) -> bool {
        let (came, live) = (waiting.came, self.is_prompt());
        let due = if live { Some(came) } else { self.due(waiting).map(|due| due.max(came)) };
        due.is_some_and(|due| now.since(due) > STALL)
    }

    fn due(&self, waiting: &Waiting) -> Option<Time> {
        // A film that stands is silent.
        let schedule = self.schedule.filter(|_| !self.stands())?;
        Some(schedule.due_after(waiting.after))
    }

    /// Members are served in the order of their slots; one that comes meanwhile may still get the chunk.
    fn sound_to_next(&mut self, now: Time, sessions: &mut Sessions) -> Option<Transmit> {
        let sending = self.sound.sending.as_mut()?;
        loop {
            if let Some((slot, kind, object)) = sending.left.pop_front() {
                // Between two objects its session may have left, and another one come in its place.
                let hears = sessions.get(slot).is_some_and(Session::takes_sound_now);
                if !hears || self.members.binary_search(&slot).is_err() {
                    continue;
                }
                let cargo = if kind == Kind::PARITY { Cargo::Parity } else { Cargo::Sound };
                return sessions.transmit(slot, now, kind, cargo, object);
            }
            let next = self.members.partition_point(|slot| *slot < sending.from);
            let Some(&slot) = self.members.get(next) else { break };
            sending.from = slot + 1;
            if let Some(session) = sessions.get_mut(slot).filter(|session| session.takes_sound_now()) {
                sending.serve(self.id, slot, session);
                let waits = if self.config.description.live { LIVE_WAITS } else { LATEST };
                sending.protect(now, &self.sound.sent, slot, waits, session);
            }
        }
        if let Some(SendingSound { objects, coded_objects, passed, .. }) = self.sound.sending.take() {
            let passed = passed.map(|sound| sound.object);
            self.sound.sent.put(objects.into_iter().flatten().chain(coded_objects).chain(passed));
        }
        None
    }

    /// Sound that went out lately, of this name.
    pub fn sound_sent(&self, name: &NackName) -> Option<Object> {
        self.sound.sent.find(name)
    }
}

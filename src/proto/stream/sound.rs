//! Sound: chunks that wait for their moment, and who is sent them.
//!
//! A file's chunk goes out [`LEAD`] before it is due, so that a watcher has it in time and no picture waits for it; live
//! sound goes out at once. Each chunk is made into one object for each rendition in use, and shared.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Phase, Stream};
use crate::media::coded::Object;
use crate::media::sound::{Chunk, RATE, Rendition};
use crate::proto::Transmit;
use crate::proto::schedule::STALL;
use crate::proto::sender::Cargo;
use crate::proto::session::Sessions;
use crate::units::Time;
use crate::wire::Kind;

/// A file's sound may go out so long before it is due, whenever there is something else to do.
const LEAD: Duration = Duration::from_millis(150);
/// It goes out so long before it is due, whatever else there is to do. Between the two lies more than a picture's time
/// at 24 a second: sound needs no waking up of its own.
const LATEST: Duration = Duration::from_millis(100);
/// Chunks held: more than [`LEAD`] of them.
const HELD: usize = 64;

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
    sending: Option<SendingChunk>,
    ended: bool,
    /// One more than the last chunk's number.
    chunks: u32,
}

/// A chunk that waits for its moment.
struct Waiting {
    chunk: Chunk,
    came: Time,
    /// How long after the beginning of the timeline it is due.
    after: Duration,
}

/// A chunk that goes out, and which session is next to get it.
struct SendingChunk {
    chunk: Chunk,
    objects: [Option<Object>; 2],
    /// The first slot that was not served yet.
    from: usize,
}

impl SendingChunk {
    fn object(&mut self, stream: u64, rendition: Rendition) -> Object {
        let object = &mut self.objects[usize::from(rendition.id())];
        object.get_or_insert_with(|| self.chunk.object(stream, rendition)).clone()
    }
}

impl Sound {
    pub const fn new(expected: bool) -> Self {
        Self { waiting: VecDeque::new(), sending: None, ended: !expected, chunks: 0 }
    }

    pub fn take(&mut self, now: Time, chunk: Chunk) {
        if !chunk.frames.is_empty() && !self.ended {
            self.chunks = self.chunks.max(chunk.number.saturating_add(1));
            let after = Duration::from_nanos((u128::from(chunk.first()) * 1_000_000_000 / u128::from(RATE)) as u64);
            self.waiting.push_back(Waiting { chunk, came: now, after });
        }
    }

    pub const fn end(&mut self) {
        self.ended = true;
    }

    /// Whether there is sound to send, or none to wait for.
    pub fn is_there(&self) -> bool {
        self.ended || !self.waiting.is_empty()
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
        let unsent = self.waiting.len() as u64;
        self.chunks = self.waiting.front().map_or(self.chunks, |waiting| waiting.chunk.number);
        self.waiting.clear();
        self.ended = true;
        unsent
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.waiting.len() <= HELD && self.sending.is_none(), "{} chunks wait", self.waiting.len());
    }
}

impl Stream {
    /// Whether a [`Feed::Sound`](crate::proto::server::Feed) or `Feed::SoundEnded` would be taken now.
    pub fn wants_sound(&self) -> bool {
        !self.sound.ended && self.sound.waiting.len() < HELD && self.phase == Phase::Running
    }

    /// When the chunk in front goes out; `None` while there is none, or the clock does not run.
    pub fn sound_at(&self, urgency: Urgency) -> Option<Time> {
        let waiting = self.sound.waiting.front()?;
        if self.config.description.live {
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
                self.totals.chunks_unsent += 1;
                continue;
            }
            self.totals.chunks += 1;
            let Waiting { chunk, .. } = waiting;
            self.set_live_zero(chunk.captured, chunk.media_time(), sessions);
            self.sound.sending = Some(SendingChunk { chunk, objects: [None, None], from: 0 });
        }
    }

    /// A chunk that was held up here for so long is not sent: what comes after it would only be later still. How long a
    /// live source took to bring it is the source's own affair.
    fn is_too_late(&self, now: Time, waiting: &Waiting) -> bool {
        let (came, live) = (waiting.came, self.config.description.live);
        let due = if live { Some(came) } else { self.due(waiting).map(|due| due.max(came)) };
        due.is_some_and(|due| now.since(due) > STALL)
    }

    fn due(&self, waiting: &Waiting) -> Option<Time> {
        self.schedule.map(|schedule| schedule.start() + waiting.after)
    }

    /// Members are served in the order of their slots; one that comes meanwhile may still get the chunk.
    fn sound_to_next(&mut self, now: Time, sessions: &mut Sessions) -> Option<Transmit> {
        let sending = self.sound.sending.as_mut()?;
        let next = self.members.partition_point(|slot| *slot < sending.from);
        for slot in self.members.iter().skip(next) {
            sending.from = slot + 1;
            let Some(session) = sessions.get(*slot).filter(|session| session.ready) else { continue };
            if let Some(rendition) = session.sound_rendition() {
                let object = sending.object(self.id, rendition);
                return sessions.transmit(*slot, now, Kind::OBJECT, Cargo::Sound, object);
            }
        }
        self.sound.sending = None;
        None
    }
}

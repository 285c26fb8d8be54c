//! Sound: chunks that wait for their moment, who is sent them, and which two sessions are one watcher.
//!
//! A file's chunk goes out [`LEAD`] before it is due, so that a watcher has it in time and no picture waits for it; live
//! sound goes out at once. Each chunk is made into one object for each rendition in use, and shared.

use std::collections::VecDeque;
use std::time::Duration;

use super::history::What;
use super::session::Session;
use super::{Gone, Server};
use crate::media::coded::Object;
use crate::media::sound::{Chunk, RATE, Rendition};
use crate::proto::schedule::STALL;
use crate::proto::{Peer, Port, Transmit};
use crate::units::Time;
use crate::wire::Kind;
use crate::wire::message::{Join, Place, SoundWish};
use crate::wire::tlv::{Tlvs, kind};

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
    /// When each came.
    waiting: VecDeque<(Time, Chunk)>,
    sending: Option<Sending>,
    ended: bool,
    /// One more than the last chunk's number.
    chunks: u32,
}

/// A chunk that goes out, and who is next to get it.
struct Sending {
    chunk: Chunk,
    objects: [Option<Object>; 2],
    slot: usize,
}

impl Sending {
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
            self.waiting.push_back((now, chunk));
        }
    }

    pub const fn end(&mut self) {
        self.ended = true;
    }

    /// Whether there is sound to send, or none to wait for.
    pub fn is_there(&self) -> bool {
        self.ended || !self.waiting.is_empty()
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
        self.chunks = self.waiting.front().map_or(self.chunks, |(_, chunk)| chunk.number);
        self.waiting.clear();
        self.ended = true;
        unsent
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.waiting.len() <= HELD && self.sending.is_none(), "{} chunks wait", self.waiting.len());
    }
}

impl Session {
    /// Whether it is the sound of another session that is still there.
    pub const fn is_second(&self) -> bool {
        !self.pictures && self.tied.is_some()
    }

    pub fn set_sound(&mut self, wish: Option<SoundWish>) {
        let stereo = SoundWish { place: if self.pictures { Place::Off } else { Place::Here }, rendition: 0 };
        let wish = wish.unwrap_or(stereo);
        // On the sound port both words mean: here.
        let here = wish.place == Place::Here || (wish.place == Place::SoundPort && !self.pictures);
        self.expects_sound = wish.place == Place::SoundPort && self.pictures;
        self.sound = here.then(|| Rendition::of(wish.rendition).unwrap_or_default());
    }
}

impl Server {
    /// Whether a [`super::Local::Sound`] or [`super::Local::SoundEnded`] would be taken now.
    pub fn wants_sound(&self) -> bool {
        !self.sound.ended && self.sound.waiting.len() < HELD && matches!(self.phase, super::Phase::Running)
    }

    /// When the chunk in front goes out; `None` while there is none, or the clock does not run.
    pub(super) fn sound_at(&self, urgency: Urgency) -> Option<Time> {
        let (_, chunk) = self.sound.waiting.front()?;
        if self.config.description.live {
            return Some(Time::ZERO);
        }
        let ahead = if urgency == Urgency::Due { LATEST } else { LEAD };
        self.due(chunk).map(|due| due - ahead)
    }

    /// The next datagram of sound, if its moment has come.
    pub(super) fn sounding(&mut self, now: Time, urgency: Urgency) -> Option<Transmit> {
        loop {
            if let Some(transmit) = self.sound_to_next(now) {
                return Some(transmit);
            }
            self.sound_at(urgency).filter(|at| *at <= now)?;
            let (came, chunk) = self.sound.waiting.pop_front()?;
            if self.is_too_late(now, came, &chunk) {
                self.totals.chunks_unsent += 1;
                continue;
            }
            self.totals.chunks += 1;
            self.set_live_zero(chunk.captured, chunk.media_time());
            self.sound.sending = Some(Sending { chunk, objects: [None, None], slot: 0 });
        }
    }

    /// A chunk that was held up here for so long is not sent: what comes after it would only be later still. How long a
    /// live source took to bring it is the source's own affair.
    fn is_too_late(&self, now: Time, came: Time, chunk: &Chunk) -> bool {
        let due = if self.config.description.live { Some(came) } else { self.due(chunk).map(|due| due.max(came)) };
        due.is_some_and(|due| now.since(due) > STALL)
    }

    fn due(&self, chunk: &Chunk) -> Option<Time> {
        let after = Duration::from_nanos((u128::from(chunk.first()) * 1_000_000_000 / u128::from(RATE)) as u64);
        self.schedule.map(|schedule| schedule.start() + after)
    }

    fn sound_to_next(&mut self, now: Time) -> Option<Transmit> {
        let sending = self.sound.sending.as_mut()?;
        while let Some(session) = self.sessions.get_mut(sending.slot) {
            sending.slot += 1;
            let Some(session) = session.as_mut().filter(|session| session.ready) else { continue };
            if let Some(rendition) = session.sound {
                self.stamped = Some(session.id);
                let object = sending.object(self.stream, rendition);
                return Some(session.transmit(now, Kind::OBJECT, What::Other, object));
            }
        }
        self.sound.sending = None;
        None
    }

    /// The slot of the picture session that a Join on the sound port names, if there is one.
    pub(super) fn first_lane(&self, port: Port, join: &Join<'_>) -> Option<usize> {
        let named = join.tlvs.find(kind::WITH_SESSION).and_then(|id| id.first_chunk());
        let named = named.map(|id| u64::from_be_bytes(*id)).filter(|_| port == Port::SOUND)?;
        let slot = self.by_id.get(&named).copied()?;
        self.sessions[slot].as_ref().is_some_and(|first| first.pictures).then_some(slot)
    }

    /// Ties a session that joins on the sound port to the picture session that it names. Returns whether there is one.
    pub(super) fn tie(&mut self, session: &mut Session, join: &Join<'_>) -> bool {
        let slot = self.first_lane(session.peer.port, join);
        let Some(first) = slot.and_then(|slot| self.sessions[slot].as_mut()) else { return false };
        session.tied = Some(first.id);
        if let Some(&old) = first.tied.replace(session.id).and_then(|id| self.by_id.get(&id)) {
            self.remove(old, Gone::Replaced);
        }
        true
    }

    /// A sound session is gone: its picture session may have another.
    pub(super) fn untie(&mut self, second: &Session) {
        let slot = second.tied.and_then(|id| self.by_id.get(&id).copied());
        if let Some(first) = slot.and_then(|slot| self.sessions[slot].as_mut())
            && first.tied == Some(second.id)
        {
            first.tied = None;
        }
    }

    pub(super) fn is_tied_and_ready(&self, first: &Session) -> bool {
        let slot = first.tied.and_then(|id| self.by_id.get(&id).copied());
        slot.and_then(|slot| self.sessions[slot].as_ref()).is_some_and(|second| second.ready)
    }

    /// What a watcher wants, as far as it concerns sound. An older wish than the last changes nothing.
    pub(super) fn want(&mut self, from: Peer, id: u64, number: u32, tlvs: Tlvs<'_>) {
        let slot = self.slot_of(from, id);
        let Some(session) = slot.and_then(|slot| self.sessions[slot].as_mut()) else {
            self.totals.rejected += 1;
            return;
        };
        let newer = session.want.is_none_or(|last| number.wrapping_sub(last).cast_signed() > 0);
        if let Some(wish) = tlvs.find(kind::SOUND).and_then(SoundWish::parse).filter(|_| newer) {
            session.want = Some(number);
            session.set_sound(Some(wish));
        }
    }
}

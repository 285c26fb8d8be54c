//! Where sound goes that comes from a device: to its place in time, into chunks, and silence where nothing comes.

use std::time::Duration;

use super::meter::Shown;
use super::placer::Placer;
use crate::clock;
use crate::ffmpeg::Control;
use crate::media::sound::{Chunk, FRAMES, Frame, RATE};
use crate::queue::{Producer, Watched};
use crate::source::voice::Chunks;
use crate::units::Time;

/// The queue of sound was closed.
pub(super) struct Closed;

/// Nanoseconds of so many frames.
pub(super) const fn span(frames: i64) -> i64 {
    (frames as i128 * 1_000_000_000 / RATE as i128) as i64
}

/// Where sound goes.
pub(super) struct Line<'a> {
    pub control: &'a Control,
    zero: &'a Watched<Option<Time>>,
    pub placer: Placer,
    /// What has not come so late is taken to be silence.
    latest: Duration,
    chunks: Chunks,
    /// Placed, and not pushed yet.
    frames: Vec<Frame>,
    shown: Option<Shown>,
}

impl<'a> Line<'a> {
    /// `None` if there is no resampler for it, which there always is.
    pub fn new(
        control: &'a Control,
        zero: &'a Watched<Option<Time>>,
        out: Producer<Chunk>,
        latest: Duration,
        shown: Option<Shown>,
    ) -> Option<Self> {
        let (placer, chunks) = (Placer::new().ok()?, Chunks::new(Some(out)));
        Some(Self { control, zero, placer, latest, chunks, frames: Vec::new(), shown })
    }

    /// Whether the queue of sound is still open.
    pub fn open(&self) -> Result<(), Closed> {
        if self.control.stopped() || self.chunks.is_closed() { Err(Closed) } else { Ok(()) }
    }

    /// Frames that were heard from `first` on.
    pub fn put(&mut self, frames: &[Frame], first: Time) -> Result<(), Closed> {
        if let Some(zero) = self.zero.load() {
            self.placer.put(frames, first, zero, &mut self.frames);
            self.push(zero);
        }
        self.open()
    }

    /// Nothing has come: silence, where it should have.
    pub fn idle(&mut self) -> Result<(), Closed> {
        if let Some(zero) = self.zero.load() {
            let gone = clock::now().signed_since(zero + self.latest);
            let due = i128::from(gone) * i128::from(RATE) / 1_000_000_000;
            self.placer.silence(due as i64, &mut self.frames);
            self.push(zero);
        }
        self.open()
    }

    /// A chunk leaves when it is whole; each has the stamp at which it was heard.
    fn push(&mut self, zero: Time) {
        if let Some(shown) = &self.shown {
            shown.put(&self.frames);
        }
        let mut rest = &self.frames[..];
        while !rest.is_empty() {
            let done = self.chunks.frames();
            let room = FRAMES - (done % FRAMES as u64) as usize;
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.chunks.push(now, zero.offset(span(done.cast_signed())));
            rest = later;
        }
        self.frames.clear();
    }
}

/// How long is waited for sound before looking at the time again.
pub(super) const IDLE: Duration = Duration::from_millis(20);

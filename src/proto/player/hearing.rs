//! What is heard of a stream: chunks taken in and put in order, how long after it is due everything is played while a
//! loudspeaker plays, and when frame 0 is heard.

use std::time::Duration;

use super::delay::Delay;
use super::playout::END_PATIENCE;
use super::sound::{self, Came, ENDING, Moments, Played, SoundCounts, SoundOrder};
use crate::media::sound::{CODED_FRAMES, CodedSound, FRAMES, Rendition, media_time, read};
use crate::proto::reception::Receipt;
use crate::units::{Time, Timing, Unit};
use crate::wire::object::{ObjectView, format};

/// Pictures may be seen so much earlier than the sound that belongs to them is heard: nobody notices (ITU-R BT.1359 puts
/// the threshold at 125 ms), and they wait less.
const AHEAD: Duration = Duration::from_millis(10);
/// Beyond what the loudspeaker needs: a chunk passes through this machine.
const MARGIN: Duration = Duration::from_millis(4);
/// The moments of frames are told again when they have moved by more than this, ns.
const MOVED: u64 = 200_000;

#[derive(Default)]
pub struct Hearing {
    sound: SoundOrder,
    delay: Delay,
    /// A loudspeaker plays, and needs chunks so long before they are heard.
    loudspeaker: Option<Duration>,
    /// When each frame is heard, as it was told last.
    timing: Option<Timing>,
    /// A loudspeaker has opened since then, and has not been told.
    untold: bool,
}

impl Hearing {
    pub const fn counts(&self) -> &SoundCounts {
        self.sound.counts()
    }

    /// How long after it was due everything is played, as far as sound asks for it.
    pub const fn delay(&self) -> Duration {
        self.delay.now()
    }

    pub const fn set_loudspeaker(&mut self, needs: Option<Duration>) {
        self.untold |= self.loudspeaker.is_none() && needs.is_some();
        self.loudspeaker = needs;
    }

    /// Forgets everything if this is another stream than before.
    pub fn follow(&mut self, stream: u64) {
        if self.sound.follow(stream) {
            (self.timing, self.delay) = (None, Delay::default());
        }
    }

    /// Sound is wanted no longer, or again: it begins anew.
    pub fn rest(&mut self) {
        self.sound.rest();
        (self.timing, self.delay) = (None, Delay::default());
    }

    /// A picture was complete so many ns after it was due.
    pub fn picture(&mut self, lateness: i64) {
        self.delay.picture(lateness);
    }

    /// Takes a chunk or a coded unit in that came at `at` and was due at `due`. False: it is none that could come now.
    pub fn take(&mut self, receipt: Receipt, due: Option<Time>, object: &ObjectView<'_>) -> bool {
        let (Some(came), at) = (Came::of(object), receipt.at) else { return false };
        if !self.sound.can_be(came.first(), at, due) {
            return false;
        }
        if let Some(due) = due {
            self.delay.sound(at, at.signed_since(due), came.length());
        }
        self.sound.take(came, receipt, due.is_some());
        true
    }

    /// Until when a chunk or a coded unit would be in time; `None`: it would be too late. `due`: when each was due.
    pub fn in_time(&self, rendition: u8, number: Unit, due: Option<Timing>) -> Option<Time> {
        let frames = if Rendition::of(rendition) == Some(Rendition::Coded) { CODED_FRAMES } else { FRAMES };
        let first = u64::from(number.0) * frames as u64;
        let waits = first >= self.sound.end();
        waits.then(|| self.sound.waited_for(first, self.moments(due)))
    }

    /// What is lost of the sound comes so long after it is missed, or zero: nothing is.
    pub fn set_repair(&mut self, repair: Duration) {
        self.delay.set_repair(repair);
    }

    /// Thinks again about the delay, now and then.
    pub fn turn(&mut self, now: Time) {
        self.delay.turn(now, self.loudspeaker.map(|needs| needs + MARGIN));
    }

    fn plays(&self) -> bool {
        self.loudspeaker.is_some() && self.sound.is_there()
    }

    /// How long after they are due pictures are shown, so that they are in step with sound that is heard `after` it is due;
    /// `None`: nothing is heard.
    pub fn latency(&self, after: Duration) -> Option<Duration> {
        self.plays().then(|| after.saturating_sub(AHEAD))
    }

    /// Each frame is heard at its moment of this; returns it if that is to be told.
    pub fn set_timing(&mut self, timing: Option<Timing>) -> Option<Timing> {
        let timing = timing?;
        let moved =
            |old: Timing| timing.speed != old.speed || timing.zero.signed_since(old.zero).unsigned_abs() > MOVED;
        let told = std::mem::take(&mut self.untold) || self.timing.is_none_or(moved);
        told.then(|| *self.timing.insert(timing))
    }

    /// Until when there is sound to be heard or waited for, of a stream that ended at `ended_at` with so many chunks.
    pub fn until(&self, ended_at: Option<Time>, chunks: Option<u32>) -> Option<Time> {
        if self.plays() {
            // The last frame: that of the stream, or of what is still to be believed of it.
            let end = self.sound.end();
            let last = chunks.map_or(end, |chunks| end_of(chunks).min(end + (ENDING * FRAMES) as u64));
            return sound::at(self.timing, last);
        }
        ended_at.filter(|_| self.sound.lacks(chunks)).map(|at| at + END_PATIENCE)
    }

    /// The chunk that is to be handed out now, if one is; `due`: when each was due.
    pub fn play(&mut self, now: Time, due: Option<Timing>) -> Option<Played> {
        self.sound.play(now, self.moments(due))
    }

    /// When the next chunk is to be handed out.
    pub fn deadline(&self, due: Option<Timing>) -> Option<Time> {
        self.sound.deadline(self.moments(due))
    }

    /// What is known of the moments of frames.
    fn moments(&self, due: Option<Timing>) -> Moments {
        let needed = self.timing.zip(self.loudspeaker);
        let needed = needed.map(|(heard, needs)| Timing { zero: heard.zero - needs - MARGIN, ..heard });
        Moments { needed, due }
    }

    /// Whether the last of so many chunks has been handed out; true once.
    pub fn is_over(&mut self, chunks: Option<u32>) -> bool {
        self.sound.is_over(chunks)
    }

    pub fn ended(&mut self, chunks: Option<u32>) {
        self.sound.ended(chunks);
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        self.sound.assert_sound();
    }
}

impl Came {
    /// What is to be heard of a sound object, if it is one that can be: whole, of a known rendition and format.
    pub fn of(object: &ObjectView<'_>) -> Option<Self> {
        let header = &object.header;
        let (number, rendition) = (header.unit.0, Rendition::of(header.rendition)?);
        let (coding, length) = match rendition {
            Rendition::Stereo | Rendition::Mono => (format::PCM_S16LE, FRAMES),
            Rendition::Coded => (format::OPUS, CODED_FRAMES),
        };
        let known = header.format == coding && rendition.channels() == header.size.height;
        let whole = header.part == 0 && header.parts_told() == 1;
        let in_place = header.media_time == media_time(u64::from(number) * length as u64);
        if !(known && whole && in_place) {
            return None;
        }
        let frames = header.size.width;
        if rendition != Rendition::Coded {
            return read(object.body, frames, header.size.height).map(|frames| Self::Chunk(number, frames));
        }
        let fits = (1..=CODED_FRAMES).contains(&usize::from(frames)) && (1..=PACKET_MAX).contains(&object.body.len());
        fits.then(|| Self::Coded(CodedSound { number, frames, packet: object.body.to_vec() }))
    }
}

/// No packet of Opus of one frame is longer (RFC 6716, 3.4).
const PACKET_MAX: usize = 1_276;

/// The frame behind the last of so many chunks.
fn end_of(chunks: u32) -> u64 {
    u64::from(chunks) * FRAMES as u64
}

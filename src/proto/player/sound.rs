//! Chunks and coded units of sound in order: each is handed out as soon as all before it have been. Where one is missing the
//! next one waits for it until the loudspeaker can wait no longer.
//!
//! Where chunks and a unit hold the same frames, the chunks are heard; the unit makes the decoder warm for the next.

use std::collections::BTreeMap;
use std::time::Duration;

use super::counts::Repaired;
use crate::media::sound::{CODED_AHEAD, CODED_FRAMES, CodedSound, FRAMES, Frame, Piece, media_time};
use crate::proto::reception::Receipt;
use crate::units::{Time, Timing};

/// Chunks held at once: twelve seconds, as behind a gap all that come wait until it is heard.
const HELD: usize = 2_048;
/// As many may be on their way when the stream has ended: three seconds.
pub const ENDING: usize = 512;
/// No chunk comes earlier before it is due than this, nor later after it.
const TOO_EARLY: Duration = Duration::from_secs(2);
const TOO_LATE: Duration = Duration::from_secs(10);
/// A gap of more frames than these is not concealed but jumped over: 0.4 s.
const FAR: u64 = 64 * FRAMES as u64;
/// A frame further ahead than this is nonsense, or a new start: 50 minutes.
const NONSENSE: u64 = FRAMES as u64 * (1 << 19);
/// A frame that is due about now cannot be so far behind the next one unless that one was wrong: 24 s.
const WRONG: u64 = 4_096 * FRAMES as u64;
/// A stream that is stopped ends with its last chunk, of which fewer than so many frames are in no unit that was complete.
const CUT_OFF: u64 = (CODED_FRAMES + CODED_AHEAD) as u64;
/// The first chunks may overtake each other.
const BEGINNING: Duration = Duration::from_millis(10);
/// Where no loudspeaker says how long a missing chunk can be waited for, it is so long after it was due, and after a later one
/// came.
const PATIENCE: Duration = Duration::from_millis(100);

/// What became of the sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoundCounts {
    /// Handed out whole.
    pub chunks: u64,
    /// Did not come in time.
    pub lost: u64,
    /// Came after their moment; they are among the lost.
    pub late: u64,
    pub repaired: Repaired,
    pub duplicates: u64,
}

/// What came of the sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// A chunk, by its number.
    Chunk(u32, Vec<Frame>),
    Coded(CodedSound),
}

impl Came {
    /// Number of its first frame.
    pub fn first(&self) -> u64 {
        match self {
            Self::Chunk(number, _) => u64::from(*number) * FRAMES as u64,
            Self::Coded(unit) => unit.first(),
        }
    }

    const fn is_coded(&self) -> bool {
        matches!(self, Self::Coded(_))
    }

    /// How long after its first frame it is complete, where sound is sent as it comes into being.
    pub fn length(&self) -> Duration {
        let frames = if self.is_coded() { CODED_FRAMES + CODED_AHEAD } else { FRAMES };
        Duration::from_micros(media_time(frames as u64).micros().unsigned_abs())
    }
}

/// A piece whose turn it is.
pub struct Played {
    /// Number of its first frame.
    pub first: u64,
    pub piece: Piece,
}

/// What is known of the moments of frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    /// When each must be handed out, for a loudspeaker that cannot wait.
    pub needed: Option<Timing>,
    /// When each was due at the server, which sends nothing later than that but what was held up.
    pub due: Option<Timing>,
}

impl Moments {
    /// What begins with this frame and is missing is waited for until then, if something later came at `came`.
    fn patience(&self, first: u64, came: Time) -> Time {
        let of = |timing: Option<Timing>| at(timing, first);
        of(self.needed).unwrap_or_else(|| of(self.due).map_or(came, |due| due.max(came)) + PATIENCE)
    }
}

/// The moment of a frame.
pub fn at(timing: Option<Timing>, frame: u64) -> Option<Time> {
    timing.map(|timing| timing.at(media_time(frame)))
}

/// Where a piece begins, and whether it is coded: of two that begin together the chunk comes first.
type Key = (u64, bool);

#[derive(Default)]
pub struct SoundOrder {
    stream: Option<u64>,
    waiting: BTreeMap<Key, (Time, Came)>,
    /// The frame whose turn is next, once there has been one.
    next: Option<u64>,
    /// The number of the next unit, if the last thing handed out was one.
    coded: Option<u32>,
    /// The last unit in the place of which chunks were heard.
    before: Option<CodedSound>,
    over: bool,
    counts: SoundCounts,
}

impl SoundOrder {
    pub const fn counts(&self) -> &SoundCounts {
        &self.counts
    }

    /// Forgets everything if this is another stream than before, and then returns true.
    pub fn follow(&mut self, stream: u64) -> bool {
        let changed = self.stream != Some(stream);
        if changed {
            (self.stream, self.over) = (Some(stream), false);
            self.rest();
        }
        changed
    }

    /// Forgets what waits and what comes next.
    pub fn rest(&mut self) {
        (self.next, self.coded, self.before) = (None, None, None);
        self.waiting.clear();
    }

    /// Whether the server can have sent what begins with this frame, and came at `at`: it is due about now or, if the timeline
    /// is not known yet, it is not far from what is due next.
    pub fn can_be(&self, first: u64, at: Time, due: Option<Time>) -> bool {
        match due {
            Some(due) => due <= at + TOO_EARLY && at <= due + TOO_LATE,
            None => self.next.is_none_or(|next| first.abs_diff(next) <= (ENDING * FRAMES) as u64),
        }
    }

    /// Whether any has come.
    pub fn is_there(&self) -> bool {
        self.next.is_some() || !self.waiting.is_empty()
    }

    /// One more than the last frame handed out.
    pub fn end(&self) -> u64 {
        self.next.unwrap_or_default()
    }

    /// How many frames of a stream of so many chunks are missing still; `None`: nobody knows.
    fn missing(&self, chunks: Option<u32>) -> Option<u64> {
        let left = (u64::from(chunks?) * FRAMES as u64).saturating_sub(self.next?);
        let cut_off = self.coded.is_some() && self.waiting.is_empty() && left < CUT_OFF;
        Some(if cut_off { 0 } else { left })
    }

    /// Whether something of so many chunks is to be waited for.
    pub fn lacks(&self, chunks: Option<u32>) -> bool {
        self.is_there() && chunks.is_some() && self.missing(chunks) != Some(0)
    }

    /// Whether the last of so many chunks has been handed out; true once.
    pub fn is_over(&mut self, chunks: Option<u32>) -> bool {
        let over = self.missing(chunks) == Some(0);
        over && !std::mem::replace(&mut self.over, true)
    }

    /// The stream had so many chunks: what is missing at its end was lost.
    pub fn ended(&mut self, chunks: Option<u32>) {
        self.counts.lost += in_chunks(self.missing(chunks).unwrap_or_default());
    }

    /// Takes something that [`can_be`](Self::can_be); `timed`: it is known to be due about now, whatever came before.
    pub fn take(&mut self, came: Came, receipt: Receipt, timed: bool) {
        let (at, via) = (receipt.at, receipt.via);
        let first = came.first();
        let wrong = |next: u64| first + WRONG < next || first.saturating_sub(next) >= NONSENSE;
        if let Some(next) = self.next.filter(|next| timed && wrong(*next)) {
            self.counts.lost += in_chunks(first.saturating_sub(next));
            self.rest();
        }
        let next = self.next.unwrap_or(first);
        if first < next && next - first < NONSENSE {
            match came {
                Came::Coded(unit) if self.coded.is_none() && next - first < 2 * CODED_FRAMES as u64 => {
                    self.before = Some(unit);
                }
                _ => {
                    self.counts.late += 1;
                    self.counts.repaired.count(via, false);
                }
            }
        } else if first.abs_diff(next) >= NONSENSE || self.waiting.len() >= HELD || self.over {
            // Nothing that a server would send.
        } else if self.waiting.insert((first, came.is_coded()), (at, came)).is_some() {
            self.counts.duplicates += 1;
        } else {
            self.counts.repaired.count(via, true);
        }
    }

    /// What can be played first: whatever begins first, but no unit that chunks are there for.
    fn front(&self) -> Option<(Key, Time)> {
        let (&key, &(at, _)) = self.waiting.first_key_value()?;
        let (first, coded) = key;
        let within = (first, false)..(first + CODED_FRAMES as u64, false);
        let chunk = self.waiting.range(within).find(|((_, coded), _)| !coded).filter(|_| coded);
        Some(chunk.map_or((key, at), |(key, (at, _))| (*key, *at)))
    }

    /// Until when what begins with this frame is waited for, if something later waits.
    pub fn waited_for(&self, first: u64, moments: Moments) -> Time {
        let came = self.waiting.first_key_value().map_or(Time::ZERO, |(_, (at, _))| *at);
        moments.patience(first, came)
    }

    /// The next piece, if its turn has come.
    pub fn play(&mut self, now: Time, moments: Moments) -> Option<Played> {
        if self.deadline(moments)? > now {
            return None;
        }
        let (front, _) = self.front()?;
        let mut first = self.next.unwrap_or(front.0);
        if front.0 - first > FAR {
            self.counts.lost += in_chunks(front.0 - first);
            (first, self.coded) = (front.0, None);
        }
        let (piece, frames) = if first < front.0 { self.lose(first, front.0) } else { self.release(front)? };
        let next = first + frames;
        self.next = Some(next);
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 < next) {
            if let Came::Coded(unit) = entry.remove().1 {
                self.before = Some(unit);
            }
        }
        Some(Played { first, piece })
    }

    /// A unit, if there is room for one and the decoder knows what came before it; else a chunk, or what there is room for.
    fn lose(&mut self, first: u64, until: u64) -> (Piece, u64) {
        self.coded = self.coded.filter(|_| until - first >= CODED_FRAMES as u64).map(|number| number.saturating_add(1));
        let coded = self.coded.is_some();
        let chunk = FRAMES as u64 - first % FRAMES as u64;
        let frames = if coded { CODED_FRAMES as u64 } else { chunk.min(until - first) };
        self.counts.lost += 1;
        (Piece::Lost { frames: frames as u16, coded }, frames)
    }

    fn release(&mut self, key: Key) -> Option<(Piece, u64)> {
        let (_, came) = self.waiting.remove(&key)?;
        self.counts.chunks += 1;
        Some(match came {
            Came::Chunk(_, frames) => {
                self.coded = None;
                (Piece::Frames(frames), FRAMES as u64)
            }
            Came::Coded(CodedSound { number, frames, packet }) => {
                let cold = self.coded != Some(number);
                let before = self.before.take().filter(|before| cold && before.number.checked_add(1) == Some(number));
                self.coded = number.checked_add(1);
                (Piece::Coded { packet, frames, before: before.map(|unit| unit.packet) }, CODED_FRAMES as u64)
            }
        })
    }

    /// When there is something to hand out; zero: now.
    pub fn deadline(&self, moments: Moments) -> Option<Time> {
        let ((front, _), at) = self.front()?;
        match self.next {
            None if front == 0 => Some(Time::ZERO),
            None => Some(at + BEGINNING),
            Some(next) if next == front => Some(Time::ZERO),
            Some(next) => Some(moments.patience(next, at)),
        }
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.waiting.len() <= HELD, "{} chunks wait", self.waiting.len());
    }
}

/// So many chunks hold these frames.
const fn in_chunks(frames: u64) -> u64 {
    frames.div_ceil(FRAMES as u64)
}

#[cfg(test)]
mod changes;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::reception::Via;

    pub fn receipt(at: Time) -> Receipt {
        Receipt { at, session: 1, hop: 0, via: Via::Sent }
    }

    fn chunk(number: u32) -> Came {
        Came::Chunk(number, vec![[1, 2]; FRAMES])
    }

    /// Chunk n is to be handed out at 80 ms + n · 5.8 ms.
    const NEEDED: Moments =
        Moments { needed: Some(Timing::normal(Time::from_nanos(80_000_000))), due: Some(Timing::normal(Time::ZERO)) };

    fn play_as(sound: &mut SoundOrder, millis: u64, moments: Moments) -> Vec<(u64, bool)> {
        let played = std::iter::from_fn(|| sound.play(Time::from_millis(millis), moments));
        played.map(|played| (played.first / FRAMES as u64, !played.piece.is_lost())).collect()
    }

    fn play(sound: &mut SoundOrder, millis: u64) -> Vec<(u64, bool)> {
        play_as(sound, millis, NEEDED)
    }

    #[test]
    fn order_is_made_and_a_gap_is_waited_for_as_long_as_possible() {
        let mut sound = SoundOrder::default();
        for number in [0, 2, 1, 4] {
            sound.take(chunk(number), receipt(Time::ZERO), true);
        }
        assert_eq!(play(&mut sound, 0), [(0, true), (1, true), (2, true)]);
        assert_eq!(play(&mut sound, 97), [], "chunk 3 is needed at 97.4 ms");
        assert_eq!(play(&mut sound, 98), [(3, false), (4, true)]);
        for number in [3, 5, 5] {
            sound.take(chunk(number), receipt(Time::ZERO), true);
        }
        assert_eq!(play(&mut sound, 99), [(5, true)]);
        assert_eq!(
            *sound.counts(),
            SoundCounts { chunks: 5, lost: 1, late: 1, duplicates: 1, ..SoundCounts::default() }
        );
    }

    #[test]
    fn a_long_gap_is_jumped_over_and_another_stream_begins_anew() {
        let mut sound = SoundOrder::default();
        sound.take(chunk(7), receipt(Time::ZERO), false);
        assert_eq!(play(&mut sound, 9), [], "an earlier one may still come");
        assert_eq!(play(&mut sound, 10), [(7, true)]);
        sound.take(chunk(1_000), receipt(Time::ZERO), false);
        assert_eq!(play(&mut sound, 10_000), [(1_000, true)]);
        assert_eq!(sound.counts().lost, 992);
        sound.take(chunk(u32::MAX), receipt(Time::ZERO), false);
        assert_eq!(play(&mut sound, 100_000), [], "nonsense");
        assert!(sound.follow(9) && !sound.follow(9));
        sound.take(chunk(0), receipt(Time::ZERO), false);
        assert_eq!(play(&mut sound, 0), [(0, true)]);
    }

    #[test]
    fn without_a_loudspeaker_a_chunk_is_waited_for_until_it_was_due_and_a_moment_longer() {
        let due = Moments { needed: None, due: Some(Timing::normal(Time::ZERO)) };
        let mut sound = SoundOrder::default();
        sound.take(chunk(0), receipt(Time::ZERO), true);
        assert_eq!(play_as(&mut sound, 0, due), [(0, true)]);
        // Nobody sends this one now.
        sound.take(chunk(300), receipt(Time::ZERO), true);
        assert_eq!(play_as(&mut sound, 105, due), [], "chunk 1 is due at 5.8 ms");
        sound.take(chunk(1), receipt(Time::from_millis(105)), true);
        assert_eq!(play_as(&mut sound, 105, due), [(1, true)]);
        assert_eq!(play_as(&mut sound, 111, due), []);
        assert_eq!(play_as(&mut sound, 112, due), [(300, true)], "then nothing else is there");
        // What came late is waited for as well: it may have overtaken another.
        let mut sound = SoundOrder::default();
        sound.take(chunk(0), receipt(Time::from_millis(900)), true);
        sound.take(chunk(2), receipt(Time::from_millis(900)), true);
        assert_eq!(play_as(&mut sound, 999, due), [(0, true)]);
        assert_eq!(play_as(&mut sound, 1_000, due), [(1, false), (2, true)]);
    }

    #[test]
    fn what_is_due_now_is_believed_rather_than_what_came_before() {
        for nonsense in [400_000, 4_000_000_000] {
            let mut sound = SoundOrder::default();
            sound.take(chunk(nonsense), receipt(Time::ZERO), false);
            assert_eq!(play(&mut sound, 20), [(nonsense.into(), true)], "nobody knows better yet");
            sound.take(chunk(50), receipt(Time::from_millis(300)), true);
            assert_eq!(play(&mut sound, 310), [(50, true)]);
        }
        // After an hour away.
        let mut sound = SoundOrder::default();
        sound.take(chunk(0), receipt(Time::ZERO), true);
        assert_eq!(play(&mut sound, 0), [(0, true)]);
        sound.take(chunk(620_155), receipt(Time::from_millis(3_600_000)), true);
        assert_eq!(play(&mut sound, 3_600_010), [(620_155, true)]);
        assert_eq!(*sound.counts(), SoundCounts { chunks: 2, lost: 620_154, ..SoundCounts::default() });
    }
}

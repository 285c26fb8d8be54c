//! Chunks of sound in order: each is handed out as soon as all before it have been. Where one is missing the next one
//! waits for it until the loudspeaker can wait no longer.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::media::sound::{FRAMES, Frame, media_time};
use crate::units::Time;

/// Chunks held at once: twelve seconds, as behind a gap all that come wait until it is heard.
const HELD: usize = 2_048;
/// As many may be on their way when the stream has ended: three seconds.
pub const ENDING: usize = 512;
/// No chunk comes earlier before it is due than this, nor later after it.
const TOO_EARLY: Duration = Duration::from_secs(2);
const TOO_LATE: Duration = Duration::from_secs(10);
/// A gap of more chunks than these is not concealed but jumped over: 0.4 s.
const FAR: u32 = 64;
/// A number further ahead than this is nonsense, or a new start: 50 minutes.
const NONSENSE: u32 = 1 << 19;
/// A chunk that is due about now cannot be so far behind the next one unless that one was wrong: 24 s.
const WRONG: u32 = 4_096;
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
    pub duplicates: u64,
}

/// A chunk whose turn it is.
pub struct Played {
    /// Number of its first frame.
    pub first: u64,
    /// `None`: it was lost.
    pub frames: Option<Vec<Frame>>,
}

/// What is known of the time of frame 0, from which follows that of any other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Zero {
    /// Frame 0 must be handed out then, for a loudspeaker that cannot wait.
    pub needed: Option<Time>,
    /// Frame 0 was due at the server, which sends nothing later than that but what was held up.
    pub due: Option<Time>,
}

impl Zero {
    /// A chunk that is missing is waited for until then, if a later one came at `came`.
    fn patience(&self, number: u32, came: Time) -> Time {
        let of = |zero: Option<Time>| at(zero, u64::from(number) * FRAMES as u64);
        of(self.needed).unwrap_or_else(|| of(self.due).map_or(came, |due| due.max(came)) + PATIENCE)
    }
}

/// The moment of a frame if frame 0 has this one.
pub fn at(zero: Option<Time>, frame: u64) -> Option<Time> {
    zero.map(|zero| zero.offset(media_time(frame).micros() * 1_000))
}

#[derive(Default)]
pub struct SoundOrder {
    stream: Option<u64>,
    waiting: BTreeMap<u32, (Time, Vec<Frame>)>,
    /// The chunk whose turn is next, once there has been one.
    next: Option<u32>,
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
        self.next = None;
        self.waiting.clear();
    }

    /// Whether the server can have sent this chunk, which came at `at`: it is due about now or, if the timeline is not known
    /// yet, it is not far from the one due next.
    pub fn can_be(&self, number: u32, at: Time, due: Option<Time>) -> bool {
        match due {
            Some(due) => due <= at + TOO_EARLY && at <= due + TOO_LATE,
            None => self.next.is_none_or(|next| number.abs_diff(next) <= ENDING as u32),
        }
    }

    /// Whether any has come.
    pub fn is_there(&self) -> bool {
        self.next.is_some() || !self.waiting.is_empty()
    }

    /// One more than the last frame handed out.
    pub fn end(&self) -> u64 {
        u64::from(self.next.unwrap_or_default()) * FRAMES as u64
    }

    /// Whether the last of so many chunks has been handed out; true once.
    pub fn is_over(&mut self, chunks: Option<u32>) -> bool {
        let over = chunks.is_some() && self.next >= chunks;
        over && !std::mem::replace(&mut self.over, true)
    }

    /// The stream had so many chunks: what is missing at its end was lost.
    pub fn ended(&mut self, chunks: Option<u32>) {
        if let (Some(chunks), Some(next)) = (chunks, self.next) {
            self.counts.lost += u64::from(chunks.saturating_sub(next));
        }
    }

    /// Takes a chunk that [`can_be`](Self::can_be); `timed`: it is known to be due about now, whatever came before.
    pub fn take(&mut self, number: u32, frames: Vec<Frame>, at: Time, timed: bool) {
        let wrong = |next: u32| number.saturating_add(WRONG) < next || number.saturating_sub(next) >= NONSENSE;
        if let Some(next) = self.next.filter(|next| timed && wrong(*next)) {
            self.counts.lost += u64::from(number.saturating_sub(next));
            self.next = None;
            self.waiting.clear();
        }
        let next = self.next.unwrap_or(number);
        if number < next && next - number < NONSENSE {
            self.counts.late += 1;
        } else if number.abs_diff(next) >= NONSENSE || self.waiting.len() >= HELD {
            // Nothing that a server would send.
        } else if self.waiting.insert(number, (at, frames)).is_some() {
            self.counts.duplicates += 1;
        }
    }

    /// The next chunk, if its turn has come.
    pub fn play(&mut self, now: Time, zero: Zero) -> Option<Played> {
        if self.deadline(zero)? > now {
            return None;
        }
        let (&front, _) = self.waiting.first_key_value()?;
        let next = self.next.unwrap_or(front);
        if front - next > FAR {
            self.counts.lost += u64::from(front - next);
            self.next = Some(front);
        }
        let number = self.next.unwrap_or(front);
        let frames = self.waiting.remove(&number).map(|(_, frames)| frames);
        self.next = Some(number.saturating_add(1));
        self.counts.chunks += u64::from(frames.is_some());
        self.counts.lost += u64::from(frames.is_none());
        Some(Played { first: u64::from(number) * FRAMES as u64, frames })
    }

    /// When there is something to hand out; zero: now.
    pub fn deadline(&self, zero: Zero) -> Option<Time> {
        let (&front, &(at, _)) = self.waiting.first_key_value()?;
        match self.next {
            None if front == 0 => Some(Time::ZERO),
            None => Some(at + BEGINNING),
            Some(next) if next == front => Some(Time::ZERO),
            Some(next) => Some(zero.patience(next, at)),
        }
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.waiting.len() <= HELD, "{} chunks wait", self.waiting.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Frame> {
        vec![[1, 2]; FRAMES]
    }

    /// Chunk n is to be handed out at 80 ms + n · 5.8 ms.
    const NEEDED: Zero = Zero { needed: Some(Time::from_nanos(80_000_000)), due: Some(Time::ZERO) };

    fn play_as(sound: &mut SoundOrder, millis: u64, zero: Zero) -> Vec<(u64, bool)> {
        let played = std::iter::from_fn(|| sound.play(Time::from_millis(millis), zero));
        played.map(|played| (played.first / FRAMES as u64, played.frames.is_some())).collect()
    }

    fn play(sound: &mut SoundOrder, millis: u64) -> Vec<(u64, bool)> {
        play_as(sound, millis, NEEDED)
    }

    #[test]
    fn order_is_made_and_a_gap_is_waited_for_as_long_as_possible() {
        let mut sound = SoundOrder::default();
        for number in [0, 2, 1, 4] {
            sound.take(number, frames(), Time::ZERO, true);
        }
        assert_eq!(play(&mut sound, 0), [(0, true), (1, true), (2, true)]);
        assert_eq!(play(&mut sound, 97), [], "chunk 3 is needed at 97.4 ms");
        assert_eq!(play(&mut sound, 98), [(3, false), (4, true)]);
        for number in [3, 5, 5] {
            sound.take(number, frames(), Time::ZERO, true);
        }
        assert_eq!(play(&mut sound, 99), [(5, true)]);
        assert_eq!(*sound.counts(), SoundCounts { chunks: 5, lost: 1, late: 1, duplicates: 1 });
    }

    #[test]
    fn a_long_gap_is_jumped_over_and_another_stream_begins_anew() {
        let mut sound = SoundOrder::default();
        sound.take(7, frames(), Time::ZERO, false);
        assert_eq!(play(&mut sound, 9), [], "an earlier one may still come");
        assert_eq!(play(&mut sound, 10), [(7, true)]);
        sound.take(1_000, frames(), Time::ZERO, false);
        assert_eq!(play(&mut sound, 10_000), [(1_000, true)]);
        assert_eq!(sound.counts().lost, 992);
        sound.take(u32::MAX, frames(), Time::ZERO, false);
        assert_eq!(play(&mut sound, 100_000), [], "nonsense");
        assert!(sound.follow(9) && !sound.follow(9));
        sound.take(0, frames(), Time::ZERO, false);
        assert_eq!(play(&mut sound, 0), [(0, true)]);
    }

    #[test]
    fn without_a_loudspeaker_a_chunk_is_waited_for_until_it_was_due_and_a_moment_longer() {
        let due = Zero { needed: None, due: Some(Time::ZERO) };
        let mut sound = SoundOrder::default();
        sound.take(0, frames(), Time::ZERO, true);
        assert_eq!(play_as(&mut sound, 0, due), [(0, true)]);
        // Nobody sends this one now.
        sound.take(300, frames(), Time::ZERO, true);
        assert_eq!(play_as(&mut sound, 105, due), [], "chunk 1 is due at 5.8 ms");
        sound.take(1, frames(), Time::from_millis(105), true);
        assert_eq!(play_as(&mut sound, 105, due), [(1, true)]);
        assert_eq!(play_as(&mut sound, 111, due), []);
        assert_eq!(play_as(&mut sound, 112, due), [(300, true)], "then nothing else is there");
        // What came late is waited for as well: it may have overtaken another.
        let mut sound = SoundOrder::default();
        sound.take(0, frames(), Time::from_millis(900), true);
        sound.take(2, frames(), Time::from_millis(900), true);
        assert_eq!(play_as(&mut sound, 999, due), [(0, true)]);
        assert_eq!(play_as(&mut sound, 1_000, due), [(1, false), (2, true)]);
    }

    #[test]
    fn what_is_due_now_is_believed_rather_than_what_came_before() {
        for nonsense in [400_000, 4_000_000_000] {
            let mut sound = SoundOrder::default();
            sound.take(nonsense, frames(), Time::ZERO, false);
            assert_eq!(play(&mut sound, 20), [(nonsense.into(), true)], "nobody knows better yet");
            sound.take(50, frames(), Time::from_millis(300), true);
            assert_eq!(play(&mut sound, 310), [(50, true)]);
        }
        // After an hour away.
        let mut sound = SoundOrder::default();
        sound.take(0, frames(), Time::ZERO, true);
        assert_eq!(play(&mut sound, 0), [(0, true)]);
        sound.take(620_155, frames(), Time::from_millis(3_600_000), true);
        assert_eq!(play(&mut sound, 3_600_010), [(620_155, true)]);
        assert_eq!(*sound.counts(), SoundCounts { chunks: 2, lost: 620_154, late: 0, duplicates: 0 });
    }
}

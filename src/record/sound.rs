//! Sound on its way into a recording: in order and without gaps. Chunks that never came are silence, so that what follows
//! keeps its time.

use std::collections::VecDeque;

use crate::media::sound::{Frame, RATE};
use crate::units::MediaTime;

/// Frames that wait to be written, in runs without gaps.
#[derive(Debug, Default)]
pub(super) struct PendingSound {
    runs: VecDeque<Run>,
    /// The number of the frame that is due next, once there was one.
    next: Option<u64>,
    /// Frames behind a long gap, until those that follow them come: then the gap is believed.
    doubted: Option<(u64, Vec<Frame>)>,
}

#[derive(Debug)]
struct Run {
    first: u64,
    frames: VecDeque<Frame>,
}

impl PendingSound {
    /// Takes frames in, the first of which has this number. What has passed already is left out; what is missing before
    /// them becomes silence, but for a gap so long that the stream must have jumped. Frames behind a gap of more than two
    /// seconds are only believed together with those that follow them: one chunk with a wrong number makes no silence.
    pub fn put(&mut self, first: u64, frames: &[Frame]) {
        let doubted = self.doubted.take();
        if self.next.is_some_and(|next| first > next && first - next > DOUBTED) {
            match doubted {
                Some((before, held)) if before + held.len() as u64 == first => self.append(before, &held),
                _ => {
                    self.doubted = Some((first, frames.to_vec()));
                    return;
                }
            }
        }
        self.append(first, frames);
    }

    fn append(&mut self, first: u64, frames: &[Frame]) {
        let due = self.next.unwrap_or(first);
        let known = usize::try_from(due.saturating_sub(first)).unwrap_or(usize::MAX);
        let Some(fresh) = frames.get(known..).filter(|fresh| !fresh.is_empty()) else { return };
        let first = first.max(due);
        let gap = first - due;
        if gap > LONGEST_SILENCE || self.runs.is_empty() && gap == 0 {
            self.runs.push_back(Run { first, frames: VecDeque::new() });
        } else if self.runs.is_empty() {
            self.runs.push_back(Run { first: due, frames: VecDeque::new() });
        }
        if let Some(run) = self.runs.back_mut() {
            let silence = if gap > LONGEST_SILENCE { 0 } else { gap as usize };
            run.frames.extend(std::iter::repeat_n([0, 0], silence));
            run.frames.extend(fresh);
        }
        self.next = Some(first + fresh.len() as u64);
    }

    /// The next frames, as far as they come before frame `until`, and the number of the first; at most a tenth of a second.
    pub fn take(&mut self, until: u64) -> Option<(u64, Vec<Frame>)> {
        let run = self.runs.front_mut()?;
        let count = usize::try_from(until.saturating_sub(run.first)).unwrap_or(usize::MAX);
        let count = count.min(run.frames.len()).min(BLOCK);
        let first = run.first;
        let frames: Vec<Frame> = run.frames.drain(..count).collect();
        run.first += count as u64;
        if run.frames.is_empty() {
            self.runs.pop_front();
        }
        (count > 0).then_some((first, frames))
    }

    /// Lets go of all that comes before frame `from`.
    pub fn forget(&mut self, from: u64) {
        while let Some(run) = self.runs.front_mut().filter(|run| run.first < from) {
            let old = usize::try_from(from - run.first).unwrap_or(usize::MAX).min(run.frames.len());
            run.frames.drain(..old);
            run.first += old as u64;
            if !run.frames.is_empty() {
                return;
            }
            self.runs.pop_front();
        }
    }

    /// Frames that wait.
    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| run.frames.len()).sum()
    }

    /// The number of the frame that waits longest.
    pub fn first(&self) -> Option<u64> {
        self.runs.front().map(|run| run.first)
    }

    /// The number of the frame that is due next.
    #[cfg(test)]
    pub fn end(&self) -> u64 {
        self.next.unwrap_or(0)
    }
}

/// The first frame that is heard no earlier than this.
pub(super) fn frame_from(time: MediaTime) -> u64 {
    (micros(time) * u128::from(RATE)).div_ceil(1_000_000) as u64
}

/// The first frame that is heard later than this.
pub(super) fn frame_after(time: MediaTime) -> u64 {
    (micros(time) * u128::from(RATE) / 1_000_000) as u64 + 1
}

fn micros(time: MediaTime) -> u128 {
    time.micros().max(0).unsigned_abs().into()
}

/// A minute; no network loses more and goes on.
const LONGEST_SILENCE: u64 = 60 * RATE as u64;
/// A gap that one chunk alone does not make.
const DOUBTED: u64 = 2 * RATE as u64;
const BLOCK: usize = RATE as usize / 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(range: std::ops::Range<u64>) -> Vec<Frame> {
        range.map(|n| [n as i16 + 1, 1]).collect()
    }

    fn all(pending: &mut PendingSound, until: u64) -> Vec<(u64, Vec<Frame>)> {
        std::iter::from_fn(|| pending.take(until)).collect()
    }

    #[test]
    fn lost_chunks_are_silence_and_late_ones_are_left_out() {
        let mut pending = PendingSound::default();
        pending.put(256, &frames(256..512));
        pending.put(768, &frames(768..1_024));
        pending.put(512, &frames(512..768));
        pending.put(900, &frames(900..1_100));
        assert_eq!((pending.len(), pending.end()), (1_100 - 256, 1_100));
        let [(256, found)] = &all(&mut pending, u64::MAX)[..] else { panic!("one block") };
        let expected = [frames(256..512), vec![[0, 0]; 256], frames(768..1_100)].concat();
        assert_eq!(*found, expected);
        pending.put(1_200, &frames(1_200..1_201));
        assert_eq!(all(&mut pending, u64::MAX), [(1_100, [vec![[0, 0]; 100], frames(1_200..1_201)].concat())]);
    }

    #[test]
    fn frames_are_taken_up_to_a_moment_in_blocks() {
        let mut pending = PendingSound::default();
        pending.put(0, &frames(0..10_000));
        assert_eq!(pending.take(0), None);
        let blocks: Vec<_> =
            all(&mut pending, 9_000).into_iter().map(|(first, frames)| (first, frames.len())).collect();
        assert_eq!(blocks, [(0, 4_410), (4_410, 4_410), (8_820, 180)]);
        pending.forget(9_500);
        assert_eq!(pending.take(u64::MAX), Some((9_500, frames(9_500..10_000))));
        pending.put(20_000, &frames(20_000..20_010));
        pending.forget(30_000);
        assert_eq!((pending.len(), pending.take(u64::MAX)), (0, None));
    }

    #[test]
    fn a_jump_is_no_hour_of_silence() {
        let mut pending = PendingSound::default();
        pending.put(0, &frames(0..10));
        let far = u64::from(u32::MAX) * 256;
        pending.put(far, &frames(5..10));
        pending.put(far + 5, &frames(0..5));
        assert_eq!(pending.len(), 20);
        let behind = [frames(5..10), frames(0..5)].concat();
        assert_eq!(all(&mut pending, u64::MAX), [(0, frames(0..10)), (far, behind)]);
    }

    #[test]
    fn one_chunk_with_a_wrong_number_makes_no_silence_and_silences_nothing() {
        let second = u64::from(RATE);
        let mut pending = PendingSound::default();
        pending.put(0, &frames(0..256));
        for far in [3 * second, 59 * second, 3_000 * second] {
            pending.put(far, &frames(0..256));
            let next = pending.end();
            pending.put(next, &frames(next..next + 256));
        }
        assert_eq!(all(&mut pending, u64::MAX), [(0, frames(0..1_024))]);
        // Half a minute of a network that was away: the second chunk behind it says so.
        pending.put(30 * second, &frames(0..256));
        assert_eq!(pending.len(), 0);
        pending.put(30 * second + 256, &frames(256..512));
        assert_eq!(pending.len() as u64, 30 * second + 512 - 1_024);
    }

    #[test]
    fn frames_and_times_agree() {
        let at = MediaTime::from_micros;
        assert_eq!((frame_from(at(0)), frame_after(at(0))), (0, 1));
        assert_eq!((frame_from(at(1_000_000)), frame_after(at(1_000_000))), (44_100, 44_101));
        assert_eq!((frame_from(at(40_001)), frame_after(at(40_001))), (1_765, 1_765));
        assert_eq!(frame_from(at(-5)), 0);
    }
}

//! Sound that ffmpeg has handed over and that was not taken yet. It keeps ffmpeg's pipe empty, so that ffmpeg, which does
//! one thing after the other, goes on with its pictures whether or not the sound is taken.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::media::sound::{Frame, RATE};
use crate::queue::Pop;
use crate::units::Time;

/// What to do with more sound than a backlog holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surplus {
    /// Wait until some of it is taken.
    Wait,
    /// Leave it out: what is live counts by when it comes.
    LeaveOut,
    /// Keep silence in its place, so that what follows keeps its own.
    Silence,
}

/// Frames that came together, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub captured: Time,
    pub frames: Vec<Frame>,
}

/// A bounded queue of sound between two threads. Long silence takes no room in it.
pub(super) struct Backlog {
    state: Mutex<State>,
    changed: Condvar,
    surplus: Surplus,
}

#[derive(Default)]
struct State {
    runs: VecDeque<Run>,
    /// Frames held that are not silence.
    held: usize,
    /// No more will be put in.
    over: bool,
    /// No more will be taken.
    closed: bool,
}

enum Run {
    Sound(Block),
    Silence { captured: Time, frames: u64 },
}

impl Backlog {
    pub fn new(surplus: Surplus) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), surplus }
    }

    /// Puts sound in; waits for room where it must. `false` if no more will be taken.
    pub fn put(&self, block: Block) -> bool {
        let full = |state: &mut State| state.held >= MOST && !state.closed;
        let mut state = self.lock();
        if self.surplus != Surplus::Wait && full(&mut state) {
            if self.surplus == Surplus::Silence {
                state.put(Block { frames: vec![[0, 0]; block.frames.len()], ..block });
            }
            return true;
        }
        state = self.changed.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        let wanted = !state.closed;
        if wanted {
            state.put(block);
            self.changed.notify_all();
        }
        wanted
    }

    /// The oldest sound; waits for it. `None` at the end.
    pub fn take(&self) -> Option<Block> {
        let nothing = |state: &mut State| state.runs.is_empty() && !state.over;
        let mut state = self.changed.wait_while(self.lock(), nothing).unwrap_or_else(PoisonError::into_inner);
        let block = state.take();
        self.changed.notify_all();
        block
    }

    /// The oldest sound, if there is some before `timeout` is over.
    pub fn take_within(&self, timeout: Duration) -> Pop<Block> {
        let nothing = |state: &mut State| state.runs.is_empty() && !state.over;
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, nothing);
        let (mut state, late) = waited.unwrap_or_else(PoisonError::into_inner);
        let block = state.take();
        self.changed.notify_all();
        match block {
            Some(block) => Pop::Item(block),
            None if late.timed_out() => Pop::Empty,
            None => Pop::Closed,
        }
    }

    /// No more will be put in.
    pub fn finish(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// No more will be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, block: Block) {
        let count = block.frames.len();
        // Only silence that waits is put together: what is taken at once keeps its stamps.
        let silent = self.runs.len() > 1 && block.frames.iter().all(|&frame| frame == [0, 0]);
        match self.runs.back_mut() {
            Some(Run::Silence { frames, .. }) if silent => *frames += count as u64,
            _ if silent => self.runs.push_back(Run::Silence { captured: block.captured, frames: count as u64 }),
            _ => {
                self.held += count;
                self.runs.push_back(Run::Sound(block));
            }
        }
    }

    fn take(&mut self) -> Option<Block> {
        match self.runs.pop_front()? {
            Run::Sound(block) => {
                self.held -= block.frames.len();
                Some(block)
            }
            Run::Silence { captured, frames } => {
                let now = frames.min(PIECE);
                if frames > now {
                    self.runs.push_front(Run::Silence { captured, frames: frames - now });
                }
                Some(Block { captured, frames: vec![[0, 0]; now as usize] })
            }
        }
    }
}

/// Half a minute, 5 MB. Two inputs of ffmpeg are never that far apart, nor are sound and pictures in a file that is made
/// to be sent.
const MOST: usize = 30 * RATE as usize;
/// Silence is handed out in pieces of so many frames.
const PIECE: u64 = 4_096;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn block(millis: u64, value: i16, count: usize) -> Block {
        Block { captured: Time::from_millis(millis), frames: vec![[value; 2]; count] }
    }

    fn all(backlog: &Backlog) -> Vec<Frame> {
        std::iter::from_fn(|| backlog.take()).flat_map(|block| block.frames).collect()
    }

    #[test]
    fn sound_comes_out_as_it_went_in() {
        let backlog = Backlog::new(Surplus::Wait);
        for (value, count) in [(0, 10), (5, 1), (0, 10_000), (0, 3), (7, 2), (0, 1)] {
            assert!(backlog.put(block(1, value, count)));
        }
        backlog.finish();
        let plain = [vec![[0; 2]; 10], vec![[5; 2]], vec![[0; 2]; 10_003], vec![[7; 2]; 2], vec![[0; 2]]].concat();
        assert_eq!(all(&backlog), plain);
        assert_eq!(backlog.take(), None);
    }

    #[test]
    fn long_silence_takes_no_room_and_a_minute_of_sound_waits_or_is_left_out() {
        let backlog = Backlog::new(Surplus::LeaveOut);
        for _ in 0..3_600 {
            backlog.put(block(0, 0, RATE as usize / 100));
        }
        assert!(backlog.lock().runs.len() < 4);
        for second in 0..40 {
            assert!(backlog.put(block(second, 1, RATE as usize)));
        }
        assert!((MOST..MOST + RATE as usize).contains(&backlog.lock().held));
        let in_place = Backlog::new(Surplus::Silence);
        (0..40).for_each(|second| assert!(in_place.put(block(second, 1, RATE as usize))));
        in_place.finish();
        let frames = all(&in_place);
        assert!(
            frames.len() == 40 * RATE as usize && frames[31 * RATE as usize..].iter().all(|frame| *frame == [0, 0])
        );
        let waiting = Arc::new(Backlog::new(Surplus::Wait));
        let other = Arc::clone(&waiting);
        let writer = std::thread::spawn(move || (0..60).take_while(|&s| other.put(block(s, 1, RATE as usize))).count());
        for _ in 0..20 {
            assert!(waiting.take().is_some());
        }
        waiting.close();
        // Those that were taken, and at most as many as there is room for.
        assert!((20..=50).contains(&writer.join().expect("no panic")), "it waits for room until nobody wants more");
    }
}

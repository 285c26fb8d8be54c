//! The way out of the ring: frames by their number, one after the other, silence where there are none, and a fade
//! wherever sound begins, ends or jumps. Runs in the device's thread: no lock, no allocation.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rtrb::Consumer;

use super::shared::{Block, Shared};
use crate::media::sound::Frame;

/// Left and right from −1 to 1.
pub type Sample = [f32; 2];

pub struct Feed {
    ring: Consumer<Block>,
    shared: Arc<Shared>,
    /// What the next frame is taken from, if it is in there.
    block: Option<Block>,
    /// The stream that the numbers belong to.
    stream: u32,
    /// The number of the next frame; none while nothing is played.
    next: Option<i64>,
    /// Where to go on when all is silent; grows with every frame until then.
    then: Option<i64>,
    /// Nothing is played after the fade.
    stopping: bool,
    /// The last frame, and how much of it is heard.
    last: Sample,
    level: f32,
    /// There are no more frames, so the last one fades away.
    held: bool,
}

impl Feed {
    pub fn new(ring: Consumer<Block>, shared: Arc<Shared>) -> Self {
        let stream = shared.stream.load(Ordering::Acquire);
        let (last, level) = ([0.0; 2], 0.0);
        Self { ring, shared, block: None, stream, next: None, then: None, stopping: false, last, level, held: true }
    }

    /// The number of the frame that comes next, fades aside.
    pub fn position(&self) -> Option<i64> {
        self.then.or(self.next).filter(|_| !self.stopping)
    }

    /// Goes on with frame `to` in place of the next one.
    pub fn jump(&mut self, to: i64) {
        (self.then, self.stopping) = (Some(to), false);
    }

    /// Fades away and plays nothing more.
    pub fn stop(&mut self) {
        (self.then, self.stopping) = (None, true);
        self.forget();
    }

    /// Looks whether another stream has begun. Returns `true` if it has, and then nothing is played yet.
    pub fn another_stream(&mut self) -> bool {
        let stream = self.shared.stream.load(Ordering::Acquire);
        if stream == self.stream {
            return false;
        }
        self.stream = stream;
        self.stop();
        true
    }

    pub fn read(&mut self, out: &mut [Sample]) {
        for sample in out {
            *sample = self.sample();
        }
    }

    fn sample(&mut self) -> Sample {
        if self.level <= 0.0 {
            self.turn();
        }
        let frame = self.next.and_then(|next| self.frame(next));
        self.next = self.next.map(|next| next + 1);
        self.then = self.then.map(|then| then + 1);
        let gone = frame.is_none() && !self.held;
        if gone && self.level > 0.0 {
            self.count_underrun();
        }
        self.held |= gone;
        if let Some(frame) = frame.filter(|_| !self.held) {
            self.last = frame.map(|sample| f32::from(sample) / 32_768.0);
        }
        let fading = self.held || self.stopping || self.then.is_some();
        let step = if fading { -FADE_STEP } else { FADE_STEP };
        self.level = (self.level + step).clamp(0.0, 1.0);
        self.last.map(|sample| sample * self.level)
    }

    /// All is silent: this is the moment to jump, to stop, or to begin.
    fn turn(&mut self) {
        if self.stopping {
            (self.stopping, self.next) = (false, None);
        }
        if let Some(then) = self.then.take() {
            self.next = Some(then);
        }
        self.held = self.next.is_none_or(|next| !self.has(next));
    }

    /// The ring gave out in the middle of the sound.
    fn count_underrun(&self) {
        let ended = self.next.is_none_or(|next| next > self.shared.end.load(Ordering::Relaxed));
        if !ended && !self.stopping {
            self.shared.underruns.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn frame(&mut self, number: i64) -> Option<Frame> {
        let found = self.has(number);
        let block = self.block.as_ref().filter(|_| found)?;
        Some(block.frames[(number - block.first) as usize])
    }

    /// Finds the block with this frame, leaving out all before it.
    fn has(&mut self, number: i64) -> bool {
        loop {
            if let Some(block) = &self.block {
                let past = number >= block.first + i64::from(block.len);
                if block.stream == self.stream && !past {
                    return number >= block.first;
                }
            }
            self.block = self.ring.pop().ok();
            if self.block.is_none() {
                return false;
            }
        }
    }

    /// Leaves out what belongs to streams before this one.
    fn forget(&mut self) {
        let old = |block: &Block| block.stream != self.stream;
        if self.block.as_ref().is_some_and(old) {
            self.block = None;
        }
        while self.block.is_none() && self.ring.peek().is_ok_and(|block| block.stream != self.stream) {
            self.ring.pop().ok();
        }
    }
}

/// From nothing to all in 3 ms: no click, and no hole that anybody hears.
const FADE_STEP: f32 = 1.0 / 132.0;

#[cfg(test)]
mod tests {
    use rtrb::{Producer, RingBuffer};

    use super::*;
    use crate::media::sound::FRAMES;

    fn feed() -> (Producer<Block>, Feed, Arc<Shared>) {
        let shared = Arc::new(Shared::new(100, false));
        let (producer, ring) = RingBuffer::new(16);
        (producer, Feed::new(ring, Arc::clone(&shared)), shared)
    }

    /// Frames that say their number.
    fn block(stream: u32, first: i64) -> Block {
        let frames = std::array::from_fn(|at| [(first + at as i64) as i16; 2]);
        Block { stream, first, len: FRAMES as u16, frames }
    }

    fn read(feed: &mut Feed, count: usize) -> Vec<f32> {
        let mut out = vec![[0.0; 2]; count];
        feed.read(&mut out);
        out.iter().map(|sample| sample[0] * 32_768.0).collect()
    }

    #[test]
    fn frames_come_by_their_number_and_after_a_fade_as_they_are() {
        let (mut ring, mut feed, shared) = feed();
        (0..3).for_each(|n| ring.push(block(0, n * 256)).expect("room"));
        assert_eq!(feed.position(), None);
        assert_eq!(read(&mut feed, 10), [0.0; 10]);
        feed.jump(-100);
        let out = read(&mut feed, 100);
        assert!(out.iter().all(|sample| *sample == 0.0), "before the beginning");
        let out = read(&mut feed, 700);
        assert_eq!(feed.position(), Some(700));
        assert!(out[..132].windows(2).all(|pair| pair[0] <= pair[1]) && out[60] < 30.0);
        assert_eq!(out[200..], (200..700).map(|n| n as f32).collect::<Vec<_>>());
        assert_eq!(shared.underruns.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_jump_fades_and_lands_on_the_frame_that_was_asked_for() {
        let (mut ring, mut feed, _) = feed();
        (0..12).for_each(|n| ring.push(block(0, n * 256)).expect("room"));
        feed.jump(0);
        read(&mut feed, 300);
        feed.jump(2_000);
        assert_eq!(feed.position(), Some(2_000));
        let out = read(&mut feed, 500);
        assert_eq!(feed.position(), Some(2_500));
        assert_eq!(out[300..], (2_300..2_500).map(|n| n as f32).collect::<Vec<_>>());
        let step = out.windows(2).map(|pair| (pair[0] - pair[1]).abs()).fold(0.0, f32::max);
        assert!(step < 25.0, "2 000 would be a click: {step}");
    }

    #[test]
    fn an_empty_ring_is_one_underrun_and_what_comes_too_late_is_left_out() {
        let (mut ring, mut feed, shared) = feed();
        (0..2).for_each(|n| ring.push(block(0, 8_000 + n * 256)).expect("room"));
        feed.jump(8_000);
        read(&mut feed, 512);
        let out = read(&mut feed, 256);
        assert!(out[0] > 8_000.0 && out[140] == 0.0 && shared.underruns.load(Ordering::Relaxed) == 1);
        let step = out.windows(2).map(|pair| (pair[0] - pair[1]).abs()).fold(0.0, f32::max);
        assert!(step < 70.0, "{step}");
        (2..4).for_each(|n| ring.push(block(0, 8_000 + n * 256)).expect("room"));
        let out = read(&mut feed, 200);
        assert_eq!(out[150..], (8_918..8_968).map(|n| n as f32).collect::<Vec<_>>());
        shared.end.store(8_000 + 4 * 256, Ordering::Relaxed);
        read(&mut feed, 1_000);
        assert_eq!(shared.underruns.load(Ordering::Relaxed), 1, "the end of a stream is none");
    }

    #[test]
    fn nothing_of_one_stream_is_heard_in_the_next() {
        let (mut ring, mut feed, shared) = feed();
        (0..4).for_each(|n| ring.push(block(0, 1_000 + n * 256)).expect("room"));
        feed.jump(1_000);
        read(&mut feed, 500);
        shared.stream.store(1, Ordering::Release);
        (0..4).for_each(|n| ring.push(block(1, 20_000 + n * 256)).expect("room"));
        assert!(feed.another_stream() && !feed.another_stream());
        assert_eq!(feed.position(), None);
        let out = read(&mut feed, 200);
        assert!(out[0] > 1_000.0 && out[133..] == [0.0; 67], "the last frame fades");
        feed.jump(20_000);
        let out = read(&mut feed, 300);
        assert_eq!(out[200..], (20_200..20_300).map(|n| n as f32).collect::<Vec<_>>());
    }
}

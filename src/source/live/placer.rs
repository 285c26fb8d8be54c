//! Puts what a microphone hears where it belongs on our clock, whatever its own clock does: frame `n` is what was heard
//! `n / 44 100` s after zero. A filter makes a steady clock of the stamps; small errors are made good by a slip of at most
//! 0.35 %, hidden in a crossfade, and large ones by silence or by leaving out. Told the time; no IO.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Adjustable, FixedAsync, Resampler, ResamplerConstructionError, Slip};

use crate::media::sound::{Frame, RATE};
use crate::proto::servo::{Servo, Steer};
use crate::units::Time;

/// One ear's place in time.
pub(super) struct Placer {
    servo: Servo,
    slip: Slip<f32>,
    /// Frames that have come in and wait for a whole block.
    waiting: Vec<[f32; 2]>,
    made: Vec<[f32; 2]>,
    /// Frames that have come out.
    next: i64,
    /// What comes next is to be put exactly where it belongs.
    afresh: bool,
}

impl Placer {
    pub fn new() -> Result<Self, ResamplerConstructionError> {
        let slip = Slip::new(BLOCK, 2, FixedAsync::Output)?;
        let (waiting, made) = (Vec::with_capacity(8 * BLOCK), vec![[0.0; 2]; BLOCK]);
        Ok(Self { servo: Servo::new(RATE), slip, waiting, made, next: 0, afresh: true })
    }

    /// Takes frames the first of which was heard at `stamp`, and adds to `out` what is whole by now.
    pub fn put(&mut self, mut frames: &[Frame], stamp: Time, zero: Time, out: &mut Vec<Frame>) {
        let heard = self.servo.asked(stamp, frames.len());
        let place = (!self.afresh).then_some(self.next + self.waiting.len() as i64);
        match self.servo.steer(heard, place, zero) {
            // The servo counts frames of a loudspeaker for one of the stream; here it is the other way round.
            Steer::Play { ratio } => drop(self.slip.set_resample_ratio(ratio.recip(), true)),
            Steer::Jump { to } => frames = self.jump(to, frames, out),
        }
        self.waiting.extend(frames.iter().map(|frame| frame.map(|sample| f32::from(sample) / SCALE)));
        self.work(out);
    }

    /// Silence up to frame `to`, where nothing was heard until then. The device is taken to begin anew.
    pub fn silence(&mut self, to: i64, out: &mut Vec<Frame>) {
        if to > self.next + self.waiting.len() as i64 {
            self.flush(out);
            self.fill(to, out);
            self.interrupted();
        }
    }

    /// The device was opened anew.
    pub fn interrupted(&mut self) {
        self.servo.interrupted();
        self.afresh = true;
    }

    /// What is left of `frames`, the first of which belongs to place `to`.
    fn jump<'a>(&mut self, to: i64, frames: &'a [Frame], out: &mut Vec<Frame>) -> &'a [Frame] {
        self.flush(out);
        self.fill(to, out);
        let late = usize::try_from(self.next - to).unwrap_or(0);
        self.afresh = late > frames.len() || self.next < to;
        if self.next < to { &[] } else { &frames[late.min(frames.len())..] }
    }

    fn fill(&mut self, to: i64, out: &mut Vec<Frame>) {
        let silence = usize::try_from(to - self.next).unwrap_or(0).min(MOST_SILENCE);
        out.resize(out.len() + silence, [0, 0]);
        self.next += silence as i64;
    }

    /// What waits goes out as it is: what follows does not follow it.
    fn flush(&mut self, out: &mut Vec<Frame>) {
        self.next += self.waiting.len() as i64;
        out.extend(self.waiting.drain(..).map(frame));
    }

    fn work(&mut self, out: &mut Vec<Frame>) {
        loop {
            let wanted = self.slip.input_frames_next();
            if self.waiting.len() < wanted {
                return;
            }
            let input = InterleavedSlice::new(self.waiting[..wanted].as_flattened(), 2, wanted);
            let output = InterleavedSlice::new_mut(self.made.as_flattened_mut(), 2, BLOCK);
            // The buffers are as large as it said, so it has nothing to complain about; if it had, that would be silence.
            let (Ok(input), Ok(mut output)) = (input, output) else { return };
            let made = self.slip.process_into_buffer(&input, &mut output, None).map_or(0, |(_, made)| made);
            self.waiting.drain(..wanted);
            self.next += made as i64;
            out.extend(self.made[..made].iter().copied().map(frame));
        }
    }
}

fn frame(samples: [f32; 2]) -> Frame {
    samples.map(|sample| (sample * SCALE).round() as i16)
}

const SCALE: f32 = 32_768.0;
/// The shortest block at which [`Slip`] fades over all of its 128 frames; it can then slip by 0.39 %.
const BLOCK: usize = 258;
/// More than that is made in several goes.
const MOST_SILENCE: usize = 10 * RATE as usize;

#[cfg(test)]
mod tests {
    use super::*;

    /// A microphone in virtual time. It hears a counter: the value of a frame tells when it was heard.
    struct Rig {
        placer: Placer,
        /// Real frames a second.
        rate: f64,
        /// Seconds since zero when its next frame will be heard.
        at: f64,
        seed: u64,
        frames: u64,
        errors: Vec<(f64, f64)>,
        largest_step: i32,
        last: Option<i16>,
    }

    const ZERO: Time = Time::from_millis(5_000);
    /// Values go up and down once a second, so that a step is seen, and a frame's moment within the second.
    const TOP: f64 = 20_000.0;

    fn value(at: f64) -> i16 {
        let part = at.rem_euclid(1.0);
        ((if part < 0.5 { part } else { 1.0 - part }) * 2.0 * TOP).round() as i16
    }

    impl Rig {
        fn new(ppm: f64) -> Self {
            let placer = Placer::new().expect("a resampler");
            let rate = f64::from(RATE) * (1.0 + ppm / 1e6);
            Self { placer, rate, at: 0.2, seed: 7, frames: 0, errors: Vec::new(), largest_step: 0, last: None }
        }

        fn random(&mut self) -> f64 {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.seed >> 40) as f64 / f64::from(1 << 24)
        }

        /// Blocks of 256 frames with stamps that jitter by 4 ms.
        fn run(&mut self, until: f64) {
            let mut out = Vec::new();
            while self.at < until {
                let (at, rate) = (self.at, self.rate);
                let frames: Vec<Frame> = (0..256).map(|frame| [value(at + f64::from(frame) / rate); 2]).collect();
                let stamp = ZERO.offset(((at + (self.random() - 0.5) * 0.004) * 1e9) as i64);
                self.placer.put(&frames, stamp, ZERO, &mut out);
                self.at += 256.0 / rate;
                self.check(&out);
                out.clear();
            }
        }

        fn check(&mut self, out: &[Frame]) {
            for &[left, _] in out {
                let due = self.frames as f64 / f64::from(RATE);
                self.frames += 1;
                let step = self.last.replace(left).map_or(0, |last| i32::from(left) - i32::from(last));
                if due > 60.0 {
                    self.largest_step = self.largest_step.max(step.abs());
                }
                let part = due.rem_euclid(1.0);
                if self.frames.is_multiple_of(4_410) && (0.1..0.4).contains(&part) {
                    self.errors.push((due, f64::from(left) / (2.0 * TOP) - part));
                }
            }
        }

        fn worst(&self, from: f64) -> f64 {
            let late = self.errors.iter().filter(|(at, _)| *at >= from);
            late.map(|(_, error)| error.abs()).fold(0.0, f64::max)
        }
    }

    /// Stays within five milliseconds, and has no steps.
    fn keeps_time(ppm: f64, seconds: f64) {
        let mut rig = Rig::new(ppm);
        rig.run(seconds);
        assert!(rig.worst(60.0) < 0.005, "{ppm} ppm: {} s", rig.worst(60.0));
        assert!(rig.worst(1.0) < 0.010, "{ppm} ppm at first: {} s", rig.worst(1.0));
        // The counter itself goes by one step at a frame.
        assert!(rig.largest_step <= 2, "{ppm} ppm: a step of {}", rig.largest_step);
    }

    #[test]
    fn a_while_with_a_quartz_that_is_slow() {
        keeps_time(-200.0, 600.0);
    }

    #[test]
    fn an_hour_with_a_quartz_that_is_fast() {
        keeps_time(200.0, 3_600.0);
    }

    #[test]
    fn what_was_heard_before_zero_is_left_out_and_the_time_until_the_first_sound_is_silence() {
        let mut early = Rig::new(0.0);
        early.at = -3.0;
        early.run(2.0);
        assert!(early.worst(0.0) < 0.005 && early.frames > 80_000, "{}", early.worst(0.0));
        let mut late = Rig::new(0.0);
        late.at = 1.0;
        late.last = Some(0);
        late.run(3.0);
        let silent = |errors: &[(f64, f64)]| errors.iter().filter(|(at, error)| (error + at).abs() < 1e-9).count();
        assert_eq!(silent(&late.errors), 3, "0.1, 0.2 and 0.3 s");
        assert!(late.worst(1.0) < 0.005);
    }

    #[test]
    fn gaps_and_floods_are_made_good() {
        let mut rig = Rig::new(50.0);
        rig.run(20.0);
        // The device stood still for 150 ms, and no silence was made for that time.
        rig.at += 0.150;
        rig.run(40.0);
        assert!(rig.worst(21.0) < 0.005, "{}", rig.worst(21.0));
        // It was away for two seconds, and there was silence meanwhile.
        rig.at += 2.0;
        let mut out = Vec::new();
        rig.placer.silence(42 * i64::from(RATE), &mut out);
        assert!(out.iter().rev().take(80_000).all(|&frame| frame == [0, 0]));
        rig.frames += out.len() as u64;
        rig.run(60.0);
        assert!(rig.worst(44.0) < 0.005, "{}", rig.worst(44.0));
        // It repeats a second: that is left out.
        rig.placer.interrupted();
        rig.at -= 1.0;
        rig.run(80.0);
        assert!(rig.worst(44.0) < 0.005, "{}", rig.worst(44.0));
        assert!((rig.frames as f64 / f64::from(RATE) - 80.0).abs() < 0.02, "nothing was counted twice");
    }
}

//! From the stream's rate to the device's: frames are left out or added one at a time, hidden by a crossfade, as the
//! servo wants it; and a device that does not take 44.1 kHz gets a resampler of fixed ratio behind that. Nothing is
//! allocated once it is made.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Adjustable, Async, FixedAsync, Resampler, ResamplerConstructionError, Slip};
use rubato::{SincInterpolationParameters, WindowFunction};

use super::feed::Sample;
use crate::media::sound;

pub struct Rates {
    slip: Slip<f32>,
    fixed: Option<Async<f32>>,
    /// Frames of the device for one of the stream.
    ratio: f64,
    input: Vec<Sample>,
    slipped: Vec<Sample>,
    /// Frames for the device, of which those before `given` are gone.
    ready: Vec<Sample>,
    filled: usize,
    given: usize,
}

impl Rates {
    /// For a device that takes `rate` frames a second.
    pub fn new(rate: u32) -> Result<Self, ResamplerConstructionError> {
        let ratio = f64::from(rate) / f64::from(sound::RATE);
        let slip = Slip::new(BLOCK, 2, FixedAsync::Output)?;
        let fixed = if rate == sound::RATE { None } else { Some(fixed(ratio)?) };
        let most = fixed.as_ref().map_or(BLOCK, Async::output_frames_max);
        let (input, slipped) = (vec![[0.0; 2]; slip.input_frames_max()], vec![[0.0; 2]; BLOCK]);
        Ok(Self { slip, fixed, ratio, input, slipped, ready: vec![[0.0; 2]; most], filled: 0, given: 0 })
    }

    /// Frames out for one frame in, a little off 1; beyond what [`Slip`] can do it does what it can.
    pub fn steer(&mut self, ratio: f64) {
        self.slip.set_resample_ratio(ratio, true).ok();
    }

    /// How many of the stream's frames went in and have not come out.
    pub fn inside(&self) -> i64 {
        let delay = self.fixed.as_ref().map_or(0, Async::output_delay);
        ((self.filled - self.given + delay) as f64 / self.ratio).round() as i64
    }

    /// The next frame for the device; `read` is asked for frames of the stream when there is none.
    pub fn next(&mut self, read: impl FnMut(&mut [Sample])) -> Sample {
        if self.given == self.filled {
            self.fill(read);
        }
        let sample = self.ready.get(self.given).copied().unwrap_or_default();
        self.given = (self.given + 1).min(self.filled);
        sample
    }

    fn fill(&mut self, mut read: impl FnMut(&mut [Sample])) {
        let wanted = self.slip.input_frames_next();
        read(&mut self.input[..wanted]);
        let slipped = if self.fixed.is_some() { &mut self.slipped } else { &mut self.ready };
        let made = process(&mut self.slip, &self.input[..wanted], slipped);
        self.filled = match &mut self.fixed {
            Some(fixed) => process(fixed, &self.slipped[..made], &mut self.ready),
            None => made,
        };
        self.given = 0;
    }
}

/// How many frames came out. The buffers are as large as the resampler said, so it has nothing to complain about; if
/// it had, that would be silence.
fn process(resampler: &mut impl Resampler<f32>, input: &[Sample], output: &mut [Sample]) -> usize {
    let (read, room) = (input.len(), output.len());
    let input = InterleavedSlice::new(input.as_flattened(), 2, read);
    let output = InterleavedSlice::new_mut(output.as_flattened_mut(), 2, room);
    let (Ok(input), Ok(mut output)) = (input, output) else { return 0 };
    resampler.process_into_buffer(&input, &mut output, None).map_or(0, |(_, made)| made)
}

/// 64 points keep everything below 18 kHz, and what is mirrored there is inaudible; its delay is 0.7 ms.
fn fixed(ratio: f64) -> Result<Async<f32>, ResamplerConstructionError> {
    let sinc = SincInterpolationParameters::new(64, WindowFunction::BlackmanHarris2);
    Async::new_sinc(ratio, 1.0, &sinc, BLOCK, 2, FixedAsync::Input)
}

/// A frame is left out or added over a fade of 64 frames, of the 128 that [`Slip`] takes at most. Twice as many would mean
/// a block twice as long, and 2.9 ms more delay; nobody hears the difference.
pub const BLOCK: usize = 130;

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// A tone of 1 kHz, from its first frame on, as `rate` plays it at `ratio`.
    fn played(rate: u32, ratio: f64, count: usize) -> (Vec<f64>, i64) {
        let (mut rates, mut at) = (Rates::new(rate).expect("a rate like others"), 0_i64);
        rates.steer(ratio);
        let mut read = |out: &mut [Sample]| {
            for sample in out {
                *sample = [(TAU * 1_000.0 * at as f64 / 44_100.0).sin() as f32; 2];
                at += 1;
            }
        };
        let out = (0..count).map(|_| f64::from(rates.next(&mut read)[0])).collect();
        let inside = rates.inside();
        (out, at - inside)
    }

    #[test]
    fn at_its_own_rate_nothing_changes() {
        let (out, taken) = played(44_100, 1.0, 10_000);
        assert_eq!(taken, 10_000);
        let expected = (0..10_000).map(|at| f64::from((TAU * 1_000.0 * f64::from(at) / 44_100.0).sin() as f32));
        assert!(out.iter().copied().eq(expected));
    }

    #[test]
    fn a_slip_takes_more_or_less_and_makes_no_click() {
        for ratio in [0.997, 1.003] {
            let (out, taken) = played(44_100, ratio, 441_000);
            assert!((taken as f64 * ratio - 441_000.0).abs() < 3.0, "{ratio}: {taken}");
            let step = out.windows(2).map(|pair| (pair[0] - pair[1]).abs()).fold(0.0, f64::max);
            assert!(step < 0.15, "{ratio}: {step}, of the tone 0.142");
        }
    }

    #[test]
    fn other_rates_keep_the_pitch_the_level_and_the_moment() {
        for rate in [48_000, 32_000, 96_000] {
            let (out, taken) = played(rate, 1.0, rate as usize);
            let delay = Rates::new(rate).expect("as above").fixed.expect("not 44.1 kHz").output_delay();
            let behind = 44_100 - taken - delay as i64 * 44_100 / i64::from(rate);
            assert!(behind.abs() <= 2, "{rate}: {taken} with a delay of {delay}");
            let settled = &out[2_000..];
            let error =
                |(at, sample): (usize, &f64)| (sample - (TAU * 1_000.0 * at as f64 / f64::from(rate)).sin()).abs();
            let shifted = settled.iter().enumerate().map(|(at, sample)| (at + 2_000 - delay, sample));
            let worst = shifted.map(error).fold(0.0, f64::max);
            assert!(worst < TAU * 1_000.0 / f64::from(rate), "{rate}: off by {worst}, which is more than a frame");
        }
    }
}

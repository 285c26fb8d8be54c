//! Fills in for sound that was lost, in the manner of ITU-T G.711 Appendix I: the last period of what was heard is
//! repeated, fading after 10 ms and silent after 60, and blends into the real sound when that comes back. Periods here
//! may be as long as 25 ms, so that chords repeat without a seam, and both channels share one.
//!
//! The end of what is known is blended into its repetition before it is heard, so everything comes out [`HELD`] frames
//! later than it went in.
#![forbid(unsafe_code)]

use crate::media::sound::Frame;

/// How many frames are held back: 2.9 ms.
pub const HELD: usize = 128;

/// One stream's concealment.
#[derive(Clone, Debug)]
pub struct Concealer {
    /// What went in and what was filled in, the newest last; the last [`HELD`] frames have not come out yet.
    history: Vec<Frame>,
    /// While sound is missing.
    gap: Option<Gap>,
}

/// A gap that is being filled in.
#[derive(Clone, Debug)]
struct Gap {
    /// One period, which ends where it begins.
    period: Vec<Frame>,
    /// Frames made so far.
    age: usize,
}

impl Default for Concealer {
    fn default() -> Self {
        Self { history: vec![[0; 2]; HISTORY], gap: None }
    }
}

impl Concealer {
    /// The next frames of the stream went in. As many come out, appended to `out`: the [`HELD`] frames before them, and
    /// then these but for the last [`HELD`].
    pub fn put(&mut self, frames: &[Frame], out: &mut Vec<Frame>) {
        match self.gap.take() {
            None => self.history.extend_from_slice(frames),
            Some(mut gap) => {
                let merged = frames.len().min(MERGE);
                let blend = |(at, real): (usize, &Frame)| mix(gap.next(), *real, (at + 1) as f32 / (merged + 1) as f32);
                self.history.extend(frames[..merged].iter().enumerate().map(blend));
                self.history.extend_from_slice(&frames[merged..]);
            }
        }
        self.give(frames.len(), out);
    }

    /// The next `count` frames of the stream are lost. As many come out.
    pub fn lose(&mut self, count: usize, out: &mut Vec<Frame>) {
        let mut gap = self.gap.take().unwrap_or_else(|| self.begin());
        self.history.extend((0..count).map(|_| gap.next()));
        self.gap = Some(gap);
        self.give(count, out);
    }

    /// Nothing more comes: what was held back comes out, and the next frames begin a stream.
    pub fn finish(&mut self, out: &mut Vec<Frame>) {
        out.extend_from_slice(&self.history[self.history.len() - HELD..]);
        self.reset();
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        self.gap = None;
        self.history.fill([0; 2]);
    }

    fn give(&mut self, count: usize, out: &mut Vec<Frame>) {
        let end = self.history.len() - HELD;
        out.extend_from_slice(&self.history[end - count..end]);
        self.history.drain(..self.history.len() - HISTORY);
    }

    /// Finds the period of the last frames, and leads their end over into its repetition.
    fn begin(&mut self) -> Gap {
        let lag = period(&self.history);
        let end = self.history.len();
        for at in 0..HELD {
            let (new, old) = (end - HELD + at, end - HELD + at - lag);
            let share = (at + 1) as f32 / (HELD + 1) as f32;
            self.history[new] = mix(self.history[new], self.history[old], share);
        }
        Gap { period: self.history[end - lag..].to_vec(), age: 0 }
    }
}

impl Gap {
    fn next(&mut self) -> Frame {
        let frame = self.period[self.age % self.period.len()];
        let fading = self.age.saturating_sub(FADE_FROM) as f32 / (SILENT_FROM - FADE_FROM) as f32;
        self.age = self.age.saturating_add(1);
        mix(frame, [0; 2], fading.min(1.0))
    }
}

/// `share` of `b`, the rest of `a`.
fn mix(a: Frame, b: Frame, share: f32) -> Frame {
    let blend = |a: i16, b: i16| (f32::from(a) + (f32::from(b) - f32::from(a)) * share).round() as i16;
    [blend(a[0], b[0]), blend(a[1], b[1])]
}

/// The lag at which the end of `history` is most like itself: first on every fourth frame, then around the best.
fn period(history: &[Frame]) -> usize {
    let coarse: Vec<[f32; 2]> = history.chunks_exact(COARSE).map(mean).collect();
    let lags = LAG_MIN / COARSE..=LAG_MAX / COARSE;
    let best = likest(&coarse, WINDOW / COARSE, lags) * COARSE;
    let fine: Vec<[f32; 2]> = history.iter().map(|&[left, right]| [f32::from(left), f32::from(right)]).collect();
    let lags = (best - COARSE).max(LAG_MIN)..=(best + COARSE).min(LAG_MAX);
    likest(&fine, WINDOW, lags)
}

fn mean(frames: &[Frame]) -> [f32; 2] {
    let sum = frames.iter().fold([0.0; 2], |sum, frame| [sum[0] + f32::from(frame[0]), sum[1] + f32::from(frame[1])]);
    sum.map(|sum| sum / frames.len() as f32)
}

/// The lag with the greatest normalised cross-correlation over the last `window` frames; silence is like anything.
fn likest(signal: &[[f32; 2]], window: usize, lags: std::ops::RangeInclusive<usize>) -> usize {
    let recent = &signal[signal.len() - window..];
    let likeness = |lag: usize| {
        let earlier = &signal[signal.len() - window - lag..signal.len() - lag];
        let energy = dot(earlier, earlier);
        if energy > 0.0 { dot(recent, earlier) / energy.sqrt() } else { f32::MIN }
    };
    let shortest = *lags.start();
    let first = (shortest, likeness(shortest));
    let better = |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
    lags.skip(1).map(|lag| (lag, likeness(lag))).fold(first, better).0
}

/// In eight sums side by side, as the processor can do it.
fn dot(a: &[[f32; 2]], b: &[[f32; 2]]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (a, b) = (a.as_flattened(), b.as_flattened());
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// From 276 Hz: a shorter period is repeated as a multiple of itself, and longer ones have no buzz.
const LAG_MIN: usize = 160;
/// To 40 Hz.
const LAG_MAX: usize = 1_100;
/// 20 ms are compared, as in the Appendix.
const WINDOW: usize = 880;
const COARSE: usize = 4;
const HISTORY: usize = LAG_MAX + WINDOW + COARSE;
/// 10 ms in full, then 20 % less each 10 ms, as in the Appendix.
const FADE_FROM: usize = 441;
const SILENT_FROM: usize = 2_646;
/// How long repetition and real sound are heard together when the gap ends: 5 ms.
const MERGE: usize = 220;

const _: () = assert!(HISTORY.is_multiple_of(COARSE) && LAG_MIN > HELD && HISTORY > LAG_MAX + HELD);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::sound::FRAMES;

    fn tone(at: usize) -> Frame {
        let sample = ((at as f64) * std::f64::consts::TAU * 440.0 / 44_100.0).sin() * 12_000.0;
        [sample as i16, -sample as i16]
    }

    #[test]
    fn what_is_not_lost_comes_out_as_it_was_and_a_little_later() {
        let frames: Vec<Frame> = (0..10_000).map(tone).collect();
        let (mut concealer, mut out) = (Concealer::default(), Vec::new());
        frames.chunks(FRAMES).for_each(|chunk| concealer.put(chunk, &mut out));
        assert_eq!(out.len(), frames.len());
        assert_eq!(out[..HELD], [[0; 2]; HELD]);
        assert_eq!(out[HELD..], frames[..frames.len() - HELD]);
        concealer.finish(&mut out);
        assert_eq!(out[HELD..], frames);
    }

    #[test]
    fn silence_stays_silence() {
        let (mut concealer, mut out) = (Concealer::default(), Vec::new());
        for chunk in 0..40 {
            match chunk % 3 {
                0 => concealer.put(&[[0; 2]; FRAMES], &mut out),
                _ => concealer.lose(FRAMES, &mut out),
            }
        }
        assert_eq!(out, vec![[0; 2]; 40 * FRAMES]);
    }

    #[test]
    fn a_long_gap_becomes_silent_and_the_sound_after_it_begins_softly() {
        let frames: Vec<Frame> = (0..FRAMES * 40).map(tone).collect();
        let (mut concealer, mut out) = (Concealer::default(), Vec::new());
        concealer.put(&frames[..FRAMES * 10], &mut out);
        concealer.lose(FRAMES * 20, &mut out);
        concealer.put(&frames[FRAMES * 30..], &mut out);
        let loudest = |range: std::ops::Range<usize>| out[range].iter().map(|frame| frame[0].unsigned_abs()).max();
        let gap = HELD + FRAMES * 10;
        assert!(loudest(gap..gap + FADE_FROM) > Some(11_500), "10 ms are as loud as the sound before them");
        let half = gap + (FADE_FROM + SILENT_FROM) / 2;
        assert!((5_000..7_500).contains(&loudest(half - 50..half + 50).unwrap()), "half as loud after 35 ms");
        assert_eq!(loudest(gap + SILENT_FROM..gap + FRAMES * 20), Some(0));
        let step = out.windows(2).map(|pair| pair[0][0].abs_diff(pair[1][0])).max();
        assert!(step <= Some(900), "no click: {step:?}");
    }

    #[test]
    fn a_tone_goes_on_in_step() {
        let frames: Vec<Frame> = (0..FRAMES * 20).map(tone).collect();
        let (mut concealer, mut out) = (Concealer::default(), Vec::new());
        concealer.put(&frames[..FRAMES * 10], &mut out);
        concealer.lose(FRAMES, &mut out);
        concealer.put(&frames[FRAMES * 11..], &mut out);
        let off = |at: usize| (i32::from(out[at + HELD][0]) - i32::from(frames[at][0])).abs();
        let worst = (0..FRAMES * 20 - HELD).map(off).max();
        assert!(worst < Some(700), "the gap differs from the tone by at most {worst:?} of 12 000");
    }
}

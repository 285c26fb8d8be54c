//! The test card's sound: a quiet tone of 440 Hz, and in the first tenth of each second a beep of 1 kHz in its place.
//! Both begin and end at a zero of their wave, so nothing clicks.

use std::f64::consts::TAU;

use crate::media::sound::{Frame, RATE};

/// One second of it; all seconds are alike, because whole waves fit.
pub struct Tone {
    second: Vec<Frame>,
}

impl Tone {
    /// `gain_db` decibels louder than usual; what would be louder than full scale is cut.
    pub fn new(gain_db: f64) -> Self {
        let gain = 10_f64.powf(gain_db / 20.0);
        let sample = |frame: u32| {
            let (amplitude, pitch) = if frame < BEEP { (BEEP_AMPLITUDE, 1_000.0) } else { (TONE_AMPLITUDE, 440.0) };
            let wave = (TAU * pitch * f64::from(frame) / f64::from(RATE)).sin();
            // The conversion saturates.
            (wave * amplitude * gain * f64::from(i16::MAX)).round() as i16
        };
        Self { second: (0..RATE).map(|frame| [sample(frame); 2]).collect() }
    }

    /// `count` frames from frame `first` of the stream on.
    pub fn frames(&self, first: u64, count: usize) -> Vec<Frame> {
        let start = (first % u64::from(RATE)) as usize;
        self.second.iter().copied().cycle().skip(start).take(count).collect()
    }
}

/// Frames of a beep: a tenth of a second.
pub const BEEP: u32 = RATE / 10;
/// −6 dB of full scale.
const BEEP_AMPLITUDE: f64 = 0.5;
/// −20 dB of full scale.
const TONE_AMPLITUDE: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    /// Peak of these frames, in decibels of full scale.
    fn peak(frames: &[Frame]) -> f64 {
        let most = frames.iter().map(|frame| frame[0].unsigned_abs()).max().unwrap_or(0);
        20.0 * (f64::from(most) / 32_767.0).log10()
    }

    #[test]
    fn it_beeps_at_each_second_and_hums_between() {
        let tone = Tone::new(0.0);
        for second in [0, 1, 3_599] {
            let frames = tone.frames(second * u64::from(RATE), RATE as usize);
            let (beep, hum) = frames.split_at(BEEP as usize);
            assert!((peak(beep) + 6.02).abs() < 0.05, "{}", peak(beep));
            assert!((peak(hum) + 20.0).abs() < 0.05, "{}", peak(hum));
            let rising = |frames: &[Frame]| frames.windows(2).filter(|pair| pair[0][0] < 0 && pair[1][0] >= 0).count();
            assert_eq!((rising(beep), rising(hum)), (99, 395), "1 000 Hz × 0.1 s and 440 Hz × 0.9 s");
        }
    }

    #[test]
    fn pieces_are_the_whole() {
        let tone = Tone::new(-6.0);
        let whole = tone.frames(44_000, 1_000);
        let pieces = [tone.frames(44_000, 256), tone.frames(44_256, 744)].concat();
        assert_eq!(whole, pieces);
        assert!(whole.windows(2).all(|pair| pair[0][0].abs_diff(pair[1][0]) < 3_000), "nothing clicks");
        let loud = Tone::new(60.0).frames(0, 44);
        assert!(loud.contains(&[i16::MAX; 2]) && loud.contains(&[i16::MIN; 2]), "cut at full scale");
        assert!(loud[1..22].iter().all(|frame| frame[0] > 0), "and not wrapped");
    }
}

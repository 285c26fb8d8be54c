//! How lost sound is filled in, measured on tones, chords, speech-like sound, noise and music: no clicks, and as loud as
//! what was lost. 5 % of all chunks are lost, alone and in bursts.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::f64::consts::TAU;

use udpstream::media::conceal::{Concealer, HELD};
use udpstream::media::sound::{FRAMES, Frame, RATE};

/// 20 seconds.
const CHUNKS: usize = 20 * RATE as usize / FRAMES;

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    /// Between 0 and 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn seconds(at: usize) -> f64 {
    at as f64 / f64::from(RATE)
}

/// Left and right from values between −1 and 1.
fn signal(mut value: impl FnMut(usize) -> [f64; 2]) -> Vec<Frame> {
    (0..CHUNKS * FRAMES).map(|at| value(at).map(|value| (value * 32_000.0) as i16)).collect()
}

fn tone() -> Vec<Frame> {
    signal(|at| [0.5 * (TAU * 440.0 * seconds(at)).sin(); 2])
}

/// C major in equal temperament, which has no common period.
fn chord() -> Vec<Frame> {
    signal(|at| {
        let note = |pitch: f64| 0.2 * (TAU * pitch * seconds(at)).sin();
        let (c, e, g) = (note(261.63), note(329.63), note(392.0));
        [c + e + 0.5 * g, 0.5 * c + e + g]
    })
}

/// A buzz of changing pitch through three resonances, in syllables with pauses between them.
fn speech() -> Vec<Frame> {
    let (mut phase, mut states) = (0.0, [[0.0_f64; 2]; 3]);
    signal(|at| {
        let pitch = 120.0 + 25.0 * (TAU * 1.3 * seconds(at)).sin();
        phase += pitch / f64::from(RATE);
        let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
        phase -= phase.floor();
        let voice = formants(&mut states, pulse, seconds(at));
        let syllable = (TAU * 2.0 * seconds(at)).sin().max(0.0).sqrt();
        [voice * syllable, voice * syllable * 0.8]
    })
}

/// Three two-pole resonators beside each other, the second of which wanders.
fn formants(states: &mut [[f64; 2]; 3], pulse: f64, at: f64) -> f64 {
    let places = [600.0, 1_200.0 + 300.0 * (TAU * 0.7 * at).sin(), 2_500.0];
    let mut sum = 0.0;
    for (state, place) in states.iter_mut().zip(places) {
        let radius: f64 = 0.99;
        let next = pulse + 2.0 * radius * (TAU * place / f64::from(RATE)).cos() * state[0] - radius * radius * state[1];
        *state = [next, state[0]];
        sum += next * (TAU * place / f64::from(RATE)).sin();
    }
    (sum * 0.3).clamp(-1.0, 1.0)
}

fn noise() -> Vec<Frame> {
    let mut random = Random(5);
    signal(|_| [random.next() - 0.5, random.next() - 0.5])
}

/// Which chunks are lost: 5 % of them, in runs of up to `burst`; never the first ones.
fn losses(burst: usize) -> Vec<bool> {
    let (mut random, mut lost) = (Random(11), vec![false; CHUNKS]);
    let mut left = CHUNKS / 20;
    while left > 0 {
        let at = 20 + (random.next() * (CHUNKS - 40) as f64) as usize;
        let run = (burst - (random.next() * burst.min(2) as f64) as usize).min(left);
        if lost[at - 1..=at + run].iter().all(|lost| !lost) {
            lost[at..at + run].fill(true);
            left -= run;
        }
    }
    lost
}

/// What is heard, in step with `clean`.
fn heard(clean: &[Frame], lost: &[bool]) -> Vec<Frame> {
    let (mut concealer, mut out) = (Concealer::default(), Vec::new());
    for (chunk, lost) in clean.chunks(FRAMES).zip(lost) {
        if *lost { concealer.lose(chunk.len(), &mut out) } else { concealer.put(chunk, &mut out) }
    }
    concealer.finish(&mut out);
    out.split_off(HELD)
}

fn largest_step(sound: &[Frame]) -> u16 {
    let step = |pair: &[Frame]| (0..2).map(|side| pair[0][side].abs_diff(pair[1][side])).max().unwrap();
    sound.windows(2).map(step).max().unwrap()
}

/// In decibels: the energy of what filled the gaps, over that of what should have been there.
fn loudness(heard: &[Frame], clean: &[Frame], lost: &[bool]) -> f64 {
    let energy = |sound: &[Frame]| -> f64 {
        let chunks = sound.chunks(FRAMES).zip(lost).filter(|(_, lost)| **lost);
        chunks.flat_map(|(chunk, _)| chunk.as_flattened()).map(|sample| f64::from(*sample).powi(2)).sum()
    };
    10.0 * (energy(heard) / energy(clean)).log10()
}

fn check(name: &str, clean: &[Frame]) {
    for burst in 1..=3 {
        let lost = &losses(burst)[..clean.len().div_ceil(FRAMES)];
        let heard = heard(clean, lost);
        assert_eq!(heard.len(), clean.len());
        let (step, before) = (largest_step(&heard), largest_step(clean));
        let level = loudness(&heard, clean, lost);
        let share = f64::from(step) / f64::from(before);
        println!("{name:8} bursts of {burst}: largest step × {share:.2}, energy in the gaps {level:+.2} dB");
        assert!(share <= 1.5, "{name}, bursts of {burst}: the largest step is {step}, of the clean sound {before}");
        assert!(level.abs() <= 6.0, "{name}, bursts of {burst}: {level:.1} dB in the gaps");
    }
}

#[test]
fn losses_are_what_they_should_be() {
    for burst in 1..=3 {
        let lost = losses(burst);
        assert_eq!(lost.iter().filter(|lost| **lost).count(), CHUNKS / 20);
        let longest = lost.split(|lost| !lost).map(<[bool]>::len).max();
        assert_eq!(longest, Some(burst));
    }
}

#[test]
fn tones_and_chords_go_on() {
    check("tone", &tone());
    check("chord", &chord());
}

#[test]
fn speech_and_noise_go_on() {
    check("speech", &speech());
    check("noise", &noise());
}

/// Without it, a gap in a tone is seen by the same measure.
#[test]
fn the_measure_sees_clicks_and_holes() {
    let (clean, lost) = (tone(), losses(1));
    let mut holes = clean.clone();
    for (chunk, _) in holes.chunks_mut(FRAMES).zip(&lost).filter(|(_, lost)| **lost) {
        chunk.fill([0; 2]);
    }
    assert!(f64::from(largest_step(&holes)) > 1.5 * f64::from(largest_step(&clean)));
    assert!(loudness(&holes, &clean, &lost) < -6.0);
}

#[cfg(feature = "app")]
mod music {
    #![expect(clippy::disallowed_methods, reason = "ffmpeg reads the film")]

    use std::process::Command;

    use super::*;

    const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/sample.mp4");

    /// The film's sound; `None` where there is no ffmpeg, which the gate installs.
    fn music() -> Option<Vec<Frame>> {
        let arguments = ["-v", "error", "-i", SAMPLE, "-t", "20", "-f", "s16le", "-ac", "2", "-ar", "44100", "-"];
        let ran = Command::new("ffmpeg").args(arguments).output();
        assert!(ran.is_ok() || std::env::var_os("CI").is_none(), "the gate installs ffmpeg");
        let output = ran.ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let sample = |bytes: &[u8]| i16::from_le_bytes([bytes[0], bytes[1]]);
        Some(output.stdout.chunks_exact(4).map(|both| [sample(&both[..2]), sample(&both[2..])]).collect())
    }

    #[test]
    fn music_goes_on() {
        let Some(clean) = music() else { return };
        assert!(clean.len() > 5 * RATE as usize, "{} frames", clean.len());
        check("music", &clean);
    }
}

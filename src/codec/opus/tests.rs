use super::*;
use crate::media::sound::FRAMES;
use crate::units::Time;

fn noise(seed: &mut u64) -> f64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// A sweep on the left, a chord on the right, and a little noise on both.
fn sound(frames: usize) -> Vec<Frame> {
    let (mut seed, mut phase) = (88_172_645_463_325_252, 0.0_f64);
    let sample = |value: f64| (value * 9_000.0) as i16;
    let frame = |at: usize| {
        let time = at as f64 / 44_100.0;
        phase += std::f64::consts::TAU * (100.0 + 1_500.0 * time) / 44_100.0;
        let tone = |hertz: f64| (time * hertz * std::f64::consts::TAU).sin();
        let chord = (tone(220.0) + tone(277.2) + tone(329.6)) / 3.0;
        [sample(phase.sin() + 0.05 * noise(&mut seed)), sample(chord + 0.05 * noise(&mut seed))]
    };
    (0..frames).map(frame).collect()
}

fn chunks(frames: &[Frame], from: u32) -> impl Iterator<Item = Chunk> {
    let chunk =
        move |(n, frames): (usize, &[Frame])| Chunk { number: n as u32, frames: frames.to_vec(), captured: Time::ZERO };
    frames.chunks(FRAMES).enumerate().map(chunk).skip(from as usize)
}

fn coded(frames: &[Frame], from: u32, bytes: usize) -> Vec<CodedSound> {
    let (mut encoder, mut out) = (SoundEncoder::with_bytes(bytes).unwrap(), Vec::new());
    chunks(frames, from).for_each(|chunk| encoder.put(&chunk, &mut out).unwrap());
    encoder.finish(&mut out).unwrap();
    out
}

fn decoded(units: &[CodedSound]) -> Vec<Frame> {
    let mut decoder = SoundDecoder::new().unwrap();
    let frames = |unit: &CodedSound| decoder.decode(&unit.packet).unwrap()[..usize::from(unit.frames)].to_vec();
    units.iter().flat_map(frames).collect()
}

/// Signal to noise, dB.
fn ratio(sound: &[Frame], heard: &[Frame]) -> f64 {
    let energy = |of: &dyn Fn(usize) -> f64| (0..sound.len() * 2).map(|at| of(at).powi(2)).sum::<f64>();
    let of = |frames: &[Frame], at: usize| f64::from(frames[at / 2][at % 2]);
    let noise = energy(&|at| of(sound, at) - of(heard, at));
    10.0 * (energy(&|at| of(sound, at)) / noise.max(1.0)).log10()
}

/// By how many frames what is heard comes later than it should, by the lag at which both are likest, and their likeness there.
fn shift(sound: &[Frame], heard: &[Frame], side: usize) -> (i64, f64) {
    let from = 400_usize;
    let until = sound.len().min(heard.len()) - from;
    let likeness = |lag: i64| {
        let pair = |at: usize| (f64::from(sound[at][side]), f64::from(heard[(at as i64 + lag) as usize][side]));
        let sums =
            (from..until).map(pair).fold([0.0; 3], |sums, (a, b)| [sums[0] + a * b, sums[1] + a * a, sums[2] + b * b]);
        sums[0] / (sums[1] * sums[2]).sqrt().max(1.0)
    };
    (-400..=400).map(|lag| (lag, likeness(lag))).fold((0, 0.0), |best, next| if next.1 > best.1 { next } else { best })
}

fn level(frames: &[Frame]) -> f64 {
    let energy: f64 = frames.iter().flatten().map(|sample| f64::from(*sample).powi(2)).sum();
    10.0 * energy.log10()
}

/// The magnitudes of 512 frames from `at` on, dB, as far as 15 kHz; what is below −70 dB nobody hears.
fn spectrum(frames: &[Frame], at: usize, side: usize) -> Vec<f64> {
    let hann = |n: usize| 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / 512.0).cos();
    let windowed: Vec<f64> = (0..512).map(|n| hann(n) * f64::from(frames[at + n][side]) / 32_768.0).collect();
    let turns: Vec<(f64, f64)> = (0..512).map(|n| (std::f64::consts::TAU * n as f64 / 512.0).sin_cos()).collect();
    let bin = |bin: usize| {
        let part = |(re, im): (f64, f64), (n, sample): (usize, &f64)| {
            let (sin, cos) = turns[n * bin % 512];
            (re + sample * cos, im + sample * sin)
        };
        let (re, im) = windowed.iter().enumerate().fold((0.0, 0.0), part);
        (20.0 * (re.hypot(im) / 128.0).max(1e-12).log10()).max(-70.0)
    };
    (1..174).map(bin).collect()
}

/// Log-spectral distance, dB.
fn distance(sound: &[Frame], heard: &[Frame]) -> f64 {
    let places = (0..sound.len().min(heard.len()) - 512).step_by(4_001);
    let apart = |at: usize, side: usize| {
        let (a, b) = (spectrum(sound, at, side), spectrum(heard, at, side));
        (a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64).sqrt()
    };
    let all: Vec<f64> = places.flat_map(|at| [apart(at, 0), apart(at, 1)]).collect();
    all.iter().sum::<f64>() / all.len() as f64
}

/// What mono at 22.05 kHz leaves of it: two frames in one, and a straight line between.
fn halved(sound: &[Frame]) -> Vec<Frame> {
    let mean = |pair: &[Frame]| pair.iter().flatten().map(|sample| i32::from(*sample)).sum::<i32>() / 4;
    let low: Vec<i32> = sound.chunks_exact(2).map(mean).collect();
    let next = |at: usize| low[(at + 1).min(low.len() - 1)];
    (0..low.len()).flat_map(|at| [[low[at] as i16; 2], [((low[at] + next(at)) / 2) as i16; 2]]).collect()
}

/// What a sound looks like after units of so many bytes: signal to noise, level against what it was, spectral distance.
fn figures(sound: &[Frame], bytes: usize) -> (f64, f64, f64) {
    let heard = decoded(&coded(sound, 0, bytes));
    assert_eq!(heard.len(), sound.len(), "each frame once");
    (ratio(sound, &heard), level(&heard) - level(sound), distance(sound, &heard))
}

#[test]
fn a_unit_decodes_to_the_frames_of_its_number() {
    let sound = sound(44_100 * 2);
    let heard = decoded(&coded(&sound, 0, CODED_BYTES));
    for side in [0, 1] {
        let (lag, likeness) = shift(&sound, &heard, side);
        assert!(lag == 0 && likeness > 0.99, "side {side}: {lag} frames, {likeness}");
    }
    let (ratio, level, distance) = figures(&sound, CODED_BYTES);
    assert!(ratio > 15.0 && level.abs() < 0.3, "{ratio} dB, {level} dB");
    let less = figures(&sound, 120);
    assert!(less.0 < ratio && less.2 > distance, "{less:?}");
    let apart = super::tests::distance(&sound, &halved(&sound));
    assert!(distance < apart, "{distance} dB, and half the samples of both sides in one {apart}");
}

/// With `SOUND=FILE` (s16le, stereo, 44.1 kHz) and `--nocapture` it tells of any sound what the rungs make of it.
#[test]
fn rungs() {
    let bytes = std::env::var_os("SOUND").and_then(|path| std::fs::read(path).ok());
    let frame = |b: &[u8]| [i16::from_le_bytes([b[0], b[1]]), i16::from_le_bytes([b[2], b[3]])];
    let sound = bytes.map_or_else(|| sound(44_100), |bytes| bytes.chunks_exact(4).map(frame).collect());
    for bytes in [120, 160, 240] {
        println!("{bytes} bytes: signal to noise, level, spectral distance: {:.2?} dB", figures(&sound, bytes));
    }
    let halved = halved(&sound);
    println!("22.05 kHz, mono: {:.2?} dB", (ratio(&sound[..halved.len()], &halved), distance(&sound, &halved)));
}

#[test]
fn an_encoder_that_begins_later_makes_units_of_the_same_frames() {
    let sound = sound(44_100);
    for from in [1, 7, 14, 15, 16, 29] {
        let units = coded(&sound, from, CODED_BYTES);
        let first = u64::from(from) * FRAMES as u64;
        // One unit is begun before the first that is whole.
        let whole = (first - CODED_AHEAD as u64).div_ceil(CODED_FRAMES as u64) as u32 + 1;
        assert_eq!(units[0].number, whole, "from chunk {from}");
        assert!(units.windows(2).all(|pair| pair[1].number == pair[0].number + 1));
        let heard = decoded(&units);
        let clean = &sound[units[0].first() as usize..];
        assert_eq!(heard.len(), clean.len());
        // The decoder is cold for 120 frames and no longer.
        assert!(ratio(&clean[CODED_AHEAD..], &heard[CODED_AHEAD..]) > 15.0, "from chunk {from}");
    }
}

#[test]
fn the_last_unit_says_how_much_of_it_is_sound() {
    for frames in [1, 255, 256, 959, 960, 961, 1_080, 2_000, 9_600] {
        let units = coded(&sound(frames), 0, CODED_BYTES);
        assert_eq!(units.iter().map(|unit| usize::from(unit.frames)).sum::<usize>(), frames);
        assert!(units.iter().enumerate().all(|(n, unit)| unit.number == n as u32 && unit.packet.len() == CODED_BYTES));
    }
}

#[test]
fn one_unit_makes_a_decoder_warm_and_a_lost_one_is_over_after_one() {
    let units = coded(&sound(44_100), 0, CODED_BYTES);
    let all = decoded(&units);
    let mut decoder = SoundDecoder::new().unwrap();
    decoder.decode(&units[19].packet).unwrap();
    let warm = decoder.decode(&units[20].packet).unwrap();
    assert!(ratio(&all[20 * 960..21 * 960], &warm) > 40.0, "{}", ratio(&all[20 * 960..21 * 960], &warm));
    let made = decoder.conceal().unwrap();
    assert!((level(&made) - level(&warm)).abs() < 6.0, "no hole");
    decoder.decode(&units[22].packet).unwrap();
    let after = decoder.decode(&units[23].packet).unwrap();
    assert!(ratio(&all[23 * 960..24 * 960], &after) > 40.0, "{}", ratio(&all[23 * 960..24 * 960], &after));
}

#[test]
fn what_is_no_packet_of_ours_is_refused() {
    let mut decoder = SoundDecoder::new().unwrap();
    for packet in [&[][..], &[0x0c, 1], &[0xff; 240], &[0xe0], &[0x03, 0x3f, 1, 2]] {
        if let Ok(frames) = decoder.decode(packet) {
            assert_eq!(frames.len(), CODED_FRAMES);
        }
    }
}

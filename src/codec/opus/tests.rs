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
    let chunk = move |(n, frames): (usize, &[Frame])| Chunk {
        number: n as u32,
        frames: frames.to_vec(),
        captured: Time::ZERO,
    };
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

#[test]
#[ignore]
fn figures() {
    let path = std::env::var("WAV").ok();
    let sound: Vec<Frame> = match path {
        Some(path) => {
            let raw = std::fs::read(path).unwrap();
            raw.chunks_exact(4).map(|b| [i16::from_le_bytes([b[0], b[1]]), i16::from_le_bytes([b[2], b[3]])]).collect()
        }
        None => sound(441_000),
    };
    for bytes in [120, 160, 240] {
        let began = std::time::Instant::now();
        let units = coded(&sound, 0, bytes);
        let encoding = began.elapsed();
        let heard = decoded(&units);
        let decoding = began.elapsed() - encoding;
        let seconds = sound.len() as f64 / 44_100.0;
        println!("{bytes} bytes: {:.1} dB, encode {:?}/s decode {:?}/s", ratio(&sound, &heard), encoding.div_f64(seconds), decoding.div_f64(seconds));
        let raw: Vec<u8> = heard.iter().flatten().flat_map(|s| s.to_le_bytes()).collect();
        std::fs::write(format!("/tmp/w/c/target/opus{bytes}.raw"), raw).unwrap();
    }
}

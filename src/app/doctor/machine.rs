//! How exactly this machine wakes up, and how fast it codes pictures.

use std::thread;
use std::time::Duration;

use super::Check;
use crate::clock::now;
use crate::codec::{CodecError, Decoder, Encoder};
use crate::media::{Canvas, Picture};
use crate::net::probe;
use crate::queue::Pool;
use crate::stats::Samples;
use crate::units::{Size, Time};

/// How late the timer of the event loop wakes up.
pub fn timer() -> Check {
    let measured = probe::timer_lateness(WAKES, APART).map(|late| late.block(1.0));
    let Ok(Some(late)) = measured else {
        return Check::problem("timer", "the system has no timer to give", "close some programs and try again");
    };
    let text = format!("{WAKES} wake-ups, late by {:.0} µs (half), {:.0} µs (99 %)", late.p50, late.p99);
    if late.p99 > LATE_MICROS {
        let advice = "close what keeps the processor busy; a virtual machine may need a processor of its own";
        return Check::warning("timer", format!("{text}: pictures will leave unevenly"), advice);
    }
    Check::ok("timer", text)
}

/// How long a picture of 1280×720 takes to become a JPEG and back.
pub fn codec() -> Check {
    let Ok(Some((encode, decode))) = measure() else {
        return Check::problem("codec", "libjpeg-turbo does not work here", "build udpstream anew on this machine");
    };
    let fps = |millis: f64| (1_000.0 / millis).floor();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let text = format!(
        "{SIZE}: encode {encode:.1} ms ({:.0} fps), decode {decode:.1} ms ({:.0} fps); {cores} processors{}",
        fps(encode),
        fps(decode),
        simd()
    );
    if fps(encode.max(decode)) < ENOUGH_FPS {
        return Check::warning("codec", text, "make pictures smaller with `serve --width`, or fewer with `--fps`");
    }
    Check::ok("codec", text)
}

/// Milliseconds at the median to encode and to decode one picture.
fn measure() -> Result<Option<(f64, f64)>, CodecError> {
    let (mut encoder, mut decoder) = (Encoder::new()?, Decoder::new()?);
    let (picture, mut canvas) = (picture(), Canvas::new(SIZE));
    let (mut encoding, mut decoding) = (Samples::default(), Samples::default());
    for round in 0..=ROUNDS {
        let start = now();
        let jpeg = encoder.encode(&picture, QUALITY, RESTART)?;
        let encoded = now();
        decoder.decode(0, &jpeg, &mut canvas, 0, 0)?;
        let decoded = now();
        // The first round is slower: memory is new.
        if round > 0 {
            encoding.record(micros(start, encoded));
            decoding.record(micros(encoded, decoded));
        }
    }
    Ok(encoding.block(1e3).zip(decoding.block(1e3)).map(|(encode, decode)| (encode.p50, decode.p50)))
}

fn micros(from: Time, to: Time) -> f64 {
    to.since(from).as_secs_f64() * 1e6
}

/// Soft waves with grain in their luma, which cost about as much as film.
fn picture() -> Picture {
    let mut picture = Picture::from_pool(&Pool::new(1), SIZE, 0, Time::ZERO);
    let mut state = 1_u32;
    let [luma, u, v] = picture.split_mut();
    for (at, sample) in luma.iter_mut().enumerate() {
        let (x, y) = ((at % usize::from(SIZE.width)) as f32, (at / usize::from(SIZE.width)) as f32);
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = ((state >> 16) * GRAIN) >> 16;
        *sample = (110.0 + 40.0 * (x / 60.0).sin() + 40.0 * (y / 45.0).cos()) as u8 + grain as u8;
    }
    u.fill(110);
    v.fill(140);
    picture
}

/// The processor's wide instructions that libjpeg-turbo has code for.
fn simd() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    return if std::arch::is_x86_feature_detected!("avx2") { ", AVX2" } else { ", SSE2" };
    #[cfg(target_arch = "aarch64")]
    return ", Neon";
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return "";
}

const WAKES: u32 = 120;
/// Short, so that the whole takes half a second.
const APART: Duration = Duration::from_millis(4);
/// A third of the interval between pictures at 60 a second.
const LATE_MICROS: f64 = 5_000.0;
const SIZE: Size = Size::new(1_280, 720);
/// What `serve` does unless told otherwise.
const QUALITY: u8 = 80;
/// The encoder's own choice at this width.
const RESTART: u16 = 16;
/// Makes a JPEG of about 134 kB, the size of a film's picture.
const GRAIN: u32 = 19;
const ROUNDS: u32 = 9;
const ENOUGH_FPS: f64 = 60.0;

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::*;

    #[test]
    fn the_codec_is_measured() {
        let check = codec();
        assert_ne!(check.mark, Mark::Problem, "{check:?}");
        let jpeg = Encoder::new().and_then(|mut encoder| encoder.encode(&picture(), QUALITY, RESTART)).expect("a JPEG");
        assert!((110_000..160_000).contains(&jpeg.len()), "{} bytes are not like film", jpeg.len());
        assert!(check.text.contains("encode") && check.text.contains("fps"), "{check:?}");
    }
}

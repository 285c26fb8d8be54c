//! A tone of 440 Hz on the loudspeaker, its first frame heard one second from now: `cargo run --example tone [SECONDS
//! [PERCENT [PERIOD]]]`, with so many percent of its chunks lost, on a device that asks for so many frames at a time.
//! Says when the first frame is heard (CLOCK_MONOTONIC), what becomes of the device, and each second how it goes. Shows
//! how to use `udpstream::audio`; whoever records the device can measure it.

use std::f64::consts::TAU;
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::Duration;

use udpstream::audio::{Settings, Speaker};
use udpstream::clock::now;
use udpstream::media::sound::{FRAMES, Frame, RATE, media_time};
use udpstream::queue::Waker;
use udpstream::units::Time;

/// How long before it is heard each chunk is put.
pub const AHEAD: Duration = Duration::from_millis(120);

fn main() -> std::io::Result<()> {
    let number = |n: usize| std::env::args().nth(n).and_then(|text| text.parse::<u64>().ok());
    let (seconds, percent) = (number(1).unwrap_or(10), number(2).unwrap_or(0));
    let settings = Settings {
        period: number(3).map_or(Settings::default().period, |frames| frames as u32),
        ..Settings::default()
    };
    let mut speaker = Speaker::start(settings, waker(thread::current()))?;
    let zero = now() + Duration::from_secs(1);
    println!("zero {}", zero.nanos());
    let mut tone = Tone::new(zero, percent);
    tone.play(&mut speaker, seconds, |speaker| {
        while let Some(happened) = speaker.happened() {
            println!("{happened:?}");
        }
    });
    Ok(())
}

/// Has `thread` look for news at once.
fn waker(thread: Thread) -> Waker {
    Arc::new(move || thread.unpark())
}

/// A tone in chunks, some of which are lost.
pub struct Tone {
    zero: Time,
    next: u64,
    percent: u64,
    state: u64,
}

impl Tone {
    pub fn new(zero: Time, percent: u64) -> Self {
        Self { zero, next: 0, percent, state: 1 }
    }

    /// Plays it until it has been heard for `seconds`, and calls `look` all the time.
    pub fn play(&mut self, speaker: &mut Speaker, seconds: u64, mut look: impl FnMut(&mut Speaker)) {
        speaker.set_zero(Some(self.zero));
        let end = self.zero + Duration::from_secs(seconds);
        for second in 1..=seconds + 1 {
            while now() < self.zero + Duration::from_secs(second) {
                self.put(speaker, end);
                look(speaker);
                thread::park_timeout(Duration::from_millis(5));
            }
            say(second, speaker);
        }
    }

    /// Puts what is due soon.
    fn put(&mut self, speaker: &mut Speaker, end: Time) {
        let due = |frame: u64| self.zero.offset(media_time(frame).micros() * 1_000);
        while due(self.next) < (now() + AHEAD).min(end) {
            let frames: Vec<Frame> = (self.next..).take(FRAMES).map(tone).collect();
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let lost = (self.state >> 33) % 100 < self.percent;
            speaker.put(self.next, Some(frames.as_slice()).filter(|_| !lost));
            self.next += FRAMES as u64;
            if due(self.next) >= end {
                speaker.finish();
            }
        }
    }
}

/// A quarter of full scale.
fn tone(frame: u64) -> Frame {
    [((TAU * 440.0 * frame as f64 / f64::from(RATE)).sin() * 8_192.0) as i16; 2]
}

fn say(second: u64, speaker: &mut Speaker) {
    let skews = speaker.skews();
    let block = skews.recent.block(1_000.0);
    skews.recent.clear();
    let figures = speaker.figures();
    let (skew, latency, lead) = (figures.skew * 1e3, figures.latency.as_millis(), figures.lead.as_millis());
    let worst = block.map_or(0.0, |block| block.max);
    println!(
        "{second} s: {} {:?}, latency {latency} ms, lead {lead} ms, skew {skew:+.2} ms (at most {worst:.2}), underruns \
         {} + {}, concealed {}, dropped {}",
        if figures.open { "playing on" } else { "no" },
        figures.device,
        figures.underruns,
        figures.device_underruns,
        figures.concealed,
        figures.dropped,
    );
}

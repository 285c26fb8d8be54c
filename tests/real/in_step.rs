//! Live films with sound: what flashes and what beeps at the same moment is handed over for the same moment.

use std::process::{Child, Command, Stdio};

use anyhow::ensure;
use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;
use udpstream::media::sound::RATE;
use udpstream::queue::{self, WhenFull};
use udpstream::source::{self, Input, Options, Pace, PaceChoice, SoundOptions, Source, Stopper};
use udpstream::units::Time;

use crate::cameras::free_port;
use crate::machine::measured;

/// A white picture for the first tenth of each second, and a beep with it.
const FLASHES: &str = "-re -f lavfi -i color=black:size=160x120:rate=25,geq=lum='255*lt(mod(T\\,1)\\,0.1)':cb=128:cr=128 \
     -re -f lavfi -i aevalsrc=0.5*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.1):s=48000";

/// An ffmpeg that sends flashes and beeps, killed with the test.
struct Sender(Child);

impl Sender {
    fn start(coded: &str, to: &str) -> Self {
        let mut command = Command::new("ffmpeg");
        let arguments = FLASHES.split_whitespace().chain(coded.split_whitespace()).chain(["-y", "-f", "mpegts", to]);
        Self(command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Beginnings, in seconds, of what is on at these moments.
fn beginnings(moments: impl Iterator<Item = (f64, bool)>) -> Vec<f64> {
    let (mut found, mut last) = (Vec::new(), f64::MIN);
    for (at, _) in moments.filter(|&(_, on)| on) {
        if at - last > 0.3 {
            found.push(at);
        }
        last = at;
    }
    found
}

/// How many seconds each of the last three beeps comes after its flash, once `seconds` of a live source have gone by.
fn skews(source: Source, seconds: f64) -> anyhow::Result<Vec<f64>> {
    ensure!(source.info().pace == Pace::Live, "what comes at its own pace was taken for a recording");
    let (out, pictures) = queue::bounded(100, WhenFull::DropOldest, None);
    let (sounding, chunks) = queue::bounded(4_000, WhenFull::DropOldest, None);
    let running = source.start(out, Some(sounding));
    let (mut zero, mut seen, mut heard) = (None, Vec::new(), Vec::new());
    let elapsed = |zero: &Option<Time>, at| zero.map_or(0.0, |zero| Time::signed_since(at, zero) as f64 / 1e9);
    while let Some(picture) = pictures.pop() {
        zero = zero.or(Some(picture.captured));
        let at = elapsed(&zero, picture.captured);
        seen.push((at, picture.planes()[0][0] > 128));
        if at > seconds {
            break;
        }
    }
    running.stop();
    while let Some(chunk) = chunks.pop() {
        let first = chunk.first();
        let frame =
            |(n, frame): (u64, &[i16; 2])| ((first + n) as f64 / f64::from(RATE), frame[0].unsigned_abs() > 4_000);
        heard.extend((0..).zip(&chunk.frames).map(frame));
    }
    let (flashes, beeps) = (beginnings(seen.into_iter()), beginnings(heard.into_iter()));
    let nearest = |flash: f64| beeps.iter().map(|beep| beep - flash).min_by(|a, b| a.abs().total_cmp(&b.abs()));
    let known = flashes.iter().rev().skip(1).take(3).filter_map(|&flash| nearest(flash));
    let skews: Vec<_> = known.collect();
    ensure!(skews.len() == 3, "flashes at {flashes:.2?}, beeps at {beeps:.2?}");
    Ok(skews)
}

fn open(input: &Input, pace: PaceChoice) -> anyhow::Result<Source> {
    let options = Options { pace, sound: Some(SoundOptions::default()), ..Options::default() };
    Ok(source::open(input, None, &options, &Stopper::new()?)?)
}

/// A picture's time, and what a busy machine adds.
fn is_in_step(source: Source, what: &str) -> anyhow::Result<()> {
    let skews = skews(source, 4.0)?;
    ensure!(skews.iter().all(|skew| skew.abs() < 0.09), "{what}: {skews:.3?}");
    Ok(())
}

#[test]
fn sound_and_pictures_of_a_live_pipe_are_in_step() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("pipe");
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    let to = path.to_str().unwrap();
    for coded in [
        "-c:v libx264 -g 25 -pix_fmt yuv420p -c:a aac",
        "-c:v libx264 -preset ultrafast -tune zerolatency -g 25 -pix_fmt yuv420p -c:a mp2",
        "-c:v mpeg2video -g 10 -c:a mp2",
    ] {
        measured(|| {
            let _sender = Sender::start(coded, to);
            is_in_step(open(&Input::File(path.clone()), PaceChoice::Live)?, coded)
        });
    }
}

#[test]
fn sound_and_pictures_of_an_address_are_in_step() {
    for coded in [
        "-c:v libx264 -g 25 -pix_fmt yuv420p -c:a aac",
        "-c:v libx264 -preset ultrafast -tune zerolatency -g 25 -pix_fmt yuv420p -c:a mp2",
    ] {
        measured(|| {
            let port = free_port();
            let _sender = Sender::start(coded, &format!("udp://127.0.0.1:{port}?pkt_size=1316"));
            is_in_step(open(&Input::Url(format!("udp://127.0.0.1:{port}")), PaceChoice::Auto)?, coded)
        });
    }
}

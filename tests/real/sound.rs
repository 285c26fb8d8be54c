//! The loudspeaker on a sound server whose only device is silent, recorded as it plays.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::ensure;
use udpstream::audio::{Happened, Settings, Speaker};
use udpstream::clock::now;
use udpstream::media::sound::{Frame, RATE};
use udpstream::units::Time;

use crate::machine::measured;
use tone::Tone;

// The example as it stands, but for its `main`.
#[allow(dead_code, reason = "an example's main is not called here")]
#[path = "../../examples/tone.rs"]
mod tone;

/// Whether there is a sound server of the tests' own; the gate brings one.
pub fn is_there() -> bool {
    let there = std::env::var_os("UDPSTREAM_SOUND").is_some();
    assert!(there || std::env::var_os("CI").is_none(), "the gate brings its own sound server");
    there
}

/// Records what the device plays until it is stopped.
pub struct Recorder {
    child: Child,
    reader: JoinHandle<Recording>,
}

struct Recording {
    bytes: Vec<u8>,
    /// When how many frames had come.
    reads: Vec<(Time, usize)>,
}

impl Recorder {
    /// Begins, and waits until sound comes in small pieces: a device that nobody listened to plays seconds at a time.
    pub fn start() -> Self {
        let monitor = format!("{}.monitor", std::env::var("UDPSTREAM_SOUND").unwrap());
        let arguments =
            ["--raw", "--format=s16le", "--rate=44100", "--channels=2", "--latency-msec=20", "-d", &monitor];
        let mut child = Command::new("parec").args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (piece, pieces) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let (mut bytes, mut reads, mut buffer) = (Vec::new(), Vec::new(), [0; 65_536]);
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                bytes.extend_from_slice(&buffer[..count]);
                reads.push((now(), bytes.len() / 4));
                piece.send(()).ok();
            }
            Recording { bytes, reads }
        });
        assert_eq!(pieces.into_iter().take(60).count(), 60, "parec ended");
        Self { child, reader }
    }

    /// All frames, and when the first one was played.
    pub fn stop(mut self) -> (Vec<Frame>, Time) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let Recording { bytes, reads } = self.reader.join().unwrap();
        let sample = |bytes: &[u8]| i16::from_le_bytes([bytes[0], bytes[1]]);
        let frames = bytes.chunks_exact(4).map(|both| [sample(&both[..2]), sample(&both[2..])]).collect();
        // A frame is here soon after it was played, so the least guess is the best.
        let began = reads[reads.len() / 2..].iter().map(|(at, count)| *at - Duration::from_secs(*count as u64) / RATE);
        (frames, began.min().unwrap())
    }
}

fn speaker() -> Speaker {
    Speaker::start(Settings::default(), std::sync::Arc::new(|| {})).unwrap()
}

/// Waits for news that is `wanted`; there is no other.
fn wait_for(speaker: &mut Speaker, what: &str, wanted: impl Fn(&Happened) -> bool) {
    let start = now();
    loop {
        match speaker.happened() {
            Some(happened) if wanted(&happened) => return,
            Some(other) => panic!("{what} was waited for, {other:?} came"),
            None => std::thread::sleep(Duration::from_millis(10)),
        }
        assert!(now().since(start) < Duration::from_secs(12), "{what} in vain");
    }
}

/// Where in it the loud part is.
fn loud(frames: &[Frame]) -> std::ops::Range<usize> {
    let is_loud = |frame: &Frame| frame[0].unsigned_abs() > 500;
    let first = frames.iter().position(is_loud).expect("something is heard");
    first..frames.iter().rposition(is_loud).expect("as before") + 1
}

#[test]
fn a_tone_is_heard_in_time_whole_and_at_its_pitch() {
    if !is_there() {
        return;
    }
    measured(|| {
        let recorder = Recorder::start();
        let mut speaker = speaker();
        wait_for(&mut speaker, "opened", |happened| *happened == Happened::Opened);
        let zero = now() + Duration::from_millis(1_000);
        Tone::new(zero, 0).play(&mut speaker, SECONDS, |_| {});
        let (frames, began) = recorder.stop();
        let (loud, figures) = (loud(&frames), speaker.figures());
        assert_eq!((figures.dropped, figures.concealed), (0, 0));
        ensure!(figures.underruns + figures.device_underruns == 0, "{figures:?}");
        let late = (began + Duration::from_secs(loud.start as u64) / RATE).signed_since(zero) as f64 / 1e6;
        println!("heard {late:+.1} ms late, {} frames", loud.len());
        ensure!(late.abs() < 80.0, "heard {late:.1} ms from when it should have been");
        ensure!(loud.len().abs_diff(SECONDS as usize * RATE as usize) < 500, "{} frames of {SECONDS} s", loud.len());
        is_tone(&frames[loud.start + 4_410..loud.end - 4_410])
    });
}

/// How long the tone is.
const SECONDS: u64 = 3;

/// 440 Hz at a quarter of full scale, without a step that such a tone does not have.
fn is_tone(frames: &[Frame]) -> anyhow::Result<()> {
    let rising = frames.windows(2).filter(|pair| pair[0][0] < 0 && pair[1][0] >= 0).count() as f64;
    let pitch = rising * f64::from(RATE) / frames.len() as f64;
    ensure!((pitch - 440.0).abs() < 1.5, "{pitch:.2} Hz");
    let peak = frames.iter().map(|frame| frame[0].unsigned_abs()).max().unwrap();
    ensure!((8_100..8_300).contains(&peak), "a peak of {peak}");
    let step = frames.windows(2).map(|pair| pair[0][0].abs_diff(pair[1][0])).max().unwrap();
    ensure!(step < 600, "a step of {step}, where the tone has 513");
    Ok(())
}

#[test]
fn a_device_that_is_unplugged_is_named_and_heard_again_when_it_is_back() {
    if !is_there() {
        return;
    }
    let mut speaker = speaker();
    wait_for(&mut speaker, "opened", |happened| *happened == Happened::Opened);
    pactl(&["unload-module", "module-null-sink"]);
    let start = now();
    wait_for(&mut speaker, "lost", |happened| matches!(happened, Happened::Lost(why) if why.contains("; ")));
    println!("its end was seen after {:?}", now().since(start));
    assert!(!speaker.figures().open);
    let name = std::env::var("UDPSTREAM_SOUND").unwrap();
    pactl(&["load-module", "module-null-sink", &format!("sink_name={name}"), "rate=44100"]);
    let recorder = Recorder::start();
    wait_for(&mut speaker, "back", |happened| *happened == Happened::Back);
    Tone::new(now() + Duration::from_millis(500), 0).play(&mut speaker, 1, |_| {});
    assert!(loud(&recorder.stop().0).len() > RATE as usize / 2);
    assert_eq!(speaker.happened(), None, "and it stays");
}

fn pactl(arguments: &[&str]) {
    let output = Command::new("pactl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

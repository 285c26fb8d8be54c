//! Cameras and microphones: their stand-ins, and the monitor of a silent sound device.

use std::io::BufRead;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;
use udpstream::clock::now;
use udpstream::media::sound::{Chunk, FRAMES, RATE};
use udpstream::queue::{self, WhenFull};
use udpstream::source::{self, Options, SoundOptions, Stopper};

use crate::machine::measured;
use crate::program::{Server, Watcher, figures, watch};
use crate::sound;

/// The runs of ffmpeg and ffprobe that this process has begun and that still live.
pub fn children(parent: u32) -> Vec<String> {
    let stat = |id: &str| std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let is_child = |id: &String| {
        let stat = stat(id);
        let of = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
        stat.contains("(ff") && of == Some(parent) && state != Some("Z")
    };
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    entries.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(is_child).collect()
}

/// Reads what a server says until a warning has this code.
pub fn until_warning(server: &mut Server, code: &str) -> Value {
    for _ in 0..100 {
        let mut line = String::new();
        assert!(server.stdout.read_line(&mut line).unwrap() > 0, "the server ended");
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"] == "warning" && event["code"] == code {
            return event;
        }
    }
    panic!("no {code}");
}

#[test]
fn a_camera_and_a_microphone_are_watched() {
    for (camera, passed) in
        [("lavfi:testsrc2=size=320x240:rate=30", false), ("lavfi:mjpeg:testsrc2=size=320x240:rate=30", true)]
    {
        measured(|| {
            let server = Server::start(&[&format!("camera:{camera}"), "mic:lavfi:sine=440", "--duration", "6"]);
            let seen = figures(&watch(&server.address(), &["--duration", "3", "--volume", "0"]));
            let (code, sent) = server.end(Duration::from_secs(20));
            println!("{seen}\n{sent}");
            assert_eq!((code, sent["pictures_passed"] != 0), (0, passed), "{sent}");
            // Three seconds of 30 pictures and 172 chunks, less what it takes to begin.
            ensure!(
                seen["pictures_shown"].as_u64() > Some(60) && seen["audio"]["chunks"].as_u64() > Some(350),
                "{seen}"
            );
            ensure!(!passed || sent["pictures_passed"].as_u64() > Some(60), "{sent}");
            Ok(())
        });
    }
}

#[test]
fn a_camera_that_is_killed_comes_back_by_itself() {
    let mut server = Server::start(&["camera:lavfi:testsrc2=size=320x240:rate=30", "--no-wait"]);
    let watcher = Watcher::start(&server.address());
    let camera = children(server.child.id());
    assert_eq!(camera.len(), 1);
    assert!(Command::new("kill").args(["-9", &camera[0]]).status().unwrap().success());
    let lost = until_warning(&mut server, "device-lost");
    assert!(lost["text"].as_str().unwrap().contains("was lost"), "{lost}");
    until_warning(&mut server, "device-back");
    assert_eq!(children(server.child.id()).len(), 1);
    drop(watcher);
}

/// Plays a tone into the silent device until it is dropped.
struct Tone(Child);

impl Tone {
    fn start() -> Self {
        let device = std::env::var("UDPSTREAM_SOUND").unwrap();
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-re", "-f", "lavfi", "-i", "sine=440:duration=60,volume=4", "-ac", "2"]);
        command.args(["-f", "pulse", "-device", &device, "tone"]);
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Tone {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_microphone_of_the_sound_server_is_heard_soon() {
    if !sound::is_there() {
        return;
    }
    let loud = |chunk: &Chunk| chunk.frames.iter().any(|[left, _]| left.unsigned_abs() > 3_000);
    let length = Duration::from_secs(FRAMES as u64) / RATE;
    measured(|| {
        let _tone = Tone::start();
        let heard = microphone(|chunks| {
            assert!((0..3_000).any(|_| chunks.pop().is_some_and(|chunk| loud(&chunk))), "never heard");
            // What has settled for two seconds, and then three.
            (0..800).filter_map(|_| chunks.pop().map(|chunk| (now(), chunk))).skip(300).collect::<Vec<_>>()
        });
        assert!(heard.windows(2).all(|pair| pair[0].1.number + 1 == pair[1].1.number));
        let silent = heard.iter().filter(|(_, chunk)| !loud(chunk)).count();
        ensure!(silent == 0, "{silent} silent chunks");
        let mut ages: Vec<_> = heard.iter().map(|(at, chunk)| at.since(chunk.captured + length)).collect();
        ages.sort_unstable();
        let (half, most) = (ages[ages.len() / 2], ages[ages.len() * 99 / 100]);
        println!("after a chunk's last frame was heard, it left within {half:?} (half of them), {most:?} (99 %)");
        ensure!(half < SOON, "half of the chunks took {half:?}");
        let frames: Vec<i16> = heard.iter().flat_map(|(_, chunk)| chunk.frames.iter().map(|frame| frame[0])).collect();
        let rising = frames.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        let pitch = rising as f64 * f64::from(RATE) / frames.len() as f64;
        ensure!((pitch - 440.0).abs() < 2.0, "{pitch} Hz");
        Ok(())
    });
}

/// Far less than a listener notices, and twice what a chunk takes in the sound server.
const SOON: Duration = Duration::from_millis(80);

/// What is made of the chunks of the sound that the silent device plays.
fn microphone<T>(hear: impl FnOnce(&queue::Consumer<Chunk>) -> T) -> T {
    let input = format!("mic:{}.monitor", std::env::var("UDPSTREAM_SOUND").unwrap()).parse().unwrap();
    let options = Options { sound: Some(SoundOptions::default()), ..Options::default() };
    let source = source::open(&input, None, &options, &Stopper::new().unwrap()).unwrap();
    assert!(source.info().sound);
    let (out, _pictures) = queue::bounded(4, WhenFull::DropOldest, None);
    let (sound, chunks) = queue::bounded(1_000, WhenFull::DropOldest, None);
    let running = source.start(out, Some(sound));
    let heard = hear(&chunks);
    running.stop();
    running.join().unwrap();
    heard
}

#[test]
fn a_microphone_alone_has_a_card() {
    measured(|| {
        let server = Server::start(&["mic:lavfi:sine=440"]);
        let seen = figures(&watch(&server.address(), &["--duration", "2", "--volume", "0"]));
        ensure!(seen["pictures_shown"].as_u64() > Some(30) && seen["audio"]["chunks"].as_u64() > Some(200), "{seen}");
        Ok(())
    });
    let refused = crate::program::program().args(["serve", "mic:", "--no-audio"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("nothing is left of a microphone"), "{said}");
}

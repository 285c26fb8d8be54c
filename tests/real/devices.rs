//! Cameras and microphones: their stand-ins, and the monitor of a silent sound device.

use std::io::BufRead;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use udpstream::clock::now;
use udpstream::media::sound::{Chunk, FRAMES, RATE};
use udpstream::queue::{self, WhenFull};
use udpstream::source::{self, Info, Options, SoundOptions, Stopper};

use crate::program::{Server, Watcher, figures, watch};
use crate::sound;

/// The ffmpeg children of a process.
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
        let server = Server::start(&[&format!("camera:{camera}"), "mic:lavfi:sine=440", "--duration", "8"]);
        let seen = figures(&watch(&server.address(), &["--duration", "4", "--volume", "0"]));
        let (code, sent) = server.end(Duration::from_secs(20));
        println!("{seen}\n{sent}");
        assert_eq!(code, 0, "{sent}");
        assert!(seen["pictures_shown"].as_u64().unwrap() > 25, "{seen}");
        assert!(seen["audio"]["chunks"].as_u64().unwrap() > 300, "{seen}");
        assert_eq!(sent["pictures_passed"].as_u64().unwrap() > 25, passed, "{sent}");
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
    let tone = Tone::start();
    let input = format!("mic:{}.monitor", std::env::var("UDPSTREAM_SOUND").unwrap()).parse().unwrap();
    let options = Options { sound: Some(SoundOptions::default()), ..Options::default() };
    let source = source::open(&input, None, &options, &Stopper::new().unwrap()).unwrap();
    let Info { sound, .. } = *source.info();
    assert!(sound);
    let (out, _pictures) = queue::bounded(4, WhenFull::DropOldest, None);
    let (sound, chunks) = queue::bounded(1_000, WhenFull::DropOldest, None);
    let running = source.start(out, Some(sound));
    let loud = |chunk: &Chunk| chunk.frames.iter().any(|[left, _]| left.unsigned_abs() > 3_000);
    assert!((0..3_000).any(|_| chunks.pop().is_some_and(|chunk| loud(&chunk))), "never heard");
    // What has settled for two seconds, and then four.
    let heard: Vec<_> = (0..1_000).filter_map(|_| chunks.pop().map(|chunk| (now(), chunk))).skip(300).collect();
    assert!(heard.windows(2).all(|pair| pair[0].1.number + 1 == pair[1].1.number));
    // Whoever plays the tone may be kept from it for a moment on a busy machine: then silence is what was to be heard.
    let tones: Vec<_> = heard.split(|(_, chunk)| !loud(chunk)).filter(|run| !run.is_empty()).collect();
    let silent = heard.len() - tones.iter().map(|run| run.len()).sum::<usize>();
    assert!(silent <= heard.len() / 4, "{silent} silent chunks");
    let length = Duration::from_secs(FRAMES as u64) / RATE;
    let mut ages: Vec<_> = heard.iter().map(|(at, chunk)| at.since(chunk.captured + length)).collect();
    ages.sort_unstable();
    println!(
        "after a chunk's last frame was heard, it left within {:?} (half of them), {:?} (99 %)",
        ages[350], ages[693]
    );
    let longest = tones.iter().max_by_key(|run| run.len()).expect("most of it is loud");
    let frames: Vec<i16> = longest.iter().flat_map(|(_, chunk)| chunk.frames.iter().map(|frame| frame[0])).collect();
    let rising = frames.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    let of_one = f64::from(RATE) / frames.len() as f64;
    let pitch = rising as f64 * of_one;
    // A period more or less at the ends, and a tone that begins or ends inside of a chunk.
    assert!((pitch - 440.0).abs() < 2.0 + 3.0 * of_one, "{pitch} Hz");
    running.stop();
    running.join().unwrap();
    drop(tone);
}

#[test]
fn a_microphone_alone_has_a_card() {
    let server = Server::start(&["mic:lavfi:sine=440"]);
    let seen = figures(&watch(&server.address(), &["--duration", "3", "--volume", "0"]));
    assert!(seen["pictures_shown"].as_u64().unwrap() > 20 && seen["audio"]["chunks"].as_u64().unwrap() > 200, "{seen}");
    drop(server);
    let refused = crate::program::program().args(["serve", "mic:", "--no-audio"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("nothing is left of a microphone"), "{said}");
}

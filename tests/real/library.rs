//! Libraries from end to end: films on demand, each at its own place, and nothing beside the library's folders.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::ensure;
use udpstream::units::Size;

use crate::machine::measured;
use crate::program::{END, Server, figures, program, watch};

// The example as it stands, but for its `main`.
#[allow(dead_code, reason = "an example's main is not called here")]
#[path = "../../examples/seeks.rs"]
mod seeks;

use seeks::code;

const SIZE: Size = Size::new(896, 512);
const RATE: u32 = 25;

/// A film of so many seconds in which each picture says its number, with a keyframe each two seconds and a beep at each second.
pub fn numbered_film(path: &Path, seconds: u32) {
    let size = format!("{}x{}", SIZE.width, SIZE.height);
    let beeps = format!("aevalsrc='if(lt(mod(t,1),0.03),0.6*sin(2*PI*1000*t),0)':s=44100:d={seconds}");
    let mut ffmpeg = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-y",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "yuv420p",
            "-s",
            &size,
            "-r",
            &RATE.to_string(),
            "-i",
            "-",
        ])
        .args(["-f", "lavfi", "-i", &beeps, "-c:v", "libx264", "-preset", "ultrafast", "-tune", "animation"])
        .args(["-bf", "2", "-g", "50", "-c:a", "pcm_s16le"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = ffmpeg.stdin.take().unwrap();
    let mut planes = vec![110; SIZE.pixels() * 3 / 2];
    for number in 0..seconds * RATE {
        code::draw(number, SIZE, &mut planes);
        pipe.write_all(&planes).unwrap();
    }
    drop(pipe);
    assert!(ffmpeg.wait().unwrap().success());
    // What was written just now may still be written.
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
}

/// A library in a folder of its own, and where it keeps what it makes.
struct Place {
    folder: tempfile::TempDir,
    store: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), store: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn serve(&self, more: &[&str]) -> Server {
        let own = [self.folder.path().to_str().unwrap(), "--store", self.store.path().to_str().unwrap()];
        Server::start(&[&own, more].concat())
    }
}

#[test]
fn a_hundred_seeks_land_on_their_pictures_with_the_sound_in_step() {
    let place = Place::new();
    numbered_film(&place.path("numbers.mkv"), 20);
    measured(|| {
        let server = place.serve(&[]);
        let target = format!("{}/numbers.mkv", server.address()).parse().unwrap();
        let found = seeks::seeks(&target, 100, 7).map_err(|why| anyhow::anyhow!("{why}"))?;
        assert_eq!(found.len(), 100);
        for at in &found {
            assert_eq!((at.unit, at.read.map(u64::from)), (at.wanted, Some(at.wanted)), "{at:?}");
            assert!(at.beep.is_none_or(|beep| beep.abs() < 2.0), "{at:?}");
        }
        let beeps = found.iter().filter(|at| at.beep.is_some()).count();
        ensure!(beeps >= 5, "{beeps} beeps were waited for");
        server.interrupt();
        let (code, _) = server.end(END);
        assert_eq!(code, 0);
        Ok(())
    });
}

#[test]
fn nothing_outside_is_found_by_any_name() {
    let place = Place::new();
    numbered_film(&place.path("film.mkv"), 1);
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.mkv");
    numbered_film(&secret, 1);
    std::os::unix::fs::symlink(&secret, place.path("link.mkv")).unwrap();
    std::os::unix::fs::symlink(outside.path(), place.path("folder")).unwrap();
    let server = place.serve(&[]);
    let long = "x/".repeat(90) + "film.mkv";
    let name = outside.path().file_name().unwrap().to_str().unwrap();
    let up = format!("../{name}/secret.mkv");
    let names = [
        &*up,
        "link.mkv",
        "folder/secret.mkv",
        "%2e%2e/secret.mkv",
        "..%2fsecret.mkv",
        "/etc/passwd",
        "film.mkv/../film.mkv",
        "film.mkv/sound-9",
        "ﬁlm.mkv",
        "фильм.mkv",
        &long,
    ];
    for name in names {
        let output = program()
            .args(["watch", &format!("{}/{name}", server.address()), "--headless", "--stats", "json", "--no-history"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(2 | 3)), "{name}: {:?}, {said}", output.status);
        assert!(!said.trim().is_empty() && !said.contains("panicked"), "{name}: {said}");
    }
    let shown = figures(&watch(&format!("{}/film.mkv", server.address()), &["--no-history"]));
    assert_eq!(shown["end"], "end", "{shown}");
    server.interrupt();
    assert_eq!(server.end(END).0, 0);
}

#[test]
fn a_film_goes_on_where_a_watcher_was_killed() {
    let (place, state) = (Place::new(), tempfile::tempdir().unwrap());
    numbered_film(&place.path("film.mkv"), 20);
    let server = place.serve(&[]);
    let address = format!("{}/film.mkv", server.address());
    let command = |arguments: &[&str]| {
        let mut command = program();
        command.args(arguments).env("XDG_STATE_HOME", state.path());
        command
    };
    let mut watcher = command(&["watch", &address, "--headless", "--no-audio", "--start", "2"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let kept = || {
        let output = command(&["history", "--json"]).output().unwrap();
        let records: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        records[0]["place"].as_f64()
    };
    let deadline = std::time::Instant::now() + END;
    while kept().is_none() {
        assert!(std::time::Instant::now() < deadline, "no place was kept");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // SIGKILL: it cannot say where it was.
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    let at = kept().unwrap();
    assert!((2.0..18.0).contains(&at), "kept at {at}");
    let output = command(&["watch", &address, "--headless", "--no-audio", "--frames", "3"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains(&format!("From 0:{:02}", at as u32)), "{at}: {said}");
    let cleared = command(&["history", "--clear"]).output().unwrap();
    assert!(cleared.status.success() && kept().is_none());
    let output = command(&["watch", &address, "--headless", "--no-audio", "--frames", "3"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("From 0:"));
}

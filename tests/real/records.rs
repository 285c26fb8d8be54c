//! Recordings: whole, in every kind of file, and playable whatever ended them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::Value;

use crate::machine::measured;
use crate::program::{END, Film, Server, all_shown, figures, handed, program, summary, watch};

/// What ffprobe says of a film, its pictures counted; null if it says that this is none.
pub fn probe(path: &Path) -> Value {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "json", "-show_format", "-show_streams", "-count_packets"])
        .arg(path)
        .output()
        .unwrap();
    if output.status.success() { serde_json::from_slice(&output.stdout).unwrap() } else { Value::Null }
}

pub fn pictures(probed: &Value) -> u64 {
    probed["streams"][0]["nb_read_packets"].as_str().map_or(0, |count| count.parse().unwrap())
}

pub fn length(probed: &Value) -> f64 {
    probed["format"]["duration"].as_str().map_or(0.0, |seconds| seconds.parse().unwrap())
}

/// Every JPEG of a film, one behind the other, as they stand in it.
fn scans(path: &Path) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:v", "-c", "copy", "-f", "mjpeg", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// How many pictures a player decodes.
fn played(path: &Path) -> u64 {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-progress", "-", "-i"])
        .arg(path)
        .args(["-map", "0:v", "-f", "null", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let frames = text.lines().rev().find_map(|line| line.strip_prefix("frame="));
    frames.map_or(0, |frames| frames.trim().parse().unwrap())
}

/// When each picture of a film is due, in seconds from its first.
fn stamps(path: &Path) -> Vec<f64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let stamps: Vec<f64> = text.lines().map(|line| line.trim_end_matches(',').parse().unwrap()).collect();
    stamps.iter().map(|stamp| stamp - stamps[0]).collect()
}

/// When each beep of a film begins.
fn beeps(path: &Path) -> Vec<f64> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(path);
    let output = command.args(["-vn", "-ac", "1", "-ar", "8000", "-f", "s16le", "-"]).output().unwrap();
    let loud = |sample: &[u8]| i16::from_le_bytes([sample[0], sample[1]]).unsigned_abs() > 4_000;
    let loud: Vec<usize> =
        (0..).zip(output.stdout.chunks_exact(2)).filter(|(_, s)| loud(s)).map(|(at, _)| at).collect();
    let first = |at: &usize| loud.iter().rev().find(|before| *before < at).is_none_or(|before| at - before > 2_000);
    loud.iter().filter(|at| first(at)).map(|at| *at as f64 / 8_000.0).collect()
}

#[test]
fn an_uneven_film_is_shown_and_recorded_at_its_own_times() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("uneven.avi");
    // Pictures at 25 a second, then five, with none for a second; a beep each second.
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i"])
        .arg("testsrc2=s=160x120:r=25:d=4,select='lt(t\\,1)+gte(t\\,2)*not(mod(n\\,5))+eq(n\\,99)'")
        .args(["-f", "lavfi", "-i", "aevalsrc=0.5*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.1):s=44100:d=4"])
        .args(["-fps_mode", "vfr", "-c:v", "mpeg4", "-qscale:v", "3", "-c:a", "pcm_s16le"])
        .arg(&film)
        .status()
        .unwrap();
    assert!(made.success());
    // Where no picture was coded, AVI has an empty chunk, which is no packet.
    let meant = stamps(&film);
    assert!(meant.len() == 36 && meant.windows(2).any(|pair| pair[1] - pair[0] > 0.9), "{meant:?}");
    measured(|| {
        let [sent, seen] = ["sent.mkv", "seen.mkv"].map(|name| folder.path().join(name));
        let path = |path: &Path| path.display().to_string();
        let server = Server::start(&[&path(&film), "--record", &path(&sent), "--force"]);
        let shown = figures(&watch(&server.address(), &["--record", &path(&seen), "--force"]));
        let (code, figures) = server.end(END);
        assert_eq!((code, &shown["end"]), (0, &"end".into()));
        all_shown(36, &figures, &shown)?;
        for recording in [&sent, &seen] {
            let got = stamps(recording);
            assert_eq!(got.len(), meant.len(), "{}", recording.display());
            let off = got.iter().zip(&meant).map(|(got, meant)| (got - meant).abs()).fold(0.0, f64::max);
            ensure!(off <= 0.020, "{}: a picture is {off} s off", recording.display());
            let beeps = beeps(recording);
            let near = |(second, beep): (usize, &f64)| (beep - second as f64).abs() <= 0.020;
            ensure!(beeps.len() == 4 && beeps.iter().enumerate().all(near), "{}: {beeps:?}", recording.display());
        }
        let late = shown["latency_ms"]["p95"].as_f64().unwrap();
        ensure!(late < 20.0, "pictures are shown {late} ms after they are due");
        Ok(())
    });
}

#[test]
fn a_film_is_recorded_whole_on_both_sides_in_every_kind_of_file() {
    let folder = tempfile::tempdir().unwrap();
    let film = Film::clip();
    let mut first = Vec::new();
    for ending in ["mkv", "avi", "mp4"] {
        let [mine, theirs] = ["mine", "theirs"].map(|name| folder.path().join(format!("{name}.{ending}")));
        let taken = measured(|| {
            let server = Server::start(&[&film.path, "--no-adapt", "--force", "--record", mine.to_str().unwrap()]);
            let shown = figures(&watch(&server.address(), &["--force", "--record", theirs.to_str().unwrap()]));
            let (code, sent) = server.end(Duration::from_secs(10));
            assert_eq!(code, 0);
            // Even a film with gaps is recorded with all that there is.
            let recorded = [&sent, &shown].map(|end| end["recorded"]["pictures"].as_u64().unwrap());
            assert_eq!(recorded, [sent["pictures_sent"].as_u64().unwrap(), handed(&shown)], "{sent} {shown}");
            all_shown(film.pictures, &sent, &shown)?;
            Ok((sent, shown))
        });
        let Some((sent, shown)) = taken else { continue };
        for (path, summary) in [(&mine, &sent), (&theirs, &shown)] {
            let recorded = &summary["recorded"];
            assert_eq!(recorded["file"], path.to_str().unwrap());
            assert_eq!((&recorded["pictures"], &recorded["dropped"]), (&film.pictures.into(), &0.into()), "{recorded}");
            let probed = probe(path);
            assert_eq!(pictures(&probed), film.pictures, "{probed}");
            // Of .mp4 nothing can be changed once it is clear that nobody says anything.
            let tracks = if ending == "mp4" { 3 } else { 2 };
            assert_eq!(probed["streams"].as_array().unwrap().len(), tracks, "{ending}: pictures, sound, talk");
            assert_eq!(probed["streams"][0]["codec_name"], "mjpeg");
            let rate = probed["streams"][0]["r_frame_rate"].as_str().unwrap().split_once('/').unwrap();
            let interval = rate.1.parse::<f64>().unwrap() / rate.0.parse::<f64>().unwrap();
            let seconds = recorded["seconds"].as_f64().unwrap();
            assert!((seconds - film.pictures as f64 * interval).abs() < interval, "{seconds} s, {interval} s each");
            assert!((length(&probed) - seconds).abs() < interval, "{ending}: {} s of {seconds} s", length(&probed));
            let scans = scans(path);
            if first.is_empty() {
                first = scans;
                assert!(first.len() as u64 > film.pictures * 10_000, "the regime: real pictures");
            } else {
                assert!(first == scans, "{}: not as it was encoded", path.display());
            }
        }
    }
}

/// A `watch` or `serve` that records.
fn recording(arguments: &[&str], path: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = program()
        .args(arguments)
        .args(["--stats", "json", "--record", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

/// Kills it without a warning when it has recorded three seconds, however long that takes, and waits until the file has
/// something to play; ffmpeg may still be at it.
fn killed((mut child, mut stdout): (Child, BufReader<ChildStdout>), path: &Path) {
    let (mut recorded, mut line) = (0, String::new());
    while recorded < 75 {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it ended by itself");
        let said: Value = serde_json::from_str(&line).unwrap();
        let count = |name: &str| said[name].as_u64().filter(|_| said["event"] == "stats").unwrap_or_default();
        recorded = count("pictures_shown").max(count("pictures_encoded"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let start = Instant::now();
    // What writes it may be at it for a moment longer.
    let mut seen = played(path);
    while seen < 25 {
        assert!(start.elapsed() < 3 * END, "{} cannot be played", path.display());
        seen = played(path);
    }
    let probed = probe(path);
    assert!(length(&probed) > 0.8, "{}: {probed}", path.display());
    assert!(seen <= pictures(&probed));
}

#[test]
fn whoever_is_killed_leaves_a_film_that_plays() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["test:640x360@25"]);
    let address = server.address();
    let watch = ["watch", &address, "--headless"];
    // Nobody watches this one but the recorder.
    let serve = ["serve", "test:640x360@25", "--no-announce", "--port", "0", "--bind", "127.0.0.1", "--no-wait"];
    // All at the same time, each for as long.
    let running =
        [("watched.mkv", &watch[..]), ("watched.avi", &watch), ("watched.mp4", &watch), ("served.mkv", &serve)].map(
            |(name, arguments)| {
                let path = folder.path().join(name);
                (recording(arguments, &path), path)
            },
        );
    for (recording, path) in running {
        killed(recording, &path);
    }
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_watching() {
    let folder = tempfile::tempdir().unwrap();
    let film = Film::clip();
    for (name, words) in [("film.mkv", "largest file"), ("film.avi", "")] {
        let path = folder.path().join(name);
        measured(|| {
            let server = Server::start(&[&film.path]);
            // So many blocks of 512 bytes, and an error instead of a signal behind them.
            let limited = "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\"";
            let output = Command::new("sh")
                .args(["-c", limited, env!("CARGO_BIN_EXE_udpstream"), "watch", &server.address(), "--headless"])
                .args(["--stats", "json", "--force", "--record", path.to_str().unwrap()])
                .output()
                .unwrap();
            let (said, text) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("recording stopped: ") && said.contains(words), "{said}");
            assert!(text.lines().any(|line| line.contains("\"warning\"") && line.contains("\"record\"")), "{text}");
            let count = played(&path);
            assert!((5..film.pictures).contains(&count), "{name}: {count} pictures");
            assert!(fs::metadata(&path).unwrap().len() <= 4_000 * 512);
            let (code, sent) = server.end(END);
            assert_eq!(code, 0);
            all_shown(film.pictures, &sent, &summary(&text))
        });
    }
}

#[test]
fn a_file_deleted_under_way_is_said_and_watching_goes_on() {
    measured(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.mkv");
        let server = Server::start(&["test:320x180@25", "--frames", "75"]);
        let mut command = program();
        command.args(["watch", &server.address(), "--headless", "--stats", "json", "--record", path.to_str().unwrap()]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("\"stats\"") {
            assert!(stdout.read_line(&mut text).unwrap() > 0, "it ended at once");
        }
        fs::remove_dir_all(folder.path()).unwrap();
        stdout.read_to_string(&mut text).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // It is looked for once a second of film.
        ensure!(said.contains("was deleted while it was being recorded"), "{said}");
        assert_eq!(output.status.code(), Some(1), "{said}");
        all_shown(75, &server.end(END).1, &summary(&text))
    });
}

#[test]
fn names_that_cannot_be_recorded_to_are_refused_before_anything_begins() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there.mkv");
    fs::write(&there, "somebody's film").unwrap();
    let missing = folder.path().join("missing/film.mkv");
    for (path, code, words) in [
        (there.to_str().unwrap(), 1, "exists already"),
        (missing.to_str().unwrap(), 1, "does not exist"),
        ("film.mov", 2, ".mkv, .mp4, .avi or .wav"),
        ("film", 2, ".mkv, .mp4, .avi or .wav"),
    ] {
        for verb in [&["serve", "test:"][..], &["watch", "127.0.0.1:9", "--headless"]] {
            let output = program().args(verb).args(["--record", path]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{path}: {said}");
            assert!(said.contains(words), "{path}: {said}");
        }
    }
    assert_eq!(fs::read_to_string(&there).unwrap(), "somebody's film");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let server = Server::start(&["test:320x180@25", "--frames", "25"]);
    let shown = figures(&watch(&server.address(), &["--force", "--record", there.to_str().unwrap()]));
    assert_eq!(shown["recorded"]["pictures"], handed(&shown), "{shown}");
    assert_eq!(pictures(&probe(&there)), handed(&shown));
}

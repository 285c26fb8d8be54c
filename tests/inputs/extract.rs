//! `udpstream extract`: the sound that ffmpeg decodes, nothing overwritten, nothing half left behind.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::program::{Run, file, film, noise, small, udpstream};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/sample.mp4");
/// Bytes before the first sample of a plain WAV file.
const HEADER: usize = 44;

fn extract(arguments: &[&str]) -> Run {
    udpstream([&["extract"], arguments].concat())
}

/// What ffmpeg makes of a file's first track, as bytes.
fn decoded(path: &str, more: &[&str]) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i", path, "-map", "0:a:0"]).args(more);
    command.args(["-ac", "2", "-ar", "44100", "-f", "s16le", "-"]).output().unwrap().stdout
}

/// The samples of a WAV file, as bytes, whose header counts them rightly.
fn samples(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!((&bytes[..4], &bytes[8..16], &bytes[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
    assert_eq!((number(4), number(24), number(40)), (bytes.len() - 8, 44_100, bytes.len() - HEADER));
    assert_eq!(bytes[20..24], [1, 0, 2, 0], "PCM, stereo");
    bytes[HEADER..].to_vec()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    names.into_iter().map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn the_file_holds_what_ffmpeg_decodes() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("sound.wav");
    let out = wav.to_str().unwrap();
    let other = "-f lavfi -i aevalsrc=0.4*sin(2*PI*(300+90*t)*t):s=32000:d=3.4 -c:a flac";
    for clip in [SAMPLE, &film(folder.path(), "other.mka", other)] {
        let meant = decoded(clip, &[]);
        let (seconds, size) = (meant.len() as f64 / 176_400.0, (meant.len() + HEADER) as f64 / 1e6);
        let said = format!("{seconds:.1} s of sound (");
        let end = extract(&[clip, "-o", out, "--force"]).end();
        end.says(0, &["Wrote ", &said, "), ", &format!("{size:.1} MB.")]);
        assert!(samples(&wav) == meant, "sample by sample");
        extract(&[clip, "-o", out, "--force", "--audio-gain", "-6", "-q"]).end().says(0, &[]);
        assert!(samples(&wav) == decoded(clip, &["-af", "volume=-6dB"]), "softer, over what was there");
        extract(&[clip, "-o", out, "--force", "--mono"]).end().says(0, &[" mono"]);
        assert!(samples(&wav).as_chunks::<4>().0.iter().all(|frame| frame[..2] == frame[2..]), "both sides alike");
    }
    let kept = folder.path().join("other.mka");
    fs::remove_file(kept).unwrap();
    let film = folder.path().join("my film.mp4");
    fs::copy(SAMPLE, &film).unwrap();
    extract(&[film.to_str().unwrap()]).end().says(0, &["my film.wav"]);
    assert_eq!(names(folder.path()), ["my film.mp4", "my film.wav", "sound.wav"]);
}

#[test]
fn what_cannot_be_done_is_said_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mute = film(at, "mute.mp4", &small(5));
    let noise = file(at, "noise.mp4", &noise(40_000));
    let there = file(at, "there.wav", b"precious");
    let new = at.join("new.wav").to_str().unwrap().to_owned();
    let missing = at.join("missing/new.wav").to_str().unwrap().to_owned();
    let before = names(at);
    for (arguments, words) in [
        (&[SAMPLE, "-o", &there][..], "--force"),
        (&[&there, "--force"], "taken from"),
        (&[&mute, "-o", &new], "has no sound in it"),
        (&[&noise, "-o", &new], "is not a film"),
        (&["nothing.mp4", "-o", &new], "was not found"),
        (&[SAMPLE, "-o", &missing], "does not exist"),
        (&[SAMPLE, "-o", at.to_str().unwrap()], "folder"),
        (&[SAMPLE, "-o", "sound.mp3"], ".wav"),
        (&[SAMPLE, "-o", &new, "--audio-track", "1"], "0 (aac 48 kHz 5.1)"),
        (&[SAMPLE, "-o", "/dev/full", "--force"], "disk is full"),
        (&["test:"], "name a film"),
        (&["-"], "name a film"),
    ] {
        extract(arguments).end().one_sentence(1, &[words]);
    }
    assert_eq!(names(at), before);
    assert_eq!(fs::read(&there).unwrap(), b"precious");
}

#[test]
fn more_than_a_wav_file_holds_is_refused_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    // Eight hours at a rate so low that they are made in no time.
    let long = film(folder.path(), "long.wav", "-f lavfi -i anullsrc=r=100:cl=mono -t 28800 -c:a pcm_u8");
    let out = folder.path().join("sound.wav");
    let end = extract(&[&long, "-o", out.to_str().unwrap()]).end();
    end.one_sentence(1, &["lasts 8 h 0 min", "no more than 6 h 45 min"]);
    assert!(!out.exists());
}

#[test]
fn interrupted_it_keeps_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    // Five hours take longer to write than this test has patience.
    let long = film(folder.path(), "long.flac", "-f lavfi -i anoisesrc=r=8000:d=600:a=0.1 -c:a flac");
    assert!(long.ends_with("long.flac"));
    let list = "file 'long.flac'\n".repeat(30);
    let list = file(folder.path(), "list.ffconcat", format!("ffconcat version 1.0\n{list}").as_bytes());
    let out = folder.path().join("sound.wav");
    let program = extract(&[&list, "-o", out.to_str().unwrap()]).start();
    let partial = || names(folder.path()).into_iter().find(|name| name.ends_with(".part"));
    let grown = || {
        partial()
            .and_then(|name| fs::metadata(folder.path().join(name)).ok())
            .is_some_and(|part| part.len() > 1_000_000)
    };
    let until = Instant::now() + Duration::from_secs(25);
    while !grown() {
        assert!(Instant::now() < until, "nothing grows: {:?}", names(folder.path()));
        std::thread::yield_now();
    }
    program.signal(Signal::INT);
    program.end().says(0, &["Stopped: ", "holds the first "]);
    assert!(samples(&out).len() > 900_000);
    assert_eq!(names(folder.path()), ["list.ffconcat", "long.flac", "sound.wav"]);
}

//! Files that are no films, or not whole.

use std::fs;
use std::process::Command;

use super::program::{Run, file, film, noise, serve, shown, small, through};

#[test]
fn what_is_no_film_is_told_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let whole = fs::read(film(at, "whole.mp4", &small(20))).unwrap();
    let half = &whole[..whole.len() / 2];
    let words = file(at, "words.srt", b"1\n00:00:00,000 --> 00:00:02,000\nHello\n\n");
    let cases = [
        ("no-such-film.mp4".to_owned(), "was not found"),
        (format!("{}/inside", file(at, "a.mp4", &whole)), "was not found"),
        (file(at, "empty.mp4", b""), "is empty"),
        (file(at, "noise.mp4", &noise(40_000)), "moov atom not found"),
        (file(at, "noise", &noise(40_000)), "is not a film"),
        // ffmpeg would draw these as text of an old terminal.
        (file(at, "noise.bin", &noise(40_000)), "has no picture in it"),
        (file(at, "noise.nfo", b"Not a film but a page of text.\n"), "film"),
        (file(at, "half.mp4", half), "moov atom not found"),
        (file(at, "half.png", b"\x89PNG\r\n\x1a\n"), "film"),
        (words.clone(), "has no picture in it"),
        (film(at, "words.mkv", &format!("-i {words} -c copy")), "has no picture in it"),
        (film(at, "nothing.mp4", &format!("{} -t 0", small(20))), "has no picture in it"),
        (film(at, "nothing.avi", &format!("{} -t 0 -c:v mpeg4", small(20))), "has no picture in it"),
        (film(at, "nothing.mkv", &format!("{} -t 0", small(20))), "is not a film"),
        (film(at, "moving.webp", "-f lavfi -i testsrc2=size=160x120:rate=25 -frames:v 5"), "is an animated WebP"),
        ("/dev/null".to_owned(), "is not a film"),
    ];
    for (path, words) in cases {
        serve(&path, &[]).end().one_sentence(1, &[words]);
    }
}

#[test]
fn what_colours_the_words_of_ffmpeg_does_not_reach_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "noise.mp4", &noise(40_000));
    // The last one would also leave a file behind.
    for (name, value) in [("AV_LOG_FORCE_COLOR", "1"), ("AV_LOG_FORCE_256COLOR", "1"), ("FFREPORT", "level=48")] {
        let mut run = serve(&path, &[]);
        run.command().env(name, value).env("TERM", "xterm-256color");
        let ended = run.end();
        ended.one_sentence(1, &["(moov atom not found)"]);
        assert!(!ended.stderr[0].contains('\x1b'), "{name}: {:?}", ended.stderr);
    }
}

#[test]
fn a_file_that_refuses_to_be_read_is_named() {
    // Its length is 0, and nobody can read its first byte, not even root.
    if fs::metadata("/proc/self/mem").is_ok() {
        serve("/proc/self/mem", &[]).end().one_sentence(1, &["cannot be read"]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "secret.mp4", b"secret");
    let locked = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    fs::set_permissions(&path, locked).unwrap();
    if let Some(run) = as_nobody(&["serve", &path, "--port", "0"]) {
        run.end().one_sentence(1, &["cannot be read", "permission"]);
    }
}

#[test]
fn a_film_cut_in_the_middle_plays_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["film.mkv", "film.ts"] {
        let bytes = fs::read(film(folder.path(), name, &small(40))).unwrap();
        let cut = file(folder.path(), &format!("cut-{name}"), &bytes[..bytes.len() / 2]);
        let (_, summary) = shown(&cut, &[], &[]);
        let pictures = summary["pictures_shown"].as_u64().unwrap();
        assert!((2..40).contains(&pictures), "{name}: {summary}");
    }
}

/// The program as a user who may do nothing special; `None` where that cannot be had.
pub fn as_nobody(arguments: &[&str]) -> Option<Run> {
    if !rustix::process::geteuid().is_root() {
        return Some(through(&[], arguments));
    }
    let starter = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let tried = Command::new(starter[0]).args(&starter[1..]).args([env!("CARGO_BIN_EXE_udpstream"), "-V"]).output();
    // No setpriv here, or the build lies where only root may look.
    tried.is_ok_and(|tried| tried.status.success()).then(|| through(&starter, arguments))
}

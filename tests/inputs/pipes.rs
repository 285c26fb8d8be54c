//! What may come, or not come, on stdin.

use std::process::Stdio;

use rustix::process::Signal;

use super::program::{Program, noise, serve, watch};

const SIZE: (usize, usize) = (64, 48);
const FRAME: usize = SIZE.0 * SIZE.1 * 3 / 2 + 6;

/// YUV4MPEG2 of grey pictures.
fn y4m(pictures: usize) -> Vec<u8> {
    let mut bytes = format!("YUV4MPEG2 W{} H{} F25:1 C420 XCOLORRANGE=FULL\n", SIZE.0, SIZE.1).into_bytes();
    for _ in 0..pictures {
        bytes.extend_from_slice(b"FRAME\n");
        bytes.resize(bytes.len() + FRAME - 6, 128);
    }
    bytes
}

fn piped(more: &[&str]) -> Program {
    let mut run = serve("-", more);
    run.command().stdin(Stdio::piped());
    run.start()
}

fn fed(bytes: Vec<u8>, more: &[&str]) -> Program {
    let mut program = piped(more);
    program.feed(bytes);
    program
}

#[test]
fn a_pipe_without_a_film_is_told_in_one_sentence() {
    let header = b"YUV4MPEG2 W64 H48 F25:1 C420 XCOLORRANGE=FULL\n".to_vec();
    let not_whole = |bytes: &[u8], count: usize| bytes[..bytes.len() - count].to_vec();
    for (bytes, words) in [
        (Vec::new(), "standard input is empty"),
        (noise(40_000), "standard input is not a film"),
        (b"YUV4MPEG2 W64".to_vec(), "YUV4MPEG2"),
        (b"YUV4MPEG2 W0 H48 F25:1\n".to_vec(), "outside"),
        (b"YUV4MPEG2 Wx H48 F25:1\n".to_vec(), "bad width"),
        (not_whole(&y4m(1), 9), "in the middle of picture 0"),
        ([header, vec![b'x'; 9_000]].concat(), "does not begin with FRAME"),
    ] {
        fed(bytes, &[]).end().one_sentence(1, &[words]);
    }
}

#[test]
fn a_pipe_cut_within_a_picture_shows_what_was_whole() {
    for (whole, more) in [(5, &[][..]), (5, &["--pace", "file"]), (30, &[])] {
        let bytes = y4m(whole + 1);
        let server = fed(bytes[..bytes.len() - FRAME / 2].to_vec(), more);
        let watched = watch(&server.address(), &[]).end();
        assert_eq!(watched.summary()["pictures_shown"], whole, "{more:?}: {:?}", watched.stderr);
        let sentence = format!("in the middle of picture {whole}");
        watched.says(watched.code.unwrap(), &["The source failed", &sentence]);
        let served = server.end();
        served.says(1, &[&sentence]);
        assert_eq!(served.summary()["end"], "failed");
    }
}

#[test]
fn an_empty_pipe_can_be_interrupted() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut program = piped(&[]);
        let stdin = program.stdin.take();
        program.wait_until_it_waits();
        program.signal(signal);
        let ended = program.end();
        ended.says(0, &[]);
        assert_eq!(ended.stdout, [""; 0]);
        drop(stdin);
    }
}

#[test]
fn without_ffmpeg_films_cannot_be_read_but_pipes_can() {
    let nothing = tempfile::tempdir().unwrap();
    let mut run = serve(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/sample.mp4"), &[]);
    run.command().env("PATH", nothing.path());
    run.end().one_sentence(1, &["not installed", "ffmpeg"]);
    let mut run = serve("-", &[]);
    run.command().env("PATH", nothing.path()).stdin(Stdio::piped());
    let mut server = run.start();
    server.feed(y4m(12));
    let watched = watch(&server.address(), &[]).end();
    watched.says(0, &[]);
    assert_eq!(watched.summary()["pictures_shown"], 12);
    server.end().says(0, &[]);
}

#[test]
fn a_named_pipe_is_read_like_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let name = path.to_str().unwrap();
    serve(name, &["--loop"]).end().says(2, &["film.pipe", "--loop", "a pipe cannot"]);
    let film = std::fs::read(super::program::film(folder.path(), "film.ts", &super::program::small(25))).unwrap();
    for (bytes, pictures) in [(y4m(12), 12), (film, 25)] {
        let server = serve(name, &[]).start();
        let path = path.clone();
        let writer = std::thread::spawn(move || std::fs::write(path, bytes));
        let listening = server.event("listening");
        assert_eq!(listening["title"], name);
        let watched = watch(&format!("127.0.0.1:{}", listening["port"]), &[]).end();
        watched.says(0, &[]);
        assert_eq!(watched.summary()["pictures_shown"], pictures);
        server.end().says(0, &[]);
        writer.join().unwrap().unwrap();
    }
    // Nobody writes: it waits, and can be stopped.
    let program = serve(name, &[]).start();
    program.wait_until_it_waits();
    program.signal(Signal::INT);
    program.end().says(0, &[]);
}

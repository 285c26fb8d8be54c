//! Things that break on the way: the child, an address, an output.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread::spawn;

use rustix::process::{Signal, kill_process};

use super::program::{film, serve, small, udpstream, watch};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/sample.mp4");

#[test]
fn ffmpeg_dies_and_everybody_is_told() {
    let server = serve(SAMPLE, &["--loop"]).start();
    let watcher = watch(&server.address(), &[]).start();
    watcher.event("stats");
    let children = server.children();
    assert!(!children.is_empty());
    // The film goes round: there may be one more that waits for its turn.
    for child in children {
        kill_process(child, Signal::KILL).ok();
    }
    let served = server.end();
    served.says(1, &["ffmpeg stopped in the middle", "signal 9"]);
    assert_eq!(served.summary()["end"], "failed");
    let watched = watcher.end();
    watched.says(watched.code.unwrap(), &["The source failed: ", "signal 9"]);
}

/// A server that takes the call and never says a word.
fn silence() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, format!("http://me:secret@{address}/film.mp4?key=secret"))
}

#[test]
fn an_address_that_never_answers_is_given_up() {
    let (_listener, address) = silence();
    let ended = serve(&address, &[]).end();
    ended.one_sentence(1, &["did not answer within 10 s", "/film.mp4"]);
    ended.keeps("secret");
}

#[test]
fn an_address_that_refuses_is_told_in_one_sentence() {
    let (listener, address) = silence();
    drop(listener);
    for address in [address.as_str(), &address.replace("http:", "rtsp:"), "nonsense://secret@host/film.mp4"] {
        let ended = serve(address, &[]).end();
        ended.one_sentence(1, &["cannot be opened", "/film.mp4"]);
        ended.keeps("secret");
    }
}

/// A server that answers every call with `head` and `body`, from their beginning.
fn answering(head: &str, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = [format!("HTTP/1.0 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes(), body].concat();
    spawn(move || {
        for mut call in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            // Whoever hangs up has heard enough.
            spawn(move || call.read(&mut [0; 4_096]).and_then(|_| call.write_all(&answer)));
        }
    });
    format!("http://{address}/film.mp4?key=secret")
}

#[test]
fn a_server_that_lets_nobody_in_is_told_with_its_own_kind_of_address() {
    for (head, words) in [
        ("401 Unauthorized", "as in http://NAME:PASSWORD@HOST/"),
        ("403 Forbidden", "is forbidden by its server (Server returned 403 Forbidden"),
    ] {
        let ended = serve(&answering(head, Vec::new()), &[]).end();
        ended.one_sentence(1, &["/film.mp4", words]);
        ended.keeps("secret");
    }
}

#[test]
fn an_index_at_the_end_of_what_cannot_be_read_twice_is_named() {
    let folder = tempfile::tempdir().unwrap();
    // More than ffmpeg holds in memory.
    let noisy = "-f lavfi -i testsrc2=size=640x480:rate=25 -frames:v 20 -c:v libx264 -preset ultrafast -qp 5";
    let bytes = fs::read(film(folder.path(), "film.mp4", noisy)).unwrap();
    let ended = serve(&answering("200 OK", bytes.clone()), &[]).end();
    ended.one_sentence(1, &["/film.mp4 has its index at its end", "faststart"]);
    ended.keeps("secret");
    // One that is longer than what is looked at first, and one that may be shorter.
    let stuffing = [&[0, 0x20, 0, 0], &b"free"[..], &vec![0; 0x1f_fff8]].concat();
    let long = [&bytes[..0x20], &stuffing, &bytes[0x20..]].concat();
    for bytes in [bytes, long] {
        let mut run = serve("-", &[]);
        run.command().stdin(Stdio::piped());
        let mut program = run.start();
        program.feed(bytes);
        program.end().one_sentence(1, &["standard input has its index at its end", "faststart"]);
    }
}

#[test]
fn opening_an_address_can_be_interrupted() {
    for signal in [Signal::INT, Signal::TERM] {
        let (listener, address) = silence();
        let program = serve(&address, &[]).start();
        // ffprobe has called: now we wait for an answer.
        let _connection = listener.accept().unwrap();
        assert!(!program.children().is_empty());
        program.signal(signal);
        program.end().says(0, &[]);
    }
}

#[test]
fn whoever_reads_our_output_may_leave() {
    let mut server = serve("test:64x48@25", &[]).start();
    server.event("listening");
    server.hang_up();
    server.end().says(0, &[]);

    let server = serve("test:64x48@25", &[]).start();
    let mut watcher = watch(&server.address(), &[]).start();
    watcher.event("playing");
    watcher.hang_up();
    watcher.end().says(0, &[]);

    for arguments in [&["--help"][..], &["serve", "--help"], &["--version"]] {
        let mut program = udpstream(arguments).start();
        program.hang_up();
        program.end().says(0, &[]);
    }
    let folder = tempfile::tempdir().unwrap();
    let short = film(folder.path(), "short.mp4", &small(3));
    let mut program = udpstream(["serve", &short, "--no-wait", "--port", "0", "--bind", "127.0.0.1"]).start();
    program.hang_up();
    program.end().says(0, &[]);
}

#[test]
fn a_full_stderr_changes_no_exit_code() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else { return };
    for (arguments, code) in [(&["serve", "no-such-film.mp4"][..], 1), (&["serve", "x", "--nonsense"], 2)] {
        let mut run = udpstream(arguments);
        run.command().stderr(full.try_clone().unwrap());
        assert_eq!(run.end().code, Some(code), "{arguments:?}");
    }
    let mut run = serve("test:64x48@25", &["-vv", "--duration", "1", "--no-wait"]);
    run.command().stderr(full);
    assert_eq!(run.end().code, Some(0));
}

#[test]
fn a_snapshot_that_cannot_be_written_is_an_error() {
    let server = serve("test:64x48@25", &["--loop"]).start();
    let address = server.address();
    let (folder, nowhere) = (tempfile::tempdir().unwrap(), "/no/such/folder/shot.jpg".to_owned());
    let mut places = vec![nowhere, folder.path().to_str().unwrap().to_owned()];
    if OpenOptions::new().write(true).open("/dev/full").is_ok() {
        let full = folder.path().join("full.png");
        std::os::unix::fs::symlink("/dev/full", &full).unwrap();
        places.extend(["/dev/full".to_owned(), full.to_str().unwrap().to_owned()]);
    }
    for place in places {
        let ended = watch(&address, &["--frames", "3", "--snapshot", &place]).end();
        ended.says(1, &["could not be written", &place]);
    }
    let ended = watch(&address, &["--snapshot", "shot.gif"]).end();
    ended.says(2, &[".png", ".jpg"]);
    server.signal(Signal::INT);
    server.end().says(0, &[]);
}

#[test]
fn without_a_display_there_is_advice() {
    let mut run = udpstream(["watch", "127.0.0.1:9"]);
    run.command().env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").stdin(Stdio::null());
    run.end().says(1, &["--headless"]);
}

#[test]
fn nobody_there_to_watch() {
    let ended = udpstream(["watch", "127.0.0.1:9", "--headless", "--timeout", "1"]).end();
    ended.one_sentence(3, &["nothing was heard"]);
}

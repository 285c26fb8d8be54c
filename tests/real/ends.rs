//! How it ends: failures, a port in use, Ctrl-C.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::Value;

use crate::machine::measured;
use crate::program::{END, Film, SAMPLE, Server, Watcher, program, summary};

#[test]
fn every_failure_is_one_sentence_and_a_code() {
    let cases: &[(&[&str], i32, &str)] = &[
        (&["serve", "no-such-film.mp4"], 1, "was not found"),
        (&["serve", "--library", "/no/such/folder"], 2, "is no folder of films"),
        (&["serve", "/dev/null"], 1, ""),
        (&["serve", "test:0x0"], 2, "is not a test card"),
        (&["serve", SAMPLE, "--datagram", "100"], 2, "1200"),
        (&["serve", SAMPLE, "--quality", "0"], 2, "1 to 100"),
        (&["serve", "test:", "--bind", "192.0.2.1"], 1, "is not an address of this machine"),
        (&["watch", "no-such-host.invalid", "--headless"], 3, "no address is known"),
        (&["watch", "udp://239.1.2.3"], 2, "udp://@239.1.2.3"),
        (&["watch", SAMPLE], 2, "is a file"),
        (&["watch", "Cargo.toml"], 2, "udpstream serve Cargo.toml"),
        (&["watch", "127.0.0.1:9", "--headless", "--snapshot", "/no/folder/x.png"], 1, "no folder /no/folder"),
        (&["serve", "-", "--loop"], 2, "a pipe cannot"),
        (&["extract", SAMPLE, "-o", "-"], 1, "name a file"),
        (&["watch", "127.0.0.1:9", "--headless", "--timeout", "0.3"], 3, "nothing was heard"),
        (&["watch", "127.0.0.1:9", "--headless", "--duration", "0.3"], 3, ""),
        (&["watch", "--code", "K7QM-01AB-CDEF-GHJK-MNPQ"], 2, "HOST/CODE"),
        (&["sreve"], 2, "serve"),
    ];
    for (arguments, code, text) in cases {
        let output = program().args(*arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {said}");
        assert!(said.contains(text), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
    let mut no_display = program();
    no_display.args(["watch", "127.0.0.1:9"]).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    let output = no_display.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--headless"));
}

/// Its sound too is not held up by having nobody to go to.
#[test]
fn a_film_that_nobody_watches_ends_in_its_time() {
    let film = Film::clip();
    measured(|| {
        let server = Server::start(&[&film.path, "--no-wait"]);
        let begun = Instant::now();
        let (code, sent) = server.end(3 * END);
        let took = begun.elapsed().as_secs_f64();
        assert_eq!((code, &sent["end"]), (0, &Value::from("end")), "{sent}");
        // What a busy machine leaves out is counted.
        let count = |name: &str| sent[name].as_u64().unwrap();
        assert_eq!(count("pictures_unwatched") + count("pictures_skipped"), film.pictures, "{sent}");
        assert_eq!(count("pictures_sent"), 0, "{sent}");
        ensure!(count("pictures_skipped") == 0, "pictures were left out: {sent}");
        assert!(sent["audio"]["chunks"].as_u64() > Some(340), "two seconds of 172: {sent}");
        // Fewer than two seconds are left once it is known to listen, and to end takes a moment.
        ensure!((1.5..3.0).contains(&took), "two seconds took {took}");
        Ok(())
    });
}

#[test]
fn a_port_in_use_is_named() {
    let server = Server::start(&["test:"]);
    let port = server.port.to_string();
    let output = program().args(["serve", "test:", "--bind", "127.0.0.1", "--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is in use"));
}

#[test]
fn interrupting_the_server_ends_everybody_in_good_order() {
    measured(|| {
        let server = Server::start(&["test:320x180@25"]);
        let watcher = Watcher::start(&server.address());
        server.interrupt();
        let (code, sent) = server.end(END);
        assert_eq!((code, &sent["end"]), (0, &Value::from("interrupted")));
        let (code, shown) = watcher.end();
        assert_eq!((code, &shown["end"]), (0, &Value::from("end")));
        ensure!(shown["pictures_lost"] == 0, "{shown}");
        Ok(())
    });
}

#[test]
fn a_watcher_that_stood_still_finds_its_server_again() {
    let server = Server::start(&["test:320x180@25"]);
    let mut command = program();
    command.args(["watch", &server.address(), "--headless", "--stats", "json", "--timeout", "3", "--duration", "15"]);
    let mut watcher = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(watcher.stdout.take().unwrap());
    let signal = |name: &str| {
        assert!(Command::new("kill").args([name, &watcher.id().to_string()]).status().unwrap().success());
    };
    let mut text = String::new();
    while !text.contains("\"stats\"") {
        assert!(stdout.read_line(&mut text).unwrap() > 0, "it ended before its first figures: {text}");
    }
    signal("-STOP");
    // Longer than its own patience, and than the server's.
    std::thread::sleep(Duration::from_secs(4));
    signal("-CONT");
    stdout.read_to_string(&mut text).unwrap();
    assert!(watcher.wait().unwrap().success());
    let shown = summary(&text);
    assert_eq!((&shown["end"], &shown["reconnects"]), (&Value::from("limit"), &1.into()), "{shown}");
}

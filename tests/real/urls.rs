//! Addresses without an end, with their senders on this machine: HTTP, SRT, TCP and RTSP. They are lost, and are back by
//! themselves; what refuses is told in a sentence; passwords are told to nobody.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use anyhow::ensure;

use crate::cameras::{Camera, Feeder, USER, free_port, until_taken};
use crate::devices::{children, until_warning};
use crate::machine::measured;
use crate::program::{Server, figures, program, watch};

const END: Duration = Duration::from_secs(10);

/// Pictures that move, and sound. A card would be repeated five times a second.
fn is_seen_and_heard(server: &Server) {
    measured(|| {
        let seen = figures(&watch(&server.address(), &["--duration", "3", "--volume", "0"]));
        println!("{seen}");
        // Three seconds of 25 pictures and 172 chunks, less what it takes to join.
        ensure!(seen["pictures_shown"].as_u64() > Some(50), "{seen}");
        let [heard, lost] = ["chunks", "lost"].map(|name| seen["audio"][name].as_u64().unwrap());
        ensure!(heard > 300 && lost < heard / 20, "{seen}");
        Ok(())
    });
}

/// Serves `url`, to which `sender` sends; it is watched, killed, started again, and watched again.
fn comes_and_goes<Sender>(url: &str, sender: Sender, again: impl FnOnce() -> Sender) {
    let mut server = Server::start(&[url, "--no-wait"]);
    is_seen_and_heard(&server);
    drop(sender);
    let lost = until_warning(&mut server, "device-lost");
    assert!(lost["text"].as_str().unwrap().contains("check the network, and that its sender runs"), "{lost}");
    let sender = again();
    let back = until_warning(&mut server, "device-back");
    assert!(back["text"].as_str().unwrap().ends_with(" is back"), "{back}");
    is_seen_and_heard(&server);
    ends(server);
    drop(sender);
}

/// Ends as it should, and leaves no ffmpeg behind.
fn ends(server: Server) {
    let children = children(server.child.id());
    assert!(!children.is_empty());
    server.interrupt();
    assert_eq!(server.end(END).0, 0);
    // Whoever outlives his parent is given to another, and then is no longer in this list, so each is looked for by number.
    let command = |id: &String| std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let left: Vec<_> = children.iter().map(command).filter(|command| command.contains("ff")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn http_is_served_lost_and_back() {
    let camera = Camera::http(0);
    let port = camera.port;
    let url = format!("http://{USER}@127.0.0.1:{port}/live.ts?key=secret");
    comes_and_goes(&url, camera, || Camera::http(port));
}

#[test]
fn rtsp_is_served_lost_and_back() {
    let camera = Camera::rtsp(0);
    let port = camera.port;
    let url = format!("rtsp://{USER}@127.0.0.1:{port}/stream");
    comes_and_goes(&url, camera, || Camera::rtsp(port));
}

#[test]
fn rtsp_comes_as_datagrams_too() {
    let camera = Camera::rtsp_in_datagrams();
    let url = format!("rtsp://{USER}@127.0.0.1:{}/stream", camera.port);
    let server = Server::start(&[&url, "--no-wait"]);
    is_seen_and_heard(&server);
    ends(server);
}

/// Its sender serves a single caller, and ends with him.
#[test]
fn srt_is_served_lost_and_back() {
    let port = free_port();
    let sender = || Feeder::listening(&format!("-c:a aac -f mpegts srt://127.0.0.1:{port}?mode=listener"), port);
    comes_and_goes(&format!("srt://127.0.0.1:{port}"), sender(), sender);
}

/// Likewise.
#[test]
fn tcp_is_served_lost_and_back() {
    let port = free_port();
    let sender = || Feeder::listening(&format!("-c:a aac -f mpegts tcp://127.0.0.1:{port}?listen"), port);
    comes_and_goes(&format!("tcp://127.0.0.1:{port}"), sender(), sender);
}

#[test]
fn a_sender_that_calls_is_waited_for() {
    for (ours, theirs) in [("srt", "?mode=listener"), ("tcp", "?listen")].map(|(scheme, listens)| {
        let address = format!("{scheme}://127.0.0.1:{}", free_port());
        (format!("{address}{listens}"), address)
    }) {
        let port = theirs.rsplit(':').next().unwrap().parse().unwrap();
        let sender = std::thread::spawn(move || {
            until_taken(port);
            Feeder::start(&format!("-c:a aac -f mpegts {theirs}"))
        });
        let server = Server::start(&[&ours, "--no-wait"]);
        is_seen_and_heard(&server);
        ends(server);
        drop(sender.join().unwrap());
    }
}

/// Code and words of a `serve` that does not begin.
fn refused(url: &str) -> String {
    let output = program().args(["serve", url, "--port", "0", "--bind", "127.0.0.1"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    println!("{said}");
    assert_eq!((output.status.code(), output.stdout.len(), said.lines().count()), (Some(1), 0, 1), "{said}");
    assert!(!said.contains("secret"), "{said}");
    said
}

#[test]
fn whoever_is_not_there_or_refuses_is_told_in_a_sentence() {
    let nobody = free_port();
    for scheme in ["http", "rtsp", "tcp", "srt", "rtmp"] {
        let said = refused(&format!("{scheme}://me:secret@127.0.0.1:{nobody}/live?key=secret"));
        let address = format!("{scheme}://127.0.0.1:{nobody}/live cannot be opened (");
        assert!(said.contains(&address) && said.contains("check the address, the network"), "{said}");
    }
    let (http, rtsp, port) = (Camera::http(0), Camera::rtsp(0), free_port());
    let locked = format!("-c:a aac -f mpegts srt://127.0.0.1:{port}?mode=listener&passphrase=right-secret");
    let _srt = Feeder::listening(&locked, port);
    for (address, words) in [
        (format!("http://{USER}@127.0.0.1:{}/other.ts?key=secret", http.port), "404 Not Found"),
        (format!("http://127.0.0.1:{}/live.ts?key=secret", http.port), "NAME:PASSWORD@HOST"),
        (format!("http://me:other-secret@127.0.0.1:{}/live.ts", http.port), "NAME:PASSWORD@HOST"),
        (format!("rtsp://me:other-secret@127.0.0.1:{}/stream", rtsp.port), "NAME:PASSWORD@HOST"),
        (format!("srt://127.0.0.1:{port}?passphrase=other-secret"), "?passphrase=WORDS"),
        (format!("srt://127.0.0.1:{port}?streamid=secret"), "?passphrase=WORDS"),
        // What ffmpeg makes of the address and the list is as secret as the address.
        (format!("http://{USER}@127.0.0.1:{}/list.m3u8?key=secret", http.port), "/one.ts"),
    ] {
        let said = refused(&address);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn passwords_are_told_to_nobody() {
    let camera = Camera::http(0);
    let url = format!("http://{USER}@127.0.0.1:{}/live.ts?key=secret#secret", camera.port);
    let mut command = Server::command(&[&url, "--no-wait", "-vv"]);
    command.stderr(Stdio::piped());
    let mut server = Server::spawn(command);
    // Read meanwhile: what is said with -vv is more than a pipe holds.
    let mut stderr = server.child.stderr.take().unwrap();
    let stderr = std::thread::spawn(move || {
        let mut said = Vec::new();
        stderr.read_to_end(&mut said).map(|_| said).unwrap()
    });
    let watched = watch(&server.address(), &["--frames", "10", "-vv"]);
    drop(camera);
    let lost = until_warning(&mut server, "device-lost");
    server.interrupt();
    let mut said = [watched.stdout, watched.stderr].concat();
    server.stdout.read_to_end(&mut said).unwrap();
    said.extend(stderr.join().unwrap());
    let said = String::from_utf8(said).unwrap() + &lost.to_string();
    assert!(said.contains("127.0.0.1") && said.contains("/live.ts"), "{said}");
    assert!(!said.contains("secret") && !said.contains("me:"), "{said}");
}

//! TCP, where UDP is closed: by a firewall, by a server that does not listen there, by a tunnel; a reader that stalls; and strangers who
//! hold connections, or lie about lengths.
#![expect(clippy::disallowed_types, reason = "strangers and tunnels know nothing of this program")]

use std::fs;
use std::io::{BufRead, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::spawn;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use serde_json::Value;

use crate::machine::measured;
use crate::program::{END, Server, Watcher, program, summary};

/// A picture is there within so long after `watch`, ms: TCP is tried after 1 500.
const PICTURE: f64 = 3_000.0;

fn watched(mut command: Command) -> Value {
    let output = command.stderr(Stdio::null()).output().unwrap();
    summary(&String::from_utf8_lossy(&output.stdout))
}

fn watch(address: &str, frames: &str, more: &[&str]) -> Value {
    let mut command = program();
    command.args(["watch", address, "--headless", "--stats", "json", "--frames", frames, "--timeout", "6"]).args(more);
    watched(command)
}

fn number(fields: &Value, name: &str) -> f64 {
    fields[name].as_f64().unwrap_or_else(|| panic!("no {name}: {fields}"))
}

/// Whether a server lists a stream of this name.
fn lists(server: &str, name: &str) -> bool {
    let listed = program().args(["ls", server, "--json", "--timeout", "5"]).stderr(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&listed.stdout).contains(&format!("\"{name}\""))
}

#[test]
fn a_server_without_udp_is_watched_over_tcp_by_itself_and_sound_comes_along() {
    let server = Server::start(&["test:320x240@25", "--no-udp"]);
    measured(|| {
        let seen = watch(&server.address(), "25", &[]);
        assert_eq!((&seen["transport"], &seen["pictures_lost"]), (&"tcp".into(), &0.into()), "{seen}");
        let first = number(&seen, "first_picture_ms");
        assert!(first > 1_400.0, "UDP was waited for: {first} ms");
        ensure!(first < PICTURE, "{first} ms");
        Ok(())
    });
    let film = Server::start(&[crate::program::SAMPLE, "--no-udp", "--audio-port", "0", "--loop"]);
    let seen = watch(&format!("tcp://{}", film.address()), "30", &[]);
    assert!(number(&seen["audio"], "chunks") > 100.0, "{seen}");
    assert_eq!(seen["audio"]["lost"], 0, "{seen}");
    assert!(lists(&film.address(), "sample"));
}

#[test]
fn who_is_to_use_tcp_alone_or_udp_alone_does() {
    let server = Server::start(&["test:160x96@25", "--no-tcp"]);
    let seen = watch(&server.address(), "5", &[]);
    assert_eq!(seen["transport"], "udp", "{seen}");
    let refused = watch(&format!("tcp://{}", server.address()), "5", &[]);
    assert_eq!(refused["pictures_shown"], 0, "{refused}");
    let both = Server::start(&["test:160x96@25"]);
    for (way, transport) in [
        ("--transport=tcp", "tcp"),
        ("--transport=udp", "udp"),
        ("--transport=auto", "udp"),
        ("--transport=tcp+udp", "tcp+udp"),
    ] {
        let seen = watch(&both.address(), "15", &[way]);
        assert_eq!((&seen["transport"], &seen["pictures_shown"]), (&transport.into(), &15.into()), "{seen}");
    }
}

/// A network of its own with a firewall that lets no UDP in; `None` where this may not be made.
struct Walled(String);

impl Walled {
    fn new() -> Option<Self> {
        let walled = Self(format!("udpstream-wall{}", std::process::id()));
        let done = |words: &[&str]| {
            let output = Command::new(words[0]).args(&words[1..]).output();
            output.is_ok_and(|output| output.status.success())
        };
        if !done(&["ip", "netns", "add", &walled.0]) {
            return None;
        }
        let inside = |words: &[&str]| done(&[&["ip", "netns", "exec", &walled.0][..], words].concat());
        let made = inside(&["ip", "link", "set", "lo", "up"])
            && inside(&["nft", "add", "table", "inet", "wall"])
            && inside(&["nft", "add", "chain", "inet", "wall", "in", "{ type filter hook input priority 0; }"])
            && inside(&["nft", "add", "rule", "inet", "wall", "in", "meta", "l4proto", "udp", "drop"]);
        made.then_some(walled)
    }

    fn run(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program().get_program()).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// UDP gets through again.
    fn open(&self) {
        let flushed = Command::new("ip").args(["netns", "exec", &self.0, "nft", "flush", "ruleset"]).status();
        assert!(flushed.is_ok_and(|status| status.success()));
    }
}

impl Drop for Walled {
    fn drop(&mut self) {
        Command::new("ip").args(["netns", "del", &self.0]).status().ok();
    }
}

#[test]
fn behind_a_firewall_a_picture_is_there_within_three_seconds_and_udp_is_taken_when_it_opens() {
    let Some(walled) = Walled::new() else {
        println!("skipped: networks and firewalls may not be made here");
        return;
    };
    let served = ["serve", "test:160x96@25", "--stats", "json", "--bind", "127.0.0.1", "--port", "0"];
    let server = Server::spawn(walled.run(&served));
    let address = server.address();
    measured(|| {
        let arguments = ["watch", &address, "--headless", "--stats", "json", "--frames", "25"];
        let seen = watched(walled.run(&arguments));
        assert_eq!((&seen["transport"], &seen["pictures_lost"]), (&"tcp".into(), &0.into()), "{seen}");
        let first = number(&seen, "first_picture_ms");
        ensure!(first < PICTURE, "{first} ms");
        Ok(())
    });
    let arguments = ["watch", &address, "--headless", "--stats", "json", "--duration", "25"];
    let mut watcher = walled.run(&arguments);
    let mut watcher = Watcher::spawn(watcher.stdout(Stdio::piped()).stderr(Stdio::null()));
    walled.open();
    let mut line = String::new();
    let begun = Instant::now();
    // It asks again after ten seconds.
    while !line.contains("\"transport\":\"udp\"") {
        line.clear();
        assert!(watcher.stdout.read_line(&mut line).unwrap() > 0 && begun.elapsed() < 2 * END, "still over TCP");
    }
    watcher.child.kill().ok();
}

/// The figures of the next second in which pictures were shown that are as wanted.
fn second(watcher: &mut Watcher, is_wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    for _ in 0..20 {
        let mut line = String::new();
        ensure!(watcher.stdout.read_line(&mut line)? > 0, "the watcher ended");
        let fields: Value = serde_json::from_str(&line)?;
        if fields["event"] == "stats" && fields["latency_ms"]["n"].as_u64() > Some(0) && is_wanted(&fields) {
            return Ok(fields);
        }
    }
    anyhow::bail!("no such second in twenty")
}

#[test]
fn a_watcher_that_stood_still_for_five_seconds_keeps_its_session_and_is_not_behind() {
    let server = Server::start(&["test:640x360@25"]);
    measured(|| {
        let mut watcher = Watcher::start(&format!("tcp://{}", server.address()));
        let pid = Pid::from_raw(watcher.child.id() as i32).context("a process")?;
        second(&mut watcher, |fields| fields["pictures_shown"].as_u64() > Some(40))?;
        kill_process(pid, Signal::STOP)?;
        std::thread::sleep(Duration::from_secs(5));
        kill_process(pid, Signal::CONT)?;
        // What was on its way is shown first: two pictures. Their ages tell how many they are; a second can end between them.
        let mut after = second(&mut watcher, |fields| fields["latency_ms"]["max"].as_f64() > Some(4_000.0))?;
        let (mut held, mut seconds) = (0.0, 0);
        while number(&after["latency_ms"], "p95") > 80.0 {
            held += number(&after["latency_ms"], "mean") * number(&after["latency_ms"], "n") / 5_000.0;
            seconds += 1;
            ensure!(held < 5.0 && seconds < 3, "{held:.1} pictures were held, shown in {seconds} seconds: {after}");
            after = second(&mut watcher, |_| true)?;
        }
        assert_eq!(after["reconnects"], 0, "{after}");
        Ok(())
    });
}

#[test]
fn a_broadcast_goes_through_tcp_on_every_hop() {
    let hub = Server::start(&["--accept-publishers=4", "--no-udp", "--audio-port", "0"]);
    let place = format!("tcp://{}", hub.address());
    let mut publisher = program();
    publisher.args(["publish", &place, "test:160x96@25", "--public", "--name", "yard", "--stats", "json"]);
    let mut publisher = publisher.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut relay = program();
    relay.args(["relay", &place, "--stats", "json", "--bind", "127.0.0.1", "--port", "0", "--audio-port", "0"]);
    let relay = Server::spawn(relay);
    let begun = Instant::now();
    while !lists(&relay.address(), "yard") {
        assert!(begun.elapsed() < END, "the relay does not list it");
        std::thread::sleep(Duration::from_millis(50));
    }
    let seen = watch(&format!("{}/yard", relay.address()), "25", &["--transport", "tcp"]);
    publisher.kill().ok();
    publisher.wait().ok();
    assert_eq!((&seen["pictures_shown"], &seen["transport"]), (&25.into(), &"tcp".into()), "{seen}");
    assert_eq!(seen["pictures_damaged"], 0, "{seen}");
}

/// What `ssh -L` does: each connection to us goes on to `there`.
fn tunnel(there: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap();
    spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(there) else { continue };
            for (mut from, mut to) in
                [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far.try_clone().unwrap(), near)]
            {
                spawn(move || {
                    std::io::copy(&mut from, &mut to).ok();
                    to.shutdown(Shutdown::Both).ok();
                });
            }
        }
    });
    here
}

#[test]
fn a_tunnel_is_a_way_like_any_other() {
    let server = Server::start(&["test:320x240@25"]);
    let through = tunnel(server.address().parse().unwrap());
    let seen = watch(&format!("tcp://{through}"), "25", &[]);
    assert_eq!((&seen["pictures_shown"], &seen["pictures_damaged"]), (&25.into(), &0.into()), "{seen}");
}

/// Memory in use, kB.
fn memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Whether the server has closed this connection.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(END)).unwrap();
    match stream.read(&mut [0; 64]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn strangers_who_hold_connections_cost_watchers_nothing() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).ok();
    let server = Server::start(&["test:160x96@25"]);
    let before = memory(&server);
    let most = limit.maximum.map_or(4_000, |most| (most / 2).min(4_000)) as usize;
    // One who watches sees every picture meanwhile.
    let address = format!("tcp://{}", server.address());
    let watched = spawn(move || watch(&address, "100", &[]));
    let mut held = Vec::new();
    for n in 0..10_000 {
        let Ok(mut stream) = TcpStream::connect(server.address()) else { continue };
        // A length of 4 GiB; the beginning of a datagram, which never ends; and nothing at all.
        match n % 3 {
            0 => drop(stream.write_all(&[u8::MAX; 4])),
            1 => drop(stream.write_all(&[0, 0, 255, 0, b'U', b'S', 1])),
            _ => {}
        }
        held.push(stream);
        if held.len() > most {
            held.remove(0);
        }
    }
    let after = memory(&server);
    let seen = watched.join().unwrap();
    assert_eq!((&seen["pictures_shown"], &seen["pictures_lost"]), (&100.into(), &0.into()), "{seen}");
    assert!(after < before + 24_000, "{before} kB before, {after} kB after");
    // And one who comes now gets in at once.
    let late = watch(&format!("tcp://{}", server.address()), "5", &[]);
    assert_eq!(late["pictures_shown"], 5, "{late}");
    assert!(held.iter().rev().step_by(97).take(12).all(is_closed), "those who say nothing are shown out");
}

#[test]
fn lengths_that_cannot_be_end_the_connection_at_once() {
    let server = Server::start(&["test:160x96@25"]);
    for length in [u32::MAX, 1 << 30, 65_489, 15, 0] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(&length.to_be_bytes()).unwrap();
        measured(|| {
            let begun = Instant::now();
            assert!(is_closed(&stream), "{length}");
            ensure!(begun.elapsed() < Duration::from_secs(4), "{length}: after {:?}", begun.elapsed());
            Ok(())
        });
    }
}

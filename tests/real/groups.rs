//! Multicast on the loopback interface: IPv4 and IPv6, many receivers of one stream of datagrams, several senders, and what is
//! said where nothing comes.

#![expect(clippy::disallowed_types, reason = "what comes to a group is read as it is")]

use std::io::{BufRead as _, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use udpstream::wire::{Hop, Kind};

use crate::machine::measured;
use crate::program::{END, Server, figures, handed, program, summary, wait, watch};

/// A group of this run's own, on a port that nobody has.
fn group(n: u8, v6: bool) -> SocketAddr {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let own = std::process::id();
    let ip = if v6 {
        IpAddr::from(Ipv6Addr::new(0xff15, 0, 0, 0, 0, u16::from(n), (own >> 16) as u16, own as u16))
    } else {
        IpAddr::from(Ipv4Addr::new(239, 200 + n, (own >> 8) as u8, own as u8))
    };
    SocketAddr::new(ip, port)
}

/// An interface over which a group of this family is heard on the machine that sends to it: the loopback, or for IPv6, which has no
/// way to groups there, another one. `None`: there is none.
fn interface(v6: bool) -> Option<String> {
    if !v6 {
        return Some("lo".to_owned());
    }
    let routes = std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let groups = routes.lines().filter(|line| line.starts_with("ff00000000000000000000000000000"));
    let found = groups.filter_map(|line| line.split_whitespace().last().map(str::to_owned)).next();
    if found.is_none() {
        println!("nothing is known of IPv6: no interface has a way to its groups");
    }
    found
}

/// Both families, each with a group and an interface, as far as there is one.
fn families(n: u8) -> impl Iterator<Item = (SocketAddr, String)> {
    [false, true].into_iter().filter_map(move |v6| Some((group(n, v6), interface(v6)?)))
}

/// A server that sends the test card to a group.
fn serve_on(interface: &str, group: SocketAddr, more: &[&str]) -> Server {
    let group = group.to_string();
    Server::start(&[&["test:160x96@25", "--multicast", &group, "--interface", interface][..], more].concat())
}

/// The same on the loopback.
fn serve(group: SocketAddr, more: &[&str]) -> Server {
    serve_on("lo", group, more)
}

fn url(group: SocketAddr) -> String {
    format!("udp://@{group}")
}

const LISTEN: [&str; 2] = ["--interface", "lo"];

#[test]
fn a_group_is_watched_beside_unicast() {
    for (group, interface) in families(1) {
        let server = serve_on(&interface, group, &[]);
        let shown = figures(&watch(&url(group), &["--interface", &interface, "--frames", "30"]));
        assert_eq!((handed(&shown), &shown["end"]), (30, &"limit".into()), "{shown}");
        assert_eq!((&shown["rtt_ms"], &shown["latency_ms"]), (&Value::Null, &Value::Null), "nobody was asked: {shown}");
        assert!(shown["parity_datagrams"].as_u64().unwrap() > 0 && shown["nacks"] == 0, "{shown}");
        let unicast = figures(&watch(&server.address(), &["--frames", "10"]));
        assert_eq!(handed(&unicast), 10);
    }
}

/// A socket in the group that misses nothing of what is sent from now on.
fn listener(group: SocketAddr, interface: &str) -> UdpSocket {
    let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_recv_buffer_size(1 << 20).unwrap();
    socket.bind(&group.into()).unwrap();
    match group.ip() {
        IpAddr::V4(ip) => socket.join_multicast_v4(&ip, &Ipv4Addr::LOCALHOST).unwrap(),
        IpAddr::V6(ip) => socket.join_multicast_v6(&ip, index(interface)).unwrap(),
    }
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

fn index(interface: &str) -> u32 {
    std::fs::read_to_string(format!("/sys/class/net/{interface}/ifindex")).unwrap().trim().parse().unwrap()
}

/// What came to one of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Came {
    bytes: u64,
    parity: u64,
    /// Numbers of the hop sequence that came, and the last of them.
    numbers: u64,
    last: u64,
    goodbyes: u64,
}

impl Came {
    fn take(&mut self, bytes: &[u8]) {
        let (hop, _) = Hop::parse(bytes).expect("the group is ours alone");
        assert_eq!(hop.tag, 0);
        self.bytes += bytes.len() as u64;
        if hop.kind.is_sequenced() {
            self.numbers += 1;
            self.last = u64::from(hop.sequence);
        }
        match hop.kind {
            Kind::PARITY => self.parity += bytes.len() as u64,
            Kind::BYE => self.goodbyes += 1,
            Kind::OBJECT | Kind::UPDATE => {}
            other => panic!("{other:?} in a group"),
        }
    }
}

#[test]
fn fifty_receivers_get_what_is_sent_once() {
    for (group, interface) in families(2) {
        measured(|| {
            let sockets: Vec<UdpSocket> = (0..50).map(|_| listener(group, &interface)).collect();
            let mut server = serve_on(&interface, group, &["--frames", "50", "--datagram", "1200"]);
            let mut came = vec![Came::default(); sockets.len()];
            let (begun, mut buffer) = (Instant::now(), vec![0; 65_536]);
            while server.child.try_wait()?.is_none() {
                assert!(begun.elapsed() < END, "it does not end");
                take_all(&sockets, &mut came, &mut buffer);
                std::thread::sleep(Duration::from_millis(2));
            }
            take_all(&sockets, &mut came, &mut buffer);
            let (code, sent) = server.end(END);
            assert_eq!((code, sent["pictures_sent"].as_u64()), (0, Some(50)), "{sent}");
            for one in &came {
                ensure!(one.numbers == one.last + 1, "a socket was full: {one:?}");
                ensure!(*one == came[0], "{one:?} and {:?}", came[0]);
            }
            let one = &came[0];
            // One receiver's objects and the parity that was asked for are all that the sender ever sent.
            assert_eq!(sent["bytes"].as_u64(), Some(one.bytes), "{one:?} {sent}");
            let objects = one.bytes - one.parity;
            assert!(one.parity * 100 > objects * 8 && one.parity * 100 < objects * 60, "{one:?}");
            assert!(one.goodbyes >= 8, "{one:?}");
            Ok(())
        });
    }
}

fn take_all(sockets: &[UdpSocket], came: &mut [Came], buffer: &mut [u8]) {
    for (socket, came) in sockets.iter().zip(came) {
        while let Ok((length, _)) = socket.recv_from(buffer) {
            came.take(&buffer[..length]);
        }
    }
}

#[test]
fn the_stream_ends_for_all_who_listen() {
    let group = group(3, false);
    let server = serve(group, &["--frames", "75"]);
    let output = watch(&url(group), &LISTEN);
    let shown = figures(&output);
    assert_eq!(shown["end"], "end", "{shown}");
    assert_eq!(shown["pictures_lost"].as_u64().unwrap() + shown["pictures_damaged"].as_u64().unwrap(), 0, "{shown}");
    let (code, sent) = server.end(END);
    assert_eq!(code, 0, "{sent}");
}

#[test]
fn a_server_and_those_who_listen_share_a_port_in_either_order_and_two_servers_do_not() {
    let group = group(4, false);
    let port = group.port().to_string();
    let mut early = program();
    let command = early.args(["watch", &url(group), "--headless", "--stats", "json", "--frames", "10"]).args(LISTEN);
    let mut early = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_members(group, 1, || early.try_wait().unwrap().is_none());
    let start = |port: &str| {
        let arguments = ["serve", "test:160x96@25", "--stats", "json", "--duration", "8", "--port", port];
        let mut command = program();
        command.args(arguments).args(["--multicast", &group.to_string(), "--interface", "lo"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut server = start(&port);
    let mut text = String::new();
    early.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((early.wait().unwrap().code(), handed(&summary(&text))), (Some(0), 10), "{text}");
    let late = figures(&watch(&url(group), &[&LISTEN[..], &["--frames", "10"]].concat()));
    assert_eq!(handed(&late), 10);
    let mut second = start(&port);
    let mut said = String::new();
    second.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("in use"), "{said}");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn two_senders_on_a_group_are_told_apart_and_said() {
    let group = group(5, false);
    let first = serve(group, &["--title", "first"]);
    let mut watcher = program();
    let command =
        watcher.args(["watch", &url(group), "--headless", "--stats", "json", "--duration", "20"]).args(LISTEN);
    let mut watcher = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = std::io::BufReader::new(watcher.stdout.take().unwrap()).lines();
    let mut next = |event: &str| -> Value {
        loop {
            let line = lines.next().unwrap_or_else(|| panic!("no {event}")).unwrap();
            let value: Value = serde_json::from_str(&line).unwrap();
            if value["event"] == event {
                return value;
            }
        }
    };
    assert_eq!(next("playing")["title"], "first");
    let second = serve(group, &["--title", "second"]);
    let warning = next("warning");
    assert_eq!(warning["code"], "another_sender", "{warning}");
    assert!(warning["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{warning}");
    drop(first);
    assert_eq!(next("playing")["title"], "second", "the first was killed");
    drop(second);
    watcher.kill().unwrap();
    watcher.wait().unwrap();
}

#[test]
fn a_source_that_was_named_is_the_only_one_heard() {
    for (any, interface) in families(6) {
        let ip = if any.is_ipv6() { "ff35::8000:7" } else { "232.1.2.3" };
        let group = SocketAddr::new(ip.parse().unwrap(), any.port());
        let _server = serve_on(&interface, group, &[]);
        let own = source(group, &interface);
        let listen = ["--interface", &interface];
        let shown = figures(&watch(&format!("udp://{own}@{group}"), &[&listen[..], &["--frames", "10"]].concat()));
        assert_eq!(handed(&shown), 10);
        let other = if any.is_ipv6() { "[fd00::77]" } else { "127.0.0.77" };
        let nothing = watch(&format!("udp://{other}@{group}"), &[&listen[..], &["--timeout", "1"]].concat());
        assert_eq!(nothing.status.code(), Some(3), "{}", String::from_utf8_lossy(&nothing.stdout));
    }
}

/// Where what is sent to a group comes from, as people write it.
fn source(group: SocketAddr, interface: &str) -> String {
    if group.is_ipv4() {
        return "127.0.0.1".to_owned();
    }
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
    socket.set_multicast_if_v6(index(interface)).unwrap();
    socket.connect(&group.into()).unwrap();
    format!("[{}]", socket.local_addr().unwrap().as_socket_ipv6().unwrap().ip())
}

#[test]
fn what_cannot_be_is_said_in_a_sentence() {
    let nobody = url(group(7, false));
    let silent = watch(&nobody, &[&LISTEN[..], &["--timeout", "2"]].concat());
    let said = String::from_utf8_lossy(&silent.stderr).into_owned();
    assert_eq!(silent.status.code(), Some(3), "{said}");
    assert!(said.contains("Nothing is heard on udp://@239.") && said.contains("IGMP"), "{said}");
    for (arguments, code, part) in [
        (&["serve", "test:", "--multicast", "robot"][..], 2, "239.1.2.3"),
        (&["serve", "test:", "--port", "0", "--multicast", "10.9.8.7"], 2, "neither a group nor a broadcast address"),
        (&["serve", "test:", "--port", "0", "--multicast", "239.1.2.3", "--interface", "no-such"], 2, "no-such"),
        (&["serve", "test:", "--port", "0", "--multicast", "[ff02::7%no-such]:9"], 2, "is called no-such"),
        (&["serve", "test:", "--multicast", "auto", "--code", "new"], 2, "for everybody"),
        (&["serve", "test:", "--multicast", "auto", "--fec", "60%"], 2, "0% to 50%"),
        (&["watch", "udp://@239.1.2.3/lobby"], 2, "one stream"),
        (&["watch", "udp://robot@239.1.2.3"], 2, "sender"),
        (&["watch", "robot", "--interface", "lo"], 2, "group"),
        (&["watch", "udp://@239.1.2.3", "--headless", "--interface", "no-such"], 2, "no-such"),
        (&["watch", "udp://@[ff02::7%no-such]:9", "--headless"], 2, "is called no-such"),
        (&["watch", "udp://@bad"], 2, "'udp://@bad'"),
        (&["ls", "udp://@239.1.2.3"], 2, "is a group"),
    ] {
        let output = program().args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.contains(part)), (Some(code), true), "{arguments:?}: {said}");
    }
}

#[test]
fn a_group_of_a_link_is_sent_to_and_watched_by_the_interface_in_its_address() {
    let Some(interface) = interface(true) else { return };
    let port = group(11, true).port();
    let scoped = format!("[ff02::{:x}%{interface}]:{port}", std::process::id() & 0xffff | 0x100);
    let _server = Server::start(&["test:160x96@25", "--multicast", &scoped]);
    let shown = figures(&watch(&format!("udp://@{scoped}"), &["--frames", "20"]));
    assert_eq!(handed(&shown), 20, "{shown}");
    let plain = scoped.replace(&format!("%{interface}"), "");
    let shown = figures(&watch(&format!("udp://@{plain}"), &["--interface", &interface, "--frames", "20"]));
    assert_eq!(handed(&shown), 20, "{shown}");
}

/// How many sockets of this machine are in the group, which is one of IPv4.
fn members(group: SocketAddr) -> usize {
    let IpAddr::V4(ip) = group.ip() else { panic!("IPv4") };
    // The kernel writes a group as its bytes stand in memory.
    let written = format!("{:08X}", u32::from_ne_bytes(ip.octets()));
    let table = std::fs::read_to_string("/proc/net/igmp").unwrap();
    let lines = table.lines().filter_map(|line| line.trim_start().strip_prefix(&written));
    lines.filter_map(|rest| rest.split_whitespace().next()?.parse::<usize>().ok()).sum()
}

/// Waits until so many are in the group, as long as `goes_on`.
fn wait_for_members(group: SocketAddr, count: usize, mut goes_on: impl FnMut() -> bool) {
    let begun = Instant::now();
    while members(group) < count {
        assert!(begun.elapsed() < END && goes_on(), "{} of {count} are in the group", members(group));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_group_is_left_when_watching_ends() {
    let group = group(8, false);
    let _server = serve(group, &[]);
    let arguments = ["watch", &url(group), "--headless", "--stats", "json", "--frames", "25"];
    let mut watcher =
        program().args(arguments).args(LISTEN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_members(group, 1, || watcher.try_wait().unwrap().is_none());
    assert_eq!(wait(&mut watcher, END), 0);
    assert_eq!(members(group), 0);
}

/// A running relay, and its port.
fn relay(arguments: &[&str]) -> (Running, u64) {
    let mut command = program();
    command.args(["relay", "--port", "0", "--audio-port", "0", "--stats", "json", "--duration", "60"]).args(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let listening: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(listening["event"], "listening");
    (Running { child, _stdout: stdout }, listening["port"].as_u64().unwrap())
}

/// Ends with its test.
struct Running {
    child: std::process::Child,
    _stdout: std::io::BufReader<std::process::ChildStdout>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_relay_takes_a_group_to_those_who_ask_and_a_stream_to_a_group() {
    let (first, second) = (group(9, false), group(10, false));
    let server = serve(first, &["--title", "through"]);
    let (_down, port) = relay(&[&url(first), "--listen-interface", "lo"]);
    let below = format!("127.0.0.1:{port}");
    let shown = figures(&watch(&below, &["--frames", "40"]));
    assert_eq!(handed(&shown), 40);
    assert!(shown["audio"]["chunks"].as_u64().unwrap() > 50, "{shown}");
    assert_eq!(shown["relays"].as_array().unwrap().len(), 1, "{shown}");
    // And from that relay by another one to a second group.
    let (_up, _) = relay(&[&format!("{below}/group"), "--multicast", &second.to_string(), "--interface", "lo"]);
    let shown = figures(&watch(&url(second), &[&LISTEN[..], &["--frames", "40"]].concat()));
    assert_eq!((handed(&shown), shown["pictures_damaged"].as_u64()), (40, Some(0)), "{shown}");
    assert!(shown["audio"]["chunks"].as_u64().unwrap() > 50 && shown["parity_datagrams"].as_u64() > Some(0), "{shown}");
    // The end comes through both.
    let last = std::thread::spawn(move || watch(&url(second), &LISTEN));
    wait_for_members(second, 1, || !last.is_finished());
    server.interrupt();
    let (code, _) = server.end(END);
    assert_eq!(code, 0);
    // The origin was stopped, which is no end of the stream: the relay waits for it with a card.
    let server = serve(first, &["--title", "again", "--frames", "50"]);
    let shown = figures(&last.join().unwrap());
    assert_eq!(shown["end"], "end", "{shown}");
    assert_eq!(server.end(END).0, 0);
}

#[test]
fn what_a_relay_cannot_send_to_a_group_is_said() {
    for (arguments, part) in [
        (&["robot", "--multicast", "239.1.2.3"][..], "robot/NAME"),
        (&["robot/a", "--ttl", "3"], "add --multicast"),
        (&["robot", "--listen-interface", "lo"], "leave it out"),
        (&["udp://@239.1.2.3,robot"], "alone"),
    ] {
        let output = program().arg("relay").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.contains(part)), (Some(2), true), "{arguments:?}: {said}");
    }
}

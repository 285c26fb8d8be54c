//! Groups between machines, which are network namespaces here: a switch that knows who listens, a router, broadcasts, and
//! interfaces that go and come back. Who may not make namespaces is told so, and nothing is tested.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{END, wait};

const PROGRAM: &str = env!("CARGO_BIN_EXE_udpstream");
const GROUP: &str = "239.77.1.2:9688";
/// No program outlives its test by more than this, s.
const MOST: &str = "60";

/// Namespaces of this run's own; they go with it, and all that runs in them.
struct Machines {
    names: Vec<String>,
}

impl Machines {
    /// `None`: they cannot be made here.
    fn new(letters: &[&str]) -> Option<Self> {
        let mut machines = Self { names: Vec::new() };
        for letter in letters {
            let name = format!("us{letter}{}", std::process::id());
            if !ip(&["netns", "add", &name]) {
                println!("nothing is known: network namespaces are for root");
                return None;
            }
            machines.names.push(name);
            machines.on(letters.len().min(machines.names.len()) - 1, &["link", "set", "lo", "up"]);
        }
        Some(machines)
    }

    /// A command of ip(8) in one of them.
    fn on(&self, machine: usize, arguments: &[&str]) {
        let arguments = [&["-n", &self.names[machine]][..], arguments].concat();
        assert!(ip(&arguments), "ip {arguments:?}");
    }

    /// A cable between two interfaces, each up.
    fn cable(&self, (a, a_name): (usize, &str), (b, b_name): (usize, &str)) {
        let (a_ns, b_ns) = (&self.names[a], &self.names[b]);
        self.on(a, &["link", "add", a_name, "type", "veth", "peer", "name", b_name, "netns", b_ns]);
        assert_ne!(a_ns, b_ns);
        self.on(a, &["link", "set", a_name, "up"]);
        self.on(b, &["link", "set", b_name, "up"]);
    }

    fn address(&self, machine: usize, interface: &str, address: &str) {
        self.on(machine, &["addr", "add", address, "brd", "+", "dev", interface]);
    }

    fn command(&self, machine: usize, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[machine], program]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    fn run(&self, machine: usize, arguments: &[&str]) -> Running {
        let mut child = self.command(machine, PROGRAM, arguments).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, lines }
    }

    /// A server that sends the test card.
    fn serve(&self, machine: usize, more: &[&str]) -> Running {
        let mut server = self
            .run(machine, &[&["serve", "test:160x96@25", "--stats", "json", "--duration", MOST][..], more].concat());
        server.next("listening");
        server
    }

    fn watch(&self, machine: usize, url: &str, more: &[&str]) -> Running {
        self.run(machine, &[&["watch", url, "--headless", "--stats", "json", "--duration", MOST][..], more].concat())
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&["netns", "del", name]);
        }
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A program that runs in a namespace, and what it says.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// The next event of this name.
    fn next(&mut self, name: &str) -> Value {
        loop {
            let line = self.lines.next().unwrap_or_else(|| panic!("it ended before {name}")).unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Waits for a second in which pictures come, or for one in which none do.
    fn flows(&mut self, flows: bool) {
        let begun = Instant::now();
        while (self.next("stats")["fps"].as_f64().unwrap() > 5.0) != flows {
            assert!(begun.elapsed() < 2 * END, "pictures are to come: {flows}");
        }
    }

    fn code(mut self) -> i32 {
        wait(&mut self.child, 2 * END)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Two machines at a switch, which is the third.
fn switched() -> Option<Machines> {
    let machines = Machines::new(&["a", "b", "s"])?;
    machines.on(2, &["link", "add", "switch", "type", "bridge", "mcast_snooping", "1", "mcast_querier", "1"]);
    machines.on(2, &["link", "set", "switch", "up"]);
    for (machine, letter) in [(0, "a"), (1, "b")] {
        let port = format!("port{letter}");
        machines.cable((machine, "eth0"), (2, &port));
        machines.on(2, &["link", "set", &port, "master", "switch"]);
        machines.address(machine, "eth0", &format!("10.77.0.{}/24", machine + 1));
    }
    Some(machines)
}

#[test]
fn a_switch_hears_who_joins_and_who_leaves() {
    let Some(machines) = switched() else { return };
    machines.on(2, &["link", "set", "portb", "type", "bridge_slave", "fastleave", "on"]);
    let known = || {
        let arguments = ["netns", "exec", &machines.names[2], "bridge", "mdb", "show"];
        let output = Command::new("ip").args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).contains("port portb grp 239.77.1.2")
    };
    let is = |wanted: bool| {
        let begun = Instant::now();
        while known() != wanted {
            assert!(begun.elapsed() < END, "the switch is to know of it: {wanted}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let _server = machines.serve(0, &["--multicast", GROUP, "--interface", "eth0"]);
    is(false);
    let mut watcher = machines.watch(1, &format!("udp://@{GROUP}"), &["--interface", "10.77.0.2", "--frames", "100"]);
    watcher.flows(true);
    is(true);
    assert_eq!(watcher.code(), 0);
    is(false);
}

#[test]
fn broadcasts_are_watched_on_the_same_network() {
    let Some(machines) = switched() else { return };
    for (address, interface) in [("255.255.255.255", &["--interface", "eth0"][..]), ("10.77.0.255", &[])] {
        let _server = machines.serve(0, &[&["--multicast", address, "--port", "0"][..], interface].concat());
        let mut both: Vec<Running> = (0..2)
            .map(|_| machines.watch(1, &format!("udp://@{address}"), &[interface, &["--frames", "25"]].concat()))
            .collect();
        for watcher in &mut both {
            let shown = watcher.next("summary");
            assert_eq!((&shown["end"], &shown["pictures_lost"]), (&"limit".into(), &0.into()), "{address}: {shown}");
        }
    }
}

#[test]
fn an_interface_that_goes_and_comes_back_is_used_again_on_both_sides() {
    let Some(machines) = Machines::new(&["a", "b"]) else { return };
    let plug = || {
        machines.cable((0, "left"), (1, "right"));
        machines.address(0, "left", "10.78.0.1/24");
        machines.address(1, "right", "10.78.0.2/24");
    };
    plug();
    let _server = machines.serve(0, &["--multicast", GROUP, "--interface", "left"]);
    let url = format!("udp://@{GROUP}");
    let mut watcher = machines.watch(1, &url, &["--interface", "right", "--timeout", "60"]);
    watcher.flows(true);
    // Down and up, as a cable that is pulled; then gone, as an adapter that is, and another one with its name.
    machines.on(1, &["link", "set", "right", "down"]);
    watcher.flows(false);
    machines.on(1, &["link", "set", "right", "up"]);
    watcher.flows(true);
    machines.on(0, &["link", "del", "left"]);
    watcher.flows(false);
    plug();
    watcher.flows(true);
}

/// Passes what the first machine sends to the group on to the third, and nothing else: what a daemon for multicast routing
/// would tell the kernel to do (netinet/in.h, linux/mroute.h).
const ROUTER: &str = r#"
import socket, struct, time
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
raw.setsockopt(socket.IPPROTO_IP, 200, struct.pack("i", 1))
for n, own in enumerate(["10.77.1.1", "10.77.2.1"]):
    raw.setsockopt(socket.IPPROTO_IP, 202, struct.pack("=HBBI4s4s", n, 0, 1, 0, socket.inet_aton(own), bytes(4)))
ttls = bytes([0, 1] + [0] * 30)
raw.setsockopt(socket.IPPROTO_IP, 204, socket.inet_aton("10.77.1.2") + socket.inet_aton("239.77.1.2") + struct.pack("H", 0) + ttls + bytes(18))
print("routes", flush=True)
time.sleep(60)
"#;

#[test]
fn a_router_passes_on_what_has_hops_left() {
    let Some(machines) = Machines::new(&["a", "r", "b"]) else { return };
    for (machine, (own, at_router), net) in [(0, ("eth0", "left"), 1), (2, ("eth0", "right"), 2)] {
        machines.cable((machine, own), (1, at_router));
        machines.address(machine, own, &format!("10.77.{net}.2/24"));
        machines.address(1, at_router, &format!("10.77.{net}.1/24"));
        machines.on(machine, &["route", "add", "default", "via", &format!("10.77.{net}.1")]);
    }
    let mut router = machines.command(1, "python3", &["-c", ROUTER]).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(router.stdout.take().unwrap()).read_line(&mut said).unwrap();
    if said.trim() != "routes" {
        router.wait().unwrap();
        return println!("nothing is known: this kernel routes no groups");
    }
    let url = format!("udp://@{GROUP}");
    for (ttl, code) in [("1", 3), ("2", 0)] {
        let _server = machines.serve(0, &["--multicast", GROUP, "--ttl", ttl]);
        let watcher = machines.watch(2, &url, &["--frames", "25", "--timeout", "3"]);
        assert_eq!(watcher.code(), code, "with {ttl} hops");
    }
    router.kill().unwrap();
    router.wait().unwrap();
}

#[test]
fn losses_are_mended_by_parity_or_by_asking_beside_the_group() {
    let Some(machines) = switched() else { return };
    let rules = "add table inet loss; add chain inet loss input { type filter hook input priority 0 ; }; \
                 add rule inet loss input ip daddr 239.77.1.2 numgen random mod 100 < 3 drop";
    let nft = machines.command(1, "nft", &[rules]).status();
    if !nft.is_ok_and(|status| status.success()) {
        return println!("nothing is known: there is no nft here that loses datagrams");
    }
    let url = format!("udp://@{GROUP}");
    for (fec, listen, mended) in [
        ("20%", &["--interface", "eth0"][..], "slices_repaired_parity"),
        ("0", &["--interface", "eth0", "--repair"], "slices_repaired_nack"),
    ] {
        let input = ["serve", "test:640x360@25", "--stats", "json", "--duration", MOST, "--multicast", GROUP];
        let mut server = machines.run(0, &[&input[..], &["--interface", "eth0", "--fec", fec]].concat());
        server.next("listening");
        let mut watcher = machines.watch(1, &url, &[listen, &["--frames", "150"]].concat());
        let shown = watcher.next("summary");
        let [pictures, damaged, lost, mended] =
            ["pictures_shown", "pictures_damaged", "datagrams_lost", mended].map(|name| shown[name].as_u64().unwrap());
        assert!(pictures > 100 && lost > 30, "the regime: {shown}");
        // Where a question takes a moment to be put, the first pictures are as they came.
        assert!(mended > 20 && damaged * 8 < pictures, "{damaged} of {pictures} damaged with {fec}: {shown}");
    }
}

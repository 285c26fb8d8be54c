//! The event loop with real sockets: it hears what comes in whatever there is to send, and a server that has more to send
//! than fits loses nobody.

#![cfg(feature = "app")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a test may use the system"
)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use udpstream::clock::now;
use udpstream::net::{App, Flow, Loop, Options, Socket};
use udpstream::proto::{Input, Machine, Output, Port, Reason, Received, Transmit};
use udpstream::units::Time;
use udpstream::wire::HOP_LEN;

mod overload;

#[allow(dead_code, reason = "the other tests need more of it")]
#[path = "../sim/jpeg.rs"]
mod jpeg;
#[allow(dead_code, reason = "the other tests need more of it")]
#[path = "../sim/random.rs"]
mod random;

fn socket(address: impl Into<SocketAddr>) -> (Socket, SocketAddr) {
    let socket = Socket::bind(Options::on(address.into())).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Always has something to send, and echoes what it hears on the port it came to.
struct Flood {
    sink: SocketAddr,
    sent: u64,
    heard: Vec<(Port, u64)>,
    answers: Vec<Transmit>,
    /// It is over after this, as soon as nobody asks any more.
    end: Time,
    asker: Asker,
}

/// How long each answer took.
type Asker = JoinHandle<Vec<Duration>>;

impl Flood {
    fn new(sink: &UdpSocket, lasting: Duration, asker: Asker) -> Self {
        let (sink, end) = (sink.local_addr().unwrap(), now() + lasting);
        Self { sink, sent: 0, heard: Vec::new(), answers: Vec::new(), end, asker }
    }
}

impl Machine for Flood {
    type Local = ();
    type Event = ();

    fn handle(&mut self, _now: Time, input: Input<'_, ()>) {
        if let Input::Datagram(Received { port, from, local, bytes, .. }) = input {
            self.heard.push((port, self.sent));
            self.answers.push(Transmit { port, to: from, from: local, hop: [0; HOP_LEN], body: bytes.to_vec().into() });
        }
    }

    fn poll(&mut self, now: Time) -> Output<()> {
        if now >= self.end && self.asker.is_finished() {
            return Output::Event(());
        }
        if let Some(answer) = self.answers.pop() {
            return Output::Send(answer);
        }
        self.sent += 1;
        let port = Port((self.sent % 2) as u16);
        Output::Send(Transmit { port, to: self.sink, from: None, hop: [0; HOP_LEN], body: vec![0; 1_000].into() })
    }
}

/// Notes how often it gets its turn.
struct Turns(u64);

impl App<Flood> for Turns {
    fn event(&mut self, _now: Time, _machine: &mut Flood, (): ()) -> Flow {
        Flow::Stop
    }

    fn turn(&mut self, _now: Time, _machine: &mut Flood) -> Flow {
        self.0 += 1;
        Flow::Continue
    }
}

/// Questions that are asked one after the other.
const ASKED: usize = 40;

/// Asks both addresses in turn, and says how long each answer took.
fn asker(servers: [SocketAddr; 2]) -> Asker {
    std::thread::spawn(move || {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut buffer = [0; 100];
        let mut wait = |n: usize| {
            let (asked, to) = (now(), servers[n % 2]);
            client.send_to(&[n as u8; 9], to).unwrap();
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[HOP_LEN..length], from), (&[n as u8; 9][..], to), "from the socket that was asked");
            now().since(asked)
        };
        (0..ASKED).map(&mut wait).collect()
    })
}

#[test]
fn a_machine_that_never_stops_sending_hears_both_its_sockets_all_the_while() {
    let sink = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ((pictures, a), (sound, b)) = (socket((Ipv4Addr::LOCALHOST, 0)), socket((Ipv4Addr::LOCALHOST, 0)));
    let event_loop = Loop::new(vec![pictures, sound]).unwrap();
    let mut machine = Flood::new(&sink, Duration::from_secs(3), asker([a, b]));
    let mut turns = Turns(0);
    event_loop.run(&mut machine, &mut turns).unwrap();
    let mut waits = machine.asker.join().unwrap();
    waits.sort();
    println!("{} sent, {} turns, waited {:?} … {:?}", machine.sent, turns.0, waits[0], waits[ASKED - 1]);
    let ports = machine.heard.iter().fold([0; 2], |mut ports, (port, _)| {
        ports[usize::from(port.0)] += 1;
        ports
    });
    assert_eq!(ports, [ASKED / 2; 2]);
    assert!(machine.sent > 10_000 && turns.0 > 20, "the regime: {} sent in {} turns", machine.sent, turns.0);
    // A machine that is taken away for a moment delays some, but not half of them.
    assert!(waits[ASKED / 2] < Duration::from_millis(50), "{waits:?}");
}

/// Answers on the second port, and looks long at what comes to the first.
struct Busy {
    floods: u64,
    answers: Vec<Transmit>,
    end: Time,
    asker: Asker,
}

impl Machine for Busy {
    type Local = ();
    type Event = ();

    fn handle(&mut self, _now: Time, input: Input<'_, ()>) {
        let Input::Datagram(Received { port, from, local, bytes, .. }) = input else { return };
        if port == Port(1) {
            self.answers.push(Transmit { port, to: from, from: local, hop: [0; HOP_LEN], body: bytes.to_vec().into() });
        } else {
            self.floods += 1;
            let begun = now();
            while now().since(begun) < Duration::from_micros(20) {}
        }
    }

    fn poll(&mut self, now: Time) -> Output<()> {
        match self.answers.pop() {
            _ if now >= self.end && self.asker.is_finished() => Output::Event(()),
            Some(answer) => Output::Send(answer),
            None => Output::Wait(self.end.max(now + Duration::from_millis(10)), Reason::Idle),
        }
    }
}

impl App<Busy> for Turns {
    fn event(&mut self, _now: Time, _machine: &mut Busy, (): ()) -> Flow {
        Flow::Stop
    }
}

/// A socket's turn, however much comes to it, ends.
#[test]
fn a_flood_on_one_socket_leaves_the_other_its_turn() {
    let ((flooded, a), (asked, b)) = (socket((Ipv4Addr::LOCALHOST, 0)), socket((Ipv4Addr::LOCALHOST, 0)));
    let event_loop = Loop::new(vec![flooded, asked]).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let flood = {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            while !over.load(Ordering::Relaxed) {
                client.send_to(&[0; 20], a).unwrap();
            }
        })
    };
    let end = now() + Duration::from_secs(3);
    let mut machine = Busy { floods: 0, answers: Vec::new(), end, asker: asker([b, b]) };
    event_loop.run(&mut machine, &mut Turns(0)).unwrap();
    over.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    let mut waits = machine.asker.join().unwrap();
    waits.sort();
    println!("{} came, waited {:?} … {:?}", machine.floods, waits[0], waits[ASKED - 1]);
    assert!(machine.floods > 10_000, "the regime: {} came", machine.floods);
    assert!(waits[ASKED / 2] < Duration::from_millis(50), "{waits:?}");
}

#[test]
fn a_loop_on_all_addresses_answers_from_the_one_that_was_asked() {
    let sink = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (all, address) = socket((Ipv6Addr::UNSPECIFIED, 0));
    let asker = std::thread::spawn(move || {
        // Some containers have no IPv6 at all.
        let has_ipv6 = UdpSocket::bind("[::1]:0").is_ok();
        let asked = [("127.0.0.1:0", "127.0.0.1"), ("127.0.0.1:0", "127.0.0.9"), ("[::1]:0", "::1")];
        let ask = |(ours, theirs): &(&str, &str)| {
            let client = UdpSocket::bind(*ours).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let to = SocketAddr::new(theirs.parse().unwrap(), address.port());
            client.send_to(b"who?", to).unwrap();
            let (mut buffer, asked) = ([0; 100], now());
            assert_eq!(client.recv_from(&mut buffer).unwrap(), (HOP_LEN + 4, to));
            now().since(asked)
        };
        asked[..if has_ipv6 { 3 } else { 2 }].iter().map(ask).collect()
    });
    let mut machine = Flood::new(&sink, Duration::from_secs(2), asker);
    Loop::new(vec![all]).unwrap().run(&mut machine, &mut Turns(0)).unwrap();
    machine.asker.join().unwrap();
}

/// Stops at the first signal.
struct UntilSignalled(Option<i32>);

impl App<Flood> for UntilSignalled {
    fn event(&mut self, _now: Time, _machine: &mut Flood, (): ()) -> Flow {
        Flow::Stop
    }

    fn signal(&mut self, _now: Time, _machine: &mut Flood, signal: i32) -> Flow {
        self.0 = Some(signal);
        Flow::Stop
    }
}

#[test]
fn a_machine_that_never_stops_sending_hears_signals() {
    let sink = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut event_loop = Loop::new(vec![socket((Ipv4Addr::LOCALHOST, 0)).0]).unwrap();
    event_loop.catch_signals().unwrap();
    let mut machine = Flood::new(&sink, Duration::from_secs(20), std::thread::spawn(Vec::new));
    let killer = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(300));
        let killed = std::process::Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status();
        assert!(killed.unwrap().success());
    });
    let mut app = UntilSignalled(None);
    event_loop.run(&mut machine, &mut app).unwrap();
    killer.join().unwrap();
    assert_eq!(app.0, Some(15));
    assert!(machine.sent > 1_000, "the regime: it was sending all the while");
}

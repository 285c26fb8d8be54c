//! The event loop with real sockets: it hears what comes in whatever there is to send, and a server that has more to send
//! than fits loses nobody.

#![cfg(feature = "app")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a test may use the system"
)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use udpstream::clock::now;
use udpstream::net::{App, Flow, Loop, Options, Socket};
use udpstream::proto::receiver::{self, Receiver};
use udpstream::proto::server::{Config, Event, Feed, Local, Server, StreamConfig, StreamKey};
use udpstream::proto::{Input, Machine, Output, Port, Reason, Received, Transmit};
use udpstream::units::{Rate, Size, Time, Unit};
use udpstream::wire::{Description, Ecn, HOP_LEN, StreamName};

use jpeg::Film;

#[allow(dead_code, reason = "the other tests need more of it")]
#[path = "sim/jpeg.rs"]
mod jpeg;
#[allow(dead_code, reason = "the other tests need more of it")]
#[path = "sim/random.rs"]
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
    end: Time,
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
        if now >= self.end {
            return Output::Event(());
        }
        if let Some(answer) = self.answers.pop() {
            return Output::Send(answer);
        }
        self.sent += 1;
        let port = Port((self.sent % 2) as u8);
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
fn asker(servers: [SocketAddr; 2]) -> JoinHandle<Vec<Duration>> {
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
    let end = now() + Duration::from_secs(3);
    let mut machine = Flood { sink: sink.local_addr().unwrap(), sent: 0, heard: Vec::new(), answers: Vec::new(), end };
    let asker = asker([a, b]);
    let mut turns = Turns(0);
    event_loop.run(&mut machine, &mut turns).unwrap();
    let mut waits = asker.join().unwrap();
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
            _ if now >= self.end => Output::Event(()),
            Some(answer) => Output::Send(answer),
            None => Output::Wait(self.end, Reason::Idle),
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
    let asker = asker([b, b]);
    let mut machine = Busy { floods: 0, answers: Vec::new(), end: now() + Duration::from_secs(3) };
    event_loop.run(&mut machine, &mut Turns(0)).unwrap();
    over.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    let mut waits = asker.join().unwrap();
    waits.sort();
    println!("{} came, waited {:?} … {:?}", machine.floods, waits[0], waits[ASKED - 1]);
    assert!(machine.floods > 10_000, "the regime: {} came", machine.floods);
    assert!(waits[ASKED / 2] < Duration::from_millis(50), "{waits:?}");
}

#[test]
fn a_loop_on_all_addresses_answers_from_the_one_that_was_asked() {
    let sink = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (all, address) = socket((Ipv6Addr::UNSPECIFIED, 0));
    let end = now() + Duration::from_secs(2);
    let mut machine = Flood { sink: sink.local_addr().unwrap(), sent: 0, heard: Vec::new(), answers: Vec::new(), end };
    let asker = std::thread::spawn(move || {
        // Some containers have no IPv6 at all.
        let has_ipv6 = UdpSocket::bind("[::1]:0").is_ok();
        let asked = [("127.0.0.1:0", "127.0.0.1"), ("127.0.0.1:0", "127.0.0.9"), ("[::1]:0", "::1")];
        for (ours, theirs) in &asked[..if has_ipv6 { 3 } else { 2 }] {
            let client = UdpSocket::bind(*ours).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let to = SocketAddr::new(theirs.parse().unwrap(), address.port());
            client.send_to(b"who?", to).unwrap();
            let mut buffer = [0; 100];
            assert_eq!(client.recv_from(&mut buffer).unwrap(), (HOP_LEN + 4, to));
        }
    });
    Loop::new(vec![all]).unwrap().run(&mut machine, &mut Turns(0)).unwrap();
    asker.join().unwrap();
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
    let end = now() + Duration::from_secs(20);
    let mut machine = Flood { sink: sink.local_addr().unwrap(), sent: 0, heard: Vec::new(), answers: Vec::new(), end };
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

/// Watchers enough for any machine: at 60 a second they want some 500 000 datagrams a second.
const WATCHERS: usize = 64;
/// So many pictures of each show how they are shared out.
const ENOUGH: u64 = 8;
const BUSY: Duration = Duration::from_millis(16);
/// Some 5 500 datagrams a second in all: a slow machine of two cores was seen to send 14 000.
const QUIET: Duration = Duration::from_millis(1_500);
/// The whole of it, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(26);

/// A live source, and what the server says.
struct Source {
    stream: StreamKey,
    film: Film,
    interval: Duration,
    next: Time,
    unit: u32,
    begun: Time,
    ready: Option<Time>,
    /// Pictures sent to each, and thinned, when the overload had lasted for a while, and after it, and at the end.
    marks: Vec<BTreeMap<u64, (u64, u64)>>,
    marked: Option<Time>,
    /// Pictures that one had been sent at the first mark, at most.
    most: u64,
    overloads: Vec<bool>,
    left: usize,
}

impl Source {
    fn mark(&mut self, now: Time, server: &Server) {
        self.marked = Some(now);
        self.marks.push(server.sessions().map(|s| (s.id, (s.stats.pictures, s.stats.thinned))).collect());
    }

    /// What it does by the time since everybody was there.
    fn follow_the_plan(&mut self, now: Time, server: &Server) -> Flow {
        let Some(ready) = self.ready else {
            if server.watchers() == WATCHERS {
                self.ready = Some(now);
                self.interval = BUSY;
            }
            return if now.since(self.begun) > Duration::from_secs(10) { Flow::Stop } else { Flow::Continue };
        };
        let passed = now.since(self.marked.unwrap_or(ready)).as_secs();
        // A slow machine is given twice as long for what is counted.
        let enough = || passed >= 10 || server.sessions().any(|s| s.stats.pictures >= self.most + ENOUGH);
        match self.marks.len() {
            0 if passed >= 2 => {
                self.most = server.sessions().map(|s| s.stats.pictures).max().unwrap_or_default();
                self.mark(now, server);
            }
            1 if passed >= 5 && enough() => {
                self.mark(now, server);
                self.interval = QUIET;
            }
            2 if passed >= 2 && self.overloads.len() >= 2 => self.mark(now, server),
            3 if passed >= 4 => {
                self.mark(now, server);
                return Flow::Stop;
            }
            _ if now.since(self.begun) > PATIENCE => return Flow::Stop,
            _ => {}
        }
        Flow::Continue
    }
}

impl App<Server> for Source {
    fn event(&mut self, _now: Time, _server: &mut Server, event: Event) -> Flow {
        match event {
            Event::Overload(overloaded) => self.overloads.push(overloaded),
            Event::Left { .. } => self.left += 1,
            _ => {}
        }
        Flow::Continue
    }

    fn turn(&mut self, now: Time, server: &mut Server) -> Flow {
        if now >= self.next && server.wants_picture(self.stream) {
            let picture = self.film.picture(Unit(self.unit), now, now);
            server.handle(now, Input::Local(Local::Stream(self.stream, Feed::Picture(picture))));
            self.unit += 1;
            self.next = (self.next + self.interval).max(now);
        }
        self.follow_the_plan(now, server)
    }

    fn deadline(&self) -> Time {
        self.next
    }
}

/// Sixty-four watchers in one thread: what they cannot read in time their sockets drop.
fn watchers(server: SocketAddr, over: Arc<AtomicBool>) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let watcher = |n: usize| {
            let config =
                receiver::Config { max_datagram: 1_200, ..receiver::Config::new([n as u8 + 1; 32], vec![server]) };
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            (Receiver::new(config, now()), socket)
        };
        let mut all: Vec<_> = (0..WATCHERS).map(watcher).collect();
        let mut buffer = [0; 2_000];
        while !over.load(Ordering::Relaxed) {
            let mut idle = true;
            for (machine, socket) in &mut all {
                for _ in 0..16 {
                    let Ok((length, from)) = socket.recv_from(&mut buffer) else { break };
                    let received =
                        Received { port: Port::PICTURES, from, local: None, ecn: Ecn::Not, bytes: &buffer[..length] };
                    machine.handle(now(), Input::Datagram(received));
                    idle = false;
                }
                turn(machine, socket);
            }
            if idle {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        all.iter().map(|(machine, _)| machine.counts().reconnects).sum()
    })
}

fn turn(machine: &mut Receiver, socket: &UdpSocket) {
    loop {
        match machine.poll(now()) {
            Output::Send(transmit) => {
                // A report that is lost is followed by another.
                socket.send_to(&[&transmit.hop, transmit.body.bytes()].concat(), transmit.to).ok();
            }
            Output::Event(_) => {}
            Output::Wait(..) => return,
        }
    }
}

#[test]
fn an_overloaded_server_loses_nobody_and_is_fair() {
    let film = Film::new(Size::new(1_280, 720), Rate::new(60, 1).unwrap(), 12);
    let description = Description {
        title: "More than fits".to_owned(),
        size: film.size,
        smaller: 0,
        rate: film.rate,
        length: None,
        live: true,
        sound: false,
        ended: None,
        sound_ended: None,
        film: None,
    };
    let (socket, address) = socket((Ipv4Addr::LOCALHOST, 0));
    let name = StreamName::parse("crowd").unwrap();
    let (mut server, stream) = Server::single(Config::new([7; 32]), StreamConfig::new(name, description));
    let over = Arc::new(AtomicBool::new(false));
    let crowd = watchers(address, Arc::clone(&over));
    let (next, ready) = (now(), None);
    let mut source = Source {
        stream,
        film,
        interval: QUIET,
        next,
        unit: 0,
        begun: next,
        ready,
        marks: Vec::new(),
        marked: None,
        most: 0,
        overloads: Vec::new(),
        left: 0,
    };
    let ran = Loop::new(vec![socket]).unwrap().run(&mut server, &mut source);
    over.store(true, Ordering::Relaxed);
    let reconnects = crowd.join().unwrap();
    ran.unwrap();
    assert!(source.ready.is_some(), "all {WATCHERS} are there");
    assert_eq!((source.left, server.watchers(), reconnects), (0, WATCHERS, 0), "nobody is lost, nobody comes again");
    assert_eq!(source.overloads, [true, false], "the regime: more than fits, and then less");
    let [begun, ended, relieved, last] = &source.marks[..] else { panic!("{} marks", source.marks.len()) };
    let grown = |from: &BTreeMap<u64, (u64, u64)>, to: &BTreeMap<u64, (u64, u64)>| {
        from.iter().map(|(id, before)| (to[id].0 - before.0, to[id].1 - before.1)).collect::<Vec<_>>()
    };
    let busy = grown(begun, ended);
    let (least, most) = (busy.iter().map(|b| b.0).min().unwrap(), busy.iter().map(|b| b.0).max().unwrap());
    println!("{least} to {most} pictures each, of a time of overload");
    assert!(most >= ENOUGH && busy.iter().all(|(_, thinned)| *thinned > 0), "the regime: {busy:?}");
    assert!(most - least <= (most / 10).max(2), "the same share for each: {busy:?}");
    let quiet = grown(relieved, last);
    assert!(quiet.iter().all(|(pictures, thinned)| *pictures >= 2 && *thinned == 0), "all of it again: {quiet:?}");
}

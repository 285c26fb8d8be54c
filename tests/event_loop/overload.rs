//! A server that has more to send than fits.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use udpstream::clock::now;
use udpstream::net::{App, Flow, Loop};
use udpstream::proto::receiver::{self, Receiver};
use udpstream::proto::server::{Config, Event, Feed, Local, Server, StreamConfig, StreamKey};
use udpstream::proto::{Input, Machine, Output, Port, Received};
use udpstream::units::{Rate, Size, Time, Unit};
use udpstream::wire::description::Smaller;
use udpstream::wire::{Description, Ecn, StreamName};

use crate::jpeg::Film;
use crate::socket;

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
    /// When the overload had lasted for a while, and after it, and at the end.
    marks: Vec<Mark>,
    marked: Option<Time>,
    /// Pictures that one had been sent at the first mark, at most.
    most: u64,
    overloads: Vec<bool>,
    left: usize,
}

/// Pictures sent to each, and thinned.
type Mark = BTreeMap<u64, (u64, u64)>;

fn mark(server: &Server) -> Mark {
    server.sessions().map(|s| (s.id, (s.stats.pictures, s.stats.thinned))).collect()
}

fn grown(from: &Mark, to: &Mark) -> Vec<(u64, u64)> {
    from.iter().filter_map(|(id, from)| to.get(id).map(|to| (to.0 - from.0, to.1 - from.1))).collect()
}

impl Source {
    fn mark(&mut self, now: Time, server: &Server) {
        self.marked = Some(now);
        self.marks.push(mark(server));
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
            _ if now.since(self.begun) > PATIENCE => return Flow::Stop,
            0 if passed >= 2 => {
                self.most = server.sessions().map(|s| s.stats.pictures).max().unwrap_or_default();
                self.mark(now, server);
            }
            1 if passed >= 5 && enough() => {
                self.mark(now, server);
                self.interval = QUIET;
            }
            2 if passed >= 2 && self.overloads.last() == Some(&false) => self.mark(now, server),
            3 => {
                let grown = grown(&self.marks[2], &mark(server));
                // A server that stands still for a moment does not hear that its pictures arrive, and leaves some out.
                if grown.iter().any(|(_, thinned)| *thinned > 0) {
                    self.marks.pop();
                    self.mark(now, server);
                } else if grown.iter().all(|(pictures, _)| *pictures >= 2) {
                    self.mark(now, server);
                    return Flow::Stop;
                }
            }
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
        smaller: Smaller::NONE,
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
    let (first, last) = (source.overloads.first(), source.overloads.last());
    assert_eq!((first, last), (Some(&true), Some(&false)), "the regime: more than fits, and then less");
    let [begun, ended, relieved, last] = &source.marks[..] else { panic!("{} marks", source.marks.len()) };
    let busy = grown(begun, ended);
    let (least, most) = (busy.iter().map(|b| b.0).min().unwrap(), busy.iter().map(|b| b.0).max().unwrap());
    println!("{least} to {most} pictures each, of a time of overload");
    assert!(most >= ENOUGH && busy.iter().all(|(_, thinned)| *thinned > 0), "the regime: {busy:?}");
    assert!(most - least <= (most / 10).max(2), "the same share for each: {busy:?}");
    let quiet = grown(relieved, last);
    assert!(quiet.iter().all(|(pictures, thinned)| *pictures >= 2 && *thinned == 0), "all of it again: {quiet:?}");
}

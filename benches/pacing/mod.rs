//! Three senders of the same pictures at the same rate over a socket, and one sampler for all of them:
//!
//! - ours: the server in its event loop, with a real session;
//! - the origin's rule: TS starts at 0.5/fps; after each picture TS grows by 1 ms if the measured rate is above the
//!   film's and shrinks by 1 ms if it is below; it sleeps whole milliseconds;
//! - the floor: a bare timerfd loop with absolute deadlines.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use udpstream::clock::now;
use udpstream::media::coded::CodedPicture;
use udpstream::net::{App, Flow, Loop, Options, Socket};
use udpstream::proto::receiver::{Config as Watch, Event as Seen};
use udpstream::proto::server::{Config, Event, Feed, Local, Server, StreamConfig, StreamKey};
use udpstream::proto::{Input, Machine, Output, Port, Received, Receiver};
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::description::Smaller;
use udpstream::wire::{Description, Ecn, Hop, Kind, ObjectView, StreamName};

use crate::stage::Sample;

/// A picture of this size takes about 14 kB and travels in one datagram.
pub const SIZE: Size = Size::new(500, 282);
const BYTES: std::ops::Range<usize> = 12_000..17_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Ours,
    Origin,
    Bare,
}

impl Sender {
    pub const ALL: [Self; 3] = [Self::Ours, Self::Origin, Self::Bare];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "udpstream",
            Self::Origin => "the origin's rule",
            Self::Bare => "bare timerfd loop",
        }
    }
}

/// What came of some pictures.
#[derive(Debug, Default)]
pub struct Played {
    pub rate: f64,
    pub offered: u64,
    /// What the kernel says it dropped at the sampler's socket.
    pub dropped: u64,
    /// How far from its moment each was sent, in µs.
    pub late: Vec<f64>,
    /// Picture number and when it arrived, in order of arrival.
    pub arrivals: Vec<(u32, Time)>,
}

impl Played {
    /// Between pictures that follow each other by number, in µs.
    pub fn intervals(&self) -> impl Iterator<Item = f64> {
        let next = |pair: &&[(u32, Time)]| pair[1].0 == pair[0].0 + 1;
        self.arrivals.windows(2).filter(next).map(|pair| pair[1].1.since(pair[0].1).as_nanos() as f64 / 1e3)
    }

    /// Mean of how far intervals are from what they should be.
    pub fn interval_error(&self) -> Duration {
        let (n, sum) = self.intervals().fold((0_u32, 0.0), |(n, sum), us| (n + 1, sum + (us - 1e6 / self.rate).abs()));
        Duration::from_secs_f64(sum / f64::from(n.max(1)) / 1e6)
    }

    /// From the first arrival to the last.
    pub fn span(&self) -> Duration {
        let ends = self.arrivals.first().zip(self.arrivals.last());
        ends.map_or(Duration::ZERO, |(first, last)| last.1.since(first.1))
    }

    pub fn fps(&self) -> f64 {
        let numbers = self.arrivals.first().zip(self.arrivals.last()).map_or(0, |(first, last)| last.0 - first.0);
        f64::from(numbers) / self.span().as_secs_f64().max(1e-9)
    }

    /// How much longer the pictures took than they should, per minute of film, in ms.
    pub fn drift_ms_per_minute(&self) -> f64 {
        (self.rate / self.fps().max(1e-9) - 1.0) * 60_000.0
    }

    fn check(self) -> Self {
        let delivered = self.arrivals.len() as u64;
        assert_eq!(self.offered, delivered + self.dropped, "offered = delivered + dropped");
        assert!(delivered > 0, "something came");
        self
    }
}

/// Plays so many pictures and waits for their arrival.
pub fn play(sender: Sender, sample: &Sample, fps: u32, pictures: u32) -> Played {
    assert!(BYTES.contains(&sample.jpeg.len()), "{} bytes are another regime", sample.jpeg.len());
    let played = match sender {
        Sender::Ours => ours(sample, fps, pictures),
        Sender::Origin => plain(pictures, fps, |send| origin(fps, pictures, send), &sample.jpeg),
        Sender::Bare => plain(pictures, fps, |send| bare(fps, pictures, send), &sample.jpeg),
    };
    Played { rate: f64::from(fps), ..played }.check()
}

/// Takes pictures from nowhere and counts how late they leave.
struct Feeding<'a> {
    stream: StreamKey,
    sample: &'a Sample,
    rate: Rate,
    next: u32,
    pictures: u32,
    late: Vec<f64>,
}

impl Feeding<'_> {
    fn feed(&mut self, now: Time, server: &mut Server) {
        if !server.wants_picture(self.stream) {
            return;
        }
        let more = self.next < self.pictures;
        let media_time = self.rate.media_time(self.next.into());
        let picture = || CodedPicture { media_time, ..self.sample.coded(self.next) };
        let feed = if more { Feed::Picture(picture()) } else { Feed::Ended(None) };
        server.handle(now, Input::Local(Local::Stream(self.stream, feed)));
        self.next += u32::from(more);
    }
}

impl App<Server> for Feeding<'_> {
    fn event(&mut self, now: Time, server: &mut Server, event: Event) -> Flow {
        if let Event::Departed { due, at, .. } = event {
            self.late.push(at.since(due).as_nanos() as f64 / 1e3);
        }
        self.feed(now, server);
        if event == Event::Finished { Flow::Stop } else { Flow::Continue }
    }

    fn turn(&mut self, now: Time, server: &mut Server) -> Flow {
        self.feed(now, server);
        Flow::Continue
    }

    fn deadline(&self) -> Time {
        Time::NEVER
    }

    fn signal(&mut self, _: Time, _: &mut Server, _: i32) -> Flow {
        Flow::Stop
    }
}

fn ours(sample: &Sample, fps: u32, pictures: u32) -> Played {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let socket = Socket::bind(Options::on(local)).expect("a socket");
    let home = socket.local_addr().expect("bound");
    let rate = Rate::new(fps, 1).expect("a rate");
    let title = "A film".to_owned();
    let description = Description {
        title,
        size: SIZE,
        smaller: Smaller::NONE,
        rate,
        length: None,
        live: false,
        sound: false,
        ended: None,
        sound_ended: None,
        film: None,
    };
    let sampler = UdpSocket::bind(local).expect("a socket");
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            let name = StreamName::parse("film").expect("a name");
            let (mut server, stream) = Server::single(Config::new([3; 32]), StreamConfig::new(name, description));
            let mut feeding = Feeding { stream, sample, rate, next: 0, pictures, late: Vec::new() };
            Loop::new(vec![socket]).expect("a loop").run(&mut server, &mut feeding).expect("runs");
            feeding.late
        });
        let arrivals = watch(&sampler, home);
        let late = sending.join().expect("no panic");
        Played { rate: 0.0, offered: late.len() as u64, dropped: drops(&sampler), late, arrivals }
    })
}

/// Joins and notes when the first datagram of each picture comes, until the server says goodbye.
fn watch(socket: &UdpSocket, home: SocketAddr) -> Vec<(u32, Time)> {
    let config = Watch::new([4; 32], vec![home]);
    let mut receiver = Receiver::new(config, now());
    let (mut arrivals, mut buffer) = (Vec::<(u32, Time)>::new(), vec![0; 65_536]);
    loop {
        let until = match receiver.poll(now()) {
            Output::Send(transmit) => {
                let bytes = [&transmit.hop, transmit.body.bytes()].concat();
                socket.send_to(&bytes, transmit.to).expect("sent");
                continue;
            }
            Output::Event(Seen::Finished) => return arrivals,
            Output::Event(_) => continue,
            Output::Wait(until, _) => until,
        };
        let wait = until.since(now()).clamp(Duration::from_micros(1), Duration::from_secs(1));
        socket.set_read_timeout(Some(wait)).expect("a time-out");
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let (at, bytes) = (now(), &buffer[..length]);
        if let Some(unit) = picture_of(bytes).filter(|unit| arrivals.last().is_none_or(|(last, _)| last < unit)) {
            arrivals.push((unit, at));
        }
        receiver
            .handle(at, Input::Datagram(Received { port: Port::default(), from, local: None, ecn: Ecn::Not, bytes }));
    }
}

fn picture_of(bytes: &[u8]) -> Option<u32> {
    let (hop, body) = Hop::parse(bytes).ok()?;
    let object = ObjectView::parse(body).ok().filter(|_| hop.kind == Kind::OBJECT)?;
    (object.header.kind == udpstream::wire::object::Type::PICTURE).then_some(object.header.unit.0)
}

/// A sender without a protocol: each datagram is a picture behind its number.
fn plain(pictures: u32, fps: u32, send: impl FnOnce(&dyn Fn()) -> Vec<f64> + Send, jpeg: &[u8]) -> Played {
    let sampler = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let to = sampler.local_addr().expect("bound");
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
            let (number, datagram) = (Cell::new(0_u32), Cell::new([&[0; 4], jpeg].concat()));
            send(&|| {
                let mut bytes = datagram.take();
                bytes[..4].copy_from_slice(&number.get().to_be_bytes());
                number.set(number.get() + 1);
                socket.send_to(&bytes, to).expect("sent");
                datagram.set(bytes);
            })
        });
        let arrivals = sample(&sampler, pictures, fps);
        let late = sending.join().expect("no panic");
        Played { rate: 0.0, offered: late.len() as u64, dropped: drops(&sampler), late, arrivals }
    })
}

fn sample(socket: &UdpSocket, pictures: u32, fps: u32) -> Vec<(u32, Time)> {
    let (mut arrivals, mut buffer) = (Vec::new(), vec![0; 65_536]);
    socket.set_read_timeout(Some(Duration::from_secs(2) + Duration::from_secs(5) / fps)).expect("a time-out");
    while let Ok((_, _)) = socket.recv_from(&mut buffer) {
        let at = now();
        let number = u32::from_be_bytes(buffer[..4].try_into().expect("four bytes"));
        arrivals.push((number, at));
        if number + 1 == pictures {
            break;
        }
    }
    arrivals
}

fn bare(fps: u32, pictures: u32, send: &dyn Fn()) -> Vec<f64> {
    let rate = Rate::new(fps, 1).expect("a rate");
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).expect("a timer");
    let start = now() + Duration::from_millis(20);
    let wake = |n: u32| {
        let due = start + rate.at(n.into());
        let (seconds, rest) = (due.nanos() / 1_000_000_000, due.nanos() % 1_000_000_000);
        let it_value = Timespec { tv_sec: seconds, tv_nsec: rest as _ };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &Itimerspec { it_interval, it_value }).expect("armed");
        rustix::io::read(&timer, &mut [0_u8; 8]).expect("woken");
        let late = now().since(due).as_nanos() as f64 / 1e3;
        send();
        late
    };
    (0..pictures).map(wake).collect()
}

fn origin(fps: u32, pictures: u32, send: &dyn Fn()) -> Vec<f64> {
    let fps = f64::from(fps);
    let (start, mut ts, mut before) = (now(), 0.5 / fps, now());
    let step = |n: u32| {
        let late = (now().signed_since(start) as f64 / 1e3 - f64::from(n) * 1e6 / fps).abs();
        send();
        let measured = 1.0 / now().since(before).as_secs_f64().max(1e-9);
        before = now();
        ts += if measured > fps { 0.001 } else { -0.001 };
        thread::sleep(Duration::from_millis((ts * 1_000.0).max(1.0) as u64));
        late
    };
    (0..pictures).map(step).collect()
}

/// Datagrams that the kernel dropped because this socket was full.
fn drops(socket: &UdpSocket) -> u64 {
    let port = format!(":{:04X}", socket.local_addr().expect("bound").port());
    let table = std::fs::read_to_string("/proc/net/udp").expect("the kernel's table of sockets");
    let line = table.lines().find(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&port)));
    line.and_then(|line| line.split_whitespace().last()?.parse().ok()).expect("our line in it")
}

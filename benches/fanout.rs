//! One picture to 1, 100 and 1 000 watchers: the server and its socket, beside a bare loop of `sendmsg` with two slices
//! that sends the same bytes to the same sockets. Both are asserted to have sent everything, and everything to have come.

#![expect(clippy::disallowed_types, reason = "the sinks are the system's own sockets")]

mod stage;

use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, Socket as Raw, Type};
use stage::{Sample, is_short, is_whole, median, timed};
use udpstream::clock::now;
use udpstream::net::{Options, Socket};
use udpstream::proto::server::{Config, Feed, Local, Server, StreamConfig, StreamKey};
use udpstream::proto::{Input, Machine, Output, Port, Received, Receiver, receiver};
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::description::Smaller;
use udpstream::wire::{Description, Ecn, Hop, Kind, SizeClass, StreamName};

/// A picture of this size takes about 14 kB and travels in one datagram.
const SIZE: Size = Size::new(500, 282);
const BYTES: std::ops::Range<usize> = 12_000..17_000;
const CROWDS: [usize; 3] = [1, 100, 1_000];
/// A watcher that reports nothing for three seconds is dropped; the stage is built anew before that.
const FRESH: Duration = Duration::from_millis(1_500);

/// Longer than a server waits for a first report, and looks after its sessions.
const READY: Duration = Duration::from_millis(100);

/// Datagrams and their bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sent {
    datagrams: usize,
    /// Of those, pictures: a server also tells its watchers the time now and then.
    large: usize,
    bytes: usize,
}

impl Sent {
    fn add(&mut self, bytes: usize) {
        self.datagrams += 1;
        self.large += usize::from(BYTES.contains(&bytes));
        self.bytes += bytes;
    }
}

/// A server with its watchers, and the bare sender. The watchers are sockets that somebody else reads empty.
struct Stage {
    sample: Sample,
    sinks: Vec<UdpSocket>,
    server: Server,
    stream: StreamKey,
    socket: Socket,
    bare: Raw,
    addresses: Vec<SockAddr>,
    buffer: Vec<u8>,
    built: Time,
    unit: u32,
}

impl Stage {
    fn new(watchers: usize) -> Self {
        let sample = Sample::new(SIZE);
        assert!(BYTES.contains(&sample.jpeg.len()), "{} bytes are another regime", sample.jpeg.len());
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sink = || {
            let sink = UdpSocket::bind(local).expect("a sink");
            sink.set_nonblocking(true).expect("a sink that does not wait");
            sink
        };
        let sinks: Vec<UdpSocket> = (0..watchers).map(|_| sink()).collect();
        let addresses = sinks.iter().map(|sink| sink.local_addr().expect("bound").into()).collect();
        let socket = Socket::bind(Options::on(local)).expect("a socket");
        let bare = Raw::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        bare.set_nonblocking(true).expect("a socket that does not wait");
        let (server, stream) = Self::joined(&sinks, &sample);
        Self { sample, sinks, server, stream, socket, bare, addresses, buffer: vec![0; 65_536], built: now(), unit: 0 }
    }

    /// A live server, and a real handshake with every sink.
    fn joined(sinks: &[UdpSocket], sample: &Sample) -> (Server, StreamKey) {
        let rate = Rate::new(30, 1).expect("30 fps");
        let title = "A picture".to_owned();
        let description = Description {
            title,
            size: sample.size,
            smaller: Smaller::NONE,
            rate,
            length: None,
            live: true,
            sound: false,
            ended: None,
            sound_ended: None,
            film: None,
        };
        let mut config = Config::new([7; 32]);
        config.datagram = Some(SizeClass::LOOPBACK);
        let stream = StreamConfig::new(StreamName::parse("picture").expect("a name"), description);
        let (mut server, stream) = Server::single(config, stream);
        let home = SocketAddr::from((Ipv4Addr::LOCALHOST, 9_688));
        for (number, sink) in sinks.iter().enumerate() {
            let seed = [(number % 251) as u8, (number / 251) as u8].repeat(16).try_into().expect("32 bytes");
            let config = receiver::Config::new(seed, vec![home]);
            join(&mut server, Receiver::new(config, now()), home, sink.local_addr().expect("bound"));
        }
        assert_eq!(server.watchers(), sinks.len(), "everybody is in");
        // Pictures start with the first report, or without one after a while.
        let ready = now() + READY;
        while now() < ready {
            drain(&mut server);
        }
        (server, stream)
    }

    fn refresh(&mut self) {
        if now().since(self.built) > FRESH {
            (self.server, self.stream) = Self::joined(&self.sinks, &self.sample);
            self.built = now();
        }
    }

    /// One picture through the server and its socket, as the event loop does it.
    fn ours(&mut self) -> Sent {
        let mut sent = Sent::default();
        let picture = Feed::Picture(self.sample.coded(self.unit));
        self.server.handle(now(), Input::Local(Local::Stream(self.stream, picture)));
        loop {
            match self.server.poll(now()) {
                Output::Send(transmit) => {
                    self.socket.send(&transmit).expect("sent");
                    sent.add(transmit.len());
                }
                Output::Event(_) => {}
                Output::Wait(..) => return sent,
            }
        }
    }

    /// The same bytes without a server: a hop header, the object, an address.
    fn bare(&mut self, object: &[u8]) -> Sent {
        let mut sent = Sent::default();
        for address in &self.addresses {
            let sent_at = now().wire_micros();
            let hop = Hop { kind: Kind::OBJECT, tag: 1, sequence: self.unit, sent_at }.to_bytes();
            let parts = [IoSlice::new(&hop), IoSlice::new(object)];
            sent.add(self.bare.send_to_vectored(&parts, address).expect("sent"));
        }
        sent
    }

    /// Reads every sink empty.
    fn collect(&mut self) -> Sent {
        let mut came = Sent::default();
        for sink in &self.sinks {
            while let Ok((length, _)) = sink.recv_from(&mut self.buffer) {
                came.add(length);
            }
        }
        came
    }

    /// Times one picture of either kind; asserts that everybody was sent one, and that what was sent has come.
    fn round(&mut self, bare: Option<&[u8]>) -> Duration {
        self.unit += 1;
        let (took, sent) = timed(|| match bare {
            Some(object) => self.bare(object),
            None => self.ours(),
        });
        assert_eq!(sent.large, self.sinks.len(), "a picture for everybody");
        assert_eq!(sent, self.collect(), "offered, and delivered");
        took
    }

    fn object(&self) -> Vec<u8> {
        let cut =
            self.sample.coded(self.unit).cut(self.server.id(self.stream), SizeClass::LOOPBACK).expect("one datagram");
        assert_eq!(cut.parts(), 1);
        cut.object(0).expect("the only one").bytes().to_vec()
    }

    fn sum(&mut self, pictures: u64, bare: bool) -> Duration {
        let object = bare.then(|| self.object());
        let mut sum = Duration::ZERO;
        for _ in 0..pictures {
            self.refresh();
            sum += self.round(object.as_deref());
        }
        sum
    }
}

/// Carries datagrams to and fro until the watcher is in.
fn join(server: &mut Server, mut watcher: Receiver, home: SocketAddr, at: SocketAddr) {
    for _ in 0..4 {
        for bytes in drain(&mut watcher) {
            server.handle(
                now(),
                Input::Datagram(Received {
                    port: Port::default(),
                    from: at,
                    local: None,
                    ecn: Ecn::Not,
                    bytes: &bytes,
                }),
            );
        }
        for bytes in drain(server) {
            watcher.handle(
                now(),
                Input::Datagram(Received {
                    port: Port::default(),
                    from: home,
                    local: None,
                    ecn: Ecn::Not,
                    bytes: &bytes,
                }),
            );
        }
    }
}

/// What a machine sends now.
fn drain(machine: &mut impl Machine) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    loop {
        match machine.poll(now()) {
            Output::Send(transmit) => sent.push([&transmit.hop, transmit.body.bytes()].concat()),
            Output::Event(_) => {}
            Output::Wait(..) => return sent,
        }
    }
}

fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("fan-out of 14 kB");
    for watchers in CROWDS {
        let mut stage = Stage::new(watchers);
        group.throughput(Throughput::Elements(watchers as u64));
        for (name, bare) in [("server", false), ("bare sendmsg loop", true)] {
            group.bench_function(BenchmarkId::new(name, watchers), |b| b.iter_custom(|n| stage.sum(n, bare)));
        }
    }
}

/// Both kinds in turn, picture by picture, so that a slow moment of the machine strikes both.
fn paired() {
    let pictures = if is_short() { 3 } else { 300 };
    println!("\nfan-out, {pictures} pictures of each kind in turn, medians:");
    println!("{:>10}{:>16}{:>16}{:>10}", "watchers", "server ns/dgram", "bare ns/dgram", "ratio");
    for watchers in CROWDS {
        let mut stage = Stage::new(watchers);
        let object = stage.object();
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..pictures {
            stage.refresh();
            ours.push(stage.round(None));
            bare.push(stage.round(Some(&object)));
        }
        let [ours, bare] = [ours, bare].map(|mut took| median(&mut took).as_nanos() as f64 / watchers as f64);
        println!("{watchers:>10}{ours:>16.0}{bare:>16.0}{:>10.3}", ours / bare);
    }
}

/// A thousand sinks need more descriptors than a shell grants at first.
fn many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("the limit that is granted");
}

criterion_group!(benches, fan_out);

fn main() {
    many_descriptors();
    benches();
    Criterion::default().configure_from_args().final_summary();
    if is_whole() {
        paired();
    }
}

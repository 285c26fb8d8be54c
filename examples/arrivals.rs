//! When pictures arrive, measured outside of every program in the same way: binds a UDP socket, lets the kernel stamp
//! each datagram as it comes in, and groups datagrams into pictures. One line a picture:
//! `NUMBER FIRST LAST BYTES MISSED`: its number in the film, when its first and its last datagram came in nanoseconds
//! of CLOCK_MONOTONIC, bytes of UDP payload, and the datagrams missing from the sequence up to here.
//!
//! `arrivals plain|rtp|hello|udpstream ADDRESS SECONDS [FPS]`. Plain: each datagram is a picture. Rtp: those with the
//! same timestamp are one. Both bind ADDRESS. Hello: asks there for plain ones. Udpstream: joins there by the protocol.
//! It ends when nothing has come for a second, after SECONDS, or by the sender's goodbye. Where it is bound it says on
//! stderr, so that the port may be 0.
#![expect(clippy::disallowed_types, reason = "the socket is read with the kernel's stamps, which net has no use for")]

use std::io::{self, IoSliceMut, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::socket::sockopt::{RcvBuf, ReceiveTimestampns};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use udpstream::clock;
use udpstream::proto::receiver::{Config, Event, Receiver};
use udpstream::proto::{Input, Machine, Output, Port, Received};
use udpstream::seal::system_seed;
use udpstream::units::Time;
use udpstream::wire::object::{ObjectView, Type};
use udpstream::wire::{Ecn, Hop, Kind};

type Failure = Box<dyn std::error::Error>;

/// After this much silence a film that has begun is over.
const STILL: Duration = Duration::from_secs(1);
/// The longest wait for one datagram.
const PATIENCE: Duration = Duration::from_millis(100);
/// As much as any program that is compared asks for.
const BUFFER: usize = 4 << 20;
/// Ticks of RTP's clock in a second, for JPEG.
const RTP_RATE: f64 = 90_000.0;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let [kind, address, seconds, rest @ ..] = arguments else {
        return Err("usage: arrivals plain|rtp|hello|udpstream ADDRESS SECONDS [FPS]".into());
    };
    let (address, seconds): (SocketAddr, f64) = (address.parse()?, seconds.parse()?);
    let fps: f64 = rest.first().map_or(Ok(30.0), |text| text.parse())?;
    let mut grouping: Box<dyn Grouping> = match kind.as_str() {
        "plain" | "hello" => Box::new(Plain::default()),
        "rtp" => Box::new(Rtp::new(fps)),
        "udpstream" => Box::new(Ours::new(address)?),
        _ => return Err(format!("{kind} is not known here").into()),
    };
    let asks = matches!(kind.as_str(), "hello" | "udpstream");
    let socket = Stamped::bind(if asks { "127.0.0.1:0".parse()? } else { address })?;
    eprintln!("bound {}", socket.udp.local_addr()?);
    if kind == "hello" {
        socket.udp.send_to(b"hello", address)?;
    }
    let pictures = collect(&socket, &mut *grouping, clock::now() + Duration::from_secs_f64(seconds))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for Picture { number, first, last, bytes, missed } in pictures {
        writeln!(out, "{number} {} {} {bytes} {missed}", first.nanos(), last.nanos())?;
    }
    Ok(out.flush()?)
}

/// One picture as it arrived.
struct Picture {
    number: i64,
    first: Time,
    last: Time,
    bytes: usize,
    missed: u32,
}

/// Which picture a datagram belongs to.
struct Place {
    number: i64,
    /// Datagrams missing between the one before and this one.
    missed: u32,
}

/// How the datagrams of one protocol make pictures.
trait Grouping {
    /// None: it is not part of a picture.
    fn place(&mut self, datagram: &[u8], from: SocketAddr) -> Option<Place>;
    /// Sends what the protocol asks for and says when it wants to be asked again; none once it is over.
    fn keep_up(&mut self, _socket: &UdpSocket) -> Option<Time> {
        Some(Time::NEVER)
    }
}

fn collect(socket: &Stamped, grouping: &mut dyn Grouping, until: Time) -> io::Result<Vec<Picture>> {
    let (mut pictures, mut buffer) = (Vec::<Picture>::new(), vec![0_u8; 1 << 16]);
    loop {
        let now = clock::now();
        let silent = pictures.last().is_some_and(|picture| now.since(picture.last) > STILL);
        let Some(next) = grouping.keep_up(&socket.udp).filter(|_| !silent && now < until) else { break };
        let Some((length, from, at)) = socket.receive(&mut buffer, next.since(now).min(PATIENCE))? else { continue };
        let Some(Place { number, missed }) = grouping.place(&buffer[..length], from) else { continue };
        match pictures.last_mut().filter(|picture| picture.number == number) {
            Some(same) => (same.last, same.bytes, same.missed) = (at, same.bytes + length, same.missed + missed),
            None => pictures.push(Picture { number, first: at, last: at, bytes: length, missed }),
        }
    }
    Ok(pictures)
}

/// A socket whose datagrams say when the kernel had them.
struct Stamped {
    udp: UdpSocket,
}

impl Stamped {
    fn bind(address: SocketAddr) -> Result<Self, Failure> {
        let udp = UdpSocket::bind(address).map_err(|why| format!("{address}: {why}; is the port in use?"))?;
        setsockopt(&udp, ReceiveTimestampns, &true)?;
        setsockopt(&udp, RcvBuf, &BUFFER)?;
        Ok(Self { udp })
    }

    fn receive(&self, buffer: &mut [u8], wait: Duration) -> io::Result<Option<(usize, SocketAddr, Time)>> {
        // Zero would mean for ever.
        self.udp.set_read_timeout(Some(wait.max(Duration::from_micros(1))))?;
        let mut room = nix::cmsg_space!(TimeSpec);
        let mut parts = [IoSliceMut::new(buffer)];
        let message = match recvmsg::<SockaddrIn>(self.udp.as_raw_fd(), &mut parts, Some(&mut room), MsgFlags::empty())
        {
            Ok(message) => message,
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(None),
            Err(why) => return Err(why.into()),
        };
        let stamp = message.cmsgs()?.find_map(|part| match part {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
            _ => None,
        });
        let (Some(stamp), Some(from)) = (stamp, message.address) else {
            return Err(io::Error::other("the kernel put no time of arrival on a datagram"));
        };
        Ok(Some((message.bytes, SocketAddr::from(std::net::SocketAddrV4::from(from)), monotonic(stamp)?)))
    }
}

/// The kernel stamps in wall time; how long ago that was, subtracted from the monotonic clock.
fn monotonic(stamp: TimeSpec) -> io::Result<Time> {
    let wall = clock_gettime(ClockId::CLOCK_REALTIME)?;
    let age = Duration::from(wall).saturating_sub(Duration::from(stamp));
    Ok(clock::now() - age)
}

/// Each datagram is a picture.
#[derive(Default)]
struct Plain(i64);

impl Grouping for Plain {
    fn place(&mut self, _datagram: &[u8], _from: SocketAddr) -> Option<Place> {
        self.0 += 1;
        Some(Place { number: self.0 - 1, missed: 0 })
    }
}

/// RTP (RFC 3550): the timestamp says which picture.
struct Rtp {
    fps: f64,
    before: Option<(u16, u32)>,
    ticks: i64,
}

impl Rtp {
    const fn new(fps: f64) -> Self {
        Self { fps, before: None, ticks: 0 }
    }
}

impl Grouping for Rtp {
    fn place(&mut self, datagram: &[u8], _from: SocketAddr) -> Option<Place> {
        let header: &[u8; 12] = datagram.first_chunk()?;
        let sequence = u16::from_be_bytes([header[2], header[3]]);
        let stamp = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let (sequence_before, stamp_before) =
            self.before.replace((sequence, stamp)).unwrap_or((sequence.wrapping_sub(1), stamp));
        self.ticks += i64::from(stamp.wrapping_sub(stamp_before) as i32);
        let missed = u32::from(sequence.wrapping_sub(sequence_before).wrapping_sub(1));
        Some(Place { number: (self.ticks as f64 * self.fps / RTP_RATE).round() as i64, missed })
    }
}

/// A watcher by the protocol, which joins and reports like `udpstream watch`, and shows nothing.
struct Ours {
    receiver: Receiver,
    sequence: Option<u32>,
    missed: u32,
}

impl Ours {
    fn new(server: SocketAddr) -> Result<Self, Failure> {
        let seed = system_seed().ok_or("the system gives no random numbers")?;
        let config = Config::new(seed, vec![server]);
        Ok(Self { receiver: Receiver::new(config, clock::now()), sequence: None, missed: 0 })
    }
}

impl Grouping for Ours {
    fn place(&mut self, bytes: &[u8], from: SocketAddr) -> Option<Place> {
        self.receiver.handle(
            clock::now(),
            Input::Datagram(Received { port: Port::default(), from, local: None, ecn: Ecn::Not, bytes }),
        );
        let (hop, body) = Hop::parse(bytes).ok().filter(|(hop, _)| hop.kind.is_sequenced())?;
        let before = self.sequence.replace(hop.sequence).unwrap_or_else(|| hop.sequence.wrapping_sub(1));
        self.missed += hop.sequence.wrapping_sub(before).wrapping_sub(1);
        let object = ObjectView::parse(body).ok().filter(|_| hop.kind == Kind::OBJECT)?;
        let number = (object.header.kind == Type::PICTURE).then_some(i64::from(object.header.unit.0))?;
        Some(Place { number, missed: std::mem::take(&mut self.missed) })
    }

    fn keep_up(&mut self, socket: &UdpSocket) -> Option<Time> {
        loop {
            match self.receiver.poll(clock::now()) {
                Output::Send(transmit) => {
                    let datagram = [&transmit.hop[..], transmit.body.bytes()].concat();
                    // Not yet listening is no failure: the protocol asks again.
                    let _sent_or_not = socket.send_to(&datagram, transmit.to);
                }
                Output::Event(Event::Finished) => return None,
                Output::Event(_) => {}
                Output::Wait(until, _) => return Some(until),
            }
        }
    }
}

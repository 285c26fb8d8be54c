//! What this machine's timer and sockets can do, measured with the very ones that streams use.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Type};

use super::{Buffer, Options, Socket, TIMER, timer::Timer};
use crate::clock::now;
use crate::stats::Samples;
use crate::units::Time;

/// How late the event loop's timer wakes up, in microseconds: so many times, so far apart.
pub fn timer_lateness(wakes: u32, apart: Duration) -> io::Result<Samples> {
    let mut poll = Poll::new()?;
    let mut timer = Timer::new(poll.registry(), TIMER)?;
    let mut events = Events::with_capacity(4);
    let mut late = Samples::default();
    let start = now();
    for n in 1..=wakes {
        let due = start + apart * n;
        while now() < due {
            let timeout = timer.arm(due, now());
            wait(&mut poll, &mut events, timeout)?;
            timer.clear();
        }
        late.record(micros(due));
    }
    Ok(late)
}

/// The address that this machine speaks to others from: that of the default route. Nothing is sent.
pub fn own_address() -> io::Result<IpAddr> {
    let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // A documentation address (RFC 5737): nobody is there.
    socket.connect(&SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9)).into())?;
    let local = socket.local_addr()?.as_socket();
    local.map(|local| local.ip()).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// How long datagrams of this size take over loopback and back, in microseconds.
pub fn round_trips(count: u32, bytes: usize) -> io::Result<Samples> {
    let poll = Poll::new()?;
    let mut pair = Pair { poll, here: loopback()?, there: loopback()?, buffer: Buffer::default() };
    for (i, socket) in [&mut pair.here, &mut pair.there].into_iter().enumerate() {
        pair.poll.registry().register(&mut socket.udp, Token(i), Interest::READABLE)?;
    }
    let mut trips = Samples::default();
    for _ in 0..count {
        trips.record(pair.round_trip(bytes)?);
    }
    Ok(trips)
}

/// Two sockets that send to each other.
struct Pair {
    poll: Poll,
    here: Socket,
    there: Socket,
    buffer: Buffer,
}

impl Pair {
    fn round_trip(&mut self, bytes: usize) -> io::Result<f64> {
        let start = now();
        self.here.udp.send_to(&self.buffer.bytes[..bytes], self.there.local_addr()?)?;
        let from = receive(&mut self.poll, &self.there, &mut self.buffer)?;
        self.there.udp.send_to(&self.buffer.bytes[..bytes], from)?;
        receive(&mut self.poll, &self.here, &mut self.buffer)?;
        Ok(micros(start))
    }
}

fn loopback() -> io::Result<Socket> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Socket::bind(Options::on(address))
}

/// Waits for one datagram; [`io::ErrorKind::TimedOut`] if none comes.
fn receive(poll: &mut Poll, socket: &Socket, buffer: &mut Buffer) -> io::Result<SocketAddr> {
    let mut events = Events::with_capacity(4);
    let until = now() + PATIENCE;
    loop {
        match socket.receive(buffer) {
            Ok(came) => return Ok(came.from),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if now() >= until => return Err(io::ErrorKind::TimedOut.into()),
            Err(_) => wait(poll, &mut events, Some(until.since(now())))?,
        }
    }
}

fn wait(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        other => other,
    }
}

fn micros(since: Time) -> f64 {
    now().since(since).as_secs_f64() * 1e6
}

/// Far longer than a datagram takes on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timer_and_loopback_are_measured() {
        let late = timer_lateness(5, Duration::from_millis(1)).expect("a timer").block(1.0).expect("samples");
        assert_eq!(late.n, 5);
        let trips = round_trips(5, 1_200).expect("loopback").block(1.0).expect("samples");
        assert!(trips.n == 5 && trips.p50 >= 1.0);
    }
}

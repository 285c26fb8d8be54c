//! One watcher: a receiver of the protocol, a socket, and a ledger that looks over its shoulder.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use udpstream::clock;
use udpstream::proto::receiver::{self, Event, Local};
use udpstream::proto::{Input, Machine, Output, Received, Receiver, SendFailure, Servers, Transmit, Transport};
use udpstream::units::Time;

use super::ledger::{Ledger, Origin};
use super::way::Way;

/// Watchers on one address of this machine: a server takes 1 024.
const AN_ADDRESS: usize = 250;

pub struct Watcher {
    pub machine: Receiver,
    pub way: Way,
    pub ledger: Ledger,
    pub wake: Time,
    pub playing: bool,
    pub finished: bool,
    pub refused: Option<String>,
}

impl Watcher {
    pub fn new(n: usize, server: SocketAddr, (max_datagram, tcp): (u16, bool), now: Time) -> io::Result<Self> {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(n as u64 ^ now.nanos().cast_unsigned().rotate_left(20)).to_be_bytes());
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let (servers, latency) = (Servers::new(transport, vec![server]), std::time::Duration::ZERO);
        let config = receiver::Config { max_datagram, latency, ..receiver::Config::new(seed, servers) };
        Ok(Self {
            machine: Receiver::new(config, now),
            way: Way::new(home(n, server.ip()), server, tcp)?,
            ledger: Ledger::default(),
            wake: now,
            playing: false,
            finished: false,
            refused: None,
        })
    }

    /// Reads all that has come, then does all that is due.
    pub fn read(&mut self, buffer: &mut [u8], origin: &mut Origin) {
        loop {
            let Self { way, ledger, machine, .. } = self;
            let come = way.read(buffer, |port, from, bytes| {
                ledger.datagram(bytes, origin);
                let received = Received { port, from, local: None, ecn: udpstream::wire::Ecn::Not, bytes };
                machine.handle(clock::now(), Input::Datagram(received));
            });
            match come {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.turn(),
                // Of an earlier send: nobody listens there. The next call reads on.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return self.turn(),
            }
        }
    }

    /// Does all that is due.
    pub fn turn(&mut self) {
        loop {
            match self.machine.poll(clock::now()) {
                Output::Send(transmit) => self.send(&transmit),
                Output::Event(event) => self.event(event),
                Output::Wait(until, _) => {
                    self.wake = until;
                    return;
                }
            }
        }
    }

    pub fn stop(&mut self) {
        self.machine.handle(clock::now(), Input::Local(Local::Stop));
        self.turn();
    }

    fn send(&mut self, transmit: &Transmit) {
        if self.way.send(transmit.to, [&transmit.hop, transmit.body.bytes()]).is_err() {
            // Reports and questions are sent again anyway.
            let failed = Input::NotSent(transmit.port, transmit.to, SendFailure::Unreachable);
            self.machine.handle(clock::now(), failed);
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Playing { .. } => self.playing = true,
            Event::Refused { sentence, .. } => self.refused = Some(sentence),
            Event::Finished => self.finished = true,
            // Pictures need no word here, and sound was not asked for.
            _ => {}
        }
    }
}

/// On loopback the watchers spread over its addresses, elsewhere the system chooses.
fn home(n: usize, server: IpAddr) -> SocketAddr {
    let host = n / AN_ADDRESS;
    let ip = match server {
        IpAddr::V4(v4) if v4.is_loopback() => IpAddr::from([127, 0, 1, 1 + host as u8]),
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(ip, 0)
}

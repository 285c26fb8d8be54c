//! One watcher: a receiver of the protocol, a socket, and a ledger that looks over its shoulder.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket as Raw, Type};
use udpstream::clock;
use udpstream::proto::receiver::{self, Event, Local};
use udpstream::proto::{Input, Machine, Output, Port, Received, Receiver, SendFailure, Transmit};
use udpstream::units::Time;

use super::ledger::{Ledger, Origin};

/// Half a second of a 30 Mb/s stream, in the kernel's accounting of some twice its bytes.
const ROOM: usize = 4 << 20;
/// Watchers on one address of this machine: a server takes 1 024.
const AN_ADDRESS: usize = 250;

pub struct Watcher {
    pub machine: Receiver,
    pub socket: UdpSocket,
    pub ledger: Ledger,
    pub wake: Time,
    pub playing: bool,
    pub finished: bool,
    pub refused: Option<String>,
}

impl Watcher {
    pub fn new(n: usize, server: SocketAddr, max_datagram: u16, now: Time) -> io::Result<Self> {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(n as u64 ^ now.nanos().cast_unsigned().rotate_left(20)).to_be_bytes());
        let (servers, latency) = (vec![server], std::time::Duration::ZERO);
        let config = receiver::Config { max_datagram, latency, ..receiver::Config::new(seed, servers) };
        Ok(Self {
            machine: Receiver::new(config, now),
            socket: socket(home(n, server.ip()))?,
            ledger: Ledger::default(),
            wake: now,
            playing: false,
            finished: false,
            refused: None,
        })
    }

    /// The kernel's bytes that the socket may hold.
    pub fn room(&self) -> io::Result<usize> {
        SockRef::from(&self.socket).recv_buffer_size()
    }

    /// Reads all that has come, then does all that is due.
    pub fn read(&mut self, buffer: &mut [u8], origin: &mut Origin) {
        loop {
            match self.socket.recv_from(buffer) {
                Ok((length, from)) => {
                    let bytes = &buffer[..length];
                    self.ledger.datagram(bytes, origin);
                    let received =
                        Received { port: Port::default(), from, local: None, ecn: udpstream::wire::Ecn::Not, bytes };
                    self.machine.handle(clock::now(), Input::Datagram(received));
                }
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
        let parts = [IoSlice::new(&transmit.hop), IoSlice::new(transmit.body.bytes())];
        let to = SockAddr::from(transmit.to);
        if SockRef::from(&self.socket).send_to_vectored(&parts, &to).is_err() {
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

fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let raw = Raw::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    raw.set_nonblocking(true)?;
    // As root past the system's cap, otherwise as much as it grants.
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(&raw, ROOM).is_err() {
        raw.set_recv_buffer_size(ROOM)?;
    }
    raw.bind(&address.into())?;
    Ok(UdpSocket::from_std(raw.into()))
}

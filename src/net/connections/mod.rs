//! All TCP connections of a loop: accepted and opened, found by their peers; limits on what strangers can hold.

mod connection;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket as Raw, Type};

pub use connection::Sent;
use connection::{Connection, Gone, RECEIVE_ROOM};

use super::socket::{Buffer, is_any6, plain};
use crate::clock::now;
use crate::net::Marks;
use crate::proto::{ConnectionState, Input, Machine, Peer, Port, Received, SendFailure, Transmit};
use crate::units::Time;
use crate::wire::Ecn;

/// Connections that were accepted, together and of one host; files that are left for all else.
const MOST: usize = 4_096;
const MOST_OF_HOST: usize = 1_024;
const OTHER_FILES: u64 = 256;
/// Those that were not let in yet: one more takes the place of the oldest of the host that has most of them.
const MOST_STRANGERS: usize = 256;
/// Bytes that wait to be sent in all of them.
const MOST_KEPT: usize = 128 << 20;
/// Accepted at once before anything else has its turn.
const ACCEPTED: usize = 64;
/// Connections are read for so long, one at least, before anything else has its turn. A read takes up to 64 KiB.
const READING: Duration = Duration::from_millis(2);
/// How long nobody is accepted after the system had no file for it.
const NO_FILE: Duration = Duration::from_millis(100);
/// Connections are looked after this often.
const LOOK: Duration = Duration::from_millis(500);
/// The system's queue of those that wait to be accepted.
const BACKLOG: i32 = 1_024;

/// Where connections are accepted.
pub struct Listener {
    tcp: TcpListener,
}

impl Listener {
    /// Binds as [`Socket::bind`](super::Socket::bind) does.
    pub fn bind(address: SocketAddr, marks: Marks) -> io::Result<Self> {
        let raw = Raw::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            raw.set_only_v6(!is_any6(address))?;
        }
        raw.set_nonblocking(true)?;
        // Connections of a server that was here before do not keep its port.
        raw.set_reuse_address(true)?;
        raw.set_recv_buffer_size(RECEIVE_ROOM)?;
        // Those that are accepted have it from here.
        marks.mark_connections(&raw, address)?;
        raw.bind(&address.into())?;
        raw.listen(BACKLOG)?;
        Ok(Self { tcp: TcpListener::from_std(raw.into()) })
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

struct Listening {
    port: Port,
    listener: Listener,
    acceptable: bool,
}

/// See the head of this file.
pub struct Connections {
    listening: Vec<Listening>,
    slots: Vec<Option<Connection>>,
    by_peer: BTreeMap<Peer, usize>,
    /// Accepted and not let in, the oldest first.
    strangers: VecDeque<Peer>,
    accepted: usize,
    most: usize,
    /// Bytes that wait to be sent in all of them, as they were when each was last sent something.
    kept: usize,
    /// The one that is read first.
    turn: usize,
    registry: Registry,
    marks: Marks,
    next_look: Time,
    accepts_from: Time,
}

/// Tokens of listeners begin here, …
const LISTENERS: usize = 2_000;
/// … and those of connections here.
const FIRST: usize = 10_000;

impl Connections {
    pub fn new(registry: Registry) -> Self {
        Self {
            listening: Vec::new(),
            slots: Vec::new(),
            by_peer: BTreeMap::new(),
            strangers: VecDeque::new(),
            accepted: 0,
            most: MOST,
            kept: 0,
            turn: 0,
            registry,
            marks: Marks::default(),
            next_look: Time::ZERO,
            accepts_from: Time::ZERO,
        }
    }

    /// Those that are opened from now on are marked so.
    pub const fn mark(&mut self, marks: Marks) {
        self.marks = marks;
    }

    /// Accepts connections from now on: they are the machine's `port`.
    pub fn listen(&mut self, port: Port, mut listener: Listener) -> io::Result<()> {
        let token = Token(LISTENERS + self.listening.len());
        self.registry.register(&mut listener.tcp, token, Interest::READABLE)?;
        self.listening.push(Listening { port: port.connections(), listener, acceptable: true });
        self.most = MOST.min(usize::try_from(files().saturating_sub(OTHER_FILES)).unwrap_or(MOST)).max(1);
        Ok(())
    }

    /// Sends a datagram to a peer: in the connection that there is, or in one that is opened for it where we are the one who asks.
    pub fn send(&mut self, now: Time, transmit: &Transmit) -> io::Result<Sent> {
        let peer = Peer { port: transmit.port, address: transmit.to };
        let slot = match self.by_peer.get(&peer) {
            Some(slot) => *slot,
            None if self.listening.iter().any(|listening| listening.port == peer.port) => {
                return Err(io::ErrorKind::NotConnected.into());
            }
            None => self.insert(Connection::open(now, peer, self.marks)?)?,
        };
        if self.kept > MOST_KEPT {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let connection = self.slots[slot].as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let (was, before) = (connection.was_let_in(), connection.keeps());
        let sent = connection.send(now, transmit);
        self.kept = (self.kept + connection.keeps()).saturating_sub(before);
        if !was && connection.was_let_in() {
            self.strangers.retain(|stranger| *stranger != peer);
        }
        sent
    }

    /// Whether this token is one of ours.
    pub const fn owns(token: Token) -> bool {
        token.0 >= LISTENERS
    }

    /// Something can be read, written or accepted.
    pub fn happened<M: Machine>(&mut self, now: Time, event: &mio::event::Event, machine: &mut M) {
        let Some(slot) = event.token().0.checked_sub(FIRST) else {
            let listening = self.listening.get_mut(event.token().0 - LISTENERS);
            return listening.into_iter().for_each(|listening| listening.acceptable = true);
        };
        let Some(connection) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return };
        connection.readable |= event.is_readable() || event.is_error() || event.is_read_closed();
        if event.is_writable() || event.is_error() {
            let (peer, before) = (connection.peer, connection.keeps());
            let flushed = connection.flush();
            self.kept = (self.kept + connection.keeps()).saturating_sub(before);
            match flushed {
                Ok(true) => machine.handle(now, Input::Connection(peer, ConnectionState::Ready)),
                Ok(false) => {}
                Err(_) => self.close(now, slot, machine),
            }
        }
    }

    /// Whether there is something to be read, or somebody to be accepted.
    pub fn is_readable(&self, now: Time) -> bool {
        let accepts = now >= self.accepts_from && self.listening.iter().any(|listening| listening.acceptable);
        accepts || self.slots.iter().flatten().any(|connection| connection.readable)
    }

    /// Accepts and reads, and closes what is overdue.
    pub fn receive<M: Machine>(&mut self, buffer: &mut Buffer, machine: &mut M) {
        let begun = now();
        self.accept(begun, machine);
        let count = self.slots.len();
        for n in 0..count {
            let slot = (self.turn + n) % count;
            if self.read(slot, begun + READING, buffer, machine) {
                // The others come first next time.
                self.turn = slot + 1;
                break;
            }
        }
        let now = now();
        if now >= self.next_look && !self.by_peer.is_empty() {
            self.next_look = now + LOOK;
            for slot in 0..self.slots.len() {
                if self.slots[slot].as_ref().is_some_and(|connection| connection.is_overdue(now)) {
                    self.close(now, slot, machine);
                }
            }
        }
    }

    /// When to call [`Connections::receive`] even if nothing happens.
    pub fn deadline(&self) -> Time {
        let look = if self.by_peer.is_empty() { Time::NEVER } else { self.next_look };
        let waits = self.listening.iter().any(|listening| listening.acceptable);
        if waits { look.min(self.accepts_from) } else { look }
    }

    /// Reads what has come in one connection; true: time is up.
    fn read<M: Machine>(&mut self, slot: usize, until: Time, buffer: &mut Buffer, machine: &mut M) -> bool {
        let Some(connection) = self.slots[slot].as_mut().filter(|connection| connection.readable) else { return false };
        let Peer { port, address: from } = connection.peer;
        let local = connection.local_addr().map(|local| plain(local).ip());
        while connection.readable {
            let now = now();
            if now >= until {
                return true;
            }
            let come = connection.read(now, &mut buffer.bytes, |bytes| {
                machine.handle(now, Input::Datagram(Received { port, from, local, ecn: Ecn::Not, bytes }));
            });
            if let Err(gone) = come {
                match gone {
                    Gone::Ended => tracing::debug!(%from, "connection ended"),
                    Gone::Failed(error) => tracing::debug!(%from, %error, "connection failed"),
                    Gone::Unreadable(error) => tracing::debug!(%from, %error, "connection closed"),
                }
                self.close(now, slot, machine);
                return false;
            }
        }
        false
    }

    fn accept<M: Machine>(&mut self, now: Time, machine: &mut M) {
        if now < self.accepts_from {
            return;
        }
        for at in 0..self.listening.len() {
            for _ in 0..ACCEPTED {
                let Listening { port, listener, acceptable } = &mut self.listening[at];
                if !*acceptable {
                    break;
                }
                match listener.tcp.accept() {
                    Ok((stream, from)) => {
                        let peer = Peer { port: *port, address: plain(from) };
                        self.admit(now, Connection::new(now, stream, peer), machine);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => *acceptable = false,
                    Err(error) if is_of_one(&error) => {}
                    Err(_) => {
                        // No file is left: a stranger gives back its own, and the next one waits a moment.
                        self.accepts_from = now + NO_FILE;
                        return self.close_stranger(now, machine);
                    }
                }
            }
        }
    }

    fn admit<M: Machine>(&mut self, now: Time, connection: io::Result<Connection>, machine: &mut M) {
        let Ok(connection) = connection else { return };
        let peer = connection.peer;
        // The same peer again: what there was is gone, though we have not heard of it.
        self.by_peer.get(&peer).copied().into_iter().for_each(|slot| self.close(now, slot, machine));
        // Who is one too many is closed by being dropped.
        if self.count_of(host(peer.address.ip())) >= MOST_OF_HOST {
            return;
        }
        if self.strangers.len() >= MOST_STRANGERS.min(self.most) {
            self.close_stranger(now, machine);
        }
        if self.accepted >= self.most {
            return;
        }
        if let Ok(slot) = self.insert(connection) {
            self.accepted += usize::from(self.slots[slot].is_some());
            self.strangers.push_back(peer);
        }
    }

    /// The oldest stranger of the host that has most of them gives way.
    fn close_stranger<M: Machine>(&mut self, now: Time, machine: &mut M) {
        let hosts = || self.strangers.iter().map(|peer| host(peer.address.ip()));
        let mut counts = BTreeMap::<IpAddr, usize>::new();
        hosts().for_each(|host| *counts.entry(host).or_default() += 1);
        let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(host, _)| host);
        let oldest = hosts().position(|host| Some(host) == most).and_then(|at| self.strangers.remove(at));
        let slot = oldest.and_then(|peer| self.by_peer.get(&peer).copied());
        slot.into_iter().for_each(|slot| self.close(now, slot, machine));
    }

    fn count_of(&self, of: IpAddr) -> usize {
        let accepted = self.slots.iter().flatten().filter(|connection| !connection.ours);
        accepted.filter(|connection| host(connection.peer.address.ip()) == of).count()
    }

    fn insert(&mut self, mut connection: Connection) -> io::Result<usize> {
        let slot = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        connection.register(&self.registry, Token(FIRST + slot))?;
        self.by_peer.insert(connection.peer, slot);
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[slot] = Some(connection);
        Ok(slot)
    }

    fn close<M: Machine>(&mut self, now: Time, slot: usize, machine: &mut M) {
        let Some(mut connection) = self.slots[slot].take() else { return };
        let peer = connection.peer;
        connection.deregister(&self.registry);
        self.kept = self.kept.saturating_sub(connection.keeps());
        if self.by_peer.get(&peer) == Some(&slot) {
            self.by_peer.remove(&peer);
        }
        if !connection.ours {
            self.accepted -= 1;
            self.strangers.retain(|stranger| *stranger != peer);
        }
        if connection.is_connecting() && !connection.was_refused() {
            machine.handle(now, Input::NotSent(peer.port, peer.address, SendFailure::Unreachable));
        } else {
            machine.handle(now, Input::Connection(peer, ConnectionState::Closed));
        }
    }
}

/// Whoever has a network of IPv6 has all of its addresses.
fn host(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::from((u128::from(ip) & !0 << 64).to_be_bytes()),
    }
}

/// An error that concerns the one who was to be accepted, and nobody else.
fn is_of_one(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let one = [Errno::CONNABORTED, Errno::INTR, Errno::PROTO, Errno::NETDOWN, Errno::HOSTUNREACH, Errno::NETUNREACH];
    Errno::from_io_error(error).is_some_and(|errno| one.contains(&errno))
}

/// How many files the process may have open: as many as it is allowed to ask for.
fn files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    current.unwrap_or(u64::MAX)
}

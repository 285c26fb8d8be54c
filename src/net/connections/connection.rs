//! One TCP connection: datagrams in, datagrams out, each behind its length. What the system does not take at once is kept, and whoever
//! sends is told that it is full.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket as Raw, Type};

use crate::net::Marks;
use crate::proto::framing::{self, BadLength, Deframer};
use crate::proto::{Peer, Transmit};
use crate::units::{Bitrate, Time};
use crate::wire::HOP_LEN;

/// What the system may hold that was not read yet, as it is asked for; it grants twice as much. More would only grow old: at a round
/// trip of 50 ms it carries 80 Mb/s.
pub const RECEIVE_ROOM: usize = 256 << 10;
/// The system may hold so much that is not on its way yet, …
const LEAST_UNSENT: u32 = 32 << 10;
const MOST_UNSENT: u32 = 512 << 10;
/// … which is what leaves in this time: about a picture.
const PICTURE: Duration = Duration::from_millis(40);
/// So often the rate is measured.
const MEASURED: Duration = Duration::from_millis(500);
/// Bytes that are kept for a connection that is full. Messages are small and few; it is never sent a picture then.
const MOST_KEPT: usize = 1 << 20;
/// The same before it is there: a few questions.
const KEPT_AT_FIRST: usize = 16 << 10;
/// The system gives up a connection that has taken nothing for so long.
const STUCK: Duration = Duration::from_secs(40);
/// It may be kept open without a word for so long before the system asks whether the other end is there.
const QUIET: Duration = Duration::from_secs(15);
/// A connection that is opened here must be there within this time, …
const OPENING: Duration = Duration::from_secs(5);
/// … one that was accepted let in, …
const STRANGE: Duration = Duration::from_secs(5);
/// … and go on being of use: whoever is in a session is sent its clock within this time.
const LET_GO: Duration = Duration::from_secs(20);
/// … and a datagram that has begun whole.
const WHOLE: Duration = Duration::from_secs(10);
/// One in which nothing has come for so long is closed: of ours, where whoever opened it speaks by other means now, …
const IDLE_OURS: Duration = Duration::from_secs(20);
/// … and of others. Sessions in connections live for 30 s without a word.
const IDLE: Duration = Duration::from_secs(45);

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in the system's hands, or waits behind others.
    Taken,
    /// It is kept, and there is no more room for media.
    Full,
}

/// See the head of this file.
pub struct Connection {
    stream: TcpStream,
    pub peer: Peer,
    /// Opened here, and not accepted.
    pub ours: bool,
    connecting: bool,
    /// The other end is there, and nobody listens.
    refused: bool,
    /// When it was last sent something of a session, if it was.
    let_in: Option<Time>,
    pub readable: bool,
    full: bool,
    /// What the system has not taken, from `taken` on.
    kept: Vec<u8>,
    taken: usize,
    deframer: Deframer,
    /// When the datagram began of which the rest is still to come.
    within: Option<Time>,
    begun: Time,
    heard: Time,
    meter: Meter,
}

/// How much leaves.
struct Meter {
    since: Time,
    bytes: u64,
    unsent: u32,
}

impl Connection {
    /// Opens one to a peer; whether that works shows later.
    pub fn open(now: Time, peer: Peer, marks: Marks) -> io::Result<Self> {
        let address = peer.address;
        let raw = Raw::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        raw.set_nonblocking(true)?;
        raw.set_recv_buffer_size(RECEIVE_ROOM)?;
        marks.mark_connections(&raw, address)?;
        match raw.connect(&address.into()) {
            Err(error) if !is_under_way(&error) => return Err(error),
            _ => {}
        }
        let mut this = Self::new(now, TcpStream::from_std(raw.into()), peer)?;
        (this.ours, this.connecting) = (true, true);
        Ok(this)
    }

    /// One that was accepted.
    pub fn new(now: Time, stream: TcpStream, peer: Peer) -> io::Result<Self> {
        let socket = SockRef::from(&stream);
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(QUIET))?;
        #[cfg(target_os = "linux")]
        {
            socket.set_tcp_user_timeout(Some(STUCK))?;
            socket.set_tcp_notsent_lowat(LEAST_UNSENT)?;
        }
        let meter = Meter { since: now, bytes: 0, unsent: LEAST_UNSENT };
        Ok(Self {
            stream,
            peer,
            ours: false,
            connecting: false,
            refused: false,
            let_in: None,
            readable: true,
            full: false,
            kept: Vec::new(),
            taken: 0,
            deframer: Deframer::default(),
            within: None,
            begun: now,
            heard: now,
            meter,
        })
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.stream.register(registry, token, Interest::READABLE | Interest::WRITABLE)
    }

    pub fn deregister(&mut self, registry: &Registry) {
        // It is gone either way.
        self.stream.deregister(registry).ok();
    }

    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.stream.local_addr().ok()
    }

    /// Sends a datagram, or keeps it.
    pub fn send(&mut self, now: Time, transmit: &Transmit) -> io::Result<Sent> {
        let most = if self.connecting { KEPT_AT_FIRST } else { MOST_KEPT };
        if self.kept.len() - self.taken > most {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if transmit.hop[4..8] != [0; 4] {
            self.let_in = Some(now);
        }
        let (length, body) = (framing::length(transmit.len()), transmit.body.bytes());
        let took = if self.connecting || self.is_keeping() {
            0
        } else {
            let parts = [IoSlice::new(&length), IoSlice::new(&transmit.hop), IoSlice::new(body)];
            taken(self.stream.write_vectored(&parts))?
        };
        if self.taken > self.kept.len() / 2 {
            self.kept.drain(..self.taken);
            self.taken = 0;
        }
        let mut before = 0;
        for part in [&length[..], &transmit.hop, body] {
            self.kept.extend_from_slice(part.get(took.saturating_sub(before).min(part.len())..).unwrap_or_default());
            before += part.len();
        }
        self.measure(now, framing::LENGTH + HOP_LEN + body.len());
        self.full = self.is_keeping() && !self.connecting;
        Ok(if self.full { Sent::Full } else { Sent::Taken })
    }

    /// It can be written to, or has failed. Returns whether there is room again after there was none.
    pub fn flush(&mut self) -> io::Result<bool> {
        if self.connecting {
            if let Some(error) = self.stream.take_error()? {
                self.refused = error.kind() == io::ErrorKind::ConnectionRefused;
                return Err(error);
            }
            match self.stream.peer_addr() {
                Ok(_) => self.connecting = false,
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        while self.is_keeping() {
            match taken(self.stream.write(&self.kept[self.taken..]))? {
                0 => return Ok(false),
                took => self.taken += took,
            }
        }
        self.kept.clear();
        self.kept.shrink_to(KEPT_AT_FIRST);
        self.taken = 0;
        Ok(std::mem::take(&mut self.full))
    }

    /// Reads once; `whole` is given each datagram that has come to its end. Whether more may be there says `readable`.
    pub fn read(&mut self, now: Time, room: &mut [u8], mut whole: impl FnMut(&[u8])) -> Result<(), Gone> {
        let count = match self.stream.read(room) {
            Ok(0) => return Err(Gone::Ended),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) if self.connecting && error.kind() == io::ErrorKind::NotConnected => {
                self.readable = false;
                return Ok(());
            }
            Err(error) => {
                self.refused = self.connecting && error.kind() == io::ErrorKind::ConnectionRefused;
                return Err(Gone::Failed(error));
            }
        };
        let mut some = false;
        self.deframer.take(&room[..count], |datagram| {
            some = true;
            whole(datagram);
        })?;
        if some {
            (self.heard, self.within) = (now, None);
        }
        self.within = self.deframer.is_within().then(|| self.within.unwrap_or(now));
        Ok(())
    }

    /// Whether it is of no use any more.
    pub fn is_overdue(&self, now: Time) -> bool {
        let strange = !self.ours
            && match self.let_in {
                None => now.since(self.begun) > STRANGE,
                Some(at) => now.since(at) > LET_GO,
            };
        let opening = self.connecting && now.since(self.begun) > OPENING;
        let cut_off = self.within.is_some_and(|since| now.since(since) > WHOLE);
        let idle = now.since(self.heard) > if self.ours { IDLE_OURS } else { IDLE };
        strange || opening || cut_off || idle
    }

    /// Whether it has been sent something of a session.
    pub const fn was_let_in(&self) -> bool {
        self.let_in.is_some()
    }

    /// Bytes of memory that wait to be sent.
    pub const fn keeps(&self) -> usize {
        self.kept.len()
    }

    pub const fn is_connecting(&self) -> bool {
        self.connecting
    }

    /// Whether there is a way to the other end, though nobody listens there.
    pub const fn was_refused(&self) -> bool {
        self.refused
    }

    const fn is_keeping(&self) -> bool {
        self.taken < self.kept.len()
    }

    /// The system holds about a picture, whatever its size.
    fn measure(&mut self, now: Time, bytes: usize) {
        let Meter { since, bytes: before, unsent } = &mut self.meter;
        *before += bytes as u64;
        let took = now.since(*since);
        if took < MEASURED {
            return;
        }
        let rate = Bitrate::of(*before, took).unwrap_or_default();
        (*since, *before) = (now, 0);
        let picture = rate.as_bps() as f64 / 8.0 * PICTURE.as_secs_f64();
        let wanted = (picture as u32).clamp(LEAST_UNSENT, MOST_UNSENT);
        if wanted.abs_diff(*unsent) > *unsent / 4 {
            *unsent = wanted;
            // Where that cannot be set it stays as it was.
            #[cfg(target_os = "linux")]
            SockRef::from(&self.stream).set_tcp_notsent_lowat(wanted).ok();
        }
    }
}

/// Why a connection is over.
#[derive(Debug)]
pub enum Gone {
    Ended,
    Failed(io::Error),
    /// What comes cannot be read.
    Unreadable(BadLength),
}

impl From<BadLength> for Gone {
    fn from(error: BadLength) -> Self {
        Self::Unreadable(error)
    }
}

/// How much the system took.
fn taken(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
        other => other,
    }
}

fn is_under_way(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::INPROGRESS | Errno::AGAIN | Errno::INTR))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::Ipv4Addr;

    use super::super::Listener;
    use super::*;
    use crate::proto::Port;

    /// A connection of ours, and whoever accepts it.
    fn pair() -> (Connection, TcpStream) {
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), Marks::default()).expect("a port");
        let peer = Peer { port: Port::PICTURES.connections(), address: listener.local_addr().expect("an address") };
        let mut ours = Connection::open(Time::ZERO, peer, Marks { dscp: 34, ..Marks::default() }).expect("opened");
        let theirs = loop {
            if let Ok((theirs, _)) = listener.tcp.accept() {
                break theirs;
            }
        };
        while ours.is_connecting() {
            ours.flush().expect("there");
        }
        (ours, theirs)
    }

    fn datagram(to: SocketAddr, bytes: usize) -> Transmit {
        let hop = [7; HOP_LEN];
        Transmit { port: Port::PICTURES.connections(), to, from: None, hop, body: vec![1; bytes].into() }
    }

    #[test]
    fn a_reader_who_is_too_slow_makes_nothing_grow_and_gets_everything_in_order() {
        let (mut ours, mut theirs) = pair();
        let (transmit, mut deframer) = (datagram(ours.peer.address, 9_000), Deframer::default());
        let (mut taken, mut came, mut full, mut most) = (0_u64, 0_u64, 0, 0);
        let mut room = vec![0; 3_000];
        let read = |theirs: &mut TcpStream, deframer: &mut Deframer, came: &mut u64, room: &mut [u8]| {
            let Ok(count) = theirs.read(room) else { return false };
            deframer.take(&room[..count], |bytes| *came += u64::from(bytes.len() == HOP_LEN + 9_000)).expect("framed");
            count > 0
        };
        for _ in 0..6_000 {
            match ours.send(Time::ZERO, &transmit) {
                Ok(sent) => (taken, full) = (taken + 1, full + u64::from(sent == Sent::Full)),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::StorageFull),
            }
            ours.flush().expect("it lives");
            read(&mut theirs, &mut deframer, &mut came, &mut room);
            most = most.max(ours.kept.capacity());
        }
        assert!(full > 100 && taken < 6_000, "the regime: it was full {full} times, and took {taken}");
        assert!(most < 4 * MOST_KEPT, "{most} bytes are held");
        while ours.is_keeping() || read(&mut theirs, &mut deframer, &mut came, &mut room) {
            ours.flush().expect("it lives");
            read(&mut theirs, &mut deframer, &mut came, &mut room);
        }
        // What the system still has on its way.
        while came < taken {
            read(&mut theirs, &mut deframer, &mut came, &mut room);
        }
        assert_eq!(came, taken);
    }

    #[test]
    fn who_is_of_no_use_is_shown_out() {
        let (ours, theirs) = pair();
        let peer = Peer { port: Port::PICTURES.connections(), address: ours.peer.address };
        let mut stranger = Connection::new(Time::ZERO, theirs, peer).expect("accepted");
        let at = Time::from_millis;
        assert!(!stranger.is_overdue(at(5_000)) && stranger.is_overdue(at(5_001)));
        stranger.send(at(4_000), &datagram(peer.address, 100)).expect("sent");
        assert!(stranger.was_let_in() && !stranger.is_overdue(at(24_000)) && stranger.is_overdue(at(24_001)));
        assert!(!ours.is_overdue(at(20_000)) && ours.is_overdue(at(20_001)));
    }
}

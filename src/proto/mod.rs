//! The protocol machines. They do no IO, know no clock and draw no random numbers but from their seed.
//!
//! A machine is driven by one loop: put in what happened, take out what to do until it says [`Output::Wait`].
//!
//! ```
//! use udpstream::proto::{Input, Machine, Output};
//! use udpstream::units::Time;
//!
//! /// Lets a machine do all that is due at `now`; returns when it wants to be called again.
//! fn drain<M: Machine>(machine: &mut M, now: Time, send: &mut dyn FnMut(udpstream::proto::Transmit)) -> Time {
//!     loop {
//!         match machine.poll(now) {
//!             Output::Send(transmit) => send(transmit),
//!             Output::Event(_event) => {}
//!             Output::Wait(until, _reason) => return until,
//!         }
//!     }
//! }
//!
//! /// One datagram in, everything that follows from it out.
//! fn datagram<M: Machine>(machine: &mut M, now: Time, input: Input<'_, M::Local>) -> Time {
//!     machine.handle(now, input);
//!     drain(machine, now, &mut |_transmit| { /* sendmsg([hop, body]) */ })
//! }
//! ```
//!
//! `now` never goes back and may advance between polls. A machine may be polled early, late or twice: nothing happens
//! twice. Everything it sends is bounded by its configuration, whatever it is sent.
#![forbid(unsafe_code)]

use std::net::{IpAddr, SocketAddr};

use crate::media::coded::Object;
use crate::units::Time;
use crate::wire::{Ecn, HOP_LEN, Hop, Kind};

mod client;
mod clocksync;
mod door;
pub mod framing;
mod fuzz;
mod hops;
pub mod ladder;
pub mod lister;
mod player;
pub mod publisher;
pub mod receiver;
mod reception;
pub mod relay;
pub mod schedule;
mod sender;
pub mod server;
mod servers;
pub mod servo;
mod session;
mod stream;
mod talk;

#[doc(hidden)]
pub use fuzz::{fuzz_connections, fuzz_group, fuzz_publish, fuzz_receiver, fuzz_relay, fuzz_server};
pub use lister::Lister;
pub use receiver::Receiver;
pub use relay::Relay;
pub use server::Server;
pub use servers::{Servers, Transport};

/// Which of a program's sockets: 0 is the picture port, 1 the sound port. Each has a half for TCP, see [`Port::connections`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port(pub u16);

/// One end of a conversation: which of our sockets, and who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    pub port: Port,
    pub address: SocketAddr,
}

/// A peer, and which of our addresses it speaks to. An answer leaves from there: a client knows its server by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route {
    peer: Peer,
    /// `None`: the system chooses.
    local: Option<IpAddr>,
}

/// A datagram as it came.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    pub port: Port,
    pub from: SocketAddr,
    /// Which of our addresses it was sent to, if the system told.
    pub local: Option<IpAddr>,
    /// How the sender and the path marked it, if the system told.
    pub ecn: Ecn,
    pub bytes: &'a [u8],
}

impl Received<'_> {
    const fn peer(&self) -> Peer {
        Peer { port: self.port, address: self.from }
    }

    /// The way back.
    const fn route(&self) -> Route {
        Route { peer: self.peer(), local: self.local }
    }
}

/// Why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFailure {
    /// EMSGSIZE: larger than the path's MTU, as far as this machine knows.
    TooLarge,
    /// Anything else: no route, host down, refused by a firewall.
    Unreachable,
}

/// What happened outside.
#[derive(Debug)]
pub enum Input<'a, L> {
    Datagram(Received<'a>),
    /// The last transmit to this address failed; given before the next poll.
    NotSent(Port, SocketAddr, SendFailure),
    /// Of a TCP connection. Datagrams that are sent to a full one are kept, so that nothing large should be.
    Connection(Peer, ConnectionState),
    Local(L),
}

/// What has become of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// About one picture waits to be sent: the next one is to be newer.
    Full,
    /// There is room again.
    Ready,
    /// It is gone. Another one to the same peer would be opened by the next datagram, if it was opened here.
    Closed,
}

/// What to do next.
#[must_use]
#[derive(Debug)]
pub enum Output<E> {
    Send(Transmit),
    Event(E),
    /// Nothing until then, unless something comes in.
    Wait(Time, Reason),
}

/// One datagram to send: `hop` and `body` one after the other.
#[derive(Clone, Debug)]
pub struct Transmit {
    pub port: Port,
    pub to: SocketAddr,
    /// Which of our addresses it leaves from; `None`: the system chooses.
    pub from: Option<IpAddr>,
    pub hop: [u8; HOP_LEN],
    pub body: Object,
}

impl Port {
    /// Pictures, and all that belongs to them.
    pub const PICTURES: Self = Self(0);
    /// Sound alone.
    pub const SOUND: Self = Self(1);
    /// The first of those that a relay asks servers above from.
    pub const ABOVE: Self = Self(2);
    /// The first of those that send to groups.
    pub const GROUP: Self = Self(240);
    /// Of a relay: the one on which the group is heard that it passes on.
    pub const TUNED: Self = Self(254);
    const TCP: u16 = 0x100;

    /// The half of this port that speaks through TCP connections.
    #[must_use]
    pub const fn connections(self) -> Self {
        Self(self.0 | Self::TCP)
    }

    /// The half of it that is a UDP socket.
    #[must_use]
    pub const fn socket(self) -> Self {
        Self(self.0 & !Self::TCP)
    }

    pub const fn is_connections(self) -> bool {
        self.0 & Self::TCP != 0
    }

    /// Whether pictures are joined here. Sound alone has a port of its own, and none for TCP.
    pub const fn is_for_pictures(self) -> bool {
        self.socket().0 == Self::PICTURES.0
    }
}

impl Transmit {
    /// UDP payload bytes.
    pub fn len(&self) -> usize {
        HOP_LEN + self.body.len()
    }

    pub fn is_empty(&self) -> bool {
        false
    }

    fn new(to: Route, hop: Hop, body: Object) -> Self {
        Self { port: to.peer.port, to: to.peer.address, from: to.local, hop: hop.to_bytes(), body }
    }

    /// From whichever of our addresses the system chooses.
    fn message(to: Peer, hop: Hop, message: &crate::wire::Message<'_>) -> Self {
        let mut body = Vec::with_capacity(64);
        message.emit(&mut body);
        Self::new(Route { peer: to, local: None }, hop, body.into())
    }
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Idle,
    /// A picture leaves.
    Departure,
    /// A chunk of sound leaves, is given up for, or has been heard.
    Sound,
    /// The next burst of a picture on its way.
    Pacing,
    /// Sessions: silence, repeats, probes.
    Housekeeping,
    /// Something is missing, and asked for.
    Repair,
    /// A Hello or Join goes out again.
    Retry,
    Report,
    /// A picture is due, or given up for.
    Playout,
}

/// A protocol machine.
pub trait Machine {
    type Local;
    type Event;
    /// Takes one input in; whatever follows comes out of [`Machine::poll`].
    fn handle(&mut self, now: Time, input: Input<'_, Self::Local>);
    /// Call until it returns [`Output::Wait`].
    fn poll(&mut self, now: Time) -> Output<Self::Event>;
}

/// The earliest of several deadlines, with its reason.
#[derive(Clone, Copy, Debug)]
struct Soonest(Time, Reason);

impl Soonest {
    const fn new() -> Self {
        Self(Time::NEVER, Reason::Idle)
    }

    fn or(self, at: Option<Time>, reason: Reason) -> Self {
        match at {
            Some(at) if at < self.0 => Self(at, reason),
            _ => self,
        }
    }
}

/// A hop header outside any sequence.
fn hop(kind: Kind, tag: u32, now: Time) -> Hop {
    Hop::unsequenced(kind, tag, now.wire_micros())
}

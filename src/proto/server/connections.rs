//! Watchers that come through TCP connections, where UDP does not get through. They are sent the same datagrams, in the same
//! order. Such a connection says when it is full: then nothing but messages is put into it, and once there is room again the newest
//! picture follows.

use std::net::IpAddr;
use std::time::Duration;

use super::{SILENCE_LIMIT, Server};
use crate::proto::session::{Gone, Session};
use crate::proto::{ConnectionState, Peer};
use crate::units::Time;
use crate::wire::SizeClass;

/// A watcher behind a connection may be silent for so long: the connection tells when it is gone, and one who reads nothing costs
/// nothing.
pub const CONNECTION_SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// A connection from this machine whose round trips all take longer comes through a tunnel.
const TUNNEL: Duration = Duration::from_millis(4);

/// How long whoever comes by this peer may be silent.
pub const fn silence_limit(peer: Peer) -> Duration {
    if peer.port.is_connections() { CONNECTION_SILENCE_LIMIT } else { SILENCE_LIMIT }
}

/// What datagrams are made for that go through a connection: larger ones would only be harder to pass on.
pub const fn class(ip: IpAddr) -> SizeClass {
    if is_loopback(ip) { SizeClass::LOOPBACK } else { SizeClass::JUMBO }
}

const fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback(),
    }
}

impl Server {
    pub(super) fn connection(&mut self, peer: Peer, state: ConnectionState) {
        let Some(slot) = self.sessions.at(peer) else { return };
        if state == ConnectionState::Closed {
            return self.remove(slot, Gone::Left);
        }
        let Some(session) = self.sessions.get_mut(slot) else { return };
        session.media.is_full = state == ConnectionState::Full;
        if !session.media.is_full {
            self.streams[session.stream.index()].has_room(slot, session);
        }
    }

    /// Whoever seems to be on this machine, and is at the other end of a tunnel, has a path that is worth an estimate.
    pub(super) fn look_for_tunnel(&mut self, now: Time, slot: usize) {
        let is_tunnel = |session: &&Session| {
            let connected = session.peer().port.is_connections() && !session.media.is_governed;
            connected && session.media.is_beyond(TUNNEL) && self.streams[session.stream.index()].adapts()
        };
        let Some(session) = self.sessions.get(slot).filter(is_tunnel) else { return };
        let control = self.control_of(now, session);
        if let Some(session) = self.sessions.get_mut(slot) {
            (session.media.control, session.media.is_governed) = (Some(Box::new(control)), true);
        }
    }
}

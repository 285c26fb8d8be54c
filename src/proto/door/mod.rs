//! The door: Hello, cookies, and who is let in. Nothing is stored, and no more goes out than came in, before a cookie has
//! come back. It knows how many sessions there are, not what they are sent.

mod admitted;
mod guard;
mod listing;
mod penalties;
mod refusal;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::RangeInclusive;

use admitted::{Admitted, MOST_ADMITTED};
pub use guard::{Guard, lookup};
pub use listing::page;
use penalties::{Culprit, Penalties};
pub use refusal::Refusal;

use super::session::Sessions;
use super::{Peer, Port, Received};
use crate::seal::{CookieJar, PUBLIC_LEN, Random, Seed};
use crate::units::Time;
use crate::wire::message::{COOKIE_LEN, Message, RefuseCode};
use crate::wire::{MIN_DATAGRAM, VERSION};

/// How many are let in.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub sessions: usize,
    pub sessions_per_address: usize,
    /// New sessions a second from one /24 or /48 network; loopback is exempt.
    pub joins_per_second: u32,
}

/// A new address that a session's client claims, until it proves it.
#[derive(Clone, Copy, Debug)]
pub struct NewPath {
    pub peer: Peer,
    pub token: [u8; 8],
}

impl NewPath {
    /// The token stays while the address does, so that a late reply still counts.
    pub fn claim(before: Option<Self>, peer: Peer, random: &mut Random) -> Self {
        let token = random.u64().to_be_bytes();
        before.filter(|path| path.peer == peer).unwrap_or(Self { peer, token })
    }

    pub fn is_proven_by(&self, from: Peer, token: [u8; 8]) -> bool {
        self.peer == from && self.token == token
    }
}

/// See the head of this file.
pub struct Door {
    limits: Limits,
    jar: CookieJar,
    admitted: Admitted,
    /// Joins and lists of this second, by network.
    joins: BTreeMap<(Port, IpAddr), u32>,
    joins_second: u64,
    penalties: Penalties,
    /// Told to whoever might want to publish.
    publish_key: Option<[u8; PUBLIC_LEN]>,
}

impl Door {
    pub fn new(seed: &Seed, limits: Limits, publish_key: Option<[u8; PUBLIC_LEN]>) -> Self {
        Self {
            limits,
            jar: CookieJar::new(seed),
            admitted: Admitted::new(MOST_ADMITTED),
            joins: BTreeMap::new(),
            joins_second: 0,
            penalties: Penalties::default(),
            publish_key,
        }
    }

    /// Whether a question from a stranger is as long as the longest answer to it.
    pub const fn is_padded(datagram: Received<'_>) -> bool {
        datagram.bytes.len() >= MIN_DATAGRAM
    }

    /// Answers a Hello that speaks versions from `lowest` to `highest`.
    pub fn hello(
        &self,
        now: Time,
        datagram: Received<'_>,
        versions: RangeInclusive<u8>,
        nonce: u64,
    ) -> Result<Message<'static>, Refusal> {
        if !versions.contains(&VERSION) {
            let why = "This server speaks version 1 of the protocol only: use a watcher of the same release.";
            return Err(Refusal::new(RefuseCode::VERSION, why, 10_000));
        }
        let cookie = self.jar.bake(minute(now), &subject(datagram, nonce));
        let (server_nonce, publish_key) = (self.server_nonce(&cookie), self.publish_key);
        Ok(Message::Challenge { nonce, cookie, server_nonce, publish_key })
    }

    /// Our part of what is proven in the join that this cookie is for.
    pub fn server_nonce(&self, cookie: &[u8; COOKIE_LEN]) -> u64 {
        self.jar.server_nonce(cookie)
    }

    /// Whether the cookie was sent to where this datagram comes from.
    pub fn knows(&self, now: Time, datagram: Received<'_>, nonce: u64, cookie: &[u8; COOKIE_LEN]) -> bool {
        self.jar.is_ours(minute(now), &subject(datagram, nonce), cookie)
    }

    /// Whether the cookie has made a session before.
    pub fn has_admitted(&self, cookie: &[u8; COOKIE_LEN]) -> bool {
        self.admitted.has(cookie)
    }

    /// Notes that the cookie makes a session.
    pub fn admit(&mut self, now: Time, cookie: [u8; COOKIE_LEN]) {
        self.admitted.note(minute(now), cookie);
    }

    /// Whether so many were admitted in this minute that no more can be.
    pub fn admits_no_more(&self, now: Time) -> bool {
        self.admitted.is_full(minute(now))
    }

    /// Why there is no room for a session at this address; one that is there already does not count.
    pub fn lacks_room(&self, now: Time, from: Peer, sessions: &Sessions) -> Option<Refusal> {
        let own = usize::from(sessions.at(from).is_some());
        if sessions.count_on(from.port).saturating_sub(own) >= self.limits.sessions {
            return Some(Refusal::new(RefuseCode::FULL, "The server has as many watchers as it takes.", 5_000));
        }
        if sessions.count_from(from.port, from.address.ip()).saturating_sub(own) >= self.limits.sessions_per_address {
            let why = "Your address already has as many watchers as the server allows.";
            return Some(Refusal::new(RefuseCode::TOO_MANY_FROM_ADDRESS, why, 5_000));
        }
        self.admits_no_more(now).then(Refusal::busy)
    }

    /// Counts a Join or List, and says whether it is above what its network may say this second.
    pub fn is_one_too_many(&mut self, now: Time, from: Peer) -> bool {
        let (second, ip) = (now.micros() / 1_000_000, from.address.ip());
        if self.joins_second != second {
            self.joins_second = second;
            self.joins.clear();
        }
        let joins = self.joins.entry((from.port, network(ip))).or_default();
        *joins = joins.saturating_add(1);
        *joins > self.limits.joins_per_second && !ip.is_loopback()
    }
}

/// What a cookie is bound to.
fn subject(datagram: Received<'_>, nonce: u64) -> Vec<u8> {
    let mut subject = Vec::with_capacity(32);
    match datagram.from.ip() {
        IpAddr::V4(ip) => subject.extend_from_slice(&ip.to_ipv6_mapped().octets()),
        IpAddr::V6(ip) => subject.extend_from_slice(&ip.octets()),
    }
    subject.extend_from_slice(&datagram.from.port().to_be_bytes());
    // Connections are no socket's peers, though their addresses look the same.
    subject.push(datagram.port.socket().0 as u8 | u8::from(datagram.port.is_connections()) << 7);
    subject.extend_from_slice(&nonce.to_be_bytes());
    subject
}

const fn minute(now: Time) -> u64 {
    now.micros() / 60_000_000
}

/// All peers on one port of ours from one host.
pub fn host_on(port: Port, ip: IpAddr) -> RangeInclusive<Peer> {
    let peer = |address| Peer { port, address };
    // Link-local addresses are told apart by their interface.
    let last = match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, u16::MAX),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, u16::MAX, u32::MAX, u32::MAX).into(),
    };
    peer(SocketAddr::new(ip, 0))..=peer(last)
}

/// All peers on one port of ours.
pub fn all_on(port: Port) -> RangeInclusive<Peer> {
    let (first, last) = (Ipv4Addr::UNSPECIFIED.into(), IpAddr::from(Ipv6Addr::from(u128::MAX)));
    *host_on(port, first).start()..=*host_on(port, last).end()
}

/// The /24 or /48 that an address belongs to.
pub fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::from((u32::from(ip) & 0xffff_ff00).to_be_bytes()),
        IpAddr::V6(ip) => IpAddr::from((u128::from(ip) & !0 << 80).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_counted_whatever_its_port_and_interface() {
        let ip: IpAddr = "fe80::1".parse().expect("an address");
        let IpAddr::V6(v6) = ip else { panic!("{ip}") };
        for address in [SocketAddrV6::new(v6, 0, 0, 0), SocketAddrV6::new(v6, u16::MAX, 0, 3)] {
            assert!(host_on(Port::PICTURES, ip).contains(&Peer { port: Port::PICTURES, address: address.into() }));
        }
        let v4: IpAddr = "10.0.0.1".parse().expect("an address");
        let peer = Peer { port: Port::PICTURES, address: SocketAddr::new(v4, u16::MAX) };
        assert!(host_on(Port::PICTURES, v4).contains(&peer) && !host_on(Port::SOUND, v4).contains(&peer));
        assert!(all_on(Port::PICTURES).contains(&peer));
    }
}

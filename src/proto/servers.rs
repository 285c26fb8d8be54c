//! Where a server may be, and how it is asked: over UDP, and, where that brings nothing, through TCP connections beside it, in the
//! manner of happy eyeballs (RFC 8305). The first way that works is taken.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Peer, Port};

/// UDP has brought nothing for so long: TCP is tried too.
pub const UDP_PATIENCE: Duration = Duration::from_millis(1_500);

/// What datagrams travel by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    #[default]
    Udp,
    /// UDP, and TCP where that does not get through.
    Auto,
    Tcp,
    /// A connection for what must arrive, and UDP for media beside it, once that gets through.
    Both,
}

impl Transport {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Auto => "auto",
            Self::Tcp => "tcp",
            Self::Both => "tcp+udp",
        }
    }

    /// Whether nothing comes without TCP.
    pub const fn needs_tcp(self) -> bool {
        matches!(self, Self::Tcp | Self::Both)
    }

    /// What a session uses, whose media takes one of these ways.
    pub const fn of(connected: bool, split: bool) -> Self {
        match (connected, split) {
            (true, _) => Self::Tcp,
            (false, true) => Self::Both,
            (false, false) => Self::Udp,
        }
    }
}

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers {
    pub transport: Transport,
    /// Addresses for UDP: all are asked.
    pub udp: Vec<SocketAddr>,
    /// Addresses for TCP.
    pub tcp: Vec<SocketAddr>,
}

/// Over UDP alone.
impl From<Vec<SocketAddr>> for Servers {
    fn from(addresses: Vec<SocketAddr>) -> Self {
        Self::new(Transport::Udp, addresses)
    }
}

impl FromIterator<SocketAddr> for Servers {
    fn from_iter<I: IntoIterator<Item = SocketAddr>>(addresses: I) -> Self {
        Self::from(addresses.into_iter().collect::<Vec<_>>())
    }
}

impl Servers {
    /// At these addresses, whichever the transport.
    pub fn new(transport: Transport, addresses: Vec<SocketAddr>) -> Self {
        Self { transport, tcp: addresses.clone(), udp: addresses }
    }

    /// One that is known, at the other end of a socket or a connection.
    pub fn at(peer: Peer) -> Self {
        let transport = if peer.port.is_connections() { Transport::Tcp } else { Transport::Udp };
        Self::new(transport, vec![peer.address])
    }

    /// These, and others that stand in for them. Where they differ in transport each keeps its own.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        let both = [&self, others].map(|servers| {
            let udp = if servers.transport == Transport::Tcp { &[][..] } else { &servers.udp };
            let tcp = if servers.transport == Transport::Udp { &[][..] } else { &servers.tcp };
            (udp.to_vec(), tcp.to_vec())
        });
        let transport = if self.transport == others.transport { self.transport } else { Transport::Auto };
        let [(udp, tcp), (more_udp, more_tcp)] = both;
        (self.udp, self.tcp) = ([udp, more_udp].concat(), [tcp, more_tcp].concat());
        Self { transport, ..self }
    }

    /// Someone who is heard there is one of them.
    pub fn add(&mut self, peer: Peer) {
        let list = if peer.port.is_connections() { &mut self.tcp } else { &mut self.udp };
        if !list.contains(&peer.address) {
            list.push(peer.address);
        }
    }

    /// They may be at these addresses as well, which are asked first; so many are kept. Returns whether any of these is news.
    pub fn may_be_at(&mut self, addresses: &[SocketAddr], most: usize) -> bool {
        let mut is_news = false;
        for list in [&mut self.udp, &mut self.tcp] {
            let news: Vec<SocketAddr> = addresses.iter().copied().filter(|address| !list.contains(address)).collect();
            is_news |= !news.is_empty();
            list.splice(0..0, news);
            list.truncate(most);
        }
        is_news
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.udp.is_empty() && self.tcp.is_empty()
    }

    /// All that may ever be asked, each once.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut all = if self.transport == Transport::Tcp { Vec::new() } else { self.udp.clone() };
        let tcp = if self.transport == Transport::Udp { &[][..] } else { &self.tcp };
        all.extend(tcp.iter().filter(|address| self.transport == Transport::Tcp || !self.udp.contains(address)));
        all
    }

    /// Whether somebody who is heard on this port of ours is one of them.
    pub fn has(&self, peer: Peer) -> bool {
        match (peer.port.is_connections(), self.transport) {
            (false, Transport::Udp | Transport::Auto | Transport::Both) => self.udp.contains(&peer.address),
            (true, Transport::Tcp | Transport::Auto | Transport::Both) => self.tcp.contains(&peer.address),
            _ => false,
        }
    }

    /// All that may be asked over UDP.
    pub fn sockets(&self, port: Port) -> impl Iterator<Item = Peer> {
        self.udp.iter().map(move |address| Peer { port: port.socket(), address: *address })
    }

    /// Whom to ask on this port of ours after so long without an answer; `at_once`: connections are known to work.
    pub fn asked(&self, port: Port, waited: Duration, at_once: bool) -> Vec<Peer> {
        let tcp = match self.transport {
            Transport::Udp => false,
            Transport::Auto => at_once || waited >= UDP_PATIENCE || self.udp.is_empty(),
            Transport::Tcp | Transport::Both => true,
        };
        let sockets = self.sockets(port).filter(|_| matches!(self.transport, Transport::Udp | Transport::Auto));
        let connections = self.tcp.iter().filter(|_| tcp);
        sockets.chain(connections.map(|address| Peer { port: port.connections(), address: *address })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_is_tried_beside_udp_when_that_has_brought_nothing() {
        let (four, six) = (SocketAddr::from(([10, 0, 0, 1], 9_688)), SocketAddr::from(([0; 8], 9_688)));
        let mut servers = Servers::new(Transport::Auto, vec![four, six]);
        let asked = |servers: &Servers, millis, at_once| {
            let peers = servers.asked(Port::PICTURES, Duration::from_millis(millis), at_once);
            assert!(peers.iter().all(|peer| servers.has(*peer)));
            peers.iter().map(|peer| peer.port.is_connections()).collect::<Vec<_>>()
        };
        assert_eq!(asked(&servers, 1_499, false), [false, false]);
        assert_eq!(asked(&servers, 1_500, false), [false, false, true, true]);
        assert_eq!(asked(&servers, 0, true), [false, false, true, true]);
        assert_eq!(servers.addresses(), [four, six]);
        servers.transport = Transport::Tcp;
        assert_eq!((asked(&servers, 0, false), servers.addresses().len()), (vec![true, true], 2));
        servers.transport = Transport::Udp;
        assert_eq!(asked(&servers, 9_000, true), [false, false]);
        assert!(!servers.has(Peer { port: Port::PICTURES.connections(), address: four }));
    }
}

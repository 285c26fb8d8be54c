//! A UDP socket for both address families, with the don't-fragment bit on, that sends two slices as one datagram, from the
//! address that it is told.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, SockRef, Socket as Raw, Type};

use super::group::{Keeper, is_free_but_for_groups, make_room};
use super::local::{self, Came, Control};
use crate::proto::Transmit;
use crate::wire::Ecn;

/// Room for the bursts of a few pictures; the system caps it (`net.core.rmem_max`).
pub(super) const BUFFER: usize = 4 << 20;
/// More than any UDP datagram.
const LONGEST: usize = 65_536;

pub struct Socket {
    pub(super) udp: UdpSocket,
    pub(super) dual: bool,
    /// Of a group's.
    pub(super) keeper: Option<Box<Keeper>>,
}

/// What one datagram after the other is received into.
pub struct Buffer {
    pub bytes: Vec<u8>,
    control: Control,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: vec![0; LONGEST], control: Control::default() }
    }
}

/// How a socket is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub address: SocketAddr,
    /// Receive buffer asked of the system; `None` for a generous one.
    pub receive_buffer: Option<usize>,
    pub marks: Marks,
    /// Those that listen to groups may have the same port. So may then any program of this machine that asks for it.
    pub shares: bool,
}

impl Options {
    /// As a socket is opened that nothing else was said of.
    pub const fn on(address: SocketAddr) -> Self {
        Self { address, receive_buffer: None, marks: Marks { ecn: Ecn::Not, dscp: 0 }, shares: false }
    }
}

/// What stands in the IP header of each datagram that leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Whether routers may mark it instead of dropping it.
    pub ecn: Ecn,
    /// Differentiated services (RFC 2474), 0–63.
    pub dscp: u8,
}

impl Marks {
    /// Marks a TCP socket: congestion is TCP's own affair.
    pub(super) fn mark_connections(self, raw: &Raw, address: SocketAddr) -> io::Result<()> {
        let own = Self { ecn: Ecn::Not, ..self };
        if own == Self::default() { Ok(()) } else { local::mark(raw, address, own.tos()) }
    }

    pub(super) const fn tos(self) -> u8 {
        self.dscp << 2 | self.ecn.bits()
    }
}

impl Socket {
    /// Binds; `[::]` takes both families and falls back to IPv4 where there is no IPv6.
    pub fn bind(options: Options) -> io::Result<Self> {
        let any6 = is_any6(options.address);
        match Self::bind_to(options) {
            Err(error) if any6 && is_no_ipv6(&error) => {
                let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, options.address.port()));
                Self::bind_to(Options { address, ..options })
            }
            other => other,
        }
    }

    fn bind_to(Options { address, receive_buffer, marks, shares }: Options) -> io::Result<Self> {
        let raw = Raw::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            raw.set_only_v6(!is_any6(address))?;
        }
        raw.set_nonblocking(true)?;
        receive_room(&raw, receive_buffer)?;
        raw.set_send_buffer_size(BUFFER)?;
        dont_fragment(&raw, address)?;
        if marks != Marks::default() {
            local::mark(&raw, address, marks.tos())?;
        }
        if let Err(error) = raw.bind(&address.into()) {
            if !shares || error.kind() != io::ErrorKind::AddrInUse || !is_free_but_for_groups(address) {
                return Err(error);
            }
            raw.set_reuse_address(true)?;
            raw.bind(&address.into())?;
        }
        make_room(&raw, address, shares)?;
        let (udp, dual) = (UdpSocket::from_std(raw.into()), is_any6(address));
        local::tell(&udp, address)?;
        Ok(Self { udp, dual, keeper: None })
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    /// What the system granted, in bytes of kernel memory.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        SockRef::from(&self.udp).recv_buffer_size()
    }

    /// As [`Socket::receive_buffer`], of the other direction.
    pub fn send_buffer(&self) -> io::Result<usize> {
        SockRef::from(&self.udp).send_buffer_size()
    }

    /// One `sendmsg` of hop header and body; `WouldBlock` while the socket is full.
    pub fn send(&self, transmit: &Transmit) -> io::Result<usize> {
        let parts = [IoSlice::new(&transmit.hop), IoSlice::new(transmit.body.bytes())];
        local::send(&self.udp, &parts, self.outward(transmit.to), transmit.from)
    }

    /// One datagram; the address is IPv4 where it is IPv4, however it was carried.
    pub(super) fn receive(&self, buffer: &mut Buffer) -> io::Result<Came> {
        let came = local::receive(&self.udp, &mut buffer.bytes, &mut buffer.control)?;
        Ok(Came { from: plain(came.from), ..came })
    }

    fn outward(&self, to: SocketAddr) -> SocketAddr {
        match to {
            SocketAddr::V4(v4) if self.dual => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
            other => other,
        }
    }
}

/// A size that was asked for is set as asked. Otherwise as much as we want, past the system's cap where we may.
pub(super) fn receive_room(raw: &Raw, wanted: Option<usize>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if wanted.is_none() && rustix::net::sockopt::set_socket_recv_buffer_size_force(raw, BUFFER).is_ok() {
        return Ok(());
    }
    raw.set_recv_buffer_size(wanted.unwrap_or(BUFFER))
}

/// Every address of both families.
pub fn is_any6(address: SocketAddr) -> bool {
    address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
}

/// ::ffff:a.b.c.d is a.b.c.d.
pub fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port()).with_scope_of(address)
}

trait WithScope {
    fn with_scope_of(self, other: SocketAddr) -> Self;
}

impl WithScope for SocketAddr {
    fn with_scope_of(self, other: Self) -> Self {
        match (self, other) {
            (Self::V6(v6), Self::V6(scoped)) => SocketAddrV6::new(*v6.ip(), v6.port(), 0, scoped.scope_id()).into(),
            (address, _) => address,
        }
    }
}

fn is_no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

/// PROBE, not DO: the kernel must neither fragment nor believe a forged "too big". On a dual-stack socket each family
/// has its own option.
#[cfg(target_os = "linux")]
pub(super) fn dont_fragment(raw: &Raw, address: SocketAddr) -> io::Result<()> {
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    };
    if address.is_ipv6() {
        set_ipv6_mtu_discover(raw, Ipv6PathMtuDiscovery::PROBE)?;
    }
    if address.is_ipv4() || address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        set_ip_mtu_discover(raw, Ipv4PathMtuDiscovery::PROBE)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn dont_fragment(_raw: &Raw, _address: SocketAddr) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use mio::{Events, Interest, Poll, Token};

    use super::*;
    use crate::media::coded::Object;
    use crate::proto::Port;
    use crate::wire::HOP_LEN;

    fn socket(address: &str, marks: Marks) -> Socket {
        Socket::bind(Options { marks, ..Options::on(address.parse().expect("an address")) }).expect("a socket")
    }

    /// How a datagram arrives that was sent from one socket to the other.
    fn heard(from: &Socket, to: &mut Socket, at: IpAddr) -> Came {
        let mut poll = Poll::new().expect("a poll");
        poll.registry().register(&mut to.udp, Token(0), Interest::READABLE).expect("registered");
        let port = to.local_addr().expect("an address").port();
        let (hop, body) = ([7; HOP_LEN], Object::from(vec![1, 2, 3]));
        let to_there = Transmit { port: Port::PICTURES, to: SocketAddr::new(at, port), from: None, hop, body };
        from.send(&to_there).expect("sent");
        poll.poll(&mut Events::with_capacity(1), Some(std::time::Duration::from_secs(20))).expect("polled");
        let came = to.receive(&mut Buffer::default()).expect("loopback loses nothing");
        assert_eq!(came.length, HOP_LEN + 3);
        came
    }

    #[test]
    fn what_is_marked_here_is_heard_there_on_both_families() {
        let has_ipv6 = Socket::bind(Options::on(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)))).is_ok();
        for (ours, theirs, at) in [
            ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"),
            ("0.0.0.0:0", "0.0.0.0:0", "127.0.0.1"),
            // IPv4 through sockets of both families.
            ("[::]:0", "[::]:0", "127.0.0.1"),
            ("[::]:0", "127.0.0.1:0", "127.0.0.1"),
            ("127.0.0.1:0", "[::]:0", "127.0.0.1"),
            ("[::]:0", "[::]:0", "::1"),
            ("[::1]:0", "[::1]:0", "::1"),
        ] {
            if at == "::1" && !has_ipv6 {
                continue;
            }
            for ecn in [Ecn::Not, Ecn::Ect1, Ecn::Ect0, Ecn::Ce] {
                let (ours, mut theirs) = (socket(ours, Marks { ecn, dscp: 34 }), socket(theirs, Marks::default()));
                assert_eq!(heard(&ours, &mut theirs, at.parse().expect("an address")).ecn, ecn, "{at}");
            }
        }
    }

    /// Whether another program of this machine that asks for a shared port gets this one.
    fn is_shared(with: &str, port: u16) -> bool {
        let raw = Raw::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
        raw.set_reuse_address(true).expect("an option");
        let address: SocketAddr = format!("{with}:{port}").parse().expect("an address");
        match raw.bind(&address.into()) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
                false
            }
        }
    }

    #[test]
    fn a_port_is_shared_only_where_a_group_has_it() {
        let port = socket("0.0.0.0:0", Marks::default()).local_addr().expect("an address").port();
        let options = Options::on(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
        let own = Socket::bind(options).expect("the port is free");
        assert!(!is_shared("0.0.0.0", port) && !is_shared("127.0.0.1", port) && !is_shared("239.1.2.3", port));
        drop(own);
        let own = Socket::bind(Options { shares: true, ..options }).expect("the port is free");
        assert!(is_shared("239.1.2.3", port), "who listens to a group");
        drop(own);
        // Who listens to a group already keeps the port from those alone that do not share it.
        let group = Raw::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
        group.set_reuse_address(true).expect("an option");
        group.bind(&SocketAddr::from(([239, 1, 2, 3], port)).into()).expect("bound");
        assert!(Socket::bind(options).is_err());
        Socket::bind(Options { shares: true, ..options }).expect("shared");
    }
}

//! A UDP socket for both address families, with the don't-fragment bit on, that sends two slices as one datagram, from the
//! address that it is told.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, SockRef, Socket as Raw, Type};

use super::local::{self, Came, Control};
use crate::proto::Transmit;

/// Room for the bursts of a few pictures; the system caps it (`net.core.rmem_max`).
const BUFFER: usize = 4 << 20;
/// More than any UDP datagram.
const LONGEST: usize = 65_536;

pub struct Socket {
    pub(super) udp: UdpSocket,
    dual: bool,
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
}

impl Socket {
    /// Binds; `[::]` takes both families and falls back to IPv4 where there is no IPv6.
    pub fn bind(options: Options) -> io::Result<Self> {
        let any6 = options.address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        match Self::bind_to(options) {
            Err(error) if any6 && is_no_ipv6(&error) => {
                let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, options.address.port()));
                Self::bind_to(Options { address, ..options })
            }
            other => other,
        }
    }

    fn bind_to(Options { address, receive_buffer }: Options) -> io::Result<Self> {
        let raw = Raw::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            raw.set_only_v6(address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
        }
        raw.set_nonblocking(true)?;
        receive_room(&raw, receive_buffer)?;
        raw.set_send_buffer_size(BUFFER)?;
        dont_fragment(&raw, address)?;
        raw.bind(&address.into())?;
        let (udp, dual) = (UdpSocket::from_std(raw.into()), address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        local::tell_local(&udp, address)?;
        Ok(Self { udp, dual })
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
fn receive_room(raw: &Raw, wanted: Option<usize>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if wanted.is_none() && rustix::net::sockopt::set_socket_recv_buffer_size_force(raw, BUFFER).is_ok() {
        return Ok(());
    }
    raw.set_recv_buffer_size(wanted.unwrap_or(BUFFER))
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
fn dont_fragment(raw: &Raw, address: SocketAddr) -> io::Result<()> {
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
fn dont_fragment(_raw: &Raw, _address: SocketAddr) -> io::Result<()> {
    Ok(())
}

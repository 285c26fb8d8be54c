//! `IP_PKTINFO`, `IP_TOS` and their IPv6 kin (ip(7), ipv6(7)). A socket of both families uses `IPV6_PKTINFO` for both, with IPv4
//! addresses in their mapped form; but marks are each family's own, also on such a socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use mio::net::UdpSocket;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use rustix::net::sockopt::{set_ip_recvtos, set_ip_tos, set_ipv6_recvtclass, set_ipv6_tclass};

use super::{Came, sendable};
use crate::wire::Ecn;

/// Room for what comes beside a datagram.
pub struct Control(Vec<u8>);

impl Default for Control {
    fn default() -> Self {
        Self(nix::cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo, libc::c_int, libc::c_int))
    }
}

/// Asks the system to tell how datagrams were marked and, if the socket is bound to more than one address, to which of them they
/// came.
pub fn tell(udp: &UdpSocket, bound: SocketAddr) -> io::Result<()> {
    match bound.ip() {
        ip if !ip.is_unspecified() => {}
        IpAddr::V4(_) => setsockopt(udp, sockopt::Ipv4PacketInfo, &true)?,
        IpAddr::V6(_) => setsockopt(udp, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    if has_v4(bound) {
        set_ip_recvtos(udp, true)?;
    }
    if bound.is_ipv6() {
        set_ipv6_recvtclass(udp, true)?;
    }
    Ok(())
}

/// Everything that leaves bears this TOS or traffic class.
pub fn mark(socket: impl AsFd, bound: SocketAddr, tos: u8) -> io::Result<()> {
    if has_v4(bound) {
        set_ip_tos(&socket, tos)?;
    }
    if bound.is_ipv6() {
        set_ipv6_tclass(&socket, u32::from(tos))?;
    }
    Ok(())
}

/// Whether IPv4 passes through a socket that is bound to this.
fn has_v4(bound: SocketAddr) -> bool {
    bound.is_ipv4() || bound.ip().is_unspecified()
}

pub fn receive(udp: &UdpSocket, buffer: &mut [u8], control: &mut Control) -> io::Result<Came> {
    udp.try_io(|| {
        let mut parts = [IoSliceMut::new(buffer)];
        let message =
            recvmsg::<SockaddrStorage>(udp.as_raw_fd(), &mut parts, Some(control.0.as_mut_slice()), MsgFlags::empty())?;
        let from = message.address.as_ref().and_then(address).ok_or(io::ErrorKind::InvalidData)?;
        let mut came = Came { length: message.bytes, from, local: None, ecn: Ecn::Not };
        message.cmsgs().ok().into_iter().flatten().for_each(|message| note(&message, &mut came));
        Ok(came)
    })
}

/// One datagram of several parts. An address that is no longer ours is left to the system.
pub fn send(udp: &UdpSocket, parts: &[IoSlice<'_>], to: SocketAddr, from: Option<IpAddr>) -> io::Result<usize> {
    let (fd, address) = (udp.as_raw_fd(), SockaddrStorage::from(to));
    let plain = || Ok(sendmsg(fd, parts, &[], MsgFlags::empty(), Some(&address))?);
    udp.try_io(|| {
        match with_local(from, to, |message| sendmsg(fd, parts, &[message], MsgFlags::empty(), Some(&address))) {
            None | Some(Err(nix::Error::EINVAL | nix::Error::EADDRNOTAVAIL)) => plain(),
            Some(sent) => Ok(sent?),
        }
    })
}

/// Calls `send` with the word that a datagram leaves from this address; `None` without one.
fn with_local<T>(from: Option<IpAddr>, to: SocketAddr, send: impl FnOnce(ControlMessage<'_>) -> T) -> Option<T> {
    match (from?, to) {
        (IpAddr::V4(v4), SocketAddr::V4(_)) => {
            let (ours, any) = (libc::in_addr { s_addr: u32::from(v4).to_be() }, libc::in_addr { s_addr: 0 });
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: ours, ipi_addr: any };
            Some(send(ControlMessage::Ipv4PacketInfo(&info)))
        }
        (from, SocketAddr::V6(to)) => {
            let octets = match from {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            };
            // Link-local addresses are of an interface; that of the destination.
            let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: octets }, ipi6_ifindex: to.scope_id() };
            Some(send(ControlMessage::Ipv6PacketInfo(&info)))
        }
        (IpAddr::V6(_), SocketAddr::V4(_)) => None,
    }
}

/// Notes what one control message tells of a datagram.
fn note(message: &ControlMessageOwned, came: &mut Came) {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            came.local = sendable(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into());
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            came.local = sendable(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
        }
        ControlMessageOwned::Ipv4Tos(tos) => came.ecn = Ecn::of_tos(*tos),
        ControlMessageOwned::Ipv6TClass(class) => came.ecn = Ecn::of_tos(*class as u8),
        _ => {}
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    match (storage.as_sockaddr_in(), storage.as_sockaddr_in6()) {
        (Some(v4), _) => Some(SocketAddr::V4((*v4).into())),
        (None, Some(v6)) => Some(SocketAddr::V6((*v6).into())),
        (None, None) => None,
    }
}

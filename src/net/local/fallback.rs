//! Where the system does not tell: answers leave from the address that it chooses, and nothing is marked.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use mio::net::UdpSocket;
use socket2::{SockAddr, SockRef};

use super::Came;
use crate::wire::Ecn;

/// Nothing comes beside a datagram.
#[derive(Default)]
pub struct Control;

/// Asks the system to tell; here it cannot.
#[expect(clippy::unnecessary_wraps, reason = "the other kind can fail")]
pub fn tell(_udp: &UdpSocket, _bound: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// Everything that leaves bears this TOS; here nobody knows how. No mark needs no doing.
pub fn mark(_socket: impl AsFd, _bound: SocketAddr, tos: u8) -> io::Result<()> {
    if tos == 0 { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
}

pub fn receive(udp: &UdpSocket, buffer: &mut [u8], _control: &mut Control) -> io::Result<Came> {
    let (length, from) = udp.recv_from(buffer)?;
    Ok(Came { length, from, local: None, ecn: Ecn::Not })
}

/// One datagram of several parts.
pub fn send(udp: &UdpSocket, parts: &[IoSlice<'_>], to: SocketAddr, _from: Option<IpAddr>) -> io::Result<usize> {
    udp.try_io(|| SockRef::from(udp).send_to_vectored(parts, &SockAddr::from(to)))
}

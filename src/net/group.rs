//! Sockets of groups (RFC 1112, 3376, 3810, 4607) and of broadcast addresses: those that send to one, and those that listen.
//!
//! An interface that goes takes memberships with it, and comes back with another number. So it is looked at each second, and
//! what has changed is set anew.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket as Raw, Type};

use super::interface::Interface;
use super::socket::{BUFFER, Marks, Socket, dont_fragment, receive_room};
use super::{local, source};

/// A group, or a broadcast address, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub address: SocketAddr,
    /// Only what this sender sends is listened to.
    pub source: Option<IpAddr>,
    /// By name; `None`: the one that the system routes to.
    pub interface: Option<String>,
}

/// What else there is to say of a socket that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outward {
    /// Routers that may pass it on, and one.
    pub ttl: u8,
    pub marks: Marks,
}

/// What keeps a socket in its group, or sending there.
pub struct Keeper {
    group: Group,
    listens: bool,
    /// The interfaces as they were when it was set; `None`: that failed.
    set: Option<Vec<(String, u32, bool)>>,
}

impl Group {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, source: None, interface: None }
    }

    /// Whether it is a broadcast address.
    pub fn is_broadcast(&self) -> bool {
        !self.address.ip().is_multicast()
    }

    /// The interface that was named, as it is now.
    fn at(&self) -> io::Result<Option<Interface>> {
        let find = |name: &String| Interface::find(name).map_err(|gone| io::Error::new(io::ErrorKind::NotFound, gone));
        self.interface.as_ref().map(find).transpose()
    }

    /// Where a socket that listens is bound: to a group of each link by itself, only together with the number of one.
    fn bound(&self) -> io::Result<SocketAddr> {
        Ok(match (self.address, self.at()?) {
            (SocketAddr::V6(group), Some(interface)) if is_of_link(*group.ip()) => {
                SocketAddrV6::new(*group.ip(), group.port(), 0, interface.index).into()
            }
            (address, _) => address,
        })
    }

    /// What can change of the interfaces that matter.
    fn state(&self) -> Vec<(String, u32, bool)> {
        let all = Interface::all().unwrap_or_default().into_iter();
        let meant = |name: &str| self.interface.as_ref().is_none_or(|named| named == name);
        let up = |interface: &Interface| interface.is_up && !interface.addresses.is_empty();
        all.filter(|one| meant(&one.name)).map(|one| (one.name.clone(), one.index, up(&one))).collect()
    }
}

impl Socket {
    /// One that sends to a group.
    pub fn to_group(group: &Group, outward: Outward) -> io::Result<Self> {
        let raw = open(group)?;
        raw.set_send_buffer_size(BUFFER)?;
        let any = unspecified(group.address);
        let own = group.at()?.and_then(|interface| interface.v4()).filter(|_| group.is_broadcast());
        let bound = own.map_or(any, |own| SocketAddr::from((own, 0)));
        dont_fragment(&raw, group.address)?;
        if outward.marks != Marks::default() {
            local::mark(&raw, group.address, outward.marks.tos())?;
        }
        match group.address.ip() {
            IpAddr::V4(_) if group.is_broadcast() => {
                raw.set_broadcast(true)?;
                raw.set_ttl_v4(u32::from(outward.ttl))?;
            }
            IpAddr::V4(_) => {
                raw.set_multicast_ttl_v4(u32::from(outward.ttl))?;
                raw.set_multicast_loop_v4(true)?;
            }
            IpAddr::V6(_) => {
                raw.set_multicast_hops_v6(u32::from(outward.ttl))?;
                raw.set_multicast_loop_v6(true)?;
            }
        }
        raw.bind(&bound.into())?;
        Self::kept(raw, group, bound, false)
    }

    /// One that listens to a group, beside others on this machine that do. What is sent to other addresses does not reach it.
    pub fn on_group(group: &Group, receive_buffer: Option<usize>) -> io::Result<Self> {
        let raw = open(group)?;
        // Of a datagram to a group each socket gets a copy.
        raw.set_reuse_address(true)?;
        #[cfg(not(target_os = "linux"))]
        raw.set_reuse_port(true)?;
        receive_room(&raw, receive_buffer)?;
        let bound = group.bound()?;
        raw.bind(&bound.into())?;
        Self::kept(raw, group, bound, true)
    }

    fn kept(raw: Raw, group: &Group, bound: SocketAddr, listens: bool) -> io::Result<Self> {
        let udp = UdpSocket::from_std(raw.into());
        local::tell(&udp, bound)?;
        let mut keeper = Keeper { group: group.clone(), listens, set: None };
        keeper.set(&udp)?;
        Ok(Self { udp, dual: false, keeper: Some(Box::new(keeper)) })
    }
}

impl Keeper {
    /// Looks whether an interface has come, gone or changed, and sets anew what was lost by that.
    pub fn look(&mut self, udp: &UdpSocket) {
        if self.set.as_ref().is_none_or(|set| *set != self.group.state())
            && let Err(error) = self.set(udp)
        {
            tracing::debug!(%error, group = %self.group.address, "not there just now");
        }
    }

    fn set(&mut self, udp: &UdpSocket) -> io::Result<()> {
        self.set = None;
        let state = self.group.state();
        let interface = self.group.at()?;
        if self.listens {
            self.join(udp, interface.as_ref())?
        } else {
            self.aim(udp, interface.as_ref())?
        }
        self.set = Some(state);
        Ok(())
    }

    /// What is sent leaves by this interface.
    fn aim(&self, udp: &UdpSocket, interface: Option<&Interface>) -> io::Result<()> {
        let Some(interface) = interface.filter(|_| !self.group.is_broadcast()) else { return Ok(()) };
        match self.group.address.ip() {
            IpAddr::V4(_) => source::aim_v4(udp, interface),
            IpAddr::V6(_) => SockRef::from(udp).set_multicast_if_v6(interface.index),
        }
    }

    /// Joins the group, anew if need be: a membership that is there is given up first, or what an interface that is gone has left
    /// of it. Where there is none, nothing can be given up.
    fn join(&self, udp: &UdpSocket, interface: Option<&Interface>) -> io::Result<()> {
        let Group { address, source, .. } = &self.group;
        let socket = SockRef::from(udp);
        let index = interface.map_or(0, |interface| interface.index);
        let joined = match (address.ip(), source) {
            (IpAddr::V4(_), _) if self.group.is_broadcast() => return Ok(()),
            (IpAddr::V4(group), Some(IpAddr::V4(source))) => {
                let own = interface.and_then(Interface::v4).unwrap_or(Ipv4Addr::UNSPECIFIED);
                socket.leave_ssm_v4(source, &group, &own).ok();
                socket.join_ssm_v4(source, &group, &own)
            }
            (IpAddr::V4(group), _) => {
                socket.leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index)).ok();
                socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))
            }
            (IpAddr::V6(group), Some(IpAddr::V6(source))) => source::join_v6(udp, group, *source, index),
            (IpAddr::V6(group), _) => {
                socket.leave_multicast_v6(&group, index).ok();
                socket.join_multicast_v6(&group, index)
            }
        };
        joined.or_else(|error| if error.kind() == io::ErrorKind::AddrInUse { Ok(()) } else { Err(error) })
    }
}

fn open(group: &Group) -> io::Result<Raw> {
    let raw = Raw::new(Domain::for_address(group.address), Type::DGRAM, Some(Protocol::UDP))?;
    if group.address.is_ipv6() {
        raw.set_only_v6(true)?;
    }
    raw.set_nonblocking(true)?;
    Ok(raw)
}

/// Whether it is a group of each link, or machine, by itself (RFC 4291, section 2.7).
pub fn is_of_link(group: Ipv6Addr) -> bool {
    group.is_multicast() && matches!(group.segments()[0] & 0xf, 1 | 2)
}

fn unspecified(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    }
}

impl Group {
    /// The interface that what is sent there leaves by, as things stand; `None`: there is no way.
    pub fn outgoing(&self) -> Option<Interface> {
        if let Ok(Some(named)) = self.at() {
            return Some(named);
        }
        let raw = open(self).ok()?;
        raw.set_broadcast(true).ok()?;
        raw.connect(&self.address.into()).ok()?;
        let own = raw.local_addr().ok()?.as_socket()?.ip();
        Interface::all().ok()?.into_iter().find(|interface| interface.addresses.contains(&own))
    }
}

/// Whether something is sent to a group: it is listened to for so long.
pub fn is_in_use(group: &Group, listened: Duration) -> io::Result<bool> {
    let mut socket = Socket::on_group(group, None)?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut socket.udp, Token(0), Interest::READABLE)?;
    let mut events = Events::with_capacity(1);
    poll.poll(&mut events, Some(listened))?;
    Ok(!events.is_empty())
}

/// After it was bound: datagrams of groups are none of this socket's, and where it `shares` its port, those that listen to groups
/// may have that too, but no other server of ours.
pub(super) fn make_room(raw: &Raw, address: SocketAddr, shares: bool) -> io::Result<()> {
    if !address.ip().is_unspecified() {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    {
        raw.set_multicast_all_v4(false)?;
        if address.is_ipv6() {
            raw.set_multicast_all_v6(false)?;
        }
    }
    raw.set_reuse_address(shares && address.port() != 0)
}

/// Whether a port that is in use is shared by those alone that listen to groups: then every address of this machine is free.
pub(super) fn is_free_but_for_groups(address: SocketAddr) -> bool {
    let free = |ip: IpAddr| {
        let own = SocketAddr::new(ip, address.port());
        let raw = Raw::new(Domain::for_address(own), Type::DGRAM, Some(Protocol::UDP));
        match raw.and_then(|raw| raw.bind(&own.into())) {
            Err(error) => error.kind() != io::ErrorKind::AddrInUse,
            Ok(()) => true,
        }
    };
    address.ip().is_unspecified()
        && address.port() != 0
        && free(Ipv4Addr::LOCALHOST.into())
        && free(Ipv6Addr::LOCALHOST.into())
}

//! What of groups no crate has a call for: interfaces by their numbers, and sources of IPv6 groups (RFC 3678, section 5.1). The
//! system call is nix's; what is ours is the layout of what it is given, and a test compares that with libc's.

#[cfg(target_os = "linux")]
pub use linux::{aim_v4, join_v6};
#[cfg(not(target_os = "linux"))]
pub use other::{aim_v4, join_v6};

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6};

    use mio::net::UdpSocket;
    use nix::sys::socket::sockopt::SetStruct;
    use nix::sys::socket::{SockaddrIn6, setsockopt};
    use rustix::net::sockopt::set_ip_multicast_if_with_ifindex;

    use crate::net::interface::Interface;

    /// What is sent to IPv4 groups leaves by this interface.
    pub fn aim_v4(udp: &UdpSocket, interface: &Interface) -> io::Result<()> {
        let any = Ipv4Addr::UNSPECIFIED;
        // The loopback's own address would not be chosen by itself.
        let own = interface.v4().unwrap_or(any);
        Ok(set_ip_multicast_if_with_ifindex(udp, &any, &own, interface.index)?)
    }

    /// Joins an IPv6 group as far as this source sends to it.
    pub fn join_v6(udp: &UdpSocket, group: Ipv6Addr, source: Ipv6Addr, interface: u32) -> io::Result<()> {
        let request = GroupSource { interface, group: Storage::of(group), source: Storage::of(source) };
        // Where it was not joined there is nothing to leave.
        setsockopt(udp, LeaveSourceGroup, &request).ok();
        Ok(setsockopt(udp, JoinSourceGroup, &request)?)
    }

    /// `struct group_source_req`.
    #[repr(C)]
    #[derive(Clone, Copy, Debug)]
    pub struct GroupSource {
        interface: u32,
        group: Storage,
        source: Storage,
    }

    /// `struct sockaddr_storage` with an IPv6 address in it: 128 bytes, aligned as a pointer is.
    #[repr(C)]
    #[derive(Clone, Copy, Debug)]
    struct Storage {
        aligned: [usize; 0],
        address: libc::sockaddr_in6,
        rest: [u8; 100],
    }

    impl Storage {
        fn of(ip: Ipv6Addr) -> Self {
            let address = *SockaddrIn6::from(SocketAddrV6::new(ip, 0, 0, 0)).as_ref();
            Self { aligned: [], address, rest: [0; 100] }
        }
    }

    /// Joins a group as far as one source sends to it.
    #[derive(Clone, Copy, Debug)]
    struct JoinSourceGroup;

    /// Leaves it.
    #[derive(Clone, Copy, Debug)]
    struct LeaveSourceGroup;

    nix::setsockopt_impl!(
        JoinSourceGroup,
        libc::IPPROTO_IPV6,
        libc::MCAST_JOIN_SOURCE_GROUP,
        GroupSource,
        SetStruct<'_, GroupSource>
    );
    nix::setsockopt_impl!(
        LeaveSourceGroup,
        libc::IPPROTO_IPV6,
        libc::MCAST_LEAVE_SOURCE_GROUP,
        GroupSource,
        SetStruct<'_, GroupSource>
    );

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_request_is_laid_out_as_the_system_reads_it() {
            assert_eq!(size_of::<Storage>(), size_of::<libc::sockaddr_storage>());
            assert_eq!(align_of::<Storage>(), align_of::<libc::sockaddr_storage>());
            assert_eq!(size_of::<GroupSource>(), size_of::<libc::group_source_req>());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::net::Ipv6Addr;

    use mio::net::UdpSocket;
    use socket2::SockRef;

    use crate::net::interface::Interface;

    /// What is sent to IPv4 groups leaves by this interface.
    pub fn aim_v4(udp: &UdpSocket, interface: &Interface) -> io::Result<()> {
        interface.v4().map_or(Ok(()), |own| SockRef::from(udp).set_multicast_if_v4(&own))
    }

    /// Sources are told apart by whoever listens.
    pub fn join_v6(udp: &UdpSocket, group: Ipv6Addr, _source: Ipv6Addr, interface: u32) -> io::Result<()> {
        SockRef::from(udp).join_multicast_v6(&group, interface)
    }
}

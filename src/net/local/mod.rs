//! Datagrams with what lies beside their bytes: how they are marked (ECN, DSCP), and the local address at their other end: which of this machine's addresses one was sent to, and which one
//! leaves from. A server on all addresses must answer from the one that was asked, or the client takes the answer for
//! somebody else's. Both kinds are compiled and tested wherever the first one exists.

#[cfg_attr(
    all(target_os = "linux", not(test)),
    expect(dead_code, reason = "compiled everywhere so that it keeps compiling")
)]
mod fallback;
#[cfg(target_os = "linux")]
mod linux;

use std::net::{IpAddr, SocketAddr};

#[cfg(not(target_os = "linux"))]
pub use fallback::{Control, mark, receive, send, tell};
#[cfg(target_os = "linux")]
pub use linux::{Control, mark, receive, send, tell};

use crate::wire::Ecn;

/// A datagram that came.
#[derive(Clone, Copy, Debug)]
pub struct Came {
    pub length: usize,
    pub from: SocketAddr,
    /// Which of our addresses it was sent to; `None` if that is not told, or is no address to answer from.
    pub local: Option<IpAddr>,
    /// How the sender and the path marked it; [`Ecn::Not`] also if that is not told.
    pub ecn: Ecn,
}

/// An address that a datagram can leave from: not one of a group.
fn sendable(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    (!address.is_multicast() && !address.is_unspecified() && !broadcast).then_some(address)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_types, reason = "a client that knows nothing of this program")]

    use std::io::IoSlice;
    use std::net::Ipv6Addr;

    use mio::net::UdpSocket;
    use socket2::{Domain, Socket, Type};

    use super::*;

    /// A socket of our own on all addresses of both families, and a port to ask it at.
    fn on_all() -> (UdpSocket, u16) {
        let raw = Socket::new(Domain::IPV6, Type::DGRAM, None).expect("a socket");
        raw.set_only_v6(false).expect("both families");
        raw.set_nonblocking(true).expect("non-blocking");
        raw.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into()).expect("a port");
        let udp = UdpSocket::from_std(raw.into());
        let port = udp.local_addr().expect("an address").port();
        (udp, port)
    }

    fn ask(server: &str, port: u16) -> (std::net::UdpSocket, SocketAddr) {
        let any = if server.contains(':') { "[::1]:0" } else { "127.0.0.1:0" };
        let client = std::net::UdpSocket::bind(any).expect("a port");
        let to = SocketAddr::new(server.parse().expect("an address"), port);
        client.send_to(b"who?", to).expect("sent");
        client.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("patience");
        (client, to)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_answer_leaves_from_the_address_that_was_asked() {
        let (udp, port) = on_all();
        tell(&udp, "[::]:0".parse().expect("an address")).expect("it is told");
        let servers = ["127.0.0.1", "127.0.0.2", "127.77.0.1", "::1"];
        let has_ipv6 = std::net::UdpSocket::bind("[::1]:0").is_ok();
        for server in &servers[..if has_ipv6 { 4 } else { 3 }] {
            let (client, to) = ask(server, port);
            let (mut buffer, mut control) = ([0; 16], Control::default());
            let came = receive(&udp, &mut buffer, &mut control).expect("loopback is at once");
            assert_eq!((came.length, came.local), (4, Some(to.ip())), "{server}");
            let back = if let SocketAddr::V4(v4) = came.from {
                SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
            } else {
                came.from
            };
            send(&udp, &[IoSlice::new(b"it"), IoSlice::new(b"is I")], back, came.local).expect("sent");
            let (length, from) = client.recv_from(&mut buffer).expect("an answer");
            assert_eq!((&buffer[..length], from), (&b"itis I"[..], to), "{server}");
        }
    }

    #[test]
    fn the_fallback_receives_and_sends_without_an_address() {
        let (udp, port) = on_all();
        fallback::tell(&udp, "[::]:0".parse().expect("an address")).expect("nothing to do");
        let bound = "[::]:0".parse().expect("an address");
        assert!(fallback::mark(&udp, bound, 0).is_ok() && fallback::mark(&udp, bound, 2).is_err());
        let (client, to) = ask("127.0.0.1", port);
        let mut buffer = [0; 16];
        let came = fallback::receive(&udp, &mut buffer, &mut fallback::Control).expect("loopback is at once");
        assert_eq!((came.length, came.local), (4, None));
        fallback::send(&udp, &[IoSlice::new(b"it"), IoSlice::new(b"is I")], came.from, came.local).expect("sent");
        let (length, from) = client.recv_from(&mut buffer).expect("an answer");
        assert_eq!((&buffer[..length], from), (&b"itis I"[..], to));
    }

    #[test]
    fn nothing_leaves_from_a_group() {
        for (address, can) in [
            ("127.0.0.2", true),
            ("::ffff:10.0.0.1", true),
            ("fe80::1", true),
            ("224.0.0.1", false),
            ("ff02::1", false),
            ("255.255.255.255", false),
            ("::", false),
        ] {
            assert_eq!(sendable(address.parse().expect("an address")).is_some(), can, "{address}");
        }
    }
}

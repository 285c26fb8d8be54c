//! The networks in which this machine is, with no router between: there are those who may be asked because of what a stranger said.

use std::net::{IpAddr, Ipv4Addr};

use nix::ifaddrs::getifaddrs;

use super::interface::ip;

/// An address of an interface, and its mask.
type Network = (IpAddr, IpAddr);

/// As they are at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

/// They are everywhere (RFC 6890).
const ALWAYS: [Network; 2] = [
    (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::new(255, 0, 0, 0))),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 1)), IpAddr::V4(Ipv4Addr::new(255, 255, 0, 0))),
];

impl Networks {
    /// Where the system does not tell there are those that are everywhere.
    pub fn now() -> Self {
        let parts = getifaddrs().into_iter().flatten();
        let network = |address, mask| Some((ip(&address)?, ip(&mask)?));
        Self::of(parts.filter_map(|part| network(part.address?, part.netmask?)))
    }

    fn of(networks: impl Iterator<Item = Network>) -> Self {
        Self(ALWAYS.into_iter().chain(networks).collect())
    }

    /// Whether this is one machine in them, as far as an address tells: none of multicast, of broadcast, or of elsewhere.
    pub fn have(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let places: Vec<Place> = self.0.iter().filter_map(|network| place(ip, network)).collect();
                places.contains(&Place::Host) && !places.contains(&Place::All)
            }
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local() || self.have_v6(ip.to_bits()),
        }
    }

    fn have_v6(&self, ip: u128) -> bool {
        self.0.iter().any(|network| match network {
            // A mask of nothing is none.
            (IpAddr::V6(own), IpAddr::V6(mask)) => {
                mask.to_bits() != 0 && (own.to_bits() ^ ip) & mask.to_bits() == 0 && ip >> 120 != 0xff && ip != 0
            }
            _ => false,
        })
    }
}

/// What an IPv4 address is in a network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Host,
    /// Every host (RFC 919); the first address was meant so once.
    All,
}

fn place(ip: Ipv4Addr, network: &Network) -> Option<Place> {
    let (IpAddr::V4(own), IpAddr::V4(mask)) = network else { return None };
    let (ip_bits, mask) = (ip.to_bits(), mask.to_bits());
    if mask == 0
        || (own.to_bits() ^ ip_bits) & mask != 0
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_unspecified()
    {
        return None;
    }
    // Of two or one there are no others (RFC 3021).
    let host = ip_bits & !mask;
    Some(if !mask > 1 && (host == 0 || host == !mask) { Place::All } else { Place::Host })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn strangers_are_believed_of_their_own_network() {
        let masks = [
            ("10.213.78.2", "255.255.255.0"),
            ("10.1.2.3", "255.0.0.0"),
            ("198.51.100.7", "255.255.255.255"),
            ("203.0.113.1", "0.0.0.0"),
            ("2001:db8::2", "ffff:ffff:ffff:ffff::"),
            ("2001:db8:1::2", "::"),
        ];
        let networks = Networks::of(masks.iter().map(|(own, mask)| (parsed(own), parsed(mask))));
        for good in [
            "10.213.78.1",
            "10.9.9.9",
            "198.51.100.7",
            "127.0.0.1",
            "169.254.3.4",
            "::1",
            "fe80::7",
            "2001:db8::7",
            "::ffff:10.213.78.1",
        ] {
            assert!(networks.have(parsed(good)), "{good}");
        }
        for bad in [
            "192.0.2.7",
            "198.51.100.8",
            "203.0.113.2",
            "10.213.78.255",
            "10.213.78.0",
            "10.255.255.255",
            "169.254.255.255",
            "127.255.255.255",
            "255.255.255.255",
            "224.0.0.251",
            "0.0.0.0",
            "::",
            "ff02::fb",
            "2001:db8:1::7",
            "::ffff:192.0.2.7",
            "::ffff:224.0.0.251",
        ] {
            assert!(!networks.have(parsed(bad)), "{bad}");
        }
    }

    #[test]
    fn this_machine_is_in_its_own() {
        let networks = Networks::now();
        for interface in
            super::super::interface::Interface::all().expect("the system tells").iter().filter(|one| one.is_up)
        {
            assert!(interface.addresses.iter().all(|own| networks.have(*own)), "{interface:?} in {networks:?}");
        }
    }
}

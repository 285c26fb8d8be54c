//! The network interfaces of this machine, as people name them: by name, or by one of their addresses.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;

use crate::units::Bitrate;

/// One interface, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    /// The system's number of it. One that comes back has another.
    pub index: u32,
    pub is_up: bool,
    pub addresses: Vec<IpAddr>,
    /// IPv4 broadcast addresses.
    pub broadcasts: Vec<Ipv4Addr>,
}

/// An interface that was named, and is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no network interface is called {named}, or has that address: there are {}", .there.join(", "))]
pub struct NoInterface {
    pub named: String,
    pub there: Vec<String>,
}

impl Interface {
    /// All there are, in the system's order.
    pub fn all() -> io::Result<Vec<Self>> {
        let mut all: Vec<Self> = Vec::new();
        for part in getifaddrs()? {
            let is_up = part.flags.contains(InterfaceFlags::IFF_UP);
            let place = all.iter().position(|known| known.name == part.interface_name).unwrap_or(all.len());
            if place == all.len() {
                let name = part.interface_name.clone();
                // It may be gone since.
                let index = if_nametoindex(name.as_str()).unwrap_or(0);
                all.push(Self { name, index, is_up, addresses: Vec::new(), broadcasts: Vec::new() });
            }
            all[place].addresses.extend(part.address.as_ref().and_then(ip));
            let broadcast = part.broadcast.as_ref().filter(|_| part.flags.contains(InterfaceFlags::IFF_BROADCAST));
            all[place].broadcasts.extend(broadcast.and_then(ip).and_then(|ip| match ip {
                IpAddr::V4(v4) => Some(v4),
                IpAddr::V6(_) => None,
            }));
        }
        Ok(all)
    }

    /// The one that is meant by a name or an address.
    pub fn find(named: &str) -> Result<Self, NoInterface> {
        let all = Self::all().unwrap_or_default();
        let address: Option<IpAddr> = named.parse().ok();
        // Who wrote an address chooses among addresses.
        let told = |interface: &Self| match address {
            Some(_) => format!("{} ({})", interface.name, interface.listed()),
            None => interface.name.clone(),
        };
        let there = all.iter().map(told).collect();
        let meant = |interface: &Self| {
            interface.name == named || address.is_some_and(|address| interface.addresses.contains(&address))
        };
        all.into_iter().find(meant).ok_or_else(|| NoInterface { named: named.to_owned(), there })
    }

    /// The one behind the `%` of an address: by name, or by the system's number of it.
    pub fn of_scope(scope: &str) -> Result<Self, NoInterface> {
        Self::find(scope).or_else(|none| scope.parse().ok().and_then(Self::at).ok_or(none))
    }

    /// The one with this number.
    pub fn at(index: u32) -> Option<Self> {
        Self::all().unwrap_or_default().into_iter().find(|interface| interface.index == index && index > 0)
    }

    fn listed(&self) -> String {
        self.addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Its first IPv4 address.
    pub fn v4(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|address| match address {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(_) => None,
        })
    }

    /// What its link carries; `None` where the system does not tell, as of Wi-Fi and of what is no hardware.
    pub fn speed(&self) -> Option<Bitrate> {
        // The name is one that the system told.
        let text = fs::read_to_string(format!("/sys/class/net/{}/speed", self.name)).ok()?;
        let megabits = text.trim().parse::<i64>().ok().filter(|megabits| *megabits > 0)?;
        Some(Bitrate::bps(megabits.unsigned_abs().saturating_mul(1_000_000)))
    }
}

/// The address alone.
pub(super) fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_found_by_its_name_and_by_its_address() {
        let by_address = Interface::find("127.0.0.1").expect("there is always a loopback");
        assert!(by_address.is_up && by_address.index > 0 && by_address.v4() == Some(Ipv4Addr::LOCALHOST));
        assert_eq!(Interface::find(&by_address.name), Ok(by_address.clone()));
        assert_eq!(Interface::of_scope(&by_address.name), Ok(by_address.clone()));
        assert_eq!(Interface::of_scope(&by_address.index.to_string()), Ok(by_address.clone()));
        assert!(["0", "", "no such"].iter().all(|bad| Interface::of_scope(bad).is_err()));
        for bad in ["", "no such", "203.0.113.77", "../lo"] {
            let error = Interface::find(bad).expect_err("not there");
            assert!(error.to_string().contains(&by_address.name), "{error}");
            assert_eq!(error.to_string().contains("127.0.0.1"), bad == "203.0.113.77", "{error}");
        }
    }
}

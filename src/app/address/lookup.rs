//! From names to socket addresses: all that a name has, or what its SRV records say where it has any.

use std::fs;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::thread::Builder;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::{Address, AddressError};
use crate::discovery::srv::{self, Service, Services};
use crate::net::plain;
use crate::proto::{Servers, Transport};

/// Where a server may be. Whoever connects asks all and takes the first that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Never empty when the look-up succeeds, nor is the other.
    pub udp: Vec<SocketAddr>,
    /// For those who cannot be reached over UDP.
    pub tcp: Vec<SocketAddr>,
}

impl Places {
    fn same(all: Vec<SocketAddr>) -> Self {
        Self { tcp: all.clone(), udp: all }
    }

    /// A server listens on one port for both, so records of one way stand in for those of the other; `None` without any.
    fn filled(self) -> Option<Self> {
        match (self.udp.is_empty(), self.tcp.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Self::same(self.tcp)),
            (false, true) => Some(Self::same(self.udp)),
            (false, false) => Some(self),
        }
    }
}

impl Address {
    /// All socket addresses of the host.
    pub fn look_up(&self) -> Result<Servers, AddressError> {
        let Places { udp, tcp } = self.places(&srv::name_servers())?;
        Ok(Servers { transport: self.transport.unwrap_or(Transport::Auto), udp, tcp })
    }

    /// All socket addresses of the host, with `name_servers` to ask for SRV records if no port was typed. They are asked
    /// while the system looks up the name itself, and waited for but a moment longer, unless it knows no address.
    pub fn places(&self, name_servers: &[SocketAddr]) -> Result<Places, AddressError> {
        if let Some(address) = numeric(&self.host, self.port())? {
            return Ok(Places::same(vec![plain(address)]));
        }
        let asked = self.port.is_none() && !name_servers.is_empty() && srv::may_have(&self.host);
        let services = asked.then(|| ask(&self.host, name_servers.to_vec())).flatten();
        let own = addresses(&self.host, self.port());
        let limit = if own.is_ok() { GRACE } else { PATIENCE };
        let services = services.and_then(|services| services.recv_timeout(limit).ok()).unwrap_or_default();
        let places = Places { udp: reached(&services.udp), tcp: reached(&services.tcp) };
        if let Some(places) = places.filled() {
            return Ok(places);
        }
        let unknown = |why| AddressError::Unknown { host: self.host.clone(), why }.unless_file(&self.host);
        own.map(Places::same).map_err(unknown)
    }
}

/// The records, as soon as they are there. `None` if there is no thread for it.
fn ask(host: &str, name_servers: Vec<SocketAddr>) -> Option<Receiver<Services>> {
    let (tell, told) = bounded(1);
    let host = host.to_owned();
    let look = move || {
        // Who has asked may be content without.
        tell.send(srv::look_up(&host, &name_servers)).ok();
    };
    Builder::new().name("records".into()).spawn(look).ok().map(|_| told)
}

/// What the system knows of a name.
fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = (host, port).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut all: Vec<SocketAddr> = found.map(plain).collect();
    all.dedup();
    if all.is_empty() { Err("the name has no address".to_owned()) } else { Ok(all) }
}

/// The addresses of those with the best priority that have any; a server of a worse one stands in only for them.
fn reached(services: &[Service]) -> Vec<SocketAddr> {
    let equals = services.chunk_by(|one, next| one.priority == next.priority);
    let found = |group: &[Service]| {
        let all = group.iter().filter_map(|service| addresses(&service.host, service.port).ok());
        all.flatten().take(MOST).collect::<Vec<SocketAddr>>()
    };
    equals.map(found).find(|all| !all.is_empty()).unwrap_or_default()
}

/// An address to listen on, without a port.
pub fn local(text: &str) -> Result<SocketAddr, AddressError> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    numeric(bare, 0)?.ok_or_else(|| AddressError::NotIp(text.to_owned()))
}

/// The address that `text` writes out; `None` if it is a name.
fn numeric(text: &str, port: u16) -> Result<Option<SocketAddr>, AddressError> {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    let Ok(ip) = address.parse() else { return Ok(None) };
    match (ip, zone) {
        (IpAddr::V4(_), Some(_)) => Err(AddressError::NotIp(text.to_owned())),
        (IpAddr::V6(ip), Some(zone)) => {
            let index = interface(zone)?;
            // Anywhere else the system leaves it out of what it reports, and the address would not be known again. Of a group it
            // is what the user chose.
            let scope = if ip.is_unicast_link_local() || ip.is_multicast() { index } else { 0 };
            Ok(Some(SocketAddrV6::new(ip, port, 0, scope).into()))
        }
        (IpAddr::V6(address), None) if address.is_unicast_link_local() => {
            Err(AddressError::NoInterface { address, interfaces: interfaces() })
        }
        (ip, None) => Ok(Some(SocketAddr::new(ip, port))),
    }
}

/// The system's number of an interface, which may be given itself.
fn interface(name: &str) -> Result<u32, AddressError> {
    let interfaces = interfaces();
    // Only a name that was listed becomes part of a path.
    let listed = interfaces.iter().any(|listed| listed == name);
    let index = if listed { fs::read_to_string(format!("{INTERFACES}/{name}/ifindex")).ok() } else { None };
    let index = index.as_deref().unwrap_or(name).trim().parse().ok().filter(|&index| index > 0);
    index.ok_or_else(|| AddressError::UnknownInterface { name: name.to_owned(), interfaces })
}

/// The names of all interfaces; none where the system does not tell.
fn interfaces() -> Vec<String> {
    let entries = fs::read_dir(INTERFACES).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// An interface to name in advice.
pub(super) fn example(interfaces: &[String]) -> &str {
    interfaces.iter().find(|name| *name != "lo").map_or("eth0", String::as_str)
}

/// One folder an interface, by name (sysfs, Documentation/ABI/testing/sysfs-class-net).
const INTERFACES: &str = "/sys/class/net";
/// A name server that has answered for the addresses answers for this as well.
const GRACE: Duration = Duration::from_millis(150);
/// Without an address there is nothing else to wait for.
const PATIENCE: Duration = Duration::from_secs(4);
/// Addresses that are asked at once.
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_addresses_have_an_interface() {
        let look_up = |text: &str| text.parse::<Address>().and_then(|address| address.look_up()).map(|all| all.udp);
        let scoped = |port, scope| SocketAddr::from(SocketAddrV6::new("fe80::1".parse().unwrap(), port, 0, scope));
        assert_eq!(look_up("[fe80::1%7]:9"), Ok(vec![scoped(9, 7)]));
        assert_eq!(local("fe80::1%7"), Ok(scoped(0, 7)));
        assert_eq!(local("[fe80::1%7]"), Ok(scoped(0, 7)));
        if let Ok(index) = fs::read_to_string("/sys/class/net/lo/ifindex") {
            assert_eq!(local("fe80::1%lo"), Ok(scoped(0, index.trim().parse().unwrap())));
        }
        assert!(matches!(look_up("fe80::1"), Err(AddressError::NoInterface { .. })));
        assert!(matches!(local("fe80::1"), Err(AddressError::NoInterface { .. })));
        for zone in ["no such", "", "0", "../net/lo", "-1"] {
            let error = local(&format!("fe80::1%{zone}"));
            assert!(matches!(error, Err(AddressError::UnknownInterface { .. })), "{zone}: {error:?}");
        }
    }

    #[test]
    fn addresses_of_this_machine() {
        for text in ["0.0.0.0", "::", "192.0.2.7", "2001:db8::7"] {
            assert_eq!(local(text).map(|address| address.ip().to_string()).as_deref(), Ok(text));
        }
        // Nothing but link-local addresses needs an interface, and the system reports none for them.
        assert_eq!(local("::1%1"), local("::1"));
        for bad in ["", "robot", "192.0.2.7%1", "192.0.2.7:9", "[::1"] {
            assert!(matches!(local(bad), Err(AddressError::NotIp(_))), "{bad:?}");
        }
    }
}

//! Looks for servers on the local network, and goes on looking: who comes, who goes, whose address changes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::thread::Builder;

use mdns_sd::{Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent};

use super::{DiscoveryError, SERVICE, Summary, instance};
use crate::net::networks::Networks;
use crate::wire::tlv::printable;

/// Addresses of one server that are told. Each is asked, whoever named it.
const MOST: usize = 4;

/// A server that has announced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// By which it is known again, whatever its address is.
    pub instance: String,
    /// Its addresses in this machine's own networks, those first that people would rather read.
    pub places: Vec<SocketAddr>,
    pub summary: Summary,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A server, for the first time or with something changed.
    Server(Server),
    /// The server of this name is gone.
    Gone(String),
}

/// It looks until this is dropped.
pub struct Browser {
    daemon: ServiceDaemon,
}

impl Browser {
    /// `seen` is called on a thread of its own; it returns false when nobody looks any more.
    pub fn start(seen: impl Fn(Seen) -> bool + Send + 'static) -> Result<Self, DiscoveryError> {
        let daemon = ServiceDaemon::new()?;
        let browser = Self { daemon };
        let events = browser.daemon.browse(SERVICE)?;
        let started = Builder::new().name("browser".into()).spawn(move || run(&events, seen));
        started.map_err(|error| mdns_sd::Error::Msg(error.to_string()))?;
        Ok(browser)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // There is nothing to wait for: who only listens says no goodbye.
        self.daemon.shutdown().ok();
    }
}

fn run(events: &Receiver<ServiceEvent>, seen: impl Fn(Seen) -> bool) {
    while let Ok(event) = events.recv() {
        let news = match event {
            ServiceEvent::ServiceResolved(service) => server(&service).map(Seen::Server),
            ServiceEvent::ServiceRemoved(_, name) => instance(&name).map(|name| Seen::Gone(printable(&name))),
            _ => None,
        };
        if news.is_some_and(|news| !seen(news)) {
            return;
        }
    }
}

fn server(service: &ResolvedService) -> Option<Server> {
    let instance = printable(&instance(service.get_fullname())?);
    let places = places(service.get_addresses(), service.get_port(), &Networks::now());
    let summary = Summary::read(|key| service.get_property_val_str(key));
    (!places.is_empty() && service.get_port() != 0).then_some(Server { instance, places, summary })
}

/// Anybody may say anything: nobody elsewhere is asked for it, and no more than a few here.
fn places<'a>(all: impl IntoIterator<Item = &'a ScopedIp>, port: u16, networks: &Networks) -> Vec<SocketAddr> {
    let all = all.into_iter().filter(|address| networks.have(address.to_ip_addr()));
    let mut places: Vec<SocketAddr> = all.map(|address| place(address, port)).collect();
    places.sort_by_key(|place| (rank(place.ip()), *place));
    places.truncate(MOST);
    places
}

/// Only link-local addresses need their interface.
fn place(address: &ScopedIp, port: u16) -> SocketAddr {
    match address {
        ScopedIp::V6(scoped) if scoped.addr().is_unicast_link_local() => {
            SocketAddrV6::new(*scoped.addr(), port, 0, scoped.scope_id().index).into()
        }
        other => SocketAddr::new(other.to_ip_addr(), port),
    }
}

/// What is short and works from elsewhere too comes first.
fn rank(ip: IpAddr) -> u8 {
    match ip {
        _ if ip.is_loopback() => 3,
        IpAddr::V4(_) => 0,
        IpAddr::V6(ip) if ip.is_unicast_link_local() || ip == Ipv6Addr::UNSPECIFIED => 2,
        IpAddr::V6(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_because_a_stranger_says_so() {
        let told = |all: &[&str]| {
            let all: Vec<ScopedIp> = all.iter().map(|ip| ScopedIp::from(ip.parse::<IpAddr>().expect("one"))).collect();
            let found = places(&all, 9, &Networks::now());
            found.iter().map(|place| place.ip().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(told(&["224.0.0.251", "255.255.255.255", "0.0.0.0", "::", "ff02::1", "::ffff:224.0.0.1"]), [""; 0]);
        assert_eq!(told(&["::1", "127.0.0.1"]), ["127.0.0.1", "::1"]);
        let many = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "169.254.7.7"];
        assert_eq!(told(&many), ["169.254.7.7", "127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    }
}

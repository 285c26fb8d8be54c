//! Says on the local network that there is a server, as long as it lives. mdns-sd does it on a thread of its own; another hears
//! what becomes of it, and chooses another name where this one is somebody else's.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::thread::Builder;
use std::time::Duration;

use mdns_sd::{DaemonEvent, DnsNameChange, IfKind, Receiver, ServiceDaemon, ServiceInfo};

use super::{DiscoveryError, SERVICE, Summary, label};
use crate::wire::tlv::shorten;

/// Bytes of a name (RFC 1035, section 2.3.4).
pub const MAX_LABEL: usize = 63;
/// Bytes that a number behind a name may take, as in `robot (2)`.
const NUMBER: usize = 5;
/// So long a goodbye is waited for.
const GOODBYE: Duration = Duration::from_millis(300);
/// So often the addresses of this machine are looked at, s.
const ADDRESSES: u32 = 2;

/// What is said.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// Of any script; dots are no separators. At most [`MAX_LABEL`] bytes.
    pub name: String,
    /// Where the server listens.
    pub listens: SocketAddr,
    pub summary: Summary,
    /// Tells this process from others of the machine: whose addresses change is a host of its own.
    pub host: u64,
}

/// It is announced until this is dropped, with a goodbye.
pub struct Announcer {
    daemon: ServiceDaemon,
}

impl Announcer {
    pub fn start(announcement: Announcement) -> Result<Self, DiscoveryError> {
        let daemon = ServiceDaemon::new()?;
        let announcer = Self { daemon: daemon.clone() };
        daemon.set_ip_check_interval(ADDRESSES)?;
        let (unspecified, kinds) = interfaces(announcement.listens.ip());
        if !unspecified {
            if announcement.listens.ip() == IpAddr::V6(Ipv6Addr::LOCALHOST) {
                tracing::info!("a server on ::1 alone is announced only where the loopback has a way to IPv6 groups");
            }
            // Where it cannot be reached nothing is said, nor heard.
            daemon.disable_interface(IfKind::All)?;
            daemon.enable_interface(kinds)?;
        }
        let events = daemon.monitor()?;
        let mut naming = Naming { daemon, announcement, number: 1, told: false };
        // What cannot be said at all is an error here and not on the thread.
        naming.service()?;
        let started = Builder::new().name("announcer".into()).spawn(move || naming.run(&events));
        started.map_err(|error| mdns_sd::Error::Msg(error.to_string()))?;
        Ok(announcer)
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        if let Ok(done) = self.daemon.shutdown() {
            // One that does not come to it is forgotten by the network by itself.
            done.recv_timeout(GOODBYE).ok();
        }
    }
}

/// Whether all addresses of this machine are meant, and which interfaces a server at this address is reached on.
fn interfaces(listens: IpAddr) -> (bool, Vec<IfKind>) {
    match listens {
        IpAddr::V6(ip) if ip.is_unspecified() => (true, vec![IfKind::All]),
        IpAddr::V4(ip) if ip.is_unspecified() => (false, vec![IfKind::IPv4]),
        IpAddr::V4(ip) if ip.is_loopback() => (false, vec![IfKind::LoopbackV4]),
        // Linux has no way to IPv6 groups on its loopback unless somebody makes one, and then nobody hears of this server. Over
        // the loopback's IPv4 an address of IPv6 is not told, and 127.0.0.1, which is, would be another server's.
        IpAddr::V6(ip) if ip.is_loopback() => (false, vec![IfKind::LoopbackV6]),
        ip => (false, vec![IfKind::Addr(ip)]),
    }
}

/// The name, and what is done about those who have it too.
struct Naming {
    daemon: ServiceDaemon,
    announcement: Announcement,
    number: u32,
    /// That the name is another's has been said.
    told: bool,
}

impl Naming {
    /// `robot`, or `robot (2)` where that is another's.
    fn name(&self) -> String {
        let name = &label(&self.announcement.name);
        match self.number {
            1 => shorten(name, MAX_LABEL).to_owned(),
            number => format!("{} ({number})", shorten(name, MAX_LABEL - NUMBER).trim_end()),
        }
    }

    fn service(&self) -> Result<ServiceInfo, mdns_sd::Error> {
        let Announcement { listens, summary, host, .. } = &self.announcement;
        let record = summary.record();
        // Not the machine's own name: that is for whoever else answers for it here.
        let host = format!("udpstream-{host:016x}.local.");
        let (_, kinds) = interfaces(listens.ip());
        let own: Option<IpAddr> = Some(listens.ip()).filter(|ip| !ip.is_unspecified());
        let addresses: Vec<IpAddr> = own.into_iter().collect();
        let service = ServiceInfo::new(SERVICE, &self.name(), &host, &addresses[..], listens.port(), &record[..])?;
        let mut service = if own.is_none() { service.enable_addr_auto() } else { service };
        service.set_interfaces(kinds);
        Ok(service)
    }

    fn run(&mut self, events: &Receiver<DaemonEvent>) {
        if let Err(error) = self.service().and_then(|service| self.daemon.register(service)) {
            return tracing::info!("this server is not announced: {error}");
        }
        while let Ok(event) = events.recv() {
            match event {
                DaemonEvent::Announce(name, places) => tracing::debug!("announced as {name} on {places}"),
                DaemonEvent::Error(error) => tracing::info!("announcing on the local network: {error}"),
                DaemonEvent::NameChange(change) => {
                    if let Err(error) = self.renamed(&change) {
                        tracing::info!("announcing on the local network under another name: {error}");
                    }
                }
                _ => {}
            }
        }
    }

    fn tell(&mut self) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::info!("{} is another server's name: this one is announced with a number", self.announcement.name);
        }
    }

    /// Somebody else has the name. The number that mdns-sd puts behind it is right where there is room.
    fn renamed(&mut self, change: &DnsNameChange) -> Result<(), mdns_sd::Error> {
        let old = self.service()?.get_fullname().to_owned();
        if !change.original.eq_ignore_ascii_case(&old) {
            return Ok(());
        }
        self.tell();
        if self.name().len() + NUMBER <= MAX_LABEL {
            return Ok(());
        }
        self.daemon.unregister(&old)?;
        self.number += 1;
        self.daemon.register(self.service()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(name: &str, number: u32, listens: &str) -> Naming {
        let listens = listens.parse().expect("an address");
        let announcement = Announcement { name: name.to_owned(), listens, summary: Summary::default(), host: 7 };
        Naming { daemon: ServiceDaemon::new_with_port(0).expect("a thread"), announcement, number, told: false }
    }

    #[test]
    fn a_number_fits_behind_every_name() {
        assert_eq!(naming("robot", 2, "[::]:9").name(), "robot (2)");
        let long = naming(&"庭".repeat(21), 12, "[::]:9").name();
        assert!(long.len() <= MAX_LABEL && long.ends_with("庭 (12)"), "{long}");
        let dots = naming("my.film", 2, "[::]:9").service().expect("a service");
        assert_eq!(dots.get_fullname(), "my\u{2024}film (2)._udpstream._udp.local.");
        assert!(naming(&".".repeat(63), 1, "[::]:9").name().len() <= MAX_LABEL);
    }

    #[test]
    fn a_server_is_announced_where_it_is_reached() {
        let service = |listens| naming("x", 1, listens).service().expect("a service");
        assert!(service("[::]:9").is_addr_auto() && service("0.0.0.0:9").is_addr_auto());
        let one = service("127.0.0.2:9");
        assert!(!one.is_addr_auto());
        assert_eq!(one.get_addresses().iter().map(IpAddr::to_string).collect::<Vec<_>>(), ["127.0.0.2"]);
        assert!(matches!(
            &interfaces(one.get_addresses().iter().next().copied().expect("one")).1[..],
            [IfKind::LoopbackV4]
        ));
        let local = service("[::1]:9");
        assert_eq!(local.get_addresses().iter().map(IpAddr::to_string).collect::<Vec<_>>(), ["::1"]);
        let nowhere_else = interfaces(IpAddr::V6(Ipv6Addr::LOCALHOST));
        assert!(matches!(&nowhere_else.1[..], [IfKind::LoopbackV6]) && !nowhere_else.0, "its IPv4 is another server's");
    }
}

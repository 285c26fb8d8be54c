//! Multicast groups and broadcast addresses: as people type them, and opened for whoever sends to one or listens to one.

mod typed;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};

pub use self::typed::{address, host, is_surely, with_source};
use self::typed::{scope, typed};
use super::address::{Address, DEFAULT_PORT};
use super::figures::Output;
use super::words::rate_text;
use crate::net::group::{Group, Outward, is_in_use, is_of_link};
use crate::net::interface::{Interface, NoInterface};
use crate::net::{Loop, Marks, Socket};
use crate::proto::Port;
use crate::proto::receiver::RepairPlace;
use crate::proto::server::{GroupConfig, MOST_GROUPS, PARITY};
use crate::seal::{self, Random};
use crate::units::Bitrate;
use crate::wire::SizeClass;

/// Where a stream is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupChoice {
    /// A group that nobody sends to, of those that stay within a site (RFC 2365).
    Auto,
    At(SocketAddr),
}

/// Where what a group has lost is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairChoice {
    /// Where its sender says.
    Told,
    At(Address),
}

impl RepairChoice {
    /// Its first address.
    pub fn place(&self) -> anyhow::Result<RepairPlace> {
        let Self::At(address) = self else { return Ok(RepairPlace::Told) };
        Ok(address.look_up()?.udp.first().copied().map_or(RepairPlace::Told, RepairPlace::At))
    }
}

/// How a stream is sent to a group, as the user chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOptions {
    pub choice: GroupChoice,
    /// Routers that may pass it on, and one.
    pub ttl: u8,
    /// By name or address; `None`: where the system routes it to.
    pub interface: Option<String>,
    /// Repair symbols, as percent of what they protect.
    pub parity: u8,
}

/// A group that is sent to, as it is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    address: SocketAddr,
    ttl: u8,
    interface: Option<String>,
    max_rate: Bitrate,
    parity: u8,
    /// Whom they have to name who listen.
    source: Option<Ipv4Addr>,
}

/// Why something cannot be a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    #[error("{0:?} is not a group: write an address such as 239.1.2.3, 239.1.2.3:9688 or [ff15::7]:9688")]
    Text(String),
    #[error("{0} may end in a port or not: write [{0}] or [ADDRESS]:PORT")]
    Bare(Ipv6Addr),
    #[error("groups of 232.0.0.0/8 are heard from a sender that is named: write udp://SENDER@{0}")]
    NoSource(SocketAddr),
    #[error("{0} is a group of each link by itself: name the interface as well, as in --interface eth0")]
    OfLink(Ipv6Addr),
    #[error("{0}")]
    NoInterface(NoInterface),
    #[error("the address of the group names {0}, and the option another interface, {1}: leave one of them out")]
    Interfaces(String, String),
    #[error("{0} is neither a group nor a broadcast address here: those are {1}")]
    NoBroadcast(Ipv4Addr, String),
    #[error("{0} is no group: groups are 224.0.1.0 to 239.255.255.255 and ff00::/8")]
    Unicast(IpAddr),
    #[error("224.0.0.x is for routers: choose a group from 239.0.0.0 to 239.255.255.255")]
    Control,
    #[error(
        "{0:?} is not the address of a sender: write udp://192.0.2.7@239.1.2.3, or udp://@239.1.2.3 for any sender"
    )]
    Source(String),
    #[error("a sender of IPv4 sends to no IPv6 group, and the other way round: {0}@{1}")]
    Families(IpAddr, IpAddr),
    #[error("a group is passed on alone: start another relay for the other origins")]
    Several,
    #[error("a group has one stream: leave out /{0}")]
    Stream(String),
}

/// The first byte of groups that are joined together with a sender (RFC 4607).
const SOURCE_SPECIFIC: u8 = 232;
/// What reaches other sites by nobody's intention (RFC 2365, section 6.1).
const LOCAL_SCOPE: [u8; 2] = [239, 255];
/// Whether somebody sends to a group that was drawn is listened to for so long.
const LISTENED: Duration = Duration::from_millis(200);
/// Groups that are drawn until one is free.
const TRIES: usize = 8;

impl GroupChoice {
    pub const fn port(self) -> u16 {
        match self {
            Self::Auto => DEFAULT_PORT,
            Self::At(address) => address.port(),
        }
    }
}

impl FromStr for GroupChoice {
    type Err = GroupError;

    fn from_str(text: &str) -> Result<Self, GroupError> {
        if text == "auto" { Ok(Self::Auto) } else { address(text).map(Self::At) }
    }
}

impl fmt::Display for GroupChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("a free group"),
            Self::At(address) => f.write_str(&typed(*address)),
        }
    }
}

fn wants_source(group: IpAddr) -> bool {
    matches!(group, IpAddr::V4(v4) if v4.octets()[0] == SOURCE_SPECIFIC)
}

/// A group, once it is known where it is and by which interface it is reached.
pub fn found(address: SocketAddr, source: Option<IpAddr>, interface: Option<&str>) -> anyhow::Result<Group> {
    let named = interface.map(Interface::find).transpose()?;
    let scoped = scope(address).map(|scope| Interface::of_scope(&scope)).transpose()?;
    if let (Some(scoped), Some(named)) = (&scoped, &named)
        && scoped.name != named.name
    {
        bail!(GroupError::Interfaces(scoped.name.clone(), named.name.clone()));
    }
    let interface = named.or(scoped);
    // The interface is told by its name from here on: its number may change.
    let address = SocketAddr::new(address.ip(), address.port());
    if let (IpAddr::V6(v6), None) = (address.ip(), &interface)
        && is_of_link(v6)
    {
        bail!(GroupError::OfLink(v6));
    }
    if let IpAddr::V4(v4) = address.ip() {
        check_broadcast(v4, interface.as_ref())?;
    }
    Ok(Group { address, source, interface: interface.map(|interface| interface.name) })
}

fn check_broadcast(address: Ipv4Addr, named: Option<&Interface>) -> anyhow::Result<()> {
    if address.is_multicast() || address.is_broadcast() {
        return Ok(());
    }
    let all = named.map_or_else(|| Interface::all().unwrap_or_default(), |named| vec![named.clone()]);
    let known: Vec<Ipv4Addr> = all.iter().flat_map(|interface| interface.broadcasts.iter().copied()).collect();
    if known.contains(&address) {
        return Ok(());
    }
    let there: Vec<String> = known.iter().map(Ipv4Addr::to_string).chain(["255.255.255.255".to_owned()]).collect();
    bail!(GroupError::NoBroadcast(address, there.join(", ")))
}

impl GroupOptions {
    /// As a group is sent to of which nothing else was said.
    pub const fn new(choice: GroupChoice) -> Self {
        Self { choice, ttl: 1, interface: None, parity: PARITY }
    }

    /// Opens the socket that sends to it, the `n`th of the loop's groups; warns where that is more than its link can be asked for.
    pub fn open(
        &self,
        event_loop: &mut Loop,
        n: usize,
        told: &Sending,
        output: &Output,
    ) -> anyhow::Result<(GroupConfig, Announced)> {
        let address = match self.choice {
            GroupChoice::At(address) => address,
            GroupChoice::Auto => draw(self.interface.as_deref())?,
        };
        let group = found(address, None, self.interface.as_deref())?;
        let address = group.address;
        let port = u16::try_from(n).ok().filter(|n| *n < MOST_GROUPS).map(|n| Port(Port::GROUP.0 + n));
        let port = port.ok_or_else(|| anyhow!("a server sends to {MOST_GROUPS} groups at most"))?;
        let outward = Outward { ttl: self.ttl, marks: told.marks };
        let socket = Socket::to_group(&group, outward).map_err(|error| not_opened(&group, &error))?;
        event_loop.add_group(port, socket).context("the event loop could not be started")?;
        let config = GroupConfig::new(port, address);
        let config = GroupConfig {
            class: told.datagram.unwrap_or(config.class),
            max_rate: told.max_rate.unwrap_or(config.max_rate),
            parity: self.parity,
            unicast: told.unicast,
            ..config
        };
        let way = group.outgoing();
        if let Some(way) = &way {
            warn_of_speed(way, config.max_rate, output);
        }
        let source = way.as_ref().filter(|_| wants_source(address.ip())).and_then(Interface::v4);
        let (interface, ttl, max_rate) = (way.map(|way| way.name), self.ttl, config.max_rate);
        Ok((config, Announced { address, ttl, interface, max_rate, parity: self.parity, source }))
    }
}

/// What the server says of whatever it sends to a group.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    pub marks: Marks,
    pub datagram: Option<SizeClass>,
    pub max_rate: Option<Bitrate>,
    /// Its picture port; 0 where that speaks no UDP.
    pub unicast: u16,
}

/// A limit that leaves no room for others on the link is worth a word.
fn warn_of_speed(way: &Interface, limit: Bitrate, output: &Output) {
    let Some(speed) = way.speed().filter(|speed| limit.as_bps() > speed.as_bps() / 2) else { return };
    output.warn(&format!(
        "warning: up to {} is sent to the group, more than half of what {} carries ({}): lower it with --max-bitrate.",
        rate_text(limit.as_bps() as f64),
        way.name,
        rate_text(speed.as_bps() as f64)
    ));
}

impl Output {
    /// What is for a group does not leave, or does again.
    pub fn tell_of_group(&self, group: SocketAddr, reached: bool) {
        let (code, text) = if reached {
            ("group-reached", format!("note: what is for {group} leaves again."))
        } else {
            let advice = "see whether its interface is up and has an address, or name another with --interface";
            ("group-unreachable", format!("warning: nothing can be sent to {group} from here: {advice}."))
        };
        self.warn(&text);
        // A reader that has gone is noticed with the next figures.
        self.event("warning", json!({ "code": code, "text": text })).ok();
    }
}

/// Draws a group that nobody sends to.
fn draw(interface: Option<&str>) -> anyhow::Result<SocketAddr> {
    let seed = seal::system_seed().ok_or_else(|| anyhow!("the system has no random numbers to give"))?;
    let mut random = Random::new(&seed);
    for _ in 0..TRIES {
        let [_, _, _, _, _, _, third, fourth] = random.id().to_be_bytes();
        let ip = Ipv4Addr::new(LOCAL_SCOPE[0], LOCAL_SCOPE[1], third, fourth);
        let address = SocketAddr::from((ip, DEFAULT_PORT));
        let group = found(address, None, interface)?;
        if !is_in_use(&group, LISTENED).map_err(|error| not_opened(&group, &error))? {
            return Ok(address);
        }
    }
    bail!("somebody sends to each of {TRIES} groups that were tried: name one, as in --multicast 239.1.2.3")
}

/// Why a socket of a group could not be opened, with advice.
pub fn not_opened(group: &Group, error: &std::io::Error) -> anyhow::Error {
    let address = group.address;
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            anyhow!("port {} is in use by a program that does not share it: choose another group port", address.port())
        }
        _ => anyhow!("{address} cannot be reached ({error}): name an interface that is up with --interface"),
    }
}

impl Announced {
    /// What to type to watch it.
    fn url(&self) -> String {
        let source = self.source.map_or_else(String::new, |source| source.to_string());
        format!("udp://{source}@{}", self.address)
    }

    /// For people.
    pub fn sentence(&self) -> String {
        let by = self.interface.as_ref().map_or_else(String::new, |name| format!(" by {name}"));
        // Nobody would listen there by himself.
        let at = self.interface.as_ref().filter(|name| *name == "lo").map_or("", |_| " --interface lo");
        let hops = if self.ttl == 1 { "this network alone".to_owned() } else { format!("{} hops", self.ttl) };
        format!(
            "Sending to {}{by}, {hops}, at most {} with {} % of parity. Watch with: udpstream watch {}{at}",
            self.address,
            rate_text(self.max_rate.as_bps() as f64),
            self.parity,
            self.url()
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "address": self.address.ip().to_string(), "port": self.address.port(), "ttl": self.ttl,
            "interface": self.interface, "max_bitrate_bps": self.max_rate.as_bps(), "fec_percent": self.parity,
            "url": self.url(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_one_link_wants_an_interface() {
        for group in ["[ff02::7]:9", "[ff11::7]:9", "[ff01::1]:9"] {
            let said = found(group.parse().expect("an address"), None, None).expect_err("no interface");
            assert!(said.to_string().contains("--interface"), "{said}");
        }
        assert!(found("[ff15::7]:9".parse().expect("an address"), None, None).is_ok());
    }

    #[test]
    fn a_group_may_name_its_interface() {
        let lo = Interface::find("127.0.0.1").expect("there is always a loopback");
        for (text, port) in [
            (format!("[ff02::7%{}]:9", lo.name), 9),
            (format!("[ff02::7%{}]", lo.index), DEFAULT_PORT),
            (format!("[ff15::7%{}]:9", lo.name), 9),
        ] {
            let address = address(&text).expect("a group");
            assert_eq!(GroupChoice::At(address).to_string(), format!("[{}%{}]:{port}", address.ip(), lo.name));
            for named in [None, Some("127.0.0.1"), Some(&*lo.name)] {
                let group = found(address, None, named).expect("it is there");
                let plain = SocketAddr::new(address.ip(), port);
                assert_eq!((group.address, group.interface), (plain, Some(lo.name.clone())), "{text} {named:?}");
            }
        }
        for (bad, part) in [
            ("[ff02::7%no-such]:9", "no network interface is called no-such"),
            ("[ff02::7%]:9", "no network interface"),
            ("[ff02::7%lo]:0", "\"[ff02::7%lo]:0\" is not a group"),
            ("[ff02::7%lo]9", "is not a group"),
            ("[239.1.2.3%lo]:9", "is not a group"),
            ("[fe80::7%lo]:9", "fe80::7 is no group"),
            ("ff02::7%lo", "is not a group"),
        ] {
            let said = address(bad).expect_err(bad).to_string();
            assert!(said.contains(part), "{bad}: {said}");
        }
        let Some(other) = Interface::all().expect("all").into_iter().find(|one| one.name != lo.name) else { return };
        let group = address(&format!("[ff02::7%{}]:9", lo.name)).expect("a group");
        let said = found(group, None, Some(&other.name)).expect_err("two").to_string();
        assert!(said.contains(&lo.name) && said.contains(&other.name) && said.contains("leave one"), "{said}");
    }

    #[test]
    fn what_is_no_broadcast_address_is_said() {
        let said = found("203.0.113.9:9".parse().expect("an address"), None, None).expect_err("not there");
        assert!(said.to_string().contains("255.255.255.255"), "{said}");
        assert!(found("239.1.2.3:9".parse().expect("an address"), None, Some("no such")).is_err());
    }
}

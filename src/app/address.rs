//! `[udp://|tcp://]HOST[:PORT][/NAME]` or `…/CODE` as people type it, or `udpstream://…` as they click it, and addresses of this machine;
//! link-local ones with their interface, as in `fe80::1%eth0` (RFC 4007, section 11).

mod lookup;
mod scheme;

use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

pub use self::lookup::{Places, local};
pub use self::scheme::Scheme;
use super::Exit;
use super::group::{self, GroupError};
use crate::proto::Transport;
use crate::seal::{Code, CodeError};
use crate::wire::StreamName;
use crate::wire::name::NameError;

pub const DEFAULT_PORT: u16 = 9_688;

/// A server to watch, not yet looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    /// `None`: none was typed, and the name's SRV records may know better than [`DEFAULT_PORT`].
    pub port: Option<u16>,
    /// `None`: whichever works.
    pub transport: Option<Transport>,
}

/// What to watch of which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub address: Address,
    /// `None`: the server's first.
    pub stream: Option<StreamName>,
    /// The stream with this code.
    pub code: Option<Code>,
    /// Every stream of the server, as in `HOST/*`.
    pub all: bool,
    /// It is no server, but a group; whose datagrams are meant.
    pub group: Option<Senders>,
}

/// Whose datagrams to a group are listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Senders {
    /// Those of whoever sends first.
    Any,
    One(IpAddr),
}

/// Why an address cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    #[error("{0}:// cannot be watched: serve it with `udpstream serve`, and watch the machine that does")]
    Scheme(String),
    #[error(
        "a link has no {0:?} in it: it is written udpstream://HOST, udpstream://HOST:PORT or udpstream://HOST/NAME"
    )]
    Link(char),
    #[error("the escapes (%XX) of this link are no text: write it as udpstream://HOST/NAME")]
    Escapes,
    #[error("{0:?} is not a host: write HOST, HOST:PORT, 192.0.2.7:9688 or [2001:db8::7]:9688")]
    Host(String),
    #[error("{0:?} is not a port: ports are numbers from 1 to 65535")]
    Port(String),
    #[error("{0:?} is a number: a port is written behind its host, as in HOST:{0}")]
    Number(String),
    #[error("{0}")]
    Group(GroupError),
    #[error("this is a group: write udp://@{0}")]
    IsGroup(String),
    #[error("a server is meant here, and {0} is a group: a group has one stream, which is watched as {0}")]
    GroupOfServer(String),
    #[error("{0}; `udpstream ls HOST` lists the streams of a server")]
    Name(NameError),
    #[error(
        "a relay needs no code: it passes on whatever is watched through it; name the server alone, and watch RELAY/CODE"
    )]
    CodeOfRelay,
    #[error("a code is watched at its server: write HOST/CODE")]
    NoHost,
    #[error("what stands behind {0}/ looks like a code, but {1}")]
    Code(String, CodeError),
    #[error("one server is meant here: leave out /{0}")]
    Streams(String),
    #[error("servers that stand in for one another have one stream: write HOST,HOST/{0}, and another relay for /{1}")]
    Names(StreamName, StreamName),
    #[error("{0:?} is not an IP address: write 0.0.0.0, 192.0.2.7, :: or fe80::1%INTERFACE")]
    NotIp(String),
    #[error("{address} is valid on every link: name the interface as well, as in {address}%{}", lookup::example(.interfaces))]
    NoInterface { address: Ipv6Addr, interfaces: Vec<String> },
    #[error("no network interface is called {name:?}: there are {}", .interfaces.join(", "))]
    UnknownInterface { name: String, interfaces: Vec<String> },
    #[error("{0} is a file: show it to others with `udpstream serve {0}`, and watch the machine that does")]
    File(String),
    #[error("no address is known for {host}: check the name, or use the server's IP address ({why})")]
    Unknown { host: String, why: String },
}

impl AddressError {
    /// The exit code of a program that ends for it.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Unknown { .. } => Exit::Unreachable,
            Self::File(_) => Exit::Usage,
            _ => Exit::Failed,
        }
    }

    /// Who names a file that is there means no host.
    fn unless_file(self, text: &str) -> Self {
        if fs::exists(text).unwrap_or(false) { Self::File(text.to_owned()) } else { self }
    }
}

impl FromStr for Target {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some((source, group)) = text.strip_prefix("udp://").and_then(|rest| rest.split_once('@')) {
            return Self::of_group(source, group).map_err(AddressError::Group);
        }
        let (scheme, rest) = Scheme::split(text)?;
        let (place, name) = scheme.parts(rest)?;
        let (place, name) = (&*place, &*name);
        if !name.is_empty() && fs::exists(text).unwrap_or(false) {
            return Err(AddressError::File(text.to_owned()));
        }
        // Of a group only its sender would stand before the sign, and no host's name has it.
        let place = place
            .strip_prefix('@')
            .filter(|place| split(place).is_some_and(|(host, _)| group::is_surely(host)))
            .unwrap_or(place);
        let address = Address::at(place, if name.is_empty() { text } else { place })?;
        let address = Address { transport: scheme.transport(), ..address };
        // Nobody answers there: whoever names a group as a server would wait for ever.
        if group::is_surely(&address.host) {
            return Err(AddressError::IsGroup(Address { transport: None, ..address }.to_string()));
        }
        if Code::is_meant(name) {
            let code = name.parse().map_err(|error| AddressError::Code(address.typed(), error))?;
            return Ok(Self { address, stream: None, code: Some(code), all: false, group: None });
        }
        let named = !name.is_empty() && name != "*";
        let stream = named.then(|| StreamName::parse(name)).transpose().map_err(AddressError::Name)?;
        Ok(Self { address, stream, code: None, all: name == "*", group: None })
    }
}

impl Target {
    fn of_group(source: &str, text: &str) -> Result<Self, GroupError> {
        let (group, source) = group::with_source(source, text)?;
        let address = Address { host: group::host(group), port: Some(group.port()), transport: Some(Transport::Udp) };
        let senders = source.map_or(Senders::Any, Senders::One);
        Ok(Self { address, stream: None, code: None, all: false, group: Some(senders) })
    }

    /// Server or group, as people write it.
    pub fn place(&self) -> String {
        match self.group {
            None => self.address.to_string(),
            Some(Senders::Any) => format!("udp://@{}", self.address),
            Some(Senders::One(source)) => format!("udp://{source}@{}", self.address),
        }
    }
}

/// Servers that have the same streams, or one stream that all of them have: `HOST[:PORT][,HOST[:PORT]…][/NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    /// At least one.
    pub addresses: Vec<Address>,
    pub stream: Option<StreamName>,
    /// It is no server, but a group; whose datagrams are meant.
    pub group: Option<Senders>,
}

impl FromStr for Origins {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let parts: Vec<&str> = text.split(',').collect();
        let targets = parts.iter().map(|part| part.parse()).collect::<Result<Vec<Target>, _>>()?;
        if targets.iter().any(|target| target.code.is_some()) {
            return Err(AddressError::CodeOfRelay);
        }
        let names: Vec<&StreamName> = targets.iter().filter_map(|target| target.stream.as_ref()).collect();
        // The name stands behind the last, or behind each.
        let stream = names.last().map(|name| (*name).clone());
        if let (Some(last), Some(other)) = (&stream, names.iter().find(|name| Some(**name) != stream.as_ref())) {
            return Err(AddressError::Names(last.clone(), (*other).clone()));
        }
        let group = targets.iter().find_map(|target| target.group);
        if group.is_some() && targets.len() > 1 {
            return Err(AddressError::Group(GroupError::Several));
        }
        Ok(Self { addresses: targets.into_iter().map(|target| target.address).collect(), stream, group })
    }
}

impl std::fmt::Display for Origins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts: Vec<String> = self.addresses.iter().map(Address::typed).collect();
        match self.group {
            None => {}
            Some(Senders::Any) => f.write_str("udp://@")?,
            Some(Senders::One(source)) => write!(f, "udp://{source}@")?,
        }
        write!(f, "{}", hosts.join(","))?;
        self.stream.as_ref().map_or(Ok(()), |name| write!(f, "/{name}"))
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place())?;
        match &self.stream {
            Some(name) => write!(f, "/{name}"),
            None if self.all => write!(f, "/*"),
            // Whatever is written may be read by others.
            None => self.code.as_ref().map_or(Ok(()), |code| write!(f, "/{}-…", code.lookup())),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// A server alone.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.parse()? {
            target @ Target { group: Some(_), .. } => Err(AddressError::GroupOfServer(target.place())),
            Target { stream: Some(name), .. } => Err(AddressError::Streams(name.to_string()).unless_file(text)),
            Target { all: true, .. } => Err(AddressError::Streams("*".to_owned())),
            Target { code: Some(_), .. } => Err(AddressError::Streams("CODE".to_owned())),
            Target { address, .. } => Ok(address),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (host, port) = (&self.host, self.port());
        f.write_str(self.scheme())?;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

fn split(place: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
        return (!host.is_empty()).then_some((host, port));
    }
    // More than one colon without brackets: a bare IPv6 address.
    if place.matches(':').count() > 1 {
        return Some((place, None));
    }
    let (host, port) = place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
    (!host.is_empty()).then_some((host, port))
}

impl Address {
    /// `HOST[:PORT]`, which is all or a part of `text`.
    fn at(place: &str, text: &str) -> Result<Self, AddressError> {
        if Code::is_meant(place) {
            return Err(AddressError::NoHost);
        }
        if place.parse::<u32>().is_ok() {
            return Err(AddressError::Number(place.to_owned()));
        }
        let (host, port) = split(place).ok_or_else(|| AddressError::Host(text.to_owned()))?;
        let number = |port: &str| port.parse().ok().filter(|port| *port != 0);
        let port = port.map(|port| number(port).ok_or_else(|| AddressError::Port(port.to_owned()))).transpose()?;
        Ok(Self { host: host.to_owned(), port, transport: None })
    }

    /// A place as one would type it, an interface by its number.
    pub fn of(place: SocketAddr) -> Self {
        let host = match place {
            SocketAddr::V6(place) if place.scope_id() != 0 => format!("{}%{}", place.ip(), place.scope_id()),
            _ => place.ip().to_string(),
        };
        Self { host, port: Some(place.port()), transport: None }
    }

    /// The one that was typed, or the usual one.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }

    /// What is to stand before it.
    const fn scheme(&self) -> &'static str {
        if matches!(self.transport, Some(Transport::Tcp)) { "tcp://" } else { "" }
    }

    /// As one would type it.
    pub fn typed(&self) -> String {
        let (scheme, host) = (self.scheme(), &self.host);
        match (host.contains(':'), self.port() == DEFAULT_PORT) {
            (true, true) => format!("{scheme}[{host}]"),
            (false, true) => format!("{scheme}{host}"),
            _ => self.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type() {
        let address = |text: &str| text.parse::<Address>().map(|a| (a.host, a.port));
        let good = |host: &str, port| Ok((host.to_owned(), port));
        assert_eq!(address("127.0.0.1:9688"), good("127.0.0.1", Some(9_688)));
        assert_eq!(address("robot"), good("robot", None));
        assert_eq!(address("udp://robot:7/"), good("robot", Some(7)));
        assert_eq!(address("[::1]:5"), good("::1", Some(5)));
        assert_eq!(address("[fe80::1%eth0]"), good("fe80::1%eth0", None));
        assert_eq!(address("::1"), good("::1", None));
        assert_eq!(address("UDPSTREAM://robot:7/"), good("robot", Some(7)));
        assert_eq!(address("udpstream://[fe80::1%25eth0]"), good("fe80::1%eth0", None));
        assert_eq!(address("udpstream://me@robot"), Err(AddressError::Link('@')));
        assert_eq!(address("udpstream://robot?x=1"), Err(AddressError::Link('?')));
        assert_eq!(address("udpstream://"), Err(AddressError::Host("udpstream://".to_owned())));
        assert_eq!(address("tcp://robot"), good("robot", None));
        assert_eq!(address("rtsp://me:word@robot"), Err(AddressError::Scheme("rtsp".to_owned())));
        assert_eq!(address("robot/door"), Err(AddressError::Streams("door".to_owned())));
        for group in ["239.255.1.2:9720", "udp://239.255.1.2:9720", "ff15::1"] {
            assert!(address(group).is_err(), "{group}");
        }
        assert_eq!(address("tcp://[ff15::1]:9"), Err(AddressError::IsGroup("[ff15::1]:9".to_owned())));
        assert_eq!(address("tcp://@239.1.2.3:9"), Err(AddressError::IsGroup("239.1.2.3:9".to_owned())));
        assert_eq!(address("255.255.255.255:9"), Err(AddressError::IsGroup("255.255.255.255:9".to_owned())));
        assert_eq!(address("9688"), Err(AddressError::Number("9688".to_owned())));
        assert_eq!(address("robot:0"), Err(AddressError::Port("0".to_owned())));
        assert_eq!(address("robot:99999"), Err(AddressError::Port("99999".to_owned())));
        for bad in ["", ":9", "[]:9", "[::1", "[::1]9"] {
            assert!(matches!(address(bad), Err(AddressError::Host(_))), "{bad:?}");
        }
    }

    #[test]
    fn streams_of_servers() {
        let target = |text: &str| text.parse::<Target>();
        for (text, host, stream, all) in [
            ("robot", "robot:9688", None, false),
            ("udp://robot:7/", "robot:7", None, false),
            ("robot:7/lobby", "robot:7", Some("lobby"), false),
            ("[::1]/hall/west.2", "[::1]:9688", Some("hall/west.2"), false),
            ("10.0.0.1/*", "10.0.0.1:9688", None, true),
            ("udpstream://robot/%E5%BA%AD/a", "robot:9688", Some("庭/a"), false),
            ("tcp://robot:7/lobby", "tcp://robot:7", Some("lobby"), false),
            ("udpstream://robot/lobby/", "robot:9688", Some("lobby"), false),
        ] {
            let found = target(text).expect(text);
            let name = found.stream.as_ref().map(|name| name.as_str().to_owned());
            assert_eq!((found.address.to_string().as_str(), name.as_deref(), found.all), (host, stream, all), "{text}");
            assert_eq!(target(&found.to_string()).map(|again| again.to_string()), Ok(found.to_string()));
        }
        for bad in ["robot/a b", "robot/../x", "robot//", "robot/lobby/"] {
            assert!(matches!(target(bad), Err(AddressError::Name(_))), "{bad}");
        }
        assert_eq!(target("udpstream://robot/%ff"), Err(AddressError::Escapes));
        assert!(matches!(target("udpstream://robot/a%20b"), Err(AddressError::Name(_))));
        assert!(matches!(target("src/lib.rs"), Err(AddressError::File(_))));
    }

    #[test]
    fn several_origins_have_one_name_behind_the_last() {
        let origins = |text: &str| text.parse::<Origins>();
        let found = origins("a,b:7,[::1]/hall").expect("three");
        assert_eq!((found.to_string().as_str(), found.addresses.len()), ("a,b:7,[::1]/hall", 3));
        assert_eq!(origins("a/x,b/x").expect("one name").stream.map(|name| name.to_string()).as_deref(), Some("x"));
        assert_eq!(origins("robot").expect("one").stream, None);
        assert!(matches!(origins("a/x,b/y"), Err(AddressError::Names(..))));
        assert!(origins("a,").is_err() && origins("").is_err());
    }
}

//! What is watched, by name.

use std::fmt;
use std::net::SocketAddr;

use crate::app::address::{Address, DEFAULT_PORT, Target};
use crate::proto::Servers;
use crate::proto::receiver::Secret;
use crate::wire::StreamName;

/// One stream of a server.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Among several; `None`: it is the only one.
    pub name: Option<String>,
    pub target: Target,
    /// Where the server may be.
    pub servers: Servers,
    /// What is known of it, if it is guarded.
    pub secret: Option<Secret>,
    /// What its server is called on the local network, if it was found there.
    pub instance: Option<String>,
    server: String,
}

impl Subject {
    pub fn new(target: Target, name: Option<String>, servers: Servers) -> Self {
        let server = target.place();
        let secret = target.code.as_ref().map(|code| Secret::Code(code.lookup(), code.key()));
        Self { name, target, servers, secret, instance: None, server }
    }

    /// Watched with this.
    pub fn with(self, secret: Option<Secret>) -> Self {
        Self { secret, ..self }
    }

    /// Found on the local network as this.
    pub fn of_instance(self, instance: String) -> Self {
        Self { instance: Some(instance), ..self }
    }

    /// Its server is elsewhere now.
    pub fn moved(&mut self, servers: Vec<SocketAddr>) {
        if let Some(first) = servers.first() {
            self.target.address = Address { transport: self.target.address.transport, ..Address::of(*first) };
            self.server = self.target.address.to_string();
        }
        self.servers = Servers::new(self.servers.transport, servers);
    }

    /// Its server may be there as well. Returns whether any of these is news.
    pub fn may_be_at(&mut self, servers: &[SocketAddr]) -> bool {
        self.servers.may_be_at(servers, MOST)
    }

    /// The server, as people write it.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// A stream of the server, as people write it.
    pub fn of(&self, name: &StreamName) -> String {
        match &self.target.stream {
            None if self.name.is_none() => self.server.clone(),
            _ => format!("{}/{name}", self.server),
        }
    }
}

/// Addresses of a server that are asked at once; the oldest are left out.
const MOST: usize = 24;

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)
    }
}

/// Short names, one for each: as people type them, and with a number where that is somebody else's.
pub fn names(targets: &[Target]) -> Vec<String> {
    let plain = targets.iter().map(|target| {
        let text = target.to_string();
        let host = target.address.to_string();
        let usual = format!(":{DEFAULT_PORT}");
        host.strip_suffix(&usual).map_or_else(|| text.clone(), |short| text.replacen(&host, short, 1))
    });
    distinct(plain)
}

/// What tiles are called: by the stream alone where all are streams of one server, else by their `names`.
pub fn labels(targets: &[Target], names: Vec<String>) -> Vec<String> {
    let one_server = targets.windows(2).all(|two| two[0].address == two[1].address);
    let streams: Option<Vec<String>> =
        targets.iter().map(|target| target.stream.as_ref().map(StreamName::to_string)).collect();
    streams.filter(|_| one_server).map_or(names, |streams| distinct(streams.into_iter()))
}

/// The same names, each with a number where an earlier one is the same.
pub fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !all.contains(name));
        all.extend(free);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_each_is_there_once() {
        let target = |text: &str| text.parse::<Target>().expect("a target");
        let targets = ["robot", "robot:7/lobby", "robot/desk", "robot", "[::1]", "robot"].map(target);
        assert_eq!(names(&targets), ["robot", "robot:7/lobby", "robot/desk", "robot-2", "[::1]", "robot-3"]);
        let labels = |texts: &[&str]| {
            let targets: Vec<Target> = texts.iter().map(|text| target(text)).collect();
            labels(&targets, names(&targets))
        };
        assert_eq!(labels(&["robot/lobby", "robot/desk", "robot/lobby"]), ["lobby", "desk", "lobby-2"]);
        assert_eq!(labels(&["robot/lobby", "robot"]), ["robot/lobby", "robot"]);
        assert_eq!(labels(&["robot/lobby", "robot:7/desk"]), ["robot/lobby", "robot:7/desk"]);
        let subject = |text: &str| Subject::new(target(text), None, Servers::default());
        let lobby = StreamName::parse("lobby").expect("a name");
        assert_eq!(subject("robot").of(&lobby), "robot:9688", "its first stream, as it was asked for");
        assert_eq!(subject("robot/desk").of(&lobby), "robot:9688/lobby");
        assert_eq!(subject("robot/desk").to_string(), "robot:9688/desk");
    }
}

//! Servers that take publishers, and publishers.

use std::net::SocketAddr;

use udpstream::proto::publisher::{self, Event, Publisher};
use udpstream::proto::relay::{self, Publishing};
use udpstream::proto::server;
use udpstream::proto::{Input, Machine, Output, Port, Reason, Received, Transmit};
use udpstream::seal::{Code, Grant, Key};
use udpstream::units::Time;
use udpstream::wire::{Ecn, StreamName};

use super::{BASE, Grid, Machinery, Node, address};
use crate::net::streaming;
use crate::sources::Source;

/// What a publisher is started with.
#[derive(Clone)]
pub struct Published {
    pub at: Node,
    pub name: Option<&'static str>,
    pub grant: Grant,
    pub allowed: Option<Key>,
    pub live: bool,
}

/// As the program makes it of a code.
pub fn grant(code: &Code, owner: u8) -> Grant {
    Grant { code: Some((code.lookup(), code.key())), owner: Key::new([owner; 32]) }
}

impl Grid {
    /// A server that takes publishers and has nothing of its own.
    pub fn hub(&mut self, publishing: Publishing) -> Node {
        let id = u64::from_be_bytes(self.secret()[..8].try_into().expect("8 bytes"));
        let mut server = server::Config::new(self.secret());
        (server.sound_port, server.talk) = (BASE + 1, self.rules.clone());
        let (origins, name) = (Vec::new(), None);
        let (seed, tapped, publishing) = (self.secret(), self.tapped, Some(publishing));
        let config = relay::Config { seed, server, id, origins: origins.into(), name, publishing, tapped };
        let machinery = self.relaying(config.clone(), None);
        let node = self.place(machinery);
        self.places[node].again = Some((config, None));
        node
    }

    pub fn publish(&mut self, published: &Published) -> Node {
        let machinery = self.publishing(published);
        self.place(machinery)
    }

    /// A publisher starts where one was.
    pub fn start_publisher(&mut self, node: Node, published: &Published) {
        self.places[node].machinery = self.publishing(published);
        self.places[node].wake = self.now;
    }

    fn publishing(&mut self, published: &Published) -> Machinery {
        let Published { at, name, grant, allowed, live } = published.clone();
        let mut stream = streaming("own", &self.film);
        (stream.description.live, stream.description.sound, stream.adapt) = (live, true, true);
        let config = publisher::Config {
            seed: self.secret(),
            servers: vec![address(at)].into(),
            name: name.map(|name| StreamName::parse(name).expect("a name")),
            grant,
            allowed,
            server: server::Config::new(self.secret()),
        };
        let publisher = Box::new(Publisher::new(config, stream, self.now));
        let mut source = Source::new(publisher.stream(), &self.film);
        if live {
            source.encoder.decode = self.film.rate.interval();
            source.microphone = Some(self.now);
        }
        Machinery::Publisher { publisher, source: Box::new(source), told: Vec::new() }
    }

    pub(super) fn poll_publisher(&mut self, node: Node) -> Option<Result<Transmit, (Time, Reason)>> {
        let now = self.now;
        let Machinery::Publisher { publisher, source, told } = &mut self.places[node].machinery else { return None };
        let fed = source.feed(now, publisher.server_mut());
        match publisher.poll(now) {
            Output::Send(transmit) => Some(Ok(transmit)),
            Output::Event(Event::Server(_)) => None,
            Output::Event(event) => {
                told.push((now, event));
                None
            }
            Output::Wait(..) if fed => None,
            Output::Wait(at, reason) => Some(Err((at, reason))),
        }
    }

    /// A publisher hears what is said of its stream, and says things under this name.
    pub fn publisher_listens(&mut self, node: Node, name: &str) {
        self.places[node].wake = self.now;
        if let Machinery::Publisher { publisher, .. } = &mut self.places[node].machinery {
            publisher.listen(name.to_owned());
        }
    }

    /// A node goes on under another address, as behind a router that was started anew.
    pub fn relocate(&mut self, node: Node) {
        self.places[node].moved += 1;
    }

    /// A datagram reaches a server now, whoever sent it.
    pub fn inject(&mut self, node: Node, from: SocketAddr, bytes: &[u8]) {
        self.places[node].wake = self.now;
        let datagram = Received { port: Port::PICTURES, from, local: None, ecn: Ecn::Not, bytes };
        if let Machinery::Relay { relay, .. } = &mut self.places[node].machinery {
            relay.handle(self.now, Input::Datagram(datagram));
        }
    }

    pub fn publisher(&self, node: Node) -> &Publisher {
        let Machinery::Publisher { publisher, .. } = &self.places[node].machinery else { panic!("no publisher") };
        publisher
    }

    /// What a publisher was told.
    pub fn told(&self, node: Node) -> &[(Time, Event)] {
        let Machinery::Publisher { told, .. } = &self.places[node].machinery else { panic!("no publisher") };
        told
    }

    pub fn tell_publisher(&mut self, node: Node, local: publisher::Local) {
        self.places[node].wake = self.now;
        if let Machinery::Publisher { publisher, .. } = &mut self.places[node].machinery {
            publisher.handle(self.now, Input::Local(local));
        }
    }
}

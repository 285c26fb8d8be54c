//! A network of servers, relays and watchers in virtual time: each node has an address, and each pair a way of its own. Whatever
//! object leaves anybody under a name that was seen before must be the same bytes.

mod films;
mod looking;
mod publishers;
mod watchers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use udpstream::app::relay::shelf::Shelf;
use udpstream::proto::publisher::{self, Publisher};
use udpstream::proto::relay::{self, Above, Relay, Tapped};
use udpstream::proto::server::{self, Guard, StreamKey, TalkRules};
use udpstream::proto::{Input, Machine, Output, Port, Received, Receiver, Server, Transmit};
use udpstream::store::{Store, StoreError};
use udpstream::units::{Time, Unit};
use udpstream::wire::message::NameRange;
use udpstream::wire::object::Name;
use udpstream::wire::talk::Line;
use udpstream::wire::{Ecn, Hop, Kind, ObjectView, StreamName};

use crate::jpeg::Film;
use crate::link::{Link, Path as Way};
use crate::net::{Seen, secret, streaming};
use crate::random::Random;
use crate::sources::Source;

pub use films::is_media;
use films::supply;
pub use publishers::{Published, grant};
use watchers::{refusal, said};

/// The first port of every node; its machine's port n is at this + n.
const BASE: u16 = 9_688;

pub type Node = usize;

/// What happens at a node.
enum Machinery {
    Origin {
        server: Box<Server>,
        sources: Vec<Source>,
        asked: VecDeque<(u64, NameRange)>,
    },
    Relay {
        relay: Box<Relay>,
        shelf: Option<Box<Shelf>>,
        plays: BTreeSet<StreamKey>,
        names: BTreeMap<StreamKey, StreamName>,
    },
    Watcher {
        receiver: Box<Receiver>,
        seen: Box<Seen>,
    },
    Publisher {
        publisher: Box<Publisher>,
        source: Box<Source>,
        told: Vec<(Time, publisher::Event)>,
    },
    Dead,
}

struct Place {
    machinery: Machinery,
    wake: Time,
    /// What its relay told of streams above.
    above: Vec<(Time, Above)>,
    refused: Vec<String>,
    /// What passed through it, if it tells.
    pub passed: Vec<(StreamKey, Tapped)>,
    /// Lines that its server took in, or that the one above did.
    pub said: Vec<Line>,
    /// What its store had to say.
    pub troubles: Vec<StoreError>,
    /// How often it has come by another address.
    moved: u8,
    /// How a relay is started again.
    again: Option<(relay::Config, Option<PathBuf>)>,
}

/// A datagram that left a node for another.
#[derive(Clone, Copy, Debug)]
pub struct Crossed {
    pub at: Time,
    pub from: Node,
    pub to: Node,
    pub kind: Kind,
    pub bytes: usize,
    pub name: Option<Name>,
}

pub struct Grid {
    seed: u64,
    pub now: Time,
    pub film: Rc<Film>,
    places: Vec<Place>,
    links: BTreeMap<(Node, Node), Link>,
    flights: BTreeMap<(Time, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    number: u64,
    /// The bytes of every object that ever left anybody.
    pub names: BTreeMap<Name, Vec<u8>>,
    pub crossed: Vec<Crossed>,
    pub record: bool,
    /// Every datagram, if they are kept.
    pub tape: Option<Vec<Vec<u8>>>,
    /// What stands before streams of these names at origins.
    pub guards: Vec<(&'static str, Guard)>,
    started: u64,
    /// What the film's bytes follow from: it can be had as a whole.
    pub hash: Option<[u8; 32]>,
    /// Bytes that each relay's store may take.
    pub room: u64,
    /// Relays tell what passes.
    pub tapped: bool,
    /// Of servers that are started from now on.
    pub rules: TalkRules,
    /// The last unit that left a relay's stream.
    departed: BTreeMap<(Node, StreamKey), Unit>,
}

pub fn address(node: Node) -> SocketAddr {
    address_after(node, 0)
}

fn address_after(node: Node, moved: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1 + moved, (node / 200) as u8, (node % 200) as u8 + 1)), BASE)
}

impl Grid {
    pub fn new(seed: u64, film: &Rc<Film>) -> Self {
        Self {
            seed,
            now: Time::from_millis(60_000),
            film: Rc::clone(film),
            places: Vec::new(),
            links: BTreeMap::new(),
            flights: BTreeMap::new(),
            number: 0,
            names: BTreeMap::new(),
            crossed: Vec::new(),
            record: false,
            tape: None,
            guards: Vec::new(),
            started: 0,
            hash: None,
            room: 1 << 30,
            tapped: false,
            rules: TalkRules::OPEN,
            departed: BTreeMap::new(),
        }
    }

    fn place(&mut self, machinery: Machinery) -> Node {
        let (wake, above, refused, again, troubles) = (self.now, Vec::new(), Vec::new(), None, Vec::new());
        let (passed, said) = (Vec::new(), Vec::new());
        self.places.push(Place { machinery, wake, above, refused, passed, said, troubles, moved: 0, again });
        self.places.len() - 1
    }

    fn secret(&mut self) -> [u8; 32] {
        self.started += 1;
        secret(self.seed, self.started * 10)
    }

    /// A server with streams of the film, each with sound or without: name, live.
    pub fn origin(&mut self, streams: &[(&str, bool)]) -> Node {
        let machinery = self.serving(streams);
        self.place(machinery)
    }

    fn serving(&mut self, streams: &[(&str, bool)]) -> Machinery {
        let mut config = server::Config::new(self.secret());
        (config.sound_port, config.talk) = (BASE + 1, self.rules.clone());
        let (mut server, now) = (Server::new(config), self.now);
        let open = |(name, live): &(&str, bool)| {
            let mut stream = streaming(name, &self.film);
            (stream.description.live, stream.description.sound) = (*live, true);
            // Each name is another film.
            let own = |hash: [u8; 32]| [&name.as_bytes()[..1], &hash[1..]].concat().try_into().expect("32 bytes");
            stream.description.film = self.hash.filter(|_| !live).map(own);
            stream.guard =
                self.guards.iter().find(|(of, _)| of == name).map_or(Guard::Open, |(_, guard)| guard.clone());
            let key = server.open(stream);
            let mut source = Source::new(key, &self.film);
            if *live {
                source.encoder.decode = self.film.rate.interval();
                source.microphone = Some(now);
            }
            source
        };
        let sources = streams.iter().map(open).collect();
        Machinery::Origin { server: Box::new(server), sources, asked: VecDeque::new() }
    }

    /// A relay of these, of one stream or of all.
    pub fn relay(&mut self, above: &[Node], name: Option<&str>) -> Node {
        self.relay_with(above, name, None)
    }

    /// A relay that keeps films in this folder.
    pub fn relay_with(&mut self, above: &[Node], name: Option<&str>, folder: Option<&Path>) -> Node {
        let id = u64::from_be_bytes(self.secret()[..8].try_into().expect("8 bytes"));
        self.relay_of(above, name, folder, id)
    }

    /// A relay that bears this id.
    pub fn relay_called(&mut self, above: &[Node], name: Option<&str>, id: u64) -> Node {
        self.relay_of(above, name, None, id)
    }

    fn relay_of(&mut self, above: &[Node], name: Option<&str>, folder: Option<&Path>, id: u64) -> Node {
        let origins = above.iter().map(|node| address(*node)).collect();
        let mut server = server::Config::new(self.secret());
        server.sound_port = BASE + 1;
        let name = name.map(|name| StreamName::parse(name).expect("a name"));
        let config =
            relay::Config { seed: self.secret(), server, id, origins, name, publishing: None, tapped: self.tapped };
        let machinery = self.relaying(config.clone(), folder);
        let node = self.place(machinery);
        self.places[node].again = Some((config, folder.map(Path::to_owned)));
        node
    }

    fn relaying(&self, config: relay::Config, folder: Option<&Path>) -> Machinery {
        let open = |folder| Box::new(Shelf::new(Store::open(folder, self.room).expect("a store")));
        let shelf = folder.map(open);
        let mut relay = Box::new(Relay::new(config, self.now));
        for (name, description) in shelf.iter().flat_map(|shelf| shelf.complete()) {
            relay.handle(self.now, Input::Local(relay::Local::Open(name, description)));
        }
        Machinery::Relay { relay, shelf, plays: BTreeSet::new(), names: BTreeMap::new() }
    }

    /// Both directions between two nodes from now on.
    pub fn path(&mut self, a: Node, b: Node, path: Way) {
        self.link(a, b).path = path;
        self.link(b, a).path = path;
    }

    /// What goes from one to the other.
    pub fn one_way(&mut self, from: Node, to: Node, path: Way) {
        self.link(from, to).path = path;
    }

    fn link(&mut self, from: Node, to: Node) -> &mut Link {
        let random = Random::fork(self.seed, (from * 1_000 + to) as u64 + 5_000_000);
        self.links.entry((from, to)).or_insert_with(|| Link::new(Way::GOOD, random))
    }

    /// A node is gone without a word.
    pub fn kill(&mut self, node: Node) {
        self.places[node].machinery = Machinery::Dead;
    }

    /// A server starts where one was.
    pub fn start_origin(&mut self, node: Node, streams: &[(&str, bool)]) {
        self.places[node].machinery = self.serving(streams);
        self.places[node].wake = self.now;
    }

    /// A relay starts where it was, with another id.
    pub fn start_relay(&mut self, node: Node) {
        let (mut config, folder) = self.places[node].again.clone().expect("a relay was here");
        (config.seed, config.server.seed, config.id) = (self.secret(), self.secret(), self.started + 77);
        self.places[node].machinery = self.relaying(config, folder.as_deref());
        self.places[node].wake = self.now;
    }

    /// An origin's process is told to end, by its user.
    pub fn tell_origin(&mut self, node: Node, local: server::Local) {
        self.places[node].wake = self.now;
        if let Machinery::Origin { server, .. } = &mut self.places[node].machinery {
            server.handle(self.now, Input::Local(local));
        }
    }

    /// The source of an origin's first stream.
    pub fn source(&mut self, node: Node) -> &mut Source {
        &mut self.sources(node)[0]
    }

    pub fn sources(&mut self, node: Node) -> &mut [Source] {
        let Machinery::Origin { sources, .. } = &mut self.places[node].machinery else { panic!("no origin") };
        sources
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let flight = self.flights.first_key_value().map_or(Time::NEVER, |((at, _), _)| *at);
            let next = self.places.iter().map(Place::due).min().unwrap_or(Time::NEVER).min(flight);
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.deliver();
            for node in 0..self.places.len() {
                if self.places[node].due() <= self.now {
                    self.turn(node);
                }
            }
        }
        self.now = end;
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.flights.first_entry()
            && entry.key().0 <= self.now
        {
            let (from, to, bytes) = entry.remove();
            let Some(node) = node_at(to).filter(|node| *node < self.places.len()) else { continue };
            if to.ip() != address_after(node, self.places[node].moved).ip() {
                continue;
            }
            let port = Port(to.port() - BASE);
            let datagram = Received { port, from, local: None, ecn: Ecn::Not, bytes: &bytes };
            let place = &mut self.places[node];
            place.wake = self.now;
            match &mut place.machinery {
                Machinery::Origin { server, .. } => server.handle(self.now, Input::Datagram(datagram)),
                Machinery::Relay { relay, .. } => relay.handle(self.now, Input::Datagram(datagram)),
                Machinery::Watcher { receiver, .. } => receiver.handle(self.now, Input::Datagram(datagram)),
                Machinery::Publisher { publisher, .. } => publisher.handle(self.now, Input::Datagram(datagram)),
                Machinery::Dead => {}
            }
        }
    }

    fn turn(&mut self, node: Node) {
        let now = self.now;
        loop {
            let place = &mut self.places[node];
            let sent = match &mut place.machinery {
                Machinery::Dead => {
                    place.wake = Time::NEVER;
                    return;
                }
                Machinery::Origin { server, sources, asked } => {
                    let mut fed = false;
                    sources.iter_mut().for_each(|source| fed |= source.feed(now, server));
                    fed |= supply(now, server, sources, asked, &self.film);
                    match server.poll(now) {
                        Output::Send(transmit) => Ok(transmit),
                        Output::Event(event) => {
                            match event {
                                server::Event::Asked { id, range, .. } => asked.push_back((id, range)),
                                event => place.said.extend(said(event)),
                            }
                            continue;
                        }
                        Output::Wait(..) if fed => continue,
                        Output::Wait(at, reason) => Err((at, reason)),
                    }
                }
                Machinery::Relay { .. } => match self.poll_relay(node) {
                    Some(sent) => sent,
                    None => continue,
                },
                Machinery::Publisher { .. } => match self.poll_publisher(node) {
                    Some(sent) => sent,
                    None => continue,
                },
                Machinery::Watcher { receiver, seen } => match receiver.poll(now) {
                    Output::Send(transmit) => Ok(transmit),
                    Output::Event(event) => {
                        place.refused.extend(refusal(&event));
                        seen.take(now, &event, &self.film);
                        continue;
                    }
                    Output::Wait(at, reason) => Err((at, reason)),
                },
            };
            match sent {
                Ok(transmit) => self.send(node, &transmit),
                Err((at, reason)) => {
                    if let Machinery::Relay { relay, .. } = &self.places[node].machinery {
                        relay.assert_sound();
                    }
                    assert!(at > now, "node {node} would spin for {reason:?} at {now:?}");
                    self.places[node].wake = at;
                    return;
                }
            }
        }
    }

    fn send(&mut self, node: Node, transmit: &Transmit) {
        let (hop, _) = Hop::parse(&transmit.hop).expect("a machine's own hop header");
        let object = (hop.kind == Kind::OBJECT).then(|| ObjectView::parse(transmit.body.bytes()).expect("own object"));
        let name = object.map(|object| object.header.name());
        if let Some(name) = name {
            let known = self.names.entry(name).or_insert_with(|| transmit.body.bytes().to_vec());
            assert_eq!(known, transmit.body.bytes(), "one name, one byte string: {name:?}");
        }
        let Some(to) = node_at(transmit.to) else { return };
        if self.record {
            let (at, kind, bytes) = (self.now, hop.kind, transmit.len());
            self.crossed.push(Crossed { at, from: node, to, kind, bytes, name });
        }
        let own = address_after(node, self.places[node].moved);
        let from = SocketAddr::new(own.ip(), BASE + transmit.port.0);
        let bytes = [&transmit.hop[..], transmit.body.bytes()].concat();
        self.tape.iter_mut().for_each(|tape| tape.push(bytes.clone()));
        let now = self.now;
        for at in self.link(node, to).carry(now, bytes.len()) {
            self.number += 1;
            self.flights.insert((at, self.number), (from, transmit.to, bytes.clone()));
        }
    }
}

impl Place {
    fn due(&self) -> Time {
        match &self.machinery {
            Machinery::Dead => Time::NEVER,
            Machinery::Publisher { source, .. } => source.wake().min(self.wake),
            Machinery::Origin { sources, .. } => {
                sources.iter().map(Source::wake).min().unwrap_or(Time::NEVER).min(self.wake)
            }
            _ => self.wake,
        }
    }
}

fn node_at(address: SocketAddr) -> Option<Node> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    let [10, _, high, low] = ip.octets() else { return None };
    Some(usize::from(high) * 200 + usize::from(low) - 1)
}

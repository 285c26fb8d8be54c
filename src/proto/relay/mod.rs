//! The relay: a server of streams that come from elsewhere. It watches a stream above once, while somebody watches it here, and
//! passes on its objects as they are. Repair, estimate and pacing are each hop's own.
//!
//! Its first two ports are those of its server. The third asks which streams there are above; each further one is for one
//! subscription.

mod api;
mod assembly;
mod heard;
mod listed;
mod places;
mod ports;
mod publishing;
mod sounds;
mod talking;
mod tuned;
mod upstream;
mod vouching;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

pub use api::{Event, Local, StreamView};
use places::Past;
pub use places::Throughput;
use publishing::Gate;
pub use publishing::{KEPT, Publishing};
use upstream::Upstream;
pub use upstream::{Above, Fetched, Tapped};
use vouching::Vouch;

use listed::unknown;

use super::lister::Fetch;
use super::server::{self, Adoption, Guard, Server, StreamKey};
use super::{
    ConnectionState, Input, Machine, Output, Peer, Port, Reason, Received, SendFailure, Servers, Soonest, Transmit,
};
use crate::seal::{GrantKey, Random, Seed};
use crate::units::Time;
use crate::wire::{Description, StreamName};

/// A subscription goes on for so long after the last watcher has left.
const LINGER: Duration = Duration::from_secs(10);
/// The port that lists are asked for from.
const LISTS: Port = Port::ABOVE;
/// So many ports are there before they are needed.
const SPARE: usize = 4;
/// Streams that are known at once.
const MOST_STREAMS: usize = 1_024;

/// What the operator chose.
#[derive(Clone, Debug)]
pub struct Config {
    pub seed: Seed,
    pub server: server::Config,
    /// By it a loop of relays is found.
    pub id: u64,
    /// Servers above: all are asked, the first to answer is taken, and another when that falls silent. Without any there is
    /// only what is published here.
    pub origins: Servers,
    /// The one stream that is passed on; `None`: all that are listed above.
    pub name: Option<StreamName>,
    /// Which publishers are taken; `None`: none.
    pub publishing: Option<Publishing>,
    /// All streams that are listed above are subscribed, and what comes is told as [`Event::Tapped`].
    pub tapped: bool,
}

/// See the head of this file.
pub struct Relay {
    server: Server,
    config: Config,
    random: Random,
    upstreams: Vec<Upstream>,
    fetch: Option<Fetch>,
    next_list: Time,
    unlisted: bool,
    /// Ports of subscriptions, and whether each is in use.
    ports: Vec<bool>,
    out: VecDeque<Transmit>,
    events: VecDeque<Event>,
    next_look: Time,
    /// For publishers.
    gate: Option<Gate>,
    /// Those who want in to what is guarded above.
    vouches: Vec<Vouch>,
    /// Of streams whose places others have taken.
    past: Past,
}

/// So often it is looked who watches; sooner where somebody comes.
const LOOK: Duration = Duration::from_millis(50);

impl Relay {
    pub fn new(config: Config, now: Time) -> Self {
        let mut server = config.server.clone();
        server.relay = Some(config.id);
        let gate = config.publishing.clone().map(|publishing| {
            let key = GrantKey::new(&config.seed);
            server.publish_key = Some(key.public());
            server.settles = now + KEPT;
            Gate::new(publishing, key)
        });
        let mut relay = Self {
            server: Server::new(server),
            random: Random::new(&config.seed),
            upstreams: Vec::new(),
            fetch: None,
            next_list: if config.origins.is_empty() { Time::NEVER } else { now },
            unlisted: false,
            ports: Vec::new(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            next_look: now,
            gate,
            vouches: Vec::new(),
            past: Past::default(),
            config,
        };
        if let Some(name) = relay.config.name.clone() {
            let listed = unknown(&name);
            relay.open(name, listed, false);
        }
        relay
    }

    pub const fn id(&self) -> u64 {
        self.config.id
    }

    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Of use to whoever has streams of his own in it.
    pub const fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// How many ports it uses or may use next, those of its server among them. They become more, and never less.
    pub fn ports(&self) -> usize {
        let free = self.ports.iter().filter(|used| !**used).count();
        let more = SPARE.saturating_sub(free);
        (usize::from(LISTS.0) + 1 + self.ports.len() + more).min(usize::from(Port::GROUP.0))
    }

    pub fn streams(&self) -> impl Iterator<Item = StreamView> {
        self.upstreams.iter().map(|upstream| StreamView {
            key: upstream.key,
            above: upstream.above.clone(),
            came: upstream.traffic(),
            passed: upstream.passed,
            round_trip: upstream.client().and_then(|client| client.rtt()),
            origin: upstream.client().and_then(|client| client.session()).map(|(_, server, _)| server),
            hops: upstream.client().map(|client| client.hops().to_vec()).unwrap_or_default(),
            age: self.server.age(upstream.key),
        })
    }

    /// The stream of this name is known from now on.
    fn open(&mut self, name: StreamName, listed: Description, guarded: bool) -> Option<StreamKey> {
        let guard = if guarded { Guard::Elsewhere { listed: true } } else { Guard::Open };
        let known = |upstream: &&Upstream| upstream.name == name && !upstream.is_hidden();
        if let Some(known) = self.upstreams.iter().find(known) {
            let key = known.key;
            if self.server.is_checked_above(key) != guarded {
                // Whoever came without a proof, or with one, begins anew.
                self.server.forget_watchers(key);
                self.upstreams.iter_mut().filter(|upstream| upstream.key == key).for_each(Upstream::is_given_up);
            }
            self.server.list_as(key, listed);
            self.server.set_guard(key, guard);
            self.server.withdraw(key, false);
            return Some(key);
        }
        if self.upstreams.len() >= MOST_STREAMS {
            return None;
        }
        let key = self.server.open_guarded(name.clone(), listed, guard);
        self.awaits_talk(key);
        self.upstreams.push(Upstream::new(key, name.clone(), self.config.tapped));
        self.events.push_back(Event::Opened(key, name));
        Some(key)
    }

    fn obey(&mut self, now: Time, local: Local) {
        match local {
            Local::Server(local) => self.server.handle(now, Input::Local(local)),
            Local::Show(key, adoption) => self.show(key, adoption, false),
            Local::Play(key, adoption) => self.show(key, adoption, true),
            Local::Open(name, listed) => drop(self.open(name, listed, false)),
            Local::Get(key, range) => {
                let own = self.upstreams.iter_mut().filter(|upstream| upstream.key == key);
                own.for_each(|upstream| upstream.get(now, range));
            }
        }
    }

    fn show(&mut self, key: StreamKey, adoption: Adoption, holds: bool) {
        let own = self.upstreams.iter_mut().filter(|upstream| upstream.key == key);
        own.for_each(|upstream| upstream.is_replaced(holds));
        self.server.adopt(key, adoption);
    }

    fn datagram(&mut self, now: Time, datagram: Received<'_>) {
        match datagram.port.socket() {
            Port::PICTURES if self.is_for_publishing(now, datagram) => {}
            Port::PICTURES | Port::SOUND if self.is_to_be_vouched(now, datagram) => {}
            Port::PICTURES | Port::SOUND => {
                self.server.handle(now, Input::Datagram(datagram));
                // It may have made somebody ready.
                self.upstreams.iter_mut().for_each(Upstream::look_if_it_waits);
                self.pass_talk(now);
            }
            LISTS => {
                let pictures = Port::PICTURES;
                let port = if datagram.port.is_connections() { pictures.connections() } else { pictures };
                let datagram = Received { port, ..datagram };
                self.fetch.iter_mut().for_each(|fetch| {
                    fetch.datagram(now, datagram);
                });
            }
            port if self.is_vouching_on(port) => self.vouch_datagram(now, datagram),
            port => {
                if port == Port::TUNED {
                    self.overhear(datagram);
                }
                let Self { upstreams, server, .. } = self;
                let own = upstreams.iter_mut().filter(|upstream| upstream.is_on(port));
                own.for_each(|upstream| upstream.datagram(now, datagram, server));
            }
        }
    }

    fn not_sent(&mut self, now: Time, port: Port, to: SocketAddr, failure: SendFailure) {
        match port.socket() {
            port if port.is_served() => self.server.handle(now, Input::NotSent(port, to, failure)),
            LISTS => self.fetch.iter_mut().for_each(Fetch::not_sent),
            port => {
                let own = self.upstreams.iter_mut().filter(|upstream| upstream.is_on(port));
                own.for_each(|upstream| upstream.not_sent(port));
            }
        }
    }

    /// A connection is of somebody who watches or publishes here, or goes to a server above.
    fn connection(&mut self, now: Time, peer: Peer, state: ConnectionState) {
        if peer.port.is_for_pictures() {
            self.server.handle(now, Input::Connection(peer, state));
        }
        self.upstreams.iter_mut().for_each(|upstream| upstream.connection(now, peer, state));
    }

    /// Does what is due above.
    fn tend(&mut self, now: Time) {
        let all = now >= self.next_look;
        if all {
            self.next_look = now + LOOK;
        }
        for at in 0..self.upstreams.len() {
            let upstream = &self.upstreams[at];
            let due = upstream.is_subscribed() && upstream.soonest(now).0 <= now;
            if all || upstream.stirred || due {
                self.tend_publisher(now, at);
                self.tend_one(now, at);
            }
        }
        self.tend_vouches(now);
        self.tend_list(now);
    }

    fn tend_one(&mut self, now: Time, at: usize) {
        let Self { upstreams, server, .. } = self;
        let upstream = &mut upstreams[at];
        if upstream.wants(now, server)
            && let Some(port) = self.port_for(at)
        {
            let Self { upstreams, config, random, server, .. } = self;
            let is_live = server.description(upstreams[at].key).is_none_or(|description| description.live);
            upstreams[at].subscribe(now, port, config, is_live, random);
        }
        if let Some(sound) = self.upstreams[at].wants_sound(now)
            && let Some(port) = self.free_port()
        {
            let Self { upstreams, config, random, .. } = self;
            upstreams[at].subscribe_sound(now, port, sound, config, random);
        }
        let Self { upstreams, server, .. } = self;
        let upstream = &mut upstreams[at];
        if upstream.tend(now, server) {
            let (port, said) = (upstream.port, upstream.farewell());
            self.is_free(port, said);
            self.is_guarded_no_more(at);
        }
        for farewell in self.upstreams[at].tend_sounds(now) {
            self.is_free(farewell.port, farewell.said);
        }
        let upstream = &mut self.upstreams[at];
        // What is guarded above is neither kept nor played by anybody here.
        let untold = upstream.vouched.is_some() && matches!(upstream.above, Above::Asked | Above::Away(_));
        if upstream.above != upstream.told && !untold {
            upstream.told = upstream.above.clone();
            self.events.push_back(Event::Above(upstream.key, upstream.above.clone()));
            let film = upstream.described_above().filter(|description| description.film.is_some());
            let film = film.filter(|_| upstream.vouched.is_none());
            self.events.extend(film.map(|description| Event::Film(upstream.key, description.clone())));
        }
        if self.server.is_over(upstream.key) && !upstream.is_subscribed() {
            if upstream.is_hidden() {
                return self.vacate(at);
            }
            self.server.reopen(upstream.key);
            upstream.begins_anew();
            upstream.vouched = None;
            upstream.bar(now, &mut self.server);
            self.tune_again(at);
        }
    }

    /// What came from above and is for the program around.
    fn brought(&mut self) -> Option<Event> {
        self.upstreams.iter_mut().find_map(|upstream| {
            let fetched = upstream.fetched.pop_front().map(|fetched| Event::Fetched(upstream.key, fetched));
            let other = upstream.others.pop_front().map(|address| Event::AnotherSender(upstream.key, address));
            let tapped = || Some(Event::Tapped(upstream.key, upstream.tap.as_mut()?.told.pop_front()?));
            fetched.or(other).or_else(tapped)
        })
    }

    fn transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front().or_else(|| self.upstreams.iter_mut().find_map(Upstream::transmit))
    }

    fn note(&mut self, event: &server::Event) {
        self.note_talk(event);
        if let server::Event::Joined { stream, .. } | server::Event::Left { stream, .. } = event {
            self.upstreams.iter_mut().filter(|upstream| upstream.key == *stream).for_each(|upstream| {
                upstream.look_soon();
                upstream.stirred = true;
            });
        }
    }

    /// For tests: panics if something grows without bound, or if tables disagree. To be asked when all is said.
    pub fn assert_sound(&self) {
        self.upstreams.iter().for_each(Upstream::assert_sound);
        let used: usize = self.upstreams.iter().map(Upstream::subscriptions).sum::<usize>() + self.vouches.len();
        assert_eq!(self.ports.iter().filter(|used| **used).count(), used, "each port is in use or free");
    }

    fn soonest(&self, now: Time) -> Soonest {
        let fetch = self.fetch.as_ref().map_or_else(Soonest::new, Fetch::soonest);
        let fetch = if self.fetch.is_none() { fetch.or(Some(self.next_list), Reason::Retry) } else { fetch };
        let look = Soonest::new().or(Some(self.next_look), Reason::Housekeeping);
        let parts =
            self.upstreams.iter().map(|upstream| upstream.soonest(now)).chain([fetch, look, self.vouches_soonest()]);
        parts.fold(Soonest::new(), |soonest, Soonest(at, why)| soonest.or(Some(at), why))
    }
}

impl Machine for Relay {
    type Local = Local;
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_, Local>) {
        match input {
            Input::Datagram(datagram) => self.datagram(now, datagram),
            Input::NotSent(port, to, failure) => self.not_sent(now, port, to, failure),
            Input::Connection(peer, state) => self.connection(now, peer, state),
            Input::Local(local) => self.obey(now, local),
        }
    }

    fn poll(&mut self, now: Time) -> Output<Event> {
        self.tend(now);
        if let Some(event) = self.events.pop_front().or_else(|| self.brought()) {
            return Output::Event(event);
        }
        if let Some(transmit) = self.transmit() {
            return Output::Send(transmit);
        }
        match self.server.poll(now) {
            Output::Send(transmit) => Output::Send(transmit),
            Output::Event(event) => {
                self.note(&event);
                Output::Event(Event::Server(event))
            }
            Output::Wait(at, reason) => {
                if self.upstreams.iter().any(|upstream| upstream.stirred) {
                    return self.poll(now);
                }
                let Soonest(at, reason) = self.soonest(now).or(Some(at), reason);
                Output::Wait(at, reason)
            }
        }
    }
}

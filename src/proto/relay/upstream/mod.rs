//! One stream of a relay: a subscription above while somebody watches it here, and what becomes of all that comes.

mod ending;
mod guarded;
mod loops;
mod news;
mod passing;
mod publisher;
mod talking;
mod tapping;
mod wanting;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use publisher::Meter;
pub use publisher::Published;
use tapping::Tap;
pub use tapping::Tapped;

use super::assembly::Assembly;
use super::heard::Heard;
use super::sounds::{Farewell, Sounds};
use super::vouching::Asked;
use super::{Config, LINGER};
use crate::media::sound::Rendition;
use crate::proto::client::{self, Client, Wishes};
use crate::proto::server::{Needs, StreamKey};
use crate::proto::talk::Outgoing;
use crate::proto::{ConnectionState, Peer, Port, Reason, Server, Servers, Soonest, Transmit};
use crate::seal::Random;
use crate::units::{Bitrate, Time, Unit};
use crate::wire::message::{MAX_VIA, NameRange, Place, RepairWish, Role, SoundWish};
use crate::wire::object::Type;
use crate::wire::{Description, SizeClass, StreamName};

/// Who watches is looked at so often.
const LOOK: Duration = Duration::from_millis(50);
/// What is missing of pictures and sound may come so late.
const IN_TIME: Duration = Duration::from_millis(200);
/// After the origin was stopped it is looked for again so soon.
const AGAIN: Duration = Duration::from_millis(250);

/// Where a stream's subscription stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Above {
    /// Nobody watches here.
    #[default]
    Idle,
    /// Somebody does, and the server above is asked.
    Asked,
    Flows,
    /// Its publisher shows nothing just now.
    Paused,
    /// Nothing comes, for this reason.
    Away(String),
    /// It has ended above.
    Over,
}

/// What came of a Get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// An object of the film, as it came.
    Object(Vec<u8>),
    /// These are not to be had.
    Gone(NameRange),
}

/// See the head of this file.
pub struct Upstream {
    pub key: StreamKey,
    pub name: StreamName,
    pub above: Above,
    /// What was told of that last.
    pub told: Above,
    client: Option<Client>,
    pub port: Port,
    assembly: Assembly,
    heard: [Heard; 3],
    sounds: Sounds,
    /// The stream that is shown here, if it is the one above.
    shown: Option<u64>,
    /// Nobody has watched since then.
    idle: Option<Time>,
    next_look: Time,
    /// Something came that is to be looked at.
    pub stirred: bool,
    rate: (Option<Bitrate>, Time),
    class: (SizeClass, Time),
    needs: Option<Needs>,
    /// A film that begins with its first watcher waits until somebody here can be sent all of it.
    waits: bool,
    /// Until when nobody is let in, and why: the stream would come through here.
    barred: Option<(Time, String)>,
    /// Until when no relay is let in.
    no_relays: Option<Time>,
    /// There is no use in this subscription.
    over: bool,
    /// The film that the stream above is of, if it can be had as a whole.
    film: Option<u64>,
    /// What is shown here goes on to its end.
    held: bool,
    /// What came of what was asked for with Get.
    pub fetched: VecDeque<Fetched>,
    pub tap: Option<Tap>,
    /// It comes from a group.
    pub is_tuned: bool,
    /// The sender that said goodbye last, and its stream: it may go on saying so.
    sender_over: Option<(SocketAddr, u64)>,
    /// Other senders to the group that is heard above.
    pub others: VecDeque<SocketAddr>,
    /// Datagrams and bytes that came in subscriptions that are no more.
    pub came: (u64, u64),
    /// Pictures that went on, and those of them that were not whole.
    pub passed: (u64, u64),
    /// Whether whoever publishes it sends too much.
    meter: Option<Meter>,
    /// Who sends it, if that is not a server above.
    pub published: Option<Published>,
    /// The lines that its publisher is sent, if it listens.
    listener: Option<Outgoing>,
    /// What it is asked for by here, if it is guarded above.
    pub vouched: Option<Asked>,
    /// It is a place for streams that are published, …
    pub is_place: bool,
    /// … and has none.
    pub is_vacant: bool,
}

impl Upstream {
    pub fn new(key: StreamKey, name: StreamName, tapped: bool) -> Self {
        Self {
            key,
            name,
            above: Above::Idle,
            told: Above::Idle,
            client: None,
            port: Port::ABOVE,
            assembly: Assembly::default(),
            heard: Default::default(),
            sounds: Sounds::default(),
            shown: None,
            idle: None,
            next_look: Time::ZERO,
            stirred: false,
            rate: (None, Time::ZERO),
            class: (SizeClass::LOOPBACK, Time::ZERO),
            needs: None,
            waits: false,
            barred: None,
            no_relays: None,
            over: false,
            film: None,
            held: false,
            fetched: VecDeque::new(),
            tap: tapped.then(Tap::default),
            is_tuned: false,
            sender_over: None,
            others: VecDeque::new(),
            came: (0, 0),
            passed: (0, 0),
            meter: None,
            published: None,
            listener: None,
            vouched: None,
            is_place: false,
            is_vacant: false,
        }
    }

    pub const fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    pub const fn is_subscribed(&self) -> bool {
        self.client.is_some()
    }

    /// Whether what those who watch here see comes from above.
    pub const fn flows(&self) -> bool {
        self.shown.is_some()
    }

    /// Something else is shown here: when the stream above is there, it is shown anew. `holds`: it is shown to its end, and
    /// the server above is not asked until then.
    pub const fn is_replaced(&mut self, holds: bool) {
        (self.shown, self.held, self.stirred) = (None, holds, true);
    }

    /// Nothing is shown here any more.
    pub const fn begins_anew(&mut self) {
        (self.shown, self.held) = (None, false);
    }

    /// Somebody here may be ready for a film that waits.
    pub const fn look_if_it_waits(&mut self) {
        if self.waits && self.client.is_some() {
            (self.next_look, self.stirred) = (Time::ZERO, true);
        }
    }

    /// Who watches has changed.
    pub const fn look_soon(&mut self) {
        self.next_look = Time::ZERO;
    }

    pub fn subscriptions(&self) -> usize {
        usize::from(self.client.is_some() && self.port > Port::ABOVE && !self.is_tuned) + self.sounds.len()
    }

    /// Datagrams and bytes of UDP payload that have come from above.
    pub fn traffic(&self) -> (u64, u64) {
        let now = self.client.as_ref().map_or((0, 0), |client| (client.traffic().datagrams, client.traffic().bytes));
        let sounds = self.sounds.came();
        (self.came.0 + now.0 + sounds.0, self.came.1 + now.1 + sounds.1)
    }

    /// Whether a subscription is to be made now.
    pub fn wants(&mut self, now: Time, server: &mut Server) -> bool {
        if now < self.next_look {
            return false;
        }
        let needs = server.needs(now, self.key);
        self.needs = match &self.tap {
            Some(tap) => needs.map(|needs| tap.needs(needs)),
            None => needs,
        };
        self.next_look = now + LOOK;
        let watched = self.needs.as_ref().is_some_and(|needs| needs.audience > 0);
        if self.no_relays.is_some_and(|until| now >= until) {
            self.no_relays = None;
            server.bar_relays(self.key, None);
        }
        if self.barred.as_ref().is_some_and(|(until, _)| now >= *until) {
            self.barred = None;
            server.bar(self.key, None);
        }
        let barred = self.held || self.barred.is_some() || self.is_single();
        let barred = barred || server.is_checked_above(self.key);
        self.client.is_none() && watched && !barred && server.is_running(self.key)
    }

    pub fn subscribe(&mut self, now: Time, port: Port, config: &Config, is_live: bool, random: &mut Random) {
        self.waits = !is_live;
        let wishes = self.wishes(now);
        (self.port, self.above) = (port, Above::Asked);
        let client = self.client_for(now, port, wishes, config, random);
        self.client = Some(if self.is_tuned { client } else { Self::listening(client) });
        self.stirred = true;
    }

    fn client_for(&self, now: Time, port: Port, wishes: Wishes, config: &Config, random: &mut Random) -> Client {
        let via = self.needs.iter().flat_map(|needs| needs.via.iter().copied());
        let config = client::Config {
            // All of a stream comes from one server.
            servers: self.way_above().unwrap_or_else(|| config.origins.clone()),
            several: config.origins.addresses().len() > 1,
            port,
            max_datagram: 0,
            stream: Some(self.name.clone()),
            secret: None,
            wishes,
            together: None,
            with_session: None,
            memory: Duration::from_secs(1),
            role: Role::Relay,
            via: [config.id].into_iter().chain(via).take(MAX_VIA).collect(),
            film: None,
        };
        if self.is_tuned {
            return Client::tuned(config, &random.seed(), now).after(self.sender_over);
        }
        Client::new(config, &random.seed(), now)
    }

    /// Which server above the stream comes from, as it is reached.
    fn way_above(&self) -> Option<Servers> {
        self.client.as_ref().filter(|client| client.is_joined()).map(Client::servers)
    }

    /// A further rendition of sound that is to be subscribed now.
    pub fn wants_sound(&self, now: Time) -> Option<Rendition> {
        let needs = self
            .needs
            .as_ref()
            .filter(|_| self.flows() && self.client.is_some() && !self.is_single() && !self.is_tuned)?;
        self.sounds.wanted(now, needs.sounds, self.first_sound()?)
    }

    pub fn subscribe_sound(&mut self, now: Time, port: Port, sound: Rendition, config: &Config, random: &mut Random) {
        let wish = SoundWish { place: Place::Here, rendition: sound.id(), coarsest: sound.id() };
        let repair = RepairWish { asks: true, patience: Duration::ZERO, latency: Duration::ZERO };
        let wishes = Wishes { sound: wish, paused: true, repair, ..Wishes::NONE };
        let client = self.client_for(now, port, wishes, config, random);
        self.sounds.add(sound, client, port);
    }

    /// Does what is due of further renditions of sound.
    pub fn tend_sounds(&mut self, now: Time) -> Vec<Farewell> {
        let over = match (&self.needs, self.first_sound().filter(|_| self.client.is_some())) {
            (Some(needs), Some(first)) => self.sounds.tend(now, needs.sounds, first, &self.heard),
            _ => self.sounds.end(now),
        };
        for farewell in &over {
            self.came = (self.came.0 + farewell.came.0, self.came.1 + farewell.came.1);
        }
        over
    }

    /// Does what is due; true: it is over with the subscription, and its port is free.
    pub fn tend(&mut self, now: Time, server: &mut Server) -> bool {
        self.stirred = false;
        let Some(client) = self.client.as_mut() else { return false };
        let lasts = client.stream().map_or(LOOK, |stream| stream.description.rate.interval());
        client.set_patience(lasts);
        let (assembly, heard) = (&self.assembly, &self.heard);
        let in_time = |kind: Type, rendition: u8, unit: Unit| {
            let wanted = match kind {
                Type::SOUND => heard.get(usize::from(rendition)).is_some_and(|heard| heard.wants(unit.0)),
                _ => assembly.wants(unit),
            };
            wanted.then_some(now + IN_TIME)
        };
        client.tend(now, Duration::ZERO, &in_time);
        self.take_news(now, server);
        self.talk_to_publisher(now, server);
        self.pass_on(now, server);
        self.look_at_pause(now, server);
        self.tell_time(now, server);
        self.look_at_hops(now, server);
        if self.held || std::mem::take(&mut self.over) {
            self.leave(now, server);
            return true;
        }
        self.consider_end(now, server) || self.look(now, server)
    }

    /// Looks who watches: tells what is wanted, and leaves when nobody does.
    fn look(&mut self, now: Time, server: &mut Server) -> bool {
        // A publisher stays, whoever watches.
        let audience = self.needs.as_ref().map_or(0, |needs| needs.audience) + usize::from(self.published.is_some());
        if audience > 0 && server.is_running(self.key) {
            self.idle = None;
            let wishes = self.wishes(now);
            if let Some(client) = self.client.as_mut() {
                client.wish(now, wishes, wishes);
                server.set_hops(self.key, client.hops().to_vec());
            }
            return false;
        }
        let since = *self.idle.get_or_insert(now);
        if now.since(since) < LINGER && server.is_running(self.key) {
            return false;
        }
        self.leave(now, server);
        if self.above != Above::Over {
            self.above = Above::Idle;
        }
        true
    }

    /// Says goodbye above.
    fn leave(&mut self, now: Time, server: &mut Server) {
        if let Some(client) = self.client.as_mut() {
            client.close(now);
        }
        self.idle = None;
        self.assembly = Assembly::default();
        if !self.held {
            server.forget_pictures(self.key);
        }
    }

    /// The last datagrams of a subscription that is over, and then nothing is left of it.
    pub fn farewell(&mut self) -> Vec<Transmit> {
        let Some(mut client) = self.client.take() else { return Vec::new() };
        self.sender_over = client.sender_over().or(self.sender_over);
        self.came = (self.came.0 + client.traffic().datagrams, self.came.1 + client.traffic().bytes);
        std::iter::from_fn(|| client.transmit()).collect()
    }

    /// The stream above, as its server describes it; `None` while nothing comes.
    pub fn described_above(&self) -> Option<&Description> {
        let there = self.flows() && self.above == Above::Flows;
        self.client.as_ref().and_then(Client::stream).filter(|_| there).map(|stream| &stream.description)
    }

    /// Asks above for objects of the film.
    pub fn get(&mut self, now: Time, range: NameRange) {
        self.client.iter_mut().for_each(|client| client.get(now, range));
        self.stirred = true;
    }

    fn tell_time(&self, now: Time, server: &mut Server) {
        if let Some(timing) = self.client.as_ref().and_then(Client::timing).filter(|_| self.flows()) {
            server.set_zero(now, self.key, timing.zero);
        }
    }

    pub fn transmit(&mut self) -> Option<Transmit> {
        let own = self.client.as_mut().and_then(Client::transmit).map(|transmit| self.answered(transmit));
        own.or_else(|| self.sounds.transmit())
    }

    /// Whether one of its subscriptions is on this port.
    pub fn is_on(&self, port: Port) -> bool {
        self.client.is_some() && self.port == port || self.sounds.has(port)
    }

    /// What has become of a connection, perhaps of one of its subscriptions.
    pub fn connection(&mut self, now: Time, peer: Peer, state: ConnectionState) {
        self.client.iter_mut().for_each(|client| client.connection(now, peer, state));
        self.sounds.connection(now, peer, state);
        self.stirred |= state == ConnectionState::Closed;
    }

    pub fn not_sent(&mut self, port: Port) {
        if self.sounds.has(port) {
            return self.sounds.not_sent(port);
        }
        self.client.iter_mut().for_each(Client::not_sent);
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        self.assembly.assert_sound();
        let told = self.tap.as_ref().is_none_or(|tap| tap.told.is_empty());
        assert!(self.fetched.is_empty() && told, "all is said");
    }

    pub fn soonest(&self, now: Time) -> Soonest {
        let Some(client) = self.client.as_ref() else { return Soonest::new() };
        let awaited = |unit| client.awaited(now, unit);
        let passes = self.assembly.deadline(&awaited);
        let Soonest(at, why) = self.sounds.soonest();
        let gone = self.publisher_deadline();
        client
            .soonest()
            .or(self.listener_deadline(), Reason::Retry)
            .or(passes, Reason::Departure)
            .or(Some(at), why)
            .or(gone, Reason::Housekeeping)
    }
}

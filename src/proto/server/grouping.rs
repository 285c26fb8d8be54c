//! Groups: sessions that nobody has joined. Each is told again and again what the stream is and how its timeline stands, so that
//! whoever listens needs nothing else; at the end it is told that for as long as watchers are waited for.

use super::upkeep::BYE_REPEAT;
use super::{Event, Server, StreamKey};
use crate::proto::sender::Lent;
use crate::proto::session::{Beginning, Group, GroupConfig, Session};
use crate::proto::stream::Stream;
use crate::proto::{Peer, Port, Received};
use crate::units::Time;
use crate::wire::message::{COOKIE_LEN, ClockEcho, Message, NackName, Scheme};
use crate::wire::object::Type;
use crate::wire::tlv::{self, Tlvs};

impl Server {
    /// A stream is sent to a group from now on, beside all who watch it. Not one that is guarded: a group has no door.
    pub(super) fn open_group(&mut self, now: Time, key: StreamKey, config: GroupConfig) {
        let open = self.streams.get(key.index()).is_some_and(|stream| stream.guard().is_open());
        let known = self.groups.iter().any(|(_, other)| (other.port, other.address) == (config.port, config.address));
        if open && !known {
            self.groups.push((key, config));
            self.begin_group(now, key, config);
        }
    }

    /// A stream that has begun anew is sent to its groups again.
    pub(super) fn begin_groups(&mut self, key: StreamKey) {
        let groups: Vec<GroupConfig> =
            self.groups.iter().filter(|(of, _)| *of == key).map(|(_, config)| *config).collect();
        groups.into_iter().for_each(|config| self.begin_group(self.polled, key, config));
    }

    fn begin_group(&mut self, now: Time, key: StreamKey, config: GroupConfig) {
        // The low half of its id, which is the tag of all that it is sent, is 0: no session of a watcher has such an id.
        let id = self.random.id() << 32;
        let beginning = Beginning { nonce: id, cookie: [0; COOKIE_LEN], at: now, limit: config.class, given: true };
        let mut session = Session::new(id, key, config.route(), beginning);
        (session.ready, session.pictures) = (true, true);
        session.set_group(Group::new(config, now));
        session.media.protection.schemes = Scheme::ReedSolomon.bit();
        session.media.protection.set_share(config.parity);
        // What it was sent is remembered for those who ask elsewhere.
        session.media.protection.wish.asks = config.unicast > 0;
        let slot = self.sessions.insert(session);
        if let Some(session) = self.sessions.get(slot) {
            self.streams[key.index()].add(slot, session);
        }
        self.sessions.next_upkeep = now;
    }

    /// Whether it came where nothing is to be said: to a socket that only sends.
    pub(super) const fn is_for_group(datagram: &Received<'_>) -> bool {
        datagram.port.is_group()
    }

    /// What was sent to the groups of a stream, of these names: for who listens to one and asks here.
    pub(super) fn lent_by_groups(&self, stream: usize, names: &[NackName]) -> Lent {
        let looks = names.iter().filter(|name| name.kind == Type::PICTURE).map(|name| name.bitmap.count_ones()).sum();
        let mut lent = Lent { looks, ..Lent::default() };
        let members = self.streams[stream].members().iter().filter_map(|slot| self.sessions.get(*slot));
        for group in members.filter(|session| session.is_group()) {
            lent.sent += group.stats().bytes;
            for name in names {
                match name.kind {
                    Type::PICTURE => group.media.lend(name, &mut lent),
                    Type::SOUND if group.was_sent_sound(name.rendition, name.unit) => {
                        lent.sounds.insert((name.rendition, name.unit));
                    }
                    _ => {}
                }
            }
        }
        lent
    }

    /// Something did not leave; if it was for a group, whoever serves is to know: no watcher can tell.
    pub(super) fn group_fails(&mut self, now: Time, to: Peer) {
        let slot = to.port.is_group().then(|| self.sessions.at(to)).flatten();
        let group = slot.and_then(|slot| self.sessions.get_mut(slot)).and_then(|session| session.group.as_mut());
        if group.is_some_and(|group| group.fails(now)) {
            self.outbox.events.push_back(Event::GroupReached { address: to.address, reached: false });
        }
    }

    /// Tells a group what is to be told, and shows it again what stands.
    pub(super) fn look_after_group(&mut self, now: Time, slot: usize) {
        let Some(session) = self.sessions.get(slot) else { return };
        let key = session.stream;
        if session.leaving.is_some() {
            return self.say_goodbye_to_group(now, slot);
        }
        self.allow_sound(slot);
        let group = self.sessions.get_mut(slot).and_then(|session| session.group.as_mut());
        if let Some(group) = group.filter(|group| now >= group.next) {
            group.tells(now);
            if group.has_recovered(now) {
                let address = group.config.address;
                self.outbox.events.push_back(Event::GroupReached { address, reached: true });
            }
            if self.streams[key.index()].is_described() {
                self.describe_to(slot);
                self.tell_group(now, slot);
            }
        }
        self.streams[key.index()].show_again(now, slot, &mut self.sessions);
    }

    /// An Update with all that a receiver may need of the stream's timeline and our clock.
    fn tell_group(&mut self, now: Time, slot: usize) {
        let Some(session) = self.sessions.get(slot) else { return };
        let stream = &self.streams[session.stream.index()];
        let mut tlvs = Vec::with_capacity(100);
        stream.timeline().into_iter().for_each(|timeline| timeline.put(&mut tlvs));
        ClockEcho { echo: 0, held: 0, clock: now.micros() }.put(&mut tlvs);
        stream.in_force(now, session).put(&mut tlvs);
        let unicast = session.group.as_ref().map_or(0, |group| group.config.unicast);
        tlv::put(&mut tlvs, tlv::kind::STREAM, stream.name().as_str().as_bytes());
        if unicast > 0 {
            tlv::put(&mut tlvs, tlv::kind::UNICAST, &unicast.to_be_bytes());
        }
        let (to, id) = (session.route(), session.id);
        self.put_hops_of(session.stream, &mut tlvs);
        self.outbox.say(to, Some(id), &Message::Update { number: 0, tlvs: Tlvs::trusted(&tlvs) });
    }

    /// Nobody answers a goodbye, so it is said for as long as answers are waited for.
    fn say_goodbye_to_group(&mut self, now: Time, slot: usize) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let Some(leaving) = session.leaving.as_mut().filter(|leaving| now >= leaving.next) else { return };
        leaving.next = now + BYE_REPEAT;
        let (to, id, key) = (session.route(), session.id, session.stream);
        self.describe_to(slot);
        if let Some(goodbye) = self.streams.get(key.index()).and_then(Stream::goodbye) {
            let (code, sentence) = (goodbye.code, goodbye.sentence.as_str());
            self.outbox.say(to, Some(id), &Message::Bye { session: 0, code, sentence });
        }
    }
}

impl Port {
    /// Whether it is one that a server sends from.
    pub(in crate::proto) const fn is_served(self) -> bool {
        self.0 <= Self::SOUND.0 || self.is_group()
    }

    /// Whether it only sends to a group.
    pub const fn is_group(self) -> bool {
        self.0 >= Self::GROUP.0 && self.0 < Self::GROUP.0 + MOST_GROUPS
    }
}

/// Groups of one server.
pub const MOST_GROUPS: u16 = 8;

const _: () =
    assert!(Port::GROUP.0 + MOST_GROUPS <= Port::TUNED.0 && Port::TUNED.0 < Port::TCP, "each has a number of its own");

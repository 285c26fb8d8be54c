//! Joining: from Hello to Accept or Refuse; listing; a known watcher at a new address; what a watcher wants.

use std::ops::RangeInclusive;

use super::connections::{self, silence_limit};
use super::{Config, Event, Guard, Server, Stream, StreamKey};
use crate::proto::door::{Door, NewPath, Refusal, lookup, page};
use crate::proto::sender::Control;
use crate::proto::session::{Beginning, Gone, Session, Wishes};
use crate::proto::{Peer, Port, Received, Route};
use crate::seal::Proof;
use crate::units::Time;
use crate::wire::message::{Accept, Entry, Join, List, MAX_VIA, Message, Refuse, RefuseCode, Role, bye, via};
use crate::wire::tlv::{self, Tlvs, kind};
use crate::wire::{Kind, SizeClass, StreamName, VERSION};

/// Said where no stream is listed, whether there are some with codes or not.
const NONE: &str = "No stream is listed here; one that has a code is watched by it, as HOST/CODE.";

/// Said while streams may still come back.
const SETTLES: &str = "The server has just started, and its streams are on their way back.";
const SETTLES_AGAIN_MS: u32 = 250;

impl Server {
    /// Whether so much waits to be sent that strangers are not answered; each one who is not counts as rejected.
    fn is_backed_up(&mut self) -> bool {
        let full = self.outbox.is_full();
        self.totals.rejected += u64::from(full);
        full
    }

    pub(super) fn hello(&mut self, now: Time, datagram: Received<'_>, versions: RangeInclusive<u8>, nonce: u64) {
        if !Door::is_padded(datagram) {
            self.totals.rejected += 1;
            return;
        }
        if self.is_backed_up() {
            return;
        }
        match self.door.hello(now, datagram, versions, nonce) {
            Ok(challenge) => self.outbox.say(datagram.route(), None, &challenge),
            Err(refusal) => self.refuse(datagram.route(), nonce, refusal),
        }
    }

    pub(super) fn join(&mut self, now: Time, datagram: Received<'_>, join: &Join<'_>) {
        let from = datagram.peer();
        if !self.door.knows(now, datagram, join.nonce, &join.cookie) {
            self.totals.rejected += 1;
            return;
        }
        if self.is_backed_up() {
            return;
        }
        if self.split(now, datagram, join) {
            return;
        }
        let old = self.sessions.at(from);
        let same = old
            .and_then(|slot| self.sessions.get(slot))
            .is_some_and(|session| session.beginning.nonce == join.nonce && session.beginning.cookie == join.cookie);
        match old.filter(|_| same) {
            // The Accept was lost on the way: the same again.
            Some(slot) => return self.welcome(slot),
            // A copy of an old Join makes no session.
            None if self.door.has_admitted(&join.cookie) => {
                self.totals.rejected += 1;
                return;
            }
            None => {}
        }
        // It counts before anything is done for it: a refusal costs time too, and its cookie is not used up.
        let wanted = match self.door.is_one_too_many(now, from) {
            true => Err(Refusal::busy()),
            false => self.wanted_by_now(now, from, join),
        };
        let entrance = wanted.clone().and_then(|key| self.entrance(now, from, key, join));
        let stream = match entrance {
            Ok(stream) => stream,
            Err(refusal) => {
                wanted.into_iter().for_each(|key| self.vacate(key));
                return self.refuse(datagram.route(), join.nonce, refusal);
            }
        };
        old.into_iter().for_each(|slot| self.remove(slot, Gone::Replaced));
        self.door.admit(now, join.cookie);
        self.admit(now, datagram.route(), stream, join, None);
    }

    /// The stream that a Join may watch, or why there is no way in just now.
    pub(super) fn entrance(
        &self,
        now: Time,
        from: Peer,
        key: StreamKey,
        join: &Join<'_>,
    ) -> Result<StreamKey, Refusal> {
        let stream = &self.streams[key.index()];
        let barred = stream.passing().and_then(|passing| passing.refusal.clone());
        if let Some(refusal) = barred.or_else(|| self.is_loop(stream, join)) {
            return Err(refusal);
        }
        if let Some(goodbye) = stream.goodbye() {
            let failed = Some(goodbye.sentence.clone()).filter(|_| goodbye.code == bye::FAILED);
            let why = failed.unwrap_or_else(|| "The stream has just ended.".to_owned());
            // Where other streams go on, this one does not come back with the next start of the server.
            let alone = self.streams.iter().all(|stream| stream.goodbye().is_some());
            let retry_after_ms = if stream.is_over() && !alone { 10_000 } else { 1_000 };
            return Err(Refusal::new(RefuseCode::ENDED, why, retry_after_ms));
        }
        if from.port == Port::SOUND && stream.is_described() && !stream.description().sound {
            return Err(Refusal::new(RefuseCode::NO_SUCH_STREAM, "This stream has no sound.", 10_000));
        }
        let (smallest, wanted) = (SizeClass::ANY.datagram(), usize::from(join.max_datagram));
        if (1..smallest).contains(&wanted) {
            let why = "There are no datagrams as small as this watcher wants: the smallest have 1200 bytes.";
            return Err(Refusal::new(RefuseCode::TOO_SMALL, why, 60_000));
        }
        // A rejoin replaces its own old session, so that one does not count.
        if self.overloaded && self.sessions.at(from).is_none() && self.first_session(from.port, join).is_none() {
            let why = "The server sends as much as it can: another watcher would take from those that are there.";
            return Err(Refusal::new(RefuseCode::FULL, why, 5_000));
        }
        self.door.lacks_room(now, from, &self.sessions).map_or(Ok(key), Err)
    }

    /// The same as below; who asks for what is not there is to ask again while streams may still come back.
    fn wanted_by_now(&mut self, now: Time, from: Peer, join: &Join<'_>) -> Result<StreamKey, Refusal> {
        let settles = now < self.config.settles;
        self.wanted(now, from, join).map_err(|refusal| match refusal.code {
            RefuseCode::NO_SUCH_STREAM if settles => Refusal::new(RefuseCode::BUSY, SETTLES, SETTLES_AGAIN_MS),
            _ => refusal,
        })
    }

    /// The stream that a Join asks for, and proves that it may watch.
    pub(super) fn wanted(&mut self, now: Time, from: Peer, join: &Join<'_>) -> Result<StreamKey, Refusal> {
        if join.role == Role::Publish {
            let why = "This server takes no published streams: it only sends its own.";
            return Err(Refusal::new(RefuseCode::ROLE, why, 10_000));
        }
        let Self { streams, door, .. } = self;
        if let Some(id) = lookup(join) {
            // Each is looked at, whichever it is.
            let all = present(streams).map(|stream| Some((stream.key(), stream.guard().of_code(id)?)));
            let (stream, key) = all.fold(None, Option::or).unzip();
            door.passes_code(now, from, join, id, key)?;
            return stream.ok_or_else(Refusal::no_such_code);
        }
        let key = match self.named(from, join).map(Stream::key) {
            Ok(key) => key,
            Err(refusal) => return self.film(now, from, join, refusal),
        };
        let stream = &self.streams[key.index()];
        self.door.passes(now, from, join, (stream.name(), stream.guard()))?;
        Ok(key)
    }

    /// The film of the library that a Join asks for; without one, why there is none.
    fn film(&mut self, now: Time, from: Peer, join: &Join<'_>, none: Refusal) -> Result<StreamKey, Refusal> {
        let Some(film) = self.film_of(join) else {
            let like = join.tlvs.text(kind::STREAM).map(|wanted| (wanted, self.films_like(wanted)));
            let like = like.filter(|(_, like)| !like.is_empty());
            return Err(like.map_or(none, |(wanted, like)| Refusal::no_such_stream(wanted, like.iter())));
        };
        let (name, listed) = film?;
        let guard = self.library.as_ref().map_or(&Guard::Open, |library| &library.guard);
        self.door.passes(now, from, join, (&name, guard))?;
        self.view(name, listed, join).ok_or(none)
    }

    /// The stream of the picture session that the Join names; without one the stream that it names; without either the first.
    fn named(&self, from: Peer, join: &Join<'_>) -> Result<&Stream, Refusal> {
        let first = self.first_session(from.port, join).and_then(|slot| self.sessions.get(slot));
        let stream = match (first, join.tlvs.find(kind::STREAM)) {
            (Some(session), _) => self.streams.get(session.stream.index()),
            (None, None) => self.found().next(),
            (None, Some(name)) => {
                let wanted = String::from_utf8_lossy(name);
                let name = StreamName::parse(&wanted).ok();
                let named = self.found().find(|stream| name.as_ref() == Some(stream.name()));
                let names = self.found().map(Stream::name);
                return named.ok_or_else(|| Refusal::no_such_stream(&wanted, names));
            }
        };
        // A relay learns of streams within moments.
        let again = if self.config.relay.is_some() { 250 } else { 1_000 };
        stream.ok_or_else(|| Refusal::new(RefuseCode::NO_SUCH_STREAM, NONE, again))
    }

    /// Streams that are listed, and found by their names.
    pub(super) fn found(&self) -> impl Iterator<Item = &Stream> + Clone {
        found(&self.streams)
    }

    /// The slot of the picture session that a Join on the sound port names, if there is one.
    fn first_session(&self, port: Port, join: &Join<'_>) -> Option<usize> {
        let named = join.tlvs.find(kind::WITH_SESSION).and_then(|id| id.first_chunk());
        let named = named.map(|id| u64::from_be_bytes(*id)).filter(|_| port == Port::SOUND)?;
        let slot = self.sessions.slot(named)?;
        self.sessions.get(slot).is_some_and(Session::is_for_pictures).then_some(slot)
    }

    pub(super) fn refuse(&mut self, to: Route, nonce: u64, refusal: Refusal) {
        let Refusal { code, sentence, retry_after_ms } = refusal;
        let (highest, lowest, tlvs) = (VERSION, VERSION, Tlvs::default());
        let refuse = Refuse { nonce, highest, lowest, code, retry_after_ms, sentence: &sentence, tlvs };
        self.outbox.say(to, None, &Message::Refuse(refuse));
        self.totals.refused += 1;
        self.outbox.events.push_back(Event::Refused { address: to.peer.address, why: sentence.into_owned() });
    }

    /// `proof`: what the origin proves, if the stream is guarded there.
    pub(super) fn admit(&mut self, now: Time, from: Route, key: StreamKey, join: &Join<'_>, proof: Option<Proof>) {
        let mut session = Session::new(self.random.id(), key, from, self.beginning(now, from.peer, join));
        let (id, peer) = (session.id, from.peer);
        session.welcome = self.accept(now, (id, peer), key, join, proof);
        session.describe_again = join.tlvs.find(kind::ON_BEHALF).is_some();
        session.set_default_sound();
        let wishes = Wishes::of_join(join.tlvs);
        let stream = &self.streams[key.index()];
        if let Some(wish) = wishes.sound.filter(|_| stream.description().sound || !stream.is_described()) {
            session.set_sound(wish);
        }
        session.pictures &= wishes.pictures != Some(false);
        self.govern(now, &mut session);
        session.wanted = session.wanted.changed_by(wishes.limits);
        session.set_repair(wishes.repair);
        session.media.protection.schemes = join.fec;
        if join.role == Role::Relay {
            session.media.most = wishes.class;
            session.via = via(join.tlvs).into_iter().take(MAX_VIA).collect();
        }
        let first = self.first_session(peer.port, join);
        let same = |slot: &usize| self.sessions.get(*slot).is_some_and(|session| session.stream == key);
        if let Some(first) = first.filter(same)
            && let Some(old) = self.sessions.tie(first, &mut session)
        {
            self.remove(old, Gone::Replaced);
        }
        let second = session.is_second();
        let slot = self.sessions.insert(session);
        let stream = &mut self.streams[key.index()];
        if let Some(session) = self.sessions.get(slot) {
            stream.add(slot, session);
        }
        if !second {
            let watchers = stream.watchers();
            self.outbox.events.push_back(Event::Joined { stream: key, id, address: peer.address, watchers });
        }
        self.welcome(slot);
        self.probe(slot);
        self.first_order(now, slot, wishes.play);
        self.streams[key.index()].tell_timeline(slot, &mut self.sessions);
        self.sessions.next_upkeep = now;
    }

    /// Its path is asked what it carries, unless it is this machine, or nothing would follow from that.
    pub(super) fn govern(&self, now: Time, session: &mut Session) {
        let stream = &self.streams[session.stream.index()];
        let ip = session.peer().address.ip();
        if !stream.adapts() || ip.is_loopback() || session.media.class() == SizeClass::LOOPBACK {
            return;
        }
        (session.media.control, session.media.is_governed) = (Some(Box::new(self.control_of(now, session))), true);
    }

    /// What is to find out what its path carries.
    pub(super) fn control_of(&self, now: Time, session: &Session) -> Control {
        let interval = self.streams[session.stream.index()].description().rate.interval();
        let mut control = Control::new(now, interval, self.networks.start(now, session.peer().address.ip()));
        control.set_report_interval(self.report_interval());
        control
    }

    pub(super) fn accept(
        &self,
        now: Time,
        (session, peer): (u64, Peer),
        key: StreamKey,
        join: &Join<'_>,
        proof: Option<Proof>,
    ) -> Vec<u8> {
        let stream = &self.streams[key.index()];
        let mut tlvs = Vec::with_capacity(104);
        tlv::put(&mut tlvs, kind::STREAM, stream.name().as_str().as_bytes());
        self.put_via_of(key, &mut tlvs);
        if let Some(proof) = proof.or_else(|| self.door.proof(join, (stream.name(), stream.guard()))) {
            tlv::put(&mut tlvs, kind::PROOF, &proof);
        }
        let sound = stream.description().sound || !stream.is_described();
        let accept = Accept {
            nonce: join.nonce,
            session,
            clock: now.micros(),
            report_interval_ms: self.report_interval().as_millis() as u16,
            silence_limit_ms: silence_limit(peer).as_millis() as u16,
            // Through a connection sound comes with the pictures.
            sound_port: if sound && !peer.port.is_connections() { self.config.sound_port } else { 0 },
            token: self.tokens.token(now, session),
            tlvs: Tlvs::trusted(&tlvs),
        };
        let mut welcome = Vec::with_capacity(128);
        Message::Accept(accept).emit(&mut welcome);
        welcome
    }

    /// What its path is to be: the operator's choice, the client's wish, or whatever is found.
    pub(super) fn beginning(&self, now: Time, peer: Peer, join: &Join<'_>) -> Beginning {
        let Config { datagram, .. } = self.config;
        let most = if join.max_datagram == 0 { usize::from(u16::MAX) } else { usize::from(join.max_datagram) };
        let fits = |class: &SizeClass| class.datagram() <= most;
        let wish = SizeClass::ALL.into_iter().find(fits).unwrap_or(SizeClass::ANY);
        // Sound fits the smallest. A connection carries any.
        let connected = peer.port.is_connections().then(|| connections::class(peer.address.ip()));
        let given = datagram.or(connected).filter(|_| peer.port.is_for_pictures());
        let limit = given.map_or(wish, |given| if fits(&given) { given } else { wish });
        Beginning { nonce: join.nonce, cookie: join.cookie, at: now, limit, given: given.is_some() }
    }

    /// Accept and Description.
    pub(super) fn welcome(&mut self, slot: usize) {
        let Some(session) = self.sessions.get(slot) else { return };
        self.outbox.say_again(session.route(), Some(session.id), Kind::ACCEPT, session.welcome.clone());
        self.describe_to(slot);
    }

    /// A Description object: what the stream is, and whether it has ended.
    pub(super) fn describe_to(&mut self, slot: usize) {
        let Some(session) = self.sessions.get(slot) else { return };
        if !self.streams[session.stream.index()].is_described() {
            return;
        }
        let object = self.streams[session.stream.index()].description_object();
        self.outbox.sequenced(slot, Kind::OBJECT, object, &self.sessions);
    }

    /// Answers the question which streams there are.
    pub(super) fn list(&mut self, now: Time, datagram: Received<'_>, list: &List) {
        let good = Door::is_padded(datagram) && self.door.knows(now, datagram, list.nonce, &list.cookie);
        if !good || self.door.is_one_too_many(now, datagram.peer()) {
            self.totals.rejected += 1;
            return;
        }
        if self.is_backed_up() {
            return;
        }
        let count = self.found().count();
        let entries = found(&self.streams).skip(usize::from(list.first)).map(|stream| Entry {
            name: stream.name().clone(),
            state: stream.state(),
            watchers: u32::try_from(stream.watchers()).unwrap_or(u32::MAX),
            guarded: stream.guard().asks(),
            description: stream.description().clone(),
        });
        let outbox = &mut self.outbox;
        page(list, count, entries, |listing| {
            outbox.say(datagram.route(), None, &Message::Listing(listing.clone()));
        });
    }

    /// A known session speaks from elsewhere: it must prove that it receives there. 24 bytes for the 50 or more of
    /// its report.
    pub(super) fn new_address(&mut self, slot: usize, route: Route) {
        if self.is_backed_up() {
            return;
        }
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let path = NewPath::claim(session.new_path, route.peer, &mut self.random);
        session.new_path = Some(path);
        let id = session.id;
        self.outbox.say(route, Some(id), &Message::PathCheck { token: path.token });
    }

    pub(super) fn path_reply(&mut self, now: Time, from: Route, id: u64, token: [u8; 8]) {
        let Some(slot) = self.sessions.slot(id) else { return };
        let Some(session) = self.sessions.get_mut(slot) else { return };
        if !session.new_path.is_some_and(|path| path.is_proven_by(from.peer, token)) {
            return;
        }
        session.new_path = None;
        let (second, old, stream) = (session.is_second(), session.peer(), session.stream);
        session.move_to(now, from);
        self.sessions.next_upkeep = now;
        if let Some(other) = self.sessions.move_to(slot, old, from.peer) {
            self.remove(other, Gone::Replaced);
        }
        self.probe(slot);
        if !second {
            self.outbox.events.push_back(Event::Moved { stream, id, from: old.address, to: from.peer.address });
        }
    }

    /// What a watcher wants from now on. An older wish than the last changes nothing.
    pub(super) fn want(&mut self, now: Time, from: Peer, id: u64, number: u32, tlvs: Tlvs<'_>) {
        let slot = self.sessions.slot_of(from, id);
        let Some((slot, session)) = slot.and_then(|slot| Some((slot, self.sessions.get_mut(slot)?))) else {
            self.totals.rejected += 1;
            return;
        };
        let obeyed = session.heeds(number);
        if session.owes_wanted {
            session.next_clock = now;
        }
        if !self.outbox.is_full() {
            self.tell_clock(now, slot);
        }
        if !obeyed {
            return;
        }
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let (wishes, stream) = (Wishes::read(tlvs), &mut self.streams[session.stream.index()]);
        if let Some(wish) = wishes.sound {
            session.set_sound(wish);
        }
        session.wanted = session.wanted.changed_by(wishes.limits);
        session.set_repair(wishes.repair);
        if !session.via.is_empty() {
            session.media.most = wishes.class.or(session.media.most);
        }
        session.describe_again &= wishes.pictures != Some(true) && session.sound.is_none();
        stream.look_again();
        match wishes.pictures {
            Some(true) => stream.resume(now, slot, &mut self.sessions),
            Some(false) => stream.pause(slot, &mut self.sessions),
            None => {}
        }
        if let Some(order) = wishes.play {
            self.order(now, slot, order);
        }
    }
}

/// Streams that are there.
pub(super) fn present(streams: &[Stream]) -> impl Iterator<Item = &Stream> + Clone {
    streams.iter().filter(|stream| stream.passing().is_none_or(|passing| !passing.withdrawn))
}

fn found(streams: &[Stream]) -> impl Iterator<Item = &Stream> + Clone {
    present(streams).filter(|stream| stream.guard().is_listed())
}

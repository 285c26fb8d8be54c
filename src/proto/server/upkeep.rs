//! Looking after sessions: silence, unacknowledged updates, probes, clocks, goodbyes.

use std::time::Duration;

use super::connections::silence_limit;
use super::{Event, Server, Stream, UPKEEP};
use crate::proto::Peer;
use crate::proto::sender::{Control, Lent};
use crate::proto::session::{FIRST_REPORT, Gone, Session};
use crate::units::Time;
use crate::wire::message::{ClockEcho, Message, NackName};
use crate::wire::tlv::{self, Tlvs};
use crate::wire::{Kind, SizeClass};

/// Sessions were not looked after for so long: the program stood still.
const HALT: Duration = Duration::from_secs(1);
/// An unacknowledged update is repeated this often, but not before a report can have told of it.
const UPDATE_REPEAT: Duration = Duration::from_millis(100);
/// Each watcher hears from us this often even when there is nothing to show, and can set its clock by it. Less often
/// where watchers are many.
const CLOCK_INTERVAL: Duration = Duration::from_millis(250);
/// Goodbyes: five in half a second.
const BYES: u8 = 5;
pub const BYE_REPEAT: Duration = Duration::from_millis(100);

impl Server {
    pub(super) fn upkeep(&mut self, now: Time) {
        if now < self.sessions.next_upkeep || self.finished {
            return;
        }
        self.forgive_halt(now);
        let mut next = now + UPKEEP;
        for slot in 0..self.sessions.slots() {
            if self.look_after(now, slot)
                && let Some(session) = self.sessions.get(slot).filter(|session| !session.ready)
            {
                next = next.min(session.beginning.at + FIRST_REPORT);
            }
        }
        self.sessions.next_upkeep = next;
        self.look_at_load(now);
        self.finish(now);
    }

    /// What this program slept through is no silence of its watchers. Their reports of that time are too old to be valid,
    /// so each is told a new token at once, and must use it.
    fn forgive_halt(&mut self, now: Time) {
        let halt = now.since(std::mem::replace(&mut self.last_upkeep, now));
        if halt < HALT {
            return;
        }
        for session in self.sessions.iter_mut() {
            session.heard = (session.heard + halt).min(now);
            session.next_clock = now;
        }
    }

    /// Returns false if the session is gone.
    fn look_after(&mut self, now: Time, slot: usize) -> bool {
        if self.sessions.get(slot).is_some_and(Session::is_group) {
            self.look_after_group(now, slot);
            return true;
        }
        let interval = self.report_interval_of(slot);
        let Some(session) = self.sessions.get_mut(slot) else { return false };
        if let Some(control) = &mut session.media.control {
            control.set_report_interval(interval);
            control.look(now);
        }
        self.allow_sound(slot);
        let Some(session) = self.sessions.get_mut(slot) else { return false };
        if now.since(session.heard) > silence_limit(session.peer()) {
            self.remove(slot, Gone::Silent);
            return false;
        }
        if !session.ready && now >= session.beginning.at + FIRST_REPORT {
            session.ready = true;
            self.streams[session.stream.index()].catch_up(now, slot);
        }
        let small = session.media.wants_small_probe(now, session.heard);
        // A lost probe leaves a gap that a watcher counts as lost pictures where some were left out. But where only the
        // smallest datagrams are used, larger ones may be what ends the overload.
        let probing = !self.overloaded || session.media.class() == SizeClass::ANY;
        let probes = if probing { session.media.path.due_probes(now) } else { Vec::new() };
        let pictures = session.is_for_pictures();
        if let Some((number, tlvs)) = session.updates.pending.clone().filter(|_| now >= session.updates.next) {
            session.updates.next = now + UPDATE_REPEAT.max(interval);
            let (to, id) = (session.route(), session.id);
            self.outbox.say(to, Some(id), &Message::Update { number, tlvs: Tlvs::trusted(&tlvs) });
        }
        if small {
            self.send_probe(slot, SizeClass::ANY);
        }
        if pictures {
            probes.into_iter().for_each(|class| self.send_probe(slot, class));
        }
        self.wake_listener(now, slot);
        self.tell_clock(now, slot);
        self.repeat_bye(now, slot);
        true
    }

    pub(super) fn remove(&mut self, slot: usize, why: Gone) {
        let Some(session) = self.sessions.take(slot) else { return };
        if let Some(control) =
            session.control().filter(|control| !control.is_starting() && !control.is_deaf(self.polled))
        {
            self.networks.remember(session.heard, session.peer().address.ip(), control.rate());
        }
        let stream = &mut self.streams[session.stream.index()];
        let missed = stream.remove(slot, &session);
        if session.is_second() {
            self.sessions.untie(&session);
            return self.vacate(session.stream);
        }
        let mut stats = session.stats();
        stats.thinned += missed;
        let (id, address, watchers) = (session.id, session.peer().address, stream.watchers());
        self.outbox.events.push_back(Event::Left { stream: session.stream, id, address, why, watchers, stats });
        if let Some(second) = session.tied.and_then(|id| self.sessions.slot(id)) {
            self.remove(second, why);
        }
        self.vacate(session.stream);
    }

    /// How often watchers report: 50 ms for few, a second for a thousand.
    pub(super) fn report_interval(&self) -> Duration {
        Duration::from_millis((50 + self.sessions.len() as u64).min(1_000))
    }

    /// The same of one whose path is estimated, which would be half blind with less: 50 ms up to two hundred.
    pub(super) fn report_interval_of(&self, slot: usize) -> Duration {
        let interval = self.report_interval();
        let governed = self.sessions.get(slot).is_some_and(|session| session.media.is_governed);
        let few = Duration::from_millis((self.sessions.len() as u64 / 4).max(50));
        if governed { interval.min(few) } else { interval }
    }

    /// Sound gives way where a path, or what is allowed, is small.
    pub(super) fn allow_sound(&mut self, slot: usize) {
        let Some(session) = self.sessions.get(slot).filter(|session| !session.is_second()) else { return };
        let most = self.streams[session.stream.index()].most(session);
        let rate = most.into_iter().chain(session.control().map(Control::rate)).min();
        self.sessions.allow_sound(slot, rate);
    }

    /// A watcher lacks these. What is known of them is sent again, as far as that is allowed; nothing else follows.
    pub(super) fn nack(&mut self, now: Time, from: Peer, id: u64, names: &[NackName]) {
        let slot = self.sessions.slot_of(from, id);
        let Some((slot, session)) = slot.and_then(|slot| Some((slot, self.sessions.get(slot)?))) else {
            self.totals.rejected += 1;
            return;
        };
        let key = session.stream.index();
        // At a connection nothing is lost.
        let beside = !session.pictures && session.sound.is_none() && !from.port.is_connections();
        let looks = session.media.may_ask_beside() && !self.streams[key].is_overloaded();
        let looked_for = if looks { names } else { &[] };
        let lent = if beside { self.lent_by_groups(key, looked_for) } else { Lent::default() };
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let stream = &mut self.streams[key];
        if stream.answer(now, slot, session, names, &lent) {
            session.media.heed_nack();
        } else {
            self.totals.rejected += 1;
        }
    }

    /// One probe for each class above the one in use.
    pub(super) fn probe(&mut self, slot: usize) {
        // Sound fits the smallest datagrams.
        let Some(session) = self.sessions.get(slot).filter(|session| session.is_for_pictures()) else { return };
        session.media.path.probes().for_each(|class| self.send_probe(slot, class));
    }

    fn send_probe(&mut self, slot: usize, class: SizeClass) {
        let mut body = Vec::with_capacity(class.datagram());
        Message::Probe { size: class.datagram() as u16 }.emit(&mut body);
        self.outbox.sequenced(slot, Kind::PROBE, body, &self.sessions);
    }

    /// Tells the time, if it is time for that, and which Want was obeyed last.
    pub(super) fn tell_clock(&mut self, now: Time, slot: usize) {
        let (interval, clock) = (self.report_interval_of(slot), CLOCK_INTERVAL.max(self.report_interval() / 2));
        let Some(session) = self.sessions.get_mut(slot).filter(|session| now >= session.next_clock) else { return };
        session.next_clock = now + clock;
        let mut tlvs = Vec::with_capacity(66);
        if let Some((echo, at)) = session.heard_stamp {
            let held = u32::try_from(now.since(at).as_micros()).unwrap_or(u32::MAX);
            ClockEcho { echo, held, clock: now.micros() }.put(&mut tlvs);
        }
        self.streams[session.stream.index()].in_force(now, session).put(&mut tlvs);
        let millis = interval.as_millis() as u16;
        let key = session.stream;
        tlv::put(&mut tlvs, tlv::kind::REPORT_INTERVAL, &millis.to_be_bytes());
        let (to, id) = (session.clock_route(now), session.id);
        tlv::put(&mut tlvs, tlv::kind::TOKEN, &self.tokens.token(now, id).to_be_bytes());
        let wanted = session.wanted().filter(|_| std::mem::take(&mut session.owes_wanted));
        if let Some(number) = wanted {
            tlv::put(&mut tlvs, tlv::kind::WANTED, &number.to_be_bytes());
        }
        let describe = session.describe_again;
        self.put_hops_of(key, &mut tlvs);
        self.outbox.say(to, Some(id), &Message::Update { number: 0, tlvs: Tlvs::trusted(&tlvs) });
        if describe {
            self.describe_to(slot);
        }
    }

    fn look_at_load(&mut self, now: Time) {
        self.streams.iter_mut().for_each(|stream| stream.look_at_load(now));
        let overloaded = self.streams.iter().any(Stream::is_overloaded);
        if std::mem::replace(&mut self.overloaded, overloaded) != overloaded {
            self.outbox.events.push_back(Event::Overload(overloaded));
        }
    }

    fn repeat_bye(&mut self, now: Time, slot: usize) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        let Some(leaving) = session.leaving.as_mut().filter(|l| l.byes < BYES && now >= l.next) else { return };
        leaving.byes += 1;
        leaving.next = now + BYE_REPEAT;
        let Session { id, stream, .. } = *session;
        let to = session.route();
        self.describe_to(slot);
        if let Some(goodbye) = self.streams[stream.index()].goodbye() {
            let (code, sentence) = (goodbye.code, goodbye.sentence.as_str());
            self.outbox.say(to, Some(id), &Message::Bye { session: id, code, sentence });
        }
    }

    /// Streams whose watchers have all taken their leave are over; when all are, the server is.
    fn finish(&mut self, now: Time) {
        for index in 0..self.streams.len() {
            if self.streams[index].has_left(now) {
                let members = self.streams[index].members().to_vec();
                members.into_iter().for_each(|slot| self.remove(slot, Gone::Ended));
                self.streams[index].finish(&mut self.outbox.events);
            }
        }
        let none =
            (self.streams.is_empty() || self.config.relay.is_some() || self.has_library()) && self.stopped.is_none();
        if !none && self.streams.iter().all(Stream::is_over) {
            self.finished = true;
            self.outbox.events.push_back(Event::Finished);
        }
    }
}

//! Looking after sessions: silence, unacknowledged updates, probes, clocks, goodbyes.

use std::time::Duration;

use super::session::{FIRST_REPORT, Gone, Leaving};
use super::{Event, Goodbye, Phase, SILENCE_LIMIT, Server, UPKEEP};
use crate::units::{MediaTime, Rate, Time};
use crate::wire::message::{ClockEcho, Message, State, Timeline};
use crate::wire::tlv::{self, Tlvs};
use crate::wire::{Kind, SizeClass};

/// Sessions were not looked after for so long: the program stood still.
const HALT: Duration = Duration::from_secs(1);
/// An unacknowledged update is repeated this often, but not before a report can have told of it.
const UPDATE_REPEAT: Duration = Duration::from_millis(100);
/// Each watcher hears from us this often even when there is nothing to show, and can set its clock by it. Less often
/// where watchers are many.
const CLOCK_INTERVAL: Duration = Duration::from_millis(250);
/// Goodbyes: five in half a second, and a second in all for the answers.
const BYES: u8 = 5;
const BYE_REPEAT: Duration = Duration::from_millis(100);
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

impl Server {
    pub(super) fn upkeep(&mut self, now: Time) {
        if now < self.next_upkeep || self.phase == Phase::Finished {
            return;
        }
        self.forgive_halt(now);
        let mut next = now + UPKEEP;
        for slot in 0..self.sessions.len() {
            if self.look_after(now, slot)
                && let Some(session) = self.sessions[slot].as_ref().filter(|session| !session.ready)
            {
                next = next.min(session.beginning.at + FIRST_REPORT);
            }
        }
        self.next_upkeep = next;
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
        for session in self.sessions.iter_mut().flatten() {
            session.heard = (session.heard + halt).min(now);
            session.next_clock = now;
        }
    }

    /// Returns false if the session is gone.
    fn look_after(&mut self, now: Time, slot: usize) -> bool {
        let interval = self.report_interval();
        let Some(session) = self.sessions[slot].as_mut() else { return false };
        if now.since(session.heard) > SILENCE_LIMIT {
            self.remove(slot, Gone::Silent);
            return false;
        }
        if !session.ready && now >= session.beginning.at + FIRST_REPORT {
            session.ready = true;
            self.catch_up(now, slot);
        }
        let Some(session) = self.sessions[slot].as_mut() else { return false };
        let small = session.wants_small_probe(now);
        // A lost probe leaves a gap that a watcher counts as lost pictures where some were left out. But where only the
        // smallest datagrams are used, larger ones may be what ends the overload.
        let probing = !self.overloaded || session.path.class() == SizeClass::ANY;
        let probes = if probing { session.path.due_probes(now) } else { Vec::new() };
        if let Some((number, tlvs)) = session.updates.pending.clone().filter(|_| now >= session.updates.next) {
            session.updates.next = now + UPDATE_REPEAT.max(interval);
            let (to, id) = (session.route(), session.id);
            self.say(to, Some(id), &Message::Update { number, tlvs: Tlvs::trusted(&tlvs) });
        }
        if small {
            self.send_probe(slot, SizeClass::ANY);
        }
        if self.sessions[slot].as_ref().is_some_and(|session| session.pictures) {
            probes.into_iter().for_each(|class| self.send_probe(slot, class));
        }
        self.tell_clock(now, slot);
        self.repeat_bye(now, slot);
        true
    }

    /// One probe for each class above the one in use.
    pub(super) fn probe(&mut self, slot: usize) {
        // Sound fits the smallest datagrams.
        let Some(session) = self.sessions[slot].as_ref().filter(|session| session.pictures) else { return };
        session.path.probes().for_each(|class| self.send_probe(slot, class));
    }

    fn send_probe(&mut self, slot: usize, class: SizeClass) {
        let mut body = Vec::with_capacity(class.datagram());
        Message::Probe { size: class.datagram() as u16 }.emit(&mut body);
        self.send_sequenced(slot, Kind::PROBE, body);
    }

    /// Queues the timeline as a numbered update, to be repeated until it is acknowledged.
    pub(super) fn tell_timeline(&mut self, slot: usize) {
        let Some(timeline) = self.timeline() else { return };
        let Some(session) = self.sessions[slot].as_mut() else { return };
        let mut tlvs = Vec::with_capacity(40);
        timeline.put(&mut tlvs);
        session.updates.count += 1;
        session.updates.pending = Some((session.updates.count, tlvs));
        session.updates.next = Time::ZERO;
        self.next_upkeep = Time::ZERO;
    }

    fn timeline(&self) -> Option<Timeline> {
        let (generation, clock) = match self.schedule {
            Some(schedule) => (schedule.generation(), schedule.start()),
            None => (1, self.live_zero?),
        };
        let speed = Rate::new(1, 1)?;
        Some(Timeline { generation, state: State::Playing, media: MediaTime::ZERO, clock, speed })
    }

    fn tell_clock(&mut self, now: Time, slot: usize) {
        let (interval, clock) = (self.report_interval(), CLOCK_INTERVAL.max(self.report_interval() / 2));
        let Some(session) = self.sessions[slot].as_mut().filter(|session| now >= session.next_clock) else { return };
        session.next_clock = now + clock;
        let mut tlvs = Vec::with_capacity(32);
        if let Some((echo, at)) = session.heard_stamp {
            let held = u32::try_from(now.since(at).as_micros()).unwrap_or(u32::MAX);
            ClockEcho { echo, held, clock: now.micros() }.put(&mut tlvs);
        }
        let millis = interval.as_millis() as u16;
        tlv::put(&mut tlvs, tlv::kind::REPORT_INTERVAL, &millis.to_be_bytes());
        let (to, id) = (session.route(), session.id);
        tlv::put(&mut tlvs, tlv::kind::TOKEN, &self.tokens.token(now, id).to_be_bytes());
        self.say(to, Some(id), &Message::Update { number: 0, tlvs: Tlvs::trusted(&tlvs) });
    }

    fn look_at_load(&mut self, now: Time) {
        if let Some(overloaded) = self.load.turn(now, self.overloaded, self.turns.is_handing_out()) {
            self.overloaded = overloaded;
            self.events.push_back(Event::Overload(overloaded));
        }
    }

    pub(super) fn begin_leaving(&mut self, now: Time, goodbye: Goodbye) {
        if matches!(self.phase, Phase::Leaving { .. } | Phase::Finished) {
            return;
        }
        // No picture and no sound comes after a goodbye.
        (self.next, self.departing) = (None, None);
        self.turns.stop();
        self.sound.stop();
        self.goodbye = goodbye;
        self.phase = Phase::Leaving { until: now + LEAVE_LIMIT };
        for session in self.sessions.iter_mut().flatten() {
            session.sending = None;
            session.leaving = Some(Leaving { byes: 0, next: now });
        }
        self.next_upkeep = now;
    }

    fn repeat_bye(&mut self, now: Time, slot: usize) {
        let Some(session) = self.sessions[slot].as_mut() else { return };
        let Some(leaving) = session.leaving.as_mut().filter(|l| l.byes < BYES && now >= l.next) else { return };
        leaving.byes += 1;
        leaving.next = now + BYE_REPEAT;
        let (to, id) = (session.route(), session.id);
        self.describe(slot);
        let Goodbye { code, sentence } = self.goodbye.clone();
        self.say(to, Some(id), &Message::Bye { session: id, code, sentence: &sentence });
    }

    fn finish(&mut self, now: Time) {
        let Phase::Leaving { until } = self.phase else { return };
        if self.by_id.is_empty() || now >= until {
            for slot in 0..self.sessions.len() {
                self.remove(slot, Gone::Ended);
            }
            self.phase = Phase::Finished;
            self.events.push_back(Event::Finished);
        }
    }
}

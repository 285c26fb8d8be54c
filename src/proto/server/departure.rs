//! Departure: the moment at which a picture is handed to every watcher's queue, and the sending itself. A picture that
//! waits for its moment is cut before it comes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Departing, Event, Goodbye, Next, Phase, Queued, Server};
use crate::media::coded::{CodedPicture, CutPicture};
use crate::proto::pace::Pace;
use crate::proto::schedule::Schedule;
use crate::proto::{SendFailure, Transmit};
use crate::units::{MediaTime, Time};
use crate::wire::message::bye;
use crate::wire::{HOP_LEN, Kind, SizeClass};

/// Watchers that are given their share of a picture together.
const AT_ONCE: usize = 16;
/// So long after it has joined, the first watcher is waited for until all it has asked for can be sent.
const ALL_LANES: Duration = Duration::from_millis(250);

impl Server {
    /// Starts the clock when it is time: the first watcher is ready and the first picture is there.
    pub(super) fn begin(&mut self, now: Time) {
        if self.config.description.live || self.schedule.is_some() || self.phase != Phase::Running {
            return;
        }
        if self.is_awaited(now) || self.config.no_wait {
            // The first picture held is the first shown, whatever its number.
            let skip = self.next.as_ref().map_or(0, |next| u64::from(next.picture.unit.0));
            self.start(Schedule::new(now - self.config.description.rate.at(skip), self.config.description.rate));
            self.events.push_back(Event::Started(now));
        }
    }

    /// Whether somebody is ready for what is there: his pictures, his sound, or both if he has asked for both.
    fn is_awaited(&self, now: Time) -> bool {
        let sound = self.sound.is_there();
        self.sessions.iter().flatten().filter(|session| session.ready).any(|session| {
            let patient = now < session.joined + ALL_LANES;
            let silent = !sound && (session.sound.is_some() || session.expects_sound);
            let lane = session.expects_sound && !self.is_tied_and_ready(session);
            let something = if session.pictures { self.next.is_some() } else { sound };
            something && !(patient && (silent || lane))
        })
    }

    fn start(&mut self, schedule: Schedule) {
        self.schedule = Some(schedule);
        (0..self.sessions.len()).for_each(|slot| self.tell_timeline(slot));
    }

    /// Takes a picture in hand. Cutting it now keeps the moment of departure free for sending.
    pub(super) fn take(&mut self, picture: CodedPicture) {
        let mut cuts = BTreeMap::new();
        for session in self.sessions.iter().flatten().filter(|session| session.pictures) {
            cuts.entry(self.class_of(session)).or_insert_with_key(|class| self.cut(&picture, *class, Time::ZERO));
        }
        self.smallest = cuts.keys().next().copied().unwrap_or(SizeClass::ANY);
        self.next = Some(Next { picture, cuts });
    }

    fn cut(&self, picture: &CodedPicture, class: SizeClass, at: Time) -> Option<(Arc<CutPicture>, Pace)> {
        let cut = picture.cut(self.stream, class).ok()?;
        let interval = self.config.description.rate.interval();
        let pace = Pace::new(at, cut.total() + cut.parts() * HOP_LEN, class, interval);
        Some((Arc::new(cut), pace))
    }

    /// When the picture in hand leaves; `None` while the clock does not run.
    pub(super) fn departure_of(&self, picture: &CodedPicture) -> Option<Time> {
        if self.config.description.live {
            return Some(Time::ZERO);
        }
        self.schedule.map(|schedule| schedule.departure(picture.unit))
    }

    /// Sends the picture in hand on its way if its moment has come.
    pub(super) fn depart(&mut self, now: Time) {
        let due = self.next.as_ref().and_then(|next| self.departure_of(&next.picture));
        let Some(Next { picture, cuts }) = due.filter(|due| *due <= now).and_then(|_| self.next.take()) else {
            return self.end(now);
        };
        // Whoever has not had his turn with the picture before loses it here.
        while self.hand_out() {}
        self.units = self.units.max(picture.unit.0.saturating_add(1));
        let due = self.note_departure(now, &picture);
        self.totals.pictures += 1;
        self.events.push_back(Event::Departed { unit: picture.unit, due, at: now, stamps: picture.stamps });
        self.departing = Some(Departing { picture, cuts, at: now, slot: 0 });
    }

    /// Returns when the picture should have left.
    fn note_departure(&mut self, now: Time, picture: &CodedPicture) -> Time {
        let Some(schedule) = self.schedule.as_mut() else {
            self.set_live_zero(picture.stamps.captured, picture.media_time);
            return now;
        };
        let due = schedule.due(picture.unit);
        if schedule.depart(picture.unit, now) {
            self.events.push_back(Event::Stalled(now.since(due)));
            (0..self.sessions.len()).for_each(|slot| self.tell_timeline(slot));
        }
        due
    }

    /// The first that leaves of a live stream says when its zero was.
    pub(super) fn set_live_zero(&mut self, captured: Time, media_time: MediaTime) {
        if self.config.description.live && self.live_zero.is_none() {
            self.live_zero = Some(captured.offset(-media_time.micros() * 1_000));
            (0..self.sessions.len()).for_each(|slot| self.tell_timeline(slot));
        }
    }

    /// Gives the next few watchers their share of the departing picture, not all at once: what is touched here is still
    /// in the processor's cache when it is sent. False if there is none left.
    fn hand_out(&mut self) -> bool {
        let Some(mut departing) = self.departing.take() else { return false };
        let until = self.sessions.len().min(departing.slot + AT_ONCE);
        while departing.slot < until {
            self.hand_to(&mut departing);
            departing.slot += 1;
        }
        if until < self.sessions.len() {
            self.departing = Some(departing);
        } else if departing.cuts.values().any(Option::is_none) {
            self.events.push_back(Event::Skipped(departing.picture.unit));
        }
        true
    }

    /// One watcher's share; cut now if its class has only just come into use.
    fn hand_to(&mut self, departing: &mut Departing) {
        let Departing { picture, cuts, at, slot } = departing;
        let Some(session) = self.sessions[*slot].as_ref().filter(|s| s.ready && s.pictures) else { return };
        let class = self.class_of(session);
        let cut = cuts.entry(class).or_insert_with(|| self.cut(picture, class, *at));
        let (Some((cut, pace)), Some(session)) = (cut, self.sessions[*slot].as_mut()) else {
            self.fresh += 1;
            return;
        };
        let queued = session.sending.is_some();
        self.fresh += u64::from(queued);
        session.start(Arc::clone(cut), pace.from(*at));
        if queued {
            self.paced.retain(|(_, other)| other != slot);
            self.ready.retain(|other| other != slot);
        }
        self.ready.push_back(*slot);
    }

    /// The next media datagram that may leave now, watchers in turn.
    pub(super) fn media(&mut self, now: Time) -> Option<Transmit> {
        while let Some(&(at, slot)) = self.paced.first().filter(|(at, _)| *at <= now) {
            self.paced.remove(&(at, slot));
            self.ready.push_back(slot);
        }
        while let Some(slot) = self.next_ready() {
            let Some(session) = self.sessions[slot].as_mut() else { continue };
            let Some(sending) = session.sending.as_mut() else { continue };
            let release = sending.pace.release(sending.sent);
            if release > now {
                self.paced.insert((release, slot));
                continue;
            }
            let Some(body) = sending.picture.object(sending.part) else { continue };
            sending.part += 1;
            sending.sent += HOP_LEN + body.len();
            if sending.part == sending.picture.parts() {
                session.sending = None;
            } else {
                self.ready.push_back(slot);
            }
            self.stamped = Some(session.id);
            return Some(session.transmit(now, Kind::OBJECT, body));
        }
        None
    }

    fn next_ready(&mut self) -> Option<usize> {
        loop {
            let ready = self.ready.pop_front();
            if ready.is_some() || !self.hand_out() {
                return ready;
            }
        }
    }

    /// The next datagram that is no media. What is sequenced gets its number only now, so that the numbers are those
    /// of what left, in the order in which it left.
    pub(super) fn queued(&mut self, now: Time) -> Option<Transmit> {
        while let Some(queued) = self.out.pop_front() {
            let (id, kind, body) = match queued {
                Queued::Message(transmit) => return Some(transmit),
                Queued::Sequenced { session, kind, body } => (session, kind, body),
            };
            let slot = self.by_id.get(&id).copied();
            // Whoever has gone in the meantime gets nothing.
            if let Some(session) = slot.and_then(|slot| self.sessions[slot].as_mut()) {
                self.stamped = Some(id);
                return Some(session.transmit(now, kind, body));
            }
        }
        None
    }

    /// The datagram handed out last did not leave. A number that it took is free again.
    pub(super) fn not_sent(&mut self, to: SocketAddr, failure: SendFailure) {
        self.totals.send_errors += 1;
        let slot = self.stamped.take().and_then(|id| self.by_id.get(&id).copied());
        let session = slot.and_then(|slot| self.sessions[slot].as_mut());
        let Some(session) = session.filter(|session| session.peer.address == to) else { return };
        self.fresh += 1;
        if failure == SendFailure::TooLarge
            && let Some(bytes) = session.unstamp()
        {
            session.too_large(bytes);
        }
    }

    /// After the last picture has had its time on the screen: goodbye.
    fn end(&mut self, now: Time) {
        if self.phase == Phase::Running && self.ended && self.next.is_none() && self.sound.is_over() {
            let goodbye = Goodbye { code: bye::ENDED, sentence: "The stream is over.".to_owned() };
            self.phase = Phase::Ending(goodbye);
        }
        let busy = self.departing.is_some() || !self.ready.is_empty() || !self.paced.is_empty();
        if let Phase::Ending(goodbye) = &self.phase
            && !busy
        {
            let goodbye = goodbye.clone();
            self.begin_leaving(now, goodbye);
        }
    }
}

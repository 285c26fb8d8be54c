//! Departure: the moment at which a picture is offered to every watcher of the stream, and the sending itself. A picture that
//! waits for its moment is cut before it comes.
//!
//! Watchers get their pictures in turns. What is begun is sent to its end. A picture waits a moment until all have been sent
//! the one before: a machine that halted makes that good without a loss. A server that has more to send than it can does
//! not wait: then those who still lack the picture before are sent the newer one instead, and first of all, so each
//! watcher gets the same share of whole pictures, and always the newest.

use std::time::Duration;

use super::adapt::bits_of;
use super::load::Departure;
use super::offer::{Content, Offer};
use super::{Events, Phase, Stream};
use crate::media::coded::{CutPicture, Object};
use crate::proto::Transmit;
use crate::proto::schedule::Schedule;
use crate::proto::sender::{Cargo, Leaving, Part};
use crate::proto::server::Event;
use crate::proto::session::{Session, Sessions};
use crate::units::{MediaTime, Time, Unit};
use crate::wire::{HOP_LEN, SizeClass};

/// A picture waits no longer than this for those who still lack the one before.
const PATIENCE: Duration = Duration::from_millis(500);
/// A picture that is shown for less is not sent to those who came after it: the next one is there as soon.
const WORTH_SENDING: Duration = Duration::from_millis(100);
/// Watchers that are given their share of a picture together.
const AT_ONCE: usize = 16;
/// So long after it has joined, the first watcher is waited for until all it has asked for can be sent.
pub const ALL_ASKED_FOR: Duration = Duration::from_millis(250);

/// A picture that has left, and who is still to get it.
pub struct Departing {
    offer: Offer,
    at: Time,
    /// Counted from 1.
    departure: u64,
    /// Whether all who had their turn could be sent it.
    cuttable: bool,
}

impl Departing {
    /// How long it is to be seen.
    pub fn lasts(&self) -> Duration {
        self.offer.lasts()
    }
}

impl Stream {
    /// Starts the clock when it is time: the first watcher is ready and the first picture is there.
    pub fn begin(&mut self, now: Time, sessions: &mut Sessions, events: &mut Events) {
        if self.is_prompt() || self.schedule.is_some() || self.phase != Phase::Running {
            return;
        }
        if self.config.no_wait || now >= self.unawaited_until && self.is_awaited(now, sessions) {
            // Where a film begins with sound, its first picture has its moment later. Where its first pictures are left
            // out, the first that is held is shown at once.
            let first = self.next.as_ref().filter(|next| next.unit() != Unit(0));
            let skip = first.map_or(MediaTime::ZERO, Offer::media_time);
            let (rate, speed) = (self.config.description.rate, self.speed());
            self.schedule = Some(match self.on_demand() {
                Some(_) => Schedule::from(self.first_moment(), now, speed, rate),
                None => Schedule::new(now.offset(-skip.micros().saturating_mul(1_000)), rate),
            });
            if self.stands()
                && let Some(schedule) = &mut self.schedule
            {
                let (first, _) = schedule.beginning();
                schedule.hold(first);
            }
            self.tell_timeline_to_all(sessions);
            events.push_back(Event::Started { stream: self.key, at: now });
        }
    }

    /// The first moment that is there to be played: of its pictures, or of sound that is due before those.
    fn first_moment(&self) -> MediaTime {
        let picture = self.next.as_ref().map(Offer::media_time);
        let sound = self.sound.first_moment().filter(|_| !self.stands());
        // Where only one of them is left the other has ended.
        [picture, sound].into_iter().flatten().min().unwrap_or_default()
    }

    /// Whether a watcher is ready for what is there: its pictures, its sound, or both if it has asked for both.
    /// If none is, it says itself when to ask again.
    fn is_awaited(&mut self, now: Time, sessions: &Sessions) -> bool {
        let sound = self.sound.is_there();
        // The sound of one that watches is no watcher of its own.
        let members = self.members.iter().filter_map(|slot| sessions.get(*slot));
        let (mut next, stands) = (Time::NEVER, self.stands());
        let ready = |session: &&Session| session.ready && !session.is_second() && session.spot.untold.is_none();
        let awaited = members.filter(ready).any(|session| {
            if stands {
                return self.next.is_some();
            }
            let patience = self.told_since(session) + ALL_ASKED_FOR;
            let patient = now < patience;
            if patient {
                next = next.min(patience);
            }
            let silent = !sound && (session.sound.is_some() || session.expects_sound);
            let second = session.expects_sound && !sessions.is_tied_and_ready(session);
            let hears = session.sound.is_some() || session.expects_sound && !second;
            let something = if session.pictures { self.next.is_some() } else { sound && hears };
            something && !(patient && (silent || second))
        });
        self.unawaited_until = next;
        awaited
    }

    /// Something has changed that may start the clock: a watcher, what it wants, or what is there.
    pub const fn look_again(&mut self) {
        self.is_to_be_reconsidered();
        self.unawaited_until = Time::ZERO;
    }

    /// Takes a picture in hand. Cutting it now keeps the moment of departure free for sending.
    pub(super) fn take(&mut self, now: Time, picture: Content, sessions: &Sessions) {
        let mut offer = Offer::new(now, picture, self.body.clone());
        // Only a live picture is ever shown again; of one that comes from elsewhere nothing is known.
        self.body = offer.body().cloned().filter(|_| self.config.description.live || self.passing.is_some());
        let interval = self.interval_of(&offer);
        let mut smallest = None::<SizeClass>;
        for session in self.turns.all().filter_map(|slot| sessions.get(slot)) {
            let cut = offer.cut_for(session);
            smallest = Some(smallest.map_or(cut.class, |smallest| smallest.min(cut.class)));
            offer.cut(self.id, cut, interval);
        }
        self.smallest = smallest.unwrap_or(SizeClass::ANY);
        self.adapting.came(&offer, &self.config.description);
        self.is_to_be_reconsidered();
        self.reconsider(sessions, true);
        self.next = Some(offer);
    }

    /// The time in which a picture should be sent.
    fn interval_of(&self, offer: &Offer) -> Duration {
        let lasts = offer.lasts().min(self.config.description.rate.interval());
        self.schedule.map_or(lasts, |schedule| schedule.lasts(lasts))
    }

    /// When the picture in hand leaves; `None` while there is none, or the clock does not run.
    pub fn departure_at(&self) -> Option<Time> {
        let next = self.next.as_ref()?;
        if self.is_prompt() {
            return Some(next.at);
        }
        self.schedule.map(|schedule| schedule.departure(next.media_time()))
    }

    /// Sends the picture in hand on its way if its moment has come. `busy` is all the time that the server has spent with
    /// sending so far.
    pub fn depart(&mut self, now: Time, busy: Duration, sessions: &mut Sessions, events: &mut Events) {
        let due = self.departure_at().filter(|due| *due <= now);
        let waits = due.is_some_and(|due| now.since(due) < PATIENCE) && !self.overloaded && self.turns.is_handing_out();
        let Some(mut offer) = due.and_then(|_| self.next.take()) else { return self.end(now, sessions) };
        if waits {
            offer.waited = true;
            self.next = Some(offer);
            return;
        }
        let due = self.schedule.map_or(offer.at, |schedule| schedule.due(offer.media_time()));
        let (watchers, missed) = self.reached(now, sessions);
        let late = if self.is_prompt() { now.since(offer.at) } else { now.since(due) };
        self.load.departed(Departure { at: now, watchers, missed, waited: offer.waited, late, busy });
        self.units = self.units.max(offer.unit().0.saturating_add(1));
        let due = self.note_departure(now, &offer, sessions, events);
        self.totals.pictures += 1;
        events.push_back(Event::Departed {
            stream: self.key,
            rendition: offer.rendition(),
            unit: offer.unit(),
            span: offer.span(),
            due,
            at: now,
            stamps: offer.stamps(),
        });
        self.turns.begin();
        let departure = self.totals.pictures;
        self.departing = Some(Departing { offer, at: now, departure, cuttable: true });
    }

    /// How many are sent pictures, and how many of them have not been sent the last one.
    fn reached(&self, now: Time, sessions: &Sessions) -> (usize, usize) {
        let before = self.totals.pictures;
        let session = |slot: usize| sessions.get(slot).filter(|session| session.ready);
        let (unoffered, offered) = self.turns.unoffered_and_offered();
        let (unoffered, offered) = (unoffered.filter_map(session).count(), offered.filter_map(session));
        // One whose own path holds it back is not behind because of this machine.
        let is_served = |session: &Session| session.missed(before) == 0 || session.is_held_by_path(now);
        let (served, behind) =
            offered.fold(
                (0, 0),
                |(served, behind), session| {
                    if is_served(session) { (served + 1, behind) } else { (served, behind + 1) }
                },
            );
        (unoffered + served + behind, unoffered + behind)
    }

    /// Returns when the picture should have left.
    fn note_departure(&mut self, now: Time, offer: &Offer, sessions: &mut Sessions, events: &mut Events) -> Time {
        let Some(schedule) = self.schedule.as_mut() else {
            if offer.passed().is_some() {
                self.note_age(now, offer.media_time());
                return offer.at;
            }
            self.set_live_zero(offer.stamps().captured, offer.media_time(), sessions);
            return now;
        };
        let due = schedule.due(offer.media_time());
        if schedule.depart(offer.media_time(), now) {
            events.push_back(Event::Stalled { stream: self.key, by: now.since(due) });
            self.tell_timeline_to_all(sessions);
        }
        due
    }

    /// The first that leaves of a live stream says when its zero was.
    pub(super) fn set_live_zero(&mut self, captured: Time, media_time: MediaTime, sessions: &mut Sessions) {
        if self.config.description.live && self.passed_timeline().is_none() && self.live_zero.is_none() {
            self.live_zero = Some(captured.offset(-media_time.micros() * 1_000));
            self.tell_timeline_to_all(sessions);
        }
    }

    /// A watcher is ready. A film's picture that stands for long is given to one that has come since it departed.
    pub fn catch_up(&mut self, now: Time, slot: usize) {
        self.look_again();
        // A picture from elsewhere may stand for as long as it likes.
        let passed = self.passing.is_some() && self.departing.is_some();
        if passed || self.schedule.is_some() && self.stands_until().is_some_and(|until| until > now + WORTH_SENDING) {
            self.turns.is_late(slot);
        }
    }

    /// How long the picture that departed last is the one to be seen, as far as is known.
    pub(super) fn stands_until(&self) -> Option<Time> {
        let departing = self.departing.as_ref()?;
        let offer = &departing.offer;
        // Of a live stream the next one may take a moment longer to come.
        let stands = self.stands() || self.is_at_its_end();
        let until = |schedule: Schedule| match stands {
            true => Time::NEVER,
            false => schedule.due(offer.media_time()) + schedule.lasts(offer.lasts()),
        };
        Some(self.schedule.map_or(departing.at + 2 * offer.lasts(), until))
    }

    /// Gives the next few watchers their share of the departing picture, not all at once: what is touched here is still
    /// in the processor's cache when it is sent. False if there is none left.
    fn hand_out(&mut self, now: Time, sessions: &mut Sessions, events: &mut Events) -> bool {
        let Some(mut departing) = self.departing.take() else { return false };
        let mut given = 0;
        while given < AT_ONCE {
            let Some(slot) = self.turns.offer() else { break };
            given += 1;
            self.hand_to(now, &mut departing, slot, sessions);
        }
        if self.turns.are_over() && !std::mem::replace(&mut departing.cuttable, true) {
            events.push_back(Event::Skipped { stream: self.key, unit: departing.offer.unit() });
        }
        self.departing = Some(departing);
        given > 0
    }

    /// One watcher's share; cut now if its class has only just come into use.
    fn hand_to(&mut self, now: Time, departing: &mut Departing, slot: usize, sessions: &mut Sessions) {
        let interval = self.interval_of(&departing.offer);
        let Departing { offer, at, departure, .. } = departing;
        let Some(session) = sessions.get_mut(slot).filter(|session| session.may_start(*departure)) else {
            return;
        };
        let (lasts, most) = (self.budgeted(interval), self.most(session));
        let made = (offer.stamps().encoding, offer.bits().unwrap_or_default());
        if session.leaves_out(now, made, lasts, most) {
            session.skip(*departure);
            return;
        }
        let key = offer.cut_for(session);
        let Some((cut, pace)) = offer.cut(self.id, key, interval) else {
            if offer.passed().is_some() {
                // The one above is told to cut smaller.
                session.skip(*departure);
                session.unfit = Some(*departure);
                return;
            }
            // The encoder makes one that everybody can be sent.
            self.fresh += 1;
            departing.cuttable = false;
            return;
        };
        let missed = session.depart(*departure);
        let count = session.media.symbols(now, interval, cut.parts());
        let scheme = session.media.protection.scheme().filter(|_| !self.overloaded || session.is_group());
        let symbols = scheme.map_or_else(Vec::new, |scheme| offer.symbols(key, scheme, count));
        session.takes(bits_of(cut.total(), cut.parts()), lasts, most);
        // One that comes late to a picture that stands is paced from now: its time for sending has passed.
        let start = if now.since(*at) > interval { now } else { *at };
        let queued = session.media.has_more();
        let body = offer.body_of(key);
        let bytes = || on_wire(&cut, &symbols);
        let pace = session.group.as_ref().map_or(pace.from(start), |group| group.pace(start, bytes(), interval));
        if body.is_some() {
            session.note_body(now);
        }
        session.media.begin(now, Leaving { picture: cut, symbols, pace, body }, missed);
        if !queued {
            self.turns.is_ready(slot);
        }
    }

    /// The next datagram of a picture that may leave now, watchers in turn.
    pub(super) fn media(&mut self, now: Time, sessions: &mut Sessions, events: &mut Events) -> Option<Transmit> {
        self.turns.release(now);
        while let Some(slot) = self.next_ready(now, sessions, events) {
            let Some(session) = sessions.get_mut(slot) else { continue };
            let (transmit, last, more) = match session.media.next_part(now) {
                Part::Nothing => continue,
                Part::Paced(at) => {
                    self.turns.is_paced(at, slot);
                    continue;
                }
                Part::Sent { transmit, last, more } => (transmit, last, more),
            };
            if more {
                self.turns.is_ready(slot);
            }
            if last && session.pictures && session.missed(self.totals.pictures) > 0 {
                self.turns.is_late(slot);
            }
            let id = session.id;
            sessions.note_stamped(Some(id));
            // Of a session for sound alone only what is sent again comes here.
            sessions.tell_sent(now, slot, Cargo::Repair, transmit.len());
            return Some(transmit);
        }
        None
    }

    fn next_ready(&mut self, now: Time, sessions: &mut Sessions, events: &mut Events) -> Option<usize> {
        loop {
            let ready = self.turns.next_ready();
            if ready.is_some() || !self.hand_out(now, sessions, events) {
                return ready;
            }
        }
    }
}

/// Bytes of UDP payload of a picture and what protects it.
fn on_wire(cut: &CutPicture, symbols: &[Object]) -> usize {
    let parity: usize = symbols.iter().map(Object::len).sum();
    cut.total() + parity + (cut.parts() + symbols.len()) * HOP_LEN
}

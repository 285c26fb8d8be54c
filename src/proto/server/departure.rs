//! Departure: the moment at which a picture is offered to every watcher, and the sending itself. A picture that waits for
//! its moment is cut before it comes.
//!
//! Watchers get their pictures in turns. What is begun is sent to its end. A picture waits a moment until all have been sent
//! the one before: a machine that halted makes that good without a loss. A server that has more to send than it can does
//! not wait: then those who still lack the picture before are sent the newer one instead, and first of all, so each
//! watcher gets the same share of whole pictures, and always the newest.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::history::What;
use super::load::Departure;
use super::session::{Session, Share};
use super::{Departing, Event, Goodbye, Phase, Queued, Server};
use crate::media::coded::{CodedPicture, CutPicture};
use crate::proto::pace::Pace;
use crate::proto::schedule::Schedule;
use crate::proto::{SendFailure, Transmit, hop};
use crate::units::{MediaTime, Span, Time, Unit};
use crate::wire::message::bye;
use crate::wire::{HOP_LEN, Kind, SizeClass};

/// A picture waits no longer than this for those who still lack the one before.
const PATIENCE: Duration = Duration::from_millis(500);
/// A picture that is shown for less is not sent to those who came after it: the next one is there as soon.
const WORTH_SENDING: Duration = Duration::from_millis(100);
/// Watchers that are given their share of a picture together.
const AT_ONCE: usize = 16;
/// So long after it has joined, the first watcher is waited for until all it has asked for can be sent.
const ALL_LANES: Duration = Duration::from_millis(250);

/// A picture for everybody, and its cuts.
pub struct Offer {
    pub picture: Arc<CodedPicture>,
    /// What it shows: itself, or, if it is the word that nothing has changed, what was shown last.
    body: Option<Arc<CodedPicture>>,
    cuts: BTreeMap<Key, Option<(Arc<CutPicture>, Pace)>>,
    /// When it came.
    at: Time,
    /// Its moment has come, but not everybody had been sent the one before.
    waited: bool,
}

/// What a watcher is sent of a picture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    class: SizeClass,
    /// With its body, or only the word that nothing has changed.
    body: bool,
}

impl Offer {
    fn key_for(&self, session: &Session) -> Key {
        let lacks = |body: &Arc<CodedPicture>| !self.picture.is_same() || session.lacks(body.unit);
        Key { class: session.path.class(), body: self.body.as_ref().is_some_and(lacks) }
    }

    /// Cut so, and how fast that may leave; `None`: it cannot be cut so.
    fn cut(&mut self, stream: u64, key: Key, interval: Duration) -> Option<(Arc<CutPicture>, Pace)> {
        let Self { picture, body, cuts, .. } = self;
        let cut = cuts.entry(key).or_insert_with(|| {
            let shown = body.as_ref().filter(|_| key.body).unwrap_or(picture);
            let cut = shown.cut_as(stream, key.class, picture.unit, picture.media_time).ok()?;
            let bytes = cut.total() + cut.parts() * HOP_LEN;
            Some((Arc::new(cut), Pace::new(Time::ZERO, bytes, key.class, interval)))
        });
        cut.clone()
    }
}

impl Server {
    /// Starts the clock when it is time: the first watcher is ready and the first picture is there.
    pub(super) fn begin(&mut self, now: Time) {
        if self.config.description.live || self.schedule.is_some() || self.phase != Phase::Running {
            return;
        }
        if self.is_awaited(now) || self.config.no_wait {
            // Where a film begins with sound, its first picture has its moment later. Where its first pictures are left
            // out, the first that is held is shown at once.
            let first = self.next.as_ref().map(|next| &next.picture).filter(|picture| picture.unit != Unit(0));
            let skip = first.map_or(MediaTime::ZERO, |picture| picture.media_time);
            let start = now.offset(-skip.micros().saturating_mul(1_000));
            self.start(Schedule::new(start, self.config.description.rate));
            self.events.push_back(Event::Started(now));
        }
    }

    /// Whether a watcher is ready for what is there: its pictures, its sound, or both if it has asked for both.
    fn is_awaited(&self, now: Time) -> bool {
        let sound = self.sound.is_there();
        // The sound of one that watches is no watcher of its own.
        let mut watchers = self.sessions.iter().flatten().filter(|session| session.ready && !session.is_second());
        watchers.any(|session| {
            let patient = now < session.beginning.at + ALL_LANES;
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
    pub(super) fn take(&mut self, now: Time, picture: CodedPicture) {
        let picture = Arc::new(picture);
        let body = if picture.is_same() { self.body.clone() } else { Some(Arc::clone(&picture)) };
        // Only a live picture is ever shown again.
        self.body = body.clone().filter(|_| self.config.description.live);
        let mut offer = Offer { picture, body, cuts: BTreeMap::new(), at: now, waited: false };
        let interval = self.interval_of(&offer);
        let mut smallest = None::<SizeClass>;
        for session in self.sessions.iter().flatten().filter(|session| session.pictures) {
            let class = session.path.class();
            smallest = Some(smallest.map_or(class, |smallest| smallest.min(class)));
            offer.cut(self.stream, offer.key_for(session), interval);
        }
        self.smallest = smallest.unwrap_or(SizeClass::ANY);
        self.next = Some(offer);
    }

    /// The time in which a picture should be sent.
    fn interval_of(&self, offer: &Offer) -> Duration {
        offer.picture.lasts.min(self.config.description.rate.interval())
    }

    /// When the picture in hand leaves; `None` while the clock does not run.
    pub(super) fn departure_of(&self, offer: &Offer) -> Option<Time> {
        if self.config.description.live {
            return Some(offer.at);
        }
        self.schedule.map(|schedule| schedule.departure(offer.picture.media_time))
    }

    /// Sends the picture in hand on its way if its moment has come.
    pub(super) fn depart(&mut self, now: Time) {
        let due = self.next.as_ref().and_then(|next| self.departure_of(next)).filter(|due| *due <= now);
        let waits = due.is_some_and(|due| now.since(due) < PATIENCE) && !self.overloaded && self.turns.is_handing_out();
        let Some(mut offer) = due.and_then(|_| self.next.take()) else { return self.end(now) };
        if waits {
            offer.waited = true;
            self.next = Some(offer);
            return;
        }
        let due = self.schedule.map_or(offer.at, |schedule| schedule.due(offer.picture.media_time));
        let (watchers, missed) = self.reached();
        self.load.departed(Departure { at: now, watchers, missed, waited: offer.waited, late: now.since(due) });
        let picture = Arc::clone(&offer.picture);
        self.units = self.units.max(picture.unit.0.saturating_add(1));
        let due = self.note_departure(now, &picture);
        self.totals.pictures += 1;
        self.events.push_back(Event::Departed {
            unit: picture.unit,
            span: Span { at: picture.media_time, lasts: picture.lasts },
            due,
            at: now,
            stamps: picture.stamps,
        });
        self.turns.begin();
        let departure = self.totals.pictures;
        self.departing = Some(Departing { offer, at: now, departure, cuttable: true });
    }

    /// When the pictures have come to their end, their last one's time on the screen included; `None` while more may come.
    pub(super) fn over_at(&self) -> Option<Time> {
        let end = self.ended?;
        Some(end.zip(self.schedule).map_or(Time::ZERO, |(end, schedule)| schedule.due(end)))
    }

    /// How many are sent pictures, and how many of them have not been sent the last one.
    fn reached(&self) -> (usize, usize) {
        let before = self.totals.pictures;
        let session = |slot: usize| self.sessions[slot].as_ref().filter(|session| session.ready);
        let (unoffered, offered) = self.turns.unoffered_and_offered();
        let (unoffered, offered) = (unoffered.filter_map(session).count(), offered.filter_map(session));
        let (served, behind) =
            offered.fold(
                (0, 0),
                |(served, behind), session| {
                    if session.missed(before) == 0 { (served + 1, behind) } else { (served, behind + 1) }
                },
            );
        (unoffered + served + behind, unoffered + behind)
    }

    /// Returns when the picture should have left.
    fn note_departure(&mut self, now: Time, picture: &CodedPicture) -> Time {
        let Some(schedule) = self.schedule.as_mut() else {
            self.set_live_zero(picture.stamps.captured, picture.media_time);
            return now;
        };
        let due = schedule.due(picture.media_time);
        if schedule.depart(picture.media_time, now) {
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

    /// A film's picture that stands for long is given to a watcher that has come since it departed.
    pub(super) fn catch_up(&mut self, now: Time, slot: usize) {
        let Some((schedule, departing)) = self.schedule.zip(self.departing.as_ref()) else { return };
        let picture = &departing.offer.picture;
        if schedule.due(picture.media_time) + picture.lasts > now + WORTH_SENDING {
            self.turns.is_late(slot);
        }
    }

    /// Gives the next few watchers their share of the departing picture, not all at once: what is touched here is still
    /// in the processor's cache when it is sent. False if there is none left.
    fn hand_out(&mut self) -> bool {
        let Some(mut departing) = self.departing.take() else { return false };
        let mut given = 0;
        while given < AT_ONCE {
            let Some(slot) = self.turns.offer() else { break };
            given += 1;
            self.hand_to(&mut departing, slot);
        }
        if self.turns.are_over() && !std::mem::replace(&mut departing.cuttable, true) {
            self.events.push_back(Event::Skipped(departing.offer.picture.unit));
        }
        self.departing = Some(departing);
        given > 0
    }

    /// One watcher's share; cut now if its class has only just come into use.
    fn hand_to(&mut self, departing: &mut Departing, slot: usize) {
        let interval = self.interval_of(&departing.offer);
        let Departing { offer, at, departure, .. } = departing;
        let Some(session) = self.sessions[slot].as_mut().filter(|session| session.may_start(*departure)) else {
            return;
        };
        let key = offer.key_for(session);
        let share =
            Share { departure: *departure, body: offer.body.as_ref().filter(|_| key.body).map(|body| body.unit) };
        let Some((cut, pace)) = offer.cut(self.stream, key, interval) else {
            // The encoder makes one that everybody can be sent.
            self.fresh += 1;
            departing.cuttable = false;
            return;
        };
        session.start(cut, pace.from(*at), share);
        self.turns.is_ready(slot);
    }

    /// The next media datagram that may leave now, watchers in turn.
    pub(super) fn media(&mut self, now: Time) -> Option<Transmit> {
        self.turns.release(now);
        while let Some(slot) = self.next_ready() {
            let Some(session) = self.sessions[slot].as_mut() else { continue };
            let Some(sending) = session.sending.as_mut() else { continue };
            let release = sending.pace.release(sending.sent);
            if release > now {
                self.turns.is_paced(release, slot);
                continue;
            }
            let Some(body) = sending.picture.object(sending.part) else { continue };
            sending.part += 1;
            sending.sent += HOP_LEN + body.len();
            let what = sending.what;
            if sending.part == sending.picture.parts() {
                session.sending = None;
                if session.missed(self.totals.pictures) > 0 {
                    self.turns.is_late(slot);
                }
            } else {
                self.turns.is_ready(slot);
            }
            let session = self.sessions[slot].as_mut()?;
            self.stamped = Some(session.id);
            return Some(session.transmit(now, Kind::OBJECT, what, body));
        }
        None
    }

    fn next_ready(&mut self) -> Option<usize> {
        loop {
            let ready = self.turns.next_ready();
            if ready.is_some() || !self.hand_out() {
                return ready;
            }
        }
    }

    /// The next datagram that is no media. It gets its stamp, and its number, only now, so that both are those of what
    /// left, in the order in which it left.
    pub(super) fn queued(&mut self, now: Time) -> Option<Transmit> {
        while let Some(Queued { to, session, kind, tag, body }) = self.out.pop_front() {
            let Some(id) = session else { return Some(Transmit::new(to, hop(kind, tag, now), body)) };
            let slot = self.by_id.get(&id).copied();
            // The session may have ended since this was queued.
            let Some(session) = slot.and_then(|slot| self.sessions[slot].as_mut()) else { continue };
            if !kind.is_sequenced() {
                session.speak(now);
                return Some(Transmit::new(to, hop(kind, tag, now), body));
            }
            self.stamped = Some(id);
            let what = if kind == Kind::PROBE { What::Probe } else { What::Other };
            return Some(session.transmit(now, kind, what, body));
        }
        None
    }

    /// The datagram handed out last did not leave. A number that it took is free again.
    pub(super) fn not_sent(&mut self, to: SocketAddr, failure: SendFailure) {
        self.totals.send_errors += 1;
        let slot = self.stamped.take().and_then(|id| self.by_id.get(&id).copied());
        let session = slot.and_then(|slot| self.sessions[slot].as_mut());
        let Some(session) = session.filter(|session| session.peer.address == to) else { return };
        session.not_sent();
        if failure == SendFailure::TooLarge
            && let Some(bytes) = session.unstamp()
        {
            session.path.too_large(bytes);
        }
    }

    /// After the last picture has had its time on the screen: goodbye.
    fn end(&mut self, now: Time) {
        let over = self.over_at().is_some_and(|at| at <= now);
        if self.phase == Phase::Running && over && self.next.is_none() && self.sound.is_over() {
            let goodbye = Goodbye { code: bye::ENDED, sentence: "The stream is over.".to_owned() };
            self.phase = Phase::Ending { goodbye, until: Time::NEVER };
        }
        let busy = self.turns.is_busy() || self.sound.is_leaving();
        if let Phase::Ending { goodbye, until } = &self.phase
            && (!busy || now >= *until)
        {
            let goodbye = goodbye.clone();
            self.begin_leaving(now, goodbye);
        }
    }
}

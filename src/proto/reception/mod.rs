//! The receiving half of a hop: datagrams of one session in; whole objects, each with its receipt, and messages out; and the
//! reports that the other end lives on. It keeps the clock of the other end, because reports and their answers are what
//! that is measured by. It does not know how the session was made, what its objects are for, or when they are due.

mod control;
mod elsewhere;
mod rebuild;
mod recovery;
mod reporting;
mod traffic;

use std::time::Duration;

use super::clocksync::{ClockSync, OneWay};
use super::hops::{Hops, Seen};
use super::session::CONTROL_KEPT;
use super::{Peer, Received, Route, Transmit, hop};
use crate::media::coded::Object;
use crate::units::{Time, Unit};
use crate::wire::message::{ClockEcho, Message};
use crate::wire::object::ObjectView;
use crate::wire::tlv::{Tlvs, kind};
use crate::wire::{Hop, Kind};
use rebuild::Rebuild;
pub use recovery::InTime;
use recovery::Recovery;
use reporting::Reporting;
pub use traffic::{RepairTraffic, Traffic};

/// What both ends agreed on when the session was made.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub id: u64,
    /// The other end.
    pub peer: Peer,
    pub report_interval: Duration,
    /// Repeated in each report, until an Update brings another.
    pub token: u64,
    /// Arrivals are remembered for at least so long.
    pub memory: Duration,
}

/// When, where and how an object came.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    pub at: Time,
    pub session: u64,
    /// Its extended hop sequence; of one that was rebuilt, that of the last datagram that it was rebuilt from.
    pub hop: u64,
    pub via: Via,
}

/// How an object came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// In its turn.
    Sent,
    /// Once more, because it was asked for.
    Resent,
    /// Made of parity and of what had come.
    Rebuilt,
}

/// What became of a datagram.
#[derive(Debug)]
pub enum Taken<'a> {
    /// It is not of this session, or is a damaged object.
    Foreign,
    /// It is of this session, and holds nothing new or nothing known.
    Nothing,
    Object(Receipt, ObjectView<'a>),
    /// What it says of reports and clocks has been heeded.
    Message(Message<'a>),
}

/// The receiving end of one session.
pub struct Reception {
    id: u64,
    peer: Peer,
    /// The connection beside it, for what must arrive.
    control: Option<Peer>,
    /// When something is to be said through that, so that it is not taken for dead.
    next_control: Time,
    hops: Hops,
    clock: ClockSync,
    heard: Time,
    reporting: Reporting,
    recovery: Recovery,
    rebuild: Rebuild,
    /// Objects of this film are asked for by their names, and are no part of what is sent in turn.
    film: Option<u64>,
    /// What is older was sent of another place of a film on demand.
    begins: u64,
    /// Messages sent in the sequence of this session.
    sequence: u32,
    /// Nothing is said to the other end, so its clock is known by its own stamps alone.
    listening: Option<OneWay>,
    /// What is missing is asked for elsewhere, which takes so long.
    elsewhere: Option<Duration>,
}

impl Reception {
    pub fn new(terms: Terms, clock: ClockSync, now: Time) -> Self {
        Self {
            id: terms.id,
            peer: terms.peer,
            control: None,
            next_control: now,
            hops: Hops::for_latency(terms.memory),
            clock,
            heard: now,
            reporting: Reporting::new(terms.report_interval, terms.token, now),
            recovery: Recovery::default(),
            rebuild: Rebuild::default(),
            film: None,
            begins: 0,
            sequence: 0,
            listening: None,
            elsewhere: None,
        }
    }

    /// Objects of this film are asked for by their names.
    pub const fn set_film(&mut self, film: Option<u64>) {
        self.film = film;
    }

    /// What was sent before this number of the hop sequence is of another place of the film: nothing of it is taken any more, nor
    /// missed.
    pub fn begin_at(&mut self, sequence: u32) {
        let newest = self.hops.newest().unwrap_or_default();
        self.begins = newest.saturating_add_signed(i64::from(sequence.wrapping_sub(newest as u32).cast_signed()));
        (self.recovery, self.rebuild) = (Recovery::default(), Rebuild::default());
    }

    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The other end.
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// When anything of this session came last.
    pub const fn heard(&self) -> Time {
        self.heard
    }

    pub const fn report_interval(&self) -> Duration {
        self.reporting.interval()
    }

    /// The other end's clock in ours.
    pub const fn clock(&self) -> &ClockSync {
        &self.clock
    }

    pub const fn hops(&self) -> &Hops {
        &self.hops
    }

    /// Of a session that is over, what is still asked for.
    pub fn into_hops(self) -> (u64, Hops) {
        (self.id, self.hops)
    }

    /// Takes a datagram in, which was read as this header and what follows it.
    pub fn take<'a>(
        &mut self,
        now: Time,
        datagram: Received<'_>,
        (hop, body): (Hop, &'a [u8]),
        traffic: &mut Traffic,
    ) -> Taken<'a> {
        if hop.kind != Kind::OBJECT {
            return self.take_message(now, datagram, (hop, body), traffic);
        }
        // A damaged object did not arrive, as far as its hop sequence is concerned.
        let Ok(object) = ObjectView::parse(body) else {
            traffic.rejected += 1;
            return Taken::Foreign;
        };
        let newest = self.hops.newest();
        match self.arrived(now, datagram, hop, traffic) {
            None => Taken::Foreign,
            Some(Seen::New(sequence)) if self.film == Some(object.header.stream) => {
                Taken::Object(Receipt { at: now, session: self.id, hop: sequence, via: Via::Sent }, object)
            }
            // It has come, and is of no use.
            Some(Seen::New(sequence)) if sequence < self.begins && object.header.kind.is_media() => Taken::Nothing,
            Some(Seen::New(sequence)) => {
                let is_newest = newest.is_none_or(|newest| sequence > newest);
                let (via, known) = self.recovery.object(now, &object.header, sequence, is_newest, &self.hops);
                if via == Via::Resent {
                    traffic.repair.resent += 1;
                    traffic.repair.needless += u64::from(known);
                    traffic.repair.bytes += datagram.bytes.len() as u64;
                }
                let exact = ObjectView::exact(body).unwrap_or(body);
                self.rebuild.object(now, &object.header, exact);
                self.tell_early(now, &object.header);
                Taken::Object(Receipt { at: now, session: self.id, hop: sequence, via }, object)
            }
            Some(Seen::Duplicate | Seen::Outside) => {
                traffic.duplicates += 1;
                Taken::Nothing
            }
        }
    }

    fn take_message<'a>(
        &mut self,
        now: Time,
        datagram: Received<'_>,
        (hop, body): (Hop, &'a [u8]),
        traffic: &mut Traffic,
    ) -> Taken<'a> {
        // A kind of a later version is skipped and counted, but it did arrive.
        let message = Message::parse(hop.kind, body);
        traffic.rejected += u64::from(message.is_err());
        match (self.arrived(now, datagram, hop, traffic), message) {
            (None, _) => Taken::Foreign,
            (Some(Seen::New(sequence)), Ok(message)) => {
                self.heed(now, &message);
                if let Message::Parity(parity) = &message {
                    traffic.repair.parity += 1;
                    traffic.repair.bytes += datagram.bytes.len() as u64;
                    self.recovery.parity(now, parity.kind, parity.unit, sequence, &self.hops);
                    self.rebuild.parity(now, parity);
                }
                Taken::Message(message)
            }
            (Some(Seen::New(_)), Err(_)) => Taken::Nothing,
            (Some(Seen::Duplicate | Seen::Outside), _) => {
                traffic.duplicates += 1;
                Taken::Nothing
            }
        }
    }

    /// What the hop header says of a datagram of this session; `None` of any other. What is not sequenced is always new.
    fn arrived(&mut self, now: Time, datagram: Received<'_>, hop: Hop, traffic: &mut Traffic) -> Option<Seen> {
        let by_control = self.control == Some(datagram.peer());
        if self.id as u32 != hop.tag || self.peer != datagram.peer() && !by_control {
            return None;
        }
        // Of the way that media takes, a connection tells nothing.
        if !by_control {
            self.heard = now;
            self.reporting.heard(hop.sent_at, now);
        }
        let sent = self.listening.as_ref().and_then(|one_way| one_way.sent(hop.sent_at));
        sent.into_iter().for_each(|sent| self.clock.one_way(sent, now));
        if !hop.kind.is_sequenced() {
            return Some(Seen::New(0));
        }
        let newest = self.hops.newest();
        let seen = self.hops.note(hop.sequence, now, datagram.ecn);
        if let Seen::New(sequence) = seen {
            traffic.numbers += newest.map_or(1, |newest| sequence.saturating_sub(newest));
            traffic.numbers_came += 1;
        }
        Some(seen)
    }

    fn heed(&mut self, now: Time, message: &Message<'_>) {
        match message {
            Message::Probe { .. } => self.report_soon(now),
            Message::Update { number, tlvs } => self.heed_update(now, *number, *tlvs),
            _ => {}
        }
    }

    fn heed_update(&mut self, now: Time, number: u32, tlvs: Tlvs<'_>) {
        self.reporting.update(number);
        if let Some(&[high, low]) = tlvs.find(kind::REPORT_INTERVAL) {
            self.reporting.set_interval(u16::from_be_bytes([high, low]));
        }
        if let Some(token) = tlvs.find(kind::TOKEN).and_then(|token| token.try_into().ok()) {
            self.reporting.set_token(u64::from_be_bytes(token));
        }
        if let Some(Ok(clock)) = tlvs.find(kind::CLOCK).map(ClockEcho::parse) {
            let told = Time::from_micros(clock.clock);
            match &mut self.listening {
                Some(one_way) => one_way.tells(told, now, &mut self.clock),
                None => self.clock.echo(clock.echo, clock.held, told, now),
            }
        }
    }

    /// The next report is due a moment from now: it tells the other end that this one is there.
    pub fn report_soon(&mut self, now: Time) {
        self.reporting.soon(now);
    }

    /// The report that is due, if one is; `held`: so much media waits here to be played.
    pub fn report(&mut self, now: Time, held: Duration) -> Option<Transmit> {
        let report = self.reporting.report(now, held, self.id, &mut self.hops)?;
        Some(self.say(now, &Message::Report(report)))
    }

    /// An object that was rebuilt from parity and what has come.
    pub fn rebuilt(&mut self, now: Time) -> Option<(Receipt, Object)> {
        let object = self.rebuild.next()?;
        if let Ok(view) = ObjectView::parse_unchecked(object.bytes()) {
            self.recovery.rebuilt(&view.header);
        }
        let hop = self.hops.newest().unwrap_or_default();
        Some((Receipt { at: now, session: self.id, hop, via: Via::Rebuilt }, object))
    }

    /// The Nack that is due, if one is: what is missing is asked for as long as an answer would be in time.
    pub fn nack(&mut self, now: Time, in_time: InTime<'_>, traffic: &mut Traffic) -> Option<Transmit> {
        let names = self.missing(now, in_time, traffic);
        (!names.is_empty()).then(|| self.say(now, &Message::Nack { session: self.id, names }))
    }

    /// So long a picture is waited for at most, after it could have been complete.
    pub fn set_patience(&mut self, patience: Duration) {
        self.recovery.set(self.clock.rtt().or(self.elsewhere), patience);
    }

    /// So long a picture is waited for at most after it could have been whole.
    pub fn waits(&self) -> Duration {
        self.recovery.waits()
    }

    /// Until when it is worth waiting for what is missing of this picture; `None` as long as that cannot be told.
    pub fn awaited(&self, now: Time, unit: Unit) -> Option<Time> {
        self.recovery.awaited(now, unit)
    }

    /// So long after sound is missed it is there; zero where none was missed lately.
    pub fn sound_takes(&self, now: Time) -> Duration {
        self.recovery.sound_takes(now)
    }

    /// When recovery is to be looked at next.
    pub fn recovery_deadline(&self) -> Option<Time> {
        self.recovery.deadline()
    }

    /// When the next report is due.
    pub fn report_deadline(&self) -> Option<Time> {
        self.reporting.deadline()
    }

    /// An object of this session to the other end, in the sequence of what is said.
    pub fn send(&mut self, now: Time, kind: Kind, object: Object) -> Transmit {
        self.sequence += 1;
        let hop = Hop { sequence: self.sequence, ..hop(kind, self.id as u32, now) };
        Transmit::new(Route { peer: self.peer, local: None }, hop, object)
    }

    /// A message of this session to the other end.
    pub fn say(&mut self, now: Time, message: &Message<'_>) -> Transmit {
        let kind = message.kind();
        let mut hop = hop(kind, self.id as u32, now);
        if kind.is_sequenced() {
            self.sequence += 1;
            hop.sequence = self.sequence;
        }
        let kept = kind == Kind::REPORT && self.control.is_some() && now >= self.next_control;
        if kept {
            self.next_control = now + CONTROL_KEPT;
        }
        let media = matches!(kind, Kind::REPORT | Kind::NACK | Kind::PATH_REPLY) && !kept;
        Transmit::message(self.control.filter(|_| !media).unwrap_or(self.peer), hop, message)
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        self.hops.assert_sound();
        self.recovery.assert_sound();
        self.rebuild.assert_sound();
    }
}

/// How often reports are asked for, within what a receiver does.
pub fn report_interval(millis: u16) -> Duration {
    Duration::from_millis(u64::from(millis.clamp(10, 2_000)))
}

//! One watcher as the server sees it: where it is, what its path carries, what it was sent and what arrived.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::history::{History, MOST, Told, What};
use super::path::PathSize;
use crate::media::coded::{CutPicture, Object};
use crate::media::sound::Rendition;
use crate::proto::pace::Pace;
use crate::proto::{Peer, Route, Transmit};
use crate::units::{Time, Unit};
use crate::wire::message::COOKIE_LEN;
use crate::wire::{HOP_LEN, Hop, Kind, Report, SizeClass};

/// Media starts at the first report, or after this time without one.
pub const FIRST_REPORT: Duration = Duration::from_millis(20);

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    Left,
    Silent,
    Replaced,
    Ended,
}

/// How far a watcher has got in taking its leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leaving {
    pub byes: u8,
    pub next: Time,
}

/// A new address that a session's client claims, until it proves it.
#[derive(Clone, Copy, Debug)]
pub struct NewPath {
    pub peer: Peer,
    pub token: [u8; 8],
}

/// The picture that is on its way to a watcher.
pub struct Sending {
    pub picture: Arc<CutPicture>,
    pub what: What,
    pub part: usize,
    pub sent: usize,
    pub pace: Pace,
}

/// What a picture is to a watcher that is sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which departure of the server's it is, counted from 1.
    pub departure: u64,
    /// The unit whose body it shows. `None`: only the word that nothing has changed.
    pub body: Option<Unit>,
}

/// How a session began.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    pub nonce: u64,
    pub cookie: [u8; COOKIE_LEN],
    pub at: Time,
    /// What the client, or the operator, allows.
    pub limit: SizeClass,
    /// The operator's choice: it is not probed for.
    pub given: bool,
}

impl Beginning {
    fn path(&self, now: Time) -> PathSize {
        if self.given { PathSize::given(self.limit, now) } else { PathSize::new(self.limit, now) }
    }
}

/// Numbered Updates: what was told last, until it is acknowledged.
#[derive(Default)]
pub struct Updates {
    /// Number and extensions.
    pub pending: Option<(u32, Vec<u8>)>,
    pub count: u32,
    pub next: Time,
}

/// What each datagram touches comes first and together: with a thousand watchers, none of it is in the processor's cache
/// when its turn comes.
#[repr(C)]
pub struct Session {
    pub id: u64,
    pub peer: Peer,
    /// Which of our addresses the client speaks to.
    pub local: Option<IpAddr>,
    pub path: PathSize,
    pub ready: bool,
    /// Whether it is sent pictures: not on the sound port.
    pub pictures: bool,
    /// Which sound it is sent, if any.
    pub sound: Option<Rendition>,
    pub sending: Option<Sending>,
    pub stats: SessionStats,
    history: History,
    /// The last picture that it was sent, or is being sent.
    pub share: Option<Share>,
    /// Number of the first datagram of the last body. A loss from there on harms what is on the screen.
    body_from: u32,
    /// Number of the first datagram to the present address, as long as older ones are remembered.
    path_from: Option<u32>,
    pub beginning: Beginning,
    /// The other lane of the same watcher: of a picture session its sound session, and the other way round.
    pub tied: Option<u64>,
    /// A sound session of its own has been announced: the clock waits for it a moment.
    pub expects_sound: bool,
    /// Number of the last Want obeyed.
    pub want: Option<u32>,
    /// Accept and Description as they were first sent, for a client that asks again.
    pub welcome: Vec<u8>,
    pub heard: Time,
    pub new_path: Option<NewPath>,
    pub updates: Updates,
    pub next_clock: Time,
    pub leaving: Option<Leaving>,
    /// The client's own `sent_at` in its last report, and when that came.
    pub heard_stamp: Option<(u32, Time)>,
    report: Option<u32>,
}

/// What the server can say of one watcher.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SessionStats {
    pub pictures: u64,
    /// Pictures that departed and were never sent to it, because a newer one did before its turn came.
    pub thinned: u64,
    pub datagrams: u64,
    pub bytes: u64,
    pub reported: u64,
    pub lost: u64,
    pub rtt: Option<Duration>,
    pub last_unit: Option<Unit>,
}

impl Session {
    pub fn new(id: u64, route: Route, beginning: Beginning) -> Self {
        let now = beginning.at;
        Self {
            id,
            peer: route.peer,
            local: route.local,
            path: beginning.path(now),
            ready: false,
            pictures: true,
            sound: None,
            sending: None,
            stats: SessionStats::default(),
            history: History::default(),
            share: None,
            body_from: 0,
            path_from: None,
            beginning,
            tied: None,
            expects_sound: false,
            want: None,
            welcome: Vec::new(),
            heard: now,
            new_path: None,
            updates: Updates { next: now, ..Updates::default() },
            next_clock: now,
            leaving: None,
            heard_stamp: None,
            report: None,
        }
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        self.history.assert_sound();
        self.path.assert_sound();
        let sending = self.sending.as_ref();
        assert!(sending.is_none_or(|sending| sending.part < sending.picture.parts()), "something is left to send");
    }

    /// The low half of the session id, which every datagram to this watcher carries.
    pub const fn tag(&self) -> u32 {
        self.id as u32
    }

    pub const fn route(&self) -> Route {
        Route { peer: self.peer, local: self.local }
    }

    /// A datagram to this watcher, with the next number of its sequence.
    pub fn transmit(&mut self, now: Time, kind: Kind, what: What, body: Object) -> Transmit {
        let bytes = HOP_LEN + body.len();
        let sequence = self.history.stamp(now, bytes, what);
        self.path_from = self.path_from.filter(|from| sequence.wrapping_sub(*from) <= MOST as u32);
        self.stats.datagrams += 1;
        self.stats.bytes += bytes as u64;
        let hop = Hop { kind, tag: self.tag(), sequence, sent_at: now.wire_micros() };
        Transmit::new(self.route(), hop, body)
    }

    /// A datagram of this session outside the sequence leaves now: it may be echoed.
    pub fn speak(&mut self, now: Time) {
        self.history.speak(now);
    }

    /// The last datagram in the sequence never left: its number is used again. Returns its size.
    pub fn unstamp(&mut self) -> Option<usize> {
        let sent = self.history.unstamp()?;
        self.stats.datagrams -= 1;
        self.stats.bytes -= u64::from(sent.bytes);
        Some(usize::from(sent.bytes))
    }

    /// Takes a report in. Returns whether it proves that the watcher is alive; an old one, or one that echoes what was
    /// not sent, changes nothing.
    pub fn report(&mut self, now: Time, report: &Report, sent_at: u32) -> bool {
        let newer = self.report.is_none_or(|last| report.number.wrapping_sub(last).cast_signed() > 0);
        let held = Duration::from_micros(u64::from(report.held));
        let age = self.history.age_of(now, report.echo).filter(|age| newer && held <= *age);
        let Some(age) = age else { return false };
        self.report = Some(report.number);
        self.heard = now;
        if self.heard_stamp.is_none() {
            // The first report is answered with our clock at once.
            self.next_clock = now;
        }
        self.ready = true;
        self.heard_stamp = Some((sent_at, now));
        let rtt = age - held;
        self.stats.rtt = Some(self.stats.rtt.map_or(rtt, |old| (old * 7 + rtt) / 8));
        let pending = self.updates.pending.as_ref();
        if pending.is_some_and(|(number, _)| report.update_ack.wrapping_sub(*number).cast_signed() >= 0) {
            self.updates.pending = None;
        }
        self.arrivals(now, report);
        true
    }

    fn arrivals(&mut self, now: Time, report: &Report) {
        for (i, arrival) in report.arrivals.iter().enumerate() {
            let sequence = report.first.wrapping_add(i as u32);
            let Some(sent) = self.history.get_mut(sequence) else { continue };
            let received = arrival.is_received();
            let straggler = sent.told == Told::Lost && received;
            if sent.told != Told::Nothing && !straggler {
                continue;
            }
            sent.told = if received { Told::Received } else { Told::Lost };
            let (bytes, at, what) = (usize::from(sent.bytes), sent.at, sent.what);
            let here = self.path_from.is_none_or(|from| sequence.wrapping_sub(from).cast_signed() >= 0);
            match what {
                What::Probe if received && here => self.path.probe_arrived(now, bytes),
                What::Probe => {}
                What::Body | What::Other => {
                    self.count(received, straggler);
                    if here {
                        self.path.told(now, bytes, at, received);
                    }
                }
            }
            if what == What::Body && !received && sequence.wrapping_sub(self.body_from).cast_signed() >= 0 {
                self.harmed();
            }
        }
    }

    /// What was lost and came after all is no longer among the lost.
    const fn count(&mut self, received: bool, straggler: bool) {
        if straggler {
            self.stats.lost -= 1;
        } else {
            self.stats.reported += 1;
            self.stats.lost += !received as u64;
        }
    }

    /// The datagram that was handed out last was not sent.
    pub fn not_sent(&mut self) {
        if self.history.newest().is_some_and(|sent| sent.what == What::Body) {
            self.harmed();
        }
    }

    /// The watcher lacks a part of what it should have on its screen.
    pub const fn harmed(&mut self) {
        if let Some(share) = &mut self.share {
            share.body = None;
        }
    }

    /// Whether the body of this unit is not, or not whole, on its screen, as far as we know.
    pub fn lacks(&self, body: Unit) -> bool {
        self.share.is_none_or(|share| share.body != Some(body))
    }

    /// Large datagrams vanish: does a small one arrive?
    pub fn wants_small_probe(&self, now: Time) -> bool {
        let waits = self.history.newest().is_some_and(|sent| sent.told == Told::Nothing);
        self.path.wants_small_probe(now, self.heard, waits, self.stats.rtt.unwrap_or_default())
    }

    /// It is somewhere else now. The new path starts with no known size or round trip.
    pub fn move_to(&mut self, now: Time, route: Route) {
        (self.peer, self.local) = (route.peer, route.local);
        (self.path, self.path_from) = (self.beginning.path(now), Some(self.history.next()));
        self.stats.rtt = None;
        // It has just proved that it hears us there; it is told a new token at once.
        (self.heard, self.next_clock) = (now, now);
    }

    /// Whether it can be sent this departure's picture now.
    pub fn may_start(&self, departure: u64) -> bool {
        let new = self.share.is_none_or(|share| share.departure < departure);
        self.ready && self.pictures && self.sending.is_none() && new
    }

    /// Starts a picture. Those that departed since the last one that it was sent have passed it by.
    pub fn start(&mut self, picture: Arc<CutPicture>, pace: Pace, share: Share) {
        self.stats.thinned += self.missed(share.departure - 1);
        self.stats.pictures += 1;
        self.stats.last_unit = Some(picture.unit);
        if share.body.is_some() {
            self.body_from = self.history.next();
        }
        // The word that nothing has changed leaves on the screen what is there.
        let body = share.body.or_else(|| self.share.and_then(|share| share.body));
        self.share = Some(Share { body, ..share });
        let what = if share.body.is_some() { What::Body } else { What::Other };
        self.sending = Some(Sending { picture, what, part: 0, sent: 0, pace });
    }

    /// How many pictures it was not sent of those up to this departure.
    pub fn missed(&self, departure: u64) -> u64 {
        self.share.map_or(0, |share| departure.saturating_sub(share.departure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Port;
    use crate::wire::report::Arrival;

    fn session() -> Session {
        let peer = Peer { port: Port::PICTURES, address: ([127, 0, 0, 1], 1).into() };
        let (limit, at, cookie) = (SizeClass::LOOPBACK, Time::ZERO, [0; COOKIE_LEN]);
        Session::new(1, Route { peer, local: None }, Beginning { nonce: 2, cookie, at, limit, given: false })
    }

    fn told(session: &mut Session, number: u32, fates: &[bool]) -> (u64, u64) {
        let fate = |received: &bool| if *received { Arrival::received(0) } else { Arrival::LOST };
        let report = Report { number, arrivals: fates.iter().map(fate).collect(), ..Report::default() };
        assert!(session.report(Time::ZERO, &report, 0));
        (session.stats.reported, session.stats.lost)
    }

    #[test]
    fn a_loss_is_taken_back_when_the_straggler_is_told_of_and_an_arrival_never_is() {
        let mut session = session();
        for _ in 0..3 {
            let _sent = session.transmit(Time::ZERO, Kind::OBJECT, What::Body, vec![0; 1_000].into());
        }
        assert_eq!(told(&mut session, 1, &[true, false, true]), (3, 1));
        assert_eq!(told(&mut session, 2, &[false, false, true]), (3, 1), "the same again says nothing new");
        assert_eq!(told(&mut session, 3, &[true, true]), (3, 0));
        assert_eq!(told(&mut session, 4, &[false, false, false]), (3, 0));
    }

    #[test]
    fn a_report_that_echoes_what_was_never_sent_changes_nothing() {
        let mut session = session();
        let now = Time::from_millis(1_000);
        let _sent = session.transmit(now, Kind::OBJECT, What::Body, vec![0; 1_000].into());
        let echo = now.wire_micros();
        let later = now + Duration::from_millis(10);
        for (number, echo, held) in [(1, echo + 1, 0), (2, echo - 1, 0), (3, echo, 10_001)] {
            let report = Report { number, echo, held, ..Report::default() };
            assert!(!session.report(later, &report, 0) && !session.ready, "{echo} {held}");
        }
        let report = Report { number: 1, echo, held: 4_000, ..Report::default() };
        assert!(session.report(later, &report, 0) && session.ready);
        assert_eq!(session.stats.rtt, Some(Duration::from_millis(6)));
    }
}

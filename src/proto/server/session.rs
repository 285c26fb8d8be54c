//! One watcher as the server sees it: where it is, what its path carries, what it was sent and what arrived.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::media::coded::{CutPicture, Object};
use crate::media::sound::Rendition;
use crate::proto::pace::Pace;
use crate::proto::{Peer, Transmit};
use crate::units::{Time, Unit};
use crate::wire::message::COOKIE_LEN;
use crate::wire::{HOP_LEN, Hop, Kind, Report, SizeClass};

/// Media starts at the first report, or after this time without one.
pub const FIRST_REPORT: Duration = Duration::from_millis(20);
/// A reporter's echo must be younger than this to prove that it hears us now.
const ECHO_LIMIT: Duration = Duration::from_secs(2);
/// How many sent datagrams are remembered until they are reported on: 1.5 s of a 20 Mb/s stream in small datagrams.
const HISTORY: usize = 4_096;
/// So many large datagrams lost in a row, while small ones arrive, are a black hole (RFC 4821 §7.7 asks for the same).
const BLACK_HOLE: u8 = 3;
/// When nothing that was sent for so long has been reported, and reports come, something small must show the gap: the
/// watcher knows of a loss only when something after it arrives.
const UNSEEN: Duration = Duration::from_millis(250);

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
    pub part: usize,
    pub sent: usize,
    pub pace: Pace,
}

/// What each datagram touches comes first and together: with a thousand watchers, none of it is in the processor's cache
/// when its turn comes.
#[repr(C)]
pub struct Session {
    pub id: u64,
    pub peer: Peer,
    pub class: SizeClass,
    /// Nothing larger is tried: the client's wish, or EMSGSIZE.
    pub limit: SizeClass,
    sequence: u32,
    pub ready: bool,
    /// Whether it is sent pictures: not on the sound port.
    pub pictures: bool,
    /// Which sound it is sent, if any.
    pub sound: Option<Rendition>,
    pub sending: Option<Sending>,
    pub stats: SessionStats,
    history: VecDeque<Sent>,
    pub nonce: u64,
    pub cookie: [u8; COOKIE_LEN],
    /// The other lane of the same watcher: of a picture session its sound session, and the other way round.
    pub tied: Option<u64>,
    /// A sound session of its own has been announced: the clock waits for it a moment.
    pub expects_sound: bool,
    /// Number of the last Want obeyed.
    pub want: Option<u32>,
    /// Accept and Description as they were first sent, for a client that asks again.
    pub welcome: Vec<u8>,
    pub joined: Time,
    pub heard: Time,
    pub new_path: Option<NewPath>,
    /// Number and extensions of the last numbered Update, until it is acknowledged.
    pub update: Option<(u32, Vec<u8>)>,
    pub updates: u32,
    pub next_update: Time,
    pub next_clock: Time,
    pub leaving: Option<Leaving>,
    /// The client's own `sent_at` in its last report, and when that came.
    pub heard_stamp: Option<(u32, Time)>,
    report: Option<u32>,
    large_lost: u8,
    /// When a report last told of an arrival.
    seen: Time,
    reprobe: Option<(Time, Duration)>,
}

/// What the server can say of one watcher.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SessionStats {
    pub pictures: u64,
    pub thinned: u64,
    pub datagrams: u64,
    pub bytes: u64,
    pub reported: u64,
    pub lost: u64,
    pub rtt: Option<Duration>,
    pub last_unit: Option<Unit>,
}

#[derive(Clone, Copy)]
struct Sent {
    bytes: u16,
    kind: Kind,
    told: Told,
}

/// What reports have said of a datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Lost,
    Received,
}

impl Session {
    pub fn new(id: u64, peer: Peer, nonce: u64, cookie: [u8; COOKIE_LEN], now: Time) -> Self {
        Self {
            id,
            peer,
            nonce,
            cookie,
            pictures: true,
            sound: None,
            tied: None,
            expects_sound: false,
            want: None,
            welcome: Vec::new(),
            joined: now,
            ready: false,
            heard: now,
            class: SizeClass::ANY,
            limit: SizeClass::LOOPBACK,
            sending: None,
            new_path: None,
            update: None,
            updates: 0,
            next_update: now,
            next_clock: now,
            leaving: None,
            stats: SessionStats::default(),
            heard_stamp: None,
            sequence: 0,
            history: VecDeque::new(),
            report: None,
            large_lost: 0,
            seen: now,
            reprobe: None,
        }
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.history.len() <= HISTORY, "{} datagrams remembered", self.history.len());
        assert!(self.class <= self.limit.max(SizeClass::ANY), "{:?} above {:?}", self.class, self.limit);
        let sending = self.sending.as_ref();
        assert!(sending.is_none_or(|sending| sending.part < sending.picture.parts()), "something is left to send");
    }

    /// The low half of the session id, which every datagram to this watcher carries.
    pub const fn tag(&self) -> u32 {
        self.id as u32
    }

    /// A datagram to this watcher, with the next number of its sequence.
    pub fn transmit(&mut self, now: Time, kind: Kind, body: Object) -> Transmit {
        let sequence = self.stamp(kind, HOP_LEN + body.len());
        let hop = Hop { kind, tag: self.tag(), sequence, sent_at: now.wire_micros() };
        Transmit { port: self.peer.port, to: self.peer.address, hop: hop.to_bytes(), body }
    }

    /// The next hop sequence, for a datagram of `bytes`.
    fn stamp(&mut self, kind: Kind, bytes: usize) -> u32 {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Sent { bytes: bytes as u16, kind, told: Told::Nothing });
        self.stats.datagrams += 1;
        self.stats.bytes += bytes as u64;
        sequence
    }

    /// The last stamped datagram never left: its sequence is used again. Returns its size.
    pub fn unstamp(&mut self) -> Option<usize> {
        let sent = self.history.pop_back()?;
        self.sequence = self.sequence.wrapping_sub(1);
        self.stats.datagrams -= 1;
        self.stats.bytes -= u64::from(sent.bytes);
        Some(usize::from(sent.bytes))
    }

    /// The path refused a datagram of `bytes` at this machine: use smaller ones from the next picture on.
    pub fn too_large(&mut self, bytes: usize) {
        let fitting = SizeClass::ALL.into_iter().find(|class| class.datagram() < bytes).unwrap_or(SizeClass::ANY);
        self.limit = self.limit.min(fitting);
        self.class = self.class.min(fitting);
    }

    /// The classes worth a probe: above the one in use, within the limit.
    pub fn probes(&self) -> impl Iterator<Item = SizeClass> + use<> {
        let (class, limit) = (self.class, self.limit);
        SizeClass::ALL.into_iter().filter(move |c| c.datagram() > class.datagram() && c.datagram() <= limit.datagram())
    }

    /// Whether it is time to look again whether a larger class passes.
    pub fn reprobe_due(&mut self, now: Time) -> bool {
        match self.reprobe {
            Some((at, wait)) if now >= at => {
                let wait = (wait * 2).min(Duration::from_secs(60));
                self.reprobe = Some((now + wait, wait));
                true
            }
            _ => false,
        }
    }

    /// Takes a report in. Returns whether it proves that the watcher is alive; an old or stale one changes nothing.
    pub fn report(&mut self, now: Time, report: &Report, sent_at: u32) -> bool {
        let age = now.wire_micros().wrapping_sub(report.echo);
        let newer = self.report.is_none_or(|last| report.number.wrapping_sub(last).cast_signed() > 0);
        if !newer || Duration::from_micros(u64::from(age)) > ECHO_LIMIT || report.held > age {
            return false;
        }
        self.report = Some(report.number);
        self.heard = now;
        if self.heard_stamp.is_none() {
            // The first report is answered with our clock at once.
            self.next_clock = now;
        }
        self.ready = true;
        self.heard_stamp = Some((sent_at, now));
        let rtt = Duration::from_micros(u64::from(age - report.held));
        self.stats.rtt = Some(self.stats.rtt.map_or(rtt, |old| (old * 7 + rtt) / 8));
        if self.update.as_ref().is_some_and(|(number, _)| report.update_ack.wrapping_sub(*number).cast_signed() >= 0) {
            self.update = None;
        }
        self.arrivals(now, report);
        true
    }

    fn arrivals(&mut self, now: Time, report: &Report) {
        let oldest = self.sequence.wrapping_sub(self.history.len() as u32);
        for (i, arrival) in report.arrivals.iter().enumerate() {
            let position = report.first.wrapping_add(i as u32).wrapping_sub(oldest) as usize;
            let Some(sent) = self.history.get_mut(position) else { continue };
            let received = arrival.is_received();
            let straggler = sent.told == Told::Lost && received;
            if sent.told == Told::Nothing || straggler {
                sent.told = if received { Told::Received } else { Told::Lost };
                let sent = *sent;
                if straggler {
                    self.take_back(sent.kind);
                }
                self.arrival(now, sent, received);
            }
        }
    }

    /// It was not lost after all, and is about to be counted again.
    fn take_back(&mut self, kind: Kind) {
        if kind != Kind::PROBE {
            self.stats.reported -= 1;
            self.stats.lost -= 1;
        }
    }

    fn arrival(&mut self, now: Time, sent: Sent, received: bool) {
        let bytes = usize::from(sent.bytes);
        if received {
            self.seen = now;
        }
        if sent.kind == Kind::PROBE {
            if received && bytes == SizeClass::ANY.datagram() && self.large_lost >= BLACK_HOLE {
                self.black_hole(now);
            } else if received {
                let passed = SizeClass::ALL.into_iter().find(|class| class.datagram() == bytes);
                self.class = self.class.max(passed.unwrap_or(SizeClass::ANY)).min(self.limit);
            }
            return;
        }
        self.stats.reported += 1;
        self.stats.lost += u64::from(!received);
        let large = self.class.smaller().is_some_and(|smaller| bytes > smaller.datagram());
        match (large, received) {
            (true, true) => self.large_lost = 0,
            (true, false) => self.large_lost = self.large_lost.saturating_add(1),
            (false, true) if self.large_lost >= BLACK_HOLE => self.black_hole(now),
            (false, _) => {}
        }
    }

    /// Large datagrams vanish: does a small one arrive?
    pub fn wants_small_probe(&self, now: Time) -> bool {
        let unseen = now.since(self.seen) > UNSEEN && now.since(self.heard) < UNSEEN;
        let sent = self.history.back().is_some_and(|sent| sent.told == Told::Nothing);
        self.large_lost >= BLACK_HOLE || (unseen && sent && self.class > SizeClass::ANY)
    }

    fn black_hole(&mut self, now: Time) {
        self.class = self.class.smaller().unwrap_or(SizeClass::ANY);
        self.large_lost = 0;
        let wait = self.reprobe.map_or(Duration::from_secs(1), |(_, wait)| wait);
        self.reprobe = Some((now + wait, wait));
    }

    /// Starts a picture; one that is still on its way loses what has not left yet.
    pub fn start(&mut self, picture: Arc<CutPicture>, pace: Pace) {
        if self.sending.is_some() {
            self.stats.thinned += 1;
        }
        self.stats.pictures += 1;
        self.stats.last_unit = Some(picture.unit);
        self.sending = Some(Sending { picture, part: 0, sent: 0, pace });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Port;
    use crate::wire::report::Arrival;

    fn told(session: &mut Session, number: u32, fates: &[bool]) -> (u64, u64) {
        let fate = |received: &bool| if *received { Arrival::received(0) } else { Arrival::LOST };
        let report = Report { number, arrivals: fates.iter().map(fate).collect(), ..Report::default() };
        assert!(session.report(Time::ZERO, &report, 0));
        (session.stats.reported, session.stats.lost)
    }

    #[test]
    fn a_loss_is_taken_back_when_the_straggler_is_told_of_and_an_arrival_never_is() {
        let peer = Peer { port: Port::PICTURES, address: ([127, 0, 0, 1], 1).into() };
        let mut session = Session::new(1, peer, 2, [0; COOKIE_LEN], Time::ZERO);
        for _ in 0..3 {
            session.transmit(Time::ZERO, Kind::OBJECT, vec![0; 1_000].into());
        }
        assert_eq!(told(&mut session, 1, &[true, false, true]), (3, 1));
        assert_eq!(told(&mut session, 2, &[false, false, true]), (3, 1), "the same again says nothing new");
        assert_eq!(told(&mut session, 3, &[true, true]), (3, 0));
        assert_eq!(told(&mut session, 4, &[false, false, false]), (3, 0));
    }
}

//! The media sender half of a hop: the numbers of what is sent, what became of it, how large its datagrams may be, and
//! the picture that is on its way. It does not know who joined whom, nor when pictures are due.

mod allowance;
mod control;
mod estimate;
mod history;
mod pace;
mod path;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use allowance::{Allowance, budget, sound};
pub use control::{Control, Side, Told, ToldCell, wire_bits};
pub use estimate::Move;
pub use history::Cargo;
use history::{Fate, History, MOST};
pub use pace::Pace;
pub use path::PathSize;

use super::{Peer, Route, Transmit};
use crate::media::coded::{CutPicture, Object};
use crate::units::{Time, Unit};
use crate::wire::{Ecn, HOP_LEN, Hop, Kind, Report, SizeClass};

/// What can be said of one receiver.
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
    pub repair: RepairStats,
    pub last_unit: Option<Unit>,
}

/// What repair took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepairStats {
    /// Nacks that were heeded.
    pub nacks: u64,
    /// Objects that they asked for and that had been sent.
    pub asked: u64,
    /// Objects that were sent again; bytes of the datagrams.
    pub resent: u64,
    pub resent_bytes: u64,
    /// Repair symbols that were sent; bytes of the datagrams.
    pub parity: u64,
    pub parity_bytes: u64,
}

/// The picture that is on its way.
struct Sending {
    picture: Arc<CutPicture>,
    cargo: Cargo,
    part: usize,
    sent: usize,
    pace: Pace,
}

/// What of the picture on its way may leave now.
pub enum Part {
    /// Nothing is on its way.
    Nothing,
    /// Pacing holds the next datagram back until then.
    Paced(Time),
    Sent {
        transmit: Transmit,
        /// The picture has left whole.
        last: bool,
    },
}

/// See the head of this file. What each datagram touches comes first and together: with a thousand receivers, none of it is
/// in the processor's cache when a datagram leaves.
#[repr(C)]
pub struct MediaSender {
    peer: Peer,
    /// Which of our addresses the receiver speaks to.
    local: Option<IpAddr>,
    tag: u32,
    pub path: PathSize,
    sending: Option<Sending>,
    stats: SessionStats,
    history: History,
    /// The unit whose body the receiver has on its screen, whole as far as is known.
    shown: Option<Unit>,
    /// Number of the first datagram of the last body. A loss from there on harms what is on the screen.
    body_from: u32,
    /// Number of the first datagram to the present address, as long as older ones are remembered.
    path_from: Option<u32>,
    /// Number of the last report taken in.
    report: Option<u32>,
    /// What its path carries; `None`: it is not asked for, or another session of the same watcher knows.
    pub control: Option<Box<Control>>,
    /// What reports say of single datagrams is of use to a control.
    pub is_governed: bool,
    pub allowance: Allowance,
    /// Pictures begun so far.
    pictures: u32,
}

impl MediaSender {
    /// `tag` is the low half of the session id, which every datagram carries.
    pub fn new(route: Route, tag: u32, path: PathSize) -> Self {
        Self {
            peer: route.peer,
            local: route.local,
            tag,
            path,
            sending: None,
            stats: SessionStats::default(),
            history: History::default(),
            shown: None,
            body_from: 0,
            path_from: None,
            report: None,
            control: None,
            is_governed: false,
            allowance: Allowance::default(),
            pictures: 0,
        }
    }

    pub const fn peer(&self) -> Peer {
        self.peer
    }

    pub const fn tag(&self) -> u32 {
        self.tag
    }

    pub const fn route(&self) -> Route {
        Route { peer: self.peer, local: self.local }
    }

    pub const fn stats(&self) -> SessionStats {
        self.stats
    }

    pub const fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// Whether the body of this unit is not, or not whole, on the receiver's screen, as far as is known.
    pub fn lacks(&self, body: Unit) -> bool {
        self.shown != Some(body)
    }

    /// A datagram with the next number of the sequence.
    pub fn transmit(&mut self, now: Time, kind: Kind, cargo: Cargo, body: Object) -> Transmit {
        let bytes = HOP_LEN + body.len();
        let sequence = self.history.stamp(now, bytes, cargo, self.pictures);
        // What is only to be tried for its size mostly goes nowhere, and tells nothing of the rate.
        if let Some(control) = self.control.as_mut().filter(|_| cargo != Cargo::Probe) {
            control.sends(now, Side::Pictures, cargo == Cargo::Sound, bytes);
        }
        self.path_from = self.path_from.filter(|from| sequence.wrapping_sub(*from) <= MOST as u32);
        self.stats.datagrams += 1;
        self.stats.bytes += bytes as u64;
        let hop = Hop { kind, tag: self.tag, sequence, sent_at: now.wire_micros() };
        Transmit::new(self.route(), hop, body)
    }

    /// A datagram outside the sequence leaves now: it may be echoed.
    pub fn speak(&mut self, now: Time) {
        self.history.speak(now);
    }

    /// Leaves a picture out, because the path does not carry it.
    pub const fn skip(&mut self, missed: u64) {
        self.stats.thinned += missed + 1;
    }

    /// Puts a picture on its way; `body` is the unit whose body it shows, `None` if it is only the word that nothing has
    /// changed. `missed` pictures departed since the last one that was sent.
    pub fn begin(&mut self, picture: Arc<CutPicture>, pace: Pace, body: Option<Unit>, missed: u64) {
        self.stats.thinned += missed;
        self.stats.pictures += 1;
        self.pictures = self.pictures.wrapping_add(1);
        self.stats.last_unit = Some(picture.unit);
        if body.is_some() {
            (self.shown, self.body_from) = (body, self.history.next());
        }
        let cargo = if body.is_some() { Cargo::Body } else { Cargo::Other };
        self.sending = Some(Sending { picture, cargo, part: 0, sent: 0, pace });
    }

    /// The picture that was begun last, of those that this receiver was sent.
    pub const fn begun(&self) -> u32 {
        self.pictures
    }

    /// The next datagram of the picture on its way.
    pub fn next_part(&mut self, now: Time) -> Part {
        let Some(sending) = self.sending.as_mut() else { return Part::Nothing };
        let paced = self.control.as_ref().map_or_else(|| sending.pace.release(sending.sent), |c| c.release(now));
        if paced > now {
            return Part::Paced(paced);
        }
        let Some(body) = sending.picture.object(sending.part) else { return Part::Nothing };
        sending.part += 1;
        sending.sent += HOP_LEN + body.len();
        let (cargo, last) = (sending.cargo, sending.part == sending.picture.parts());
        if last {
            self.sending = None;
        }
        Part::Sent { transmit: self.transmit(now, Kind::OBJECT, cargo, body), last }
    }

    /// What is left of the picture on its way is not sent.
    pub fn abandon(&mut self) {
        self.sending = None;
    }

    /// The datagram that was handed out last was not sent.
    pub fn not_sent(&mut self) {
        if self.history.newest().is_some_and(|sent| sent.cargo == Cargo::Body) {
            self.harmed();
        }
    }

    /// The last datagram in the sequence is larger than this machine sends there: its number is used again.
    pub fn too_large(&mut self) {
        let Some(sent) = self.history.unstamp() else { return };
        self.stats.datagrams -= 1;
        self.stats.bytes -= u64::from(sent.bytes);
        self.path.too_large(usize::from(sent.bytes));
    }

    /// The receiver lacks a part of what it should have on its screen.
    pub const fn harmed(&mut self) {
        self.shown = None;
    }

    /// Takes a report in. Returns what it tells of single datagrams, of use to a control; `None` if it does not prove that the
    /// receiver is alive: an old one, or one that echoes what was not sent, changes nothing.
    pub fn report(&mut self, now: Time, report: &Report) -> Option<Vec<ToldCell>> {
        let newer = self.report.is_none_or(|last| report.number.wrapping_sub(last).cast_signed() > 0);
        let held = Duration::from_micros(u64::from(report.held));
        let age = self.history.age_of(now, report.echo).filter(|age| newer && held <= *age);
        let age = age?;
        self.report = Some(report.number);
        let rtt = age - held;
        self.stats.rtt = Some(self.stats.rtt.map_or(rtt, |old| (old * 7 + rtt) / 8));
        Some(self.arrivals(now, report))
    }

    /// Bits that were sent since the newest datagram of which this report tells, and may still be on their way.
    pub fn unreported(&self, now: Time, report: &Report) -> f64 {
        let newest = report.first.wrapping_add(report.arrivals.len() as u32).wrapping_sub(1);
        let young = |at: u32| at_of(now, at) + ON_THE_WAY > now;
        let media = self.history.after(newest).filter(|sent| sent.cargo != Cargo::Probe && young(sent.at));
        media.map(|sent| wire_bits(sent.bytes.into())).sum()
    }

    fn arrivals(&mut self, now: Time, report: &Report) -> Vec<ToldCell> {
        let mut told = Vec::new();
        for (i, arrival) in report.arrivals.iter().enumerate() {
            let sequence = report.first.wrapping_add(i as u32);
            let Some(sent) = self.history.get_mut(sequence) else { continue };
            let received = arrival.is_received();
            let straggler = sent.fate == Fate::Lost && received;
            if sent.fate != Fate::Unknown && !straggler {
                continue;
            }
            sent.fate = if received { Fate::Received } else { Fate::Lost };
            let (bytes, at, cargo, picture) = (usize::from(sent.bytes), sent.at, sent.cargo, sent.picture);
            let here = self.path_from.is_none_or(|from| sequence.wrapping_sub(from).cast_signed() >= 0);
            match cargo {
                Cargo::Probe if received && here => {
                    self.path.probe_arrived(now, bytes);
                    if self.path.class() == SizeClass::LOOPBACK {
                        // The path is this machine.
                        (self.control, self.is_governed) = (None, false);
                    }
                }
                Cargo::Probe => {}
                Cargo::Body | Cargo::Sound | Cargo::Other => {
                    self.count(received, straggler);
                    if here {
                        self.path.told(now, bytes, at, received);
                    }
                }
            }
            if self.is_governed && here && !straggler && cargo != Cargo::Probe {
                told.push(ToldCell {
                    sent: at_of(now, at),
                    age: received.then(|| report.age_of(i)),
                    bytes: bytes as u16,
                    picture: (cargo == Cargo::Body).then_some(picture),
                    marked: arrival.ecn() == Ecn::Ce,
                });
            }
            if cargo == Cargo::Body && !received && sequence.wrapping_sub(self.body_from).cast_signed() >= 0 {
                self.harmed();
            }
        }
        told
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

    /// Large datagrams vanish: does a small one arrive? `heard` is when the last valid report came.
    pub fn wants_small_probe(&self, now: Time, heard: Time) -> bool {
        let waits = self.history.newest().is_some_and(|sent| sent.fate == Fate::Unknown);
        self.path.wants_small_probe(now, heard, waits, self.stats.rtt.unwrap_or_default())
    }

    /// The receiver is somewhere else now, and nothing is known of the way there but `path`: no round trip either.
    pub fn move_to(&mut self, now: Time, route: Route, path: PathSize) {
        (self.peer, self.local) = (route.peer, route.local);
        (self.path, self.path_from) = (path, Some(self.history.next()));
        self.stats.rtt = None;
        // What the way there carries is not known.
        self.control = self.control.take().map(|control| Box::new(control.anew(now)));
    }

    pub const fn class(&self) -> SizeClass {
        self.path.class()
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        self.history.assert_sound();
        self.path.assert_sound();
        let sending = self.sending.as_ref();
        assert!(sending.is_none_or(|sending| sending.part < sending.picture.parts()), "something is left to send");
    }
}

/// What has not been told of for so long is lost: nothing came after it that would show the gap.
const ON_THE_WAY: Duration = Duration::from_secs(1);

/// The moment in the past of which a datagram's stamp has the low bits.
fn at_of(now: Time, stamp: u32) -> Time {
    now - Duration::from_micros(now.wire_micros().wrapping_sub(stamp).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Port;
    use crate::wire::report::{Arrival, Ecn};

    fn sender() -> MediaSender {
        let peer = Peer { port: Port::PICTURES, address: ([127, 0, 0, 1], 1).into() };
        MediaSender::new(Route { peer, local: None }, 1, PathSize::new(SizeClass::LOOPBACK, Time::ZERO))
    }

    fn reported(sender: &mut MediaSender, number: u32, fates: &[bool]) -> (u64, u64) {
        let fate =
            |received: &bool| if *received { Arrival::received(Duration::ZERO, Ecn::Not, 0) } else { Arrival::LOST };
        let report = Report { number, arrivals: fates.iter().map(fate).collect(), ..Report::default() };
        assert!(sender.report(Time::ZERO, &report).is_some());
        (sender.stats.reported, sender.stats.lost)
    }

    #[test]
    fn a_loss_is_taken_back_when_the_straggler_is_told_of_and_an_arrival_never_is() {
        let mut sender = sender();
        for _ in 0..3 {
            let _sent = sender.transmit(Time::ZERO, Kind::OBJECT, Cargo::Body, vec![0; 1_000].into());
        }
        assert_eq!(reported(&mut sender, 1, &[true, false, true]), (3, 1));
        assert_eq!(reported(&mut sender, 2, &[false, false, true]), (3, 1), "the same again says nothing new");
        assert_eq!(reported(&mut sender, 3, &[true, true]), (3, 0));
        assert_eq!(reported(&mut sender, 4, &[false, false, false]), (3, 0));
    }

    #[test]
    fn a_report_that_echoes_what_was_never_sent_changes_nothing() {
        let mut sender = sender();
        let now = Time::from_millis(1_000);
        let _sent = sender.transmit(now, Kind::OBJECT, Cargo::Body, vec![0; 1_000].into());
        let echo = now.wire_micros();
        let later = now + Duration::from_millis(10);
        for (number, echo, held) in [(1, echo + 1, 0), (2, echo - 1, 0), (3, echo, 10_001)] {
            let report = Report { number, echo, held, ..Report::default() };
            assert!(sender.report(later, &report).is_none(), "{echo} {held}");
        }
        let report = Report { number: 1, echo, held: 4_000, ..Report::default() };
        assert!(sender.report(later, &report).is_some());
        assert_eq!(sender.stats.rtt, Some(Duration::from_millis(6)));
    }
}

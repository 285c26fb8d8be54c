//! The media sender half of a hop: the numbers of what is sent, what became of it, how large its datagrams may be, and
//! the picture that is on its way. It does not know who joined whom, nor when pictures are due.

mod ahead;
mod allowance;
mod control;
mod estimate;
mod history;
mod lent;
mod loss;
mod onscreen;
mod pace;
mod path;
mod protection;
mod repair;
mod stats;
mod supply;
mod told;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ahead::Ahead;
pub use allowance::{Allowance, budget, sound};
pub use control::{Control, Side, Told, ToldCell, wire_bits};
pub use estimate::Move;
pub use history::Cargo;
use history::{Fate, History, MOST};
pub use lent::Lent;
use onscreen::OnScreen;
pub use pace::Pace;
pub use path::PathSize;
use protection::Protection;
pub use repair::is_named;
use repair::{Repair, Resend, RoundTrips};
pub use stats::{RepairStats, SessionStats};

use super::{Peer, Route, Transmit};
use crate::media::coded::{CutPicture, Object};
use crate::units::{Time, Unit};
use crate::wire::message::NackName;
use crate::wire::{HOP_LEN, Hop, Kind, SizeClass};
use supply::Supply;

/// The picture that is on its way.
struct Sending {
    picture: Arc<CutPicture>,
    /// Repair symbols that follow it.
    symbols: Vec<Object>,
    cargo: Cargo,
    part: usize,
    sent: usize,
    pace: Pace,
}

impl Sending {
    /// What leaves next of it.
    fn object(&self) -> Option<(Kind, Object)> {
        let symbol = |n: usize| self.symbols.get(n).map(|symbol| (Kind::PARITY, symbol.clone()));
        let part = self.picture.object(self.part).map(|part| (Kind::OBJECT, part));
        part.or_else(|| symbol(self.part.checked_sub(self.picture.parts())?))
    }
}

/// A picture that is put on its way.
pub struct Leaving {
    pub picture: Arc<CutPicture>,
    /// Repair symbols that follow it.
    pub symbols: Vec<Object>,
    pub pace: Pace,
    /// The unit whose body it shows; `None`: it is only the word that nothing has changed.
    pub body: Option<Unit>,
}

/// What of the picture on its way may leave now.
pub enum Part {
    /// Nothing is on its way.
    Nothing,
    /// Pacing holds the next datagram back until then.
    Paced(Time),
    Sent {
        transmit: Transmit,
        /// With it the picture has left whole.
        last: bool,
        /// Something else waits.
        more: bool,
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
    /// No larger datagrams are wanted for pictures.
    pub most: Option<SizeClass>,
    /// The connection that it is reached by takes no media just now.
    pub is_full: bool,
    /// How far it is ahead of the other end of that.
    ahead: Ahead,
    stats: SessionStats,
    history: History,
    on_screen: OnScreen,
    /// Number of the first datagram to the present address, as long as older ones are remembered.
    path_from: Option<u32>,
    /// Number of the last report taken in.
    report: Option<u32>,
    /// What its path carries; `None`: it is not asked for, or another session of the same watcher knows.
    pub control: Option<Box<Control>>,
    /// What reports say of single datagrams is of use to a control.
    pub is_governed: bool,
    pub allowance: Allowance,
    /// Pictures follow each other after so long.
    interval: Duration,
    /// Pictures begun so far.
    pictures: u32,
    repair: Repair,
    /// What it asked for with Get.
    pub supply: Supply,
    /// Whether it is sent parity.
    pub protection: Protection,
    /// When a queue stood on its path last, or was full; told by the control of its watcher.
    pub congested: Option<Time>,
    /// The shortest round trip of the last seconds.
    shortest: Duration,
    /// What the last report told of losses.
    fates: Vec<bool>,
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
            most: None,
            is_full: false,
            ahead: Ahead::default(),
            stats: SessionStats::default(),
            history: History::default(),
            on_screen: OnScreen::default(),
            path_from: None,
            report: None,
            control: None,
            is_governed: false,
            allowance: Allowance::default(),
            interval: Duration::ZERO,
            pictures: 0,
            repair: Repair::default(),
            supply: Supply::default(),
            protection: Protection::default(),
            congested: None,
            shortest: Duration::ZERO,
            fates: Vec::new(),
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
        self.on_screen.lacks(body)
    }

    /// A datagram with the next number of the sequence.
    pub fn transmit(&mut self, now: Time, kind: Kind, cargo: Cargo, body: Object) -> Transmit {
        // Parity that comes this way is of sound.
        let picture = if cargo == Cargo::Parity { NO_PICTURE } else { self.pictures };
        self.transmit_of(now, kind, cargo, body, picture)
    }

    /// The same with something of this picture.
    fn transmit_of(&mut self, now: Time, kind: Kind, cargo: Cargo, body: Object, picture: u32) -> Transmit {
        let bytes = HOP_LEN + body.len();
        let sequence = self.history.stamp(now, bytes, cargo, picture);
        // What is only to be tried for its size mostly goes nowhere, and tells nothing of the rate.
        if let Some(control) = self.control.as_mut().filter(|_| cargo != Cargo::Probe) {
            control.sends(now, Side::Pictures, cargo, bytes);
        }
        if cargo == Cargo::Sound && self.peer.port.is_connections() {
            self.ahead.sound(sequence);
        }
        self.on_screen.repairs(cargo, picture);
        if kind == Kind::PARITY {
            self.stats.repair.parity += 1;
            self.stats.repair.parity_bytes += bytes as u64;
        }
        if matches!(cargo, Cargo::Body | Cargo::Sound | Cargo::Other) {
            self.repair.earn(bytes);
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

    /// Puts a picture on its way; `missed` pictures departed since the last one that was sent.
    pub fn begin(&mut self, now: Time, leaving: Leaving, missed: u64) {
        let Leaving { picture, symbols, pace, body } = leaving;
        self.stats.thinned += missed;
        self.stats.pictures += 1;
        self.pictures = self.pictures.wrapping_add(1);
        self.stats.last_unit = Some(picture.unit);
        if self.peer.port.is_connections() {
            self.ahead.picture(self.history.next());
        }
        if let Some(body) = body {
            self.on_screen.begin(body, self.pictures, self.history.next());
        }
        if self.protection.wish.asks {
            self.repair.begin(now, Arc::clone(&picture), self.pictures);
        }
        let cargo = if body.is_some() { Cargo::Body } else { Cargo::Other };
        self.sending = Some(Sending { picture, symbols, cargo, part: 0, sent: 0, pace });
    }

    /// The number of the hop sequence that the next datagram will have.
    pub const fn next_sequence(&self) -> u32 {
        self.history.next()
    }

    /// The picture that was begun last, of those that this receiver was sent.
    pub const fn begun(&self) -> u32 {
        self.pictures
    }

    /// How many repair symbols are to follow a picture of so many parts that lasts so long.
    pub fn symbols(&mut self, now: Time, interval: Duration, parts: usize) -> usize {
        self.interval = interval;
        self.protection.symbols(now, self.stats.rtt, interval, parts)
    }

    /// The same of so many chunks of sound that can wait so long.
    pub fn symbols_of_sound(&mut self, now: Time, waits: Duration, chunks: usize) -> usize {
        self.protection.symbols_of_sound(now, self.stats.rtt, waits, chunks)
    }

    /// Whether nothing new is to be put into the connection: it takes nothing, or enough is on its way.
    pub fn is_held(&self) -> bool {
        self.is_full || self.ahead.is_enough(self.interval)
    }

    /// Whether something waits to leave: what is left of a picture, or what is sent again.
    pub fn has_more(&self) -> bool {
        self.sending.is_some() || self.repair.waits()
    }

    /// The receiver lacks these parts of a picture. Returns whether they are of one that it was sent.
    pub fn ask(&mut self, now: Time, name: &NackName) -> bool {
        let (usual, parts) = (self.stats.rtt.unwrap_or_default(), self.repair.parts());
        let round_trips = RoundTrips { shortest: self.shortest, usual };
        let twice = self.protection.sends_twice(self.stats.rtt, self.interval, parts);
        // Much of a picture at once was lost to a full queue, as the next report will tell, and asked for again if not.
        let much = name.bitmap.count_ones() as usize > (parts / MUCH).max(LITTLE);
        if self.is_congested(now) || much && self.is_governed {
            return true;
        }
        let known = self.repair.ask(now, round_trips, name, twice);
        self.stats.repair.asked += known;
        known > 0
    }

    /// The receiver lacks this chunk or coded unit of sound, which it was sent.
    pub fn ask_for_sound(&mut self, now: Time, name: &NackName, object: Object) {
        self.stats.repair.asked += 1;
        self.repair.ask_for_sound(now, self.stats.rtt.unwrap_or_default(), name, object);
    }

    fn is_congested(&self, now: Time) -> bool {
        self.congested.is_some_and(|at| now.since(at) < CONGESTED)
    }

    /// A Nack of which something was known.
    pub const fn heed_nack(&mut self) {
        self.stats.repair.nacks += 1;
    }

    /// The next datagram that is to leave: first what is sent again, then the picture on its way.
    pub fn next_part(&mut self, now: Time) -> Part {
        if self.is_full {
            return Part::Nothing;
        }
        let paced = self.control.as_ref().map_or(now, |control| control.release(now));
        // What was sent to others is little here, and of this path nothing may be known.
        let beside = self.sending.is_none() && self.repair.is_beside();
        if paced > now && self.has_more() && !beside {
            return Part::Paced(paced);
        }
        if let Some(resend) = self.repair.next(now) {
            return self.send_again(now, resend);
        }
        let later = self.repair.release();
        let Some(sending) = self.sending.as_mut() else { return later.map_or(Part::Nothing, Part::Paced) };
        if self.control.is_none() && sending.pace.release(sending.sent) > now {
            let paced = sending.pace.release(sending.sent);
            return Part::Paced(later.map_or(paced, |later| later.min(paced)));
        }
        let Some((kind, body)) = sending.object() else { return Part::Nothing };
        sending.part += 1;
        sending.sent += HOP_LEN + body.len();
        let (cargo, last) = (sending.cargo, sending.part == sending.picture.parts() + sending.symbols.len());
        let cargo = if kind == Kind::PARITY { Cargo::Parity } else { cargo };
        if last {
            self.sending = None;
        }
        if kind == Kind::OBJECT && self.protection.wish.asks {
            self.repair.leaves(now);
        }
        let transmit = self.transmit_of(now, kind, cargo, body, self.pictures);
        Part::Sent { transmit, last, more: self.has_more() }
    }

    fn send_again(&mut self, now: Time, Resend { object, picture, is_second, .. }: Resend) -> Part {
        self.stats.repair.resent += 1;
        self.stats.repair.doubled += u64::from(is_second);
        self.stats.repair.resent_bytes += (HOP_LEN + object.len()) as u64;
        // Of two copies one is enough.
        let picture = picture.filter(|_| !is_second).unwrap_or(NO_PICTURE);
        let transmit = self.transmit_of(now, Kind::OBJECT, Cargo::Repair, object, picture);
        Part::Sent { transmit, last: false, more: self.has_more() }
    }

    /// What is left of the picture on its way is not sent.
    pub fn abandon(&mut self) {
        self.sending = None;
        self.repair.clear();
    }

    /// Nothing of what was sent so far is sent any more, whoever asks for it.
    pub fn forget(&mut self) {
        self.abandon();
        self.repair.forget();
        self.harmed();
    }

    /// The datagram that was handed out last was not sent.
    pub fn not_sent(&mut self) {
        if self.history.newest().is_some_and(|sent| matches!(sent.cargo, Cargo::Body | Cargo::Repair)) {
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

    /// Whether every round trip of the last seconds took longer than this.
    pub fn is_beyond(&self, limit: Duration) -> bool {
        self.shortest > limit && self.report.is_some_and(|number| number >= MANY_REPORTS)
    }

    /// The receiver lacks a part of what it should have on its screen.
    pub const fn harmed(&mut self) {
        self.on_screen.harmed();
    }

    /// Large datagrams vanish: does a small one arrive? `heard` is when the last valid report came.
    pub fn wants_small_probe(&self, now: Time, heard: Time) -> bool {
        let waits = self.history.newest().is_some_and(|sent| sent.fate == Fate::Unknown);
        self.path.wants_small_probe(now, heard, waits, self.stats.rtt.unwrap_or_default())
    }

    /// The receiver is somewhere else now, and nothing is known of the way there but `path`: no round trip either.
    pub fn move_to(&mut self, now: Time, route: Route, path: PathSize) {
        (self.peer, self.local, self.is_full, self.ahead) = (route.peer, route.local, false, Ahead::default());
        (self.path, self.path_from) = (path, Some(self.history.next()));
        (self.stats.rtt, self.shortest) = (None, Duration::ZERO);
        (self.protection.losses, self.fates) = Default::default();
        // What the way there carries is not known.
        self.control = self.control.take().map(|control| Box::new(control.anew(now)));
    }

    /// What its pictures are cut for.
    pub fn class(&self) -> SizeClass {
        self.most.map_or(self.path.class(), |most| most.min(self.path.class()))
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        self.history.assert_sound();
        self.repair.assert_sound();
        self.path.assert_sound();
        let sending = self.sending.as_ref();
        assert!(sending.is_none_or(|sending| sending.object().is_some()), "something is left to send");
    }
}

/// Losses that meet a full queue are still asked for and reported so long afterwards. They are obeyed, and not repaired.
const CONGESTED: Duration = Duration::from_millis(500);
/// So many reports tell what round trips are like.
const MANY_REPORTS: u32 = 40;
/// More than one part in so many of a picture, and than so many parts, are rarely lost by chance.
const MUCH: usize = 4;
const LITTLE: usize = 4;
/// The number of no picture: of sound, and of a second copy.
const NO_PICTURE: u32 = u32::MAX;
#[cfg(test)]
mod tests;

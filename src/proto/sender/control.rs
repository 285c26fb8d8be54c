//! What one receiver is sent, and how fast: the estimate of its path, and pacing and skipping by it.
//!
//! Datagrams of pictures leave at the estimate's pace, in groups of half a millisecond at most, across pictures: what one took
//! too much is missing to the next. Sound leaves at once, and pushes pictures back. A picture that has begun is finished; where
//! one does not fit, the *new* one is skipped.

use std::time::Duration;

use super::allowance::budget;
use super::estimate::{Cell, Estimate, LEAST, Move, Passed, START};
use super::history::Cargo;
use crate::units::{Bitrate, Time};

/// Datagrams may leave so long before their time, together with others: a timer for each would cost too much.
const GROUP: Duration = Duration::from_micros(500);
/// More of a queue than this in the path, and a picture is skipped, s.
const WAITING: f64 = 0.050;
/// Without a report for so long, the round trip and two report intervals, no picture is begun (RFC 8083).
const DEAF: Duration = Duration::from_millis(300);
/// Without one for this part of that time, and less is planned.
const UNSURE: u32 = 2;
/// What is sent is averaged over so long, s.
const DEMAND: f64 = 0.5;
/// Headers of UDP and IPv4 (IPv6 has 20 bytes more, which is less than the estimate is sure of).
const BELOW: usize = 28;
/// A clear path that is sent less than it carries is sent pictures denser and denser, up to this, bits a second: what is sent
/// sooner is seen sooner.
const DENSEST: f64 = 1e9;
/// A picture that was made before the rate fell is left out if it is so much larger than is planned now.
const OUTDATED: f64 = 2.0;
/// More of sound than this is looked at without pictures.
const TOLD: usize = 400;
/// A session without a report for so long is over, or nothing of it is on its way any more.
const REPORTED: Duration = Duration::from_secs(1);
/// A rate below this part of the last has fallen.
const FELL: f64 = 0.97;
/// The same house: further away, queues are others' too, s.
const NEAR: f64 = 0.005;
/// A queue that stands like this may overflow.
const STANDING: Duration = Duration::from_millis(15);
/// Each train that was not held up allows the next to be so much denser.
const DENSER: f64 = 1.5;

/// See the head of this file.
pub struct Control {
    estimate: Estimate,
    interval: Duration,
    /// How often reports are asked for.
    reports: Duration,
    /// When the pace lets the next datagram of a picture go.
    free: Time,
    /// All that was sent.
    sent: Passed,
    /// Of that, what was repair.
    repaired: Passed,
    /// What was sent without a deadline.
    supplied: Passed,
    /// What repair took lately, bits a second.
    repair: f64,
    /// Sound, bits a second.
    side: f64,
    /// What the sound's reports have told since the pictures' last.
    told: Vec<Cell>,
    /// Bits that no report has told of, of the pictures' session and of the sound's, and when one did.
    unreported: [(f64, Time); 2],
    /// The pace on a path that is sent less than it carries.
    stretch: f64,
    began: Time,
    /// When the rate fell last.
    fell: Time,
    /// When a queue stood last, or was full.
    congested: Option<Time>,
    /// The rate that is planned with.
    planned: f64,
    /// The pace at which the last picture began.
    begun: f64,
    /// The receiver's clock, extended: its low 32 bits are what its hop headers say.
    clock: Option<u64>,
}

/// Which of a watcher's two sessions. Sound may come in either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Pictures,
    Sound,
}

impl Control {
    /// Of a stream with this interval between pictures. `remembered`: what the same network carried before.
    pub fn new(now: Time, interval: Duration, remembered: Option<Bitrate>) -> Self {
        let interval = interval.clamp(Duration::from_millis(10), Duration::from_millis(100));
        let remembered = remembered.map(|rate| rate.as_bps() as f64);
        let planned = remembered.unwrap_or(START);
        Self {
            estimate: Estimate::new(interval.as_secs_f64(), remembered),
            interval,
            reports: Duration::from_millis(50),
            free: now,
            sent: Passed::new(1.0),
            repaired: Passed::new(1.0),
            supplied: Passed::new(1.0),
            repair: 0.0,
            side: 0.0,
            told: Vec::new(),
            unreported: [(0.0, now); 2],
            stretch: 0.0,
            began: now,
            fell: Time::ZERO,
            congested: None,
            planned,
            begun: 0.0,
            clock: None,
        }
    }

    /// Of another path to the same receiver, of which nothing is known.
    pub fn anew(&self, now: Time) -> Self {
        Self { clock: self.clock, reports: self.reports, ..Self::new(now, self.interval, None) }
    }

    /// Everything that may be sent to it, a second.
    pub fn rate(&self) -> Bitrate {
        Bitrate::bps(self.estimate.rate() as u64)
    }

    pub const fn is_starting(&self) -> bool {
        self.estimate.is_starting()
    }

    pub const fn cause(&self) -> Move {
        self.estimate.cause()
    }

    /// The standing queue.
    pub fn queue(&self) -> Duration {
        Duration::from_secs_f64(self.estimate.standing().clamp(0.0, 10.0))
    }

    /// When a queue stood last, or was full: what was lost then may be lost to it.
    pub const fn congested(&self) -> Option<Time> {
        self.congested
    }

    /// What was sent to it in the last second.
    pub fn sent_rate(&self, now: Time) -> Bitrate {
        Bitrate::bps(self.sent.rate_until(now.as_secs(), 1.0) as u64)
    }

    /// Bits a second of all that has a deadline, in the last second.
    pub fn live_rate(&self, now: Time) -> f64 {
        self.sent.rate_until(now.as_secs(), 1.0) - self.supplied.rate_until(now.as_secs(), 1.0)
    }

    /// The sound that is sent beside pictures takes so much.
    pub const fn set_sound(&mut self, rate: Bitrate) {
        self.side = rate.as_bps() as f64;
    }

    pub const fn set_report_interval(&mut self, interval: Duration) {
        self.reports = interval;
    }

    /// A datagram leaves, in this of the watcher's sessions.
    pub fn sends(&mut self, now: Time, side: Side, cargo: Cargo, bytes: usize) {
        let (bits, is_sound) = (wire_bits(bytes), cargo == Cargo::Sound);
        self.sent.put(now.as_secs(), bits);
        if matches!(cargo, Cargo::Repair | Cargo::Parity) {
            self.repaired.put(now.as_secs(), bits);
        }
        if cargo == Cargo::Supply {
            self.supplied.put(now.as_secs(), bits);
        }
        self.unreported[side as usize].0 += bits;
        // A picture that has begun ends as fast as it began: slower, it would only stand in the way of the next.
        let pace = if side == Side::Pictures && !is_sound { self.pace().max(self.begun) } else { self.pace() };
        let took = Duration::from_secs_f64(bits / pace);
        self.free = self.free.max(now - GROUP) + took;
    }

    fn pace(&self) -> f64 {
        self.estimate.pace().max(self.stretch).max(LEAST)
    }

    /// When the next datagram of a picture may leave: not after `now` if it may leave at once.
    pub fn release(&self, now: Time) -> Time {
        if self.free <= now + GROUP { now } else { self.free }
    }

    /// How long what was begun would still take.
    pub fn backlog(&self, now: Time) -> Duration {
        self.free.since(now)
    }

    /// Time passes: without reports less is planned.
    pub fn look(&mut self, now: Time) {
        self.repair = self.repaired.rate_until(now.as_secs(), 1.0);
        let rate = self.estimate.rate();
        self.planned = if self.is_silent(now, DEAF / UNSURE) { rate / f64::from(UNSURE) } else { rate };
    }

    /// The bits that a picture may take, which lasts so long. `most`: what is allowed beside the estimate.
    pub fn budget(&self, lasts: Duration, most: Option<Bitrate>) -> f64 {
        let rate = most.map_or(f64::MAX, |most| most.as_bps() as f64).min(self.planned);
        budget(rate, self.side + self.repair, lasts)
    }

    /// Whether a picture whose turn it is must be left out. `made`: when it was made, and its bits. One that was made before the
    /// rate fell is left out too: the next one is made to what there is.
    pub fn skips(&mut self, now: Time, made: (Time, f64), budget: f64) -> bool {
        let waiting = self.estimate.waiting(now.as_secs(), self.on_the_way(now));
        let queued = waiting > WAITING && !self.estimate.competes();
        let outdated = made.0 < self.fell && made.1 > OUTDATED * budget;
        queued || outdated || self.backlog(now) > self.interval || self.is_deaf(now)
    }

    /// Bits that may still be on their way. A session that is not reported of any more is over.
    fn on_the_way(&self, now: Time) -> f64 {
        let of = |(bits, told): &(f64, Time)| if now.since(*told) < REPORTED { *bits } else { 0.0 };
        self.unreported.iter().map(of).sum()
    }

    /// A picture begins: it ends at the pace at which it began.
    pub fn begins(&mut self) {
        self.begun = self.pace();
    }

    /// Whether reports have stayed away for so long that no picture is sent.
    pub fn is_deaf(&self, now: Time) -> bool {
        self.is_silent(now, DEAF)
    }

    fn is_silent(&self, now: Time, limit: Duration) -> bool {
        let heard = self.estimate.heard().map_or(self.began, Time::from_secs);
        let round_trip = Duration::from_secs_f64(self.estimate.round_trip().clamp(0.0, 10.0));
        now.since(heard) > limit + round_trip + 2 * self.reports
    }

    /// Takes in what a report tells, which left the receiver at this stamp of its clock. `unreported`: bytes and datagrams
    /// that were sent since the newest that it tells of.
    pub fn report(&mut self, now: Time, told: &Told<'_>) {
        let sent_at = self.extend(told.sent_at) as f64 / 1e6;
        self.unreported[told.side as usize] = (told.unreported, now);
        let cell = |told: &ToldCell| Cell {
            sent: told.sent.as_secs(),
            arrived: told.age.map(|age| sent_at - age.as_secs_f64()),
            bits: wire_bits(told.bytes.into()),
            picture: told.picture,
            marked: told.marked,
        };
        self.told.extend(told.cells.iter().map(cell));
        if told.side == Side::Sound && self.told.len() < TOLD {
            // What is told of sound is looked at together with what is told of pictures.
            return;
        }
        let mut cells = std::mem::take(&mut self.told);
        cells.sort_by(|a, b| a.sent.total_cmp(&b.sent));
        let at = now.as_secs();
        // Repair is no reason to believe that a path carries more.
        let media = self.sent.rate_until(at, DEMAND) - self.repaired.rate_until(at, DEMAND);
        self.estimate.set_demand(media, self.side);
        let before = self.estimate.rate();
        self.estimate.report(at, &cells, told.round_trip.as_secs_f64(), told.begun);
        if self.estimate.rate() < FELL * before {
            self.fell = now;
        }
        if self.fell == now || self.queue() > STANDING {
            self.congested = Some(now);
        }
        self.look(now);
        self.stretch();
    }

    /// A path that carries more than it is sent has pictures sooner if they leave denser.
    fn stretch(&mut self) {
        let limited = self.estimate.cause() == Move::Free && self.estimate.round_trip() < NEAR;
        self.stretch = match self.estimate.tight() {
            Some(tight) => self.stretch.min(0.9 * tight),
            None if limited && self.estimate.clear() >= 2 => {
                (self.stretch.max(self.estimate.pace()) * DENSER).min(DENSEST)
            }
            None if limited => self.stretch,
            None => 0.0,
        };
    }

    /// The receiver's clock in µs, of which a hop header says the low 32 bits.
    fn extend(&mut self, stamp: u32) -> u64 {
        let before = self.clock.unwrap_or(u64::from(stamp) + (1 << 32));
        let ahead = stamp.wrapping_sub(before as u32).cast_signed();
        let clock = before.saturating_add_signed(ahead.into());
        self.clock = Some(clock.max(before));
        clock
    }
}

/// What a report tells of datagrams of one session.
pub struct Told<'a> {
    pub side: Side,
    /// The receiver's clock when it left there.
    pub sent_at: u32,
    pub cells: &'a [ToldCell],
    /// Bits that were sent since the newest of them.
    pub unreported: f64,
    pub round_trip: Duration,
    /// The picture that was begun last.
    pub begun: u32,
}

/// The fate of one datagram.
#[derive(Clone, Copy, Debug)]
pub struct ToldCell {
    pub sent: Time,
    /// How long before the report it arrived; `None`: lost.
    pub age: Option<Duration>,
    pub bytes: u16,
    pub picture: Option<u32>,
    pub marked: bool,
}

/// Bits of a UDP payload on the wire.
pub fn wire_bits(bytes: usize) -> f64 {
    ((bytes + BELOW) * 8) as f64
}

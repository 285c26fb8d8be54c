//! What a path carries: the rate at which one receiver may be sent everything, pictures, sound and repair together.
//!
//! A pure calculator: reports go in, a rate comes out. It goes by the *standing queue*, the least one-way delay of three
//! picture times above the least ever seen, and not by trends: bursts of a radio, and a picture's own queue, leave no trace in
//! a minimum. How far the rate may rise it reads from the pictures themselves: each is a packet train whose spacing at the
//! receiver tells what the path carried. `docs/CONGESTION.md` has the algorithm on one page, with what it reached.

mod cubic;
mod delay;
mod others;
mod passed;
mod trains;

use cubic::{BETA, Cubic};
use delay::Delay;
use others::{Finding, Others, Seen};
pub use passed::Passed;
use trains::Trains;

/// Bits a second of a path of which nothing is known.
pub const START: f64 = 4e6;
/// Sound alone takes less.
pub const LEAST: f64 = 0.15e6;
const MOST: f64 = 1e9;
/// The share of its interval that a picture takes to leave.
pub const FILL: f64 = 0.75;
/// Flows of this rate fill so much; with each tenfold rate it is a quarter more, within these factors. Two flows that share a path
/// read from their trains what part of it is theirs, and without this any parts would do.
const EVEN: (f64, f64, f64, f64) = (20e6, 0.25, 0.87, 1.32);
/// A train that tests the path is so much denser.
const PROBE: f64 = 1.5;
/// The same while nothing has been met that limits the rate.
const STARTUP: f64 = 2.0;
/// A standing queue of this much is too much, or of [`HIGH_BITS`] at the rate if that is more: bursts of a radio leave less in
/// the least of three picture times.
const HIGH: f64 = 0.010;
/// Two and a half datagrams.
const HIGH_BITS: f64 = 2.5 * 1_400.0 * 8.0;
/// So much delay of the newest datagrams is too much, whatever stood before, s.
const NOW: f64 = 0.045;
/// And so much that one look is enough, s.
const DOUBTLESS: f64 = 0.050;
/// What counts as the last queue while there is none, s.
const CALM: f64 = 1.0;
/// A share of losses that is too much: of the last few datagrams, and on average.
const LOSSES: (f64, f64) = (0.1, 0.02);
/// A round trip that has become longer is believed after this time, s.
const LONGER: f64 = 30.0;
/// A round trip before any was measured, s.
const UNKNOWN: f64 = 0.05;
/// Without a report for so long all but the least delay is forgotten, s.
const FORGET: f64 = 0.5;
/// What the path carried when it was last full is remembered for so long, s.
const WALL: f64 = 30.0;
/// A queue that shrinks by so much from one look to the next drains, s.
const DRAINS: f64 = 0.005;
/// A share of losses is of so many datagrams at least.
const TALLY: u32 = 10;

/// A datagram of which a report tells.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Seconds of our clock.
    pub sent: f64,
    /// Seconds of the receiver's clock; `None` if it was lost.
    pub arrived: Option<f64>,
    /// On the wire, with the headers of UDP and IP.
    pub bits: f64,
    /// The picture that it is a part of; they rise.
    pub picture: Option<u32>,
    /// Congestion experienced (RFC 3168).
    pub marked: bool,
}

/// Why the rate is what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Move {
    /// It rises as fast as trains allow.
    #[default]
    Startup,
    /// Nothing limits it but what is sent.
    Free,
    /// Trains show what the path carries.
    Path,
    /// A queue stood.
    Queue,
    /// A full queue lost datagrams.
    Loss,
    /// Somebody else fills the path.
    Competition,
}

/// See the head of this file. Times are in seconds, rates in bits a second.
pub struct Estimate {
    rate: f64,
    startup: bool,
    round_trip: f64,
    /// Between two pictures.
    interval: f64,
    delay: Delay,
    passed: Passed,
    trains: Trains,
    others: Others,
    competes: Option<Cubic>,
    /// When a report came last.
    last: Option<f64>,
    cut_at: f64,
    /// The pictures begun last now, and at the last cut.
    begun: u32,
    cut_picture: u32,
    /// The queue at the last look since the cut.
    cut_queue: f64,
    /// The mean share of losses behind full queues.
    loss: f64,
    tally: (f64, u32),
    /// When something was last too much.
    over_at: f64,
    wall: Wall,
    /// What pictures and sound have taken lately, and sound alone.
    demand: f64,
    side: f64,
    /// It was this much before: it may be again.
    remembered: f64,
    cause: Move,
}

/// What the path carried when it was last full.
#[derive(Clone, Copy, Debug)]
struct Wall {
    rate: f64,
    at: f64,
    /// Whether trains show it.
    told: bool,
}

/// No datagrams, none lost.
const NOTHING_LOST: (f64, u32) = (0.0, 0);
const NO_WALL: Wall = Wall { rate: 0.0, at: f64::NEG_INFINITY, told: false };

impl Estimate {
    /// `remembered`: what the path carried when it was used before.
    pub fn new(interval: f64, remembered: Option<f64>) -> Self {
        Self {
            rate: remembered.unwrap_or(START),
            startup: true,
            round_trip: f64::INFINITY,
            interval,
            delay: Delay::default(),
            passed: Passed::new(1.0),
            trains: Trains::default(),
            others: Others::default(),
            competes: None,
            last: None,
            cut_at: f64::NEG_INFINITY,
            begun: 0,
            cut_picture: 0,
            cut_queue: CALM,
            loss: 0.0,
            tally: NOTHING_LOST,
            over_at: f64::NEG_INFINITY,
            wall: NO_WALL,
            demand: 0.0,
            side: 0.0,
            remembered: remembered.unwrap_or(0.0),
            cause: Move::Startup,
        }
    }

    pub const fn rate(&self) -> f64 {
        self.rate
    }

    pub const fn cause(&self) -> Move {
        self.cause
    }

    pub const fn is_starting(&self) -> bool {
        self.startup
    }

    pub const fn competes(&self) -> bool {
        self.competes.is_some()
    }

    /// When a report came last.
    pub const fn heard(&self) -> Option<f64> {
        self.last
    }

    /// The least lately, s.
    pub const fn round_trip(&self) -> f64 {
        if self.round_trip.is_finite() { self.round_trip } else { UNKNOWN }
    }

    /// The standing queue, s.
    pub fn standing(&self) -> f64 {
        self.delay.standing()
    }

    /// What has been sent lately, and how much of it was sound.
    pub const fn set_demand(&mut self, demand: f64, side: f64) {
        (self.demand, self.side) = (demand, side);
    }

    /// The pace of pictures, and whether it is that of a test: while all is clear they leave denser than on average, so that
    /// they show what the path carries.
    pub fn pace(&self) -> f64 {
        let test = match (self.startup, self.trains.clear > 0 && self.competes.is_none()) {
            (true, _) => STARTUP,
            (_, true) => PROBE,
            _ => 1.0,
        };
        // The weaker of two flows sends relatively denser, is held up less beside the other, and so comes to its part.
        let even = (EVEN.0 / self.rate).powf(EVEN.1).clamp(EVEN.2, EVEN.3);
        test * even * self.rate / FILL
    }

    /// Trains in a row that the path did not hold up.
    pub const fn clear(&self) -> u32 {
        self.trains.clear
    }

    /// What the path carried, as a train says that it held up.
    pub fn tight(&self) -> Option<f64> {
        self.trains.first_tight()
    }

    /// How long what leaves now would wait in the path, s; `unreported`: bits that no report has told of.
    pub fn waiting(&self, now: f64, unreported: f64) -> f64 {
        let Some((_, newest)) = self.delay.window() else { return 0.0 };
        let tight = self.trains.first_tight().unwrap_or(0.0);
        let carried = self.passed.rate(self.window()).max(0.9 * self.rate).max(tight);
        (unreported / carried - (now - newest - self.delay.now())).max(0.0)
    }

    const fn window(&self) -> f64 {
        3.0 * self.interval
    }

    /// A standing queue never emptied for so long is too much.
    fn high(&self) -> f64 {
        HIGH.max(HIGH_BITS / self.rate)
    }

    /// Takes in what a report tells, in the order in which it was sent.
    ///
    /// `begun`: the picture that was begun last; what is lost of it was sent at the old pace.
    pub fn report(&mut self, now: f64, cells: &[Cell], round_trip: f64, begun: u32) {
        self.begun = begun;
        if self.last.is_some_and(|last| now - last > FORGET) {
            self.begin_anew(now);
        }
        let dt = self.last.map_or(0.2, |last| now - last).clamp(0.0, 0.2);
        // Without the queue: that is known for itself.
        self.round_trip = round_trip.min(self.round_trip * (1.0 + dt / LONGER));
        self.last = Some(now);
        self.delay.passes(dt);
        let lost = self.take(cells);
        self.delay.keep(self.window());
        if self.delay.window().is_none() {
            return;
        }
        self.loss += (lost / (cells.len().max(1)) as f64 - self.loss) * dt.min(1.0);
        let fresh = self.trains.finish(now, self.side);
        let share = self.share(lost, cells.len());
        self.decide(now, dt, share, fresh);
    }

    /// Nothing was told for long: all is forgotten but the least delay.
    fn begin_anew(&mut self, now: f64) {
        self.rate = self.rate.min(START);
        (self.startup, self.competes, self.wall) = (true, None, NO_WALL);
        self.delay.forget();
        self.passed.clear();
        self.trains.forget();
        self.others.forget();
        (self.cut_at, self.loss, self.remembered, self.cause) = (now, 0.0, 0.0, Move::Startup);
    }

    /// Returns how many were lost to a full queue, or marked, of those sent since the last cut.
    fn take(&mut self, cells: &[Cell]) -> f64 {
        let mut full = 0.0;
        for cell in cells {
            let after = cell.picture.is_none_or(|picture| picture > self.cut_picture);
            let counts = cell.sent > self.cut_at && after;
            let Some(at) = cell.arrived else {
                full += f64::from(u8::from(counts && self.delay.is_full()));
                continue;
            };
            full += f64::from(u8::from(counts && cell.marked));
            self.delay.arrived(cell, at);
            self.passed.put(at, cell.bits);
            if let Some(picture) = cell.picture {
                self.trains.arrived(picture, cell, at);
            }
        }
        full
    }

    /// The share of losses, once it can be told.
    fn share(&mut self, lost: f64, cells: usize) -> f64 {
        let (sum, count) = (self.tally.0 + lost, self.tally.1 + cells as u32);
        self.tally = if count >= TALLY { NOTHING_LOST } else { (sum, count) };
        if count >= TALLY { sum / f64::from(count) } else { 0.0 }
    }

    fn decide(&mut self, now: f64, dt: f64, share: f64, fresh: usize) {
        let queue = self.delay.standing();
        let over = if self.competes() {
            share > 0.0
        } else {
            queue > self.high() || self.delay.now() > NOW || share > LOSSES.0 || self.loss > LOSSES.1
        };
        // All that is judged left after the last cut: what left before tells of the old queue.
        let settled = self.delay.window().is_some_and(|(oldest, _)| oldest > self.cut_at);
        if settled {
            self.look_for_others(now, over);
        }
        if over {
            self.over_at = now;
            if settled {
                self.cut(now, queue, share);
            }
        } else if settled {
            self.cut_queue = CALM;
            self.rise(now, dt, fresh);
        }
        if self.loss > 0.05 {
            self.rate *= 1.0 - self.loss * dt;
        }
        let most = (3.0 * self.demand).max(START.max(self.remembered));
        if self.rate > most && self.cause != Move::Startup {
            self.cause = Move::Free;
        }
        self.rate = self.rate.min(most).clamp(LEAST, MOST);
    }

    /// Something is too much.
    fn cut(&mut self, now: f64, queue: f64, share: f64) {
        let losses = share > 0.0 || self.loss > LOSSES.1;
        // One look alone may be a burst's, unless it is beyond doubt.
        let doubtless = self.cut_queue >= CALM && (self.delay.now() > DOUBTLESS || share > LOSSES.0);
        if queue < self.cut_queue - DRAINS && share <= 0.0 && !doubtless {
            // It drains.
            self.cut_queue = queue;
            return;
        }
        if self.competes() {
            self.competes = Some(Cubic::lost(now, self.rate, self.round_trip + queue));
            self.rate = BETA * self.rate.min(1.2 * self.passed.rate(0.2));
            self.cause = Move::Competition;
        } else {
            let span = if queue > self.high() { self.window() } else { self.interval };
            let carried = self.rate.min(self.passed.rate(span).max(0.1 * self.rate));
            self.wall = Wall { rate: carried, at: now, told: false };
            // What stands now must drain, although it did not stand a moment ago.
            let stands = if self.delay.now() > NOW { queue.max(self.delay.now()) } else { queue };
            // A full queue hides how much too fast it was.
            let least = if losses { 0.75 } else { (0.95 - stands / 0.5).max(0.8) };
            self.rate = carried * least;
            self.cause = if losses && queue <= self.high() { Move::Loss } else { Move::Queue };
        }
        (self.cut_at, self.cut_queue, self.startup, self.loss, self.remembered) = (now, queue, false, 0.0, 0.0);
        self.cut_picture = self.begun;
        self.trains.clear_kept();
    }

    /// Nothing is too much: towards what trains show.
    fn rise(&mut self, now: f64, dt: f64, fresh: usize) {
        let (tight, queue) = (self.trains.tight(), self.delay.standing());
        let wall = self.wall;
        let recent = now - wall.at < WALL;
        let near = recent && (0.9 * wall.rate..1.25 * wall.rate).contains(&self.rate);
        self.wall.told |= tight.len() >= 2 && queue < DRAINS;
        // Weak flows push harder, so that two become equal.
        let mut push = 0.1 * (self.rate * 1e6).sqrt();
        if near && self.wall.told && self.trains.clear >= 5 {
            // Trains that showed the wall show it no more.
            push += 0.15 * self.rate;
        }
        if let Some(cubic) = self.competes {
            let wanted = cubic.rate(now, self.round_trip + queue) - self.rate;
            self.rate += wanted.min(0.5 * self.rate * dt).max(-0.1 * self.rate);
        } else if tight.len() >= 2 || !tight.is_empty() && self.startup {
            let cap = 0.92 * tight[tight.len() / 2];
            (self.startup, self.cause) = (false, Move::Path);
            let step = if near { push } else { 4.0 * (cap - self.rate) + push };
            let (down, up) = (dt * (2.0 * (cap - self.rate) + push), dt * step);
            self.rate = if cap < self.rate { self.rate + down } else { cap.min(self.rate + up) };
        } else if !near && fresh > 0 && self.trains.clear >= if self.startup { 1 } else { 2 } {
            self.leap(recent);
        } else {
            self.rate += dt * push;
        }
    }

    /// Trains passed unhindered: the path carries what they carried.
    fn leap(&mut self, recent: bool) {
        let Some(clear) = self.trains.least_clear() else { return };
        let mut most = FILL * clear;
        if recent && self.rate <= 0.9 * self.wall.rate {
            most = most.min(0.91 * self.wall.rate);
        }
        let step = if self.startup { STARTUP } else { PROBE };
        let allowed = most.min(self.rate * step).min(START + step * self.passed.rate(0.2));
        self.rate = self.rate.max(allowed);
    }

    fn look_for_others(&mut self, now: f64, over: bool) {
        let average = self.passed.rate(1.0).max(1.0);
        let dense = self.trains.density().filter(|_| self.rate > 3.0 * self.side);
        let seen = Seen {
            now,
            queue: self.delay.standing(),
            rate: self.rate,
            over,
            over_at: self.over_at,
            competes_since: self.competes.map(|cubic| cubic.epoch),
            density: dense.map(|dense| (dense + self.side) / average),
            clear: self.trains.clear,
        };
        match self.others.look(seen) {
            Finding::Nothing => {}
            Finding::Somebody => {
                self.competes = Some(Cubic::after_loss(now, self.rate, self.round_trip + seen.queue));
                self.cause = Move::Competition;
            }
            // What the path carried was somebody else's part too.
            // What the path carried was somebody else's part too.
            Finding::Nobody => (self.competes, self.wall) = (None, NO_WALL),
            Finding::Longer(by) => {
                self.delay.is_longer(by);
                (self.competes, self.wall) = (None, NO_WALL);
            }
        }
    }
}

//! The TS controller: when picture n leaves, and which pictures are worth encoding.
//!
//! Picture n of a file leaves at `start + n·den/num`, computed from the start each time, so nothing accumulates. The
//! wait until then (TS) is whatever is left of it when somebody asks. Three things can go wrong, each with its rule:
//!
//! - work takes longer than an interval: pictures that could no longer leave in time are skipped before they are
//!   encoded, as long as a fresher one is waiting;
//! - a picture is late although work is quick enough: it leaves at once, but never sooner than half an interval after
//!   the one before, so that a short halt is made good without a loss and without a burst;
//! - everything stood still ([`STALL`]: a stalled source, a stopped process): the timeline moves, nothing is lost.

use std::time::Duration;

use crate::units::{Rate, Time, Unit};
use crate::wire::SizeClass;

/// A picture later than this moves the timeline instead of being caught up with.
pub const STALL: Duration = Duration::from_secs(1);

/// A running timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    start: Time,
    rate: Rate,
    /// Counts the moves, from 1.
    generation: u32,
    last_departure: Option<Time>,
}

impl Schedule {
    pub const fn new(start: Time, rate: Rate) -> Self {
        Self { start, rate, generation: 1, last_departure: None }
    }

    /// When `unit` should leave.
    pub fn due(&self, unit: Unit) -> Time {
        self.start + self.rate.at(u64::from(unit.0))
    }

    pub const fn start(&self) -> Time {
        self.start
    }

    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// When `unit` can leave, given what left before it.
    pub fn departure(&self, unit: Unit) -> Time {
        let earliest = self.last_departure.map_or(Time::ZERO, |last| last + self.rate.interval() / 2);
        self.due(unit).max(earliest)
    }

    /// Notes that `unit` leaves now. Returns true if the timeline had to move.
    pub fn depart(&mut self, unit: Unit, now: Time) -> bool {
        let late = now.since(self.due(unit));
        let moved = late > STALL;
        if moved {
            self.start += late;
            self.generation += 1;
        }
        self.last_departure = Some(now);
        moved
    }
}

/// What the server wants of its encoder. Read it just before each picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Somebody watches.
    pub watched: bool,
    pub quality: u8,
    /// The timeline of a file, once it runs. A live source has none.
    pub schedule: Option<Schedule>,
    pub live: bool,
    /// Changes whenever what was encoded last cannot be sent to somebody: then a picture that shows the same must be
    /// encoded again. Who merely lacks it, because it has just come or has lost a part of it, is sent it by the server.
    pub fresh: u64,
    /// The smallest class in which somebody was sent the last picture.
    pub class: SizeClass,
}

impl Demand {
    pub const fn idle(quality: u8, live: bool) -> Self {
        Self { watched: false, quality, schedule: None, live, fresh: 0, class: SizeClass::ANY }
    }

    /// What to do with picture `unit`, if encoding takes `cost` and `more` says whether a fresher one is waiting.
    pub fn verdict(&self, unit: Unit, now: Time, cost: Duration, more: bool) -> Verdict {
        if self.live {
            return if self.watched { Verdict::Encode } else { Verdict::Discard };
        }
        let Some(schedule) = self.schedule else {
            return if self.watched { Verdict::Encode } else { Verdict::Hold(Time::NEVER) };
        };
        let (due, interval) = (schedule.due(unit), schedule.rate.interval());
        // So late that it would leave after the next one is due. A little later than due is made good.
        let hopeless = more && cost > interval && now + cost > due + interval;
        match (self.watched, now < due) {
            (false, true) => Verdict::Hold(due),
            (false, false) => Verdict::Discard,
            (true, _) if hopeless && now.since(due) <= STALL => Verdict::Skip,
            (true, _) => Verdict::Encode,
        }
    }
}

/// See [`Demand::verdict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Encode,
    /// It would come too late: take the next one.
    Skip,
    /// Nobody watches: let it go uncoded.
    Discard,
    /// Ask again when the demand changes, at the latest then.
    Hold(Time),
}

/// A smoothed estimate of how long encoding takes. One picture that was held up does not count for more than three.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost(Duration);

impl Cost {
    pub fn observe(&mut self, took: Duration) {
        let first = self.0.is_zero();
        let took = if first { took } else { took.min(self.0 * 3) };
        self.0 = if first { took } else { (self.0 * 7 + took) / 8 };
    }

    pub const fn estimate(&self) -> Duration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        Schedule::new(Time::from_millis(1_000), Rate::new(25, 1).expect("25 fps"))
    }

    #[test]
    fn nothing_accumulates() {
        let mut schedule = schedule();
        for n in 0..100_000 {
            let unit = Unit(n);
            assert_eq!(schedule.departure(unit), Time::from_millis(1_000 + 40 * u64::from(n)));
            // Each picture leaves 3 ms late: none of it is passed on.
            assert!(!schedule.depart(unit, schedule.departure(unit) + Duration::from_millis(3)));
        }
    }

    #[test]
    fn a_late_picture_does_not_bunch_with_the_next() {
        let mut schedule = schedule();
        schedule.depart(Unit(0), Time::from_millis(1_035));
        assert_eq!(schedule.departure(Unit(1)), Time::from_millis(1_055));
    }

    #[test]
    fn a_stall_moves_the_timeline() {
        let mut schedule = schedule();
        assert!(schedule.depart(Unit(5), Time::from_millis(31_200)));
        assert_eq!(schedule.due(Unit(6)), Time::from_millis(31_240));
        assert_eq!(schedule.generation(), 2);
    }

    #[test]
    fn pictures_that_would_be_late_are_skipped_only_for_fresher_ones() {
        let demand = Demand { watched: true, schedule: Some(schedule()), ..Demand::idle(80, false) };
        let (now, cost) = (Time::from_millis(1_050), Duration::from_millis(80));
        assert_eq!(demand.verdict(Unit(2), now, cost, true), Verdict::Skip);
        assert_eq!(demand.verdict(Unit(2), now, cost, false), Verdict::Encode);
        assert_eq!(demand.verdict(Unit(3), now, cost, true), Verdict::Encode, "late by less than an interval");
        let quick = Duration::from_millis(5);
        assert_eq!(demand.verdict(Unit(0), now, quick, true), Verdict::Encode, "late, but it can be made good");
        let unwatched = Demand { watched: false, ..demand };
        assert_eq!(unwatched.verdict(Unit(2), now, cost, true), Verdict::Hold(Time::from_millis(1_080)));
        assert_eq!(unwatched.verdict(Unit(1), now, cost, true), Verdict::Discard);
        let waiting = Demand { schedule: None, ..unwatched };
        assert_eq!(waiting.verdict(Unit(0), now, cost, true), Verdict::Hold(Time::NEVER));
    }
}

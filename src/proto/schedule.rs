//! The TS controller: when a picture leaves, and which pictures are worth encoding.
//!
//! A picture of a file leaves at `start + its media time`, which its film says and nobody counts, so nothing accumulates
//! and a film may be as uneven as it likes. The wait until then (TS) is whatever is left of it when somebody asks. Three
//! things can go wrong, each with its rule:
//!
//! - work takes longer than an interval: pictures that could no longer leave in time are skipped before they are
//!   encoded, as long as a fresher one is waiting;
//! - a picture is late although work is quick enough: it leaves at once, but never sooner after the one before than half
//!   the time that lies between them on the timeline (at most half the film's usual interval), so that a short halt is
//!   made good without a loss and without a burst;
//! - everything stood still ([`STALL`]: a stalled source, a stopped process): the timeline moves, nothing is lost.

use std::time::Duration;

use super::ladder::Wish;
use crate::units::{MediaTime, Rate, Span, Speed, Time, Timing};
use crate::wire::SizeClass;

/// A picture later than this moves the timeline instead of being caught up with.
pub const STALL: Duration = Duration::from_secs(1);

/// A running timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    timing: Timing,
    /// With which moment it begins.
    base: MediaTime,
    /// The film's usual interval.
    interval: Duration,
    /// Counts the moves, from 1.
    generation: u32,
    last: Option<(MediaTime, Time)>,
    /// It stands at this moment: nothing later is due.
    held: Option<MediaTime>,
}

impl Schedule {
    /// Media time 0 is due at `start`. `rate` is the film's usual one.
    pub fn new(start: Time, rate: Rate) -> Self {
        Self::from(MediaTime::ZERO, start, Speed::NORMAL, rate)
    }

    /// It begins with this moment, which is due at `at`, and goes on at this speed.
    pub fn from(base: MediaTime, at: Time, speed: Speed, rate: Rate) -> Self {
        let timing = Timing::through(base, at, speed);
        Self { timing, base, interval: rate.interval(), generation: 1, last: None, held: None }
    }

    /// When a picture of this media time should leave.
    pub fn due(&self, media: MediaTime) -> Time {
        if self.held.is_some_and(|held| media > held) { Time::NEVER } else { self.timing.at(media) }
    }

    /// When what comes so long after media time 0 is due, to the nanosecond.
    pub fn due_after(&self, after: Duration) -> Time {
        let held = self.held.is_some_and(|held| after > Duration::from_micros(held.micros().max(0).unsigned_abs()));
        if held { Time::NEVER } else { self.timing.zero + self.timing.lasts(after) }
    }

    /// With which moment it begins, and when that is due.
    pub fn beginning(&self) -> (MediaTime, Time) {
        (self.base, self.timing.at(self.base))
    }

    pub const fn speed(&self) -> Speed {
        self.timing.speed
    }

    /// The moment that is due now, or at which it stands.
    pub fn media(&self, now: Time) -> MediaTime {
        let media = self.timing.media(now);
        self.held.map_or(media, |held| held.min(media))
    }

    /// It stands at this moment from now on.
    pub const fn hold(&mut self, at: MediaTime) {
        self.held = Some(at);
        self.generation += 1;
    }

    /// The moment at which it stands.
    pub const fn held(&self) -> Option<MediaTime> {
        self.held
    }

    /// How long a picture is to be seen that stands for so much of the timeline.
    pub fn lasts(&self, media: Duration) -> Duration {
        self.timing.lasts(media)
    }

    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// When it can leave, given what left before it.
    pub fn departure(&self, media: MediaTime) -> Time {
        let due = self.due(media);
        self.last.map_or(due, |(before, left)| due.max(left + self.lasts(media.since(before).min(self.interval)) / 2))
    }

    /// Notes that a picture of this media time leaves now. Returns true if the timeline had to move.
    pub fn depart(&mut self, media: MediaTime, now: Time) -> bool {
        let late = now.since(self.due(media));
        let moved = late > STALL;
        if moved {
            self.timing = self.timing.later(late);
            self.generation += 1;
        }
        self.last = Some((media, now));
        moved
    }
}

/// What the server wants of its encoder. Read it just before each picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Somebody watches.
    pub watched: bool,
    /// To what the picture is coded.
    pub wish: Wish,
    /// The timeline of a file, once it runs. A live source has none.
    pub schedule: Option<Schedule>,
    pub live: bool,
    /// Changes whenever what was encoded last cannot be sent to somebody: then a picture that shows the same must be
    /// encoded again. Who merely lacks it, because it has just come or has lost a part of it, is sent it by the server.
    pub fresh: u64,
    /// The smallest class in which somebody was sent the last picture.
    pub class: SizeClass,
    /// A picture waits for its moment, and one that is made before that would be made to what paths carried then.
    pub held: bool,
}

impl Demand {
    pub const fn idle(quality: u8, live: bool) -> Self {
        let wish = Wish::free(quality);
        Self { watched: false, wish, schedule: None, live, fresh: 0, class: SizeClass::ANY, held: false }
    }

    /// What to do with a picture that stands there, if encoding takes `cost` and `more` says whether a fresher one is
    /// waiting.
    pub fn verdict(&self, span: Span, now: Time, cost: Duration, more: bool) -> Verdict {
        if self.live {
            return if self.watched { Verdict::Encode } else { Verdict::Discard };
        }
        let Some(schedule) = self.schedule else {
            return if self.watched { Verdict::Encode } else { Verdict::Hold(Time::NEVER) };
        };
        let due = schedule.due(span.at);
        // So late that it would leave after the next one is due. A little later than due is made good.
        let hopeless = more && cost > span.lasts && now + cost > due + span.lasts;
        match (self.watched, now < due) {
            (false, true) => Verdict::Hold(due),
            (false, false) => Verdict::Discard,
            // Made after the departure of the one before, it is still there in time.
            (true, true) if self.held && cost * 2 < span.lasts => Verdict::Hold(due),
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

    fn rate() -> Rate {
        Rate::new(25, 1).expect("25 fps")
    }

    fn schedule() -> Schedule {
        Schedule::new(Time::from_millis(1_000), rate())
    }

    fn at(n: u64) -> MediaTime {
        rate().media_time(n)
    }

    #[test]
    fn nothing_accumulates() {
        let mut schedule = schedule();
        for n in 0..100_000 {
            assert_eq!(schedule.departure(at(n)), Time::from_millis(1_000 + 40 * n));
            // Each picture leaves 3 ms late: none of it is passed on.
            assert!(!schedule.depart(at(n), schedule.departure(at(n)) + Duration::from_millis(3)));
        }
    }

    #[test]
    fn a_late_picture_does_not_bunch_with_the_next() {
        let mut schedule = schedule();
        schedule.depart(at(0), Time::from_millis(1_035));
        assert_eq!(schedule.departure(at(1)), Time::from_millis(1_055));
        // Pictures that lie close together may follow each other closely, but none waits longer than a usual interval.
        assert_eq!(schedule.departure(MediaTime::from_micros(10_000)), Time::from_millis(1_040));
        schedule.depart(at(1), Time::from_millis(1_500));
        assert_eq!(schedule.departure(at(10)), Time::from_millis(1_520));
    }

    #[test]
    fn an_uneven_film_keeps_its_own_time() {
        let mut schedule = schedule();
        for millis in [0, 2_000, 2_005, 2_010, 7_000, 7_033, 3_600_000] {
            let media = MediaTime::from_micros(millis * 1_000);
            let due = Time::from_millis(1_000 + millis.unsigned_abs());
            assert_eq!((schedule.due(media), schedule.departure(media)), (due, due));
            assert!(!schedule.depart(media, due));
        }
    }

    #[test]
    fn a_stall_moves_the_timeline() {
        let mut schedule = schedule();
        assert!(schedule.depart(at(5), Time::from_millis(31_200)));
        assert_eq!(schedule.due(at(6)), Time::from_millis(31_240));
        assert_eq!(schedule.generation(), 2);
    }

    #[test]
    fn it_runs_at_its_speed_and_stands_where_it_is_held() {
        let speed = Speed::new(2, 1).expect("a usual speed");
        let mut schedule = Schedule::from(at(100), Time::from_millis(1_000), speed, rate());
        assert_eq!(
            (schedule.due(at(100)), schedule.due(at(110))),
            (Time::from_millis(1_000), Time::from_millis(1_200))
        );
        assert!(!schedule.depart(at(100), Time::from_millis(1_015)));
        assert_eq!(schedule.departure(at(101)), Time::from_millis(1_025), "half of the 20 ms between them");
        schedule.hold(schedule.media(Time::from_millis(1_100)));
        assert_eq!((schedule.due(at(105)), schedule.due(at(106))), (Time::from_millis(1_100), Time::NEVER));
        assert_eq!((schedule.media(Time::from_millis(9_000)), schedule.generation()), (at(105), 2));
    }

    #[test]
    fn pictures_that_would_be_late_are_skipped_only_for_fresher_ones() {
        let demand = Demand { watched: true, schedule: Some(schedule()), ..Demand::idle(80, false) };
        let (now, cost) = (Time::from_millis(1_050), Duration::from_millis(80));
        let span = |n| rate().span(n);
        assert_eq!(demand.verdict(span(2), now, cost, true), Verdict::Skip);
        assert_eq!(demand.verdict(span(2), now, cost, false), Verdict::Encode);
        let slide = Span { lasts: Duration::from_secs(5), ..span(2) };
        assert_eq!(demand.verdict(slide, now, cost, true), Verdict::Encode, "the next one is far away");
        assert_eq!(demand.verdict(span(3), now, cost, true), Verdict::Encode, "late by less than an interval");
        let quick = Duration::from_millis(5);
        assert_eq!(demand.verdict(span(0), now, quick, true), Verdict::Encode, "late, but it can be made good");
        let unwatched = Demand { watched: false, ..demand };
        assert_eq!(unwatched.verdict(span(2), now, cost, true), Verdict::Hold(Time::from_millis(1_080)));
        assert_eq!(unwatched.verdict(span(1), now, cost, true), Verdict::Discard);
        let waiting = Demand { schedule: None, ..unwatched };
        assert_eq!(waiting.verdict(span(0), now, cost, true), Verdict::Hold(Time::NEVER));
    }
}

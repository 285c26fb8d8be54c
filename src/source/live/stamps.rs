//! From a device's stamps to our clock. Which clock it stamps with is recognised by nearness: CLOCK_MONOTONIC, as kernels
//! stamp pictures, or the wall clock, as sound servers do. Any other is taken to be as late as the quickest delivery in the
//! last ten seconds, which came at once.

use std::time::Duration;

use crate::units::Time;

/// One device's clock.
#[derive(Clone, Debug, Default)]
pub(super) struct CaptureClock {
    /// The least arrival − stamp, in nanoseconds, of each span of time; the newest is last.
    least: [Option<i128>; SPANS],
    /// When the newest span began.
    began: Option<Time>,
}

impl CaptureClock {
    /// When what was stamped `stamp` nanoseconds, and has just arrived, came into being; `wall` is how far the wall clock is
    /// ahead of ours. Never later than the arrival.
    pub fn captured(&mut self, stamp: i64, arrival: Time, wall: i64) -> Time {
        let behind = i128::from(arrival.nanos()) - i128::from(stamp);
        let near = |behind: i128| (-EARLY..LATE).contains(&behind);
        let late = [behind, behind + i128::from(wall)].into_iter().find(|&behind| near(behind));
        let late = late.unwrap_or_else(|| behind - self.offset(behind, arrival));
        arrival.offset(-i64::try_from(late.max(0)).unwrap_or(i64::MAX))
    }

    /// The least of what was seen lately, `behind` included.
    fn offset(&mut self, behind: i128, arrival: Time) -> i128 {
        let known = self.least.iter().flatten().min().copied();
        if known.is_some_and(|least| behind - least > LATE) {
            // Its clock was set back: nothing is that late.
            *self = Self::default();
        }
        if self.began.is_none_or(|began| arrival.since(began) >= SPAN) {
            self.least.rotate_left(1);
            self.least[SPANS - 1] = None;
            self.began = Some(arrival);
        }
        let newest = &mut self.least[SPANS - 1];
        *newest = Some(newest.map_or(behind, |least| least.min(behind)));
        self.least.iter().flatten().min().copied().unwrap_or(behind)
    }
}

/// A stamp of a clock that we know is at most this old; sound servers hold back two seconds at most.
const LATE: i128 = 2_000_000_000;
/// Stamps that were filtered may lie a little before their time.
const EARLY: i128 = 50_000_000;
/// Five spans of two seconds: a quartz that is off by 100 ppm goes astray by a millisecond in that time.
const SPANS: usize = 5;
const SPAN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    /// 1.7 × 10⁹ s, less our own hour.
    const WALL: i64 = 1_700_000_000_000_000_000;

    #[test]
    fn clocks_that_we_know_are_told_apart() {
        let mut stamps = CaptureClock::default();
        let arrival = Time::from_millis(HOUR);
        let own = arrival.nanos();
        let made = Time::from_millis(HOUR - 15);
        assert_eq!(stamps.captured(own - 15_000_000, arrival, WALL), made);
        assert_eq!(stamps.captured(own - 15_000_000 + WALL, arrival, WALL), made);
        assert_eq!(stamps.captured(own + 20_000_000, arrival, WALL), arrival, "never later than it came");
        assert!(stamps.began.is_none(), "nothing had to be estimated");
    }

    #[test]
    fn any_other_clock_is_as_late_as_its_quickest_delivery() {
        let (mut stamps, mut worst) = (CaptureClock::default(), 0_i64);
        for number in 0..3_000_u64 {
            let made = HOUR * 1_000 + number * 33_333;
            // 100 ppm too fast, and up to 20 ms on the way, every seventh at once.
            let stamp = (number * 33_333) as i64 * 1_000 + (number * 3_333) as i64;
            let way = number % 7 * 3_000;
            let arrival = Time::from_micros(made + way);
            let captured = stamps.captured(stamp, arrival, WALL);
            assert!(captured <= arrival);
            if number > 7 {
                worst = worst.max(captured.signed_since(Time::from_micros(made)).abs());
            }
        }
        assert!(worst < 1_100_000, "{worst} ns off");
    }

    #[test]
    fn a_clock_that_is_set_is_believed_at_once() {
        let mut stamps = CaptureClock::default();
        let at = |millis: u64| Time::from_millis(HOUR + millis);
        assert_eq!(stamps.captured(500_000_000_000, at(0), WALL), at(0));
        assert_eq!(stamps.captured(500_100_000_000, at(130), WALL), at(100));
        assert_eq!(stamps.captured(0, at(200), WALL), at(200), "set back");
        assert_eq!(stamps.captured(90_000_000, at(300), WALL), at(290));
        assert_eq!(stamps.captured(900_000_000_000, at(400), WALL), at(400), "set forward");
        assert_eq!(stamps.captured(i64::MIN, at(500), WALL), at(500));
        assert_eq!(stamps.captured(i64::MAX, at(600), WALL), at(600));
    }
}

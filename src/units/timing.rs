//! When the moments of a timeline are due that may run faster or slower than the clock.

use std::time::Duration;

use super::{MediaTime, Time};

/// How fast a timeline runs: so much of its own time goes by in a second, as an exact fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Speed {
    num: u32,
    den: u32,
}

impl Speed {
    pub const NORMAL: Self = Self { num: 1, den: 1 };

    /// `None` unless it lies between a quarter and four.
    pub const fn new(num: u32, den: u32) -> Option<Self> {
        let (n, d) = (num as u64, den as u64);
        let in_range = num > 0 && den > 0 && n <= 4 * d && d <= 4 * n;
        if in_range { Some(Self { num, den }) } else { None }
    }

    pub const fn num(self) -> u32 {
        self.num
    }

    pub const fn den(self) -> u32 {
        self.den
    }

    pub fn factor(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    pub const fn is_normal(self) -> bool {
        self.num == self.den
    }

    /// How long so many micros of the timeline take on a clock, in nanoseconds.
    fn on_clock(self, micros: i64) -> i64 {
        let nanos = i128::from(micros) * 1_000 * i128::from(self.den) / i128::from(self.num);
        i64::try_from(nanos).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX })
    }

    /// How many micros of the timeline go by in so many nanoseconds of a clock.
    fn on_timeline(self, nanos: i64) -> i64 {
        // No factor is above four.
        (i128::from(nanos) * i128::from(self.num) / i128::from(self.den) / 1_000) as i64
    }
}

/// When the moments of a timeline are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// When media time 0 is, or would have been.
    pub zero: Time,
    pub speed: Speed,
}

impl Timing {
    /// One that runs as fast as the clock.
    pub const fn normal(zero: Time) -> Self {
        Self { zero, speed: Speed::NORMAL }
    }

    /// One in which this moment is due then.
    pub fn through(media: MediaTime, at: Time, speed: Speed) -> Self {
        Self { zero: at.offset(speed.on_clock(media.micros()).saturating_neg()), speed }
    }

    /// When a moment is due.
    pub fn at(self, media: MediaTime) -> Time {
        self.zero.offset(self.speed.on_clock(media.micros()))
    }

    /// The moment that is due then.
    pub fn media(self, at: Time) -> MediaTime {
        MediaTime::from_micros(self.speed.on_timeline(at.signed_since(self.zero)))
    }

    /// How long so much of the timeline takes.
    pub fn lasts(self, media: Duration) -> Duration {
        let Speed { num, den } = self.speed;
        let nanos = media.as_nanos() * u128::from(den) / u128::from(num);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The same with everything later.
    pub fn later(self, by: Duration) -> Self {
        Self { zero: self.zero + by, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_runs_at_its_speed_both_ways() {
        for (num, den) in [(1, 1), (1, 2), (2, 1), (3, 4), (5, 4)] {
            let speed = Speed::new(num, den).expect("a usual speed");
            let (media, at) = (MediaTime::from_micros(7_200_000_000), Time::from_millis(1_234));
            let timing = Timing::through(media, at, speed);
            assert_eq!((timing.at(media), timing.media(at)), (at, media));
            let later = at + Duration::from_secs(60);
            let went = timing.media(later).since(media).as_secs_f64();
            assert!((went - 60.0 * speed.factor()).abs() < 2e-6, "{num}/{den}: {went}");
            assert_eq!(timing.lasts(timing.media(later).since(media)), Duration::from_secs(60));
        }
        assert_eq!((Speed::new(5, 1), Speed::new(1, 5), Speed::new(0, 1), Speed::new(1, 0)), (None, None, None, None));
        assert!(Speed::new(2, 2).is_some_and(Speed::is_normal));
    }
}

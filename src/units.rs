//! Newtypes for every quantity that crosses a module boundary. No clock here: a [`Time`] is always handed in.

mod timing;

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

pub use timing::{Speed, Timing};

/// An instant on this machine's monotonic clock, in nanoseconds. Negative before the clock's own zero: a stream elsewhere may
/// have begun before this machine did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    pub const ZERO: Self = Self(0);
    /// Later than anything that will be scheduled.
    pub const NEVER: Self = Self(i64::MAX);

    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// [`Self::NEVER`] for what no clock reaches in 292 years.
    pub const fn from_micros(micros: u64) -> Self {
        Self(nanoseconds(micros, 1_000))
    }

    /// [`Self::NEVER`] for what no clock reaches in 292 years.
    pub const fn from_millis(millis: u64) -> Self {
        Self(nanoseconds(millis, 1_000_000))
    }

    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// As the wire carries it, where no clock is before its zero.
    pub const fn micros(self) -> u64 {
        if self.0 < 0 { 0 } else { self.0.unsigned_abs() / 1_000 }
    }

    /// Seconds, for calculators of rates.
    pub fn as_secs(self) -> f64 {
        self.nanos() as f64 / 1e9
    }

    /// The reverse of [`Time::as_secs`].
    pub fn from_secs(seconds: f64) -> Self {
        Self::from_nanos((seconds * 1e9) as i64)
    }

    /// The low 32 bits of the microsecond count, as the hop header carries it (wraps every 71.6 minutes).
    pub const fn wire_micros(self) -> u32 {
        self.micros() as u32
    }

    /// Time gone by since `earlier`, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(if self.0 > earlier.0 { self.0.abs_diff(earlier.0) } else { 0 })
    }

    /// `self − other` in nanoseconds, signed.
    pub const fn signed_since(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }

    /// Moves by a signed number of nanoseconds.
    pub const fn offset(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

const fn nanoseconds(count: u64, each: u64) -> i64 {
    let nanos = count.saturating_mul(each);
    if nanos > i64::MAX as u64 { i64::MAX } else { nanos.cast_signed() }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(rhs.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// A point on a stream's own timeline, in microseconds from its zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaTime(i64);

impl MediaTime {
    pub const ZERO: Self = Self(0);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The same moment of a piece that begins at `beginning`.
    pub const fn within(self, beginning: Self) -> Self {
        Self(self.0.saturating_add(beginning.0))
    }

    /// Time gone by since `earlier`, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(if self.0 > earlier.0 { self.0.abs_diff(earlier.0) } else { 0 })
    }
}

impl Add<Duration> for MediaTime {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// Where a picture stands on its stream's timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub at: MediaTime,
    /// Until the next picture is due, or the film is over.
    pub lasts: Duration,
}

impl Span {
    pub fn end(self) -> MediaTime {
        self.at + self.lasts
    }
}

/// Pictures per second as an exact fraction, so that 30000/1001 never drifts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    num: u32,
    den: u32,
}

impl Rate {
    /// 25 pictures a second: where nothing is known.
    pub const TYPICAL: Self = Self { num: 25, den: 1 };

    /// `None` unless the rate lies between one picture in ten minutes and 10 000 a second.
    pub const fn new(num: u32, den: u32) -> Option<Self> {
        let in_range = num > 0 && den > 0 && num as u64 <= 10_000 * den as u64 && den as u64 <= 600 * num as u64;
        if in_range { Some(Self { num, den }) } else { None }
    }

    /// The nearest fraction with a usual denominator: 1, 1001 (the NTSC family) or 1000.
    pub fn from_fps(fps: f64) -> Option<Self> {
        if !(fps.is_finite() && fps > 0.0 && fps <= 10_000.0) {
            return None;
        }
        if (fps - fps.round()).abs() < 1e-6 {
            return Self::new(fps.round() as u32, 1);
        }
        let ntsc = (fps * 1.001).round();
        if (ntsc / 1.001 - fps).abs() < 0.005 {
            return Self::new(ntsc as u32 * 1_000, 1_001);
        }
        Self::new((fps * 1_000.0).round() as u32, 1_000)
    }

    pub const fn num(self) -> u32 {
        self.num
    }

    pub const fn den(self) -> u32 {
        self.den
    }

    pub fn fps(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// Exactly `n · den / num` seconds, rounded down to a nanosecond once (never accumulated).
    pub fn at(self, n: u64) -> Duration {
        let nanos = u128::from(n) * u128::from(self.den) * 1_000_000_000 / u128::from(self.num);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// One picture's time.
    pub fn interval(self) -> Duration {
        self.at(1)
    }

    /// The last picture whose moment has come when `elapsed` has gone by: the inverse of [`Rate::at`].
    pub fn index_at(self, elapsed: Duration) -> u64 {
        let n = (elapsed.as_nanos() + 1) * u128::from(self.num);
        let n = n.div_ceil(u128::from(self.den) * 1_000_000_000).saturating_sub(1);
        u64::try_from(n).unwrap_or(u64::MAX)
    }

    /// Media time of picture `n` of a steady stream.
    pub fn media_time(self, n: u64) -> MediaTime {
        MediaTime((self.at(n).as_nanos() / 1_000) as i64)
    }

    /// Where picture `n` of a steady stream stands.
    pub fn span(self, n: u64) -> Span {
        let at = self.media_time(n);
        Span { at, lasts: self.media_time(n.saturating_add(1)).since(at) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.3}", self.fps());
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bitrate(u64);

impl Bitrate {
    pub const fn bps(bits: u64) -> Self {
        Self(bits)
    }

    pub const fn as_bps(self) -> u64 {
        self.0
    }

    /// The rate at which `bytes` pass in `time`; `None` for no time.
    pub fn of(bytes: u64, time: Duration) -> Option<Self> {
        let nanos = time.as_nanos();
        (nanos > 0).then(|| Self(u64::try_from(u128::from(bytes) * 8_000_000_000 / nanos).unwrap_or(u64::MAX)))
    }

    /// How long `bytes` take at this rate; [`Duration::MAX`] at rate zero.
    pub fn time_for(self, bytes: u64) -> Duration {
        if self.0 == 0 {
            return Duration::MAX;
        }
        let nanos = u128::from(bytes) * 8_000_000_000 / u128::from(self.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Picture number on a stream's timeline; skipped pictures consume numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit(pub u32);

impl Unit {
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// Width and height of a picture in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Size {
    pub width: u16,
    pub height: u16,
}

impl Size {
    pub const fn new(width: u16, height: u16) -> Self {
        Self { width, height }
    }

    pub const fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Of this rendition of a picture that has this size in full: each side halved so often, rounded up.
    pub const fn rendition(self, rendition: u8) -> Self {
        let shift = if rendition < 16 { rendition } else { 15 };
        // Never more than the side itself, so the casts lose nothing.
        let (width, height) = ((self.width as u32).div_ceil(1 << shift), (self.height as u32).div_ceil(1 << shift));
        Self::new(width as u16, height as u16)
    }

    /// How many renditions below the full size are worth having: at most two, as long as there is something to see.
    pub const fn smaller_renditions(self) -> u8 {
        let mut smaller = 0;
        while smaller + 1 < RENDITIONS as u8 {
            let next = self.rendition(smaller + 1);
            if next.width < LEAST_SIDE || next.height < LEAST_SIDE {
                break;
            }
            smaller += 1;
        }
        smaller
    }
}

/// Renditions of pictures: full size, half and a quarter of each side.
pub const RENDITIONS: usize = 3;
/// No side of a rendition that is offered is shorter: one MCU.
const LEAST_SIDE: u16 = 16;

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_never_drifts_and_index_is_its_inverse() {
        for (num, den) in [(24_000, 1_001), (25, 1), (30_000, 1_001), (30, 1), (60, 1), (1, 1), (1_000, 1)] {
            let rate = Rate::new(num, den).expect("usual rate");
            for n in [0_u64, 1, 2, 3, 999, 86_400 * 60, u64::from(u32::MAX)] {
                let at = rate.at(n);
                assert_eq!(rate.index_at(at), n, "{num}/{den} picture {n}");
                if n > 0 {
                    assert_eq!(rate.index_at(at - Duration::from_nanos(1)), n - 1, "{num}/{den} just before {n}");
                }
            }
            assert_eq!(rate.at(u64::from(num) * 3_600), Duration::from_secs(3_600 * u64::from(den)));
        }
    }

    #[test]
    fn decimal_rates_find_their_fraction() {
        for (fps, num, den) in [(29.97, 30_000, 1_001), (23.976, 24_000, 1_001), (25.0, 25, 1), (12.5, 12_500, 1_000)] {
            assert_eq!(Rate::from_fps(fps), Rate::new(num, den), "{fps}");
        }
        assert_eq!(Rate::from_fps(0.0), None);
        assert_eq!(Rate::from_fps(f64::NAN), None);
        assert_eq!(Rate::new(30, 0), None);
    }

    #[test]
    fn renditions_are_rounded_up_and_end_where_there_is_nothing_to_see() {
        let of = |width, height, rendition| {
            let size = Size::new(width, height).rendition(rendition);
            (size.width, size.height)
        };
        assert_eq!([of(1_280, 720, 0), of(1_280, 720, 1), of(1_280, 720, 2)], [(1_280, 720), (640, 360), (320, 180)]);
        assert_eq!([of(501, 283, 1), of(501, 283, 2), of(1, 1, 255)], [(251, 142), (126, 71), (1, 1)]);
        assert_eq!(of(u16::MAX, 5, 255), (2, 1));
        let smaller = |width, height| Size::new(width, height).smaller_renditions();
        assert_eq!([smaller(1_280, 720), smaller(61, 61), smaller(60, 61), smaller(400, 31)], [2, 2, 1, 1]);
        assert_eq!([smaller(400, 30), smaller(1, 1), smaller(0, 0)], [0, 0, 0]);
    }

    #[test]
    fn times_saturate() {
        assert_eq!((Time::ZERO - Duration::from_secs(1)).signed_since(Time::ZERO), -1_000_000_000);
        assert_eq!(Time::ZERO.since(Time::ZERO - Duration::from_secs(1)), Duration::from_secs(1));
        assert_eq!((Time::ZERO - Duration::from_secs(1)).since(Time::ZERO), Duration::ZERO);
        assert_eq!((Time::from_micros(u64::MAX), Time::from_millis(u64::MAX)), (Time::NEVER, Time::NEVER));
        assert_eq!((Time::ZERO - Duration::from_secs(1)).micros(), 0);
        assert_eq!(Time::NEVER + Duration::from_secs(1), Time::NEVER);
        assert_eq!(Time::from_millis(2).signed_since(Time::from_millis(3)), -1_000_000);
        assert_eq!(Bitrate::bps(8_000).time_for(1_000), Duration::from_secs(1));
    }
}

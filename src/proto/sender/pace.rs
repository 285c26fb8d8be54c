//! In-picture pacing: a burst, then a steady rate, so that a picture of many datagrams does not overrun the buffers
//! on its way. A limit, not a goal.

use std::time::Duration;

use crate::units::{Bitrate, Time};
use crate::wire::SizeClass;

/// Let go at once: 55 datagrams of 1 200 bytes, of the 92 that a default socket buffer of 212 992 bytes holds
/// (measured; the kernel counts 2 304 bytes for each).
const BURST: usize = 64_000;
/// After the burst, datagrams leave in groups of this many bytes, so that pacing costs few timers.
const GROUP: usize = 16_000;
/// A path that carries the largest datagrams does not leave the machine: no queue on the way can overflow but the
/// receiver's own. Three of them (71 000 bytes of memory each) fit a default buffer, and who reads one takes less time
/// than who sends one.
const LOCAL_BURST: usize = 3 * SizeClass::LOOPBACK.datagram();
/// At this rate a local reader has half a millisecond for each further datagram; it takes 20 µs.
const LOCAL_RATE: Bitrate = Bitrate::bps(1_000_000_000);

/// When the bytes of one picture may leave.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    start: Time,
    burst: usize,
    rate: Bitrate,
}

impl Pace {
    /// For a picture of `bytes` in datagrams of `class` that leaves at `start`, in a stream with this `interval` between
    /// pictures: four times the stream's rate, or what ends within 75 % of the interval if that is more.
    pub fn new(start: Time, bytes: usize, class: SizeClass, interval: Duration) -> Self {
        let (burst, least) = match class {
            SizeClass::LOOPBACK => (LOCAL_BURST, LOCAL_RATE),
            _ => (BURST, Bitrate::default()),
        };
        let stream = Bitrate::of(bytes as u64, interval).unwrap_or_default();
        let rest = bytes.saturating_sub(burst) as u64;
        let within = Bitrate::of(rest, interval * 3 / 4).unwrap_or_default();
        let rate = (stream.as_bps() * 4).max(within.as_bps()).max(least.as_bps());
        Self { start, burst, rate: Bitrate::bps(rate) }
    }

    /// For a picture of `bytes` that leaves at `start` at this `rate`, or faster if its `interval` would end before.
    pub fn steady(start: Time, bytes: usize, rate: Bitrate, interval: Duration) -> Self {
        let least = Bitrate::of(bytes as u64, interval).unwrap_or_default();
        Self { start, burst: GROUP, rate: rate.max(least) }
    }

    /// The same for a picture that leaves at `start`.
    pub const fn from(self, start: Time) -> Self {
        Self { start, ..self }
    }

    /// When the byte after `sent` bytes may leave.
    pub fn release(&self, sent: usize) -> Time {
        match sent.checked_sub(self.burst) {
            None => self.start,
            Some(over) => self.start + self.rate.time_for(((over / GROUP + 1) * GROUP) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(33);

    #[test]
    fn a_small_picture_leaves_at_once() {
        let pace = Pace::new(Time::from_millis(5), 40_000, SizeClass::ANY, INTERVAL);
        assert_eq!(pace.release(39_999), Time::from_millis(5));
    }

    #[test]
    fn a_large_picture_leaves_in_bursts_and_within_its_interval() {
        for bytes in [70_000, 134_000, 1_000_000, 8_000_000] {
            let pace = Pace::new(Time::ZERO, bytes, SizeClass::ANY, INTERVAL);
            let last = pace.release(bytes - 1);
            assert!(last.since(Time::ZERO) <= INTERVAL * 4 / 5, "{bytes} bytes end {last:?}");
            assert_eq!(pace.release(BURST - 1), Time::ZERO);
            assert!(pace.release(BURST) > Time::ZERO);
            let mut before = Time::ZERO;
            for sent in (0..bytes).step_by(1_200) {
                assert!(pace.release(sent) >= before, "never goes back");
                before = pace.release(sent);
            }
        }
    }

    #[test]
    fn on_one_machine_a_film_picture_leaves_at_once_and_a_huge_one_within_its_interval() {
        let pace = |bytes| Pace::new(Time::ZERO, bytes, SizeClass::LOOPBACK, INTERVAL);
        assert_eq!(pace(134_000).release(131_000), Time::ZERO);
        let last = pace(300_000).release(262_000);
        assert!(last > Time::ZERO && last < Time::from_millis(1), "{last:?}");
        assert!(pace(8_000_000).release(7_999_999).since(Time::ZERO) <= INTERVAL * 4 / 5);
    }
}

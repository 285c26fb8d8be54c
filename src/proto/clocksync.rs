//! The server's clock in ours, from two-way exchanges as in NTP (RFC 5905 §8): of the exchanges of the last minute the
//! one with the shortest round trip is believed. An older one is worth less, because the quartzes of two machines differ.
//! When another one is believed than before, what is told moves there slowly: a jump would be heard.

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::Time;

const MEMORY: Duration = Duration::from_secs(60);
/// Two quartzes part by so many ns in a second: 100 millionths.
const DRIFT: u64 = 100_000;
/// Exchanges kept: more than a server's in [`MEMORY`], at four a second.
const KEPT: usize = 256;

/// In the beginning each better exchange is believed at once.
const SETTLING: Duration = Duration::from_secs(5);
/// After that what is told moves by one part in so many of the time that goes by: 2.5 ms a second …
const SLOWLY: i64 = 400;
/// … unless it was wrong by more than this, ns: then a machine has slept.
const WRONG: i64 = 100_000_000;

/// Nothing comes quicker than the first by more than this, ns: then a clock was set.
const QUICKER: i64 = 3_600_000_000_000;

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Time,
    rtt: Duration,
    /// Server − ours, ns.
    offset: i64,
}

impl Sample {
    /// How far the offset may be wrong when `newer` comes, ns: half the round trip, and what the clocks have parted.
    fn error_at(&self, newer: &Self) -> u128 {
        self.rtt.as_nanos() / 2 + newer.at.since(self.at).as_millis() * u128::from(DRIFT) / 1_000
    }
}

#[derive(Clone, Debug, Default)]
pub struct ClockSync {
    /// Each is worse than the one before it and will be believed when that is forgotten: a sliding minimum.
    best: VecDeque<Sample>,
    last_rtt: Option<Duration>,
    /// Server − ours, ns, as it is told.
    offset: i64,
    /// When the first exchange was, and the last.
    span: Option<(Time, Time)>,
    /// Server − ours, ns, by the first that was on its way for nobody knows how long.
    first_one_way: Option<i64>,
}

/// The clock of a sender that is told nothing: what it says of it, and the stamps of what it sends.
#[derive(Clone, Debug, Default)]
pub struct OneWay {
    told: Option<Time>,
}

impl OneWay {
    /// The sender's clock is this, as it says now.
    pub fn tells(&mut self, told: Time, now: Time, clock: &mut ClockSync) {
        if self.told.replace(told).is_none() {
            clock.one_way(told, now);
        }
    }

    /// When something left that bears this stamp, which is the low 32 bits of the sender's µs.
    pub fn sent(&self, stamp: u32) -> Option<Time> {
        let told = self.told?;
        let ahead = stamp.wrapping_sub(told.wire_micros()).cast_signed();
        Some(told.offset(i64::from(ahead) * 1_000))
    }
}

impl ClockSync {
    /// We sent at `sent`, the server held the question for `held` and answered at `server`; that came at `now`.
    pub fn exchange(&mut self, sent: Time, held: Duration, server: Time, now: Time) {
        let rtt = now.since(sent).saturating_sub(held);
        let offset = server.signed_since(now).saturating_add(rtt.as_nanos() as i64 / 2);
        self.last_rtt = Some(rtt);
        self.take(Sample { at: now, rtt, offset });
    }

    fn take(&mut self, new: Sample) {
        let now = new.at;
        while self.best.back().is_some_and(|old| old.error_at(&new) >= new.error_at(&new)) {
            self.best.pop_back();
        }
        while self.best.front().is_some_and(|old| now.since(old.at) > MEMORY) {
            self.best.pop_front();
        }
        if self.best.len() < KEPT {
            self.best.push_back(new);
        }
        self.follow(now);
    }

    /// What left at `server` has come at `now`, and how long it was on its way nobody knows: what was quickest is taken to have
    /// come at once.
    pub fn one_way(&mut self, server: Time, now: Time) {
        let offset = server.signed_since(now);
        let first = *self.first_one_way.get_or_insert(offset);
        // Slower than the quickest that can be by so much.
        let late = first.saturating_add(QUICKER).saturating_sub(offset).max(0).unsigned_abs();
        self.take(Sample { at: now, rtt: Duration::from_nanos(late.saturating_mul(2)), offset });
    }

    /// Moves what is told towards what is believed.
    fn follow(&mut self, now: Time) {
        let Some(best) = self.best.front() else { return };
        let (first, last) = self.span.unwrap_or((now, now));
        self.span = Some((first, now));
        let off = best.offset.saturating_sub(self.offset);
        if now.since(first) < SETTLING || off.saturating_abs() > WRONG {
            self.offset = best.offset;
        } else {
            let most = now.since(last).as_nanos() as i64 / SLOWLY;
            self.offset += off.clamp(-most, most);
        }
    }

    /// The same, from the low 32 bits of our own microseconds as they came back.
    pub fn echo(&mut self, sent: u32, held: u32, server: Time, now: Time) {
        let age = Duration::from_micros(u64::from(now.wire_micros().wrapping_sub(sent)));
        if age < Duration::from_secs(10) {
            self.exchange(now - age, Duration::from_micros(u64::from(held)), server, now);
        }
    }

    /// A moment of the server's clock in ours.
    pub fn local(&self, server: Time) -> Option<Time> {
        self.span.map(|_| server.offset(self.offset.saturating_neg()))
    }

    pub const fn rtt(&self) -> Option<Duration> {
        self.last_rtt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_round_trip_is_believed() {
        let mut sync = ClockSync::default();
        let server = |ours: u64| Time::from_micros(ours + 5_000_000);
        // Up 1 ms, down 9 ms: off by 4 ms.
        sync.exchange(Time::from_micros(0), Duration::ZERO, server(1_000), Time::from_micros(10_000));
        assert_eq!(sync.local(server(50_000)), Some(Time::from_micros(54_000)));
        // 0.1 ms each way.
        sync.echo(20_000, 1_000, server(21_100), Time::from_micros(21_200));
        assert_eq!(sync.local(server(50_000)), Some(Time::from_micros(50_000)));
        // A server that lies about its clock upsets nothing.
        for server in [Time::ZERO, Time::NEVER, Time::from_nanos(i64::MAX - 40_000_000)] {
            let mut sync = ClockSync::default();
            sync.exchange(Time::from_micros(30_000), Duration::ZERO, server, Time::from_micros(40_000));
            assert!(sync.local(server).is_some());
        }
        sync.exchange(Time::from_micros(30_000), Duration::ZERO, server(39_000), Time::from_micros(40_000));
        assert_eq!(sync.local(server(50_000)), Some(Time::from_micros(50_000)));
    }

    /// What is believed changes little when the best exchange is forgotten, however bad the next one is and although the
    /// server's clock is 100 millionths fast.
    #[test]
    fn the_best_exchange_is_forgotten_without_a_jump() {
        let mut sync = ClockSync::default();
        let server = |ours: u64| Time::from_micros(5_000_000 + ours + ours / 10_000);
        let mut state = 7_u64;
        let mut jitter = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % most
        };
        let mut before = None::<Time>;
        for n in 0..1_200_u64 {
            let sent = 1_000_000 + n * 250_000;
            // One exchange is perfect; each sixtieth is as bad as can be.
            let (up, down) = match n {
                0 => (50, 50),
                n if n % 60 == 0 => (100, 80_000),
                _ => (1_000 + jitter(8_000), 1_000 + jitter(8_000)),
            };
            sync.exchange(
                Time::from_micros(sent),
                Duration::ZERO,
                server(sent + up),
                Time::from_micros(sent + up + down),
            );
            assert!(sync.best.len() <= KEPT);
            let told = sync.local(server(sent)).expect("known");
            let error = told.signed_since(Time::from_micros(sent));
            assert!(error.abs() < 4_000_000, "exchange {n}: off by {error} ns");
            let moved = before.map_or(0, |before| sync.local(server(sent)).expect("known").signed_since(before));
            assert!(n < 20 || moved.abs() < 700_000, "exchange {n}: moved by {moved} ns");
            before = sync.local(server(sent + 250_000));
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut sync = ClockSync::default();
        // Each round trip is worse than the one before by more than age makes good.
        for n in 0..10_000_u64 {
            let now = Time::from_micros(10_000_000 + n * 10_000);
            sync.exchange(now - Duration::from_micros(10 + 5 * n), Duration::ZERO, Time::ZERO, now);
            assert!(sync.best.len() <= KEPT);
        }
        assert!(sync.local(Time::ZERO).is_some());
    }
}

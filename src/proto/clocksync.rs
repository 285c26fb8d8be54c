//! The server's clock in ours, from two-way exchanges as in NTP (RFC 5905 §8): the exchange with the shortest round
//! trip of the last minute is believed.

use std::time::Duration;

use crate::units::Time;

const MEMORY: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Time,
    rtt: Duration,
    /// Server − ours, ns.
    offset: i64,
}

#[derive(Clone, Debug, Default)]
pub struct ClockSync {
    best: Option<Sample>,
    last_rtt: Option<Duration>,
}

impl ClockSync {
    /// We sent at `sent`, the server held the question for `held` and answered at `server`; that came at `now`.
    pub fn exchange(&mut self, sent: Time, held: Duration, server: Time, now: Time) {
        let rtt = now.since(sent).saturating_sub(held);
        let offset = server.signed_since(now).saturating_add(rtt.as_nanos() as i64 / 2);
        self.last_rtt = Some(rtt);
        let expired = |best: &Sample| now.since(best.at) > MEMORY;
        if self.best.is_none_or(|best| rtt <= best.rtt || expired(&best)) {
            self.best = Some(Sample { at: now, rtt, offset });
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
        self.best.map(|best| server.offset(best.offset.saturating_neg()))
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
        for server in [Time::ZERO, Time::NEVER, Time::from_nanos(u64::MAX / 2 + 40_000_000)] {
            let mut sync = ClockSync::default();
            sync.exchange(Time::from_micros(30_000), Duration::ZERO, server, Time::from_micros(40_000));
            assert!(sync.local(server).is_some());
        }
        sync.exchange(Time::from_micros(30_000), Duration::ZERO, server(39_000), Time::from_micros(40_000));
        assert_eq!(sync.local(server(50_000)), Some(Time::from_micros(50_000)));
    }
}

//! One direction of a bad network.

use std::time::Duration;

use udpstream::units::{Bitrate, Time};

use crate::random::Random;

#[derive(Clone, Copy, Debug)]
pub struct Path {
    pub latency: Duration,
    /// Added evenly from zero to this; order is kept.
    pub jitter: Duration,
    pub loss: f64,
    /// What is lost comes in runs of so many on average (Gilbert); up to 1: each datagram by itself.
    pub run: f64,
    pub duplicate: f64,
    /// This share of datagrams is held back by up to `held_back`.
    pub reorder: f64,
    pub held_back: Duration,
    /// A bottleneck, and how much time its queue holds.
    pub rate: Option<Bitrate>,
    pub queue: Duration,
    /// Larger datagrams vanish.
    pub mtu: usize,
}

impl Path {
    pub const GOOD: Self = Self {
        latency: Duration::from_micros(200),
        jitter: Duration::ZERO,
        loss: 0.0,
        run: 1.0,
        duplicate: 0.0,
        reorder: 0.0,
        held_back: Duration::ZERO,
        rate: None,
        queue: Duration::from_millis(100),
        mtu: usize::MAX,
    };
}

pub struct Link {
    pub path: Path,
    random: Random,
    bad: bool,
    free: Time,
    last: Time,
}

impl Link {
    pub const fn new(path: Path, random: Random) -> Self {
        Self { path, random, bad: false, free: Time::ZERO, last: Time::ZERO }
    }

    fn is_lost(&mut self) -> bool {
        let Path { loss, run, .. } = self.path;
        let begins = if run > 1.0 { loss / (run * (1.0 - loss)) } else { loss };
        let chance = if self.bad && run > 1.0 { 1.0 - 1.0 / run } else { begins };
        self.bad = self.random.chance(chance);
        self.bad
    }

    /// When copies of a datagram that leaves now arrive: none, one or two.
    pub fn carry(&mut self, now: Time, bytes: usize) -> Vec<Time> {
        let Path { latency, jitter, duplicate, reorder, held_back, rate, queue, mtu, .. } = self.path;
        if bytes > mtu || self.is_lost() {
            return Vec::new();
        }
        let mut leaves = now;
        if let Some(rate) = rate {
            let begins = self.free.max(now);
            if begins.since(now) > queue {
                return Vec::new();
            }
            self.free = begins + rate.time_for(bytes as u64 + 28);
            leaves = self.free;
        }
        let mut arrives = (leaves + latency + self.random.duration(jitter)).max(self.last);
        if self.random.chance(reorder) {
            arrives += self.random.duration(held_back);
        } else {
            self.last = arrives;
        }
        let again = self.random.chance(duplicate).then(|| arrives + self.random.duration(held_back));
        [Some(arrives), again].into_iter().flatten().collect()
    }
}

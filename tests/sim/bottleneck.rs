//! The narrowest place of a way, which several share: a queue, a shaper's tokens, a radio's bursts and losses, and flows of others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use udpstream::units::Time;

use crate::cubic::Cubic;
use crate::random::Random;

/// How much the queue holds.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    Time(Duration),
    Bytes(f64),
}

/// What a radio does: it sends in bursts, and stalls now and then.
#[derive(Clone, Copy, Debug)]
pub struct Radio {
    /// Shortest and longest time between two bursts, s.
    pub burst: (f64, f64),
    /// Stalls a second, and the longest, s.
    pub stalls: (f64, f64),
}

/// Losses that come in runs (Gilbert and Elliott): from good to bad, back, and the share that is lost while it is bad.
#[derive(Clone, Copy, Debug)]
pub struct Runs(pub f64, pub f64, pub f64);

/// What waits.
enum Waiting {
    Datagram(SocketAddr, SocketAddr, Vec<u8>),
    Segment(usize, u64, Time),
}

/// A datagram that has passed.
pub struct Passed {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
    pub at: Time,
}

pub struct Bottleneck {
    /// Bits a second.
    pub rate: f64,
    pub limit: Limit,
    /// Bytes that a token bucket lets go at once; 0: none.
    pub burst: f64,
    pub loss: f64,
    pub runs: Option<Runs>,
    pub radio: Option<Radio>,
    /// Those whose way does not lead through here.
    pub beside: BTreeSet<IpAddr>,
    /// Flows of others; each has the same way.
    pub others: Vec<Cubic>,
    /// The rate from these moments on.
    pub plan: BTreeMap<Time, f64>,
    /// How long a queue each datagram of ours met, and when.
    pub waits: Vec<(Time, f64)>,
    /// What has passed: when, to whom, and bytes on the wire.
    pub passed: Vec<(Time, SocketAddr, usize)>,
    queue: VecDeque<(usize, Waiting)>,
    bytes: usize,
    tokens: f64,
    stamp: Time,
    served: Option<Time>,
    bad: bool,
    gate: Time,
    last: Time,
    random: Random,
}

/// Headers of IP and UDP.
const HEADERS: usize = 28;
/// Larger datagrams vanish.
const MTU: usize = 1_500;
/// A queue of less than two datagrams is none.
const LEAST: f64 = 3_100.0;
/// One stall in so many seconds is drawn with each burst.
const BURSTS: f64 = 0.0075;

impl Bottleneck {
    pub fn new(rate: f64, limit: Limit, random: Random) -> Self {
        Self {
            rate,
            limit,
            burst: 0.0,
            loss: 0.0,
            runs: None,
            radio: None,
            beside: BTreeSet::new(),
            others: Vec::new(),
            plan: BTreeMap::new(),
            waits: Vec::new(),
            passed: Vec::new(),
            queue: VecDeque::new(),
            bytes: 0,
            tokens: 0.0,
            stamp: Time::ZERO,
            served: None,
            bad: false,
            gate: Time::ZERO,
            last: Time::ZERO,
            random,
        }
    }

    /// How long what comes now would wait, s.
    pub fn wait(&self) -> f64 {
        self.bytes as f64 * 8.0 / self.rate
    }

    /// A datagram of ours comes.
    pub fn put(&mut self, now: Time, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let size = bytes.len() + HEADERS;
        if size > MTU {
            return;
        }
        self.waits.push((now, self.wait()));
        self.take(now, size, Waiting::Datagram(from, to, bytes));
    }

    /// Returns whether there was room.
    fn take(&mut self, now: Time, size: usize, waiting: Waiting) -> bool {
        let room = match self.limit {
            Limit::Time(time) => (self.rate * time.as_secs_f64() / 8.0).max(LEAST),
            Limit::Bytes(bytes) => bytes,
        };
        if (self.bytes + size) as f64 > room {
            return false;
        }
        self.bytes += size;
        self.queue.push_back((size, waiting));
        if self.served.is_none() {
            self.serve(now);
        }
        true
    }

    fn serve(&mut self, now: Time) {
        self.fill(now);
        self.served = self.queue.front().map(|(size, _)| {
            let lacking = (*size as f64 - self.tokens).max(0.0);
            let took = lacking * 8.0 / self.rate + if self.burst > 0.0 { 1e-5 } else { 0.0 };
            now + Duration::from_secs_f64(took)
        });
    }

    fn fill(&mut self, now: Time) {
        let came = now.since(self.stamp).as_secs_f64() * self.rate / 8.0;
        self.tokens = (self.tokens + came).min(self.burst);
        self.stamp = now;
    }

    pub fn wake(&self) -> Time {
        let plan = self.plan.first_key_value().map(|(at, _)| *at);
        let others = self.others.iter().map(Cubic::wake).min();
        [self.served, plan, others].into_iter().flatten().min().unwrap_or(Time::NEVER)
    }

    /// Does what is due now; returns what has passed.
    pub fn step(&mut self, now: Time) -> Vec<Passed> {
        let mut passed = Vec::new();
        while let Some(entry) = self.plan.first_entry().filter(|entry| *entry.key() <= now) {
            self.rate = entry.remove();
        }
        for n in 0..self.others.len() {
            while let Some((number, size)) = self.others[n].next(now) {
                if !self.take(now, size, Waiting::Segment(n, number, now)) {
                    let wait = self.wait();
                    self.others[n].dropped(now, number, wait);
                }
            }
        }
        while self.served.is_some_and(|at| at <= now) {
            passed.extend(self.pass(now));
        }
        passed
    }

    /// The first in the queue has left it.
    fn pass(&mut self, now: Time) -> Option<Passed> {
        self.served = None;
        let (size, waiting) = self.queue.pop_front()?;
        self.bytes -= size;
        self.tokens += now.since(self.stamp).as_secs_f64() * self.rate / 8.0 - size as f64;
        self.stamp = now;
        let lost = self.is_lost();
        let at = self.through_radio(now);
        if !self.queue.is_empty() {
            self.serve(now);
        }
        match waiting {
            Waiting::Segment(n, number, sent) if lost => {
                let wait = self.wait();
                self.others[n].lost_behind(now.max(sent), number, wait);
                None
            }
            Waiting::Segment(n, number, sent) => {
                self.others[n].passed(at, number, sent);
                None
            }
            Waiting::Datagram(..) if lost => None,
            Waiting::Datagram(from, to, bytes) => {
                self.passed.push((at, to, size));
                Some(Passed { from, to, bytes, at })
            }
        }
    }

    fn is_lost(&mut self) -> bool {
        if let Some(Runs(begins, ends, _)) = self.runs {
            self.bad = if self.bad { !self.random.chance(ends) } else { self.random.chance(begins) };
        }
        let share = self.runs.filter(|_| self.bad).map_or(self.loss, |Runs(.., lost)| lost);
        self.random.chance(share)
    }

    fn through_radio(&mut self, now: Time) -> Time {
        let mut at = now;
        if let Some(Radio { burst: (shortest, longest), stalls: (often, stall) }) = self.radio {
            while self.gate < at {
                let since = self.gate.max(at - Duration::from_secs_f64(longest));
                self.gate = since + self.random.seconds(shortest, longest);
                if self.random.chance(often * BURSTS) {
                    self.gate += self.random.seconds(0.01, stall);
                }
            }
            at = self.gate;
        }
        at = at.max(self.last) + Duration::from_micros(1);
        self.last = at;
        at
    }
}

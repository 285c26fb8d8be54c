//! A flow of somebody else that always has something to send: CUBIC (RFC 9438), with a HyStart-like end of slow start.

use std::collections::BTreeMap;
use std::time::Duration;

use udpstream::units::Time;

/// Bytes of a segment on the wire.
const SEGMENT: usize = 1_500;

enum Told {
    Ack { sent: Time },
    Lost,
}

pub struct Cubic {
    start: Time,
    stop: Time,
    /// One way.
    latency: Duration,
    window: f64,
    threshold: f64,
    most: f64,
    reno: f64,
    k: f64,
    epoch: Option<Time>,
    in_flight: f64,
    round_trip: f64,
    number: u64,
    /// Losses up to this segment are of one event.
    recover: Option<u64>,
    told: BTreeMap<(Time, u64), Told>,
    /// When each segment arrived.
    pub got: Vec<Time>,
}

impl Cubic {
    pub fn new(start: Time, stop: Time, latency: Duration) -> Self {
        Self {
            start,
            stop,
            latency,
            window: 10.0,
            threshold: 1e9,
            most: 0.0,
            reno: 0.0,
            k: 0.0,
            epoch: None,
            in_flight: 0.0,
            round_trip: 2.0 * latency.as_secs_f64(),
            number: 0,
            recover: None,
            told: BTreeMap::new(),
            got: Vec::new(),
        }
    }

    pub fn wake(&self) -> Time {
        let told = self.told.first_key_value().map_or(Time::NEVER, |((at, _), _)| *at);
        if self.number == 0 { self.start.min(told) } else { told }
    }

    /// The next segment that leaves now, and its bytes.
    pub fn next(&mut self, now: Time) -> Option<(u64, usize)> {
        while let Some(entry) = self.told.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, number), told) = entry.remove_entry();
            match told {
                Told::Ack { sent } => self.acknowledged(now, sent),
                Told::Lost => self.lost(number),
            }
        }
        if now < self.start || now >= self.stop || self.in_flight >= self.window {
            return None;
        }
        self.in_flight += 1.0;
        self.number += 1;
        Some((self.number, SEGMENT))
    }

    /// It arrives then.
    pub fn passed(&mut self, at: Time, number: u64, sent: Time) {
        let arrives = at + self.latency;
        self.got.push(arrives);
        self.told.insert((arrives + self.latency, number), Told::Ack { sent });
    }

    /// There was no room for it; what came after it tells.
    pub fn dropped(&mut self, now: Time, number: u64, wait: f64) {
        self.lost_behind(now, number, wait);
    }

    pub fn lost_behind(&mut self, now: Time, number: u64, wait: f64) {
        let at = now + self.latency * 2 + Duration::from_secs_f64(wait + 0.002);
        self.told.insert((at, number), Told::Lost);
    }

    fn lost(&mut self, number: u64) {
        self.in_flight -= 1.0;
        if self.recover.is_none_or(|recover| number > recover) {
            self.most = self.window * if self.window < self.most { 0.85 } else { 1.0 };
            self.window = (self.window * 0.7).max(2.0);
            self.threshold = self.window;
            self.recover = Some(self.number);
            self.epoch = None;
        }
    }

    fn acknowledged(&mut self, now: Time, sent: Time) {
        self.in_flight -= 1.0;
        self.round_trip = now.since(sent).as_secs_f64();
        if self.window < self.threshold {
            self.window += 1.0;
            let base = 2.0 * self.latency.as_secs_f64();
            if self.round_trip > base + (base / 8.0).max(0.016) {
                self.threshold = self.window;
            }
            return;
        }
        let epoch = *self.epoch.get_or_insert_with(|| {
            self.reno = self.window;
            self.k = ((self.most - self.window).max(0.0) / 0.4).cbrt();
            now
        });
        let t = now.since(epoch).as_secs_f64() + self.round_trip;
        let top = if self.most == 0.0 { self.window } else { self.most };
        let wanted = 0.4 * (t - self.k).powi(3) + top;
        self.reno += 0.529 / self.window;
        self.window += (wanted.min(1.5 * self.window) - self.window).max(0.0) / self.window;
        self.window = self.window.max(self.reno);
    }

    /// Bits a second between these moments.
    pub fn rate(&self, from: Time, until: Time) -> f64 {
        let count = self.got.iter().filter(|at| (from..until).contains(*at)).count();
        (count * SEGMENT * 8) as f64 / until.since(from).as_secs_f64()
    }
}

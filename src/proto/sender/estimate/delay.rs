//! One-way delays: the least, what stands above it, and whether a queue is full.

use std::collections::VecDeque;

use super::Cell;

/// Clocks differ by less than 100 ppm (crystals: 50 ppm each).
const DRIFT: f64 = 1e-4;
/// The highest delay fades in this time, s.
const FADE: f64 = 10.0;
/// It counts for no less than this, s.
const LEAST_PEAK: f64 = 0.003;
/// A loss behind a datagram that met so much of the highest delay is the full queue's; others are the radio's.
const FULL: f64 = 0.7;
/// The newest datagrams, of which the least delay tells what stands now.
const NEWEST: usize = 5;
/// So many datagrams of the window are held.
const HELD: usize = 8_192;

/// Delays are in seconds. Both clocks count from somewhere else; the difference cancels out.
#[derive(Default)]
pub struct Delay {
    /// The least ever seen, drifting upwards.
    base: Option<f64>,
    peak: f64,
    /// What the last datagram that arrived had waited.
    waited: f64,
    /// When each datagram of the window left, and its delay, as they were told of.
    cells: VecDeque<(f64, f64)>,
    /// When the newest of them left.
    newest: f64,
}

impl Delay {
    /// Time passes.
    pub fn passes(&mut self, dt: f64) {
        self.base = self.base.map(|base| base + DRIFT * dt);
        self.peak = (self.peak * (1.0 - dt / FADE)).max(LEAST_PEAK);
    }

    /// A datagram arrived at this moment of the receiver's clock.
    pub fn arrived(&mut self, cell: &Cell, at: f64) {
        let delay = at - cell.sent;
        let base = self.base.map_or(delay, |base| base.min(delay));
        self.base = Some(base);
        self.waited = delay - base;
        self.peak = self.peak.max(self.waited);
        self.newest = if self.cells.is_empty() { cell.sent } else { self.newest.max(cell.sent) };
        self.cells.push_back((cell.sent, delay));
        if self.cells.len() > HELD {
            self.cells.pop_front();
        }
    }

    /// Whether what is lost now is lost to a full queue.
    pub fn is_full(&self) -> bool {
        self.waited >= FULL * self.peak.max(LEAST_PEAK)
    }

    /// Forgets what left longer than `window` before the newest.
    pub fn keep(&mut self, window: f64) {
        let from = self.newest - window;
        self.cells.retain(|(sent, _)| *sent >= from);
    }

    /// The standing queue: the least delay of the window above the least ever.
    pub fn standing(&self) -> f64 {
        self.least(self.cells.iter())
    }

    /// The same of the newest few datagrams.
    pub fn now(&self) -> f64 {
        self.least(self.cells.iter().rev().take(NEWEST))
    }

    fn least<'a>(&self, cells: impl Iterator<Item = &'a (f64, f64)>) -> f64 {
        let least = cells.map(|(_, delay)| *delay).reduce(f64::min);
        least.zip(self.base).map_or(0.0, |(least, base)| least - base)
    }

    /// When the oldest and the newest datagram of the window left.
    pub fn window(&self) -> Option<(f64, f64)> {
        let oldest = self.cells.iter().map(|(sent, _)| *sent).reduce(f64::min)?;
        Some((oldest, self.newest))
    }

    /// The way has become so much longer.
    pub fn is_longer(&mut self, by: f64) {
        self.base = self.base.map(|base| base + by);
    }

    /// Forgets all but the least delay.
    pub fn forget(&mut self) {
        self.cells.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(values: &[(f64, f64)]) -> Delay {
        let mut delay = Delay::default();
        for (sent, owd) in values {
            let cell = Cell { sent: *sent, arrived: None, bits: 1e4, picture: None, marked: false };
            delay.arrived(&cell, sent + owd);
        }
        delay
    }

    #[test]
    fn a_burst_is_no_standing_queue() {
        let mut delay = delays(&[(0.0, 0.01), (0.04, 0.05), (0.08, 0.06), (0.1, 0.012), (0.12, 0.07)]);
        delay.keep(0.12);
        assert!(delay.standing().abs() < 1e-12);
        delay.keep(0.03);
        assert!((delay.standing() - 0.002).abs() < 1e-12, "{}", delay.standing());
    }

    #[test]
    fn losses_are_a_full_queues_only_behind_long_delays() {
        let mut delay = delays(&[(0.0, 0.01), (0.01, 0.09)]);
        assert!(delay.is_full());
        let cell = Cell { sent: 0.02, arrived: None, bits: 1e4, picture: None, marked: false };
        delay.arrived(&cell, 0.035);
        assert!(!delay.is_full());
    }
}

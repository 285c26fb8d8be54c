//! What passed in the last moments, in bits.

use std::collections::VecDeque;

/// Arrivals within so many seconds are one entry.
const GRAIN: f64 = 0.001;
/// More entries than a span of one second has grains, several times over.
const MOST: usize = 4_096;

/// Bits with the moments at which they passed, of the last `span` seconds.
pub struct Passed {
    span: f64,
    entries: VecDeque<(f64, f64)>,
    /// The newest moment.
    end: f64,
}

impl Passed {
    pub const fn new(span: f64) -> Self {
        Self { span, entries: VecDeque::new(), end: f64::NEG_INFINITY }
    }

    pub fn put(&mut self, at: f64, bits: f64) {
        self.end = self.end.max(at);
        // The clock of a receiver that lies may go back; it must not fill the memory.
        if at <= self.end - self.span {
            return;
        }
        if self.entries.len() >= MOST {
            self.entries.pop_front();
        }
        match self.entries.back_mut() {
            Some((last, sum)) if (at - *last).abs() < GRAIN && at >= *last => *sum += bits,
            _ => self.entries.push_back((at, bits)),
        }
        self.forget(self.end);
    }

    fn forget(&mut self, end: f64) {
        let from = end - self.span;
        while self.entries.front().is_some_and(|(at, _)| *at <= from) {
            self.entries.pop_front();
        }
    }

    /// Bits a second in the last `span` seconds before the newest.
    pub fn rate(&self, span: f64) -> f64 {
        self.rate_until(self.end, span)
    }

    /// The same in those before `end`.
    pub fn rate_until(&self, end: f64, span: f64) -> f64 {
        let recent = self.entries.iter().rev().filter(|(at, _)| *at > end - span);
        recent.map(|(_, bits)| *bits).sum::<f64>() / span
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_back_fills_no_memory() {
        let mut passed = Passed::new(1.0);
        passed.put(1e6, 1.0);
        for n in 0..100_000_u32 {
            passed.put(f64::from(n % 977) * 0.002, 1.0);
            passed.put(1e6 - f64::from(n % 977) * 0.0009, 1.0);
        }
        assert!(passed.entries.len() <= MOST && passed.rate(1.0) >= 1.0);
    }

    #[test]
    fn only_the_span_counts() {
        let mut passed = Passed::new(1.0);
        for n in 0..300 {
            passed.put(f64::from(n) * 0.01, 1_000.0);
        }
        assert!((passed.rate(0.5) / 100_000.0 - 1.0).abs() < 0.05, "{}", passed.rate(0.5));
        assert!(passed.entries.len() <= 101);
        assert!(passed.rate_until(10.0, 1.0).abs() < 1e-9, "long ago");
    }
}

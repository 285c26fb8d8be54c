//! Percentile blocks: what `--stats json` says of anything that is measured once a picture.

use hdrhistogram::Histogram;

/// The figures of one run of samples, in the unit that they were recorded in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    pub n: u64,
    pub mean: f64,
    pub stdev: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

/// Collects samples in microseconds, from 0 to a minute, to three significant digits. Mean and deviation are exact.
pub struct Samples {
    histogram: Histogram<u32>,
    n: u64,
    mean: f64,
    squares: f64,
    max: f64,
}

const MAX_MICROS: u64 = 60_000_000;

impl Default for Samples {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, MAX_MICROS, 3);
        Self {
            histogram: histogram.unwrap_or_else(|_| unreachable!("the bounds are constants in range")),
            n: 0,
            mean: 0.0,
            squares: 0.0,
            max: 0.0,
        }
    }
}

impl Samples {
    /// Adds one sample (Welford's method keeps the variance exact).
    pub fn record(&mut self, micros: f64) {
        let micros = micros.clamp(0.0, MAX_MICROS as f64);
        self.n += 1;
        let delta = micros - self.mean;
        self.mean += delta / self.n as f64;
        self.squares += delta * (micros - self.mean);
        self.max = self.max.max(micros);
        self.histogram.saturating_record((micros.round() as u64).max(1));
    }

    /// The block, each figure divided by `scale`: 1 for µs, 1 000 for ms. `None` without a sample.
    pub fn block(&self, scale: f64) -> Option<Block> {
        if self.n == 0 {
            return None;
        }
        let quantile = |q| self.histogram.value_at_quantile(q) as f64 / scale;
        Some(Block {
            n: self.n,
            mean: self.mean / scale,
            stdev: (self.squares / self.n as f64).sqrt() / scale,
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max: self.max / scale,
        })
    }

    pub fn clear(&mut self) {
        self.histogram.reset();
        (self.n, self.mean, self.squares, self.max) = (0, 0.0, 0.0, 0.0);
    }
}

/// The same samples twice: since the last tick, and since the start.
#[derive(Default)]
pub struct Windowed {
    pub recent: Samples,
    pub total: Samples,
}

impl Windowed {
    pub fn record(&mut self, micros: f64) {
        self.recent.record(micros);
        self.total.record(micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_known_samples() {
        let mut samples = Samples::default();
        assert_eq!(samples.block(1.0), None);
        (1..=100).for_each(|n| samples.record(f64::from(n) * 1_000.0));
        let block = samples.block(1_000.0).expect("samples");
        assert_eq!(block.n, 100);
        assert!((block.mean - 50.5).abs() < 1e-9 && (block.stdev - 28.866).abs() < 1e-3);
        assert!((block.p50 - 50.0).abs() < 0.1 && (block.p99 - 99.0).abs() < 0.1 && block.max == 100.0);
    }
}

//! As CUBIC does it (RFC 9438), in rates: how a flow that shares a path with one that heeds no delay comes to its part.

/// Bits of the datagrams in which windows are counted.
const SEGMENT: f64 = 12e3;
/// What is left after a loss.
pub const BETA: f64 = 0.7;
const C: f64 = 0.4;
/// Growth of a Reno flow with that beta, segments a round trip.
const RENO: f64 = 0.85;

/// A window in the making since the last loss.
#[derive(Clone, Copy, Debug)]
pub struct Cubic {
    /// When the last loss was, s.
    pub epoch: f64,
    /// Segments in flight then.
    most: f64,
}

impl Cubic {
    /// A loss at this rate, on a path with this round trip, queue included.
    pub fn lost(now: f64, rate: f64, round_trip: f64) -> Self {
        Self { epoch: now, most: rate * round_trip / SEGMENT }
    }

    /// It would have had its loss at a higher rate: this is what was left after it.
    pub fn after_loss(now: f64, rate: f64, round_trip: f64) -> Self {
        Self::lost(now, rate / BETA, round_trip)
    }

    /// Bits a second that the window allows now.
    pub fn rate(&self, now: f64, round_trip: f64) -> f64 {
        let t = now - self.epoch;
        let k = (self.most * (1.0 - BETA) / C).cbrt();
        let window = (C * (t - k).powi(3) + self.most).max(BETA * self.most + RENO * t / round_trip);
        window * SEGMENT / round_trip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_to_where_it_lost_and_goes_on_from_there() {
        let cubic = Cubic::lost(10.0, 10e6, 0.1);
        assert!((cubic.rate(10.0, 0.1) / 7e6 - 1.0).abs() < 1e-6);
        let k = (10e6 * 0.1 / 12e3 * 0.3 / 0.4_f64).cbrt();
        assert!(cubic.rate(10.0 + k, 0.1) >= 10e6 * 0.999);
        assert!(cubic.rate(11.0 + 2.0 * k, 0.1) > 11e6);
    }
}

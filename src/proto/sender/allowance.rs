//! What a receiver's pictures may take beside what they have taken too much.

use std::time::Duration;

use crate::media::sound::Rendition;
use crate::units::{Bitrate, Time};

/// The share of a rate that is planned for.
const PLANNED: f64 = 0.95;
/// A picture so much larger than planned is paid back by those after it.
const TOO_LARGE: f64 = 1.3;
/// Less than this part of a picture is owed to nobody: moments of departure differ a little.
const OWED: f64 = 0.1;
/// Debts are paid for so long at most between two pictures.
const PAID: Duration = Duration::from_secs(1);
/// Sound is finest above the first rate, bits a second, and again above the second.
const STEREO: (f64, f64) = (6.5e6, 8e6);
const MONO: (f64, f64) = (3.3e6, 4e6);

/// Bits that a picture may take which lasts so long, of a rate of which sound takes `side`.
pub fn budget(rate: f64, side: f64, lasts: Duration) -> f64 {
    (PLANNED * (rate - side.min(0.9 * rate)) * lasts.as_secs_f64()).max(0.0)
}

/// Bits that pictures took beyond what was planned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowance {
    debt: f64,
    paid: Option<Time>,
}

impl Allowance {
    /// Whether a picture must be left out for those before it. `budget`: of a picture that lasts so long.
    pub fn is_used_up(&mut self, now: Time, budget: f64, lasts: Duration) -> bool {
        let passed = self.paid.replace(now).map_or(Duration::ZERO, |paid| now.since(paid).min(PAID));
        let paid = budget * passed.as_secs_f64() / lasts.as_secs_f64().max(1e-3);
        // What this picture's own time pays is for itself.
        let owed = self.debt - (paid - budget).max(0.0);
        self.debt = (self.debt - paid).max(0.0);
        owed > OWED * budget
    }

    /// A picture of so many bits is begun.
    pub fn takes(&mut self, bits: f64, budget: f64) {
        if bits > TOO_LARGE * budget {
            self.debt += bits - budget;
        }
    }
}

/// The sound that leaves enough of a rate for pictures, where it was `before`.
pub fn sound(rate: Bitrate, before: Rendition) -> Rendition {
    let above = |(down, up): (f64, f64), finer: bool| rate.as_bps() as f64 > if finer { down } else { up };
    if above(STEREO, before == Rendition::Stereo) {
        Rendition::Stereo
    } else if above(MONO, before <= Rendition::Mono) {
        Rendition::Mono
    } else {
        LOWEST
    }
}

/// The coarsest sound there is.
const LOWEST: Rendition = Rendition::Coded;

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_millis(40);

    #[test]
    fn a_picture_of_three_budgets_is_followed_by_two_pauses() {
        let mut allowance = Allowance::default();
        let mut sent = Vec::new();
        for n in 0..30_u64 {
            if !allowance.is_used_up(Time::from_millis(n * 40), 1e5, LASTS) {
                allowance.takes(3e5, 1e5);
                sent.push(n);
            }
        }
        assert_eq!(sent, (0..30).step_by(3).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_a_little_too_large_is_forgiven() {
        let mut allowance = Allowance::default();
        for n in 0..30_u64 {
            assert!(!allowance.is_used_up(Time::from_millis(n * 40), 1e5, LASTS));
            allowance.takes(1.25e5, 1e5);
        }
    }

    #[test]
    fn sound_gives_way_in_steps_and_comes_back_later() {
        let rate = |mega: f64| Bitrate::bps((mega * 1e6) as u64);
        let mut now = Rendition::Stereo;
        let mut seen = Vec::new();
        for mega in [20.0, 7.0, 6.0, 7.0, 9.0, 3.4, 3.0, 3.5, 4.5, 7.5] {
            now = sound(rate(mega), now);
            seen.push(now);
        }
        use Rendition::{Mono, Stereo};
        assert_eq!(seen, [Stereo, Stereo, Mono, Mono, Stereo, Mono, LOWEST, LOWEST, Mono, Mono]);
    }
}

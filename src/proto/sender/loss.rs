//! How a path loses datagrams, and how much parity mends that: a chain of two states (Gilbert, "Capacity of a Burst-Noise
//! Channel", 1960), in one of which all arrives and in the other nothing.

use std::time::Duration;

use crate::units::Time;

/// What was told is forgotten with this time constant, s.
const MEMORY: f64 = 2.0;
/// Without a loss for so long a path is clean.
const CLEAN: Duration = Duration::from_secs(4);
/// This part of units may stay damaged.
const DAMAGED: f64 = 0.001;
/// Symbols are no more than this part of what they protect, and one.
const MOST: f64 = 0.28;
/// A loss is taken to be followed by another with the chance of so many losses that were seen before any was.
const PRIOR: f64 = 2.0;

/// See the head of this file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Losses {
    /// Datagrams of which was told, those that were lost, and those that were behind a lost one and lost, all fading.
    told: f64,
    lost: f64,
    again: f64,
    was_lost: bool,
    at: Time,
    last: Option<Time>,
    /// What was chosen last: chance of a loss, of another, members; and symbols.
    chosen: Option<(f64, f64, usize, usize)>,
}

impl Losses {
    /// What became of datagrams, in the order in which they were sent: true of one that was lost.
    pub fn told(&mut self, now: Time, fates: impl Iterator<Item = bool>) {
        let kept = (-now.since(self.at).as_secs_f64() / MEMORY).exp();
        self.at = now;
        for value in [&mut self.told, &mut self.lost, &mut self.again] {
            *value *= kept;
        }
        for lost in fates {
            self.told += 1.0;
            if lost && self.is_clean(now) {
                // What was before says nothing of what begins now.
                (self.told, self.lost, self.again) = (1.0, 0.0, 0.0);
            }
            if lost {
                self.lost += 1.0;
                self.again += f64::from(u8::from(self.was_lost));
                self.last = Some(now);
            }
            self.was_lost = lost;
        }
    }

    /// One that was told to be lost has come after all.
    pub fn came_after_all(&mut self) {
        self.lost = (self.lost - 1.0).max(0.0);
    }

    /// Nothing was lost lately.
    pub fn is_clean(&self, now: Time) -> bool {
        self.last.is_none_or(|last| now.since(last) > CLEAN)
    }

    /// The part of datagrams that is lost.
    pub fn share(&self) -> f64 {
        // As much as one datagram says little.
        self.lost / self.told.max(100.0)
    }

    /// The chance of a loss behind a loss.
    fn another(&self) -> f64 {
        ((self.again + PRIOR * self.share()) / (self.lost + PRIOR)).min(0.95)
    }

    /// How many symbols mend nearly all units of `members` datagrams.
    pub fn symbols(&mut self, now: Time, members: usize) -> usize {
        if self.is_clean(now) || members == 0 {
            self.chosen = None;
            return 0;
        }
        let (share, another) = (self.share(), self.another());
        let near = |a: f64, b: f64| (a - b).abs() <= 0.1 * a.max(b);
        if let Some((was, then, of, symbols)) = self.chosen
            && near(was, share)
            && near(then, another)
            && of.abs_diff(members) <= members / 16
        {
            return symbols;
        }
        let symbols = least(share, another, members);
        self.chosen = Some((share, another, members, symbols));
        symbols
    }
}

/// The fewest symbols with which no more than [`DAMAGED`] of units lose more than they mend.
fn least(share: f64, another: f64, members: usize) -> usize {
    let most = (members as f64 * MOST) as usize + 1;
    (1..most).find(|symbols| beyond(share, another, members + symbols, *symbols) <= DAMAGED).unwrap_or(most)
}

/// The chance that of so many datagrams in a row more than `mended` are lost.
fn beyond(share: f64, another: f64, datagrams: usize, mended: usize) -> f64 {
    // A loss begins so often that the share comes out.
    let begins = (share * (1.0 - another) / (1.0 - share).max(0.01)).min(1.0);
    // By how many were lost: the chance of it with the last one arrived, and with the last one lost.
    let (mut fine, mut bad) = (vec![0.0; mended + 1], vec![0.0; mended + 1]);
    (fine[0], bad[0]) = (1.0 - share, share);
    for _ in 0..datagrams {
        let arrives: Vec<f64> =
            fine.iter().zip(&bad).map(|(fine, bad)| fine * (1.0 - begins) + bad * (1.0 - another)).collect();
        let lost = fine.iter().zip(&bad).map(|(fine, bad)| fine * begins + bad * another);
        bad = std::iter::once(0.0).chain(lost).take(mended + 1).collect();
        fine = arrives;
    }
    1.0 - fine.iter().chain(&bad).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells of so many datagrams, of which these are lost.
    fn told(losses: &mut Losses, from: u64, count: usize, is_lost: impl Fn(usize) -> bool) {
        for report in 0..count / 50 {
            let at = Time::from_millis(from + report as u64 * 50);
            losses.told(at, (report * 50..(report + 1) * 50).map(&is_lost));
        }
    }

    #[test]
    fn random_losses_take_as_many_symbols_as_a_table_says() {
        // A Monte Carlo of 20 000 pictures found 2, 3, 5, 7 and 9 for 99.5 %; this is for 99.9 %.
        let symbols = [8, 16, 38, 75, 101].map(|members| least(0.03, 0.03, members));
        assert_eq!(symbols, [3, 4, 6, 8, 10]);
        assert_eq!([8, 38, 101].map(|members| least(0.001, 0.001, members)), [1, 1, 2]);
        assert_eq!(least(0.5, 0.9, 100), 29, "there is an end to it");
    }

    #[test]
    fn runs_take_more() {
        assert!(least(0.03, 0.75, 38) >= 10 && least(0.03, 0.75, 101) > 2 * least(0.03, 0.03, 101));
    }

    #[test]
    fn it_is_learnt_of_what_is_told_and_forgotten() {
        let mut losses = Losses::default();
        told(&mut losses, 0, 10_000, |_| false);
        assert_eq!((losses.symbols(Time::from_millis(10_000), 38), losses.share()), (0, 0.0));
        told(&mut losses, 10_000, 10_000, |n| n * 7 % 33 == 0);
        let at = Time::from_millis(20_000);
        assert!((0.025..0.035).contains(&losses.share()) && losses.another() < 0.05, "{losses:?}");
        assert!((4..=6).contains(&losses.symbols(at, 38)), "{losses:?}");
        told(&mut losses, 20_000, 10_000, |n| n % 133 < 4);
        assert!((0.025..0.035).contains(&losses.share()) && losses.another() > 0.7, "{losses:?}");
        assert!(losses.symbols(Time::from_millis(30_000), 38) >= 10, "{losses:?}");
        told(&mut losses, 30_000, 4_100, |_| false);
        assert_eq!(losses.symbols(Time::from_millis(34_200), 38), 0, "it is clean again");
    }
}

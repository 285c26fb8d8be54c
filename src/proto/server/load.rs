//! Whether the program can send what it is asked to: how many watchers each picture reached before the next departed, and
//! whether that one had to wait for it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::Time;

/// Pictures that wait for the one before, or pass watchers by, are an overload if they do so without a break for this
/// long, …
const OVERLOAD_AFTER: Duration = Duration::from_millis(500);
/// … at several departures: a machine that stood still for a moment makes that good.
const OVERLOAD_DEPARTURES: u32 = 3;
/// It is over when none has for so long.
const RELIEVED_AFTER: Duration = Duration::from_secs(1);
/// The share that is told is of the departures of this time.
const WINDOW: Duration = Duration::from_secs(1);

/// What became of each departure of the last second.
#[derive(Default)]
pub struct Load {
    departures: VecDeque<Departure>,
    /// Since when, and how often in a row, pictures have waited or passed watchers by.
    run: Option<(Time, u32)>,
    last: Time,
    overloaded: bool,
}

#[derive(Clone, Copy)]
struct Departure {
    at: Time,
    watchers: usize,
    missed: usize,
}

impl Load {
    /// A picture departs; `missed` of so many watchers have not been sent the one before, and it had to wait for some.
    pub fn departed(&mut self, now: Time, watchers: usize, missed: usize, waited: bool) {
        self.departures.push_back(Departure { at: now, watchers, missed });
        while self.departures.front().is_some_and(|departure| now.since(departure.at) > WINDOW) {
            self.departures.pop_front();
        }
        if missed == 0 && !waited {
            self.run = None;
            return;
        }
        self.last = now;
        let (since, count) = self.run.map_or((now, 1), |(since, count)| (since, count + 1));
        self.run = Some((since, count));
        self.overloaded |= count >= OVERLOAD_DEPARTURES && now.since(since) >= OVERLOAD_AFTER;
    }

    /// Whether that has changed, and then what it is now. To be asked now and then.
    pub fn turn(&mut self, now: Time, told: bool) -> Option<bool> {
        if now.since(self.last) >= RELIEVED_AFTER {
            self.overloaded = false;
        }
        (self.overloaded != told).then_some(self.overloaded)
    }

    /// The share of pictures that reached those for whom they were, in the last second: 0 … 1.
    pub fn served(&self) -> f64 {
        let sum = |of: fn(&Departure) -> usize| self.departures.iter().map(of).sum::<usize>() as f64;
        let wanted = sum(|departure| departure.watchers);
        if wanted == 0.0 { 1.0 } else { 1.0 - sum(|departure| departure.missed) / wanted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A departure each 40 ms; returns when overload was said to begin and to end.
    fn run(missed: impl Fn(u64) -> usize) -> Vec<(u64, bool)> {
        let (mut load, mut told, mut said) = (Load::default(), false, Vec::new());
        for n in 25..200 {
            let now = Time::from_millis(n * 40);
            load.departed(now, 10, missed(n), n % 7 == 0);
            if let Some(overloaded) = load.turn(now, told) {
                told = overloaded;
                said.push((n, overloaded));
            }
        }
        said
    }

    #[test]
    fn a_lasting_lack_is_overload_and_a_halt_is_none() {
        assert_eq!(run(|_| 0), []);
        assert_eq!(run(|n| if n % 5 == 0 { 10 } else { 0 }), [], "a halt each fifth of a second");
        assert_eq!(run(|n| if (99..111).contains(&n) { 10 } else { 0 }), [], "one of almost half a second");
        assert_eq!(run(|n| if (99..150).contains(&n) { 1 } else { 0 })[0], (111, true));
    }

    #[test]
    fn pictures_that_always_wait_for_the_one_before_are_overload_too() {
        let mut load = Load::default();
        for n in 25..40 {
            load.departed(Time::from_millis(n * 40), 10, 0, true);
        }
        assert_eq!(load.turn(Time::from_millis(1_600), false), Some(true));
        assert_eq!(load.turn(Time::from_millis(2_560), true), Some(false), "a second after the last");
    }

    #[test]
    fn the_share_is_of_the_last_second() {
        let mut load = Load::default();
        assert!((load.served() - 1.0).abs() < 1e-9);
        for n in 0..100 {
            load.departed(Time::from_millis(n * 40), 10, if n < 50 { 10 } else { 4 }, false);
        }
        assert!((load.served() - 0.6).abs() < 1e-9, "{}", load.served());
    }
}

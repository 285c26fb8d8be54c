//! When to grab: at once when something has changed, and yet never more often than the rate. Pure; the time is told.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::units::{Rate, Time};

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Look at the screen.
    Grab,
    /// Hand the last picture on once more.
    Again,
    /// Nothing, unless something changes, until this moment.
    Wait(Time),
}

/// The rate is kept over any two intervals, but one grab may come up to half an interval early: a program that draws at the very
/// rate that we grab at is never quite even, and without this each of his delays would be ours for ever.
#[derive(Debug)]
pub(super) struct Rhythm {
    interval: Duration,
    /// Something has changed since the last grab began.
    changed: bool,
    /// When the next grab would be on time; it may be [`Rhythm::slack`] earlier.
    free: Time,
    /// When the last picture is to be repeated.
    due: Time,
}

impl Rhythm {
    /// The first step is a grab.
    pub fn new(rate: Rate) -> Self {
        Self { interval: rate.interval(), changed: true, free: Time::ZERO, due: Time::NEVER }
    }

    /// Something is different on the screen.
    pub const fn change(&mut self) {
        self.changed = true;
    }

    pub fn step(&self, now: Time) -> Step {
        let early = self.free - self.slack();
        match self.changed {
            true if now >= early => Step::Grab,
            _ if now >= self.due => Step::Again,
            true => Step::Wait(early.min(self.due)),
            false => Step::Wait(self.due),
        }
    }

    /// A grab begins: whatever changes from now on asks for another one.
    pub fn grabbed(&mut self, now: Time) {
        self.changed = false;
        self.free = self.free.max(now) + self.interval;
        // While something moves, a change that is a little late is better than the same picture and then the change.
        self.due = now + self.interval + self.slack();
    }

    /// The last picture was handed on once more.
    pub fn repeated(&mut self, now: Time) {
        self.due = self.due.max(now - self.interval) + self.interval;
    }

    fn slack(&self) -> Duration {
        self.interval / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs through virtual time, with a change at each of `changes`, in microseconds; the moments of grabs and repeats.
    fn run(fps: f64, changes: &[u64], until: u64) -> (Vec<u64>, Vec<u64>) {
        let mut rhythm = Rhythm::new(Rate::from_fps(fps).expect("usual"));
        let (mut grabs, mut repeats, mut now) = (Vec::new(), Vec::new(), Time::from_micros(1_000));
        let mut changes = changes.iter().map(|&at| Time::from_micros(at)).peekable();
        while now < Time::from_micros(until) {
            while changes.next_if(|at| *at <= now).is_some() {
                rhythm.change();
            }
            match rhythm.step(now) {
                Step::Grab => {
                    rhythm.grabbed(now);
                    grabs.push(now.micros());
                }
                Step::Again => {
                    rhythm.repeated(now);
                    repeats.push(now.micros());
                }
                Step::Wait(moment) => {
                    assert!(moment > now, "a wait that is over is none");
                    now = changes.peek().map_or(moment, |&at| at.min(moment));
                }
            }
        }
        (grabs, repeats)
    }

    #[test]
    fn a_still_screen_is_grabbed_once_and_repeated_at_the_rate() {
        let (grabs, repeats) = run(25.0, &[], 10_000_000);
        assert_eq!(grabs, [1_000]);
        assert!(repeats.windows(2).all(|pair| pair[1] - pair[0] == 40_000), "{repeats:?}");
        assert!((248..=250).contains(&repeats.len()), "{}", repeats.len());
    }

    #[test]
    fn a_change_after_a_pause_is_grabbed_at_once() {
        assert_eq!(run(25.0, &[500_123, 903_456], 2_000_000).0, [1_000, 500_123, 903_456]);
    }

    #[test]
    fn many_changes_are_grabbed_at_the_rate_and_the_last_one_is_not_lost() {
        let changes: Vec<u64> = (0..1_000).map(|n| 100_000 + n * 1_000).collect();
        let (grabs, _) = run(25.0, &changes, 3_000_000);
        let during = grabs.iter().filter(|&&at| (100_000..1_100_000).contains(&at)).count();
        assert!((25..=26).contains(&during), "{during}");
        assert!(grabs[2..].windows(2).all(|pair| pair[1] - pair[0] >= 40_000), "{grabs:?}");
        let last = *grabs.last().expect("some");
        assert!((1_099_000..1_099_000 + 40_000).contains(&last), "{last}");
    }

    #[test]
    fn a_drawer_at_our_own_rate_is_followed_though_he_is_uneven() {
        // Late by up to a third of an interval, each time differently.
        let changes: Vec<u64> = (1..500).map(|n| n * 40_000 + (n * 7_919) % 13_000).collect();
        let (grabs, repeats) = run(25.0, &changes, 19_000_000);
        let waited: Vec<u64> =
            grabs[1..].iter().map(|at| at - changes[changes.partition_point(|c| c <= at) - 1]).collect();
        assert!(waited.iter().all(|&wait| wait == 0), "{waited:?}");
        assert_eq!(repeats, [0; 0], "nothing comes twice");
    }

    #[test]
    fn two_changes_in_a_row_need_not_wait_for_a_whole_interval() {
        assert_eq!(run(25.0, &[500_000, 500_100], 1_000_000).0, [1_000, 500_000, 520_000]);
    }

    #[test]
    fn a_long_delay_is_not_made_up_for_by_a_burst() {
        let mut rhythm = Rhythm::new(Rate::new(50, 1).expect("usual"));
        rhythm.grabbed(Time::from_millis(1));
        let late = Time::from_millis(5_000);
        let mut repeats = 0;
        while rhythm.step(late) == Step::Again {
            rhythm.repeated(late);
            repeats += 1;
        }
        assert!(repeats <= 2, "{repeats}");
    }
}

//! How much later than they come pictures are shown, so that those that are repaired first are not shown later than others: as
//! long as repair took lately, and not at all on a path that loses nothing. It grows and shrinks in steps that nobody sees.

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::Time;

/// What it follows: the last four or five seconds of pictures.
const PICTURES: usize = 128;
/// So many of them may be shown later than others.
const OUTLIERS: usize = 1;
/// It grows by this much a picture.
const GROW: Duration = Duration::from_millis(1);
/// It shrinks by one part in so many of the time that goes by: 1 ms a second.
const SHRINK: u32 = 1_000;

/// See the head of this file.
#[derive(Default)]
pub struct RepairDelay {
    took: VecDeque<Duration>,
    now: Duration,
    /// It is never longer than a picture is waited for.
    most: Duration,
    /// When a picture was shown last.
    at: Option<Time>,
}

impl RepairDelay {
    /// Pictures are shown so long after the last of their datagrams that came in its turn.
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// So long a picture is waited for at most.
    pub fn set_most(&mut self, most: Duration) {
        self.most = most;
        self.now = self.now.min(most);
    }

    /// A whole picture is shown; `took`: from the last of its datagrams that came in its turn until it was whole.
    pub fn picture(&mut self, now: Time, took: Duration) {
        if self.took.len() == PICTURES {
            self.took.pop_front();
        }
        self.took.push_back(took);
        let since = now.since(self.at.replace(now).unwrap_or(now));
        let wanted = self.wanted();
        self.now = if wanted > self.now {
            wanted.min(self.now + GROW)
        } else {
            wanted.max(self.now.saturating_sub(since / SHRINK))
        };
    }

    /// What all but the slowest took.
    fn wanted(&self) -> Duration {
        let mut most = [Duration::ZERO; OUTLIERS + 1];
        for took in &self.took {
            if *took > most[0] {
                most[0] = *took;
                most.sort();
            }
        }
        most[0].min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(delay: &mut RepairDelay, from: u64, took: &[u64]) -> Duration {
        for (n, took) in took.iter().enumerate() {
            delay.picture(Time::from_millis((from + n as u64) * 40), Duration::from_millis(*took));
        }
        delay.now()
    }

    #[test]
    fn it_follows_what_repair_took_a_millisecond_a_picture_and_goes_back_a_millisecond_a_second() {
        let mut delay = RepairDelay::default();
        delay.set_most(Duration::from_millis(20));
        assert_eq!(shown(&mut delay, 0, &[0; 300]), Duration::ZERO);
        assert_eq!(shown(&mut delay, 300, &[0, 24, 0, 0]), Duration::ZERO, "one is an accident");
        assert_eq!(shown(&mut delay, 304, &[6, 0, 0]), Duration::from_millis(3));
        assert_eq!(shown(&mut delay, 307, &[0, 0, 0, 0, 0]), Duration::from_millis(6));
        // As long as it is needed now and then it stays; then it goes within seconds.
        let now = shown(&mut delay, 312, &[&[6; 1][..], &[0; 119]].concat());
        assert_eq!(now, Duration::from_millis(6));
        let after = shown(&mut delay, 432, &[0; 25 * 4]);
        assert!(after > Duration::ZERO && after < Duration::from_millis(3), "{after:?}");
        assert_eq!(shown(&mut delay, 700, &[0; 100]), Duration::ZERO);
        assert_eq!(shown(&mut delay, 800, &[90; 40]), Duration::from_millis(20), "no longer than is waited");
    }
}

//! How long a datagram may be overtaken by others before it counts as lost: as long as the last ones that came out of their turn
//! took, and no time at all on a path that keeps the order.

use std::time::Duration;

use crate::units::Time;

/// What took longer was not overtaken but lost, or it is of no use to wait for it.
const MOST: Duration = Duration::from_millis(20);
/// Half of what was learnt is forgotten in so long.
const HALF: Duration = Duration::from_secs(10);

/// See the head of this file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reordering {
    longest: Duration,
    at: Time,
}

impl Reordering {
    /// A datagram came so long after one that was sent later.
    pub fn came(&mut self, now: Time, late: Duration) {
        let late = (late * 5 / 4).min(MOST);
        if late > self.wait(now) {
            (self.longest, self.at) = (late, now);
        }
    }

    /// A gap is waited for so long before it is asked for.
    pub fn wait(&self, now: Time) -> Duration {
        let halves = (now.since(self.at).as_nanos() / HALF.as_nanos()).min(31) as u32;
        let wait = self.longest / (1 << halves);
        if wait < Duration::from_micros(200) { Duration::ZERO } else { wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_learnt_at_once_and_forgotten_slowly() {
        let (mut path, at) = (Reordering::default(), Time::from_millis(5_000));
        assert_eq!(path.wait(at), Duration::ZERO);
        path.came(at, Duration::from_millis(8));
        path.came(at, Duration::from_millis(1));
        assert_eq!(path.wait(at), Duration::from_millis(10));
        assert_eq!(path.wait(at + HALF), Duration::from_millis(5));
        path.came(at, Duration::from_secs(1));
        assert_eq!(path.wait(at), MOST);
        assert_eq!(path.wait(at + 20 * HALF), Duration::ZERO);
    }
}

//! When a question that nobody has answered is asked again.

use std::time::Duration;

use crate::units::Time;

/// Waits between tries: short at first, then steady, so that a server that comes back is found within half a second.
const RETRY_MILLIS: [u64; 4] = [50, 100, 200, 250];
/// A cookie is good for a minute or two, and a server that was restarted knows nothing of it: after so many tries with one
/// in vain another is asked for.
const COOKIE_TRIES: usize = 8;

/// The tries of one step.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    tries: usize,
    next: Option<Time>,
    /// When the last try was.
    sent: Time,
}

impl Retry {
    /// The first try is at `first`.
    pub const fn new(first: Time) -> Self {
        Self { tries: 0, next: Some(first), sent: first }
    }

    /// Nothing is tried any more.
    pub const fn none(now: Time) -> Self {
        Self { tries: 0, next: None, sent: now }
    }

    /// After a step that was answered: the same question may have to be asked again.
    pub fn soon(now: Time) -> Self {
        Self { tries: 0, next: Some(now + Duration::from_millis(RETRY_MILLIS[0])), sent: now }
    }

    /// Whether a try is due now; it counts as made.
    pub fn is_due(&mut self, now: Time) -> bool {
        let due = self.next.is_some_and(|next| now >= next);
        if due {
            let wait = RETRY_MILLIS[self.tries.min(RETRY_MILLIS.len() - 1)];
            (self.tries, self.next, self.sent) = (self.tries + 1, Some(now + Duration::from_millis(wait)), now);
        }
        due
    }

    pub const fn deadline(&self) -> Option<Time> {
        self.next
    }

    pub const fn tries(&self) -> usize {
        self.tries
    }

    pub const fn sent(&self) -> Time {
        self.sent
    }

    /// Whether the last try was one too many with the same cookie.
    pub const fn is_stale(&self) -> bool {
        self.tries > COOKIE_TRIES
    }
}

/// The steady wait between tries.
pub const fn steady() -> Duration {
    Duration::from_millis(RETRY_MILLIS[RETRY_MILLIS.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_quick_at_first_and_steady_later() {
        let mut retry = Retry::new(Time::ZERO);
        let tries = (0..1_200).filter(|millis| retry.is_due(Time::from_millis(*millis)));
        assert_eq!(tries.collect::<Vec<_>>(), [0, 50, 150, 350, 600, 850, 1_100]);
        assert!(!Retry::none(Time::ZERO).is_due(Time::NEVER));
    }
}

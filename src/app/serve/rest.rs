//! Whether a source runs: always, or only while somebody looks at its stream.

use std::time::Duration;

use crate::app::opening::Attempt;
use crate::units::Time;

/// Whether the source of a stream runs, and what is done about it.
pub enum Rest {
    /// It runs from beginning to end.
    Never,
    /// It runs; nobody has looked since then.
    Running { idle: Option<Time> },
    /// It is closed.
    Resting,
    /// It is being opened.
    Waking { attempt: Attempt, pause: Duration },
    /// It could not be opened, and is tried again then.
    Trying { at: Time, pause: Duration },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Nothing,
    /// Open the source.
    Open,
    /// Close it.
    Close,
    /// Give up opening it.
    GiveUp,
}

impl Rest {
    /// What is to be done now, if somebody looks at the stream or nobody does.
    pub fn turn(&mut self, now: Time, looked_at: bool) -> Turn {
        match self {
            Self::Never => Turn::Nothing,
            Self::Running { idle } if looked_at => {
                *idle = None;
                Turn::Nothing
            }
            Self::Running { idle } => {
                let since = *idle.get_or_insert(now);
                if now >= since + LINGER { Turn::Close } else { Turn::Nothing }
            }
            Self::Resting | Self::Trying { .. } if !looked_at => {
                *self = Self::Resting;
                Turn::Nothing
            }
            Self::Resting => Turn::Open,
            Self::Trying { at, .. } => {
                if now >= *at {
                    Turn::Open
                } else {
                    Turn::Nothing
                }
            }
            Self::Waking { .. } => {
                if looked_at {
                    Turn::Nothing
                } else {
                    Turn::GiveUp
                }
            }
        }
    }

    /// When that changes by itself.
    pub fn deadline(&self) -> Time {
        match self {
            Self::Running { idle: Some(since) } => *since + LINGER,
            Self::Trying { at, .. } => *at,
            _ => Time::NEVER,
        }
    }

    /// It is being opened.
    pub fn wake(&mut self, attempt: Attempt) {
        *self = Self::Waking { attempt, pause: self.pause() };
    }

    /// It could not be opened: it is tried again soon, and then less often.
    pub fn try_again(&mut self, now: Time) {
        let before = self.pause();
        let pause = if before.is_zero() { FIRST_PAUSE } else { (before * 2).min(LAST_PAUSE) };
        *self = Self::Trying { at: now + pause, pause };
    }

    const fn pause(&self) -> Duration {
        match self {
            Self::Waking { pause, .. } | Self::Trying { pause, .. } => *pause,
            _ => Duration::ZERO,
        }
    }

    pub const fn is_resting(&self) -> bool {
        matches!(self, Self::Resting)
    }
}

/// Somebody who leaves is often back in a moment.
const LINGER: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_rests_a_while_after_the_last_has_left() {
        let second = |n: u64| Time::from_millis(n * 1_000);
        let mut rest = Rest::Resting;
        assert_eq!((rest.turn(second(1), false), rest.turn(second(2), true)), (Turn::Nothing, Turn::Open));
        rest.try_again(second(2));
        assert_eq!((rest.turn(second(2), true), rest.turn(second(3), true)), (Turn::Nothing, Turn::Open));
        rest.try_again(second(3));
        assert_eq!(rest.deadline(), second(4));
        assert_eq!((rest.turn(second(3), false), rest.is_resting()), (Turn::Nothing, true));
        rest = Rest::Running { idle: None };
        assert_eq!((rest.turn(second(20), true), rest.deadline()), (Turn::Nothing, Time::NEVER));
        assert_eq!((rest.turn(second(21), false), rest.deadline()), (Turn::Nothing, second(31)));
        assert_eq!((rest.turn(second(30), true), rest.turn(second(31), false)), (Turn::Nothing, Turn::Nothing));
        assert_eq!((rest.turn(second(40), false), rest.turn(second(41), false)), (Turn::Nothing, Turn::Close));
    }
}

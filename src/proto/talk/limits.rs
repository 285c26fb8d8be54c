//! How much may be said: by one author, by all behind one relay, and by all.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Author, Refused};
use crate::units::Time;

/// Lines are counted for so long.
const SPAN: Duration = Duration::from_secs(10);
/// Most lines of one author in that time.
pub const OF_ONE: usize = 5;
/// Most of all behind one relay, which may name more authors than it has.
const OF_RELAY: usize = 50;
/// Most of all.
const OF_ALL: usize = 200;

/// What was said in the last seconds.
#[derive(Default)]
pub struct TalkLimits(VecDeque<(Time, Author)>);

impl TalkLimits {
    /// Whether this author may say a line now, which then counts. `is_maker`: the crowd does not silence it.
    pub fn allow(&mut self, now: Time, author: Author, is_maker: bool) -> Result<(), Refused> {
        self.0.retain(|(at, _)| now.since(*at) < SPAN);
        let count = |of: &dyn Fn(&Author) -> bool| self.0.iter().filter(|(_, author)| of(author)).count();
        let own = count(&|other| *other == author);
        let relay = count(&|other| other.session == author.session);
        if own >= OF_ONE {
            return Err(Refused::TOO_MANY);
        }
        if !is_maker && (relay >= OF_RELAY || self.0.len() >= OF_ALL) {
            return Err(Refused::CROWDED);
        }
        self.0.push_back((now, author));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_author_has_five_lines_in_ten_seconds_and_a_relay_fifty() {
        let mut limits = TalkLimits::default();
        let one = Author { session: 1, behind: 0 };
        let at = |tenths: u64| Time::from_millis(tenths * 100);
        let allowed: Vec<bool> = (0..8).map(|n| limits.allow(at(n), one, false).is_ok()).collect();
        assert_eq!(allowed, [true, true, true, true, true, false, false, false]);
        assert!(
            limits.allow(at(99), one, false) == Err(Refused::TOO_MANY) && limits.allow(at(100), one, false).is_ok()
        );
        let relayed = (1..=20).flat_map(|behind| [Author { session: 2, behind }; 5]);
        assert_eq!(relayed.filter(|author| limits.allow(at(101), *author, false).is_ok()).count(), 50);
        let all = (3..=200).map(|session| Author { session, behind: 0 });
        assert_eq!(all.filter(|author| limits.allow(at(102), *author, false).is_ok()).count(), 200 - 50 - 3);
        let late = Author { session: 999, behind: 0 };
        assert_eq!(limits.allow(at(102), late, false), Err(Refused::CROWDED));
        assert_eq!(limits.allow(at(102), late, true), Ok(()), "whoever makes the stream is heard");
    }
}

//! Cookies that have admitted a session, for as long as they are good: each admits once.

use std::collections::BTreeSet;

use crate::wire::message::COOKIE_LEN;

/// Sessions made in a minute: ten thousand watchers that all come six times.
pub const MOST_ADMITTED: usize = 65_536;

/// The cookies of this minute and the last.
pub struct Admitted {
    /// How many are remembered of one minute.
    most: usize,
    minute: u64,
    /// Of this minute, and of the one before.
    cookies: [BTreeSet<[u8; COOKIE_LEN]>; 2],
}

impl Admitted {
    pub const fn new(most: usize) -> Self {
        Self { most, minute: 0, cookies: [const { BTreeSet::new() }; 2] }
    }

    pub fn has(&self, cookie: &[u8; COOKIE_LEN]) -> bool {
        self.cookies.iter().any(|cookies| cookies.contains(cookie))
    }

    pub fn note(&mut self, minute: u64, cookie: [u8; COOKIE_LEN]) {
        if minute != self.minute {
            let [last, before] = &mut self.cookies;
            // A cookie of the last minute is still good in this one.
            *before = if minute == self.minute + 1 { std::mem::take(last) } else { BTreeSet::new() };
            last.clear();
            self.minute = minute;
        }
        self.cookies[0].insert(cookie);
    }

    /// Whether so many have been admitted in this minute that another could not be remembered.
    pub fn is_full(&self, minute: u64) -> bool {
        minute == self.minute && self.cookies[0].len() >= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_cookies_are_remembered_and_each_minute_begins_anew() {
        let mut admitted = Admitted::new(3);
        (0..3).for_each(|n| admitted.note(7, [n; COOKIE_LEN]));
        assert!(admitted.is_full(7) && !admitted.is_full(8), "nobody is turned away for longer than the minute");
        admitted.note(8, [9; COOKIE_LEN]);
        assert!((0..3).all(|n| admitted.has(&[n; COOKIE_LEN])), "a cookie of the last minute is still good");
        admitted.note(9, [10; COOKIE_LEN]);
        assert!(!admitted.has(&[0; COOKIE_LEN]) && admitted.has(&[9; COOKIE_LEN]));
        admitted.note(20, [11; COOKIE_LEN]);
        assert!(!admitted.has(&[10; COOKIE_LEN]) && admitted.has(&[11; COOKIE_LEN]));
    }
}

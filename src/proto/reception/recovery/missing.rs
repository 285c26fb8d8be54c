//! One object that did not come: when it is asked for, and how often.

use std::time::Duration;

use crate::units::Time;

/// An answer is waited for so much longer than the round trip.
pub const MARGIN: Duration = Duration::from_millis(4);
/// One that takes a quarter longer than the round trip, and this, has been lost: so nearby there is time for a second one.
const LEAST_MARGIN: Duration = Duration::from_micros(1_500);
/// Each ask is said twice, so far apart, where that is much less than a round trip: a Nack may be lost too …
const AGAIN: Duration = Duration::from_millis(3);
/// … which it is where the round trip is at least this.
const FAR: Duration = Duration::from_millis(8);
/// An object is sent again at most so often: it is asked for as often, each time twice.
pub const ASKS: u8 = 2;

/// See the head of this file.
#[derive(Clone, Copy, Debug)]
pub struct MissingObject {
    /// When it was noticed.
    pub since: Time,
    /// What comes with a later number than this has been sent again.
    pub hop: u64,
    /// How often it was said that it is missing.
    said: u8,
    next: Time,
    is_hopeless: bool,
    /// When it was said for the first time, and for the second.
    asked: [Option<Time>; 2],
}

impl MissingObject {
    /// Noticed now; it is asked for after so long, if it has not come until then.
    pub fn new(now: Time, hop: u64, wait: Duration) -> Self {
        Self { since: now, hop, said: 0, next: now + wait, is_hopeless: false, asked: [None; 2] }
    }

    pub const fn is_asked(&self) -> bool {
        self.said > 0
    }

    /// When it is to be asked for next; `None`: no more.
    pub const fn due(&self) -> Option<Time> {
        if self.said < 2 * ASKS && !self.is_hopeless { Some(self.next) } else { None }
    }

    /// It is being asked for. Returns whether that is for the first time.
    pub fn ask(&mut self, now: Time, round_trip: Duration) -> bool {
        let first = self.said == 0;
        if let Some(asked) = self.asked.get_mut(usize::from(self.said / 2)) {
            asked.get_or_insert(now);
        }
        let is_second_word = self.said % 2 == 1;
        self.said += if is_second_word || round_trip >= FAR { 1 } else { 2 };
        let overdue = overdue(round_trip);
        let after = match (self.said.is_multiple_of(2), is_second_word) {
            (false, _) => AGAIN,
            (true, true) => overdue.saturating_sub(AGAIN),
            (true, false) => overdue,
        };
        self.next = now + after;
        first
    }

    /// How long an answer took that comes now, if it can be told which question it answers.
    pub fn answered(&self, now: Time) -> Option<Duration> {
        match self.asked {
            [Some(first), None] => Some(now.since(first)),
            _ => None,
        }
    }

    /// Nothing that is sent for it now would be in time.
    pub const fn give_up(&mut self) {
        self.is_hopeless = true;
    }

    /// Until when an answer may come; `None`: nobody was asked, and nobody will be.
    pub fn awaited(&self, round_trip: Duration) -> Option<Time> {
        match self.due() {
            Some(at) => Some(at + round_trip + MARGIN),
            // The last word was said a round trip before that.
            None if self.is_asked() => Some(self.next),
            None => None,
        }
    }
}

/// After so long an answer has been lost.
pub fn overdue(round_trip: Duration) -> Duration {
    round_trip + (round_trip / 4).clamp(LEAST_MARGIN, MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(round_trip: Duration) -> Vec<u128> {
        let mut gap = MissingObject::new(Time::ZERO, 0, Duration::ZERO);
        let mut asks = Vec::new();
        while let Some(at) = gap.due() {
            asks.push(at.since(Time::ZERO).as_micros());
            assert_eq!(gap.ask(at, round_trip), asks.len() == 1);
        }
        asks
    }

    #[test]
    fn it_is_asked_for_twice_a_round_trip_apart_and_from_afar_each_time_twice() {
        assert_eq!(asked(Duration::from_millis(2)), [0, 3_500]);
        assert_eq!(asked(Duration::from_millis(20)), [0, 3_000, 24_000, 27_000]);
    }
}

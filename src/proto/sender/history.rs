//! What a watcher was sent, until its reports have told of it: which datagram had which number, when it left, and
//! whether it arrived.

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::Time;

/// A report's echo must be younger than this to prove that the reporter hears us now.
pub const ECHO_LIMIT: Duration = Duration::from_secs(2);
/// So many datagrams are remembered, as long as they are of the last [`KEPT`].
const HISTORY: usize = 4_096;
/// So many are remembered while their stamps may still be echoed.
pub const MOST: usize = 32_768;
/// Reports come within less.
const KEPT: Duration = Duration::from_secs(4);
/// Stamps of datagrams outside the sequence: updates, goodbyes, path checks. They leave some ten times a second.
const SPOKEN: usize = 64;

/// A datagram in the sequence, in twelve bytes: a fast stream remembers thousands of them for each watcher.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Low 32 bits of our clock, µs.
    pub at: u32,
    pub bytes: u16,
    pub cargo: Cargo,
    pub fate: Fate,
    /// Of a picture's part: which of those that this receiver was sent.
    pub picture: u32,
}

/// What a datagram carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cargo {
    Probe,
    /// A part of a picture.
    Body,
    Sound,
    /// An object that is sent again.
    Repair,
    Parity,
    /// Something of a film that was asked for with Get.
    Supply,
    Other,
}

/// What reports have said of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Unknown,
    Lost,
    Received,
}

#[derive(Default)]
pub struct History {
    /// The next number.
    sequence: u32,
    sent: VecDeque<Sent>,
    spoken: VecDeque<u32>,
}

impl History {
    /// The number of a datagram that leaves now.
    pub fn stamp(&mut self, now: Time, bytes: usize, cargo: Cargo, picture: u32) -> u32 {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        self.forget(now);
        self.sent.push_back(Sent { at: now.wire_micros(), bytes: bytes as u16, cargo, fate: Fate::Unknown, picture });
        sequence
    }

    fn forget(&mut self, now: Time) {
        while let Some(front) = self.sent.front() {
            let (age, many) = (age(now, front.at), self.sent.len());
            if age <= KEPT && many < HISTORY || age <= ECHO_LIMIT && many < MOST {
                return;
            }
            self.sent.pop_front();
        }
    }

    /// The datagram numbered last never left: its number is used again.
    pub fn unstamp(&mut self) -> Option<Sent> {
        let sent = self.sent.pop_back()?;
        self.sequence = self.sequence.wrapping_sub(1);
        Some(sent)
    }

    /// A datagram outside the sequence leaves now.
    pub fn speak(&mut self, now: Time) {
        if self.spoken.len() == SPOKEN {
            self.spoken.pop_front();
        }
        self.spoken.push_back(now.wire_micros());
    }

    /// The number that the next datagram will have.
    pub const fn next(&self) -> u32 {
        self.sequence
    }

    /// The datagram with this number, if it is remembered.
    pub fn get_mut(&mut self, sequence: u32) -> Option<&mut Sent> {
        let oldest = self.sequence.wrapping_sub(self.sent.len() as u32);
        self.sent.get_mut(sequence.wrapping_sub(oldest) as usize)
    }

    /// Those that were sent after the one with this number.
    pub fn after(&self, sequence: u32) -> impl Iterator<Item = &Sent> {
        let count = self.sequence.wrapping_sub(sequence).wrapping_sub(1);
        self.sent.iter().rev().take(if count > MOST as u32 { 0 } else { count as usize })
    }

    /// The newest datagram in the sequence.
    pub fn newest(&self) -> Option<&Sent> {
        self.sent.back()
    }

    /// How long ago the datagram left that bears this stamp; `None` if none of the last [`ECHO_LIMIT`] does. Of a stream so
    /// fast that not all of those are remembered, older stamps are believed.
    pub fn age_of(&self, now: Time, stamp: u32) -> Option<Duration> {
        let age = age(now, stamp);
        // Stamps never go back, so ages fall from front to back.
        let older = |at: u32| now.wire_micros().wrapping_sub(at) > now.wire_micros().wrapping_sub(stamp);
        let first = self.sent.partition_point(|sent| older(sent.at));
        let spoken = self.spoken.partition_point(|at| older(*at));
        let known =
            self.sent.get(first).is_some_and(|sent| sent.at == stamp) || self.spoken.get(spoken) == Some(&stamp);
        let forgotten = self.sent.len() >= MOST && first == 0 && !known;
        ((known || forgotten) && age <= ECHO_LIMIT).then_some(age)
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.sent.len() <= MOST && self.spoken.len() <= SPOKEN, "{} datagrams remembered", self.sent.len());
    }
}

fn age(now: Time, stamp: u32) -> Duration {
    Duration::from_micros(u64::from(now.wire_micros().wrapping_sub(stamp)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stamps_that_were_sent_are_known_and_only_for_two_seconds() {
        let mut history = History::default();
        // The 32 bits wrap on the way.
        let start = Time::from_micros((1 << 32) - 500_000);
        for n in 0..1_000_u64 {
            let at = start + Duration::from_millis(n);
            if n % 10 == 0 {
                history.speak(at);
            } else {
                history.stamp(at, 1_200, Cargo::Body, 0);
            }
        }
        let now = start + Duration::from_millis(1_000);
        for n in 0..1_000_u64 {
            let at = start + Duration::from_millis(n);
            let sequenced = n % 10 != 0;
            let remembered = sequenced || n >= 1_000 - 64 * 10;
            assert_eq!(history.age_of(now, at.wire_micros()).is_some(), remembered, "{n}");
            let between = (at + Duration::from_micros(1)).wire_micros();
            assert_eq!(history.age_of(now, between), None, "{n}: nobody was sent this stamp");
        }
        let last = start + Duration::from_millis(999);
        assert_eq!(history.age_of(last + ECHO_LIMIT, last.wire_micros()), Some(ECHO_LIMIT));
        assert_eq!(history.age_of(last + ECHO_LIMIT + Duration::from_micros(1), last.wire_micros()), None);
    }

    #[test]
    fn a_fast_stream_is_remembered_for_two_seconds_and_a_slow_one_for_four() {
        let mut fast = History::default();
        for n in 0..40_000_u64 {
            fast.stamp(Time::from_micros(n * 100), 1_452, Cargo::Body, 0);
        }
        let now = Time::from_micros(4_000_000);
        assert!(fast.sent.len() >= 20_000 && fast.age_of(now, 2_000_000).is_some());
        fast.assert_sound();
        // Faster than is remembered: what is older than all that is known may well have been sent.
        for n in 0..100_000_u64 {
            fast.stamp(Time::from_micros(5_000_000 + n * 10), 1_452, Cargo::Body, 0);
        }
        let now = Time::from_micros(6_000_000);
        assert!(fast.age_of(now, 5_100_000).is_some() && fast.age_of(now, 5_999_991).is_none());
        assert!(fast.age_of(now, 3_900_000).is_none(), "older than two seconds");
        fast.assert_sound();
        let mut slow = History::default();
        for n in 0..100_u64 {
            slow.stamp(Time::from_millis(n * 100), 1_452, Cargo::Body, 0);
        }
        assert_eq!(slow.sent.len(), 41);
        assert!(slow.get_mut(99).is_some() && slow.get_mut(100).is_none() && slow.get_mut(58).is_none());
    }

    #[test]
    fn a_number_that_was_given_back_is_used_again() {
        let mut history = History::default();
        assert_eq!(history.stamp(Time::ZERO, 9_000, Cargo::Body, 0), 0);
        assert_eq!(history.unstamp().map(|sent| sent.bytes), Some(9_000));
        assert_eq!((history.next(), history.unstamp().is_none()), (0, true));
    }
}

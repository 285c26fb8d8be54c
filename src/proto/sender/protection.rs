//! Whether a receiver is sent parity, and how much: only where losses are not mended in time, or not enough, by what it asks for.

use std::time::Duration;

use super::loss::Losses;
use crate::units::Time;
use crate::wire::message::{RepairWish, Scheme};

/// What is asked for comes a round trip and this later (as the receiver reckons).
const MARGIN: Duration = Duration::from_millis(4);
/// An answer that takes a quarter longer than the round trip is asked for again: no sooner than this after it, and no later.
const OVERDUE: (Duration, Duration) = (Duration::from_micros(1_500), MARGIN);
/// An object is sent again so often at most.
const TIMES: u32 = 2;
/// Of pictures that are mended by asking alone so many may stay damaged. More, and what is asked for is sent twice at once …
const DAMAGED: f64 = 0.005;
/// … or, if even that leaves more than this damaged, parity is sent.
const TOO_MANY: f64 = 0.02;
/// Symbols for the chunks of sound that are protected together, where nobody tells of losses: with one, of eight chunks at 2 % of
/// loss one group in seventy would be heard; with two one in a thousand. What they cost is little beside pictures.
const SOUND_SYMBOLS: usize = 2;

/// What a receiver says of itself, and what is known of its path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Protection {
    pub wish: RepairWish,
    /// Bits of the schemes that it knows.
    pub schemes: u8,
    pub losses: Losses,
    /// Pictures are being protected: they are to be cut finely.
    on: bool,
    /// Nobody tells of losses: so many symbols are sent, as percent of what they protect.
    share: Option<u8>,
}

impl Protection {
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Nobody tells of losses: so many symbols are always sent, as percent of what they protect.
    pub const fn set_share(&mut self, percent: u8) {
        (self.share, self.on) = (Some(percent), percent > 0);
    }

    pub const fn scheme(&self) -> Option<Scheme> {
        if self.schemes & Scheme::ReedSolomon.bit() != 0 {
            Some(Scheme::ReedSolomon)
        } else if self.schemes & Scheme::Xor.bit() != 0 {
            Some(Scheme::Xor)
        } else {
            None
        }
    }

    /// How often something can be asked for, one after the other, within what a receiver waits.
    fn rounds(&self, round_trip: Option<Duration>, patience: Duration) -> u32 {
        let Some(round_trip) = round_trip.filter(|_| self.wish.asks) else { return 0 };
        let again = 2 * round_trip + (round_trip / 4).clamp(OVERDUE.0, OVERDUE.1);
        if patience < round_trip { 0 } else { 1 + u32::from(patience >= again) }
    }

    /// How long a receiver waits for a picture, where one follows another after so long: no longer than an answer takes, unless
    /// it shows all pictures later than that.
    fn waits(&self, round_trip: Option<Duration>, interval: Duration) -> Duration {
        let answer = round_trip.map_or(interval, |round_trip| round_trip + MARGIN);
        self.wish.patience.min(interval).min(answer).max(self.wish.latency)
    }

    /// Whether what is asked for is sent twice at once: of pictures of so many parts too many would stay damaged otherwise.
    pub fn sends_twice(&self, round_trip: Option<Duration>, interval: Duration, parts: usize) -> bool {
        let rounds = self.rounds(round_trip, self.waits(round_trip, interval));
        rounds == 1 && !self.on && self.left(rounds, parts) > DAMAGED
    }

    /// The part of pictures that stay damaged if each part is sent again so often.
    fn left(&self, times: u32, parts: usize) -> f64 {
        parts as f64 * self.losses.share().powi(times as i32 + 1)
    }

    /// Repair symbols for a picture of so many parts.
    pub fn symbols(&mut self, now: Time, round_trip: Option<Duration>, interval: Duration, parts: usize) -> usize {
        if let Some(percent) = self.share {
            return (parts * usize::from(percent)).div_ceil(100);
        }
        let rounds = self.rounds(round_trip, self.waits(round_trip, interval));
        // What is asked for once is sent twice.
        let asking_does = rounds > 0 && self.left(TIMES, parts) <= TOO_MANY;
        // A receiver that asks and waits for no picture shows each before its symbols come.
        let waits = !self.wish.asks || !self.wish.patience.is_zero() || !self.wish.latency.is_zero();
        let of_use = waits && !asking_does && self.scheme().is_some();
        let symbols = if of_use { self.losses.symbols(now, parts) } else { 0 };
        self.on = symbols > 0;
        symbols
    }

    /// Repair symbols for so many chunks of sound, each of which can wait so long.
    pub fn symbols_of_sound(
        &mut self,
        now: Time,
        round_trip: Option<Duration>,
        waits: Duration,
        chunks: usize,
    ) -> usize {
        if let Some(percent) = self.share {
            let least = if percent > 0 { SOUND_SYMBOLS } else { 0 };
            return (chunks * usize::from(percent)).div_ceil(100).max(least);
        }
        let asking_does = self.rounds(round_trip, waits) > 0;
        if asking_does || self.scheme().is_none() { 0 } else { self.losses.symbols(now, chunks) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(40);
    const AT: Time = Time::from_millis(10_000);

    fn protection(loss: usize, asks: bool) -> Protection {
        let wish = RepairWish { asks, patience: RepairWish::INTERVAL, latency: Duration::ZERO };
        let mut losses = Losses::default();
        losses.told(AT, (0..10_000).map(|n| n * 7 % 100 < loss));
        Protection { wish, schemes: 1, losses, ..Protection::default() }
    }

    fn symbols(loss: usize, round_trip: u64, asks: bool) -> usize {
        protection(loss, asks).symbols(AT, Some(Duration::from_millis(round_trip)), INTERVAL, 38)
    }

    #[test]
    fn parity_is_for_what_is_not_mended_in_time_by_asking() {
        assert_eq!([symbols(0, 60, true), symbols(0, 60, false), symbols(1, 2, true), symbols(3, 20, true)], [0; 4]);
        assert!(symbols(1, 60, true) > 0 && symbols(1, 2, false) > 0 && symbols(12, 20, true) > 0);
        let mut protection = protection(3, true);
        assert_eq!(protection.symbols(AT, None, INTERVAL, 38), 6, "no round trip is known");
        assert!(protection.is_on());
        let far = Some(Duration::from_millis(60));
        protection.wish.patience = Duration::from_millis(200);
        assert_eq!(protection.symbols(AT, far, INTERVAL, 38), 6, "it waits no longer than until the next picture");
        protection.wish.latency = Duration::from_millis(200);
        assert_eq!((protection.symbols(AT, far, INTERVAL, 38), protection.is_on()), (0, false), "it shows them later");
        protection.wish.patience = Duration::ZERO;
        protection.wish.latency = Duration::ZERO;
        assert_eq!(protection.symbols(AT, far, INTERVAL, 38), 0, "no picture waits for symbols");
        protection.wish.patience = RepairWish::INTERVAL;
        protection.schemes = 0;
        assert_eq!(protection.symbols(AT, None, INTERVAL, 38), 0, "it knows no scheme");
    }

    #[test]
    fn where_there_is_time_for_one_answer_only_it_is_given_twice_if_that_is_worth_it() {
        let twice = |loss, round_trip, parts| {
            protection(loss, true).sends_twice(Some(Duration::from_millis(round_trip)), INTERVAL, parts)
        };
        assert_eq!(
            [twice(1, 2, 100), twice(1, 20, 38), twice(1, 20, 100), twice(0, 20, 100)],
            [false, false, true, false]
        );
    }
}

//! How far a sender is ahead of what the other end of a connection has told of. A connection takes far more than is of use: what lies in the
//! buffers of both systems, and of a tunnel between them, grows old when whoever reads stands still. So no more is put into it
//! than two pictures and what is on its way, until a report tells that they have come.

use std::collections::VecDeque;
use std::time::Duration;

/// Pictures of which no report has told, beside those that are on their way.
const PICTURES: usize = 2;
/// The same of datagrams with sound. A receiver reports each 16.
const SOUNDS: usize = 48;
/// Chunks of sound follow each other after this time or more: 256 frames at 44.1 kHz.
const CHUNK: Duration = Duration::from_micros(5_805);
/// No more is on its way than leaves in this time.
const LONGEST: Duration = Duration::from_secs(1);

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Ahead {
    /// Numbers of the first datagrams of pictures that were begun and of which no report has told.
    pictures: VecDeque<u32>,
    /// The same of sound.
    sounds: VecDeque<u32>,
    /// Round trip, and what waits at the receiver to be played, because it wants it so.
    delay: Duration,
}

impl Ahead {
    /// A picture begins, with this number.
    pub fn picture(&mut self, sequence: u32) {
        self.pictures.push_back(sequence);
    }

    /// A datagram with sound leaves, with this number.
    pub fn sound(&mut self, sequence: u32) {
        self.sounds.push_back(sequence);
    }

    /// A report has told of all before this number.
    pub fn told(&mut self, next: u32, delay: Duration) {
        self.delay = delay.min(LONGEST);
        for numbers in [&mut self.pictures, &mut self.sounds] {
            while numbers.front().is_some_and(|first| first.wrapping_sub(next).cast_signed() < 0) {
                numbers.pop_front();
            }
        }
    }

    /// Whether enough is on its way, where pictures follow each other after so long.
    pub fn is_enough(&self, interval: Duration) -> bool {
        self.pictures.len() >= PICTURES + on_its_way(self.delay, interval)
            || self.sounds.len() >= SOUNDS + on_its_way(self.delay, CHUNK)
    }
}

fn on_its_way(delay: Duration, interval: Duration) -> usize {
    if interval.is_zero() { 0 } else { (delay.as_secs_f64() / interval.as_secs_f64()).round() as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(40);

    #[test]
    fn two_pictures_and_what_is_on_its_way_are_enough() {
        let mut ahead = Ahead::default();
        // The numbers wrap on the way.
        let start = u32::MAX - 15;
        for n in 0..2 {
            assert!(!ahead.is_enough(INTERVAL));
            ahead.picture(start.wrapping_add(n * 10));
        }
        assert!(ahead.is_enough(INTERVAL));
        ahead.told(start, Duration::ZERO);
        assert!(ahead.is_enough(INTERVAL), "of neither anything has come");
        ahead.told(start.wrapping_add(1), Duration::from_millis(120));
        for n in 2..6 {
            assert!(!ahead.is_enough(INTERVAL), "three more are on their way");
            ahead.picture(start.wrapping_add(n * 10));
        }
        assert!(ahead.is_enough(INTERVAL));
        ahead.told(start.wrapping_add(51), Duration::from_secs(3_600));
        (0..27).for_each(|n| ahead.picture(start.wrapping_add(60 + n)));
        assert!(ahead.is_enough(INTERVAL), "nobody has so much on its way");
    }

    #[test]
    fn sound_alone_is_enough_after_a_quarter_of_a_second() {
        let mut ahead = Ahead::default();
        (0..SOUNDS as u32).for_each(|n| ahead.sound(n));
        assert!(ahead.is_enough(Duration::ZERO));
        ahead.told(1, Duration::ZERO);
        assert!(!ahead.is_enough(Duration::ZERO));
    }
}

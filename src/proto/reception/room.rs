//! How much of what comes through a connection may wait at the system unread: two pictures, and what is on its way. What waits while
//! whoever reads stands still is as old as that when it goes on.

use std::time::Duration;

use crate::units::{Time, Unit};

/// The largest picture is that of this time and of as much before it.
const SPAN: Duration = Duration::from_secs(2);
/// No less than this, which is small enough for anything but stamps and large enough for the segments of any network.
const LEAST: usize = 16 << 10;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Room {
    unit: Unit,
    /// Bytes since that picture began: its own, and those of the sound among them.
    bytes: usize,
    span: Span,
    before: Span,
    begun: Option<Time>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    largest: usize,
    bytes: u64,
    took: Duration,
}

impl Room {
    /// A datagram came with a part of this picture, or with anything else. Returns whether it shows that more room is needed than was known.
    pub fn came(&mut self, now: Time, picture: Option<Unit>, bytes: usize) -> bool {
        let begun = *self.begun.get_or_insert(now);
        let is_next = picture.is_some_and(|unit| unit != self.unit);
        if is_next {
            (self.unit, self.bytes) = (picture.unwrap_or_default(), 0);
            let took = now.since(begun);
            if took >= SPAN {
                self.before = Span { took, ..std::mem::take(&mut self.span) };
                self.begun = Some(now);
            }
        }
        let known = 2 * self.before.largest.max(self.span.largest);
        self.bytes += bytes;
        self.span.bytes += bytes as u64;
        self.span.largest = self.span.largest.max(self.bytes);
        (self.bytes - bytes..self.bytes).contains(&known) && known > 0
    }

    /// Bytes that may wait, on a path with this round trip; none before it is known what comes.
    pub fn wanted(&self, rtt: Duration) -> Option<usize> {
        let largest = self.before.largest.max(self.span.largest);
        let seconds = self.before.took.as_secs_f64();
        let on_its_way = self.before.bytes as f64 / seconds * rtt.as_secs_f64();
        (seconds > 0.0).then(|| (2 * (largest + on_its_way as usize)).max(LEAST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many seconds of pictures of this size, 25 a second, with sound among them.
    fn play(room: &mut Room, from: u64, seconds: u64, bytes: usize) -> u64 {
        let mut asked = 0;
        for n in from * 25..(from + seconds) * 25 {
            let now = Time::from_millis(n * 40);
            let unit = Some(Unit(n as u32));
            let parts = [(unit, bytes / 2), (None, 100), (unit, bytes - bytes / 2)];
            asked += parts.into_iter().filter(|(unit, bytes)| room.came(now, *unit, *bytes)).count() as u64;
        }
        asked
    }

    #[test]
    fn it_holds_two_pictures_and_what_is_on_its_way() {
        let mut room = Room::default();
        play(&mut room, 1, 2, 40_000);
        assert_eq!(room.wanted(Duration::ZERO), None, "nothing is known before a span is over");
        play(&mut room, 3, 3, 40_000);
        assert_eq!(room.wanted(Duration::ZERO), Some(2 * 40_100));
        let far = room.wanted(Duration::from_millis(200)).expect("known");
        assert!((2 * 6 * 40_100 - far as i64).abs() < 2 * 8_100, "five more are under way: {far}");
        assert_eq!(play(&mut room, 6, 1, 200_000), 1, "the first of those that are larger shows it");
        assert_eq!(room.wanted(Duration::ZERO), Some(2 * 200_100));
        play(&mut room, 7, 6, 1_000);
        assert_eq!(room.wanted(Duration::ZERO), Some(LEAST));
    }
}

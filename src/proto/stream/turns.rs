//! Whose turn it is to be sent something: sessions by their slots, in the order in which a picture reaches them.

use std::collections::{BTreeSet, VecDeque};

use crate::units::Time;

/// The queues that a session waits in between two datagrams of pictures.
#[derive(Default)]
pub struct Turns {
    /// Sessions that are sent pictures; those whose last picture is the oldest come first.
    order: VecDeque<usize>,
    /// The first so many of them have not been offered the departing picture yet.
    left: usize,
    /// Sessions that were still being sent an older picture when their turn came.
    late: VecDeque<usize>,
    /// Sessions with something to send now.
    ready: VecDeque<usize>,
    /// Sessions whose pacing lets them send again then.
    paced: BTreeSet<(Time, usize)>,
}

impl Turns {
    /// A session that is sent pictures from the next departure on.
    pub fn add(&mut self, slot: usize) {
        self.order.push_back(slot);
    }

    /// A session that is sent nothing any more.
    pub fn remove(&mut self, slot: usize) {
        self.ready.retain(|other| *other != slot);
        self.paced.retain(|(_, other)| *other != slot);
        self.leave(slot);
    }

    /// A session that is sent no more pictures, but what is left of the one on its way.
    pub fn leave(&mut self, slot: usize) {
        self.late.retain(|other| *other != slot);
        if let Some(place) = self.order.iter().position(|other| *other == slot) {
            self.order.remove(place);
            self.left -= usize::from(place < self.left);
        }
    }

    /// A picture departs, and is for everybody.
    pub fn begin(&mut self) {
        self.late.clear();
        self.left = self.order.len();
    }

    /// Who is offered the picture next: first those who have waited longest, then those who were still being sent an older
    /// one.
    pub fn offer(&mut self) -> Option<usize> {
        if self.left == 0 {
            return self.late.pop_front();
        }
        self.left -= 1;
        let slot = self.order.pop_front()?;
        self.order.push_back(slot);
        Some(slot)
    }

    /// It has been sent an older picture, and lacks the departing one.
    pub fn is_late(&mut self, slot: usize) {
        self.late.push_back(slot);
    }

    /// It can send again after it could not: what it had begun, or, if that was nothing, the departing picture.
    pub fn has_room(&mut self, slot: usize, begun: bool) {
        self.ready.retain(|other| *other != slot);
        self.paced.retain(|(_, other)| *other != slot);
        if begun {
            self.ready.push_back(slot);
        } else if !self.late.contains(&slot) {
            self.late.push_back(slot);
        }
    }

    /// It has something to send.
    pub fn is_ready(&mut self, slot: usize) {
        self.ready.push_back(slot);
    }

    /// It has something to send at this moment.
    pub fn is_paced(&mut self, at: Time, slot: usize) {
        self.paced.insert((at, slot));
    }

    /// One that is paced has something that may leave now.
    pub fn hurry(&mut self, slot: usize) {
        let before = self.paced.len();
        self.paced.retain(|(_, other)| *other != slot);
        if self.paced.len() < before {
            self.ready.push_back(slot);
        }
    }

    /// Sessions whose pacing wait is over become ready.
    pub fn release(&mut self, now: Time) {
        while let Some((_, slot)) = self.paced.first().copied().filter(|(at, _)| *at <= now) {
            self.paced.pop_first();
            self.ready.push_back(slot);
        }
    }

    pub fn next_ready(&mut self) -> Option<usize> {
        self.ready.pop_front()
    }

    /// When pacing lets somebody send again.
    pub fn next_paced(&self) -> Option<Time> {
        self.paced.first().map(|(at, _)| *at)
    }

    /// Those who have not been offered the departing picture, and those who have.
    pub fn unoffered_and_offered(&self) -> (impl Iterator<Item = usize>, impl Iterator<Item = usize>) {
        let (unoffered, offered) = (self.order.iter().take(self.left), self.order.iter().skip(self.left));
        (unoffered.copied(), offered.copied())
    }

    /// Whether nobody is sent pictures.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// All sessions that are sent pictures.
    pub fn all(&self) -> impl Iterator<Item = usize> {
        self.order.iter().copied()
    }

    /// Whether all have been offered the departing picture once.
    pub const fn are_over(&self) -> bool {
        self.left == 0
    }

    /// Whether somebody who could be sent the departing picture now still lacks some of it.
    pub fn is_handing_out(&self) -> bool {
        self.left > 0 || !self.ready.is_empty() || !self.late.is_empty()
    }

    /// Whether something is still to be sent, now or when pacing allows it.
    pub fn is_busy(&self) -> bool {
        self.is_handing_out() || !self.paced.is_empty()
    }

    /// Nobody is sent a picture any more.
    pub fn stop(&mut self) {
        self.left = 0;
        self.late.clear();
        self.ready.clear();
        self.paced.clear();
    }

    /// For fuzzing: panics unless each of these has one turn, and nobody has more to send now. Returns who is paced.
    pub fn assert_sound(&self, sent_pictures: &BTreeSet<usize>) -> impl Iterator<Item = usize> {
        assert!(!self.is_handing_out(), "all is said");
        let order: BTreeSet<usize> = self.order.iter().copied().collect();
        assert!(order.len() == self.order.len() && order == *sent_pictures, "one turn each");
        self.paced.iter().map(|(_, slot)| *slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(turns: &mut Turns, count: usize) -> Vec<usize> {
        std::iter::from_fn(|| turns.offer()).take(count).collect()
    }

    #[test]
    fn who_missed_a_picture_is_first_with_the_next() {
        let mut turns = Turns::default();
        (0..5).for_each(|slot| turns.add(slot));
        turns.begin();
        assert_eq!(offered(&mut turns, 3), [0, 1, 2]);
        // One goes that has had its turn, and one that has not; one comes.
        turns.remove(1);
        turns.remove(3);
        turns.add(9);
        assert_eq!(turns.unoffered_and_offered().0.collect::<Vec<_>>(), [4]);
        turns.begin();
        assert_eq!(offered(&mut turns, 9), [4, 0, 2, 9]);
        assert!(turns.are_over() && !turns.is_busy());
    }

    #[test]
    fn who_was_late_comes_last_and_loses_its_place_to_a_newer_picture() {
        let mut turns = Turns::default();
        (0..3).for_each(|slot| turns.add(slot));
        turns.begin();
        turns.is_late(2);
        assert_eq!(offered(&mut turns, 9), [0, 1, 2, 2]);
        turns.is_late(1);
        assert!(turns.is_handing_out());
        turns.begin();
        assert_eq!(offered(&mut turns, 9), [0, 1, 2]);
    }

    #[test]
    fn who_is_paced_is_ready_in_time() {
        let mut turns = Turns::default();
        (0..2).for_each(|slot| turns.add(slot));
        turns.is_paced(Time::from_millis(5), 1);
        turns.is_paced(Time::from_millis(3), 0);
        assert_eq!(
            (turns.next_paced(), turns.is_handing_out(), turns.is_busy()),
            (Some(Time::from_millis(3)), false, true)
        );
        turns.release(Time::from_millis(4));
        assert_eq!((turns.next_ready(), turns.next_ready()), (Some(0), None));
        turns.remove(1);
        assert!(!turns.is_busy());
    }
}

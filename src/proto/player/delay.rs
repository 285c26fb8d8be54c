//! How long after they are due pictures and sound are played while a loudspeaker plays: so long that 99 of 100 pictures
//! and chunks have come by then. It grows at once and shrinks slowly, because the ear hears every change; much that is no
//! longer needed goes at once, which is heard once instead of being late for minutes. Where it is needed again soon after, it
//! is kept for longer each time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::Time;

/// What the percentile is taken of: the last sixteen seconds of pictures, twelve of sound.
const PICTURES: usize = 500;
const CHUNKS: usize = 2_000;
/// Of each hundred so many may come too late.
const OF_A_HUNDRED: usize = 1;
/// Complete and on the screen are two things.
const SHOWING: Duration = Duration::from_millis(3);
/// More than a server sends ahead.
const BEGINNING: Duration = Duration::from_millis(300);
/// Looked at this often.
const TURN: Duration = Duration::from_millis(100);
/// It shrinks by this much in a turn: 1 ms a second.
const SHRINK: Duration = Duration::from_micros(100);
/// More than this that the percentile no longer tells of goes at once …
const TOO_MUCH: Duration = Duration::from_millis(250);
/// … but if that was needed again within so long, it must not have been needed for this, and then for twice as long.
const AGAIN: Duration = Duration::from_secs(300);
const KEPT: Duration = Duration::from_secs(60);
/// Whatever comes later than this is not waited for, and tells nothing of how long to wait: it is what a halt has held up.
const MOST: Duration = Duration::from_secs(2);

#[derive(Default)]
pub struct Delay {
    pictures: VecDeque<i64>,
    chunks: VecDeque<i64>,
    /// When the first chunk came.
    first: Option<Time>,
    /// How long after its first frame what comes now is complete.
    length: Duration,
    /// What is lost is there again so long after the next one has come; zero: nothing is lost.
    repair: Duration,
    now: Duration,
    next: Time,
    /// Since when it has been too much, and how long that must last before it goes.
    idle: Option<Time>,
    kept: Duration,
    /// When much of it went last.
    went: Option<Time>,
}

impl Delay {
    /// So long after it was due it is played.
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// A picture was complete so many ns after it was due.
    pub fn picture(&mut self, lateness: i64) {
        push(&mut self.pictures, lateness, PICTURES);
    }

    /// A chunk came at this moment, so many ns after its first frame was due; negative: before. It was complete `length` after
    /// that frame: where longer ones begin to come, those before them would have come later by the difference. The first of
    /// all could not come earlier and say nothing.
    pub fn sound(&mut self, at: Time, lateness: i64, length: Duration) {
        if length > std::mem::replace(&mut self.length, length) {
            self.next = Time::ZERO;
        }
        let first = *self.first.get_or_insert(at);
        if at < first + BEGINNING {
            return;
        }
        push(&mut self.chunks, lateness.saturating_sub(length.as_nanos() as i64), CHUNKS);
    }

    /// What is lost comes so long after it is missed, or zero: nothing is.
    pub fn set_repair(&mut self, repair: Duration) {
        if repair > std::mem::replace(&mut self.repair, repair) {
            self.next = Time::ZERO;
        }
    }

    /// Thinks again, now and then. `needs`: so long before it is heard a chunk must be there; `None`: nothing is heard.
    pub fn turn(&mut self, now: Time, needs: Option<Duration>) {
        let Some(needs) = needs else {
            self.now = Duration::ZERO;
            return;
        };
        if now < self.next {
            return;
        }
        self.next = now + TURN;
        let pictures = percentile(&self.pictures).saturating_add(SHOWING.as_nanos() as i64);
        // What is lost is missed when the next one comes, or the one after that.
        let repair = if self.repair > Duration::ZERO { 2 * self.length + self.repair } else { Duration::ZERO };
        let chunks = percentile(&self.chunks).saturating_add((needs + self.length + repair).as_nanos() as i64);
        let wanted = Duration::from_nanos(pictures.max(chunks).max(0).unsigned_abs()).min(MOST);
        let goes = self.goes(now, wanted);
        self.now = if goes { wanted } else { wanted.max(self.now.saturating_sub(SHRINK)) };
    }

    /// Whether it becomes what is wanted at once.
    fn goes(&mut self, now: Time, wanted: Duration) -> bool {
        let again = wanted.saturating_sub(self.now) > TOO_MUCH && self.went.is_some_and(|went| now.since(went) < AGAIN);
        if again {
            (self.went, self.kept) = (None, (self.kept * 2).max(KEPT));
        }
        if self.now.saturating_sub(wanted) <= TOO_MUCH {
            self.idle = None;
            return false;
        }
        let goes = now.since(*self.idle.get_or_insert(now)) >= self.kept;
        if goes {
            (self.idle, self.went) = (None, Some(now));
        }
        goes
    }
}

fn push(samples: &mut VecDeque<i64>, sample: i64, most: usize) {
    if sample > MOST.as_nanos() as i64 {
        return;
    }
    if samples.len() == most {
        samples.pop_front();
    }
    samples.push_back(sample);
}

/// What all but one of a hundred stay below; of few samples the greatest, of none the least there is.
fn percentile(samples: &VecDeque<i64>) -> i64 {
    let mut samples: Vec<i64> = samples.iter().copied().collect();
    let Some(last) = samples.len().checked_sub(1) else { return i64::MIN };
    let at = last - samples.len() * OF_A_HUNDRED / 100;
    *samples.select_nth_unstable(at).1
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Time = Time::from_millis(1_000);
    const MS: i64 = 1_000_000;

    fn turn(delay: &mut Delay, turns: u64) -> Duration {
        for _ in 0..turns {
            delay.turn(delay.next, Some(Duration::from_millis(30)));
        }
        delay.now()
    }

    #[test]
    fn what_a_halt_has_held_up_is_not_waited_for() {
        let mut delay = Delay::default();
        (0..50).for_each(|_| delay.picture(MS));
        (0..2).for_each(|_| delay.picture(5_000 * MS));
        assert_eq!(turn(&mut delay, 1), Duration::from_millis(4));
        (0..2).for_each(|_| delay.picture(1_000 * MS));
        assert_eq!(turn(&mut delay, 1), Duration::from_millis(1_003), "the regime: a delay that helps is taken");
    }

    #[test]
    fn it_grows_at_once_and_shrinks_a_millisecond_a_second() {
        let mut delay = Delay::default();
        assert_eq!(turn(&mut delay, 1), Duration::ZERO, "nothing is known");
        delay.sound(Time::ZERO, 40 * MS, Duration::ZERO);
        for _ in 0..CHUNKS {
            delay.sound(LATER, -150 * MS, Duration::ZERO);
            delay.picture(5 * MS);
        }
        assert_eq!(turn(&mut delay, 1), Duration::from_millis(8), "sound that comes early costs nothing");
        (0..5).for_each(|_| delay.picture(900 * MS));
        assert_eq!(turn(&mut delay, 1), Duration::from_millis(8), "five of five hundred may be late");
        delay.sound(LATER, 20 * MS, Duration::ZERO);
        (0..20).for_each(|_| delay.sound(LATER, 20 * MS, Duration::ZERO));
        assert_eq!(turn(&mut delay, 1), Duration::from_millis(50));
        (0..CHUNKS).for_each(|_| delay.sound(LATER, -150 * MS, Duration::ZERO));
        assert_eq!(turn(&mut delay, 100), Duration::from_millis(40));
        delay.turn(delay.next, None);
        assert_eq!(delay.now(), Duration::ZERO);
    }

    #[test]
    fn much_that_is_no_longer_needed_goes_at_once() {
        let mut delay = Delay::default();
        delay.sound(Time::ZERO, 0, Duration::ZERO);
        (0..CHUNKS).for_each(|_| delay.sound(LATER, -10 * MS, Duration::ZERO));
        assert_eq!(turn(&mut delay, 1), Duration::from_millis(20));
        // Its source stood still for a second and a half, and the silence meanwhile came so late.
        (0..260).for_each(|_| delay.sound(LATER, 1_500 * MS, Duration::ZERO));
        assert_eq!(turn(&mut delay, 1), Duration::from_millis(1_530));
        (0..CHUNKS - 30).for_each(|_| delay.sound(LATER, -10 * MS, Duration::ZERO));
        assert_eq!(turn(&mut delay, 1), Duration::from_millis(1_530), "it may be needed again");
        (0..20).for_each(|_| delay.sound(LATER, -10 * MS, Duration::ZERO));
        assert_eq!(turn(&mut delay, 1), Duration::from_millis(20));
        // A network that does so every half minute is not told by cuts that it is slow.
        let mut cuts = 0;
        for _ in 0..20 {
            (0..60).for_each(|_| delay.sound(LATER, 500 * MS, Duration::ZERO));
            let high = turn(&mut delay, 50);
            (0..CHUNKS).for_each(|_| delay.sound(LATER, -10 * MS, Duration::ZERO));
            cuts += u32::from(turn(&mut delay, 250) < high / 2);
        }
        assert_eq!(cuts, 0, "of twenty");
        assert_eq!(turn(&mut delay, 600), Duration::from_millis(20), "in the end it goes");
    }

    #[test]
    fn longer_chunks_are_waited_for_from_the_first_of_them() {
        let (chunk, unit) = (Duration::from_millis(6), Duration::from_millis(25));
        let mut delay = Delay::default();
        delay.sound(Time::ZERO, 0, chunk);
        (0..CHUNKS).for_each(|_| delay.sound(LATER, 8 * MS, chunk));
        assert_eq!(turn(&mut delay, 1), Duration::from_millis(38));
        delay.sound(LATER, 27 * MS, unit);
        delay.turn(LATER, Some(Duration::from_millis(30)));
        assert_eq!(delay.now(), Duration::from_millis(57), "at once");
    }
}

//! Which datagrams a watcher's path carries: found by probing, in the manner of datagram PLPMTUD (RFC 8899).
//!
//! It begins with the smallest class. Larger ones are tried by padded probes, again and again at growing intervals, so
//! that a probe that was lost by accident costs nothing for long. Where the datagrams of a class vanish (a black hole), the
//! search begins anew with the smallest; losses by congestion, which spare some large datagrams, are no black hole
//! (RFC 8899 §4.3).

use std::time::Duration;

use crate::units::Time;
use crate::wire::SizeClass;

/// Probes are repeated after this time at the beginning, then after twice as long each time.
const SEARCH_FIRST: Duration = Duration::from_millis(100);
/// Larger classes are looked for again so long after a black hole, then after twice as long each time.
const SEARCH_AGAIN: Duration = Duration::from_secs(1);
/// The longest wait before larger classes are looked for again.
const SEARCH_LAST: Duration = Duration::from_secs(60);
/// A class that has served for so long was no mistake: after the next black hole the search begins anew.
const STEADY: Duration = Duration::from_secs(10);
/// A black hole is so many bursts in which large datagrams were lost and none arrived.
const BLACK_HOLE: u8 = 3;
/// They must span this time: a full queue does not stay full for so long without letting anything through.
const BLACK_HOLE_TIME: Duration = Duration::from_millis(100);
/// Losses further apart than this are of two bursts, µs: the datagrams of a picture leave closer together.
const BURST_GAP: u32 = 10_000;
/// When nothing that was sent for so long has been reported, and reports come, something small must show the gap: the
/// watcher knows of a loss only when something after it arrives.
const UNSEEN: Duration = Duration::from_millis(250);

/// What is known of a path.
#[derive(Clone, Copy, Debug)]
pub struct PathSize {
    class: SizeClass,
    /// Nothing larger is tried: the client's wish, the operator's, or EMSGSIZE.
    limit: SizeClass,
    /// When larger classes are probed for next, and the wait after that.
    search: Option<(Time, Duration)>,
    /// A class whose datagrams vanished: those below it may pass, and are probed for at once.
    fallen: Option<SizeClass>,
    /// When a probe last raised the class.
    raised: Time,
    /// When a report last told of an arrival.
    seen: Time,
    hole: Hole,
}

/// Large datagrams lost since one arrived last.
#[derive(Clone, Copy, Debug, Default)]
struct Hole {
    bursts: u8,
    /// When the first and the last of them left, µs.
    first: u32,
    last: u32,
}

impl Hole {
    fn lost(&mut self, at: u32) {
        if self.bursts == 0 {
            self.first = at;
        }
        if self.bursts == 0 || at.wrapping_sub(self.last) >= BURST_GAP {
            self.bursts = self.bursts.saturating_add(1);
        }
        self.last = at;
    }

    fn is_likely(&self) -> bool {
        let span = Duration::from_micros(u64::from(self.last.wrapping_sub(self.first)));
        self.bursts >= BLACK_HOLE && span >= BLACK_HOLE_TIME
    }
}

impl PathSize {
    /// A path of which nothing is known but that it is to carry nothing above `limit`.
    pub fn new(limit: SizeClass, now: Time) -> Self {
        let search = Some((now + SEARCH_FIRST, SEARCH_FIRST));
        Self { class: SizeClass::ANY, limit, search, fallen: None, raised: now, seen: now, hole: Hole::default() }
    }

    /// A path that is believed to carry `class`, because the operator says so.
    pub fn given(class: SizeClass, now: Time) -> Self {
        Self { class, limit: class, search: None, fallen: None, raised: now, seen: now, hole: Hole::default() }
    }

    pub const fn class(&self) -> SizeClass {
        self.class
    }

    /// The classes worth a probe: above the one in use, within the limit.
    pub fn probes(&self) -> impl Iterator<Item = SizeClass> + use<> {
        let (class, limit) = (self.class, self.limit);
        let given = (!SizeClass::ALL.contains(&limit)).then_some(limit);
        let above = move |c: &SizeClass| c.datagram() > class.datagram() && c.datagram() <= limit.datagram();
        given.into_iter().chain(SizeClass::ALL).filter(above)
    }

    /// The classes to probe for now: after a black hole those below it, and from time to time all larger ones.
    pub fn due_probes(&mut self, now: Time) -> Vec<SizeClass> {
        let mut due = Vec::new();
        if let Some(fallen) = self.fallen.take() {
            due.extend(self.probes().filter(|class| *class < fallen));
        }
        if let Some((_, wait)) = self.search.filter(|(at, _)| now >= *at) {
            let wait = (wait * 2).min(SEARCH_LAST);
            self.search = Some((now + wait, wait));
            due = self.probes().collect();
        }
        due
    }

    /// The path refused a datagram of `bytes` at this machine: nothing so large is tried again.
    pub fn too_large(&mut self, bytes: usize) {
        let fitting = SizeClass::ALL.into_iter().find(|class| class.datagram() < bytes).unwrap_or(SizeClass::ANY);
        self.limit = self.limit.min(fitting);
        self.class = self.class.min(fitting);
    }

    /// A probe of `bytes` arrived.
    pub fn probe_arrived(&mut self, now: Time, bytes: usize) {
        self.seen = now;
        if bytes == SizeClass::ANY.datagram() {
            return self.small_arrived(now);
        }
        let passed = self.probes().find(|class| class.datagram() == bytes);
        if let Some(passed) = passed {
            (self.class, self.raised, self.hole) = (passed, now, Hole::default());
        }
    }

    /// A datagram of `bytes` other than a probe, that left at `at` (µs), arrived or was lost.
    pub fn told(&mut self, now: Time, bytes: usize, at: u32, received: bool) {
        if received {
            self.seen = now;
        }
        match (self.is_large(bytes), received) {
            (true, true) => self.hole = Hole::default(),
            (true, false) => self.hole.lost(at),
            (false, true) => self.small_arrived(now),
            (false, false) => {}
        }
    }

    fn is_large(&self, bytes: usize) -> bool {
        self.class.smaller().is_some_and(|smaller| bytes > smaller.datagram())
    }

    fn small_arrived(&mut self, now: Time) {
        if !self.hole.is_likely() {
            return;
        }
        let steady = now.since(self.raised) >= STEADY;
        let wait = self.search.filter(|_| !steady).map_or(SEARCH_AGAIN, |(_, wait)| wait.max(SEARCH_AGAIN));
        self.fallen = Some(self.class);
        self.class = SizeClass::ANY;
        self.hole = Hole::default();
        self.search = Some((now + wait, wait));
    }

    /// Large datagrams vanish: does a small one arrive? `heard` is when the last report came, `waits` whether something
    /// that was sent has not been reported yet, `rtt` how long reports take.
    pub fn wants_small_probe(&self, now: Time, heard: Time, waits: bool, rtt: Duration) -> bool {
        let patience = UNSEEN.max(2 * rtt);
        let unseen = now.since(self.seen) > patience && now.since(heard) < patience;
        self.hole.is_likely() || (unseen && waits && self.class > SizeClass::ANY)
    }

    /// For fuzzing: panics if what is used is above what may be.
    pub fn assert_sound(&self) {
        assert!(self.class <= self.limit.max(SizeClass::ANY), "{:?} above {:?}", self.class, self.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = 1_400;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn micros(millis: u64) -> u32 {
        at(millis).wire_micros()
    }

    /// A path that carries 1 452, as a probe has shown at time 0.
    fn ethernet() -> PathSize {
        let mut path = PathSize::new(SizeClass::ETHERNET, at(0));
        path.probe_arrived(at(0), 1_452);
        assert_eq!(path.class(), SizeClass::ETHERNET);
        path
    }

    #[test]
    fn a_probe_that_was_lost_is_sent_again_less_and_less_often() {
        let mut path = PathSize::new(SizeClass::LOOPBACK, at(0));
        assert_eq!(path.probes().map(SizeClass::datagram).collect::<Vec<_>>(), [65_488, 8_952, 1_452]);
        let due: Vec<u64> =
            (0..200_000).step_by(50).filter(|millis| !path.due_probes(at(*millis)).is_empty()).collect();
        assert_eq!(due[..5], [100, 300, 700, 1_500, 3_100]);
        let apart: Vec<u64> = due.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(apart.iter().max(), Some(&60_000));
        path.probe_arrived(at(200_000), 8_952);
        assert_eq!(path.class(), SizeClass::JUMBO);
        path.probe_arrived(at(200_000), 1_452);
        assert_eq!(path.class(), SizeClass::JUMBO, "a smaller one says nothing new");
        path.too_large(65_488);
        assert_eq!(path.probes().count(), 0);
    }

    #[test]
    fn congestion_is_no_black_hole() {
        let mut path = ethernet();
        // One burst of many losses, then bursts of which little gets through; small datagrams always do.
        (0..200).for_each(|_| path.told(at(10), LARGE, micros(5), false));
        path.told(at(10), 100, micros(6), true);
        for n in 1..200 {
            (0..20).for_each(|_| path.told(at(n * 33), LARGE, micros(n * 33), false));
            path.told(at(n * 33), 100, micros(n * 33), true);
            if n % 2 == 0 {
                path.told(at(n * 33), LARGE, micros(n * 33), true);
            }
        }
        assert_eq!(path.class(), SizeClass::ETHERNET);
    }

    #[test]
    fn a_black_hole_is_left_and_looked_at_again_and_a_steady_class_resets_the_wait() {
        let (mut path, mut now) = (ethernet(), 20_000);
        // It vanishes again at once, then serves for long.
        assert_eq!([1_000, 2_000, 4_000].map(|_| fall(&mut path, &mut now)), [1_000, 2_000, 4_000]);
        now += 15_000;
        assert_eq!(fall(&mut path, &mut now), 1_000);
    }

    /// The class falls, and is found again by the next probe; returns how long that took.
    fn fall(path: &mut PathSize, now: &mut u64) -> u64 {
        for _ in 0..5 {
            path.told(at(*now), LARGE, micros(*now), false);
            *now += 33;
        }
        assert!(path.wants_small_probe(at(*now), at(*now), true, Duration::ZERO));
        path.probe_arrived(at(*now), 1_200);
        assert_eq!(path.class(), SizeClass::ANY);
        let from = *now;
        while path.due_probes(at(*now)).is_empty() {
            *now += 50;
        }
        path.probe_arrived(at(*now), 1_452);
        *now - from
    }

    #[test]
    fn a_size_that_was_given_is_left_too_where_it_vanishes_and_found_again() {
        let given = SizeClass::forced(3_000).expect("a size");
        let mut path = PathSize::given(given, at(0));
        assert_eq!(path.due_probes(at(100_000)), [], "nothing is probed as long as all is well");
        for n in 0..10 {
            path.told(at(n * 33), 2_900, micros(n * 33), false);
        }
        path.told(at(400), 100, micros(390), true);
        assert_eq!(path.class(), SizeClass::ANY);
        assert_eq!(path.due_probes(at(400)), [SizeClass::ETHERNET], "what is smaller is tried at once");
        path.probe_arrived(at(410), 1_452);
        assert_eq!(path.class(), SizeClass::ETHERNET);
        assert_eq!((path.due_probes(at(1_300)), path.due_probes(at(1_400))), (vec![], vec![given]));
        path.probe_arrived(at(1_500), 3_000);
        assert_eq!(path.class(), given);
    }
}

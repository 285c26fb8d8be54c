//! Which hop sequences arrived, and when: the source of reports and of the word "lost".

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::Time;
use crate::wire::report::{Arrival, Ecn, MAX_ARRIVALS};

/// Sequences remembered: more than any reordering spans, and less than a second of a fast stream.
const WINDOW: usize = 8_192;
/// Seconds of latency for which more is remembered.
const LONGEST: f64 = 10.0;
/// A jump further ahead than this is not believed of one datagram alone.
const MAX_JUMP: u64 = 512;
/// A second datagram at most so far behind the first one makes a far jump believed.
const CONFIRMED_BY: u64 = 64;
/// So many datagrams in a row from before all that is remembered: what was believed since is wrong.
const BEFORE: u32 = 16;
/// Sequences before the first one that came, for those that it has overtaken.
const ROOM: u64 = 64;
/// A straggler further behind the newest than this is not reported any more: one report would not hold all cells since.
const REPORTABLE: u64 = MAX_ARRIVALS as u64;

/// The arrivals of one session, sequences extended to 64 bits.
#[derive(Clone)]
pub struct Hops {
    /// Cells remembered.
    window: usize,
    /// Sequence of the front of `cells`.
    base: u64,
    cells: VecDeque<Option<Came>>,
    /// First sequence that no report has told of.
    unreported: u64,
    started: bool,
    /// The last datagram that was impossibly far ahead, and its arrival.
    far: Option<(u64, Came)>,
    /// How many datagrams in a row were from before `base`.
    before: u32,
}

/// How one datagram came.
#[derive(Clone, Copy, Debug)]
struct Came {
    at: Time,
    ecn: Ecn,
}

/// The fates that one report tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// The first sequence.
    pub first: u32,
    /// The unit of ages, see [`crate::wire::Report::shift`].
    pub shift: u8,
    pub arrivals: Vec<Arrival>,
}

/// What became of one datagram's sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// New, with its extended sequence.
    New(u64),
    Duplicate,
    /// Too old to tell, or impossibly far ahead.
    Outside,
}

impl Default for Hops {
    fn default() -> Self {
        Self::for_latency(Duration::ZERO)
    }
}

impl Hops {
    /// What was lost is counted when pictures are shown, so the longer they are held the more is remembered.
    pub fn for_latency(latency: Duration) -> Self {
        let window = WINDOW * (1 + 4 * latency.as_secs_f64().min(LONGEST).ceil() as usize);
        Self { window, base: 0, cells: VecDeque::new(), unreported: 0, started: false, far: None, before: 0 }
    }

    /// Notes an arrival, and how it was marked.
    pub fn note(&mut self, told: u32, now: Time, ecn: Ecn) -> Seen {
        let came = Came { at: now, ecn };
        if !self.started {
            self.begin(told);
        }
        let mut sequence = self.extend(told);
        self.before = if sequence < self.base { self.before + 1 } else { 0 };
        if self.before >= BEFORE {
            self.begin(told);
            sequence = u64::from(told);
        }
        if sequence < self.base || sequence >= self.end() + MAX_JUMP && !self.jumps(sequence, came) {
            return Seen::Outside;
        }
        for _ in self.end()..=sequence {
            self.push(None);
        }
        let Some(cell) = sequence.checked_sub(self.base).and_then(|i| self.cells.get_mut(i as usize)) else {
            return Seen::Outside;
        };
        if cell.is_some() {
            return Seen::Duplicate;
        }
        *cell = Some(came);
        if sequence + REPORTABLE >= self.end() {
            self.unreported = self.unreported.min(sequence);
        }
        Seen::New(sequence)
    }

    /// Begins with this sequence. The first datagrams may overtake each other: there is room before it.
    fn begin(&mut self, sequence: u32) {
        self.started = true;
        self.base = u64::from(sequence).saturating_sub(ROOM);
        self.unreported = u64::from(sequence);
        self.cells.clear();
        self.cells.resize((u64::from(sequence) - self.base) as usize, None);
        (self.far, self.before) = (None, 0);
    }

    /// Whether a datagram far ahead is believed, because one close before it came too. Then what lies between has not come;
    /// where that is more than is remembered, the arrivals begin anew.
    fn jumps(&mut self, sequence: u64, came: Came) -> bool {
        let close = |(first, _): &(u64, Came)| *first < sequence && sequence - *first <= CONFIRMED_BY;
        let Some((first, at)) = self.far.replace((sequence, came)).filter(close) else { return false };
        self.far = None;
        if first - self.end() > self.window as u64 {
            self.unreported = first;
            self.base = first.saturating_sub(ROOM);
            self.cells.clear();
        }
        (self.end()..first).for_each(|_| self.push(None));
        self.push(Some(at));
        true
    }

    fn push(&mut self, cell: Option<Came>) {
        if self.cells.len() >= self.window {
            self.cells.pop_front();
            self.base += 1;
            self.unreported = self.unreported.max(self.base);
        }
        self.cells.push_back(cell);
    }

    fn extend(&self, sequence: u32) -> u64 {
        let newest = self.end().saturating_sub(1);
        let ahead = i64::from(sequence.wrapping_sub(newest as u32).cast_signed());
        newest.saturating_add_signed(ahead)
    }

    fn end(&self) -> u64 {
        self.base + self.cells.len() as u64
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.cells.len() <= self.window, "{} arrivals remembered", self.cells.len());
    }

    /// The highest that came.
    pub fn newest(&self) -> Option<u64> {
        self.end().checked_sub(1).filter(|_| self.started)
    }

    /// How many sequences strictly between the two never arrived. Those forgotten count as arrived.
    pub fn missing_between(&self, after: u64, before: u64) -> usize {
        let first = (after + 1).saturating_sub(self.base) as usize;
        let last = before.saturating_sub(self.base) as usize;
        let last = last.min(self.cells.len());
        if first >= last { 0 } else { self.cells.range(first..last).filter(|cell| cell.is_none()).count() }
    }

    /// Arrivals that no report has told of.
    pub fn unreported(&self) -> usize {
        (self.end() - self.unreported.min(self.end())) as usize
    }

    /// The fates for the next report, at most [`MAX_ARRIVALS`].
    pub fn report(&mut self, now: Time) -> Fates {
        let first = self.unreported.max(self.base);
        let skip = (first - self.base) as usize;
        let cells = self.cells.iter().skip(skip).take(MAX_ARRIVALS);
        let oldest = cells.clone().flatten().map(|came| now.since(came.at)).max().unwrap_or_default();
        let shift = Arrival::shift_for(oldest);
        let fate = |cell: &Option<Came>| match cell {
            Some(came) => Arrival::received(now.since(came.at), came.ecn, shift),
            None => Arrival::LOST,
        };
        let arrivals: Vec<Arrival> = cells.map(fate).collect();
        self.unreported = first + arrivals.len() as u64;
        Fates { first: first as u32, shift, arrivals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_duplicates_and_stragglers() {
        let mut hops = Hops::default();
        assert_eq!(hops.note(10, Time::ZERO, Ecn::Not), Seen::New(10));
        assert_eq!(hops.note(13, Time::ZERO, Ecn::Not), Seen::New(13));
        assert_eq!(hops.note(13, Time::ZERO, Ecn::Not), Seen::Duplicate);
        assert_eq!(hops.missing_between(10, 13), 2);
        let Fates { first, arrivals, .. } = hops.report(Time::ZERO);
        assert_eq!((first, arrivals.len()), (10, 4));
        assert_eq!(hops.note(12, Time::ZERO, Ecn::Not), Seen::New(12));
        assert_eq!(hops.missing_between(10, 13), 1);
        assert_eq!(hops.report(Time::ZERO).first, 12, "a straggler is told of after all");
        assert_eq!(hops.note(10 + 80_000, Time::ZERO, Ecn::Not), Seen::Outside);
    }

    #[test]
    fn a_far_jump_is_believed_when_a_second_datagram_confirms_it() {
        let mut hops = Hops::default();
        let at = Time::from_millis(7);
        (0..100).for_each(|n| assert_eq!(hops.note(n, at, Ecn::Not), Seen::New(n.into())));
        hops.report(at);
        // Nonsense, each time: alone, twice the same, backwards, and not close.
        for far in [1_000_000, 1_000_000, 999_990, 700, 1_100_000, 2_000_000_000] {
            assert_eq!(hops.note(far, at, Ecn::Not), Seen::Outside, "{far}");
        }
        assert_eq!(hops.note(100, at, Ecn::Not), Seen::New(100), "nothing has changed");
        assert_eq!((hops.missing_between(50, 100), hops.report(at).arrivals.len()), (0, 1));
        assert_eq!(hops.note(500_000, at, Ecn::Not), Seen::Outside);
        assert_eq!(hops.note(500_002, at, Ecn::Not), Seen::New(500_002));
        assert_eq!(hops.note(500_001, at, Ecn::Not), Seen::New(500_001));
        assert_eq!(hops.note(500_000, at, Ecn::Not), Seen::Duplicate, "it has come");
        assert!(hops.missing_between(100, 500_001) > 0, "what lies between is lost");
        assert_eq!(hops.missing_between(500_000, 500_002), 0);
        let Fates { first, arrivals, .. } = hops.report(at);
        assert_eq!((first, arrivals.iter().filter(|arrival| arrival.is_received()).count()), (500_000, 3));
        // Two that were forged are believed no longer once all the others contradict them.
        for n in 101..=115 {
            assert_eq!(hops.note(n, at, Ecn::Not), Seen::Outside);
        }
        let mut wronged = hops.clone();
        assert_eq!(wronged.note(116, at, Ecn::Not), Seen::New(116));
        assert_eq!(wronged.note(115, at, Ecn::Not), Seen::New(115), "as at the beginning");
        assert_eq!(wronged.report(at).first, 115);
        // One that fits what is remembered forgets nothing.
        assert_eq!(hops.note(503_000, at, Ecn::Not), Seen::Outside);
        assert_eq!(hops.note(503_001, at, Ecn::Not), Seen::New(503_001));
        assert_eq!(hops.note(500_003, at, Ecn::Not), Seen::New(500_003));
        assert_eq!((hops.missing_between(500_003, 503_000), hops.unreported()), (2_996, 2_999));
    }

    #[test]
    fn a_straggler_far_behind_is_told_of_no_more() {
        const NEWEST: u32 = 999;
        let mut hops = Hops::default();
        let stragglers = [559, 560, 561].map(|behind| NEWEST - behind);
        let others = (0..=NEWEST).filter(|n| !stragglers.contains(n) && *n != 1);
        others.for_each(|n| assert_eq!(hops.note(n, Time::ZERO, Ecn::Not), Seen::New(n.into())));
        while hops.unreported() > 0 {
            hops.report(Time::ZERO);
        }
        let [last, two, three] = stragglers;
        for n in [1, three, two] {
            assert_eq!(hops.note(n, Time::ZERO, Ecn::Not), Seen::New(n.into()));
            assert_eq!(hops.unreported(), 0, "{n}: one report could not hold all since");
        }
        assert_eq!(hops.note(last, Time::ZERO, Ecn::Not), Seen::New(last.into()));
        let Fates { first, arrivals, .. } = hops.report(Time::ZERO);
        assert_eq!((first, arrivals.len()), (last, MAX_ARRIVALS));
        assert_eq!(
            hops.report(Time::ZERO),
            Fates { first: NEWEST + 1, ..Fates::default() },
            "nothing new: where the next one goes on"
        );
    }

    #[test]
    fn a_jump_of_512_is_believed_and_no_longer_one() {
        let mut hops = Hops::default();
        hops.note(0, Time::ZERO, Ecn::Not);
        assert_eq!(hops.note(512, Time::ZERO, Ecn::Not), Seen::New(512));
        assert_eq!(hops.note(512 + 513, Time::ZERO, Ecn::Not), Seen::Outside);
        assert_eq!(hops.note(512 + 512, Time::ZERO, Ecn::Not), Seen::New(1_024));
    }

    #[test]
    fn sequences_wrap_and_memory_is_bounded() {
        let mut hops = Hops::default();
        let start = u32::MAX - 5_000;
        for i in 0..20_000_u32 {
            assert!(matches!(hops.note(start.wrapping_add(i), Time::ZERO, Ecn::Not), Seen::New(_)));
        }
        assert_eq!(hops.cells.len(), WINDOW);
        assert_eq!(hops.note(start, Time::ZERO, Ecn::Not), Seen::Outside);
    }

    #[test]
    fn marks_and_old_arrivals_are_told() {
        let mut hops = Hops::default();
        hops.note(0, Time::ZERO, Ecn::Ect0);
        hops.note(2, Time::from_millis(1_000), Ecn::Ce);
        let fates = hops.report(Time::from_millis(1_040));
        let told = |cell: &Arrival| (cell.is_received(), cell.ecn(), cell.age(fates.shift).as_millis());
        let expected = [(true, Ecn::Ect0, 1_040), (false, Ecn::Not, 0), (true, Ecn::Ce, 39)];
        assert_eq!((fates.shift, fates.arrivals.iter().map(told).collect::<Vec<_>>()), (3, expected.to_vec()));
        hops.note(3, Time::from_millis(1_050), Ecn::Not);
        assert_eq!(hops.report(Time::from_millis(1_100)).shift, 0, "young ones as finely as ever");
    }
}

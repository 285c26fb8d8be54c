//! The index of a film in memory: one entry of 24 bytes for each run of parts that lie side by side on disk.
//!
//! A unit put at once is one run, so an hour of 30 pictures a second is 108 000 entries, however many parts they have.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::store::entry::Entry;

/// The pictures of one rendition, its sound, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Track {
    pub kind: u8,
    pub rendition: u8,
}

/// The name of the first part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RunKey {
    pub unit: u32,
    pub cut: u8,
    pub first: u16,
}

/// Where the parts `first..first + count` of a unit lie, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub offset: u32,
    pub length: u32,
    pub segment: u16,
    pub count: u16,
    /// How many parts the unit has, as far as these tell; 0: they do not.
    pub parts: u16,
}

impl Run {
    pub fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }
}

/// All runs of a film.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    tracks: BTreeMap<Track, BTreeMap<RunKey, Run>>,
    objects: u64,
    /// What was found damaged and is not yet written off in the index file.
    pending: Vec<Entry>,
}

impl Runs {
    /// Does what an entry of the index says.
    pub fn apply(&mut self, entry: &Entry) {
        let Entry { track, key, run, gone } = *entry;
        self.remove(track, key, run.count);
        if gone || run.count == 0 {
            return;
        }
        self.objects += u64::from(run.count);
        let runs = self.tracks.entry(track).or_default();
        let last = runs.range_mut(RunKey { first: 0, ..key }..key).next_back();
        match last {
            Some((before, known)) if before.first + known.count == key.first && adjacent(known, &run) => {
                known.count += run.count;
                known.length += run.length;
                known.parts = known.parts.max(run.parts);
            }
            _ => _ = runs.insert(key, run),
        }
    }

    /// Forgets a run of which only these pieces are whole, and notes it for the index file.
    pub fn keep_pieces(&mut self, track: Track, key: RunKey, run: Run, pieces: Vec<(RunKey, Run)>) {
        let pieces = pieces.into_iter().map(|(key, run)| Entry { track, key, run, gone: false });
        for entry in [Entry { track, key, run, gone: true }].into_iter().chain(pieces) {
            self.apply(&entry);
            self.pending.push(entry);
        }
    }

    pub fn pending(&self) -> &[Entry] {
        &self.pending
    }

    pub fn clear_pending(&mut self) {
        self.pending.clear();
    }

    pub fn objects(&self) -> u64 {
        self.objects
    }

    pub fn contains(&self, track: Track, key: RunKey) -> bool {
        let Some(runs) = self.tracks.get(&track) else { return false };
        let last = runs.range(RunKey { first: 0, ..key }..=key).next_back();
        last.is_some_and(|(at, run)| key.first - at.first < run.count)
    }

    pub fn has_unit(&self, track: Track, unit: u32) -> bool {
        self.whole_units(track, unit, u64::from(unit) + 1).next().is_some()
    }

    /// The first run of units in the range that are not whole.
    pub fn missing(&self, track: Track, range: Range<u32>) -> Option<Range<u32>> {
        let mut expected = range.start;
        for unit in self.whole_units(track, range.start, u64::from(range.end)) {
            if unit != expected {
                return Some(expected..unit);
            }
            // A unit of the range is below its end, so this cannot overflow.
            expected += 1;
        }
        (expected < range.end).then_some(expected..range.end)
    }

    pub fn count_whole_units(&self) -> u64 {
        self.tracks.keys().map(|track| self.whole_units(*track, 0, 1 << 32).count() as u64).sum()
    }

    /// The cut of which all parts of a unit are there, or else the one with the most of them: its runs in the order of parts.
    pub fn best_cut(&self, track: Track, unit: u32) -> Option<BestCut> {
        let runs = self.tracks.get(&track)?;
        let mut best: Option<BestCut> = None;
        let mut current: Option<BestCut> = None;
        for (key, run) in runs.range(first_key(unit)..=last_key(unit)) {
            match &mut current {
                Some(cut) if cut.cut == key.cut => cut.push(*key, *run),
                _ => best = better(best, current.replace(BestCut::new(*key, *run))),
            }
        }
        better(best, current)
    }

    pub fn all(&self) -> impl Iterator<Item = (Track, RunKey, Run)> + '_ {
        self.tracks.iter().flat_map(|(track, runs)| runs.iter().map(|(key, run)| (*track, *key, *run)))
    }

    /// The units `from..end` that are whole in some cut, in order.
    fn whole_units(&self, track: Track, from: u32, end: u64) -> impl Iterator<Item = u32> + '_ {
        let runs = self.tracks.get(&track).into_iter().flat_map(move |runs| runs.range(first_key(from)..));
        let runs = runs.take_while(move |(key, _)| u64::from(key.unit) < end);
        let (mut cut, mut told) = (None, None);
        let (mut count, mut parts) = (0_u16, 0_u16);
        runs.filter_map(move |(key, run)| {
            if cut != Some((key.unit, key.cut)) {
                (cut, count, parts) = (Some((key.unit, key.cut)), 0, 0);
            }
            (count, parts) = (count + run.count, parts.max(run.parts));
            let whole = parts > 0 && count >= parts && told != Some(key.unit);
            whole.then(|| *told.insert(key.unit))
        })
    }

    /// Removes all runs that have one of these parts.
    fn remove(&mut self, track: Track, key: RunKey, count: u16) {
        let Some(runs) = self.tracks.get_mut(&track) else { return };
        while let Some((at, run)) = runs.range(RunKey { first: 0, ..key }..last_of(key, count)).next_back() {
            let (at, run) = (*at, *run);
            if at.first + run.count <= key.first {
                return;
            }
            runs.remove(&at);
            self.objects -= u64::from(run.count);
        }
    }
}

/// The runs of a unit in one cut, in the order of parts.
#[derive(Debug)]
pub(crate) struct BestCut {
    pub cut: u8,
    pub runs: Vec<(RunKey, Run)>,
    count: u16,
    parts: u16,
}

impl BestCut {
    fn new(key: RunKey, run: Run) -> Self {
        Self { cut: key.cut, runs: vec![(key, run)], count: run.count, parts: run.parts }
    }

    fn push(&mut self, key: RunKey, run: Run) {
        self.runs.push((key, run));
        self.count += run.count;
        self.parts = self.parts.max(run.parts);
    }

    fn rank(&self) -> (bool, u16) {
        let whole = self.parts > 0 && self.count >= self.parts;
        (whole, if whole { 0 } else { self.count })
    }

    /// How many parts the unit has; 0: not known.
    pub fn parts(&self) -> u16 {
        self.parts
    }
}

/// Of two equally good cuts the lower one, which is a picture rather than the word that nothing has changed.
fn better(first: Option<BestCut>, second: Option<BestCut>) -> Option<BestCut> {
    match (first, second) {
        (Some(first), Some(second)) => Some(if second.rank() > first.rank() { second } else { first }),
        (first, second) => first.or(second),
    }
}

fn adjacent(before: &Run, after: &Run) -> bool {
    before.segment == after.segment && before.end() == u64::from(after.offset)
}

fn first_key(unit: u32) -> RunKey {
    RunKey { unit, cut: 0, first: 0 }
}

fn last_key(unit: u32) -> RunKey {
    RunKey { unit, cut: u8::MAX, first: u16::MAX }
}

/// The key behind the last part of a run. Entries whose parts would go beyond 65 535 are refused when decoded.
fn last_of(key: RunKey, count: u16) -> RunKey {
    RunKey { first: key.first.saturating_add(count), ..key }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Track = Track { kind: 1, rendition: 0 };

    fn entry(unit: u32, cut: u8, first: u16, count: u16, offset: u32) -> Entry {
        let run = Run { offset, length: u32::from(count) * 100, segment: 0, count, parts: 12 };
        Entry { track: PICTURE, key: RunKey { unit, cut, first }, run, gone: false }
    }

    #[test]
    fn a_unit_is_an_entry_of_24_bytes() {
        assert_eq!(size_of::<RunKey>() + size_of::<Run>(), 24);
    }

    #[test]
    fn adjacent_runs_become_one() {
        let mut runs = Runs::default();
        runs.apply(&entry(5, 2, 0, 4, 0));
        runs.apply(&entry(5, 2, 4, 4, 400));
        assert!(!runs.has_unit(PICTURE, 5));
        runs.apply(&entry(5, 2, 8, 4, 9000));
        assert!(runs.has_unit(PICTURE, 5));
        assert_eq!(runs.best_cut(PICTURE, 5).map(|best| best.runs.len()), Some(2));
        assert_eq!(runs.objects(), 12);
    }

    #[test]
    fn missing_units_are_found() {
        let mut runs = Runs::default();
        for unit in [0, 1, 4, 5, u32::MAX] {
            runs.apply(&entry(unit, 2, 0, 12, 0));
        }
        runs.apply(&entry(2, 2, 0, 6, 0));
        // Two halves of different cuts are no whole unit.
        runs.apply(&entry(2, 3, 6, 6, 0));
        assert_eq!(runs.missing(PICTURE, 0..10), Some(2..4));
        assert_eq!(runs.missing(PICTURE, 4..10), Some(6..10));
        assert_eq!(runs.missing(PICTURE, 4..6), None);
        assert_eq!(runs.missing(PICTURE, 6..6), None);
        assert!(runs.has_unit(PICTURE, u32::MAX));
        assert_eq!(runs.count_whole_units(), 5);
    }

    #[test]
    fn a_later_entry_wins() {
        let mut runs = Runs::default();
        runs.apply(&entry(5, 2, 0, 6, 0));
        runs.apply(&entry(5, 2, 6, 6, 5000));
        runs.apply(&entry(5, 2, 4, 4, 9000));
        assert_eq!(runs.objects(), 4);
        assert!(!runs.contains(PICTURE, RunKey { unit: 5, cut: 2, first: 3 }));
        assert!(runs.contains(PICTURE, RunKey { unit: 5, cut: 2, first: 7 }));
    }
}

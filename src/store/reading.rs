//! Reading a unit: one read for each run, every object verified, what is damaged forgotten.

use std::io::{self, ErrorKind};
use std::ops::Range;

use crate::store::disk::Disk;
use crate::store::folder::FilmFolder;
use crate::store::objects;
use crate::store::plan::place;
use crate::store::runs::{Run, RunKey, Track};

/// The objects of a unit in one cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredUnit {
    pub cut: u8,
    pub bytes: Vec<u8>,
    /// Where in `bytes` each object is, in the order of parts. Each has the right name and CRC.
    pub parts: Vec<Range<usize>>,
    /// All parts of the unit are there.
    pub whole: bool,
}

impl StoredUnit {
    /// The objects, in the order of parts.
    pub fn objects(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(|part| &self.bytes[part.clone()])
    }
}

/// How the objects of a run were found.
#[derive(Debug)]
pub(crate) enum RunState {
    Whole,
    /// Some are damaged; these are not.
    Pieces(Vec<(RunKey, Run)>),
    /// The disk did not answer, which says nothing about the objects.
    Unreadable,
}

impl FilmFolder {
    /// The best cut of a unit: a whole one, or else the one with the most parts.
    pub fn unit(&self, disk: &dyn Disk, track: Track, unit: u32) -> Option<StoredUnit> {
        loop {
            let best = self.runs.borrow().best_cut(track, unit)?;
            let mut stored = StoredUnit { cut: best.cut, ..StoredUnit::default() };
            let mut damaged = false;
            for (key, run) in &best.runs {
                let state = self.read_run(disk, (track, *key), run, &mut stored);
                if let RunState::Pieces(pieces) = state {
                    self.runs.borrow_mut().keep_pieces(track, *key, *run, pieces);
                    damaged = true;
                }
            }
            stored.whole = best.parts() > 0 && stored.parts.len() >= usize::from(best.parts());
            // After damage another cut may be the better one. Each round forgets something, so there is an end.
            if !damaged {
                return (!stored.parts.is_empty()).then_some(stored);
            }
        }
    }

    /// Appends the whole objects of a run.
    pub fn read_run(&self, disk: &dyn Disk, at: (Track, RunKey), run: &Run, into: &mut StoredUnit) -> RunState {
        let start = into.bytes.len();
        into.bytes.resize(start + run.length as usize, 0);
        let read = disk.read_at(&self.segment_path(run.segment), u64::from(run.offset), &mut into.bytes[start..]);
        if let Err(error) = read {
            into.bytes.truncate(start);
            return if is_lost(&error) { RunState::Pieces(Vec::new()) } else { RunState::Unreadable };
        }
        self.verify(at, run, start, into)
    }

    /// Goes from object to object. If a length is damaged, what follows cannot be found and is damaged too.
    fn verify(&self, (track, mut key): (Track, RunKey), run: &Run, start: usize, into: &mut StoredUnit) -> RunState {
        let mut pieces: Vec<(RunKey, Run)> = Vec::new();
        let (mut from, mut whole) = (start, 0);
        for _ in 0..run.count {
            let rest = &into.bytes[from..];
            let Some(object) = objects::first(rest) else { break };
            let header = objects::parse(object).filter(|header| header.name.stream == self.film.stream);
            let length = object.len();
            if header.is_some_and(|header| place(&header.name) == (track, key)) {
                into.parts.push(from..from + length);
                // A run is at most a segment long.
                add(&mut pieces, key, run, (from - start) as u32, length as u32);
                whole += 1;
            }
            from += length;
            key.first += 1;
        }
        if whole == run.count { RunState::Whole } else { RunState::Pieces(pieces) }
    }
}

/// Lengthens the last piece, or begins one behind a gap.
fn add(pieces: &mut Vec<(RunKey, Run)>, key: RunKey, run: &Run, from: u32, length: u32) {
    if let Some((last_key, last)) = pieces.last_mut()
        && last_key.first + last.count == key.first
    {
        last.count += 1;
        last.length += length;
        return;
    }
    pieces.push((key, Run { offset: run.offset + from, length, count: 1, ..*run }));
}

/// The bytes are gone for good: the file is too short or missing, or its place on the disk cannot be read.
fn is_lost(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::NotFound) || error.raw_os_error() == Some(EIO)
}

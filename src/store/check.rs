//! Checking a store: everything is read and every CRC verified; on request what is damaged is dropped.

use std::path::Path;

use crate::store::disk::Disk;
use crate::store::error::StoreError;
use crate::store::folder::FilmFolder;
use crate::store::opened::Store;
use crate::store::reading::{RunState, StoredUnit};
use crate::store::room::failed;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub films: Vec<FilmReport>,
    /// Bytes of unfinished writes, which opening the store cut off.
    pub recovered_bytes: u64,
}

/// What a check found in one film.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilmReport {
    pub stream: u64,
    pub name: String,
    /// Whole objects.
    pub objects: u64,
    /// Of all files of the film, damaged objects included.
    pub bytes: u64,
    /// Units of which all parts are listed, before anything is dropped.
    pub units: u64,
    pub damaged: u64,
    /// Objects that the disk would not give, which are not dropped.
    pub unreadable: u64,
}

/// Opens a store, which must not be in use, and reads all of it. `repair` drops damaged objects from the index.
pub fn check(folder: &Path, repair: bool) -> Result<Report, StoreError> {
    let mut store = Store::open(folder, u64::MAX)?;
    let mut report = Report { films: Vec::new(), recovered_bytes: store.recovered_bytes() };
    let Store { disk, films, .. } = &mut store;
    for (stream, film) in films {
        let found = examine(disk.as_ref(), film);
        if repair && found.damaged > 0 {
            film.rewrite_index(disk.as_ref()).map_err(|error| failed("repair", *stream, error))?;
        }
        report.films.push(found);
    }
    Ok(report)
}

fn examine(disk: &dyn Disk, film: &FilmFolder) -> FilmReport {
    let runs: Vec<_> = film.runs.borrow().all().collect();
    let (stream, name) = (film.film.stream, film.film.name.clone());
    let units = film.runs.borrow().count_whole_units();
    let mut report = FilmReport { stream, name, units, bytes: film.bytes(), ..FilmReport::default() };
    let mut read = StoredUnit::default();
    for (track, key, run) in runs {
        read.bytes.clear();
        read.parts.clear();
        let count = u64::from(run.count);
        match film.read_run(disk, (track, key), &run, &mut read) {
            RunState::Whole => report.objects += count,
            RunState::Unreadable => report.unreadable += count,
            RunState::Pieces(pieces) => {
                report.objects += read.parts.len() as u64;
                report.damaged += count - read.parts.len() as u64;
                film.runs.borrow_mut().keep_pieces(track, key, run, pieces);
            }
        }
    }
    report
}

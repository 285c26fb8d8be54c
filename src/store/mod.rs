//! A bounded store of immutable named objects on disk, kept by film.
//!
//! A film has a folder with its metadata, segments of objects that only grow, and an index of them. A put appends to the
//! segment first and to the index second, so whatever a kill leaves behind, an object is whole or not there. Nothing here
//! reads a clock: whoever uses a film says when. What it is *not*: a database for several processes, or proof against the
//! loss of the newest objects when power fails.

mod check;
mod disk;
mod entry;
mod error;
mod filling;
mod film;
mod folder;
mod objects;
mod opened;
mod ownership;
mod plan;
mod reading;
mod real_disk;
mod replay;
mod room;
mod runs;
#[cfg(test)]
mod tests;

pub use check::{FilmReport, Report, check};
pub use error::StoreError;
pub use filling::Filling;
pub use film::Film;
pub use opened::{Store, StoredFilm};
pub use reading::StoredUnit;
pub use replay::Replay;

/// The files of a film as they may be read, for fuzzing.
#[doc(hidden)]
pub fn fuzz_store(data: &[u8]) {
    if let Some((film, used)) = Film::decode(data) {
        let again = Film::decode(&film.encode(used));
        assert!(again.is_some_and(|(again, at)| (again, at) == (film, used)), "what was read is written alike");
    }
    for bytes in data.as_chunks::<{ entry::Entry::LEN }>().0 {
        if let Some(entry) = entry::Entry::decode(bytes, 7) {
            assert_eq!(entry.encode(7), *bytes, "what was read is written alike");
        }
    }
}

//! A library is opened: its folders, what is known of them, and what was made of them before.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::Context;

use super::Screening;
use crate::app::folders;
use crate::app::serve::LibraryOptions;
use crate::app::stock::{Settings, Stock};
use crate::library::{Library, Options, Root};
use crate::queue::Waker;

/// Encoders for each core: most of the time they are ahead, and wait.
const JOBS_PER_CORE: usize = 2;

/// Opens what the user chose.
pub fn open(options: &LibraryOptions, waker: &Waker) -> anyhow::Result<Screening> {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let folder = options.store.clone().or_else(folders::caches);
    let folder = folder.context("there is no home folder to keep films in; name one with --store DIR")?;
    let root = |path: &PathBuf| Root { path: path.clone() };
    let library = Library::open(Options {
        roots: options.roots.iter().map(root).collect(),
        folder: folder.join("library"),
        jobs: cores,
        waker: Arc::clone(waker),
    })?;
    let jobs = options.jobs.unwrap_or(cores * JOBS_PER_CORE);
    let settings = Settings { store: folder.join("films"), most_bytes: options.store_size, jobs };
    let stock = Stock::start(settings, Arc::clone(waker))?;
    Ok(Screening::new(Arc::new(library), stock))
}

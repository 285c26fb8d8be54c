//! Options of `serve` about libraries: folders of films and songs that each watcher has for itself.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use udpstream::app::serve::LibraryOptions;

use super::help::LIBRARY;
use super::values::{bytes, number};

/// More encoders at once than any machine has cores for.
pub const MOST_JOBS: u16 = 256;
/// What the store may take, bytes.
const STORE_SIZE: u64 = 2_000_000_000;

/// What is said of libraries; `None` where nothing was said.
#[derive(Args, Clone, Debug, Default)]
pub struct LibraryChoices {
    /// A folder of films and songs, beside the streams: each file below it is watched by its path, as HOST/FOLDER/FILM, and
    /// whoever watches one pauses and seeks for itself; can be given many times, and INPUT may be such a folder too [default: none].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = LIBRARY)]
    pub library: Vec<PathBuf>,
    /// All who watch a film of a library see the same of it at the same time, and nobody pauses it [default: each has it for
    /// itself].
    #[arg(long, action = clap::ArgAction::SetTrue, help_heading = LIBRARY)]
    pub shared: Option<bool>,
    /// So many films of libraries are encoded at once; who comes to one more place is told to try later [default: two for each core].
    #[arg(long, value_name = "N", value_parser = number(1_u16, MOST_JOBS), help_heading = LIBRARY)]
    pub jobs: Option<u16>,
    /// Where what was encoded, and what is known of films, is kept for the next who watch [default: udpstream in
    /// $XDG_CACHE_HOME, which is ~/.cache].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = LIBRARY)]
    pub store: Option<PathBuf>,
    /// How much of what was encoded is kept at most, such as 500M or 20G [default: 2G].
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = LIBRARY)]
    pub store_size: Option<u64>,
}

impl LibraryChoices {
    /// One more folder.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        self.library.push(text.into());
        Ok(())
    }

    /// These, and `others` where nothing was said.
    pub fn or(self, others: Self) -> Self {
        Self {
            library: if self.library.is_empty() { others.library } else { self.library },
            shared: self.shared.filter(|on| *on).or(others.shared),
            jobs: self.jobs.or(others.jobs),
            store: self.store.or(others.store),
            store_size: self.store_size.or(others.store_size),
        }
    }

    /// Checks that the folders are there, and that nothing is said of libraries where there is none.
    pub fn settle(&self) -> Result<(), String> {
        if let Some(missing) = self.library.iter().find(|folder| !folder.is_dir()) {
            return Err(format!("{} is no folder of films; check its name", missing.display()));
        }
        let own = [self.shared == Some(true), self.jobs.is_some(), self.store.is_some(), self.store_size.is_some()];
        if self.library.is_empty() && own.contains(&true) {
            return Err("--shared, --jobs, --store and --store-size are about libraries, and there is none; add --library DIR, \
                        or serve a folder"
                .to_owned());
        }
        Ok(())
    }

    /// The library, if there is one.
    pub fn options(&self) -> Option<LibraryOptions> {
        if self.library.is_empty() {
            return None;
        }
        Some(LibraryOptions {
            roots: self.library.clone(),
            shared: self.shared.unwrap_or(false),
            jobs: self.jobs.map(usize::from),
            store: self.store.clone(),
            store_size: self.store_size.unwrap_or(STORE_SIZE),
        })
    }
}

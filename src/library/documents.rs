//! Documents about what is in the library: pages of a folder, what is found by words, all about one film.

use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::about::{Entry, Listing, What};
use super::table::{Place, Table};
use super::{Library, natural};

/// Entries of a page.
const PAGE: usize = 200;

impl Library {
    /// A page of the folder of this name, from this entry on; the library itself has the empty name. `None`: there is no such
    /// folder.
    pub fn listing(&self, folder: &str, first: usize) -> Option<Listing> {
        let table = self.shared.table();
        let places = table.folder(folder)?;
        let entries = places.iter().skip(first).take(PAGE).filter_map(|place| entry_of(&table, place)).collect();
        Some(page(&table, folder, (first, places.len()), entries))
    }

    /// What is found by all these words below a folder: in titles, names, artists and series, however they are written.
    pub fn search(&self, folder: &str, words: &str, first: usize) -> Option<Listing> {
        let table = self.shared.table();
        table.folder(folder)?;
        let words: Vec<String> = folded(words).split_whitespace().map(str::to_owned).collect();
        let below = |entry: &Entry| {
            folder.is_empty() || entry.name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        };
        let fits = |entry: &&Arc<Entry>| {
            let text = folded(&searched(entry));
            below(entry) && words.iter().all(|word| text.contains(word.as_str()))
        };
        let mut found: Vec<Arc<Entry>> = table.all().map(|item| &item.entry).filter(fits).map(Arc::clone).collect();
        found.sort_by(|one, other| natural(&one.title, &other.title).then_with(|| natural(&one.name, &other.name)));
        let entries = found.iter().skip(first).take(PAGE).map(|entry| brief(entry)).collect();
        Some(page(&table, folder, (first, found.len()), entries))
    }
}

fn page(table: &Table, folder: &str, (first, total): (usize, usize), entries: Vec<Entry>) -> Listing {
    let progress = table.progress();
    Listing {
        name: folder.to_owned(),
        total: total as u32,
        first: first as u32,
        entries,
        unseen: progress.found.saturating_sub(progress.seen) as u32,
    }
}

fn entry_of(table: &Table, place: &Place) -> Option<Entry> {
    match place {
        Place::Film(name) => table.find(name).map(|item| brief(&item.entry)),
        Place::Folder(name, count) => {
            let title = name.rsplit('/').next().unwrap_or(name).to_owned();
            Some(Entry { name: name.clone(), what: What::Folder, title, count: Some(*count), ..Entry::default() })
        }
    }
}

/// Without what only one who has chosen it wants to know.
fn brief(entry: &Entry) -> Entry {
    let (chapters, tracks, subtitles) = (Vec::new(), Vec::new(), Vec::new());
    Entry { chapters, tracks, subtitles, ..entry.clone() }
}

fn searched(entry: &Entry) -> String {
    let parts =
        [Some(&entry.title), Some(&entry.name), entry.artist.as_ref(), entry.series.as_ref(), entry.album.as_ref()];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    parts.join(" ")
}

/// Small letters without their marks.
fn folded(text: &str) -> String {
    text.nfd().filter(|letter| !is_combining_mark(*letter)).flat_map(char::to_lowercase).collect()
}

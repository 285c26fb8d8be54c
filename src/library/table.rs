//! What was found, by names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Progress;
use super::about::{Entry, What};
use super::names::{names_of, natural};
use super::scan::Found;
use super::titles;
use crate::wire::StreamName;
use crate::wire::name::nearest;

/// A file that was found, and what is known of it.
#[derive(Clone)]
pub struct Item {
    pub root: usize,
    pub path: PathBuf,
    pub bytes: u64,
    pub changed: i64,
    pub entry: Arc<Entry>,
    /// Nobody has looked into it, and that it is a film at all is not certain.
    pub doubtful: bool,
}

/// See the head of this file.
#[derive(Default)]
pub struct Table {
    items: BTreeMap<String, Item>,
    names: BTreeMap<(usize, PathBuf), String>,
    /// What is in each folder, by the names of parts, in their natural order: folders first.
    folders: BTreeMap<String, Vec<Place>>,
}

/// A place in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Its whole name, and how many films are below.
    Folder(String, u32),
    Film(String),
}

impl Table {
    /// Of what was found; `known`: what is known of a file that has not changed.
    pub fn new(found: Vec<Found>, known: impl Fn(&Found) -> Option<Entry>) -> Self {
        let paths: Vec<(usize, &Path)> = found.iter().map(|file| (file.root, file.path.as_path())).collect();
        let named = names_of(&paths);
        let (mut items, mut names) = (BTreeMap::new(), BTreeMap::new());
        for (file, name) in found.into_iter().zip(named) {
            let Some(name) = name.map(|name| name.as_str().to_owned()) else { continue };
            let known = known(&file);
            let doubtful = known.is_none() && !file.is_known;
            let entry = Arc::new(complete(known.unwrap_or_default(), &file, &name));
            let Found { root, path, bytes, changed, .. } = file;
            names.insert((root, path.clone()), name.clone());
            items.insert(name, Item { root, path, bytes, changed, entry, doubtful });
        }
        let mut table = Self { items, names, folders: BTreeMap::new() };
        table.arrange();
        table
    }

    /// A file was looked into; `None`: it is neither film nor song.
    pub fn learn(&mut self, found: &Found, entry: Option<Entry>) {
        let Some(name) = self.names.get(&(found.root, found.path.clone())).cloned() else { return };
        let same = |item: &&mut Item| (item.bytes, item.changed) == (found.bytes, found.changed);
        let Some(item) = self.items.get_mut(&name).filter(same) else { return };
        match entry {
            Some(entry) => {
                item.entry = Arc::new(complete(entry, found, &name));
                if std::mem::take(&mut item.doubtful) {
                    self.arrange();
                }
            }
            None => {
                self.items.remove(&name);
                self.names.remove(&(found.root, found.path.clone()));
                self.arrange();
            }
        }
    }

    pub fn find(&self, name: &str) -> Option<&Item> {
        self.items.get(name).filter(|item| !item.doubtful)
    }

    pub fn all(&self) -> impl Iterator<Item = &Item> {
        self.items.values().filter(|item| !item.doubtful)
    }

    /// What is in a folder; the library itself is the empty one.
    pub fn folder(&self, name: &str) -> Option<&[Place]> {
        self.folders.get(name).map(Vec::as_slice)
    }

    pub fn like(&self, name: &str) -> Vec<StreamName> {
        let names: Vec<StreamName> =
            self.all().take(20_000).filter_map(|item| StreamName::parse(&item.entry.name).ok()).collect();
        let near = nearest(name, names.iter());
        let near = if near.is_empty() { names.iter().take(3).collect() } else { near };
        near.into_iter().cloned().collect()
    }

    pub fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for item in self.all() {
            match item.entry.what {
                What::Broken => progress.broken += 1,
                _ => progress.found += 1,
            }
            progress.seen += usize::from(item.entry.what != What::Broken && !item.entry.unseen);
        }
        progress
    }

    fn arrange(&mut self) {
        let mut folders: BTreeMap<String, (BTreeMap<String, u32>, Vec<String>)> = BTreeMap::new();
        folders.entry(String::new()).or_default();
        for (name, item) in self.items.iter().filter(|(_, item)| !item.doubtful) {
            let counts = u32::from(item.entry.what != What::Broken);
            let (folder, _) = name.rsplit_once('/').unwrap_or(("", name));
            folders.entry(folder.to_owned()).or_default().1.push(name.clone());
            let mut below = folder;
            while !below.is_empty() {
                let (above, _) = below.rsplit_once('/').unwrap_or(("", below));
                *folders.entry(above.to_owned()).or_default().0.entry(below.to_owned()).or_default() += counts;
                below = above;
            }
        }
        let sorted = |(inner, mut films): (BTreeMap<String, u32>, Vec<String>)| {
            let mut inner: Vec<(String, u32)> = inner.into_iter().collect();
            inner.sort_by(|one, other| natural(&one.0, &other.0));
            films.sort_by(|one, other| natural(one, other));
            let inner = inner.into_iter().map(|(name, count)| Place::Folder(name, count));
            inner.chain(films.into_iter().map(Place::Film)).collect()
        };
        self.folders = folders.into_iter().map(|(name, folder)| (name, sorted(folder))).collect();
    }
}

/// An entry with what its file says from outside.
fn complete(entry: Entry, found: &Found, name: &str) -> Entry {
    let unseen = entry == Entry::default();
    let stem = found.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut entry = Entry {
        name: name.to_owned(),
        bytes: Some(found.bytes),
        changed: u64::try_from(found.changed / 1_000_000_000).ok(),
        unseen,
        ..entry
    };
    if let Some(wrong) = found.wrong {
        (entry.what, entry.reason, entry.unseen) = (What::Broken, Some(wrong.to_owned()), false);
    }
    if entry.title.is_empty() {
        let folders: Vec<String> = found
            .path
            .ancestors()
            .skip(1)
            .filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()))
            .collect();
        entry.title = titles::read(&stem, folders.iter().map(String::as_str)).title;
    }
    if entry.title.is_empty() {
        entry.title = name.to_owned();
    }
    entry
}

//! The folder of one film: opening it after anything, appending to it, taking back a failed append, erasing it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use crate::store::disk::{Disk, TEMPORARY, join, read_all, remove_if_there, replace};
use crate::store::entry::Entry;
use crate::store::film::Film;
use crate::store::plan::{Plan, SegmentWrite, Tail};
use crate::store::runs::Runs;

/// A film on disk and its index in memory.
#[derive(Debug)]
pub(crate) struct FilmFolder {
    pub film: Film,
    /// Seconds of Unix time.
    pub last_used: u64,
    /// The order of use in this process; the lowest is evicted first.
    pub turn: u64,
    /// When `last_used` was last written.
    pub saved_use: u64,
    pub path: String,
    /// Reading may find damage, which changes the index.
    pub runs: RefCell<Runs>,
    /// The length of each segment, as far as the index covers it.
    segments: Vec<u32>,
    index_length: u64,
    film_length: u64,
}

impl FilmFolder {
    /// A film that is not on disk yet.
    pub fn new(film: Film) -> Self {
        let path = folder_name(film.stream);
        let runs = RefCell::default();
        let (last_used, turn, saved_use, segments, index_length, film_length) = (0, 0, 0, Vec::new(), 0, 0);
        Self { film, last_used, turn, saved_use, path, runs, segments, index_length, film_length }
    }

    /// Opens what a process left, however it ended; `None`: there is no film in it. Also tells how many bytes were cut off.
    pub fn open(disk: &dyn Disk, stream: u64) -> io::Result<Option<(Self, u64)>> {
        let path = folder_name(stream);
        let files: BTreeMap<String, u64> = disk.list(&path)?.into_iter().collect();
        let Some(film_length) = files.get(FILM) else { return Ok(None) };
        let film = Film::decode(&read_all(disk, &join(&path, FILM), *film_length)?);
        let Some((film, last_used)) = film.filter(|(film, _)| film.stream == stream) else { return Ok(None) };
        for name in files.keys().filter(|name| name.ends_with(TEMPORARY) && is_ours(name)) {
            disk.remove(&join(&path, name))?;
        }
        let mut folder = Self { last_used, saved_use: last_used, film_length: *film_length, ..Self::new(film) };
        let dropped = folder.recover(disk, &files)?;
        Ok(Some((folder, dropped)))
    }

    /// All bytes of the film's files.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|length| u64::from(*length)).sum::<u64>() + self.index_length + self.film_length
    }

    pub fn tail(&self) -> Tail {
        match self.segments.last() {
            // The segments are numbered by `Tail`, so there are at most 65 536.
            Some(at) => Tail { segment: (self.segments.len() - 1) as u16, at: *at },
            None => Tail { segment: 0, at: 0 },
        }
    }

    /// Makes the folder of a new film.
    pub fn create(&mut self, disk: &dyn Disk, now: u64) -> io::Result<()> {
        match disk.make_folder(&self.path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.save(disk, &self.film.clone(), now)?;
        disk.sync_folder("")
    }

    /// Writes what is known of the film; only if that works the folder knows it too.
    pub fn save(&mut self, disk: &dyn Disk, film: &Film, now: u64) -> io::Result<()> {
        let bytes = film.encode(now);
        replace(disk, &self.path, FILM, &bytes)?;
        self.film_length = bytes.len() as u64;
        self.film.clone_from(film);
        (self.last_used, self.saved_use) = (now, now);
        Ok(())
    }

    /// Writes the objects, then the entries that point at them. If that fails, nothing of it is there.
    pub fn append(&mut self, disk: &dyn Disk, plan: &Plan) -> io::Result<()> {
        let entries = self.encode(self.runs.borrow().pending().iter().chain(&plan.entries));
        let written = self.write(disk, plan, &entries);
        if written.is_err() {
            self.take_back(disk, plan);
            return written;
        }
        for SegmentWrite { segment, at, bytes } in &plan.writes {
            let index = usize::from(*segment);
            self.segments.resize(self.segments.len().max(index + 1), 0);
            self.segments[index] = at + bytes.len() as u32;
        }
        self.index_length += entries.len() as u64;
        let runs = self.runs.get_mut();
        runs.clear_pending();
        plan.entries.iter().for_each(|entry| runs.apply(entry));
        Ok(())
    }

    /// Writes the index anew, without what was found damaged.
    pub fn rewrite_index(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let entries = {
            let runs = self.runs.borrow();
            let entries: Vec<Entry> =
                runs.all().map(|(track, key, run)| Entry { track, key, run, gone: false }).collect();
            self.encode(entries.iter())
        };
        replace(disk, &self.path, INDEX, &entries)?;
        self.index_length = entries.len() as u64;
        self.runs.get_mut().clear_pending();
        Ok(())
    }

    pub fn segment_path(&self, segment: u16) -> String {
        format!("{}/{SEGMENT}{segment}", self.path)
    }

    fn encode<'a>(&self, entries: impl Iterator<Item = &'a Entry>) -> Vec<u8> {
        entries.flat_map(|entry| entry.encode(self.film.stream)).collect()
    }

    fn write(&self, disk: &dyn Disk, plan: &Plan, entries: &[u8]) -> io::Result<()> {
        for SegmentWrite { segment, at, bytes } in &plan.writes {
            disk.append(&self.segment_path(*segment), u64::from(*at), bytes)?;
        }
        disk.append(&join(&self.path, INDEX), self.index_length, entries)
    }

    /// Cuts off what a failed append left. If this fails too, the next append overwrites it or the next opening cuts it off.
    fn take_back(&self, disk: &dyn Disk, plan: &Plan) {
        // The index goes first, so that no entry is ever without its data.
        _ = disk.truncate(&join(&self.path, INDEX), self.index_length);
        for write in &plan.writes {
            let path = self.segment_path(write.segment);
            _ = match self.segments.get(usize::from(write.segment)) {
                Some(length) => disk.truncate(&path, u64::from(*length)),
                None => disk.remove(&path),
            };
        }
    }

    /// Reads the index as far as it is good, and cuts off the rest of it and the data that it does not cover.
    fn recover(&mut self, disk: &dyn Disk, files: &BTreeMap<String, u64>) -> io::Result<u64> {
        let present: BTreeMap<u16, u64> =
            files.iter().filter_map(|(name, length)| Some((segment_number(name)?, *length))).collect();
        let index_path = join(&self.path, INDEX);
        let index_length = files.get(INDEX).copied().unwrap_or(0);
        let bytes = if index_length > 0 { read_all(disk, &index_path, index_length)? } else { Vec::new() };
        self.read_index(&bytes, &present);
        let mut dropped = index_length - self.index_length;
        if dropped > 0 {
            disk.truncate(&index_path, self.index_length)?;
        }
        for (segment, length) in present {
            let path = self.segment_path(segment);
            match self.segments.get(usize::from(segment)).map(|covered| u64::from(*covered)) {
                Some(covered) if covered == length => {}
                Some(covered) => {
                    disk.truncate(&path, covered)?;
                    dropped += length - covered;
                }
                None => {
                    disk.remove(&path)?;
                    dropped += length;
                }
            }
        }
        Ok(dropped)
    }

    fn read_index(&mut self, bytes: &[u8], present: &BTreeMap<u16, u64>) {
        let runs = self.runs.get_mut();
        for bytes in bytes.as_chunks::<{ Entry::LEN }>().0 {
            let Some(entry) = Entry::decode(bytes, self.film.stream) else { return };
            let (segment, end) = (entry.run.segment, entry.run.end());
            let inside = present.get(&segment).is_some_and(|length| end <= *length);
            let Some(end) = u32::try_from(end).ok().filter(|_| inside || entry.gone) else { return };
            let index = usize::from(segment);
            if !entry.gone {
                self.segments.resize(self.segments.len().max(index + 1), 0);
                self.segments[index] = self.segments[index].max(end);
            }
            runs.apply(&entry);
            self.index_length += Entry::LEN as u64;
        }
    }
}

/// Removes a film's folder. Its film file goes first: without it, what a kill leaves is removed when the store is opened.
pub(crate) fn erase(disk: &dyn Disk, stream: u64) -> io::Result<()> {
    let path = folder_name(stream);
    let files = match disk.list(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    remove_if_there(disk, &join(&path, FILM))?;
    for (name, _) in files.iter().filter(|(name, _)| name != FILM && is_ours(name)) {
        disk.remove(&join(&path, name))?;
    }
    match disk.remove_folder(&path) {
        // A file that is not ours keeps the folder; it holds no film any more.
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed,
    }
}

/// The stream of a film's folder; `None` for what is not one.
pub(crate) fn stream_of(name: &str) -> Option<u64> {
    u64::from_str_radix(name, 16).ok().filter(|stream| folder_name(*stream) == name)
}

fn folder_name(stream: u64) -> String {
    format!("{stream:016x}")
}

fn segment_number(name: &str) -> Option<u16> {
    let number: u16 = name.strip_prefix(SEGMENT)?.parse().ok()?;
    (name == format!("{SEGMENT}{number}")).then_some(number)
}

fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(TEMPORARY).unwrap_or(name);
    name == FILM || name == INDEX || segment_number(name).is_some()
}

const FILM: &str = "film";
const INDEX: &str = "index";
const SEGMENT: &str = "objects.";

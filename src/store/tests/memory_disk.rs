//! A disk in memory that dies after so many written bytes, or is full after so many stored ones.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use super::Random;
use crate::store::disk::Disk;
use crate::store::entry::Entry;

/// Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    files: BTreeMap<String, Vec<u8>>,
    folders: BTreeSet<String>,
    /// How many bytes may still be written.
    life: Option<u64>,
    capacity: Option<u64>,
    written: u64,
}

impl MemoryDisk {
    pub fn die_after(&self, bytes: u64) {
        self.content().life = Some(bytes);
    }

    /// The next process finds what was written.
    pub fn revive(&self) {
        self.content().life = None;
    }

    pub fn set_capacity(&self, capacity: Option<u64>) {
        self.content().capacity = capacity;
    }

    pub fn used(&self) -> u64 {
        self.content().used()
    }

    pub fn written(&self) -> u64 {
        self.content().written
    }

    pub fn change(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(self.content().files.get_mut(path).expect("a file"));
    }

    pub fn paths(&self) -> Vec<String> {
        self.content().files.keys().cloned().collect()
    }

    /// An entry of an index is never without its data, whenever the process dies.
    pub fn assert_entries_have_data(&self, context: &str) {
        let content = self.content();
        for folder in content.folders.iter().filter(|folder| content.files.contains_key(&format!("{folder}/film"))) {
            let Some(index) = content.files.get(&format!("{folder}/index")) else { continue };
            let stream = u64::from_str_radix(folder, 16).expect("a folder of a film");
            for bytes in index.as_chunks().0 {
                let Entry { run, .. } = Entry::decode(bytes, stream).expect("only the end may be torn");
                let length = content.files.get(&format!("{folder}/objects.{}", run.segment)).map_or(0, Vec::len);
                assert!(run.end() <= length as u64, "{context}: an entry came before its data");
            }
        }
    }

    /// Makes the ends of files that are written without a sync shorter, or zero.
    pub fn lose_power(&self, random: &mut Random) {
        for (path, bytes) in &mut self.content().files {
            let tail = bytes.len() - random.below(bytes.len().min(9000) as u64 + 1) as usize;
            match random.below(3) {
                _ if path.ends_with("/film") => {}
                0 => bytes.truncate(tail),
                1 => bytes[tail..].fill(0),
                _ => {}
            }
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().expect("no test panicked")
    }
}

impl Content {
    fn used(&self) -> u64 {
        self.files.values().map(|bytes| bytes.len() as u64).sum()
    }

    fn alive(&self) -> io::Result<()> {
        if self.life == Some(0) { Err(io::Error::other("the process is dead")) } else { Ok(()) }
    }

    /// Takes this much of the life that is left; tells how much there was.
    fn live(&mut self, bytes: u64) -> io::Result<u64> {
        self.alive()?;
        let lived = self.life.map_or(bytes, |life| life.min(bytes));
        self.life = self.life.map(|life| life - lived);
        self.written += lived;
        Ok(lived)
    }

    /// Another change than a write. It counts as many bytes, so that deaths fall between two of these often enough.
    fn change(&mut self) -> io::Result<()> {
        const COST: u64 = 300;
        if self.live(COST)? == COST { Ok(()) } else { Err(io::Error::other("the process died")) }
    }

    fn file(&mut self, path: &str) -> io::Result<&mut Vec<u8>> {
        self.files.get_mut(path).ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl Disk for MemoryDisk {
    fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>> {
        let content = self.content();
        content.alive()?;
        if folder.is_empty() {
            return Ok(content.folders.iter().map(|name| (name.clone(), 0)).collect());
        }
        if !content.folders.contains(folder) {
            return Err(ErrorKind::NotFound.into());
        }
        let inside = |(path, bytes): (&String, &Vec<u8>)| {
            Some((path.strip_prefix(folder)?.strip_prefix('/')?.to_owned(), bytes.len() as u64))
        };
        // A real folder has its names in any order; this one is the least convenient.
        Ok(content.files.iter().rev().filter_map(inside).collect())
    }

    fn read_at(&self, path: &str, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut content = self.content();
        content.alive()?;
        let at = at as usize;
        let bytes = content.file(path)?.get(at..at + buffer.len()).ok_or(ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn append(&self, path: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.content();
        let folder = path.split_once('/').expect("a file in a folder").0;
        assert!(content.folders.contains(folder), "{folder} is no folder");
        let lived = content.live(bytes.len() as u64)?;
        let known = content.files.get(path).map_or(0, Vec::len) as u64;
        let free = content.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(content.used()));
        let fits = lived.min((known + free.min(1 << 40)).saturating_sub(at));
        let file = content.files.entry(path.to_owned()).or_default();
        let (at, fits) = (at as usize, fits as usize);
        if fits > 0 {
            file.resize(file.len().max(at + fits), 0);
            file[at..at + fits].copy_from_slice(&bytes[..fits]);
        }
        match () {
            () if lived < bytes.len() as u64 => Err(io::Error::other("the process died")),
            () if fits < bytes.len() => Err(ErrorKind::StorageFull.into()),
            () => Ok(()),
        }
    }

    fn truncate(&self, path: &str, length: u64) -> io::Result<()> {
        let mut content = self.content();
        content.change()?;
        content.file(path)?.resize(length as usize, 0);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut content = self.content();
        content.change()?;
        let bytes = content.files.remove(from).ok_or(ErrorKind::NotFound)?;
        content.files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut content = self.content();
        content.change()?;
        content.files.remove(path).map(|_| ()).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        let mut content = self.content();
        content.change()?;
        if content.folders.insert(path.to_owned()) { Ok(()) } else { Err(ErrorKind::AlreadyExists.into()) }
    }

    fn remove_folder(&self, path: &str) -> io::Result<()> {
        let mut content = self.content();
        content.change()?;
        assert!(!content.files.keys().any(|file| file.starts_with(&format!("{path}/"))), "{path} is not empty");
        content.folders.remove(path);
        Ok(())
    }

    fn sync(&self, _path: &str) -> io::Result<()> {
        self.content().alive()
    }

    fn sync_folder(&self, _path: &str) -> io::Result<()> {
        self.content().alive()
    }
}

//! The disk of the machine, with the files used last kept open.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::store::disk::Disk;

/// A folder of the file system.
pub(crate) struct RealDisk {
    folder: PathBuf,
    /// The files used last, the last one first.
    open: RefCell<Vec<(String, File)>>,
}

impl RealDisk {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), open: RefCell::new(Vec::with_capacity(MOST_OPEN + 1)) }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    fn with<T>(&self, path: &str, create: bool, action: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        let mut open = self.open.borrow_mut();
        if let Some(found) = open.iter().position(|(known, _)| known == path) {
            open[..=found].rotate_right(1);
        } else {
            let file =
                OpenOptions::new().read(true).write(true).create(create).truncate(false).open(self.path(path))?;
            open.insert(0, (path.to_owned(), file));
            open.truncate(MOST_OPEN);
        }
        action(&open[0].1)
    }

    fn close(&self, path: &str) {
        self.open.borrow_mut().retain(|(known, _)| known != path);
    }
}

impl Disk for RealDisk {
    fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(folder))? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            // All our names are UTF-8; any other is not ours.
            if let Ok(name) = entry.file_name().into_string() {
                names.push((name, if metadata.is_file() { metadata.len() } else { 0 }));
            }
        }
        Ok(names)
    }

    fn read_at(&self, path: &str, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.with(path, false, |file| file.read_exact_at(buffer, at))
    }

    fn append(&self, path: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(path, true, |file| file.write_all_at(bytes, at))
    }

    fn truncate(&self, path: &str, length: u64) -> io::Result<()> {
        self.with(path, false, |file| file.set_len(length))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.close(from);
        self.close(to);
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.close(path);
        fs::remove_file(self.path(path))
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        fs::create_dir(self.path(path))
    }

    fn remove_folder(&self, path: &str) -> io::Result<()> {
        fs::remove_dir(self.path(path))
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        self.with(path, false, File::sync_all)
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        File::open(self.path(path))?.sync_all()
    }
}

/// Enough for a dozen films read and filled at once; far below the usual limit of 1 024 open files.
const MOST_OPEN: usize = 32;

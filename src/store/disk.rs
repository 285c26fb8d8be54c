//! The file access of the store: a trait of ten calls, so that tests can run it on a disk that dies or is full.
//!
//! Paths are relative to the store's folder and joined with `/`; the folder itself is the empty path.

use std::io::{self, ErrorKind};

/// A folder tree of plain files. Every call either does all that it says or fails; a failed `append` may have written a part.
pub(crate) trait Disk: Send {
    /// The names in a folder and the length of each, 0 for a folder.
    fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>>;
    /// Fills `buffer` from a file, or fails with `UnexpectedEof`.
    fn read_at(&self, path: &str, at: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes at a place that is the end of the file as the caller knows it; makes the file if it is not there.
    fn append(&self, path: &str, at: u64, bytes: &[u8]) -> io::Result<()>;
    fn truncate(&self, path: &str, length: u64) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, path: &str) -> io::Result<()>;
    fn make_folder(&self, path: &str) -> io::Result<()>;
    fn remove_folder(&self, path: &str) -> io::Result<()>;
    /// Makes a file, or the names in a folder, survive the loss of power.
    fn sync(&self, path: &str) -> io::Result<()>;
    fn sync_folder(&self, path: &str) -> io::Result<()>;
}

/// Replaces a file whole: the old content or the new one is there at any moment, also after the loss of power.
pub(crate) fn replace(disk: &dyn Disk, folder: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let (path, temporary) = (join(folder, name), join(folder, &format!("{name}{TEMPORARY}")));
    let written = remove_if_there(disk, &temporary)
        .and_then(|()| disk.append(&temporary, 0, bytes))
        .and_then(|()| disk.sync(&temporary))
        .and_then(|()| disk.rename(&temporary, &path));
    if let Err(error) = written {
        // The next replacement, or the next opening, removes what stays here.
        _ = disk.remove(&temporary);
        return Err(error);
    }
    disk.sync_folder(folder)
}

/// Removes a file; it is no error if there is none.
pub(crate) fn remove_if_there(disk: &dyn Disk, path: &str) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads a whole file of a known length.
pub(crate) fn read_all(disk: &dyn Disk, path: &str, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(|_| ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; length];
    disk.read_at(path, 0, &mut bytes)?;
    Ok(bytes)
}

pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The end of the name of a file that is not yet what it will be.
pub(crate) const TEMPORARY: &str = ".new";

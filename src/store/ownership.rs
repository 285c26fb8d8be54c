//! Whose a folder is: a marker file says that it is a store, a locked file says which process has it open.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::store::disk::{TEMPORARY, replace};
use crate::store::error::StoreError;
use crate::store::real_disk::RealDisk;

/// Holds the exclusive lock of a folder until it is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    pub(crate) file: File,
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread has forked and that is not yet its own program still holds a
        // copy of this descriptor, and with it the lock (flock(2)). Unlocking ends it for all copies. Where that fails, the
        // close that follows is the next best.
        _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Makes the folder a store if it is new or empty, and locks it. A folder that is not ours is not written to.
pub(crate) fn take(folder: &Path) -> Result<FolderLock, StoreError> {
    if folder.exists() && !folder.is_dir() {
        return Err(StoreError::NoFolder { folder: folder.to_owned() });
    }
    fs::create_dir_all(folder).map_err(|source| failed("make the folder", folder, source))?;
    let marked = is_marked(folder).map_err(|source| failed("read the folder", folder, source))?;
    match marked {
        Marked::Ours => {}
        Marked::Empty => replace(&RealDisk::new(folder), "", MARKER, MARK)
            .map_err(|source| failed("write a file in the folder", folder, source))?,
        Marked::Foreign => return Err(StoreError::Foreign { folder: folder.to_owned() }),
    }
    lock(folder)
}

enum Marked {
    Ours,
    Empty,
    Foreign,
}

fn is_marked(folder: &Path) -> io::Result<Marked> {
    match fs::read(folder.join(MARKER)) {
        Ok(mark) => return Ok(if mark == MARK { Marked::Ours } else { Marked::Foreign }),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    for entry in fs::read_dir(folder)? {
        // A process that was killed while it made a store leaves the beginning of its marker, and nothing else.
        let name = entry?.file_name();
        let beginning =
            name == format!("{MARKER}{TEMPORARY}").as_str() && MARK.starts_with(&fs::read(folder.join(name))?);
        if !beginning {
            return Ok(Marked::Foreign);
        }
    }
    Ok(Marked::Empty)
}

fn lock(folder: &Path) -> Result<FolderLock, StoreError> {
    let path = folder.join("lock");
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(|source| failed("open", &path, source))?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        let source = io::Error::from(error);
        if source.kind() != ErrorKind::WouldBlock {
            return Err(failed("lock", &path, source));
        }
        let mut text = String::new();
        // A holder that did not write its number yet is named "another process".
        _ = file.read_to_string(&mut text);
        return Err(StoreError::Taken { folder: folder.to_owned(), pid: text.trim().parse().ok() });
    }
    // The number is for people only, so a full disk must not keep the store from opening and evicting.
    _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(FolderLock { file })
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Disk { action, path: path.display().to_string(), why: source }
}

/// The file that makes a folder a store.
const MARKER: &str = "udpstream-store";
const MARK: &[u8] = b"A store of udpstream, version 1. Its films may be removed while no process uses it.\n";

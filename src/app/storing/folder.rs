//! The folder of recordings: whose it is, how much room there is, and which files in it are recordings that were made here.
//! Nothing else in it is ever counted or removed: a recording that somebody gives another name is his.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FlockOperation, access, flock, statvfs};

use super::bound::Stored;
use crate::record::dated;

/// Why recordings cannot be made in a folder; each text is a sentence with advice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    #[error("{0} is no folder: name one that recordings can be made in")]
    NoFolder(String),
    #[error("{0} cannot be written to: choose a folder that you may write to")]
    Forbidden(String),
    #[error("{0} is in use by {1}: choose another folder for recordings, or end that process")]
    Taken(String, String),
    #[error("the disk of {0} is full: make room, or record to another disk")]
    Full(String),
    #[error("recordings cannot be made in {path} ({why}): choose another folder")]
    Disk { path: String, why: io::Error },
}

impl FolderError {
    fn of(path: &Path, why: io::Error) -> Self {
        let path = path.display().to_string();
        match why.kind() {
            ErrorKind::NotADirectory => Self::NoFolder(path),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Forbidden(path),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full(path),
            _ => Self::Disk { path, why },
        }
    }
}

/// A folder that this process alone records into, until it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    /// Makes the folder if there is none, and sees to it that it can be recorded into.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let name = || path.display().to_string();
        let failed = |why| FolderError::of(path, why);
        if path.exists() && !path.is_dir() {
            return Err(FolderError::NoFolder(name()));
        }
        fs::create_dir_all(path).map_err(failed)?;
        access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).map_err(|why| failed(why.into()))?;
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join(LOCK));
        let mut lock = open.map_err(failed)?;
        if let Err(why) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            let why = io::Error::from(why);
            if why.kind() != ErrorKind::WouldBlock {
                return Err(failed(why));
            }
            let mut text = String::new();
            // A holder that did not write its number yet is another process.
            _ = lock.read_to_string(&mut text);
            let holder =
                text.trim().parse::<u32>().map_or("another process".to_owned(), |pid| format!("process {pid}"));
            return Err(FolderError::Taken(name(), holder));
        }
        // The number is for people only.
        _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        let folder = Self { path: path.to_owned(), lock };
        if folder.has_room() { Ok(folder) } else { Err(FolderError::Full(name())) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its disk has room for a recording to begin. Where that cannot be told, it is tried.
    pub fn has_room(&self) -> bool {
        statvfs(&self.path).map_or(true, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= LEAST_ROOM)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A child that was just forked holds a copy of the descriptor, and with it the lock (flock(2)).
        _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

/// Knows the recordings of a folder.
#[derive(Default)]
pub struct Inventory {
    /// By their names: which file it is, and whether it is a recording that was made here.
    known: BTreeMap<String, (Identity, bool)>,
}

/// A file's number, and when it was changed last, as numbers are given again: seconds and nanoseconds.
type Identity = (u64, i64, i64);

impl Inventory {
    /// Looks which recordings there are, finished or not; those that have nothing in them yet are none.
    pub fn look(&mut self, folder: &Path) -> io::Result<Vec<Stored>> {
        let (mut stored, mut known) = (Vec::new(), BTreeMap::new());
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Links are nobody's recordings.
            let named = dated::moment(&name).is_some() && entry.file_type().is_ok_and(|kind| kind.is_file());
            // It may be gone by now.
            let Some(data) = named.then(|| entry.metadata().ok()).flatten() else { continue };
            let identity = (data.ino(), data.ctime(), data.ctime_nsec());
            let before = self.known.get(&name).filter(|(known, _)| *known == identity);
            let ours = before.map_or_else(|| dated::is_ours(&entry.path()).unwrap_or(false), |(_, ours)| *ours);
            known.insert(name.clone(), (identity, ours));
            if ours {
                stored.push(Stored { name, bytes: data.len(), is_running: false });
            }
        }
        self.known = known;
        Ok(stored)
    }
}

/// The file that is locked.
const LOCK: &str = ".udpstream-recordings";
/// Less is no room to begin in.
const LEAST_ROOM: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::film::{Film, Tracks};
    use crate::record::path::RecordingPath;
    use crate::units::{MediaTime, Rate, Size};

    #[test]
    fn a_folder_that_cannot_be_recorded_into_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/one");
        let held = Folder::open(&path).expect("it is made");
        let error = Folder::open(&path).expect_err("taken").to_string();
        assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
        drop(held);
        assert!(Folder::open(&path).is_ok_and(|folder| folder.has_room()));
        let letter = folder.path().join("letter");
        fs::write(&letter, "Dear reader").expect("written");
        assert!(matches!(Folder::open(&letter), Err(FolderError::NoFolder(_))));
        assert!(matches!(Folder::open(&letter.join("below")), Err(FolderError::NoFolder(_))));
        assert!(Folder::open(Path::new("/proc/recordings")).is_err());
    }

    #[test]
    fn only_what_was_recorded_here_under_such_a_name_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name);
        let tracks = Tracks { size: Size::new(16, 16), rate: Rate::TYPICAL, sound: false, talk: false };
        let path = RecordingPath::take_dated(folder.path(), "../lobby 1", "2026-11-30 08.39.21").expect("free");
        let mut film = Film::new(path, tracks);
        film.picture(MediaTime::ZERO, &[0xFF, 0xD8, 0xFF, 0xD9]).expect("written");
        let totals = film.finish().0.expect("a film");
        let ours = totals.path.file_name().expect("a name").to_string_lossy().into_owned();
        assert_eq!(ours, "lobby-1 2026-11-30 08.39.21.mkv");
        // The same film under a name of somebody's choice; something else under a name like ours; a link.
        fs::copy(&totals.path, place("holiday.mkv")).expect("copied");
        fs::write(place("letter 2026-11-30 08.39.21.mkv"), "Dear reader").expect("written");
        std::os::unix::fs::symlink(&totals.path, place("link 2026-11-30 08.39.21.mkv")).expect("linked");
        fs::create_dir(place("folder 2026-11-30 08.39.21.mkv")).expect("made");
        let mut inventory = Inventory::default();
        for _ in 0..2 {
            let found = inventory.look(folder.path()).expect("read");
            let bytes = fs::metadata(&totals.path).expect("there").len();
            assert_eq!(found, [Stored { name: ours.clone(), bytes, is_running: false }]);
        }
        fs::remove_file(&totals.path).expect("removed");
        fs::write(place("new"), "Another letter").expect("written");
        fs::rename(place("new"), &totals.path).expect("renamed");
        assert_eq!(inventory.look(folder.path()).expect("read"), []);
    }
}

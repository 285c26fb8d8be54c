//! Names of recordings: what kind of file each asks for. A name is taken before anything is recorded, and never from a file
//! that is there already.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::RecordError;
use super::still::{plain, safe};
use crate::ffmpeg::Remux;

/// A kind of file that can be recorded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingKind {
    /// Matroska, written here.
    Mkv,
    /// Written by ffmpeg.
    Mp4,
    /// Written by ffmpeg.
    Avi,
    /// Sound only.
    Wav,
}

impl RecordingKind {
    /// What a file's name asks for.
    pub fn of(path: &Path) -> Result<Self, RecordError> {
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
        match ending.as_str() {
            "mkv" => Ok(Self::Mkv),
            "mp4" => Ok(Self::Mp4),
            "avi" => Ok(Self::Avi),
            "wav" => Ok(Self::Wav),
            _ => Err(RecordError::Kind(path.display().to_string())),
        }
    }

    /// Whether such a file can hold what people write to each other.
    pub const fn has_talk(self) -> bool {
        matches!(self, Self::Mkv | Self::Mp4)
    }
}

/// A file that is there to be recorded to. If it was made for that and is still empty when dropped, it goes again.
#[derive(Debug)]
pub struct RecordingPath {
    path: PathBuf,
    kind: RecordingKind,
    file: File,
    /// It was not there before.
    fresh: bool,
    /// The name before any number, for the files that follow.
    first: PathBuf,
    number: u32,
}

impl RecordingPath {
    /// Takes this very name; a file that is there already is overwritten only with `force`.
    pub fn take(path: &Path, force: bool) -> Result<Self, RecordError> {
        let kind = RecordingKind::of(path)?;
        if matches!(kind, RecordingKind::Mp4 | RecordingKind::Avi) {
            Remux::check()?;
        }
        let made = OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let fresh = made.is_ok();
        let file = match made {
            Err(error) if force && error.kind() == io::ErrorKind::AlreadyExists => {
                OpenOptions::new().read(true).write(true).open(path)
            }
            other => other,
        };
        let file = file.map_err(|why| RecordError::of(path, why))?;
        Ok(Self { path: path.to_owned(), kind, file, fresh, first: path.to_owned(), number: 1 })
    }

    /// Takes `TITLE-TIME.mkv` in `folder`, with a number where that is taken. Titles may come from strangers.
    pub fn take_new(folder: &Path, title: &str, time: Duration) -> Result<Self, RecordError> {
        let (seconds, stem) = (time.as_secs(), safe(title));
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let path = folder.join(format!("{stem}-{hours:02}h{minutes:02}m{seconds:02}s.mkv"));
        Self::take_free(&path)
    }

    /// Takes `NAME MOMENT.mkv` in `folder`, with a number where that is taken. Names may come from strangers; what a moment
    /// looks like is up to the [stamp](super::dated::stamp).
    pub fn take_dated(folder: &Path, name: &str, stamp: &str) -> Result<Self, RecordError> {
        Self::take_free(&folder.join(format!("{} {stamp}.mkv", plain(name))))
    }

    fn take_free(path: &Path) -> Result<Self, RecordError> {
        match Self::take(path, false) {
            Err(RecordError::Exists(_)) => Self::numbered(path, 2),
            other => other,
        }
    }

    /// Takes the name for what follows this file: `name-2.mkv` and so on, never over another file.
    pub fn next(&self) -> Result<Self, RecordError> {
        Self::numbered(&self.first, self.number + 1)
    }

    fn numbered(first: &Path, from: u32) -> Result<Self, RecordError> {
        let stem = first.file_stem().unwrap_or_default().to_string_lossy();
        let ending = first.extension().unwrap_or_default().to_string_lossy();
        let mut number = from;
        loop {
            match Self::take(&first.with_file_name(format!("{stem}-{number}.{ending}")), false) {
                Err(RecordError::Exists(_)) if number < u32::MAX => number += 1,
                taken => {
                    return taken.map(|mut taken| {
                        (taken.first, taken.number) = (first.to_owned(), number);
                        taken
                    });
                }
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub const fn kind(&self) -> RecordingKind {
        self.kind
    }

    /// The file, to be written to. What was in it is gone now, and not before.
    pub fn begin(&self) -> Result<File, RecordError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.try_clone());
        emptied.map_err(|why| RecordError::of(&self.path, why))
    }

    /// Fails if the file is not there any more under its name.
    pub fn check(&self) -> Result<(), RecordError> {
        let (named, open) = (fs::metadata(&self.path), self.file.metadata());
        match (named, open) {
            (Ok(named), Ok(open)) if (named.dev(), named.ino()) == (open.dev(), open.ino()) => Ok(()),
            _ => Err(RecordError::Deleted(self.path.display().to_string())),
        }
    }

    /// Cuts off what lies behind the first `length` bytes.
    pub fn cut(&self, length: u64) -> Result<(), RecordError> {
        self.file.set_len(length).map_err(|why| RecordError::of(&self.path, why))
    }
}

impl Drop for RecordingPath {
    fn drop(&mut self) {
        if self.fresh && self.file.metadata().is_ok_and(|data| data.len() == 0) && self.check().is_ok() {
            // Nothing was recorded; if it cannot be removed, an empty file does no harm.
            fs::remove_file(&self.path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn fill(path: &RecordingPath) {
        path.begin().expect("open").write_all(b"film").expect("written");
    }

    #[test]
    fn endings_say_what_is_recorded() {
        assert_eq!(RecordingKind::of(Path::new("a.b/film.MKV")).expect("known"), RecordingKind::Mkv);
        for bad in ["film", "film.mov", "film.mkv/", ".mkv"] {
            let said = RecordingKind::of(Path::new(bad))
                .map(|kind| assert_eq!((bad, kind), ("film.mkv/", RecordingKind::Mkv)));
            if let Err(error) = said {
                let text = error.to_string();
                assert!([".mkv", ".mp4", ".avi", ".wav"].iter().all(|ending| text.contains(ending)), "{text}");
            }
        }
    }

    #[test]
    fn a_name_is_taken_at_once_and_never_from_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("film.mkv");
        let first = RecordingPath::take(&path, false).expect("free");
        fill(&first);
        let error = RecordingPath::take(&path, false).expect_err("taken");
        assert!(error.to_string().contains("--force"), "{error}");
        let second = first.next().expect("free");
        fill(&second);
        assert!(second.path().ends_with("film-2.mkv"));
        assert!(second.next().expect("free").path().ends_with("film-3.mkv"));
        assert!(first.next().expect("free").path().ends_with("film-3.mkv"));
        let titled =
            || RecordingPath::take_new(folder.path(), "../film.mp4", Duration::from_secs(3_723)).expect("free");
        let (new, other) = (titled(), titled());
        assert!(new.path().ends_with("film-01h02m03s.mkv") && other.path().ends_with("film-01h02m03s-2.mkv"));
        drop((first, second, new, other));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2, "empty ones are gone");
        drop(RecordingPath::take(&path, true).expect("may be overwritten"));
        assert_eq!(fs::read(&path).expect("there"), b"film", "but was not yet");
        RecordingPath::take(&path, true).expect("may be overwritten").begin().expect("open");
        assert_eq!(fs::read(&path).expect("there"), b"");
    }

    #[test]
    fn a_file_that_somebody_deleted_or_replaced_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let taken = RecordingPath::take(&folder.path().join("film.mkv"), false).expect("free");
        assert!(taken.check().is_ok());
        fs::remove_file(taken.path()).expect("deleted");
        assert!(matches!(taken.check(), Err(RecordError::Deleted(_))));
        fs::write(taken.path(), "somebody else's").expect("written");
        assert!(taken.check().is_err());
        let path = taken.path().to_owned();
        drop(taken);
        assert!(path.exists(), "not ours to remove");
        let error = RecordingPath::take(&folder.path().join("none/film.mkv"), false).expect_err("no folder");
        assert!(error.to_string().contains("does not exist"), "{error}");
    }
}

//! What is kept: pictures and films as files.

pub mod dated;
mod ebml;
pub mod film;
mod matroska;
pub mod path;
mod sound;
pub mod still;
mod talk;
pub mod wav;

use std::io;
use std::path::Path;

use crate::ffmpeg::FfmpegError;

/// Why something was not recorded, or no longer; each text is a sentence with advice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    #[error("{0} is no kind of film that can be recorded: end its name in .mkv, .mp4, .avi or, for sound only, .wav")]
    Kind(String),
    #[error("{0} exists already: choose another name, or overwrite it with --force")]
    Exists(String),
    #[error("{0} lies in a folder that does not exist: create it, or choose another")]
    NoFolder(String),
    #[error("{0} is a folder: add the name of a file to it")]
    Folder(String),
    #[error("{0} may not be written: choose a folder that you may write to")]
    Forbidden(String),
    #[error("the disk is full, so {0} ends here: make room, or record to another disk")]
    Full(String),
    #[error(
        "{0} has grown to the largest file that is allowed here, and ends: raise the limit, or record to another disk"
    )]
    TooLarge(String),
    #[error("{0} has grown to 4 GB, the most that a WAV file can hold: go on in a second file, or record to .mkv")]
    WavFull(String),
    #[error("{0} was deleted while it was being recorded: record again, to another path")]
    Deleted(String),
    #[error(transparent)]
    NoFfmpeg(#[from] FfmpegError),
    #[error("no thread could be started to record with ({0}): close some programs and try again")]
    Thread(#[source] io::Error),
    #[error("ffmpeg could not go on with {path} ({why}): record to .mkv, which takes no ffmpeg")]
    Ffmpeg { path: String, why: String },
    #[error("{path} could not be written ({why}): record to another disk")]
    Write { path: String, why: io::Error },
}

impl RecordError {
    /// What an error of the file system means for the file at `path`.
    pub fn of(path: &Path, why: io::Error) -> Self {
        use io::ErrorKind;
        let path = path.display().to_string();
        match why.kind() {
            ErrorKind::AlreadyExists => Self::Exists(path),
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::NoFolder(path),
            ErrorKind::IsADirectory => Self::Folder(path),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Forbidden(path),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full(path),
            ErrorKind::FileTooLarge => Self::TooLarge(path),
            _ => Self::Write { path, why },
        }
    }
}

//! A named pipe: read as standard input is, under its own name, from the moment at which a program opens it to write.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::{Guard, Input, Options, Source, SourceError, stdin};
use crate::ffmpeg::Tap;

impl Input {
    /// Whether it is a named pipe, which can be read once only.
    pub fn is_named_pipe(&self) -> bool {
        matches!(self, Self::File(path) if is_named_pipe(path))
    }
}

pub(super) fn is_named_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.file_type().is_fifo())
}

/// Waits until a program writes into it. The waiting can be stopped; the opening could not be, so it does not wait.
pub(super) fn open(path: &Path, name: &str, options: &Options, guard: Guard) -> Result<Source, SourceError> {
    let unreadable = |why: rustix::io::Errno| SourceError::Unreadable { name: name.to_owned(), why: why.into() };
    let pipe = rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
    let pipe = pipe.map_err(unreadable)?;
    let same = pipe.try_clone().map_err(SourceError::Start)?;
    let source = stdin::open_named(Tap::new(pipe, &guard.control), name, options, guard)?;
    stdin::widen(&source, same);
    Ok(source)
}

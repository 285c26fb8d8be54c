//! Files below a folder, and no others: links may lead about inside of it, and nowhere else.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat, openat2};
use rustix::io::Errno;

const TRIES: usize = 16;

/// A folder that is held open.
pub struct OpenRoot {
    pub path: PathBuf,
    folder: OwnedFd,
}

impl OpenRoot {
    pub fn new(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let folder = open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { path, folder })
    }

    /// Opens a regular file by its path below the folder.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let open = || openat2(&self.folder, path, flags, Mode::empty(), resolve);
        // Something was renamed meanwhile, and the kernel cannot say that it stayed inside.
        let opened = (0..TRIES).map(|_| open()).find(|opened| !matches!(opened, Err(Errno::AGAIN)));
        let file = match opened.unwrap_or(Err(Errno::AGAIN)) {
            // A kernel before 5.6, or one that forbids it: no link at all is followed then.
            Err(Errno::NOSYS | Errno::PERM) => self.walk(path)?,
            opened => File::from(opened?),
        };
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no file")) }
    }

    fn walk(&self, path: &Path) -> io::Result<File> {
        let mut parts = Vec::new();
        for part in path.components() {
            match part {
                Component::Normal(part) => parts.push(part),
                _ => return Err(io::ErrorKind::PermissionDenied.into()),
            }
        }
        let (last, folders) = parts.split_last().ok_or(io::ErrorKind::NotFound)?;
        let mut at: Option<OwnedFd> = None;
        let open_next = |at: &Option<OwnedFd>, part: &OsStr, flags| {
            openat(at.as_ref().unwrap_or(&self.folder), part, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        };
        for part in folders {
            at = Some(open_next(&at, part, OFlags::RDONLY | OFlags::DIRECTORY)?);
        }
        Ok(File::from(open_next(&at, last, OFlags::RDONLY | OFlags::NONBLOCK)?))
    }
}

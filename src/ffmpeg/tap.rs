//! A pipe that is read without a buffer, and whose waits end when its source is stopped.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use super::Control;
use crate::clock;
use crate::units::Time;

/// A pipe or file that is read without a buffer, can be stopped, and remembers when it first had to wait.
pub struct Tap {
    file: File,
    control: Control,
    /// Bytes that were read earlier and come first.
    before: io::Cursor<Vec<u8>>,
    first_wait: Option<Time>,
}

impl Tap {
    pub fn new(file: impl Into<OwnedFd>, control: &Control) -> Self {
        Self { file: file.into().into(), control: control.clone(), before: io::Cursor::default(), first_wait: None }
    }

    /// Puts bytes back that were read too early.
    pub fn put_back(&mut self, bytes: Vec<u8>) {
        self.before = io::Cursor::new(bytes);
    }

    /// When a read first found nothing ready; `None` if none ever did.
    pub fn first_wait(&self) -> Option<Time> {
        self.first_wait
    }

    /// Whether there is something to read (or the end) before `until`.
    pub fn ready(&self, until: Time) -> bool {
        self.control.wait_readable(self.file.as_fd(), until)
    }

    /// Lets the pipe hold so many bytes. Where the limit is lower the pipe stays as it is.
    pub fn widen(&self, bytes: usize) {
        rustix::pipe::fcntl_setpipe_size(&self.file, bytes).ok();
    }

    /// Everything until the end; `None` if the end has not come by then.
    pub fn read_until(&mut self, until: Time) -> Option<Vec<u8>> {
        let (mut bytes, mut block) = (Vec::new(), [0; 16 << 10]);
        while self.ready(until) {
            match self.file.read(&mut block) {
                Ok(count @ 1..) => bytes.extend_from_slice(&block[..count]),
                _ => return Some(bytes),
            }
        }
        None
    }
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.before.read(buffer)?;
        if count > 0 {
            return Ok(count);
        }
        if !self.ready(Time::ZERO) {
            self.first_wait.get_or_insert_with(clock::now);
            if !self.ready(Time::NEVER) {
                return Err(io::Error::other("stopped"));
            }
        }
        self.file.read(buffer)
    }
}

//! Memory that the X server writes pictures into. The mapping is the only unsafe part of grabbing a screen.
#![expect(unsafe_code, reason = "shared memory is mapped by the kernel")]

use std::ffi::c_void;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::{NonNull, null_mut};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Anonymous memory, mapped here and in each process that is given its file.
pub(super) struct Segment {
    start: NonNull<c_void>,
    length: usize,
}

impl Segment {
    /// The memory, and the file by which the server maps it.
    pub fn new(length: usize) -> io::Result<(Self, OwnedFd)> {
        let file = memfd_create("udpstream screen", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, length as u64)?;
        // The memory cannot be shrunk afterwards, which would kill this process at its next read.
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let (readable, shared) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping where the kernel wants it, of a file that is as long as that and stays so.
        let start = unsafe { mmap(null_mut(), length, readable, shared, &file, 0) }?;
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok((Self { start, length }, file))
    }

    /// What the server wrote last. It writes between our asking for a picture and its answer and never else, and the
    /// answer is awaited by whoever calls this.
    pub const fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: mapped, readable and writable, for as long as we are; any byte is valid.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.length) }
    }
}

// SAFETY: the mapping belongs to this value alone, whichever thread it is in.
unsafe impl Send for Segment {}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped, and nothing borrowed from it is left. It cannot fail.
        unsafe { munmap(self.start.as_ptr(), self.length) }.ok();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn what_is_written_through_the_file_is_seen_and_it_cannot_be_cut_short() {
        let (mut segment, file) = Segment::new(5_000).expect("memory");
        assert_eq!(segment.bytes_mut(), [0; 5_000]);
        let file = std::fs::File::from(file);
        file.write_all_at(b"abc", 4_990).expect("room");
        assert_eq!(segment.bytes_mut()[4_990..4_993], *b"abc");
        file.set_len(10).expect_err("sealed");
        segment.bytes_mut()[0] = 7;
        let mut first = [0];
        file.read_exact_at(&mut first, 0).expect("there");
        assert_eq!(first, [7]);
    }
}

//! What may go wrong in a store, each with advice.

use std::io;
use std::path::PathBuf;

/// Why a store did not do what was asked. After every one of these the store is as it was before, and usable, except for
/// films that were evicted to make room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("the folder {} is in use by {}; stop that, or name another folder", folder.display(), holder(*pid))]
    Taken { folder: PathBuf, pid: Option<u32> },
    #[error("{} is a file, and films are kept in a folder; name a folder", folder.display())]
    NoFolder { folder: PathBuf },
    #[error("the folder {} holds something else than films that a relay keeps; name one of its own, or a new one", folder.display())]
    Foreign { folder: PathBuf },
    #[error(
        "the store is full: its {most_bytes} bytes are taken by films in use; allow it more, or use fewer films at once"
    )]
    Full { most_bytes: u64 },
    #[error("the disk is full and no film of the store can go; free space on it, or move the store to another disk")]
    DiskFull,
    #[error("the store has no film of stream {stream:016x}; begin it first")]
    Unknown { stream: u64 },
    #[error("object {position} of {count} is damaged (its length or its check value is wrong); fetch it again")]
    Damaged { position: usize, count: usize },
    #[error("objects of streams {first:016x} and {other:016x} came together; put those of one film at a time")]
    Mixed { first: u64, other: u64 },
    #[error("the name of stream {stream:016x} has {length} bytes; choose one of at most 200")]
    Name { stream: u64, length: usize },
    #[error("a film has description units 0 and 1, not {which}")]
    Description { which: usize },
    #[error("the store cannot {action} {path}: {why}")]
    Disk { action: &'static str, path: String, why: io::Error },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// True for a disk, a quota or a file that can take no more: what eviction may cure.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull, WriteZero};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge | WriteZero)
}

//! What can be said of one receiver.

use std::time::Duration;

use crate::units::Unit;

/// What can be said of one receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SessionStats {
    pub pictures: u64,
    /// Pictures that departed and were never sent to it, because a newer one did before its turn came.
    pub thinned: u64,
    pub datagrams: u64,
    pub bytes: u64,
    pub reported: u64,
    pub lost: u64,
    pub rtt: Option<Duration>,
    pub repair: RepairStats,
    pub last_unit: Option<Unit>,
}

/// What repair took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepairStats {
    /// Nacks that were heeded.
    pub nacks: u64,
    /// Objects that they asked for and that had been sent.
    pub asked: u64,
    /// Objects that were sent again; bytes of the datagrams.
    pub resent: u64,
    pub resent_bytes: u64,
    /// Of these, second copies: there was no time to be asked again.
    pub doubled: u64,
    /// Repair symbols that were sent; bytes of the datagrams.
    pub parity: u64,
    pub parity_bytes: u64,
}

//! What a watcher's program is told of all that came.

use crate::proto::player::PictureCounts;
use crate::proto::reception::Traffic;

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCounts {
    /// `shown + lost + late + thinned` is the number of units since the first.
    pub pictures: PictureCounts,
    /// Of both ports together.
    pub traffic: Traffic,
    pub reconnects: u64,
}

impl WatchCounts {
    /// Datagrams and slices that had come before.
    pub const fn duplicates(&self) -> u64 {
        self.pictures.duplicates + self.traffic.duplicates
    }
}

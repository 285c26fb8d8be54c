//! What a watcher's program is told of all that came.

use crate::proto::player::PictureCounts;
use crate::proto::reception::Traffic;

/// Counters since the start. `shown + lost + late + thinned` is the number of units since the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCounts {
    /// At least one slice shown, or SAME.
    pub shown: u64,
    /// Shown with a slice missing.
    pub damaged: u64,
    /// Nothing came, and the hop sequence says that something was lost; or it would have come between two sessions.
    pub lost: u64,
    /// Of the lost: those between two sessions.
    pub away: u64,
    /// Came after its moment.
    pub late: u64,
    /// Never sent to us: skipped or thinned by the server, or paused.
    pub thinned: u64,
    pub slices: u64,
    /// Missing from shown pictures, or lost with whole pictures.
    pub slices_lost: u64,
    pub slices_late: u64,
    /// Damaged, malformed or contradictory datagrams.
    pub rejected: u64,
    pub duplicates: u64,
    pub datagrams: u64,
    pub bytes: u64,
    /// The largest datagram that came, in bytes.
    pub largest: usize,
    pub reconnects: u64,
    pub send_errors: u64,
}

impl WatchCounts {
    pub(super) const fn of(pictures: &PictureCounts, traffic: &Traffic, reconnects: u64) -> Self {
        Self {
            shown: pictures.shown,
            damaged: pictures.damaged,
            lost: pictures.lost,
            away: pictures.away,
            late: pictures.late,
            thinned: pictures.thinned,
            slices: pictures.slices,
            slices_lost: pictures.slices_lost,
            slices_late: pictures.slices_late,
            rejected: traffic.rejected,
            duplicates: pictures.duplicates + traffic.duplicates,
            datagrams: traffic.datagrams,
            bytes: traffic.bytes,
            largest: traffic.largest,
            reconnects,
            send_errors: traffic.send_errors,
        }
    }
}

//! What became of everything that was sent to this player.

use crate::proto::reception::Via;
use crate::units::RENDITIONS;

/// Counters since the start. `shown + lost + late + thinned` is the number of units since the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PictureCounts {
    /// At least one slice shown, or SAME.
    pub shown: u64,
    /// Shown of each rendition, the full size first.
    pub shown_of: [u64; RENDITIONS],
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
    pub slices_repaired: Repaired,
    pub duplicates: u64,
}

/// What repair brought: slices of pictures, or chunks of sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// In time, by a resend.
    pub resent: u64,
    /// In time, out of parity.
    pub rebuilt: u64,
    /// Too late, by either.
    pub late: u64,
}

impl Repaired {
    /// One that came so, in time or too late.
    pub const fn count(&mut self, via: Via, in_time: bool) {
        match via {
            Via::Sent => {}
            _ if !in_time => self.late += 1,
            Via::Resent => self.resent += 1,
            Via::Rebuilt => self.rebuilt += 1,
        }
    }
}

impl PictureCounts {
    /// A slice of a picture that was shown or given up; `first`: of one that was given up without a trace.
    pub fn slice_late(&mut self, first: bool) {
        self.slices_late += 1;
        if first {
            self.late += 1;
            // It was counted as lost or thinned when it was given up.
            match self.lost.checked_sub(1) {
                Some(lost) => self.lost = lost,
                None => self.thinned = self.thinned.saturating_sub(1),
            }
        }
    }
}

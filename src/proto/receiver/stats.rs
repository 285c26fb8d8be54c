//! What became of everything that was sent to this watcher.

/// Counters since the start. `shown + lost + late + thinned` is the number of units since the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
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
    /// Never sent to us: skipped or thinned by the server.
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

impl Counts {
    /// With what came in another lane.
    pub const fn with_second(mut self, other: &Self) -> Self {
        self.rejected += other.rejected;
        self.duplicates += other.duplicates;
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.send_errors += other.send_errors;
        self
    }
}

//! What came, and what repair cost.

/// Counts of datagrams, over all sessions of one end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub datagrams: u64,
    pub bytes: u64,
    /// The largest datagram that came, in bytes.
    pub largest: usize,
    /// Damaged or malformed, or nothing that could be asked for.
    pub rejected: u64,
    pub duplicates: u64,
    pub send_errors: u64,
    /// Numbers of hop sequences that must have been sent, and those that came.
    pub numbers: u64,
    pub numbers_came: u64,
    /// Of a group: what somebody else sent to it.
    pub others: u64,
    pub repair: RepairTraffic,
}

/// What repair cost one end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepairTraffic {
    /// Nacks that were sent.
    pub nacks: u64,
    /// Objects that were asked for, each once.
    pub asked: u64,
    /// Objects that came once more: because they were asked for …
    pub resent: u64,
    /// … of these, though the first had come after all.
    pub needless: u64,
    /// Repair symbols that came.
    pub parity: u64,
    /// Bytes of UDP payload of both.
    pub bytes: u64,
}

impl Traffic {
    /// A datagram of so many bytes came.
    pub fn came(&mut self, bytes: usize) {
        self.datagrams += 1;
        self.bytes += bytes as u64;
        self.largest = self.largest.max(bytes);
    }

    /// Adds what another end counted.
    pub fn add(&mut self, other: &Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.largest = self.largest.max(other.largest);
        self.rejected += other.rejected;
        self.duplicates += other.duplicates;
        self.send_errors += other.send_errors;
        self.numbers += other.numbers;
        self.numbers_came += other.numbers_came;
        self.others += other.others;
        self.repair.add(&other.repair);
    }
}

impl RepairTraffic {
    fn add(&mut self, other: &Self) {
        self.nacks += other.nacks;
        self.asked += other.asked;
        self.resent += other.resent;
        self.needless += other.needless;
        self.parity += other.parity;
        self.bytes += other.bytes;
    }
}

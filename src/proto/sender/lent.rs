//! What somebody lacks that was sent to a group: it asks in a session of its own, which is sent nothing else, and is answered out
//! of what is remembered of the group. The limits are those of any session: a quarter of what the group is sent.

use super::MediaSender;
use super::repair::Part;
use crate::units::Time;
use crate::wire::message::NackName;

/// What of names was sent to groups.
#[derive(Default)]
pub struct Lent {
    pub parts: Vec<Part>,
    /// Whether the sounds were.
    pub sounds: bool,
    /// Bytes that the groups were sent so far.
    pub sent: u64,
}

impl MediaSender {
    /// Those of these parts that are remembered, and have left.
    pub fn lend(&self, name: &NackName) -> Vec<Part> {
        self.repair.lend(name)
    }

    /// The receiver lacks these, which were sent to a group. Returns whether there are any.
    pub fn ask_beside(&mut self, now: Time, lent: &Lent) -> bool {
        if lent.sent > 0 {
            self.repair.earn_beside(lent.sent);
        }
        let round_trip = self.stats.rtt.unwrap_or_default();
        self.stats.repair.asked += lent.parts.len() as u64;
        lent.parts.iter().for_each(|part| self.repair.ask_beside(now, round_trip, part));
        !lent.parts.is_empty()
    }
}

//! What somebody lacks that was sent to a group: it asks in a session of its own, which is sent nothing else, and is answered out
//! of what is remembered of the group. The limits are those of any session: a quarter of what the group is sent.

use std::collections::{BTreeMap, BTreeSet};

use super::MediaSender;
use crate::media::coded::Object;
use crate::units::{Time, Unit};
use crate::wire::message::NackName;

/// What of names was sent to groups.
#[derive(Default)]
pub struct Lent {
    /// Each once, however often it is named and in however many groups.
    pub parts: BTreeMap<(Unit, u16), Object>,
    /// By rendition.
    pub sounds: BTreeSet<(u8, Unit)>,
    /// Parts that were named, whether they are known or not.
    pub looks: u32,
    /// Bytes that the groups were sent so far.
    pub sent: u64,
}

impl MediaSender {
    /// Adds those of these parts that are remembered, and have left.
    pub fn lend(&self, name: &NackName, lent: &mut Lent) {
        self.repair.lend(name, &mut lent.parts);
    }

    /// Whether it may have looked up what was sent to groups: each look is paid for, so that a question costs little however
    /// much it names.
    pub fn may_ask_beside(&self) -> bool {
        self.repair.may_ask_beside()
    }

    /// The receiver lacks these, which were sent to a group. Returns whether there are any.
    pub fn ask_beside(&mut self, now: Time, lent: &Lent) -> bool {
        if lent.sent > 0 {
            self.repair.earn_beside(lent.sent);
        }
        self.repair.pay_looks(lent.looks);
        let round_trip = self.stats.rtt.unwrap_or_default();
        self.stats.repair.asked += lent.parts.len() as u64;
        self.repair.ask_beside(now, round_trip, &lent.parts);
        !lent.parts.is_empty()
    }
}

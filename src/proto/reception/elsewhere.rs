//! What is received and not asked for, or asked for elsewhere: the session of a group.

use std::time::Duration;

use super::recovery::NackNames;
use super::{InTime, Receipt, Reception, Traffic, Via};
use crate::proto::clocksync::OneWay;
use crate::units::Time;
use crate::wire::message::NackName;
use crate::wire::object::ObjectView;

impl Reception {
    /// Nothing is to be said to the other end.
    pub fn only_listens(&mut self) {
        self.listening = Some(OneWay::default());
    }

    /// Time passes, and nothing is asked for.
    pub fn listen(&mut self, now: Time) {
        self.recovery.listen(now);
    }

    /// What is missing is asked for elsewhere, where a question and its answer take so long.
    pub const fn asks_elsewhere(&mut self, round_trip: Duration) {
        self.elsewhere = Some(round_trip);
        self.recovery.asks();
    }

    /// What is to be asked for now, as long as an answer would be in time.
    pub fn missing(&mut self, now: Time, in_time: InTime<'_>, traffic: &mut Traffic) -> Vec<NackName> {
        self.recovery.turn(now);
        let NackNames { names, first } = self.recovery.ask(now, in_time);
        traffic.repair.nacks += u64::from(!names.is_empty());
        traffic.repair.asked += first;
        names
    }

    /// An object that was missing has come from elsewhere.
    pub fn repaired(&mut self, now: Time, object: &ObjectView<'_>, exact: &[u8]) -> Receipt {
        self.recovery.rebuilt(&object.header);
        self.rebuild.object(now, &object.header, exact);
        let hop = self.hops.newest().unwrap_or_default();
        Receipt { at: now, session: self.id, hop, via: Via::Resent }
    }
}

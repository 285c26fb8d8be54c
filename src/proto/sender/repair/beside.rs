//! What is sent again to whoever was sent something else: parts that a group was sent, asked for beside it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use super::{Again, BESIDE, LOOK, MOST, Repair, Resend, SHARE, is_affordable, is_named};
use crate::media::coded::Object;
use crate::units::{Time, Unit};
use crate::wire::message::NackName;

impl Repair {
    /// Adds those of these parts that are held, have left, and are not there yet.
    pub fn lend(&self, name: &NackName, lent: &mut BTreeMap<(Unit, u16), Object>) {
        let Some(held) = self.held.iter().rev().find(|held| held.picture.unit == name.unit) else { return };
        if !held.picture.object(0).is_some_and(|object| is_named(&object, name)) {
            return;
        }
        let parts = (0..64).filter(|bit| name.bitmap >> bit & 1 == 1);
        for part in parts.filter_map(|bit| u16::try_from(usize::from(name.first_part) + bit).ok()) {
            if let Entry::Vacant(place) = lent.entry((name.unit, part))
                && let Some((at, object)) = held.picture.part(part)
                && at < held.left.len()
            {
                place.insert(object);
            }
        }
    }

    /// Others have been sent so many bytes so far of what may be asked for here.
    pub fn earn_beside(&mut self, sent: u64) {
        let since = sent.saturating_sub(self.sent_beside.replace(sent).unwrap_or(sent));
        self.credit = (self.credit + since as f64 / SHARE).min(BESIDE);
    }

    /// Whether what others were sent was asked for.
    pub const fn is_beside(&self) -> bool {
        self.sent_beside.is_some()
    }

    /// Whether there is credit left to look for what others were sent.
    pub const fn may_ask_beside(&self) -> bool {
        self.credit >= LOOK
    }

    /// So many parts of that were looked for.
    pub fn pay_looks(&mut self, looks: u32) {
        self.credit = (self.credit - f64::from(looks) * LOOK).max(0.0);
    }

    /// Parts that others were sent are asked for, in one question.
    pub fn ask_beside(&mut self, now: Time, round_trip: Duration, parts: &BTreeMap<(Unit, u16), Object>) {
        let newest = [parts.keys().next_back(), self.beside.keys().next_back()].into_iter().flatten().max();
        let Some((newest, _)) = newest.copied() else { return };
        self.beside.retain(|(unit, _), _| newest.0.abs_diff(unit.0) <= MOST as u32);
        for (part, object) in parts {
            if !is_affordable(self.credit, object) {
                continue;
            }
            let again = self.beside.entry(*part).or_insert(Again { times: 0, at: Time::ZERO });
            if again.is_due(now, round_trip) {
                self.credit -= object.len() as f64;
                let (object, picture, is_second) = (object.clone(), None, false);
                self.pictures.push_back(Resend { object, picture, is_second, since: now });
            }
        }
    }
}

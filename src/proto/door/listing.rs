//! Listings: what there is to watch, in pages none of which is longer than the question.

use crate::wire::message::{Entry, LISTING_HEAD, List, Listing};
use crate::wire::tlv::Tlvs;
use crate::wire::{HOP_LEN, MIN_DATAGRAM};

/// The page that answers a List, with as many of the entries as fit; `entries` begin with the one that is asked for.
pub fn page(list: &List, total: usize, entries: impl Iterator<Item = Entry>, emit: impl FnOnce(&Listing<'_>)) {
    let room = MIN_DATAGRAM - HOP_LEN - LISTING_HEAD;
    let mut tlvs = Vec::with_capacity(room);
    for entry in entries {
        let before = tlvs.len();
        entry.put(&mut tlvs);
        if tlvs.len() > room {
            tlvs.truncate(before);
            break;
        }
    }
    let total = u16::try_from(total).unwrap_or(u16::MAX);
    emit(&Listing { nonce: list.nonce, total, first: list.first, tlvs: Tlvs::trusted(&tlvs) });
}

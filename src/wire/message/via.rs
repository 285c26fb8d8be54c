//! Which relays a stream has come through, or would come through, and how old its pictures were when they left each.

use std::time::Duration;

use crate::wire::bytes::{Put, Reader};
use crate::wire::tlv::{self, Tlvs, kind};

/// A stream goes through no more relays than this.
pub const MAX_HOPS: usize = 8;
/// Ids that are told of those below.
pub const MAX_VIA: usize = 64;

/// A relay on the way of a stream, and how long after they are due its pictures leave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayHop {
    /// The relay's id.
    pub id: u64,
    /// Of the newest picture; `None`: none has left, or it is not known when it was due.
    pub age: Option<Duration>,
}

/// An age that is not known.
const UNKNOWN: u32 = u32::MAX;

/// Appends VIA: ids of relays.
pub fn put_via(out: &mut Vec<u8>, ids: &[u64]) {
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
    tlv::put(out, kind::VIA, &bytes);
}

/// The ids in VIA; none if it is not there.
pub fn via(tlvs: Tlvs<'_>) -> Vec<u64> {
    let (ids, _) = tlvs.find(kind::VIA).unwrap_or_default().as_chunks();
    ids.iter().map(|id| u64::from_be_bytes(*id)).collect()
}

/// Appends HOPS, the relay nearest to the origin first.
pub fn put_hops(out: &mut Vec<u8>, hops: &[RelayHop]) {
    let mut value = Vec::with_capacity(12 * hops.len());
    for RelayHop { id, age } in hops {
        value.u64(*id);
        let micros = age.map(|age| u32::try_from(age.as_micros()).unwrap_or(UNKNOWN - 1).min(UNKNOWN - 1));
        value.u32(micros.unwrap_or(UNKNOWN));
    }
    tlv::put(out, kind::HOPS, &value);
}

/// The relays in HOPS; none if it is not there.
pub fn hops(tlvs: Tlvs<'_>) -> Vec<RelayHop> {
    let value = tlvs.find(kind::HOPS).unwrap_or_default();
    let hop = |hop: &[u8]| {
        let mut reader = Reader::new(hop, "a relay");
        let (id, age) = (reader.u64().ok()?, reader.u32().ok()?);
        Some(RelayHop { id, age: (age != UNKNOWN).then(|| Duration::from_micros(age.into())) })
    };
    value.chunks_exact(12).take(MAX_HOPS).filter_map(hop).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_come_back_as_they_were_told() {
        let there = [RelayHop { id: 7, age: Some(Duration::from_micros(1_234)) }, RelayHop { id: u64::MAX, age: None }];
        let mut out = Vec::new();
        put_hops(&mut out, &there);
        put_via(&mut out, &[1, 2, 3]);
        let tlvs = Tlvs::parse(&out).expect("our own");
        assert_eq!((hops(tlvs), via(tlvs)), (there.to_vec(), vec![1, 2, 3]));
        assert_eq!((hops(Tlvs::default()), via(Tlvs::default())), (Vec::new(), Vec::new()));
        let mut torn = Vec::new();
        tlv::put(&mut torn, kind::HOPS, &[0; 17]);
        tlv::put(&mut torn, kind::VIA, &[0; 9]);
        let tlvs = Tlvs::parse(&torn).expect("lengths add up");
        assert_eq!((hops(tlvs).len(), via(tlvs)), (1, vec![0]), "what is whole counts");
    }

    #[test]
    fn an_age_beyond_all_is_still_one() {
        let mut out = Vec::new();
        put_hops(&mut out, &[RelayHop { id: 1, age: Some(Duration::from_secs(1 << 40)) }]);
        assert!(hops(Tlvs::trusted(&out))[0].age.is_some_and(|age| age > Duration::from_secs(4_000)));
    }
}

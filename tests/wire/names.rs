//! Names of streams, and lists of them.

use proptest::collection::vec;
use proptest::prelude::*;

use udpstream::units::Size;
use udpstream::wire::description::Smaller;
use udpstream::wire::message::{Entry, Listing, State};
use udpstream::wire::tlv::{self, Tlvs};
use udpstream::wire::{Description, StreamName};

use crate::parts::rate;

proptest! {
    #[test]
    fn listings_come_back(
        names in vec("[\\pL][\\pL\\pN._-]{0,14}(/[\\pN]{1,3})?", 0..9), watchers in any::<u32>(), length in any::<Option<u64>>(),
        title in "\\PC{0,40}", rate in rate(), smaller in 0..3_u8, state in 0..3_usize,
    ) {
        let description = Description {
            title: tlv::printable(tlv::shorten(&title, 200)), size: Size::new(64, 48), smaller: Smaller::halved(smaller), rate, length, live: state == 1, sound: state == 0,
            ended: None, sound_ended: None, film: (state == 2).then_some([7; 32]),
        };
        let state = [State::Waiting, State::Playing, State::Ended][state];
        let entry = |name: &String| Entry {
            guarded: name.len() % 2 == 1,
            name: StreamName::parse(name).expect(name), state, watchers, description: description.clone(),
        };
        let names = names.into_iter().filter(|name| StreamName::parse(name).is_ok()).collect::<Vec<_>>();
        let entries: Vec<Entry> = names.iter().map(entry).collect();
        let mut out = Vec::new();
        tlv::put(&mut out, 99, b"what a later version says");
        entries.iter().for_each(|entry| entry.put(&mut out));
        let listing = Listing { nonce: 1, total: 9, first: 0, tlvs: Tlvs::trusted(&out) };
        prop_assert_eq!(listing.entries(), Ok(entries));
    }

    #[test]
    fn any_text_is_a_name_or_a_sentence(text in "\\PC{0,80}") {
        match StreamName::parse(&text) {
            Ok(name) => prop_assert_eq!(StreamName::parse(name.as_str()), Ok(name)),
            Err(error) => prop_assert!(error.to_string().chars().all(|c| !c.is_control())),
        }
        if let Some(name) = StreamName::from_any(&text) {
            prop_assert_eq!(StreamName::parse(name.as_str()), Ok(name));
        }
    }
}

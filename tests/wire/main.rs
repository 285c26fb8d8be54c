//! The wire format from outside: round trips of everything, damaged datagrams of every kind, and a few exact bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use udpstream::media::sound::{self, Chunk, FRAMES, Rendition, fuzz_sound};
use udpstream::units::{Bitrate, MediaTime, Rate, Size, Speed, Time, Unit};
use udpstream::wire::description::{MAX_SIDE, Smaller};
use udpstream::wire::message::{
    Accept, AdaptationReason, ClockEcho, InForce, Jump, Message, Place, Play, Seek, SoundWish, State, Timeline,
    WantedPictures,
};
use udpstream::wire::object::{ObjectHeader, Type, flags};
use udpstream::wire::tlv::{self, Tlvs};
use udpstream::wire::{Description, HOP_LEN, Hop, Kind, MIN_DATAGRAM, ObjectView, fuzz_wire};

mod names;
mod parts;

use parts::{Parts, datagram, object, parts, rate, tlvs};

proptest! {
    #[test]
    fn every_message_comes_back(parts in parts()) {
        for message in parts.messages() {
            let mut body = Vec::new();
            message.emit(&mut body);
            prop_assert_eq!(Message::parse(message.kind(), &body), Ok(message));
        }
    }

    #[test]
    fn hop_headers_come_back(kind in any::<u8>(), tag in any::<u32>(), sequence in any::<u32>(), sent_at in any::<u32>()) {
        let hop = Hop { kind: Kind(kind), tag, sequence, sent_at };
        let bytes = hop.to_bytes();
        let parsed = Hop::parse(&bytes).map(|(parsed, rest)| (parsed, rest.len()));
        prop_assert_eq!(parsed, Ok((hop, 0)));
    }

    #[test]
    fn objects_come_back(parts in parts()) {
        let header = parts.header();
        let bytes = object(&header, &parts.symbol);
        prop_assert_eq!(ObjectView::parse(&bytes[HOP_LEN..]), Ok(ObjectView { header, body: &parts.symbol }));
    }

    #[test]
    fn descriptions_come_back(
        (title, width, height, rate) in ("\\PC{0,40}", 1..=MAX_SIDE, 1..=MAX_SIDE, rate()),
        length in any::<Option<u64>>(), live in any::<bool>(), sound in any::<bool>(),
        (ended, sound_ended) in any::<(Option<u32>, Option<u32>)>(), smaller in vec(0_u8..3, 0..4),
    ) {
        let title = tlv::printable(tlv::shorten(&title, 200));
        let (size, ended, sound_ended) = (Size::new(width, height), ended.map(Unit), sound_ended.map(Unit));
        let mut smaller = smaller;
        smaller.sort_unstable();
        let smaller = if width.min(height) > 8 { Smaller::of(smaller) } else { Smaller::NONE };
        let description = Description { title, size, smaller, rate, length, live, sound, ended, sound_ended, film: None };
        let mut body = Vec::new();
        description.emit(&mut body);
        prop_assert_eq!(Description::parse(&body), Ok(description));
    }

    #[test]
    fn timelines_and_clocks_come_back(parts in parts(), clock in 0..i64::MAX as u64 / 1_000, speed in (1_u32..5, 1_u32..5)) {
        let speed = Speed::new(speed.0, speed.1).expect("a usual speed");
        let state = [State::Waiting, State::Playing, State::Paused, State::Ended][usize::from(parts.bytes.0 % 4)];
        let media = MediaTime::from_micros(parts.ids.0.cast_signed());
        let clock = Time::from_micros(clock);
        let timeline = Timeline { generation: parts.numbers.0, state, media, clock, speed };
        let echo = ClockEcho { echo: parts.numbers.1, held: parts.numbers.2, clock: parts.ids.1 };
        let mut out = Vec::new();
        timeline.put(&mut out);
        echo.put(&mut out);
        let tlvs = Tlvs::parse(&out).expect("sound");
        prop_assert_eq!(tlvs.find(tlv::kind::TIMELINE).map(Timeline::parse), Some(Ok(timeline)));
        prop_assert_eq!(tlvs.find(tlv::kind::CLOCK).map(ClockEcho::parse), Some(Ok(echo)));
    }

    #[test]
    fn orders_and_jumps_come_back(
        (number, from, obeyed) in any::<(u32, u32, u32)>(), (paused, sought, exact) in any::<(bool, bool, bool)>(),
        to in any::<i64>(), speed in (1_u32..5, 1_u32..5), more in tlvs(),
    ) {
        let speed = Speed::new(speed.0, speed.1).expect("a usual speed");
        let seek = sought.then_some(Seek { to: MediaTime::from_micros(to), exact });
        let (play, jump) = (Play { number, paused, seek, speed }, Jump { number, from, obeyed });
        let mut out = Vec::new();
        play.put(&mut out);
        jump.put(&mut out);
        let tlvs = [&out[..], &more].concat();
        let tlvs = Tlvs::parse(&tlvs).expect("sound");
        prop_assert_eq!(tlvs.find(tlv::kind::PLAY).map(Play::parse), Some(Ok(play)));
        prop_assert_eq!(tlvs.find(tlv::kind::JUMP).map(Jump::parse), Some(Ok(jump)));
    }

    #[test]
    fn wishes_for_sound_come_back(place in 0..3_usize, (rendition, coarsest) in any::<(u8, u8)>(), more in tlvs()) {
        let wish = SoundWish { place: [Place::Off, Place::Here, Place::SoundPort][place], rendition, coarsest };
        let mut out = Vec::new();
        wish.put(&mut out);
        let tlvs = [&out[..], &more].concat();
        let found = Tlvs::parse(&tlvs).expect("sound").find(tlv::kind::SOUND).map(<[u8]>::to_vec);
        prop_assert_eq!(found.as_deref().and_then(SoundWish::parse), Some(wish));
        prop_assert_eq!(SoundWish::parse(&[place as u8]), Some(SoundWish { rendition: 0, coarsest: 1, ..wish }));
    }

    #[test]
    fn limits_and_what_is_in_force_come_back(
        (rate, quality, width, height) in (1_u64.., 1..=100_u8, 1..=u16::MAX, any::<u16>()), more in tlvs(),
        (rendition, told, every, kilobits, queue) in (any::<u8>(), any::<u8>(), 1_u8.., 1..=u32::MAX, any::<u16>()),
    ) {
        let max_rate = Some(Bitrate::bps(rate));
        let limits = WantedPictures { max_rate, quality: Some(quality), max_size: Some(Size::new(width, height)) };
        let estimate = Some(Bitrate::bps(u64::from(kilobits) * 1_000));
        let reason = AdaptationReason::Competition;
        let in_force = InForce { rendition, quality: told, every, reason, estimate, queue };
        let mut out = Vec::new();
        limits.put(&mut out);
        in_force.put(&mut out);
        let tlvs = [&out[..], &more].concat();
        let tlvs = Tlvs::parse(&tlvs).expect("sound");
        prop_assert_eq!(WantedPictures::ANY.changed_by(WantedPictures::read(tlvs)), limits);
        prop_assert_eq!(tlvs.find(tlv::kind::THINNING).map(InForce::parse), Some(Ok(in_force)));
    }

    #[test]
    fn chunks_of_sound_come_back(
        frames in vec(any::<[i16; 2]>(), 1..=FRAMES), number in any::<u32>(), stream in any::<u64>(),
    ) {
        let chunk = Chunk { number, frames, captured: Time::ZERO };
        for rendition in [Rendition::Stereo, Rendition::Mono] {
            let object = chunk.object(stream, rendition);
            let view = ObjectView::parse(object.bytes()).expect("our own");
            let Size { width, height } = view.header.size;
            prop_assert_eq!((view.header.unit, view.header.rendition), (Unit(number), rendition.id()));
            let mono = chunk.frames.iter().map(|frame| sound::mono(*frame)).collect();
            let wanted = if rendition == Rendition::Mono { mono } else { chunk.frames.clone() };
            prop_assert_eq!(sound::read(view.body, width, height), Some(wanted));
            prop_assert_eq!(sound::read(view.body, width, 3 - height), None);
            prop_assert_eq!(sound::read(&view.body[1..], width, height), None);
        }
    }

    #[test]
    fn noise_does_not_panic(bytes in vec(any::<u8>(), 0..200)) {
        fuzz_wire(&bytes);
        fuzz_sound(&bytes);
        for kind in 0..=0x28 {
            let hop = Hop { kind: Kind(kind), tag: 0, sequence: 0, sent_at: 0 };
            fuzz_wire(&[&hop.to_bytes()[..], &bytes].concat());
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }

    /// One to four bytes changed, put in or cut off, most of them near the front.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let reach = if self.below(3) > 0 { out.len().min(96) } else { out.len() };
            let (at, value) = (self.below(reach), self.below(256) as u8);
            match self.below(8) {
                0 => out.truncate(at),
                1 => out.insert(at, value),
                _ => out.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= value),
            }
        }
        out
    }
}

fn sample() -> Parts {
    let mut extensions = Vec::new();
    tlv::put(&mut extensions, 4, b"elsewhere:9688");
    tlv::put(&mut extensions, 99, &[]);
    Parts {
        ids: (0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff00, 0x0123_4567_89ab_cdef),
        numbers: (1, 2, 3, 4),
        words: (1_200, 3, 9),
        bytes: (1, 1, 3, 80),
        cookie: [0x5a; 24],
        token: *b"12345678",
        text: "It is over — thank you.".to_owned(),
        tlvs: extensions,
        symbol: (0..100).collect(),
        cells: (0..60).map(|n| 0x8000 | (n * 7)).collect(),
    }
}

#[test]
fn damaged_datagrams_do_not_panic() {
    let parts = sample();
    let mut random = Random(1);
    for message in parts.messages() {
        let whole = datagram(&message);
        (0..whole.len()).for_each(|length| fuzz_wire(&whole[..length]));
        (0..20_000).for_each(|_| fuzz_wire(&random.damage(&whole)));
    }
}

#[test]
fn a_list_of_renditions_ends_where_a_size_is_not_what_it_must_be() {
    let smaller = |sizes: &[(u16, u16)], rest: &[u8]| {
        let size = Size::new(501, 283);
        let (title, rate) = (String::new(), Rate::new(25, 1).expect("25 fps"));
        let (length, live, sound, ended, sound_ended) = (None, false, false, None, None);
        let mut body = Vec::new();
        Description { title, size, smaller: Smaller::NONE, rate, length, live, sound, ended, sound_ended, film: None }
            .emit(&mut body);
        let mut value: Vec<u8> = sizes.iter().flat_map(|(w, h)| [w.to_be_bytes(), h.to_be_bytes()].concat()).collect();
        value.extend_from_slice(rest);
        tlv::put(&mut body, 8, &value);
        Description::parse(&body).map(|description| description.smaller)
    };
    let (half, quarter) = ((251, 142), (126, 71));
    assert_eq!(smaller(&[half, quarter], &[]), Ok(Smaller::halved(2)));
    let rungs = [(501, 283), (501, 283), half, half, quarter];
    assert_eq!(smaller(&rungs, &[]), Ok(Smaller::of([0, 0, 1, 1, 2])), "several of one size");
    assert_eq!(
        smaller(&[half, quarter, (63, 36), half], &[]),
        Ok(Smaller::halved(3)),
        "none is larger than the one before"
    );
    assert_eq!(
        [smaller(&[], &[1, 2, 3]), smaller(&[half], &[0]), smaller(&[quarter, half], &[])],
        [Ok(Smaller::NONE), Ok(Smaller::halved(1)), Ok(Smaller::of([2]))]
    );
    assert_eq!(
        [smaller(&[half, (125, 71)], &[]), smaller(&[(0, 0)], &[])],
        [Ok(Smaller::halved(1)), Ok(Smaller::NONE)]
    );
}

#[test]
fn a_damaged_object_is_refused() {
    let description = Description {
        title: "A film".to_owned(),
        size: Size::new(1_280, 720),
        smaller: Smaller::halved(2),
        rate: Rate::new(30_000, 1_001).expect("NTSC"),
        length: Some(60_000_000),
        live: false,
        sound: true,
        ended: Some(Unit(1_798)),
        sound_ended: Some(Unit(10_335)),
        film: Some([9; 32]),
    };
    let mut body = Vec::new();
    description.emit(&mut body);
    let mut random = Random(2);
    for body in [&body[..], &[], &sample().symbol] {
        let whole = object(&sample().header(), body);
        let sound = &whole[HOP_LEN..];
        assert!(ObjectView::parse(sound).is_ok());
        (0..sound.len()).for_each(|length| assert!(ObjectView::parse(&sound[..length]).is_err()));
        for bit in 0..sound.len() * 8 {
            let mut damaged = sound.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(ObjectView::parse(&damaged).is_err(), "bit {bit}");
        }
        for _ in 0..20_000 {
            let damaged = random.damage(sound);
            fuzz_wire(&[&whole[..HOP_LEN], &damaged].concat());
            // What follows an object is no part of it.
            if !damaged.starts_with(sound) {
                assert!(ObjectView::parse(&damaged).is_err(), "{damaged:02x?}");
            }
        }
    }
}

#[test]
fn pictures_without_area_or_too_large_are_not_described() {
    for (width, height, sound) in [
        (MAX_SIDE, MAX_SIDE, true),
        (1, 1, true),
        (MAX_SIDE + 1, 1, false),
        (1, u16::MAX, false),
        (0, 720, false),
        (1_280, 0, false),
    ] {
        let mut body = Vec::new();
        tlv::put(&mut body, 2, &[&width.to_be_bytes()[..], &height.to_be_bytes(), &[0, 0, 0, 25, 0, 0, 0, 1]].concat());
        assert_eq!(Description::parse(&body).is_ok(), sound, "{width}×{height}");
    }
}

#[test]
fn a_part_lies_below_the_number_of_parts_and_that_is_sixteen_bits_long() {
    for (part, parts, sound) in [(4, 5, true), (5, 5, false), (65_534, 0, true), (u16::MAX, 0, false), (0, 0, true)] {
        let header = ObjectHeader { part, parts, ..sample().header() };
        assert_eq!(ObjectView::parse(&object(&header, &[])[HOP_LEN..]).is_ok(), sound, "{part} of {parts}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_exact_bytes() {
    let hello = datagram(&Message::Hello { highest: 1, lowest: 1, nonce: 0x1122_3344_5566_7788 });
    assert_eq!(hello.len(), MIN_DATAGRAM);
    assert_eq!(hex(&hello[..28]), concat!("5553010101020304", "0000000700000063", "01010000", "1122334455667788"));
    assert!(hello[28..].iter().all(|byte| *byte == 0));

    let accept = Accept {
        nonce: 0x1122_3344_5566_7788,
        session: 0xaabb_ccdd_0102_0304,
        clock: 1_000_000,
        report_interval_ms: 51,
        silence_limit_ms: 3_000,
        sound_port: 9_687,
        token: 0x0102_0304_0506_0708,
        tlvs: Tlvs::default(),
    };
    let expected = concat!(
        "5553010401020304",
        "0000000700000063",
        "1122334455667788",
        "aabbccdd01020304",
        "00000000000f4240",
        "00330bb825d70000",
        "0102030405060708"
    );
    assert_eq!(hex(&datagram(&Message::Accept(accept))), expected);

    let header = ObjectHeader {
        kind: Type::PICTURE,
        flags: flags::LAST,
        stream: 0x1122_3344_5566_7788,
        rendition: 0,
        cut: 0x12,
        tables: 80,
        format: 0,
        unit: Unit(1_000),
        part: 4,
        parts: 5,
        media_time: MediaTime::from_micros(33_366_666),
        size: Size::new(1_280, 720),
        x8: 20,
        y8: 88,
    };
    let expected = concat!(
        "5553011000000001",
        "0000000200000003",
        "0b010002",
        "1122334455667788",
        "00125000",
        "000003e8",
        "00040005",
        "0000000001fd228a",
        "050002d0",
        "00140058",
        "00030000",
        "ffd8ff",
        "1299563d"
    );
    assert_eq!(hex(&object(&header, &[0xff, 0xd8, 0xff])), expected);
}

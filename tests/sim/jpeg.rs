//! A film of real baseline JPEGs (4:2:0, Annex K tables, restart intervals), coded by hand without a codec, and what
//! each of its pictures may be cut into.

use std::collections::BTreeSet;

use udpstream::media::coded::{CodedPicture, Stamps};
use udpstream::media::jpeg::{Index, index, plan, restart_interval, tables};
use udpstream::units::{MediaTime, Rate, Size, Span, Time, Unit};
use udpstream::wire::SizeClass;

use crate::random::Random;

const QUALITY: u8 = 80;
/// Different pictures in a film; they repeat after that.
const DIFFERENT: u32 = 7;

/// One picture, and every slice that any size class may cut it into.
struct Frame {
    jpeg: Vec<u8>,
    index: Index,
    slices: BTreeSet<(u16, u16, Vec<u8>)>,
}

pub struct Film {
    pub size: Size,
    pub rate: Rate,
    /// When pictures are due, in ms, and at last when they are over; empty: at the rate.
    pub stamps: Vec<i64>,
    frames: Vec<Frame>,
}

impl Film {
    /// `detail`: AC coefficients of each block, 3 bits each.
    pub fn new(size: Size, rate: Rate, detail: usize) -> Self {
        let frames = (0..DIFFERENT).map(|n| Frame::new(&draw(size, detail, u64::from(n) + 1))).collect();
        Self { size, rate, stamps: Vec::new(), frames }
    }

    pub fn span(&self, unit: u32) -> Span {
        let stamp = |unit: u32| self.stamps.get(unit as usize).map(|ms| MediaTime::from_micros(ms * 1_000));
        match (stamp(unit), stamp(unit + 1)) {
            (Some(at), Some(next)) => Span { at, lasts: next.since(at) },
            _ => self.rate.span(unit.into()),
        }
    }

    fn frame(&self, unit: Unit) -> &Frame {
        &self.frames[(unit.0 % DIFFERENT) as usize]
    }

    pub fn picture(&self, unit: Unit, captured: Time, now: Time) -> CodedPicture {
        let frame = self.frame(unit);
        CodedPicture {
            unit,
            media_time: self.span(unit.0).at,
            lasts: self.span(unit.0).lasts,
            size: self.size,
            rendition: 0,
            quality: QUALITY,
            layout: 0,
            jpeg: frame.jpeg.clone(),
            index: frame.index.clone(),
            stamps: Stamps { captured, encoding: captured, encoded: now },
        }
    }

    /// Whether the sender can have cut this from one of its pictures.
    pub fn has(&self, x8: u16, y8: u16, jpeg: &[u8]) -> bool {
        // What stands still may be shown again as a later unit.
        let slice = (x8, y8, jpeg.to_vec());
        self.frames.iter().any(|frame| frame.slices.contains(&slice))
    }

    /// How many slices a picture has at this size class.
    pub fn slices(&self, unit: Unit, class: SizeClass) -> usize {
        let frame = self.frame(unit);
        plan(&frame.index, frame.jpeg.len(), class.body_max()).expect("fits").len().max(1)
    }
}

impl Frame {
    fn new(jpeg: &[u8]) -> Self {
        let index = index(jpeg).expect("a sound picture");
        assert_eq!(index.quality, Some(QUALITY), "the usual tables");
        let mut slices = BTreeSet::from([(0, 0, jpeg.to_vec())]);
        for class in SizeClass::ALL.into_iter().chain(SizeClass::forced(3_000)) {
            for slice in plan(&index, jpeg.len(), class.body_max()).expect("fits") {
                let mut body = Vec::new();
                slice.write(&index, jpeg, &mut body);
                slices.insert((slice.x8, slice.y8, body));
            }
        }
        Self { jpeg: jpeg.to_vec(), index, slices }
    }
}

/// A picture of random greys and ripples.
fn draw(size: Size, detail: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let (columns, rows) = (size.width.div_ceil(16), size.height.div_ceil(16));
    let interval = restart_interval(columns, 0).expect("a picture has columns");
    let mut out = vec![0xff, 0xd8];
    tables::append_tables(QUALITY, false, &mut out);
    out.extend_from_slice(&[0xff, 0xc0, 0, 17, 8]);
    out.extend_from_slice(&size.height.to_be_bytes());
    out.extend_from_slice(&size.width.to_be_bytes());
    out.extend_from_slice(&[3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
    out.extend_from_slice(&[0xff, 0xdd, 0, 4]);
    out.extend_from_slice(&interval.to_be_bytes());
    out.extend_from_slice(&[0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
    let intervals = usize::from(columns) * usize::from(rows) / usize::from(interval);
    for n in 0..intervals {
        if n > 0 {
            out.extend_from_slice(&[0xff, 0xd0 + ((n - 1) % 8) as u8]);
        }
        let mut bits = Bits::default();
        (0..interval).for_each(|_| bits.mcu(&mut random, detail));
        bits.finish(&mut out);
    }
    out.extend_from_slice(&[0xff, 0xd9]);
    out
}

/// Huffman-coded bits (ITU-T T.81, tables K.3 to K.6).
#[derive(Default)]
struct Bits {
    bits: Vec<bool>,
}

impl Bits {
    fn put(&mut self, code: &str) {
        self.bits.extend(code.bytes().map(|bit| bit == b'1'));
    }

    fn number(&mut self, value: u64, count: u32) {
        self.bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    }

    fn mcu(&mut self, random: &mut Random, detail: usize) {
        const LUMA_DC: [&str; 4] = ["00", "010", "011", "100"];
        const CHROMA_DC: [&str; 4] = ["00", "01", "10", "110"];
        for block in 0..6 {
            let luma = block < 4;
            let category = random.below(4) as u32;
            self.put(if luma { LUMA_DC } else { CHROMA_DC }[category as usize]);
            self.number(random.next(), category);
            for _ in 0..detail {
                // Run 0, category 1.
                self.put(if luma { "00" } else { "01" });
                self.number(random.next(), 1);
            }
            self.put(if luma { "1010" } else { "00" });
        }
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        while !self.bits.len().is_multiple_of(8) {
            self.bits.push(true);
        }
        for byte in self.bits.chunks(8) {
            let byte = byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
            out.push(byte);
            if byte == 0xff {
                out.push(0);
            }
        }
    }
}

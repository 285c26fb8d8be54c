//! A film of real baseline JPEGs (4:2:0, Annex K tables, restart intervals), coded by hand without a codec, and what
//! each of its pictures may be cut into.

use std::collections::BTreeSet;

use udpstream::media::coded::{CodedPicture, Stamps};
use udpstream::media::jpeg::{Index, index, plan, plan_finely, restart_interval, tables};
use udpstream::proto::ladder::Wish;
use udpstream::units::{MediaTime, Rate, Size, Span, Time, Unit};
use udpstream::wire::SizeClass;

use crate::random::Random;

pub const QUALITY: u8 = 80;
/// Different pictures in a film; they repeat after that.
const DIFFERENT: u32 = 7;

/// One picture, and every slice that any size class may cut it into.
struct Frame {
    jpeg: Vec<u8>,
    index: Index,
    slices: BTreeSet<(u16, u16, Vec<u8>)>,
}

/// Draws pictures as they are wished.
pub trait Draw {
    /// The picture, and whether it took two attempts.
    fn draw(&self, unit: Unit, wish: &Wish) -> (Drawn, bool);
}

pub struct Film {
    pub size: Size,
    pub rate: Rate,
    /// When pictures are due, in ms, and at last when they are over; empty: at the rate.
    pub stamps: Vec<i64>,
    frames: Vec<Frame>,
    /// What draws its pictures as they are wished, instead of those of `frames`.
    elastic: Option<Box<dyn Draw>>,
}

impl Film {
    /// `detail`: AC coefficients of each block, 3 bits each.
    pub fn new(size: Size, rate: Rate, detail: usize) -> Self {
        let frames = (0..DIFFERENT).map(|n| Frame::new(&draw(size, detail, u64::from(n) + 1))).collect();
        Self { size, rate, stamps: Vec::new(), frames, elastic: None }
    }

    /// A film whose pictures are coded to what is wished.
    pub fn elastic(size: Size, rate: Rate, elastic: impl Draw + 'static) -> Self {
        Self { size, rate, stamps: Vec::new(), frames: Vec::new(), elastic: Some(Box::new(elastic)) }
    }

    pub const fn is_elastic(&self) -> bool {
        self.elastic.is_some()
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

    /// The picture as it is if nobody wishes for less.
    pub fn picture(&self, unit: Unit, captured: Time, now: Time) -> CodedPicture {
        self.wished(unit, &Wish::free(QUALITY), captured, now).0
    }

    /// A film that is not elastic has its pictures in one quality and size, whatever is wished. The second value says whether
    /// it took two attempts.
    pub fn wished(&self, unit: Unit, wish: &Wish, captured: Time, now: Time) -> (CodedPicture, bool) {
        let (drawn, again) = match &self.elastic {
            Some(elastic) => elastic.draw(unit, wish),
            None => (self.frame(unit).drawn(), false),
        };
        let coded = CodedPicture {
            unit,
            media_time: self.span(unit.0).at,
            lasts: self.span(unit.0).lasts,
            size: drawn.index.size,
            rendition: drawn.rendition,
            quality: drawn.quality,
            layout: 0,
            jpeg: drawn.jpeg,
            index: drawn.index,
            stamps: Stamps { captured, encoding: captured, encoded: now },
        };
        (coded, again)
    }

    /// Whether the sender can have cut this from one of its pictures. Of an elastic film nobody knows.
    pub fn has(&self, x8: u16, y8: u16, jpeg: &[u8]) -> bool {
        if self.elastic.is_some() {
            return true;
        }
        // What stands still may be shown again as a later unit.
        let slice = (x8, y8, jpeg.to_vec());
        self.frames.iter().any(|frame| frame.slices.contains(&slice))
    }

    /// How many slices a picture has at this size class.
    pub fn slices(&self, unit: Unit, class: SizeClass) -> usize {
        let picture = self.picture(unit, Time::ZERO, Time::ZERO);
        plan(&picture.index, picture.jpeg.len(), class.body_max()).expect("fits").len().max(1)
    }
}

/// A JPEG, and as what it was drawn.
#[derive(Clone)]
pub struct Drawn {
    pub jpeg: Vec<u8>,
    pub index: Index,
    pub rendition: u8,
    pub quality: u8,
}

impl Frame {
    fn new(jpeg: &[u8]) -> Self {
        let index = index(jpeg).expect("a sound picture");
        assert_eq!(index.quality, Some(QUALITY), "the usual tables");
        let mut slices = BTreeSet::from([(0, 0, jpeg.to_vec())]);
        for class in SizeClass::ALL.into_iter().chain(SizeClass::forced(3_000)) {
            let finely = plan_finely(&index, class.body_max()).expect("fits");
            for slice in plan(&index, jpeg.len(), class.body_max()).expect("fits").iter().chain(&finely) {
                let mut body = Vec::new();
                slice.write(&index, jpeg, &mut body);
                slices.insert((slice.x8, slice.y8, body));
            }
        }
        Self { jpeg: jpeg.to_vec(), index, slices }
    }

    fn drawn(&self) -> Drawn {
        Drawn { jpeg: self.jpeg.clone(), index: self.index.clone(), rendition: 0, quality: QUALITY }
    }
}

/// A picture of random greys and ripples.
fn draw(size: Size, detail: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    assemble(size, QUALITY, |interval| {
        let mut bits = Bits::default();
        (0..interval).for_each(|_| bits.mcu(&mut random, [detail; 6]));
        bits.finish()
    })
}

/// A whole JPEG. `code` makes the entropy-coded bytes of the next restart interval, of so many MCUs.
pub fn assemble(size: Size, quality: u8, mut code: impl FnMut(u16) -> Vec<u8>) -> Vec<u8> {
    let (columns, rows) = (size.width.div_ceil(16), size.height.div_ceil(16));
    let interval = restart_interval(columns, 0).expect("a picture has columns");
    let mut out = vec![0xff, 0xd8];
    tables::append_tables(quality, false, &mut out);
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
        out.extend(code(interval));
    }
    out.extend_from_slice(&[0xff, 0xd9]);
    out
}

/// Huffman-coded bits (ITU-T T.81, tables K.3 to K.6).
#[derive(Default)]
pub struct Bits {
    bits: Vec<bool>,
}

impl Bits {
    fn put(&mut self, code: &str) {
        self.bits.extend(code.bytes().map(|bit| bit == b'1'));
    }

    fn number(&mut self, value: u64, count: u32) {
        self.bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    }

    /// `detail`: AC coefficients of each block.
    pub fn mcu(&mut self, random: &mut Random, detail: [usize; 6]) {
        const LUMA_DC: [&str; 4] = ["00", "010", "011", "100"];
        const CHROMA_DC: [&str; 4] = ["00", "01", "10", "110"];
        for (block, detail) in detail.into_iter().enumerate() {
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

    pub fn finish(mut self) -> Vec<u8> {
        let mut out = Vec::new();
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
        out
    }
}

//! JPEGs for the tests of this folder: true in layout, with random entropy-coded bytes. Not decodable.

use super::header::{JFIF, SOI, append_frame, append_intervals, append_restart, append_scan};
use super::index::expected_intervals;
use super::{Subsampling, index, plan, tables};
use crate::units::Size;

/// What to make.
#[derive(Clone, Copy)]
pub struct Sample {
    pub width: u16,
    pub height: u16,
    pub restart: u16,
    pub subsampling: Subsampling,
}

impl Sample {
    pub fn new(width: u16, height: u16, restart: u16) -> Self {
        Self { width, height, restart, subsampling: Subsampling::Yuv420 }
    }

    /// Segments as libjpeg orders them, quality 80; 4 to 24 bytes a MCU with stuffed bytes among them.
    pub fn jpeg(&self, random: &mut Random) -> Vec<u8> {
        let (size, grey) = (Size::new(self.width, self.height), self.subsampling == Subsampling::Grey);
        let (columns, rows) = self.subsampling.grid(size);
        let mcus = if self.restart == 0 { columns * rows } else { self.restart.into() };
        let intervals: Vec<_> = (0..expected_intervals(self.subsampling, size, self.restart))
            .map(|_| (0..4 * mcus + random.below(20 * mcus)).flat_map(|_| random.stuffed()).collect::<Vec<u8>>())
            .collect();
        let mut out = [&SOI[..], &JFIF].concat();
        tables::append_quantisation(80, grey, &mut out);
        append_frame(size, self.subsampling, &mut out);
        tables::append_huffman(grey, &mut out);
        if self.restart > 0 {
            append_restart(self.restart, &mut out);
        }
        append_scan(self.subsampling, &mut out);
        append_intervals(intervals.iter().map(Vec::as_slice), &mut out);
        out
    }
}

/// All slices of a sound JPEG that does not fit.
pub fn cut(jpeg: &[u8], body_max: usize) -> Vec<(u16, u16, Vec<u8>)> {
    let index = index(jpeg).expect("sound");
    let slices = plan(&index, jpeg.len(), body_max).expect("fits");
    let write = |slice: &super::Slice| {
        let mut body = Vec::new();
        slice.write(&index, jpeg, &mut body);
        (slice.x8, slice.y8, body)
    };
    slices.iter().map(write).collect()
}

/// SplitMix64, from a printed seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// One to four bytes changed, inserted or cut off; half of the hits are aimed at the first 80 bytes.
    pub fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let reach = if self.below(2) == 0 { out.len().min(80) } else { out.len() };
            let at = self.below(reach);
            let value = if self.below(4) == 0 { 0xFF } else { self.next() as u8 };
            match self.below(20) {
                0 => out.truncate(at),
                1 => out.insert(at, value),
                _ => out.iter_mut().skip(at).take(1).for_each(|byte| *byte = value),
            }
        }
        out
    }

    fn stuffed(&mut self) -> impl Iterator<Item = u8> + use<> {
        let byte = self.next() as u8;
        std::iter::once(byte).chain((byte == 0xFF).then_some(0))
    }
}

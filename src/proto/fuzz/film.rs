//! Pictures coded by hand, each different from every other, and what the origin may have made of each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::media::coded::{CodedPicture, Stamps};
use crate::media::jpeg::{index, tables};
use crate::units::{Rate, Size, Time, Unit};
use crate::wire::{ObjectView, SizeClass};

const QUALITY: u8 = 80;
/// 300 MCUs: some 2 kB, so that the two smaller classes cut it.
pub const SIZE: Size = Size::new(320, 240);
const MCUS: u32 = 300;
const INTERVAL: u32 = 10;
/// Pictures remembered.
const KEPT: usize = 256;

/// The slices of a picture: where, and which bytes.
type Slices = BTreeSet<(u16, u16, Vec<u8>)>;

#[derive(Default)]
pub struct Film {
    made: BTreeMap<(u64, Unit), Slices>,
    /// Their names, oldest first.
    order: VecDeque<(u64, Unit)>,
}

impl Film {
    /// Picture `unit` of a stream. `None` if this file cannot draw, which a test would notice.
    pub fn picture(&mut self, stream: u64, unit: Unit, rate: Rate, now: Time) -> Option<CodedPicture> {
        let jpeg = draw(stream as u32 ^ unit.0.wrapping_mul(0x9e37_79b9));
        let picture = CodedPicture {
            unit,
            media_time: rate.media_time(u64::from(unit.0)),
            lasts: rate.interval(),
            size: SIZE,
            rendition: 0,
            quality: QUALITY,
            layout: 0,
            index: index(&jpeg).ok()?,
            jpeg,
            stamps: Stamps { captured: now, encoding: now, encoded: now },
        };
        let mut slices = Slices::new();
        let (at, media_time) = (picture.unit, picture.media_time);
        let ways = SizeClass::ALL.into_iter().flat_map(|class| [(class, false), (class, true)]);
        let cut = |(class, fine)| picture.cut_as(stream, class, fine, at, media_time).ok();
        for cut in ways.filter_map(cut) {
            for object in (0..cut.parts()).filter_map(|part| cut.object(part)) {
                let view = ObjectView::parse(object.bytes()).ok()?;
                slices.insert((view.header.x8, view.header.y8, view.body.to_vec()));
            }
        }
        // The last unit that there is may be made again and again.
        if self.made.insert((stream, unit), slices).is_none() {
            self.order.push_back((stream, unit));
        }
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.made.remove(&oldest);
        }
        Some(picture)
    }

    /// Whether the origin has made these bytes under this name.
    pub fn has(&self, stream: u64, unit: Unit, x8: u16, y8: u16, jpeg: &[u8]) -> bool {
        self.made.get(&(stream, unit)).is_some_and(|slices| slices.contains(&(x8, y8, jpeg.to_vec())))
    }
}

/// 320 × 240 in 4:2:0: each MCU is five bytes, with two DC differences of three bits for which `seed` decides.
fn draw(seed: u32) -> Vec<u8> {
    let mut out = vec![0xff, 0xd8];
    tables::append_tables(QUALITY, false, &mut out);
    out.extend_from_slice(&[0xff, 0xc0, 0, 17, 8, 0, 240, 1, 64, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
    out.extend_from_slice(&[0xff, 0xdd, 0, 4, 0, INTERVAL as u8]);
    out.extend_from_slice(&[0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
    let mut state = seed | 1;
    for n in 0..MCUS {
        if n > 0 && n % INTERVAL == 0 {
            out.extend_from_slice(&[0xff, 0xd0 + ((n / INTERVAL - 1) % 8) as u8]);
        }
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Luma DC of category 3 is 100 and three bits, its end of block 1010; category 0 is 00. Chroma: 00 and 00.
        let (v, w) = (u64::from(state >> 29), u64::from(state >> 26 & 7));
        let mcu = 0b100 << 37 | v << 34 | 0b1010 << 30 | 0b100 << 27 | w << 24 | 0b1010 << 20 | 0b0010_1000_1010 << 8;
        out.extend_from_slice(&u64::to_be_bytes(mcu)[3..]);
    }
    out.extend_from_slice(&[0xff, 0xd9]);
    out
}

//! A picture before it is coded: full-range BT.601 4:2:0, the only colour the wire knows.

use crate::queue::{Pool, Pooled};
use crate::units::{Size, Time};

/// Three planes, tightly packed one after the other: Y (w × h), then U and V (⌈w/2⌉ × ⌈h/2⌉ each).
pub struct Picture {
    /// Position in the source, counted from 0; pictures the source dropped are counted too.
    pub number: u32,
    /// When the picture came into being, as exactly as the source knows.
    pub captured: Time,
    pub size: Size,
    planes: Pooled<Vec<u8>>,
}

impl Picture {
    /// Bytes of one picture of this size.
    pub const fn bytes(size: Size) -> usize {
        size.pixels() + 2 * Self::chroma(size).pixels()
    }

    /// Size of the U and V planes.
    pub const fn chroma(size: Size) -> Size {
        Size::new(size.width.div_ceil(2), size.height.div_ceil(2))
    }

    /// A picture whose planes hold whatever the pooled buffer held before.
    pub fn from_pool(pool: &Pool<Vec<u8>>, size: Size, number: u32, captured: Time) -> Self {
        let mut planes = pool.take(Vec::new);
        planes.resize(Self::bytes(size), 0);
        Self { number, captured, size, planes }
    }

    /// All three planes in order.
    pub fn planes_mut(&mut self) -> &mut [u8] {
        &mut self.planes
    }

    /// Y, U, V.
    pub fn planes(&self) -> [&[u8]; 3] {
        let (y, chroma) = self.planes.split_at(self.size.pixels());
        let (u, v) = chroma.split_at(Self::chroma(self.size).pixels());
        [y, u, v]
    }

    /// Y, U, V, writable.
    pub fn split_mut(&mut self) -> [&mut [u8]; 3] {
        let size = self.size;
        let (y, chroma) = self.planes.split_at_mut(size.pixels());
        let (u, v) = chroma.split_at_mut(Self::chroma(size).pixels());
        [y, u, v]
    }
}

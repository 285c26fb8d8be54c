//! A picture before it is coded: full-range BT.601 4:2:0, the only colour the wire knows; or as a camera has coded it.

use std::sync::Arc;

use crate::queue::{Pool, Pooled};
use crate::units::{Size, Span, Time};

/// Draws pictures that may never be wanted.
pub trait Painter: Send + Sync {
    /// Of all its pictures.
    fn size(&self) -> Size;

    /// Draws picture `number` over whatever `picture` held.
    fn draw(&self, picture: &mut Picture, number: u32);
}

/// Three planes, tightly packed one after the other: Y (w × h), then U and V (⌈w/2⌉ × ⌈h/2⌉ each).
pub struct Picture {
    /// Position in the source, counted from 0; pictures the source dropped are counted too.
    pub number: u32,
    /// When the picture came into being, as exactly as the source knows.
    pub captured: Time,
    /// Where its film has it; `None` of a live picture, whose capture says it.
    pub span: Option<Span>,
    pub size: Size,
    /// The number of the picture that showed this first: two pictures of one source with the same `content` are the same.
    pub content: u32,
    pixels: Pixels,
}

enum Pixels {
    Own(Pooled<Vec<u8>>),
    /// Those of another picture that shows the same.
    Shared(Arc<Pooled<Vec<u8>>>),
    Jpeg(Pooled<Vec<u8>>),
    /// What the painter will draw; the pool has the planes for it.
    Undrawn(Arc<dyn Painter>, Pool<Vec<u8>>),
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
        Self { number, captured, span: None, size, content: number, pixels: Pixels::Own(planes) }
    }

    /// A picture that came as a JPEG; it has no planes.
    pub const fn from_jpeg(jpeg: Pooled<Vec<u8>>, size: Size, number: u32, captured: Time) -> Self {
        Self { number, captured, span: None, size, content: number, pixels: Pixels::Jpeg(jpeg) }
    }

    /// A picture that is drawn only by [`Picture::draw`]: nobody may want to see it.
    pub fn undrawn(painter: Arc<dyn Painter>, pool: &Pool<Vec<u8>>, number: u32, captured: Time) -> Self {
        let size = painter.size();
        let pixels = Pixels::Undrawn(painter, pool.clone());
        Self { number, captured, span: None, size, content: number, pixels }
    }

    /// Draws it, if that is still to be done. Until then it has no planes.
    pub fn draw(&mut self) {
        if let Pixels::Undrawn(painter, pool) = &self.pixels {
            let (painter, mut planes) = (Arc::clone(painter), pool.take(Vec::new));
            planes.resize(Self::bytes(self.size), 0);
            self.pixels = Pixels::Own(planes);
            painter.draw(self, self.number);
        }
    }

    /// The same picture under another number and at another time, without a copy; `None` of one that came as a JPEG.
    pub fn again(&mut self, number: u32, captured: Time) -> Option<Self> {
        self.draw();
        let planes = match std::mem::replace(&mut self.pixels, Pixels::Own(Pooled::unpooled(Vec::new()))) {
            Pixels::Own(planes) => Arc::new(planes),
            Pixels::Shared(planes) => planes,
            other => {
                self.pixels = other;
                return None;
            }
        };
        self.pixels = Pixels::Shared(Arc::clone(&planes));
        let (size, content) = (self.size, self.content);
        Some(Self { number, captured, span: None, size, content, pixels: Pixels::Shared(planes) })
    }

    /// As it came, if it came so.
    pub fn jpeg(&self) -> Option<&[u8]> {
        match &self.pixels {
            Pixels::Jpeg(jpeg) => Some(jpeg),
            Pixels::Own(_) | Pixels::Shared(_) | Pixels::Undrawn(..) => None,
        }
    }

    /// All three planes in order. Of a picture that is shared, or came as a JPEG, they are new ones, and grey.
    pub fn planes_mut(&mut self) -> &mut [u8] {
        self.draw();
        if !matches!(self.pixels, Pixels::Own(_)) {
            self.pixels = Pixels::Own(Pooled::unpooled(vec![128; Self::bytes(self.size)]));
        }
        match &mut self.pixels {
            Pixels::Own(planes) => planes,
            Pixels::Shared(_) | Pixels::Jpeg(_) | Pixels::Undrawn(..) => &mut [],
        }
    }

    /// Y, U, V; empty if it came as a JPEG or is not drawn yet.
    pub fn planes(&self) -> [&[u8]; 3] {
        let planes: &[u8] = match &self.pixels {
            Pixels::Own(planes) => planes,
            Pixels::Shared(planes) => planes,
            Pixels::Jpeg(_) | Pixels::Undrawn(..) => return [&[]; 3],
        };
        let (y, chroma) = planes.split_at(self.size.pixels());
        let (u, v) = chroma.split_at(Self::chroma(self.size).pixels());
        [y, u, v]
    }

    /// Y, U, V, writable; see [`Picture::planes_mut`].
    pub fn split_mut(&mut self) -> [&mut [u8]; 3] {
        let size = self.size;
        let (y, chroma) = self.planes_mut().split_at_mut(size.pixels());
        let (u, v) = chroma.split_at_mut(Self::chroma(size).pixels());
        [y, u, v]
    }
}

//! The coded form of the picture that is shown, kept where pictures are decoded smaller than they are: when a tile becomes
//! larger, or the picture is to be saved, it is decoded again.

use std::sync::Arc;

use crate::codec::PairedDecoder;
use crate::media::{Canvas, Eighths};
use crate::proto::receiver::Slice;
use crate::queue::Watched;
use crate::units::Size;

/// How large pictures are shown. Set by the window's thread.
#[derive(Clone, Default)]
pub struct Room(Option<Arc<Watched<Size>>>);

impl Room {
    /// Of a tile, whose size is not known yet.
    pub fn of_tile() -> Self {
        Self(Some(Arc::new(Watched::new(Size::new(0, 0)))))
    }

    pub fn set(&self, size: Size) {
        if let Some(room) = &self.0 {
            room.store(size);
        }
    }

    pub const fn is_tile(&self) -> bool {
        self.0.is_some()
    }

    /// At what scale a picture is decoded: in full for a window of its own, so that what is saved from there is whole.
    pub fn scale(&self, picture: Size) -> Eighths {
        self.0.as_ref().map_or(Eighths::FULL, |room| Eighths::covering(picture, room.load()))
    }
}

/// Slices of the picture in the making, and of the one that is shown.
pub struct Standing {
    kept: bool,
    coming: Vec<Slice>,
    shown: Vec<Slice>,
}

impl Standing {
    /// `kept`: there is a use for it.
    pub const fn new(kept: bool) -> Self {
        Self { kept, coming: Vec::new(), shown: Vec::new() }
    }

    pub fn slice(&mut self, slice: &Slice) {
        if self.kept {
            self.coming.push(slice.clone());
        }
    }

    /// The picture of all slices since the last one is shown now.
    pub fn show(&mut self) {
        std::mem::swap(&mut self.coming, &mut self.shown);
        self.coming.clear();
    }

    pub fn clear(&mut self) {
        self.coming.clear();
        self.shown.clear();
    }

    /// Decodes what is shown into another canvas; what is missing, and what this has no slices of, comes from `shown`.
    pub fn decode(&self, decoder: &mut PairedDecoder, canvas: &mut Canvas, shown: &Canvas) {
        let size = canvas.picture();
        for slice in self.shown.iter().filter(|slice| slice.size == size) {
            // What is damaged is filled as what is missing.
            decoder.decode(slice.tables, slice.jpeg.bytes(), canvas, slice.x8, slice.y8).ok();
        }
        canvas.fill_missing(Some(shown));
    }
}

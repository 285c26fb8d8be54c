//! The pictures of a file, one after the other: each becomes one JPEG as large as the stream, whatever came of it.

use super::renditions::Renditions;
use crate::proto::receiver::Slice;
use crate::units::Size;

/// What came of one picture.
pub enum What {
    Whole(Vec<u8>),
    Slices(Size, Vec<Slice>),
    /// It shows the same as the one before.
    Same,
}

impl What {
    pub fn bytes(&self) -> usize {
        match self {
            Self::Whole(jpeg) => jpeg.len(),
            Self::Slices(_, slices) => slices.iter().map(|slice| slice.jpeg.len()).sum(),
            Self::Same => 0,
        }
    }
}

/// See the head of this file.
#[derive(Default)]
pub struct Pictures {
    /// The last of them.
    last: Vec<u8>,
    /// The same as it came, if it was a smaller rendition.
    small: Vec<u8>,
    renditions: Renditions,
}

impl Pictures {
    /// The JPEG of the next picture; `None` if nothing can be made of what came.
    pub fn take(&mut self, full: Size, what: What) -> Option<&[u8]> {
        match what {
            What::Whole(jpeg) => self.last = jpeg,
            What::Slices(size, slices) => {
                let before = if self.small.is_empty() { &self.last } else { &self.small };
                let joined = self.renditions.joined(size, &slices, before)?;
                if size == full {
                    (self.last, self.small) = (joined, Vec::new());
                } else {
                    (self.last, self.small) = (self.renditions.enlarged(&joined, full)?, joined);
                }
            }
            What::Same => {}
        }
        (!self.last.is_empty()).then_some(&self.last)
    }

    /// What follows is another stream.
    pub fn forget(&mut self) {
        self.last.clear();
        self.small.clear();
    }
}

//! JPEG as bytes (ITU-T T.81, baseline only): where its restart intervals lie, how it is cut into slices that decode
//! alone, how slices become one picture again, and how it is coded anew so that it can be cut. No pixel is touched here;
//! that is the codec's work.
#![forbid(unsafe_code)]

pub mod conceal;
pub mod cut;
mod entropy;
mod fuzz;
pub mod halve;
mod header;
pub mod index;
pub mod join;
pub mod recode;
#[cfg(test)]
mod sample;
pub mod tables;

pub use conceal::{Joined, join_over};
pub use cut::{Slice, TooBig, plan, plan_finely, restart_interval};
#[doc(hidden)]
pub use fuzz::fuzz_jpeg;
pub use halve::{Halves, halve, stack};
pub use index::{Index, index, index_of_tall};
pub use join::{SliceHeader, header_of_slice, join, whole};
pub use recode::{Recoder, quality_for};

use crate::units::Size;

/// How coarsely chroma is sampled; the layouts every decoder and the wire agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subsampling {
    Yuv420,
    Yuv422,
    Yuv444,
    Grey,
}

impl Subsampling {
    /// Pixels of one minimum coded unit.
    pub const fn mcu(self) -> Size {
        match self {
            Self::Yuv420 => Size::new(16, 16),
            Self::Yuv422 => Size::new(16, 8),
            Self::Yuv444 | Self::Grey => Size::new(8, 8),
        }
    }

    /// 1 for grey, else 3.
    pub const fn components(self) -> usize {
        if matches!(self, Self::Grey) { 1 } else { 3 }
    }

    /// Columns and rows of MCUs in a picture of this size.
    pub(crate) const fn grid(self, size: Size) -> (usize, usize) {
        let mcu = self.mcu();
        (size.width.div_ceil(mcu.width) as usize, size.height.div_ceil(mcu.height) as usize)
    }
}

/// Why bytes are not a JPEG that can be used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JpegError {
    #[error("not a JPEG: it does not begin with SOI")]
    NotJpeg,
    #[error("the JPEG ends too early")]
    Truncated,
    #[error("the JPEG segment ff{0:02x} is malformed")]
    Segment(u8),
    #[error("the JPEG has an unexpected marker ff{0:02x}")]
    Marker(u8),
    #[error("unsupported JPEG: {0}")]
    Unsupported(&'static str),
    #[error("the entropy-coded data of the JPEG are damaged")]
    Scan,
    #[error("the JPEG uses a table that it does not carry")]
    MissingTable,
    #[error("an abbreviated JPEG must not carry tables or choose other than the usual ones")]
    Tables,
    #[error("the tables' quality {0} is not within 1–100")]
    Quality(u8),
    #[error("the JPEG has {found} restart intervals where {expected} are due")]
    Restarts { expected: u64, found: u64 },
    #[error("a restart interval is empty or out of order")]
    RestartOrder,
    #[error("the slices do not make a picture: {0}")]
    Slices(&'static str),
}

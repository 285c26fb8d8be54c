//! Picture → one JPEG with restart intervals; JPEG or slice of one → rectangle of a canvas. By libjpeg-turbo. Chunks of sound
//! → coded units, and back, by libopus.

mod bands;
mod enlarge;
mod fit;
mod opus;
mod turbo;

pub use bands::{PairedDecoder, PairedEncoder, second_thread};
pub use enlarge::in_full;
pub use fit::Fitter;
pub use opus::{SoundDecoder, SoundEncoder};
pub use turbo::{Converter, Decoder, Encoder};

use crate::media::jpeg::JpegError;
use crate::units::Size;

/// Why a picture was not encoded or decoded. Both sides stay usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    #[error(transparent)]
    Jpeg(#[from] JpegError),
    #[error("JPEG quality {0} is not within 1–100")]
    Quality(u8),
    #[error("tables {0} are not known here: 0 is inline, 1–100 the quality of Annex K's")]
    Tables(u8),
    #[error("a picture of {0} has no pixels")]
    Empty(Size),
    #[error("a slice of {slice} at {x}, {y} does not lie within the picture of {canvas}")]
    Outside { slice: Size, x: u32, y: u32, canvas: Size },
    #[error("a picture cannot be scaled: {0}")]
    Scale(String),
    #[error("no second thread could be started: {0}")]
    Thread(String),
    #[error("libjpeg-turbo: {0}")]
    Library(String),
    #[error("libopus: {0}")]
    Sound(&'static str),
}

#[cfg(test)]
mod tests;

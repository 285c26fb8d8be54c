//! Planes → JPEG.

use std::ffi::c_int;
use std::ops::Range;

use super::{Handle, raw};
use crate::codec::CodecError;
use crate::media::Picture;
use crate::media::jpeg::Subsampling;
use crate::units::Size;

/// Turns pictures into baseline JPEGs: 4:2:0, standard Huffman tables, Annex K quantisation.
pub struct Encoder {
    handle: Handle,
    /// Where the library writes; large enough for the worst picture of the sizes seen so far.
    buffer: Vec<u8>,
    /// Luma of odd sizes, with its last column and row doubled: the library reads whole pairs.
    padded: Vec<u8>,
}

impl Encoder {
    pub fn new() -> Result<Self, CodecError> {
        let mut handle = Handle::new(raw::TJINIT_TJINIT_COMPRESS)?;
        handle.set(raw::TJPARAM_TJPARAM_NOREALLOC, 1)?;
        handle.set(raw::TJPARAM_TJPARAM_SUBSAMP, raw::TJSAMP_TJSAMP_420)?;
        Ok(Self { handle, buffer: Vec::new(), padded: Vec::new() })
    }

    /// One JPEG with a restart marker every `restart_blocks` MCUs (0 = none), in a vector of exactly its size.
    pub fn encode(&mut self, picture: &Picture, quality: u8, restart_blocks: u16) -> Result<Vec<u8>, CodecError> {
        self.encode_planes(picture.planes(), picture.size, quality, restart_blocks)
    }

    /// A JPEG of these rows alone; they begin at an even one.
    pub(in crate::codec) fn encode_rows(
        &mut self,
        picture: &Picture,
        rows: Range<u16>,
        quality: u8,
        restart_blocks: u16,
    ) -> Result<Vec<u8>, CodecError> {
        let size = Size::new(picture.size.width, rows.end.saturating_sub(rows.start));
        let above = Size::new(size.width, rows.start);
        let (chroma, chroma_above) = (Picture::chroma(size), Picture::chroma(above));
        let [y, u, v] = picture.planes();
        let planes = [(y, above, size), (u, chroma_above, chroma), (v, chroma_above, chroma)];
        let planes = planes
            .map(|(plane, above, size)| plane.get(above.pixels()..above.pixels() + size.pixels()).unwrap_or_default());
        self.encode_planes(planes, size, quality, restart_blocks)
    }

    fn encode_planes(
        &mut self,
        planes: [&[u8]; 3],
        size: Size,
        quality: u8,
        restart_blocks: u16,
    ) -> Result<Vec<u8>, CodecError> {
        if !(1..=100).contains(&quality) {
            return Err(CodecError::Quality(quality));
        }
        self.handle.set(raw::TJPARAM_TJPARAM_QUALITY, c_int::from(quality))?;
        self.handle.set(raw::TJPARAM_TJPARAM_RESTARTBLOCKS, c_int::from(restart_blocks))?;
        self.make_room(size)?;
        let [y, u, v] = planes;
        let (y, stride) = pad_luma(y, size, &mut self.padded);
        let length = self.handle.compress([y, u, v], stride, size, Picture::chroma(size), &mut self.buffer)?;
        Ok(self.buffer.get(..length).unwrap_or_default().to_vec())
    }

    fn make_room(&mut self, size: Size) -> Result<(), CodecError> {
        if size.pixels() == 0 {
            return Err(CodecError::Empty(size));
        }
        // SAFETY: a pure function of three numbers.
        let bytes = unsafe { raw::tj3JPEGBufSize(size.width.into(), size.height.into(), raw::TJSAMP_TJSAMP_420) };
        let (columns, rows) = Subsampling::Yuv420.grid(size);
        let needed = bytes as usize + columns * rows * BYTES_PER_RESTART;
        if self.buffer.len() < needed {
            self.buffer.resize(needed, 0);
        }
        Ok(())
    }
}

/// Luma of even width and height, and its stride. Even pictures are passed on as they are.
fn pad_luma<'a>(y: &'a [u8], size: Size, padded: &'a mut Vec<u8>) -> (&'a [u8], usize) {
    let (width, height) = (usize::from(size.width), usize::from(size.height));
    if width.is_multiple_of(2) && height.is_multiple_of(2) {
        return (y, width);
    }
    padded.clear();
    for row in y.chunks_exact(width).chain(y.chunks_exact(width).last().filter(|_| height % 2 == 1)) {
        padded.extend_from_slice(row);
        if width % 2 == 1 {
            padded.extend(row.last());
        }
    }
    (padded, width.next_multiple_of(2))
}

/// A marker and up to seven bits of padding, rounded up.
const BYTES_PER_RESTART: usize = 4;

//! The only module that talks to libjpeg-turbo directly: the safe crate hides restart intervals and plain upsampling.
//!
//! What makes it safe: every buffer's length is known here and told to the library or checked against what the header
//! says before the library writes; a handle is owned by one value and freed once.
#![expect(unsafe_code, reason = "libjpeg-turbo is C; this module is its only door")]

mod converter;
mod encoder;

use std::ffi::{CStr, c_int};

pub use converter::Converter;
pub use encoder::Encoder;
use turbojpeg::raw;

use super::CodecError;
use crate::media::canvas::Rectangle;
use crate::media::jpeg::{self, Index, Subsampling};
use crate::media::{Canvas, Eighths};
use crate::units::Size;

/// Turns JPEGs and slices into pixels of a canvas.
pub struct Decoder {
    handle: Handle,
    /// The tables of `prepared`, then the slice being decoded.
    scratch: Vec<u8>,
    prepared: Option<(u8, bool)>,
    prepared_len: usize,
}

impl Decoder {
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self { handle: Handle::decompressor()?, scratch: Vec::new(), prepared: None, prepared_len: 0 })
    }

    /// Decodes one JPEG into the rectangle of the canvas whose corner is (`x8`, `y8`) × 8 pixels and marks it covered.
    ///
    /// `tables`: 0 = the body is in interchange format, 1–100 = abbreviated, without Annex K's tables of that quality.
    /// A rectangle that does not lie inside the canvas is refused before a pixel is written. When the entropy-coded
    /// data is damaged, pixels of the rectangle may have changed, but it is not marked. A canvas of a smaller scale gets
    /// its pixels from the library at that scale, which takes less time than all of them.
    pub fn decode(&mut self, tables: u8, body: &[u8], canvas: &mut Canvas, x8: u16, y8: u16) -> Result<(), CodecError> {
        let size = match tables {
            0 => {
                let size = jpeg::index::size_of_whole(body)?;
                self.decode_checked(body, false, size, canvas, (x8, y8))?;
                size
            }
            1..=100 => {
                let size = self.prepare(tables, body)?;
                let jpeg = std::mem::take(&mut self.scratch);
                let done = self.decode_checked(&jpeg, true, size, canvas, (x8, y8));
                self.scratch = jpeg;
                done?;
                size
            }
            _ => return Err(CodecError::Tables(tables)),
        };
        canvas.cover(x8, y8, size.width, size.height);
        Ok(())
    }

    /// The planes of a JPEG in interchange format that is described by `index`, one after the other as its subsampling
    /// has them, each tightly packed; of a grey one luma alone. Full-range BT.601, as JPEG is.
    pub fn planes(&mut self, jpeg: &[u8], index: &Index, planes: &mut Vec<u8>) -> Result<(), CodecError> {
        match self.handle.decompress_planes(jpeg, index, planes) {
            Ok(()) => Ok(()),
            Err(failure) => {
                self.handle = Handle::decompressor()?;
                if failure.warning { Ok(()) } else { Err(failure.error) }
            }
        }
    }

    /// Decodes one slice from the rectangle's first pixel on. Nobody marks it.
    pub(super) fn decode_slice(
        &mut self,
        quality: u8,
        body: &[u8],
        scale: Eighths,
        rectangle: Rectangle<'_>,
    ) -> Result<(), CodecError> {
        let size = self.prepare(quality, body)?;
        let jpeg = std::mem::take(&mut self.scratch);
        let done = self.decompress(&jpeg, true, (size, scale), rectangle);
        self.scratch = jpeg;
        done
    }

    /// Puts tables and body together in the scratch buffer; the tables stay there for the next slice.
    fn prepare(&mut self, quality: u8, body: &[u8]) -> Result<Size, CodecError> {
        let header = jpeg::header_of_slice(body)?;
        let wanted = (quality, header.subsampling == Subsampling::Grey);
        if self.prepared != Some(wanted) {
            self.scratch.clear();
            self.scratch.extend_from_slice(SOI);
            jpeg::tables::append_tables(quality, wanted.1, &mut self.scratch);
            (self.prepared, self.prepared_len) = (Some(wanted), self.scratch.len());
        }
        self.scratch.truncate(self.prepared_len);
        self.scratch.extend_from_slice(body.get(SOI.len()..).unwrap_or_default());
        Ok(Size::new(header.width, header.height))
    }

    fn decode_checked(
        &mut self,
        jpeg: &[u8],
        ours: bool,
        size: Size,
        canvas: &mut Canvas,
        (x8, y8): (u16, u16),
    ) -> Result<(), CodecError> {
        let outside =
            CodecError::Outside { slice: size, x: u32::from(x8) * 8, y: u32::from(y8) * 8, canvas: canvas.picture() };
        let scale = canvas.scale();
        let rectangle = canvas.rectangle_mut(x8, y8, size.width, size.height).ok_or(outside)?;
        self.decompress(jpeg, ours, (size, scale), rectangle)
    }

    fn decompress(
        &mut self,
        jpeg: &[u8],
        ours: bool,
        (size, scale): (Size, Eighths),
        rectangle: Rectangle<'_>,
    ) -> Result<(), CodecError> {
        match self.handle.decompress(jpeg, size, scale, rectangle) {
            Ok(()) => Ok(()),
            Err(failure) => {
                // After an error the library's state cannot be trusted to be free of the last picture.
                self.handle = Handle::decompressor()?;
                // Cameras write what libjpeg only warns of, and the picture is whole; our slices have no such excuse.
                if failure.warning && !ours { Ok(()) } else { Err(failure.error) }
            }
        }
    }
}

struct Failure {
    error: CodecError,
    /// The picture was decoded to its end.
    warning: bool,
}

/// An instance of the library, owned.
struct Handle(raw::tjhandle);

// SAFETY: an instance has no tie to the thread that made it; it may be used by one thread at a time, and `&mut self`
// sees to that.
unsafe impl Send for Handle {}

impl Handle {
    fn new(kind: raw::TJINIT) -> Result<Self, CodecError> {
        // SAFETY: any number is allowed; null is returned for unknown ones and when memory is short.
        let handle = unsafe { raw::tj3Init(kind as c_int) };
        if handle.is_null() {
            return Err(CodecError::Library("no instance to be had".into()));
        }
        Ok(Self(handle))
    }

    fn decompressor() -> Result<Self, CodecError> {
        let mut handle = Self::new(raw::TJINIT_TJINIT_DECOMPRESS)?;
        // Without it the seams between slices would show: smooth upsampling looks across them.
        handle.set(raw::TJPARAM_TJPARAM_FASTUPSAMPLE, 1)?;
        handle.set(raw::TJPARAM_TJPARAM_FASTDCT, 0)?;
        Ok(handle)
    }

    fn set(&mut self, parameter: raw::TJPARAM, value: c_int) -> Result<(), CodecError> {
        // SAFETY: the handle is live; the library checks parameter and value.
        match unsafe { raw::tj3Set(self.0, parameter as c_int, value) } {
            0 => Ok(()),
            _ => Err(self.error()),
        }
    }

    fn get(&self, parameter: raw::TJPARAM) -> c_int {
        // SAFETY: the handle is live; the library checks the parameter.
        unsafe { raw::tj3Get(self.0, parameter as c_int) }
    }

    /// The scale of the next decompression.
    fn scale(&mut self, scale: Eighths) -> Result<(), CodecError> {
        // The library knows fractions in their lowest terms only.
        let common = 1 << scale.get().trailing_zeros().min(3);
        let factor = raw::tjscalingfactor { num: c_int::from(scale.get()) / common, denom: 8 / common };
        // SAFETY: the handle is live; the library checks the factor.
        match unsafe { raw::tj3SetScalingFactor(self.0, factor) } {
            0 => Ok(()),
            _ => Err(self.error()),
        }
    }

    /// Compresses three planes of 4:2:0 (luma of even width and height) into `out`; returns the bytes written.
    fn compress(
        &mut self,
        planes: [&[u8]; 3],
        luma_stride: usize,
        size: Size,
        chroma: Size,
        out: &mut [u8],
    ) -> Result<usize, CodecError> {
        let needed = [4 * chroma.pixels(), chroma.pixels(), chroma.pixels()];
        if planes.iter().zip(needed).any(|(plane, bytes)| plane.len() < bytes) {
            return Err(CodecError::Empty(size));
        }
        let strides = [luma_stride as c_int, c_int::from(chroma.width), c_int::from(chroma.width)];
        let pointers = planes.map(<[u8]>::as_ptr);
        let (mut buffer, mut length) = (out.as_mut_ptr(), out.len() as _);
        // SAFETY: the library reads 2·⌈w/2⌉ × 2·⌈h/2⌉ luma samples and ⌈w/2⌉ × ⌈h/2⌉ of each chroma plane at these
        // strides, which the check above grants; NOREALLOC makes it write at most `length` bytes into `buffer`.
        let done = unsafe {
            raw::tj3CompressFromYUVPlanes8(
                self.0,
                pointers.as_ptr(),
                size.width.into(),
                strides.as_ptr(),
                size.height.into(),
                &raw mut buffer,
                &raw mut length,
            )
        };
        if done == 0 { Ok(length as usize) } else { Err(self.error()) }
    }

    /// Decompresses a JPEG that must be of this size into the rectangle, at this scale.
    fn decompress(&mut self, jpeg: &[u8], size: Size, scale: Eighths, rectangle: Rectangle<'_>) -> Result<(), Failure> {
        let fatal = |error| Failure { error, warning: false };
        // SAFETY: pointer and length are those of one slice; only the header is read.
        if unsafe { raw::tj3DecompressHeader(self.0, jpeg.as_ptr(), jpeg.len() as _) } != 0 {
            return Err(fatal(self.error()));
        }
        let written = scale.of(size);
        let (width, height) = (usize::from(written.width), usize::from(written.height));
        let read = (self.get(raw::TJPARAM_TJPARAM_JPEGWIDTH), self.get(raw::TJPARAM_TJPARAM_JPEGHEIGHT));
        let fits = width <= rectangle.stride
            && height.checked_sub(1).is_some_and(|rows| rows * rectangle.stride + width <= rectangle.pixels.len());
        if read != (size.width.into(), size.height.into()) || !fits {
            return Err(fatal(CodecError::Library("two readings of one header differ".into())));
        }
        self.scale(scale).map_err(fatal)?;
        // SAFETY: the library writes `height` rows of `width` pixels of four bytes, a stride apart: the size of the header
        // just read (the same bytes are read again) times the scale just set, rounded up. The check above grants the room.
        let done = unsafe {
            raw::tj3Decompress8(
                self.0,
                jpeg.as_ptr(),
                jpeg.len() as _,
                rectangle.pixels.as_mut_ptr().cast(),
                (rectangle.stride * 4) as c_int,
                PIXEL_FORMAT as c_int,
            )
        };
        if done == 0 { Ok(()) } else { Err(Failure { error: self.error(), warning: self.is_warning() }) }
    }

    /// Decompresses to planes of the JPEG's own subsampling, padded to whole chroma samples while the library writes, and
    /// packed tightly afterwards.
    fn decompress_planes(&mut self, jpeg: &[u8], index: &Index, planes: &mut Vec<u8>) -> Result<(), Failure> {
        let fatal = |error| Failure { error, warning: false };
        // SAFETY: pointer and length are those of one slice; only the header is read.
        if unsafe { raw::tj3DecompressHeader(self.0, jpeg.as_ptr(), jpeg.len() as _) } != 0 {
            return Err(fatal(self.error()));
        }
        let sampling = match index.subsampling {
            Subsampling::Yuv420 => raw::TJSAMP_TJSAMP_420,
            Subsampling::Yuv422 => raw::TJSAMP_TJSAMP_422,
            Subsampling::Yuv444 => raw::TJSAMP_TJSAMP_444,
            Subsampling::Grey => raw::TJSAMP_TJSAMP_GRAY,
        };
        let read = (
            self.get(raw::TJPARAM_TJPARAM_JPEGWIDTH),
            self.get(raw::TJPARAM_TJPARAM_JPEGHEIGHT),
            self.get(raw::TJPARAM_TJPARAM_SUBSAMP),
        );
        if read != (index.size.width.into(), index.size.height.into(), sampling as c_int) {
            return Err(fatal(CodecError::Library("two readings of one header differ".into())));
        }
        let padded = plane_sizes(index, read.2).map_err(fatal)?;
        // The sizes just told are those of the picture at full scale.
        self.scale(Eighths::FULL).map_err(fatal)?;
        planes.resize(padded.iter().map(|size| size.pixels()).sum(), 0);
        let (first, rest) = planes.split_at_mut(padded[0].pixels());
        let (second, third) = rest.split_at_mut(padded[1].pixels());
        let pointers = [first.as_mut_ptr(), second.as_mut_ptr(), third.as_mut_ptr()];
        let strides = padded.map(|size| c_int::from(size.width));
        // SAFETY: the library writes planes of the widths and heights it has just told for the size and subsampling that
        // it has read itself, a stride of that width apart; each pointer leads to as many bytes. The same bytes are read
        // again as by the call for the header.
        let done = unsafe {
            raw::tj3DecompressToYUVPlanes8(
                self.0,
                jpeg.as_ptr(),
                jpeg.len() as _,
                pointers.as_ptr().cast_mut(),
                strides.as_ptr().cast_mut(),
            )
        };
        let warning = done != 0 && self.is_warning();
        if done != 0 && !warning {
            return Err(fatal(self.error()));
        }
        pack_luma(planes, padded[0], index.size);
        if warning { Err(Failure { error: self.error(), warning }) } else { Ok(()) }
    }

    fn is_warning(&self) -> bool {
        // SAFETY: the handle is live.
        unsafe { raw::tj3GetErrorCode(self.0) == raw::TJERR_TJERR_WARNING as c_int }
    }

    fn error(&self) -> CodecError {
        // SAFETY: the library returns a string that ends in zero and lives as long as the handle; it is copied at once.
        let text = unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.0)) };
        CodecError::Library(text.to_string_lossy().into_owned())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is live and not used again.
        unsafe { raw::tj3Destroy(self.0) }
    }
}

/// The sizes of the library's planes for a picture, padded to whole chroma samples.
fn plane_sizes(index: &Index, sampling: c_int) -> Result<[Size; 3], CodecError> {
    let (wide, high) = (index.size.width.into(), index.size.height.into());
    let mut padded = [Size::new(0, 0); 3];
    for (component, size) in padded.iter_mut().enumerate().take(index.subsampling.components()) {
        // SAFETY: pure functions of three numbers.
        let (width, height) = unsafe {
            let component = component as c_int;
            (raw::tj3YUVPlaneWidth(component, wide, sampling), raw::tj3YUVPlaneHeight(component, high, sampling))
        };
        let side = |side: c_int| u16::try_from(side).ok().filter(|side| *side > 0);
        let (Some(width), Some(height)) = (side(width), side(height)) else {
            return Err(CodecError::Empty(index.size));
        };
        *size = Size::new(width, height);
    }
    Ok(padded)
}

/// Takes the last column and row out of luma where the library has added them; chroma moves up.
fn pack_luma(planes: &mut Vec<u8>, padded: Size, size: Size) {
    let (from, to) = (usize::from(padded.width), usize::from(size.width));
    if padded == size {
        return;
    }
    for row in 1..usize::from(size.height) {
        planes.copy_within(row * from..row * from + to, row * to);
    }
    planes.copy_within(padded.pixels().., size.pixels());
    planes.truncate(planes.len() - padded.pixels() + size.pixels());
}

const SOI: &[u8] = &[0xFF, 0xD8];
/// One u32 of 0x??RRGGBB on this machine.
const PIXEL_FORMAT: raw::TJPF = if cfg!(target_endian = "little") { raw::TJPF_TJPF_BGRX } else { raw::TJPF_TJPF_XRGB };

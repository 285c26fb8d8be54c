//! A smaller rendition of a picture brought to the full size: sharp, but with no more in it than there was.

use std::borrow::Cow;

use fast_image_resize::images::{TypedCroppedImageMut, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x4;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use zerocopy::IntoBytes;

use super::CodecError;
use crate::media::Canvas;

/// The same picture as large as it is meant to be shown.
pub fn in_full(canvas: &Canvas) -> Result<Cow<'_, Canvas>, CodecError> {
    let (size, full) = (canvas.size(), canvas.full());
    if size == full || size.pixels() == 0 || full.pixels() == 0 {
        return Ok(Cow::Borrowed(canvas));
    }
    let refused = |error: &dyn std::fmt::Display| CodecError::Scale(error.to_string());
    let mut enlarged = Canvas::new(full);
    let source = TypedImageRef::<U8x4>::from_buffer(size.width.into(), size.height.into(), canvas.pixels().as_bytes());
    let source = source.map_err(|error| refused(&error))?;
    let pixels = enlarged.pixels_mut().as_mut_bytes();
    let (width, height) = (full.width.into(), full.height.into());
    let whole = TypedImage::<U8x4>::from_buffer(width, height, pixels).map_err(|error| refused(&error))?;
    // A part of a picture, like what a window shows: so the resampler's code is there once for both.
    let mut target = TypedCroppedImageMut::new(whole, 0, 0, width, height).map_err(|error| refused(&error))?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom)).use_alpha(false);
    Resizer::new().resize_typed(&source, &mut target, &options).map_err(|error| refused(&error))?;
    Ok(Cow::Owned(enlarged))
}

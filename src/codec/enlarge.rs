//! A smaller rendition of a picture brought to the full size: sharp, but with no more in it than there was.

use std::borrow::Cow;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
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
    let source = ImageRef::new(size.width.into(), size.height.into(), canvas.pixels().as_bytes(), PixelType::U8x4);
    let source = source.map_err(|error| refused(&error))?;
    let pixels = enlarged.pixels_mut().as_mut_bytes();
    let target = Image::from_slice_u8(full.width.into(), full.height.into(), pixels, PixelType::U8x4);
    let mut target = target.map_err(|error| refused(&error))?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom)).use_alpha(false);
    Resizer::new().resize(&source, &mut target, &options).map_err(|error| refused(&error))?;
    Ok(Cow::Owned(enlarged))
}

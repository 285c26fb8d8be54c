//! A smaller rendition of a picture brought to the full size: sharp, but with no more in it than there was.

use std::borrow::Cow;

use udpstream_resample::{Filter, Part, Resampler};
use zerocopy::IntoBytes;

use super::CodecError;
use crate::media::Canvas;

/// The same picture as large as it is meant to be shown.
pub fn in_full(canvas: &Canvas) -> Result<Cow<'_, Canvas>, CodecError> {
    let (size, full) = (canvas.size(), canvas.full());
    if size == full || size.pixels() == 0 || full.pixels() == 0 {
        return Ok(Cow::Borrowed(canvas));
    }
    let mut enlarged = Canvas::new(full);
    let whole = (full.width.into(), full.height.into());
    let part = Part { x: 0, y: 0, width: whole.0, height: whole.1 };
    let source = (canvas.pixels().as_bytes(), (size.width.into(), size.height.into()));
    Resampler::default()
        .pixels(source, (enlarged.pixels_mut().as_mut_bytes(), whole), part, Filter::CatmullRom)
        .map_err(CodecError::Scale)?;
    Ok(Cow::Owned(enlarged))
}

//! Pictures of several sizes and qualities in one file: each as large as the stream, so that every player shows it. What comes
//! in full is not decoded, unless something of it is missing and the picture before was another rendition or quality.

use crate::codec::{CodecError, Encoder, Fitter};
use crate::media::Picture;
use crate::media::jpeg::{self, header_of_slice, index::size_of_whole, join_over, restart_interval};
use crate::proto::receiver::Slice;
use crate::queue::Pooled;
use crate::units::{Size, Time};

/// Of pictures that have to be coded anew: hardly worse than they came.
const QUALITY: u8 = 90;

/// Keeps its codec, once there was a use for one.
#[derive(Default)]
pub(super) struct Renditions(Option<(Fitter, Encoder)>);

impl Renditions {
    /// One JPEG of the slices that came, with gaps as they were before; `None` if nothing can be made of them.
    pub fn joined(&mut self, size: Size, slices: &[Slice], before: &[u8]) -> Option<Vec<u8>> {
        let first = slices.first()?;
        if first.tables == 0 {
            let whole = first.jpeg.bytes();
            return size_of_whole(whole).is_ok_and(|found| found == size).then(|| whole.to_vec());
        }
        let alike = slices.iter().filter(|slice| slice.tables == first.tables);
        let bodies: Vec<_> = alike.map(|slice| (slice.x8, slice.y8, slice.jpeg.bytes())).collect();
        let join = |before: Option<&[u8]>| join_over(size, first.tables, &bodies, before).ok();
        let joined = join(Some(before).filter(|before| !before.is_empty()))?;
        if joined.black == 0 || before.is_empty() {
            return Some(joined.jpeg);
        }
        let restart = header_of_slice(first.jpeg.bytes()).ok()?.restart_interval;
        let before = self.coded_as(before, size, first.tables, restart).ok();
        Some(before.and_then(|before| join(Some(&before))).unwrap_or(joined).jpeg)
    }

    /// A smaller rendition at the full size.
    pub fn enlarged(&mut self, jpeg: &[u8], full: Size) -> Option<Vec<u8>> {
        let restart = restart_interval(full.width.div_ceil(16), 0)?;
        self.coded_as(jpeg, full, QUALITY, restart).ok()
    }

    fn coded_as(&mut self, jpeg: &[u8], size: Size, quality: u8, restart: u16) -> Result<Vec<u8>, CodecError> {
        let codec = match self.0.take() {
            Some(codec) => codec,
            None => (Fitter::new()?, Encoder::new()?),
        };
        let (fitter, encoder) = self.0.insert(codec);
        let index = jpeg::index(jpeg)?;
        let unnamed = Picture::from_jpeg(Pooled::unpooled(Vec::new()), index.size, 0, Time::ZERO);
        let mut picture = fitter.decode(&unnamed, jpeg, &index)?;
        if picture.size != size {
            picture = fitter.stretch(&picture, size)?;
        }
        encoder.encode(&picture, quality, restart)
    }
}

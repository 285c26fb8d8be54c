//! Pictures of a film as objects: to a rung of fixed size and quality, the same bytes each time.

use std::sync::Arc;

use crate::app::encode::{EncodeError, RestartLayout};
use crate::clock::now;
use crate::codec::{CodecError, PairedEncoder};
use crate::media::Picture;
use crate::media::coded::{CodedPicture, PassedPicture, Stamps};
use crate::media::jpeg::restart_interval;
use crate::media::shrink::shrink;
use crate::proto::ladder::Rung;
use crate::queue::Pool;
use crate::source::excerpt::moment;
use crate::units::{Rate, Size, Unit};
use crate::wire::SizeClass;
use crate::wire::description::Smaller;

use super::QUALITY;

/// MCUs of a restart interval: about a third of the smallest datagram at the finest quality.
const INTERVAL: u16 = 8;
/// A picture with a side of less than this is not halved.
const SMALLEST: u16 = 160;

/// The renditions of films of this size, finest first: fixed sizes and qualities. Each takes about two thirds of the one before.
pub fn rungs(size: Size) -> (Vec<Rung>, Smaller) {
    let all = [(0, QUALITY), (0, 60), (0, 35), (1, 75), (1, 50), (1, 25), (2, 50), (2, 20)];
    let fits = |halvings: u8| halvings == 0 || size.width.min(size.height) >> halvings >= SMALLEST / 2;
    let rungs: Vec<Rung> = all
        .into_iter()
        .filter(|(halvings, _)| fits(*halvings))
        .map(|(halvings, quality)| Rung::new(halvings, quality))
        .collect();
    let smaller = Smaller::of(rungs.iter().skip(1).map(|rung| rung.rendition));
    (rungs, smaller)
}

/// Codes pictures of one film to one rung.
pub struct Coder {
    encoder: PairedEncoder,
    pool: Pool<Vec<u8>>,
    stream: u64,
    rate: Rate,
    /// Its number, and what it is.
    rung: (u8, Rung),
}

impl Coder {
    pub fn new(stream: u64, rate: Rate, rung: (u8, Rung)) -> Result<Self, CodecError> {
        Ok(Self { encoder: PairedEncoder::new(false)?, pool: Pool::new(2), stream, rate, rung })
    }

    /// The picture of this number.
    pub fn code(&mut self, full: &Picture) -> Result<CodedPicture, EncodeError> {
        let (number, Rung { rendition: halvings, quality }) = self.rung;
        let smaller = (halvings > 0).then(|| shrink(full, halvings, &self.pool));
        let picture = smaller.as_ref().unwrap_or(full);
        let mcus = picture.size.width.div_ceil(16);
        let encoder = &mut self.encoder;
        let encoding = now();
        // What was needed for the picture before says nothing: each is made alike from wherever a job has begun.
        let fine = (0..u8::MAX).find(|step| restart_interval(mcus, *step).is_none_or(|interval| interval <= INTERVAL));
        let mut layout = RestartLayout::beginning_with(fine.unwrap_or(0));
        let made = layout.cuttable(SizeClass::ANY, mcus, quality, |quality, interval| {
            Ok(encoder.encode(picture, quality, interval)?)
        })?;
        let stamps = Stamps { captured: full.captured, encoding, encoded: now() };
        let unit = full.number;
        let (at, next) = (moment(self.rate, unit), moment(self.rate, unit.saturating_add(1)));
        Ok(CodedPicture {
            unit: Unit(unit),
            media_time: at,
            lasts: next.since(at),
            size: made.index.size,
            rendition: number,
            quality: made.quality,
            layout: made.layout,
            jpeg: made.jpeg,
            index: made.index,
            stamps,
        })
    }

    /// As it is sent and kept: cut so that every path carries it. `None` if it cannot be cut, which its restart intervals rule out.
    pub fn cut(&self, coded: &CodedPicture) -> Option<PassedPicture> {
        let cut = coded.cut(self.stream, SizeClass::ANY).ok()?;
        Some(PassedPicture {
            cut: Arc::new(cut),
            class: SizeClass::ANY,
            media_time: coded.media_time,
            lasts: coded.lasts,
            rendition: coded.rendition,
            quality: coded.quality,
            is_same: false,
            is_whole: true,
            came: coded.stamps.encoded,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_renditions_from_fine_to_coarse() {
        let (all, smaller) = rungs(Size::new(1_920, 1_080));
        assert_eq!((all.len(), all[0]), (8, Rung::new(0, QUALITY)));
        assert!(all.windows(2).all(|two| two[0].is_finer_than(two[1])));
        assert_ne!(smaller, Smaller::NONE);
        let (few, _) = rungs(Size::new(160, 90));
        assert!(few.iter().all(|rung| rung.rendition == 0), "{few:?}");
    }
}

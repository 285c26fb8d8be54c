//! A picture coded to a rung: the least that shows it so.

use std::sync::atomic::Ordering;

use super::layout::Made;
use super::{EncodeError, Worker};
use crate::clock::now;
use crate::media::Picture;
use crate::media::coded::{CodedPicture, Stamps};
use crate::media::jpeg::{self, Index, plan, quality_for, tables};
use crate::media::shrink::shrink;
use crate::proto::ladder::{Rung, Wish};
use crate::units::{Span, Time};
use crate::wire::SizeClass;

/// As what a picture is wanted.
pub(super) struct Aim {
    pub wish: Wish,
    /// The operator's quality.
    pub operator: u8,
    /// The smallest class in which somebody is sent it.
    pub class: SizeClass,
    /// Since when it is being encoded.
    pub encoding: Time,
}

/// A coded picture, and what was aimed at.
pub(super) struct Aimed {
    pub picture: CodedPicture,
    pub rung: Rung,
    pub way: Way,
}

/// How it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Encoded,
    /// As the camera had coded it.
    Passed,
    /// A camera's, coded anew without being decoded.
    Recoded,
}

/// A camera's JPEG and its index.
type Foreign<'a> = (&'a [u8], &'a Index);

/// Bytes of the marker at a JPEG's end.
const EOI: usize = 2;
/// A camera's JPEG passes if it is larger than it may be by no more than this: coding it anew would be for nothing.
const PASSES: f64 = 1.25;

impl Aim {
    fn is_too_large(&self, bytes: usize) -> bool {
        self.wish.most.is_some_and(|most| bytes as f64 > PASSES * f64::from(most))
    }
}

impl Worker {
    /// The picture as it is asked for; nothing if a camera's JPEG is damaged.
    pub(super) fn aim(&mut self, picture: &Picture, asked: &Aim) -> Result<Option<Aimed>, EncodeError> {
        match picture.jpeg() {
            Some(jpeg) => self.pass_on(picture, jpeg, asked),
            None => self.fitted(picture, asked.wish.rung, asked).map(Some),
        }
    }

    /// A camera's JPEG as it is, if it reaches everybody so; else with other codes, or made anew.
    fn pass_on(&mut self, picture: &Picture, jpeg: &[u8], asked: &Aim) -> Result<Option<Aimed>, EncodeError> {
        let complete = tables::with_huffman(jpeg).and_then(|jpeg| Ok((jpeg::index(&jpeg)?, jpeg)));
        let Ok((index, jpeg)) = complete else {
            let index = jpeg::index_of_tall(jpeg).ok();
            return index.map_or(Ok(None), |index| self.decoded(picture, (jpeg, &index), asked.wish.rung, asked));
        };
        let jpeg = jpeg.get(..index.scan.end + EOI).unwrap_or(&jpeg);
        let sized = index.size == self.settings.size && asked.wish.rung.rendition == 0;
        if sized && self.may_pass(&index, jpeg, asked) {
            let made = Made { jpeg: jpeg.to_vec(), quality: index.quality.unwrap_or(0), index, layout: 0 };
            return Ok(Some(self.aimed(picture, made, (asked.wish.rung, Way::Passed), asked)));
        }
        if sized {
            self.recoded(picture, (jpeg, &index), asked)
        } else {
            self.decoded(picture, (jpeg, &index), asked.wish.rung, asked)
        }
    }

    /// Whether it reaches everybody as it is, and is no more than they want. Its quality does not count where nobody wants
    /// less than the operator, or where it is small enough.
    fn may_pass(&self, index: &Index, jpeg: &[u8], asked: &Aim) -> bool {
        let wished = asked.wish.rung.quality;
        let modest = wished >= asked.operator || index.quality.is_none_or(|quality| wished >= quality);
        let wanted = !asked.is_too_large(jpeg.len()) && (modest || asked.wish.most.is_some());
        let cuttable = || index.quality.is_some() && plan(index, jpeg.len(), self.settings.smallest.body_max()).is_ok();
        wanted && (jpeg.len() <= asked.class.body_max() || cuttable())
    }

    /// By way of its pixels; nothing if it is damaged.
    fn decoded(
        &mut self,
        picture: &Picture,
        (jpeg, index): Foreign<'_>,
        rung: Rung,
        asked: &Aim,
    ) -> Result<Option<Aimed>, EncodeError> {
        let decoded = self.fitter.decode(picture, jpeg, index).ok();
        decoded.map(|decoded| self.fitted(&decoded, rung, asked)).transpose()
    }

    /// The same coefficients where its tables are the usual ones, with markers to cut at, or fewer of them if it is too large;
    /// by way of its pixels where that cannot be; nothing if it is damaged.
    fn recoded(&mut self, picture: &Picture, foreign: Foreign<'_>, asked: &Aim) -> Result<Option<Aimed>, EncodeError> {
        let (jpeg, _) = foreign;
        let Ok(own) = quality_for(jpeg, 100) else { return Ok(None) };
        let wished = asked.wish.rung;
        // What is known to be too large need not be tried.
        let smaller = asked.wish.again(Rung::new(0, own), jpeg.len()).filter(|rung| wished.is_finer_than(*rung));
        let mut rung = smaller.unwrap_or(wished);
        let mut made = None;
        for attempt in 0..2 {
            if rung.rendition > 0 {
                return self.decoded(picture, foreign, rung, asked);
            }
            match self.recode(foreign, rung.quality) {
                Ok(recoded) => made = Some((recoded, rung)),
                Err(_) if made.is_some() => break,
                // Decoders bear more: what is a little damaged, and what no quality makes small.
                Err(_) => return self.decoded(picture, foreign, rung, asked),
            }
            let found = made.as_ref().map(|(made, _)| (Rung::new(0, made.quality), made.jpeg.len()));
            match found.and_then(|(found, bytes)| asked.wish.again(found, bytes)) {
                Some(next) if attempt == 0 => rung = next,
                _ => break,
            }
            self.counts.again.fetch_add(1, Ordering::Relaxed);
        }
        Ok(made.map(|(made, rung)| self.aimed(picture, made, (rung, Way::Recoded), asked)))
    }

    fn recode(&mut self, (jpeg, index): Foreign<'_>, at_most: u8) -> Result<Made, EncodeError> {
        let quality = quality_for(jpeg, at_most)?;
        let mcus = index.size.width.div_ceil(index.mcu.width);
        let (recoder, smallest) = (&self.recoder, self.settings.smallest);
        self.layouts[0]
            .cuttable(smallest, mcus, quality, |quality, interval| Ok(recoder.recode(jpeg, index, quality, interval)?))
    }

    /// At the stream's size, or a rendition of that; once more if it is too large.
    fn fitted(&mut self, picture: &Picture, rung: Rung, asked: &Aim) -> Result<Aimed, EncodeError> {
        let size = self.settings.size;
        let fitted = (picture.size != size).then(|| self.fitter.fit(picture, size)).transpose()?;
        let full = fitted.as_ref().unwrap_or(picture);
        let mut aim = self.coarser_there_is(rung);
        let mut made = self.encode(full, aim)?;
        if let Some(next) = asked.wish.again(Rung { quality: made.quality, ..aim }, made.jpeg.len()) {
            aim = self.coarser_there_is(next);
            made = self.encode(full, aim)?;
            self.counts.again.fetch_add(1, Ordering::Relaxed);
        }
        Ok(self.aimed(picture, made, (aim, Way::Encoded), asked))
    }

    /// The rung, or that of the smallest rendition that the stream has.
    fn coarser_there_is(&self, rung: Rung) -> Rung {
        Rung { rendition: rung.rendition.min(self.settings.size.smaller_renditions()), ..rung }
    }

    fn encode(&mut self, full: &Picture, rung: Rung) -> Result<Made, EncodeError> {
        let smaller = (rung.rendition > 0).then(|| shrink(full, rung.rendition, &self.pool));
        let picture = smaller.as_ref().unwrap_or(full);
        let mcus = picture.size.width.div_ceil(16);
        let (encoder, smallest) = (&mut self.encoder, self.settings.smallest);
        self.layouts[usize::from(rung.rendition)]
            .cuttable(smallest, mcus, rung.quality, |quality, interval| Ok(encoder.encode(picture, quality, interval)?))
    }

    fn aimed(&mut self, picture: &Picture, made: Made, (rung, way): (Rung, Way), asked: &Aim) -> Aimed {
        let Made { jpeg, index, quality, layout } = made;
        let encoded = now();
        let stamps = Stamps { captured: picture.captured, encoding: asked.encoding, encoded };
        let (unit, Span { at: media_time, lasts }, size) = (self.unit(picture), self.span(picture), index.size);
        let rendition = rung.rendition;
        let picture = CodedPicture { unit, media_time, lasts, size, rendition, quality, layout, jpeg, index, stamps };
        Aimed { picture, rung, way }
    }
}

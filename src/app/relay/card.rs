//! What a relay shows while nothing comes from above: a card that says so, as one picture.

use std::time::Duration;

use crate::clock::now;
use crate::codec::{CodecError, Encoder};
use crate::media::coded::{CodedPicture, Stamps};
use crate::media::jpeg::{self, plan, restart_interval};
use crate::text::card::text_card;
use crate::text::lacks_fonts;
use crate::units::{MediaTime, Size, Time, Unit};
use crate::wire::description::Smaller;
use crate::wire::{Description, SizeClass};

const QUALITY: u8 = 80;
/// A card is shown again after so long: who has lost a part of it has it then.
pub const AGAIN: Duration = Duration::from_secs(2);
const REASSURANCE: &str = "It is looked for until it is back.";

/// A card that is shown.
pub struct Shown {
    /// What it says.
    pub why: String,
    size: Size,
    jpeg: Vec<u8>,
    /// What it says, if that is to be drawn again because the system's fonts were not read yet. Nothing waits for them here:
    /// this thread sends other streams.
    unfinished: Option<Vec<String>>,
    began: Time,
    next: Time,
    unit: u32,
}

/// The stream that a card is.
pub fn description(title: &str, like: &Description) -> Description {
    Description {
        title: title.to_owned(),
        size: bounded(like.size),
        smaller: Smaller::NONE,
        rate: like.rate,
        length: None,
        live: true,
        sound: false,
        ended: None,
        sound_ended: None,
        film: None,
    }
}

/// A card need not be larger than a window.
const LARGEST: Size = Size::new(1_280, 720);

/// The shape of a picture, no larger than a card need be.
fn bounded(size: Size) -> Size {
    let over = f64::from(size.width) / f64::from(LARGEST.width);
    let over = over.max(f64::from(size.height) / f64::from(LARGEST.height)).max(1.0);
    let side = |side: u16| ((f64::from(side) / over) as u16).max(16);
    Size::new(side(size.width), side(size.height))
}

impl Shown {
    pub fn new(now: Time, title: &str, why: String, size: Size) -> Result<Self, CodecError> {
        Self::with(now, title, &[&why, REASSURANCE], size)
    }

    /// A title and sentences; the first says why.
    pub fn with(now: Time, title: &str, lines: &[&str], size: Size) -> Result<Self, CodecError> {
        let why = lines.first().copied().unwrap_or_default().to_owned();
        let size = bounded(size);
        let words: Vec<String> = [title].iter().chain(lines).map(|&words| words.to_owned()).collect();
        let (jpeg, complete) = drawn(size, &words)?;
        let unfinished = (!complete).then_some(words);
        Ok(Self { why, size, jpeg, unfinished, began: now, next: now, unit: 0 })
    }

    /// The picture, if it is to be shown now.
    pub fn picture(&mut self, at: Time) -> Option<CodedPicture> {
        if at < self.next {
            return None;
        }
        self.next = at + AGAIN;
        if let Some((jpeg, true)) = self.unfinished.as_ref().and_then(|words| drawn(self.size, words).ok()) {
            (self.jpeg, self.unfinished) = (jpeg, None);
        }
        let index = jpeg::index(&self.jpeg).ok()?;
        let (unit, quality) = (Unit(self.unit), index.quality.unwrap_or(QUALITY));
        self.unit += 1;
        let media_time = MediaTime::from_micros(at.since(self.began).as_micros() as i64);
        let stamps = Stamps { captured: at, encoding: at, encoded: now() };
        let (jpeg, size) = (self.jpeg.clone(), self.size);
        Some(CodedPicture {
            unit,
            media_time,
            lasts: AGAIN,
            size,
            rendition: 0,
            quality,
            layout: 0,
            jpeg,
            index,
            stamps,
        })
    }

    pub const fn deadline(&self) -> Time {
        self.next
    }
}

/// A title and sentences as a JPEG that can be cut, and whether all of their letters could be drawn.
fn drawn(size: Size, words: &[String]) -> Result<(Vec<u8>, bool), CodecError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let complete = !lacks_fonts(&words);
    let (title, lines) = words.split_first().map_or(("", &[][..]), |(title, lines)| (*title, lines));
    let picture = text_card(size, title, lines);
    let mut encoder = Encoder::new()?;
    let mcus = size.width.div_ceil(16);
    let mut layout = 0;
    loop {
        let interval = restart_interval(mcus, layout).unwrap_or(1);
        let jpeg = encoder.encode(&picture, QUALITY, interval)?;
        let fits = jpeg::index(&jpeg).is_ok_and(|index| plan(&index, jpeg.len(), SizeClass::ANY.body_max()).is_ok());
        if fits || restart_interval(mcus, layout + 1).is_none() {
            return Ok((jpeg, complete));
        }
        layout += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_fits_the_smallest_datagrams_whatever_its_size() {
        for size in [Size::new(64, 48), Size::new(500, 282), Size::new(1_920, 1_080), Size::new(16_384, 9)] {
            let why = "There is no answer from 192.0.2.7:9688.".to_owned();
            let mut shown = Shown::new(Time::ZERO, "robot is away", why, size).expect("drawn");
            let picture = shown.picture(Time::ZERO).expect("at once");
            assert!(picture.cut(1, SizeClass::ANY).is_ok(), "{size}");
            assert!(shown.picture(Time::from_millis(1_000)).is_none());
            assert_eq!(shown.picture(Time::from_millis(2_000)).map(|picture| picture.unit), Some(Unit(1)));
        }
    }

    #[test]
    fn a_card_is_drawn_again_when_fonts_are_read() {
        let mut shown = Shown::new(Time::ZERO, "robot", "away".to_owned(), Size::new(64, 48)).expect("drawn");
        let before = shown.picture(Time::ZERO).expect("at once").jpeg;
        shown.unfinished = Some(vec!["日本".to_owned(), "no answer".to_owned()]);
        crate::text::wait_for_fonts(&["日本"]);
        let after = shown.picture(Time::from_millis(2_000)).expect("again").jpeg;
        assert!(before != after && shown.unfinished.is_none());
    }
}

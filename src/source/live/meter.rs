//! The pictures of a microphone alone: a card that shows how loud it is, or why nothing is heard.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{AGAIN, Device, Grabber, Mode};
use crate::clock;
use crate::ffmpeg::Control;
use crate::media::Picture;
use crate::media::sound::{Frame, RATE};
use crate::queue::Pool;
use crate::source::{Options, SourceError, tune};
use crate::text::card::text_card;
use crate::text::meter::{Level, Meter};
use crate::text::wait_for_fonts;
use crate::units::{Rate, Size, Time};

/// What an ear hands to the card that shows it.
#[derive(Clone, Default)]
pub(super) struct Shown(Arc<Mutex<HeardLately>>);

#[derive(Default)]
struct HeardLately {
    /// What was heard since the last picture.
    frames: Vec<Frame>,
    /// Why nothing is.
    why: Option<String>,
}

impl Shown {
    pub fn put(&self, frames: &[Frame]) {
        let kept = &mut self.lock().frames;
        kept.extend_from_slice(frames);
        let surplus = kept.len().saturating_sub(RATE as usize);
        kept.drain(..surplus);
    }

    /// The device is away, and this is why; or it is there.
    pub fn away(&self, why: Option<String>) {
        self.lock().why = why;
    }

    fn take(&self) -> Result<Vec<Frame>, String> {
        let mut heard = self.lock();
        heard.why.clone().map_or_else(|| Ok(std::mem::take(&mut heard.frames)), Err)
    }

    fn lock(&self) -> MutexGuard<'_, HeardLately> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pictures of a microphone alone.
pub(super) struct Card {
    name: String,
    size: Size,
    rate: Rate,
    shown: Shown,
}

struct OpenCard {
    meter: Meter,
    mode: Mode,
    shown: Shown,
    control: Control,
    began: Time,
    pictures: u32,
    name: String,
    /// What stands still while the device is away, and why it is.
    away: Option<(String, Picture)>,
}

impl Card {
    pub fn new(name: String, options: &Options, shown: Shown) -> Self {
        let (size, rate) = tune::card(options);
        Self { name, size, rate, shown }
    }
}

impl Device for Card {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn open(&mut self, control: &Control) -> Result<Box<dyn Grabber>, SourceError> {
        let (size, rate) = (self.size, self.rate);
        let mode = Mode { size, rate, details: "no pictures".to_owned() };
        let (meter, shown, control) = (Meter::new(size, &self.name), self.shown.clone(), control.clone());
        let (began, name) = (clock::now(), self.name.clone());
        Ok(Box::new(OpenCard { meter, mode, shown, control, began, pictures: 0, name, away: None }))
    }
}

impl Grabber for OpenCard {
    fn mode(&self) -> Mode {
        self.mode.clone()
    }

    fn grab(&mut self, pool: &Pool<Vec<u8>>) -> Result<Picture, SourceError> {
        let due = self.began + self.mode.rate.at(self.pictures.into());
        if !self.control.sleep_until(due) {
            return Err(SourceError::Stopped);
        }
        let number = self.pictures;
        self.pictures = number.wrapping_add(1);
        match self.shown.take() {
            Ok(frames) => {
                self.away = None;
                let mut picture = Picture::from_pool(pool, self.mode.size, number, clock::now());
                self.meter.draw(&mut picture, &Level::of(&frames));
                Ok(picture)
            }
            Err(why) => self.say(why, number).ok_or(SourceError::Stopped),
        }
    }
}

impl OpenCard {
    /// A card with these words, the same one as long as they are.
    fn say(&mut self, why: String, number: u32) -> Option<Picture> {
        let kept = self.away.take().filter(|(said, _)| *said == why);
        let (why, card) = kept.unwrap_or_else(|| {
            wait_for_fonts(&[&self.name, &why]);
            let mut card = text_card(self.mode.size, &self.name, &[&why, AGAIN]);
            card.content = number;
            (why, card)
        });
        let (_, card) = self.away.insert((why, card));
        card.again(number, clock::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::PaceChoice;

    #[test]
    fn why_nothing_is_heard_is_shown_until_it_is_heard_again() {
        let shown = Shown::default();
        let options = Options {
            width: Some(320),
            rate: Rate::new(1_000, 1),
            size: None,
            pointer: false,
            pace: PaceChoice::Auto,
            looped: false,
            denoise: false,
            sound: None,
        };
        let mut card = Card::new("microphone x".to_owned(), &options, shown.clone());
        let mut open = card.open(&Control::new().expect("an eventfd")).expect("it always opens");
        let pool = Pool::new(2);
        let mut next = || open.grab(&pool).expect("a card");
        let quiet = next();
        shown.away(Some("it was unplugged".to_owned()));
        let (away, still) = (next(), next());
        assert!(away.planes() != quiet.planes() && away.content == still.content && away.content != quiet.content);
        shown.away(Some("it is busy".to_owned()));
        let busy = next();
        assert!(busy.planes() != away.planes() && busy.content != away.content);
        shown.away(None);
        assert!(next().planes() == quiet.planes());
    }
}

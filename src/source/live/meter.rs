//! The pictures of a microphone alone: a card that shows how loud it is.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Device, Grabber, Mode};
use crate::clock;
use crate::media::Picture;
use crate::media::meter::{Level, Meter};
use crate::media::sound::{Frame, RATE};
use crate::queue::Pool;
use crate::source::child::Control;
use crate::source::{Options, SourceError, tune};
use crate::units::{Rate, Size, Time};

/// What was heard since somebody looked last.
#[derive(Clone, Default)]
pub(super) struct Shown(Arc<Mutex<Vec<Frame>>>);

impl Shown {
    pub fn put(&self, frames: &[Frame]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(frames);
        let surplus = kept.len().saturating_sub(RATE as usize);
        kept.drain(..surplus);
    }

    fn take(&self) -> Vec<Frame> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
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
        Ok(Box::new(OpenCard { meter, mode, shown, control, began: clock::now(), pictures: 0 }))
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
        let mut picture = Picture::from_pool(pool, self.mode.size, self.pictures, clock::now());
        self.meter.draw(&mut picture, &Level::of(&self.shown.take()));
        self.pictures = self.pictures.wrapping_add(1);
        Ok(picture)
    }
}

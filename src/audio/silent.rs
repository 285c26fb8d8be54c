//! The speaker of a program that was built without sound: it counts, plays nothing, and says so.

use std::io;
use std::time::Duration;

use super::{Figures, Found, Happened, Settings};
use crate::media::sound::Frame;
use crate::queue::Waker;
use crate::stats::Windowed;
use crate::units::Time;

/// Takes what a speaker takes.
pub struct Speaker {
    news: Option<Happened>,
    concealed: u64,
    skews: Windowed,
}

const NO_SOUND: &str = "this udpstream was built without sound; build it with the feature \"audio\"";

impl Speaker {
    pub fn start(_settings: Settings, waker: Waker) -> io::Result<Self> {
        waker();
        let news = Some(Happened::Missing(NO_SOUND.to_owned()));
        Ok(Self { news, concealed: 0, skews: Windowed::default() })
    }

    pub fn put(&mut self, _first: u64, frames: Option<&[Frame]>) {
        self.concealed += u64::from(frames.is_none());
    }

    pub fn lose(&mut self, _first: u64, _frames: usize) {
        self.concealed += 1;
    }

    pub fn finish(&mut self) {}

    pub fn set_zero(&mut self, _zero: Option<Time>) {}

    pub fn reset(&mut self) {}

    pub fn volume(&mut self, _percent: u8) {}

    pub fn mute(&mut self, _muted: bool) {}

    pub fn happened(&mut self) -> Option<Happened> {
        self.news.take()
    }

    pub fn figures(&mut self) -> Figures {
        Figures { concealed: self.concealed, ..Figures::default() }
    }

    pub fn skews(&mut self) -> &mut Windowed {
        &mut self.skews
    }
}

/// Nothing to look for.
pub fn look(_patience: Duration) -> Result<Found, String> {
    Err(NO_SOUND.to_owned())
}

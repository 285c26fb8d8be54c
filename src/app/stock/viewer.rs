//! Where a viewer is in its film, and what it waits for.

use std::sync::Arc;

use crate::media::sound::{CODED_FRAMES, FRAMES, Rendition};
use crate::source::excerpt::Reel;
use crate::units::{MediaTime, Time};

#[derive(Default)]
pub struct Viewer {
    /// The film's id, once it is open.
    pub film: Option<u64>,
    /// What was ordered before that.
    pub place: Option<(MediaTime, bool)>,
    /// The picture that it is handed next.
    pub unit: u32,
    /// That one, or one before it that is a keyframe.
    pub rough: bool,
    /// It has had a picture since it went there.
    pub begun: bool,
    /// The rung that it was handed last.
    pub rung: Option<u8>,
    /// The rung that it asked for last, and when.
    pub wish: Option<u8>,
    pub asked: Time,
    /// The job that makes what it needs.
    pub job: Option<u64>,
    pub picture: Option<(u64, u8)>,
    pub sounds: [Option<u64>; 3],
    /// The next number of each rendition; `None`: it was not asked for here.
    next: [Option<u32>; 3],
    /// The frame that is next to be heard; `None`: it follows from the picture.
    heard: Option<u64>,
    /// Nothing of the place is there since then.
    pub waits: Option<Time>,
}

impl Viewer {
    /// Another place: what was asked for is of the one before.
    pub fn go(&mut self, unit: u32, exact: bool) {
        *self = Self { film: self.film, unit, rough: !exact, rung: self.rung, wish: self.wish, ..Self::default() };
    }

    /// The chunk or unit of sound that it is handed next; `None`: not before its picture is known.
    pub fn sound(&self, reel: &Reel, rendition: Rendition) -> Option<u32> {
        if let Some(next) = self.next[usize::from(rendition.id())] {
            return Some(next);
        }
        let frames = frames(rendition);
        let frame =
            self.heard.or_else(|| (!self.rough).then(|| crate::media::sound::frame_at(reel.rate, self.unit.into())))?;
        u32::try_from(frame / frames).ok()
    }

    /// It was handed this.
    pub fn note_sound(&mut self, rendition: Rendition, number: u32) {
        let next = number.saturating_add(1);
        self.next[usize::from(rendition.id())] = Some(next);
        let frame = u64::from(next) * frames(rendition);
        self.heard = Some(self.heard.map_or(frame, |heard| heard.max(frame)));
    }

    /// It is handed this picture.
    pub fn note_picture(&mut self, reel: &Reel, unit: u32, rung: u8) {
        if !self.begun && self.heard.is_none() {
            self.heard = Some(crate::media::sound::frame_at(reel.rate, unit.into()));
        }
        (self.unit, self.rough, self.begun, self.rung, self.waits) = (unit + 1, false, true, Some(rung), None);
    }
}

const fn frames(rendition: Rendition) -> u64 {
    match rendition {
        Rendition::Coded => CODED_FRAMES as u64,
        Rendition::Stereo | Rendition::Mono => FRAMES as u64,
    }
}

/// A film that is looked into on a thread of its own, and by whom.
pub struct Looked {
    pub viewer: u64,
    pub id: u64,
    pub name: String,
    pub title: String,
    pub file: Arc<std::fs::File>,
    pub result: Result<Reel, String>,
}

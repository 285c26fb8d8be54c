//! The tap of a stream: all that comes from above is told to the program around the relay too, and is wanted although nobody
//! watches.

use std::collections::VecDeque;

use super::Upstream;
use crate::media::coded::PassedPicture;
use crate::media::sound::{PassedSound, Rendition};
use crate::proto::server::Needs;
use crate::wire::Description;
use crate::wire::message::WantedPictures;

/// What a tap is told, in the order in which it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tapped {
    /// What follows is of the stream of this id, which may have been told before.
    Stream(u64, Box<Description>),
    /// A picture that goes on.
    Picture(PassedPicture),
    /// Sound that came with the pictures: as it came, so not always in order, and perhaps twice.
    Sound(PassedSound),
    /// The stream has ended.
    Over,
}

/// See the head of this file.
#[derive(Default)]
pub struct Tap {
    /// The server above lists the stream, and it has not ended since.
    pub is_listed: bool,
    pub told: VecDeque<Tapped>,
}

impl Tap {
    /// What is needed of the stream for those who watch and for the tap: all of it, and the sound as it was made if the path
    /// carries it.
    pub fn needs(&self, needs: Needs) -> Needs {
        if !self.is_listed {
            return needs;
        }
        let mut sounds = needs.sounds;
        sounds[usize::from(Rendition::Stereo.id())] = true;
        let (audience, limits) = (needs.audience + 1, WantedPictures::ANY);
        Needs { audience, ready: true, pictures: true, sounds, limits, ..needs }
    }
}

impl Upstream {
    /// Tells the tap, if there is one; `what` is made only then.
    pub(super) fn tap(&mut self, what: impl FnOnce() -> Tapped) {
        if let Some(tap) = &mut self.tap {
            tap.told.push_back(what());
        }
    }
}

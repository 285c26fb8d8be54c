//! Where a watcher wants its sound, and how much of it.

use crate::wire::tlv;

/// On which port sound comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Off,
    /// On the port that is asked.
    Here,
    /// On the sound port, by a session of its own.
    SoundPort,
}

/// The value of a SOUND extension: u8 place, u8 rendition, u8 coarsest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundWish {
    pub place: Place,
    /// 0 stereo, 1 mono, 2 stereo coded by Opus.
    pub rendition: u8,
    /// The coarsest that it can play, which it may be sent where its path carries no more.
    pub coarsest: u8,
}

impl SoundWish {
    /// Reads the value; an unknown place is none. A value of one byte asks for stereo. Who does not say that it can play coded
    /// sound cannot.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let place = match value.first()? {
            0 => Place::Off,
            1 => Place::Here,
            2 => Place::SoundPort,
            _ => return None,
        };
        let rendition = value.get(1).copied().unwrap_or(0);
        Some(Self { place, rendition, coarsest: value.get(2).copied().unwrap_or(rendition.max(1)) })
    }

    /// Appends a SOUND extension.
    pub fn put(self, out: &mut Vec<u8>) {
        tlv::put(out, tlv::kind::SOUND, &[self.place as u8, self.rendition, self.coarsest]);
    }
}

//! Sound coded for those whose path has no room for samples: made while somebody is to have it, and of what passes anyway.

use std::collections::VecDeque;

use crate::codec::{CodecError, SoundEncoder};
use crate::media::sound::{Chunk, CodedSound};

/// Chunks that are remembered: more than a server holds of a film, so that the units of those are there at once.
const RECENT: usize = 80;

#[derive(Default)]
pub struct SoundCoding {
    encoder: Option<SoundEncoder>,
    /// The last chunks, while nothing is coded.
    recent: VecDeque<Chunk>,
    /// It cannot be had; that was said.
    broken: bool,
}

impl SoundCoding {
    /// The stream's next chunk. Returns the units that are complete with it, if they are wanted; of the first one, those
    /// before them too.
    pub fn chunk(&mut self, chunk: &Chunk, wanted: bool) -> Vec<CodedSound> {
        let mut units = Vec::new();
        if let Err(error) = self.code(chunk, wanted, &mut units) {
            // Watchers are sent mono in their place.
            tracing::warn!(%error, "sound cannot be coded");
            (self.encoder, self.broken) = (None, true);
        }
        units
    }

    fn code(&mut self, chunk: &Chunk, wanted: bool, units: &mut Vec<CodedSound>) -> Result<(), CodecError> {
        if self.broken {
            return Ok(());
        }
        if !wanted {
            self.encoder = None;
            self.recent.push_back(chunk.clone());
            self.recent.drain(..self.recent.len().saturating_sub(RECENT));
            return Ok(());
        }
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            None => self.encoder.insert(SoundEncoder::new()?),
        };
        self.recent.drain(..).try_for_each(|chunk| encoder.put(&chunk, units))?;
        encoder.put(chunk, units)
    }

    /// The sound has ended: its last units.
    pub fn end(&mut self) -> Vec<CodedSound> {
        let mut units = Vec::new();
        if let Some(Err(error)) = self.encoder.take().map(|mut encoder| encoder.finish(&mut units)) {
            tracing::warn!(%error, "the end of the sound cannot be coded");
        }
        units
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::sound::FRAMES;
    use crate::units::Time;

    #[test]
    fn units_are_made_while_they_are_wanted_and_of_what_waits_too() {
        let mut coding = SoundCoding::default();
        let mut made = |number: u32, wanted| -> Vec<u32> {
            let chunk = Chunk { number, frames: vec![[5, -5]; FRAMES], captured: Time::ZERO };
            coding.chunk(&chunk, wanted).iter().map(|unit| unit.number).collect()
        };
        assert!((0..200).all(|number| made(number, false).is_empty()));
        // 80 chunks are remembered, from frame 30 720 on; unit 32 begins there, and the one after it is the first to be whole.
        assert_eq!(made(200, true), (33..=52).collect::<Vec<_>>(), "frame 51 456 is the last that is known");
        let further: Vec<u32> = (201..216).flat_map(|number| made(number, true)).collect();
        assert_eq!(further, [53, 54, 55, 56]);
        assert!(made(216, false).is_empty());
        assert!(made(217, true).is_empty(), "it begins anew");
    }

    #[test]
    fn the_end_of_the_sound_is_in_the_last_unit() {
        let mut coding = SoundCoding::default();
        let units: usize = (0..10)
            .map(|number| {
                coding.chunk(&Chunk { number, frames: vec![[5, -5]; FRAMES], captured: Time::ZERO }, true).len()
            })
            .sum();
        let last = coding.end();
        assert_eq!((units, last.len()), (2, 1), "2 560 frames");
        assert_eq!(last[0].frames, 640);
        assert!(coding.end().is_empty());
    }
}

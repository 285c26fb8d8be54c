//! Sound coded for those whose path has no room for samples: made while somebody is to have it, and of what passes anyway.

use crate::codec::{CodecError, SoundEncoder};
use crate::media::sound::{Chunk, CodedSound};

#[derive(Default)]
pub struct SoundCoding {
    encoder: Option<SoundEncoder>,
    /// It cannot be had; that was said.
    broken: bool,
}

impl SoundCoding {
    /// The stream's next chunk. Returns the units that are complete with it, if they are wanted.
    pub fn chunk(&mut self, chunk: &Chunk, wanted: bool) -> Vec<CodedSound> {
        let mut units = Vec::new();
        if !wanted {
            self.encoder = None;
        } else if self.encoder.is_none() && !self.broken {
            match SoundEncoder::new() {
                Ok(encoder) => self.encoder = Some(encoder),
                Err(error) => self.fail(&error),
            }
        }
        if let Some(Err(error)) = self.encoder.as_mut().map(|encoder| encoder.put(chunk, &mut units)) {
            self.fail(&error);
        }
        units
    }

    /// The sound has ended: its last units.
    pub fn end(&mut self) -> Vec<CodedSound> {
        let mut units = Vec::new();
        if let Some(Err(error)) = self.encoder.take().map(|mut encoder| encoder.finish(&mut units)) {
            self.fail(&error);
        }
        units
    }

    /// Its watchers are sent mono.
    fn fail(&mut self, error: &CodecError) {
        tracing::warn!(%error, "sound cannot be coded");
        (self.encoder, self.broken) = (None, true);
    }
}

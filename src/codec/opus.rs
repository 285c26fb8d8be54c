//! Opus: chunks of sound in, units of 960 frames out, and back.
//!
//! Opus takes 48 kHz and not 44.1: it is given the frames as they are, and a unit that it takes for 20 ms is 21.8 long.
//! What it makes of a unit lies its lookahead behind what it was given, so it is given each unit so many frames further
//! ahead: packet `n` decodes to frames 960 × `n` … of the stream, without anything to skip.
//!
//! Nothing is predicted from one unit to the next (OPUS_SET_PREDICTION_DISABLED): a decoder needs the unit before for the
//! first 120 frames and for nothing else, so one unit makes it warm, and a loss is over after one.

use opusic_c::{Application, Bitrate, Channels, Decoder, Encoder, ErrorCode, SampleRate};

use super::CodecError;
use crate::media::sound::{CODED_AHEAD, CODED_BYTES, CODED_FRAMES, Chunk, CodedSound, Frame};

/// Makes units of a stream's chunks.
pub struct SoundEncoder {
    encoder: Encoder,
    /// What the next unit is made of, so far: left, right, left …
    block: Vec<f32>,
    /// Frames that belong to no unit that can be made.
    skip: u64,
    /// The number of the next unit. That of the first one made is only for the encoder to know what comes before the next.
    unit: i64,
    warm: bool,
    /// The frame that comes next.
    next: Option<u64>,
    bytes: usize,
}

impl SoundEncoder {
    pub fn new() -> Result<Self, CodecError> {
        Self::with_bytes(CODED_BYTES)
    }

    /// Units of so many bytes: 400 times as many bits a second of 48 kHz.
    fn with_bytes(bytes: usize) -> Result<Self, CodecError> {
        let mut encoder = Encoder::new(Channels::Stereo, SampleRate::Hz48000, Application::LowDelay).map_err(failed)?;
        encoder.set_bitrate(Bitrate::Value(bytes as u32 * 400)).map_err(failed)?;
        encoder.set_vbr(false).map_err(failed)?;
        encoder.set_prediction_disabled(true).map_err(failed)?;
        encoder.set_complexity(COMPLEXITY).map_err(failed)?;
        let block = Vec::with_capacity(2 * CODED_FRAMES);
        Ok(Self { encoder, block, skip: 0, unit: 0, warm: false, next: None, bytes })
    }

    /// The stream's next chunk. Appends the units that are complete with it. A chunk that does not follow the one before
    /// begins anew: the first unit after it is the second whole one.
    pub fn put(&mut self, chunk: &Chunk, out: &mut Vec<CodedSound>) -> Result<(), CodecError> {
        if self.next != Some(chunk.first()) {
            self.begin(chunk.first())?;
        }
        self.next = Some(chunk.first() + chunk.frames.len() as u64);
        for frame in &chunk.frames {
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            self.block.extend(frame.map(|sample| f32::from(sample) / SCALE));
            if self.block.len() == 2 * CODED_FRAMES {
                out.extend(self.unit(CODED_FRAMES as u16)?);
            }
        }
        Ok(())
    }

    /// No chunk follows: appends the units that hold the last frames. Silence follows those.
    pub fn finish(&mut self, out: &mut Vec<CodedSound>) -> Result<(), CodecError> {
        let Some(end) = self.next.take() else { return Ok(()) };
        let end = end as i64;
        while self.unit * (CODED_FRAMES as i64) < end && self.skip == 0 {
            self.block.resize(2 * CODED_FRAMES, 0.0);
            let left = end - self.unit * CODED_FRAMES as i64;
            out.extend(self.unit(left.min(CODED_FRAMES as i64) as u16)?);
        }
        Ok(())
    }

    /// Before the stream's first frame there is silence; before any other there is something that is not known.
    fn begin(&mut self, first: u64) -> Result<(), CodecError> {
        self.encoder.reset().map_err(failed)?;
        self.block.clear();
        let (frames, ahead) = (CODED_FRAMES as u64, CODED_AHEAD as u64);
        if first == 0 {
            self.block.resize(2 * (CODED_FRAMES - CODED_AHEAD), 0.0);
            (self.unit, self.skip) = (-1, 0);
        } else {
            let unit = first.saturating_sub(ahead).div_ceil(frames);
            (self.unit, self.skip) = (unit as i64, unit * frames + ahead - first);
        }
        self.warm = false;
        Ok(())
    }

    /// Makes a unit of the block; the first one is nobody's.
    fn unit(&mut self, frames: u16) -> Result<Option<CodedSound>, CodecError> {
        let mut packet = vec![0; self.bytes];
        let length = self.encoder.encode_float_to_slice(&self.block, &mut packet).map_err(failed)?;
        packet.truncate(length);
        self.block.clear();
        let (number, warm) = (self.unit, std::mem::replace(&mut self.warm, true));
        self.unit += 1;
        let number = u32::try_from(number).ok().filter(|_| warm);
        Ok(number.map(|number| CodedSound { number, frames, packet }))
    }
}

/// Makes frames of packets, one after the other.
pub struct SoundDecoder {
    decoder: Decoder,
    block: Vec<f32>,
}

impl SoundDecoder {
    pub fn new() -> Result<Self, CodecError> {
        let decoder = Decoder::new(Channels::Stereo, SampleRate::Hz48000).map_err(failed)?;
        Ok(Self { decoder, block: vec![0.0; 2 * CODED_FRAMES] })
    }

    /// What is decoded next does not follow what was decoded last.
    pub fn reset(&mut self) -> Result<(), CodecError> {
        self.decoder.reset().map_err(failed)
    }

    /// The 960 frames of a packet; anything else is refused.
    pub fn decode(&mut self, packet: &[u8]) -> Result<Vec<Frame>, CodecError> {
        if packet.is_empty() {
            return Err(CodecError::Sound("an empty packet"));
        }
        self.frames(packet)
    }

    /// 960 frames in the place of a packet that is lost.
    pub fn conceal(&mut self) -> Result<Vec<Frame>, CodecError> {
        self.frames(&[])
    }

    fn frames(&mut self, packet: &[u8]) -> Result<Vec<Frame>, CodecError> {
        let frames = self.decoder.decode_float_to_slice(packet, &mut self.block, false).map_err(failed)?;
        if frames != CODED_FRAMES {
            return Err(CodecError::Sound("a packet of another length than 960 frames"));
        }
        let sample = |sample: f32| (sample * SCALE).round() as i16;
        Ok(self.block.chunks_exact(2).map(|both| [sample(both[0]), sample(both[1])]).collect())
    }
}

const fn failed(error: ErrorCode) -> CodecError {
    CodecError::Sound(error.message())
}

const SCALE: f32 = 32_768.0;
/// Of 0 to 10.
const COMPLEXITY: u8 = 10;

#[cfg(test)]
mod tests;

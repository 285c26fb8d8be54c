//! Sound in sections of sixteen seconds: each is decoded by itself, always from the same place, so that its bytes are the same
//! whoever asks for them. It takes a twentieth of a second, so it is kept in memory alone.

use std::io;
use std::sync::Arc;
use std::thread::Builder;

use crossbeam_channel::Sender;

use super::work::Message;
use crate::clock;
use crate::codec::SoundEncoder;
use crate::media::sound::{CODED_FRAMES, Chunk, CodedSound, FRAMES, Frame, PassedSound, RATE, Rendition};
use crate::source::excerpt::Reel;
use crate::source::{SourceError, Stopper};
use crate::units::Time;

/// Seconds of a section: a whole number of coded units, and of frames of every usual rate.
pub const SECONDS: u32 = 16;
/// Frames of a section.
pub const SECTION: u64 = SECONDS as u64 * RATE as u64;
/// Coded units of a section.
const UNITS: u32 = (SECTION / CODED_FRAMES as u64) as u32;
/// What the encoder hears before the first unit of a section.
const WARM_UP: u64 = 4 * CODED_FRAMES as u64;
/// Chunks that are handed over together.
const TOGETHER: usize = 64;

/// Which section: the film's id and its number.
pub type Key = (u64, u32);

/// A part of a film's sound. Dropping it ends its making.
pub struct Section {
    /// Its chunks in their order, as far as they are made.
    chunks: Vec<Chunk>,
    /// Its coded units.
    coded: Vec<CodedSound>,
    /// All that there is of it has come.
    pub over: bool,
    pub used: Time,
    stopper: Option<Stopper>,
}

/// What a section has of one number.
pub enum Found {
    Sound(PassedSound),
    /// It is being made.
    Later,
    /// The sound ends before it.
    End,
}

/// The first chunk that begins in a section.
const fn first_chunk(section: u32) -> u32 {
    (section as u64 * SECTION).div_ceil(FRAMES as u64) as u32
}

/// In which section a chunk or coded unit of this number begins.
pub const fn section_of(rendition: Rendition, number: u32) -> u32 {
    match rendition {
        Rendition::Coded => number / UNITS,
        Rendition::Stereo | Rendition::Mono => (number as u64 * FRAMES as u64 / SECTION) as u32,
    }
}

impl Section {
    /// Starts a thread that makes it.
    pub fn start(key: Key, reel: Arc<Reel>, out: Sender<Message>) -> io::Result<Self> {
        let stopper = Stopper::new().map_err(io::Error::other)?;
        let own = stopper.clone();
        let work = move || {
            let result = make(key, &reel, &own, &out).map_err(|error| error.to_string());
            out.send(Message::SectionOver(key, result)).ok();
        };
        Builder::new().name("film sound".into()).spawn(work)?;
        let (chunks, coded) = (Vec::new(), Vec::new());
        Ok(Self { chunks, coded, over: false, used: clock::now(), stopper: Some(stopper) })
    }

    pub fn take(&mut self, chunks: Vec<Chunk>, coded: Vec<CodedSound>) {
        self.chunks.extend(chunks);
        self.coded.extend(coded);
    }

    /// The chunk or coded unit of this number, which begins here, as an object of the film.
    pub fn find(&self, (stream, section): Key, rendition: Rendition, number: u32) -> Found {
        let object = match rendition {
            Rendition::Coded => {
                let at = number.saturating_sub(section * UNITS) as usize;
                self.coded.get(at).map(|unit| unit.object(stream))
            }
            Rendition::Stereo | Rendition::Mono => {
                let at = number.saturating_sub(first_chunk(section)) as usize;
                self.chunks.get(at).map(|chunk| chunk.object(stream, rendition))
            }
        };
        match object {
            Some(object) => Found::Sound(PassedSound { object, rendition, number }),
            None if self.over => Found::End,
            None => Found::Later,
        }
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        self.stopper.take().into_iter().for_each(|stopper| stopper.stop());
    }
}

/// Reads a section from a little before its beginning to a little after its end, and hands over what begins in it.
fn make((film, section): Key, reel: &Reel, stopper: &Stopper, out: &Sender<Message>) -> Result<(), SourceError> {
    let key = (film, section);
    let from = u64::from(section) * SECTION;
    // A whole second before, in which the encoder gets warm.
    let second = (section * SECONDS).saturating_sub(1);
    let mut frames = reel.sound(second, stopper)?;
    let mut cutter = Cutter::new(u64::from(second) * u64::from(RATE), if section == 0 { 0 } else { from - WARM_UP });
    let mut encoder = SoundEncoder::new().ok();
    let (first, end) = (first_chunk(section), first_chunk(section + 1));
    let units = section * UNITS..(section + 1) * UNITS;
    let (mut chunks, mut coded, mut last) = (Vec::new(), Vec::new(), None);
    let mut over = false;
    while !over {
        let read = frames.read()?;
        let is_end = read.is_none();
        for chunk in cutter.cut(read.unwrap_or_default(), is_end) {
            if let Some(encoder) = &mut encoder {
                encoder.put(&chunk, &mut coded).ok();
            }
            last = Some(chunk.number);
            if (first..end).contains(&chunk.number) {
                chunks.push(chunk);
            }
        }
        if is_end && let Some(encoder) = &mut encoder {
            encoder.finish(&mut coded).ok();
        }
        over = is_end || last.is_some_and(|last| last >= end + LATER);
        if over || chunks.len() >= TOGETHER {
            coded.retain(|unit| units.contains(&unit.number));
            let message = Message::Heard(key, std::mem::take(&mut chunks), std::mem::take(&mut coded));
            out.send(message).map_err(|_| SourceError::Stopped)?;
        }
    }
    Ok(())
}

/// So many chunks after a section complete its last coded unit.
const LATER: u32 = 2 * (CODED_FRAMES / FRAMES) as u32 + 2;

/// Makes numbered chunks of frames that begin anywhere.
struct Cutter {
    /// The frame that comes next.
    next: u64,
    /// The chunk that is being filled, from its first frame.
    chunk: u64,
    frames: Vec<Frame>,
}

impl Cutter {
    /// The first frame that comes is this one, and no chunk that begins before `from` is wanted.
    const fn new(first: u64, from: u64) -> Self {
        let wanted = if from > first { from } else { first };
        Self { next: first, chunk: wanted.div_ceil(FRAMES as u64), frames: Vec::new() }
    }

    fn cut(&mut self, frames: Vec<Frame>, is_end: bool) -> Vec<Chunk> {
        let skipped = (self.chunk * FRAMES as u64).saturating_sub(self.next).min(frames.len() as u64);
        let skipped = if self.frames.is_empty() { skipped } else { 0 };
        self.next += frames.len() as u64;
        self.frames.extend_from_slice(&frames[skipped as usize..]);
        let mut chunks = Vec::new();
        while self.frames.len() >= FRAMES || is_end && !self.frames.is_empty() {
            let rest = self.frames.split_off(self.frames.len().min(FRAMES));
            let frames = std::mem::replace(&mut self.frames, rest);
            let number = u32::try_from(self.chunk).unwrap_or(u32::MAX);
            chunks.push(Chunk { number, frames, captured: Time::ZERO });
            self.chunk += 1;
        }
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_and_unit_is_of_one_section() {
        assert_eq!(SECTION % CODED_FRAMES as u64, 0);
        for section in 0..9 {
            let (first, next) = (first_chunk(section), first_chunk(section + 1));
            assert!((first..next).all(|chunk| section_of(Rendition::Stereo, chunk) == section));
            assert_eq!(section_of(Rendition::Coded, section * UNITS), section);
        }
    }

    #[test]
    fn chunks_are_cut_wherever_frames_begin() {
        for (first, from, sizes) in [(0, 0, [100, 900]), (44_100, 44_100, [1, 999]), (44_100, 50_000, [7_000, 3_000])] {
            let mut cutter = Cutter::new(first, from);
            let mut at = first as i64;
            let mut chunks = Vec::new();
            for (turn, size) in sizes.into_iter().enumerate() {
                let frames = (0..size).map(|n| [(at + n) as i16, 0]).collect();
                at += size;
                chunks.extend(cutter.cut(frames, turn == 1));
            }
            assert_eq!(u64::from(chunks[0].number), first.max(from).div_ceil(FRAMES as u64));
            for chunk in &chunks {
                assert_eq!(chunk.frames[0][0], chunk.first() as i16, "frame {}", chunk.first());
            }
            assert_eq!(chunks.last().map(|chunk| chunk.first() + chunk.frames.len() as u64), Some(at as u64));
        }
    }
}

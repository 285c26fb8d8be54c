//! A film out of the store: its pictures and its sound in their order, from any picture on.

use std::time::Duration;

use super::{Store, StoredUnit};
use crate::media::coded::{Object, PassedPicture};
use crate::media::sound::{FRAMES, PassedSound, RATE, Rendition};
use crate::units::{MediaTime, Time, Unit};
use crate::wire::Description;
use crate::wire::object::{ObjectHeader, ObjectView, Type};

/// See the head of this file.
pub struct Replay {
    stream: u64,
    /// The Description object of the running film, and of the ended one.
    objects: [Vec<u8>; 2],
    description: Description,
    /// How many pictures and chunks there are.
    pictures: u32,
    chunks: u32,
    /// The picture that is next, and what was read of it.
    unit: u32,
    read: Option<(ObjectHeader, Vec<Object>)>,
    chunk: u32,
    /// When the last picture has had its time.
    end: MediaTime,
}

impl Replay {
    /// A film of which all is there, from its picture `from` on; `None` if something of it is missing.
    pub fn new(store: &Store, stream: u64, from: Unit) -> Option<Self> {
        let film = store.film(stream).filter(|film| film.complete)?;
        let [Some(running), Some(ended)] = film.description.clone() else { return None };
        let parse = |object: &[u8]| Description::parse(ObjectView::parse(object).ok()?.body).ok();
        let (description, end) = (parse(&running)?, parse(&ended)?);
        let (pictures, chunks) = (end.ended?.0, end.sound_ended.map_or(0, |chunks| chunks.0));
        if store.missing(stream, Type::PICTURE, 0, 0..pictures).is_some()
            || store.missing(stream, Type::SOUND, 0, 0..chunks).is_some()
        {
            return None;
        }
        let mut replay = Self {
            stream,
            objects: [running, ended],
            description,
            pictures,
            chunks,
            // A film that was played again and again goes on from its beginning.
            unit: if from.0 < pictures { from.0 } else { 0 },
            read: None,
            chunk: 0,
            end: MediaTime::ZERO,
        };
        replay.read = replay.read(store, replay.unit);
        let first = replay.read.as_ref().map_or(MediaTime::ZERO, |(header, _)| header.media_time);
        // Sound from before its first picture is not heard.
        replay.chunk = if replay.unit == 0 { 0 } else { chunk_at(first).min(chunks) };
        Some(replay)
    }

    pub const fn stream(&self) -> u64 {
        self.stream
    }

    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// The Description object of the running film, and that of the ended one.
    pub const fn objects(&self) -> &[Vec<u8>; 2] {
        &self.objects
    }

    /// The next picture; `None`: there is none any more. One that turns out to be damaged is left out.
    pub fn picture(&mut self, store: &Store, now: Time) -> Option<PassedPicture> {
        while self.unit < self.pictures {
            let next = (self.unit + 1 < self.pictures).then(|| self.read(store, self.unit + 1)).flatten();
            let read = std::mem::replace(&mut self.read, next);
            self.unit += 1;
            let Some((header, parts)) = read else { continue };
            let next = self.read.as_ref().map(|(header, _)| header.media_time);
            let usual = self.description.rate.interval();
            let lasts = next.map_or(usual, |next| next.since(header.media_time));
            let lasts_micros = i64::try_from(lasts.as_micros()).unwrap_or(i64::MAX);
            self.end = MediaTime::from_micros(header.media_time.micros().saturating_add(lasts_micros));
            let picture = PassedPicture::of(&header, parts, header.parts_told(), lasts, now);
            if picture.is_some() {
                return picture;
            }
        }
        None
    }

    /// The next chunk of sound; `None`: there is none any more.
    pub fn sound(&mut self, store: &Store) -> Option<PassedSound> {
        while self.chunk < self.chunks {
            let number = self.chunk;
            self.chunk += 1;
            let read = store.unit(self.stream, Type::SOUND, 0, Unit(number)).filter(|unit| unit.whole);
            if let Some(StoredUnit { bytes, .. }) = read {
                return Some(PassedSound { object: bytes.into(), rendition: Rendition::Stereo, number });
            }
        }
        None
    }

    /// When the last picture has had its time: known once all have been taken.
    pub fn end(&self) -> MediaTime {
        let whole = self.description.length.map(|length| MediaTime::from_micros(length as i64));
        // A film's last picture may stand for longer than usual.
        whole.filter(|whole| whole.since(self.end) < LONGEST).map_or(self.end, |whole| whole.max(self.end))
    }

    fn read(&self, store: &Store, unit: u32) -> Option<(ObjectHeader, Vec<Object>)> {
        let stored = store.unit(self.stream, Type::PICTURE, 0, Unit(unit))?;
        let header = ObjectView::parse_unchecked(stored.bytes.get(stored.parts.first()?.clone())?).ok()?.header;
        Some((header, Object::all(stored.bytes, stored.parts)))
    }
}

/// A length that is further from the last picture's end is not that of the pictures.
const LONGEST: Duration = Duration::from_secs(2);

/// The chunk that is heard at a moment of the film.
fn chunk_at(media: MediaTime) -> u32 {
    let frames = u128::try_from(media.micros()).unwrap_or(0) * u128::from(RATE) / 1_000_000;
    u32::try_from(frames / FRAMES as u128).unwrap_or(u32::MAX)
}

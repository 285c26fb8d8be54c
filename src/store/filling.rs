//! A film on its way into the store: what is to be asked for next, until all of it is there. First its description, then pictures
//! a few at a time, the sound that belongs to them, and at last the description of its end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Store, StoreError};
use crate::media::sound::{FRAMES, RATE};
use crate::units::{MediaTime, Time, Unit};
use crate::wire::message::NameRange;
use crate::wire::object::{ObjectView, Type};
use crate::wire::{Description, SizeClass};

/// Pictures, and chunks of sound, that are asked for at once.
const PICTURES: u32 = 32;
const CHUNKS: u32 = 256;
/// Where nothing has come for so long, it was lost: what is still missing is asked for again, so many runs of it at once.
const AGAIN: Duration = Duration::from_millis(300);
const RUNS: usize = 32;
/// What could not be had is asked for again after so long, and then after twice as long each time, up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(64));
/// Bytes of pictures that wait for the rest of their picture: those of all that are asked for at once.
const GATHERED: usize = 64 << 20;
/// No film is longer.
const LONGEST: MediaTime = MediaTime::from_micros(1_000 * 3_600 * 1_000_000);

/// See the head of this file.
pub struct Filling {
    stream: u64,
    /// Until then nothing is asked for again.
    next: Time,
    asked: Option<NameRange>,
    pause: Duration,
    /// Up to which moment of the film there are pictures.
    reached: MediaTime,
    /// How many pictures and chunks there are, once that is known.
    ended: Option<(u32, u32)>,
    /// Parts of pictures that are not whole yet.
    gathered: BTreeMap<Unit, BTreeMap<u16, Vec<u8>>>,
    bytes: usize,
    /// Pictures were asked for that are not to be had: there is an end before them.
    at_end: bool,
    done: bool,
}

impl Filling {
    /// Goes on with what the store has of a film that was [begun](Store::begin).
    pub fn new(store: &Store, stream: u64, now: Time) -> Self {
        let film = store.film(stream);
        let ended = film.and_then(|film| film.description[1].as_deref()).and_then(ends);
        Self {
            stream,
            next: now,
            asked: None,
            pause: PAUSE.0,
            reached: MediaTime::ZERO,
            ended,
            gathered: BTreeMap::new(),
            bytes: 0,
            at_end: false,
            done: film.is_none_or(|film| film.complete),
        }
    }

    pub const fn stream(&self) -> u64 {
        self.stream
    }

    /// All of it is there, or nothing more is wanted.
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// When something is to be asked for; `None`: nothing more.
    pub const fn deadline(&self) -> Option<Time> {
        if self.done { None } else { Some(self.next) }
    }

    /// An object has come. What cannot be kept is an error, and the end of filling.
    pub fn object(&mut self, now: Time, store: &mut Store, object: &[u8]) -> Result<(), StoreError> {
        let Ok(view) = ObjectView::parse(object) else { return Ok(()) };
        let header = view.header;
        if self.done || header.stream != self.stream {
            return Ok(());
        }
        (self.next, self.pause) = (now + AGAIN, PAUSE.0);
        let kept = match header.kind {
            Type::DESCRIPTION if header.unit.0 <= 1 => self.described(store, header.unit.0 as usize, object),
            Type::SOUND => store.put(&[object]).map(drop),
            Type::PICTURE => self.picture(store, &view, object),
            _ => Ok(()),
        };
        self.done |= kept.is_err();
        if !self.is_awaited(store) {
            // All that was asked for is there: the next at once.
            (self.asked, self.next) = (None, now);
        }
        kept
    }

    fn described(&mut self, store: &mut Store, which: usize, object: &[u8]) -> Result<(), StoreError> {
        if which == 1 {
            self.ended = ends(object);
        }
        store.describe(self.stream, which, object)
    }

    /// Pictures are put when they are whole, so that their parts lie together.
    fn picture(&mut self, store: &mut Store, view: &ObjectView<'_>, object: &[u8]) -> Result<(), StoreError> {
        let header = view.header;
        let asked = self.asked.filter(|asked| asked.kind == Type::PICTURE);
        let asked = asked.is_some_and(|asked| (asked.first..=asked.last).contains(&header.unit));
        let sensible = (MediaTime::ZERO..=LONGEST).contains(&header.media_time);
        if !asked || !sensible || store.has_unit(self.stream, Type::PICTURE, 0, header.unit) {
            return Ok(());
        }
        if self.bytes >= GATHERED {
            (self.gathered, self.bytes) = (BTreeMap::new(), 0);
        }
        let parts = self.gathered.entry(header.unit).or_default();
        let before = parts.insert(header.part, object.to_vec());
        self.bytes += object.len() - before.map_or(0, |before| before.len());
        if parts.len() < usize::from(header.parts_told()).max(1) {
            return Ok(());
        }
        let parts = self.gathered.remove(&header.unit).unwrap_or_default();
        self.bytes -= parts.values().map(Vec::len).sum::<usize>();
        self.reached = self.reached.max(header.media_time);
        store.put(&parts.values().map(Vec::as_slice).collect::<Vec<_>>()).map(drop)
    }

    /// Whether something of what was asked for is missing still.
    fn is_awaited(&self, store: &Store) -> bool {
        let Some(asked) = self.asked else { return false };
        match asked.kind {
            Type::DESCRIPTION => store
                .film(self.stream)
                .is_some_and(|film| film.description.get(asked.first.0 as usize).is_some_and(Option::is_none)),
            kind => store.missing(self.stream, kind, 0, asked.first.0..asked.last.0.saturating_add(1)).is_some(),
        }
    }

    /// These are not to be had: it was the end of the film, or its server has it no more.
    pub fn gone(&mut self, now: Time, range: &NameRange) {
        if range.stream != self.stream || self.asked.is_none() {
            return;
        }
        self.asked = None;
        let learnt = range.kind == Type::PICTURE && range.last.0 > 0 && !std::mem::replace(&mut self.at_end, true);
        if self.ended.is_some() || learnt {
            self.next = now;
        } else {
            self.next = now + self.pause;
            self.pause = (self.pause * 2).min(PAUSE.1);
        }
    }

    /// What is to be asked for now, if anything is. A film of which all is there is marked so.
    pub fn ask(&mut self, now: Time, store: &mut Store) -> Vec<NameRange> {
        if self.done || now < self.next {
            return Vec::new();
        }
        self.next = now + AGAIN;
        if let Some(asked) = self.asked.filter(|_| self.is_awaited(store)) {
            return self.runs(store, asked);
        }
        let Some(wanted) = self.wanted(store) else {
            self.done = true;
            // It stays as it is if even that cannot be written; the next look finds it whole again.
            _ = store.complete(self.stream);
            return Vec::new();
        };
        self.asked = Some(wanted);
        self.runs(store, wanted)
    }

    /// What is missing of this, run by run.
    fn runs(&self, store: &Store, range: NameRange) -> Vec<NameRange> {
        if range.kind == Type::DESCRIPTION {
            return vec![range];
        }
        let (mut runs, mut from, end) = (Vec::new(), range.first.0, range.last.0.saturating_add(1));
        while runs.len() < RUNS
            && let Some(run) = store.missing(self.stream, range.kind, 0, from..end)
        {
            from = run.end;
            runs.push(NameRange { first: Unit(run.start), last: Unit(run.end - 1), ..range });
        }
        runs
    }

    /// What is missing first.
    fn wanted(&self, store: &Store) -> Option<NameRange> {
        let range = |kind, units: std::ops::Range<u32>| NameRange {
            stream: self.stream,
            kind,
            rendition: 0,
            cut: SizeClass::ANY.cut(0, false),
            first: Unit(units.start),
            last: Unit(units.end - 1),
        };
        let film = store.film(self.stream)?;
        let Some(description) = film.description[0].as_deref().and_then(described) else {
            return Some(range(Type::DESCRIPTION, 0..1));
        };
        if self.at_end && film.description[1].is_none() {
            return Some(range(Type::DESCRIPTION, 1..2));
        }
        let (pictures, chunks) = self.ended.unwrap_or((u32::MAX, u32::MAX));
        let missing = |kind, all: u32, most: u32| {
            let missing = store.missing(self.stream, kind, 0, 0..all)?;
            Some(range(kind, missing.start..missing.end.min(missing.start.saturating_add(most))))
        };
        let picture = missing(Type::PICTURE, pictures, PICTURES);
        // Sound keeps up with the pictures.
        let reached = if picture.is_some() { chunks_until(self.reached).min(chunks) } else { chunks };
        let sound = if description.sound { missing(Type::SOUND, reached, CHUNKS) } else { None };
        if sound.is_some() || picture.is_some() {
            return sound.or(picture);
        }
        film.description[1].is_none().then(|| range(Type::DESCRIPTION, 1..2))
    }
}

/// How many chunks there are until this moment of the film.
fn chunks_until(media: MediaTime) -> u32 {
    let frames = u128::try_from(media.micros()).unwrap_or(0) * u128::from(RATE) / 1_000_000;
    u32::try_from(frames / FRAMES as u128).unwrap_or(u32::MAX)
}

fn described(object: &[u8]) -> Option<Description> {
    Description::parse(ObjectView::parse(object).ok()?.body).ok()
}

/// How many pictures and chunks of sound a film has, by the Description of its end.
fn ends(object: &[u8]) -> Option<(u32, u32)> {
    let description = described(object)?;
    Some((description.ended?.0, description.sound_ended.map_or(0, |chunks| chunks.0)))
}

//! The body of a Description object: what the stream is. TLVs, so that later versions can say more.

use super::WireError;
use super::bytes::{Put, Reader};
use super::object::{ObjectHeader, Type};
use super::tlv::{self, Tlvs, printable};
use crate::units::{Rate, Size, Unit};

const TITLE: u16 = 1;
const PICTURES: u16 = 2;
const LENGTH: u16 = 3;
const SOUND: u16 = 4;
const ENDED: u16 = 5;
const LIVE: u16 = 6;
const SOUND_ENDED: u16 = 7;
const RENDITIONS: u16 = 8;
const FILM: u16 = 9;

/// As long as a side of a picture may be: what a watcher makes room for is bounded. It is the most that a source may
/// have.
pub const MAX_SIDE: u16 = 16_384;

/// What a watcher must know before the first picture, and when the last has been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub title: String,
    /// Of the pictures in full.
    pub size: Size,
    /// The renditions of the pictures beside those in full.
    pub smaller: Smaller,
    pub rate: Rate,
    /// Length in µs; `None` for a live stream or an endless one.
    pub length: Option<u64>,
    pub live: bool,
    pub sound: bool,
    /// Number of units of the picture lane, once the stream has ended.
    pub ended: Option<Unit>,
    /// Number of chunks of the sound lane, once the stream has ended.
    pub sound_ended: Option<Unit>,
    /// Of a film that can be had as a whole, with Get: the hash of all that its bytes follow from. See [`film_id`].
    pub film: Option<FilmHash>,
}

/// SHA-256 of all that the bytes of a film's objects follow from: its file, and every option that changes them.
pub type FilmHash = [u8; 32];

/// The stream id of a film's objects as they are had with Get: the same wherever and whenever they are made.
pub const fn film_id(hash: &FilmHash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    let id = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    // Zero stands for none.
    if id == 0 { 1 } else { id }
}

impl Description {
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let tlvs = Tlvs::parse(body)?;
        let missing = WireError::Short { what: "a description" };
        let mut pictures = Reader::new(tlvs.find(PICTURES).ok_or(missing)?, "a description");
        let size = Size::new(pictures.u16()?, pictures.u16()?);
        let rate = Rate::new(pictures.u32()?, pictures.u32()?);
        let rate = rate.ok_or(WireError::Value { what: "the picture rate" })?;
        if size.pixels() == 0 || size.width.max(size.height) > MAX_SIDE {
            return Err(WireError::Value { what: "the picture size" });
        }
        let length = tlvs.find(LENGTH).map(|value| Reader::new(value, "a length").u64()).transpose()?;
        let smaller = tlvs.find(RENDITIONS).map_or(Smaller::NONE, |value| Smaller::announced(size, value));
        let end = |kind| tlvs.find(kind).map(|value| Reader::new(value, "an end").u32().map(Unit)).transpose();
        Ok(Self {
            title: printable(tlv::shorten(tlvs.text(TITLE).unwrap_or_default(), 200)),
            size,
            smaller,
            rate,
            length,
            live: tlvs.find(LIVE).is_some(),
            sound: tlvs.find(SOUND).is_some(),
            ended: end(ENDED)?,
            sound_ended: end(SOUND_ENDED)?,
            film: tlvs.find(FILM).and_then(|hash| hash.first_chunk().copied()),
        })
    }

    pub fn emit(&self, out: &mut Vec<u8>) {
        tlv::put(out, TITLE, tlv::shorten(&self.title, 200).as_bytes());
        let mut pictures = Vec::with_capacity(12);
        pictures.u16(self.size.width);
        pictures.u16(self.size.height);
        pictures.u32(self.rate.num());
        pictures.u32(self.rate.den());
        tlv::put(out, PICTURES, &pictures);
        if let Some(length) = self.length {
            tlv::put(out, LENGTH, &length.to_be_bytes());
        }
        if self.sound {
            tlv::put(out, SOUND, &[]);
        }
        if let Some(Unit(count)) = self.ended {
            tlv::put(out, ENDED, &count.to_be_bytes());
        }
        if self.live {
            tlv::put(out, LIVE, &[]);
        }
        if let Some(Unit(count)) = self.sound_ended {
            tlv::put(out, SOUND_ENDED, &count.to_be_bytes());
        }
        if let Some(film) = &self.film {
            tlv::put(out, FILM, film);
        }
        if self.smaller != Smaller::NONE {
            let mut renditions = Vec::with_capacity(4 * MOST_SMALLER);
            for size in (1..=MOST_SMALLER as u8).map_while(|rendition| self.rendition(rendition)) {
                renditions.u16(size.width);
                renditions.u16(size.height);
            }
            tlv::put(out, RENDITIONS, &renditions);
        }
    }

    /// The Description object of a stream: unit 0 of one that runs, unit 1 of one that has ended. One name, one byte string.
    pub fn object(&self, stream: u64) -> Vec<u8> {
        let unit = Unit(u32::from(self.ended.is_some()));
        let header = ObjectHeader { size: self.size, ..ObjectHeader::whole(Type::DESCRIPTION, stream, unit) };
        let mut object = Vec::with_capacity(160);
        header.emit(&mut object, |out| self.emit(out));
        object
    }

    /// How many renditions of the pictures there are.
    pub const fn renditions(&self) -> usize {
        self.smaller.count as usize + 1
    }

    /// How often each side of this rendition's pictures is halved, if there is one.
    pub const fn halvings(&self, rendition: u8) -> Option<u8> {
        match rendition {
            0 => Some(0),
            number if number <= self.smaller.count => Some(self.smaller.halvings[number as usize - 1]),
            _ => None,
        }
    }

    /// The size of this rendition's pictures, if there is one.
    pub fn rendition(&self, rendition: u8) -> Option<Size> {
        self.halvings(rendition).map(|halvings| self.size.rendition(halvings))
    }
}

/// So many renditions beside those in full may be announced.
pub const MOST_SMALLER: usize = 7;

/// The renditions of a stream's pictures beside those in full: how often the sides of each are halved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Smaller {
    count: u8,
    halvings: [u8; MOST_SMALLER],
}

impl Smaller {
    pub const NONE: Self = Self { count: 0, halvings: [0; MOST_SMALLER] };

    /// So many, each halved once more than the one before.
    pub fn halved(count: u8) -> Self {
        Self::of((1..=MOST_SMALLER as u8).take(count.into()))
    }

    /// Halved so often each; what is halved less than the one before ends the list.
    pub fn of(halvings: impl IntoIterator<Item = u8>) -> Self {
        let (mut all, mut last) = (Self::NONE, 0);
        for halved in halvings.into_iter().take(MOST_SMALLER).take_while(|halved| *halved < 16) {
            if halved < last {
                break;
            }
            last = halved;
            all.halvings[usize::from(all.count)] = halved;
            all.count += 1;
        }
        all
    }

    /// Those that are worth having of pictures of this size.
    pub fn worth_having(size: Size) -> Self {
        Self::halved(size.smaller_renditions())
    }

    /// Those that are announced. The list ends where a size is none of pictures that are halved as often as the ones before, or
    /// once or several times more.
    fn announced(full: Size, announced: &[u8]) -> Self {
        let (sizes, _) = announced.as_chunks();
        let mut last = 0;
        Self::of(sizes.iter().map_while(|[w0, w1, h0, h1]| {
            let size = Size::new(u16::from_be_bytes([*w0, *w1]), u16::from_be_bytes([*h0, *h1]));
            last = (last..16).find(|halvings| full.rendition(*halvings) == size)?;
            Some(last)
        }))
    }
}

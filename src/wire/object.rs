//! Objects: immutable, named, made once by the origin. 44 bytes of header, TLVs, body, CRC-32.

use zerocopy::byteorder::big_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::WireError;
use crate::units::{MediaTime, Size, Unit};

/// Length of an object header without TLVs.
pub const HEADER_LEN: usize = 44;
/// Length of what follows the body.
pub const CRC_LEN: usize = 4;

/// What an object holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Type(pub u8);

impl Type {
    pub const PICTURE: Self = Self(1);
    pub const SOUND: Self = Self(2);
    pub const TABLES: Self = Self(3);
    pub const DESCRIPTION: Self = Self(4);
    pub const TEXT: Self = Self(5);

    /// Pictures and sound, which are of a place of their stream.
    pub const fn is_media(self) -> bool {
        matches!(self, Self::PICTURE | Self::SOUND)
    }
}

/// Bits of the flags field.
pub mod flags {
    pub const SEALED: u16 = 1;
    /// The last part of its unit.
    pub const LAST: u16 = 1 << 1;
    /// The body is a complete interchange-format JPEG of the whole picture.
    pub const WHOLE: u16 = 1 << 2;
    /// A failure card, not the film.
    pub const CARD: u16 = 1 << 3;
    /// Show what was shown last; no body.
    pub const SAME: u16 = 1 << 4;
    pub const DISCONTINUITY: u16 = 1 << 5;
}

/// The cut of an object with [`flags::SAME`]. No picture with a body has it, so a unit may be the word that nothing has
/// changed to one watcher, and the whole picture to another that lacks it, and no name has two byte strings.
pub const SAME_CUT: u8 = 0x0f;

/// The name of an object. One name, one byte string, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    pub stream: u64,
    pub kind: Type,
    pub rendition: u8,
    pub cut: u8,
    pub unit: Unit,
    pub part: u16,
}

/// An object's header, host-endian. Lengths are filled in by [`ObjectHeader::emit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectHeader {
    pub kind: Type,
    pub flags: u16,
    pub stream: u64,
    pub rendition: u8,
    pub cut: u8,
    /// 0 tables inline, 1–100 Annex K at that quality, 128–255 a Tables object.
    pub tables: u8,
    /// Subsampling or the format of sound, see [`format`].
    pub format: u8,
    pub unit: Unit,
    pub part: u16,
    /// 0: not yet known.
    pub parts: u16,
    pub media_time: MediaTime,
    /// Picture width and height, or sound frames and channels.
    pub size: Size,
    /// Slice position in units of 8 px.
    pub x8: u16,
    pub y8: u16,
}

impl ObjectHeader {
    /// Of an object that is whole in itself, and neither picture nor sound; what else there is to say of it is 0.
    pub(super) const fn whole(kind: Type, stream: u64, unit: Unit) -> Self {
        Self {
            kind,
            flags: flags::LAST,
            stream,
            rendition: 0,
            cut: 0,
            tables: 0,
            format: 0,
            unit,
            part: 0,
            parts: 1,
            media_time: MediaTime::ZERO,
            size: Size::new(0, 0),
            x8: 0,
            y8: 0,
        }
    }
}

/// Values of [`ObjectHeader::format`]: subsampling of pictures, samples of sound.
pub mod format {
    pub const YUV420: u8 = 0;
    pub const YUV422: u8 = 1;
    pub const YUV444: u8 = 2;
    pub const GREY: u8 = 3;
    /// Sound: signed, 16 bits, little-endian, channels interleaved.
    pub const PCM_S16LE: u8 = 0;
    /// Sound: one packet of Opus (RFC 6716), stereo, 960 frames.
    pub const OPUS: u8 = 1;
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    words: u8,
    kind: u8,
    flags: U16,
    stream: U64,
    rendition: u8,
    cut: u8,
    tables: u8,
    format: u8,
    unit: U32,
    part: U16,
    parts: U16,
    media_time: I64,
    width: U16,
    height: U16,
    x8: U16,
    y8: U16,
    body_len: U16,
    reserved: U16,
}

#[cfg(test)]
impl ObjectHeader {
    /// Of a test: a part of a unit of stream 7.
    pub const fn sample(kind: Type, unit: u32, part: u16, parts: u16) -> Self {
        let (flags, stream, rendition, cut, tables, format) = (0, 7, 0, 2, 80, 0);
        let (media_time, size) = (MediaTime::ZERO, Size::new(64, 48));
        let unit = Unit(unit);
        Self { kind, flags, stream, rendition, cut, tables, format, unit, part, parts, media_time, size, x8: 0, y8: 0 }
    }
}

impl ObjectHeader {
    pub const fn name(&self) -> Name {
        let Self { kind, stream, rendition, cut, unit, part, .. } = *self;
        Name { stream, kind, rendition, cut, unit, part }
    }

    pub const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// How many parts the unit has, as far as this one tells; 0: it does not.
    pub const fn parts_told(&self) -> u16 {
        match self.parts {
            0 if self.has(flags::LAST) => self.part.saturating_add(1),
            parts => parts,
        }
    }

    /// Appends a whole object whose body `write` appends; returns its range in `out`. The body may be at most
    /// 65 535 bytes, which every size class guarantees.
    pub fn emit(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> std::ops::Range<usize> {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_LEN]);
        write(out);
        let body_len = (out.len() - start - HEADER_LEN) as u16;
        let header = self.raw(body_len);
        out[start..start + HEADER_LEN].copy_from_slice(header.as_bytes());
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_be_bytes());
        start..out.len()
    }

    fn raw(&self, body_len: u16) -> Raw {
        Raw {
            words: (HEADER_LEN / 4) as u8,
            kind: self.kind.0,
            flags: self.flags.into(),
            stream: self.stream.into(),
            rendition: self.rendition,
            cut: self.cut,
            tables: self.tables,
            format: self.format,
            unit: self.unit.0.into(),
            part: self.part.into(),
            parts: self.parts.into(),
            media_time: self.media_time.micros().into(),
            width: self.size.width.into(),
            height: self.size.height.into(),
            x8: self.x8.into(),
            y8: self.y8.into(),
            body_len: body_len.into(),
            reserved: 0.into(),
        }
    }
}

/// A received object, borrowed from its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectView<'a> {
    pub header: ObjectHeader,
    pub body: &'a [u8],
}

impl<'a> ObjectView<'a> {
    /// Parses and verifies the CRC.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (view, end) = Self::split(bytes)?;
        let crc = bytes[end..].first_chunk::<CRC_LEN>().map(|crc| u32::from_be_bytes(*crc));
        if crc != Some(crc32fast::hash(&bytes[..end])) {
            return Err(WireError::Checksum);
        }
        Ok(view)
    }

    /// The bytes of the object alone, without padding behind it.
    pub fn exact(bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (_, end) = Self::split(bytes).ok()?;
        bytes.get(..end + CRC_LEN)
    }

    /// Parses without looking at the CRC: for fuzzing, which cannot guess one.
    pub fn parse_unchecked(bytes: &'a [u8]) -> Result<Self, WireError> {
        Self::split(bytes).map(|(view, _)| view)
    }

    fn split(bytes: &'a [u8]) -> Result<(Self, usize), WireError> {
        let short = WireError::Short { what: "an object" };
        let (raw, _) = Raw::ref_from_prefix(bytes).map_err(|_| short)?;
        let header_len = usize::from(raw.words) * 4;
        if header_len < HEADER_LEN {
            return Err(WireError::Value { what: "an object's header length" });
        }
        let end = header_len + usize::from(raw.body_len.get());
        let body = bytes.get(header_len..end).ok_or(short)?;
        if bytes.len() < end + CRC_LEN {
            return Err(short);
        }
        let header = host(raw);
        // With 65 535 parts at most there is no part 65 535, known or not.
        if header.part == u16::MAX || (header.parts > 0 && header.part >= header.parts) {
            return Err(WireError::Value { what: "an object's part" });
        }
        Ok((Self { header, body }, end))
    }
}

fn host(raw: &Raw) -> ObjectHeader {
    ObjectHeader {
        kind: Type(raw.kind),
        flags: raw.flags.get(),
        stream: raw.stream.get(),
        rendition: raw.rendition,
        cut: raw.cut,
        tables: raw.tables,
        format: raw.format,
        unit: Unit(raw.unit.get()),
        part: raw.part.get(),
        parts: raw.parts.get(),
        media_time: MediaTime::from_micros(raw.media_time.get()),
        size: Size::new(raw.width.get(), raw.height.get()),
        x8: raw.x8.get(),
        y8: raw.y8.get(),
    }
}

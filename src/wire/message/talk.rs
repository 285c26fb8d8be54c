//! What is said of talk between two ends of a hop: a line for the stream's server, which lines there are, which have come, and
//! which are not taken.

use super::super::WireError;
use super::super::bytes::{Put, Reader};
use super::super::talk::{MAX_LINE, MAX_NAME};
use super::super::tlv::shorten;

/// A line that somebody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Say<'a> {
    pub session: u64,
    /// Drawn by who says it, and the same as often as it is repeated.
    pub id: u64,
    /// Which of the watchers of a relay says it; 0: who has the session.
    pub author: u32,
    /// At most [`MAX_NAME`] bytes; may be empty.
    pub name: &'a str,
    /// At most [`MAX_LINE`] bytes.
    pub text: &'a str,
}

impl<'a> Say<'a> {
    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let (session, id, author) = (r.u64()?, r.u64()?, r.u32()?);
        let (name, text) = (r.text()?, r.text()?);
        if name.len() > MAX_NAME || text.len() > MAX_LINE {
            return Err(WireError::Value { what: "a line's length" });
        }
        Ok(Self { session, id, author, name, text })
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.u64(self.session);
        out.u64(self.id);
        out.u32(self.author);
        out.text(shorten(self.name, MAX_NAME));
        out.text(shorten(self.text, MAX_LINE));
    }
}

/// The lines that may be had: from `first` to before `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineRange {
    pub stream: u64,
    pub first: u32,
    pub next: u32,
}

impl LineRange {
    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let range = Self { stream: r.u64()?, first: r.u32()?, next: r.u32()? };
        // Numbers never wrap.
        if range.first > range.next || range.next > u32::MAX / 2 {
            return Err(WireError::Value { what: "a range of lines" });
        }
        Ok(range)
    }

    pub(super) fn emit(self, out: &mut Vec<u8>) {
        out.u64(self.stream);
        out.u32(self.first);
        out.u32(self.next);
    }
}

/// Why a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsaidCode(pub u8);

impl UnsaidCode {
    /// There is no talk at this stream.
    pub const OFF: Self = Self(1);
    pub const TOO_MANY: Self = Self(2);
    pub const MUTED: Self = Self(3);
    /// Nothing in it can be read.
    pub const EMPTY: Self = Self(4);
}

/// A line that is not taken; with an id of 0, talk itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsaid<'a> {
    pub session: u64,
    pub id: u64,
    pub code: UnsaidCode,
    /// For people.
    pub sentence: &'a str,
}

impl<'a> Unsaid<'a> {
    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(Self { session: r.u64()?, id: r.u64()?, code: UnsaidCode(r.u8()?), sentence: r.text()? })
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.u64(self.session);
        out.u64(self.id);
        out.u8(self.code.0);
        out.text(self.sentence);
    }
}

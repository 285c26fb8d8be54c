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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Kind;
    use crate::wire::message::Message;

    fn said(name: &[u8], text: &[u8]) -> Vec<u8> {
        let mut bytes = vec![7; 20];
        for part in [name, text] {
            bytes.u16(part.len() as u16);
            bytes.extend_from_slice(part);
        }
        bytes
    }

    #[test]
    fn what_is_no_text_or_too_long_is_no_line() {
        let parsed = |bytes: &[u8]| Message::parse(Kind::SAY, bytes).is_ok();
        let long = [b'x'; MAX_LINE + 1];
        assert!(parsed(&said("Zoë".as_bytes(), &long[1..])) && parsed(&said(b"", b"")));
        // Half of a surrogate pair, as UTF-16 has them, and a letter that is cut off.
        for wrong in [&b"\xed\xa0\x80"[..], b"\xed\xbf\xbf", b"\xf0\x9f\x91", &long] {
            assert!(!parsed(&said(b"", wrong)), "{wrong:?}");
        }
        assert!(!parsed(&said(&long[..=MAX_NAME], b"hi")) && !parsed(&said(b"a", b"hi")[..24]));
    }

    #[test]
    fn numbers_of_lines_do_not_wrap() {
        let parsed = |first: u32, next: u32| {
            let mut bytes = Vec::new();
            Message::Talk { session: 1, range: LineRange { stream: 2, first, next } }.emit(&mut bytes);
            Message::parse(Kind::TALK, &bytes).is_ok()
        };
        assert!(parsed(0, 0) && parsed(5, u32::MAX / 2));
        assert!(!parsed(2, 1) && !parsed(0, u32::MAX / 2 + 1));
    }
}

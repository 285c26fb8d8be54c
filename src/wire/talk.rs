//! Talk: the lines that those who watch a stream write to each other. A line is an object of its own, made by the stream's
//! server; what people write is cleaned here before anybody sees it.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::WireError;
use super::object::{ObjectHeader, ObjectView, Type};
use super::tlv::{self, Tlvs, shorten};
use crate::units::{MediaTime, Unit};

/// Most bytes of UTF-8 in one line.
pub const MAX_LINE: usize = 500;
/// Most bytes of UTF-8 in the name of who says it.
pub const MAX_NAME: usize = 64;
/// So many marks may stand on one letter: no script has more, and a pile of them hides the lines around it.
const MAX_MARKS: usize = 8;

/// What stands before the name of whoever makes the stream, and in no other name or line.
pub const MAKER_SIGN: char = '★';

const NAME: u16 = 1;
const TEXT: u16 = 2;
const ID: u16 = 3;
const MAKER: u16 = 4;

/// A line as the stream's server took it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number: each line's is one more than that of the line before.
    pub unit: Unit,
    /// The stream's media time when it was said.
    pub media: MediaTime,
    /// Drawn by whoever said it: the same line is never taken twice, and is known again by its author.
    pub id: u64,
    /// Said by whoever makes the stream.
    pub is_maker: bool,
    /// May be empty.
    pub name: String,
    pub text: String,
}

impl Line {
    /// The whole object.
    pub fn object(&self, stream: u64) -> Vec<u8> {
        let whole = ObjectHeader::whole(Type::TEXT, stream, self.unit);
        let header = ObjectHeader { media_time: self.media, ..whole };
        let mut out = Vec::with_capacity(64 + self.name.len() + self.text.len());
        header.emit(&mut out, |out| {
            tlv::put(out, NAME, shorten(&self.name, MAX_NAME).as_bytes());
            tlv::put(out, TEXT, shorten(&self.text, MAX_LINE).as_bytes());
            tlv::put(out, ID, &self.id.to_be_bytes());
            if self.is_maker {
                tlv::put(out, MAKER, &[]);
            }
        });
        out
    }

    /// Reads an object of type text. Names and texts are cleaned again: nobody need have done that before.
    pub fn read(object: &ObjectView<'_>) -> Result<Self, WireError> {
        let wrong = WireError::Value { what: "a line" };
        let tlvs = Tlvs::parse(object.body)?;
        let id = tlvs.find(ID).and_then(|id| id.try_into().ok()).map(u64::from_be_bytes).ok_or(wrong)?;
        let (name, text) = (tlvs.text(NAME).unwrap_or_default(), tlvs.text(TEXT).ok_or(wrong)?);
        if object.header.kind != Type::TEXT || text.len() > MAX_LINE || name.len() > MAX_NAME {
            return Err(wrong);
        }
        Ok(Self {
            unit: object.header.unit,
            media: object.header.media_time,
            id,
            is_maker: tlvs.find(MAKER).is_some(),
            name: clean_name(name),
            text: clean_line(text),
        })
    }
}

impl Line {
    /// The name as people read it where it has no colour: whoever makes the stream has a star before it.
    pub fn signed_name(&self) -> String {
        if self.is_maker { format!("{MAKER_SIGN} {}", self.name).trim_end().to_owned() } else { self.name.clone() }
    }
}

/// What is left to read of what somebody wrote: no control characters, nothing that turns or hides what stands around it, no
/// pile of marks, no space at its ends. Of more than [`MAX_LINE`] bytes the first.
pub fn clean_line(text: &str) -> String {
    clean(text, MAX_LINE)
}

/// The same of the name of who writes, of at most [`MAX_NAME`] bytes.
pub fn clean_name(name: &str) -> String {
    clean(name, MAX_NAME)
}

fn clean(text: &str, most: usize) -> String {
    let (mut out, mut marks) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        let c = if is_space(c) { ' ' } else { c };
        if is_hidden(c) || c == MAKER_SIGN {
            continue;
        }
        // A mark needs a letter that it stands on, and a joiner one that it joins.
        let bare = out.is_empty() || out.ends_with(' ');
        marks = if is_combining_mark(c) { marks + 1 } else { 0 };
        if marks > MAX_MARKS || bare && (marks > 0 || is_joiner(c)) {
            continue;
        }
        out.push(c);
    }
    let is_filler = |c: char| c == ' ' || is_joiner(c);
    shorten(out.trim_matches(is_filler), most).trim_end_matches(is_filler).to_owned()
}

/// What separates words or lines, and everything that only looks empty.
const fn is_space(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{a0}' | '\u{115f}' | '\u{1160}' | '\u{2000}'
            ..='\u{200a}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202f}'
                | '\u{205f}'
                | '\u{2800}'
                | '\u{3000}'
                | '\u{3164}'
                | '\u{ffa0}'
    )
}

/// The joiners, which letters of several scripts and emoji of several parts need.
const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Control characters; format characters that turn, hide or annotate; tags; what is no character.
fn is_hidden(c: char) -> bool {
    let code = u32::from(c);
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{70f}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{feff}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' | '\u{fdd0}'..='\u{fdef}')
        || code & 0xfffe == 0xfffe
}

/// Whether two names are read as the same: capitals, marks and forms of a letter make no difference.
pub fn is_same_name(a: &str, b: &str) -> bool {
    let folded = |name: &str| -> String {
        let letters = name.nfkd().filter(|c| !is_combining_mark(*c) && !is_joiner(*c));
        letters.flat_map(char::to_lowercase).filter(|c| !c.is_whitespace()).collect()
    };
    folded(&clean_name(a)) == folded(&clean_name(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, text: &str) -> Line {
        Line {
            unit: Unit(7),
            media: MediaTime::from_micros(1_500_000),
            id: 9,
            is_maker: true,
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let said = line("Zoë", "سلام, 你好, नमस्ते 👩‍👩‍👧");
        let bytes = said.object(5);
        let view = ObjectView::parse(&bytes).expect("an object");
        assert_eq!((view.header.stream, Line::read(&view)), (5, Ok(said)));
        let other = Line { is_maker: false, ..line("", "x") };
        assert_eq!(Line::read(&ObjectView::parse(&other.object(5)).expect("an object")), Ok(other));
    }

    #[test]
    fn the_largest_line_fits_the_smallest_datagram() {
        let said = line(&"n".repeat(100), &"é".repeat(400));
        let bytes = said.object(u64::MAX);
        assert!(bytes.len() <= crate::wire::SizeClass::ANY.object_max(), "{}", bytes.len());
        let read = Line::read(&ObjectView::parse(&bytes).expect("an object")).expect("a line");
        assert_eq!((read.name.len(), read.text.len()), (MAX_NAME, MAX_LINE));
    }

    #[test]
    fn hostile_text_is_left_without_its_weapons() {
        for (written, read) in [
            ("a\u{1b}[31mb\0c\u{7f}", "a[31mbc"),
            ("two\r\nlines\u{2028}three", "two  lines three"),
            ("\u{202e}gnp.exe\u{202c} \u{2067}x\u{2069}", "gnp.exe x"),
            ("zero\u{200b}width\u{feff}\u{ad}", "zerowidth"),
            ("e\u{70f}v\u{1bca0}e", "eve"),
            ("★ Maria", "Maria"),
            ("tags\u{e0041}\u{e007f}", "tags"),
            ("\u{301}\u{302}", ""),
            ("\u{200d}\u{200c} \u{3000}\u{2800}\u{3164}", ""),
            ("می‌خواهم", "می\u{200c}خواهم"),
            ("no\u{ffff}n\u{1fffe}", "non"),
        ] {
            assert_eq!(clean_line(written), read, "{written:?}");
        }
        let pile = format!("a{}b", "\u{301}".repeat(249));
        assert_eq!(clean_line(&pile).chars().count(), 2 + MAX_MARKS);
        let wide = "🏳️‍🌈".repeat(100);
        let kept = clean_line(&wide);
        assert!(kept.len() <= MAX_LINE && wide.starts_with(&kept), "cut between characters");
        assert_eq!(clean_name(&"ß".repeat(60)).len(), MAX_NAME);
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let read = |bytes: &[u8]| Line::read(&ObjectView::parse_unchecked(bytes).expect("an object"));
        let mut header = ObjectHeader::sample(Type::TEXT, 1, 0, 1);
        let body = |header: &ObjectHeader, body: &[u8]| {
            let mut out = Vec::new();
            header.emit(&mut out, |out| out.extend_from_slice(body));
            out
        };
        let (mut long, mut surrogate) = (Vec::new(), Vec::new());
        tlv::put(&mut long, TEXT, &[b'x'; MAX_LINE + 1]);
        tlv::put(&mut long, ID, &[0; 8]);
        tlv::put(&mut surrogate, TEXT, &[0xed, 0xa0, 0x80]);
        tlv::put(&mut surrogate, ID, &[0; 8]);
        for wrong in [&[][..], &[0, 2, 0, 9], &long, &surrogate] {
            assert!(read(&body(&header, wrong)).is_err(), "{wrong:?}");
        }
        header.kind = Type::PICTURE;
        let (mut good, object) = (Vec::new(), line("a", "b").object(7));
        good.extend_from_slice(ObjectView::parse(&object).expect("an object").body);
        assert!(read(&body(&header, &good)).is_err(), "another type");
    }

    #[test]
    fn names_are_the_same_as_people_read_them() {
        for (a, b) in [("Anna", "ANNA"), ("José", "jose"), ("ｂｏｂ", "bob"), ("a\u{202e}b", "ab"), ("a b", "ab")] {
            assert!(is_same_name(a, b), "{a} {b}");
        }
        assert!(!is_same_name("anna", "annb"));
    }
}

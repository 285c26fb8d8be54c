//! Words as the engine wants them: what cannot be seen taken out, the length bounded, and for each letter with its marks the
//! face that it stands in.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::index::{Index, Letters, Region};

/// More of a text is never set: it is a page, and a line of hostile words.
pub const LONGEST: usize = 4_096;
/// So many characters belong to one letter; the rest is left out.
const MARKS: usize = 64;
/// What stands for a letter that no face has.
const UNKNOWN: char = '\u{fffd}';

/// A face, as the engine knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    Letters,
    Signs,
    /// The system's, by its number in the index.
    System(usize),
}

/// The faces to choose from.
pub struct Faces<'a> {
    pub letters: &'a Letters,
    pub signs: &'a Letters,
    /// `None` while they are not read.
    pub system: Option<&'a Index>,
}

/// A text that can be shaped.
#[derive(Debug, Default)]
pub struct Prepared {
    pub text: String,
    /// Which bytes of `text` stand in which face; those that are in none stand in the letters.
    pub places: Vec<(Range<usize>, Place)>,
    /// Which bytes of `text` are which span.
    pub spans: Vec<Range<usize>>,
    /// Where each letter began in the last span as it was given, and begins in `text`; the end of both last.
    pub origins: Vec<(usize, usize)>,
    /// It has letters that reach far above or below those of Europe.
    pub is_tall: bool,
    /// A letter would have been looked for in the system's faces.
    pub incomplete: bool,
}

impl Prepared {
    /// Several spans are isolated from one another, and the last one's direction is the paragraph's.
    pub fn new(spans: &[&str], faces: &Faces<'_>) -> Self {
        let mut prepared = Self::default();
        let several = spans.len() > 1;
        if several && spans.last().is_some_and(|last| begins_right_to_left(last)) {
            prepared.text.push('\u{200f}');
        }
        for span in spans {
            prepared.text.push_str(if several { "\u{2068}" } else { "" });
            let start = prepared.text.len();
            prepared.take_in(span, faces);
            prepared.spans.push(start..prepared.text.len());
            prepared.text.push_str(if several { "\u{2069}" } else { "" });
        }
        prepared
    }

    fn take_in(&mut self, span: &str, faces: &Faces<'_>) {
        let room = LONGEST.saturating_sub(self.text.chars().count());
        let end = span.char_indices().nth(room).map_or(span.len(), |(at, _)| at);
        let region = Region::of(&span[..end]);
        self.origins.clear();
        let mut before = None;
        for (at, cluster) in span[..end].grapheme_indices(true) {
            self.origins.push((at, self.text.len()));
            let seen: String = cluster.chars().take(MARKS).filter_map(seen).collect();
            if !seen.is_empty() {
                before = self.cluster(&seen, faces, region, before);
            }
        }
        if end < span.len() {
            self.text.push('…');
        }
        self.origins.push((span.len(), self.text.len()));
    }

    /// Writes one letter and its marks; returns its face if that is the system's.
    fn cluster(&mut self, seen: &str, faces: &Faces<'_>, region: Region, before: Option<usize>) -> Option<usize> {
        let wants_emoji = is_emoji(seen);
        let covers = |letters: &Letters| seen.chars().all(|letter| is_hidden(letter) || letters.has(letter));
        let first = seen.chars().next().unwrap_or(' ');
        let start = self.text.len();
        let place = if let Some(at) = self.follows(seen, faces) {
            Place::System(at)
        } else if first.is_whitespace() || seen.chars().all(is_hidden) || (!wants_emoji && covers(faces.letters)) {
            Place::Letters
        } else if !wants_emoji && covers(faces.signs) {
            Place::Signs
        } else {
            self.incomplete |= faces.system.is_none();
            let index = faces.system;
            match index.and_then(|index| index.choose(seen, wants_emoji, region, before)) {
                Some(at) => Place::System(at),
                None if faces.letters.has(first) => Place::Letters,
                None if faces.signs.has(first) => Place::Signs,
                None => {
                    self.text.push(UNKNOWN);
                    return before;
                }
            }
        };
        let has = |letter: char| match place {
            Place::Letters => faces.letters.has(letter),
            Place::Signs => faces.signs.has(letter),
            Place::System(at) => faces.system.and_then(|index| index.face(at)).is_some_and(|face| face.has(letter)),
        };
        self.text.extend(seen.chars().filter(|letter| letter.is_whitespace() || is_hidden(*letter) || has(*letter)));
        if place != Place::Letters {
            self.put(start..self.text.len(), place);
        }
        match place {
            Place::System(at) => {
                self.is_tall |= is_tall(first);
                Some(at)
            }
            Place::Letters | Place::Signs => before,
        }
    }

    /// The system's face that the letter before stands in, if what follows is a space, which is as wide as the face has it.
    fn follows(&self, seen: &str, faces: &Faces<'_>) -> Option<usize> {
        let Some((bytes, Place::System(at))) = self.places.last() else { return None };
        let face = faces.system.and_then(|index| index.face(*at))?;
        let fits = seen.chars().all(|space| space.is_whitespace() && face.has(space));
        (fits && !face.is_emoji && bytes.end == self.text.len()).then_some(*at)
    }

    fn put(&mut self, bytes: Range<usize>, place: Place) {
        match self.places.last_mut() {
            Some((last, same)) if last.end == bytes.start && *same == place => last.end = bytes.end,
            _ => self.places.push((bytes, place)),
        }
    }
}

/// Whether the faces that are bundled do not suffice.
pub fn wants_system(text: &str, faces: &Faces<'_>) -> bool {
    Prepared::new(&[text], &Faces { system: None, ..*faces }).incomplete
}

/// Characters as they are shaped: whatever breaks a line or a column is a space, and what would order others anew is gone.
fn seen(letter: char) -> Option<char> {
    match letter {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{206a}'..='\u{206f}' => None,
        '\u{2028}' | '\u{2029}' => Some(' '),
        letter if letter.is_control() => Some(' '),
        letter => Some(letter),
    }
}

/// Has no shape of its own, and a face need not have it.
const fn is_hidden(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a letter is drawn as a coloured picture: by itself, or because what follows it says so (UTS #51).
fn is_emoji(cluster: &str) -> bool {
    let first = cluster.chars().next().is_some_and(is_drawn_as_emoji);
    let says = |letter: char| cluster.chars().skip(1).any(|other| other == letter);
    let keycap =
        says('\u{20e3}') && cluster.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '#' | '*'));
    says('\u{fe0f}') || keycap || (first && !says('\u{fe0e}'))
}

/// `Emoji_Presentation` of Unicode 15.
const fn is_drawn_as_emoji(letter: char) -> bool {
    matches!(letter as u32,
        0x1f000..=0x1faff | 0x231a..=0x231b | 0x23e9..=0x23ec | 0x23f0 | 0x23f3 | 0x25fd..=0x25fe | 0x2614..=0x2615
        | 0x2648..=0x2653 | 0x267f | 0x2693 | 0x26a1 | 0x26aa..=0x26ab | 0x26bd..=0x26be | 0x26c4..=0x26c5 | 0x26ce | 0x26d4
        | 0x26ea | 0x26f2..=0x26f3 | 0x26f5 | 0x26fa | 0x26fd | 0x2705 | 0x270a..=0x270b | 0x2728 | 0x274c | 0x274e
        | 0x2753..=0x2755 | 0x2757 | 0x2795..=0x2797 | 0x27b0 | 0x27bf | 0x2b1b..=0x2b1c | 0x2b50 | 0x2b55)
}

/// Letters of South and South-East Asia, and those of Arabic and its neighbours.
const fn is_tall(letter: char) -> bool {
    matches!(letter as u32, 0x600..=0x109f | 0x1780..=0x17ff | 0x1900..=0x1cff | 0xa800..=0xabff | 0xfb50..=0xfdff | 0xfe70..=0xfefc)
}

/// Whether the first letter that has a direction is one of a script that is written from the right.
fn begins_right_to_left(text: &str) -> bool {
    let right = |letter: char| matches!(letter as u32, 0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfeff | 0x10800..=0x10fff | 0x1e800..=0x1efff);
    text.chars().take(LONGEST).find(|letter| letter.is_alphabetic()).is_some_and(right)
}

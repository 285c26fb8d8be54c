//! Words that are set: where each letter stands, and how they come onto pixels.

use std::ops::Range;
use std::sync::Arc;

use super::glyph::{Clip, Glyph};
use crate::media::Picture;

/// How rows shorter than their room stand in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// Where the paragraph's language begins: at the left, or at the right.
    #[default]
    Start,
    Left,
    Centre,
}

/// Where a line that is edited goes on: a stroke of this height, from the paragraph's upper left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caret {
    pub x: i32,
    pub y: i32,
    pub height: u32,
}

/// Pixels from one row to the next in letters of `size` pixels.
pub fn line_height(size: f32) -> u32 {
    (clamped(size) * LINE).ceil() as u32
}

/// Sizes that can be drawn.
pub(super) fn clamped(size: f32) -> f32 {
    if size.is_nan() { SMALLEST } else { size.clamp(SMALLEST, LARGEST) }
}

/// Words set to a size and a width. It is never changed, so it can be kept and drawn again.
pub struct Paragraph {
    pub(super) rows: Vec<Row>,
    /// Of its letters, in pixels.
    pub(super) size: f32,
    /// Widest row.
    pub(super) width: u32,
    pub(super) is_right_to_left: bool,
    pub(super) is_complete: bool,
    /// Its letters reach far above or below those of Europe.
    pub(super) is_tall: bool,
    pub(super) text: String,
    pub(super) origins: Vec<(usize, usize)>,
}

/// One row.
pub(super) struct Row {
    pub letters: Vec<Letter>,
    pub width: f32,
    /// The bytes of the text that stand in it.
    pub bytes: Range<usize>,
}

/// One letter of a row.
pub(super) struct Letter {
    pub image: Option<Arc<Glyph>>,
    /// Where its image belongs, from the row's left end and the base line.
    pub x: i32,
    pub y: i32,
    /// Its room in the row.
    pub left: f32,
    pub width: f32,
    pub bytes: Range<usize>,
    pub is_right_to_left: bool,
    /// The span that it is of.
    pub span: usize,
}

impl Paragraph {
    /// Pixels of its letters.
    pub const fn size(&self) -> f32 {
        self.size
    }

    /// Pixels of its widest row.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Pixels of all its rows.
    pub fn height(&self) -> u32 {
        self.line_height().saturating_mul(self.rows.len() as u32)
    }

    /// Pixels of one row: [`line_height`], and more where letters need it.
    pub fn line_height(&self) -> u32 {
        if self.is_tall { (self.size * TALL_LINE).ceil() as u32 } else { line_height(self.size) }
    }

    /// Pixels that its letters stand lower in their rows than those of a line of the usual height.
    pub fn drop(&self) -> i32 {
        self.base() - (self.size * ASCENT).round() as i32
    }

    /// Pixels from a row's upper edge to its base line.
    fn base(&self) -> i32 {
        (self.size * if self.is_tall { TALL_ASCENT } else { ASCENT }).round() as i32
    }

    /// What stands in each row, in the order in which it is read.
    pub fn rows(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|row| &self.text[row.bytes.clone()])
    }

    pub const fn is_right_to_left(&self) -> bool {
        self.is_right_to_left
    }

    /// Nothing in it waits for the system's fonts.
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Bytes that it takes, with the images of all its letters.
    pub(super) fn weight(&self) -> usize {
        let letters = self.rows.iter().flat_map(|row| &row.letters);
        let image = |letter: &Letter| letter.image.as_ref().map_or(0, |image| image.weight());
        2 * self.text.len() + letters.map(|letter| size_of::<Letter>() + image(letter)).sum::<usize>()
    }

    /// Whether a row ends within a word of a script that has spaces between words.
    pub(super) fn cuts_words(&self) -> bool {
        let is_letter = |letter: char| letter.is_alphanumeric() && u32::from(letter) < 0xe00;
        self.rows.windows(2).any(|rows| {
            let (before, after) = (&self.text[rows[0].bytes.clone()], &self.text[rows[1].bytes.clone()]);
            let adjoin = rows[0].bytes.end == rows[1].bytes.start;
            adjoin && before.ends_with(is_letter) && after.starts_with(is_letter)
        })
    }

    /// Where row `row` begins in a room of `room` pixels.
    pub fn indent(&self, row: usize, align: Align, room: u32) -> i32 {
        let width = self.rows.get(row).map_or(0.0, |row| row.width);
        let free = room as f32 - width;
        match align {
            Align::Centre => (free / 2.0).floor() as i32,
            Align::Start if self.is_right_to_left => free.floor() as i32,
            Align::Start | Align::Left => 0,
        }
    }

    /// Draws it on pixels of 0x00RRGGBB, `width` a row. `at`: the upper left corner of its room, which is as wide as its
    /// widest row. `colours`: one for each span; the last one stands for those that follow. `opacity`: from 0 to 1.
    pub fn draw(&self, target: &mut [u32], width: usize, at: (i32, i32), colours: &[u32], opacity: f32) {
        self.draw_aligned(target, width, at, (Align::Start, self.width), colours, opacity);
    }

    /// The same in a room of another width.
    pub fn draw_aligned(
        &self,
        target: &mut [u32],
        width: usize,
        at: (i32, i32),
        (align, room): (Align, u32),
        colours: &[u32],
        opacity: f32,
    ) {
        let bounds = (width, target.len() / width.max(1));
        let opacity = (opacity.clamp(0.0, 1.0) * 256.0).round() as u32;
        self.letters(&self.rows, at, (align, room), bounds, |letter, image, at, clip| {
            let colour = colours.get(letter.span).or(colours.last()).copied().unwrap_or_default();
            image.blend(target, width, at, clip, colour, opacity);
        });
    }

    /// Draws it on a picture in this luma; letters that have colours of their own bring them along.
    pub fn draw_luma(&self, picture: &mut Picture, at: (i32, i32), (align, room): (Align, u32), luma: u8) {
        self.draw_luma_rows(picture, at, (align, room), luma, usize::MAX);
    }

    /// The same, and no more than `rows` of it.
    pub fn draw_luma_rows(
        &self,
        picture: &mut Picture,
        at: (i32, i32),
        (align, room): (Align, u32),
        luma: u8,
        rows: usize,
    ) {
        let bounds = (picture.size.width.into(), picture.size.height.into());
        let shown = &self.rows[..rows.min(self.rows.len())];
        self.letters(shown, at, (align, room), bounds, |_, image, at, clip| image.blend_luma(picture, at, clip, luma));
    }

    /// Calls `draw(letter, image, place, clip)` for each letter; nothing of it may be drawn outside its row.
    fn letters(
        &self,
        rows: &[Row],
        (x, y): (i32, i32),
        (align, room): (Align, u32),
        bounds: (usize, usize),
        mut draw: impl FnMut(&Letter, &Glyph, (i32, i32), &Clip),
    ) {
        let (high, base) = (self.line_height() as i32, self.base());
        // Slanted letters and the marks of the outermost ones reach over.
        let over = (self.size / 2.0).ceil() as i32;
        for (at, row) in rows.iter().enumerate() {
            let left = x.saturating_add(self.indent(at, align, room));
            let top = y.saturating_add((at as i32).saturating_mul(high));
            let wide = (row.width.ceil() as i32).saturating_add(2 * over);
            let clip = Clip::new((left.saturating_sub(over), top), (wide, high), bounds);
            if clip.is_empty() {
                continue;
            }
            for letter in &row.letters {
                let Some(image) = &letter.image else { continue };
                let place = (left.saturating_add(letter.x), top.saturating_add(base).saturating_add(letter.y));
                draw(letter, image, place, &clip);
            }
        }
    }

    /// Where the caret stands in front of byte `index` of the last span, and at its end; for [`Align::Left`].
    pub fn caret(&self, index: usize) -> Caret {
        let after = self.origins.partition_point(|(given, _)| *given <= index);
        let index = self.origins.get(after.saturating_sub(1)).map_or(0, |(_, own)| *own);
        let row = self.rows.partition_point(|row| row.bytes.start <= index).saturating_sub(1);
        let x = self.rows.get(row).map_or(0.0, |row| row.caret(index));
        let height = self.line_height();
        Caret { x: x.round() as i32, y: (row as u32).saturating_mul(height) as i32, height }
    }
}

impl Row {
    /// In front of a byte of the text; behind the letter before it where no letter of the row begins there.
    fn caret(&self, index: usize) -> f32 {
        let within = |letter: &&Letter| letter.bytes.contains(&index);
        if let Some(letter) = self.letters.iter().find(within) {
            let part = (index - letter.bytes.start) as f32 / letter.bytes.len().max(1) as f32;
            let part = if letter.is_right_to_left { 1.0 - part } else { part };
            return letter.left + letter.width * part;
        }
        let last = self.letters.iter().filter(|letter| letter.bytes.end <= index).max_by_key(|letter| letter.bytes.end);
        last.map_or(0.0, |letter| letter.left + if letter.is_right_to_left { 0.0 } else { letter.width })
    }
}

/// Noto Sans: 1069 of 1000 units above the base line, 293 below it.
const ASCENT: f32 = 1.069;
const LINE: f32 = 1.362;
/// What Arabic, Thai, Khmer, Burmese and the scripts of India need in Noto's faces.
const TALL_ASCENT: f32 = 1.35;
const TALL_LINE: f32 = 2.05;
/// Smaller ones cannot be read, larger ones are wider than a window.
pub(super) const SMALLEST: f32 = 4.0;
pub(super) const LARGEST: f32 = 400.0;

//! Words on pictures: one monospaced font, scaled by whole numbers, drawn as filled squares.
//!
//! Letters outside Latin-1 become a question mark. Nothing is ever drawn outside the buffer.

use std::convert::Infallible;

use embedded_graphics::mono_font::iso_8859_1::{FONT_6X10, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{DrawTarget, Drawable, OriginDimensions, Pixel, Point, Size as Extent};
use embedded_graphics::text::{Baseline, Text};

use crate::units::Size;

/// A font at a size.
#[derive(Clone, Copy, Debug)]
pub struct Face {
    font: &'static MonoFont<'static>,
    scale: u32,
}

impl Face {
    /// 6×10 pixels a letter, for pictures too small for anything else.
    pub const SMALLEST: Self = Self { font: &FONT_6X10, scale: 1 };

    /// 10×20 pixels a letter, times `scale`.
    pub const fn scaled(scale: u32) -> Self {
        Self { font: &FONT_10X20, scale: if scale == 0 { 1 } else { scale } }
    }

    /// The face whose lines come closest to `height` pixels without being higher.
    pub const fn of_height(height: u32) -> Self {
        if height < 20 { Self::SMALLEST } else { Self::scaled(height / 20) }
    }

    pub const fn letter_width(self) -> u32 {
        self.font.character_size.width * self.scale
    }

    pub const fn line_height(self) -> u32 {
        self.font.character_size.height * self.scale
    }

    /// Pixels `text` is wide.
    pub fn width(self, text: &str) -> u32 {
        self.letter_width().saturating_mul(u32::try_from(text.chars().count()).unwrap_or(u32::MAX))
    }

    /// Calls `square(x, y, side)` for every lit cell of one line whose top left corner is `(x, y)`.
    pub fn draw(self, text: &str, (x, y): (i32, i32), mut square: impl FnMut(i32, i32, u32)) {
        let scale = self.scale as i32;
        let mut cells = Cells(|cell: Point| {
            let (x, y) =
                (cell.x.saturating_mul(scale).saturating_add(x), cell.y.saturating_mul(scale).saturating_add(y));
            square(x, y, self.scale);
        });
        let style = MonoTextStyle::new(self.font, BinaryColor::On);
        let Ok(_) = Text::with_baseline(text, Point::zero(), style, Baseline::Top).draw(&mut cells);
    }
}

/// Hands on every lit pixel.
struct Cells<F>(F);

impl<F: FnMut(Point)> DrawTarget for Cells<F> {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, colour) in pixels {
            if colour == BinaryColor::On {
                (self.0)(point);
            }
        }
        Ok(())
    }
}

impl<F> OriginDimensions for Cells<F> {
    fn size(&self) -> Extent {
        Extent::new(u32::MAX, u32::MAX)
    }
}

/// Splits `text` into lines of at most `columns` letters, at spaces where there are any.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = vec![String::new()];
    let mut room = columns;
    for word in text.split_whitespace() {
        let mut letters: Vec<char> = word.chars().collect();
        let gap = usize::from(room < columns);
        if letters.len() + gap > room && gap == 1 {
            lines.push(String::new());
            room = columns;
        }
        while letters.len() > columns {
            let rest = letters.split_off(columns);
            push(&mut lines, false, &letters);
            lines.push(String::new());
            room = columns;
            letters = rest;
        }
        let gap = room < columns;
        push(&mut lines, gap, &letters);
        room -= letters.len() + usize::from(gap);
    }
    lines
}

fn push(lines: &mut [String], gap: bool, letters: &[char]) {
    if let Some(line) = lines.last_mut() {
        line.extend(gap.then_some(' '));
        line.extend(letters);
    }
}

/// A title and sentences, broken into centred rows that fit an area.
pub struct TextLayout {
    pub face: Face,
    pub rows: Vec<Row>,
    /// Where the first row begins.
    top: i32,
    width: i32,
}

/// One row of a [`TextLayout`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub text: String,
    /// Part of the title, and so brighter than the rest.
    pub is_title: bool,
}

impl TextLayout {
    /// The largest letters, up to eight times the smallest, with which everything fits; at worst cut at the edges.
    pub fn new(size: Size, title: &str, lines: &[&str]) -> Self {
        let height = u32::from(size.height);
        let faces = (1..=8).rev().map(Face::scaled).filter(|face| face.line_height() <= height / 12);
        let fits = |face: &Face| rows(size, *face, title, lines).len() as u32 * face.line_height() <= height;
        let face = faces.chain([Face::scaled(1)]).find(fits).unwrap_or(Face::SMALLEST);
        let rows = rows(size, face, title, lines);
        let top = (i32::from(size.height) - rows.len() as i32 * face.line_height() as i32) / 2;
        Self { face, rows, top, width: i32::from(size.width) }
    }

    /// Each row and its top left corner.
    pub fn placed(&self) -> impl Iterator<Item = (&Row, (i32, i32))> {
        let height = self.face.line_height() as i32;
        let x = |row: &Row| (self.width - self.face.width(&row.text) as i32) / 2;
        (0..).zip(&self.rows).map(move |(i, row)| (row, (x(row), self.top + i * height)))
    }
}

fn rows(size: Size, face: Face, title: &str, lines: &[&str]) -> Vec<Row> {
    let columns = (u32::from(size.width) / face.letter_width()).saturating_sub(2) as usize;
    let row = |text, is_title| Row { text, is_title };
    let mut rows: Vec<_> = wrap(title, columns).into_iter().map(|text| row(text, true)).collect();
    for line in lines {
        rows.push(row(String::new(), false));
        rows.extend(wrap(line, columns).into_iter().map(|text| row(text, false)));
    }
    rows
}

/// One plane of `width` bytes a row: fills a rectangle, cut to the plane.
pub fn fill(plane: &mut [u8], width: usize, (x, y): (i32, i32), (w, h): (u32, u32), value: u8) {
    fill_any(plane, width, (x, y), (w, h), |pixels| pixels.fill(value));
}

/// Draws one line of text on a BGRX buffer of `width` pixels a row.
pub fn draw_bgrx(pixels: &mut [u32], width: usize, at: (i32, i32), face: Face, colour: u32, text: &str) {
    face.draw(text, at, |x, y, side| fill_any(pixels, width, (x, y), (side, side), |row| row.fill(colour)));
}

/// Fills a rectangle of a BGRX buffer, cut to the buffer.
pub fn fill_bgrx(pixels: &mut [u32], width: usize, at: (i32, i32), size: (u32, u32), colour: u32) {
    fill_any(pixels, width, at, size, |row| row.fill(colour));
}

/// Darkens a rectangle of a BGRX buffer to a quarter, so that text on it can be read over any picture.
pub fn shade_bgrx(pixels: &mut [u32], width: usize, at: (i32, i32), size: (u32, u32)) {
    fill_any(pixels, width, at, size, |row| row.iter_mut().for_each(|pixel| *pixel = *pixel >> 2 & 0x003f_3f3f));
}

fn fill_any<T>(plane: &mut [T], width: usize, (x, y): (i32, i32), (w, h): (u32, u32), mut paint: impl FnMut(&mut [T])) {
    let cut = |from: i32, length: u32, end: usize| {
        let last = i64::from(from) + i64::from(length);
        (i64::from(from).clamp(0, end as i64) as usize, last.clamp(0, end as i64) as usize)
    };
    let (left, right) = cut(x, w, width);
    let (top, bottom) = cut(y, h, plane.len() / width.max(1));
    if left < right {
        for row in top..bottom {
            paint(&mut plane[row * width + left..row * width + right]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_at_spaces_and_long_words_are_cut() {
        assert_eq!(wrap("the film could not be opened", 10), ["the film", "could not", "be opened"]);
        assert_eq!(wrap("a /very/long/path b", 6), ["a", "/very/", "long/p", "ath b"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("abc", 0), ["a", "b", "c"]);
    }

    #[test]
    fn text_is_cut_at_every_edge() {
        let mut pixels = vec![0_u32; 40 * 30];
        for at in [(-15, -9), (35, 25), (i32::MAX, i32::MIN), (i32::MIN, 3), (0, 0)] {
            draw_bgrx(&mut pixels, 40, at, Face::scaled(2), 0x00ff_ffff, "Ä8→W");
            shade_bgrx(&mut pixels, 40, at, (u32::MAX, u32::MAX));
        }
        draw_bgrx(&mut pixels, 40, (0, 0), Face::scaled(1), 7, "8");
        assert!(pixels.contains(&7));
        draw_bgrx(&mut [], 0, (0, 0), Face::SMALLEST, 7, "8");
    }
}

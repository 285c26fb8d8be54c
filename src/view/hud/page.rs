//! A window's pixels while they are drawn on: sizes, margins, and what stands at the edges.

use super::{Card, GREY, RED, WHITE, YELLOW};
use crate::media::paint::{fill_bgrx, shade_bgrx, shade_bgrx_by};
use crate::text::layout::TextLayout;
use crate::text::{Align, Keep, Paragraph, fit, line_height, set};
use crate::units::Size;

/// A window's pixels while they are drawn on.
pub struct Page<'a> {
    pub target: &'a mut [u32],
    pub window: Size,
    /// Pixels of a letter where there is room.
    size: f32,
    /// Nothing on it waits for the system's fonts.
    pub is_complete: bool,
}

impl<'a> Page<'a> {
    /// `scale`: how many of the window's pixels one of a usual screen takes.
    pub fn new(target: &'a mut [u32], window: Size, scale: f32) -> Self {
        let scale = if scale.is_finite() { scale.clamp(1.0, 8.0) } else { 1.0 };
        Self { target, window, size: LETTERS * scale, is_complete: true }
    }

    pub fn width(&self) -> u32 {
        self.window.width.into()
    }

    pub fn height(&self) -> u32 {
        self.window.height.into()
    }

    /// The window's letters, in pixels.
    pub const fn size(&self) -> f32 {
        self.size
    }

    /// The window's letters, or smaller ones with which a block fits that would be `wide` pixels and `rows` rows then.
    pub fn fitting(&self, wide: u32, rows: f32) -> f32 {
        let across = f32::from(self.window.width) / (wide as f32 + ROUND * self.size);
        let down = f32::from(self.window.height) / ((rows + 2.0) * line_height(self.size) as f32);
        let part = across.min(down);
        if part >= 1.0 { self.size } else { ((self.size * part * 4.0).floor() / 4.0).max(SMALLEST) }
    }

    /// Draws words that are set.
    pub fn put(&mut self, words: &Paragraph, at: (i32, i32), (align, room): (Align, u32), colour: u32) {
        self.is_complete &= words.is_complete();
        let width = self.window.width.into();
        words.draw_aligned(self.target, width, at, (align, room), &[colour], 1.0);
    }

    /// Draws one of several rows that are [`line_height`] apart: all have their base line at the same height.
    pub fn put_row(&mut self, words: &Paragraph, (x, y): (i32, i32), room: u32, colour: u32) {
        self.put(words, (x, y - words.drop()), (Align::Left, room), colour);
    }

    /// Draws one line from its left end.
    pub fn text(&mut self, at: (i32, i32), size: f32, colour: u32, text: &str) {
        let words = set(&[text], size, None);
        self.put_row(&words, at, words.width(), colour);
    }

    pub fn shade(&mut self, at: (i32, i32), size: (u32, u32)) {
        shade_bgrx(self.target, self.window.width.into(), at, size);
    }

    /// The same, less with an `opacity` below 1.
    pub fn shade_by(&mut self, at: (i32, i32), size: (u32, u32), opacity: f32) {
        shade_bgrx_by(self.target, self.window.width.into(), at, size, opacity);
    }

    /// Draws words in the colours of their spans, no higher and no lower than between `top` and `bottom`.
    pub fn put_within(
        &mut self,
        words: &Paragraph,
        (x, y): (i32, i32),
        (top, bottom): (i32, i32),
        colours: &[u32],
        opacity: f32,
    ) {
        self.is_complete &= words.is_complete();
        let (width, height) = (usize::from(self.window.width), i32::from(self.window.height));
        let (top, bottom) = (top.clamp(0, height), bottom.clamp(0, height));
        if let Some(rows) = self.target.get_mut(top as usize * width..bottom.max(top) as usize * width) {
            words.draw(rows, width, (x, y - top), colours, opacity);
        }
    }

    pub fn fill(&mut self, at: (i32, i32), size: (u32, u32), colour: u32) {
        fill_bgrx(self.target, self.window.width.into(), at, size, colour);
    }

    /// The last picture, if any, lies dark behind it.
    pub fn card(&mut self, card: &Card) {
        let all = (self.width(), self.height());
        self.shade((0, 0), all);
        self.shade((0, 0), all);
        let lines: Vec<&str> = card.lines.iter().map(String::as_str).collect();
        let layout = TextLayout::new(self.window, &card.title, &lines);
        layout.draw(self.target, self.window.width.into(), WHITE, GREY);
        self.is_complete &= layout.is_complete();
    }

    /// From the lower edge upwards: which picture it is, and what is said of it. Returns where that begins.
    pub fn notices<'s>(&mut self, texts: impl DoubleEndedIterator<Item = &'s str>, label: &str, floor: i32) -> i32 {
        let mut y = floor;
        if !label.is_empty() {
            y = self.label(label);
        }
        let size = self.fitting((self.size * NOTICE_WIDTH) as u32, 8.0);
        let margin = margin(size);
        let room = self.width().saturating_sub(4 * margin).max(1);
        y -= margin as i32;
        for text in texts.rev() {
            let words = set(&[text], size, Some(room));
            y -= words.height() as i32;
            self.shaded(y, size, YELLOW, &words);
        }
        y
    }

    /// Words at the left, on a dark ground.
    fn shaded(&mut self, y: i32, size: f32, colour: u32, words: &Paragraph) {
        let margin = margin(size);
        self.shade((margin as i32, y), (words.width() + 2 * margin, words.height()));
        self.put(words, (2 * margin as i32, y), (Align::Start, words.width()), colour);
    }

    /// Returns where it begins. Of a long one the end is shown, which tells streams of one server apart.
    fn label(&mut self, text: &str) -> i32 {
        let size = self.fitting(set(&[text], self.size, None).width(), 3.0).max(self.size * LEAST_LABEL);
        let margin = margin(size);
        let words = fit(text, size, self.width().saturating_sub(4 * margin), Keep::End);
        let y = self.height() as i32 - (words.height() + margin) as i32;
        self.shaded(y, size, WHITE, &words);
        y
    }

    /// The dot of a recording, in the top right corner; words there stand below it.
    pub fn dot(&mut self) {
        let size = self.fitting(0, 1.0);
        let radius = line_height(size) as i32 * 3 / 8;
        let (x, y) = (self.width() as i32 - 2 * margin(size) as i32 - radius, line_height(size) as i32 / 2);
        for row in -radius..=radius {
            let half = f64::from(radius * radius - row * row).sqrt() as i32;
            self.fill((x - half, y + row), (2 * half as u32 + 1, 1), RED);
        }
    }

    /// A word in the top right corner.
    pub fn tag(&mut self, text: &str) {
        let size = self.fitting(set(&[text], self.size, None).width(), 1.0);
        let (words, margin) = (set(&[text], size, None), margin(size));
        let wide = words.width() + 2 * margin;
        let (x, y) = (self.width() as i32 - (wide + margin) as i32, line_height(size) as i32);
        self.shade((x, y), (wide, words.height()));
        self.put(&words, (x + margin as i32, y), (Align::Left, words.width()), YELLOW);
    }
}

/// What is left free beside letters of this size.
pub fn margin(size: f32) -> u32 {
    (size * 0.6).round() as u32
}

/// Letters' sizes that are left free around a block: margins within its ground and without.
const ROUND: f32 = 2.6;
/// Pixels of a letter on a usual screen.
const LETTERS: f32 = 16.0;
/// Smaller letters cannot be read.
pub const SMALLEST: f32 = 7.0;
/// A notice of so many letters' sizes should fit in one row.
const NOTICE_WIDTH: f32 = 32.0;
/// A label is cut rather than set in letters that are smaller than this part of the usual ones.
const LEAST_LABEL: f32 = 0.6;

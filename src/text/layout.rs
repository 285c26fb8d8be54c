//! A title and sentences in the middle of an area, in the largest letters with which all of it fits.

use std::sync::Arc;

use super::engine::{Engine, Shaped};
use super::paragraph::{Align, LARGEST, Paragraph, line_height};
use crate::units::Size;

/// Where the words of a card stand.
pub struct TextLayout {
    parts: Vec<Part>,
}

/// The title, or one of the sentences.
pub struct Part {
    pub paragraph: Arc<Paragraph>,
    /// The upper left corner of its room, as [`Paragraph::draw_aligned`] takes it with [`Align::Centre`].
    pub at: (i32, i32),
    /// Pixels that its room is wide.
    pub room: u32,
    /// Part of the title, and so brighter than the rest.
    pub is_title: bool,
}

impl TextLayout {
    /// Rows are at most a twelfth of the height. No word is cut unless the letters could not be read otherwise; what does
    /// not fit even in the smallest ones is cut at the lower edge.
    pub fn new(size: Size, title: &str, lines: &[&str]) -> Self {
        Self::with(&mut super::engine(), size, title, lines)
    }

    /// The same with another engine than the process's.
    pub fn with(engine: &mut Engine, size: Size, title: &str, lines: &[&str]) -> Self {
        let texts = [title].into_iter().chain(lines.iter().copied());
        let shaped: Vec<Shaped> = texts.map(|text| engine.shape(&[text])).collect();
        let pixels = best(engine, &shaped, size);
        Self { parts: place(engine, &shaped, size, pixels, true) }
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Nothing in it waits for the system's fonts.
    pub fn is_complete(&self) -> bool {
        self.parts.iter().all(|part| part.paragraph.is_complete())
    }

    /// Draws it on pixels of 0x00RRGGBB, `width` a row, with colours for the title and the sentences.
    pub fn draw(&self, target: &mut [u32], width: usize, title: u32, sentences: u32) {
        for Part { paragraph, at, room, is_title } in &self.parts {
            let colour = if *is_title { title } else { sentences };
            paragraph.draw_aligned(target, width, *at, (Align::Centre, *room), &[colour], 1.0);
        }
    }
}

impl Part {
    fn end(&self) -> i32 {
        self.at.1.saturating_add(self.paragraph.height() as i32)
    }
}

/// Sizes to try, the largest first.
fn sizes(size: Size) -> impl Iterator<Item = f32> {
    let row = f32::from(size.height) / ROWS;
    let most = (row / (line_height(100.0) as f32 / 100.0)).clamp(SMALLEST, LARGEST);
    let next = |pixels: &f32| (*pixels > SMALLEST).then(|| (pixels * STEP).max(SMALLEST));
    std::iter::successors(Some(most), next)
}

/// The largest size with which all fits and no word is cut; letters that are easily read come before whole words.
fn best(engine: &mut Engine, shaped: &[Shaped], size: Size) -> f32 {
    let mut cutting = None;
    for pixels in sizes(size) {
        let parts = place(engine, shaped, size, pixels, false);
        if parts.last().is_some_and(|part| part.end() > i32::from(size.height)) {
            continue;
        }
        let whole = parts.iter().all(|part| !part.paragraph.cuts_words());
        if whole && (pixels >= EASY || cutting.is_none()) {
            return pixels;
        }
        cutting.get_or_insert(pixels);
    }
    cutting.unwrap_or(SMALLEST)
}

fn place(engine: &mut Engine, shaped: &[Shaped], size: Size, pixels: f32, drawn: bool) -> Vec<Part> {
    let margin = (pixels * MARGIN).round() as u32;
    let width = u32::from(size.width);
    let room = width.saturating_sub(2 * margin).max(width / 2).max(1);
    let left = (width.saturating_sub(room) / 2) as i32;
    let gap = line_height(pixels) * 2 / 3;
    let paragraphs: Vec<Arc<Paragraph>> =
        shaped.iter().map(|shaped| engine.lay(shaped, pixels, Some(room), drawn)).collect();
    let high: u32 = paragraphs.iter().map(|paragraph| paragraph.height()).sum();
    let high = high.saturating_add(gap * paragraphs.len().saturating_sub(1) as u32);
    let mut y = (i32::from(size.height) - high as i32).max(0) / 2;
    let mut parts = Vec::with_capacity(paragraphs.len());
    for paragraph in paragraphs {
        let next = y.saturating_add((paragraph.height() + gap) as i32);
        parts.push(Part { paragraph, at: (left, y), room, is_title: parts.is_empty() });
        y = next;
    }
    parts
}

/// A row is at most this part of the height.
const ROWS: f32 = 12.0;
/// Of a letter's size, left free on both sides.
const MARGIN: f32 = 0.7;
const STEP: f32 = 0.92;
/// Letters of this size can be read easily: rather than smaller ones, words are cut.
const EASY: f32 = 12.0;
const SMALLEST: f32 = 7.0;

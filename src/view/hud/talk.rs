//! What people say, over the picture: fading lines, their history, and the line that is typed.

use super::page::{Page, margin};
use super::{GREY, WHITE, YELLOW};
use crate::text::{Align, Paragraph, set};
use crate::units::Size;
use crate::view::editor::Editor;
use crate::view::scale::Rect;
use crate::view::talk::{Talk, TalkLine};

/// A line takes no more of the window's width than this: longer ones are hard to read.
const WIDEST: f32 = 44.0;
/// Lines take no more of the window's height than one part in so many.
const PART: u32 = 2;
/// The typed line shows no more rows than this.
const TYPED_ROWS: u32 = 4;

impl Page<'_> {
    /// From `bottom` upwards: the typed line, then what was said last. Returns where the caret is, for input methods.
    pub fn talk(&mut self, talk: &Talk, bottom: i32) -> Option<Rect> {
        let size = self.fitting((self.size() * 20.0) as u32, 6.0);
        let mut y = bottom;
        let caret = talk.typed().map(|typed| self.typed_line(typed, size, &mut y));
        let top = y - (self.height() / PART) as i32;
        for (line, opacity) in talk.recent().filter(|(_, opacity)| *opacity > 0.0) {
            let words = self.said(line, size);
            y -= words.height() as i32;
            if y < top {
                break;
            }
            self.line(&words, y, size, line, opacity);
        }
        caret
    }

    /// A name and what was said under it, each with its own direction.
    fn said(&self, line: &TalkLine, size: f32) -> std::sync::Arc<Paragraph> {
        let room = self.talk_room(size);
        if line.name.is_empty() {
            return set(&["", &line.text], size, Some(room));
        }
        // The space is of neither: it stands between them whichever way they run.
        set(&[&format!("{}:", line.name), " ", &line.text], size, Some(room))
    }

    fn talk_room(&self, size: f32) -> u32 {
        self.width().saturating_sub(4 * margin(size)).min((size * WIDEST) as u32).max(1)
    }

    fn line(&mut self, words: &Paragraph, y: i32, size: f32, line: &TalkLine, opacity: f32) {
        let margin = margin(size);
        self.shade_by((margin as i32, y), (words.width() + 2 * margin, words.height()), opacity);
        let name = if line.is_maker { YELLOW } else { colour_of(&line.name) };
        self.put_spans(words, (2 * margin as i32, y), &[name, WHITE], opacity);
    }

    /// The line that is typed, with its caret.
    fn typed_line(&mut self, typed: &Editor, size: f32, y: &mut i32) -> Rect {
        let (margin, (text, caret)) = (margin(size), typed.shown());
        let room = self.talk_room(size);
        let words = set(&[&text], size, Some(room));
        let caret = words.caret(caret);
        // Of many rows those around the caret are shown.
        let (line, rows) = (words.line_height(), (words.height() / words.line_height().max(1)).max(1));
        let shown = rows.min(TYPED_ROWS);
        let first = (caret.y.max(0) as u32 / line.max(1)).saturating_sub(shown - 1).min(rows - shown);
        let high = shown * line;
        *y -= high as i32 + margin as i32;
        let (left, top) = (2 * margin as i32, *y);
        for _ in 0..2 {
            self.shade((margin as i32, top), (room + 2 * margin, high));
        }
        if text.is_empty() {
            let hint = set(&["Say something to all who watch: Enter sends it, Esc puts it away"], size, Some(room));
            if hint.height() <= high {
                self.put(&hint, (left, top), (Align::Left, room), GREY);
            }
        }
        let drawn = (left, top - (first * line) as i32);
        self.put_within(&words, drawn, (top, top + high as i32), WHITE);
        let at = (left + caret.x, drawn.1 + caret.y);
        self.fill(at, ((size / 10.0).ceil() as u32, caret.height), WHITE);
        *y -= margin as i32 / 2;
        let side = |side: i32| u16::try_from(side.max(0)).unwrap_or(u16::MAX);
        Rect { x: side(at.0), y: side(at.1), size: Size::new(2, side(caret.height as i32)) }
    }

    /// All that was said, newest last, over a dark picture.
    pub fn history(&mut self, talk: &Talk) {
        let size = self.fitting((self.size() * 20.0) as u32, 6.0);
        let margin = margin(size);
        for _ in 0..2 {
            self.shade((0, 0), (self.width(), self.height()));
        }
        if talk.is_empty() {
            let words = set(&["Nobody has said anything yet."], size, Some(self.talk_room(size)));
            let (x, y) = ((self.width() - words.width().min(self.width())) / 2, self.height() / 2);
            return self.put(&words, (x as i32, y as i32), (Align::Left, words.width()), GREY);
        }
        let mut y = self.height() as i32 - margin as i32;
        if talk.history.is_some_and(|back| back > 0) {
            let words = set(&["…"], size, None);
            y -= words.height() as i32;
            self.put(&words, (2 * margin as i32, y), (Align::Left, words.width()), GREY);
        }
        for line in talk.older() {
            let words = self.said(line, size);
            y -= words.height() as i32 + margin as i32 / 4;
            if y < margin as i32 {
                return;
            }
            let name = if line.is_maker { YELLOW } else { colour_of(&line.name) };
            self.put_spans(&words, (2 * margin as i32, y), &[name, WHITE], 1.0);
        }
    }
}

/// One of a few colours that are easily read on dark ground, always the same for a name.
fn colour_of(name: &str) -> u32 {
    // FNV-1a, which tells short names apart.
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    COLOURS[(hash >> 16) as usize % COLOURS.len()]
}

const COLOURS: [u32; 6] = [0x0080_C8FF, 0x0090_E090, 0x00FF_A8A0, 0x00D8_B0FF, 0x0070_E0D8, 0x00F0_C890];

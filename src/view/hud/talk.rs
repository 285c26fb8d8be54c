//! What people say, over the picture: fading lines, their history, and the line that is typed.

use super::page::{Page, margin};
use super::{GREY, WHITE, YELLOW};
use crate::text::{Align, Keep, fit, set};
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
    /// The letters of talk.
    fn talk_size(&self) -> f32 {
        self.fitting((self.size() * 20.0) as u32, 6.0)
    }

    fn talk_room(&self, size: f32) -> u32 {
        self.width().saturating_sub(4 * margin(size)).min((size * WIDEST) as u32).max(1)
    }

    /// What was said last, from `bottom` upwards.
    pub fn recent(&mut self, talk: &Talk, bottom: i32) {
        let top = bottom - (self.height() / PART) as i32;
        let mut y = bottom;
        for (line, opacity) in talk.recent().filter(|(_, opacity)| *opacity > 0.0) {
            if !self.line(line, &mut y, top, Some(opacity)) {
                return;
            }
        }
    }

    /// All that was said, from `bottom` upwards, over a dark picture.
    pub fn history(&mut self, talk: &Talk, bottom: i32) {
        let (size, mut y) = (self.talk_size(), bottom);
        let margin = margin(size) as i32;
        if talk.is_empty() {
            let words = set(&["Nobody has said anything yet."], size, Some(self.talk_room(size)));
            let (x, y) = ((self.width() - words.width().min(self.width())) / 2, self.height() / 2);
            return self.put(&words, (x as i32, y as i32), (Align::Left, words.width()), GREY);
        }
        if talk.history.is_some_and(|back| back > 0) {
            let words = set(&["…"], size, None);
            y -= words.height() as i32;
            self.put(&words, (2 * margin, y), (Align::Left, words.width()), GREY);
        }
        for line in talk.older() {
            if !self.line(line, &mut y, margin, None) {
                return;
            }
            y -= margin / 4;
        }
    }

    /// One line above `y`, which moves up to where it begins; on dark ground of its own if it has an opacity. Of one that reaches over
    /// `top` the beginning is shown, and only if there is no other; false: there is no room above it.
    fn line(&mut self, line: &TalkLine, y: &mut i32, top: i32, opacity: Option<f32>) -> bool {
        let size = self.talk_size();
        let (room, margin) = (self.talk_room(size), margin(size));
        let name = format!("{}:", line.name);
        // The space is of neither: it stands between them whichever way they run.
        let spans = if line.name.is_empty() { ["", "", &line.text] } else { [&name, " ", &line.text] };
        let words = set(&spans, size, Some(room));
        let rows = words.line_height().max(1) as i32;
        let free = *y - top;
        let is_alone = free >= self.height() as i32 / PART as i32 - rows;
        let high = match words.height() as i32 {
            high if high <= free => high,
            _ if is_alone => (free / rows).max(1) * rows,
            _ => return false,
        };
        *y -= high;
        if let Some(opacity) = opacity {
            self.shade_by((margin as i32, *y), (words.width() + 2 * margin, high as u32), opacity);
        }
        let name = if line.is_maker { YELLOW } else { colour_of(&line.name) };
        let at = (2 * margin as i32, *y);
        self.put_within(&words, at, (*y, *y + high), &[name, WHITE], opacity.unwrap_or(1.0));
        *y > top
    }

    /// The line that is typed, above `y`, which moves up to where it begins. Returns where its caret is, for input methods.
    pub fn typed_line(&mut self, typed: &Editor, y: &mut i32) -> Rect {
        let size = self.talk_size();
        let (margin, (text, caret)) = (margin(size), typed.shown());
        let room = self.talk_room(size);
        let words = set(&[&text], size, Some(room));
        let caret = words.caret(caret);
        // Of many rows those around the caret are shown.
        let (line, rows) = (words.line_height().max(1), (words.height() / words.line_height().max(1)).max(1));
        let shown = rows.min(TYPED_ROWS);
        let first = (caret.y.max(0) as u32 / line).saturating_sub(shown - 1).min(rows - shown);
        let high = shown * line;
        *y -= high as i32;
        let (left, top) = (2 * margin as i32, *y);
        for _ in 0..2 {
            self.shade((margin as i32, top), (room + 2 * margin, high));
        }
        if text.is_empty() {
            let hint = fit(HINT, size, room, Keep::Start);
            self.put(&hint, (left, top), (Align::Left, room), GREY);
        }
        let drawn = (left, top - (first * line) as i32);
        self.put_within(&words, drawn, (top, top + high as i32), &[WHITE], 1.0);
        let at = (left + caret.x, drawn.1 + caret.y);
        self.fill(at, ((size / 10.0).ceil() as u32, caret.height), WHITE);
        *y -= margin as i32 / 2;
        let side = |side: i32| u16::try_from(side.max(0)).unwrap_or(u16::MAX);
        Rect { x: side(at.0), y: side(at.1), size: Size::new(2, side(caret.height as i32)) }
    }
}

/// One of a few colours that are easily read on dark ground, always the same for a name.
fn colour_of(name: &str) -> u32 {
    // FNV-1a, which tells short names apart.
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    COLOURS[(hash >> 16) as usize % COLOURS.len()]
}

const HINT: &str = "Say something to all who watch: Enter sends it, Esc puts it away";
const COLOURS: [u32; 6] = [0x0080_C8FF, 0x0090_E090, 0x00FF_A8A0, 0x00D8_B0FF, 0x0070_E0D8, 0x00F0_C890];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Time;
    use crate::view::hud::Hud;

    const PICTURE: u32 = 0x0060_6060;

    fn drawn(hud: &Hud, size: Size, scale: f32) -> Vec<u32> {
        let mut target = vec![PICTURE; size.pixels()];
        hud.draw(&mut target, size, scale);
        target
    }

    fn line(name: &str, text: &str) -> TalkLine {
        TalkLine { name: name.to_owned(), text: text.to_owned(), is_maker: false }
    }

    /// A letter's: thin strokes of small ones are no full white.
    fn is_white(pixel: &u32) -> bool {
        pixel & 0xff > 0xa0
    }

    #[test]
    fn the_newest_line_is_seen_however_long_it_is_and_small_the_window() {
        for text in ["W".repeat(500), "word ".repeat(100)] {
            for (width, height, scale) in
                [(1_280, 720, 3.0), (640, 360, 1.0), (480, 270, 1.0), (320, 180, 1.0), (200, 90, 1.0)]
            {
                let mut hud = Hud::default();
                hud.talk.push(line("Ann", "before"), Time::ZERO);
                hud.talk.push(line("Ann", text.trim()), Time::ZERO);
                let size = Size::new(width, height);
                let seen = drawn(&hud, size, scale).iter().filter(|pixel| is_white(pixel)).count();
                hud.talk.toggle_history();
                let kept = drawn(&hud, size, scale).iter().filter(|pixel| is_white(pixel)).count();
                assert!(seen > 30 && kept > 30, "{seen} and {kept} pixels in {size} at {scale}");
            }
        }
    }

    #[test]
    fn lines_that_have_room_stand_above_each_other_and_the_typed_one_below() {
        let size = Size::new(640, 360);
        let rows = |hud: &Hud| {
            let pixels = drawn(hud, size, 1.0);
            let lit = pixels.chunks_exact(640).map(|row| row[..200].iter().any(is_white)).collect::<Vec<bool>>();
            lit.windows(2).filter(|two| !two[0] && two[1]).count()
        };
        let mut hud = Hud::default();
        for text in ["HHH", "HHH", "HHH"] {
            hud.talk.push(line("", text), Time::ZERO);
        }
        assert_eq!(rows(&hud), 3);
        hud.talk.open();
        hud.talk.typed_mut().expect("open").insert("HHH");
        assert_eq!(rows(&hud), 4);
        assert!(hud.caret.get().is_some_and(|caret| caret.y > 300 && caret.x > 30), "{:?}", hud.caret);
        hud.talk.toggle_history();
        assert_eq!(rows(&hud), 4, "nothing stands twice");
    }
}

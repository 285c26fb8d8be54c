//! The bar of a film on demand: where it is, how long it is, whether it stands.

use super::page::Page;
use super::{GREY, WHITE, YELLOW};
use crate::text::{Align, line_height, set};
use crate::view::film::{Area, FilmPlace, clock_text, strip};

/// Pixels of a usual screen that the line is high.
const LINE: f32 = 4.0;
/// Letters of the longest time on either side.
const TIMES: &str = "0:00:00";

impl Page<'_> {
    /// Returns the line on which places are chosen. `mouse`: where the mouse is, and the moment there.
    pub fn bar(&mut self, film: &FilmPlace, scale: f32, mouse: Option<(i32, String)>) -> Area {
        let size = self.size();
        let room = set(&[TIMES], size, None).width();
        let (area, line) = strip(self.window, scale, room);
        self.shade((area.x, area.y), (area.width, area.height));
        self.shade((area.x, area.y), (area.width, area.height));
        let thick = ((LINE * size / 14.0) as u32).clamp(2, area.height.max(2));
        let middle = area.y + area.height as i32 / 2;
        let top = middle - thick as i32 / 2;
        self.fill((line.x, top), (line.width, thick), GREY);
        let played = (f64::from(line.width) * film.part()) as u32;
        let colour = if film.paused || film.ended { YELLOW } else { WHITE };
        self.fill((line.x, top), (played, thick), colour);
        self.fill((line.x + played as i32 - thick as i32, top - thick as i32), (2 * thick, 3 * thick), colour);
        let row = middle - line_height(size) as i32 / 2;
        let at = film.at.micros().max(0).unsigned_abs() / 1_000_000;
        let gap = size as i32 / 2;
        let words = set(&[&clock_text(at)], size, None);
        self.put(&words, (line.x - gap - words.width() as i32, row), (Align::Left, words.width()), WHITE);
        let end = match (film.speed.is_normal(), film.length) {
            (false, _) => format!("{:.4}×", film.speed.factor()).replace("0000×", "×").replace("00×", "×"),
            (true, Some(length)) => clock_text(length.as_secs()),
            (true, None) => String::new(),
        };
        let words = set(&[&end], size, None);
        self.put(&words, (line.x + line.width as i32 + gap, row), (Align::Left, words.width()), WHITE);
        if let Some((x, text)) = mouse {
            let words = set(&[&text], size, None);
            let x = (x - words.width() as i32 / 2).clamp(0, (self.width() as i32 - words.width() as i32).max(0));
            self.put(&words, (x, area.y - line_height(size) as i32), (Align::Left, words.width()), YELLOW);
        }
        line
    }
}

//! Sheets in the middle of the window: keys and what they do, and lines to choose from. Their columns are real ones.

use std::ops::Range;

use super::page::{Page, SMALLEST, margin};
use super::{Help, List, WHITE, YELLOW};
use crate::text::{Keep, fit, line_height, set};

/// A sheet: a title, and rows of cells.
struct Table<'a> {
    title: &'a str,
    rows: Vec<Vec<&'a str>>,
    marked: Option<usize>,
}

impl Page<'_> {
    pub fn list<'l>(&mut self, list: &'l List) {
        let count = list.lines.len();
        let shown = around(list.marked, count, self.list_room());
        let all = shown.len() == count;
        let title = if all { list.title.clone() } else { format!("{} ({} of {count})", list.title, list.marked + 1) };
        let marked = list.marked.saturating_sub(shown.start);
        let row = |(at, line): (usize, &'l String)| {
            let (shows, mut cells) = cells(line);
            let mark = match (at == marked, shows) {
                (true, true) => "› ▶",
                (true, false) => "›",
                (false, true) => "▶",
                (false, false) => "",
            };
            cells.insert(0, mark);
            cells
        };
        let rows = list.lines[shown].iter().enumerate().map(row).collect();
        self.sheet(&Table { title: &title, rows, marked: Some(marked) });
    }

    /// Lines of a list that fit below its title: in letters that are easily read, unless those leave too few.
    fn list_room(&self) -> usize {
        let rows = |size: f32| (self.height() / line_height(size)).saturating_sub(LIST_MARGIN) as usize;
        let easy = rows(EASY);
        if easy >= LIST_LINES { easy } else { rows(SMALLEST).clamp(1, LIST_LINES) }
    }

    pub fn help(&mut self, help: Help) {
        let rows = help.iter().map(|(keys, what)| vec![*keys, *what]).collect();
        self.sheet(&Table { title: "", rows, marked: None });
    }

    fn sheet(&mut self, table: &Table<'_>) {
        let columns = table.columns(self.size(), u32::MAX);
        let size = self.fitting(table.width(&columns, self.size()), table.height());
        let (margin, line) = (margin(size), line_height(size));
        let columns = table.columns(size, self.width().saturating_sub(4 * margin));
        let wide = table.width(&columns, size) + 2 * margin;
        let high = (table.height() * line as f32) as u32 + 2 * margin;
        let (left, top) = ((self.width() as i32 - wide as i32) / 2, (self.height() as i32 - high as i32) / 2);
        for _ in 0..2 {
            self.shade((left, top), (wide, high));
        }
        let mut y = top + margin as i32;
        if !table.title.is_empty() {
            let words = fit(table.title, size, wide - 2 * margin, Keep::Start);
            self.put_row(&words, (left + margin as i32, y), words.width(), WHITE);
            y += line as i32 * 3 / 2;
        }
        for (row, cells) in table.rows.iter().enumerate() {
            let mut x = left + margin as i32;
            let colour = if Some(row) == table.marked { YELLOW } else { WHITE };
            for (cell, room) in cells.iter().zip(&columns) {
                let words = fit(cell, size, *room, Keep::Start);
                self.put_row(&words, (x, y), *room, colour);
                x += (room + gap(size)) as i32;
            }
            y += line as i32;
        }
    }
}

impl Table<'_> {
    /// Rows that it takes; the title's counts for one and a half.
    fn height(&self) -> f32 {
        self.rows.len() as f32 + if self.title.is_empty() { 0.0 } else { 1.5 }
    }

    /// Pixels of each column; where they are wider than `room` together, the widest one gives way.
    fn columns(&self, size: f32, room: u32) -> Vec<u32> {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |row: &Vec<&str>, column: usize| row.get(column).map_or(0, |cell| set(&[cell], size, None).width());
        let widest = |column| self.rows.iter().map(|row| width(row, column)).max().unwrap_or(0);
        let mut columns: Vec<u32> = (0..count).map(widest).collect();
        let over = self.width(&columns, size).saturating_sub(room);
        if let Some(widest) = columns.iter_mut().max() {
            *widest = widest.saturating_sub(over);
        }
        columns
    }

    fn width(&self, columns: &[u32], size: f32) -> u32 {
        let gaps = columns.len().saturating_sub(1) as u32 * gap(size);
        let title = if columns.is_empty() { set(&[self.title], size, None).width() } else { 0 };
        (columns.iter().sum::<u32>() + gaps).max(title)
    }
}

/// Between two columns.
fn gap(size: f32) -> u32 {
    (size * 1.2).round() as u32
}

/// Whether a list's line is of what is shown, and its cells.
fn cells(line: &str) -> (bool, Vec<&str>) {
    let (mark, rest) = line.split_once(' ').filter(|(mark, _)| matches!(*mark, "" | "*")).unwrap_or(("", line));
    (mark == "*", rest.splitn(CELLS, "  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
}

/// The lines to show where only `room` of `count` fit: the marked one is among them, in the middle if it can be.
fn around(marked: usize, count: usize, room: usize) -> Range<usize> {
    let room = room.min(count);
    let first = marked.saturating_sub(room / 2).min(count - room);
    first..first + room
}

/// Rows that a list takes beside its own: the title, and what is left free around it.
const LIST_MARGIN: u32 = 5;
/// Fewer lines than this at a time are too few to find a stream.
const LIST_LINES: usize = 10;
/// Letters of this size are easily read.
const EASY: f32 = 14.0;
/// More cells than any list has, with what lies between them.
const CELLS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_shown_around_its_mark() {
        assert_eq!([0, 3, 50, 99].map(|marked| around(marked, 100, 20)), [0..20, 0..20, 40..60, 80..100]);
        assert_eq!((around(2, 3, 20), around(0, 0, 20), around(5, 6, 1)), (0..3, 0..0, 5..6));
    }

    #[test]
    fn a_line_of_a_list_has_a_mark_and_cells() {
        let of = |cells: &[&'static str]| cells.to_vec();
        let (yard, desk) = ("* yard   640×360    1:23     2 watchers", "  desk   640×360    live     2 watchers");
        assert_eq!(cells(yard), (true, of(&["yard", "640×360", "1:23", "2 watchers"])));
        assert_eq!(cells(desk), (false, of(&["desk", "640×360", "live", "2 watchers"])));
        assert_eq!((cells("stream 7"), cells("")), ((false, of(&["stream 7"])), (false, of(&[]))));
    }
}

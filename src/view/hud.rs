//! What is drawn over the picture: figures with a graph, the help sheet, notices, cards. Words and pixels in, pixels
//! out; it is told the time, and says when it wants to be drawn again.

mod rates;

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

pub use rates::Rates;

use crate::media::text::{Face, TextLayout, draw_bgrx, fill_bgrx, shade_bgrx};
use crate::units::{Size, Time};

/// Instead of a picture: what is the matter, and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    pub title: String,
    pub lines: Vec<String>,
}

/// Lines to choose from, one of which is marked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    pub title: String,
    pub lines: Vec<String>,
    pub marked: usize,
}

/// Keys and what each does.
pub type Help = &'static [(&'static str, &'static str)];

/// Everything that may lie over the picture.
#[derive(Default)]
pub struct Hud {
    pub figures: bool,
    /// The keys, if they are to be shown.
    pub help: Option<Help>,
    pub frozen: bool,
    pub recording: bool,
    pub card: Option<Card>,
    pub list: Option<List>,
    /// Which of many pictures it is, in the lower left corner.
    pub label: String,
    /// What the figures say, line by line.
    pub lines: Vec<String>,
    /// The last seconds of the path, oldest first; none where there is no path.
    pub rates: Vec<Rates>,
    notices: VecDeque<(String, Time)>,
    intervals: VecDeque<Duration>,
    last: Option<Time>,
}

impl Hud {
    /// Keys and nothing else.
    pub fn explaining(help: Help) -> Self {
        Self { help: Some(help), ..Self::default() }
    }

    /// A sentence for a few seconds; the newest few are kept, and the same one is not shown twice.
    pub fn notice(&mut self, text: String, now: Time) {
        self.notices.retain(|(old, _)| *old != text);
        self.notices.push_back((text, now + NOTICE));
        if self.notices.len() > NOTICES {
            self.notices.pop_front();
        }
    }

    /// Drops notices whose time is over; true if there were any.
    pub fn expire(&mut self, now: Time) -> bool {
        let before = self.notices.len();
        self.notices.retain(|(_, until)| *until > now);
        self.notices.len() != before
    }

    /// When the next notice goes.
    pub fn expiry(&self) -> Option<Time> {
        self.notices.iter().map(|(_, until)| *until).min()
    }

    /// A picture came onto the screen: a bar for the graph.
    pub fn presented(&mut self, now: Time) {
        if let Some(last) = self.last.replace(now) {
            self.intervals.push_back(now.since(last));
            if self.intervals.len() > BARS {
                self.intervals.pop_front();
            }
        }
    }

    /// Pictures stopped coming on purpose: the pause is no interval.
    pub fn paused(&mut self) {
        self.last = None;
    }

    /// Draws all of it over `target` (`window.pixels()` long). `zoom`: how many pixels of the screen a letter's dot takes.
    pub fn draw(&self, target: &mut [u32], window: Size, zoom: u32) {
        if target.len() != window.pixels() {
            return;
        }
        let mut page = Page { target, window, zoom: zoom.max(1) };
        match &self.card {
            Some(card) => page.card(card),
            None if self.frozen => page.tag("FROZEN"),
            None => {}
        }
        if self.figures && self.card.is_none() {
            page.figures(&self.lines, &self.intervals, &self.rates);
        }
        if self.recording {
            page.dot();
        }
        page.notices(self.notices.iter().map(|(text, _)| text.as_str()), &self.label);
        if let Some(list) = &self.list {
            page.list(list);
        }
        if let Some(help) = self.help {
            page.help(help);
        }
    }
}

/// A window's pixels while they are drawn on.
struct Page<'a> {
    target: &'a mut [u32],
    window: Size,
    zoom: u32,
}

impl Page<'_> {
    fn width(&self) -> usize {
        self.window.width.into()
    }

    /// The face at the window's zoom, or a smaller one with which a block of so many letters and lines fits.
    fn face(&self, columns: usize, lines: usize) -> Face {
        let (width, height) = (u32::from(self.window.width), u32::from(self.window.height));
        let fits = |face: &Face| {
            let (w, h) = (face.letter_width() * (columns as u32 + 4), face.line_height() * (lines as u32 + 2));
            w <= width && h <= height
        };
        (1..=self.zoom.min(8)).rev().map(Face::scaled).find(fits).unwrap_or(Face::SMALLEST)
    }

    fn text(&mut self, at: (i32, i32), face: Face, colour: u32, text: &str) {
        let width = self.width();
        draw_bgrx(self.target, width, at, face, colour, text);
    }

    fn shade(&mut self, at: (i32, i32), size: (u32, u32)) {
        let width = self.width();
        shade_bgrx(self.target, width, at, size);
    }

    /// The last picture, if any, lies dark behind it.
    fn card(&mut self, card: &Card) {
        let (width, height) = (u32::from(self.window.width), u32::from(self.window.height));
        self.shade((0, 0), (width, height));
        self.shade((0, 0), (width, height));
        let lines: Vec<&str> = card.lines.iter().map(String::as_str).collect();
        let layout = TextLayout::new(self.window, &card.title, &lines);
        for (row, at) in layout.placed() {
            self.text(at, layout.face, if row.is_title { WHITE } else { GREY }, &row.text);
        }
    }

    fn figures(&mut self, lines: &[String], intervals: &VecDeque<Duration>, rates: &[Rates]) {
        let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0).max(24);
        let high = lines.len() + GRAPH_LINES + if rates.is_empty() { 0 } else { rates::LINES };
        let face = self.face(columns, high);
        let (letter, line) = (face.letter_width() as i32, face.line_height() as i32);
        let size = (face.letter_width() * (columns as u32 + 2), face.line_height() * high as u32);
        self.shade((letter, line), (size.0, size.1 + face.line_height() / 2));
        for (row, text) in (1..).zip(lines) {
            self.text((2 * letter, row * line + line / 4), face, WHITE, text);
        }
        let top = (lines.len() as i32 + 1) * line + line / 2;
        let room = (face.letter_width() * columns as u32, (GRAPH_LINES as u32 - 1) * face.line_height());
        self.graph((2 * letter, top), room, intervals);
        if !rates.is_empty() {
            self.rates((2 * letter, top + GRAPH_LINES as i32 * line), room.0, face, rates);
        }
    }

    /// Time from picture to picture, newest on the right; the line is the median, which stands at half the height.
    fn graph(&mut self, (x, y): (i32, i32), (wide, high): (u32, u32), intervals: &VecDeque<Duration>) {
        let width = self.width();
        let mut sorted: Vec<Duration> = intervals.iter().copied().collect();
        sorted.sort_unstable();
        let Some(median) = sorted.get(sorted.len() / 2).filter(|median| !median.is_zero()) else { return };
        let bar = (wide / BARS as u32).max(1);
        let shown = intervals.iter().rev().take((wide / bar) as usize);
        for (i, interval) in (1..).zip(shown) {
            let ratio = interval.as_secs_f64() / median.as_secs_f64();
            let height = ((ratio / 2.0).min(1.0) * f64::from(high)).round() as u32;
            let colour = if ratio > 1.5 { RED } else { GREEN };
            let at = (x + (wide - i * bar) as i32, y + (high - height) as i32);
            fill_bgrx(self.target, width, at, (bar.saturating_sub(1).max(1), height), colour);
        }
        fill_bgrx(self.target, width, (x, y + high as i32 / 2), (wide, 1), GREY);
    }

    /// From the lower edge upwards: which picture it is, and what is said of it.
    fn notices<'a>(&mut self, texts: impl DoubleEndedIterator<Item = &'a str>, label: &str) {
        let mut y = i32::from(self.window.height);
        if !label.is_empty() {
            y = self.label(label);
        }
        let face = self.face(60, 8);
        let columns = (u32::from(self.window.width) / face.letter_width()).saturating_sub(4) as usize;
        let line = face.line_height() as i32;
        y -= line / 2;
        for row in texts.rev().flat_map(|text| crate::media::text::wrap(text, columns).into_iter().rev()) {
            y -= line;
            self.shaded(y, face, YELLOW, &row);
        }
    }

    /// A line at the left, on a dark ground.
    fn shaded(&mut self, y: i32, face: Face, colour: u32, text: &str) {
        let letter = face.letter_width();
        self.shade((letter as i32, y), (face.width(text) + 2 * letter, face.line_height()));
        self.text((2 * letter as i32, y), face, colour, text);
    }

    /// Returns where it begins. Of a long one the end is shown, which tells streams of one server apart.
    fn label(&mut self, text: &str) -> i32 {
        let letters: Vec<char> = text.chars().collect();
        let face = self.face(letters.len(), 3);
        let room = (u32::from(self.window.width) / face.letter_width()).saturating_sub(4) as usize;
        let shown: String = letters[letters.len().saturating_sub(room)..].iter().collect();
        let line = face.line_height() as i32;
        let y = i32::from(self.window.height) - line - line / 2;
        self.shaded(y, face, WHITE, &shown);
        y
    }

    fn list(&mut self, list: &List) {
        let count = list.lines.len();
        let shown = around(list.marked, count, self.list_room());
        let all = shown.len() == count;
        let title = if all { list.title.clone() } else { format!("{} ({} of {count})", list.title, list.marked + 1) };
        let line = |(at, text): (usize, &String)| format!("{} {text}", if at == list.marked { '>' } else { ' ' });
        let lines = list.lines.iter().enumerate().skip(shown.start).take(shown.len()).map(line);
        let rows: Vec<String> = [title, String::new()].into_iter().chain(lines).collect();
        self.sheet(&rows, Some(list.marked.saturating_sub(shown.start) + 2));
    }

    /// Lines of a list that fit below its title: in letters that are easily read, unless those leave too few.
    fn list_room(&self) -> usize {
        let rows =
            |face: Face| (u32::from(self.window.height) / face.line_height()).saturating_sub(LIST_MARGIN) as usize;
        let easy = rows(Face::scaled(1));
        if easy >= LIST_LINES { easy } else { rows(Face::SMALLEST).clamp(1, LIST_LINES) }
    }

    fn help(&mut self, help: Help) {
        let wide = help.iter().map(|(keys, _)| keys.chars().count()).max().unwrap_or(0) + 2;
        let rows: Vec<String> = help.iter().map(|(keys, what)| format!("{keys:<wide$}{what}")).collect();
        self.sheet(&rows, None);
    }

    /// Rows in the middle, one of which may be marked.
    fn sheet(&mut self, rows: &[String], marked: Option<usize>) {
        let columns = rows.iter().map(|row| row.chars().count()).max().unwrap_or(0);
        let face = self.face(columns, rows.len() + 1);
        let (letter, line) = (face.letter_width() as i32, face.line_height() as i32);
        let (wide, high) = (letter * (columns as i32 + 2), line * (rows.len() as i32 + 1));
        let x = (i32::from(self.window.width) - wide) / 2;
        let y = (i32::from(self.window.height) - high) / 2;
        for _ in 0..2 {
            self.shade((x, y), (wide as u32, high as u32));
        }
        for (row, text) in (0_usize..).zip(rows) {
            let colour = if Some(row) == marked { YELLOW } else { WHITE };
            self.text((x + letter, y + line / 2 + row as i32 * line), face, colour, text);
        }
    }

    /// The dot of a recording, in the top right corner; words there stand below it.
    fn dot(&mut self) {
        let face = self.face(1, 1);
        let radius = face.line_height() as i32 * 3 / 8;
        let (x, y) =
            (i32::from(self.window.width) - 2 * face.letter_width() as i32 - radius, face.line_height() as i32 / 2);
        let width = self.width();
        for row in -radius..=radius {
            let half = ((radius * radius - row * row) as f64).sqrt() as i32;
            fill_bgrx(self.target, width, (x - half, y + row), (2 * half as u32 + 1, 1), RED);
        }
    }

    /// A word in the top right corner.
    fn tag(&mut self, text: &str) {
        let face = self.face(text.len(), 1);
        let letter = face.letter_width();
        let wide = face.width(text) + 2 * letter;
        let x = i32::from(self.window.width) - wide as i32 - letter as i32;
        let y = face.line_height() as i32;
        self.shade((x, y), (wide, face.line_height()));
        self.text((x + letter as i32, y), face, YELLOW, text);
    }
}

/// The lines to show where only `room` of `count` fit: the marked one is among them, in the middle if it can be.
fn around(marked: usize, count: usize, room: usize) -> Range<usize> {
    let room = room.min(count);
    let first = marked.saturating_sub(room / 2).min(count - room);
    first..first + room
}

/// Long enough to read two lines, short enough not to be in the way.
const NOTICE: Duration = Duration::from_secs(4);
const NOTICES: usize = 4;
/// Lines that a list takes beside its own: the title, an empty one, and what is left free around it.
const LIST_MARGIN: u32 = 5;
/// Fewer lines than this at a time are too few to find a stream.
const LIST_LINES: usize = 10;
/// Pictures in the graph: four seconds at 30 a second.
const BARS: usize = 120;
/// Lines of text that the graph is high, with the gap above it.
const GRAPH_LINES: usize = 4;
const WHITE: u32 = 0x00FF_FFFF;
const GREY: u32 = 0x00BE_BEBE;
const YELLOW: u32 = 0x00FF_E066;
const GREEN: u32 = 0x0050_D060;
const RED: u32 = 0x00F0_5040;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::keys::HELP;

    const PICTURE: u32 = 0x0080_8080;

    fn drawn(hud: &Hud, size: Size, zoom: u32) -> Vec<u32> {
        let mut target = vec![PICTURE; size.pixels()];
        hud.draw(&mut target, size, zoom);
        target
    }

    fn full() -> Hud {
        let mut hud = Hud { figures: true, help: Some(HELP), frozen: true, recording: true, ..Hud::default() };
        hud.lines = vec!["30.0 fps".to_owned(), "latency 6.5 ms".to_owned()];
        for n in 0..200 {
            hud.presented(Time::ZERO + Duration::from_millis(33 * n + n % 3));
        }
        hud.label = "robot/door".to_owned();
        hud.list = Some(List { title: "Streams".to_owned(), lines: vec!["door".to_owned()], marked: 0 });
        hud.notice("Saved as sample-000012.png.".to_owned(), Time::ZERO);
        hud
    }

    #[test]
    fn nothing_is_drawn_unless_it_is_switched_on() {
        let hud = Hud { lines: vec!["hidden".to_owned()], ..Hud::default() };
        assert!(drawn(&hud, Size::new(320, 240), 1).iter().all(|pixel| *pixel == PICTURE));
    }

    #[test]
    fn every_size_and_zoom_is_drawn_inside_the_window() {
        for (width, height) in [(1, 1), (9, 400), (176, 144), (1_280, 720), (3_840, 2_160)] {
            for zoom in [0, 1, 2, 9] {
                let mut hud = full();
                drawn(&hud, Size::new(width, height), zoom);
                hud.card = Some(Card { title: "Gone".to_owned(), lines: vec!["Check the cable.".to_owned()] });
                drawn(&hud, Size::new(width, height), zoom);
            }
        }
        full().draw(&mut [], Size::new(10, 10), 1);
    }

    #[test]
    fn each_part_has_its_place() {
        let size = Size::new(1_280, 720);
        let lit = |hud: &Hud| {
            let pixels = drawn(hud, size, 1);
            let any = |x: std::ops::Range<usize>, y: std::ops::Range<usize>| {
                y.clone().any(|y| pixels[y * 1_280..][x.clone()].iter().any(|pixel| *pixel != PICTURE))
            };
            // Top left, top right, middle, bottom left.
            [any(0..200, 0..200), any(1_080..1_280, 0..100), any(500..780, 300..420), any(0..200, 660..720)]
        };
        let corners = Hud { help: None, list: None, frozen: false, recording: false, ..full() };
        assert_eq!(lit(&corners), [true, false, false, true]);
        assert_eq!(lit(&Hud { list: full().list, ..Hud::default() }), [false, false, true, false]);
        assert_eq!(lit(&Hud { label: full().label, ..Hud::default() }), [false, false, false, true]);
        assert_eq!(lit(&Hud { frozen: true, ..Hud::default() }), [false, true, false, false]);
        assert_eq!(lit(&Hud { recording: true, ..Hud::default() }), [false, true, false, false]);
        assert_eq!(lit(&Hud { help: Some(HELP), ..Hud::default() }), [false, false, true, false]);
        let card = Some(Card { title: "Gone".to_owned(), lines: Vec::new() });
        assert_eq!(lit(&Hud { card, ..Hud::default() }), [true; 4]);
    }

    #[test]
    fn a_long_list_is_shown_around_its_mark() {
        assert_eq!([0, 3, 50, 99].map(|marked| around(marked, 100, 20)), [0..20, 0..20, 40..60, 80..100]);
        assert_eq!((around(2, 3, 20), around(0, 0, 20), around(5, 6, 1)), (0..3, 0..0, 5..6));
        // Whichever line is marked, it can be seen, with all of the sheet inside the window.
        for (marked, size) in [(0, (640, 360)), (70, (1_280, 720)), (99, (320, 180))] {
            let lines = (0..100).map(|at| format!("stream {at}")).collect();
            let list = Some(List { title: "Streams".to_owned(), lines, marked });
            let size = Size::new(size.0, size.1);
            let pixels = drawn(&Hud { list, ..Hud::default() }, size, 1);
            assert!(pixels.contains(&YELLOW), "{marked} in {size}");
            let edge = usize::from(size.width);
            assert!(pixels[..edge].iter().chain(&pixels[pixels.len() - edge..]).all(|pixel| *pixel == PICTURE));
        }
    }

    #[test]
    fn notices_go_when_their_time_is_over() {
        let mut hud = Hud::default();
        hud.notice("one".to_owned(), Time::ZERO);
        hud.notice("one".to_owned(), Time::ZERO + NOTICE / 2);
        assert_eq!(hud.expiry(), Some(Time::ZERO + NOTICE + NOTICE / 2));
        assert!(!hud.expire(Time::ZERO + NOTICE));
        assert!(hud.expire(Time::ZERO + NOTICE * 2) && hud.expiry().is_none());
        (0..9).for_each(|n| hud.notice(n.to_string(), Time::ZERO));
        assert_eq!(hud.notices.len(), NOTICES);
    }

    #[test]
    fn letters_grow_with_the_screens_scale() {
        let white = |zoom| {
            let hud = Hud { help: Some(HELP), ..Hud::default() };
            drawn(&hud, Size::new(3_840, 2_160), zoom).iter().filter(|pixel| **pixel == WHITE).count()
        };
        assert_eq!(white(2), 4 * white(1));
        assert_eq!(white(3), 9 * white(1));
    }
}

//! What is drawn over the picture: figures with a graph, the help sheet, notices, cards. Words and pixels in, pixels
//! out; it is told the time, and says when it wants to be drawn again.

mod bar;
mod figures;
mod page;
mod rates;
mod sheet;
mod talk;

use std::collections::VecDeque;
use std::time::Duration;

pub use rates::Rates;

use std::cell::Cell;

use page::Page;

use super::film::{Area, FilmPlace, clock_text, moment_at};
use super::scale::Rect;
use super::talk::Talk;
use crate::units::{Size, Time};

/// Instead of a picture: what is the matter, and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    pub title: String,
    pub lines: Vec<String>,
}

/// Lines to choose from, one of which is marked. A line may begin with `* ` or two spaces, which tell what is shown from what
/// is not; its cells are two spaces or more apart.
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
    /// Where a film on demand is.
    film: Option<FilmPlace>,
    /// Until then its bar is shown, also while it is played.
    bar_until: Option<Time>,
    /// Where the mouse is, across the window.
    pub mouse: Option<i32>,
    /// Where the line of the bar was drawn.
    pub line: Cell<Option<Area>>,
    /// Which of many pictures it is, in the lower left corner.
    pub label: String,
    /// What the figures say, line by line.
    pub lines: Vec<String>,
    /// The last seconds of the path, oldest first; none where there is no path.
    pub rates: Vec<Rates>,
    /// What people say.
    pub talk: Talk,
    /// Where the caret of the typed line was drawn.
    pub caret: Cell<Option<Rect>>,
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

    /// Another place of a film; true if that is to be seen at once, and not with the next picture.
    pub fn set_film(&mut self, film: Option<FilmPlace>, now: Time) -> bool {
        let stands = |film: &Option<FilmPlace>| film.as_ref().map(|film| (film.paused, film.ended, film.speed));
        let changed = stands(&self.film) != stands(&film);
        let still = film.as_ref().is_some_and(|film| film.paused || film.ended) && self.film != film;
        self.film = film;
        if changed && self.film.is_some() {
            self.show_bar(now);
        }
        changed || still
    }

    pub const fn film(&self) -> Option<&FilmPlace> {
        self.film.as_ref()
    }

    /// Somebody looks for the bar.
    pub fn show_bar(&mut self, now: Time) {
        self.bar_until = self.film.is_some().then_some(now + BAR);
    }

    fn bar_is_shown(&self) -> bool {
        self.film.as_ref().is_some_and(|film| film.paused || film.ended || self.bar_until.is_some())
    }

    /// Drops notices whose time is over, and lets lines fade; true if something is to be drawn again for that.
    pub fn expire(&mut self, now: Time) -> bool {
        let before = self.notices.len();
        self.notices.retain(|(_, until)| *until > now);
        let bar = self.bar_until.take_if(|until| *until <= now).is_some();
        self.talk.tick(now) | (self.notices.len() != before) | bar
    }

    /// When the next notice goes, or a line fades.
    pub fn expiry(&self) -> Option<Time> {
        self.notices.iter().map(|(_, until)| *until).chain(self.talk.change()).chain(self.bar_until).min()
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

    /// Draws all of it over `target` (`window.pixels()` long). `scale`: how many of the window's pixels one of a usual screen
    /// takes. False if some of it waits for the system's fonts, and is to be drawn again when they are read.
    pub fn draw(&self, target: &mut [u32], window: Size, scale: f32) -> bool {
        if target.len() != window.pixels() || target.is_empty() {
            return true;
        }
        let mut page = Page::new(target, window, scale);
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
        let bar = self.film.as_ref().filter(|_| self.bar_is_shown() && self.card.is_none());
        let pointed = self.pointed_at();
        self.line.set(bar.map(|film| page.bar(film, scale, pointed)));
        self.draw_talk(&mut page);
        if let Some(list) = &self.list {
            page.list(list);
        }
        if let Some(help) = self.help {
            page.help(help);
        }
        page.is_complete
    }
}

impl Hud {
    /// Where the mouse is on the bar, and which moment that is.
    fn pointed_at(&self) -> Option<(i32, String)> {
        let (x, line, length) = (self.mouse?, self.line.get()?, self.film.as_ref()?.length?);
        let at = moment_at(line, f64::from(x), length);
        Some((x, clock_text(at.micros().max(0).unsigned_abs() / 1_000_000)))
    }

    /// From the lower edge upwards: notices, the typed line, and what was said.
    fn draw_talk(&self, page: &mut Page<'_>) {
        let history = self.talk.history.is_some();
        if history {
            (0..2).for_each(|_| page.shade((0, 0), (page.width(), page.height())));
        }
        let floor = self.line.get().map_or(page.height() as i32, |bar| bar.y);
        let mut y = page.notices(self.notices.iter().map(|(text, _)| text.as_str()), &self.label, floor);
        self.caret.set(self.talk.typed().map(|typed| page.typed_line(typed, &mut y)));
        if history { page.history(&self.talk, y) } else { page.recent(&self.talk, y) }
    }
}

/// Long enough to read two lines, short enough not to be in the way.
const NOTICE: Duration = Duration::from_secs(4);
const NOTICES: usize = 4;
/// The bar of a film that is played goes after this.
const BAR: Duration = Duration::from_millis(2_500);
/// Pictures in the graph: four seconds at 30 a second.
const BARS: usize = 120;
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

    fn drawn(hud: &Hud, size: Size, scale: f32) -> Vec<u32> {
        let mut target = vec![PICTURE; size.pixels()];
        assert!(hud.draw(&mut target, size, scale), "nothing of it needs another font");
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
        assert!(drawn(&hud, Size::new(320, 240), 1.0).iter().all(|pixel| *pixel == PICTURE));
    }

    #[test]
    fn every_size_and_scale_is_drawn_inside_the_window() {
        for (width, height) in [(1, 1), (9, 400), (176, 144), (1_280, 720), (3_840, 2_160)] {
            for scale in [0.0, 1.0, 1.25, 2.0, 9.0, f32::NAN] {
                let mut hud = full();
                drawn(&hud, Size::new(width, height), scale);
                hud.card = Some(Card { title: "Gone".to_owned(), lines: vec!["Check the cable.".to_owned()] });
                drawn(&hud, Size::new(width, height), scale);
            }
        }
        full().draw(&mut [], Size::new(10, 10), 1.0);
    }

    #[test]
    fn each_part_has_its_place() {
        let size = Size::new(1_280, 720);
        let lit = |hud: &Hud| {
            let pixels = drawn(hud, size, 1.0);
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
        // Whichever line is marked, it can be seen, with all of the sheet inside the window.
        for (marked, size) in [(0, (640, 360)), (70, (1_280, 720)), (99, (320, 180))] {
            let lines = (0..100).map(|at| format!("stream {at}")).collect();
            let list = Some(List { title: "Streams".to_owned(), lines, marked });
            let size = Size::new(size.0, size.1);
            let pixels = drawn(&Hud { list, ..Hud::default() }, size, 1.0);
            // Thin strokes of small letters are darker.
            let yellow = |pixel: &u32| pixel >> 16 & 0xff > 0x90 && (pixel & 0xff) * 2 < pixel >> 16 & 0xff;
            assert!(pixels.iter().any(yellow), "{marked} in {size}");
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
        let ink = |scale| {
            let hud = Hud { recording: true, frozen: true, label: "door".to_owned(), ..Hud::default() };
            drawn(&hud, Size::new(3_840, 2_160), scale)
                .iter()
                .filter(|pixel| [YELLOW, WHITE, RED].contains(pixel))
                .count()
        };
        let one = ink(1.0) as f64;
        for scale in [1.25, 1.5, 2.0, 3.0] {
            let ratio = ink(scale) as f64 / one / f64::from(scale * scale);
            assert!((0.8..1.6).contains(&ratio), "{ratio} at {scale}");
        }
    }
}

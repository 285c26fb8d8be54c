//! One picture with what lies over it: takes the orders of the program behind it and says what is to be drawn. A window has
//! one pane, a wall many.

use std::sync::Arc;

use super::hud::Hud;
use super::orders::{Orders, Waiting};
use super::scale::Scaler;
use super::{Frame, Happened, Still};
use crate::text;
use crate::units::{Size, Time};

/// A picture, its title, and everything over it.
pub struct Pane {
    pub title: String,
    pub hud: Hud,
    orders: Orders,
    /// The frame on the screen, or waiting for the window to open.
    shown: Option<Frame>,
    /// It is on the screen.
    drawn: bool,
    /// The newest frame that came while the picture was frozen.
    withheld: Option<Frame>,
    scaler: Scaler,
    /// What was drawn last waits for the system's fonts.
    is_unfinished: bool,
}

/// What came of the orders since the last time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub close: bool,
    pub fullscreen: bool,
    pub retitled: bool,
    /// A frame that came while the picture was frozen.
    pub withheld: Option<u64>,
    pub draw: Draw,
}

/// What is to be done on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Draw {
    #[default]
    Nothing,
    /// A new frame whose pixels are on the screen already: it counts as presented.
    Known,
    /// The same frame with something else over it.
    Again,
    /// A new frame.
    Fresh,
}

impl Pane {
    pub fn new(title: &str, orders: Orders) -> Self {
        Self {
            title: title.to_owned(),
            hud: Hud::default(),
            orders,
            shown: None,
            drawn: false,
            withheld: None,
            scaler: Scaler::default(),
            is_unfinished: false,
        }
    }

    /// Takes over all that it was told since the last time.
    pub fn take(&mut self, now: Time) -> Taken {
        let mut orders = self.orders.take();
        let (close, fullscreen, title) = (orders.close, orders.fullscreen, orders.title.take());
        let mut taken = Taken { close, fullscreen, retitled: title.is_some(), ..Taken::default() };
        title.into_iter().for_each(|title| self.title = title);
        let newest = orders.frame.take();
        let more_letters = self.is_unfinished && text::fonts_are_read();
        let changed = self.words(orders, now) || more_letters;
        if changed {
            taken.draw = Draw::Again;
        }
        match newest {
            Some(frame) if self.hud.frozen => {
                taken.withheld = Some(frame.id);
                self.withheld = Some(frame);
            }
            Some(frame) => {
                taken.draw = if !changed && self.shows(&frame) { Draw::Known } else { Draw::Fresh };
                self.shown = Some(frame);
            }
            None => {}
        }
        taken
    }

    /// Takes over what lies over the picture; true if that is to be seen.
    fn words(&mut self, orders: Waiting, now: Time) -> bool {
        let hud = &mut self.hud;
        let mut changed = !orders.notices.is_empty();
        orders.notices.into_iter().for_each(|text| hud.notice(text, now));
        if let Some(card) = orders.card {
            if card.is_some() {
                hud.paused();
            }
            changed |= hud.card != card;
            hud.card = card;
        }
        if let Some(recording) = orders.recording {
            changed |= std::mem::replace(&mut hud.recording, recording) != recording;
        }
        if let Some(film) = orders.film {
            changed |= hud.set_film(film, now);
        }
        if let Some(list) = orders.list {
            changed |= hud.list != list;
            hud.list = list;
        }
        changed |= !orders.lines.is_empty();
        orders.lines.into_iter().for_each(|line| hud.talk.push(line, now));
        if let Some(open) = orders.talk {
            hud.talk.closed = open.err();
        }
        if let Some((lines, rates)) = orders.figures {
            (hud.lines, hud.rates) = (lines, rates);
            // Pictures redraw them anyway, where there are any.
            changed |= hud.figures && (hud.frozen || hud.card.is_some());
        }
        changed
    }

    /// Whether these very pixels are on the screen already, and nothing over them is to change with each picture.
    fn shows(&self, frame: &Frame) -> bool {
        let same = |shown: &Frame| Arc::ptr_eq(&shown.canvas, &frame.canvas);
        self.drawn && !self.hud.figures && self.shown.as_ref().is_some_and(same)
    }

    /// How large the newest frame is meant to be, and its number.
    pub fn frame(&self) -> Option<(Size, u64)> {
        self.shown.as_ref().map(|frame| (frame.canvas.full(), frame.id))
    }

    /// Whether what was drawn last is on the screen.
    pub const fn set_drawn(&mut self, drawn: bool) {
        self.drawn = drawn;
    }

    /// The newest frame is on the screen for the first time.
    pub fn presented(&mut self, at: Time) -> Option<Happened> {
        let id = self.shown.as_ref()?.id;
        self.hud.presented(at);
        Some(Happened::Presented { id, at })
    }

    /// Draws the frame, or black, and what lies over it, on all of `pixels`, which are as many as `size` has.
    pub fn draw(&mut self, pixels: &mut [u32], size: Size, scale: f32) {
        match &self.shown {
            Some(frame) => self.scaler.draw(frame, pixels, size),
            None => pixels.fill(0),
        }
        self.is_unfinished = !self.hud.draw(pixels, size, scale);
    }

    /// Freezes the picture, or goes on with the newest.
    pub fn freeze(&mut self) {
        self.hud.frozen = !self.hud.frozen;
        self.hud.paused();
        if let Some(frame) = self.withheld.take() {
            self.shown = Some(frame);
        }
    }

    /// The picture for a file; without one it says so over the place where one will be.
    pub fn snapshot(&mut self, still: Still, now: Time) -> Option<Happened> {
        if self.shown.is_none() {
            self.hud.notice("There is no picture to save yet.".to_owned(), now);
        }
        let frame = self.shown.as_ref()?;
        Some(Happened::Snapshot { canvas: Arc::clone(&frame.canvas), id: frame.id, still })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Canvas;
    use crate::view::{Order, orders};

    fn frame(id: u64) -> Frame {
        Frame { canvas: Arc::new(Canvas::new(Size::new(16, 16))), id }
    }

    #[test]
    fn what_waits_for_fonts_is_drawn_again_when_they_are_read() {
        let (_handle, orders) = orders(|| true);
        let mut pane = Pane::new("one", orders);
        pane.is_unfinished = true;
        text::wait_for_fonts(&["日本"]);
        assert_eq!(pane.take(Time::ZERO).draw, Draw::Again);
        pane.hud.label = "日本 one".to_owned();
        pane.draw(&mut [0; 100 * 100], Size::new(100, 100), 1.0);
        assert_eq!(pane.take(Time::ZERO).draw, Draw::Nothing, "all fonts are there");
    }

    #[test]
    fn what_is_on_the_screen_already_is_not_drawn_again() {
        let (handle, orders) = orders(|| true);
        let mut pane = Pane::new("one", orders);
        assert_eq!(pane.take(Time::ZERO), Taken::default());
        let first = frame(1);
        let canvas = Arc::clone(&first.canvas);
        handle.show(first).expect("a window");
        assert_eq!(pane.take(Time::ZERO).draw, Draw::Fresh);
        pane.set_drawn(true);
        handle.show(Frame { canvas: Arc::clone(&canvas), id: 2 }).expect("a window");
        assert_eq!(pane.take(Time::ZERO).draw, Draw::Known);
        assert!(matches!(pane.presented(Time::ZERO), Some(Happened::Presented { id: 2, .. })));
        handle.send(Order::Notice("hm".to_owned())).expect("a window");
        handle.show(Frame { canvas, id: 3 }).expect("a window");
        assert_eq!(pane.take(Time::ZERO).draw, Draw::Fresh, "with something else over it");
        pane.freeze();
        handle.show(frame(4)).expect("a window");
        let taken = pane.take(Time::ZERO);
        assert_eq!((taken.withheld, taken.draw, pane.frame().map(|(_, id)| id)), (Some(4), Draw::Nothing, Some(3)));
        pane.freeze();
        assert_eq!(pane.frame().map(|(_, id)| id), Some(4));
    }
}

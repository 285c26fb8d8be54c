//! What the window is to be told, until it looks: of each kind the newest, of notices the last few. A window that stands
//! still, as it does when its display does, holds nobody up, and nothing piles up behind it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::talk::TalkLine;
use super::{Card, FilmPlace, Frame, Gone, List, Order, Rates};

/// Notices that wait: as many as are shown at once.
const NOTICES: usize = 4;
/// Lines that people have said and that wait; of more the oldest are left out.
const LINES: usize = 256;

/// Tells the window, from any thread. Never waits.
#[derive(Clone)]
pub struct Handle {
    waiting: Arc<Mutex<Waiting>>,
    /// Wakes the window's thread; false once it is gone.
    wake: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// The window's side.
pub struct Orders(Arc<Mutex<Waiting>>);

/// Everything that the window has not been told yet.
#[derive(Default)]
pub struct Waiting {
    pub frame: Option<Frame>,
    /// A card that is to be shown, or, with `None`, that the one that is shown ends.
    pub card: Option<Option<Card>>,
    pub notices: VecDeque<String>,
    pub figures: Option<(Vec<String>, Vec<Rates>)>,
    pub recording: Option<bool>,
    /// Where a film on demand is, or, with `None`, that none is shown.
    pub film: Option<Option<FilmPlace>>,
    /// A list to choose from, or, with `None`, that there is none any more.
    pub list: Option<Option<List>>,
    /// What people have said, oldest first.
    pub lines: VecDeque<TalkLine>,
    /// Whether something can be said.
    pub talk: Option<Result<(), &'static str>>,
    pub title: Option<String>,
    pub fullscreen: bool,
    pub close: bool,
    /// The window has been woken and has not looked since.
    woken: bool,
    /// The window is closed.
    gone: bool,
}

/// Both sides; `wake` is called when there is something to look at, and returns false once nobody looks any more.
pub fn orders(wake: impl Fn() -> bool + Send + Sync + 'static) -> (Handle, Orders) {
    let waiting = Arc::default();
    (Handle { waiting: Arc::clone(&waiting), wake: Arc::new(wake) }, Orders(waiting))
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handle {
    /// Hands over a picture, which ends whatever card there was. Returns the one whose place it takes: that one will never
    /// be shown, and the window says nothing of it.
    pub fn show(&self, frame: Frame) -> Result<Option<Frame>, Gone> {
        self.change(|waiting| {
            waiting.card = Some(None);
            waiting.frame.replace(frame)
        })
    }

    /// The picture that is shown, in better quality: a card in its place stays. Returns the one whose place it takes.
    pub fn redraw(&self, frame: Frame) -> Result<Option<Frame>, Gone> {
        self.change(|waiting| waiting.frame.replace(frame))
    }

    pub fn send(&self, order: Order) -> Result<(), Gone> {
        self.change(|waiting| waiting.take_in(order))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Waiting) -> T) -> Result<T, Gone> {
        let mut waiting = lock(&self.waiting);
        if waiting.gone {
            return Err(Gone);
        }
        let changed = change(&mut waiting);
        let woken = std::mem::replace(&mut waiting.woken, true);
        drop(waiting);
        if woken || (self.wake)() { Ok(changed) } else { Err(Gone) }
    }
}

impl Waiting {
    fn take_in(&mut self, order: Order) {
        match order {
            Order::Card(card) => self.card = Some(Some(card)),
            Order::Notice(text) => {
                self.notices.push_back(text);
                if self.notices.len() > NOTICES {
                    self.notices.pop_front();
                }
            }
            Order::Figures(lines, rates) => self.figures = Some((lines, rates)),
            Order::Recording(runs) => self.recording = Some(runs),
            Order::Film(film) => self.film = Some(film),
            Order::List(list) => self.list = Some(list),
            Order::Line(line) => {
                self.lines.push_back(line);
                if self.lines.len() > LINES {
                    self.lines.pop_front();
                }
            }
            Order::Talk(open) => self.talk = Some(open),
            Order::Title(title) => self.title = Some(title),
            Order::Fullscreen => self.fullscreen = true,
            Order::Close => self.close = true,
        }
    }
}

impl Orders {
    /// All that has come since the last time.
    pub fn take(&self) -> Waiting {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        *lock(&self.0) = Waiting { gone: true, ..Waiting::default() };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::media::Canvas;
    use crate::units::Size;

    #[test]
    fn a_window_that_does_not_look_keeps_the_newest_of_each_kind() {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&wakes);
        let (handle, orders) = orders(move || counted.fetch_add(1, Ordering::Relaxed) < usize::MAX);
        let canvas = Arc::new(Canvas::new(Size::new(16, 16)));
        let frame = |id| Frame { canvas: Arc::clone(&canvas), id };
        for id in 0..1_000 {
            let superseded = handle.show(frame(id)).expect("a window");
            assert_eq!(superseded.map(|frame| frame.id), id.checked_sub(1), "each that will not be shown is told");
            handle.send(Order::Notice(format!("{id}"))).expect("a window");
            handle.send(Order::Title(format!("{id}"))).expect("a window");
            handle.send(Order::Figures(vec![format!("{id}")], Vec::new())).expect("a window");
            handle.send(Order::Card(Card { title: format!("{id}"), lines: Vec::new() })).expect("a window");
        }
        assert_eq!((wakes.load(Ordering::Relaxed), Arc::strong_count(&canvas)), (1, 2), "it is woken once");
        let waiting = orders.take();
        assert_eq!((waiting.frame.map(|frame| frame.id), waiting.title.as_deref()), (Some(999), Some("999")));
        assert_eq!(waiting.card.flatten().map(|card| card.title).as_deref(), Some("999"), "behind its picture");
        assert_eq!(waiting.notices, ["996", "997", "998", "999"]);
        handle.show(frame(1_000)).expect("a window");
        assert_eq!(wakes.load(Ordering::Relaxed), 2, "and again once it has looked");
        assert!(orders.take().card.is_some_and(|card| card.is_none()), "a picture ends the card");
        drop(orders);
        assert!(handle.show(frame(0)).is_err() && handle.send(Order::Close).is_err());
        assert_eq!(Arc::strong_count(&canvas), 1);
    }
}

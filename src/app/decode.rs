//! The decoder's thread: slices into canvases, missing rectangles from the picture before, finished canvases to the
//! window (or, headless, to nobody).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender};

use crate::clock::now;
use crate::codec::{PairedDecoder, second_thread};
use crate::media::Canvas;
use crate::proto::receiver::{Ready, Slice};
use crate::queue;
use crate::record::still;
use crate::units::{Size, Time};
use crate::view::{Card, Frame, Handle, Order as ViewOrder};

/// What the event loop hands over, in order.
pub enum Work {
    Slice(Slice),
    Show {
        picture: Ready,
        due: Option<Time>,
        at: Time,
    },
    /// What is the matter, to be shown after the pictures before it.
    Card(Card),
    /// Another stream, or the same at another size: nothing is left to conceal with.
    Reset,
}

/// A picture that has been shown (headless: decoded), with its stamps.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub picture: Ready,
    pub due: Option<Time>,
    /// When the receiver said "show".
    pub handed: Time,
    pub decoded: Time,
    pub presented: Time,
    /// Too late for the screen: a newer one was already there.
    pub superseded: bool,
    /// Slices that could not be decoded.
    pub undecodable: u32,
}

/// What the decoder serves.
pub struct Settings {
    pub window: Option<Handle>,
    pub snapshot: Option<PathBuf>,
    /// The number of the last picture to be shown that is not the same as the one before: older ones need no decoding.
    pub newest: Arc<AtomicU32>,
    pub waker: queue::Waker,
}

/// Starts the thread; it ends when `work` is closed. Windowed pictures go to `shown` by way of the window.
pub fn spawn(
    settings: Settings,
    work: Receiver<Work>,
    shown: Sender<Shown>,
) -> io::Result<JoinHandle<Result<(), String>>> {
    Builder::new().name("decode".into()).spawn(move || {
        let decoder = PairedDecoder::new().map_err(|error| error.to_string())?;
        let _second = second_thread("decode").map_err(|error| error.to_string())?;
        let canvases = Canvases::default();
        let mut worker =
            Worker { settings, decoder, canvases, canvas: None, previous: None, shown, bad: 0, stale: false };
        work.iter().for_each(|work| worker.work(work));
        worker.save_snapshot()
    })
}

/// Canvases in turn: one on the screen, one to conceal from, one in the making.
#[derive(Default)]
pub struct Canvases(Vec<Arc<Canvas>>);

const KEPT: usize = 4;

impl Canvases {
    /// A canvas that nobody else holds, cleared.
    pub fn take(&mut self, size: Size) -> Arc<Canvas> {
        let free = self.0.iter_mut().position(|canvas| Arc::get_mut(canvas).is_some());
        let mut canvas = free.map_or_else(|| Arc::new(Canvas::new(size)), |i| self.0.swap_remove(i));
        if let Some(canvas) = Arc::get_mut(&mut canvas) {
            canvas.reset(size);
        }
        canvas
    }

    /// Also one that somebody still holds: it is free once he lets go. One that stood still comes back many times.
    pub fn give_back(&mut self, canvas: Arc<Canvas>) {
        let here = self.0.iter().any(|kept| Arc::ptr_eq(kept, &canvas));
        if !here && self.0.len() < KEPT {
            self.0.push(canvas);
        }
    }
}

struct Worker {
    settings: Settings,
    decoder: PairedDecoder,
    canvases: Canvases,
    canvas: Option<Arc<Canvas>>,
    previous: Option<Arc<Canvas>>,
    shown: Sender<Shown>,
    bad: u32,
    /// Decoding of the picture in hand was not worth it.
    stale: bool,
}

/// Decoding this many pictures behind is not worth it: the newest are shown instead.
const BEHIND: u32 = 3;

impl Worker {
    fn work(&mut self, work: Work) {
        match work {
            Work::Slice(slice) => self.slice(&slice),
            Work::Show { picture, due, at } => self.show(picture, due, at),
            Work::Card(card) => {
                if let Some(window) = &self.settings.window {
                    window.send(ViewOrder::Card(card)).ok();
                }
            }
            Work::Reset => (self.canvas, self.previous) = (None, None),
        }
    }

    fn slice(&mut self, slice: &Slice) {
        // Without a window every picture is decoded, however late: nobody waits for the newest.
        let windowed = self.settings.window.is_some();
        if windowed && self.settings.newest.load(Ordering::Relaxed).saturating_sub(slice.unit.0) > BEHIND {
            self.stale = true;
            return;
        }
        let held = self.canvas.take().filter(|canvas| canvas.size() == slice.size);
        let mut canvas = held.unwrap_or_else(|| self.canvases.take(slice.size));
        if let Some(pixels) = Arc::get_mut(&mut canvas) {
            let decoded = self.decoder.decode(slice.tables, slice.jpeg.bytes(), pixels, slice.x8, slice.y8);
            self.bad += u32::from(decoded.is_err());
        }
        self.canvas = Some(canvas);
    }

    fn show(&mut self, picture: Ready, due: Option<Time>, handed: Time) {
        let bad = std::mem::take(&mut self.bad);
        let stale = std::mem::take(&mut self.stale);
        let shown =
            Shown { picture, due, handed, decoded: now(), presented: now(), superseded: stale, undecodable: bad };
        if stale {
            self.canvas = None;
            return self.tell(shown);
        }
        let same = self.previous.clone().filter(|_| picture.same);
        let canvas = same.or_else(|| self.finish(picture.size));
        let Some(canvas) = canvas else { return self.tell(Shown { superseded: true, ..shown }) };
        if let Some(old) = self.previous.replace(Arc::clone(&canvas)) {
            self.canvases.give_back(old);
        }
        let decoded = now();
        let shown = Shown { decoded, presented: decoded, ..shown };
        match &self.settings.window {
            None => self.tell(shown),
            Some(window) => {
                // The window repeats the number; its thread adds when it was presented.
                self.shown.send(shown).ok();
                window.send(ViewOrder::Show(Frame { canvas, id: u64::from(picture.unit.0) })).ok();
            }
        }
    }

    /// The canvas in hand with its gaps filled from the picture before.
    fn finish(&mut self, size: Size) -> Option<Arc<Canvas>> {
        let mut canvas = self.canvas.take().filter(|canvas| canvas.size() == size)?;
        if let Some(pixels) = Arc::get_mut(&mut canvas) {
            pixels.fill_missing(self.previous.as_deref());
        }
        Some(canvas)
    }

    fn tell(&self, shown: Shown) {
        self.shown.send(shown).ok();
        (self.settings.waker)();
    }

    fn save_snapshot(&self) -> Result<(), String> {
        let Some(path) = &self.settings.snapshot else { return Ok(()) };
        let Some(canvas) = &self.previous else { return Err("no picture came, so none was saved".to_owned()) };
        still::save(canvas, path).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canvas_that_was_shown_many_times_is_taken_again_once_nobody_holds_it() {
        let (size, mut canvases) = (Size::new(16, 16), Canvases::default());
        let shown = canvases.take(size);
        for _ in 0..2 * KEPT {
            canvases.give_back(Arc::clone(&shown));
        }
        let other = canvases.take(size);
        assert!(!Arc::ptr_eq(&shown, &other), "it is still held");
        let address = Arc::as_ptr(&shown);
        drop(shown);
        assert_eq!(Arc::as_ptr(&canvases.take(size)), address);
    }
}

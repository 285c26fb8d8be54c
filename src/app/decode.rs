//! The decoder's thread: slices into canvases, missing rectangles from the picture before, finished canvases to the
//! window (or, headless, to nobody). Neither the event loop nor the window is ever waited for.

mod inbox;
mod standing;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::Sender;

pub use self::inbox::{Inbox, Work};
pub use self::standing::Room;
use self::standing::Standing;
use crate::clock::now;
use crate::codec::{PairedDecoder, second_thread};
use crate::media::{Canvas, Eighths};
use crate::proto::receiver::{Ready, Slice};
use crate::queue;
use crate::record::still;
use crate::units::{Size, Time};
use crate::view::{Frame, Handle, Order as ViewOrder, Still};

/// A picture that is to be shown.
#[derive(Clone, Copy, Debug)]
pub struct Show {
    pub picture: Ready,
    pub due: Option<Time>,
    /// When the receiver said so.
    pub handed: Time,
    /// Slices of it that there was no room for.
    pub undecodable: u32,
}

impl Show {
    /// It was never shown: newer ones took its place.
    pub const fn superseded(self, at: Time) -> Shown {
        let Self { picture, due, handed, undecodable } = self;
        Shown { picture, due, handed, decoded: at, presented: at, superseded: true, undecodable }
    }
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

/// Pictures on their way from the decoder to the screen: one that waits for the window, and those in its hands. Each is
/// told of as shown, as superseded, or as withheld.
#[derive(Clone, Default)]
pub struct OnTheWay(Arc<Mutex<VecDeque<Shown>>>);

/// More than these are never on their way.
const ON_THE_WAY: usize = 4;

impl OnTheWay {
    fn put(&self, shown: Shown) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(shown);
        if waiting.len() > ON_THE_WAY {
            waiting.pop_front();
        }
    }

    /// The picture of this number, which has arrived, in one way or another.
    pub fn take(&self, id: u64) -> Option<Shown> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = waiting.iter().position(|shown| u64::from(shown.picture.unit.0) == id)?;
        waiting.remove(at)
    }
}

/// What the decoder serves.
pub struct Settings {
    pub window: Option<Handle>,
    pub on_the_way: OnTheWay,
    pub snapshot: Option<PathBuf>,
    /// How large pictures are shown.
    pub room: Room,
    /// Where pictures go that are to be saved, in full.
    pub stills: Sender<Saved>,
    pub waker: queue::Waker,
}

/// A picture that is to be saved as such a file, and its number.
pub struct Saved {
    pub canvas: Arc<Canvas>,
    pub id: u64,
    pub still: Still,
}

/// Pictures that may wait for the decoder: for a window the newest two, as those before them would be shown too late;
/// without one all are decoded, unless the decoder stands still.
pub const fn room(windowed: bool) -> usize {
    if windowed { 2 } else { 64 }
}

/// Starts the thread; it ends when `work` is closed. Windowed pictures get to `shown` by way of the window, unless it never
/// shows them.
pub fn spawn(settings: Settings, work: Arc<Inbox>, shown: Sender<Shown>) -> io::Result<JoinHandle<Result<(), String>>> {
    Builder::new().name("decode".into()).spawn(move || work_off(settings, &work, shown)?.save_snapshot())
}

fn work_off(settings: Settings, work: &Inbox, shown: Sender<Shown>) -> Result<Worker, String> {
    // Tiles are decoded side by side: each has a thread, and a second one would take it from another tile.
    let tile = settings.room.is_tile();
    let decoder = PairedDecoder::new(!tile).map_err(|error| error.to_string())?;
    let _second = (!tile).then(|| second_thread("decode")).transpose().map_err(|error| error.to_string())?;
    let (canvases, standing) = (Canvases::default(), Standing::new(tile));
    let mut worker =
        Worker { settings, decoder, canvases, standing, canvas: None, previous: None, last: 0, shown, bad: 0 };
    while let Some(work) = work.next() {
        worker.work(work);
    }
    Ok(worker)
}

/// Canvases in turn: one on the screen, one to conceal from, one in the making.
#[derive(Default)]
pub struct Canvases {
    kept: Vec<Arc<Canvas>>,
    #[cfg(test)]
    made: usize,
}

const KEPT: usize = 4;

impl Canvases {
    /// A canvas that nobody else holds, cleared.
    pub fn take(&mut self, size: Size) -> Arc<Canvas> {
        self.scaled(size, size, Eighths::FULL)
    }

    /// The same for a picture of this size at a smaller scale, which is a rendition of one that has the size `full`.
    pub fn scaled(&mut self, picture: Size, full: Size, scale: Eighths) -> Arc<Canvas> {
        let free = self.kept.iter_mut().position(|canvas| Arc::get_mut(canvas).is_some());
        #[cfg(test)]
        {
            self.made += usize::from(free.is_none());
        }
        let new = || Arc::new(Canvas::scaled(picture, scale));
        let mut canvas = free.map_or_else(new, |i| self.kept.swap_remove(i));
        if let Some(canvas) = Arc::get_mut(&mut canvas) {
            canvas.reset_scaled(picture, scale);
            canvas.set_full(full);
        }
        canvas
    }

    /// Also one that somebody still holds: it is free once he lets go. One that stood still comes back many times.
    pub fn give_back(&mut self, canvas: Arc<Canvas>) {
        let here = self.kept.iter().any(|kept| Arc::ptr_eq(kept, &canvas));
        if !here && self.kept.len() < KEPT {
            self.kept.push(canvas);
        }
    }
}

struct Worker {
    settings: Settings,
    decoder: PairedDecoder,
    canvases: Canvases,
    standing: Standing,
    canvas: Option<Arc<Canvas>>,
    previous: Option<Arc<Canvas>>,
    /// The number of the picture shown last.
    last: u64,
    shown: Sender<Shown>,
    bad: u32,
}

impl Worker {
    fn work(&mut self, work: Work) {
        match work {
            Work::Slice(slice) => self.slice(&slice),
            Work::Show(show) => self.show(show),
            Work::Card(card) => {
                if let Some(window) = &self.settings.window {
                    window.send(ViewOrder::Card(card)).ok();
                }
            }
            Work::Resized => self.resized(),
            Work::Still(still) => self.save(still),
            Work::Reset => {
                (self.canvas, self.previous) = (None, None);
                self.standing.clear();
            }
        }
    }

    fn slice(&mut self, slice: &Slice) {
        self.standing.slice(slice);
        let fits = |canvas: &Arc<Canvas>| (canvas.picture(), canvas.full()) == (slice.size, slice.full);
        let held = self.canvas.take().filter(fits);
        let scale = self.settings.room.scale(slice.size);
        let mut canvas = held.unwrap_or_else(|| self.canvases.scaled(slice.size, slice.full, scale));
        if let Some(pixels) = Arc::get_mut(&mut canvas) {
            let decoded = self.decoder.decode(slice.tables, slice.jpeg.bytes(), pixels, slice.x8, slice.y8);
            self.bad += u32::from(decoded.is_err());
        }
        self.canvas = Some(canvas);
    }

    fn show(&mut self, show: Show) {
        let show = Show { undecodable: show.undecodable + std::mem::take(&mut self.bad), ..show };
        let picture = show.picture;
        let same = self.previous.clone().filter(|_| picture.same);
        let canvas = same.or_else(|| self.finish(&picture));
        let Some(canvas) = canvas else { return self.tell(show.superseded(now())) };
        if !picture.same {
            self.standing.show();
        }
        self.last = picture.unit.0.into();
        self.replace(&canvas);
        let shown = Shown { superseded: false, ..show.superseded(now()) };
        match &self.settings.window {
            None => self.tell(shown),
            Some(window) => {
                // The window repeats the number; its thread adds when it was presented.
                self.settings.on_the_way.put(shown);
                let superseded = window.show(Frame { canvas, id: self.last });
                self.superseded(superseded.ok().flatten());
            }
        }
    }

    fn replace(&mut self, canvas: &Arc<Canvas>) {
        if let Some(old) = self.previous.replace(Arc::clone(canvas)) {
            self.canvases.give_back(old);
        }
    }

    /// Another frame has taken this one's place in the window's hands.
    fn superseded(&self, frame: Option<Frame>) {
        if let Some(old) = frame.and_then(|frame| self.settings.on_the_way.take(frame.id)) {
            self.tell(Shown { superseded: true, ..old });
        }
    }

    /// The tile has another size: what stands there is shown at the scale of the next picture, which may not come soon.
    fn resized(&mut self) {
        let Some(shown) = self.previous.clone() else { return };
        let scale = self.settings.room.scale(shown.picture());
        if scale == shown.scale() {
            return;
        }
        let canvas = self.again(&shown, scale);
        self.replace(&canvas);
        if let Some(window) = &self.settings.window {
            let superseded = window.redraw(Frame { canvas, id: self.last });
            self.superseded(superseded.ok().flatten());
        }
    }

    /// What is shown, decoded again at another scale.
    fn again(&mut self, shown: &Canvas, scale: Eighths) -> Arc<Canvas> {
        let mut canvas = self.canvases.scaled(shown.picture(), shown.full(), scale);
        if let Some(pixels) = Arc::get_mut(&mut canvas) {
            self.standing.decode(&mut self.decoder, pixels, shown);
        }
        canvas
    }

    /// What is shown, at the size that its picture has.
    fn whole(&mut self) -> Option<Arc<Canvas>> {
        let shown = self.previous.clone()?;
        Some(if shown.scale() == Eighths::FULL { shown } else { self.again(&shown, Eighths::FULL) })
    }

    fn save(&mut self, still: Still) {
        let Some(canvas) = self.whole() else { return };
        self.settings.stills.send(Saved { canvas, id: self.last, still }).ok();
        (self.settings.waker)();
    }

    /// The canvas in hand with its gaps filled from the picture before.
    fn finish(&mut self, picture: &Ready) -> Option<Arc<Canvas>> {
        let fits = |canvas: &Arc<Canvas>| (canvas.picture(), canvas.full()) == (picture.size, picture.full);
        let mut canvas = self.canvas.take().filter(fits)?;
        if let Some(pixels) = Arc::get_mut(&mut canvas) {
            pixels.fill_missing(self.previous.as_deref());
        }
        Some(canvas)
    }

    fn tell(&self, shown: Shown) {
        self.shown.send(shown).ok();
        (self.settings.waker)();
    }

    fn save_snapshot(mut self) -> Result<(), String> {
        let Some(path) = self.settings.snapshot.clone() else { return Ok(()) };
        let Some(canvas) = self.whole() else { return Err("no picture came, so none was saved".to_owned()) };
        still::save(&canvas, &path).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;

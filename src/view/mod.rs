//! A window that shows pictures the moment they arrive. It knows pixels, words, keys and the screen; not where pictures
//! come from. Frames are shared: the caller may keep one to fill gaps of the next from, and has it for itself again when
//! the window has dropped it.
//!
//! The window keeps the frame it shows, to draw it again after a resize, and drops it when the next one has taken its
//! place. One frame waits for it, the newest. No picture ever waits on time; only notices do, to go.

pub mod display;
mod editor;
mod film;
mod guard;
mod hud;
pub mod keys;
mod life;
mod orders;
mod pane;
mod scale;
mod surface;
mod talk;
mod typing;
pub mod wall;
mod window;

pub use film::{FilmPlace, FilmWish, clock_text};
pub use hud::{Card, List, Rates};
pub use orders::{Handle, Orders, orders};
pub use scale::{Rect, fit, letterbox};
pub use talk::{NO_TALK, TalkLine};
pub use window::run;

use std::sync::Arc;

use crate::media::Canvas;
use crate::units::{Size, Time};

/// What the benches measure.
#[doc(hidden)]
pub mod inside {
    pub use super::hud::Hud;
    pub use super::keys::HELP;
}

/// One picture.
pub struct Frame {
    pub canvas: Arc<Canvas>,
    /// The caller's own number for it; the window only repeats it.
    pub id: u64,
}

/// What the window is told beside pictures ([`Handle::show`]).
pub enum Order {
    /// What is the matter, instead of a picture; the last picture stays behind it, dark.
    Card(Card),
    /// A sentence over the picture for a few seconds.
    Notice(String),
    /// The lines of the figures, which the i key shows, and the last seconds of the path for a graph below them.
    Figures(Vec<String>, Vec<Rates>),
    /// Whether a recording runs: a red dot in the corner.
    Recording(bool),
    /// Where a film on demand is, whose keys count as long as it is there; or that none is shown.
    Film(Option<FilmPlace>),
    /// Lines to choose from; while they are shown, arrows, Enter and Esc are wishes about them.
    List(Option<List>),
    /// Somebody has said something: a line that fades, and stays in the history.
    Line(TalkLine),
    /// Something can be said: then the t key opens a line for it; or it cannot, for this reason.
    Talk(Result<(), &'static str>),
    Title(String),
    /// Fill the screen, as the f key does.
    Fullscreen,
    Close,
}

/// What the window tells, always on the thread that called [`run`].
pub enum Happened {
    /// The window exists.
    Opened,
    /// It has this size now, in pixels of the screen.
    Resized(Size),
    /// The frame with this number was handed to the screen for the first time; the window keeps it for redraws.
    Presented { id: u64, at: Time },
    /// The frame with this number was not presented because the user has frozen the picture, or because the window has no
    /// area (it is minimised, or not open yet).
    Withheld { id: u64 },
    /// The user wants the picture on the screen in a file.
    Snapshot { canvas: Arc<Canvas>, id: u64, still: Still },
    /// The user has typed this to be said.
    Said(String),
    /// The user wants what is not the window's to give.
    Wished(Wish),
    /// The user closed the window; [`run`] returns next. Not told after [`Order::Close`].
    Quit,
}

/// The kind of file a snapshot is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Still {
    Png,
    Jpeg,
}

/// What a key asks of the program behind the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Record,
    Mute,
    Louder,
    Quieter,
    Streams(Turn),
    /// Of a film on demand.
    Film(FilmWish),
}

/// What a key asks about the streams of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Next,
    Previous,
    /// Show the list of them, or put it away.
    List,
    /// In the list: one line up or down, the marked one, or none.
    Up,
    Down,
    Take,
    Leave,
}

/// The window is gone: nothing can be shown any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the window is closed")]
pub struct Gone;

/// Why there is no window (any more).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    #[error("no display to open a window on ({0}); use --headless to receive without a window")]
    NoDisplay(String),
    #[error("the display stopped answering: {0}")]
    Lost(String),
    #[error("the display refused a window: {0}")]
    Window(#[source] winit::error::OsError),
    #[error(
        "the display has too few colours for pictures; set it to 16, 24 or 32 bits a pixel, or use --headless to receive without a window"
    )]
    FewColours,
    #[error("the window cannot be drawn on: {0}")]
    Surface(#[from] softbuffer::SoftBufferError),
}

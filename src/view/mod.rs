//! A window that shows pictures the moment they arrive. It knows pixels, keys and the screen; not where pictures come
//! from. Frames go in by value and every one comes back by value, so that the caller can use its buffers again.
//!
//! The window keeps the frame it shows, to draw it again after a resize, and gives it back when the next one has taken
//! its place. Of several frames waiting only the newest is drawn. Nothing here waits on time.

mod scale;
mod window;

pub use scale::{Rect, fit, letterbox};
pub use window::{Handle, run};

use crate::units::{Size, Time};

/// One picture: rows from the top, `0x00RRGGBB` each pixel, `size.pixels()` of them.
pub struct Frame {
    pub size: Size,
    pub pixels: Vec<u32>,
    /// The caller's own number for it; the window only repeats it.
    pub id: u64,
}

/// What the window is told.
pub enum Order {
    Show(Frame),
    Title(String),
    Close,
}

/// What the window tells, always on the thread that called [`run`].
pub enum Happened {
    /// The window exists.
    Opened,
    /// The frame with this number was handed to the screen for the first time; the window keeps it for redraws.
    Presented { id: u64, at: Time },
    /// A frame the window needs no more: replaced on the screen, or superseded before it was ever presented.
    Returned(Frame),
    /// The user closed the window; [`run`] returns next. Not told after [`Order::Close`].
    Quit,
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
    Lost(#[source] winit::error::EventLoopError),
    #[error("the display refused a window: {0}")]
    Window(#[source] winit::error::OsError),
    #[error("the window cannot be drawn on: {0}")]
    Surface(#[from] softbuffer::SoftBufferError),
}

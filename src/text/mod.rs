//! Words as pixels: shaped by the engine of `cosmic-text`, in one bundled face and whatever fonts the
//! system has for other scripts. It knows pictures and windows' pixels; not what is said.
//!
//! [`set`] breaks words to a width and keeps what it has set; [`Paragraph::draw`] blends that onto pixels without any lock.
//! The system's fonts are read on a thread of their own, when a text wants them for the first time: until then it is set
//! with a sign in each place, [`Paragraph::is_complete`] is false, and whoever called [`on_fonts`] is told when to draw anew.

pub mod card;
mod clusters;
mod engine;
mod fonts;
mod generations;
mod glyph;
mod index;
pub mod layout;
pub mod meter;
mod paragraph;
mod rows;
pub mod test_card;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

pub use engine::{Engine, Keep};
pub use fonts::Folders;
pub use paragraph::{Align, Caret, Paragraph, line_height};

/// The process's own. Nothing holds it longer than setting a paragraph takes.
static ENGINE: LazyLock<Mutex<Engine>> = LazyLock::new(|| Mutex::new(Engine::new(Folders::from_environment())));

fn engine() -> MutexGuard<'static, Engine> {
    ENGINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets words in letters of `size` pixels, in rows of at most `width` pixels (`None`: one row), broken where the language
/// breaks lines, and within words that are wider than that. Several `spans` follow one another without a space; each is
/// ordered by itself (a bidi isolate), and the last one tells the paragraph's direction.
///
/// What was set lately is kept: the same call again costs a look-up.
pub fn set(spans: &[&str], size: f32, width: Option<u32>) -> Arc<Paragraph> {
    engine().set(spans, size, width)
}

/// One row of at most `width` pixels, the rest cut off and `…` in its place.
pub fn fit(text: &str, size: f32, width: u32, keep: Keep) -> Arc<Paragraph> {
    engine().fit(text, size, width, keep)
}

/// Whether one of these texts needs fonts of the system that are not read yet; reading them has begun then.
pub fn lacks_fonts(texts: &[&str]) -> bool {
    let engine = engine();
    texts.iter().any(|text| engine.lacks_fonts(text))
}

/// Waits until these texts can be set in full: a fraction of a second, once in a process, and nothing for texts that the
/// bundled face has all letters of.
pub fn wait_for_fonts(texts: &[&str]) {
    if lacks_fonts(texts) {
        let system = engine().system();
        system.wait();
    }
}

/// Whether the system's fonts have been read.
pub fn fonts_are_read() -> bool {
    engine().system().is_read()
}

/// Calls `wake` once, on another thread, when the system's fonts have been read; never if they have been already.
pub fn on_fonts(wake: impl FnOnce() + Send + 'static) {
    engine().system().on_read(Box::new(wake));
}

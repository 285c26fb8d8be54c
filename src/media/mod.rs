//! What the packets are about: pictures, coded pictures and their slices, canvases, cards, y4m; sound. Bytes and
//! numbers only; no IO, no clock.

pub mod canvas;
pub mod card;
pub mod coded;
pub mod conceal;
pub mod convert;
pub mod jpeg;
pub mod picture;
pub mod sound;
pub mod text;
pub mod y4m;

pub use canvas::Canvas;
pub use picture::Picture;

//! What the packets are about: pictures, coded pictures and their slices, canvases, cards, y4m. Bytes and numbers
//! only; no IO, no clock.

pub mod canvas;
pub mod coded;
pub mod jpeg;
pub mod picture;

pub use canvas::Canvas;
pub use picture::Picture;

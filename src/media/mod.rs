//! What the packets are about: pictures, coded pictures and their slices, canvases, sound, y4m. Bytes and numbers
//! only; no IO, no clock.

pub mod canvas;
pub mod coded;
pub mod conceal;
pub mod convert;
pub mod eighths;
pub mod jpeg;
pub mod nut;
pub mod paint;
pub mod parity;
pub mod picture;
pub mod raw;
pub mod shrink;
pub mod sound;
pub mod tone;
pub mod tonemap;
pub mod y4m;

pub use canvas::Canvas;
pub use eighths::Eighths;
pub use picture::{Painter, Picture};

//! What is kept: pictures as files.

pub mod still;

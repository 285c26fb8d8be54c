//! Films of which each picture says its number, watched by several.

mod films;

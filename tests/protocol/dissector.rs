//! The dissector.

//! udpstream: moving pictures over plain UDP with the least possible delay. See docs/ARCHITECTURE.md.

pub mod clock;
pub mod media;
pub mod queue;
#[cfg(feature = "app")]
pub mod source;
pub mod units;

//! udpstream: moving pictures over plain UDP with the least possible delay. See docs/ARCHITECTURE.md.

pub mod clock;
#[cfg(feature = "app")]
pub mod codec;
pub mod media;
pub mod queue;
pub mod units;

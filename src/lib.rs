//! udpstream: moving pictures over plain UDP with the least possible delay. See docs/ARCHITECTURE.md.

#![deny(clippy::unwrap_used, clippy::expect_used)]

pub mod clock;
pub mod media;
pub mod queue;
pub mod units;
#[cfg(feature = "app")]
pub mod view;

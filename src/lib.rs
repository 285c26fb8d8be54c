//! udpstream: moving pictures over plain UDP with the least possible delay. See docs/ARCHITECTURE.md.

#![deny(clippy::unwrap_used, clippy::expect_used)]

#[cfg(feature = "app")]
pub mod app;
#[cfg(feature = "app")]
pub mod audio;
pub mod clock;
#[cfg(feature = "app")]
pub mod codec;
#[cfg(feature = "app")]
pub mod discovery;
#[cfg(feature = "app")]
pub mod ffmpeg;
#[cfg(feature = "app")]
pub mod library;
pub mod media;
#[cfg(feature = "app")]
pub mod net;
pub mod proto;
pub mod queue;
#[cfg(feature = "app")]
pub mod record;
pub mod seal;
#[cfg(feature = "app")]
pub mod source;
pub mod stats;
#[cfg(feature = "app")]
pub mod store;
#[cfg(feature = "app")]
pub mod text;
pub mod units;
#[cfg(feature = "app")]
pub mod view;
pub mod wire;

//! The loudspeaker: takes a stream's sound in order and has each frame heard at its moment, whatever the device's clock
//! and whatever becomes of the device. Built without the feature `audio` it is a [`Speaker`] that plays nothing.

#[cfg(feature = "audio")]
mod device;
#[cfg(feature = "audio")]
mod feed;
#[cfg(feature = "audio")]
mod hush;
#[cfg(feature = "audio")]
mod player;
#[cfg(feature = "audio")]
mod rates;
#[cfg(feature = "audio")]
mod shared;
#[cfg(not(feature = "audio"))]
mod silent;
#[cfg(feature = "audio")]
mod speaker;
#[cfg(feature = "audio")]
mod supervisor;

use std::time::Duration;

#[cfg(feature = "audio")]
pub use device::look;
#[cfg(not(feature = "audio"))]
pub use silent::{Speaker, look};
#[cfg(feature = "audio")]
pub use speaker::Speaker;

/// What the benches measure.
#[cfg(feature = "audio")]
#[doc(hidden)]
pub mod inside {
    pub use super::player::Player;
    pub use super::shared::{Block, Shared};
}

/// How a [`Speaker`] begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// In percent, as [`Speaker::volume`].
    pub volume: u8,
    pub muted: bool,
    /// How many frames of 44.1 kHz the device is to ask for at a time; it may have limits of its own. It holds twice
    /// that. If this machine is too busy to serve it so often, it becomes more.
    pub period: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { volume: 100, muted: false, period: 512 }
    }
}

/// How it goes. Counters run from the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Whether a device takes sound.
    pub open: bool,
    /// The name of the device that is open, or was.
    pub device: String,
    /// From the moment the device asks for a frame to the moment that frame is heard, as the device says.
    pub latency: Duration,
    /// How long before it is heard a chunk has to be put, or it comes too late.
    pub lead: Duration,
    /// When a frame was heard last, from when it should have been, in seconds: negative is too early.
    pub skew: f64,
    /// Times that sound had begun and its next frames had not been put when the device asked for them.
    pub underruns: u64,
    /// Times that the device itself ran dry: this machine was too busy to serve it.
    pub device_underruns: u64,
    /// Chunks that were lost and filled in for.
    pub concealed: u64,
    /// Chunks that found no room, because the device does not take them or they came far too early.
    pub dropped: u64,
}

/// What became of the device. The sentences are for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// For the first time.
    Opened,
    /// It could not be opened, and that will be tried again; said once.
    Missing(String),
    /// It was open and is no more; it will be tried again.
    Lost(String),
    /// It is open again.
    Back,
}

/// What [`look`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub device: String,
    /// Frames a second it would be asked to take.
    pub rate: u32,
    pub channels: u16,
}

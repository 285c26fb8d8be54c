//! What the event loop's thread and the device's know of each other: a few numbers, each written by one side.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

use crate::media::sound::{FRAMES, Frame};
use crate::units::Time;

/// A chunk's way to the device.
#[derive(Clone, Copy)]
pub struct Block {
    /// Which stream, counted by the speaker.
    pub stream: u32,
    /// The first frame's number; the last of the silence before a stream is −1.
    pub first: i64,
    pub len: u16,
    pub frames: [Frame; FRAMES],
}

pub struct Shared {
    /// Nanoseconds of our clock; [`Time::NEVER`] for none.
    zero: AtomicI64,
    /// The stream that is played.
    pub stream: AtomicU32,
    /// The number after the stream's last frame, once known.
    pub end: AtomicI64,
    gain: AtomicU32,
    pub open: AtomicBool,
    /// How often the device has asked.
    pub asked: AtomicU64,
    /// Nanoseconds.
    pub latency: AtomicU64,
    /// Nanoseconds.
    pub lead: AtomicU64,
    pub underruns: AtomicU64,
    pub device_underruns: AtomicU64,
}

impl Shared {
    pub fn new(volume: u8, muted: bool) -> Self {
        let shared = Self {
            zero: AtomicI64::new(Time::NEVER.nanos()),
            stream: AtomicU32::new(0),
            end: AtomicI64::new(i64::MAX),
            gain: AtomicU32::new(0),
            open: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            latency: AtomicU64::new(0),
            lead: AtomicU64::new(0),
            underruns: AtomicU64::new(0),
            device_underruns: AtomicU64::new(0),
        };
        shared.set_gain(volume, muted);
        shared
    }

    pub fn set_zero(&self, zero: Option<Time>) {
        self.zero.store(zero.unwrap_or(Time::NEVER).nanos(), Ordering::Release);
    }

    pub fn zero(&self) -> Option<Time> {
        Some(Time::from_nanos(self.zero.load(Ordering::Acquire))).filter(|zero| *zero != Time::NEVER)
    }

    /// Percent of full volume; loudness is heard as about the cube root of amplitude, as sound servers have it too.
    pub fn set_gain(&self, volume: u8, muted: bool) {
        let gain = if muted { 0.0 } else { (f32::from(volume.min(100)) / 100.0).powi(3) };
        self.gain.store(gain.to_bits(), Ordering::Relaxed);
    }

    pub fn gain(&self) -> f32 {
        f32::from_bits(self.gain.load(Ordering::Relaxed))
    }
}

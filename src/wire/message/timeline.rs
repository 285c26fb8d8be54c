//! What time means: the extensions TIMELINE and CLOCK of Update.

use crate::units::{MediaTime, Speed, Time};
use crate::wire::WireError;
use crate::wire::bytes::{Put, Reader};
use crate::wire::tlv;

/// The state of a timeline, or of a stream. A waiting one begins with its first watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Waiting,
    Playing,
    Paused,
    Ended,
}

impl State {
    /// Reads u8 state and three reserved bytes.
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let [state, _, _, _] = r.array()?;
        Self::of(state)
    }

    pub(super) const fn of(state: u8) -> Result<Self, WireError> {
        Ok(match state {
            0 => Self::Waiting,
            1 => Self::Playing,
            2 => Self::Paused,
            3 => Self::Ended,
            _ => return Err(WireError::Value { what: "a timeline's state" }),
        })
    }
}

/// What media time means in the server's clock: media time `media` is due at `clock`, and runs at `speed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// Rises at every change of the mapping.
    pub generation: u32,
    pub state: State,
    pub media: MediaTime,
    /// Server's monotonic clock, in µs on the wire.
    pub clock: Time,
    pub speed: Speed,
}

impl Timeline {
    /// Reads the value of a TIMELINE extension.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(value, "a timeline");
        let generation = r.u32()?;
        let state = State::read(&mut r)?;
        let media = MediaTime::from_micros(r.i64()?);
        let clock = Time::from_micros(r.u64()?);
        let speed = Speed::new(r.u32()?, r.u32()?).ok_or(WireError::Value { what: "the timeline's speed" })?;
        Ok(Self { generation, state, media, clock, speed })
    }

    /// Appends a TIMELINE extension.
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut value = Vec::with_capacity(32);
        value.u32(self.generation);
        value.extend_from_slice(&[self.state as u8, 0, 0, 0]);
        value.extend_from_slice(&self.media.micros().to_be_bytes());
        value.u64(self.clock.micros());
        value.u32(self.speed.num());
        value.u32(self.speed.den());
        tlv::put(out, tlv::kind::TIMELINE, &value);
    }
}

/// What NTP needs: the client's own `sent_at`, how long we held it, and our clock when this left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockEcho {
    pub echo: u32,
    pub held: u32,
    pub clock: u64,
}

impl ClockEcho {
    /// Reads the value of a CLOCK extension.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(value, "a clock echo");
        Ok(Self { echo: r.u32()?, held: r.u32()?, clock: r.u64()? })
    }

    /// Appends a CLOCK extension.
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut value = Vec::with_capacity(16);
        value.u32(self.echo);
        value.u32(self.held);
        value.u64(self.clock);
        tlv::put(out, tlv::kind::CLOCK, &value);
    }
}

//! Films on demand: what a watcher orders of the timeline, and what the server says when that has jumped.

use crate::units::{MediaTime, Speed};
use crate::wire::WireError;
use crate::wire::bytes::{Put, Reader};
use crate::wire::tlv;

mod flags {
    pub const PAUSED: u8 = 0x01;
    pub const SEEK: u8 = 0x02;
    pub const EXACT: u8 = 0x04;
}

/// How a film on demand is to be played: PLAY of a Want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Play {
    /// It is obeyed once: one that is not above that of the last obeyed changes nothing.
    pub number: u32,
    pub paused: bool,
    /// Go there first.
    pub seek: Option<Seek>,
    pub speed: Speed,
}

/// Another place of a film.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seek {
    pub to: MediaTime,
    /// The picture that is to be seen at that moment; or one near it that is there sooner.
    pub exact: bool,
}

impl Play {
    /// Reads the value of a PLAY extension.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(value, "an order for a film");
        let number = r.u32()?;
        let [bits, _, _, _] = r.array()?;
        let to = MediaTime::from_micros(r.i64()?);
        let speed = Speed::new(r.u32()?, r.u32()?).ok_or(WireError::Value { what: "the speed of a film" })?;
        let seek = (bits & flags::SEEK != 0).then_some(Seek { to, exact: bits & flags::EXACT != 0 });
        Ok(Self { number, paused: bits & flags::PAUSED != 0, seek, speed })
    }

    /// Appends a PLAY extension.
    pub fn put(&self, out: &mut Vec<u8>) {
        let exact = self.seek.is_some_and(|seek| seek.exact);
        let bits = [(self.paused, flags::PAUSED), (self.seek.is_some(), flags::SEEK), (exact, flags::EXACT)];
        let bits = bits.into_iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit);
        let mut value = Vec::with_capacity(24);
        value.u32(self.number);
        value.extend_from_slice(&[bits, 0, 0, 0]);
        let to = self.seek.map_or(MediaTime::ZERO, |seek| seek.to);
        value.extend_from_slice(&to.micros().to_be_bytes());
        value.u32(self.speed.num());
        value.u32(self.speed.den());
        tlv::put(out, tlv::kind::PLAY, &value);
    }
}

/// Which place of a film on demand is sent in a session: JUMP of an Update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// Another one than before: what came before is of another place.
    pub number: u32,
    /// The first hop sequence of this place.
    pub from: u32,
    /// The number of the last [`Play`] of this session that was obeyed; 0: none was.
    pub obeyed: u32,
}

impl Jump {
    /// Reads the value of a JUMP extension.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(value, "a jump");
        Ok(Self { number: r.u32()?, from: r.u32()?, obeyed: r.u32()? })
    }

    /// Appends a JUMP extension.
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut value = Vec::with_capacity(12);
        value.u32(self.number);
        value.u32(self.from);
        value.u32(self.obeyed);
        tlv::put(out, tlv::kind::JUMP, &value);
    }
}

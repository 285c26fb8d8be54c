//! Names of objects that are missing or wanted, parity over objects, and how a watcher lets losses be repaired.

use std::time::Duration;

use crate::units::Unit;
use crate::wire::WireError;
use crate::wire::bytes::{Put, Reader};
use crate::wire::object::Type;
use crate::wire::tlv::{self, kind};

/// The cut in the name of a unit of which nothing has come: whichever it was sent in.
pub const ANY_CUT: u8 = 0xff;

/// One unit's missing parts: bit `i` of `bitmap` is part `first_part + i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NackName {
    pub stream: u64,
    pub kind: Type,
    pub rendition: u8,
    pub cut: u8,
    pub unit: Unit,
    pub first_part: u16,
    pub bitmap: u64,
}

impl NackName {
    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let (stream, kind, rendition, cut) = (r.u64()?, Type(r.u8()?), r.u8()?, r.u8()?);
        r.u8()?;
        let (unit, first_part, bitmap) = (Unit(r.u32()?), r.u16()?, r.u64()?);
        Ok(Self { stream, kind, rendition, cut, unit, first_part, bitmap })
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.u64(self.stream);
        out.extend_from_slice(&[self.kind.0, self.rendition, self.cut, 0]);
        out.u32(self.unit.0);
        out.u16(self.first_part);
        out.u64(self.bitmap);
    }
}

/// All objects of one lane from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRange {
    pub stream: u64,
    pub kind: Type,
    pub rendition: u8,
    pub cut: u8,
    pub first: Unit,
    pub last: Unit,
}

impl NameRange {
    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let (stream, kind, rendition, cut) = (r.u64()?, Type(r.u8()?), r.u8()?, r.u8()?);
        r.u8()?;
        Ok(Self { stream, kind, rendition, cut, first: Unit(r.u32()?), last: Unit(r.u32()?) })
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.u64(self.stream);
        out.extend_from_slice(&[self.kind.0, self.rendition, self.cut, 0]);
        out.u32(self.first.0);
        out.u32(self.last.0);
    }
}

/// How the repair symbols of [`Parity`] are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// As the crate `reed-solomon-simd` makes them; any `k` of the `k + m` give all.
    ReedSolomon = 1,
    /// One symbol, the members added up bit by bit.
    Xor = 2,
}

impl Scheme {
    /// Its bit in the schemes of a Join.
    pub const fn bit(self) -> u8 {
        1 << (self as u8 - 1)
    }

    const fn of(scheme: u8) -> Option<Self> {
        match scheme {
            1 => Some(Self::ReedSolomon),
            2 => Some(Self::Xor),
            _ => None,
        }
    }
}

/// How a watcher lets losses be repaired: REPAIR of a Want. A value that ends behind the patience is of one without latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepairWish {
    /// It asks for what is missing with Nack.
    pub asks: bool,
    /// So long after it could be complete a picture is waited for, in whole milliseconds, and no longer than until the next one
    /// is due, which alone is the limit if this is 65 535.
    pub patience: Duration,
    /// All pictures are shown so long after they are due, in whole milliseconds: what comes until then is in time.
    pub latency: Duration,
}

impl RepairWish {
    /// Pictures are waited for until the next one is due.
    pub const INTERVAL: Duration = Duration::from_millis(65_535);

    pub fn parse(value: &[u8]) -> Option<Self> {
        let (flags, rest) = value.split_first()?;
        let (patience, rest) = rest.split_first_chunk()?;
        let latency = rest.first_chunk().copied().unwrap_or_default();
        let [patience, latency] =
            [*patience, latency].map(|millis| Duration::from_millis(u16::from_be_bytes(millis).into()));
        Some(Self { asks: flags & 1 != 0, patience, latency })
    }

    pub fn put(self, out: &mut Vec<u8>) {
        let millis = |time: Duration| u16::try_from(time.as_millis()).unwrap_or(u16::MAX).to_be_bytes();
        let ([p, q], [r, s]) = (millis(self.patience), millis(self.latency));
        tlv::put(out, kind::REPAIR, &[self.asks.into(), p, q, r, s]);
    }
}

/// Kind 0x11: a repair symbol over objects of one lane. Of pictures the members are the parts `first_part`, `first_part +
/// stride` … of `unit`; of sound they are parts 0 of the units `unit`, `unit + stride` …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parity<'a> {
    pub scheme: Scheme,
    pub kind: Type,
    pub rendition: u8,
    pub cut: u8,
    pub stream: u64,
    pub unit: Unit,
    pub first_part: u16,
    pub k: u8,
    pub m: u8,
    pub index: u8,
    /// From one member to the next.
    pub stride: u8,
    pub symbol: &'a [u8],
}

impl<'a> Parity<'a> {
    /// What goes before the symbol; the CRC behind it takes four bytes more.
    pub const FIXED: usize = 24;

    pub(super) fn parse(mut r: Reader<'a>) -> Result<Self, WireError> {
        let (scheme, kind, rendition, cut) = (r.u8()?, Type(r.u8()?), r.u8()?, r.u8()?);
        let (stream, unit, first_part) = (r.u64()?, Unit(r.u32()?), r.u16()?);
        let (k, m, index, stride) = (r.u8()?, r.u8()?, r.u8()?, r.u8()?);
        let length = r.u16()?;
        let symbol = r.take(usize::from(length))?;
        let Some(known) = Scheme::of(scheme) else { return Err(WireError::Value { what: "a parity scheme" }) };
        let alone = known != Scheme::Xor || m == 1;
        if k == 0 || index >= m || stride == 0 || !alone || length < 2 || !length.is_multiple_of(2) {
            return Err(WireError::Value { what: "a repair symbol" });
        }
        let parity =
            Self { scheme: known, kind, rendition, cut, stream, unit, first_part, k, m, index, stride, symbol };
        let crc = r.u32()?;
        let mut bytes = Vec::with_capacity(Self::FIXED + symbol.len());
        parity.emit_unsigned(&mut bytes);
        if crc == crc32fast::hash(&bytes) { Ok(parity) } else { Err(WireError::Checksum) }
    }

    fn emit_unsigned(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.scheme as u8, self.kind.0, self.rendition, self.cut]);
        out.u64(self.stream);
        out.u32(self.unit.0);
        out.u16(self.first_part);
        out.extend_from_slice(&[self.k, self.m, self.index, self.stride]);
        out.u16(self.symbol.len() as u16);
        out.extend_from_slice(self.symbol);
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.emit_unsigned(out);
        let crc = crc32fast::hash(&out[start..]);
        out.u32(crc);
    }
}

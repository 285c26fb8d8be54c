//! Names of objects that are missing or wanted, and parity over objects. Nothing sends these yet.

use crate::units::Unit;
use crate::wire::WireError;
use crate::wire::bytes::{Put, Reader};
use crate::wire::object::Type;

/// One unit's missing parts: bit `i` of `bitmap` is part `first_part + i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    pub stream: u64,
    pub kind: Type,
    pub rendition: u8,
    pub cut: u8,
    pub unit: Unit,
    pub first_part: u16,
    pub bitmap: u64,
}

impl Missing {
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

/// Kind 0x11, reserved: a repair symbol over the objects of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parity<'a> {
    pub scheme: u8,
    pub kind: Type,
    pub rendition: u8,
    pub cut: u8,
    pub stream: u64,
    pub unit: Unit,
    pub first_part: u16,
    pub k: u8,
    pub m: u8,
    pub index: u8,
    pub symbol: &'a [u8],
}

impl<'a> Parity<'a> {
    const FIXED: usize = 24;

    pub(super) fn parse(mut r: Reader<'a>) -> Result<Self, WireError> {
        let (scheme, kind, rendition, cut) = (r.u8()?, Type(r.u8()?), r.u8()?, r.u8()?);
        let (stream, unit, first_part) = (r.u64()?, Unit(r.u32()?), r.u16()?);
        let (k, m, index, _) = (r.u8()?, r.u8()?, r.u8()?, r.u8()?);
        let length = r.u16()?;
        let symbol = r.take(usize::from(length))?;
        let parity = Self { scheme, kind, rendition, cut, stream, unit, first_part, k, m, index, symbol };
        let crc = r.u32()?;
        let mut bytes = Vec::with_capacity(Self::FIXED + symbol.len());
        parity.emit_unsigned(&mut bytes);
        if crc == crc32fast::hash(&bytes) { Ok(parity) } else { Err(WireError::Checksum) }
    }

    fn emit_unsigned(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.scheme, self.kind.0, self.rendition, self.cut]);
        out.u64(self.stream);
        out.u32(self.unit.0);
        out.u16(self.first_part);
        out.extend_from_slice(&[self.k, self.m, self.index, 0]);
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

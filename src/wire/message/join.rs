//! How a session begins: Join, and its answers Accept and Refuse.

use super::COOKIE_LEN;
use crate::wire::bytes::{Put, Reader};
use crate::wire::tlv::Tlvs;
use crate::wire::{VERSION, WireError};

/// What a client wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Watch,
    Relay,
    Publish,
}

/// Kind 0x03.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join<'a> {
    pub nonce: u64,
    pub cookie: [u8; COOKIE_LEN],
    pub role: Role,
    /// FEC schemes understood, a bit each. None yet.
    pub fec: u8,
    /// Largest datagram wanted; 0 = no limit.
    pub max_datagram: u16,
    pub tlvs: Tlvs<'a>,
}

impl<'a> Join<'a> {
    pub(super) fn parse(mut r: Reader<'a>) -> Result<Self, WireError> {
        let (nonce, cookie) = (r.u64()?, r.array()?);
        let role = match r.u8()? {
            0 => Role::Watch,
            1 => Role::Relay,
            2 => Role::Publish,
            _ => return Err(WireError::Value { what: "the role" }),
        };
        Ok(Self { nonce, cookie, role, fec: r.u8()?, max_datagram: r.u16()?, tlvs: Tlvs::parse(r.rest())? })
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.u64(self.nonce);
        out.extend_from_slice(&self.cookie);
        out.extend_from_slice(&[self.role as u8, self.fec]);
        out.u16(self.max_datagram);
        out.extend_from_slice(self.tlvs.bytes());
    }
}

/// Kind 0x04.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept<'a> {
    pub nonce: u64,
    pub session: u64,
    /// The server's monotonic clock in µs when this left.
    pub clock: u64,
    pub report_interval_ms: u16,
    pub silence_limit_ms: u16,
    /// 0: no sound port.
    pub sound_port: u16,
    /// Repeated in each Report, until an Update tells a newer one.
    pub token: u64,
    pub tlvs: Tlvs<'a>,
}

impl<'a> Accept<'a> {
    pub(super) fn parse(mut r: Reader<'a>) -> Result<Self, WireError> {
        let accept = Self {
            nonce: r.u64()?,
            session: r.u64()?,
            clock: r.u64()?,
            report_interval_ms: r.u16()?,
            silence_limit_ms: r.u16()?,
            sound_port: r.u16()?,
            token: 0,
            tlvs: Tlvs::default(),
        };
        r.u16()?;
        Ok(Self { token: r.u64()?, tlvs: Tlvs::parse(r.rest())?, ..accept })
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.u64(self.nonce);
        out.u64(self.session);
        out.u64(self.clock);
        out.u16(self.report_interval_ms);
        out.u16(self.silence_limit_ms);
        out.u16(self.sound_port);
        out.u16(0);
        out.u64(self.token);
        out.extend_from_slice(self.tlvs.bytes());
    }
}

/// Why a client was turned away. The numbers are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefuseCode(pub u16);

impl RefuseCode {
    pub const VERSION: Self = Self(1);
    pub const FULL: Self = Self(2);
    pub const TOO_MANY_FROM_ADDRESS: Self = Self(3);
    pub const BUSY: Self = Self(4);
    pub const ENDED: Self = Self(5);
    pub const NO_SUCH_STREAM: Self = Self(6);
    pub const ROLE: Self = Self(7);
    /// The client wants no datagram as large as the smallest that there is.
    pub const TOO_SMALL: Self = Self(8);
    /// A relay would come to watch itself, or too many relays are in a row.
    pub const LOOP: Self = Self(9);
    /// A password is asked for, or was wrong, or was given where there is none.
    pub const GUARDED: Self = Self(10);
    /// The code that a publisher drew is another's: it draws a new one.
    pub const TAKEN: Self = Self(11);
}

/// Kind 0x05; the same layout in every version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refuse<'a> {
    pub nonce: u64,
    pub highest: u8,
    pub lowest: u8,
    pub code: RefuseCode,
    pub retry_after_ms: u32,
    pub sentence: &'a str,
    pub tlvs: Tlvs<'a>,
}

impl<'a> Refuse<'a> {
    pub(super) fn parse(mut r: Reader<'a>) -> Result<Self, WireError> {
        let refuse = Self {
            nonce: r.u64()?,
            highest: r.u8()?,
            lowest: r.u8()?,
            code: RefuseCode(r.u16()?),
            retry_after_ms: r.u32()?,
            sentence: r.text()?,
            tlvs: Tlvs::default(),
        };
        Ok(Self { tlvs: Tlvs::parse(r.rest())?, ..refuse })
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.u64(self.nonce);
        out.extend_from_slice(&[self.highest, self.lowest]);
        out.u16(self.code.0);
        out.u32(self.retry_after_ms);
        out.text(self.sentence);
        out.extend_from_slice(self.tlvs.bytes());
    }

    /// Whether the refusal is about versions, and then which ones the server speaks.
    pub fn other_versions(&self) -> Option<(u8, u8)> {
        let ours = (self.lowest..=self.highest).contains(&VERSION);
        (self.code == RefuseCode::VERSION || !ours).then_some((self.lowest, self.highest))
    }
}

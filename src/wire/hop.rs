//! The 16 bytes in front of everything: whose datagram, what kind, which one in its session, sent when.

use zerocopy::byteorder::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{HOP_LEN, MAGIC, VERSION, WireError};

/// The first byte after magic and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u8);

impl Kind {
    pub const HELLO: Self = Self(0x01);
    pub const CHALLENGE: Self = Self(0x02);
    pub const JOIN: Self = Self(0x03);
    pub const ACCEPT: Self = Self(0x04);
    pub const REFUSE: Self = Self(0x05);
    pub const BYE: Self = Self(0x06);
    pub const PATH_CHECK: Self = Self(0x07);
    pub const PATH_REPLY: Self = Self(0x08);
    pub const UPDATE: Self = Self(0x09);
    pub const LIST: Self = Self(0x0a);
    pub const LISTING: Self = Self(0x0b);
    pub const SAY: Self = Self(0x0c);
    pub const TALK: Self = Self(0x0d);
    pub const HEARD: Self = Self(0x0e);
    pub const UNSAID: Self = Self(0x0f);
    pub const OBJECT: Self = Self(0x10);
    pub const PARITY: Self = Self(0x11);
    pub const PROBE: Self = Self(0x12);
    pub const REPORT: Self = Self(0x20);
    pub const NACK: Self = Self(0x21);
    pub const WANT: Self = Self(0x22);
    pub const GET: Self = Self(0x24);
    pub const GONE: Self = Self(0x25);

    /// Kinds from 0x10 up share one gap-free sequence per session and direction; the others carry sequence 0.
    pub const fn is_sequenced(self) -> bool {
        self.0 >= 0x10
    }
}

/// The hop header, host-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    pub kind: Kind,
    /// Low half of the session id; 0 before Accept and on multicast.
    pub tag: u32,
    pub sequence: u32,
    /// The sender's monotonic clock in microseconds, low 32 bits.
    pub sent_at: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    magic: U16,
    version: u8,
    kind: u8,
    tag: U32,
    sequence: U32,
    sent_at: U32,
}

impl Hop {
    /// A header for a datagram outside any sequence.
    pub const fn unsequenced(kind: Kind, tag: u32, sent_at: u32) -> Self {
        Self { kind, tag, sequence: 0, sent_at }
    }

    /// Splits a datagram into its hop header and the rest.
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let (raw, rest) = Raw::ref_from_prefix(datagram).map_err(|_| WireError::NotOurs)?;
        if raw.magic.get() != MAGIC {
            return Err(WireError::NotOurs);
        }
        // Hello and Refuse look the same in every version: they are how versions meet.
        let kind = Kind(raw.kind);
        if raw.version != VERSION && kind != Kind::HELLO && kind != Kind::REFUSE {
            return Err(WireError::Version(raw.version));
        }
        let hop = Self { kind, tag: raw.tag.get(), sequence: raw.sequence.get(), sent_at: raw.sent_at.get() };
        Ok((hop, rest))
    }

    pub fn to_bytes(self) -> [u8; HOP_LEN] {
        let raw = Raw {
            magic: U16::new(MAGIC),
            version: VERSION,
            kind: self.kind.0,
            tag: U32::new(self.tag),
            sequence: U32::new(self.sequence),
            sent_at: U32::new(self.sent_at),
        };
        zerocopy::transmute!(raw)
    }
}

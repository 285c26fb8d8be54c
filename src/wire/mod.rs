//! Bytes ⇄ types of wire version 1: borrow in, append out, no state. `docs/PROTOCOL.md` is the specification.
#![forbid(unsafe_code)]

mod bytes;
pub mod description;
pub mod hop;
pub mod message;
pub mod name;
pub mod object;
pub mod report;
pub mod talk;
pub mod tlv;

pub use description::Description;
pub use hop::{Hop, Kind};
pub use message::Message;
pub use name::StreamName;
pub use object::{ObjectHeader, ObjectView};
pub use report::{Ecn, Report};

/// First two bytes of every datagram: "US".
pub const MAGIC: u16 = 0x5553;
/// The version this program speaks, and the only one so far.
pub const VERSION: u8 = 1;
/// The most that passes unfragmented on loopback over IPv4 and IPv6: 65 536 (MTU of `lo`) − 40 (IPv6) − 8 (UDP).
pub const MAX_DATAGRAM: usize = 65_488;
/// Every path carries this much UDP payload: 1 280 (IPv6's least MTU) − 48, rounded down.
pub const MIN_DATAGRAM: usize = 1_200;
/// Bytes before the object or message.
pub const HOP_LEN: usize = 16;
/// Room kept in every datagram beside hop header and object, for a parity header around the object.
pub const OBJECT_RESERVE: usize = 48;
/// Room kept beside an object's body: hop (16) + object header (44) + CRC (4) + parity and sealing reserve (56).
pub const BODY_RESERVE: usize = 120;

/// How large the datagrams of a path may be. The classes' numbers are the low bits of an object's `cut`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SizeClass {
    id: u8,
    bytes: u16,
}

impl SizeClass {
    /// Loopback.
    pub const LOOPBACK: Self = Self { id: 0, bytes: 65_488 };
    /// Jumbo frames: 9 000 − 48.
    pub const JUMBO: Self = Self { id: 1, bytes: 8_952 };
    /// Ethernet: 1 500 − 48.
    pub const ETHERNET: Self = Self { id: 2, bytes: 1_452 };
    /// Any path.
    pub const ANY: Self = Self { id: 3, bytes: 1_200 };
    /// The four classes that are probed for, largest first.
    pub const ALL: [Self; 4] = [Self::LOOPBACK, Self::JUMBO, Self::ETHERNET, Self::ANY];

    /// The class of exactly `bytes`, for a size that was asked for by hand; `None` outside 1 200 … 65 488.
    pub const fn forced(bytes: usize) -> Option<Self> {
        let id = match bytes {
            MAX_DATAGRAM => 0,
            8_952 => 1,
            1_452 => 2,
            MIN_DATAGRAM => 3,
            _ => 4,
        };
        if bytes >= MIN_DATAGRAM && bytes <= MAX_DATAGRAM { Some(Self { id, bytes: bytes as u16 }) } else { None }
    }

    /// Largest UDP payload.
    pub const fn datagram(self) -> usize {
        self.bytes as usize
    }

    /// Largest object, header and CRC included.
    pub const fn object_max(self) -> usize {
        self.datagram() - OBJECT_RESERVE
    }

    /// Largest body of an object.
    pub const fn body_max(self) -> usize {
        self.datagram() - BODY_RESERVE
    }

    /// The value of an object's `cut`: the class in the low three bits, whether the picture is cut finely (so that parity can
    /// be made of it) in the next, the restart layout in the high four.
    pub const fn cut(self, layout: u8, fine: bool) -> u8 {
        self.id | (fine as u8) << 3 | (layout << 4)
    }

    /// The class that a cut names, if it is one of [`Self::ALL`].
    pub fn of_cut(cut: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.id == cut & 7)
    }

    /// The next smaller class that every path of this one carries.
    pub fn smaller(self) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.bytes < self.bytes)
    }
}

impl Ord for SizeClass {
    /// By size: the larger datagram is the greater class.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.bytes, self.id).cmp(&(other.bytes, other.id))
    }
}

impl PartialOrd for SizeClass {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Why bytes are not what they claim to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    #[error("not a udpstream datagram")]
    NotOurs,
    #[error("protocol version {0}, this program speaks version {VERSION}")]
    Version(u8),
    #[error("{what} ends early")]
    Short { what: &'static str },
    #[error("{what} has an impossible value")]
    Value { what: &'static str },
    #[error("an object's checksum does not match")]
    Checksum,
    #[error("unknown kind {0:#04x}")]
    Kind(u8),
}

/// Every parser of network bytes in this layer in one call, for fuzzing.
#[doc(hidden)]
pub fn fuzz_wire(data: &[u8]) {
    let Ok((hop, rest)) = Hop::parse(data) else { return };
    if let Ok(message) = Message::parse(hop.kind, rest) {
        let mut out = Vec::new();
        message.emit(&mut out);
        let again = Message::parse(hop.kind, &out).map(|again| again == message);
        assert_eq!(again, Ok(true), "what was parsed is written and parsed alike");
    }
    if let Some(wish) = message::SoundWish::parse(rest) {
        let mut out = Vec::new();
        wish.put(&mut out);
        let again = tlv::Tlvs::parse(&out).ok().and_then(|tlvs| tlvs.find(tlv::kind::SOUND));
        assert_eq!(again.and_then(message::SoundWish::parse), Some(wish));
    }
    if let Ok(in_force) = message::InForce::parse(rest) {
        let mut out = Vec::new();
        in_force.put(&mut out);
        let again = tlv::Tlvs::parse(&out).ok().and_then(|tlvs| tlvs.find(tlv::kind::THINNING));
        assert_eq!(again.map(message::InForce::parse), Some(Ok(in_force)));
    }
    if let Ok(entry) = message::Entry::parse(rest) {
        let mut out = Vec::new();
        entry.put(&mut out);
        let again = tlv::Tlvs::parse(&out).ok().and_then(|tlvs| tlvs.find(tlv::kind::ENTRY));
        assert_eq!(again.map(message::Entry::parse), Some(Ok(entry)));
    }
    if let Ok(text) = std::str::from_utf8(rest)
        && let Some(name) = StreamName::from_any(text)
    {
        assert_eq!(StreamName::parse(name.as_str()).as_ref(), Ok(&name));
    }
    if let Ok(object) = ObjectView::parse_unchecked(rest) {
        object.header.name();
        if let Ok(line) = talk::Line::read(&object) {
            let bytes = line.object(object.header.stream);
            assert_eq!(ObjectView::parse(&bytes).and_then(|object| talk::Line::read(&object)), Ok(line));
        }
        if let Ok(description) = Description::parse(object.body) {
            let mut out = Vec::new();
            description.emit(&mut out);
            assert_eq!(Description::parse(&out).as_ref(), Ok(&description));
        }
    }
}

//! Type-length-value extensions: u16 type, u16 length, value. Unknown ones are skipped.

use super::WireError;
use super::bytes::{Put, Reader};

/// Types used inside messages.
pub mod kind {
    /// Update: see [`super::super::message::Timeline`].
    pub const TIMELINE: u16 = 1;
    /// Update: u16 milliseconds.
    pub const REPORT_INTERVAL: u16 = 2;
    /// Update: see [`super::super::message::InForce`].
    pub const THINNING: u16 = 3;
    /// Update, Refuse: `host:port` to go to instead.
    pub const ELSEWHERE: u16 = 4;
    /// Update: see [`super::super::message::ClockEcho`].
    pub const CLOCK: u16 = 5;
    /// Update: u64, to be repeated in Reports.
    pub const TOKEN: u16 = 6;
    /// Update: u32, the number of the last Want that was obeyed.
    pub const WANTED: u16 = 7;
    /// Update: see [`super::super::message::RelayHop`].
    pub const HOPS: u16 = 8;
    /// Update of a group: u16, the port on which its sender's server answers a Nack.
    pub const UNICAST: u16 = 9;
    /// Update: see [`super::super::message::Jump`].
    pub const JUMP: u16 = 10;
    /// Join, Accept: name of the stream, see [`super::super::StreamName`].
    pub const STREAM: u16 = 16;
    /// Join, Accept: 32 bytes, the proof of knowing the secret.
    pub const PROOF: u16 = 17;
    /// Join: ticket. Reserved.
    pub const TICKET: u16 = 18;
    /// Join: u64 id of the picture session that this lane belongs to.
    pub const WITH_SESSION: u16 = 19;
    /// Join: a Want's TLVs.
    pub const WANT: u16 = 20;
    /// Join: the watcher's name for itself.
    pub const NAME: u16 = 21;
    /// Join: ids of the relay that joins and of those below it. Accept: of those above, the nearest last.
    pub const VIA: u16 = 22;
    /// Join of a publisher: the keys of its stream, sealed for the server; see `docs/PROTOCOL.md`.
    pub const GRANT: u16 = 23;
    /// Listing: see [`super::super::message::Entry`].
    pub const ENTRY: u16 = 24;
    /// Join: u32, the look-up id of a code, in place of STREAM.
    pub const LOOKUP: u16 = 25;
    /// Challenge of a server that takes publishers: 32 bytes, its half of an X25519 agreement.
    pub const PUBLISH_KEY: u16 = 26;
    /// Join of a relay: u8 role, u64 nonce and 24 bytes of cookie of the Join below that PROOF is about.
    pub const ON_BEHALF: u16 = 27;
    /// Join: UTF-8, those who join with the same name watch a film on demand together.
    pub const TOGETHER: u16 = 28;
    /// Want: u8 rendition (reserved), u8 cut: the number of the largest size class that is wanted.
    pub const RENDITION: u16 = 32;
    /// Want: u64 bits per second, all included; 0: no limit.
    pub const MAX_RATE: u16 = 33;
    /// Want: u8 JPEG quality, the most that is wanted; 0: no limit.
    pub const QUALITY: u16 = 34;
    /// Want: see [`super::super::message::SoundWish`].
    pub const SOUND: u16 = 35;
    /// Want: no value.
    pub const PAUSE: u16 = 36;
    /// Want: no value.
    pub const RESUME: u16 = 37;
    /// Want: see [`super::super::message::Play`].
    pub const PLAY: u16 = 38;
    /// Want: u16 width, u16 height: no larger pictures are wanted than fill this many pixels; 0, 0: no limit.
    pub const MAX_SIZE: u16 = 39;
    /// Want: see [`super::super::message::RepairWish`].
    pub const REPAIR: u16 = 40;
}

/// A run of TLVs as it came, checked once for its lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tlvs<'a>(&'a [u8]);

impl<'a> Tlvs<'a> {
    /// Checks that the lengths add up.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes, "an extension");
        while !reader.is_empty() {
            reader.u16()?;
            let length = reader.u16()?;
            reader.take(usize::from(length))?;
        }
        Ok(Self(bytes))
    }

    /// Wraps bytes that [`put`] wrote.
    pub const fn trusted(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// All pairs in order.
    pub fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut reader = Reader::new(self.0, "an extension");
        std::iter::from_fn(move || {
            let kind = reader.u16().ok()?;
            let length = reader.u16().ok()?;
            Some((kind, reader.take(usize::from(length)).ok()?))
        })
    }

    /// The first value of this type.
    pub fn find(self, kind: u16) -> Option<&'a [u8]> {
        self.iter().find(|(k, _)| *k == kind).map(|(_, value)| value)
    }

    /// The first value of this type, if it is UTF-8.
    pub fn text(self, kind: u16) -> Option<&'a str> {
        self.find(kind).and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// Appends one TLV; a value over 65 535 bytes is cut there.
pub fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    out.u16(kind);
    out.u16(value.len() as u16);
    out.extend_from_slice(value);
}

/// The longest prefix of at most `max` bytes that ends between characters.
pub fn shorten(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Text from the network without control characters, safe for a terminal or a window title.
pub fn printable(text: &str) -> String {
    let is_format = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| !c.is_control() && !is_format(*c)).collect()
}

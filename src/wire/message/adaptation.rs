//! What a watcher is sent at present, and why it is not more.

use crate::units::Bitrate;
use crate::wire::WireError;
use crate::wire::bytes::{Put, Reader};
use crate::wire::tlv;

/// Why a watcher is sent what it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdaptationReason {
    /// Everything: nothing limits it.
    #[default]
    Full,
    /// The path carries no more.
    Path,
    /// A queue stood in the path.
    Queue,
    /// Datagrams were lost behind a full queue, or marked (RFC 3168).
    Congestion,
    /// Somebody else fills the path.
    Competition,
    /// Reports stay away.
    Silence,
    /// Another watcher's path carries less.
    Others,
    /// It wants no more.
    Wish,
    /// The path is being tried out: more follows.
    Probing,
}

impl AdaptationReason {
    const ALL: [Self; 9] = [
        Self::Full,
        Self::Path,
        Self::Queue,
        Self::Congestion,
        Self::Competition,
        Self::Silence,
        Self::Others,
        Self::Wish,
        Self::Probing,
    ];

    /// Few words, for people: why it is not more.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Full => "nothing limits it",
            Self::Path => "the path carries no more",
            Self::Queue => "a queue stood in the path",
            Self::Congestion => "a full queue lost datagrams",
            Self::Competition => "another flow fills the path",
            Self::Silence => "reports stay away",
            Self::Others => "another watcher's path carries less",
            Self::Wish => "no more is wanted",
            Self::Probing => "the path is being tried out",
        }
    }

    /// One word, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Path => "path",
            Self::Queue => "queue",
            Self::Congestion => "congestion",
            Self::Competition => "competition",
            Self::Silence => "silence",
            Self::Others => "others",
            Self::Wish => "wish",
            Self::Probing => "probing",
        }
    }
}

/// The value of a THINNING extension: u8 rendition, u8 quality, u8 one picture in so many, u8 reason, u32 estimate in
/// kilobits a second (0: the path is not estimated), u16 standing queue in tenths of a millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    pub rendition: u8,
    /// Annex K quality; 0: not told.
    pub quality: u8,
    /// One picture in so many is sent, rounded; 1: each.
    pub every: u8,
    pub reason: AdaptationReason,
    /// What the path is believed to carry.
    pub estimate: Option<Bitrate>,
    /// Tenths of a millisecond.
    pub queue: u16,
}

impl InForce {
    /// Reads the value; a reason of a later version is read as [`AdaptationReason::Path`].
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(value, "what is in force");
        let (rendition, quality, every, reason) = (reader.u8()?, reader.u8()?, reader.u8()?, reader.u8()?);
        let (kilobits, queue) = (reader.u32()?, reader.u16()?);
        let reason = AdaptationReason::ALL.get(usize::from(reason)).copied().unwrap_or(AdaptationReason::Path);
        let estimate = (kilobits > 0).then(|| Bitrate::bps(u64::from(kilobits) * 1_000));
        Ok(Self { rendition, quality, every: every.max(1), reason, estimate, queue })
    }

    /// Appends a THINNING extension.
    pub fn put(self, out: &mut Vec<u8>) {
        let kilobits = self.estimate.map_or(0, |rate| u32::try_from(rate.as_bps() / 1_000).unwrap_or(u32::MAX).max(1));
        let mut value = vec![self.rendition, self.quality, self.every.max(1), self.reason as u8];
        value.u32(kilobits);
        value.u16(self.queue);
        tlv::put(out, tlv::kind::THINNING, &value);
    }
}

//! Everything that is not an object: joining, leaving, path checks, updates, wishes.

mod adaptation;
mod join;
mod list;
mod play;
mod repair;
mod sound;
mod talk;
mod timeline;
mod via;
mod wanted;

pub use adaptation::{AdaptationReason, InForce};
pub use join::{Accept, Join, Refuse, RefuseCode, Role};
pub use list::{Entry, LISTING_HEAD, List, Listing};
pub use play::{Jump, Play, Seek};
pub use repair::{ANY_CUT, NackName, NameRange, Parity, RepairWish, Scheme};
pub use sound::{Place, SoundWish};
pub use talk::{LineRange, Say, Unsaid, UnsaidCode};
pub use timeline::{ClockEcho, State, Timeline};
pub use via::{MAX_HOPS, MAX_VIA, RelayHop, hops, put_hops, put_via, via};
pub use wanted::WantedPictures;

use super::bytes::{Put, Reader};
use super::hop::Kind;
use super::report::Report;
use super::tlv::{self, Tlvs};
use super::{HOP_LEN, MIN_DATAGRAM, WireError};

/// Length of a cookie: key id (1), minute (1), MAC (22).
pub const COOKIE_LEN: usize = 24;
/// Most names in one Nack.
pub const MAX_NAMES: usize = 64;

/// A message, borrowed from its datagram. Layouts, field by field, are in `docs/PROTOCOL.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Hello {
        highest: u8,
        lowest: u8,
        nonce: u64,
    },
    Challenge {
        nonce: u64,
        cookie: [u8; COOKIE_LEN],
        server_nonce: u64,
        /// Of a server that takes publishers.
        publish_key: Option<[u8; 32]>,
    },
    Join(Join<'a>),
    Accept(Accept<'a>),
    Refuse(Refuse<'a>),
    Bye {
        session: u64,
        code: u16,
        sentence: &'a str,
    },
    PathCheck {
        token: [u8; 8],
    },
    PathReply {
        session: u64,
        token: [u8; 8],
    },
    Update {
        number: u32,
        tlvs: Tlvs<'a>,
    },
    Parity(Parity<'a>),
    /// `size` is the length of the whole datagram.
    Probe {
        size: u16,
    },
    Report(Report),
    Nack {
        session: u64,
        names: Vec<NackName>,
    },
    Want {
        session: u64,
        number: u32,
        tlvs: Tlvs<'a>,
    },
    Say(Say<'a>),
    /// Which lines there are.
    Talk {
        session: u64,
        range: LineRange,
    },
    /// All lines before `next` have come. Of stream 0: whether there is talk is asked.
    Heard {
        session: u64,
        stream: u64,
        next: u32,
    },
    Unsaid(Unsaid<'a>),
    List(List),
    Listing(Listing<'a>),
    Get {
        session: u64,
        range: NameRange,
    },
    Gone {
        session: u64,
        range: NameRange,
    },
}

/// Codes of Bye.
pub mod bye {
    /// The watcher leaves, or answers the server's Bye.
    pub const LEAVING: u16 = 0;
    pub const ENDED: u16 = 1;
    pub const STOPPED: u16 = 2;
    pub const SILENT: u16 = 3;
    /// The source of the stream failed.
    pub const FAILED: u16 = 4;
}

impl<'a> Message<'a> {
    /// Parses what follows the hop header. Objects are not messages: see [`super::ObjectView`].
    pub fn parse(kind: Kind, body: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(body, "a message");
        Ok(match kind {
            Kind::HELLO => {
                let (highest, lowest, _reserved) = (r.u8()?, r.u8()?, r.u16()?);
                Self::Hello { highest, lowest, nonce: r.u64()? }
            }
            Kind::CHALLENGE => Self::challenge(r)?,
            Kind::JOIN => Self::Join(Join::parse(r)?),
            Kind::ACCEPT => Self::Accept(Accept::parse(r)?),
            Kind::REFUSE => Self::Refuse(Refuse::parse(r)?),
            Kind::BYE => Self::Bye { session: r.u64()?, code: r.u16()?, sentence: r.text()? },
            Kind::PATH_CHECK => Self::PathCheck { token: r.array()? },
            Kind::PATH_REPLY => Self::PathReply { session: r.u64()?, token: r.array()? },
            Kind::UPDATE => Self::Update { number: r.u32()?, tlvs: Tlvs::parse(r.rest())? },
            Kind::PARITY => Self::Parity(Parity::parse(r)?),
            Kind::PROBE => Self::probe(&mut r, body.len())?,
            Kind::REPORT => Self::Report(Report::parse(body)?),
            Kind::NACK => Self::nack(&mut r)?,
            Kind::WANT => Self::Want { session: r.u64()?, number: r.u32()?, tlvs: Tlvs::parse(r.rest())? },
            Kind::SAY => Self::Say(Say::parse(&mut r)?),
            Kind::TALK => Self::Talk { session: r.u64()?, range: LineRange::parse(&mut r)? },
            Kind::HEARD => Self::Heard { session: r.u64()?, stream: r.u64()?, next: r.u32()? },
            Kind::UNSAID => Self::Unsaid(Unsaid::parse(&mut r)?),
            Kind::LIST => Self::List(List::parse(r)?),
            Kind::LISTING => Self::Listing(Listing::parse(r)?),
            Kind::GET => Self::Get { session: r.u64()?, range: NameRange::parse(&mut r)? },
            Kind::GONE => Self::Gone { session: r.u64()?, range: NameRange::parse(&mut r)? },
            Kind(other) => return Err(WireError::Kind(other)),
        })
    }

    fn challenge(mut r: Reader<'a>) -> Result<Self, WireError> {
        let (nonce, cookie, server_nonce) = (r.u64()?, r.array()?, r.u64()?);
        let key = Tlvs::parse(r.rest())?.find(tlv::kind::PUBLISH_KEY);
        Ok(Self::Challenge { nonce, cookie, server_nonce, publish_key: key.and_then(|key| key.try_into().ok()) })
    }

    fn probe(r: &mut Reader<'a>, body_len: usize) -> Result<Self, WireError> {
        let size = r.u16()?;
        if usize::from(size) != body_len + HOP_LEN {
            return Err(WireError::Value { what: "a probe's size" });
        }
        Ok(Self::Probe { size })
    }

    fn nack(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let session = r.u64()?;
        let count = usize::from(r.u8()?);
        if count > MAX_NAMES {
            return Err(WireError::Value { what: "a nack's count" });
        }
        let names = (0..count).map(|_| NackName::parse(r)).collect::<Result<_, _>>()?;
        Ok(Self::Nack { session, names })
    }

    pub const fn kind(&self) -> Kind {
        match self {
            Self::Hello { .. } => Kind::HELLO,
            Self::Challenge { .. } => Kind::CHALLENGE,
            Self::Join(_) => Kind::JOIN,
            Self::Accept(_) => Kind::ACCEPT,
            Self::Refuse(_) => Kind::REFUSE,
            Self::Bye { .. } => Kind::BYE,
            Self::PathCheck { .. } => Kind::PATH_CHECK,
            Self::PathReply { .. } => Kind::PATH_REPLY,
            Self::Update { .. } => Kind::UPDATE,
            Self::Parity(_) => Kind::PARITY,
            Self::Probe { .. } => Kind::PROBE,
            Self::Report(_) => Kind::REPORT,
            Self::Nack { .. } => Kind::NACK,
            Self::Want { .. } => Kind::WANT,
            Self::Say(_) => Kind::SAY,
            Self::Talk { .. } => Kind::TALK,
            Self::Heard { .. } => Kind::HEARD,
            Self::Unsaid(_) => Kind::UNSAID,
            Self::List(_) => Kind::LIST,
            Self::Listing(_) => Kind::LISTING,
            Self::Get { .. } => Kind::GET,
            Self::Gone { .. } => Kind::GONE,
        }
    }

    /// The session that a watcher says it in; `None` of what is said outside one, or by a server.
    pub const fn session(&self) -> Option<u64> {
        match self {
            Self::Bye { session, .. }
            | Self::PathReply { session, .. }
            | Self::Report(Report { session, .. })
            | Self::Nack { session, .. }
            | Self::Want { session, .. }
            | Self::Say(Say { session, .. })
            | Self::Heard { session, .. }
            | Self::Get { session, .. }
            | Self::Gone { session, .. } => Some(*session),
            _ => None,
        }
    }

    /// Appends what follows the hop header.
    pub fn emit(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello { highest, lowest, nonce } => {
                out.extend_from_slice(&[*highest, *lowest, 0, 0]);
                out.u64(*nonce);
                // Padding: whatever the server answers, it answers with less.
                out.resize(out.len() + MIN_DATAGRAM - HOP_LEN - 12, 0);
            }
            Self::Challenge { nonce, cookie, server_nonce, publish_key } => {
                out.u64(*nonce);
                out.extend_from_slice(cookie);
                out.u64(*server_nonce);
                publish_key.iter().for_each(|key| tlv::put(out, tlv::kind::PUBLISH_KEY, key));
            }
            Self::Join(join) => join.emit(out),
            Self::Accept(accept) => accept.emit(out),
            Self::Refuse(refuse) => refuse.emit(out),
            Self::Bye { session, code, sentence } => {
                out.u64(*session);
                out.u16(*code);
                out.text(sentence);
            }
            Self::PathCheck { token } => out.extend_from_slice(token),
            Self::PathReply { session, token } => {
                out.u64(*session);
                out.extend_from_slice(token);
            }
            Self::Update { number, tlvs } => {
                out.u32(*number);
                out.extend_from_slice(tlvs.bytes());
            }
            Self::Probe { size } => {
                out.u16(*size);
                out.resize(out.len() + usize::from(*size).saturating_sub(HOP_LEN + 2), 0);
            }
            Self::Report(report) => report.emit(out),
            Self::Parity(parity) => parity.emit(out),
            Self::Nack { session, names } => {
                out.u64(*session);
                out.u8(names.len().min(MAX_NAMES) as u8);
                names.iter().take(MAX_NAMES).for_each(|name| name.emit(out));
            }
            Self::List(list) => list.emit(out),
            Self::Listing(listing) => listing.emit(out),
            Self::Want { session, number, tlvs } => {
                out.u64(*session);
                out.u32(*number);
                out.extend_from_slice(tlvs.bytes());
            }
            _ => self.emit_further(out),
        }
    }

    /// Talk, and objects that are asked for.
    fn emit_further(&self, out: &mut Vec<u8>) {
        match self {
            Self::Say(say) => say.emit(out),
            Self::Talk { session, range } => {
                out.u64(*session);
                range.emit(out);
            }
            Self::Heard { session, stream, next } => {
                out.u64(*session);
                out.u64(*stream);
                out.u32(*next);
            }
            Self::Unsaid(unsaid) => unsaid.emit(out),
            Self::Get { session, range } | Self::Gone { session, range } => {
                out.u64(*session);
                range.emit(out);
            }
            _ => {}
        }
    }
}

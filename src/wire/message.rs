//! Everything that is not an object: joining, leaving, path checks, updates, wishes.

use super::bytes::{Put, Reader};
use super::hop::Kind;
use super::object::Type;
use super::report::Report;
use super::tlv::{self, Tlvs};
use super::{HOP_LEN, MIN_DATAGRAM, VERSION, WireError};
use crate::units::{MediaTime, Rate, Time, Unit};

/// Length of a cookie: key id (1), minute (1), MAC (22).
pub const COOKIE_LEN: usize = 24;
/// Most bytes of UTF-8 in one Say.
pub const MAX_SAY: usize = 500;
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
        names: Vec<Missing>,
    },
    Want {
        session: u64,
        number: u32,
        tlvs: Tlvs<'a>,
    },
    Say {
        session: u64,
        text: &'a str,
    },
    List {
        nonce: u64,
        cookie: [u8; COOKIE_LEN],
    },
    Listing {
        nonce: u64,
        tlvs: Tlvs<'a>,
    },
    Get {
        session: u64,
        range: NameRange,
    },
    Gone {
        session: u64,
        range: NameRange,
    },
}

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
    pub tlvs: Tlvs<'a>,
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

/// The state of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Waiting,
    Playing,
    Paused,
    Ended,
}

/// What media time means in the server's clock: media time `media` is due at `clock`, and runs at `rate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// Rises at every change of the mapping.
    pub generation: u32,
    pub state: State,
    pub media: MediaTime,
    /// Server's monotonic clock, in µs on the wire.
    pub clock: Time,
    /// Playing speed; 1/1 always, so far.
    pub speed: Rate,
}

/// What NTP needs: the client's own `sent_at`, how long we held it, and our clock when this left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockEcho {
    pub echo: u32,
    pub held: u32,
    pub clock: u64,
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
            Kind::CHALLENGE => Self::Challenge { nonce: r.u64()?, cookie: r.array()?, server_nonce: r.u64()? },
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
            Kind::SAY => Self::say(&mut r)?,
            Kind::LIST => Self::List { nonce: r.u64()?, cookie: r.array()? },
            Kind::LISTING => Self::Listing { nonce: r.u64()?, tlvs: Tlvs::parse(r.rest())? },
            Kind::GET => Self::Get { session: r.u64()?, range: NameRange::parse(&mut r)? },
            Kind::GONE => Self::Gone { session: r.u64()?, range: NameRange::parse(&mut r)? },
            Kind(other) => return Err(WireError::Kind(other)),
        })
    }

    fn probe(r: &mut Reader<'a>, body_len: usize) -> Result<Self, WireError> {
        let size = r.u16()?;
        if usize::from(size) != body_len + HOP_LEN {
            return Err(WireError::Value { what: "a probe's size" });
        }
        Ok(Self::Probe { size })
    }

    fn say(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let (session, text) = (r.u64()?, r.text()?);
        if text.len() > MAX_SAY {
            return Err(WireError::Value { what: "a text's length" });
        }
        Ok(Self::Say { session, text })
    }

    fn nack(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let session = r.u64()?;
        let count = usize::from(r.u8()?);
        if count > MAX_NAMES {
            return Err(WireError::Value { what: "a nack's count" });
        }
        let names = (0..count).map(|_| Missing::parse(r)).collect::<Result<_, _>>()?;
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
            Self::Say { .. } => Kind::SAY,
            Self::List { .. } => Kind::LIST,
            Self::Listing { .. } => Kind::LISTING,
            Self::Get { .. } => Kind::GET,
            Self::Gone { .. } => Kind::GONE,
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
            Self::Challenge { nonce, cookie, server_nonce } => {
                out.u64(*nonce);
                out.extend_from_slice(cookie);
                out.u64(*server_nonce);
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
            _ => self.emit_reserved(out),
        }
    }

    /// The kinds that nothing sends yet.
    fn emit_reserved(&self, out: &mut Vec<u8>) {
        match self {
            Self::Parity(parity) => parity.emit(out),
            Self::Nack { session, names } => {
                out.u64(*session);
                out.u8(names.len().min(MAX_NAMES) as u8);
                names.iter().take(MAX_NAMES).for_each(|name| name.emit(out));
            }
            Self::Want { session, number, tlvs } => {
                out.u64(*session);
                out.u32(*number);
                out.extend_from_slice(tlvs.bytes());
            }
            Self::Say { session, text } => {
                out.u64(*session);
                out.text(tlv::shorten(text, MAX_SAY));
            }
            Self::List { nonce, cookie } => {
                out.u64(*nonce);
                out.extend_from_slice(cookie);
            }
            Self::Listing { nonce, tlvs } => {
                out.u64(*nonce);
                out.extend_from_slice(tlvs.bytes());
            }
            Self::Get { session, range } | Self::Gone { session, range } => {
                out.u64(*session);
                range.emit(out);
            }
            _ => {}
        }
    }
}

impl<'a> Join<'a> {
    fn parse(mut r: Reader<'a>) -> Result<Self, WireError> {
        let (nonce, cookie) = (r.u64()?, r.array()?);
        let role = match r.u8()? {
            0 => Role::Watch,
            1 => Role::Relay,
            2 => Role::Publish,
            _ => return Err(WireError::Value { what: "the role" }),
        };
        Ok(Self { nonce, cookie, role, fec: r.u8()?, max_datagram: r.u16()?, tlvs: Tlvs::parse(r.rest())? })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.u64(self.nonce);
        out.extend_from_slice(&self.cookie);
        out.extend_from_slice(&[self.role as u8, self.fec]);
        out.u16(self.max_datagram);
        out.extend_from_slice(self.tlvs.bytes());
    }
}

impl<'a> Accept<'a> {
    fn parse(mut r: Reader<'a>) -> Result<Self, WireError> {
        let accept = Self {
            nonce: r.u64()?,
            session: r.u64()?,
            clock: r.u64()?,
            report_interval_ms: r.u16()?,
            silence_limit_ms: r.u16()?,
            sound_port: r.u16()?,
            tlvs: Tlvs::default(),
        };
        r.u16()?;
        Ok(Self { tlvs: Tlvs::parse(r.rest())?, ..accept })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.u64(self.nonce);
        out.u64(self.session);
        out.u64(self.clock);
        out.u16(self.report_interval_ms);
        out.u16(self.silence_limit_ms);
        out.u16(self.sound_port);
        out.u16(0);
        out.extend_from_slice(self.tlvs.bytes());
    }
}

impl<'a> Refuse<'a> {
    fn parse(mut r: Reader<'a>) -> Result<Self, WireError> {
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

    fn emit(&self, out: &mut Vec<u8>) {
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

impl Missing {
    fn parse(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let (stream, kind, rendition, cut) = (r.u64()?, Type(r.u8()?), r.u8()?, r.u8()?);
        r.u8()?;
        let (unit, first_part, bitmap) = (Unit(r.u32()?), r.u16()?, r.u64()?);
        Ok(Self { stream, kind, rendition, cut, unit, first_part, bitmap })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.u64(self.stream);
        out.extend_from_slice(&[self.kind.0, self.rendition, self.cut, 0]);
        out.u32(self.unit.0);
        out.u16(self.first_part);
        out.u64(self.bitmap);
    }
}

impl NameRange {
    fn parse(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let (stream, kind, rendition, cut) = (r.u64()?, Type(r.u8()?), r.u8()?, r.u8()?);
        r.u8()?;
        Ok(Self { stream, kind, rendition, cut, first: Unit(r.u32()?), last: Unit(r.u32()?) })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.u64(self.stream);
        out.extend_from_slice(&[self.kind.0, self.rendition, self.cut, 0]);
        out.u32(self.first.0);
        out.u32(self.last.0);
    }
}

impl<'a> Parity<'a> {
    const FIXED: usize = 24;

    fn parse(mut r: Reader<'a>) -> Result<Self, WireError> {
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

    fn emit(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.emit_unsigned(out);
        let crc = crc32fast::hash(&out[start..]);
        out.u32(crc);
    }
}

impl Timeline {
    /// Reads the value of a TIMELINE extension.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(value, "a timeline");
        let generation = r.u32()?;
        let state = match r.u8()? {
            0 => State::Waiting,
            1 => State::Playing,
            2 => State::Paused,
            3 => State::Ended,
            _ => return Err(WireError::Value { what: "the timeline's state" }),
        };
        r.take(3)?;
        let media = MediaTime::from_micros(r.i64()?);
        let clock = Time::from_micros(r.u64()?);
        let speed = Rate::new(r.u32()?, r.u32()?).ok_or(WireError::Value { what: "the timeline's speed" })?;
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

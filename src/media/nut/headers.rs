//! The headers of a NUT stream: its time bases, its table of frame codes, and what its one stream holds.

use super::number::{number, signed, string, unfold};
use super::{NutError, Stream};
use crate::units::{Rate, Size};

/// What the first byte of a frame stands for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameCode {
    pub flags: u64,
    pub delta: i64,
    pub multiplier: u64,
    pub low: u64,
    pub reserved: u64,
    pub header: u64,
}

/// The main header.
pub(super) struct Main {
    /// Seconds of a tick, as a fraction.
    pub bases: Vec<(u32, u32)>,
    pub codes: Box<[FrameCode; 256]>,
    /// What frames that name it begin with.
    headers: Vec<Vec<u8>>,
}

impl Main {
    pub fn parse(mut input: &[u8]) -> Result<Self, NutError> {
        let input = &mut input;
        let version = number(input)?;
        if version > 3 {
            number(input)?;
        }
        if number(input)? != 1 {
            return Err(NutError::Bad("it has more streams than one"));
        }
        number(input)?;
        let count = number(input)?;
        if !(1..=MOST_BASES).contains(&count) {
            return Err(NutError::Bad("it counts in too many time bases"));
        }
        let bases = (0..count).map(|_| Ok((part(number(input)?)?, part(number(input)?)?)));
        let bases = bases.collect::<Result<_, NutError>>()?;
        let codes = codes(input)?;
        let mut headers = vec![Vec::new()];
        if !input.is_empty() {
            for _ in 0..number(input)?.min(MOST_HEADERS) {
                headers.push(string(input)?.to_vec());
            }
        }
        Ok(Self { bases, codes, headers })
    }

    pub fn header(&self, number: u64) -> Result<&[u8], NutError> {
        let header = usize::try_from(number).ok().and_then(|number| self.headers.get(number));
        header.map(Vec::as_slice).ok_or(NutError::Bad("a frame begins with a header that is not in the list"))
    }
}

/// Half of a time base.
fn part(value: u64) -> Result<u32, NutError> {
    u32::try_from(value).ok().filter(|&value| value > 0 && value < 1 << 31).ok_or(NutError::Bad("a time base is none"))
}

/// Runs of codes that differ in the low part of the size only.
fn codes(input: &mut &[u8]) -> Result<Box<[FrameCode; 256]>, NutError> {
    let invalid = FrameCode { flags: flag::INVALID, ..FrameCode::default() };
    let mut codes = Box::new([invalid; 256]);
    // What a run does not say is as in the run before.
    let (mut now, mut at) = (FrameCode { multiplier: 1, ..FrameCode::default() }, 0_usize);
    while at < codes.len() {
        now.flags = number(input)?;
        let fields = number(input)?;
        let mut field = |at: u64| if fields > at { number(input).map(Some) } else { Ok(None) };
        now.delta = field(0)?.map_or(now.delta, unfold);
        now.multiplier = field(1)?.unwrap_or(now.multiplier);
        field(2)?;
        now.low = field(3)?.unwrap_or(0);
        now.reserved = field(4)?.unwrap_or(0);
        let count = field(5)?.unwrap_or(now.multiplier.saturating_sub(now.low));
        field(6)?;
        now.header = field(7)?.unwrap_or(now.header);
        for _ in 8..fields.min(MOST_RESERVED) {
            number(input)?;
        }
        let room = codes.len() - at - usize::from(at <= usize::from(b'N'));
        let count = usize::try_from(count).ok().filter(|count| (1..=room).contains(count));
        for _ in 0..count.ok_or(NutError::Bad("its table of frames has no end"))? {
            // That letter begins a start code.
            at += usize::from(at == usize::from(b'N'));
            codes[at] = now;
            now.low = now.low.saturating_add(1);
            at += 1;
        }
        at += usize::from(at == usize::from(b'N'));
    }
    Ok(codes)
}

/// The stream, its time base and how many bits of a stamp are coded.
pub(super) fn parse_stream(mut input: &[u8]) -> Result<(Stream, usize, u32), NutError> {
    let input = &mut input;
    let (stream, class) = (number(input)?, number(input)?);
    if stream != 0 {
        return Err(NutError::Bad("its stream is not the first"));
    }
    let code = string(input)?;
    let code = <[u8; 4]>::try_from(code).unwrap_or_default();
    let (base, shift) = (number(input)?, number(input)?);
    for _ in ["distance", "delay", "flags"] {
        number(input)?;
    }
    string(input)?;
    let (first, second) = (number(input)?, number(input)?);
    let stream = match class {
        0 => {
            let side = |side: u64| u16::try_from(side).ok().filter(|&side| side > 0 && side <= LONGEST_SIDE);
            let size = side(first).zip(side(second)).map(|(width, height)| Size::new(width, height));
            Stream::Pictures { size: size.ok_or(NutError::Bad("no picture has that size"))?, code }
        }
        1 => {
            let rate = first.checked_div(second).and_then(|rate| u32::try_from(rate).ok());
            let channels = u32::try_from(number(input)?).ok();
            let sound = rate.zip(channels).map(|(rate, channels)| Stream::Sound { rate, channels });
            sound.ok_or(NutError::Bad("no sound has that rate"))?
        }
        _ => return Err(NutError::Bad("it holds neither pictures nor sound")),
    };
    let base = usize::try_from(base).unwrap_or(usize::MAX);
    let shift =
        u32::try_from(shift).ok().filter(|&shift| shift < 16).ok_or(NutError::Bad("its stamps are too long"))?;
    Ok((stream, base, shift))
}

/// What an information packet says of the rate, wherever it says it.
pub(super) fn parse_rate(payload: &[u8]) -> Option<Rate> {
    let at = payload.windows(RATE_NAME.len()).position(|window| window == RATE_NAME)?;
    let mut rest = &payload[at + RATE_NAME.len()..];
    // -1: text follows.
    (signed(&mut rest).ok()? == -1).then_some(())?;
    let text = std::str::from_utf8(string(&mut rest).ok()?).ok()?;
    let (numerator, denominator) = text.split_once('/')?;
    Rate::new(numerator.parse().ok()?, denominator.parse().ok()?)
}

/// What a frame's header holds.
pub(super) mod flag {
    pub const STAMP: u64 = 8;
    pub const STREAM: u64 = 16;
    pub const SIZE: u64 = 32;
    pub const CHECKSUM: u64 = 64;
    pub const RESERVED: u64 = 128;
    pub const SIDE: u64 = 256;
    pub const HEADER: u64 = 1_024;
    pub const MATCH: u64 = 2_048;
    pub const CODED: u64 = 4_096;
    pub const INVALID: u64 = 8_192;
}

const RATE_NAME: &[u8] = b"r_frame_rate";
const LONGEST_SIDE: u16 = 16_384;
const MOST_BASES: u64 = 16;
const MOST_HEADERS: u64 = 128;
/// Fields that a newer version may have added.
pub(super) const MOST_RESERVED: u64 = 256;

//! NUT as ffmpeg writes it into a pipe: one stream, each packet with its own stamp, nothing held back for an index.
//!
//! After the format's description (version 4 of 2019, in ffmpeg's own words): packets that begin with a start code are
//! headers; everything else is a frame, whose first byte looks up what its header leaves out. Checksums are not looked
//! at: a pipe loses nothing. Every length is bounded before anything is allocated.

mod headers;
mod number;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, BufReader, Read};

use self::headers::{FrameCode, MOST_RESERVED, Main, flag, parse_rate, parse_stream};
use self::number::{bytes, number, signed, string};
use crate::units::{Rate, Size};

/// What the one stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stream {
    /// `code` is the four letters of its coding or arrangement of pixels.
    Pictures {
        size: Size,
        code: [u8; 4],
    },
    Sound {
        rate: u32,
        channels: u32,
    },
}

/// Why a stream cannot be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NutError {
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("not a NUT stream: {0}; it was cut or comes from another program")]
    Bad(&'static str),
}

/// Reads packet after packet.
pub struct Reader<R> {
    input: BufReader<R>,
    main: Main,
    stream: Stream,
    /// Pictures a second, where it says so.
    rate: Option<Rate>,
    /// Which of the time bases the stream counts in.
    base: usize,
    shift: u32,
    last: i64,
}

impl<R: Read> Reader<R> {
    /// Reads the headers; waits until the first packet has begun.
    pub fn new(input: R) -> Result<Self, NutError> {
        let mut input = BufReader::with_capacity(BUFFER, input);
        let mut name = [0; NAME.len()];
        input.read_exact(&mut name)?;
        if &name != NAME {
            return Err(NutError::Bad("it does not say that it is one"));
        }
        let (mut main, mut stream, mut rate, mut synced) = (None, None, None, None);
        while synced.is_none() && input.fill_buf()?.first() == Some(&b'N') {
            let (code, payload) = section(&mut input)?;
            match code {
                MAIN => main = Some(Main::parse(&payload)?),
                STREAM => stream = Some(parse_stream(&payload)?),
                INFO => rate = rate.or_else(|| parse_rate(&payload)),
                SYNC => synced = Some(payload),
                _ => {}
            }
        }
        let (Some(main), Some((stream, base, shift))) = (main, stream) else {
            return Err(NutError::Bad("a header is missing"));
        };
        if base >= main.bases.len() {
            return Err(NutError::Bad("it counts in no time base"));
        }
        let mut reader = Self { input, main, stream, rate, base, shift, last: 0 };
        synced.map_or(Ok(()), |payload| reader.sync(&payload))?;
        Ok(reader)
    }

    pub const fn stream(&self) -> &Stream {
        &self.stream
    }

    pub const fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// Whether some of the next packet has been read already.
    pub fn has_more(&self) -> bool {
        !self.input.buffer().is_empty()
    }

    pub fn input(&self) -> &R {
        self.input.get_ref()
    }

    pub fn input_mut(&mut self) -> &mut R {
        self.input.get_mut()
    }

    /// Puts the next packet in place of what `body` held, and returns its stamp in nanoseconds of a clock that only its
    /// maker knows; `None` at the end.
    pub fn next(&mut self, body: &mut Vec<u8>) -> Result<Option<i64>, NutError> {
        loop {
            match self.input.fill_buf()?.first() {
                None => return Ok(None),
                Some(b'N') => {
                    let (code, payload) = section(&mut self.input)?;
                    if code == SYNC {
                        self.sync(&payload)?;
                    }
                }
                Some(_) => return self.frame(body).map(Some),
            }
        }
    }

    fn frame(&mut self, body: &mut Vec<u8>) -> Result<i64, NutError> {
        let [code] = bytes(&mut self.input)?;
        let FrameCode { mut flags, delta, multiplier, low, mut reserved, mut header } =
            self.main.codes[usize::from(code)];
        let input = &mut self.input;
        if flags & flag::INVALID != 0 {
            return Err(NutError::Bad("a frame has a code that none may have"));
        }
        if flags & flag::CODED != 0 {
            flags ^= number(input)?;
        }
        if flags & flag::STREAM != 0 && number(input)? != 0 {
            return Err(NutError::Bad("a frame of a second stream"));
        }
        self.last = if flags & flag::STAMP != 0 {
            let coded = number(input)?;
            self.stamp(coded)
        } else {
            self.last.saturating_add(delta)
        };
        let input = &mut self.input;
        let high = if flags & flag::SIZE != 0 { number(input)? } else { 0 };
        let size = multiplier.checked_mul(high).and_then(|high| high.checked_add(low));
        if flags & flag::MATCH != 0 {
            signed(input)?;
        }
        if flags & flag::HEADER != 0 {
            header = number(input)?;
        }
        if flags & flag::RESERVED != 0 {
            reserved = number(input)?;
        }
        for _ in 0..reserved.min(MOST_RESERVED) {
            number(input)?;
        }
        if flags & flag::CHECKSUM != 0 {
            bytes::<4>(input)?;
        }
        let size = size.filter(|&size| size <= LARGEST).ok_or(NutError::Bad("a frame is larger than any picture"))?;
        let elided = if size > ELIDED { &[] } else { self.main.header(header)? };
        body.clear();
        body.extend_from_slice(elided);
        body.resize((size as usize).max(elided.len()), 0);
        self.input.read_exact(&mut body[elided.len()..])?;
        if flags & flag::SIDE != 0 {
            let rest = after_side_data(body)?;
            body.drain(..body.len() - rest);
        }
        Ok(self.nanos())
    }

    /// A stamp whose high bits are those of the last one, or a whole one.
    fn stamp(&self, coded: u64) -> i64 {
        let whole = 1_u64 << self.shift;
        if coded >= whole {
            return (coded - whole).cast_signed();
        }
        let mask = (whole - 1).cast_signed();
        let least = self.last.wrapping_sub(mask / 2);
        (coded.cast_signed().wrapping_sub(least) & mask).wrapping_add(least)
    }

    /// A sync point says where every stream's stamps are.
    fn sync(&mut self, payload: &[u8]) -> Result<(), NutError> {
        let coded = number(&mut &payload[..])?;
        let count = self.main.bases.len() as u64;
        let (numerator, denominator) = self.main.bases[(coded % count) as usize];
        let (own_numerator, own_denominator) = self.main.bases[self.base];
        let ticks = i128::from(coded / count) * i128::from(numerator) * i128::from(own_denominator);
        let ticks = ticks / (i128::from(denominator) * i128::from(own_numerator));
        self.last = i64::try_from(ticks).map_err(|_| NutError::Bad("a sync point lies beyond all time"))?;
        Ok(())
    }

    fn nanos(&self) -> i64 {
        let (numerator, denominator) = self.main.bases[self.base];
        let nanos = i128::from(self.last) * i128::from(numerator) * 1_000_000_000 / i128::from(denominator);
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }
}

/// How many bytes are left behind a frame's side data and its notes.
fn after_side_data(body: &[u8]) -> Result<usize, NutError> {
    let mut rest = body;
    for _ in ["side data", "notes"] {
        for _ in 0..number(&mut rest)?.min(MOST_RESERVED) {
            string(&mut rest)?;
            match signed(&mut rest)? {
                -1 => drop(string(&mut rest)?),
                -2 => {
                    string(&mut rest)?;
                    string(&mut rest)?;
                }
                -3 => drop(signed(&mut rest)?),
                kind if kind < -4 => {
                    number(&mut rest)?;
                }
                -4 => drop(number(&mut rest)?),
                _ => {}
            }
        }
    }
    Ok(rest.len())
}

/// A start code and what belongs to it.
fn section(input: &mut impl Read) -> Result<(u64, Vec<u8>), NutError> {
    let code = u64::from_be_bytes(bytes(input)?);
    let length = number(input)?;
    if length > LONG {
        bytes::<4>(input)?;
    }
    let payload =
        length.checked_sub(4).filter(|&payload| payload <= LONGEST).ok_or(NutError::Bad("a header has no end"))?;
    let mut payload = vec![0; payload as usize];
    input.read_exact(&mut payload)?;
    bytes::<4>(input)?;
    Ok((code, payload))
}

/// Bytes as a stream, for fuzzing: whatever they are, it ends, and holds no more than it was given.
#[doc(hidden)]
pub fn fuzz_nut(data: &[u8]) {
    let Ok(mut reader) = Reader::new(data) else { return };
    let mut body = Vec::new();
    while let Ok(Some(_)) = reader.next(&mut body) {
        assert!(body.len() as u64 <= LARGEST);
    }
}

const NAME: &[u8; 25] = b"nut/multimedia container\0";
const MAIN: u64 = 0x4E4D_7A56_1F5F_04AD;
const STREAM: u64 = 0x4E53_1140_5BF2_F9DB;
const SYNC: u64 = 0x4E4B_E4AD_EECA_4569;
const INFO: u64 = 0x4E49_AB68_B596_BA78;
/// Headers longer than this have a checksum of their length.
const LONG: u64 = 4_096;
/// Far more than any header needs.
const LONGEST: u64 = 64 << 10;
/// Frames longer than this begin with what they begin with.
const ELIDED: u64 = 4_096;
/// 4096×4096 pixels of four bytes.
const LARGEST: u64 = 64 << 20;
const BUFFER: usize = 64 << 10;

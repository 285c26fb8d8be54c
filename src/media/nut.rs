//! NUT as ffmpeg writes it into a pipe: one stream, each packet with its own stamp, nothing held back for an index.
//!
//! After the format's description (version 4 of 2019, in ffmpeg's own words): packets that begin with a start code are
//! headers; everything else is a frame, whose first byte looks up what its header leaves out. Checksums are not looked
//! at: a pipe loses nothing. Every length is bounded before anything is allocated.

use std::io::{self, BufRead, BufReader, Read};

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

/// What the first byte of a frame stands for.
#[derive(Clone, Copy, Debug, Default)]
struct FrameCode {
    flags: u64,
    delta: i64,
    multiplier: u64,
    low: u64,
    reserved: u64,
    header: u64,
}

/// The main header.
struct Main {
    /// Seconds of a tick, as a fraction.
    bases: Vec<(u32, u32)>,
    codes: Box<[FrameCode; 256]>,
    /// What frames that name it begin with.
    headers: Vec<Vec<u8>>,
}

impl Main {
    fn parse(mut input: &[u8]) -> Result<Self, NutError> {
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

    fn header(&self, number: u64) -> Result<&[u8], NutError> {
        let header = usize::try_from(number).ok().and_then(|number| self.headers.get(number));
        header.map(Vec::as_slice).ok_or(NutError::Bad("a frame begins with a header that nobody told"))
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
fn parse_stream(mut input: &[u8]) -> Result<(Stream, usize, u32), NutError> {
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
fn parse_rate(payload: &[u8]) -> Option<Rate> {
    let at = payload.windows(RATE_NAME.len()).position(|window| window == RATE_NAME)?;
    let mut rest = &payload[at + RATE_NAME.len()..];
    // -1: text follows.
    (signed(&mut rest).ok()? == -1).then_some(())?;
    let text = std::str::from_utf8(string(&mut rest).ok()?).ok()?;
    let (numerator, denominator) = text.split_once('/')?;
    Rate::new(numerator.parse().ok()?, denominator.parse().ok()?)
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

fn bytes<const N: usize>(input: &mut impl Read) -> Result<[u8; N], NutError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Seven bits a byte, the highest first.
fn number(input: &mut impl Read) -> Result<u64, NutError> {
    let mut value = 0_u64;
    loop {
        let [byte] = bytes(input)?;
        if value >> 57 != 0 {
            return Err(NutError::Bad("a number is too long"));
        }
        value = value << 7 | u64::from(byte & 127);
        if byte & 128 == 0 {
            return Ok(value);
        }
    }
}

fn signed(input: &mut impl Read) -> Result<i64, NutError> {
    number(input).map(unfold)
}

/// 0, 1, −1, 2, −2, …
fn unfold(value: u64) -> i64 {
    let half = (value / 2 + value % 2).cast_signed();
    if value % 2 == 1 { half } else { -half }
}

fn string<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], NutError> {
    let length = number(input)?;
    let length = usize::try_from(length).ok().filter(|&length| length <= input.len());
    let (string, rest) = input.split_at(length.ok_or(NutError::Bad("a text has no end"))?);
    *input = rest;
    Ok(string)
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

/// What a frame's header holds.
mod flag {
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

const NAME: &[u8; 25] = b"nut/multimedia container\0";
const MAIN: u64 = 0x4E4D_7A56_1F5F_04AD;
const STREAM: u64 = 0x4E53_1140_5BF2_F9DB;
const SYNC: u64 = 0x4E4B_E4AD_EECA_4569;
const INFO: u64 = 0x4E49_AB68_B596_BA78;
const RATE_NAME: &[u8] = b"r_frame_rate";
/// Headers longer than this have a checksum of their length.
const LONG: u64 = 4_096;
/// Far more than any header needs.
const LONGEST: u64 = 64 << 10;
/// Frames longer than this begin with what they begin with.
const ELIDED: u64 = 4_096;
/// 4096×4096 pixels of four bytes.
const LARGEST: u64 = 64 << 20;
const LONGEST_SIDE: u16 = 16_384;
const MOST_BASES: u64 = 16;
const MOST_HEADERS: u64 = 128;
const MOST_RESERVED: u64 = 256;
const BUFFER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by ffmpeg 5.1 with `-f nut -syncpoints none -write_index 0 -strict experimental`, 4×2 pixels of yuyv422 at
    /// 30 pictures a second, stamps from 1 000 s on.
    const PICTURES: &[u8] = include_bytes!("../../assets/tests/pictures.nut");
    /// The same for 100 ms of a tone of 44.1 kHz, stereo.
    const SOUND: &[u8] = include_bytes!("../../assets/tests/sound.nut");

    fn all(data: &[u8]) -> (Reader<&[u8]>, Vec<(i64, usize)>) {
        let mut reader = Reader::new(data).expect("a stream");
        let (mut packets, mut body) = (Vec::new(), Vec::new());
        while let Some(stamp) = reader.next(&mut body).expect("whole") {
            packets.push((stamp, body.len()));
        }
        (reader, packets)
    }

    #[test]
    fn pictures_come_with_their_stamps() {
        let (reader, packets) = all(PICTURES);
        assert_eq!(*reader.stream(), Stream::Pictures { size: Size::new(4, 2), code: *b"YUY2" });
        assert_eq!(reader.rate(), Rate::new(30, 1));
        assert_eq!(packets.len(), 40);
        for (number, (stamp, size)) in packets.into_iter().enumerate() {
            let due = 1_000_000_000_000 + number as i64 * 1_000_000_000 / 30;
            assert!((stamp - due).abs() < 100_000 && size == 16, "{number}: {stamp} {size}");
        }
    }

    #[test]
    fn sound_comes_with_its_stamps() {
        let (reader, packets) = all(SOUND);
        assert_eq!(*reader.stream(), Stream::Sound { rate: 44_100, channels: 2 });
        let mut frames = 0;
        for (stamp, size) in packets {
            assert!((stamp - frames * 1_000_000_000 / 44_100).abs() < 50_000, "{stamp} after {frames}");
            frames += size as i64 / 4;
        }
        assert_eq!(frames, 4_410);
    }

    #[test]
    fn whatever_is_cut_or_bent_ends_with_a_word() {
        for data in [PICTURES, SOUND] {
            for length in 0..data.len() {
                fuzz_nut(&data[..length]);
            }
            for at in 0..data.len().min(2_000) {
                for bits in [1, 0x80, 0xFF] {
                    let mut bent = data.to_vec();
                    bent[at] ^= bits;
                    fuzz_nut(&bent);
                }
            }
        }
        assert!(matches!(Reader::new(&b"YUV4MPEG2 W2 H2 and more of this"[..]), Err(NutError::Bad(_))));
    }
}

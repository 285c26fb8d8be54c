//! YUV4MPEG2, the raw film format of ffmpeg, mjpegtools and x264: headers, and pictures off any reader.
//!
//! One parser serves ffmpeg's output and films piped to us. Pictures that are already full-range 4:2:0 are read
//! straight into the planes of a [`Picture`]; all others pass [`Conversion`]. The format has no matrix tag.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use crate::media::Picture;
use crate::media::convert::{Conversion, Matrix};
use crate::media::tonemap::ToneMap;
use crate::queue::Pool;
use crate::units::{Rate, Size, Time};

/// The ten bytes every stream starts with.
pub const MAGIC: &[u8; 10] = b"YUV4MPEG2 ";

/// How the chroma planes are sampled. The siting of 4:2:0 samples is not told apart: half a pixel of colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chroma {
    Mono,
    C420,
    C422,
    C444,
}

impl Chroma {
    /// Size of each of the two chroma planes; nothing for [`Chroma::Mono`].
    pub const fn plane(self, size: Size) -> Size {
        match self {
            Self::Mono => Size::new(0, 0),
            Self::C420 => Size::new(size.width.div_ceil(2), size.height.div_ceil(2)),
            Self::C422 => Size::new(size.width.div_ceil(2), size.height),
            Self::C444 => size,
        }
    }
}

/// What the first line of a stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub size: Size,
    /// 25 when the stream does not say; see [`Header::rate_known`].
    pub rate: Rate,
    /// `false` when the stream left its rate out and 25 was assumed.
    pub rate_known: bool,
    pub chroma: Chroma,
    /// Samples of ten bits, in two bytes each, the lower one first.
    pub deep: bool,
    pub full_range: bool,
    pub interlaced: bool,
    /// Sample aspect ratio; 1:1 when unknown.
    pub aspect: (u32, u32),
}

/// Why a stream cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Y4mError {
    #[error("this is not a YUV4MPEG2 stream; send one with `ffmpeg … -f yuv4mpegpipe -pix_fmt yuv420p -`")]
    NotY4m,
    #[error("a YUV4MPEG2 header is longer than {LONGEST_LINE} bytes, so the stream is damaged; send it again")]
    LineTooLong,
    #[error("the YUV4MPEG2 header has a bad {field}: {value:?}; write the film again with ffmpeg")]
    BadField { field: &'static str, value: String },
    #[error("the YUV4MPEG2 colour format {0:?} is not supported; convert it with `-pix_fmt yuv420p`")]
    Unsupported(String),
    #[error("YUV4MPEG2 pictures of {0}×{1} are outside 1×1 to 16384×16384; scale the film first")]
    Size(u32, u32),
    #[error("picture {0} of the YUV4MPEG2 stream does not begin with FRAME; the stream is damaged, send it again")]
    NoFrame(u32),
    #[error("the YUV4MPEG2 stream ends in the middle of picture {0}; the program that wrote it was cut short")]
    Truncated(u32),
    #[error("the YUV4MPEG2 stream cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl Header {
    /// Reads the first line, without its newline.
    pub fn parse(line: &[u8]) -> Result<Self, Y4mError> {
        let fields = line.strip_prefix(MAGIC.as_slice()).ok_or(Y4mError::NotY4m)?;
        let mut draft = Draft::default();
        for field in fields.split(|&byte| byte == b' ').filter(|field| !field.is_empty()) {
            draft.take(&String::from_utf8_lossy(field))?;
        }
        draft.finish()
    }

    /// Bytes of one picture after its FRAME line.
    pub const fn frame_bytes(&self) -> usize {
        let samples = self.size.pixels() + 2 * self.chroma.plane(self.size).pixels();
        if self.deep { 2 * samples } else { samples }
    }
}

/// The header while its fields come in, in any order.
#[derive(Default)]
struct Draft {
    width: u32,
    height: u32,
    rate: Option<Rate>,
    chroma: Option<Chroma>,
    deep: bool,
    full_range: bool,
    interlaced: bool,
    aspect: Option<(u32, u32)>,
}

impl Draft {
    fn take(&mut self, field: &str) -> Result<(), Y4mError> {
        let mut chars = field.chars();
        let tag = chars.next();
        let value = chars.as_str();
        match tag {
            Some('W') => self.width = number("width", value)?,
            Some('H') => self.height = number("height", value)?,
            Some('F') => self.rate = rate(value)?,
            Some('I') => self.interlaced = matches!(value, "t" | "b" | "m"),
            Some('A') => self.aspect = ratio("aspect ratio", value).ok().filter(|&(num, den)| num > 0 && den > 0),
            Some('C') => (self.chroma, self.deep) = chroma(value).map(|(chroma, deep)| (Some(chroma), deep))?,
            Some('X') if value == "COLORRANGE=FULL" => self.full_range = true,
            // Unknown and extension fields are comments.
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Header, Y4mError> {
        let side = |length: u32| u16::try_from(length).ok().filter(|side| (1..=LONGEST_SIDE).contains(side));
        let (Some(width), Some(height)) = (side(self.width), side(self.height)) else {
            return Err(Y4mError::Size(self.width, self.height));
        };
        Ok(Header {
            size: Size::new(width, height),
            rate: self.rate.or(Rate::new(25, 1)).ok_or(Y4mError::NotY4m)?,
            rate_known: self.rate.is_some(),
            chroma: self.chroma.unwrap_or(Chroma::C420),
            deep: self.deep,
            full_range: self.full_range,
            interlaced: self.interlaced,
            aspect: self.aspect.unwrap_or((1, 1)),
        })
    }
}

fn bad(field: &'static str, value: &str) -> Y4mError {
    Y4mError::BadField { field, value: value.chars().take(40).collect() }
}

fn number(field: &'static str, value: &str) -> Result<u32, Y4mError> {
    value.parse().map_err(|_| bad(field, value))
}

fn ratio(field: &'static str, value: &str) -> Result<(u32, u32), Y4mError> {
    let (num, den) = value.split_once(':').ok_or_else(|| bad(field, value))?;
    Ok((number(field, num)?, number(field, den)?))
}

/// `None` for 0:0, which means unknown.
fn rate(value: &str) -> Result<Option<Rate>, Y4mError> {
    match ratio("rate", value)? {
        (0, _) | (_, 0) => Ok(None),
        (num, den) => Rate::new(num, den).map(Some).ok_or_else(|| bad("rate", value)),
    }
}

/// The sampling, and whether samples have ten bits.
fn chroma(value: &str) -> Result<(Chroma, bool), Y4mError> {
    match value {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Ok((Chroma::C420, false)),
        "420p10" => Ok((Chroma::C420, true)),
        "422" => Ok((Chroma::C422, false)),
        "444" => Ok((Chroma::C444, false)),
        "mono" => Ok((Chroma::Mono, false)),
        other => Err(Y4mError::Unsupported(other.chars().take(40).collect())),
    }
}

/// Reads one line into `line`, without its newline. `false` at a clean end: no byte at all.
///
/// Byte by byte, so that nothing behind the newline is taken: the picture is then read straight to its place.
pub fn read_line(input: &mut impl Read, line: &mut Vec<u8>) -> Result<bool, Y4mError> {
    let mut byte = [0];
    loop {
        match input.read(&mut byte) {
            Ok(0) if line.is_empty() => return Ok(false),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(_) if byte[0] == b'\n' => return Ok(true),
            Ok(_) if line.len() == LONGEST_LINE => return Err(Y4mError::LineTooLong),
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Pictures off a stream, one after the other.
pub struct Reader<R> {
    input: R,
    header: Header,
    conversion: Option<Conversion>,
    /// For pictures of ten bits, which are HDR.
    tones: Option<Arc<ToneMap>>,
    scratch: Vec<u8>,
    next: u32,
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("header", &self.header).field("next", &self.next).finish_non_exhaustive()
    }
}

impl<R: Read> Reader<R> {
    /// Reads the stream's header; waits for it. Pictures of ten bits need [`Reader::set_tones`].
    pub fn new(mut input: R) -> Result<Self, Y4mError> {
        let mut line = Vec::new();
        if !read_line(&mut input, &mut line)? {
            return Err(Y4mError::NotY4m);
        }
        Ok(Self::with_header(input, Header::parse(&line)?))
    }

    /// Goes on behind a header that was read elsewhere.
    pub fn with_header(input: R, header: Header) -> Self {
        let conversion = Conversion::of(&header);
        Self { input, header, conversion, tones: None, scratch: Vec::new(), next: 0 }
    }

    /// Says which matrix limited-range pictures are in, which the format cannot.
    pub fn set_matrix(&mut self, matrix: Matrix) {
        self.conversion = Conversion::from_matrix(&self.header, matrix);
    }

    /// Says how pictures of ten bits, which are taken for HDR ones, are shown.
    pub fn set_tones(&mut self, tones: Arc<ToneMap>) {
        self.tones = Some(tones);
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    pub fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// The next picture, or `None` at the end. Its number counts from 0, and its time with the header's rate; it is stamped with `now()` when its FRAME
    /// line has arrived, that is, when the writer began to hand it over.
    pub fn read(&mut self, pool: &Pool<Vec<u8>>, now: impl FnOnce() -> Time) -> Result<Option<Picture>, Y4mError> {
        if !self.frame_line()? {
            return Ok(None);
        }
        let mut picture = Picture::from_pool(pool, self.header.size, self.next, now());
        picture.span = Some(self.header.rate.span(u64::from(self.next)));
        let read = match &self.conversion {
            _ if self.header.deep => {
                let Some(tones) = &self.tones else { return Err(Y4mError::Unsupported("420p10".to_owned())) };
                self.scratch.resize(self.header.frame_bytes(), 0);
                let read = self.input.read_exact(&mut self.scratch);
                tones.apply(&self.scratch, &mut picture);
                read
            }
            None => self.input.read_exact(picture.planes_mut()),
            Some(conversion) if conversion.is_in_place() => {
                let read = self.input.read_exact(picture.planes_mut());
                conversion.apply(&[], &mut picture);
                read
            }
            Some(conversion) => {
                self.scratch.resize(self.header.frame_bytes(), 0);
                let read = self.input.read_exact(&mut self.scratch);
                conversion.apply(&self.scratch, &mut picture);
                read
            }
        };
        read.map_err(|error| truncated(error, self.next))?;
        self.next = self.next.wrapping_add(1);
        Ok(Some(picture))
    }

    /// One read for the usual bare `FRAME\n`, then byte by byte through its parameters.
    fn frame_line(&mut self) -> Result<bool, Y4mError> {
        let mut start = [0; 6];
        let first = loop {
            match self.input.read(&mut start) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if first == 0 {
            return Ok(false);
        }
        self.input.read_exact(&mut start[first..]).map_err(|error| truncated(error, self.next))?;
        match &start {
            b"FRAME\n" => Ok(true),
            b"FRAME " => {
                let mut parameters = b" ".to_vec();
                read_line(&mut self.input, &mut parameters)
            }
            _ => Err(Y4mError::NoFrame(self.next)),
        }
    }
}

fn truncated(error: io::Error, picture: u32) -> Y4mError {
    if error.kind() == io::ErrorKind::UnexpectedEof { Y4mError::Truncated(picture) } else { error.into() }
}

/// ffmpeg's headers are under 100 bytes; mjpegtools allows comments but reads no more than 256 itself.
const LONGEST_LINE: usize = 1_024;
/// A picture of 16384×16384 is 400 MB; a JPEG ends at 65500 a side.
const LONGEST_SIDE: u16 = 16_384;

/// Any bytes are a stream, a clean error, or an end.
#[doc(hidden)]
pub fn fuzz_y4m(data: &[u8]) {
    let Ok(mut reader) = Reader::new(data) else { return };
    // A header may claim pictures that are larger than memory is worth here; those end as truncated anyway.
    if reader.header().frame_bytes() > 1 << 20 {
        return;
    }
    let pool = Pool::new(1);
    while let Ok(Some(picture)) = reader.read(&pool, || Time::ZERO) {
        assert_eq!(picture.size, reader.header.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(line: &str) -> Result<Header, Y4mError> {
        Header::parse(line.as_bytes())
    }

    #[test]
    fn headers_of_usual_writers() {
        let ffmpeg = header("YUV4MPEG2 W1280 H720 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG XCOLORRANGE=FULL");
        let ffmpeg = ffmpeg.expect("a usual header");
        assert_eq!((ffmpeg.size, ffmpeg.rate), (Size::new(1280, 720), Rate::new(30_000, 1_001).expect("ntsc")));
        assert!(ffmpeg.full_range && !ffmpeg.interlaced && ffmpeg.rate_known);
        assert_eq!(ffmpeg.frame_bytes(), 1280 * 720 * 3 / 2);
        let bare = header("YUV4MPEG2 W3 H5 F0:0 It").expect("a short header");
        assert!(!bare.rate_known && bare.interlaced && !bare.full_range);
        assert_eq!((bare.rate.num(), bare.frame_bytes()), (25, 15 + 2 * 6));
        for (name, bytes) in [("mono", 15), ("422", 15 + 2 * 10), ("444", 45), ("420paldv", 27)] {
            let header = header(&format!("YUV4MPEG2 W3 H5 C{name}")).expect(name);
            assert_eq!(header.frame_bytes(), bytes, "{name}");
        }
    }

    #[test]
    fn bad_headers_are_named() {
        for (line, word) in [
            ("RIFF", "not a YUV4MPEG2"),
            ("YUV4MPEG2 W0 H1", "0×1"),
            ("YUV4MPEG2 W20000 H1", "20000×1"),
            ("YUV4MPEG2 Wx H1", "width"),
            ("YUV4MPEG2 W1 H1 F1", "rate"),
            ("YUV4MPEG2 W1 H1 F10001:1", "rate"),
            ("YUV4MPEG2 W1 H1 C422p10", "-pix_fmt"),
        ] {
            let text = header(line).expect_err(line).to_string();
            assert!(text.contains(word), "{line}: {text}");
        }
        let endless = Reader::new(io::repeat(b'Y')).expect_err("no newline ever");
        assert!(matches!(endless, Y4mError::LineTooLong), "{endless}");
    }

    #[test]
    fn pictures_come_whole_and_the_end_is_clean() {
        let mut data = b"YUV4MPEG2 W2 H2 C420 XCOLORRANGE=FULL\nFRAME\nabcdefFRAME Ip\nghijklFRAME\nxyz".to_vec();
        let pool = Pool::new(2);
        let mut reader = Reader::new(data.as_slice()).expect("a header");
        let read = |reader: &mut Reader<&[u8]>| reader.read(&pool, || Time::from_millis(7));
        let first = read(&mut reader).expect("whole").expect("not the end");
        assert_eq!((first.number, first.captured, first.planes()[0]), (0, Time::from_millis(7), b"abcd".as_slice()));
        let second = read(&mut reader).expect("whole").expect("not the end");
        assert_eq!((second.number, second.planes()[2]), (1, b"l".as_slice()));
        assert!(matches!(read(&mut reader), Err(Y4mError::Truncated(2))));
        data.truncate(data.len() - 9);
        let mut reader = Reader::new(data.as_slice()).expect("a header");
        assert!(read(&mut reader).expect("one").is_some() && read(&mut reader).expect("two").is_some());
        assert!(read(&mut reader).expect("the end").is_none());
    }

    #[test]
    fn twenty_thousand_damaged_streams_never_panic() {
        let seeds: [&[u8]; 4] = [
            b"YUV4MPEG2 W4 H2 F25:1 Ip A1:1 C420jpeg XCOLORRANGE=FULL\nFRAME\nabcdefghijklFRAME\nabcdefghijkl",
            b"YUV4MPEG2 W3 H3 F30000:1001 It C422 XCOLORRANGE=LIMITED\nFRAME Ip\nabcdefghijklmnopqrstu",
            b"YUV4MPEG2 W2 H2 F0:0 Cmono\nFRAME\nabcdFRAME\nabcd",
            b"YUV4MPEG2 W2 H2 C420p10\nFRAME\nabcdefghijkl",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        for round in 0..20_000 {
            let mut data = seeds[round % seeds.len()].to_vec();
            for _ in 0..=random() % 4 {
                let at = random() % data.len().max(1);
                match random() % 4 {
                    0 => data.truncate(at),
                    1 => data.insert(at.min(data.len()), random() as u8),
                    2 => data.extend_from_within(..at.min(data.len())),
                    _ => data.iter_mut().skip(at).take(1).for_each(|byte| *byte = random() as u8),
                }
            }
            fuzz_y4m(&data);
        }
    }
}

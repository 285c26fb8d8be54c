//! Sound as it travels: 44.1 kHz, 16 bits, stereo or mono, in chunks of 256 frames, or coded by Opus in units of 960. Frame
//! `n` of a stream is heard `n / 44 100` seconds after the stream's zero, which is also the zero of its pictures.

use crate::media::coded::Object;
use crate::units::{Bitrate, MediaTime, Rate, Size, Time, Unit};
use crate::wire::object::{self, ObjectHeader, Type, flags, format};
use crate::wire::{HOP_LEN, SizeClass};

/// Frames a second.
pub const RATE: u32 = 44_100;
/// Frames in a chunk; only a stream's last chunk may have fewer.
pub const FRAMES: usize = 256;
/// Frames in a unit of coded sound; only a stream's last unit may have fewer. To Opus, which knows no 44.1 kHz, they are
/// 20 ms at 48 kHz: it codes frames and not time, and what it takes for 10 kHz is 9.2.
pub const CODED_FRAMES: usize = 960;
/// So many frames behind a unit's last one are known to its encoder: Opus overlaps what it codes by 2.5 ms of 48 kHz.
pub const CODED_AHEAD: usize = 120;
/// Bytes of a coded unit, each the same: 96 kb/s at 48 kHz, which are 88 as they are heard.
pub const CODED_BYTES: usize = 240;
/// Every so many chunks a chunk and a coded unit begin together, and only there one takes the place of the other.
pub const SWITCH_CHUNKS: u32 = 15;
/// As many units lie between two such places.
pub const SWITCH_UNITS: u32 = 4;

const _: () = assert!(SWITCH_CHUNKS as usize * FRAMES == SWITCH_UNITS as usize * CODED_FRAMES);

/// One moment of stereo sound: left, right.
pub type Frame = [i16; 2];

/// One chunk as its source made it: at least one frame, at most [`FRAMES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its first frame is frame `number` × 256 of the stream.
    pub number: u32,
    pub frames: Vec<Frame>,
    /// When its first frame came into being (live), or was read (file).
    pub captured: Time,
}

/// A unit of sound as Opus made it: frames 960 × `number` to 960 × `number` + 959 of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodedSound {
    pub number: u32,
    /// How many of its frames are the stream's: 960, or fewer at the stream's end.
    pub frames: u16,
    pub packet: Vec<u8>,
}

/// What is heard next of a stream, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A chunk.
    Frames(Vec<Frame>),
    /// A packet of Opus, stereo, of 960 frames, of which the first so many are heard. `before` is the packet of the unit
    /// before, if that was not handed out: it is to be decoded first, and not heard, so that the decoder is warm.
    Coded { packet: Vec<u8>, frames: u16, before: Option<Vec<u8>> },
    /// So many frames are lost, to be concealed; of a coded unit after others, by the decoder.
    Lost { frames: u16, coded: bool },
}

impl Piece {
    pub const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }
}

/// What of the sound travels, the most bytes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rendition {
    #[default]
    Stereo,
    /// The mean of left and right, rounded towards zero: half the bytes.
    Mono,
    /// Stereo by Opus: a twelfth of the bytes.
    Coded,
}

impl Rendition {
    /// The value of an object's rendition field.
    pub const fn id(self) -> u8 {
        match self {
            Self::Stereo => 0,
            Self::Mono => 1,
            Self::Coded => 2,
        }
    }

    pub const fn of(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::Stereo),
            1 => Some(Self::Mono),
            2 => Some(Self::Coded),
            _ => None,
        }
    }

    pub const fn channels(self) -> u16 {
        match self {
            Self::Stereo | Self::Coded => 2,
            Self::Mono => 1,
        }
    }

    /// What it takes of a path, headers of UDP and IPv4 included.
    pub const fn bitrate(self) -> Bitrate {
        let (body, frames) = match self {
            Self::Stereo | Self::Mono => (FRAMES * 2 * self.channels() as usize, FRAMES),
            Self::Coded => (CODED_BYTES, CODED_FRAMES),
        };
        let datagram = UDP_LEN + HOP_LEN + object::HEADER_LEN + object::CRC_LEN + body;
        Bitrate::bps(datagram as u64 * 8 * RATE as u64 / frames as u64)
    }
}

/// Headers of IPv4 and UDP.
const UDP_LEN: usize = 28;

/// When frame `frame` of a stream is heard, from the stream's zero; rounded down to a microsecond.
pub const fn media_time(frame: u64) -> MediaTime {
    MediaTime::from_micros((frame as u128 * 1_000_000 / RATE as u128) as i64)
}

/// The frame that is heard at a moment of the stream, to the nearest; 0 before its zero.
pub fn frame_of(media: MediaTime) -> u64 {
    let frames = i128::from(media.micros()) * i128::from(RATE);
    u64::try_from((frames + 500_000).div_euclid(1_000_000)).unwrap_or(0)
}

/// The frame that is heard when picture `number` of a steady film of this rate is due: the one at, or just before, its
/// moment. Taken from the number each time, so nothing adds up.
pub fn frame_at(rate: Rate, number: u64) -> u64 {
    let frames = u128::from(number) * u128::from(rate.den()) * u128::from(RATE) / u128::from(rate.num());
    u64::try_from(frames).unwrap_or(u64::MAX)
}

/// The mean of left and right on both sides, rounded as [`Rendition::Mono`] rounds.
pub const fn mono([left, right]: Frame) -> Frame {
    [((left as i32 + right as i32) / 2) as i16; 2]
}

impl Chunk {
    /// The first frame's number.
    pub fn first(&self) -> u64 {
        u64::from(self.number) * FRAMES as u64
    }

    pub fn media_time(&self) -> MediaTime {
        media_time(self.first())
    }

    /// The chunk as an object of `stream`: samples, whatever is asked for, as nothing is coded here. It fits the smallest
    /// datagrams, so there is one cut only.
    pub fn object(&self, stream: u64, rendition: Rendition) -> Object {
        let rendition = rendition.min(Rendition::Mono);
        let size = Size::new(self.frames.len() as u16, rendition.channels());
        let header = header(stream, rendition, format::PCM_S16LE, (self.number, self.first()), size);
        let mut bytes = Vec::with_capacity(SizeClass::ANY.object_max());
        header.emit(&mut bytes, |out| write(&self.frames, rendition, out));
        bytes.into()
    }
}

/// An object of sound as it came from elsewhere, which goes on as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedSound {
    pub object: Object,
    pub rendition: Rendition,
    /// Of the chunk or coded unit.
    pub number: u32,
}

impl PassedSound {
    /// The first frame's number.
    pub fn first(&self) -> u64 {
        let frames = if self.rendition == Rendition::Coded { CODED_FRAMES } else { FRAMES };
        u64::from(self.number) * frames as u64
    }
}

impl CodedSound {
    /// The first frame's number.
    pub fn first(&self) -> u64 {
        u64::from(self.number) * CODED_FRAMES as u64
    }

    /// The unit as an object of `stream`.
    pub fn object(&self, stream: u64) -> Object {
        let size = Size::new(self.frames, Rendition::Coded.channels());
        let header = header(stream, Rendition::Coded, format::OPUS, (self.number, self.first()), size);
        let mut bytes = Vec::with_capacity(object::HEADER_LEN + object::CRC_LEN + self.packet.len());
        header.emit(&mut bytes, |out| out.extend_from_slice(&self.packet));
        bytes.into()
    }
}

/// The header of a sound object with this number, which begins with this frame.
fn header(stream: u64, rendition: Rendition, format: u8, (number, first): (u32, u64), size: Size) -> ObjectHeader {
    ObjectHeader {
        kind: Type::SOUND,
        flags: flags::LAST,
        stream,
        rendition: rendition.id(),
        cut: SizeClass::ANY.cut(0, false),
        tables: 0,
        format,
        unit: Unit(number),
        part: 0,
        parts: 1,
        media_time: media_time(first),
        size,
        x8: 0,
        y8: 0,
    }
}

fn write(frames: &[Frame], rendition: Rendition, out: &mut Vec<u8>) {
    for &[left, right] in frames {
        match rendition {
            Rendition::Stereo | Rendition::Coded => {
                out.extend_from_slice(&left.to_le_bytes());
                out.extend_from_slice(&right.to_le_bytes());
            }
            Rendition::Mono => out.extend_from_slice(&mono([left, right])[0].to_le_bytes()),
        }
    }
}

/// Reads the body of a sound object: `frames` and `channels` as its header says. `None` if they do not fit the body, or
/// are none that can be. Mono comes out on both sides.
pub fn read(body: &[u8], frames: u16, channels: u16) -> Option<Vec<Frame>> {
    let count = usize::from(frames);
    if !(1..=FRAMES).contains(&count) || body.len() != count * 2 * usize::from(channels) {
        return None;
    }
    let sample = |bytes: &[u8]| i16::from_le_bytes([bytes[0], bytes[1]]);
    match channels {
        1 => Some(body.chunks_exact(2).map(|mono| [sample(mono); 2]).collect()),
        2 => Some(body.chunks_exact(4).map(|both| [sample(&both[..2]), sample(&both[2..])]).collect()),
        _ => None,
    }
}

/// Bytes as frames, channels and the body of a sound object, for fuzzing.
#[doc(hidden)]
pub fn fuzz_sound(data: &[u8]) {
    let Some(([frames, channels], body)) = data.split_first_chunk::<2>() else { return };
    let Some(frames) = read(body, u16::from(*frames) + 1, u16::from(*channels)) else { return };
    let rendition = if *channels == 1 { Rendition::Mono } else { Rendition::Stereo };
    let mut out = Vec::new();
    write(&frames, rendition, &mut out);
    assert_eq!(out, body, "what was read is written alike");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ObjectView;

    #[test]
    fn a_chunk_comes_back_as_it_was_and_fits_the_smallest_datagram() {
        let frames: Vec<Frame> = (0..FRAMES as i16).map(|i| [i * 100, -i * 77]).collect();
        let chunk = Chunk { number: 7, frames, captured: Time::ZERO };
        for rendition in [Rendition::Stereo, Rendition::Mono] {
            let object = chunk.object(1, rendition);
            assert!(object.len() <= SizeClass::ANY.object_max());
            let view = ObjectView::parse(object.bytes()).expect("our own");
            assert_eq!(view.header.media_time.micros(), 7 * 256 * 1_000_000 / 44_100);
            let frames = read(view.body, view.header.size.width, view.header.size.height).expect("our own");
            match rendition {
                Rendition::Stereo => assert_eq!(frames, chunk.frames),
                Rendition::Mono | Rendition::Coded => assert_eq!(frames[100], [(100 * 100 - 100 * 77) / 2; 2]),
            }
        }
    }

    #[test]
    fn a_coded_unit_begins_where_its_number_says_and_each_rendition_takes_less_of_the_path() {
        let unit = CodedSound { number: 4, frames: 960, packet: vec![7; CODED_BYTES] };
        let object = unit.object(1);
        let view = ObjectView::parse(object.bytes()).expect("our own");
        assert_eq!((view.header.unit, view.header.rendition, view.header.format), (Unit(4), 2, format::OPUS));
        assert_eq!(view.header.media_time, media_time(u64::from(SWITCH_CHUNKS) * FRAMES as u64));
        assert_eq!((view.header.size, view.body), (Size::new(960, 2), &unit.packet[..]));
        let rates =
            [Rendition::Stereo, Rendition::Mono, Rendition::Coded].map(|rendition| rendition.bitrate().as_bps());
        assert_eq!(rates, [1_537_987, 832_387, 122_010]);
        assert!((0..=3).all(|id| Rendition::of(id).is_none_or(|rendition| rendition.id() == id)));
    }

    #[test]
    fn pictures_and_frames_never_drift_apart() {
        let ntsc = Rate::new(30_000, 1_001).expect("usual");
        assert_eq!((frame_at(ntsc, 0), frame_at(ntsc, 1)), (0, 1_471));
        assert_eq!(frame_at(ntsc, 30_000 * 3_600), 1_001 * 3_600 * 44_100);
        assert_eq!(frame_at(Rate::new(25, 1).expect("usual"), 132), 132 * 1_764);
        assert_eq!((mono([3, -6]), mono([i16::MIN; 2]), mono([i16::MAX; 2])), ([-1; 2], [i16::MIN; 2], [i16::MAX; 2]));
    }

    #[test]
    fn bodies_that_cannot_be_are_refused() {
        for (length, frames, channels) in [(0, 0, 2), (1_028, 257, 2), (8, 2, 3), (7, 2, 2), (8, 4, 2), (4, 1, 0)] {
            assert_eq!(read(&vec![0; length], frames, channels), None, "{length} {frames} {channels}");
        }
    }
}

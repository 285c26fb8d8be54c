//! Where the restart intervals of a whole JPEG lie, so that it can be cut without being decoded.

use std::ops::Range;

use super::header::Header;
use super::{JpegError, Subsampling};
use crate::units::Size;

/// The layout of one baseline interchange JPEG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    pub size: Size,
    pub subsampling: Subsampling,
    /// Pixels of one MCU.
    pub mcu: Size,
    /// MCUs from one restart to the next; `None` = the picture has no restart markers and is one interval.
    pub restart_interval: Option<u16>,
    /// 1–100 when the tables are Annex K's at that quality and the standard Huffman ones, so that they need not travel.
    pub quality: Option<u8>,
    /// From the first entropy-coded byte up to EOI, exclusive.
    pub scan: Range<usize>,
    /// Entropy-coded bytes of each restart interval, in order, without the markers between them. Never empty.
    pub intervals: Vec<Range<usize>>,
}

impl Index {
    /// Columns and rows of MCUs.
    pub fn mcus(&self) -> (usize, usize) {
        self.subsampling.grid(self.size)
    }
}

/// Walks a baseline 8-bit JPEG in interchange format, single scan. Bytes behind EOI are ignored.
///
/// The work is bounded by the length of the input: one pass, no more intervals than the header announces.
pub fn index(jpeg: &[u8]) -> Result<Index, JpegError> {
    let header = Header::walk(jpeg)?;
    header.check_complete()?;
    let expected = expected_intervals(header.subsampling, header.size, header.restart);
    let (intervals, end) = intervals(jpeg, header.scan, expected)?;
    Ok(Index {
        size: header.size,
        subsampling: header.subsampling,
        mcu: header.subsampling.mcu(),
        restart_interval: (header.restart > 0).then_some(header.restart),
        quality: header.quality(),
        scan: header.scan..end,
        intervals,
    })
}

/// What a decoder has to know of 4:2:2 as libavcodec writes it, with factors of 2×2, 1×2 and 1×2. It can be decoded, but not
/// cut: its MCUs are none that a slice may have, and twice as tall as [`Index::mcus`] counts them.
pub fn index_of_tall(jpeg: &[u8]) -> Result<Index, JpegError> {
    let header = Header::walk_any(jpeg)?;
    header.check_complete()?;
    if !header.tall {
        return Err(JpegError::Unsupported("it is not 4:2:2 with doubled factors"));
    }
    let mcu = Size::new(16, 16);
    // MCUs as large as those of 4:2:0, and so as many.
    let expected = expected_intervals(Subsampling::Yuv420, header.size, header.restart);
    let (intervals, end) = intervals(jpeg, header.scan, expected)?;
    let restart_interval = (header.restart > 0).then_some(header.restart);
    let (size, subsampling, scan) = (header.size, header.subsampling, header.scan..end);
    Ok(Index { size, subsampling, mcu, restart_interval, quality: None, scan, intervals })
}

/// Size of a JPEG in interchange format, as strictly read as by [`index`] but without looking for its intervals.
pub fn size_of_whole(jpeg: &[u8]) -> Result<Size, JpegError> {
    let header = Header::walk(jpeg)?;
    header.check_complete()?;
    Ok(header.size)
}

/// How many restart intervals a picture of this size has.
pub(super) fn expected_intervals(subsampling: Subsampling, size: Size, restart: u16) -> u64 {
    let (columns, rows) = subsampling.grid(size);
    match restart {
        0 => 1,
        _ => (columns as u64 * rows as u64).div_ceil(u64::from(restart)),
    }
}

/// The entropy-coded intervals from `start` on, exactly `expected` of them, and where EOI stands.
pub(super) fn intervals(jpeg: &[u8], start: usize, expected: u64) -> Result<(Vec<Range<usize>>, usize), JpegError> {
    // An interval takes at least three bytes, so a lying header cannot make this large.
    let capacity = expected.min(jpeg.len() as u64 / 3) as usize;
    let mut found = Vec::with_capacity(capacity);
    let (mut from, mut at) = (start, start);
    loop {
        let end = next_ff(jpeg, at).ok_or(JpegError::Truncated)?;
        let (code, next) = marker(jpeg, end)?;
        if code == 0 {
            at = next;
            continue;
        }
        let in_order = code == EOI || code == RST0 | (found.len() % 8) as u8;
        if !matches!(code, RST0..=EOI) || code == SOI {
            return Err(JpegError::Marker(code));
        }
        if !in_order || from == end {
            return Err(JpegError::RestartOrder);
        }
        found.push(from..end);
        let count = found.len() as u64;
        if code == EOI && count == expected {
            return Ok((found, end));
        }
        if code == EOI || count == expected {
            return Err(JpegError::Restarts { expected, found: count + u64::from(code != EOI) });
        }
        (from, at) = (next, next);
    }
}

/// The code behind the 0xFF at `at` and the offset behind it; 0 is a stuffed data byte. Fill bytes are skipped.
fn marker(jpeg: &[u8], at: usize) -> Result<(u8, usize), JpegError> {
    let first = *jpeg.get(at + 1).ok_or(JpegError::Truncated)?;
    if first != 0xFF {
        return Ok((first, at + 2));
    }
    let behind = jpeg.get(at + 2..).unwrap_or_default();
    let fill = behind.iter().position(|&byte| byte != 0xFF).ok_or(JpegError::Truncated)?;
    match behind[fill] {
        0 => Err(JpegError::Marker(0)),
        code => Ok((code, at + 2 + fill + 1)),
    }
}

/// Offset of the first 0xFF at or behind `from`, eight bytes at a time.
fn next_ff(bytes: &[u8], from: usize) -> Option<usize> {
    let tail = bytes.get(from..)?;
    let (words, rest) = tail.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        // The usual search for a zero byte, in the complement; the lowest hit is always a true one.
        let word = !u64::from_le_bytes(*word);
        let hits = word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080;
        if hits != 0 {
            return Some(from + at * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|&byte| byte == 0xFF).map(|at| from + words.len() * 8 + at)
}

const RST0: u8 = 0xD0;
const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;

#[cfg(test)]
mod tests {
    use super::super::sample::{Random, Sample};
    use super::*;

    #[test]
    fn every_layout_is_read_back() {
        for (subsampling, mcu) in [
            (Subsampling::Yuv420, Size::new(16, 16)),
            (Subsampling::Yuv422, Size::new(16, 8)),
            (Subsampling::Yuv444, Size::new(8, 8)),
            (Subsampling::Grey, Size::new(8, 8)),
        ] {
            let sample = Sample { subsampling, ..Sample::new(500, 281, 4) };
            let jpeg = sample.jpeg(&mut Random(1));
            let index = index(&jpeg).expect("sound");
            assert_eq!((index.size, index.subsampling, index.mcu), (Size::new(500, 281), subsampling, mcu));
            assert_eq!((index.quality, index.restart_interval), (Some(80), Some(4)));
            let (columns, rows) = index.mcus();
            assert_eq!(index.intervals.len(), (columns * rows).div_ceil(4));
            assert_eq!(index.scan.end, jpeg.len() - 2);
        }
    }

    #[test]
    fn foreign_tables_have_no_quality() {
        let mut jpeg = Sample::new(64, 64, 4).jpeg(&mut Random(1));
        let dqt = jpeg.windows(2).position(|w| w == [0xFF, 0xDB]).expect("a table");
        jpeg[dqt + 10] ^= 1;
        assert_eq!(index(&jpeg).expect("sound").quality, None);
    }

    #[test]
    fn nonsense_is_refused() {
        let good = Sample::new(64, 64, 4).jpeg(&mut Random(3));
        let at = |code: u8| good.windows(2).position(|w| w == [0xFF, code]).expect("a marker");
        let changed = |at: usize, value: u8| {
            let mut jpeg = good.clone();
            jpeg[at] = value;
            index(&jpeg)
        };
        let sof = at(0xC0);
        assert_eq!(changed(sof + 1, 0xC2), Err(JpegError::Unsupported("it is not baseline")));
        assert_eq!(changed(sof + 4, 12), Err(JpegError::Unsupported("its samples are not of 8 bits")));
        assert_eq!(changed(sof + 6, 0), Err(JpegError::Unsupported("it has no size")));
        assert_eq!(changed(at(0xD1) + 1, 0xD2), Err(JpegError::RestartOrder));
        assert_eq!(changed(at(0xD9) + 1, 0xD3), Err(JpegError::Restarts { expected: 4, found: 5 }));
        assert_eq!(changed(at(0xDD) + 5, 2), Err(JpegError::Restarts { expected: 8, found: 4 }));
        assert_eq!(changed(at(0xDD) + 5, 0), Err(JpegError::Restarts { expected: 1, found: 2 }));
        assert_eq!(changed(0, 0), Err(JpegError::NotJpeg));
        assert_eq!(index(&good[..good.len() - 1]), Err(JpegError::Truncated));
        assert_eq!(index(&[]), Err(JpegError::NotJpeg));
    }

    #[test]
    fn missing_huffman_tables_are_put_back() {
        let jpeg = Sample::new(64, 64, 4).jpeg(&mut Random(5));
        let first = jpeg.windows(2).position(|w| w == [0xFF, 0xC4]).expect("DHT");
        let mut bare = jpeg.clone();
        bare.drain(first..first + 2 * (33 + 183));
        assert_eq!(index(&bare), Err(JpegError::MissingTable));
        let mended = super::super::tables::with_huffman(&bare).expect("sound");
        assert_eq!(index(&mended).expect("sound").quality, Some(80));
        assert_eq!(super::super::tables::with_huffman(&jpeg).expect("sound"), jpeg);
    }

    #[test]
    fn every_position_of_ff_is_found() {
        for length in 0..40 {
            for at in 0..length {
                let mut bytes = vec![0xFE; length];
                bytes[at] = 0xFF;
                assert_eq!(next_ff(&bytes, 0), Some(at));
                assert_eq!(next_ff(&bytes, at + 1), None);
            }
        }
    }

    #[test]
    fn fill_bytes_belong_to_no_interval() {
        let jpeg = Sample::new(64, 64, 4).jpeg(&mut Random(7));
        let plain = index(&jpeg).expect("sound");
        let mut filled = jpeg.clone();
        for _ in 0..3 {
            filled.insert(plain.intervals[0].end, 0xFF);
        }
        assert_eq!(index(&filled).expect("sound").intervals[0], plain.intervals[0]);
    }
}

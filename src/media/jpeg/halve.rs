//! One picture or slice as two that decode alone, and two as one: what it takes to work on a JPEG with two threads.

use super::header::append_intervals;
use super::index::{expected_intervals, intervals};
use super::join::{abbreviated, append_whole_header};
use super::{Index, JpegError, Slice, index};
use crate::units::Size;

/// How a JPEG was halved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halves {
    /// Of the whole.
    pub size: Size,
    /// Rows of pixels in the upper half.
    pub upper_rows: u16,
    /// The tables both halves need.
    pub quality: u8,
}

/// Cuts between two rows of MCUs, as near as possible to the middle of the bytes, and puts the halves, in abbreviated
/// format, into the two buffers. `tables` as for the decoder: 0 if `body` is in interchange format, else its quality.
///
/// `None` if there is nothing to cut between: one row, restart intervals that straddle rows, tables of its own.
pub fn halve(tables: u8, body: &[u8], upper: &mut Vec<u8>, lower: &mut Vec<u8>) -> Option<Halves> {
    let index = if tables == 0 { index(body) } else { index_of_slice(tables, body) }.ok()?;
    let (quality, restart) = (index.quality?, usize::from(index.restart_interval?));
    let (columns, rows) = index.mcus();
    if !columns.is_multiple_of(restart) || rows < 2 {
        return None;
    }
    let per_row = columns / restart;
    let half = index.scan.start + index.scan.len() / 2;
    let row = (1..rows).find(|row| index.intervals[row * per_row].start >= half).unwrap_or(rows - 1);
    let upper_rows = row as u16 * index.mcu.height;
    let width = index.size.width;
    let slices = [
        Slice { x8: 0, y8: 0, width, height: upper_rows, intervals: 0..row * per_row },
        Slice { x8: 0, y8: 0, width, height: index.size.height - upper_rows, intervals: row * per_row..rows * per_row },
    ];
    for (slice, out) in slices.iter().zip([upper, lower]) {
        out.clear();
        slice.write(&index, body, out);
    }
    Some(Halves { size: index.size, upper_rows, quality })
}

/// One JPEG of two that were encoded alone with the tables of one quality, the second standing below the first; byte
/// for byte what libjpeg writes for both in one. The upper one ends with a row of MCUs and its last restart interval.
pub fn stack(upper: (&[u8], &Index), lower: (&[u8], &Index)) -> Result<(Vec<u8>, Index), JpegError> {
    let (above, below) = (upper.1, lower.1);
    let alike = |index: &Index| (index.size.width, index.subsampling, index.restart_interval, index.quality);
    let (Some(quality), Some(restart)) = (above.quality, above.restart_interval) else {
        return Err(JpegError::Slices("they have no restart interval, or tables of their own"));
    };
    let size = Size::new(above.size.width, above.size.height.saturating_add(below.size.height));
    let expected = expected_intervals(above.subsampling, size, restart);
    let count = above.intervals.len() + below.intervals.len();
    let on_grid = above.size.height.is_multiple_of(above.mcu.height);
    if alike(above) != alike(below) || !on_grid || expected != count as u64 {
        return Err(JpegError::Slices("they do not fit together"));
    }
    let mut jpeg = Vec::with_capacity(upper.0.len() + lower.0.len());
    append_whole_header(size, quality, above.subsampling, restart, &mut jpeg);
    let start = jpeg.len();
    append_intervals(intervals_of(upper).chain(intervals_of(lower)), &mut jpeg);
    let mut at = start;
    let lengths = above.intervals.iter().chain(&below.intervals).map(std::iter::ExactSizeIterator::len);
    let intervals = lengths.map(|length| {
        let range = at..at + length;
        at = range.end + MARKER;
        range
    });
    let intervals = intervals.collect();
    let index = Index { size, scan: start..jpeg.len() - MARKER, intervals, ..above.clone() };
    Ok((jpeg, index))
}

fn intervals_of<'a>((jpeg, index): (&'a [u8], &'a Index)) -> impl Iterator<Item = &'a [u8]> {
    index.intervals.iter().map(move |range| &jpeg[range.clone()])
}

/// The index of a slice whose tables are known from elsewhere.
fn index_of_slice(quality: u8, body: &[u8]) -> Result<Index, JpegError> {
    let header = abbreviated(body)?;
    let expected = expected_intervals(header.subsampling, header.size, header.restart);
    let (intervals, end) = intervals(body, header.scan, expected)?;
    Ok(Index {
        size: header.size,
        subsampling: header.subsampling,
        mcu: header.subsampling.mcu(),
        restart_interval: (header.restart > 0).then_some(header.restart),
        quality: Some(quality),
        scan: header.scan..end,
        intervals,
    })
}

/// Bytes of a restart marker.
const MARKER: usize = 2;

#[cfg(test)]
mod tests {
    use super::super::Subsampling;
    use super::super::sample::{Random, Sample, cut};
    use super::*;

    fn halved(tables: u8, body: &[u8]) -> Option<(Halves, Vec<u8>, Vec<u8>)> {
        let (mut upper, mut lower) = (vec![1], vec![2, 3]);
        halve(tables, body, &mut upper, &mut lower).map(|halves| (halves, upper, lower))
    }

    #[test]
    fn halves_stacked_are_the_whole_again() {
        for sample in [
            Sample::new(1_280, 720, 16),
            Sample::new(500, 281, 16),
            Sample::new(16, 17, 1),
            Sample { subsampling: Subsampling::Yuv422, ..Sample::new(333, 201, 7) },
            Sample { subsampling: Subsampling::Yuv444, ..Sample::new(333, 201, 7) },
            Sample { subsampling: Subsampling::Grey, ..Sample::new(333, 201, 7) },
        ] {
            let jpeg = sample.jpeg(&mut Random(9));
            let (halves, upper, lower) = halved(0, &jpeg).expect("two rows at least");
            let indices = [&upper, &lower].map(|half| index_of_slice(halves.quality, half).expect("sound"));
            assert_eq!(
                (halves.upper_rows, halves.size),
                (indices[0].size.height, Size::new(sample.width, sample.height))
            );
            let (stacked, stacked_index) = stack((&upper, &indices[0]), (&lower, &indices[1])).expect("fits together");
            assert!(stacked == jpeg, "byte for byte");
            assert_eq!(stacked_index, index(&jpeg).expect("sound"));
            let turned = stack((&lower, &indices[1]), (&upper, &indices[0]));
            assert!(turned.is_err() || indices[1].size.height.is_multiple_of(indices[1].mcu.height));
        }
    }

    #[test]
    fn halves_have_half_the_bytes_each() {
        let jpeg = Sample::new(1_280, 720, 16).jpeg(&mut Random(3));
        for (_, _, body) in cut(&jpeg, jpeg.len() / 3).into_iter().take(2) {
            let (_, upper, lower) = halved(80, &body).expect("several rows");
            assert!(upper.len().abs_diff(lower.len()) < body.len() / 8, "{} and {}", upper.len(), lower.len());
        }
    }

    #[test]
    fn what_cannot_be_halved_is_left_alone() {
        let one_row = Sample::new(320, 16, 10).jpeg(&mut Random(1));
        let no_restarts = Sample::new(320, 240, 0).jpeg(&mut Random(1));
        let straddling = Sample::new(320, 240, 13).jpeg(&mut Random(1));
        let mut foreign = Sample::new(320, 240, 10).jpeg(&mut Random(1));
        assert!(halved(0, &foreign).is_some() && halved(80, &foreign).is_none(), "it has tables of its own");
        let dqt = foreign.windows(2).position(|w| w == [0xFF, 0xDB]).expect("a table");
        foreign[dqt + 10] ^= 1;
        for body in [one_row, no_restarts, straddling, foreign] {
            assert!(halved(0, &body).is_none());
        }
    }
}

//! Cutting a JPEG between its restart intervals into slices that each fit one datagram and decode alone.

use std::ops::Range;

use super::Index;
use super::header::{SOI, append_frame, append_intervals, append_restart, append_scan};
use crate::units::Size;

/// A rectangle of whole MCUs: a run of restart intervals within one row of them, or whole rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Left and upper edge in units of 8 pixels.
    pub x8: u16,
    pub y8: u16,
    /// In pixels; at the right and lower edge what remains of the picture.
    pub width: u16,
    pub height: u16,
    /// Positions in [`Index::intervals`].
    pub intervals: Range<usize>,
}

/// One restart interval alone does not fit: encode again with the next smaller interval, or with less quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a restart interval of {interval_bytes} bytes does not fit one datagram")]
pub struct TooBig {
    pub interval_bytes: usize,
}

/// The restart interval to encode with: the largest divisor of the MCUs per row not above 16 (step 0), then the next
/// smaller ones; `None` when there is no smaller one.
pub fn restart_interval(mcus_per_row: u16, step: u8) -> Option<u16> {
    let divisors = (1..=LARGEST_INTERVAL.min(mcus_per_row)).rev();
    divisors.filter(|&divisor| mcus_per_row.is_multiple_of(divisor)).nth(usize::from(step))
}

/// Cuts a picture into as few slices as possible, none larger than `body_max` bytes; in picture order.
///
/// Empty when the whole JPEG of `jpeg_len` bytes fits: send it as it is. Slices carry no tables, so a picture whose
/// [`Index::quality`] is `None` needs them sent otherwise.
pub fn plan(index: &Index, jpeg_len: usize, body_max: usize) -> Result<Vec<Slice>, TooBig> {
    if jpeg_len <= body_max {
        return Ok(Vec::new());
    }
    plan_slices(index, body_max)
}

/// Cuts a picture into [`FINE`] slices at least, as far as restart intervals allow it, none larger than `body_max` bytes.
pub fn plan_finely(index: &Index, body_max: usize) -> Result<Vec<Slice>, TooBig> {
    let largest = index.intervals.iter().map(Range::len).max().unwrap_or(0);
    let part = scan_len(&index.intervals).div_ceil(FINE).max(largest);
    plan_slices(index, body_max.min(overhead(index) + part))
}

fn plan_slices(index: &Index, body_max: usize) -> Result<Vec<Slice>, TooBig> {
    let layout = IntervalGrid::of(index).ok_or(TooBig { interval_bytes: index.scan.len() })?;
    let budget = body_max.saturating_sub(overhead(index));
    let mut slices = Vec::with_capacity(scan_len(&index.intervals) / body_max.max(1) + layout.bands);
    let mut band = 0;
    while band < layout.bands {
        let whole = fitting(index, layout.band_starts(band), layout.columns, budget);
        if whole > 0 {
            slices.push(layout.rows(index, band..band + whole));
            band += whole;
        } else {
            split_band(index, &layout, band, budget, &mut slices)?;
            band += 1;
        }
    }
    Ok(slices)
}

/// Parity of fewer slices would be too large a part of a picture.
pub const FINE: usize = 8;

impl Slice {
    /// Appends this slice of `jpeg` in abbreviated format (T.81 B.5): no tables, restart markers counted from RST0.
    ///
    /// # Panics
    /// If `index` is not that of `jpeg`, or the slice not from a plan of it.
    pub fn write(&self, index: &Index, jpeg: &[u8], out: &mut Vec<u8>) {
        out.reserve(self.encoded_len(index));
        out.extend_from_slice(&SOI);
        append_restart(index.restart_interval.unwrap_or(0), out);
        append_frame(Size::new(self.width, self.height), index.subsampling, out);
        append_scan(index.subsampling, out);
        append_intervals(index.intervals[self.intervals.clone()].iter().map(|range| &jpeg[range.clone()]), out);
    }

    /// Exactly the bytes [`Slice::write`] appends.
    pub fn encoded_len(&self, index: &Index) -> usize {
        overhead(index) + scan_len(&index.intervals[self.intervals.clone()])
    }
}

/// How restart intervals tile the picture: bands of one MCU row, or of several that share one interval.
struct IntervalGrid {
    /// Intervals per band.
    columns: usize,
    bands: usize,
    /// Pixels of one interval.
    cell: (usize, usize),
}

impl IntervalGrid {
    /// `None` when intervals straddle rows, or there are none.
    fn of(index: &Index) -> Option<Self> {
        let interval = usize::from(index.restart_interval?);
        let (per_row, rows) = index.mcus();
        let (width, height) = (usize::from(index.mcu.width), usize::from(index.mcu.height));
        if per_row.is_multiple_of(interval) {
            Some(Self { columns: per_row / interval, bands: rows, cell: (interval * width, height) })
        } else if interval.is_multiple_of(per_row) {
            let rows_each = interval / per_row;
            Some(Self { columns: 1, bands: rows.div_ceil(rows_each), cell: (per_row * width, rows_each * height) })
        } else {
            None
        }
    }

    /// The first interval of this band and of all behind it.
    fn band_starts(&self, band: usize) -> impl Iterator<Item = usize> {
        (band..self.bands).map(|band| band * self.columns)
    }

    fn rows(&self, index: &Index, bands: Range<usize>) -> Slice {
        self.slice(index, bands, 0..self.columns)
    }

    fn slice(&self, index: &Index, bands: Range<usize>, columns: Range<usize>) -> Slice {
        let (left, top) = (columns.start * self.cell.0, bands.start * self.cell.1);
        let width = (columns.len() * self.cell.0).min(usize::from(index.size.width) - left);
        let height = (bands.len() * self.cell.1).min(usize::from(index.size.height) - top);
        let first = bands.start * self.columns + columns.start;
        let last = (bands.end - 1) * self.columns + columns.end;
        let [x8, y8, width, height] = [left / 8, top / 8, width, height].map(|value| value as u16);
        Slice { x8, y8, width, height, intervals: first..last }
    }
}

/// How many groups of `count` intervals, one behind the other, fit the budget together.
fn fitting(index: &Index, starts: impl Iterator<Item = usize>, count: usize, budget: usize) -> usize {
    let mut used = 0;
    starts
        .take_while(|&start| {
            let separator = if used == 0 { 0 } else { MARKER };
            used += separator + scan_len(&index.intervals[start..start + count]);
            used <= budget
        })
        .count()
}

/// One band that does not fit alone: runs of its intervals.
fn split_band(
    index: &Index,
    layout: &IntervalGrid,
    band: usize,
    budget: usize,
    slices: &mut Vec<Slice>,
) -> Result<(), TooBig> {
    let first = band * layout.columns;
    let mut column = 0;
    while column < layout.columns {
        let run = fitting(index, first + column..first + layout.columns, 1, budget);
        if run == 0 {
            return Err(TooBig { interval_bytes: index.intervals[first + column].len() });
        }
        slices.push(layout.slice(index, band..band + 1, column..column + run));
        column += run;
    }
    Ok(())
}

/// Entropy-coded bytes with the markers between them.
fn scan_len(intervals: &[Range<usize>]) -> usize {
    intervals.iter().map(|range| range.len() + MARKER).sum::<usize>().saturating_sub(MARKER)
}

/// Bytes of SOI, DRI, SOF0, SOS and EOI together: 43 for colour, 33 for grey.
fn overhead(index: &Index) -> usize {
    let components = index.subsampling.components();
    2 + 6 + (10 + 3 * components) + (8 + 2 * components) + 2
}

/// Bytes of a restart marker.
const MARKER: usize = 2;
const LARGEST_INTERVAL: u16 = 16;

#[cfg(test)]
mod tests {
    use super::super::sample::{Random, Sample};
    use super::super::{Subsampling, header_of_slice, index};
    use super::*;

    #[test]
    fn restart_intervals_are_divisors_from_large_to_small() {
        let steps = |per_row| (0..).map_while(|step| restart_interval(per_row, step)).collect::<Vec<_>>();
        assert_eq!(steps(80), [16, 10, 8, 5, 4, 2, 1]);
        assert_eq!(steps(120), [15, 12, 10, 8, 6, 5, 4, 3, 2, 1]);
        assert_eq!(steps(11), [11, 1]);
        assert_eq!(steps(17), [1]);
        assert!(steps(0).is_empty());
    }

    /// Every pixel is in exactly one slice, no slice is too large, and none could have taken in its successor.
    fn check(sample: Sample, body_max: usize) {
        let jpeg = sample.jpeg(&mut Random(u64::from(sample.restart)));
        let index = index(&jpeg).expect("sound");
        let slices = plan(&index, jpeg.len(), body_max).expect("fits");
        assert_eq!(slices.is_empty(), jpeg.len() <= body_max);
        if slices.is_empty() {
            return;
        }
        let mut next = 0;
        let mut area = 0;
        for slice in &slices {
            let mut body = Vec::new();
            slice.write(&index, &jpeg, &mut body);
            assert_eq!(body.len(), slice.encoded_len(&index));
            assert!(body.len() <= body_max, "{} of {body_max}", body.len());
            let header = header_of_slice(&body).expect("sound");
            assert_eq!((header.width, header.height), (slice.width, slice.height));
            assert_eq!(slice.intervals.start, next);
            next = slice.intervals.end;
            area += usize::from(slice.width) * usize::from(slice.height);
        }
        assert_eq!((next, area), (index.intervals.len(), index.size.pixels()));
        for pair in slices.windows(2).filter(|pair| pair[0].y8 == pair[1].y8) {
            let following = index.intervals[pair[1].intervals.start].len() + MARKER;
            assert!(pair[0].encoded_len(&index) + following > body_max, "greedy");
        }
    }

    #[test]
    fn slices_tile_the_picture() {
        for body_max in [500, 1_080, 1_332, 8_832] {
            check(Sample::new(1_280, 720, 16), body_max);
            check(Sample::new(500, 281, 16), body_max);
            check(Sample::new(1_920, 1_080, 15), body_max);
            check(Sample::new(1_280, 720, 160), body_max.max(8_832));
            for subsampling in [Subsampling::Yuv422, Subsampling::Yuv444, Subsampling::Grey] {
                check(Sample { subsampling, ..Sample::new(333, 201, 3) }, body_max);
            }
        }
    }

    #[test]
    fn what_fits_is_not_cut_and_what_cannot_be_cut_says_so() {
        let jpeg = Sample::new(1_280, 720, 16).jpeg(&mut Random(1));
        let whole = index(&jpeg).expect("sound");
        assert_eq!(plan(&whole, jpeg.len(), jpeg.len()), Ok(Vec::new()));
        assert_eq!(plan(&whole, jpeg.len(), 0), Err(TooBig { interval_bytes: whole.intervals[0].len() }));
        let jpeg = Sample::new(1_280, 720, 0).jpeg(&mut Random(1));
        let index = index(&jpeg).expect("sound");
        assert_eq!(plan(&index, jpeg.len(), 1_000), Err(TooBig { interval_bytes: index.scan.len() }));
    }
}

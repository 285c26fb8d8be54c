//! The other way round: a slice with its tables is a JPEG any decoder takes, and a complete set of slices is the
//! picture that was cut, byte for byte as libjpeg wrote it.

use super::header::{Header, JFIF, SOI, append_frame, append_intervals, append_restart, append_scan};
use super::index::{expected_intervals, intervals};
use super::{JpegError, Subsampling, tables};
use crate::units::Size;

/// What a slice says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceHeader {
    pub width: u16,
    pub height: u16,
    pub subsampling: Subsampling,
    /// MCUs from one restart marker to the next, 0 = none.
    pub restart_interval: u16,
}

/// Reads the header of a JPEG in abbreviated format: one without tables, choosing the usual ones.
pub fn header_of_slice(body: &[u8]) -> Result<SliceHeader, JpegError> {
    abbreviated(body).map(|header| slice_header(&header))
}

/// Appends a slice with the tables of `quality` put in: a JPEG in interchange format.
pub fn whole(quality: u8, slice_body: &[u8], out: &mut Vec<u8>) -> Result<SliceHeader, JpegError> {
    let header = abbreviated(slice_body)?;
    check_quality(quality)?;
    out.extend_from_slice(&SOI);
    tables::append_tables(quality, header.subsampling == Subsampling::Grey, out);
    out.extend_from_slice(slice_body.get(SOI.len()..).unwrap_or_default());
    Ok(slice_header(&header))
}

/// Makes one JPEG of all slices of a picture, in any order; each is (x8, y8, body).
pub fn join(size: Size, quality: u8, slices: &[(u16, u16, &[u8])]) -> Result<Vec<u8>, JpegError> {
    check_quality(quality)?;
    let first = slices.first().ok_or(JpegError::Slices("there are none"))?;
    let layout = RestartLayout::of(&abbreviated(first.2)?);
    let bytes: usize = slices.iter().map(|slice| slice.2.len()).sum();
    let mut found = Vec::new();
    for &slice in slices {
        let (other, placed) = RestartLayout::place(size, slice)?;
        if other != layout {
            return Err(JpegError::Slices("they differ in layout"));
        }
        found.extend(placed);
    }
    found.sort_unstable_by_key(|&(position, _)| position);
    let in_order = found.iter().zip(0..).all(|(&(position, _), expected)| position == expected);
    if !in_order || found.len() as u64 != layout.intervals(size) {
        return Err(JpegError::Slices("some are missing or overlap"));
    }
    Ok(layout.write(size, quality, bytes, found.iter().map(|&(_, interval)| interval)))
}

/// What all slices of a picture have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RestartLayout {
    pub subsampling: Subsampling,
    /// MCUs from one restart marker to the next, 0 = none.
    pub restart: u16,
}

impl RestartLayout {
    const fn of(header: &Header<'_>) -> Self {
        Self { subsampling: header.subsampling, restart: header.restart }
    }

    /// The restart intervals of one slice with their positions in the picture.
    pub fn place(
        size: Size,
        (x8, y8, body): (u16, u16, &[u8]),
    ) -> Result<(Self, impl Iterator<Item = (u64, &[u8])>), JpegError> {
        let header = abbreviated(body)?;
        let (position, count) = place(&header, size, x8, y8)?;
        let (ranges, _) = intervals(body, header.scan, count)?;
        let placed = (position..).zip(ranges.into_iter().map(move |range| body.get(range).unwrap_or_default()));
        Ok((Self::of(&header), placed))
    }

    /// How many restart intervals a whole picture has.
    pub fn intervals(self, size: Size) -> u64 {
        expected_intervals(self.subsampling, size, self.restart)
    }

    /// The whole picture of all its intervals, which have about so many bytes together.
    pub fn write<'a>(
        self,
        size: Size,
        quality: u8,
        bytes: usize,
        intervals: impl Iterator<Item = &'a [u8]>,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes + WHOLE_HEADER_MAX);
        append_whole_header(size, quality, self.subsampling, self.restart, &mut out);
        append_intervals(intervals, &mut out);
        out
    }
}

/// The order in which libjpeg writes its segments.
pub(super) fn append_whole_header(size: Size, quality: u8, subsampling: Subsampling, restart: u16, out: &mut Vec<u8>) {
    let grey = subsampling == Subsampling::Grey;
    out.extend_from_slice(&SOI);
    out.extend_from_slice(&JFIF);
    tables::append_quantisation(quality, grey, out);
    append_frame(size, subsampling, out);
    tables::append_huffman(grey, out);
    append_restart(restart, out);
    append_scan(subsampling, out);
}

/// The position of a slice's first restart interval in the picture, and how many it holds.
fn place(header: &Header<'_>, picture: Size, x8: u16, y8: u16) -> Result<(u64, u64), JpegError> {
    let mcu = header.subsampling.mcu();
    let (per_row, _) = header.subsampling.grid(picture);
    let (columns, rows) = header.subsampling.grid(header.size);
    let left = edge(x8, header.size.width, picture.width, mcu.width)?;
    let top = edge(y8, header.size.height, picture.height, mcu.height)?;
    let restart = u64::from(header.restart);
    if restart == 0 {
        return Err(JpegError::Slices("they have no restart interval"));
    }
    let first = top as u64 * per_row as u64 + left as u64;
    let count = columns as u64 * rows as u64;
    let tiles = columns == per_row || (rows == 1 && count.is_multiple_of(restart));
    let ends_picture = top + rows == header.subsampling.grid(picture).1;
    if !tiles || !first.is_multiple_of(restart) || !(count.is_multiple_of(restart) || ends_picture) {
        return Err(JpegError::Slices("one does not lie on the grid of restart intervals"));
    }
    Ok((first / restart, count.div_ceil(restart)))
}

/// The MCU at which a slice begins along one axis; it must end on an MCU too, or with the picture.
fn edge(start8: u16, length: u16, picture: u16, mcu: u16) -> Result<usize, JpegError> {
    let start = usize::from(start8) * 8;
    let (end, picture, mcu) = (start + usize::from(length), usize::from(picture), usize::from(mcu));
    let on_grid = start.is_multiple_of(mcu) && (end.is_multiple_of(mcu) || end == picture);
    if end <= picture && on_grid {
        Ok(start / mcu)
    } else {
        Err(JpegError::Slices("one lies outside the picture or off its grid"))
    }
}

pub(super) fn abbreviated(body: &[u8]) -> Result<Header<'_>, JpegError> {
    let header = Header::walk(body)?;
    header.check_abbreviated()?;
    Ok(header)
}

fn slice_header(header: &Header<'_>) -> SliceHeader {
    let Size { width, height } = header.size;
    SliceHeader { width, height, subsampling: header.subsampling, restart_interval: header.restart }
}

pub(super) fn check_quality(quality: u8) -> Result<(), JpegError> {
    if (1..=100).contains(&quality) { Ok(()) } else { Err(JpegError::Quality(quality)) }
}

/// Room for everything before the entropy-coded data of a colour picture.
const WHOLE_HEADER_MAX: usize = 640;

#[cfg(test)]
mod tests {
    use super::super::sample::{Random, Sample, cut};
    use super::super::{fuzz_jpeg, index};
    use super::*;

    #[test]
    fn joined_slices_are_the_picture_that_was_cut() {
        for sample in [
            Sample::new(1_280, 720, 16),
            Sample::new(500, 281, 16),
            Sample::new(333, 201, 7),
            Sample::new(1_280, 720, 160),
            Sample { subsampling: Subsampling::Yuv422, ..Sample::new(333, 201, 7) },
            Sample { subsampling: Subsampling::Yuv444, ..Sample::new(333, 201, 7) },
            Sample { subsampling: Subsampling::Grey, ..Sample::new(333, 201, 7) },
        ] {
            let jpeg = sample.jpeg(&mut Random(9));
            let mut slices = cut(&jpeg, jpeg.len() / 3);
            slices.reverse();
            let slices: Vec<_> = slices.iter().map(|(x8, y8, body)| (*x8, *y8, body.as_slice())).collect();
            assert!(slices.len() > 1);
            assert_eq!(join(Size::new(sample.width, sample.height), 80, &slices).as_ref(), Ok(&jpeg));
        }
    }

    #[test]
    fn incomplete_or_misplaced_slices_are_refused() {
        let jpeg = Sample::new(320, 240, 10).jpeg(&mut Random(2));
        let owned = cut(&jpeg, 3_000);
        let slices: Vec<_> = owned.iter().map(|(x8, y8, body)| (*x8, *y8, body.as_slice())).collect();
        let size = Size::new(320, 240);
        assert!(join(size, 80, &slices).is_ok());
        assert_eq!(join(size, 0, &slices), Err(JpegError::Quality(0)));
        assert_eq!(join(size, 80, &[]), Err(JpegError::Slices("there are none")));
        assert!(join(size, 80, &slices[1..]).is_err());
        assert!(join(Size::new(336, 240), 80, &slices).is_err());
        let doubled: Vec<_> = slices.iter().chain(&slices[..1]).copied().collect();
        assert!(join(size, 80, &doubled).is_err());
        let mut moved = slices.clone();
        moved[0].0 += 1;
        assert!(join(size, 80, &moved).is_err());
    }

    #[test]
    fn a_slice_with_its_tables_is_a_whole_picture() {
        let jpeg = Sample::new(320, 240, 10).jpeg(&mut Random(2));
        for (_, _, body) in cut(&jpeg, 3_000) {
            let mut out = Vec::new();
            let header = whole(80, &body, &mut out).expect("sound");
            let index = index(&out).expect("sound");
            assert_eq!((index.size, index.quality), (Size::new(header.width, header.height), Some(80)));
            assert_eq!(header_of_slice(&out), Err(JpegError::Tables), "it has tables now");
        }
        assert_eq!(header_of_slice(&jpeg), Err(JpegError::Tables));
    }

    #[test]
    fn twenty_thousand_mutations_are_refused_or_sane() {
        let mut random = Random(2026);
        let pictures: Vec<_> =
            [Sample::new(176, 144, 11), Sample { subsampling: Subsampling::Grey, ..Sample::new(40, 33, 5) }]
                .map(|sample| (Size::new(sample.width, sample.height), sample.jpeg(&mut random)))
                .into_iter()
                .map(|(size, jpeg)| (size, cut(&jpeg, jpeg.len() / 3), jpeg))
                .collect();
        let mut accepted = 0;
        for round in 0..20_000 {
            let (size, slices, jpeg) = &pictures[round % pictures.len()];
            fuzz_jpeg(&random.mutate(jpeg));
            let mut bodies: Vec<_> = slices.iter().map(|(x8, y8, body)| (*x8, *y8, body.clone())).collect();
            let victim = random.below(bodies.len());
            bodies[victim].2 = random.mutate(&bodies[victim].2);
            let _ = header_of_slice(&bodies[victim].2);
            let borrowed: Vec<_> = bodies.iter().map(|(x8, y8, body)| (*x8, *y8, body.as_slice())).collect();
            if let Ok(joined) = join(*size, 80, &borrowed) {
                assert_eq!(index(&joined).expect("sane").size, *size);
                accepted += 1;
            }
        }
        assert!((1_000..19_000).contains(&accepted), "{accepted}: the mutations miss what they aim at");
    }
}

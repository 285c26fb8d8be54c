//! The tables that never travel: Annex K quantisation (ITU-T T.81) with libjpeg's quality scaling, and the standard
//! Huffman tables, as the very segments libjpeg writes. Also mends camera pictures that leave their Huffman tables out.

use std::borrow::Cow;

use super::JpegError;
use super::header::Header;

/// The DQT and DHT segments of one quality, in libjpeg's order: quantisation first, then DC and AC per component kind.
///
/// Qualities outside 1..=100 are clamped, as libjpeg does.
pub fn header(quality: u8, grey: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(COLOUR_BYTES);
    append_quantisation(quality, grey, &mut out);
    append_huffman(grey, &mut out);
    out
}

/// Appends what [`header`] returns.
pub fn append_tables(quality: u8, grey: bool, out: &mut Vec<u8>) {
    append_quantisation(quality, grey, out);
    append_huffman(grey, out);
}

/// A picture with its Huffman tables: motion JPEG from cameras leaves the standard ones out (they go before SOS).
pub fn with_huffman(jpeg: &[u8]) -> Result<Cow<'_, [u8]>, JpegError> {
    let header = Header::walk(jpeg)?;
    if header.has_huffman {
        return Ok(Cow::Borrowed(jpeg));
    }
    let (before, after) = jpeg.split_at_checked(header.sos).ok_or(JpegError::Truncated)?;
    let mut out = Vec::with_capacity(jpeg.len() + COLOUR_BYTES);
    out.extend_from_slice(before);
    append_huffman(false, &mut out);
    out.extend_from_slice(after);
    Ok(Cow::Owned(out))
}

pub(super) fn append_quantisation(quality: u8, grey: bool, out: &mut Vec<u8>) {
    for kind in 0..kinds(grey) {
        out.extend_from_slice(&[0xFF, 0xDB, 0, 67, kind as u8]);
        out.extend(quantisation(kind, quality));
    }
}

/// Annex K's steps of this kind (0 luma, 1 chroma) at this quality, in zigzag order.
pub(super) fn quantisation(kind: usize, quality: u8) -> impl Iterator<Item = u8> {
    let base = if kind == 0 { &LUMA } else { &CHROMA };
    ZIGZAG.iter().map(move |&at| scaled(base[usize::from(at)], quality))
}

pub(super) fn append_huffman(grey: bool, out: &mut Vec<u8>) {
    for (id, (dc, ac)) in HUFFMAN.iter().enumerate().take(kinds(grey)) {
        append_one_huffman(id as u8, dc, out);
        append_one_huffman(0x10 | id as u8, ac, out);
    }
}

fn append_one_huffman(class_and_id: u8, table: &Huffman, out: &mut Vec<u8>) {
    let length = (2 + 1 + 16 + table.values.len()) as u16;
    out.extend_from_slice(&[0xFF, 0xC4]);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(class_and_id);
    out.extend_from_slice(&table.counts);
    out.extend_from_slice(table.values);
}

/// The quality at which Annex K's table of this kind (0 luma, 1 chroma) equals `table` (64 steps in zigzag order).
pub(super) fn quality_of(table: &[u8], kind: usize) -> Option<u8> {
    (1..=100).find(|&quality| is_annex_k(table, kind, quality))
}

/// Whether `table` is Annex K's of this kind at this quality.
pub(super) fn is_annex_k(table: &[u8], kind: usize, quality: u8) -> bool {
    table.iter().copied().eq(quantisation(kind, quality))
}

/// The step by which luma's mean is quantised.
pub(super) fn luma_step(quality: u8) -> u8 {
    scaled(LUMA[0], quality)
}

/// Whether `table` (16 counts, then the values) is the standard one of this kind (0 luma, 1 chroma).
pub(super) fn is_standard_huffman(table: &[u8], kind: usize, ac: bool) -> bool {
    let standard = huffman(kind, ac);
    table.split_at_checked(16).is_some_and(|(counts, values)| (counts, values) == (standard.0, standard.1))
}

/// Counts of codes by length and the values of the standard table of this kind (0 luma, 1 chroma).
pub(super) fn huffman(kind: usize, ac: bool) -> (&'static [u8; 16], &'static [u8]) {
    let (dc_table, ac_table) = if kind == 0 { &HUFFMAN[0] } else { &HUFFMAN[1] };
    let table = if ac { ac_table } else { dc_table };
    (&table.counts, table.values)
}

fn kinds(grey: bool) -> usize {
    if grey { 1 } else { 2 }
}

/// libjpeg's `jpeg_quality_scaling` and `jpeg_add_quant_table`, limited to the baseline range.
fn scaled(base: u8, quality: u8) -> u8 {
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 { 5_000 / quality } else { 200 - 2 * quality };
    ((u32::from(base) * percent + 50) / 100).clamp(1, 255) as u8
}

struct Huffman {
    counts: [u8; 16],
    values: &'static [u8],
}

/// Bytes of all segments of a colour picture: two DQT of 69, DHT of 33, 183, 33 and 183.
const COLOUR_BYTES: usize = 2 * 69 + 2 * (33 + 183);

/// Position in the 8 × 8 block of the n-th coefficient as it is written (T.81 figure A.6).
#[rustfmt::skip]
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// T.81 table K.1.
#[rustfmt::skip]
const LUMA: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];

/// T.81 table K.2.
#[rustfmt::skip]
const CHROMA: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
];

/// T.81 tables K.3 to K.6: DC and AC of luma, DC and AC of chroma.
static HUFFMAN: [(Huffman, Huffman); 2] = [
    (
        Huffman { counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], values: &DC_VALUES },
        Huffman { counts: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D], values: &LUMA_AC_VALUES },
    ),
    (
        Huffman { counts: [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], values: &DC_VALUES },
        Huffman { counts: [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], values: &CHROMA_AC_VALUES },
    ),
];

const DC_VALUES: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

#[rustfmt::skip]
const LUMA_AC_VALUES: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3,
    0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
    0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
    0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];

#[rustfmt::skip]
const CHROMA_AC_VALUES: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0, 0x15, 0x62, 0x72, 0xD1,
    0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A,
    0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA,
    0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA,
    0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_the_lengths_they_declare() {
        assert_eq!(header(80, false).len(), COLOUR_BYTES);
        assert_eq!(header(80, true).len(), COLOUR_BYTES / 2);
        for (dc, ac) in &HUFFMAN {
            for table in [dc, ac] {
                assert_eq!(table.counts.iter().map(|&n| usize::from(n)).sum::<usize>(), table.values.len());
            }
        }
        let mut order = ZIGZAG;
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(at, &value)| at == usize::from(value)));
    }

    #[test]
    fn quality_is_read_back_from_the_table() {
        for quality in 1..=100 {
            let segments = header(quality, false);
            assert_eq!(quality_of(&segments[5..69], 0), Some(quality));
            assert!(is_annex_k(&segments[74..138], 1, quality));
        }
        assert_eq!(quality_of(&[7; 64], 0), None);
        assert_eq!(quality_of(&[7; 63], 0), None);
    }
}

//! Uncoded pictures as cameras arrange them → full-range BT.601 4:2:0, the only colour the wire knows. Cameras mean limited
//! range and BT.601 by YUV, whatever their size; their RGB is that of a screen.

use crate::media::Picture;
use crate::media::convert::Conversion;
use crate::units::Size;

/// How the samples lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// 4:2:2 in one plane; where in four bytes the first Y and U and V are.
    Packed {
        y: usize,
        u: usize,
        v: usize,
    },
    /// 4:2:0: a plane of Y, and one of U and V in turns (or V and U).
    Paired {
        swapped: bool,
    },
    /// Three planes; whether chroma has half the width, and half the height.
    Planar {
        half_width: bool,
        half_height: bool,
    },
    Grey,
    /// Bytes of a pixel, and which of them is red; green is second and blue the other.
    Rgb {
        bytes: usize,
        red: usize,
    },
}

impl Arrangement {
    /// By the four letters that ffmpeg calls it.
    pub const fn of(code: [u8; 4]) -> Option<Self> {
        Some(match &code {
            b"YUY2" | b"YUYV" => Self::Packed { y: 0, u: 1, v: 3 },
            b"YVYU" => Self::Packed { y: 0, u: 3, v: 1 },
            b"UYVY" => Self::Packed { y: 1, u: 0, v: 2 },
            b"NV12" => Self::Paired { swapped: false },
            b"NV21" => Self::Paired { swapped: true },
            b"I420" => Self::Planar { half_width: true, half_height: true },
            b"Y42B" => Self::Planar { half_width: true, half_height: false },
            b"444P" => Self::Planar { half_width: false, half_height: false },
            b"Y800" | b"GREY" => Self::Grey,
            b"BGR\0" | b"BGRA" => Self::Rgb { bytes: 4, red: 2 },
            b"RGB\0" | b"RGBA" => Self::Rgb { bytes: 4, red: 0 },
            b"BGR\x18" => Self::Rgb { bytes: 3, red: 2 },
            b"RGB\x18" => Self::Rgb { bytes: 3, red: 0 },
            _ => return None,
        })
    }

    /// Bytes of one picture.
    pub const fn bytes(self, size: Size) -> usize {
        let (half, pixels) = (Picture::chroma(size), size.pixels());
        match self {
            Self::Packed { .. } => 4 * half.width as usize * size.height as usize,
            Self::Paired { .. } => pixels + 2 * half.pixels(),
            Self::Planar { half_width, half_height } => {
                let width = if half_width { half.width } else { size.width };
                let height = if half_height { half.height } else { size.height };
                pixels + 2 * width as usize * height as usize
            }
            Self::Grey => pixels,
            Self::Rgb { bytes, .. } => bytes * pixels,
        }
    }

    /// Fills `picture`; `false` if `source` is too short for its size. `full`: YUV has full range already.
    pub fn convert(self, source: &[u8], full: bool, picture: &mut Picture) -> bool {
        let size = picture.size;
        let Some(source) = source.get(..self.bytes(size)).filter(|_| size.pixels() > 0) else { return false };
        let planes = picture.split_mut();
        match self {
            Self::Packed { y, u, v } => unpack(source, size, [y, u, v], planes),
            Self::Paired { swapped } => unpair(source, size, swapped, planes),
            Self::Planar { half_width, half_height } => planar(source, size, half_width, half_height, planes),
            Self::Grey => {
                let [y, u, v] = planes;
                y.copy_from_slice(source);
                u.fill(128);
                v.fill(128);
            }
            Self::Rgb { bytes, red } => {
                of_rgb(source, size, bytes, red, planes);
                return true;
            }
        }
        if !full {
            Conversion::widening().apply(&[], picture);
        }
        true
    }
}

/// Two rows have one row of chroma, their mean.
fn unpack(source: &[u8], size: Size, [y_at, u_at, v_at]: [usize; 3], [y, u, v]: [&mut [u8]; 3]) {
    let (width, half) = (usize::from(size.width), usize::from(Picture::chroma(size).width));
    for (row, y) in source.chunks_exact(4 * half).zip(y.chunks_exact_mut(width)) {
        for (four, y) in row.as_chunks::<4>().0.iter().zip(y.chunks_mut(2)) {
            y[0] = four[y_at];
            if let [_, second] = y {
                *second = four[y_at + 2];
            }
        }
    }
    for ((rows, u), v) in source.chunks(8 * half).zip(u.chunks_exact_mut(half)).zip(v.chunks_exact_mut(half)) {
        let (upper, lower) = rows.split_at(4 * half);
        let lower = if lower.is_empty() { upper } else { lower };
        let fours = upper.as_chunks::<4>().0.iter().zip(lower.as_chunks::<4>().0);
        for (((upper, lower), u), v) in fours.zip(u).zip(v) {
            *u = upper[u_at].midpoint(lower[u_at]);
            *v = upper[v_at].midpoint(lower[v_at]);
        }
    }
}

fn unpair(source: &[u8], size: Size, swapped: bool, [y, u, v]: [&mut [u8]; 3]) {
    let (luma, chroma) = source.split_at(size.pixels());
    y.copy_from_slice(luma);
    let (first, second) = if swapped { (v, u) } else { (u, v) };
    for ((pair, first), second) in chroma.as_chunks::<2>().0.iter().zip(first).zip(second) {
        [*first, *second] = *pair;
    }
}

fn planar(source: &[u8], size: Size, half_width: bool, half_height: bool, [y, u, v]: [&mut [u8]; 3]) {
    let (luma, chroma) = source.split_at(size.pixels());
    y.copy_from_slice(luma);
    let (first, second) = chroma.split_at(chroma.len() / 2);
    for (plane, out) in [(first, u), (second, v)] {
        if half_width && half_height {
            out.copy_from_slice(plane);
            continue;
        }
        let half = usize::from(Picture::chroma(size).width);
        let width = if half_width { half } else { usize::from(size.width) };
        for (rows, out) in plane.chunks(2 * width).zip(out.chunks_exact_mut(half)) {
            let (upper, lower) = rows.split_at(width);
            let lower = if lower.is_empty() { upper } else { lower };
            for (at, out) in out.iter_mut().enumerate() {
                let left = if half_width { at } else { 2 * at };
                let right = if half_width { at } else { (2 * at + 1).min(width - 1) };
                let sum = [upper[left], upper[right], lower[left], lower[right]].map(u16::from).iter().sum::<u16>();
                *out = ((sum + 1) / 4) as u8;
            }
        }
    }
}

/// BT.601-7 with 16 bits behind the point; chroma of four pixels at a time.
fn of_rgb(source: &[u8], size: Size, bytes: usize, red: usize, [y, u, v]: [&mut [u8]; 3]) {
    let (width, half) = (usize::from(size.width), usize::from(Picture::chroma(size).width));
    let blue = 2 - red;
    for (pixel, y) in source.chunks_exact(bytes).zip(&mut *y) {
        let [r, g, b] = [pixel[red], pixel[1], pixel[blue]].map(u32::from);
        *y = ((19_595 * r + 38_470 * g + 7_471 * b + (1 << 15)) >> 16) as u8;
    }
    for ((rows, u), v) in source.chunks(2 * bytes * width).zip(u.chunks_exact_mut(half)).zip(v.chunks_exact_mut(half)) {
        let (upper, lower) = rows.split_at(bytes * width);
        let lower = if lower.is_empty() { upper } else { lower };
        let columns = upper.chunks(2 * bytes).zip(lower.chunks(2 * bytes));
        for (((upper, lower), u), v) in columns.zip(u).zip(v) {
            let right = upper.len() - bytes;
            let sum =
                |at: usize| [upper[at], upper[right + at], lower[at], lower[right + at]].map(i32::from).iter().sum();
            let [r, g, b]: [i32; 3] = [sum(red), sum(1), sum(blue)];
            // Half a step less than 128.5, or the strongest blue would be 256.
            *u = (128 + ((-11_059 * r - 21_709 * g + 32_768 * b + HALF) >> 18)).clamp(0, 255) as u8;
            *v = (128 + ((32_768 * r - 27_439 * g - 5_329 * b + HALF) >> 18)).clamp(0, 255) as u8;
        }
    }
}

const HALF: i32 = 1 << 17;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Pool;
    use crate::units::Time;

    fn converted(code: &[u8; 4], size: Size, full: bool, source: &[u8]) -> [Vec<u8>; 3] {
        let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
        let arrangement = Arrangement::of(*code).expect("known");
        assert_eq!(arrangement.bytes(size), source.len());
        assert!(arrangement.convert(source, full, &mut picture));
        assert!(!arrangement.convert(&source[1..], full, &mut picture), "short");
        picture.planes().map(<[u8]>::to_vec)
    }

    #[test]
    fn every_yuv_arrangement_comes_to_its_place() {
        // 3×3 pixels: odd on both sides. Y counts from 1, U is 100 + 10 × column + row, V 100 more than that.
        let size = Size::new(3, 3);
        let y: Vec<u8> = (1..=9).collect();
        let full = |u: [u8; 4], v: [u8; 4]| [y.clone(), u.to_vec(), v.to_vec()];
        let packed =
            [[1, 100, 2, 200, 3, 110, 99, 210], [4, 102, 5, 202, 6, 112, 99, 212], [7, 104, 8, 204, 9, 114, 99, 214]];
        let packed = packed.concat();
        let expected = full([101, 111, 104, 114], [201, 211, 204, 214]);
        assert_eq!(converted(b"YUY2", size, true, &packed), expected);
        let swapped: Vec<u8> = packed.as_chunks::<4>().0.iter().flat_map(|&[a, u, b, v]| [u, a, v, b]).collect();
        assert_eq!(converted(b"UYVY", size, true, &swapped), expected);
        let swapped: Vec<u8> = packed.as_chunks::<4>().0.iter().flat_map(|&[a, u, b, v]| [a, v, b, u]).collect();
        assert_eq!(converted(b"YVYU", size, true, &swapped), expected);
        let planes = [&y[..], &[101, 111, 104, 114], &[201, 211, 204, 214]].concat();
        assert_eq!(converted(b"I420", size, true, &planes), expected);
        let pairs = [&y[..], &[101, 201, 111, 211, 104, 204, 114, 214]].concat();
        assert_eq!(converted(b"NV12", size, true, &pairs), expected);
        let pairs = [&y[..], &[201, 101, 211, 111, 204, 104, 214, 114]].concat();
        assert_eq!(converted(b"NV21", size, true, &pairs), expected);
        let rows = [&y[..], &[100, 110, 102, 112, 104, 114], &[200, 210, 202, 212, 204, 214]].concat();
        assert_eq!(converted(b"Y42B", size, true, &rows), expected);
        let whole =
            [&y[..], &[99, 101, 111, 101, 103, 111, 104, 104, 114], &[201, 201, 211, 201, 201, 211, 204, 204, 214]];
        assert_eq!(converted(b"444P", size, true, &whole.concat()), expected);
        assert_eq!(converted(b"GREY", size, true, &y), full([128; 4], [128; 4]));
    }

    #[test]
    fn limited_range_is_widened_and_rgb_is_exact() {
        let size = Size::new(2, 2);
        for (y, wide) in [(16, 0), (235, 255), (126, 128)] {
            let [luma, u, v] = converted(b"YUY2", size, false, &[y, 128, y, 128, y, 128, y, 128]);
            assert_eq!((luma, u, v), (vec![wide; 4], vec![128], vec![128]));
        }
        for ([r, g, b], yuv) in [
            ([0, 0, 0], [0, 128, 128]),
            ([255, 255, 255], [255, 128, 128]),
            ([255, 0, 0], [76, 85, 255]),
            ([0, 255, 0], [150, 44, 21]),
            ([0, 0, 255], [29, 255, 107]),
            ([77, 77, 77], [77, 128, 128]),
        ] {
            let [y, u, v] = converted(b"BGR\0", size, false, &[b, g, r, 9].repeat(4));
            assert_eq!([y[3], u[0], v[0]], yuv, "{r} {g} {b}");
            let [y, u, v] = converted(b"RGB\x18", size, false, &[r, g, b].repeat(4));
            assert_eq!([y[3], u[0], v[0]], yuv, "{r} {g} {b}");
        }
        let [y, u, v] = converted(b"BGR\x18", Size::new(1, 1), false, &[0, 0, 255]);
        assert_eq!([y[0], u[0], v[0]], [76, 85, 255]);
        assert_eq!(Arrangement::of(*b"XXXX"), None);
    }
}

//! Any colour a YUV4MPEG2 stream can hold → full-range BT.601 4:2:0, the only colour the wire knows.
//!
//! The format has no matrix tag: everything is taken for BT.601, except limited-range pictures of 720 lines and more,
//! which are BT.709 as all HD film is.

use crate::media::Picture;
use crate::media::y4m::{Chroma, Header};
use crate::units::Size;

/// One stream's way to full-range BT.601 4:2:0. Greys stay grey, so U and V do not depend on Y.
#[derive(Debug)]
pub struct Conversion {
    chroma: Chroma,
    /// `None` when only the sampling changes.
    weights: Option<Weights>,
}

impl Conversion {
    /// `None` when pictures can be passed on as they come.
    pub fn of(header: &Header) -> Option<Self> {
        let matrix = if !header.full_range && header.size.height >= 720 { BT709 } else { BT601 };
        let weights = (!header.full_range).then(|| Weights::limited(matrix));
        let identical = header.chroma == Chroma::C420 && weights.is_none();
        (!identical).then_some(Self { chroma: header.chroma, weights })
    }

    /// Converts one picture; `source` holds its planes one after the other. Does nothing if `source` is short.
    pub fn apply(&self, source: &[u8], picture: &mut Picture) {
        let size = picture.size;
        let plane = self.chroma.plane(size).pixels();
        if source.len() < size.pixels() + 2 * plane {
            return;
        }
        let (luma, chroma) = source.split_at(size.pixels());
        let (first, second) = chroma.split_at(plane);
        let [y, u, v] = picture.split_mut();
        resample(first, self.chroma, size, u);
        resample(second, self.chroma, size, v);
        match &self.weights {
            Some(weights) => weights.apply(luma, size, y, u, v),
            None => y.copy_from_slice(luma),
        }
    }
}

/// Brings one chroma plane to 4:2:0 by averaging the samples each new one covers.
fn resample(source: &[u8], from: Chroma, size: Size, out: &mut [u8]) {
    let plane = from.plane(size);
    let (width, rows) = (usize::from(plane.width), usize::from(plane.height));
    let out_width = usize::from(Picture::chroma(size).width);
    match from {
        Chroma::Mono => out.fill(128),
        Chroma::C420 => out.copy_from_slice(&source[..out.len()]),
        Chroma::C422 | Chroma::C444 => {
            for (row, out) in out.chunks_exact_mut(out_width).enumerate() {
                let upper = &source[2 * row * width..][..width];
                let lower = &source[(2 * row + 1).min(rows - 1) * width..][..width];
                if from == Chroma::C422 { halve_rows(upper, lower, out) } else { halve_both(upper, lower, out) }
            }
        }
    }
}

fn halve_rows(upper: &[u8], lower: &[u8], out: &mut [u8]) {
    for ((out, &a), &b) in out.iter_mut().zip(upper).zip(lower) {
        *out = (u16::from(a) + u16::from(b)).div_ceil(2) as u8;
    }
}

fn halve_both(upper: &[u8], lower: &[u8], out: &mut [u8]) {
    for ((out, a), b) in out.iter_mut().zip(upper.chunks(2)).zip(lower.chunks(2)) {
        let sum = |pair: &[u8]| u16::from(pair[0]) + u16::from(pair[pair.len() - 1]);
        *out = ((sum(a) + sum(b) + 2) / 4) as u8;
    }
}

/// Fixed-point rows of the conversion: y·Y + u·U + v·V each, U and V counted from 128.
#[derive(Debug)]
struct Weights {
    luma: [i32; 3],
    luma_zero: i32,
    u: [i32; 2],
    v: [i32; 2],
}

impl Weights {
    /// Limited range in `matrix` → full range in BT.601.
    fn limited(matrix: Matrix) -> Self {
        let column = |y: f64, u: f64, v: f64| BT601.yuv_of(matrix.rgb_of([y * 255.0 / 219.0, u, v]));
        let scale = 255.0 / 224.0;
        let (y, u, v) = (column(1.0, 0.0, 0.0), column(0.0, scale, 0.0), column(0.0, 0.0, scale));
        let fixed = |weight: f64| (weight * f64::from(ONE)).round() as i32;
        Self {
            luma: [fixed(y[0]), fixed(u[0]), fixed(v[0])],
            luma_zero: 16,
            u: [fixed(u[1]), fixed(v[1])],
            v: [fixed(u[2]), fixed(v[2])],
        }
    }

    /// `u` and `v` hold the source's chroma and are converted in place; their share of the luma goes first.
    fn apply(&self, luma: &[u8], size: Size, y: &mut [u8], u: &mut [u8], v: &mut [u8]) {
        let (width, chroma_width) = (usize::from(size.width), usize::from(Picture::chroma(size).width));
        // One for every pixel of a row, so that the inner loop is a plain one.
        let mut offsets = vec![0; 2 * chroma_width];
        let chroma_rows = u.chunks_exact_mut(chroma_width).zip(v.chunks_exact_mut(chroma_width));
        let luma_rows = luma.chunks(2 * width).zip(y.chunks_mut(2 * width));
        for ((u, v), (luma, y)) in chroma_rows.zip(luma_rows) {
            self.chroma_row(u, v, &mut offsets);
            for (luma, y) in luma.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
                self.luma_row(luma, &offsets, y);
            }
        }
    }

    fn chroma_row(&self, u: &mut [u8], v: &mut [u8], offsets: &mut [i32]) {
        for ((u, v), offset) in u.iter_mut().zip(v).zip(offsets.chunks_exact_mut(2)) {
            let (from_u, from_v) = (i32::from(*u) - 128, i32::from(*v) - 128);
            let share = self.luma[1] * from_u + self.luma[2] * from_v + HALF - self.luma_zero * self.luma[0];
            offset.fill(share);
            *u = clamp(self.u[0] * from_u + self.u[1] * from_v + HALF + 128 * ONE);
            *v = clamp(self.v[0] * from_u + self.v[1] * from_v + HALF + 128 * ONE);
        }
    }

    fn luma_row(&self, luma: &[u8], offsets: &[i32], y: &mut [u8]) {
        for ((&luma, y), &offset) in luma.iter().zip(y).zip(offsets) {
            *y = clamp(self.luma[0] * i32::from(luma) + offset);
        }
    }
}

fn clamp(fixed: i32) -> u8 {
    (fixed >> SHIFT).clamp(0, 255) as u8
}

const SHIFT: u32 = 16;
const ONE: i32 = 1 << SHIFT;
const HALF: i32 = ONE / 2;

/// The shares of red and blue in luma; green has the rest.
#[derive(Clone, Copy)]
struct Matrix {
    red: f64,
    blue: f64,
}

/// ITU-R BT.601-7, 2.5.1.
const BT601: Matrix = Matrix { red: 0.299, blue: 0.114 };
/// ITU-R BT.709-6, 3.2.
const BT709: Matrix = Matrix { red: 0.2126, blue: 0.0722 };

impl Matrix {
    fn rgb_of(self, [y, u, v]: [f64; 3]) -> [f64; 3] {
        let (red, blue) = (y + 2.0 * (1.0 - self.red) * v, y + 2.0 * (1.0 - self.blue) * u);
        [red, (y - self.red * red - self.blue * blue) / (1.0 - self.red - self.blue), blue]
    }

    fn yuv_of(self, [red, green, blue]: [f64; 3]) -> [f64; 3] {
        let y = self.red * red + (1.0 - self.red - self.blue) * green + self.blue * blue;
        [y, (blue - y) / (2.0 * (1.0 - self.blue)), (red - y) / (2.0 * (1.0 - self.red))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::y4m::Reader;
    use crate::queue::Pool;
    use crate::units::Time;

    const COLOURS: [[f64; 3]; 8] = [
        [0.0, 0.0, 0.0],
        [255.0, 255.0, 255.0],
        [128.0, 128.0, 128.0],
        [191.0, 0.0, 0.0],
        [0.0, 191.0, 0.0],
        [0.0, 0.0, 191.0],
        [191.0, 191.0, 0.0],
        [20.0, 140.0, 220.0],
    ];

    /// One colour as a limited- or full-range sample triple.
    fn coded(matrix: Matrix, full: bool, rgb: [f64; 3]) -> [u8; 3] {
        let [y, u, v] = matrix.yuv_of(rgb);
        let (scale, chroma_scale, zero) = if full { (1.0, 1.0, 0.0) } else { (219.0 / 255.0, 224.0 / 255.0, 16.0) };
        [y * scale + zero, u * chroma_scale + 128.0, v * chroma_scale + 128.0].map(|value| value.round() as u8)
    }

    fn decoded(line: &str, planes: [u8; 3], size: Size) -> Picture {
        let header = Header::parse(line.as_bytes()).expect("a header");
        let chroma = header.chroma.plane(size).pixels();
        let mut data = format!("{line}\nFRAME\n").into_bytes();
        for (value, count) in planes.into_iter().zip([size.pixels(), chroma, chroma]) {
            data.extend(std::iter::repeat_n(value, count));
        }
        let mut reader = Reader::new(data.as_slice()).expect("a stream");
        reader.read(&Pool::new(1), || Time::ZERO).expect("whole").expect("one picture")
    }

    #[test]
    fn every_format_and_range_shows_its_true_colour() {
        for (height, matrix, full) in [(5, BT601, false), (5, BT601, true), (721, BT709, false), (720, BT601, true)] {
            let size = Size::new(7, height);
            let range = if full { " XCOLORRANGE=FULL" } else { "" };
            for chroma in ["420jpeg", "422", "444"] {
                let line = format!("YUV4MPEG2 W7 H{height} F25:1 C{chroma}{range}");
                for rgb in COLOURS {
                    let picture = decoded(&line, coded(matrix, full, rgb), size);
                    for planes in [picture.planes().map(|plane| plane[0]), picture.planes().map(|p| p[p.len() - 1])] {
                        let [y, u, v] = planes.map(f64::from);
                        let shown = BT601.rgb_of([y, u - 128.0, v - 128.0]);
                        for (shown, meant) in shown.into_iter().zip(rgb) {
                            assert!((shown - meant).abs() < 3.0, "{line}: {rgb:?} shown as {shown:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn grey_films_and_the_identity() {
        let size = Size::new(3, 3);
        let grey = decoded("YUV4MPEG2 W3 H3 Cmono", [235, 0, 0], size);
        assert_eq!(grey.planes().map(|plane| plane[0]), [255, 128, 128]);
        let full = Header::parse(b"YUV4MPEG2 W3 H3 C420 XCOLORRANGE=FULL").expect("a header");
        assert!(Conversion::of(&full).is_none());
    }
}

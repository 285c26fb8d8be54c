//! Any colour a YUV4MPEG2 stream can hold → full-range BT.601 4:2:0, the only colour the wire knows.
//!
//! The format has no matrix tag. A caller that knows the matrix sets it; otherwise everything is taken for BT.601, except
//! limited-range pictures of 720 lines and more, which are BT.709 as all HD film is.

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
        Self::from_matrix(header, if header.size.height >= 720 { Matrix::BT709 } else { Matrix::BT601 })
    }

    /// The same for limited-range pictures that are known to be in `matrix`; full range is BT.601 always.
    pub fn from_matrix(header: &Header, matrix: Matrix) -> Option<Self> {
        let weights = (!header.full_range).then(|| Weights::limited(matrix));
        let identical = header.chroma == Chroma::C420 && weights.is_none();
        (!identical).then_some(Self { chroma: header.chroma, weights })
    }

    /// From limited range to full range of BT.601 4:2:0, in place.
    pub fn widening() -> Self {
        Self { chroma: Chroma::C420, weights: Some(Weights::limited(Matrix::BT601)) }
    }

    /// Whether [`Conversion::apply`] wants nothing but the picture's own planes, read straight into their place.
    pub fn is_in_place(&self) -> bool {
        self.chroma == Chroma::C420
    }

    /// Converts one picture; `source` holds its planes one after the other, unless they are in their place already.
    /// Does nothing if `source` is short.
    pub fn apply(&self, source: &[u8], picture: &mut Picture) {
        let size = picture.size;
        if !self.is_in_place() {
            let plane = self.chroma.plane(size).pixels();
            if source.len() < size.pixels() + 2 * plane {
                return;
            }
            let (luma, chroma) = source.split_at(size.pixels());
            let (first, second) = chroma.split_at(plane);
            let [y, u, v] = picture.split_mut();
            y.copy_from_slice(luma);
            resample(first, self.chroma, size, u);
            resample(second, self.chroma, size, v);
        }
        if let Some(weights) = &self.weights {
            let [y, u, v] = picture.split_mut();
            weights.apply(size, y, u, v);
        }
    }
}

/// Brings one chroma plane to 4:2:0 by averaging the samples each new one covers.
pub fn resample(source: &[u8], from: Chroma, size: Size, out: &mut [u8]) {
    let plane = from.plane(size);
    let (width, rows) = (usize::from(plane.width), usize::from(plane.height));
    let out_width = usize::from(Picture::chroma(size).width);
    match from {
        Chroma::Mono => out.fill(128),
        // In its place already.
        Chroma::C420 => {}
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

/// The conversion y·Y + u·U + v·V with U and V counted from 128, [`BITS`] behind the point: all of it fits 16 bits, and
/// each loop does one plain thing, so that eight samples go through the vector unit at a time.
#[derive(Debug)]
struct Weights {
    luma: u16,
    /// Chroma's share of the luma.
    shares: [i16; 2],
    u: [i16; 2],
    v: [i16; 2],
}

impl Weights {
    /// Limited range in `matrix` → full range in BT.601.
    fn limited(matrix: Matrix) -> Self {
        let column = |y: f64, u: f64, v: f64| Matrix::BT601.yuv_of(matrix.rgb_of([y * 255.0 / 219.0, u, v]));
        let scale = 255.0 / 224.0;
        let (y, u, v) = (column(1.0, 0.0, 0.0), column(0.0, scale, 0.0), column(0.0, 0.0, scale));
        let fixed = |weight: f64| (weight * f64::from(1 << BITS)).round() as i16;
        Self {
            luma: fixed(y[0]).unsigned_abs(),
            shares: [fixed(u[0]), fixed(v[0])],
            u: [fixed(u[1]), fixed(v[1])],
            v: [fixed(u[2]), fixed(v[2])],
        }
    }

    /// Everything in its place; chroma's share of the luma goes first.
    fn apply(&self, size: Size, y: &mut [u8], u: &mut [u8], v: &mut [u8]) {
        let (width, chroma_width) = (usize::from(size.width), usize::from(Picture::chroma(size).width));
        // One share for every sample of a row of chroma, and the same for every pixel.
        let (mut shares, mut doubled) = (vec![0; chroma_width], vec![0; 2 * chroma_width]);
        let mut before = vec![0; chroma_width];
        let chroma_rows = u.chunks_exact_mut(chroma_width).zip(v.chunks_exact_mut(chroma_width));
        for ((u, v), y) in chroma_rows.zip(y.chunks_mut(2 * width)) {
            self.share_row(u, v, &mut shares);
            double_row(&shares, &mut doubled);
            self.chroma_row(u, v, &mut before);
            y.chunks_exact_mut(width).for_each(|y| self.luma_row(&doubled, y));
        }
    }

    /// What chroma and the black level add to the luma, counted from −[`BELOW`] so that no sum is negative.
    fn share_row(&self, u: &[u8], v: &[u8], shares: &mut [u16]) {
        let zero = (BELOW << BITS) + HALF - 16 * self.luma.cast_signed();
        for ((&u, &v), share) in u.iter().zip(v).zip(shares) {
            *share = (weighted(u, v, self.shares) + zero).cast_unsigned();
        }
    }

    /// `before` takes what `u` was: each loop writes one row, or the compiler leaves the vector unit idle.
    fn chroma_row(&self, u: &mut [u8], v: &mut [u8], before: &mut [u8]) {
        before.copy_from_slice(u);
        for ((u, &before), &v) in u.iter_mut().zip(&*before).zip(&*v) {
            *u = chroma(before, v, self.u);
        }
        for (v, &before) in v.iter_mut().zip(&*before) {
            *v = chroma(before, *v, self.v);
        }
    }

    fn luma_row(&self, shares: &[u16], y: &mut [u8]) {
        for (y, &share) in y.iter_mut().zip(shares) {
            let sum = u16::from(*y).wrapping_mul(self.luma).wrapping_add(share);
            *y = clamp((sum >> BITS).cast_signed() - BELOW);
        }
    }
}

fn double_row(shares: &[u16], doubled: &mut [u16]) {
    for (&share, pair) in shares.iter().zip(doubled.as_chunks_mut::<2>().0) {
        *pair = [share; 2];
    }
}

fn chroma(u: u8, v: u8, weights: [i16; 2]) -> u8 {
    clamp(((weighted(u, v, weights) + HALF) >> BITS) + 128)
}

fn weighted(u: u8, v: u8, weights: [i16; 2]) -> i16 {
    // No `map` over an array here: where it is not inlined, no vector unit is used either.
    let (u, v) = (i16::from(u) - 128, i16::from(v) - 128);
    u.wrapping_mul(weights[0]).wrapping_add(v.wrapping_mul(weights[1]))
}

fn clamp(value: i16) -> u8 {
    value.clamp(0, 255) as u8
}

const BITS: u32 = 7;
const HALF: i16 = 1 << (BITS - 1);
/// Lower than any luma that comes out before it is clamped.
const BELOW: i16 = 64;

/// The shares of red and blue in luma; green has the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matrix {
    red: f64,
    blue: f64,
}

impl Matrix {
    /// ITU-R BT.601-7, 2.5.1.
    pub const BT601: Self = Self { red: 0.299, blue: 0.114 };
    /// ITU-R BT.709-6, 3.2.
    pub const BT709: Self = Self { red: 0.2126, blue: 0.0722 };
    /// SMPTE ST 240:1999, 6.1.
    pub const SMPTE240M: Self = Self { red: 0.212, blue: 0.087 };
    /// ITU-R BT.2020-2, table 4, non-constant luminance.
    pub const BT2020: Self = Self { red: 0.2627, blue: 0.0593 };

    pub(super) fn rgb_of(self, [y, u, v]: [f64; 3]) -> [f64; 3] {
        let (red, blue) = (y + 2.0 * (1.0 - self.red) * v, y + 2.0 * (1.0 - self.blue) * u);
        [red, (y - self.red * red - self.blue * blue) / (1.0 - self.red - self.blue), blue]
    }

    pub(super) fn yuv_of(self, [red, green, blue]: [f64; 3]) -> [f64; 3] {
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
        for (height, matrix, full) in [
            (5, Matrix::BT601, false),
            (5, Matrix::BT601, true),
            (721, Matrix::BT709, false),
            (720, Matrix::BT601, true),
        ] {
            let size = Size::new(7, height);
            let range = if full { " XCOLORRANGE=FULL" } else { "" };
            for chroma in ["420jpeg", "422", "444"] {
                let line = format!("YUV4MPEG2 W7 H{height} F25:1 C{chroma}{range}");
                for rgb in COLOURS {
                    let picture = decoded(&line, coded(matrix, full, rgb), size);
                    for planes in [picture.planes().map(|plane| plane[0]), picture.planes().map(|p| p[p.len() - 1])] {
                        let [y, u, v] = planes.map(f64::from);
                        let shown = Matrix::BT601.rgb_of([y, u - 128.0, v - 128.0]);
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

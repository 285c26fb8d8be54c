//! Blue, green, red and a spare byte → full-range BT.601 4:2:0, in sixteen-bit integers of which the vector unit takes
//! many at a time. Each plane is within one step of the exact one.
#![forbid(unsafe_code)]

use crate::media::Picture;
use crate::units::Size;

/// Scratch rows, kept from picture to picture.
#[derive(Default)]
pub(super) struct Converter {
    /// Two rows of pixels, brought together to those of a row of chroma.
    means: Vec<u64>,
    /// The same, apart: blue, green, red.
    colours: [Vec<u16>; 3],
}

impl Converter {
    /// Fills the picture's planes from `pixels`, its size without any padding. Does nothing if there are too few.
    pub fn apply(&mut self, pixels: &[u8], picture: &mut Picture) {
        let size = picture.size;
        let pixels = pixels.as_chunks::<4>().0;
        if size.pixels() == 0 || pixels.len() < size.pixels() {
            return;
        }
        let (width, chroma) = (usize::from(size.width), usize::from(Picture::chroma(size).width));
        self.means.resize(chroma, 0);
        self.colours.iter_mut().for_each(|row| row.resize(chroma, 0));
        let [y, u, v] = picture.split_mut();
        let pairs = pixels[..size.pixels()].chunks(2 * width).zip(y.chunks_mut(2 * width));
        for ((pixels, y), (u, v)) in pairs.zip(u.chunks_exact_mut(chroma).zip(v.chunks_exact_mut(chroma))) {
            luma(pixels, y);
            let (upper, lower) = pixels.split_at(width);
            self.bring_together(upper, if lower.is_empty() { upper } else { lower });
            let [blue, green, red] = &self.colours;
            weighted(blue, [green, red], U, u);
            weighted(red, [green, blue], V, v);
        }
    }

    /// Means of two by two pixels; a last column that stands alone counts twice. Two pixels are taken as one word, each
    /// of whose colours has room for a sum, which is twice as fast as one colour after the other.
    fn bring_together(&mut self, upper: &[[u8; 4]], lower: &[[u8; 4]]) {
        let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
        for (out, (upper, lower)) in self.means.iter_mut().zip(pairs) {
            *out = mean(word(*upper), word(*lower));
        }
        if upper.len() % 2 == 1
            && let (Some(&upper), Some(&lower), Some(out)) = (upper.last(), lower.last(), self.means.last_mut())
        {
            *out = mean(word([upper; 2]), word([lower; 2]));
        }
        for (colour, shift) in self.colours.iter_mut().zip([0, 8, 16]) {
            for (colour, mean) in colour.iter_mut().zip(&self.means) {
                *colour = (mean >> shift) as u16 & 0xFF;
            }
        }
    }
}

#[inline]
fn word([left, right]: [[u8; 4]; 2]) -> u64 {
    u64::from(u32::from_le_bytes(left)) | u64::from(u32::from_le_bytes(right)) << 32
}

/// The mean of the four pixels of two words, in the lower half of one.
#[inline]
const fn mean(upper: u64, lower: u64) -> u64 {
    // Blue and red of both pixels, then their greens (and the spare bytes, which are of no use).
    let outer = (upper & EVERY_OTHER) + (lower & EVERY_OTHER);
    let inner = ((upper >> 8) & EVERY_OTHER) + ((lower >> 8) & EVERY_OTHER);
    let (outer, inner) = (outer + (outer >> 32) + HALVES, inner + (inner >> 32) + HALVES);
    ((outer >> 2) & 0xFF_00FF) | ((inner >> 2) & 0xFF) << 8
}

const EVERY_OTHER: u64 = 0x00FF_00FF_00FF_00FF;
/// Half of what a sum of four is divided by, for rounding.
const HALVES: u64 = 0x0002_0002;

/// 0.114 blue + 0.587 green + 0.299 red, eight bits behind the point; the shares come to one.
fn luma(pixels: &[[u8; 4]], y: &mut [u8]) {
    for (y, &pixel) in y.iter_mut().zip(pixels) {
        // No `map` over an array here: where it is not inlined, no vector unit is used either, and it takes ten times as
        // long. Nor its bytes one by one, which are gathered so.
        let pixel = u32::from_le_bytes(pixel);
        let (blue, green, red) = ((pixel & 0xFF) as u16, ((pixel >> 8) & 0xFF) as u16, ((pixel >> 16) & 0xFF) as u16);
        *y = ((blue * 29 + green * 150 + red * 77 + 128) >> 8) as u8;
    }
}

/// Half of one colour less its shares of the two others; the shares come to a half, so greys are exactly 128.
fn weighted(own: &[u16], others: [&[u16]; 2], shares: [u16; 2], out: &mut [u8]) {
    for (((out, own), first), second) in out.iter_mut().zip(own).zip(others[0]).zip(others[1]) {
        let less = first.wrapping_mul(shares[0]).wrapping_add(second.wrapping_mul(shares[1]));
        *out = (own.wrapping_mul(128).wrapping_add(MIDDLE).wrapping_sub(less) >> 8) as u8;
    }
}

/// The shares of green and red in U, and of green and blue in V, eight bits behind the point.
const U: [u16; 2] = [85, 43];
const V: [u16; 2] = [107, 21];
/// 128, and all but a half for rounding: with the whole half, pure blue would be one too much for sixteen bits.
const MIDDLE: u16 = (128 << 8) + 127;

/// Bytes of one picture.
pub(super) const fn bytes(size: Size) -> usize {
    size.pixels() * 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Pool;
    use crate::units::Time;

    fn converted(pixels: &[u8], size: Size) -> Picture {
        let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
        Converter::default().apply(pixels, &mut picture);
        picture
    }

    /// The exact planes, rounded.
    fn truth(pixels: &[u8], size: Size) -> Vec<u8> {
        let (width, height) = (usize::from(size.width), usize::from(size.height));
        let at = |x: usize, y: usize| {
            let [b, g, r] = [0, 1, 2].map(|channel| f64::from(pixels[(y * width + x) * 4 + channel]));
            (r, g, b)
        };
        let luma = |(r, g, b): (f64, f64, f64)| 0.299 * r + 0.587 * g + 0.114 * b;
        let mut planes: Vec<f64> = (0..width * height).map(|n| luma(at(n % width, n / width))).collect();
        for plane in 0..2 {
            for y in (0..height).step_by(2) {
                for x in (0..width).step_by(2) {
                    let (x2, y2) = ((x + 1).min(width - 1), (y + 1).min(height - 1));
                    let four = [at(x, y), at(x2, y), at(x, y2), at(x2, y2)];
                    let chroma = |rgb: (f64, f64, f64)| match plane {
                        0 => (rgb.2 - luma(rgb)) / 1.772,
                        _ => (rgb.0 - luma(rgb)) / 1.402,
                    };
                    planes.push(128.0 + four.map(chroma).iter().sum::<f64>() / 4.0);
                }
            }
        }
        planes.into_iter().map(|value| value.round().clamp(0.0, 255.0) as u8).collect()
    }

    fn assert_true(pixels: &[u8], size: Size) {
        let picture = converted(pixels, size);
        let planes = picture.planes().concat();
        let worst = planes.iter().zip(truth(pixels, size)).map(|(a, b)| a.abs_diff(b)).max();
        assert!(worst <= Some(1), "{size}: {worst:?}");
    }

    #[test]
    fn every_colour_is_within_one_step_of_the_exact_one() {
        let levels = [0, 1, 2, 15, 31, 64, 85, 100, 127, 128, 129, 170, 200, 233, 254, 255];
        for blue in levels {
            for green in levels {
                let row: Vec<u8> = levels.iter().flat_map(|&red| [[blue, green, red, 77]; 2]).flatten().collect();
                assert_true(&[row.clone(), row].concat(), Size::new(32, 2));
            }
        }
    }

    #[test]
    fn any_size_works_also_with_noise() {
        let mut state = 1_u32;
        for (width, height) in [(1, 1), (2, 1), (1, 2), (3, 3), (7, 5), (16, 2), (17, 9), (64, 33), (333, 77)] {
            let noise = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            });
            let size = Size::new(width, height);
            assert_true(&noise.take(bytes(size)).collect::<Vec<_>>(), size);
        }
    }

    #[test]
    fn too_few_pixels_change_nothing() {
        let size = Size::new(4, 4);
        let before = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO).planes().concat();
        assert_eq!(converted(&[9; 63], size).planes().concat(), before);
    }
}

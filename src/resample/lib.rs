//! Pictures brought to another size.
//!
//! A crate of its own, because the resampler is generic: its code is made where it is used, and as slow there as the rest
//! of a test build. Here it is made once, and optimised in each build.

use fast_image_resize::images::{TypedCroppedImageMut, TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x4};
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

/// What a pixel of the result is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    Bilinear,
    /// As sharp as bicubic when shrinking at bilinear's cost; no good for enlarging.
    Hamming,
    CatmullRom,
}

/// Where a picture is to stand in a larger one, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

/// A width and a height, in pixels.
pub type Sides = (u32, u32);

/// Keeps its tables from picture to picture.
#[derive(Default)]
pub struct Resampler(Resizer);

impl Resampler {
    /// Brings a plane of one byte a pixel to another size.
    ///
    /// # Errors
    ///
    /// A sentence, if a buffer is not as long as its size says.
    pub fn plane(
        &mut self,
        (plane, from): (&[u8], Sides),
        (out, to): (&mut [u8], Sides),
        filter: Filter,
    ) -> Result<(), String> {
        let source = TypedImageRef::<U8>::from_buffer(from.0, from.1, plane).map_err(sentence)?;
        let mut target = TypedImage::<U8>::from_buffer(to.0, to.1, out).map_err(sentence)?;
        self.0.resize_typed(&source, &mut target, &options(filter)).map_err(sentence)
    }

    /// Brings a picture of four bytes a pixel, none of which says how much shows through, to the size of a part of another
    /// one. What is around that part stays as it is.
    ///
    /// # Errors
    ///
    /// A sentence, if a buffer is not as long as its size says, or the part goes beyond the picture.
    pub fn pixels(
        &mut self,
        (pixels, from): (&[u8], Sides),
        (out, whole): (&mut [u8], Sides),
        part: Part,
        filter: Filter,
    ) -> Result<(), String> {
        let source = TypedImageRef::<U8x4>::from_buffer(from.0, from.1, pixels).map_err(sentence)?;
        let target = TypedImage::<U8x4>::from_buffer(whole.0, whole.1, out).map_err(sentence)?;
        let target = TypedCroppedImageMut::new(target, part.x, part.y, part.width, part.height);
        let options = options(filter).use_alpha(false);
        self.0.resize_typed(&source, &mut target.map_err(sentence)?, &options).map_err(sentence)
    }
}

fn sentence(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn options(filter: Filter) -> ResizeOptions {
    let filter = match filter {
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Hamming => FilterType::Hamming,
        Filter::CatmullRom => FilterType::CatmullRom,
    };
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_drawn_and_the_rest_left_alone() {
        let pixels: Vec<u8> = [10, 200, 30, 0].repeat(4 * 2);
        let mut out = vec![7; 8 * 8 * 4];
        let part = Part { x: 0, y: 2, width: 8, height: 4 };
        Resampler::default().pixels((&pixels, (4, 2)), (&mut out, (8, 8)), part, Filter::CatmullRom).expect("fits");
        let rows: Vec<&[u8]> = out.chunks_exact(8 * 4).collect();
        assert!(rows[2..6].iter().all(|row| **row == [10, 200, 30, 0].repeat(8)), "{rows:?}");
        assert!(rows[..2].iter().chain(&rows[6..]).all(|row| **row == [7; 8 * 4]), "{rows:?}");
    }

    #[test]
    fn a_plane_is_stretched_evenly() {
        let plane: Vec<u8> = [0, 40, 80, 120].repeat(4);
        let mut out = vec![0; 8 * 8];
        Resampler::default().plane((&plane, (4, 4)), (&mut out, (8, 8)), Filter::Bilinear).expect("fits");
        assert_eq!(out[..8], [0, 10, 30, 50, 70, 90, 110, 120]);
    }

    #[test]
    fn what_does_not_fit_is_a_sentence() {
        let (mut resampler, mut out) = (Resampler::default(), [0; 64]);
        let short = resampler.plane((&[0; 3], (2, 2)), (&mut out, (8, 8)), Filter::Hamming);
        assert!(short.is_err_and(|why| !why.is_empty()));
        let part = Part { x: 1, y: 0, width: 4, height: 4 };
        let beyond = resampler.pixels((&[0; 16], (2, 2)), (&mut out, (4, 4)), part, Filter::Hamming);
        assert!(beyond.is_err_and(|why| !why.is_empty()));
    }
}

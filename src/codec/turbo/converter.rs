//! Pixels of a screen → planes, by the colour conversion that encoding begins with: SIMD, and no second library.

use std::ffi::c_int;

use super::{Handle, raw};
use crate::codec::CodecError;
use crate::media::Picture;
use crate::units::Size;

/// Blue, green, red and a spare byte → full-range BT.601 4:2:0, as JPEG has it. Each plane is within one step of the exact one.
pub struct Converter {
    handle: Handle,
    /// Luma of odd sizes: the library writes whole pairs.
    padded: Vec<u8>,
}

impl Converter {
    pub fn new() -> Result<Self, CodecError> {
        let mut handle = Handle::new(raw::TJINIT_TJINIT_COMPRESS)?;
        handle.set(raw::TJPARAM_TJPARAM_SUBSAMP, raw::TJSAMP_TJSAMP_420)?;
        Ok(Self { handle, padded: Vec::new() })
    }

    /// Fills the picture's planes from `pixels`, its size without any padding; too few are refused before a sample is written.
    pub fn planes(&mut self, pixels: &[u8], picture: &mut Picture) -> Result<(), CodecError> {
        let size = picture.size;
        if size.pixels() == 0 || pixels.len() < Self::bytes(size) {
            return Err(CodecError::Empty(size));
        }
        let [y, u, v] = picture.split_mut();
        let (width, even) = (usize::from(size.width), usize::from(size.width).next_multiple_of(2));
        if usize::from(size.height) % 2 == 0 && width == even {
            return self.handle.convert(pixels, size, [y, u, v]);
        }
        self.padded.resize(even * usize::from(size.height).next_multiple_of(2), 0);
        self.handle.convert(pixels, size, [&mut self.padded, u, v])?;
        for (row, padded) in y.chunks_exact_mut(width).zip(self.padded.chunks_exact(even)) {
            row.copy_from_slice(padded.get(..width).unwrap_or_default());
        }
        Ok(())
    }

    /// Bytes of one picture's pixels.
    pub const fn bytes(size: Size) -> usize {
        size.pixels() * 4
    }
}

impl Handle {
    /// Converts pixels to three planes of 4:2:0, each tightly packed, luma of even width and height.
    fn convert(&mut self, pixels: &[u8], size: Size, planes: [&mut [u8]; 3]) -> Result<(), CodecError> {
        let chroma = Picture::chroma(size);
        let needed = [4 * chroma.pixels(), chroma.pixels(), chroma.pixels()];
        if pixels.len() < Converter::bytes(size) || planes.iter().zip(needed).any(|(plane, bytes)| plane.len() < bytes)
        {
            return Err(CodecError::Empty(size));
        }
        let mut pointers = planes.map(<[u8]>::as_mut_ptr);
        // SAFETY: the library reads `height` rows of `width` pixels of four bytes, and with no strides given writes
        // 2·⌈w/2⌉ × 2·⌈h/2⌉ luma samples and ⌈w/2⌉ × ⌈h/2⌉ of each chroma plane; the check above grants both.
        let done = unsafe {
            raw::tj3EncodeYUVPlanes8(
                self.0,
                pixels.as_ptr(),
                size.width.into(),
                0,
                size.height.into(),
                raw::TJPF_TJPF_BGRX as c_int,
                pointers.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        };
        if done == 0 { Ok(()) } else { Err(self.error()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Pool;
    use crate::units::Time;

    fn converted(pixels: &[u8], size: Size) -> Picture {
        let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
        Converter::new().expect("the library").planes(pixels, &mut picture).expect("as many as it has");
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
            assert_true(&noise.take(Converter::bytes(size)).collect::<Vec<_>>(), size);
        }
    }

    #[test]
    fn too_few_pixels_change_nothing() {
        let size = Size::new(4, 4);
        let before = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO).planes().concat();
        let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
        assert!(Converter::new().expect("the library").planes(&[9; 63], &mut picture).is_err());
        assert_eq!(picture.planes().concat(), before);
    }
}

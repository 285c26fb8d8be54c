//! Blue, green, red and a spare byte → full-range BT.601 4:2:0. Each plane is within one step of the exact one.
#![forbid(unsafe_code)]

use yuv::{BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix, bgra_to_yuv420};

use crate::media::Picture;
use crate::units::Size;

/// Fills the picture's planes from `pixels`, its size without any padding; an error if those are too few.
pub(super) fn planes(pixels: &[u8], picture: &mut Picture) -> Result<(), String> {
    let (size, chroma) = (picture.size, Picture::chroma(picture.size));
    let [y, u, v] = picture.split_mut();
    let mut image = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: size.width.into(),
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: chroma.width.into(),
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: chroma.width.into(),
        width: size.width.into(),
        height: size.height.into(),
    };
    let stride = u32::from(size.width) * 4;
    let mode = YuvConversionMode::Balanced;
    bgra_to_yuv420(&mut image, pixels, stride, YuvRange::Full, YuvStandardMatrix::Bt601, mode)
        .map_err(|error| error.to_string())
}

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
        planes(pixels, &mut picture).expect("as many as it has");
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
        let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
        assert!(planes(&[9; 63], &mut picture).is_err());
        assert_eq!(picture.planes().concat(), before);
    }
}

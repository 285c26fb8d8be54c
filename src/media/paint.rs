//! Rectangles on the planes of a picture, in the colours that cards are made of, and on the pixels of a window.

use crate::media::Picture;

/// Fills a rectangle; chroma covers every sample it touches from its even corner on.
pub fn paint(picture: &mut Picture, (x, y): (i32, i32), (w, h): (u32, u32), colour: [u8; 3]) {
    let width = usize::from(picture.size.width);
    let chroma_width = usize::from(Picture::chroma(picture.size).width);
    let [luma, u, v] = picture.split_mut();
    fill(luma, width, (x, y), (w, h), colour[0]);
    let half = |from: i32, length: u32| {
        let start = from.div_euclid(2);
        (start, ((from + length as i32 + 1).div_euclid(2) - start).max(0) as u32)
    };
    let ((x, w), (y, h)) = (half(x, w), half(y, h));
    for (plane, value) in [(u, colour[1]), (v, colour[2])] {
        fill(plane, chroma_width, (x, y), (w, h), value);
    }
}

/// One plane of `width` bytes a row: fills a rectangle, cut to the plane.
pub fn fill(plane: &mut [u8], width: usize, (x, y): (i32, i32), (w, h): (u32, u32), value: u8) {
    fill_any(plane, width, (x, y), (w, h), |pixels| pixels.fill(value));
}

/// Fills a rectangle of a BGRX buffer, cut to the buffer.
pub fn fill_bgrx(pixels: &mut [u32], width: usize, at: (i32, i32), size: (u32, u32), colour: u32) {
    fill_any(pixels, width, at, size, |row| row.fill(colour));
}

/// Darkens a rectangle of a BGRX buffer to a quarter, so that text on it can be read over any picture.
pub fn shade_bgrx(pixels: &mut [u32], width: usize, at: (i32, i32), size: (u32, u32)) {
    fill_any(pixels, width, at, size, |row| row.iter_mut().for_each(|pixel| *pixel = *pixel >> 2 & 0x003f_3f3f));
}

/// The same, less with an `opacity` below 1, and not at all at 0.
pub fn shade_bgrx_by(pixels: &mut [u32], width: usize, at: (i32, i32), size: (u32, u32), opacity: f32) {
    let keeps = 256 - (192.0 * opacity.clamp(0.0, 1.0)).round() as u32;
    // Red and blue in one go: neither reaches the other.
    let darker = |pixel: u32| {
        let (outer, green) = (((pixel & 0x00ff_00ff) * keeps) >> 8, ((pixel & 0xff00) * keeps) >> 8);
        outer & 0x00ff_00ff | green & 0xff00
    };
    fill_any(pixels, width, at, size, |row| row.iter_mut().for_each(|pixel| *pixel = darker(*pixel)));
}

fn fill_any<T>(plane: &mut [T], width: usize, (x, y): (i32, i32), (w, h): (u32, u32), mut paint: impl FnMut(&mut [T])) {
    let cut = |from: i32, length: u32, end: usize| {
        let last = i64::from(from) + i64::from(length);
        (i64::from(from).clamp(0, end as i64) as usize, last.clamp(0, end as i64) as usize)
    };
    let (left, right) = cut(x, w, width);
    let (top, bottom) = cut(y, h, plane.len() / width.max(1));
    if left < right {
        for row in top..bottom {
            paint(&mut plane[row * width + left..row * width + right]);
        }
    }
}

/// Full-range BT.601 (ITU-T T.871).
pub fn yuv([red, green, blue]: [f64; 3]) -> [u8; 3] {
    let luma = 0.299 * red + 0.587 * green + 0.114 * blue;
    [luma, 128.0 + (blue - luma) / 1.772, 128.0 + (red - luma) / 1.402].map(|value| value.round() as u8)
}

pub const BLACK: [u8; 3] = [0, 128, 128];
pub const WHITE: [u8; 3] = [255, 128, 128];
/// Luma of the sentences below a title.
pub const GREY: u8 = 190;
/// A very dark blue, so that a card is not taken for a dead screen.
pub const DARK: [u8; 3] = [28, 134, 126];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_are_cut_at_every_edge() {
        let mut pixels = vec![0x40_u32; 40 * 30];
        for at in [(-15, -9), (35, 25), (i32::MAX, i32::MIN), (i32::MIN, 3), (0, 0)] {
            fill_bgrx(&mut pixels, 40, at, (7, 7), 8);
            shade_bgrx(&mut pixels, 40, at, (u32::MAX, u32::MAX));
        }
        assert_eq!((pixels[0], pixels[40 * 29 + 39], pixels[7]), (2, 0, 4));
        fill_bgrx(&mut [], 0, (0, 0), (1, 1), 7);
    }

    #[test]
    fn shade_comes_by_degrees() {
        let shaded = |opacity| {
            let mut pixels = [0x00ff_8040_u32];
            shade_bgrx_by(&mut pixels, 1, (0, 0), (1, 1), opacity);
            pixels[0]
        };
        let mut full = [0x00ff_8040_u32];
        shade_bgrx(&mut full, 1, (0, 0), (1, 1));
        assert_eq!([shaded(0.0), shaded(0.5), shaded(1.0)], [0x00ff_8040, 0x009f_5028, full[0]]);
    }
}

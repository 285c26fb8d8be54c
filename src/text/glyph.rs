//! The image of one letter, and how it is blended onto pixels.

use std::ops::Range;

use cosmic_text::{SwashContent, SwashImage};

use crate::media::Picture;
use crate::media::paint::yuv;

/// A letter's pixels, and where they lie from its place on the base line.
pub struct Glyph {
    left: i32,
    top: i32,
    width: usize,
    ink: Ink,
}

enum Ink {
    /// How much of each pixel is covered, of 255.
    Cover(Vec<u8>),
    /// Red, green, blue and cover of each pixel.
    Colour(Vec<[u8; 4]>),
}

/// What may be drawn on: columns and rows of the target.
#[derive(Clone, Debug)]
pub struct Clip {
    pub columns: Range<i32>,
    pub rows: Range<i32>,
}

impl Clip {
    /// What of a box of this corner and size lies inside a target of `width` and `height`.
    pub fn new((x, y): (i32, i32), (wide, high): (i32, i32), (width, height): (usize, usize)) -> Self {
        let cut = |from: i32, length: i32, end: usize| {
            let end = i32::try_from(end).unwrap_or(i32::MAX);
            from.clamp(0, end)..from.saturating_add(length).clamp(0, end)
        };
        Self { columns: cut(x, wide, width), rows: cut(y, high, height) }
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty() || self.rows.is_empty()
    }
}

impl Glyph {
    pub fn new(image: SwashImage) -> Self {
        let ink = match image.content {
            SwashContent::Mask => Ink::Cover(image.data),
            SwashContent::Color => Ink::Colour(image.data.as_chunks().0.to_vec()),
            // It is not asked for.
            SwashContent::SubpixelMask => Ink::Cover(Vec::new()),
        };
        Self { left: image.placement.left, top: image.placement.top, width: image.placement.width as usize, ink }
    }

    /// Bytes that it takes.
    pub fn weight(&self) -> usize {
        64 + match &self.ink {
            Ink::Cover(cover) => cover.len(),
            Ink::Colour(pixels) => 4 * pixels.len(),
        }
    }

    /// Calls `row(y, x, part)` for each row that is seen: its place, and the indices of its pixels.
    fn rows(&self, (x, y): (i32, i32), clip: &Clip, mut row: impl FnMut(i32, i32, Range<usize>)) {
        let count = match &self.ink {
            Ink::Cover(cover) => cover.len(),
            Ink::Colour(pixels) => pixels.len(),
        };
        let height = count / self.width.max(1);
        let (x, y) = (x.saturating_add(self.left), y.saturating_sub(self.top));
        let part = |from: i32, length: usize, seen: &Range<i32>| {
            let from = i64::from(from);
            let first = (i64::from(seen.start) - from).clamp(0, length as i64) as usize;
            let last = (i64::from(seen.end) - from).clamp(0, length as i64) as usize;
            first..last
        };
        let columns = part(x, self.width, &clip.columns);
        if columns.is_empty() {
            return;
        }
        for at in part(y, height, &clip.rows) {
            let start = at * self.width;
            row(y + at as i32, x + columns.start as i32, start + columns.start..start + columns.end);
        }
    }

    /// Onto pixels of 0x00RRGGBB, `width` a row; `opacity` of 256.
    pub fn blend(&self, target: &mut [u32], width: usize, at: (i32, i32), clip: &Clip, colour: u32, opacity: u32) {
        self.rows(at, clip, |y, x, part| {
            let start = y as usize * width + x as usize;
            let Some(row) = target.get_mut(start..start + part.len()) else { return };
            match &self.ink {
                Ink::Cover(cover) => {
                    for (pixel, cover) in row.iter_mut().zip(&cover[part]) {
                        match (u32::from(*cover) * opacity) >> 8 {
                            0 => {}
                            part => *pixel = mix(*pixel, colour, part),
                        }
                    }
                }
                Ink::Colour(pixels) => {
                    for (pixel, &[red, green, blue, cover]) in row.iter_mut().zip(&pixels[part]) {
                        *pixel =
                            mix(*pixel, u32::from_be_bytes([0, red, green, blue]), (u32::from(cover) * opacity) >> 8);
                    }
                }
            }
        });
    }

    /// Onto a picture's luma; a coloured one onto its chroma too.
    pub fn blend_luma(&self, picture: &mut Picture, at: (i32, i32), clip: &Clip, luma: u8) {
        let width = usize::from(picture.size.width);
        let chroma_width = usize::from(Picture::chroma(picture.size).width);
        let [plane, u, v] = picture.split_mut();
        self.rows(at, clip, |y, x, part| {
            let (y, x) = (y as usize, x as usize);
            let Some(row) = plane.get_mut(y * width + x..y * width + x + part.len()) else { return };
            match &self.ink {
                Ink::Cover(cover) => {
                    row.iter_mut().zip(&cover[part]).for_each(|(pixel, cover)| *pixel = between(*pixel, luma, *cover));
                }
                Ink::Colour(pixels) => {
                    for ((column, pixel), &[red, green, blue, cover]) in (x..).zip(row).zip(&pixels[part]) {
                        let colour = yuv([red, green, blue].map(f64::from));
                        *pixel = between(*pixel, colour[0], cover);
                        if y % 2 == 0 && column % 2 == 0 {
                            let at = y / 2 * chroma_width + column / 2;
                            u[at] = between(u[at], colour[1], cover);
                            v[at] = between(v[at], colour[2], cover);
                        }
                    }
                }
            }
        });
    }
}

/// `cover` (of 255) of the second over the first.
fn mix(under: u32, over: u32, cover: u32) -> u32 {
    // 0 to 256, so that all is all.
    let cover = cover + (cover >> 7);
    let part = |mask: u32| (((under & mask) * (256 - cover) + (over & mask) * cover) >> 8) & mask;
    part(0x00ff_00ff) | part(0x0000_ff00)
}

fn between(under: u8, over: u8, cover: u8) -> u8 {
    mix(under.into(), over.into(), cover.into()) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixing_ends_where_it_should_and_parts_do_not_touch() {
        assert_eq!((mix(0x0012_3456, 0x00ff_ffff, 255), mix(0x0012_3456, 0x00ff_ffff, 0)), (0x00ff_ffff, 0x0012_3456));
        assert_eq!(mix(0x0000_ff00, 0x00ff_00ff, 128), 0x0080_7e80);
    }
}

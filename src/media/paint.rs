//! Rectangles and words on the planes of a picture, in the colours that cards are made of.

use crate::media::Picture;
use crate::media::text::{Face, fill};

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

/// Writes one line in this luma; colour stays what it was.
pub fn write(picture: &mut Picture, at: (i32, i32), face: Face, value: u8, text: &str) {
    let width = usize::from(picture.size.width);
    let [luma, ..] = picture.split_mut();
    face.draw(text, at, |x, y, side| fill(luma, width, (x, y), (side, side), value));
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

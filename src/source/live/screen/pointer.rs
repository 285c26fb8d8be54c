//! The mouse pointer, which no X server has in its pictures: drawn into them by us.
#![forbid(unsafe_code)]

use x11rb::protocol::xfixes::GetCursorImageReply;

use super::area::Area;

/// Draws the pointer into an area's pixels (blue, green, red and a spare byte), as much of it as is there.
pub(super) fn draw(cursor: &GetCursorImageReply, area: Area, pixels: &mut [u8]) {
    let (wide, high) = (i32::from(area.size.width), i32::from(area.size.height));
    let left = i32::from(cursor.x) - i32::from(cursor.xhot) - i32::from(area.x);
    let top = i32::from(cursor.y) - i32::from(cursor.yhot) - i32::from(area.y);
    let rows = cursor.cursor_image.chunks_exact(usize::from(cursor.width).max(1));
    for (y, row) in (top..).zip(rows).filter(|(y, _)| (0..high).contains(y)) {
        for (x, &colour) in (left..).zip(row).filter(|(x, _)| (0..wide).contains(x)) {
            // Both lie within the picture, so neither is negative.
            let at = (y as usize * wide as usize + x as usize) * 4;
            if let Some(pixel) = pixels.get_mut(at..at + 3) {
                blend(colour, pixel);
            }
        }
    }
}

/// Alpha, red, green and blue, which are multiplied by alpha already, over a pixel.
fn blend(colour: u32, pixel: &mut [u8]) {
    let [blue, green, red, alpha] = colour.to_le_bytes();
    for (under, over) in pixel.iter_mut().zip([blue, green, red]) {
        let rest = (u32::from(*under) * (255 - u32::from(alpha)) + 127) / 255;
        *under = over.saturating_add(rest as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Size;

    const WHITE: u32 = 0xFFFF_FFFF;

    /// Two by two: white, a half of red, nothing, black; the hot spot is its lower right pixel.
    fn cursor(x: i16, y: i16) -> GetCursorImageReply {
        let cursor_image = vec![WHITE, 0x8080_0000, 0, 0xFF00_0000];
        GetCursorImageReply {
            sequence: 0,
            length: 0,
            x,
            y,
            width: 2,
            height: 2,
            xhot: 1,
            yhot: 1,
            cursor_serial: 1,
            cursor_image,
        }
    }

    fn drawn(x: i16, y: i16, area: Area) -> Vec<[u8; 4]> {
        let mut pixels = [100, 100, 100, 7].repeat(area.size.pixels());
        draw(&cursor(x, y), area, &mut pixels);
        pixels.as_chunks::<4>().0.to_vec()
    }

    #[test]
    fn a_pointer_is_blended_with_what_is_under_it() {
        let area = Area { x: 10, y: 20, size: Size::new(3, 2) };
        let (plain, half) = ([100, 100, 100, 7], [50, 50, 178, 7]);
        assert_eq!(drawn(11, 21, area), [[255, 255, 255, 7], half, plain, plain, [0, 0, 0, 7], plain]);
    }

    #[test]
    fn a_pointer_at_the_edge_is_cut_and_one_outside_is_not_there() {
        let area = Area { x: 10, y: 20, size: Size::new(2, 2) };
        let plain = [100, 100, 100, 7];
        assert_eq!(drawn(10, 20, area), [[0, 0, 0, 7], plain, plain, plain]);
        assert_eq!(drawn(12, 22, area), [plain, plain, plain, [255, 255, 255, 7]]);
        for (x, y) in [(9, 20), (10, 19), (13, 22), (12, 23), (i16::MIN, i16::MAX)] {
            assert_eq!(drawn(x, y, area), [plain; 4], "{x},{y}");
        }
    }
}

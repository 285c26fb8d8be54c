//! How a screen's pixels lie in memory, and how they become blue, green, red and a spare byte.
#![forbid(unsafe_code)]

use x11rb::protocol::xproto::{self, ImageOrder, Setup, VisualClass};

use crate::units::Size;

/// The pixels of one screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScreenLayout {
    bits: u8,
    /// Rows begin at multiples of so many bits.
    padding: u8,
    big_endian: bool,
    /// Red, green, blue.
    masks: [u32; 3],
}

impl ScreenLayout {
    /// Of what a screen shows; where we cannot read it, what it is.
    pub fn of(setup: &Setup, root: &xproto::Screen) -> Result<Self, String> {
        let depth = root.root_depth;
        let format = setup.pixmap_formats.iter().find(|format| format.depth == depth);
        let mut visuals = root.allowed_depths.iter().flat_map(|depth| &depth.visuals);
        let (format, visual) = format
            .zip(visuals.find(|visual| visual.visual_id == root.root_visual))
            .ok_or_else(|| format!("{depth} bits a pixel that it does not describe"))?;
        let direct = matches!(visual.class, VisualClass::TRUE_COLOR | VisualClass::DIRECT_COLOR);
        let layout = Self {
            bits: format.bits_per_pixel,
            padding: format.scanline_pad,
            big_endian: setup.image_byte_order == ImageOrder::MSB_FIRST,
            masks: [visual.red_mask, visual.green_mask, visual.blue_mask],
        };
        if direct && matches!(layout.bits, 16 | 32) && !layout.masks.contains(&0) {
            Ok(layout)
        } else {
            Err(format!("{depth} bits a pixel"))
        }
    }

    /// Nothing needs to be done.
    pub fn is_plain(self) -> bool {
        self.bits == 32 && !self.big_endian && self.masks == [0xFF_0000, 0xFF00, 0xFF]
    }

    /// Bytes from one row to the next.
    fn stride(self, width: u16) -> usize {
        let padding = usize::from(self.padding.max(8));
        (usize::from(width) * usize::from(self.bits)).div_ceil(padding) * padding / 8
    }

    /// Bytes of a whole picture.
    pub fn bytes(self, size: Size) -> usize {
        self.stride(size.width) * usize::from(size.height)
    }

    /// Fills `out`, all of it, from `pixels` of this layout.
    pub fn expand(self, pixels: &[u8], size: Size, out: &mut [u8]) {
        let width = usize::from(size.width);
        let channels = self.masks.map(Channel::of);
        let rows = pixels.chunks_exact(self.stride(size.width)).zip(out.chunks_exact_mut(4 * width));
        for (row, out) in rows.take(size.height.into()) {
            let wide = usize::from(self.bits / 8);
            for (bytes, out) in row.chunks_exact(wide).zip(out.as_chunks_mut::<4>().0) {
                let [red, green, blue] = channels.map(|channel| channel.read(self.value(bytes)));
                *out = [blue, green, red, 0];
            }
        }
    }

    fn value(self, bytes: &[u8]) -> u32 {
        let join = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
        if self.big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
    }
}

/// Where one colour is in a pixel.
#[derive(Clone, Copy)]
struct Channel {
    shift: u32,
    most: u32,
}

impl Channel {
    const fn of(mask: u32) -> Self {
        let shift = mask.trailing_zeros();
        Self { shift, most: mask >> shift }
    }

    /// 0 to 255.
    fn read(self, pixel: u32) -> u8 {
        let value = u64::from((pixel >> self.shift) & self.most);
        ((value * 255 + u64::from(self.most) / 2) / u64::from(self.most)) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(layout: ScreenLayout, pixels: &[u8], size: Size) -> Vec<u8> {
        let mut out = vec![9; size.pixels() * 4];
        layout.expand(pixels, size, &mut out);
        out
    }

    #[test]
    fn sixteen_bits_a_pixel_in_rows_of_whole_words() {
        let layout = ScreenLayout { bits: 16, padding: 32, big_endian: false, masks: [0xF800, 0x07E0, 0x1F] };
        assert_eq!((layout.bytes(Size::new(3, 2)), layout.bytes(Size::new(4, 2))), (16, 16));
        let (white, red, green, half) = ([0xFF, 0xFF], [0, 0xF8], [0xE0, 0x07], [0x10, 0x84]);
        let rows = [white, red, green, [1, 2], half, [0, 0], [0x1F, 0], [3, 4]].concat();
        let wanted =
            [[[255, 255, 255, 0], [0, 0, 255, 0], [0, 255, 0, 0]], [[132, 130, 132, 0], [0, 0, 0, 0], [255, 0, 0, 0]]];
        assert_eq!(expanded(layout, &rows, Size::new(3, 2)), wanted.concat().concat());
    }

    #[test]
    fn colours_in_another_order_or_with_more_bits() {
        let swapped = ScreenLayout { bits: 32, padding: 32, big_endian: false, masks: [0xFF, 0xFF00, 0xFF_0000] };
        assert_eq!(expanded(swapped, &[1, 2, 3, 4], Size::new(1, 1)), [3, 2, 1, 0]);
        let big = ScreenLayout { big_endian: true, masks: [0xFF_0000, 0xFF00, 0xFF], ..swapped };
        assert_eq!(expanded(big, &[4, 1, 2, 3], Size::new(1, 1)), [3, 2, 1, 0]);
        let deep = ScreenLayout { masks: [0x3FF0_0000, 0xF_FC00, 0x3FF], ..swapped };
        let pixel: u32 = 1_023 << 20 | 512 << 10;
        assert_eq!(expanded(deep, &pixel.to_le_bytes(), Size::new(1, 1)), [0, 128, 255, 0]);
        let plain = ScreenLayout { masks: [0xFF_0000, 0xFF00, 0xFF], ..swapped };
        assert!(plain.is_plain() && ![swapped, big, deep].iter().any(|layout| layout.is_plain()));
    }
}

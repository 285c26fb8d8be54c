//! One picture of many: its pane, and its pixels as they stand on the wall.

use super::super::orders::Orders;
use super::super::pane::Pane;
use super::super::scale::Rect;
use crate::media::paint::fill_bgrx;

/// A tile.
pub struct Tile {
    pub pane: Pane,
    /// Where it stands; `None` while another one is large.
    pub place: Option<Rect>,
    /// The program behind it has ended.
    pub closed: bool,
    /// One for each pixel of its place.
    pixels: Vec<u32>,
    /// The number of the presentation with which these pixels came.
    since: u64,
    /// They are newer than what was presented last.
    pub changed: bool,
}

impl Tile {
    pub fn new(name: &str, orders: Orders) -> Self {
        let mut pane = Pane::new(name, orders);
        pane.hud.label = name.to_owned();
        Self { pane, place: None, closed: false, pixels: Vec::new(), since: 0, changed: false }
    }

    /// Draws it anew, with a border if it is the chosen one of several.
    pub fn render(&mut self, scale: f32, bordered: bool) {
        let Some(place) = self.place else { return };
        self.pixels.resize(place.size.pixels(), 0);
        self.pane.draw(&mut self.pixels, place.size, scale);
        if bordered {
            border(&mut self.pixels, place, (BORDER * scale).round() as u32);
        }
        self.changed = true;
    }

    /// Brings its pixels onto a sheet that shows what was presented `age` times ago (0: nothing); `presentation` is the
    /// number of this one. True if they are new.
    pub fn put(&mut self, sheet: &mut [u32], width: u16, presentation: u64, age: u8) -> bool {
        let Some(place) = self.place else { return false };
        let new = std::mem::take(&mut self.changed);
        if new {
            self.since = presentation;
        }
        if age == 0 || self.since + u64::from(age) > presentation {
            copy(&self.pixels, place, sheet, width);
        }
        new
    }
}

fn copy(pixels: &[u32], place: Rect, sheet: &mut [u32], width: u16) {
    let (x, wide) = (usize::from(place.x), usize::from(place.size.width));
    if wide == 0 || width == 0 {
        return;
    }
    let rows = sheet.chunks_exact_mut(width.into()).skip(place.y.into());
    for (from, to) in pixels.chunks_exact(wide).zip(rows) {
        if let Some(to) = to.get_mut(x..x + wide) {
            to.copy_from_slice(from);
        }
    }
}

fn border(pixels: &mut [u32], place: Rect, wide: u32) {
    let (width, height) = (u32::from(place.size.width), u32::from(place.size.height));
    let [right, bottom] = [width, height].map(|side| side.saturating_sub(wide) as i32);
    for (at, size) in
        [((0, 0), (width, wide)), ((0, bottom), (width, wide)), ((0, 0), (wide, height)), ((right, 0), (wide, height))]
    {
        fill_bgrx(pixels, place.size.width.into(), at, size, CHOSEN);
    }
}

/// Pixels of the chosen tile's border on a screen of the usual density.
const BORDER: f32 = 3.0;
/// Its colour.
pub const CHOSEN: u32 = 0x00FF_E066;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Size;
    use crate::view::orders;

    #[test]
    fn an_old_sheet_gets_all_that_has_changed_since() {
        let (_handle, orders) = orders(|| true);
        let mut tile = Tile::new("one", orders);
        tile.place = Some(Rect { x: 1, y: 1, size: Size::new(2, 1) });
        tile.render(1.0, true);
        let put = |tile: &mut Tile, presentation, age| {
            let mut sheet = [0; 12];
            let new = tile.put(&mut sheet, 4, presentation, age);
            (new, sheet[5..7] == [CHOSEN; 2], sheet.iter().filter(|pixel| **pixel == CHOSEN).count())
        };
        assert_eq!(put(&mut tile, 7, 1), (true, true, 2));
        assert_eq!(put(&mut tile, 8, 1), (false, false, 0), "it is there already");
        assert_eq!(put(&mut tile, 8, 2), (false, true, 2), "the other sheet lacks it");
        assert_eq!(put(&mut tile, 9, 2), (false, false, 0));
        assert_eq!(put(&mut tile, 10, 0), (false, true, 2), "an empty sheet lacks all");
    }
}

//! Where each of many pictures stands in a window, and which of them stands at a point. Pure numbers.

use super::super::scale::{Rect, letterbox};
use crate::units::Size;

/// Columns and rows of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub columns: u8,
    pub rows: u8,
}

/// Which way the choice moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Left,
    Right,
    Up,
    Down,
    Next,
    Previous,
}

impl Grid {
    /// The grid for `count` tiles that gives pictures of 16:9 the greatest area in this window.
    pub fn best(count: usize, window: Size) -> Self {
        let count = count.clamp(1, u8::MAX.into()) as u8;
        let grids = (1..=count).map(|columns| Self { columns, rows: count.div_ceil(columns) });
        let area = |grid: &Self| {
            let cell = Size::new(window.width / u16::from(grid.columns), window.height / u16::from(grid.rows));
            letterbox(SHAPE, cell).size.pixels()
        };
        // Of equals the widest, which has the fewest empty places.
        grids.max_by_key(area).unwrap_or(Self { columns: 1, rows: 1 })
    }

    /// The same columns, and as many rows as `count` tiles need at least.
    pub fn holding(self, count: usize) -> Self {
        let needed = count.div_ceil(self.columns.max(1).into()).min(u8::MAX.into()) as u8;
        Self { columns: self.columns.max(1), rows: self.rows.max(needed).max(1) }
    }

    /// Where a tile stands; a small gap is left between tiles.
    pub fn place(self, tile: usize, window: Size) -> Rect {
        let columns = usize::from(self.columns.max(1));
        let (left, right) = edges(tile % columns, self.columns, window.width);
        let (top, bottom) = edges(tile / columns, self.rows, window.height);
        Rect { x: left, y: top, size: Size::new(right - left, bottom - top) }
    }

    /// The tile that a key leads to from this one. At an edge it stays, and on the last row it goes to the last tile.
    pub fn step(self, tile: usize, count: usize, way: Way) -> usize {
        let (columns, last) = (usize::from(self.columns.max(1)), count.saturating_sub(1));
        let column = tile % columns;
        match way {
            Way::Left if column > 0 => tile - 1,
            Way::Right if column + 1 < columns => (tile + 1).min(last),
            Way::Up if tile >= columns => tile - columns,
            Way::Down if tile / columns < last / columns => (tile + columns).min(last),
            Way::Next => (tile + 1) % count.max(1),
            Way::Previous => (tile + last) % count.max(1),
            _ => tile,
        }
    }
}

/// From where to where one of `parts` goes.
fn edges(at: usize, parts: u8, length: u16) -> (u16, u16) {
    let edge = |at: usize| (at as u64 * u64::from(length) / u64::from(parts.max(1))).min(length.into()) as u16;
    let (from, to) = (edge(at), edge(at + 1));
    let gap = if at + 1 < parts.into() && to - from > 4 * GAP { GAP } else { 0 };
    (from, to - gap)
}

/// Which of these rectangles holds a point.
pub fn hit(places: impl IntoIterator<Item = Option<Rect>>, (x, y): (f64, f64)) -> Option<usize> {
    let inside = |from: u16, length: u16, at: f64| at >= from.into() && at < f64::from(from) + f64::from(length);
    let holds = |place: Rect| inside(place.x, place.size.width, x) && inside(place.y, place.size.height, y);
    places.into_iter().position(|place| place.is_some_and(holds))
}

/// Of most pictures.
const SHAPE: Size = Size::new(1_600, 900);
/// Pixels between two tiles.
const GAP: u16 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const HD: Size = Size::new(1_920, 1_080);

    #[test]
    fn the_grid_follows_the_windows_shape() {
        let best = |count, window| {
            let Grid { columns, rows } = Grid::best(count, window);
            (columns, rows)
        };
        for (count, grid) in [(1, (1, 1)), (2, (2, 1)), (4, (2, 2)), (5, (3, 2)), (9, (3, 3)), (36, (6, 6))] {
            assert_eq!(best(count, HD), grid, "{count}");
        }
        assert_eq!(best(3, Size::new(300, 2_000)), (1, 3), "a tall window");
        assert_eq!(best(3, Size::new(3_000, 200)), (3, 1), "a wide one");
        assert_eq!(best(0, Size::new(0, 0)), (1, 1));
        assert_eq!(Grid { columns: 2, rows: 2 }.holding(9), Grid { columns: 2, rows: 5 });
        assert_eq!(Grid { columns: 0, rows: 0 }.holding(1), Grid { columns: 1, rows: 1 });
    }

    #[test]
    fn tiles_lie_inside_the_window_and_never_over_each_other() {
        for window in [HD, Size::new(7, 3), Size::new(1_001, 333), Size::new(0, 0)] {
            for count in 1..=36 {
                let grid = Grid::best(count, window);
                let places: Vec<Rect> = (0..count).map(|tile| grid.place(tile, window)).collect();
                for (at, place) in places.iter().enumerate() {
                    let (right, bottom) = (place.x + place.size.width, place.y + place.size.height);
                    assert!(right <= window.width && bottom <= window.height, "{count} in {window}: {place:?}");
                    let apart = |other: &Rect| {
                        other.x >= right
                            || other.y >= bottom
                            || other.x + other.size.width <= place.x
                            || other.y + other.size.height <= place.y
                    };
                    assert!(places[at + 1..].iter().all(apart), "{count} in {window}: {place:?}");
                }
            }
        }
    }

    #[test]
    fn a_point_is_in_one_tile_or_in_none() {
        let grid = Grid { columns: 3, rows: 3 };
        let places = || (0..7).map(|tile| Some(grid.place(tile, HD)));
        assert_eq!(hit(places(), (0.0, 0.0)), Some(0));
        assert_eq!(hit(places(), (641.0, 361.0)), Some(4));
        assert_eq!(hit(places(), (639.5, 10.0)), None, "between two");
        assert_eq!(hit(places(), (1_900.0, 1_000.0)), None, "an empty place");
        assert_eq!(hit(places().map(|place| place.filter(|place| place.x > 0)), (0.0, 0.0)), None, "not visible");
    }

    #[test]
    fn arrows_stay_inside() {
        let grid = Grid { columns: 3, rows: 3 };
        let step = |tile, way| grid.step(tile, 8, way);
        assert_eq!([Way::Left, Way::Right, Way::Up, Way::Down].map(|way| step(4, way)), [3, 5, 1, 7]);
        assert_eq!([Way::Left, Way::Right, Way::Up, Way::Down].map(|way| step(0, way)), [0, 1, 0, 3]);
        assert_eq!([Way::Right, Way::Down].map(|way| step(7, way)), [7, 7], "the last one");
        assert_eq!(step(5, Way::Down), 7, "nothing is below it");
        assert_eq!([step(7, Way::Next), step(0, Way::Previous), step(2, Way::Next)], [0, 7, 3]);
    }
}

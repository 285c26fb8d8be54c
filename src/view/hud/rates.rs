//! The graph of the last half minute: what came, and what the path is believed to carry, as two lines.

use super::page::Page;
use super::{GREEN, GREY, YELLOW};
use crate::text::{Align, line_height, set};
use crate::units::Bitrate;

/// Seconds that the graph shows.
pub const SECONDS: usize = 30;
/// Lines of text that it is high, with its legend and the gap above it.
pub const LINES: usize = 6;

/// One second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub received: Bitrate,
    /// As the server tells it; `None`: it does not.
    pub estimate: Option<Bitrate>,
}

impl Page<'_> {
    /// The newest second is on the right; the highest rate of all reaches the upper edge.
    pub fn rates(&mut self, at: (i32, i32), wide: u32, size: f32, rates: &[Rates]) {
        let rates = &rates[rates.len().saturating_sub(SECONDS)..];
        let both = |rates: &Rates| rates.received.max(rates.estimate.unwrap_or_default()).as_bps();
        let most = rates.iter().map(both).max().unwrap_or(0);
        let ((x, y), line) = (at, line_height(size));
        let mut column = x;
        for (text, colour) in [("received", GREEN), ("path", YELLOW)] {
            let words = set(&[text], size, None);
            self.put(&words, (column, y), (Align::Left, words.width()), colour);
            column += words.width() as i32 + size as i32;
        }
        let scale = set(&[&format!("{:.1} Mb/s", most as f64 / 1e6)], size, None);
        let right = x + wide as i32 - scale.width() as i32;
        self.put(&scale, (right.max(x), y), (Align::Left, scale.width()), GREY);
        let area = Area { x, y: y + line as i32 * 5 / 4, wide, high: (LINES as u32 - 2) * line, most };
        self.fill((area.x, area.y + area.high as i32), (wide, 1), GREY);
        if most > 0 {
            let estimates: Vec<Option<u64>> = rates.iter().map(|rates| rates.estimate.map(Bitrate::as_bps)).collect();
            let received: Vec<Option<u64>> = rates.iter().map(|rates| Some(rates.received.as_bps())).collect();
            self.curve(&area, &estimates, YELLOW);
            self.curve(&area, &received, GREEN);
        }
    }

    /// A line through the values; where one is missing there is a gap.
    fn curve(&mut self, area: &Area, values: &[Option<u64>], colour: u32) {
        let first = SECONDS - values.len().min(SECONDS);
        let thick = (area.high / 40).max(1);
        for (n, pair) in values.windows(2).enumerate() {
            let &[Some(from), Some(to)] = pair else { continue };
            let (left, right) = (area.column(first + n), area.column(first + n + 1));
            let mut before = area.row(from as f64);
            for x in left..=right {
                let part = f64::from(x - left) / f64::from((right - left).max(1));
                let row = area.row(from as f64 + (to as f64 - from as f64) * part);
                let (top, bottom) = (before.min(row), before.max(row));
                self.fill((x, top), (1, (bottom - top) as u32 + thick), colour);
                before = row;
            }
        }
    }
}

/// Where the curves are drawn.
struct Area {
    x: i32,
    y: i32,
    wide: u32,
    high: u32,
    /// The rate at the upper edge.
    most: u64,
}

impl Area {
    fn column(&self, second: usize) -> i32 {
        self.x + (second as u32 * self.wide.saturating_sub(1) / (SECONDS as u32 - 1)) as i32
    }

    fn row(&self, rate: f64) -> i32 {
        let part = (rate / self.most.max(1) as f64).clamp(0.0, 1.0);
        self.y + ((1.0 - part) * f64::from(self.high.saturating_sub(1))).round() as i32
    }
}

#[cfg(test)]
mod tests {
    use super::super::Hud;
    use super::*;
    use crate::units::Size;

    fn drawn(rates: Vec<Rates>, size: Size) -> Vec<u32> {
        let mut target = vec![0x0080_8080; size.pixels()];
        Hud { figures: true, rates, ..Hud::default() }.draw(&mut target, size, 1.0);
        target
    }

    fn rates(megabits: u64, estimate: Option<u64>) -> Rates {
        let mega = |megabits| Bitrate::bps(megabits * 1_000_000);
        Rates { received: mega(megabits), estimate: estimate.map(mega) }
    }

    /// Rows of a window of 640 pixels in which the colour stands right of the words.
    fn rows(pixels: &[u32], colour: u32) -> Vec<usize> {
        let right = |row: &[u32]| row[230..].contains(&colour);
        pixels.chunks(640).enumerate().filter(|(_, row)| right(row)).map(|(at, _)| at).collect()
    }

    #[test]
    fn two_lines_on_one_scale() {
        let size = Size::new(640, 360);
        let pixels = drawn(vec![rates(5, Some(20)); SECONDS], size);
        let (received, estimate) = (rows(&pixels, GREEN), rows(&pixels, YELLOW));
        assert!(!received.is_empty() && !estimate.is_empty());
        assert!(estimate.iter().max() < received.iter().min(), "{estimate:?} above {received:?}");
        let none = drawn(vec![rates(5, None); SECONDS], size);
        assert!(rows(&none, YELLOW).is_empty() && !rows(&none, GREEN).is_empty());
    }

    #[test]
    fn any_rates_are_drawn_in_any_window() {
        let huge = Rates { received: Bitrate::bps(u64::MAX), estimate: Some(Bitrate::bps(0)) };
        for all in [vec![], vec![rates(0, None); 2], vec![rates(1, None)], vec![huge; 99]] {
            for (width, height) in [(1, 1), (40, 30), (640, 360), (3_840, 2_160)] {
                drawn(all.clone(), Size::new(width, height));
            }
        }
    }
}

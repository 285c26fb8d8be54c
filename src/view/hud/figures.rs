//! The figures, and the graph of the time from picture to picture.

use std::collections::VecDeque;
use std::time::Duration;

use super::page::{Page, margin};
use super::{BARS, GREEN, GREY, RED, Rates, WHITE, rates};
use crate::text::{line_height, set};

impl Page<'_> {
    pub fn figures(&mut self, lines: &[String], intervals: &VecDeque<Duration>, rates: &[Rates]) {
        let rows = lines.len() + GRAPH_LINES + if rates.is_empty() { 0 } else { rates::LINES };
        // A line that belongs to the one above begins with a space.
        let indent = |line: &str, size: f32| if line.starts_with(' ') { size as u32 } else { 0 };
        let wide = |line: &String, size| set(&[line.trim_start()], size, None).width() + indent(line, size);
        let widest = |size| lines.iter().map(|line| wide(line, size)).max().unwrap_or(0);
        let least = |size: f32| (size * LEAST_WIDTH) as u32;
        let natural = widest(self.size()).max(least(self.size()));
        let size = self.fitting(natural, rows as f32);
        let (margin, line) = (margin(size), line_height(size));
        // Figures that grow by a digit do not move the edge each time.
        let step = (2.0 * size) as u32;
        let wide = widest(size).max(least(size)).next_multiple_of(step.max(1));
        let high = line * rows as u32 + line / 2;
        self.shade((margin as i32, margin as i32), (wide + 2 * margin, high + margin));
        let (x, mut y) = (2 * margin as i32, margin as i32 + line as i32 / 4);
        for text in lines {
            self.text((x + indent(text, size) as i32, y), size, WHITE, text.trim_start());
            y += line as i32;
        }
        y += line as i32 / 2;
        self.graph((x, y), (wide, (GRAPH_LINES as u32 - 1) * line), intervals);
        if !rates.is_empty() {
            self.rates((x, y + (GRAPH_LINES as u32 * line) as i32), wide, size, rates);
        }
    }

    /// Time from picture to picture, newest on the right; the line is the median, which stands at half the height.
    fn graph(&mut self, (x, y): (i32, i32), (wide, high): (u32, u32), intervals: &VecDeque<Duration>) {
        let mut sorted: Vec<Duration> = intervals.iter().copied().collect();
        sorted.sort_unstable();
        let Some(median) = sorted.get(sorted.len() / 2).filter(|median| !median.is_zero()) else { return };
        let bar = (wide / BARS as u32).max(1);
        let shown = intervals.iter().rev().take((wide / bar) as usize);
        for (i, interval) in (1..).zip(shown) {
            let ratio = interval.as_secs_f64() / median.as_secs_f64();
            let height = ((ratio / 2.0).min(1.0) * f64::from(high)).round() as u32;
            let colour = if ratio > 1.5 { RED } else { GREEN };
            let at = (x + (wide - i * bar) as i32, y + (high - height) as i32);
            self.fill(at, (bar.saturating_sub(1).max(1), height), colour);
        }
        self.fill((x, y + high as i32 / 2), (wide, 1), GREY);
    }
}

/// Rows of text that the graph is high, with the gap above it.
const GRAPH_LINES: usize = 4;
/// The figures are at least so many letters' sizes wide.
const LEAST_WIDTH: f32 = 14.0;

//! Figures of all streams of a wall, for the one line on the terminal.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::app::figures::Output;
use crate::app::watch::figures::WatchFigures;
use crate::app::words::{fps_text, grouped, rate_text};
use crate::units::Time;

/// Where they come together.
pub struct Seats {
    output: Arc<Output>,
    table: Arc<Mutex<Table>>,
}

struct Table {
    rows: Vec<Row>,
    /// The line is written again from then on.
    next: Time,
}

#[derive(Clone, Copy, Default)]
struct Row {
    fps: f64,
    lost: u64,
    bps: f64,
}

/// The place of one stream.
pub struct Seat {
    at: usize,
    output: Arc<Output>,
    table: Arc<Mutex<Table>>,
}

impl Seats {
    pub fn new(count: usize, output: Arc<Output>) -> Self {
        let table = Table { rows: vec![Row::default(); count], next: Time::ZERO };
        Self { output, table: Arc::new(Mutex::new(table)) }
    }

    pub fn seat(&self, at: usize) -> Seat {
        Seat { at, output: Arc::clone(&self.output), table: Arc::clone(&self.table) }
    }
}

impl Seat {
    /// A second of this stream. Who comes first in a second writes the line.
    pub fn tell(&self, now: Time, figures: &WatchFigures) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = table.rows.get_mut(self.at) {
            let lost = figures.pictures.lost + figures.pictures.damaged;
            *row = Row { fps: figures.fps, lost, bps: figures.network.bitrate_bps };
        }
        if now >= table.next {
            table.next = now + PAUSE;
            self.output.status(&line(&table.rows));
        }
    }
}

/// A stream that has ended has no pictures any more; what it has lost stays.
impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = table.rows.get_mut(self.at) {
            (row.fps, row.bps) = (0.0, 0.0);
        }
    }
}

fn line(rows: &[Row]) -> Vec<String> {
    let playing = rows.iter().filter(|row| row.fps > 0.0).count();
    vec![
        format!("{playing} of {} streams", rows.len()),
        fps_text(Some(rows.iter().map(|row| row.fps).sum())),
        format!("{} lost", grouped(rows.iter().map(|row| row.lost).sum())),
        rate_text(rows.iter().map(|row| row.bps).sum()),
    ]
}

/// A little less than the second in which all have spoken.
const PAUSE: Duration = Duration::from_millis(900);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_all() {
        let row = |fps, lost| Row { fps, lost, bps: 1e6 };
        let text = line(&[row(25.0, 1), row(24.5, 0), row(0.0, 2)]).join("  ");
        assert_eq!(text, "2 of 3 streams  49.5 fps  3 lost  3.0 Mb/s");
    }
}

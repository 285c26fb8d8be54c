//! A film on demand as the window knows it: where it is, and what keys and mouse ask of it.

use std::time::Duration;

use crate::units::{MediaTime, Size, Speed};

/// Where a film is.
#[derive(Clone, Debug, PartialEq)]
pub struct FilmPlace {
    pub at: MediaTime,
    /// `None`: nobody knows how long it is.
    pub length: Option<Duration>,
    pub paused: bool,
    pub ended: bool,
    pub speed: Speed,
}

/// A part of the window, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    pub x: i32,
    pub y: i32,
    pub width: u32,
    pub height: u32,
}

/// What is asked of a film.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilmWish {
    /// Stand, or go on.
    Pause,
    /// So many seconds on, or back.
    Skip(i8),
    /// One picture on, or back; the film stands then.
    Step(bool),
    Home,
    End,
    /// So many tenths of its length.
    Tenth(u8),
    /// The next faster, or slower.
    Speed(bool),
    /// Near there, while the mouse is still moved.
    Scrub(MediaTime),
    /// There.
    Seek(MediaTime),
}

/// Pixels of a usual screen: the strip at the window's lower edge, and what is left on either side of its line.
const STRIP: f32 = 44.0;
const SIDE: f32 = 16.0;

/// The strip of the bar, and the line in it on which places are chosen. `room`: pixels that times take on its left and right.
pub fn strip(window: Size, scale: f32, room: u32) -> (Area, Area) {
    let scale = if scale.is_finite() { scale.clamp(1.0, 8.0) } else { 1.0 };
    let (width, height) = (u32::from(window.width), u32::from(window.height));
    let high = ((STRIP * scale) as u32).min(height);
    let side = ((SIDE * scale) as u32 + room).min(width / 3);
    let strip = Area { x: 0, y: (height - high) as i32, width, height: high };
    let line = Area { x: side as i32, width: width.saturating_sub(2 * side).max(1), ..strip };
    (strip, line)
}

/// The moment that a point of the line stands for.
pub fn moment_at(line: Area, x: f64, length: Duration) -> MediaTime {
    let part = ((x - f64::from(line.x)) / f64::from(line.width)).clamp(0.0, 1.0);
    MediaTime::from_micros((length.as_secs_f64() * part * 1e6) as i64)
}

impl FilmPlace {
    /// As parts of its length.
    pub fn part(&self) -> f64 {
        let length = self.length.map_or(0.0, |length| length.as_secs_f64());
        if length > 0.0 { (self.at.micros() as f64 / 1e6 / length).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// `1:02:03`, or `2:03`.
pub fn clock_text(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_line_are_those_of_the_film() {
        for (window, scale) in [((1_280, 720), 1.0), ((320, 180), 2.0), ((1, 1), f32::NAN)] {
            let (strip, line) = strip(Size::new(window.0, window.1), scale, 100);
            assert!(strip.y >= 0 && strip.width == u32::from(window.0) && line.width > 0);
            let length = Duration::from_secs(100);
            let at = |x: f64| moment_at(line, x, length).micros();
            let (left, right) = (f64::from(line.x), f64::from(line.x) + f64::from(line.width));
            assert_eq!((at(left - 9.0), at(left), at(right + 9.0)), (0, 0, 100_000_000));
        }
        assert_eq!((clock_text(59), clock_text(3_723)), ("0:59".to_owned(), "1:02:03".to_owned()));
    }
}

//! The card that stands in for pictures where there is only sound: its name, and how loud left and right are.

use super::paragraph::{Align, line_height};
use crate::media::Picture;
use crate::media::paint::{BLACK, DARK, GREY, WHITE, paint, yuv};
use crate::media::sound::Frame;
use crate::queue::Pool;
use crate::units::{Size, Time};

/// How loud a piece of sound is, left and right, from 0 to 1 of full scale.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// Root of the mean square: what an ear takes for loudness.
    pub mean: [f64; 2],
    pub peak: [f64; 2],
}

impl Level {
    pub fn of(frames: &[Frame]) -> Self {
        let side = |side: usize| {
            let samples = frames.iter().map(|frame| f64::from(frame[side]) / 32_768.0);
            let square: f64 = samples.clone().map(|sample| sample * sample).sum();
            (
                (square / frames.len().max(1) as f64).sqrt(),
                samples.fold(0.0, |most: f64, sample| most.max(sample.abs())),
            )
        };
        let [(left, left_peak), (right, right_peak)] = [side(0), side(1)];
        Self { mean: [left, right], peak: [left_peak, right_peak] }
    }
}

/// The card; all that stands still is drawn once.
pub struct Meter {
    size: Size,
    background: Vec<u8>,
}

impl Meter {
    /// Waits for the system's fonts if the title needs them.
    pub fn new(size: Size, title: &str) -> Self {
        super::wait_for_fonts(&[title]);
        let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
        paint(&mut picture, (0, 0), (u32::from(size.width), u32::from(size.height)), DARK);
        write_title(&mut picture, title);
        write_scale(&mut picture);
        Self { size, background: picture.planes_mut().to_vec() }
    }

    /// Draws the card over whatever `picture` held; does nothing if its size is not the card's.
    pub fn draw(&self, picture: &mut Picture, level: &Level) {
        if picture.size != self.size {
            return;
        }
        picture.planes_mut().copy_from_slice(&self.background);
        for side in [0, 1] {
            draw_bar(picture, bar(self.size, side as u32), level.mean[side], level.peak[side]);
        }
    }
}

/// Corner and size of the bar of left (0) or right (1).
pub fn bar(size: Size, side: u32) -> ((i32, i32), (u32, u32)) {
    let (width, height) = (u32::from(size.width), u32::from(size.height));
    let (x, high) = (width / 16, (height / 10).max(1));
    let y = height / 2 + side * (high + high / 2);
    ((x as i32, y as i32), (width.saturating_sub(2 * x).max(1), high))
}

/// How far along its bar a level lies, from 0 to 1: the scale is in decibels, and silence is all below −60.
pub fn position(level: f64) -> f64 {
    (1.0 + 20.0 * level.max(1e-9).log10() / RANGE).clamp(0.0, 1.0)
}

fn draw_bar(picture: &mut Picture, ((x, y), (width, height)): ((i32, i32), (u32, u32)), mean: f64, peak: f64) {
    paint(picture, (x, y), (width, height), BLACK);
    let along = |level: f64| (position(level) * f64::from(width)).round() as u32;
    let mut from = 0;
    for (decibels, colour) in ZONES {
        let end = ((1.0 + decibels / RANGE) * f64::from(width)) as u32;
        let to = end.min(along(mean));
        if to > from {
            paint(picture, (x + from as i32, y), (to - from, height), yuv(colour));
        }
        from = end;
    }
    if along(peak) > 0 {
        let tick = (width / 150).max(1);
        let at = along(peak).min(width - tick.min(width));
        paint(picture, (x + at as i32, y), (tick, height), WHITE);
    }
}

/// The size of letters whose rows are this high.
fn pixels(row: f32) -> f32 {
    row * 100.0 / line_height(100.0) as f32
}

/// At most three rows of it.
fn write_title(picture: &mut Picture, title: &str) {
    let (width, height) = (f32::from(picture.size.width), f32::from(picture.size.height));
    let size = pixels((height / 10.0).min(width / 14.0));
    let room = (width - 2.0 * size).max(1.0) as u32;
    let at = (size as i32, height as i32 / 10);
    super::set(&[title], size, Some(room)).draw_luma_rows(picture, at, (Align::Centre, room), WHITE[0], 3);
}

/// Decibels below the lower bar.
fn write_scale(picture: &mut Picture) {
    let size = pixels((f32::from(picture.size.height) / 18.0).min(f32::from(picture.size.width) / 24.0));
    let ((x, y), (width, height)) = bar(picture.size, 1);
    for decibels in [-60_i32, -48, -36, -24, -12, 0] {
        // The sign of a number, which is as wide as a digit.
        let text = super::set(&[&decibels.to_string().replace('-', "\u{2212}")], size, None);
        let at = (1.0 + f64::from(decibels) / RANGE) * f64::from(width);
        let left = x + at as i32 - text.width() as i32 / 2;
        text.draw_luma(picture, (left, y + height as i32 + height as i32 / 4), (Align::Left, text.width()), GREY);
    }
}

/// Decibels from one end of a bar to the other.
const RANGE: f64 = 60.0;
/// Where each colour ends, in decibels of full scale.
const ZONES: [(f64, [f64; 3]); 3] =
    [(-18.0, [40.0, 190.0, 80.0]), (-6.0, [220.0, 190.0, 40.0]), (0.0, [220.0, 60.0, 50.0])];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_frames() {
        let frames: Vec<Frame> = (0..4_410).map(|n| [if n % 2 == 0 { 16_384 } else { -16_384 }, 0]).collect();
        let level = Level::of(&frames);
        assert_eq!((level.mean, level.peak), ([0.5, 0.0], [0.5, 0.0]));
        assert_eq!(Level::of(&[]), Level::default());
        assert_eq!((position(1.0), position(0.0), position(0.001)), (1.0, 0.0, 0.0));
        assert!((position(0.1) - 2.0 / 3.0).abs() < 1e-9, "-20 of 60 dB");
    }

    /// Pixels of a bar that are lit, counted in its middle row.
    fn lit(picture: &Picture, side: u32) -> usize {
        let ((x, y), (width, height)) = bar(picture.size, side);
        let row = (y as usize + height as usize / 2) * usize::from(picture.size.width) + x as usize;
        picture.planes()[0][row..row + width as usize].iter().filter(|&&luma| luma > 50).count()
    }

    #[test]
    fn bars_follow_the_level_and_cards_of_any_size_can_be_drawn() {
        let pool = Pool::new(1);
        for (width, height) in [(1, 1), (16, 16), (640, 360), (641, 361), (3_840, 2_160)] {
            let size = Size::new(width, height);
            let meter = Meter::new(size, "A song with a name that is longer than the card is wide, by far");
            let mut picture = Picture::from_pool(&pool, size, 0, Time::ZERO);
            let mut last = 0;
            for mean in [0.0, 0.01, 0.1, 0.5, 1.0] {
                meter.draw(&mut picture, &Level { mean: [mean, 0.0], peak: [mean, 0.0] });
                if width < 640 {
                    continue;
                }
                assert!(mean == 0.0 || lit(&picture, 0) > last, "{size} at {mean}");
                assert_eq!(lit(&picture, 1), 0, "{size}: the other side is silent");
                last = lit(&picture, 0);
            }
        }
    }
}

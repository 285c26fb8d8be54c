//! The moving test card, drawn straight in full-range BT.601 4:2:0.

use std::sync::Arc;
use std::time::Duration;

use super::paragraph::{Align, Paragraph, line_height};
use crate::media::paint::{BLACK, WHITE, paint, yuv};
use crate::media::{Painter, Picture};
use crate::queue::Pool;
use crate::units::{Rate, Size, Time};

/// The moving test card: bars, a grey ramp, a bouncing square, the picture number and its timecode. In the first tenth of
/// each second the ramp is white all over: the flash to the beep of the [tone](crate::media::tone).
///
/// All that stands still is drawn once; a picture is a copy of that and two small areas, or three.
pub struct Card {
    size: Size,
    rate: Rate,
    background: Vec<u8>,
    /// What a number and a timecode are made of, in cells of one width.
    digits: Vec<Arc<Paragraph>>,
    cell: u32,
}

impl Card {
    pub fn new(size: Size, rate: Rate) -> Self {
        let pool = Pool::new(1);
        let mut picture = Picture::from_pool(&pool, size, 0, Time::ZERO);
        draw_bars(&mut picture);
        draw_ramp(&mut picture);
        let row = (f32::from(size.height) / 8.0).min(f32::from(size.width) / 12.0);
        let pixels = row * 100.0 / line_height(100.0) as f32;
        let digits: Vec<_> =
            GLYPHS.chars().map(|digit| super::set(&[digit.encode_utf8(&mut [0; 4])], pixels, None)).collect();
        let cell = digits.iter().map(|digit| digit.width()).max().unwrap_or(0);
        Self { size, rate, background: picture.planes_mut().to_vec(), digits, cell }
    }

    /// Draws picture `number` over whatever `picture` held; does nothing if its size is not the card's.
    pub fn draw(&self, picture: &mut Picture, number: u32) {
        if picture.size != self.size {
            return;
        }
        picture.planes_mut().copy_from_slice(&self.background);
        self.draw_square(picture, number);
        self.draw_number(picture, number);
        if self.flashes(number) {
            let ((x, y), size) = self.flash_area();
            paint(picture, (x as i32, y as i32), size, WHITE);
        }
    }

    /// Whether picture `number` falls into the first tenth of its second.
    pub fn flashes(&self, number: u32) -> bool {
        let at = self.rate.at(u64::from(number));
        Duration::from_nanos(at.subsec_nanos().into()) < FLASH
    }

    /// Corner and size of the area that flashes, in pixels: the lower quarter, where the ramp is.
    pub fn flash_area(&self) -> ((u32, u32), (u32, u32)) {
        let (width, height) = (u32::from(self.size.width), u32::from(self.size.height));
        let top = height * 3 / 4;
        ((0, top), (width, height - top))
    }

    /// A white square in a black frame; it crosses the picture in two seconds and the height in three.
    fn draw_square(&self, picture: &mut Picture, number: u32) {
        let (width, height) = (u32::from(self.size.width), u32::from(self.size.height));
        let side = (height.min(width) / 6).max(2);
        let seconds = self.rate.at(u64::from(number)).as_secs_f64();
        let x = bounce(seconds / 2.0, width.saturating_sub(side));
        let y = bounce(seconds / 3.0, (height * 3 / 4).saturating_sub(side));
        let frame = (side / 8).max(1);
        paint(picture, (x, y), (side, side), BLACK);
        let inner = side.saturating_sub(2 * frame);
        paint(picture, (x + frame as i32, y + frame as i32), (inner, inner), WHITE);
    }

    fn draw_number(&self, picture: &mut Picture, number: u32) {
        let text = format!("{number:06}  {}", timecode(self.rate, number));
        let high = self.digits.first().map_or(0, |digit| digit.height());
        let wide = self.cell * text.len() as u32;
        let x = (i32::from(self.size.width) - wide as i32) / 2;
        let y = i32::from(self.size.height) * 3 / 8 - high as i32 / 2;
        let margin = self.cell;
        paint(picture, (x - margin as i32, y), (wide + 2 * margin, high), BLACK);
        for (at, digit) in (0..).zip(text.chars()) {
            if let Some(digit) = GLYPHS.find(digit).and_then(|at| self.digits.get(at)) {
                digit.draw_luma(picture, (x + at * self.cell as i32, y), (Align::Centre, self.cell), WHITE[0]);
            }
        }
    }
}

impl Painter for Card {
    fn size(&self) -> Size {
        self.size
    }

    fn draw(&self, picture: &mut Picture, number: u32) {
        Card::draw(self, picture, number);
    }
}

/// `hours:minutes:seconds:pictures` at this rate.
pub fn timecode(rate: Rate, number: u32) -> String {
    let second = rate.at(u64::from(number)).as_secs();
    let first = rate.index_at(Duration::from_secs(second));
    let first = if rate.at(first).as_secs() < second { first + 1 } else { first };
    let picture = u64::from(number).saturating_sub(first);
    format!("{:02}:{:02}:{:02}:{picture:02}", second / 3_600, second / 60 % 60, second % 60)
}

fn draw_bars(picture: &mut Picture) {
    let (width, height) = (u32::from(picture.size.width), u32::from(picture.size.height));
    let count = BARS.len() as u32;
    for (bar, rgb) in (0..).zip(BARS) {
        let (left, right) = (width * bar / count, width * (bar + 1) / count);
        paint(picture, (left as i32, 0), (right - left, height * 3 / 4), yuv(rgb));
    }
}

fn draw_ramp(picture: &mut Picture) {
    let (width, height) = (u32::from(picture.size.width), u32::from(picture.size.height));
    let top = height * 3 / 4;
    paint(picture, (0, top as i32), (width, height - top), BLACK);
    let [luma, ..] = picture.split_mut();
    for row in luma.chunks_exact_mut(width as usize).skip(top as usize) {
        for (x, pixel) in (0..).zip(row) {
            *pixel = (x * 255 / (width - 1).max(1)) as u8;
        }
    }
}

/// There and back between 0 and `range`, one way in one `time`.
fn bounce(time: f64, range: u32) -> i32 {
    let phase = time.rem_euclid(2.0);
    (phase.min(2.0 - phase) * f64::from(range)).round() as i32
}

/// All that numbers and timecodes are made of.
const GLYPHS: &str = "0123456789:";
/// The 75 % bars of SMPTE EG 1, in RGB.
const BARS: [[f64; 3]; 7] = [
    [191.0, 191.0, 191.0],
    [191.0, 191.0, 0.0],
    [0.0, 191.0, 191.0],
    [0.0, 191.0, 0.0],
    [191.0, 0.0, 191.0],
    [191.0, 0.0, 0.0],
    [0.0, 0.0, 191.0],
];
/// The flash lasts as long as the beep of the tone beside it.
const FLASH: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn rate() -> Rate {
        Rate::new(30, 1).expect("usual")
    }

    #[test]
    fn cards_of_any_size_move() {
        for (width, height) in [(1, 1), (2, 1), (1, 9), (17, 13), (320, 240), (481, 271), (1280, 720)] {
            let size = Size::new(width, height);
            let card = Card::new(size, rate());
            let pool = Pool::new(2);
            let draw = |number| {
                let mut picture = Picture::from_pool(&pool, size, number, Time::ZERO);
                card.draw(&mut picture, number);
                picture.planes_mut().to_vec()
            };
            assert_eq!(draw(3), draw(3), "{size}: a picture depends on its number alone");
            assert!(size.pixels() < 300 || draw(3) != draw(4), "{size}: it moves");
            draw(u32::MAX);
        }
    }

    #[test]
    fn the_ramp_is_white_in_the_first_tenth_of_each_second() {
        let size = Size::new(320, 240);
        for (num, den, flashing) in [(30, 1, 3), (25, 1, 3), (10, 1, 1), (60, 1, 6), (1, 1, 1)] {
            let card = Card::new(size, Rate::new(num, den).expect("usual"));
            let pool = Pool::new(1);
            for number in 0..3 * num {
                let mut picture = Picture::from_pool(&pool, size, number, Time::ZERO);
                card.draw(&mut picture, number);
                let ((_, y), (width, height)) = card.flash_area();
                let [luma, ..] = picture.planes();
                let area = &luma[(y * width) as usize..((y + height) * width) as usize];
                let white = area.iter().all(|&pixel| pixel == 255);
                assert_eq!(white, number % num < flashing, "{num} pictures a second, picture {number}");
                assert!(luma[..(y * width) as usize].contains(&0), "the number's black ground is not covered");
            }
        }
    }

    #[test]
    fn timecodes_count_pictures_within_their_second() {
        assert_eq!(timecode(rate(), 0), "00:00:00:00");
        assert_eq!(timecode(rate(), 30 * 3_661 + 7), "01:01:01:07");
        let ntsc = Rate::new(30_000, 1_001).expect("usual");
        assert_eq!(timecode(ntsc, 29), "00:00:00:29");
        assert_eq!(timecode(ntsc, 30), "00:00:01:00");
    }

    #[test]
    fn the_bars_have_their_colours() {
        let size = Size::new(700, 400);
        let card = Card::new(size, rate());
        assert_eq!(yuv([0.0, 0.0, 191.0])[0], card.background[699]);
        assert_eq!(yuv([191.0; 3]), [191, 128, 128]);
    }
}

//! The ink of some words, and how alike two of them are.

use std::ops::Range;

/// Grey pixels without the empty edges.
pub struct Ink {
    pixels: Vec<f64>,
    width: usize,
}

/// Of 0x00RRGGBB, the brightest part.
pub fn grey(pixel: u32) -> u8 {
    [pixel >> 16, pixel >> 8, pixel].into_iter().map(|part| part as u8).max().unwrap_or(0)
}

impl Ink {
    pub fn new(pixels: Vec<u8>, width: usize) -> Self {
        let lit = |at: &usize| pixels[*at] > FAINT;
        let columns: Vec<usize> = (0..pixels.len()).filter(lit).map(|at| at % width).collect();
        let rows: Vec<usize> = (0..pixels.len()).filter(lit).map(|at| at / width).collect();
        let span = |all: &[usize]| Some((*all.iter().min()?, *all.iter().max()? + 1));
        let Some(((left, right), (top, bottom))) = span(&columns).zip(span(&rows)) else {
            return Self { pixels: Vec::new(), width: 0 };
        };
        let row = |y: usize| pixels[y * width + left..y * width + right].iter().map(|pixel| f64::from(*pixel));
        Self { pixels: (top..bottom).flat_map(row).collect(), width: right - left }
    }

    fn height(&self) -> usize {
        self.pixels.len() / self.width.max(1)
    }

    fn at(&self, x: i64, y: i64) -> f64 {
        let inside = (0..self.width as i64).contains(&x) && (0..self.height() as i64).contains(&y);
        if inside { self.pixels[y as usize * self.width + x as usize] } else { 0.0 }
    }

    /// Softened, so that a part of a pixel makes no great difference.
    fn soft(&self) -> Self {
        let (width, height) = (self.width as i64 + 4, self.height() as i64 + 4);
        let around = |x: i64, y: i64| {
            let weight = |d: i64| [1.0, 2.0, 1.0][(d + 1) as usize];
            let sum = |(dx, dy): (i64, i64)| weight(dx) * weight(dy) * self.at(x - 2 + dx, y - 2 + dy);
            (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy))).map(sum).sum::<f64>() / 16.0
        };
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| around(x, y)).collect();
        Self { pixels, width: width as usize }
    }

    /// How alike the least alike part is, from 0 to 1: parts are as wide as the ink is high, and each is compared at the best
    /// of a few places. It is their correlation, the sum of products over the root of the sums of squares.
    pub fn likeness(&self, other: &Self) -> f64 {
        if self.width == 0 || other.width == 0 {
            return 0.0;
        }
        let (one, two) = (self.soft(), other.soft());
        let count = one.width.div_ceil(one.height().max(8));
        let part = |n: usize| one.width * n / count..one.width * (n + 1) / count;
        (0..count).map(|n| one.part_like(part(n), &two)).fold(1.0, f64::min)
    }

    fn part_like(&self, columns: Range<usize>, other: &Self) -> f64 {
        let middle =
            [(other.width, self.width), (other.height(), self.height())].map(|(two, one)| two as i64 - one as i64);
        let points = || (0..self.height() as i64).flat_map(|y| columns.clone().map(move |x| (x as i64, y)));
        let likeness = |(dx, dy): (i64, i64)| {
            let (dx, dy) = (middle[0] / 2 + dx, middle[1] / 2 + dy);
            let (mut product, mut squares) = (0.0, [0.0, 0.0]);
            for (one, two) in points().map(|(x, y)| (self.at(x, y), other.at(x + dx, y + dy))) {
                product += one * two;
                squares[0] += one * one;
                squares[1] += two * two;
            }
            if squares == [0.0, 0.0] { 1.0 } else { product / (squares[0] * squares[1]).sqrt().max(1.0) }
        };
        let reach = 2 + middle[0].abs() / 2;
        let places = (-3..=3).flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)));
        places.map(likeness).fold(0.0, f64::max)
    }
}

/// Darker is no ink.
const FAINT: u8 = 64;

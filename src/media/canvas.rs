//! The picture a viewer sees: pixels that slices are decoded into, and which 8 × 8 cells of them have come.
#![forbid(unsafe_code)]

use std::ops::Range;

use super::Eighths;
use crate::units::Size;

/// Pixels as 0x??RRGGBB (bytes B, G, R, X on little-endian machines; the top byte means nothing), row by row.
///
/// Two canvases of a size can be compared pixel by pixel when both were decoded, not filled.
///
/// A canvas may hold its picture at n/8 of the size. Places and sizes are told in the picture's own pixels all the same,
/// and a cell then has n × n pixels.
#[derive(Clone, Debug)]
pub struct Canvas {
    /// Of the stream's pictures in full, one rendition of which this is.
    full: Size,
    /// Of the picture at full scale.
    picture: Size,
    scale: Eighths,
    /// Of the pixels here.
    size: Size,
    pixels: Vec<u32>,
    /// A bit for each cell, rows padded to whole words.
    covered: Vec<u64>,
    missing: usize,
}

/// A rectangle of a canvas to write into: from its first pixel to its last, `stride` pixels from row to row.
pub struct Rectangle<'a> {
    pub pixels: &'a mut [u32],
    pub stride: usize,
}

impl Rectangle<'_> {
    /// Its first `rows` rows and the others, to be written at the same time; `None` if it has no more than those.
    pub fn split_at_row(&mut self, rows: u16) -> Option<[Rectangle<'_>; 2]> {
        let stride = self.stride;
        let (upper, lower) = self.pixels.split_at_mut_checked(usize::from(rows) * stride)?;
        (!lower.is_empty()).then_some([upper, lower].map(|pixels| Rectangle { pixels, stride }))
    }
}

impl Canvas {
    /// Whether room is made for pictures of this size: 8K (7 680 × 4 320, and 8 192 × 4 320) and what has no more pixels.
    pub const fn fits(size: Size) -> bool {
        size.width as usize * size.height as usize * size_of::<u32>() <= MOST_BYTES
    }

    /// A black canvas that nothing has come for.
    pub fn new(size: Size) -> Self {
        Self::scaled(size, Eighths::FULL)
    }

    /// The same for a picture of this size at a smaller scale.
    pub fn scaled(picture: Size, scale: Eighths) -> Self {
        let none = Size::new(0, 0);
        let mut canvas =
            Self { full: none, picture: none, scale, size: none, pixels: Vec::new(), covered: Vec::new(), missing: 0 };
        canvas.reset_scaled(picture, scale);
        canvas
    }

    /// Makes it ready for a picture of this size. Pixels of the same size stay until they are covered or filled.
    pub fn reset(&mut self, size: Size) {
        self.reset_scaled(size, Eighths::FULL);
    }

    /// The same for a picture of this size at a smaller scale.
    pub fn reset_scaled(&mut self, picture: Size, scale: Eighths) {
        (self.full, self.picture, self.scale) = (picture, picture, scale);
        let size = scale.of(picture);
        if self.size != size {
            self.size = size;
            self.pixels.clear();
            self.pixels.resize(size.pixels(), BLACK);
        }
        self.clear_coverage();
    }

    /// Its picture is a rendition of one that has this size in full, and is shown as large as that.
    pub const fn set_full(&mut self, full: Size) {
        self.full = full;
    }

    /// Forgets what has come.
    pub fn clear_coverage(&mut self) {
        let (columns, rows) = self.cells();
        self.covered.clear();
        self.covered.resize(columns.div_ceil(WORD) * rows, 0);
        self.missing = columns * rows;
    }

    /// Marks a rectangle as come: its corner in units of 8 pixels, its size in pixels. What lies outside is left out.
    pub fn cover(&mut self, x8: u16, y8: u16, width: u16, height: u16) {
        let (columns, rows) = self.cells();
        let across = cells_of(x8, width, columns);
        for row in cells_of(y8, height, rows) {
            for word in across.start / WORD..across.end.div_ceil(WORD) {
                let mask = mask(&across, word);
                let bits = &mut self.covered[row * columns.div_ceil(WORD) + word];
                self.missing -= (mask & !*bits).count_ones() as usize;
                *bits |= mask;
            }
        }
    }

    /// The rectangle's pixels for the decoder; `None` unless it has an area and lies wholly inside. At a smaller scale it
    /// has as many pixels as [`Eighths::length`] says of each side.
    pub fn rectangle_mut(&mut self, x8: u16, y8: u16, width: u16, height: u16) -> Option<Rectangle<'_>> {
        let ends = |at: u16, length: u16| u32::from(at) * CELL as u32 + u32::from(length);
        let inside = ends(x8, width) <= self.picture.width.into() && ends(y8, height) <= self.picture.height.into();
        if !inside || width == 0 || height == 0 {
            return None;
        }
        // Corners lie between cells, so their places are exact at every scale.
        let cell = self.cell();
        let (x, y) = (usize::from(x8) * cell, usize::from(y8) * cell);
        let (width, height) = (usize::from(self.scale.length(width)), usize::from(self.scale.length(height)));
        let stride = usize::from(self.size.width);
        let start = y * stride + x;
        let pixels = self.pixels.get_mut(start..start + (height - 1) * stride + width)?;
        Some(Rectangle { pixels, stride })
    }

    /// Gives each missing cell the pixels of the picture shown before, or black if that was of another stream; one at another
    /// scale, or of another rendition, is brought to this one. Returns how many cells that were; they still count as missing.
    pub fn fill_missing(&mut self, previous: Option<&Self>) -> usize {
        if self.missing == 0 {
            return 0;
        }
        let previous = previous.filter(|previous| previous.full == self.full);
        let (columns, rows) = self.cells();
        for row in 0..rows {
            let mut column = 0;
            while let Some(run) = self.missing_run(row, column..columns) {
                self.fill_cells(row, run.clone(), previous);
                column = run.end;
            }
        }
        self.missing
    }

    /// Of the pixels.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Of the picture at full scale.
    pub const fn picture(&self) -> Size {
        self.picture
    }

    /// As large as its picture is shown where nothing is scaled.
    pub const fn full(&self) -> Size {
        self.full
    }

    pub const fn scale(&self) -> Eighths {
        self.scale
    }

    /// Pixels along the edge of a cell.
    fn cell(&self) -> usize {
        self.scale.get().into()
    }

    pub fn pixels(&self) -> &[u32] {
        &self.pixels
    }

    /// For those who draw on a whole picture, such as a text card.
    pub fn pixels_mut(&mut self) -> &mut [u32] {
        &mut self.pixels
    }

    /// Whether each cell has come.
    pub const fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Cells that have not come.
    pub const fn missing(&self) -> usize {
        self.missing
    }

    fn cells(&self) -> (usize, usize) {
        (usize::from(self.picture.width).div_ceil(CELL), usize::from(self.picture.height).div_ceil(CELL))
    }

    /// The first run of missing cells within `columns` of a row.
    fn missing_run(&self, row: usize, columns: Range<usize>) -> Option<Range<usize>> {
        let words = self.cells().0.div_ceil(WORD);
        let missing = |column: usize| self.covered[row * words + column / WORD] & (1 << (column % WORD)) == 0;
        let start = columns.clone().find(|&column| missing(column))?;
        let end = (start..columns.end).find(|&column| !missing(column)).unwrap_or(columns.end);
        Some(start..end)
    }

    fn fill_cells(&mut self, row: usize, columns: Range<usize>, previous: Option<&Self>) {
        let (width, height) = (usize::from(self.size.width), usize::from(self.size.height));
        let cell = self.cell();
        let across = columns.start * cell..(columns.end * cell).min(width);
        for y in row * cell..((row + 1) * cell).min(height) {
            let at = y * width + across.start..y * width + across.end;
            match previous {
                Some(previous) if previous.picture != self.picture => {
                    previous.blend_row((y, height), (across.clone(), width), &mut self.pixels[at]);
                }
                Some(previous) if previous.scale == self.scale => {
                    self.pixels[at.clone()].copy_from_slice(&previous.pixels[at]);
                }
                Some(previous) => previous.rescale_row(y, across.clone(), cell, &mut self.pixels[at]),
                None => self.pixels[at].fill(BLACK),
            }
        }
    }

    /// A part of a row of a canvas whose cells have `cell` pixels, from the nearest pixels here.
    fn rescale_row(&self, y: usize, across: Range<usize>, cell: usize, out: &mut [u32]) {
        let (width, height) = (usize::from(self.size.width), usize::from(self.size.height));
        // The middle of a pixel there, here.
        let nearest = |at: usize, end: usize| ((2 * at + 1) * self.cell() / (2 * cell)).min(end.saturating_sub(1));
        let row = self.pixels.get(nearest(y, height) * width..).unwrap_or_default();
        for (pixel, x) in out.iter_mut().zip(across) {
            *pixel = row.get(nearest(x, width)).copied().unwrap_or(BLACK);
        }
    }

    /// A part of row `y` of a canvas of `height` rows and `width` pixels that shows the same in another size, blended of the
    /// four nearest pixels here.
    fn blend_row(&self, (y, height): (usize, usize), (across, width): (Range<usize>, usize), out: &mut [u32]) {
        let (wide, high) = (usize::from(self.size.width), usize::from(self.size.height));
        let (row, lower) = between(y, height, high);
        let rows =
            [row, row + 1].map(|row| self.pixels.get(row.min(high.saturating_sub(1)) * wide..).unwrap_or_default());
        for (pixel, x) in out.iter_mut().zip(across) {
            let (left, right) = between(x, width, wide);
            let at = |row: &[u32], x: usize| row.get(x.min(wide.saturating_sub(1))).copied().unwrap_or(BLACK);
            let [above, below] = rows.map(|row| mix(at(row, left), at(row, left + 1), right));
            *pixel = mix(above, below, lower);
        }
    }
}

/// Where the middle of pixel `at` of `there` lies among `here`: behind the middle of which one, and how far, in 256ths.
fn between(at: usize, there: usize, here: usize) -> (usize, u32) {
    let place = ((2 * at + 1) * here * 128 / there.max(1)).saturating_sub(128);
    (place / 256, (place % 256) as u32)
}

/// So many 256ths of `b`, the rest of `a`.
fn mix(a: u32, b: u32, share: u32) -> u32 {
    // Two colours at a time, with eight bits between them.
    let blend = |a: u32, b: u32| (a * (256 - share) + b * share) >> 8 & 0x00FF_00FF;
    blend(a & 0x00FF_00FF, b & 0x00FF_00FF) | blend(a >> 8 & 0x00FF_00FF, b >> 8 & 0x00FF_00FF) << 8
}

/// The cells that `length` pixels from cell `start` on touch.
fn cells_of(start: u16, length: u16, cells: usize) -> Range<usize> {
    let start = usize::from(start).min(cells);
    start..(start + usize::from(length).div_ceil(CELL)).min(cells)
}

/// The bits of `columns` that lie in this word.
fn mask(columns: &Range<usize>, word: usize) -> u64 {
    let low = columns.start.saturating_sub(word * WORD);
    let high = (columns.end - word * WORD).min(WORD);
    if low >= high { 0 } else { (u64::MAX << low) & (u64::MAX >> (WORD - high)) }
}

/// What one canvas may take. A watcher has four of them at most, besides those that are being saved as snapshots.
const MOST_BYTES: usize = 144 << 20;
/// Pixels along the edge of a cell, at full scale.
const CELL: usize = 8;
/// Cells in a word of the bitmap.
const WORD: usize = 64;
const BLACK: u32 = 0xFF00_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_counts_each_cell_once() {
        let mut canvas = Canvas::new(Size::new(1_281, 17));
        assert_eq!(canvas.missing(), 161 * 3);
        canvas.cover(0, 0, 8, 8);
        canvas.cover(0, 0, 16, 8);
        assert_eq!(canvas.missing(), 161 * 3 - 2);
        canvas.cover(60, 1, 8 * 8, 9);
        assert_eq!(canvas.missing(), 161 * 3 - 2 - 16);
        canvas.cover(160, 0, 1, 17);
        canvas.cover(500, 500, 9, 9);
        canvas.cover(u16::MAX, u16::MAX, u16::MAX, u16::MAX);
        assert!(!canvas.is_complete());
        canvas.cover(0, 0, u16::MAX, u16::MAX);
        assert!(canvas.is_complete());
        canvas.clear_coverage();
        assert_eq!(canvas.missing(), 161 * 3);
    }

    #[test]
    fn a_bitmap_and_a_plain_list_agree() {
        let mut canvas = Canvas::new(Size::new(1_100, 70));
        let mut plain = vec![false; 138 * 9];
        let mut state = 1_u32;
        let mut below = |bound: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % bound
        };
        for _ in 0..300 {
            let (x8, y8, width, height) = (below(140), below(10), below(400), below(30));
            canvas.cover(x8 as u16, y8 as u16, width as u16, height as u16);
            for row in y8..(y8 + height.div_ceil(8)).min(9) {
                for column in x8..(x8 + width.div_ceil(8)).min(138) {
                    plain[(row * 138 + column) as usize] = true;
                }
            }
            assert_eq!(canvas.missing(), plain.iter().filter(|covered| !**covered).count());
        }
    }

    #[test]
    fn what_is_missing_comes_from_the_picture_before() {
        let size = Size::new(27, 19);
        let mut before = Canvas::new(size);
        before.pixels_mut().fill(7);
        let mut canvas = Canvas::new(size);
        canvas.pixels_mut().fill(1);
        canvas.cover(1, 1, 8, 8);
        assert_eq!(canvas.fill_missing(Some(&before)), 4 * 3 - 1);
        for (at, &pixel) in canvas.pixels().iter().enumerate() {
            let (x, y) = (at % 27, at / 27);
            let inside = (8..16).contains(&x) && (8..16).contains(&y);
            assert_eq!(pixel, if inside { 1 } else { 7 }, "{x}, {y}");
        }
        assert_eq!(canvas.fill_missing(Some(&Canvas::new(Size::new(8, 8)))), 11);
        assert_eq!(canvas.pixels().iter().filter(|&&pixel| pixel == BLACK).count(), size.pixels() - 64);
        canvas.cover(0, 0, 27, 19);
        assert_eq!(canvas.fill_missing(None), 0);
    }

    #[test]
    fn at_every_scale_cells_are_the_same_and_what_is_missing_comes_from_another_scale() {
        let size = Size::new(27, 19);
        for (from, to) in Eighths::all().flat_map(|from| Eighths::all().map(move |to| (from, to))) {
            let mut before = Canvas::scaled(size, from);
            // Left and right of the second cell's edge.
            let (wide, edge) = (usize::from(from.of(size).width), usize::from(from.get()) * 2);
            for (at, pixel) in before.pixels_mut().iter_mut().enumerate() {
                *pixel = if at % wide < edge { 7 } else { 8 };
            }
            let mut canvas = Canvas::scaled(size, to);
            canvas.pixels_mut().fill(1);
            canvas.cover(1, 1, 8, 8);
            assert_eq!(canvas.fill_missing(Some(&before)), 4 * 3 - 1, "{from:?} {to:?}");
            let (wide, n) = (usize::from(to.of(size).width), usize::from(to.get()));
            for (at, &pixel) in canvas.pixels().iter().enumerate() {
                let (x, y) = (at % wide, at / wide);
                let inside = (n..2 * n).contains(&x) && (n..2 * n).contains(&y);
                assert_eq!(pixel, if inside { 1 } else { 7 + u32::from(x >= 2 * n) }, "{from:?} {to:?} {x}, {y}");
            }
            let whole = canvas.rectangle_mut(0, 0, 27, 19).expect("inside");
            assert_eq!((whole.pixels.len(), whole.stride), (to.of(size).pixels(), wide));
            assert!(canvas.rectangle_mut(1, 2, 20, 3).is_none() && canvas.rectangle_mut(3, 2, 3, 3).is_some());
        }
    }

    #[test]
    fn what_is_missing_comes_from_another_rendition_in_both_directions() {
        let full = Size::new(41, 29);
        // Brighter to the right and to the bottom, in all renditions alike.
        let ramp = |rendition: u8, scale: Eighths| {
            let mut canvas = Canvas::scaled(full.rendition(rendition), scale);
            canvas.set_full(full);
            let (wide, high) = (f64::from(canvas.size().width), f64::from(canvas.size().height));
            for (at, pixel) in canvas.pixels_mut().iter_mut().enumerate() {
                let (x, y) = ((at % wide as usize) as f64 + 0.5, (at / wide as usize) as f64 + 0.5);
                *pixel = 0x0001_0000 * (x / wide * 200.0) as u32 + (y / high * 200.0) as u32;
            }
            canvas
        };
        let half = Eighths::new(4).expect("a scale");
        for (from, to, scale) in
            [(0, 1, half), (1, 0, half), (2, 0, Eighths::FULL), (0, 2, Eighths::FULL), (1, 2, half)]
        {
            let (before, wanted) = (ramp(from, scale), ramp(to, Eighths::FULL));
            let mut canvas = Canvas::new(full.rendition(to));
            canvas.set_full(full);
            canvas.pixels_mut().fill(0x00FF_FFFF);
            canvas.cover(0, 0, 8, 8);
            canvas.fill_missing(Some(&before));
            let wide = usize::from(canvas.size().width);
            for (at, (&found, &wanted)) in canvas.pixels().iter().zip(wanted.pixels()).enumerate() {
                let off = [16, 0].map(|shift| (found >> shift & 0xFF).abs_diff(wanted >> shift & 0xFF));
                let covered = at % wide < 8 && at / wide < 8;
                assert!(covered == (found == 0x00FF_FFFF), "{from} {to} {at}");
                // Half a pixel of the smaller one at an edge.
                assert!(covered || off.into_iter().all(|off| off <= 18), "{from} {to} {at}: {off:?}");
            }
        }
        assert_eq!([mix(0x00FF_8040, 0x0001_8040, 128), mix(0x1234_5678, 0, 0)], [0x0080_8040, 0x1234_5678]);
    }

    #[test]
    fn rectangles_lie_inside_or_are_refused() {
        let mut canvas = Canvas::new(Size::new(27, 19));
        let rectangle = canvas.rectangle_mut(1, 2, 19, 3).expect("inside");
        assert_eq!((rectangle.pixels.len(), rectangle.stride), (2 * 27 + 19, 27));
        for (x8, y8, width, height) in [(1, 2, 20, 3), (1, 2, 19, 4), (0, 0, 0, 1), (0, 0, 1, 0), (4, 0, 1, 1)] {
            assert!(canvas.rectangle_mut(x8, y8, width, height).is_none());
        }
        assert!(canvas.rectangle_mut(u16::MAX, u16::MAX, u16::MAX, u16::MAX).is_none());
        canvas.reset(Size::new(40, 40));
        assert!(canvas.rectangle_mut(0, 0, 40, 40).is_some());
    }
}

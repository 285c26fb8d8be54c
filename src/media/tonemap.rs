//! HDR pictures → full-range BT.601 4:2:0 with the primaries of BT.709, the only colour the wire knows.
//!
//! The exact way of a colour is in [`light`]. It is computed once for a grid over all codes, and pictures are interpolated
//! in that grid: an HDR picture of 1920×1080 has three million samples, and the exact way takes nine powers a pixel.

mod light;

use light::Light;

use crate::media::Picture;
use crate::units::Size;

/// How an HDR film's codes are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// SMPTE ST 2084: each code is an absolute light.
    Pq,
    /// ARIB STD-B67: each code is a light of the scene; shown as on a screen of 1000 cd/m².
    Hlg,
}

/// The way of one film's pictures. White of 203 cd/m² becomes nearly white, and what is brighter fills the small rest.
pub struct ToneMap {
    /// One plane of the grid for each node of U; always [`CHROMA_NODES`] of them.
    grid: Vec<[Column; CHROMA_NODES]>,
}

/// By U, then by V.
type Grid = [[Column; CHROMA_NODES]; CHROMA_NODES];
/// One code as it lies in memory.
type Sample = [u8; 2];

/// The exact colours of one pair of chroma nodes and all luma nodes, with eight bits behind the point.
struct Column {
    luma: [u32; LUMA_NODES],
    chroma: [[u32; 2]; LUMA_NODES],
}

impl ToneMap {
    /// For films whose brightest light is 1000 cd/m², as most are.
    pub fn new(transfer: Transfer) -> Self {
        Self::with_peak(transfer, 1_000)
    }

    /// For films whose brightest light is known; in cd/m².
    pub fn with_peak(transfer: Transfer, peak: u16) -> Self {
        let light = Light::new(transfer, peak.into());
        let plane = |u| std::array::from_fn(|v| Column::new(&light, chroma_of(u), chroma_of(v)));
        Self { grid: (0..CHROMA_NODES).map(plane).collect() }
    }

    /// Bytes of one source picture.
    pub const fn bytes(size: Size) -> usize {
        2 * Picture::bytes(size)
    }

    /// Converts one picture of ffmpeg's `yuv420p10le`: Y, U and V tightly packed, limited range, BT.2020's primaries and its
    /// matrix of non-constant luminance. Does nothing if `source` is short.
    pub fn apply(&self, source: &[u8], picture: &mut Picture) {
        let size = picture.size;
        let Some(grid) = self.grid.first_chunk() else { return };
        let Some(source) = source.get(..Self::bytes(size)) else { return };
        let (luma, chroma) = source.as_chunks().0.split_at(size.pixels());
        let (first, second) = chroma.split_at(Picture::chroma(size).pixels());
        let [y, u, v] = picture.split_mut();
        let (width, chroma_width) = (usize::from(size.width).max(1), usize::from(Picture::chroma(size).width).max(1));
        let codes = first.chunks_exact(chroma_width).zip(second.chunks_exact(chroma_width)).zip(luma.chunks(2 * width));
        let shown = u.chunks_exact_mut(chroma_width).zip(v.chunks_exact_mut(chroma_width)).zip(y.chunks_mut(2 * width));
        // The last row of an odd height is its own neighbour.
        let mut spare = vec![0; width];
        for (((first, second), luma), ((u, v), y)) in codes.zip(shown) {
            let (above, below) = y.split_at_mut(width);
            let below = if below.is_empty() { &mut spare } else { below };
            let codes = Rows { u: first, v: second, above: &luma[..width], below: &luma[luma.len() - width..] };
            codes.show(grid, Rows { u, v, above, below });
        }
    }
}

/// Two rows of luma and the row of chroma they share.
struct Rows<T> {
    u: T,
    v: T,
    above: T,
    below: T,
}

impl Rows<&[Sample]> {
    fn show(&self, grid: &Grid, out: Rows<&mut [u8]>) {
        let ((above, last_above), (below, last_below)) = (self.above.as_chunks(), self.below.as_chunks());
        let (out_above, out_last_above) = out.above.as_chunks_mut();
        let (out_below, out_last_below) = out.below.as_chunks_mut();
        let codes = self.u.iter().zip(self.v).zip(above).zip(below);
        let shown = out.u.iter_mut().zip(&mut *out.v).zip(out_above).zip(out_below);
        for ((((&u, &v), &above), &below), (((out_u, out_v), out_above), out_below)) in codes.zip(shown) {
            ([*out_above, *out_below], [*out_u, *out_v]) = Cell::of(grid, u, v).block(above, below);
        }
        // The last column of an odd width is its own neighbour too.
        let ends = (self.u.last(), self.v.last(), out.u.last_mut(), out.v.last_mut());
        let ([above], [below], (Some(&u), Some(&v), Some(out_u), Some(out_v))) = (last_above, last_below, ends) else {
            return;
        };
        let (luma, chroma) = Cell::of(grid, u, v).block([*above; 2], [*below; 2]);
        out_last_above.fill(luma[0][0]);
        out_last_below.fill(luma[1][0]);
        [*out_u, *out_v] = chroma;
    }
}

impl Column {
    fn new(light: &Light, u: f64, v: f64) -> Self {
        let mut column = Self { luma: [0; LUMA_NODES], chroma: [[0; 2]; LUMA_NODES] };
        for (node, (luma, chroma)) in column.luma.iter_mut().zip(&mut column.chroma).enumerate() {
            let shown = light.shown([(node * usize::from(STEP)) as f64, u, v]);
            let fixed = shown.map(|value| (value.clamp(0.0, 255.0) * 256.0).round() as u32);
            (*luma, *chroma) = (fixed[0], [fixed[1], fixed[2]]);
        }
        column
    }
}

/// The colours of one chroma pair: between three columns of the grid, whose triangle it lies in.
struct Cell<'a> {
    corners: [&'a Column; 3],
    /// Of the second and the third; the first has the rest of a [`STEP`].
    weights: [u16; 2],
}

impl<'a> Cell<'a> {
    #[inline]
    fn of(grid: &'a Grid, u: Sample, v: Sample) -> Self {
        let (u, v) = (stretched(code(u)), stretched(code(v)));
        let (left, upper) = (usize::from(u / STEP), usize::from(v / STEP));
        let (u, v) = (u % STEP, v % STEP);
        let side = if u > v { &grid[left + 1][upper] } else { &grid[left][upper + 1] };
        Self { corners: [&grid[left][upper], side, &grid[left + 1][upper + 1]], weights: [u.abs_diff(v), u.min(v)] }
    }

    /// Y of two pixels and the two below them; U and V of their mean.
    #[inline]
    fn block(&self, above: [Sample; 2], below: [Sample; 2]) -> ([[u8; 2]; 2], [u8; 2]) {
        let ([a, b], [c, d]) = ([code(above[0]), code(above[1])], [code(below[0]), code(below[1])]);
        ([[self.luma(a), self.luma(b)], [self.luma(c), self.luma(d)]], self.chroma((a + b + c + d + 2) / 4))
    }

    #[inline]
    fn luma(&self, luma: u16) -> u8 {
        let (node, part) = (usize::from(luma / STEP), luma % STEP);
        let [below, above] = self.blend(|column| [column.luma[node], column.luma[node + 1]]);
        between(below, above, part)
    }

    /// U and V at one luma.
    #[inline]
    fn chroma(&self, luma: u16) -> [u8; 2] {
        let (node, part) = (usize::from(luma / STEP), luma % STEP);
        let below = self.blend(|column| column.chroma[node]);
        let above = self.blend(|column| column.chroma[node + 1]);
        [between(below[0], above[0], part), between(below[1], above[1], part)]
    }

    /// Two values of each corner, weighted: both at a time in one register, where each has 32 bits and its sum needs 21.
    #[inline]
    fn blend(&self, values: impl Fn(&Column) -> [u32; 2]) -> [u32; 2] {
        let packed = |column| {
            let [first, second] = values(column);
            u64::from(first) | u64::from(second) << 32
        };
        let [from, side, across] = [packed(self.corners[0]), packed(self.corners[1]), packed(self.corners[2])];
        // Whatever a difference borrows from the upper half, the sum gives back.
        let sides = side.wrapping_sub(from).wrapping_mul(self.weights[0].into());
        let acrosses = across.wrapping_sub(from).wrapping_mul(self.weights[1].into());
        let sum = (from * u64::from(STEP)).wrapping_add(sides).wrapping_add(acrosses);
        [sum as u32, (sum >> 32) as u32]
    }
}

/// `part` of a step above `below`; both are counted in steps, with eight bits behind the point.
#[inline]
fn between(below: u32, above: u32, part: u16) -> u8 {
    let rise = above.wrapping_sub(below).wrapping_mul(part.into());
    let sum = (below * u32::from(STEP)).wrapping_add(rise);
    ((sum + (1 << 17)) >> 18) as u8
}

/// The ten bits that count.
#[inline]
fn code(sample: Sample) -> u16 {
    u16::from_le_bytes(sample) % (1 << 10)
}

/// Where a chroma code lies on the grid, in [`STEP`]s of a node: near grey, where nearly all of BT.709 is, codes lie
/// [`STRETCH`] times as far apart. Grey is a node, so that greys are exact.
#[inline]
fn stretched(code: u16) -> u16 {
    let colour = (i32::from(code) - 512).clamp(-FARTHEST, FARTHEST);
    (colour + (STRETCH - 1) * colour.clamp(-NEAR, NEAR) + SIDE) as u16
}

/// The code of a node, the other way round.
fn chroma_of(node: usize) -> f64 {
    let place = (node * usize::from(STEP)) as f64 - f64::from(SIDE);
    let near = place.clamp(-f64::from(STRETCH * NEAR), f64::from(STRETCH * NEAR));
    512.0 + near / f64::from(STRETCH) + (place - near)
}

/// Between two nodes, of luma and of [`stretched`] chroma. With these figures the grid has 1.4 MB, and for colours of BT.709
/// it is 0.4 levels off in the mean, and 4 levels at most in 99 of 100; rounding alone takes 0.25.
const STEP: u16 = 32;
const LUMA_NODES: usize = (1 << 10) / STEP as usize + 1;
/// U or V of any colour of limited range, counted from grey.
const FARTHEST: i32 = 448;
/// In BT.709, and no brighter than white, U and V are nearer.
const NEAR: i32 = 160;
const STRETCH: i32 = 4;
/// Places on the grid at one side of grey; the other side has as many.
const SIDE: i32 = FARTHEST + (STRETCH - 1) * NEAR;
const CHROMA_NODES: usize = 2 * SIDE as usize / STEP as usize + 2;

#[cfg(test)]
mod tests {
    use super::light::code_of;
    use super::*;
    use crate::media::convert::Matrix;
    use crate::queue::Pool;
    use crate::units::Time;

    const BOTH: [Transfer; 2] = [Transfer::Pq, Transfer::Hlg];
    /// cd/m².
    const WHITE: f64 = 203.0;

    fn picture(size: Size) -> Picture {
        let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
        picture.planes_mut().fill(7);
        picture
    }

    fn source(planes: [&[u16]; 3]) -> Vec<u8> {
        planes.concat().into_iter().flat_map(u16::to_le_bytes).collect()
    }

    /// A picture of one pixel.
    fn shown(map: &ToneMap, [y, u, v]: [u16; 3]) -> [u8; 3] {
        let mut picture = picture(Size::new(1, 1));
        map.apply(&source([&[y], &[u], &[v]]), &mut picture);
        picture.planes().map(|plane| plane[0])
    }

    /// As red, green and blue of the screen.
    fn shown_light(map: &ToneMap, transfer: Transfer, light: [f64; 3]) -> [f64; 3] {
        let [y, u, v] = shown(map, code_of(transfer, light).map(|code| code.round() as u16)).map(f64::from);
        Matrix::BT601.rgb_of([y, u - 128.0, v - 128.0])
    }

    /// Report ITU-R BT.2407-0, 2, the other way round.
    fn of_bt709([red, green, blue]: [f64; 3]) -> [f64; 3] {
        [
            0.627_404 * red + 0.329_283 * green + 0.043_313 * blue,
            0.069_097 * red + 0.919_541 * green + 0.011_362 * blue,
            0.016_391 * red + 0.088_013 * green + 0.895_595 * blue,
        ]
    }

    #[test]
    fn interpolated_colours_are_nearly_exact() {
        for transfer in BOTH {
            let (map, light) = (ToneMap::new(transfer), Light::new(transfer, 1_000.0));
            let mut errors = Vec::new();
            for y in (64..=940).step_by(9) {
                for u in (64..=960).step_by(11) {
                    for v in (64..=960).step_by(11) {
                        let code = [y, u, v];
                        if light.has(code.map(f64::from)) {
                            let (shown, exact) = (shown(&map, code), light.shown(code.map(f64::from)));
                            errors.extend(shown.into_iter().zip(exact).map(|(a, b)| (f64::from(a) - b).abs()));
                        }
                    }
                }
            }
            errors.sort_by(f64::total_cmp);
            let mean = errors.iter().sum::<f64>() / errors.len() as f64;
            let most = errors[errors.len() * 99 / 100];
            assert!(errors.len() > 15_000 && mean < 0.6 && most < 3.5, "{transfer:?}: {mean} in the mean, {most}");
        }
    }

    #[test]
    fn greys_are_neutral_and_rise() {
        for transfer in BOTH {
            let (map, light) = (ToneMap::new(transfer), Light::new(transfer, 1_000.0));
            let mut last = 0;
            for code in 0..1_024 {
                let [y, u, v] = shown(&map, [code, 512, 512]);
                let exact = light.shown([code.into(), 512.0, 512.0])[0];
                assert!([u, v] == [128; 2] && y >= last && (f64::from(y) - exact).abs() < 2.5, "{transfer:?}: {code}");
                last = y;
            }
            assert_eq!((shown(&map, [64, 512, 512])[0], last), (0, 255), "{transfer:?}");
        }
    }

    #[test]
    fn luma_rises_with_luma() {
        // At HLG's end one channel's step is so large that the others step back, lest the hue change.
        for (transfer, dip) in [(Transfer::Pq, 0), (Transfer::Hlg, 7)] {
            let (map, light) = (ToneMap::new(transfer), Light::new(transfer, 1_000.0));
            for u in (64..=960).step_by(16) {
                for v in (64..=960).step_by(16) {
                    let codes = (64..=940).map(|y| [y, u, v]).filter(|code| light.has(code.map(f64::from)));
                    let rise: Vec<u8> = codes.map(|code| shown(&map, code)[0]).collect();
                    let mut top = 0;
                    for &y in &rise {
                        assert!(y.saturating_add(dip) >= top, "{transfer:?}: {rise:?} of U {u} and V {v}");
                        top = top.max(y);
                    }
                }
            }
        }
    }

    #[test]
    fn bars_at_reference_white() {
        for transfer in BOTH {
            let map = ToneMap::new(transfer);
            for bar in 0..8 {
                let meant = [bar & 4, bar & 2, bar & 1].map(|bit| if bit == 0 { 0.0 } else { 1.0 });
                let light = meant.map(|share| share * WHITE);
                for (light, most) in [(of_bt709(light), 30.0), (light, 40.0)] {
                    let shown = shown_light(&map, transfer, light);
                    for (shown, meant) in shown.into_iter().zip(meant) {
                        assert!((shown - 255.0 * meant).abs() < most, "{transfer:?}: {meant} of {light:?} as {shown}");
                    }
                }
            }
        }
    }

    #[test]
    fn highlights_roll_off() {
        for transfer in BOTH {
            let map = ToneMap::new(transfer);
            let shown =
                [100.0, WHITE, 300.0, 450.0, 650.0, 1_000.0].map(|light| shown_light(&map, transfer, [light; 3])[0]);
            assert!(shown.is_sorted_by(|a, b| a + 1.5 < *b), "{transfer:?}: {shown:?}");
            assert!(shown[5] > 254.0, "{transfer:?}: {shown:?}");
        }
        let bright = ToneMap::with_peak(Transfer::Pq, 4_000);
        let shown = [WHITE, 1_000.0, 4_000.0].map(|light| shown_light(&bright, Transfer::Pq, [light; 3])[0]);
        assert!(shown[0] > 225.0 && shown[1] < 253.0 && shown[2] > 254.0, "{shown:?}");
        let dark = ToneMap::with_peak(Transfer::Pq, 100);
        assert!(shown_light(&dark, Transfer::Pq, [WHITE; 3])[0] > 250.0, "nothing to bend");
    }

    #[test]
    fn odd_sides_and_sources_of_any_length() {
        let map = ToneMap::new(Transfer::Hlg);
        for (width, height) in [(1, 1), (1, 4), (2, 2), (3, 1), (4, 3), (5, 5), (6, 7)] {
            let size = Size::new(width, height);
            let (pixels, colours) = (size.pixels() as u16, Picture::chroma(size).pixels() as u16);
            let luma: Vec<u16> = (0..pixels).map(|at| 200 + 11 * at).collect();
            let u: Vec<u16> = (0..colours).map(|at| 500 + 9 * at).collect();
            let v: Vec<u16> = (0..colours).map(|at| 540 - 7 * at).collect();
            let mut data = source([&luma, &u, &v]);
            assert_eq!(data.len(), ToneMap::bytes(size));
            let mut whole = picture(size);
            map.apply(&data, &mut whole);
            for (at, &y) in whole.planes()[0].iter().enumerate() {
                let (row, column) = (at / usize::from(width), at % usize::from(width));
                let colour = row / 2 * usize::from(width.div_ceil(2)) + column / 2;
                assert_eq!(y, shown(&map, [luma[at], u[colour], v[colour]])[0], "{size} at {at}");
            }
            let (mut long, mut short) = (picture(size), picture(size));
            data.extend([0xff; 3]);
            map.apply(&data, &mut long);
            assert_eq!(long.planes(), whole.planes(), "{size}");
            map.apply(&data[..ToneMap::bytes(size) - 1], &mut short);
            assert!(short.planes_mut().iter().all(|&sample| sample == 7), "{size}");
        }
        let noise: Vec<u8> = (0..ToneMap::bytes(Size::new(9, 9))).map(|at| (at * 151) as u8).collect();
        map.apply(&noise, &mut picture(Size::new(9, 9)));
        map.apply(&noise, &mut picture(Size::new(0, 9)));
        map.apply(&noise, &mut picture(Size::new(9, 0)));
    }
}

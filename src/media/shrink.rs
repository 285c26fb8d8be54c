//! Smaller renditions of a picture: each side halved, each pixel the mean of the four that it covers.
#![forbid(unsafe_code)]

use super::Picture;
use crate::queue::Pool;
use crate::units::Size;

/// The picture in this rendition. Where a side is odd, the last pixels are means of those that there are.
pub fn shrink(picture: &Picture, rendition: u8, pool: &Pool<Vec<u8>>) -> Picture {
    let mut smaller = halved(picture, pool);
    for _ in 1..rendition {
        smaller = halved(&smaller, pool);
    }
    smaller
}

fn halved(picture: &Picture, pool: &Pool<Vec<u8>>) -> Picture {
    let (size, chroma) = (picture.size, Picture::chroma(picture.size));
    let mut smaller = Picture::from_pool(pool, size.rendition(1), picture.number, picture.captured);
    (smaller.content, smaller.span) = (picture.content, picture.span);
    let planes = picture.planes().into_iter().zip(smaller.split_mut());
    for ((from, to), size) in planes.zip([size, chroma, chroma]) {
        halve(from, size, to);
    }
    smaller
}

/// One plane of this size.
fn halve(plane: &[u8], size: Size, out: &mut [u8]) {
    let (wide, narrow) = (usize::from(size.width).max(1), usize::from(size.width).div_ceil(2).max(1));
    for (pair, out) in plane.chunks(2 * wide).zip(out.chunks_exact_mut(narrow)) {
        let (upper, lower) = pair.split_at(wide.min(pair.len()));
        // The last row of an odd number has none below it.
        halve_rows(upper, if lower.is_empty() { upper } else { lower }, out);
    }
}

fn halve_rows(upper: &[u8], lower: &[u8], out: &mut [u8]) {
    let (above, last_above) = upper.as_chunks::<2>();
    let (below, last_below) = lower.as_chunks::<2>();
    for (out, (above, below)) in out.iter_mut().zip(above.iter().zip(below)) {
        let sum = u16::from(above[0]) + u16::from(above[1]) + u16::from(below[0]) + u16::from(below[1]);
        *out = ((sum + 2) >> 2) as u8;
    }
    if let ([above], [below], Some(out)) = (last_above, last_below, out.last_mut()) {
        *out = u16::midpoint(u16::from(*above), u16::from(*below) + 1) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Time;

    #[test]
    fn each_pixel_is_the_mean_of_those_it_covers_also_at_odd_edges() {
        let pool = Pool::new(4);
        for (width, height) in [(64, 48), (63, 47), (17, 16), (1, 1), (2, 5)] {
            let size = Size::new(width, height);
            let mut picture = Picture::from_pool(&pool, size, 7, Time::from_millis(5));
            (0_u32..).zip(picture.planes_mut()).for_each(|(n, pixel)| *pixel = (n * 37 % 251) as u8);
            let half = shrink(&picture, 1, &pool);
            assert_eq!((half.size, half.number, half.captured), (size.rendition(1), 7, Time::from_millis(5)));
            let sizes = [size, Picture::chroma(size), Picture::chroma(size)];
            for ((from, to), of) in picture.planes().into_iter().zip(half.planes()).zip(sizes) {
                let (wide, high) = (usize::from(of.width), usize::from(of.height));
                for (at, &found) in to.iter().enumerate() {
                    let (x, y) = (at % wide.div_ceil(2) * 2, at / wide.div_ceil(2) * 2);
                    let covered =
                        (y..(y + 2).min(high)).flat_map(|y| (x..(x + 2).min(wide)).map(move |x| from[y * wide + x]));
                    let covered: Vec<f64> = covered.map(f64::from).collect();
                    let mean = covered.iter().sum::<f64>() / covered.len() as f64;
                    assert!((f64::from(found) - mean).abs() <= 0.5, "{size} at {x}, {y}: {found} for {mean}");
                }
            }
            assert_eq!(shrink(&picture, 2, &pool).size, size.rendition(2));
        }
    }
}

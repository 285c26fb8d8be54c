//! A number as a row of black and white squares, the size of a JPEG's coding unit: what `barcode` draws and `glass`
//! reads. It stands twice in each picture, in opposite corners, so that a scaled picture is not mistaken for one at 1:1.

use udpstream::units::Size;

/// Squares: a fixed pattern, the number from its highest bit down, and a check.
const PATTERN: [bool; 4] = [true, false, true, false];
const BITS: usize = 20;
const CHECK: usize = 4;
pub const SQUARES: usize = PATTERN.len() + BITS + CHECK;
/// Pixels along the edge of a square.
pub const SQUARE: usize = 16;
/// The height of the row of squares.
pub const HEIGHT: usize = 32;

/// `1280x720`.
pub fn size(text: &str) -> Option<Size> {
    let (width, height) = text.split_once('x')?;
    let size = Size::new(width.parse().ok()?, height.parse().ok()?);
    let room = usize::from(size.width) >= 2 * SQUARES * SQUARE && usize::from(size.height) >= 4 * HEIGHT;
    (room && size.width.is_multiple_of(2) && size.height.is_multiple_of(2)).then_some(size)
}

/// The corners of both codes: upper right, and lower left, which a decoder reaches last.
pub fn corners(size: Size) -> [(usize, usize); 2] {
    let (width, height) = (usize::from(size.width), usize::from(size.height));
    [((width - SQUARES * SQUARE) & !(SQUARE - 1), 0), (0, (height - HEIGHT) & !(SQUARE - 1))]
}

fn check(number: u32) -> u32 {
    (0..5).fold(0b1001, |sum, nibble| sum ^ (number >> (4 * nibble)) & 0xF)
}

/// Which squares of a code are white.
#[allow(dead_code, reason = "`glass` only reads")]
pub fn white(number: u32) -> impl Fn(usize) -> bool {
    let coded = (number << CHECK) | check(number);
    move |square: usize| match square.checked_sub(PATTERN.len()) {
        None => PATTERN[square],
        Some(bit) => coded >> (BITS + CHECK - 1 - bit) & 1 == 1,
    }
}

/// Draws both codes into planes of 4:2:0.
#[allow(dead_code, reason = "`glass` only reads")]
pub fn draw(number: u32, size: Size, planes: &mut [u8]) {
    let (width, chroma_width) = (usize::from(size.width), usize::from(size.width) / 2);
    let white = white(number);
    let (luma, chroma) = planes.split_at_mut(size.pixels());
    for (left, top) in corners(size) {
        for row in luma.chunks_exact_mut(width).skip(top).take(HEIGHT) {
            for (square, samples) in row[left..].chunks_exact_mut(SQUARE).take(SQUARES).enumerate() {
                samples.fill(if white(square) { 235 } else { 16 });
            }
        }
        for plane in chroma.chunks_exact_mut(size.pixels() / 4) {
            for row in plane.chunks_exact_mut(chroma_width).skip(top / 2).take(HEIGHT / 2) {
                row[left / 2..][..SQUARES * SQUARE / 2].fill(128);
            }
        }
    }
}

/// Reads a code from one row of its pixels, given each pixel's green; `None` if there is none.
#[allow(dead_code, reason = "`barcode` only draws")]
pub fn read(green: impl Fn(usize) -> u8) -> Option<u32> {
    let bits = (0..SQUARES).map(|square| match green(square * SQUARE + SQUARE / 2) {
        0..64 => Some(false),
        192.. => Some(true),
        _ => None,
    });
    let bits: Vec<bool> = bits.collect::<Option<_>>()?;
    let (pattern, coded) = bits.split_at(PATTERN.len());
    let coded = coded.iter().fold(0, |coded, bit| coded << 1 | u32::from(*bit));
    let number = coded >> CHECK;
    (pattern == PATTERN && coded & ((1 << CHECK) - 1) == check(number)).then_some(number)
}

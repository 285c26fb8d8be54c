//! Decoding at n/8: slices against the whole picture, and what is missing.

use turbojpeg::Subsamp::{Gray, None, Sub2x1, Sub2x2};

use super::*;
use crate::media::Eighths;

fn whole_at(decoder: &mut Decoder, jpeg: &[u8], size: Size, scale: Eighths) -> Canvas {
    let mut canvas = Canvas::scaled(size, scale);
    decoder.decode(0, jpeg, &mut canvas, 0, 0).expect("whole");
    assert!(canvas.is_complete());
    canvas
}

/// A picture that can be cut, of each subsampling.
fn cuttable(size: Size) -> Vec<(Vec<u8>, Index, Vec<Slice>)> {
    let recoder = jpeg::Recoder::default();
    let of = |subsampling| {
        let old = from_camera(size, subsampling, 80, false, 20);
        let found = index(&old).expect("sound");
        let (jpeg, index) = recoder.recode(&old, &found, 80, 1).expect("sound");
        let slices = plan(&index, jpeg.len(), 1_332).expect("can be cut");
        (jpeg, index, slices)
    };
    [Sub2x2, Sub2x1, None, Gray].map(of).into()
}

#[test]
fn slices_are_bit_identical_to_the_whole_picture_at_every_scale() {
    let (mut decoder, mut paired) = (Decoder::new().expect("decoder"), PairedDecoder::new(true).expect("decoders"));
    for size in [Size::new(333, 201), Size::new(64, 48), Size::new(97, 31)] {
        for (jpeg, index, slices) in cuttable(size) {
            let bodies = bodies(&jpeg, &index, &slices);
            for scale in Eighths::all() {
                let expected = whole_at(&mut decoder, &jpeg, size, scale);
                assert_eq!(expected.size(), scale.of(size));
                let mut canvas = Canvas::scaled(size, scale);
                for (x8, y8, body) in &bodies {
                    decoder.decode(80, body, &mut canvas, *x8, *y8).expect("slice");
                }
                assert!(canvas.is_complete() || slices.is_empty());
                let what = format!("{size} {scale:?} {:?}", index.subsampling);
                assert!(slices.is_empty() || canvas.pixels() == expected.pixels(), "{what}");
                canvas.clear_coverage();
                paired.decode(0, &jpeg, &mut canvas, 0, 0).expect("halves");
                assert!(canvas.pixels() == expected.pixels(), "{what}");
            }
        }
    }
}

#[test]
fn a_smaller_scale_shows_the_same_picture() {
    let (mut encoder, mut decoder) = (Encoder::new().expect("encoder"), Decoder::new().expect("decoder"));
    let size = Size::new(320, 240);
    let jpeg = encode_steps(&mut encoder, &picture(size, 0, 3), 95, 0);
    let full = whole(&mut decoder, &jpeg, size);
    for scale in Eighths::all() {
        let small = whole_at(&mut decoder, &jpeg, size, scale);
        let n = usize::from(scale.get());
        // The mean of each block, in each colour.
        let mean = |canvas: &Canvas, side: usize, (column, row): (usize, usize)| {
            let width = usize::from(canvas.size().width);
            let mut sums = [0_u32; 4];
            for at in (0..side * side).map(|i| (row * side + i / side) * width + column * side + i % side) {
                sums.iter_mut().zip(canvas.pixels()[at].to_le_bytes()).for_each(|(sum, part)| *sum += u32::from(part));
            }
            [0, 1, 2].map(|part| sums[part] / (side * side) as u32)
        };
        let cells = (0..30).flat_map(|row| (0..40).map(move |column| (column, row)));
        let off = cells.map(|cell| {
            let parts = mean(&full, 8, cell).into_iter().zip(mean(&small, n, cell));
            parts.map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0)
        });
        let (count, sum) = off.fold((0, 0), |(count, sum), off| (count + 1, sum + off));
        assert!(f64::from(sum) / f64::from(count) < 3.0, "{scale:?}: off by {sum} in {count} cells");
    }
}

#[test]
fn missing_slices_are_concealed_from_another_scale() {
    let mut decoder = Decoder::new().expect("decoder");
    let size = Size::new(333, 201);
    let (jpeg, index, slices) = cuttable(size).remove(0);
    let bodies = bodies(&jpeg, &index, &slices);
    let (kept, lost) = bodies.split_at(bodies.len() / 2);
    for (before, after) in [(3, 8), (8, 3), (5, 5), (1, 2)].map(|(a, b)| (scale(a), scale(b))) {
        let old = whole_at(&mut decoder, &jpeg, size, before);
        let expected = whole_at(&mut decoder, &jpeg, size, after);
        let mut canvas = Canvas::scaled(size, after);
        for (x8, y8, body) in kept {
            decoder.decode(80, body, &mut canvas, *x8, *y8).expect("slice");
        }
        assert!(!lost.is_empty() && canvas.fill_missing(Some(&old)) > 0);
        // The same picture: nearly the same pixels, and none of them black.
        let near = canvas
            .pixels()
            .iter()
            .zip(expected.pixels())
            .filter(|(a, b)| a.to_le_bytes().iter().zip(b.to_le_bytes()).take(3).all(|(a, b)| a.abs_diff(b) < 60));
        let share = near.count() as f64 / canvas.pixels().len() as f64;
        assert!(share > 0.85, "{before:?} {after:?}: {share}");
    }
}

fn scale(n: u8) -> Eighths {
    Eighths::new(n).expect("a scale")
}

#[test]
fn damaged_bodies_never_harm_the_decoder_at_any_scale() {
    let mut decoder = Decoder::new().expect("decoder");
    let size = Size::new(333, 201);
    let pictures = cuttable(size);
    let mut random = Random(2_027);
    let (mut refused, mut taken) = (0, 0);
    for round in 0..2_000_usize {
        let (jpeg, index, slices) = &pictures[round % pictures.len()];
        let bodies = bodies(jpeg, index, &slices[round % slices.len()..][..1]);
        let (x8, y8, mut damaged) = bodies[0].clone();
        for _ in 0..=random.below(3) {
            let reach = if random.below(2) == 0 { damaged.len().min(60) } else { damaged.len() };
            let at = random.below(reach);
            damaged[at] = random.next() as u8;
        }
        let mut canvas = Canvas::scaled(size, scale(1 + (round / 4 % 8) as u8));
        match decoder.decode(80, &damaged, &mut canvas, x8, y8) {
            Ok(()) => taken += 1,
            Err(_) => refused += 1,
        }
        assert_eq!(canvas.pixels().len(), canvas.size().pixels());
    }
    assert!(refused > 200 && taken > 200, "{refused} refused, {taken} taken");
    let expected = whole(&mut Decoder::new().expect("decoder"), &pictures[0].0, size);
    assert!(whole(&mut decoder, &pictures[0].0, size).pixels() == expected.pixels(), "still decodes");
}

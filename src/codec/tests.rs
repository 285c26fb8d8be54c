//! Sliced decode against whole decode, colour, edges, and what damaged bodies may do.

mod scaled;

use super::*;
use crate::media::jpeg::{self, Index, Slice, index, plan, restart_interval};
use crate::media::{Canvas, Picture};
use crate::queue::Pool;
use crate::units::Time;

const SIZES: [Size; 5] =
    [Size::new(1_280, 720), Size::new(500, 281), Size::new(176, 144), Size::new(333, 201), Size::new(1_920, 1_080)];
const BODIES: [usize; 3] = [1_080, 1_332, 8_832];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound.max(1)
    }
}

/// A gradient with shapes, and noise of the given strength.
fn picture(size: Size, noise: usize, seed: u64) -> Picture {
    let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
    let mut random = Random(seed);
    let chroma = Picture::chroma(size);
    for (plane, (samples, width)) in
        picture.split_mut().into_iter().zip([size.width, chroma.width, chroma.width]).enumerate()
    {
        for (at, sample) in samples.iter_mut().enumerate() {
            let (x, y) = (at % usize::from(width), at / usize::from(width));
            let base = if (x / 40 + y / 24) % 3 == plane { 200 } else { (x + 2 * y + 80 * plane) / 6 % 220 };
            *sample = (base + random.below(noise + 1)).min(255) as u8;
        }
    }
    picture
}

fn encode_steps(encoder: &mut Encoder, picture: &Picture, quality: u8, step: u8) -> Vec<u8> {
    let interval = restart_interval(picture.size.width.div_ceil(16), step).expect("a divisor");
    encoder.encode(picture, quality, interval).expect("encodes")
}

/// Encodes with the first restart interval that can be cut to `body_max`.
fn encode(encoder: &mut Encoder, picture: &Picture, quality: u8, body_max: usize) -> (Vec<u8>, Index, Vec<Slice>) {
    for step in 0..8 {
        let jpeg = encode_steps(encoder, picture, quality, step);
        let index = index(&jpeg).expect("libjpeg's own is sound");
        if let Ok(slices) = plan(&index, jpeg.len(), body_max) {
            return (jpeg, index, slices);
        }
    }
    panic!("not even one MCU fits {body_max}");
}

fn bodies(jpeg: &[u8], index: &Index, slices: &[Slice]) -> Vec<(u16, u16, Vec<u8>)> {
    let write = |slice: &Slice| {
        let mut body = Vec::new();
        slice.write(index, jpeg, &mut body);
        assert_eq!(body.len(), slice.encoded_len(index));
        (slice.x8, slice.y8, body)
    };
    slices.iter().map(write).collect()
}

fn whole(decoder: &mut Decoder, jpeg: &[u8], size: Size) -> Canvas {
    let mut canvas = Canvas::new(size);
    decoder.decode(0, jpeg, &mut canvas, 0, 0).expect("whole");
    assert!(canvas.is_complete());
    canvas
}

#[test]
fn sliced_decode_is_bit_identical_and_join_gives_the_picture_back() {
    let (mut encoder, mut decoder) = (Encoder::new().expect("encoder"), Decoder::new().expect("decoder"));
    for size in SIZES {
        for (noise, quality) in [(8, 30), (8, 80), (40, 80), (4, 95)] {
            let picture = picture(size, noise, 7);
            for body_max in BODIES {
                let (jpeg, index, slices) = encode(&mut encoder, &picture, quality, body_max);
                assert_eq!((index.size, index.quality), (size, Some(quality)));
                if slices.is_empty() {
                    assert!(jpeg.len() <= body_max);
                    continue;
                }
                let expected = whole(&mut decoder, &jpeg, size);
                let bodies = bodies(&jpeg, &index, &slices);
                let mut canvas = Canvas::new(size);
                for (x8, y8, body) in &bodies {
                    assert!(body.len() <= body_max);
                    decoder.decode(quality, body, &mut canvas, *x8, *y8).expect("slice");
                }
                assert!(canvas.is_complete());
                assert!(canvas.pixels() == expected.pixels(), "{size} q{quality} noise {noise} body {body_max}");
                let borrowed: Vec<_> = bodies.iter().map(|(x8, y8, body)| (*x8, *y8, body.as_slice())).collect();
                assert!(jpeg::join(size, quality, &borrowed).expect("joins") == jpeg, "byte for byte");
            }
        }
    }
}

#[test]
fn two_threads_encode_the_same_bytes_as_one() {
    let (mut one, mut two) = (Encoder::new().expect("encoder"), PairedEncoder::new(true).expect("encoders"));
    for size in SIZES {
        for (noise, quality) in [(8, 30), (40, 80), (4, 95)] {
            let picture = picture(size, noise, 5);
            for step in 0..2 {
                let Some(interval) = restart_interval(size.width.div_ceil(16), step) else { continue };
                let expected = one.encode(&picture, quality, interval).expect("encodes");
                let (jpeg, found) = two.encode(&picture, quality, interval).expect("encodes");
                assert!(jpeg == expected, "{size} q{quality} interval {interval}");
                assert_eq!(found, index(&expected).expect("sound"));
            }
        }
    }
    assert_eq!(two.encode(&picture(SIZES[0], 4, 1), 0, 16).map(|_| ()), Err(CodecError::Quality(0)));
}

#[test]
fn two_threads_decode_the_same_pixels_as_one() {
    let mut encoder = Encoder::new().expect("encoder");
    let (mut one, mut two) = (Decoder::new().expect("decoder"), PairedDecoder::new(true).expect("decoders"));
    for size in SIZES {
        for body_max in [8_832, 65_368, usize::MAX] {
            let (jpeg, index, slices) = encode(&mut encoder, &picture(size, 40, 7), 80, body_max);
            let expected = whole(&mut one, &jpeg, size);
            let mut canvas = Canvas::new(size);
            if slices.is_empty() {
                two.decode(0, &jpeg, &mut canvas, 0, 0).expect("whole");
            }
            for (x8, y8, body) in bodies(&jpeg, &index, &slices) {
                two.decode(80, &body, &mut canvas, x8, y8).expect("slice");
            }
            assert!(canvas.is_complete() && canvas.pixels() == expected.pixels(), "{size} body {body_max}");
        }
    }
}

/// A JPEG as a camera may make it: any sampling, Huffman tables of its own, no restart markers.
fn from_camera(size: Size, subsampling: turbojpeg::Subsamp, quality: u8, own_codes: bool, noise: usize) -> Vec<u8> {
    let mut random = Random(u64::from(quality));
    let (width, height) = (usize::from(size.width), usize::from(size.height));
    let light = |at: usize| if at % (3 * width) < width { 0 } else { (at / 3 % width + at / width) as u8 };
    let pixels: Vec<u8> =
        (0..3 * width * height).map(|at| light(at).saturating_add(random.below(noise + 1) as u8)).collect();
    let image = turbojpeg::Image {
        pixels: pixels.as_slice(),
        width,
        pitch: 3 * width,
        height,
        format: turbojpeg::PixelFormat::RGB,
    };
    let mut compressor = turbojpeg::Compressor::new().expect("the library");
    compressor.set_quality(quality.into()).expect("1 to 100");
    compressor.set_subsamp(subsampling).expect("one of those it knows");
    compressor.set_optimize(own_codes).expect("either");
    compressor.compress_to_vec(image).expect("encodes")
}

#[test]
fn coded_anew_not_a_coefficient_is_lost() {
    use turbojpeg::Subsamp::{Gray, None, Sub2x1, Sub2x2};
    let (recoder, mut decoder) = (jpeg::Recoder::default(), Decoder::new().expect("decoder"));
    for size in [Size::new(333, 201), Size::new(176, 144), Size::new(16, 8)] {
        for (subsampling, own_codes) in [(Sub2x2, false), (Sub2x2, true), (Sub2x1, true), (None, true), (Gray, true)] {
            for (quality, noise) in [(3, 90), (30, 4), (80, 40), (100, 0), (100, 255)] {
                let old = from_camera(size, subsampling, quality, own_codes, noise);
                let found = index(&old).expect("libjpeg's own is sound");
                assert_eq!(jpeg::quality_for(&old, 100), Ok(quality), "its own");
                assert_eq!(jpeg::quality_for(&old, 50), Ok(quality.min(50)), "no more than asked");
                let interval = restart_interval(found.mcus().0 as u16, 0).expect("a divisor");
                let (new, said) = recoder.recode(&old, &found, quality, interval).expect("sound");
                assert_eq!(index(&new).as_ref(), Ok(&said));
                assert_eq!((said.quality, said.restart_interval), (Some(quality), Some(interval)));
                let pixels = [&old, &new].map(|jpeg| whole(&mut decoder, jpeg, size));
                assert!(pixels[0].pixels() == pixels[1].pixels(), "{size} {subsampling:?} q{quality} noise {noise}");
                let (back, _) = recoder.recode(&new, &said, quality, interval).expect("sound");
                assert!(back == new, "it has all markers already");
            }
        }
    }
}

#[test]
fn with_other_tables_it_is_as_good_as_decoded_and_encoded() {
    let size = Size::new(640, 360);
    let (mut encoder, mut decoder) = (Encoder::new().expect("encoder"), Decoder::new().expect("decoder"));
    let mut fitter = Fitter::new().expect("the library");
    let blank = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
    for (quality, at_most) in [(90, 80), (50, 80), (95, 90), (70, 30)] {
        let mut old = encoder.encode(&picture(size, 20, 3), quality, 0).expect("encodes");
        for table in 0..2 {
            // Steps that are nobody's.
            let at = 20 + 5 + 69 * table;
            old[at..at + 64].iter_mut().enumerate().for_each(|(at, step)| *step = *step + 1 + (at % 3) as u8);
        }
        let found = index(&old).expect("sound");
        assert_eq!(found.quality, None);
        let chosen = jpeg::quality_for(&old, at_most).expect("sound");
        assert!(chosen <= at_most && (chosen == at_most || chosen.abs_diff(quality) < 12), "{chosen} for {quality}");
        let (new, said) = jpeg::Recoder::default().recode(&old, &found, chosen, 10).expect("sound");
        assert_eq!((index(&new).as_ref(), said.quality), (Ok(&said), Some(chosen)));
        let decoded = fitter.decode(&blank, &old, &found).expect("decodes");
        let remade = encoder.encode(&decoded, chosen, 10).expect("encodes");
        let [wanted, new, remade] = [&old, &new, &remade].map(|jpeg| {
            let canvas = whole(&mut decoder, jpeg, size);
            canvas.pixels().iter().flat_map(|pixel| pixel.to_le_bytes()).collect::<Vec<u8>>()
        });
        let off = |canvas: &[u8]| -> u64 {
            let pairs = canvas.iter().zip(&wanted);
            pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum()
        };
        assert!(off(&new) * 20 < off(&remade) * 21, "{} against {} at {chosen}", off(&new), off(&remade));
    }
}

#[test]
fn our_tables_are_the_ones_libjpeg_writes() {
    let mut encoder = Encoder::new().expect("encoder");
    let picture = picture(Size::new(32, 32), 4, 1);
    for quality in 1..=100 {
        let jpeg = encoder.encode(&picture, quality, 2).expect("encodes");
        assert_eq!(index(&jpeg).expect("sound").quality, Some(quality));
        let ours = jpeg::tables::header(quality, false);
        let quantisation = 2 * 69;
        assert!(jpeg.windows(quantisation).any(|bytes| bytes == &ours[..quantisation]));
        assert!(jpeg.windows(ours.len() - quantisation).any(|bytes| bytes == &ours[quantisation..]));
    }
}

#[test]
fn a_slice_touches_its_rectangle_only() {
    let (mut encoder, mut decoder) = (Encoder::new().expect("encoder"), Decoder::new().expect("decoder"));
    let size = Size::new(333, 201);
    let (jpeg, index, slices) = encode(&mut encoder, &picture(size, 30, 3), 80, 1_080);
    for (slice, (x8, y8, body)) in slices.iter().zip(bodies(&jpeg, &index, &slices)) {
        let mut canvas = Canvas::new(size);
        canvas.pixels_mut().fill(0x1234_5678);
        decoder.decode(80, &body, &mut canvas, x8, y8).expect("slice");
        let (left, top) = (usize::from(x8) * 8, usize::from(y8) * 8);
        for (at, &pixel) in canvas.pixels().iter().enumerate() {
            let (x, y) = (at % 333, at / 333);
            let inside = (left..left + usize::from(slice.width)).contains(&x)
                && (top..top + usize::from(slice.height)).contains(&y);
            assert_eq!(pixel != 0x1234_5678, inside, "{x}, {y}");
        }
    }
}

#[test]
fn slices_outside_the_canvas_are_refused_before_a_pixel_is_written() {
    let (mut encoder, mut decoder) = (Encoder::new().expect("encoder"), Decoder::new().expect("decoder"));
    let jpeg = encoder.encode(&picture(Size::new(64, 48), 4, 3), 80, 4).expect("encodes");
    for (canvas_size, x8, y8) in
        [(Size::new(63, 48), 0, 0), (Size::new(64, 48), 1, 0), (Size::new(64, 48), 0, u16::MAX)]
    {
        let mut canvas = Canvas::new(canvas_size);
        let before = canvas.pixels().to_vec();
        let refused = decoder.decode(0, &jpeg, &mut canvas, x8, y8);
        assert!(matches!(refused, Err(CodecError::Outside { .. })), "{refused:?}");
        assert_eq!(canvas.pixels(), before);
    }
    let mut canvas = Canvas::new(Size::new(64, 48));
    assert_eq!(decoder.decode(101, &jpeg, &mut canvas, 0, 0), Err(CodecError::Tables(101)));
    assert_eq!(decoder.decode(80, &jpeg, &mut canvas, 0, 0), Err(JpegError::Tables.into()));
    assert_eq!(encoder.encode(&picture(Size::new(16, 16), 0, 0), 0, 1), Err(CodecError::Quality(0)));
    assert!(encoder.encode(&picture(Size::new(0, 16), 0, 0), 80, 1).is_err());
}

#[test]
fn damaged_bodies_never_harm_the_decoder() {
    let (mut encoder, mut decoder) = (Encoder::new().expect("encoder"), Decoder::new().expect("decoder"));
    let mut paired = PairedDecoder::new(true).expect("decoders");
    let size = Size::new(333, 201);
    let (jpeg, index, slices) = encode(&mut encoder, &picture(size, 30, 3), 80, 1_080);
    assert!(jpeg.len() > 16_000, "long enough for two threads");
    let expected = whole(&mut decoder, &jpeg, size);
    let bodies = bodies(&jpeg, &index, &slices);
    let mut random = Random(2_026);
    let (mut refused, mut taken) = (0, 0);
    let mut canvas = Canvas::new(size);
    for round in 0..2_000 {
        let inline = round % 8 == 0;
        let (x8, y8, body) = &bodies[random.below(bodies.len())];
        let mut damaged = if inline { jpeg.clone() } else { body.clone() };
        for _ in 0..=random.below(3) {
            let reach = if random.below(2) == 0 { damaged.len().min(60) } else { damaged.len() };
            let at = random.below(reach);
            damaged[at] = random.next() as u8;
        }
        if random.below(10) == 0 {
            damaged.truncate(random.below(damaged.len()));
        }
        let other = Size::new(1 + random.below(400) as u16, 1 + random.below(240) as u16);
        canvas.reset(if random.below(2) == 0 { size } else { other });
        let (tables, x8, y8) = if inline { (0, 0, 0) } else { (80, *x8, *y8) };
        let alone = decoder.decode(tables, &damaged, &mut canvas, x8, y8);
        let missing = canvas.missing();
        canvas.clear_coverage();
        // Surplus bytes before the seam are seen by one decoder alone.
        let together = paired.decode(tables, &damaged, &mut canvas, x8, y8);
        assert!(together.is_ok() || alone.is_err(), "{together:?}");
        assert_eq!(canvas.missing() == missing, together.is_ok() == alone.is_ok());
        match alone {
            Ok(()) => taken += 1,
            Err(_) => refused += 1,
        }
        if round % 100 == 0 {
            assert!(whole(&mut decoder, &jpeg, size).pixels() == expected.pixels(), "still decodes");
        }
    }
    assert!(refused > 200 && taken > 200, "{refused} refused, {taken} taken");
}

#[test]
fn mutated_pictures_keep_the_promises_of_the_jpeg_layer() {
    let mut encoder = Encoder::new().expect("encoder");
    let jpeg = encode_steps(&mut encoder, &picture(Size::new(176, 144), 20, 3), 60, 0);
    let mut random = Random(11);
    for _ in 0..8_000 {
        let mut damaged = jpeg.clone();
        for _ in 0..=random.below(3) {
            let reach = if random.below(3) == 0 { damaged.len() } else { 640 };
            let at = random.below(reach);
            damaged[at] = random.next() as u8;
        }
        jpeg::fuzz_jpeg(&damaged);
    }
}

#[test]
fn colour_comes_back_as_full_range_bt601() {
    let (mut encoder, mut decoder) = (Encoder::new().expect("encoder"), Decoder::new().expect("decoder"));
    let bars = [
        (255, 255, 255),
        (255, 255, 0),
        (0, 255, 255),
        (0, 255, 0),
        (255, 0, 255),
        (255, 0, 0),
        (0, 0, 255),
        (0, 0, 0),
        (128, 128, 128),
    ];
    for size in [Size::new(288, 64), Size::new(287, 63)] {
        let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
        let bar_at = |x: usize| bars[(x / 32).min(8)];
        let [y, u, v] = picture.split_mut();
        let chroma = usize::from(Picture::chroma(size).width);
        for (at, sample) in y.iter_mut().enumerate() {
            *sample = yuv(bar_at(at % usize::from(size.width)))[0];
        }
        for (at, (u, v)) in u.iter_mut().zip(v).enumerate() {
            [_, *u, *v] = yuv(bar_at(at % chroma * 2));
        }
        let jpeg = encode_steps(&mut encoder, &picture, 100, 0);
        let canvas = whole(&mut decoder, &jpeg, size);
        for (at, &pixel) in canvas.pixels().iter().enumerate() {
            let (r, g, b) = bar_at(at % usize::from(size.width));
            let [got_b, got_g, got_r, _] = pixel.to_le_bytes();
            let worst = got_r.abs_diff(r).max(got_g.abs_diff(g)).max(got_b.abs_diff(b));
            assert!(worst <= 4, "{size} at {at}: {pixel:06x} is not {r} {g} {b}");
        }
    }
}

/// JFIF's own equations.
fn yuv((r, g, b): (u8, u8, u8)) -> [u8; 3] {
    let (r, g, b) = (f64::from(r), f64::from(g), f64::from(b));
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    [y, (b - y) / 1.772 + 128.0, (r - y) / 1.402 + 128.0].map(|value| value.round().clamp(0.0, 255.0) as u8)
}

#[test]
fn odd_edges_hold_no_foreign_pixels() {
    let (mut encoder, mut decoder) = (Encoder::new().expect("encoder"), Decoder::new().expect("decoder"));
    for size in [Size::new(1, 1), Size::new(17, 1), Size::new(1, 17), Size::new(33, 31), Size::new(15, 16)] {
        let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
        let [y, u, v] = picture.split_mut();
        y.fill(90);
        u.fill(128);
        v.fill(128);
        let jpeg = encoder.encode(&picture, 90, 1).expect("encodes");
        let canvas = whole(&mut decoder, &jpeg, size);
        assert!(canvas.pixels().iter().all(|pixel| pixel & 0xFF_FFFF == 0x5A_5A5A), "{size}");
    }
}

#[test]
fn the_noisiest_picture_fits_the_buffer() {
    let mut encoder = Encoder::new().expect("encoder");
    let size = Size::new(320, 240);
    let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
    let mut random = Random(5);
    picture.planes_mut().iter_mut().for_each(|sample| *sample = if random.next().is_multiple_of(2) { 0 } else { 255 });
    let jpeg = encoder.encode(&picture, 100, 1).expect("encodes");
    assert_eq!(index(&jpeg).expect("sound").intervals.len(), 300);
}

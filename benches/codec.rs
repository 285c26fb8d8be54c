//! What one 720p picture costs on its way: encode, index, cut for each size class, decode whole and in slices.
//! Each bench asserts that it measures what it names.

#[expect(dead_code, reason = "each bench needs another part of it")]
mod stage;

use std::collections::HashSet;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use stage::{QUALITY, Sample, is_short, is_whole, median, timed};
use turbojpeg::{Compressor, Subsamp, YuvImage};
use udpstream::codec::{Decoder, Encoder, Fitter, PairedDecoder, PairedEncoder, in_full};
use udpstream::media::coded::CodedPicture;
use udpstream::media::jpeg::{self, Index, Recoder, Slice};
use udpstream::media::shrink::shrink;
use udpstream::media::tonemap::{ToneMap, Transfer};
use udpstream::media::{Canvas, Picture, y4m};
use udpstream::queue::Pool;
use udpstream::units::{Size, Time};
use udpstream::wire::SizeClass;

const SIZE: Size = Size::new(1_280, 720);
/// Body limits of the classes 1 200, 1 452, 8 952 and 65 488.
const BODIES: [usize; 4] = [1_080, 1_332, 8_832, 65_368];
/// What real film of this size and quality takes is 134 kB; outside these bounds the content is not like it.
const FILM_BYTES: std::ops::Range<usize> = 110_000..160_000;

struct Coded {
    jpeg: Vec<u8>,
    index: Index,
}

fn coded() -> Coded {
    let jpeg = encoder().encode(&picture(), QUALITY, restart()).expect("encodes");
    assert!(FILM_BYTES.contains(&jpeg.len()), "{} bytes are not like film", jpeg.len());
    let index = jpeg::index(&jpeg).expect("sound");
    assert_eq!((index.intervals.len(), index.quality), (5 * 45, Some(QUALITY)));
    Coded { jpeg, index }
}

fn picture() -> Picture {
    stage::picture(SIZE)
}

fn encoder() -> Encoder {
    Encoder::new().expect("an encoder")
}

fn restart() -> u16 {
    stage::restart(SIZE)
}

fn plan(coded: &Coded, body_max: usize) -> Vec<Slice> {
    let slices = jpeg::plan(&coded.index, coded.jpeg.len(), body_max).expect("fits");
    assert!(slices.len() > 1 && slices.len() >= coded.index.scan.len() / body_max);
    slices
}

fn encode(c: &mut Criterion) {
    let (mut encoder, picture) = (encoder(), picture());
    let mut group = c.benchmark_group("encode");
    for restart in [0, restart()] {
        let bytes = encoder.encode(&picture, QUALITY, restart).expect("encodes").len();
        assert!(FILM_BYTES.contains(&bytes), "{bytes} bytes are not like film");
        group.bench_function(BenchmarkId::new("720p q80, restart interval", restart), |b| {
            b.iter(|| encoder.encode(black_box(&picture), QUALITY, restart));
        });
    }
}

/// One thread and two, as a file's and a live picture's encoder use them: the same bytes.
fn smaller_renditions(c: &mut Criterion) {
    let (picture, pool) = (picture(), Pool::new(2));
    let mut group = c.benchmark_group("720p halved");
    for rendition in [1, 2] {
        assert_eq!(shrink(&picture, rendition, &pool).size, SIZE.rendition(rendition));
        group.bench_function(BenchmarkId::new("times", rendition), |b| {
            b.iter(|| shrink(black_box(&picture), rendition, &pool));
        });
    }
    group.finish();
    let mut canvas = Canvas::new(SIZE.rendition(1));
    canvas.set_full(SIZE);
    canvas.pixels_mut().iter_mut().zip(0_u32..).for_each(|(pixel, n)| *pixel = n.wrapping_mul(2_654_435_761));
    assert!(in_full(&canvas).is_ok_and(|full| full.size() == SIZE));
    c.bench_function("640x360 to 720p, Catmull-Rom", |b| b.iter(|| drop(in_full(black_box(&canvas)))));
}

fn encode_in_bands(c: &mut Criterion) {
    let picture = picture();
    let expected = encoder().encode(&picture, QUALITY, restart()).expect("encodes");
    let mut group = c.benchmark_group("encode and index");
    for (name, paired) in [("one thread", false), ("two threads", true)] {
        let mut encoder = PairedEncoder::new(paired).expect("an encoder");
        let (jpeg, index) = encoder.encode(&picture, QUALITY, restart()).expect("encodes");
        assert!(jpeg == expected && FILM_BYTES.contains(&jpeg.len()) && index.intervals.len() == 5 * 45);
        group.bench_function(name, |b| b.iter(|| encoder.encode(black_box(&picture), QUALITY, restart())));
    }
}

/// Limited-range BT.709, as cameras and films have it, off a reader that costs nothing.
fn convert(c: &mut Criterion) {
    let pool = Pool::new(1);
    let mut group = c.benchmark_group("read 720p y4m");
    for range in ["FULL", "LIMITED"] {
        let mut film = format!("YUV4MPEG2 W1280 H720 F30:1 C420 XCOLORRANGE={range}\nFRAME\n").into_bytes();
        film.extend(picture().planes().concat());
        let read = || y4m::Reader::new(black_box(film.as_slice())).and_then(|mut film| film.read(&pool, || Time::ZERO));
        let first = read().expect("sound").expect("one").planes()[0][0];
        assert_eq!(first == picture().planes()[0][0], range == "FULL");
        group.bench_function(range, |b| b.iter(read));
    }
}

/// What ffmpeg hands over of an HDR film: the whole picture's way to the wire's colour.
fn tone_map(c: &mut Criterion) {
    let size = Size::new(1_920, 1_080);
    let source: Vec<u8> = stage::picture(size)
        .planes()
        .concat()
        .iter()
        .flat_map(|&sample| (4 * u16::from(sample)).to_le_bytes())
        .collect();
    let mut picture = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
    let mut group = c.benchmark_group("tone-map 1080p");
    group.throughput(Throughput::Elements(size.pixels() as u64));
    for transfer in [Transfer::Pq, Transfer::Hlg] {
        let map = ToneMap::new(transfer);
        assert_eq!(source.len(), ToneMap::bytes(size));
        map.apply(&source, &mut picture);
        let levels = picture.planes()[0].iter().collect::<HashSet<_>>().len();
        assert!(levels > 60, "{levels} levels of luma are no film");
        group.bench_function(BenchmarkId::from_parameter(format!("{transfer:?}")), |b| {
            b.iter(|| map.apply(black_box(&source), &mut picture));
        });
    }
    group.bench_function("the grid, once a film", |b| b.iter(|| ToneMap::new(black_box(Transfer::Pq))));
}

fn index(c: &mut Criterion) {
    let coded = coded();
    let mut group = c.benchmark_group("index");
    group.throughput(Throughput::Bytes(coded.jpeg.len() as u64));
    group.bench_function("720p q80", |b| b.iter(|| jpeg::index(black_box(&coded.jpeg))));
}

fn cut(c: &mut Criterion) {
    let coded = coded();
    let mut group = c.benchmark_group("plan and write");
    for body_max in BODIES {
        let mut out = Vec::new();
        let mut write = || {
            out.clear();
            let slices = plan(&coded, body_max);
            slices.iter().for_each(|slice| slice.write(&coded.index, &coded.jpeg, &mut out));
            (slices.len(), out.len())
        };
        let (slices, bytes) = write();
        assert!(bytes > coded.index.scan.len(), "each slice is written");
        group.bench_function(BenchmarkId::new(format!("{slices} slices of"), body_max), |b| b.iter(&mut write));
    }
}

fn decode(c: &mut Criterion) {
    let coded = coded();
    let mut decoder = Decoder::new().expect("a decoder");
    let (mut whole, mut canvas) = (Canvas::new(SIZE), Canvas::new(SIZE));
    let mut decode_whole = |canvas: &mut Canvas| {
        canvas.clear_coverage();
        decoder.decode(0, black_box(&coded.jpeg), canvas, 0, 0).expect("decodes");
    };
    decode_whole(&mut whole);
    assert!(whole.is_complete());
    let mut group = c.benchmark_group("decode");
    group.bench_function("whole", |b| b.iter(|| decode_whole(&mut canvas)));
    for body_max in BODIES {
        let bodies = bodies(&coded, body_max);
        let mut decode_slices = || {
            canvas.clear_coverage();
            for (x8, y8, body) in &bodies {
                decoder.decode(QUALITY, black_box(body), &mut canvas, *x8, *y8).expect("decodes");
            }
        };
        decode_slices();
        group.bench_function(BenchmarkId::new(format!("{} slices of", bodies.len()), body_max), |b| {
            b.iter(&mut decode_slices);
        });
        let mut paired = PairedDecoder::new(true).expect("a decoder");
        let mut decode_paired = || {
            canvas.clear_coverage();
            for (x8, y8, body) in &bodies {
                paired.decode(QUALITY, black_box(body), &mut canvas, *x8, *y8).expect("decodes");
            }
        };
        group.bench_function(BenchmarkId::new(format!("two threads, {} slices of", bodies.len()), body_max), |b| {
            b.iter(&mut decode_paired);
        });
        assert!(canvas.is_complete() && canvas.pixels() == whole.pixels(), "every pixel, and the same");
    }
}

/// A camera's JPEG that has no markers to cut at: coded anew from its coefficients, and from its pixels.
fn recode(c: &mut Criterion) {
    let old = encoder().encode(&picture(), QUALITY, 0).expect("encodes");
    let (index, recoder) = (jpeg::index(&old).expect("sound"), Recoder::default());
    let (new, said) = recoder.recode(&old, &index, QUALITY, restart()).expect("sound");
    assert!(FILM_BYTES.contains(&old.len()) && said.intervals.len() == 5 * 45);
    assert!(new == coded().jpeg, "byte for byte what the encoder makes with markers");
    let mut group = c.benchmark_group("720p q80 without markers");
    group.bench_function("from coefficients", |b| {
        b.iter(|| recoder.recode(black_box(&old), &index, QUALITY, restart()));
    });
    let (mut fitter, mut encoder, blank) = (Fitter::new().expect("a decoder"), encoder(), picture());
    group.bench_function("from pixels", |b| {
        b.iter(|| {
            let decoded = fitter.decode(&blank, black_box(&old), &index).expect("sound");
            encoder.encode(&decoded, QUALITY, restart())
        });
    });
}

fn bodies(coded: &Coded, body_max: usize) -> Vec<(u16, u16, Vec<u8>)> {
    let write = |slice: &Slice| {
        let mut body = Vec::new();
        slice.write(&coded.index, &coded.jpeg, &mut body);
        (slice.x8, slice.y8, body)
    };
    plan(coded, body_max).iter().map(write).collect()
}

fn conceal(c: &mut Criterion) {
    let (before, mut canvas) = (Canvas::new(SIZE), Canvas::new(SIZE));
    canvas.cover(0, 0, SIZE.width, SIZE.height / 2);
    assert_eq!(canvas.missing(), 160 * 45);
    c.bench_function("conceal half a picture", |b| b.iter(|| canvas.fill_missing(Some(black_box(&before)))));
}

/// Everything between the planes and the datagrams' bodies, beside one plain call of the library that we encode with.
/// Both in turn, so that a slow moment of the machine strikes both.
fn beside_the_library() {
    let rounds = if is_short() { 3 } else { 400 };
    println!("\nencode + index + cut beside a bare turbojpeg call, {rounds} rounds of each in turn, medians:");
    println!("{:>12}{:>8}{:>10}{:>14}{:>14}{:>8}", "picture", "class", "bytes", "ours µs", "bare µs", "ratio");
    for size in [Size::new(500, 282), SIZE, Size::new(1_920, 1_080)] {
        for class in [SizeClass::LOOPBACK, SizeClass::ANY] {
            in_turn(size, class, rounds);
        }
    }
}

fn in_turn(size: Size, class: SizeClass, rounds: usize) {
    let (picture, sample, restart) = (stage::picture(size), Sample::new(size), stage::restart(size));
    let mut encoder = PairedEncoder::new(false).expect("an encoder");
    let mut bare = Compressor::new().expect("a compressor");
    bare.set_quality(QUALITY.into()).expect("a quality");
    bare.set_subsamp(Subsamp::Sub2x2).expect("4:2:0");
    let pixels = picture.planes().concat();
    let (width, height) = (size.width.into(), size.height.into());
    let planes = YuvImage { pixels, width, align: 1, height, subsamp: Subsamp::Sub2x2 };
    let mut out = vec![0; 2 * planes.pixels.len()];
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for unit in 0..rounds as u32 {
        let (took, cut) = timed(|| {
            let (jpeg, index) = encoder.encode(black_box(&picture), QUALITY, restart).expect("encodes");
            CodedPicture { jpeg, index, ..sample.blank(unit) }.cut(1, class).expect("fits")
        });
        assert!(cut.total() > sample.index.scan.len(), "every byte of the scan is in the cut");
        ours.push(took);
        let (took, bytes) =
            timed(|| bare.compress_yuv_to_slice(black_box(planes.as_deref()), &mut out).expect("encodes"));
        assert!(bytes.abs_diff(sample.jpeg.len()) < sample.jpeg.len() / 20, "the same work");
        theirs.push(took);
    }
    let [ours, theirs] = [ours, theirs].map(|mut took| median(&mut took).as_secs_f64() * 1e6);
    print!("{:>12}{:>8}{:>10}", size.to_string(), class.datagram(), sample.jpeg.len());
    println!("{ours:>14.0}{theirs:>14.0}{:>8.3}", ours / theirs);
}

criterion_group!(
    benches,
    encode,
    encode_in_bands,
    smaller_renditions,
    convert,
    tone_map,
    index,
    cut,
    decode,
    recode,
    conceal
);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    if is_whole() {
        beside_the_library();
    }
}

//! What the encoder makes of pictures that come: nothing, the word SAME, a camera's JPEG as it is, or one of its own.
#![expect(clippy::disallowed_methods, reason = "a test has ffmpeg make a picture")]

use super::layout::TRY_LARGER;
use super::*;
use crate::codec::{Decoder, Encoder};
use crate::media::Canvas;
use crate::queue::{self, Pool, Pooled, WhenFull};
use crate::text::test_card::Card;

const SIZE: Size = Size::new(320, 240);

/// An encoder at work, fed by hand.
struct Bench {
    source: Option<Producer<Picture>>,
    orders: Arc<Watched<Order>>,
    counts: Arc<EncoderCounts>,
    coded: Consumer<Coded>,
    encoder: super::Encoder,
    card: Card,
    pool: Pool<Vec<u8>>,
}

impl Bench {
    fn new(demand: Demand) -> Self {
        let rate = Rate::new(30, 1).unwrap();
        let (source, pictures) = queue::bounded(4, WhenFull::Block, None);
        let (out, coded) = queue::bounded(4, WhenFull::Block, None);
        let orders = Arc::new(Watched::new(Order { demand, ..Order::idle(80, true) }));
        let counts = Arc::new(EncoderCounts::default());
        let settings = Settings { size: SIZE, rate, live: true, smallest: SizeClass::ANY, origin: Origin::default() };
        let encoder = spawn(settings, pictures, Arc::clone(&orders), Arc::clone(&counts), out).unwrap();
        Self { source: Some(source), orders, counts, coded, encoder, card: Card::new(SIZE, rate), pool: Pool::new(4) }
    }

    fn picture(&self, number: u32) -> Picture {
        let mut picture = Picture::from_pool(&self.pool, SIZE, number, Time::from_millis(1_000 + u64::from(number)));
        self.card.draw(&mut picture, number);
        picture
    }

    fn put(&self, picture: Picture) {
        self.source.as_ref().unwrap().push(picture).unwrap();
    }

    fn got(&self) -> CodedPicture {
        self.both().picture
    }

    fn both(&self) -> Coded {
        self.coded.pop().unwrap()
    }

    fn order(&self, demand: Demand, taps: bool) {
        self.orders.store(Order { demand, taps, ..Order::idle(80, true) });
    }

    fn again(&self) -> u64 {
        self.counts.again.load(Ordering::Relaxed)
    }

    fn figures(&self) -> [u64; 6] {
        let counts = &self.counts;
        [&counts.encoded, &counts.same, &counts.passed, &counts.recoded, &counts.discarded, &counts.damaged]
            .map(|count| count.load(Ordering::Relaxed))
    }

    /// Encoded, same, passed, recoded, discarded, damaged.
    fn end(mut self) -> [u64; 6] {
        self.source = None;
        while self.coded.pop().is_some() {}
        while !self.encoder.thread.is_finished() {
            std::thread::yield_now();
        }
        self.figures()
    }
}

fn watched(fresh: u64, class: SizeClass) -> Demand {
    Demand { watched: true, fresh, class, ..Demand::idle(80, true) }
}

fn from_camera(bench: &Bench, number: u32, quality: u8, restart: u16) -> (Picture, Vec<u8>) {
    let jpeg = Encoder::new().unwrap().encode(&bench.picture(number), quality, restart).unwrap();
    let bytes = Pooled::unpooled(jpeg.clone());
    (Picture::from_jpeg(bytes, SIZE, number, Time::from_millis(1_000)), jpeg)
}

#[test]
fn nobody_watches_and_nothing_is_encoded() {
    let bench = Bench::new(Demand::idle(80, true));
    for number in 0..20 {
        bench.put(bench.picture(number));
    }
    bench.put(from_camera(&bench, 20, 80, 0).0);
    assert_eq!(bench.end(), [0, 0, 0, 0, 21, 0]);
}

#[test]
fn what_is_not_drawn_yet_is_drawn_when_it_is_encoded() {
    let bench = Bench::new(watched(1, SizeClass::ANY));
    let card = Arc::new(Card::new(SIZE, Rate::new(30, 1).unwrap()));
    bench.put(bench.picture(7));
    let drawn = bench.got().jpeg;
    // Another picture that looks the same.
    let mut undrawn = Picture::undrawn(card.clone(), &bench.pool, 7, Time::from_millis(1_007));
    undrawn.content = 8;
    bench.put(undrawn);
    assert!(bench.got().jpeg == drawn, "to the byte");
    assert_eq!(bench.end(), [2, 0, 0, 0, 0, 0]);
}

#[test]
fn what_stands_still_is_sent_once_and_again_to_whoever_lacks_it() {
    let bench = Bench::new(watched(1, SizeClass::ANY));
    let mut first = bench.picture(0);
    let again = |first: &mut Picture, number: u32| first.again(number, Time::from_millis(1_000)).unwrap();
    let (second, third, fourth) = (again(&mut first, 1), again(&mut first, 2), again(&mut first, 3));
    bench.put(first);
    assert!(!bench.got().is_same());
    bench.put(second);
    let same = bench.got();
    assert!(same.is_same() && same.unit == Unit(1));
    let cut = same.cut(7, SizeClass::ANY).unwrap();
    assert_eq!((cut.parts(), cut.total()), (1, 48));
    // Somebody has come.
    bench.order(watched(2, SizeClass::ANY), false);
    bench.put(third);
    assert!(!bench.got().is_same());
    bench.put(fourth);
    assert!(bench.got().is_same());
    // A change is a change.
    bench.put(bench.picture(4));
    assert!(!bench.got().is_same());
    assert_eq!(bench.end(), [3, 2, 0, 0, 0, 0]);
}

#[test]
fn a_cameras_picture_passes_as_it_is_where_it_fits() {
    let bench = Bench::new(watched(1, SizeClass::LOOPBACK));
    let (picture, jpeg) = from_camera(&bench, 0, 77, 0);
    bench.put(picture);
    let coded = bench.got();
    assert!(coded.jpeg == jpeg, "to the byte");
    assert_eq!(coded.cut(7, SizeClass::LOOPBACK).unwrap().parts(), 1);
    // It would have to be cut, and has no restart markers.
    bench.order(watched(1, SizeClass::ANY), false);
    let (picture, jpeg) = from_camera(&bench, 1, 77, 0);
    assert!(jpeg.len() > SizeClass::ANY.body_max(), "{} bytes fit", jpeg.len());
    bench.put(picture);
    let coded = bench.got();
    assert!(coded.cut(7, SizeClass::ANY).unwrap().parts() > 1);
    let (mut canvas, mut wanted) = (Canvas::new(SIZE), Canvas::new(SIZE));
    let mut decoder = Decoder::new().unwrap();
    decoder.decode(0, &coded.jpeg, &mut canvas, 0, 0).unwrap();
    decoder.decode(0, &jpeg, &mut wanted, 0, 0).unwrap();
    assert!(canvas.pixels() == wanted.pixels(), "no coefficient is lost");
    assert_eq!(coded.quality, 77);
    // The tables are nobody's, so that they have to be others.
    let (_, mut jpeg) = from_camera(&bench, 2, 77, 0);
    let table = jpeg.windows(2).position(|marker| marker == [0xFF, 0xDB]).unwrap() + 5;
    jpeg[table + 9] += 1;
    bench.put(Picture::from_jpeg(Pooled::unpooled(jpeg), SIZE, 2, Time::from_millis(1_000)));
    let coded = bench.got();
    assert!(coded.cut(7, SizeClass::ANY).unwrap().parts() > 1 && (70..=80).contains(&coded.quality));
    // With markers and the usual tables it is cut as it is.
    let (picture, jpeg) = from_camera(&bench, 3, 77, 10);
    bench.put(picture);
    let coded = bench.got();
    assert!(coded.jpeg == jpeg && coded.cut(7, SizeClass::ANY).unwrap().parts() > 1);
    // Half of one is no picture.
    let half = jpeg[..jpeg.len() / 2].to_vec();
    bench.put(Picture::from_jpeg(Pooled::unpooled(half), SIZE, 4, Time::from_millis(1_000)));
    assert_eq!(bench.end(), [0, 0, 2, 2, 0, 1]);
}

/// The first picture of ffmpeg's test film, in whatever form.
fn from_ffmpeg(arguments: &str) -> Vec<u8> {
    let film = format!("-v error -f lavfi -i testsrc2=size={}x{}:rate=1 -frames:v 1", SIZE.width, SIZE.height);
    let mut command = std::process::Command::new("ffmpeg");
    let output = command.args(film.split(' ')).args(arguments.split(' ')).arg("-").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn libavcodecs_own_way_of_422_is_made_anew() {
    let jpeg = from_ffmpeg("-pix_fmt yuvj422p -c:v mjpeg -q:v 2 -huffman default -f mjpeg");
    let frame = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    assert_eq!([11, 14, 17].map(|at| jpeg[frame + at]), [0x22, 0x12, 0x12]);
    let bench = Bench::new(watched(1, SizeClass::ANY));
    bench.put(Picture::from_jpeg(Pooled::unpooled(jpeg.clone()), SIZE, 0, Time::from_millis(1_000)));
    let coded = bench.got();
    assert!(coded.cut(7, SizeClass::ANY).unwrap().parts() > 1);
    let mut planes = Vec::new();
    Decoder::new().unwrap().planes(&coded.jpeg, &coded.index, &mut planes).unwrap();
    let wanted = from_ffmpeg("-pix_fmt yuvj420p -f rawvideo");
    let off: u64 = planes.iter().zip(&wanted).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    assert!(planes.len() == wanted.len() && off < 4 * wanted.len() as u64, "off by {off} in {}", wanted.len());
    // Half of one is no picture.
    let half = jpeg[..jpeg.len() / 2].to_vec();
    bench.put(Picture::from_jpeg(Pooled::unpooled(half), SIZE, 1, Time::from_millis(1_000)));
    assert_eq!(bench.end(), [1, 0, 0, 0, 0, 1]);
}

#[test]
fn another_size_is_fitted_into_the_streams() {
    let bench = Bench::new(watched(1, SizeClass::ANY));
    let other = Size::new(100, 100);
    let mut picture = Picture::from_pool(&bench.pool, other, 0, Time::from_millis(1_000));
    picture.planes_mut().fill(128);
    let jpeg = Encoder::new().unwrap().encode(&picture, 80, 0).unwrap();
    bench.put(picture);
    assert_eq!(bench.got().size, SIZE);
    bench.put(Picture::from_jpeg(Pooled::unpooled(jpeg), other, 1, Time::from_millis(1_000)));
    assert_eq!(bench.got().size, SIZE);
    assert_eq!(bench.end(), [2, 0, 0, 0, 0, 0]);
}

#[test]
fn media_time_counts_from_the_first_picture_that_came_watched_or_not() {
    let bench = Bench::new(Demand::idle(80, true));
    bench.put(bench.picture(0));
    while bench.figures()[4] == 0 {
        std::thread::yield_now();
    }
    bench.order(watched(1, SizeClass::ANY), false);
    bench.put(bench.picture(500));
    assert_eq!(bench.got().media_time.micros(), 500_000);
    bench.end();
}

#[test]
fn what_fitted_is_tried_first_and_now_and_then_the_next_larger() {
    let mut layout = RestartLayout::default();
    assert_eq!(layout.next(), 0);
    layout.fitted = 3;
    let tried: Vec<u8> = (0..2 * TRY_LARGER).map(|_| layout.next()).collect();
    assert_eq!(tried.iter().filter(|&&layout| layout == 2).count(), 2);
    assert!(tried.iter().all(|&layout| layout == 2 || layout == 3));
}

mod renditions;

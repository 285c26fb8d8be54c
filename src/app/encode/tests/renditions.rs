//! What is coded when a path, or somebody who watches, wants less than there is.

use super::*;
use crate::proto::ladder::Limits;

fn wishing(rung: Rung, most: Option<u32>) -> Demand {
    let limits = Limits::up_to(80);
    Demand { wish: Wish { rung, most, limits }, ..watched(1, SizeClass::LOOPBACK) }
}

/// Rendition, quality and size.
fn form(coded: &CodedPicture) -> (u8, u8, Size) {
    assert_eq!(coded.index.size, coded.size);
    (coded.rendition, coded.quality, coded.size)
}

#[test]
fn a_picture_is_coded_to_the_rung_that_is_wished() {
    let bench = Bench::new(watched(1, SizeClass::ANY));
    for (number, rendition, quality) in [(0, 0, 50), (1, 1, 86), (2, 2, 10), (3, 0, 80), (4, 200, 80)] {
        bench.order(wishing(Rung::new(rendition, quality), None), false);
        bench.put(bench.picture(number));
        let rendition = rendition.min(2);
        assert_eq!(form(&bench.got()), (rendition, quality, SIZE.rendition(rendition)));
    }
    assert_eq!(bench.again(), 0);
    assert_eq!(bench.end(), [5, 0, 0, 0, 0, 0]);
}

#[test]
fn what_is_too_large_is_coded_once_more_and_only_once() {
    let bench = Bench::new(wishing(Rung::new(0, 80), None));
    bench.put(bench.picture(0));
    let bytes = bench.got().jpeg.len();
    bench.order(wishing(Rung::new(0, 80), Some(bytes as u32 / 2)), false);
    bench.put(bench.picture(1));
    let coded = bench.got();
    assert!(coded.jpeg.len() < bytes * 3 / 4 && coded.quality < 80, "{} of {bytes}", coded.jpeg.len());
    assert_eq!(bench.again(), 1);
    // So little that there is no such picture.
    bench.order(wishing(Rung::new(0, 80), Some(1)), false);
    bench.put(bench.picture(2));
    assert_eq!((form(&bench.got()), bench.again()), ((2, 10, SIZE.rendition(2)), 2));
    assert_eq!(bench.end(), [3, 0, 0, 0, 0, 0]);
}

#[test]
fn a_cameras_picture_passes_while_it_is_small_enough() {
    let bench = Bench::new(wishing(Rung::new(0, 80), None));
    let (_, jpeg) = from_camera(&bench, 0, 77, 0);
    let put = |number: u32, rung: Rung, most: usize| {
        bench.order(wishing(rung, Some(most as u32)), false);
        bench.put(from_camera(&bench, number, 77, 0).0);
        bench.got()
    };
    let bytes = jpeg.len();
    assert!(put(1, Rung::new(0, 80), bytes).quality == 77 && put(2, Rung::new(0, 40), bytes).quality == 77);
    assert_eq!(put(3, Rung::new(0, 80), bytes * 85 / 100).quality, 77, "an eighth too large");
    let less = put(4, Rung::new(0, 80), bytes * 7 / 10);
    assert!(less.rendition == 0 && less.quality < 77 && less.jpeg.len() < bytes * 9 / 10, "{}", less.jpeg.len());
    assert_eq!(form(&put(5, Rung::new(1, 60), bytes)), (1, 60, SIZE.rendition(1)), "by way of its pixels");
    assert_eq!(put(6, Rung::new(0, 80), 1).rendition, 2);
    // Without a limit on bytes somebody wants less quality.
    bench.order(wishing(Rung::new(0, 50), None), false);
    bench.put(from_camera(&bench, 7, 77, 0).0);
    assert_eq!(form(&bench.got()), (0, 50, SIZE));
    assert_eq!(bench.end(), [2, 0, 3, 2, 0, 0]);
}

#[test]
fn taps_get_all_whatever_watchers_are_sent() {
    let bench = Bench::new(watched(1, SizeClass::ANY));
    let full = |coded: &Coded| coded.for_taps().map(form);
    bench.order(wishing(Rung::new(1, 60), None), true);
    bench.put(bench.picture(0));
    let coded = bench.both();
    assert_eq!((form(&coded.picture), full(&coded)), ((1, 60, SIZE.rendition(1)), Some((0, 80, SIZE))));
    bench.order(wishing(Rung::new(0, 80), None), true);
    bench.put(bench.picture(1));
    let coded = bench.both();
    assert_eq!((form(&coded.picture), coded.full.is_none(), full(&coded)), ((0, 80, SIZE), true, Some((0, 80, SIZE))));
    // Nobody watches.
    bench.order(Demand { watched: false, ..wishing(Rung::new(2, 10), None) }, true);
    bench.put(bench.picture(2));
    let coded = bench.both();
    assert_eq!((form(&coded.picture), coded.full.is_none()), ((0, 80, SIZE), true));
    // No tap: what is smaller is not for one that has come meanwhile.
    bench.order(wishing(Rung::new(1, 60), None), false);
    bench.put(bench.picture(3));
    assert_eq!(full(&bench.both()), None);
    assert_eq!(bench.end(), [4, 0, 0, 0, 0, 0]);
}

#[test]
fn what_stands_still_gets_sharp_when_the_path_allows() {
    let bench = Bench::new(wishing(Rung::new(1, 60), None));
    let mut first = bench.picture(0);
    let mut still: Vec<Picture> =
        (1..8).rev().map(|number| first.again(number, Time::from_millis(1_000)).unwrap()).collect();
    let mut next = |rendition: u8, quality: u8, taps: bool| {
        bench.order(wishing(Rung::new(rendition, quality), None), taps);
        bench.put(still.pop().unwrap());
        let coded = bench.got();
        (!coded.is_same()).then(|| form(&coded)).ok_or((coded.rendition, coded.size))
    };
    bench.put(first);
    let half = SIZE.rendition(1);
    assert_eq!(form(&bench.got()), (1, 60, half));
    assert_eq!(next(1, 64, false), Err((1, half)), "hardly better");
    assert_eq!(next(2, 80, false), Err((1, half)), "worse");
    assert_eq!(next(1, 66, false), Ok((1, 66, half)));
    assert_eq!(next(0, 40, false), Ok((0, 40, SIZE)));
    assert_eq!(next(0, 40, false), Err((0, SIZE)));
    assert_eq!(next(0, 40, true), Ok((0, 40, SIZE)), "a tap lacks it");
    assert_eq!(next(0, 40, true), Err((0, SIZE)));
    assert_eq!(bench.end(), [4, 4, 0, 0, 0, 0]);
}

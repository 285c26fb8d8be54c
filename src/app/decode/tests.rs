//! The decoder's thread, and what it hands to a window.

use crossbeam_channel::unbounded;

use super::*;
use crate::codec::Encoder;
use crate::media::Picture;
use crate::queue::Pool;
use crate::units::{MediaTime, Unit};
use crate::view::orders;

const SIZE: Size = Size::new(64, 48);

pub fn slice(unit: u32, bytes: usize) -> Slice {
    Slice {
        unit: Unit(unit),
        size: SIZE,
        rendition: 0,
        full: SIZE,
        x8: 0,
        y8: 0,
        tables: 80,
        jpeg: vec![0; bytes].into(),
    }
}

pub fn show(unit: u32, same: bool) -> Show {
    let (at, hop) = (Time::ZERO, 0);
    let picture = Ready {
        unit: Unit(unit),
        media_time: MediaTime::ZERO,
        size: SIZE,
        rendition: 0,
        full: SIZE,
        received: 1,
        missing: 0,
        same,
        first_at: at,
        last_at: at,
        in_turn_at: at,
        session: 0,
        first_hop: hop,
        last_hop: hop,
    };
    Show { picture, due: None, handed: at, undecodable: 0 }
}

fn settings(window: Handle, on_the_way: OnTheWay, room: Room) -> Settings {
    let (stills, _) = unbounded();
    Settings { window: Some(window), on_the_way, snapshot: None, room, stills, waker: Arc::new(|| {}) }
}

/// Its display has stopped: it looks at nothing. All pictures but the newest are superseded, and told of.
#[test]
fn a_window_that_stands_still_costs_three_canvases_and_all_pictures_are_accounted_for() {
    let (window, seen) = orders(|| true);
    let on_the_way = OnTheWay::default();
    let settings = settings(window, on_the_way.clone(), Room::default());
    let (shown, figures) = unbounded();
    let inbox = Arc::new(Inbox::new(room(true)));
    let work = Arc::clone(&inbox);
    let decoder = std::thread::spawn(move || work_off(settings, &work, shown));
    let mut dropped = 0;
    for unit in 0..500 {
        dropped += inbox.slice(slice(unit, 100)).len();
        dropped += inbox.show(show(unit, false)).len();
    }
    inbox.close();
    let worker = decoder.join().expect("no panic").expect("a decoder");
    assert!((1..=3).contains(&worker.canvases.made), "{} canvases", worker.canvases.made);
    let superseded = figures.try_iter().inspect(|shown| assert!(shown.superseded)).count();
    assert_eq!((dropped + superseded, on_the_way.0.lock().expect("no panic").len()), (499, 1), "and one waits");
    // The display goes on.
    drop(worker);
    let frame = seen.take().frame.expect("the newest");
    assert_eq!((frame.id, Arc::strong_count(&frame.canvas)), (499, 1));
    assert_eq!(on_the_way.take(frame.id).map(|shown| shown.superseded), Some(false));
    assert!(on_the_way.0.lock().expect("no panic").is_empty());
}

#[test]
fn a_tile_that_grows_gets_the_picture_that_stands_there_in_its_new_size() {
    let (window, seen) = orders(|| true);
    let room = Room::of_tile();
    room.set(Size::new(16, 12));
    let (shown, _figures) = unbounded();
    let mut planes = Picture::from_pool(&Pool::new(1), SIZE, 0, Time::ZERO);
    planes.planes_mut().fill(90);
    let jpeg = Encoder::new().expect("an encoder").encode(&planes, 80, 4).expect("encodes");
    let inbox = Inbox::new(2);
    inbox.slice(Slice { tables: 0, jpeg: jpeg.into(), ..slice(7, 0) });
    inbox.show(show(7, false));
    inbox.close();
    let mut worker = work_off(settings(window, OnTheWay::default(), room.clone()), &inbox, shown).expect("works");
    let frame = seen.take().frame.expect("a picture");
    assert_eq!((frame.id, frame.canvas.size(), frame.canvas.picture()), (7, Size::new(16, 12), SIZE));
    worker.work(Work::Resized);
    assert!(seen.take().frame.is_none(), "nothing has changed");
    room.set(Size::new(30, 24));
    worker.work(Work::Resized);
    let waiting = seen.take();
    let canvas = waiting.frame.expect("a picture").canvas;
    assert_eq!((canvas.size(), waiting.card), (Size::new(32, 24), None), "a card stays");
    assert!(canvas.is_complete());
    assert_eq!(worker.whole().expect("a picture").size(), SIZE, "what is saved is whole");
}

/// One grey JPEG of this size.
fn grey(size: Size, level: u8) -> Vec<u8> {
    let mut planes = Picture::from_pool(&Pool::new(1), size, 0, Time::ZERO);
    planes.planes_mut().fill(128);
    planes.split_mut()[0].fill(level);
    Encoder::new().expect("an encoder").encode(&planes, 90, 0).expect("encodes")
}

#[test]
fn every_rendition_is_meant_to_be_shown_at_the_full_size_and_gaps_come_from_the_one_before() {
    let (window, seen) = orders(|| true);
    let (shown, _figures) = unbounded();
    let inbox = Inbox::new(2);
    inbox.close();
    let settings = settings(window, OnTheWay::default(), Room::default());
    let mut worker = work_off(settings, &inbox, shown).expect("works");
    let mut next = |unit: u32, rendition: u8, of: Size, same: bool| {
        let size = SIZE.rendition(rendition);
        let jpeg = grey(of, 50 * (rendition + 1));
        if !same {
            worker.work(Work::Slice(Slice { tables: 0, size, rendition, jpeg: jpeg.into(), ..slice(unit, 0) }));
        }
        let picture = Ready { size, rendition, ..show(unit, same).picture };
        worker.work(Work::Show(Show { picture, ..show(unit, same) }));
        let frame = seen.take().frame.expect("a picture");
        assert_eq!((frame.id, frame.canvas.size(), frame.canvas.full()), (unit.into(), size, SIZE));
        let level = |pixel: &u32| pixel & 0xFF;
        let pixels = frame.canvas.pixels();
        (pixels.first().map(level), pixels.last().map(level))
    };
    let near = |found: (Option<u32>, Option<u32>), first: u32, last: u32| {
        let close = |found: Option<u32>, wanted: u32| found.is_some_and(|found| found.abs_diff(wanted) < 3);
        assert!(close(found.0, first) && close(found.1, last), "{found:?} for {first}, {last}");
    };
    near(next(1, 1, SIZE.rendition(1), false), 100, 100);
    near(next(2, 1, SIZE.rendition(1), true), 100, 100);
    // Of these only the upper left has come.
    near(next(3, 0, Size::new(16, 16), false), 50, 100);
    near(next(4, 2, Size::new(8, 8), false), 150, 100);
    assert_eq!(worker.whole().map(|canvas| canvas.full()), Some(SIZE));
}

#[test]
fn a_canvas_that_was_shown_many_times_is_taken_again_once_nobody_holds_it() {
    let (size, mut canvases) = (Size::new(16, 16), Canvases::default());
    let shown = canvases.take(size);
    for _ in 0..2 * KEPT {
        canvases.give_back(Arc::clone(&shown));
    }
    let other = canvases.take(size);
    assert!(!Arc::ptr_eq(&shown, &other), "it is still held");
    let address = Arc::as_ptr(&shown);
    drop(shown);
    assert_eq!(Arc::as_ptr(&canvases.take(size)), address);
}

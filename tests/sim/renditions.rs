//! Pictures of several sizes at one watcher: those that were announced are shown, one size a unit, and nothing else is.

use std::rc::Rc;

use udpstream::units::{MediaTime, Rate, Size, Unit};
use udpstream::wire::SizeClass;
use udpstream::wire::object::{ObjectHeader, Type, flags};

use crate::elastic::Elastic;
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{World, seconds};
use crate::told::{SIZE, Told};

/// Part `part` of two of a picture.
fn part(unit: u32, part: u16, rendition: u8, size: Size) -> ObjectHeader {
    let rate = Rate::new(25, 1).expect("25 fps");
    ObjectHeader {
        kind: Type::PICTURE,
        flags: if part == 1 { flags::LAST } else { 0 },
        stream: 1,
        rendition,
        cut: SizeClass::ANY.cut(0, false),
        tables: 80,
        format: 0,
        unit: Unit(unit),
        part,
        parts: 2,
        media_time: MediaTime::from_micros(rate.media_time(unit.into()).micros()),
        size,
        x8: 0,
        y8: part,
    }
}

#[test]
fn what_was_announced_is_shown_and_each_unit_has_one_size() {
    let mut told = Told::joined(1);
    assert_eq!(SIZE.smaller_renditions(), 1, "the regime");
    for (unit, rendition) in [(1, 0), (2, 1), (3, 0), (4, 1)] {
        told.object(part(unit, 0, rendition, SIZE.rendition(rendition)));
        told.object(part(unit, 1, rendition, SIZE.rendition(rendition)));
    }
    assert_eq!(told.shown, [(1, 0), (2, 0), (3, 0), (4, 0)]);
    assert_eq!(told.machine.counts().pictures.shown_of, [2, 2, 0]);
    let rejected = |told: &Told| told.machine.counts().traffic.rejected;
    // Not announced, of another rendition's size, and of none.
    let before = rejected(&told);
    told.object(part(5, 0, 2, SIZE.rendition(2)));
    told.object(part(5, 0, 1, SIZE));
    told.object(part(5, 0, 0, SIZE.rendition(1)));
    told.object(part(5, 0, 255, SIZE.rendition(255)));
    assert_eq!((rejected(&told) - before, told.shown.len()), (4, 4));
    // Two renditions of one unit: the first that came counts, and the unit is completed.
    told.object(part(5, 0, 1, SIZE.rendition(1)));
    told.object(part(5, 1, 0, SIZE));
    told.object(part(5, 0, 0, SIZE));
    assert_eq!((rejected(&told) - before, told.shown.len()), (6, 4));
    told.object(part(5, 1, 1, SIZE.rendition(1)));
    assert_eq!(told.shown.last(), Some(&(5, 0)));
    assert_eq!(told.machine.counts().pictures.shown_of, [2, 3, 0]);
}

#[test]
fn a_film_that_is_coded_to_what_is_wished_arrives_whole() {
    let (size, rate) = (Size::new(1_280, 720), Rate::new(25, 1).expect("25 fps"));
    let film = Rc::new(Film::elastic(size, rate, Elastic::harsh(size, 3)));
    let mut world = World::new(3, &film);
    world.watch(Path::GOOD);
    world.run(seconds(3));
    world.check(0);
    let shown = &world.watchers[0].seen.shown;
    assert!(shown.len() > 60, "{} were shown", shown.len());
    assert!(shown.iter().all(|(_, picture, _)| picture.missing == 0 && picture.full == size));
}

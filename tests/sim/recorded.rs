//! Relays that record: all that is listed above is subscribed although nobody watches, and what passes is what is written.

use std::path::Path as Folder;
use std::rc::Rc;
use std::sync::Arc;

use udpstream::app::storing::{self, Said, Storing, StoringFigures};
use udpstream::proto::relay::{Above, Tapped};
use udpstream::proto::server::StreamKey;
use udpstream::units::{Rate, Size};
use udpstream::wire::StreamName;

use crate::grid::{Grid, Node};
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{ms, seconds};

const BOTH: &[(&str, bool)] = &[("cam", true), ("film", false)];
const LIVE: &[(&str, bool)] = &[("cam", true)];

fn grid(seed: u64) -> Grid {
    let mut grid = Grid::new(seed, &Rc::new(Film::new(Size::new(320, 176), Rate::TYPICAL, 12)));
    grid.tapped = true;
    grid
}

/// Writes what has passed, all under one name.
fn record(folder: &Folder, passed: Vec<(StreamKey, Tapped)>) -> (StoringFigures, Vec<Said>) {
    let folder = storing::Folder::open(folder).expect("a folder");
    let mut storing = Storing::start(folder, 1 << 40, Arc::new(|| ())).expect("threads");
    let name = StreamName::parse("stream").expect("a name");
    for (key, tapped) in passed {
        match tapped {
            Tapped::Stream(id, description) => storing.stream(key, &name, id, &description, false),
            Tapped::Picture(picture) => storing.picture(key, picture),
            Tapped::Sound(sound) => storing.sound(key, sound),
            Tapped::Over => storing.over(key),
        }
    }
    let said = storing.finish();
    (storing.figures(), said)
}

/// Pictures that passed, and those of them that were not whole.
fn pictures(passed: &[(StreamKey, Tapped)]) -> (u64, u64) {
    let whole = passed.iter().filter_map(|(_, tapped)| match tapped {
        Tapped::Picture(picture) => Some(picture.is_whole),
        _ => None,
    });
    let damaged = whole.clone().filter(|whole| !whole).count();
    (whole.count() as u64, damaged as u64)
}

fn starts(folder: &Folder) -> u64 {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
    let bytes = files.map(|path| std::fs::read(path).expect("a file"));
    bytes.map(|bytes| bytes.windows(3).filter(|at| *at == [0xFF, 0xD8, 0xFF]).count() as u64).sum()
}

fn watchers(grid: &Grid, node: Node) -> usize {
    grid.server(node).watchers()
}

#[test]
fn all_that_is_listed_is_recorded_with_gaps_although_nobody_watches() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut grid = grid(1);
    let origin = grid.origin(BOTH);
    let relay = grid.relay(&[origin], None);
    // Far away, so that not all can be repaired in time.
    let path = Path { latency: ms(90), loss: 0.08, run: 4.0, mtu: 1_300, ..Path::GOOD };
    grid.path(origin, relay, path);
    grid.run(seconds(12));
    assert_eq!((watchers(&grid, origin), watchers(&grid, relay)), (2, 0));
    let passed = grid.passed(relay);
    let (count, damaged) = pictures(&passed);
    assert!(count > 300 && damaged > 0, "the regime: {damaged} of {count} with gaps");
    let (figures, said) = record(folder.path(), passed);
    assert_eq!((figures.pictures, figures.dropped, figures.ended, figures.files), (count, 0, 2, 2), "{said:?}");
    assert_eq!(starts(folder.path()), count, "each picture is a JPEG in a file");
    assert!(figures.length > seconds(12), "two files of more than six seconds each: {:?}", figures.length);
    assert!(said.iter().all(|said| matches!(said, Said::Plain(_))), "{said:?}");
}

#[test]
fn who_watches_beside_it_changes_nothing_and_costs_the_origin_nothing() {
    let mut grid = grid(2);
    let origin = grid.origin(LIVE);
    let relay = grid.relay(&[origin], Some("cam"));
    grid.run(seconds(4));
    let watcher = grid.watch_with(relay, None, |config| config.sound = None);
    grid.run(seconds(4));
    assert_eq!((watchers(&grid, origin), watchers(&grid, relay)), (1, 1));
    grid.tell_watcher(watcher, udpstream::proto::receiver::Local::Stop);
    grid.run(seconds(20));
    assert_eq!((watchers(&grid, origin), watchers(&grid, relay)), (1, 0), "the subscription stays");
    let streams = grid.passed(relay).into_iter().filter(|(_, tapped)| matches!(tapped, Tapped::Stream(..)));
    assert_eq!(streams.count(), 1, "all of it is one");
}

#[test]
fn an_origin_that_comes_back_goes_into_another_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut grid = grid(3);
    let origin = grid.origin(LIVE);
    let relay = grid.relay(&[origin], None);
    grid.run(seconds(4));
    grid.kill(origin);
    grid.run(seconds(3));
    assert!(matches!(grid.above(relay).last(), Some((_, Above::Away(_)))), "{:?}", grid.above(relay));
    grid.start_origin(origin, LIVE);
    grid.run(seconds(5));
    let passed = grid.passed(relay);
    let (count, _) = pictures(&passed);
    let (figures, said) = record(folder.path(), passed);
    assert_eq!((figures.pictures, figures.ended), (count, 2), "{said:?}");
}

#[test]
fn a_film_that_has_ended_is_over_until_it_is_listed_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut grid = grid(4);
    let streams: &[(&str, bool)] = &[("film", false)];
    let origin = grid.origin(streams);
    let short = |grid: &mut Grid| {
        grid.source(origin).encoder.length = 50;
        grid.source(origin).chunks = 344;
    };
    short(&mut grid);
    let relay = grid.relay(&[origin], None);
    grid.run(seconds(12));
    let over = grid.above(relay).iter().filter(|(_, above)| *above == Above::Over).count();
    let asked = grid.above(relay).iter().filter(|(_, above)| *above == Above::Asked).count();
    assert_eq!((over, asked), (1, 1), "{:?}", grid.above(relay));
    grid.start_origin(origin, streams);
    short(&mut grid);
    grid.run(seconds(12));
    let passed = grid.passed(relay);
    assert_eq!(pictures(&passed), (100, 0));
    let (figures, said) = record(folder.path(), passed);
    assert_eq!((figures.pictures, figures.ended), (100, 2), "{said:?}");
}

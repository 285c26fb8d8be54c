//! Films that a relay keeps: fetched beside playing, played without their origin, replaced, and too large for the store.

use std::path::Path;
use std::rc::Rc;

use udpstream::store::StoreError;
use udpstream::units::{Rate, Size};

use crate::grid::{Grid, Node};
use crate::jpeg::Film;
use crate::link::Path as Way;
use crate::net::{ms, seconds};

const FILM: &[(&str, bool)] = &[("film", false)];
/// Pictures, and chunks of sound, of each film: four seconds.
const PICTURES: u32 = 100;
const CHUNKS: u32 = 690;

fn grid(seed: u64) -> Grid {
    let mut grid = Grid::new(seed, &Rc::new(Film::new(Size::new(320, 176), Rate::TYPICAL, 12)));
    grid.hash = Some([seed as u8; 32]);
    grid
}

fn films(grid: &mut Grid, origin: Node) {
    for source in grid.sources(origin) {
        (source.encoder.length, source.chunks) = (PICTURES, CHUNKS);
    }
}

/// An origin of a film, and a relay that keeps it in this folder.
fn chain(grid: &mut Grid, folder: &Path) -> (Node, Node) {
    let origin = grid.origin(FILM);
    films(grid, origin);
    (origin, grid.relay_with(&[origin], Some("film"), Some(folder)))
}

fn watch_to_the_end(grid: &mut Grid, relay: Node) -> Node {
    watch_to_the_end_of(grid, relay, None)
}

fn watch_to_the_end_of(grid: &mut Grid, relay: Node, name: Option<&str>) -> Node {
    let watcher = grid.watch_with(relay, name, |config| config.stay = false);
    grid.run(seconds(9));
    assert!(grid.seen(watcher).finished.is_some(), "above: {:?}", grid.above(relay));
    watcher
}

/// All pictures were shown and whole, and all sound was heard.
fn saw_it_whole(grid: &Grid, watcher: Node) {
    let seen = grid.seen(watcher);
    let whole = seen.shown.iter().filter(|(_, ready, _)| ready.missing == 0).count();
    let heard = seen.sound.iter().filter(|(_, _, came)| *came).count();
    let ends = (seen.sound.first().map(|s| s.1 / 256), seen.sound.last().map(|s| s.1 / 256));
    assert_eq!((whole, heard), (PICTURES as usize, CHUNKS as usize), "sound from and to {ends:?} {:?}", seen.playing);
}

fn is_complete(grid: &Grid, relay: Node) -> bool {
    grid.shelf(relay).store().films().any(|stored| stored.film.complete)
}

#[test]
fn a_film_that_was_fetched_plays_to_its_end_with_the_origin_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut grid = grid(1);
    let (origin, relay) = chain(&mut grid, folder.path());
    let first = watch_to_the_end(&mut grid, relay);
    saw_it_whole(&grid, first);
    assert!(is_complete(&grid, relay), "it was fetched beside playing");
    grid.kill(origin);
    let second = watch_to_the_end(&mut grid, relay);
    saw_it_whole(&grid, second);
    let film = grid.shelf(relay).store().films().next().map(|stored| stored.film.stream);
    assert_eq!(grid.seen(second).playing.last().map(|(_, id, _)| *id), film);
    // The relay dies and comes back while the origin is away: it knows what it has.
    grid.kill(relay);
    grid.start_relay(relay);
    let third = watch_to_the_end(&mut grid, relay);
    saw_it_whole(&grid, third);
}

#[test]
fn a_film_goes_on_where_it_was_when_its_origin_dies() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut grid = grid(2);
    let (origin, relay) = chain(&mut grid, folder.path());
    watch_to_the_end(&mut grid, relay);
    grid.kill(origin);
    grid.start_origin(origin, FILM);
    films(&mut grid, origin);
    let watcher = grid.watch_with(relay, None, |config| config.stay = false);
    grid.run(seconds(2));
    grid.kill(origin);
    grid.run(seconds(9));
    let seen = grid.seen(watcher);
    let units: Vec<u32> = seen.shown.iter().map(|(_, ready, _)| ready.unit.0).collect();
    assert!(seen.finished.is_some() && units.windows(2).all(|pair| pair[1] == pair[0] + 1), "{units:?}");
    assert_eq!((units.first(), units.last()), (Some(&0), Some(&(PICTURES - 1))));
    let gap = seen.shown.windows(2).map(|pair| pair[1].0.since(pair[0].0)).max();
    assert!(gap.is_some_and(|gap| gap < ms(1_600)), "it stood still for {gap:?}");
}

#[test]
fn a_bad_path_to_the_origin_is_no_hindrance() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut grid = grid(3);
    let (origin, relay) = chain(&mut grid, folder.path());
    grid.path(origin, relay, Way { loss: 0.03, reorder: 0.02, held_back: ms(5), latency: ms(5), ..Way::GOOD });
    watch_to_the_end(&mut grid, relay);
    // What was lost is asked for again as long as somebody watches, and a while longer.
    grid.run(seconds(4));
    let again = grid.watch(relay, None);
    grid.run(seconds(6));
    assert!(is_complete(&grid, relay), "{:?}", grid.troubles(relay));
    grid.kill(origin);
    grid.tell_watcher(again, udpstream::proto::receiver::Local::Stop);
    grid.run(seconds(11));
    let second = watch_to_the_end(&mut grid, relay);
    saw_it_whole(&grid, second);
}

#[test]
fn a_film_that_was_replaced_or_has_grown_is_another_film() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut grid = grid(4);
    let (origin, relay) = chain(&mut grid, folder.path());
    watch_to_the_end(&mut grid, relay);
    let old = grid.shelf(relay).store().films().next().map(|stored| stored.film.stream);
    grid.kill(origin);
    // The same name, but other bytes; it is watched for a second only.
    grid.hash = Some([44; 32]);
    grid.start_origin(origin, FILM);
    films(&mut grid, origin);
    grid.one_way(origin, relay, Way { rate: Some(udpstream::units::Bitrate::bps(3_000_000)), ..Way::GOOD });
    let watcher = grid.watch(relay, None);
    grid.run(seconds(1));
    grid.tell_watcher(watcher, udpstream::proto::receiver::Local::Stop);
    let films: Vec<(u64, bool)> =
        grid.shelf(relay).store().films().map(|stored| (stored.film.stream, stored.film.complete)).collect();
    assert!(films.len() == 2 && films.iter().any(|(stream, complete)| Some(*stream) != old && !complete), "{films:?}");
    // Once that is complete too it is what is played.
    grid.one_way(origin, relay, Way::GOOD);
    grid.run(seconds(11));
    watch_to_the_end(&mut grid, relay);
    grid.kill(origin);
    let last = watch_to_the_end(&mut grid, relay);
    let (_, played, _) = *grid.seen(last).playing.last().expect("it played");
    assert_ne!(Some(played), old);
    saw_it_whole(&grid, last);
}

#[test]
fn a_store_that_three_films_fill_goes_on_and_harms_none_that_are_watched() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut grid = grid(5);
    // One of them takes some 1.8 MB.
    grid.room = 3_000_000;
    let origin = grid.origin(&[("a", false), ("b", false), ("c", false)]);
    films(&mut grid, origin);
    let relay = grid.relay_with(&[origin], None, Some(folder.path()));
    grid.run(seconds(1));
    let watchers: Vec<Node> = ["a", "b", "c"]
        .into_iter()
        .map(|name| grid.watch_with(relay, Some(name), |config| config.stay = false))
        .collect();
    grid.run(seconds(9));
    for watcher in watchers {
        saw_it_whole(&grid, watcher);
    }
    let full = |trouble: &StoreError| matches!(trouble, StoreError::Full { .. });
    assert!(grid.troubles(relay).iter().any(full), "{:?}", grid.troubles(relay));
    assert!(grid.shelf(relay).store().bytes() <= grid.room);
    // Started anew, one of them alone finds room, for the others give way.
    grid.kill(origin);
    grid.start_origin(origin, &[("b", false)]);
    films(&mut grid, origin);
    grid.run(seconds(5));
    watch_to_the_end_of(&mut grid, relay, Some("b"));
    let kept = grid.shelf(relay).store().films().filter(|stored| stored.film.complete).map(|stored| &stored.film.name);
    assert!(kept.collect::<Vec<_>>().contains(&&"b".to_owned()));
    assert!(grid.shelf(relay).store().bytes() <= grid.room);
}

#[test]
fn live_traffic_comes_before_what_is_fetched() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut grid = grid(6);
    let (origin, relay) = chain(&mut grid, folder.path());
    // Room for the film as it plays, and half as much again.
    let narrow = Way { rate: Some(udpstream::units::Bitrate::bps(6_000_000)), mtu: 1_472, latency: ms(5), ..Way::GOOD };
    grid.one_way(origin, relay, narrow);
    let watcher = grid.watch_with(relay, None, |config| config.stay = false);
    grid.run(seconds(9));
    let seen = grid.seen(watcher);
    let whole = seen.shown.iter().filter(|(_, ready, _)| ready.missing == 0).count();
    assert!(whole + 4 >= PICTURES as usize && seen.finished.is_some(), "{whole} of {PICTURES} whole");
    assert!(grid.shelf(relay).store().bytes() > 200_000, "something was fetched all the same");
}

//! Guarded streams through relays: the proof is the origin's to check, and a relay holds no key.

use std::rc::Rc;

use udpstream::proto::receiver::{self, Secret};
use udpstream::proto::relay::Publishing;
use udpstream::proto::server::Guard;
use udpstream::seal::{Code, Key};
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::StreamName;

use crate::grid::{Grid, Node, Published, grant};
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{ms, seconds};

fn code() -> Code {
    "K7QM-01AB-CDEF-GHJK-MNPQ".parse().expect("a code")
}

fn password() -> Key {
    Key::new([5; 32])
}

/// An origin of an open camera, one with a code and one with a password.
fn grid(seed: u64) -> (Grid, Node) {
    let mut grid = Grid::new(seed, &Rc::new(Film::new(Size::new(320, 176), Rate::TYPICAL, 12)));
    grid.guards = vec![("hidden", Guard::Code(code().lookup(), code().key())), ("words", Guard::Password(password()))];
    let origin = grid.origin(STREAMS);
    (grid, origin)
}

const STREAMS: &[(&str, bool)] = &[("open", true), ("hidden", true), ("words", true)];

fn by_code(grid: &mut Grid, at: Node, key: Key) -> Node {
    grid.watch_with(at, None, |config| config.secret = Some(Secret::Code(code().lookup(), key)))
}

fn by_password(grid: &mut Grid, at: Node, key: Key) -> Node {
    let name = StreamName::parse("words").expect("a name");
    grid.watch_with(at, Some("words"), |config| config.secret = Some(Secret::Password(name, key)))
}

fn shown_since(grid: &Grid, watcher: Node, since: Time) -> usize {
    grid.seen(watcher).shown.iter().filter(|(at, ..)| *at >= since).count()
}

#[test]
fn a_chain_of_relays_lets_in_whom_the_origin_lets_in() {
    let (mut grid, origin) = grid(1);
    grid.tape = Some(Vec::new());
    let first = grid.relay(&[origin], None);
    let second = grid.relay(&[first], None);
    grid.run(seconds(3));
    for relay in [first, second] {
        let knows = [by_code(&mut grid, relay, code().key()), by_password(&mut grid, relay, password())];
        let wrong = [by_code(&mut grid, relay, Key::new([1; 32])), by_password(&mut grid, relay, Key::new([1; 32]))];
        let none = [grid.watch(relay, Some("words")), grid.watch(relay, Some("hidden"))];
        let began = grid.now;
        grid.run(seconds(4));
        for watcher in knows {
            assert!(shown_since(&grid, watcher, began) > 75, "{}", shown_since(&grid, watcher, began));
            assert!(grid.seen(watcher).sound.iter().filter(|(_, _, came)| *came).count() > 500);
        }
        for watcher in wrong.into_iter().chain(none) {
            assert_eq!(shown_since(&grid, watcher, began), 0, "{:?}", grid.refused(watcher));
        }
        assert!(grid.refused(wrong[0]).iter().all(|said| said.contains("no stream with this code")));
        assert!(grid.refused(wrong[1]).iter().all(|said| said == "That is not the password of words."));
    }
    // Neither key is anywhere on the way.
    let tape = grid.tape.take().expect("kept");
    let letters = |bytes: &[u8]| -> String { bytes.iter().map(|byte| char::from(*byte)).collect() };
    let tape = letters(&tape.concat());
    assert!(!tape.contains(&letters(&[5; 32])));
}

#[test]
fn each_who_comes_is_checked_and_the_stream_is_fetched_once() {
    let (mut grid, origin) = grid(2);
    let relay = grid.relay(&[origin], None);
    grid.run(seconds(3));
    let watchers: Vec<Node> = (0..5).map(|_| by_code(&mut grid, relay, code().key())).collect();
    grid.run(seconds(3));
    let wrong = by_code(&mut grid, relay, Key::new([1; 32]));
    let began = grid.now;
    grid.run(seconds(2));
    assert!(watchers.iter().all(|watcher| shown_since(&grid, *watcher, began) > 40));
    assert_eq!(shown_since(&grid, wrong, began), 0);
    assert_eq!((grid.server(origin).watchers(), grid.server(relay).watchers()), (1, 5));
    // The last leaves, and nothing is left: the place is free for another.
    watchers.iter().for_each(|watcher| grid.kill(*watcher));
    grid.run(seconds(20));
    assert_eq!(grid.server(origin).watchers(), 0);
    let (again, streams) = (by_code(&mut grid, relay, code().key()), grid.server(relay).keys().count());
    grid.run(seconds(2));
    assert!(shown_since(&grid, again, began) > 20);
    assert_eq!(grid.server(relay).keys().count(), streams);
}

#[test]
fn an_origin_or_relay_that_comes_back_has_its_watchers_back() {
    let (mut grid, origin) = grid(3);
    let relay = grid.relay(&[origin], None);
    grid.run(seconds(3));
    let watchers = [by_code(&mut grid, relay, code().key()), by_password(&mut grid, relay, password())];
    grid.run(seconds(3));
    for away in [300, 4_000] {
        grid.kill(origin);
        grid.run(ms(away));
        grid.start_origin(origin, STREAMS);
        grid.run(seconds(4));
        let back = grid.now;
        grid.run(seconds(2));
        for watcher in watchers {
            assert!(shown_since(&grid, watcher, back) > 40, "origin away for {away} ms: {:?}", grid.refused(watcher));
        }
        grid.kill(relay);
        grid.run(ms(away));
        grid.start_relay(relay);
        grid.run(seconds(5));
        let back = grid.now;
        grid.run(seconds(2));
        for watcher in watchers {
            assert!(shown_since(&grid, watcher, back) > 40, "relay away for {away} ms: {:?}", grid.refused(watcher));
        }
    }
}

/// What has fallen silent is not the relay that is asked.
#[test]
fn who_wants_in_while_the_origin_is_away_is_told_so_and_let_in_when_it_is_back() {
    let (mut grid, origin) = grid(14);
    let relay = grid.relay(&[origin], None);
    let below = grid.relay(&[relay], None);
    grid.run(seconds(2));
    grid.kill(origin);
    grid.run(seconds(4));
    let watchers = [relay, below].map(|at| by_code(&mut grid, at, code().key()));
    grid.run(seconds(4));
    for watcher in watchers {
        let said = grid.refused(watcher);
        assert!(said.iter().all(|why| why.contains("is not heard")) && !said.is_empty(), "{said:?}");
    }
    grid.start_origin(origin, STREAMS);
    grid.run(seconds(5));
    let back = grid.now;
    grid.run(seconds(2));
    assert!(watchers.iter().all(|watcher| shown_since(&grid, *watcher, back) > 40));
}

#[test]
fn a_bad_path_on_either_side_only_takes_longer() {
    for seed in 4..8 {
        let (mut grid, origin) = grid(seed);
        let relay = grid.relay(&[origin], None);
        let path = Path { latency: ms(20), jitter: ms(15), loss: 0.2, ..Path::GOOD };
        grid.path(origin, relay, path);
        grid.run(seconds(6));
        let watcher = by_code(&mut grid, relay, code().key());
        grid.path(relay, watcher, path);
        let began = grid.now;
        grid.run(seconds(6));
        assert!(shown_since(&grid, watcher, began) > 50, "{} {:?}", seed, grid.refused(watcher));
    }
}

/// A camera that is published in one place is watched by its code through a relay of that place.
#[test]
fn a_published_stream_goes_through_a_relay_by_its_code() {
    let mut grid = Grid::new(9, &Rc::new(Film::new(Size::new(320, 176), Rate::TYPICAL, 12)));
    let hub = grid.hub(Publishing { most: 4, allowed: None, max_rate: None });
    let relay = grid.relay(&[hub], None);
    let published = Published { at: hub, name: Some("cam"), grant: grant(&code(), 1), allowed: None, live: true };
    let path = Path { latency: ms(5), loss: 0.1, ..Path::GOOD };
    let camera = grid.publish(&published);
    grid.path(camera, hub, path);
    grid.run(seconds(3));
    let watcher = by_code(&mut grid, relay, code().key());
    let began = grid.now;
    grid.run(seconds(4));
    assert!(shown_since(&grid, watcher, began) > 60, "{:?}", grid.refused(watcher));
    assert_eq!(grid.receiver(watcher).hops().len(), 2, "the server and the relay");
}

/// Somebody with a code of his own stays although he wants nothing, and waits for whatever comes into the place of his stream.
#[test]
fn who_waits_in_a_place_sees_nothing_of_the_next_stream_there() {
    let mut grid = Grid::new(10, &Rc::new(Film::new(Size::new(320, 176), Rate::TYPICAL, 12)));
    let hub = grid.hub(Publishing { most: 4, allowed: None, max_rate: None });
    let relay = grid.relay(&[hub], None);
    let other: Code = "ZZZZ-01AB-CDEF-GHJK-MNPQ".parse().expect("a code");
    let published = |code: &Code, owner| Published {
        at: hub,
        name: Some("cam"),
        grant: grant(code, owner),
        allowed: None,
        live: true,
    };
    grid.publish(&published(&other, 1));
    grid.publish(&published(&code(), 2));
    grid.run(seconds(3));
    let waits = grid.watch_with(relay, None, |config| config.secret = Some(Secret::Code(other.lookup(), other.key())));
    grid.run(seconds(2));
    let ids = |grid: &Grid, node| -> Vec<u64> { grid.seen(node).playing.iter().map(|(_, id, _)| *id).collect() };
    assert!(!ids(&grid, waits).is_empty());
    let carried = grid.relay_at(relay).throughput();
    assert!(carried.came > 0 && carried.pictures > 20 && carried.sent > 0, "{carried:?}");
    grid.tell_watcher(waits, receiver::Local::Pause(true));
    grid.tell_watcher(waits, receiver::Local::Sound(None));
    grid.run(seconds(14));
    let streams = grid.server(relay).keys().count();
    let victim = by_code(&mut grid, relay, code().key());
    grid.run(seconds(2));
    grid.tell_watcher(waits, receiver::Local::Pause(false));
    let began = grid.now;
    grid.run(seconds(3));
    let seen = ids(&grid, victim);
    assert!(seen.len() == 1 && shown_since(&grid, victim, began) > 60);
    assert!(!ids(&grid, waits).contains(&seen[0]), "nothing of another's stream");
    let described = grid.names.keys().filter(|name| name.stream == seen[0]).count();
    assert!(described > 0 && grid.server(relay).keys().count() <= streams + 1);
    // What went through the place before counts on.
    let (all, here) = (grid.relay_at(relay).throughput(), grid.relay_at(relay).streams().map(|view| view.came.1));
    assert!(all.pictures > carried.pictures + 60 && all.came >= carried.came + here.sum::<u64>(), "{all:?}");
}

/// A relay that records all that is listed has no way to what is guarded, and stands in nobody's way.
#[test]
fn a_relay_that_records_lets_in_whoever_knows_a_password() {
    let mut grid = Grid::new(11, &Rc::new(Film::new(Size::new(320, 176), Rate::TYPICAL, 12)));
    grid.guards = vec![("words", Guard::Password(password())), ("hidden", Guard::Code(code().lookup(), code().key()))];
    grid.tapped = true;
    let origin = grid.origin(STREAMS);
    let relay = grid.relay(&[origin], None);
    grid.run(seconds(4));
    let watchers = [by_password(&mut grid, relay, password()), by_code(&mut grid, relay, code().key())];
    let began = grid.now;
    grid.run(seconds(4));
    for watcher in watchers {
        assert!(shown_since(&grid, watcher, began) > 70, "{:?}", grid.refused(watcher));
    }
}

/// A stream that was open, and has a password after its origin was started again, is nobody's who came before.
#[test]
fn who_came_while_it_was_open_has_to_prove_when_it_is_guarded() {
    let mut grid = Grid::new(12, &Rc::new(Film::new(Size::new(320, 176), Rate::TYPICAL, 12)));
    let origin = grid.origin(STREAMS);
    let relay = grid.relay(&[origin], None);
    grid.run(seconds(3));
    let before = grid.watch(relay, Some("words"));
    grid.run(seconds(2));
    assert!(shown_since(&grid, before, Time::ZERO) > 20);
    grid.kill(origin);
    grid.guards = vec![("words", Guard::Password(password()))];
    grid.start_origin(origin, STREAMS);
    grid.run(seconds(8));
    let guarded = grid.now;
    let knows = by_password(&mut grid, relay, password());
    grid.run(seconds(4));
    assert_eq!(shown_since(&grid, before, guarded), 0);
    assert!(shown_since(&grid, knows, guarded) > 70, "{:?}", grid.refused(knows));
}

/// A film that is guarded passes through a relay that keeps films, and none of it stays there.
#[test]
fn a_guarded_film_is_not_kept_by_the_relay_it_passes() {
    let folder = tempfile::tempdir().expect("a folder");
    for (guarded, kept) in [(true, 0), (false, 1)] {
        let mut grid = Grid::new(13, &Rc::new(Film::new(Size::new(320, 176), Rate::TYPICAL, 12)));
        grid.hash = Some([13; 32]);
        if guarded {
            grid.guards = vec![("words", Guard::Password(password()))];
        }
        let origin = grid.origin(&[("words", false)]);
        for source in grid.sources(origin) {
            (source.encoder.length, source.chunks) = (100, 690);
        }
        let relay = grid.relay_with(&[origin], None, Some(folder.path()));
        grid.run(seconds(1));
        let watcher =
            if guarded { by_password(&mut grid, relay, password()) } else { grid.watch(relay, Some("words")) };
        grid.run(seconds(8));
        assert!(shown_since(&grid, watcher, Time::ZERO) > 70, "{:?}", grid.refused(watcher));
        assert_eq!(grid.shelf(relay).store().films().count(), kept);
    }
}

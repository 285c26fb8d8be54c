//! Coming, going, moving and ending.

use std::collections::BTreeSet;
use std::rc::Rc;

use udpstream::proto::receiver::Over;
use udpstream::proto::server::{self, Event};
use udpstream::units::{Rate, Size, Time, Unit};
use udpstream::wire::Kind;
use udpstream::wire::object::Type;

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{Lose, SERVER, State, World, address, ms, seconds};

fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(160, 96), Rate::new(30, 1).expect("30 fps"), 12))
}

/// When every slice left for a watcher for the first time.
fn slices_to(world: &World, watcher: usize) -> Vec<(Time, Unit, u16)> {
    let mut before = BTreeSet::new();
    let to = world.watchers[watcher].address;
    let of = world.sent.iter().filter(|sent| sent.to == to);
    let slices = of.filter_map(|sent| sent.slice.map(|(unit, part)| (sent.at, unit, part)));
    slices.filter(|(_, unit, part)| before.insert((*unit, *part))).collect()
}

#[test]
fn a_dead_and_a_stalled_watcher_cost_the_others_nothing() {
    let film = film();
    let run = |bad: bool| {
        let mut world = World::new(1, &film);
        world.record = true;
        let path = Path { loss: 0.01, jitter: ms(2), mtu: 1_452, ..Path::GOOD };
        world.watch(path);
        world.run(seconds(2));
        world.watch(path);
        world.run(ms(1_234));
        if bad {
            world.watch(path);
            world.watch(path);
        }
        world.run(seconds(5));
        if bad {
            world.watcher_state(2, State::Dead);
            world.watcher_state(3, State::Stopped);
        }
        world.run(seconds(10));
        if bad {
            world.watcher_state(3, State::Running);
        }
        world.run(seconds(5));
        (0..world.watchers.len()).for_each(|n| world.check(n));
        world
    };
    let (alone, crowded) = (run(false), run(true));
    assert_eq!(alone.departures(), crowded.departures());
    for watcher in [0, 1] {
        assert_eq!(slices_to(&alone, watcher), slices_to(&crowded, watcher));
        assert_eq!(crowded.watchers[watcher].seen.lost, 0);
    }
    let dead = &crowded.watchers[2];
    let last = crowded.sent.iter().rfind(|sent| sent.to == dead.address).expect("was watching");
    assert!(last.at.since(dead.seen.last_report) <= ms(3_500), "{:?}", last.at.since(dead.seen.last_report));
    let silent = |(_, event): &&(Time, Event)| matches!(event, Event::Left { why: server::Gone::Silent, .. });
    assert_eq!(crowded.server.events.iter().filter(silent).count(), 2);
    // The stalled one is back.
    assert_eq!(crowded.server.machine.watchers(), 3);
    assert_eq!(crowded.counts(3).reconnects, 1);
    assert!(crowded.watchers[3].seen.shown_between(crowded.now - seconds(3), crowded.now) >= 88);
}

#[test]
fn a_watcher_that_moves_is_followed() {
    let film = film();
    let mut world = World::new(2, &film);
    world.record = true;
    let watcher = world.watch(Path::GOOD);
    world.run(seconds(3));
    let (old, new) = (world.watchers[watcher].address, address(200, 5_555));
    world.watchers[watcher].address = new;
    let moved = world.now;
    world.run(seconds(5));
    world.check(watcher);
    assert!(
        world
            .server
            .events
            .iter()
            .any(|(_, event)| matches!(event, Event::Moved { from, to, .. } if (*from, *to) == (old, new)))
    );
    let followed = world.sent.iter().find(|sent| sent.to == new && sent.slice.is_some()).expect("followed");
    let first = followed.at;
    assert!(first.since(moved) < ms(150), "{:?}", first.since(moved));
    assert!(world.sent.iter().all(|sent| sent.to != old || sent.at <= first), "the old address gets nothing more");
    assert_eq!(world.watchers[watcher].seen.lost, 0);
    assert_eq!((world.counts(watcher).reconnects, world.server.machine.watchers()), (0, 1));
    assert!(world.watchers[watcher].seen.shown_between(moved, world.now) >= 144);
    // Until it had proved its address, it was sent less than it said; then the path is looked at.
    let proved = world.sent.iter().find(|sent| sent.to == new && sent.kind == Kind::PROBE).expect("probed").at;
    let bytes = |of: &dyn Fn(&&crate::net::Sent) -> bool| {
        world.sent.iter().filter(|s| s.at < proved).filter(of).map(|s| s.bytes).sum::<usize>()
    };
    assert!(bytes(&|sent| sent.to == new) <= bytes(&|sent| sent.from == new));
}

#[test]
fn joining_survives_the_loss_of_any_message() {
    let film = film();
    let kinds = [
        (Kind::HELLO, None, true),
        (Kind::CHALLENGE, None, false),
        (Kind::JOIN, None, true),
        (Kind::ACCEPT, None, false),
        (Kind::OBJECT, Some(Type::DESCRIPTION), false),
        (Kind::UPDATE, None, false),
        (Kind::PROBE, None, false),
        (Kind::REPORT, None, true),
    ];
    for (kind, object, up) in kinds {
        for count in 1..=3 {
            let mut world = World::new(3, &film);
            let to = if up { SERVER } else { address(10, 40_000) };
            world.lose.push(Lose { to, kind, object, count });
            let begin = world.now;
            let watcher = world.watch(Path::GOOD);
            world.run(seconds(5));
            world.check(watcher);
            let seen = &world.watchers[watcher].seen;
            let (first, ..) = seen.shown.first().unwrap_or_else(|| panic!("{count} × {kind:?}: nothing was shown"));
            assert!(first.since(begin) < ms(700), "{count} × {kind:?}: {:?}", first.since(begin));
            let (_, _, due) = seen.shown.last().expect("shown");
            assert!(due.is_some(), "{count} × {kind:?}: the timeline is known");
            assert_eq!(world.server.machine.watchers(), 1, "{count} × {kind:?}");
            assert_eq!(seen.playing.len(), 1, "{count} × {kind:?}");
        }
    }
}

#[test]
fn a_restarted_server_is_found_again() {
    let film = film();
    for seed in 0..10 {
        let mut world = World::new(seed, &film);
        let watcher = world.watch(Path { loss: 0.02, ..Path::GOOD });
        world.run(seconds(4) + ms(37 * seed));
        world.restart_server(seed + 100);
        let restarted = world.now;
        world.run(seconds(6));
        world.check(watcher);
        let seen = &world.watchers[watcher].seen;
        // Found before it even counts as lost.
        assert_eq!((seen.lost, world.counts(watcher).reconnects, seen.playing.len()), (0, 1, 2));
        let (again, stream, rejoined) = seen.playing[1];
        assert!(rejoined && stream == world.stream_id() && stream != seen.playing[0].1);
        assert!(again.since(restarted) < seconds(1), "{:?}", again.since(restarted));
        assert!(seen.shown.last().is_some_and(|(at, ..)| world.now.since(*at) < ms(100)));
    }
}

#[test]
fn at_the_end_everybody_is_told() {
    let film = film();
    for (seed, loss) in [(0, 0.0), (1, 0.05), (2, 0.2), (3, 0.2)] {
        let mut world = World::new(seed, &film);
        world.encoder.length = 90;
        for _ in 0..5 {
            world.watch(Path { loss, ..Path::GOOD });
        }
        world.run(ms(6_500));
        let departures = world.departures();
        assert_eq!(departures.len(), 90);
        let (.., last) = departures[89];
        let finished = world.server.events.iter().find(|(_, event)| *event == Event::Finished).expect("finished").0;
        assert!(finished.since(last) <= ms(1_100), "{:?}", finished.since(last));
        for (n, watcher) in world.watchers.iter().enumerate() {
            world.check(n);
            let [(_, why)] = watcher.seen.over[..] else { panic!("over {} times", watcher.seen.over.len()) };
            assert!(why == Over::Ended && watcher.seen.finished.is_some());
            let counts = world.counts(n);
            let first = u64::from(watcher.seen.shown[0].1.unit.0);
            assert_eq!(
                counts.pictures.shown + counts.pictures.lost + counts.pictures.late + counts.pictures.thinned,
                90 - first,
                "{counts:?}"
            );
        }
    }
}

#[test]
fn a_server_that_is_stopped_says_why() {
    let film = film();
    let mut world = World::new(4, &film);
    let watcher = world.watch(Path::GOOD);
    world.run(seconds(1));
    world.tell_server(server::Local::Stop("Interrupted.".to_owned()));
    world.run(ms(1_100));
    assert!(world.server.events.iter().any(|(_, event)| *event == Event::Finished));
    let seen = &world.watchers[watcher].seen;
    assert!(matches!(seen.over[..], [(_, Over::Stopped)]) && seen.finished.is_some());
}

/// The session lives, other datagrams of it come, and yet without a Description there is nothing to show.
#[test]
fn a_description_lost_again_and_again_is_asked_for_until_it_comes() {
    for count in [8, 9, 10, 12, 20] {
        let mut world = World::new(5, &film());
        let (to, object) = (address(10, 40_000), Some(Type::DESCRIPTION));
        world.lose.push(Lose { to, kind: Kind::OBJECT, object, count });
        let watcher = world.watch(Path::GOOD);
        world.run(seconds(10));
        world.check(watcher);
        let seen = &world.watchers[watcher].seen;
        let last = seen.shown.last().unwrap_or_else(|| panic!("{count} lost: nothing was shown"));
        assert!(world.now.since(last.0) < ms(40), "{count} lost: {:?}", world.counts(watcher));
        assert_eq!(seen.playing.len(), 1, "{count} lost");
    }
}

#[test]
fn no_picture_comes_after_a_goodbye_and_none_is_cut_short_by_it() {
    // Some 180 kB a picture: it takes most of an interval to leave.
    let film = Rc::new(Film::new(Size::new(1_280, 720), Rate::new(30, 1).expect("30 fps"), 16));
    let mut in_the_middle = 0;
    for (seed, millis) in [(20, 1_000), (21, 1_004), (22, 1_011), (23, 1_022), (24, 1_037), (25, 1_042)] {
        let mut world = World::new(seed, &film);
        world.record = true;
        let path = Path { mtu: 1_452, ..Path::GOOD };
        let watchers = [world.watch(path), world.watch(path)];
        world.run(ms(millis));
        let stopped = world.now;
        world.tell_server(server::Local::Stop("Interrupted.".to_owned()));
        world.run(ms(1_500));
        for watcher in watchers {
            world.check(watcher);
            let to = world.watchers[watcher].address;
            let sent = |of: &dyn Fn(&&crate::net::Sent) -> bool| {
                world.sent.iter().filter(|sent| sent.to == to).filter(of).map(|sent| sent.at).collect::<Vec<_>>()
            };
            let (byes, slices) = (sent(&|sent| sent.kind == Kind::BYE), sent(&|sent| sent.slice.is_some()));
            in_the_middle += usize::from(slices.last().is_some_and(|last| *last > stopped));
            assert!(slices.last() <= byes.first(), "{:?} after {:?}", slices.last(), byes.first());
            let counts = world.counts(watcher);
            assert_eq!((counts.pictures.damaged, counts.pictures.lost), (0, 0), "after {millis} ms: {counts:?}");
            let left = world.departures().last().expect("some").0;
            assert_eq!(world.watchers[watcher].seen.shown.last().expect("shown").1.unit, left);
        }
    }
    assert!(in_the_middle > 0, "the regime: some are stopped in the middle of a picture");
}

#[test]
fn a_server_that_stood_still_does_not_take_that_for_silence() {
    let film = film();
    for halt in [2_500, 4_000, 9_000] {
        let mut world = World::new(26, &film);
        let watcher = world.watch(Path::GOOD);
        world.run(seconds(2));
        let id = world.server.machine.sessions().next().expect("watching").id;
        world.server_state(State::Stopped);
        world.run(ms(halt));
        world.server_state(State::Running);
        world.run(ms(200));
        let gone =
            world.server.events.iter().any(|(_, event)| matches!(event, Event::Left { why: server::Gone::Silent, .. }));
        assert!(!gone, "{halt} ms: {:?}", world.server.events.last());
        world.run(seconds(5));
        world.check(watcher);
        assert_eq!(world.server.machine.watchers(), 1);
        let seen = &world.watchers[watcher].seen;
        assert!(world.now.since(seen.shown.last().expect("shown").0) < ms(40), "{halt} ms, session {id:x}");
    }
}

#[test]
fn a_watcher_that_moves_far_away_is_not_given_up() {
    let film = film();
    let mut world = World::new(27, &film);
    let far = Path { latency: ms(500), ..Path::GOOD };
    let watcher = world.watch(far);
    world.run(seconds(6));
    let before = world.counts(watcher).reconnects;
    for n in 0..3_u8 {
        world.watchers[watcher].address = address(200 + n, 5_555);
        world.run(seconds(8));
    }
    assert_eq!((world.counts(watcher).reconnects, world.server.machine.watchers()), (before, 1));
    let moved = world.server.events.iter().filter(|(_, event)| matches!(event, Event::Moved { .. })).count();
    assert_eq!(moved, 3);
}

//! What bad paths do to watchers: loss, duplication, reordering, bottlenecks. Counts must always add up.

use std::rc::Rc;
use std::time::Duration;

use udpstream::proto::server::SessionView;
use udpstream::units::{Bitrate, Rate, Size, Unit};
use udpstream::wire::{Kind, SizeClass};

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{Lose, State, World, address, ms, parts, seconds};
use crate::random::Random;

/// Some 12 kB and a dozen slices a picture at the smallest class.
fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(320, 240), Rate::new(30, 1).expect("30 fps"), 16))
}

fn ethernet() -> Path {
    Path { mtu: SizeClass::ANY.datagram(), jitter: ms(1), ..Path::GOOD }
}

#[test]
fn a_clean_path_loses_nothing() {
    let film = film();
    assert!(parts(&film) >= 8, "{} slices", parts(&film));
    for mtu in [1_200, 1_452, 8_952, 65_488] {
        let mut world = World::new(1, &film);
        let watcher = world.watch(Path { mtu, ..Path::GOOD });
        world.run(seconds(20));
        world.check(watcher);
        let counts = world.counts(watcher);
        let bad = [
            counts.pictures.lost,
            counts.pictures.late,
            counts.pictures.thinned,
            counts.pictures.damaged,
            counts.pictures.slices_lost,
            counts.traffic.rejected,
        ];
        assert_eq!(bad, [0; 6], "{counts:?}");
        assert!(counts.pictures.shown >= 595, "{counts:?}");
        let class = world.server.machine.sessions().next().expect("joined").class;
        assert_eq!(class.datagram(), mtu, "the largest class that passes is found");
    }
}

/// Also if more are there at once.
#[test]
fn so_many_pictures_are_shown_as_are_wanted() {
    let film = film();
    let mut world = World::new(7, &film);
    let watcher = world.watch_with(Path::GOOD, |config| config.frames = Some(50));
    world.run(seconds(1));
    let before = world.counts(watcher).pictures.shown;
    assert!((20..40).contains(&before), "{before}");
    world.watcher_state(watcher, State::Stopped);
    world.run(seconds(2));
    world.watcher_state(watcher, State::Running);
    world.run(ms(20));
    world.check(watcher);
    let seen = &world.watchers[watcher].seen;
    assert_eq!((world.counts(watcher).pictures.shown, seen.shown.len(), seen.finished.is_some()), (50, 50, true));
    assert_eq!(world.server.machine.sessions().count(), 0, "and a goodbye is said");
}

/// A network card says at once what it does not carry; loopback alone never does.
#[test]
fn what_the_servers_own_system_refuses_ends_its_class_and_nothing_else() {
    let film = film();
    for mtu in [1_200, 1_452, 8_952] {
        let mut world = World::new(1, &film);
        world.server_mtu = mtu;
        let watcher = world.watch(Path::GOOD);
        world.run(seconds(5));
        world.check(watcher);
        let class = world.server.machine.sessions().next().expect("joined").class;
        assert_eq!(class.datagram(), mtu, "the largest class that the system takes is used");
        let counts = world.counts(watcher);
        let bad = [
            counts.pictures.lost,
            counts.pictures.late,
            counts.pictures.thinned,
            counts.pictures.damaged,
            counts.duplicates(),
            counts.traffic.rejected,
        ];
        assert_eq!(bad, [0; 6], "{counts:?}");
        let reported = world.server.machine.sessions().next().expect("joined").stats;
        assert_eq!((reported.lost, world.server.machine.totals().send_errors > 0), (0, true), "{reported:?}");
    }
}

#[test]
fn one_percent_of_loss_costs_hardly_a_slice() {
    let film = film();
    let (mut shown, mut sent) = (0, 0);
    for seed in 0..20 {
        let mut world = World::new(seed, &film);
        let watcher = world.watch(ethernet());
        world.run(seconds(1));
        world.path_down(watcher, Path { loss: 0.01, ..ethernet() });
        world.run(seconds(30));
        world.check(watcher);
        let counts = world.counts(watcher);
        assert_eq!((counts.pictures.thinned, counts.pictures.late), (0, 0), "{counts:?}");
        assert!(counts.pictures.slices_repaired.resent > 0, "{counts:?}");
        let seen = &world.watchers[watcher].seen;
        let (first, last) = (seen.shown[0].1.unit.0, seen.shown[seen.shown.len() - 1].1.unit.0);
        sent += (first..=last).map(|unit| film.slices(Unit(unit), SizeClass::ANY)).sum::<usize>();
        shown += seen.shown.iter().map(|(_, ready, _)| usize::from(ready.received)).sum::<usize>();
    }
    let share = shown as f64 / sent as f64;
    assert!(share > 0.9995, "{share} of {sent} slices were shown");
}

#[test]
fn counts_add_up_on_every_path() {
    let film = film();
    for seed in 0..60 {
        let mut random = Random::fork(seed, 77);
        let mut draw = || Path {
            latency: random.duration(ms(30)),
            jitter: random.duration(ms(10)),
            loss: random.below(20) as f64 / 100.0,
            duplicate: random.below(20) as f64 / 100.0,
            reorder: random.below(30) as f64 / 100.0,
            held_back: random.duration(ms(120)),
            mtu: SizeClass::ALL[random.below(4) as usize].datagram(),
            ..Path::GOOD
        };
        let mut world = World::new(seed, &film);
        let watcher = world.watch(ethernet());
        world.run(seconds(1));
        for _ in 0..8 {
            let path = draw();
            world.path(watcher, path);
            let before = world.counts(watcher).pictures.shown;
            world.run(seconds(2));
            world.check(watcher);
            assert!(world.counts(watcher).pictures.shown > before, "pictures go on being shown: {path:?}");
        }
        world.path(watcher, ethernet());
        let before = world.counts(watcher);
        world.run(seconds(5));
        world.check(watcher);
        let after = world.counts(watcher);
        assert!(after.pictures.shown - before.pictures.shown >= 140, "all is well again: {before:?} {after:?}");
    }
}

#[test]
fn steps_of_a_bottleneck() {
    let film = film();
    for seed in 0..10 {
        let mut world = World::new(seed, &film);
        let watcher = world.watch(ethernet());
        world.run(seconds(1));
        // The stream takes some 4 Mb/s.
        for mbps in [20, 6, 3, 1, 8, 2, 20] {
            let rate = Some(Bitrate::bps(mbps * 1_000_000));
            world.path_down(watcher, Path { rate, queue: ms(80), ..ethernet() });
            let before = world.counts(watcher).pictures.shown;
            world.run(seconds(3));
            world.check(watcher);
            assert!(world.counts(watcher).pictures.shown > before + 20, "{mbps} Mb/s: {:?}", world.counts(watcher));
        }
        assert_eq!(world.watchers[watcher].seen.lost, 0);
    }
}

#[test]
fn overtaken_pictures_are_late_and_leave_no_trace() {
    // One datagram a picture: each that is held back for longer than an interval is overtaken by its successor, and
    // comes while that waits for its moment. 40 kB a time would fill the assembly within the first minutes.
    let film = Rc::new(Film::new(Size::new(640, 480), Rate::new(30, 1).expect("30 fps"), 16));
    let mut world = World::new(5, &film);
    let watcher = world.watch_with(Path::GOOD, |config| config.latency = ms(30));
    world.run(seconds(1));
    world.path_down(watcher, Path { reorder: 0.3, held_back: ms(100), ..Path::GOOD });
    world.run(seconds(600));
    world.check(watcher);
    let before = world.counts(watcher);
    assert!(before.pictures.late > 2_000, "what came and was not shown is late: {before:?}");
    assert_eq!((before.pictures.lost, before.pictures.thinned), (0, 0), "{before:?}");
    world.path_down(watcher, Path::GOOD);
    world.run(seconds(5));
    let after = world.counts(watcher);
    assert!(after.pictures.shown - before.pictures.shown >= 145, "{before:?} {after:?}");
    assert_eq!(after.traffic.rejected, 0, "no sound slice is refused");
}

#[test]
fn a_chosen_latency_is_kept() {
    let film = film();
    let latency = ms(150);
    let mut world = World::new(6, &film);
    let path = Path { jitter: ms(60), latency: ms(20), ..ethernet() };
    let watcher = world.watch_with(path, |config| config.latency = latency);
    world.run(seconds(30));
    world.check(watcher);
    let seen = &world.watchers[watcher].seen;
    let late: Vec<Duration> =
        seen.shown.iter().skip(30).map(|(at, _, due)| at.since(due.expect("known") + latency)).collect();
    assert!(seen.shown.iter().skip(30).all(|(at, _, due)| *at >= due.expect("known") + latency), "none early");
    // When the server's clock is learnt better, the moment of the picture in hand may turn out to have passed.
    assert!(late.iter().filter(|late| !late.is_zero()).count() <= 3, "{late:?}");
    assert!(seen.shown.len() >= 885, "{:?}", world.counts(watcher));
    let intervals = seen.shown.windows(2).skip(30).map(|pair| pair[1].0.since(pair[0].0));
    // The clock of the server is learnt better and better, so it may move a little.
    assert!(intervals.max().expect("shown") < Duration::from_millis(45));
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let film = film();
    let digest = |seed| {
        let mut world = World::new(seed, &film);
        let path = Path { loss: 0.02, duplicate: 0.02, reorder: 0.02, held_back: ms(20), ..ethernet() };
        (0..3).for_each(|_| {
            world.watch(path);
            world.run(ms(700));
        });
        world.run(seconds(10));
        world.digest()
    };
    assert_eq!(digest(1), digest(1));
    assert_eq!(digest(2), digest(2));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn a_path_that_narrows_is_noticed_and_one_that_widens_too() {
    let film = film();
    let mut world = World::new(8, &film);
    let watcher = world.watch(Path::GOOD);
    world.run(seconds(2));
    assert_eq!(class(&world), SizeClass::LOOPBACK);
    for mtu in [1_452, 1_200] {
        let path = Path { mtu, ..Path::GOOD };
        world.path(watcher, path);
        world.run(seconds(2));
        let before = world.counts(watcher);
        world.run(ms(1_500));
        let after = world.counts(watcher);
        assert!(after.pictures.shown - before.pictures.shown >= 30, "at {mtu}: {before:?} {after:?}");
        world.check(watcher);
    }
    world.path(watcher, Path::GOOD);
    world.run(seconds(65));
    assert_eq!(class(&world), SizeClass::LOOPBACK, "larger datagrams are tried again");
    world.check(watcher);
    assert_eq!(world.watchers[watcher].seen.lost, 0);
}

fn class(world: &World) -> SizeClass {
    world.server.machine.sessions().next().expect("watching").class
}

#[test]
fn a_probe_that_was_lost_is_sent_again() {
    let film = film();
    for (mtu, count) in [(1_452, 1), (8_952, 2), (65_488, 3), (65_488, 6)] {
        let mut world = World::new(9, &film);
        world.lose.push(Lose { to: address(10, 40_000), kind: Kind::PROBE, object: None, count });
        world.watch(Path { mtu, ..Path::GOOD });
        world.run(seconds(2));
        assert_eq!(class(&world).datagram(), mtu, "{count} lost");
    }
}

/// A full queue loses most large datagrams and no small ones, and yet the path carries both.
#[test]
fn congestion_is_no_black_hole() {
    let film = film();
    for (seed, kbps) in [(10, 2_000), (11, 1_000), (12, 500)] {
        let mut world = World::new(seed, &film);
        let path = Path { mtu: 1_452, ..Path::GOOD };
        let watcher = world.watch(path);
        world.run(seconds(2));
        world.path_down(watcher, Path { rate: Some(Bitrate::bps(kbps * 1_000)), queue: ms(50), ..path });
        let before = world.counts(watcher);
        for _ in 0..200 {
            world.run(ms(100));
            assert_eq!(class(&world), SizeClass::ETHERNET, "at {kbps} kb/s");
        }
        let after = world.counts(watcher);
        let harmed = after.pictures.damaged + after.pictures.lost - before.pictures.damaged - before.pictures.lost;
        assert!(harmed > 300, "the regime: most pictures are harmed: {after:?}");
    }
}

#[test]
fn a_watcher_that_moves_begins_with_a_new_path() {
    let film = film();
    let mut world = World::new(13, &film);
    let watcher = world.watch(Path { latency: ms(20), mtu: 8_952, ..Path::GOOD });
    world.run(seconds(2));
    assert_eq!(class(&world), SizeClass::JUMBO);
    // From a wire to a tunnel that carries much less, at another distance.
    world.watchers[watcher].address = address(200, 5_555);
    world.path(watcher, Path { latency: ms(2), mtu: 1_200, ..Path::GOOD });
    let moved = world.now;
    world.run(ms(200));
    let SessionView { class, stats, .. } = world.server.machine.sessions().next().expect("watching");
    assert_eq!(class, SizeClass::ANY);
    assert!(stats.rtt.is_some_and(|rtt| rtt < ms(10)), "{:?} is of the old path", stats.rtt);
    world.run(seconds(1));
    world.check(watcher);
    let whole = |(at, picture, _): &&(_, udpstream::proto::receiver::Ready, _)| *at > moved && picture.missing == 0;
    let shown = world.watchers[watcher].seen.shown.iter().filter(whole).count();
    assert!(shown >= 30, "{shown} whole pictures in 1.2 s");
}

#[test]
fn a_size_chosen_by_hand_is_used_where_it_passes_and_left_where_it_does_not() {
    let film = film();
    let given = SizeClass::forced(3_000).expect("a size");
    let run = |path: Path, limit: u16| {
        let now = udpstream::units::Time::from_millis(60_000);
        let mut world = World::with(14, &film, now, |config, _| config.datagram = Some(given));
        let watcher = world.watch_with(path, |config| config.max_datagram = limit);
        world.run(seconds(5));
        world.check(watcher);
        let since = world.now - seconds(4);
        let seen = &world.watchers[watcher].seen;
        let whole = seen.shown.iter().filter(|(at, picture, _)| *at > since && picture.missing == 0).count();
        (class(&world).datagram(), whole, world.server.machine.totals().largest)
    };
    let (class, whole, largest) = run(Path::GOOD, 0);
    assert!(class == 3_000 && whole >= 119 && (1_452..=3_000).contains(&largest), "{class} {whole} {largest}");
    let (class, whole, _) = run(Path { mtu: 2_000, ..Path::GOOD }, 0);
    assert!(class == 1_452 && whole >= 100, "it does not pass: {class} {whole}");
    let (class, whole, largest) = run(Path::GOOD, 2_000);
    assert!(class == 1_452 && whole >= 119 && largest <= 1_452, "not wanted: {class} {whole} {largest}");
}

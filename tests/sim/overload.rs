//! More to send than fits: nobody is lost, everybody gets the same share of whole pictures, the newest ones, and all of
//! them as soon as there is room again.

use std::rc::Rc;
use std::time::Duration;

use udpstream::proto::server::{Event, SessionStats};
use udpstream::units::{Rate, Size, Unit};
use udpstream::wire::SizeClass;

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{World, ms, seconds};

const WATCHERS: usize = 20;

fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(320, 240), Rate::new(30, 1).expect("30 fps"), 16))
}

fn path() -> Path {
    Path { mtu: SizeClass::ANY.datagram(), ..Path::GOOD }
}

/// Twenty watchers that are well served.
fn crowd(seed: u64, film: &Rc<Film>) -> World {
    let mut world = World::new(seed, film);
    (0..WATCHERS).for_each(|_| {
        world.watch_with(path(), |config| config.max_datagram = 1_200);
    });
    world.run(seconds(3));
    assert!(!world.server.machine.is_overloaded());
    world
}

/// The time for a datagram with which this share of a picture for everybody fits into its interval.
fn cost_for(film: &Film, share: f64) -> Duration {
    let datagrams = film.slices(Unit(0), SizeClass::ANY) * WATCHERS;
    film.rate.interval().div_f64(share * datagrams as f64)
}

fn stats(world: &World) -> Vec<SessionStats> {
    world.server.machine.sessions().map(|session| session.stats).collect()
}

fn overloads(world: &World) -> Vec<(udpstream::units::Time, bool)> {
    let overload = |(at, event): &_| if let Event::Overload(on) = event { Some((*at, *on)) } else { None };
    world.server.events.iter().filter_map(overload).collect()
}

#[test]
fn each_watcher_gets_the_same_share_of_whole_pictures_and_nobody_is_lost() {
    let film = film();
    for (seed, share) in [(1, 0.8), (2, 0.5), (3, 0.2), (4, 0.07)] {
        let mut world = crowd(seed, &film);
        world.datagram_cost = cost_for(&film, share);
        world.run(seconds(2));
        let (before, begun) = (stats(&world), world.now);
        world.run(seconds(20));
        let (after, departed) = (stats(&world), 600.0);
        let sent: Vec<u64> =
            after.iter().zip(&before).map(|(after, before)| after.pictures - before.pictures).collect();
        let (least, most) = (sent.iter().min().expect("some"), sent.iter().max().expect("some"));
        assert!(most - least <= (most / 10).max(1), "share {share}: {sent:?}");
        let mean = sent.iter().sum::<u64>() as f64 / sent.len() as f64;
        // Reports and updates take their part of the time.
        assert!(
            mean > departed * share * 0.85 && mean < departed * share * 1.02,
            "share {share}: {mean} of {departed}"
        );
        assert!((world.server.machine.served() - share).abs() < 0.1, "it knows: {}", world.server.machine.served());
        for n in 0..WATCHERS {
            world.check(n);
            let counts = world.counts(n);
            assert_eq!(
                (counts.pictures.damaged, counts.pictures.lost, counts.reconnects),
                (0, 0, 0),
                "whole pictures: {counts:?}"
            );
            assert_eq!(world.watchers[n].seen.lost, 0, "nobody is given up");
            // The newest: what is begun is sent to its end, together with those of fifteen others.
            let late = world.watchers[n].seen.shown.iter().filter(|(at, ..)| *at > begun);
            let late = late.map(|(at, _, due)| at.since(due.expect("known"))).max().expect("shown");
            let together = cost_for(&film, share) * (film.slices(Unit(0), SizeClass::ANY) * 16) as u32;
            assert!(late < film.rate.interval() * 2 + together * 2, "share {share}: {late:?} late");
        }
        assert!(matches!(overloads(&world)[..], [(_, true)]), "it is said, once: {share} {:?}", overloads(&world));
        assert_eq!(world.server.machine.watchers(), WATCHERS);
        let left = world.server.events.iter().any(|(_, event)| matches!(event, Event::Left { .. }));
        assert!(!left, "no session is lost");
        // Offered is sent and thinned.
        let departures = world.departures().len() as u64;
        for stats in &after {
            let (all, last) = (stats.pictures + stats.thinned, u64::from(stats.last_unit.expect("sent").0));
            assert!(all <= departures && all > last.min(departures) - 60, "{stats:?} of {departures}");
        }
    }
}

#[test]
fn newcomers_are_refused_while_it_lasts_and_all_is_well_within_a_second_after_it() {
    let film = film();
    let mut world = crowd(5, &film);
    world.datagram_cost = cost_for(&film, 0.4);
    world.run(seconds(5));
    assert!(world.server.machine.is_overloaded());
    let newcomer = world.watch(path());
    world.run(seconds(2));
    assert!(world.watchers[newcomer].seen.refused > 0 && world.watchers[newcomer].seen.playing.is_empty());
    assert_eq!(world.server.machine.watchers(), WATCHERS);

    world.datagram_cost = Duration::ZERO;
    let relieved = world.now;
    world.run(seconds(1));
    let before = stats(&world);
    world.run(seconds(5));
    for (n, (before, after)) in before.iter().zip(stats(&world)).enumerate() {
        assert_eq!(after.thinned, before.thinned, "watcher {n} gets every picture again");
        assert!(after.pictures - before.pictures >= 149);
    }
    let [_, (over, false)] = overloads(&world)[..] else { panic!("{:?}", overloads(&world)) };
    assert!(over.since(relieved) < ms(1_200), "{:?}", over.since(relieved));
    world.run(seconds(6));
    assert_eq!(world.watchers[newcomer].seen.playing.len(), 1, "there is room again");
}

#[test]
fn a_halt_is_no_overload() {
    let film = film();
    let mut world = crowd(6, &film);
    // Two thirds of its time go into sending.
    world.datagram_cost = cost_for(&film, 1.5);
    world.run(seconds(1));
    let before = stats(&world);
    for halt in [200, 200, 400, 200, 400] {
        world.server_state(crate::net::State::Stopped);
        world.run(ms(halt));
        world.server_state(crate::net::State::Running);
        world.run(seconds(3));
    }
    assert_eq!(overloads(&world), []);
    for (n, (before, after)) in before.iter().zip(stats(&world)).enumerate() {
        assert_eq!(after.thinned, before.thinned, "watcher {n}: all of it is made good");
    }
}

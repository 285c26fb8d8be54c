//! Losing a server and finding it again.

use std::rc::Rc;
use std::time::Duration;

use udpstream::proto::receiver::{Local, Trouble};
use udpstream::proto::{Input, Machine, Port, SendFailure, server};
use udpstream::units::{Rate, Size, Time};

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{SERVER, State, World, ms, seconds};

/// A server that is back is found within this time.
const SOON: Duration = Duration::from_secs(1);

fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(160, 96), Rate::new(30, 1).expect("30 fps"), 12))
}

fn staying(seed: u64, film: &Rc<Film>) -> World {
    let mut world = World::new(seed, film);
    world.watch_with(Path::GOOD, |config| config.stay = true);
    world
}

/// The first picture shown after a moment.
fn first_after(world: &World, moment: Time) -> Time {
    let shown = &world.watchers[0].seen.shown;
    shown.iter().map(|(at, ..)| *at).find(|at| *at > moment).expect("a picture")
}

#[test]
fn a_restarted_server_is_found_within_a_second_however_long_it_was_away() {
    let film = film();
    for away in [0, 1, 90, 400, 520, 900, 1_300, 2_900, 3_100, 10_000, 60_000] {
        let mut world = staying(11, &film);
        world.run(seconds(2));
        world.server_state(State::Dead);
        world.run(ms(away));
        world.restart_server(77);
        world.server_state(State::Running);
        let back = world.now;
        world.run(seconds(2));
        let first = first_after(&world, back);
        assert!(first.since(back) <= SOON, "away {away} ms, found after {:?}", first.since(back));
        assert_eq!(world.counts(0).reconnects, 1, "away {away} ms");
        let told = world.watchers[0].seen.troubles.len();
        assert_eq!(told, usize::from(away > 1_200), "away {away} ms: said once, and only if it was long");
    }
}

#[test]
fn a_halted_server_or_watcher_is_found_within_a_second() {
    let film = film();
    for (away, server) in [(400, true), (1_500, true), (8_000, true), (400, false), (1_500, false), (8_000, false)] {
        let mut world = staying(12, &film);
        world.run(seconds(2));
        let halt = |world: &mut World, state| match server {
            true => world.server_state(state),
            false => world.watcher_state(0, state),
        };
        halt(&mut world, State::Stopped);
        world.run(ms(away));
        halt(&mut world, State::Running);
        let back = world.now;
        world.run(seconds(3));
        let first = first_after(&world, back + ms(1));
        assert!(first.since(back) <= SOON, "{away} ms, {server}: {:?}", first.since(back));
        let last = world.watchers[0].seen.shown.last().expect("pictures").0;
        assert!(world.now.since(last) < ms(200), "still playing");
    }
}

#[test]
fn a_halt_shorter_than_the_servers_patience_costs_no_session() {
    let film = film();
    let mut world = staying(13, &film);
    world.run(seconds(2));
    world.server_state(State::Stopped);
    world.run(ms(800));
    world.server_state(State::Running);
    world.run(seconds(2));
    assert_eq!(world.counts(0).reconnects, 0, "the session lived on");
    assert_eq!(world.server.machine.watchers(), 1);
    assert!(world.watchers[0].seen.troubles.is_empty());
}

#[test]
fn after_a_goodbye_the_watcher_waits_for_the_next_server() {
    let film = film();
    for away in [10, 700, 5_000] {
        let mut world = staying(14, &film);
        world.run(seconds(2));
        world.tell_server(server::Local::Stop("Stopped.".to_owned()));
        world.run(ms(600));
        assert_eq!(world.watchers[0].seen.over.len(), 1);
        world.server_state(State::Dead);
        world.run(ms(away));
        world.restart_server(78);
        world.server_state(State::Running);
        let back = world.now;
        world.run(seconds(2));
        let first = first_after(&world, back);
        assert!(first.since(back) <= SOON, "away {away} ms, found after {:?}", first.since(back));
        assert!(world.watchers[0].seen.finished.is_none());
        assert_eq!(world.watchers[0].seen.refused, 0, "the server that goes is not asked to its face");
        assert_eq!(world.watchers[0].seen.over.len(), 1);
    }
}

#[test]
fn nobody_there_is_said_once_and_ends_when_somebody_is() {
    let film = film();
    let mut world = World::new(15, &film);
    world.server_state(State::Dead);
    world.watch_with(Path::GOOD, |config| config.stay = true);
    let start = world.now;
    world.run(seconds(20));
    let troubles = world.watchers[0].seen.troubles.clone();
    assert_eq!(troubles, [(start + seconds(1), Trouble::Nobody)]);
    world.server_state(State::Running);
    let back = world.now;
    world.run(seconds(1));
    assert!(first_after(&world, back).since(back) <= SOON);
}

#[test]
fn a_network_that_is_down_is_told_from_a_server_that_is() {
    let film = film();
    let mut world = staying(16, &film);
    world.run(seconds(1));
    world.server_state(State::Stopped);
    // Nothing can be sent: the system says so for each datagram.
    for _ in 0..400 {
        world.run(ms(10));
        let now = world.now;
        let failed = Input::NotSent(Port(0), SERVER, SendFailure::Unreachable);
        world.watchers[0].machine.handle(now, failed);
    }
    let said: Vec<Trouble> = world.watchers[0].seen.troubles.iter().map(|(_, trouble)| *trouble).collect();
    assert_eq!(said, [Trouble::Network]);
    world.run(seconds(2));
    let said: Vec<Trouble> = world.watchers[0].seen.troubles.iter().map(|(_, trouble)| *trouble).collect();
    assert_eq!(said, [Trouble::Network, Trouble::Silent], "sending works again, but nobody answers");
}

#[test]
fn a_server_is_found_where_it_is_said_to_be_by_now() {
    let film = film();
    let mut world = World::new(17, &film);
    let elsewhere = crate::net::address(77, 5);
    world.watch_with(Path::GOOD, |config| (config.stay, config.servers) = (true, vec![elsewhere].into()));
    world.run(seconds(3));
    assert_eq!(world.watchers[0].seen.troubles.len(), 1, "nobody is there");
    let told = world.now;
    world.tell_watcher(0, Local::Servers(vec![SERVER].into()));
    world.run(seconds(3));
    assert!(first_after(&world, told).since(told) <= SOON);
    // What plays goes on, whatever is said of where it should be, and is looked for there once it has fallen silent.
    let told = world.now;
    world.tell_watcher(0, Local::Servers(vec![elsewhere].into()));
    world.run(seconds(3));
    assert!(world.watchers[0].seen.shown_between(told, world.now) >= 85);
    assert_eq!(world.counts(0).reconnects, 0);
    world.server_state(State::Dead);
    world.run(seconds(3));
    world.tell_watcher(0, Local::Servers(vec![elsewhere, SERVER].into()));
    world.restart_server(78);
    world.server_state(State::Running);
    let back = world.now;
    world.run(seconds(2));
    assert!(first_after(&world, back).since(back) <= SOON);
}

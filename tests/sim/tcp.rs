//! Watchers behind TCP connections: a stalled one, a slow one, others beside them, and those whom UDP does not reach.

mod pipe;
mod world;

use std::rc::Rc;
use std::time::Duration;

use udpstream::proto::Transport;
use udpstream::units::{Bitrate, Rate, Size, Time};

use crate::elastic::Elastic;
use crate::jpeg::Film;
use crate::net::{ms, seconds};
use world::TcpWorld;

const FAST: Bitrate = Bitrate::bps(1_000_000_000);
const INTERVAL: Duration = ms(40);

fn rate() -> Rate {
    Rate::new(25, 1).expect("25 fps")
}

/// Pictures of some 90 kB, as real ones are at the rung that is wished.
fn film(seed: u64) -> Rc<Film> {
    let size = Size::new(1_280, 720);
    Rc::new(Film::elastic(size, rate(), Elastic::harsh(size, seed)))
}

fn is_connected(world: &TcpWorld, n: usize) -> bool {
    world.watchers[n].machine.transport() == Transport::Tcp
}

#[test]
fn a_reader_that_stalled_sees_a_picture_that_is_hardly_old_and_nobody_else_waits() {
    for (seed, latency) in [(1, ms(1)), (2, ms(20)), (3, ms(60))] {
        let mut world = TcpWorld::new(seed, &film(seed), false);
        let stalls = world.watch(Transport::Tcp, FAST, latency);
        let other = world.watch(Transport::Tcp, FAST, latency);
        let over_udp = world.watch(Transport::Udp, FAST, latency);
        world.run(seconds(4));
        let (stalled, before) = (world.now, [other, over_udp].map(|n| world.watchers[n].shown.len()));
        world.watchers[stalls].reads = false;
        world.run(seconds(5));
        for (n, before) in [other, over_udp].into_iter().zip(before) {
            let shown = world.watchers[n].shown.len() - before;
            assert!((123..=126).contains(&shown), "another one was shown {shown} pictures in 5 s");
        }
        let session = world.sessions();
        let most = world.watchers[stalls].down.unsent_most;
        let peak = world.watchers[stalls].down.peak;
        assert!(peak < most + 60_000, "{peak} bytes waited where {most} are room");
        world.watchers[stalls].reads = true;
        let resumed = world.now;
        world.run(seconds(2));
        // What waited is there at once, and with the next pictures it is where it was.
        let limit = resumed + 2 * INTERVAL + 2 * latency;
        let settled = |(at, age): &&(Time, Duration)| *at >= limit && *age <= 2 * INTERVAL + 2 * latency;
        let shown = &world.watchers[stalls].shown;
        let first = shown.iter().find(|(at, _)| *at >= limit).expect("it goes on");
        assert!(settled(&first), "{} ms old after the stall of {seed}", first.1.as_millis());
        assert!(shown.iter().filter(|(at, _)| *at >= limit).all(|shown| settled(&shown)));
        assert_eq!((world.sessions(), world.watchers[stalls].lost()), (session, 0), "the session was kept");
        assert!(shown.iter().filter(|(at, _)| (stalled + 2 * latency + INTERVAL..resumed).contains(at)).count() <= 2);
    }
}

#[test]
fn a_connection_that_takes_everything_is_given_two_pictures_and_what_is_on_its_way() {
    for (seed, latency) in [(1, ms(1)), (2, ms(20)), (3, ms(60)), (4, ms(200))] {
        let mut world = TcpWorld::new(seed, &film(seed), false);
        let n = world.watch(Transport::Tcp, FAST, latency);
        let down = &mut world.watchers[n].down;
        (down.room, down.unsent_most) = (usize::MAX, usize::MAX);
        world.run(seconds(4));
        let shown = &world.watchers[n].shown;
        let before = shown.iter().filter(|(at, _)| *at >= world.now - seconds(2)).count();
        assert_eq!(before, 50, "nothing is held back that is read, {} ms away", latency.as_millis());
        world.watchers[n].reads = false;
        world.run(seconds(5));
        world.watchers[n].reads = true;
        let resumed = world.now;
        world.run(seconds(2));
        let old = |(at, age): &&(Time, Duration)| *at >= resumed && *age > seconds(1);
        let held = world.watchers[n].shown.iter().filter(old).count();
        let most = 2 + (2 * latency).as_millis().div_ceil(INTERVAL.as_millis()) as usize;
        assert!(
            (1..=most).contains(&held),
            "{held} of {most} pictures waited for its reader, {} ms away",
            latency.as_millis()
        );
        let late = |(at, age): &&(Time, Duration)| {
            *at >= resumed + 2 * latency + 2 * INTERVAL && *age > latency + 2 * INTERVAL
        };
        assert_eq!(world.watchers[n].shown.iter().filter(late).count(), 0);
    }
}

#[test]
fn a_slow_connection_gets_what_fits_it_whole_and_in_time() {
    for (seed, mega) in [(1, 6.0), (2, 12.0)] {
        let mut world = TcpWorld::new(seed, &film(seed), true);
        let n = world.watch(Transport::Tcp, Bitrate::bps((mega * 1e6) as u64), ms(15));
        world.run(seconds(20));
        let from = world.now - seconds(10);
        let mut ages: Vec<Duration> =
            world.watchers[n].shown.iter().filter(|(at, _)| *at > from).map(|(_, age)| *age).collect();
        let shown = ages.len();
        ages.sort_unstable();
        let p95 = ages[shown * 95 / 100];
        println!("{mega} Mb/s: {shown} of 250 pictures, p95 {} ms", p95.as_millis());
        assert!(shown >= 200, "{shown} pictures in 10 s at {mega} Mb/s");
        assert!(p95 < ms(150), "{} ms at {mega} Mb/s", p95.as_millis());
        assert_eq!(world.watchers[n].lost(), 0, "a connection loses nothing");
    }
}

#[test]
fn where_udp_is_closed_tcp_brings_a_picture_within_three_seconds() {
    let mut world = TcpWorld::new(1, &film(1), false);
    world.udp_open = false;
    let begun = world.now;
    let n = world.watch(Transport::Auto, FAST, ms(5));
    world.run(seconds(5));
    let first = world.watchers[n].shown.first().expect("a picture").0.since(begun);
    assert!((ms(1_500)..seconds(3)).contains(&first), "{} ms", first.as_millis());
    assert!(is_connected(&world, n));
    // It is tried again, in vain; nothing is missed for that.
    world.run(seconds(20));
    assert_eq!((world.watchers[n].lost(), world.watchers[n].machine.counts().reconnects), (0, 0));
    world.udp_open = true;
    world.run(seconds(60));
    let watcher = &world.watchers[n];
    assert!(!is_connected(&world, n) && watcher.machine.counts().reconnects == 1, "UDP is taken again");
    let gaps = watcher.shown.windows(2).map(|two| two[1].0.since(two[0].0)).max();
    assert!(gaps < Some(ms(300)), "{gaps:?} without a picture");
    assert_eq!(world.sessions(), 1, "the session of the connection was left");
    // And when it closes again TCP is there at once, as it is known to work.
    world.udp_open = false;
    world.run(seconds(5));
    assert!(is_connected(&world, n));
}

#[test]
fn udp_alone_and_tcp_alone_are_what_they_say() {
    let mut world = TcpWorld::new(1, &film(1), false);
    world.udp_open = false;
    let udp = world.watch(Transport::Udp, FAST, ms(5));
    let tcp = world.watch(Transport::Tcp, FAST, ms(5));
    world.run(seconds(3));
    assert_eq!((world.watchers[udp].shown.len(), world.watchers[udp].connects), (0, 0));
    assert!(world.watchers[tcp].shown.len() > 60);
    assert_eq!(world.watchers[tcp].udp_sent, 0);
}

#[test]
fn a_connection_that_breaks_is_opened_again() {
    let mut world = TcpWorld::new(1, &film(1), false);
    let n = world.watch(Transport::Tcp, FAST, ms(5));
    world.run(seconds(2));
    world.cut(n);
    assert_eq!(world.sessions(), 0, "its session ends with it");
    world.run(seconds(1));
    let watcher = &world.watchers[n];
    assert_eq!((watcher.machine.counts().reconnects, watcher.connects), (1, 2));
    assert!(watcher.shown.last().expect("pictures").0 > world.now - 2 * INTERVAL);
}

#[test]
fn with_both_media_goes_over_udp_and_what_must_arrive_through_the_connection() {
    let mut world = TcpWorld::new(1, &film(1), false);
    let n = world.watch(Transport::Both, FAST, ms(5));
    world.run(seconds(1));
    assert_eq!(world.watchers[n].machine.transport(), Transport::Both);
    let (session, before) = (world.sessions(), world.watchers[n].down.taken);
    world.run(seconds(4));
    let through = world.watchers[n].down.taken - before;
    assert!(through < 4_000, "{through} bytes through the connection in 4 s");
    assert!(world.watchers[n].shown.len() > 120 && session == 1);
    assert_eq!((world.watchers[n].lost(), world.watchers[n].machine.counts().reconnects), (0, 0));
    // UDP closes: all comes through the connection; later the other way is tried again.
    world.udp_open = false;
    world.run(seconds(4));
    assert_eq!((world.watchers[n].machine.transport(), world.sessions()), (Transport::Tcp, 1));
    assert!(world.watchers[n].shown.last().expect("pictures").0 > world.now - 2 * INTERVAL);
    world.udp_open = true;
    world.run(seconds(62));
    assert_eq!((world.watchers[n].machine.transport(), world.sessions()), (Transport::Both, 1));
    // The connection ends, and with it the session.
    world.cut(n);
    assert_eq!(world.sessions(), 0);
    world.run(seconds(1));
    assert_eq!((world.watchers[n].connects, world.sessions()), (2, 1));
}

#[test]
fn media_goes_nowhere_that_has_not_proved_to_receive_it() {
    let mut world = TcpWorld::new(1, &film(1), false);
    let n = world.watch(Transport::Both, FAST, ms(5));
    // Challenges reach nobody: no cookie comes back.
    world.deaf = true;
    world.run(seconds(3));
    assert_eq!(world.watchers[n].machine.transport(), Transport::Tcp);
    assert_eq!(world.watchers[n].udp_received_at_most, 0, "not a byte of media over UDP");
    assert!(world.watchers[n].shown.len() > 60);
}

#[test]
fn whoever_only_knows_the_id_of_a_session_does_not_get_its_media() {
    let mut world = TcpWorld::new(1, &film(1), false);
    let n = world.watch(Transport::Tcp, FAST, ms(5));
    world.run(seconds(1));
    // One with an address of its own joins over UDP, with a good cookie, and names the session.
    world.steal(n);
    world.run(seconds(1));
    assert_eq!((world.watchers[n].machine.transport(), world.watchers[n].lost()), (Transport::Tcp, 0));
    assert!(world.watchers[n].shown.last().expect("pictures").0 > world.now - 2 * INTERVAL);
    assert_eq!(world.watchers[n].udp_received_at_most, 0);
}

#[test]
fn a_connection_beside_udp_is_kept_in_use_by_both() {
    let mut world = TcpWorld::new(1, &film(1), false);
    let n = world.watch(Transport::Both, FAST, ms(5));
    world.run(seconds(1));
    for _ in 0..6 {
        let before = [world.watchers[n].down.taken, world.watchers[n].up_taken()];
        world.run(seconds(6));
        let after = [world.watchers[n].down.taken, world.watchers[n].up_taken()];
        assert!(after[0] > before[0] && after[1] > before[1], "nothing was said for 6 s: {before:?} {after:?}");
    }
    assert_eq!(
        (world.watchers[n].machine.transport(), world.watchers[n].machine.counts().reconnects),
        (Transport::Both, 0)
    );
}

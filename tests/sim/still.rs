//! A live picture that stands still costs next to nothing, and whoever lacks it is sent it again.

use std::rc::Rc;

use udpstream::proto::Port;
use udpstream::units::{Rate, Size, Unit};
use udpstream::wire::Kind;
use udpstream::wire::object::Type;

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{Lose, World, ms, seconds};

/// A live stream in which nothing changes from its tenth picture on.
fn still(seed: u64) -> World {
    let film = Rc::new(Film::new(Size::new(320, 240), Rate::new(30, 1).expect("a rate"), 6));
    let mut world = World::with(seed, &film, udpstream::units::Time::from_millis(60_000), |_, stream| {
        stream.description.live = true;
    });
    world.encoder.decode = film.rate.interval();
    world.encoder.still_from = Unit(10);
    world
}

#[test]
fn nothing_is_encoded_again_while_all_have_it() {
    let mut world = still(1);
    world.watch(Path::GOOD);
    world.run(seconds(60));
    world.check(0);
    assert!(world.encoder.encoded <= 20, "{} were encoded", world.encoder.encoded);
    let shown = &world.watchers[0].seen.shown;
    assert!(shown.len() > 1_700, "{} were shown", shown.len());
    assert!(shown.iter().skip(20).all(|(_, picture, _)| picture.same && picture.missing == 0));
}

#[test]
fn a_newcomer_is_shown_the_picture_at_once() {
    let mut world = still(2);
    world.watch(Path::GOOD);
    world.run(seconds(10));
    let (came, encoded) = (world.now, world.encoder.encoded);
    let second = world.watch(Path::GOOD);
    world.run(seconds(5));
    world.check(second);
    let whole = world.watchers[second].seen.shown.iter().find(|(_, picture, _)| !picture.same).expect("a body");
    assert!(whole.0 < came + ms(300), "{:?} after he came", whole.0.since(came));
    assert!(world.encoder.encoded <= encoded + 3, "{} for one newcomer", world.encoder.encoded - encoded);
}

#[test]
fn a_last_change_that_was_lost_is_made_good() {
    for seed in 0..20 {
        let mut world = still(100 + seed);
        let watcher = world.watch(Path::GOOD);
        // Some part of the last change, or all of it, or the word that nothing changed after it.
        let to = world.watchers[watcher].on(Port::PICTURES);
        while world.departures().len() < 6 + seed as usize % 6 {
            world.run(ms(1));
        }
        let count = 1 + seed as usize * 4;
        world.lose.push(Lose { to, kind: Kind::OBJECT, object: Some(Type::PICTURE), count });
        // A picture has at least one datagram.
        let through = world.now + world.film.rate.at(count as u64);
        world.run(seconds(5));
        world.check(watcher);
        let shown = &world.watchers[watcher].seen.shown;
        let harmed = |(_, picture, _): &&(_, udpstream::proto::receiver::Ready, _)| picture.missing > 0;
        let whole = shown.iter().rfind(|(_, picture, _)| !picture.same).expect("a body");
        let last_harm = shown.iter().rfind(harmed).map_or(udpstream::units::Time::ZERO, |(at, ..)| *at);
        assert!(whole.0 >= last_harm && whole.1.missing == 0, "seed {seed}: what is seen last is not whole");
        assert!(whole.1.unit >= Unit(10), "seed {seed}: the last change is not seen");
        assert!(whole.0 < through + ms(300), "seed {seed}: made good {:?} after", whole.0.since(through));
        assert!(world.encoder.encoded < 40, "seed {seed}: {} encoded", world.encoder.encoded);
    }
}

#[test]
fn a_watcher_that_loses_much_is_sent_the_picture_again_and_nobody_else_is() {
    let mut world = still(200);
    world.record = true;
    let good = world.watch(Path::GOOD);
    let lossy = world.watch(Path { mtu: 1_200, ..Path::GOOD });
    world.run(seconds(2));
    world.path_down(lossy, Path { loss: 0.2, mtu: 1_200, ..Path::GOOD });
    // Something changes, and then nothing.
    world.encoder.still_from = Unit(world.departures().len() as u32 + 5);
    world.run(seconds(1));
    let (since, encoded) = (world.now, world.encoder.encoded);
    world.run(seconds(20));
    (0..2).for_each(|watcher| world.check(watcher));
    assert_eq!(world.encoder.encoded, encoded, "nothing is encoded for it");
    let bodies = |watcher: usize| {
        let to = world.watchers[watcher].address;
        world
            .sent
            .iter()
            .filter(|sent| sent.to == to && sent.at > since && sent.slice.is_some() && sent.bytes > 100)
            .count()
    };
    assert_eq!(bodies(good), 0, "the others are sent the word that nothing has changed");
    let shown = &world.watchers[lossy].seen.shown;
    let bodied: Vec<_> = shown.iter().filter(|(_, picture, _)| !picture.same).collect();
    let (at, last, _) = bodied.last().expect("a body");
    assert_eq!(last.missing, 0, "what it sees in the end is whole");
    assert!(bodied.len() > 12, "the regime: it took {} tries", bodied.len());
    assert!(at.since(since) < seconds(10), "and then it is left alone");
}

#[test]
fn a_loss_while_the_picture_stands_still_harms_nothing() {
    let mut world = still(201);
    world.record = true;
    let watcher = world.watch(Path::GOOD);
    world.run(seconds(2));
    let (since, encoded) = (world.now, world.encoder.encoded);
    world.path_down(watcher, Path { loss: 0.3, ..Path::GOOD });
    world.run(seconds(10));
    world.check(watcher);
    let counts = world.counts(watcher);
    assert!(counts.pictures.lost > 50 && counts.pictures.damaged == 0, "the regime: {counts:?}");
    // Only the word was lost, and whoever misses that sees the same.
    let bodies = world.sent.iter().filter(|sent| sent.at > since && sent.slice.is_some() && sent.bytes > 100).count();
    assert_eq!((bodies, world.encoder.encoded), (0, encoded));
}

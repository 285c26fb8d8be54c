//! Films on demand: each watcher has a timeline of its own, or shares one with its party; pauses, seeks, speeds, the end.

use std::rc::Rc;

use udpstream::proto::receiver::{Local, Played};
use udpstream::units::{MediaTime, Rate, Size, Speed, Time};
use udpstream::wire::StreamName;
use udpstream::wire::message::{Play, Seek, State};

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{Sent, World, ms, seconds};
use crate::projector::at;
use crate::random::Random;

/// Pictures of each film: two minutes at 25 a second.
const PICTURES: u32 = 3_000;

fn world(seed: u64, sound: bool) -> World {
    let film = Rc::new(Film::new(Size::new(160, 96), Rate::TYPICAL, 6));
    let mut world = World::with(seed, &film, Time::from_millis(60_000), |config, _| {
        config.sound_port = if sound { 9_687 } else { 0 };
    });
    world.open_library(PICTURES, sound, |_| {});
    world
}

fn film(name: &str) -> Option<StreamName> {
    Some(StreamName::parse(name).expect("a name"))
}

fn view(world: &mut World, path: Path) -> usize {
    world.watch_with(path, |config| config.stream = film("films/one"))
}

const PLAY: Play = Play { number: 1, paused: false, seek: None, speed: Speed::NORMAL };

fn seek(number: u32, millis: i64) -> Play {
    Play { number, seek: Some(Seek { to: at(millis), exact: true }), ..PLAY }
}

fn order(world: &mut World, watcher: usize, play: Play) {
    world.tell_watcher(watcher, Local::Play(play));
}

fn units(world: &World, watcher: usize, from: Time) -> Vec<u32> {
    let shown = world.watchers[watcher].seen.shown.iter().filter(|(at, ..)| *at >= from);
    shown.map(|(_, ready, _)| ready.unit.0).collect()
}

fn played(world: &World, watcher: usize) -> Played {
    world.watchers[watcher].seen.played.last().expect("it is told how the film is played").1
}

/// The pictures that were shown since then are those from this one on, without a gap.
fn assert_from(world: &World, watcher: usize, since: Time, first: u32, least: usize) {
    let units = units(world, watcher, since);
    assert!(units.len() >= least, "{units:?}");
    assert!(units.iter().zip(first..).all(|(unit, wanted)| *unit == wanted), "from {first}: {units:?}");
}

#[test]
fn a_film_plays_from_its_beginning_and_stands_at_its_end() {
    let mut world = world(1, true);
    world.open_library(100, true, |_| {});
    let watcher = view(&mut world, Path::GOOD);
    world.run(seconds(6));
    assert_eq!(units(&world, watcher, Time::ZERO), (0..100).collect::<Vec<_>>());
    let seen = &world.watchers[watcher].seen;
    let heard = seen.sound.iter().filter(|(_, _, came)| *came).count();
    assert!(heard >= 688, "{heard} chunks of four seconds");
    let (last, end) = (played(&world, watcher), MediaTime::from_micros(4_000_000));
    assert_eq!((last.state, last.media, seen.over.len()), (State::Ended, end, 0));
    // Ten minutes later somebody wants to see it once more.
    world.run(seconds(600));
    assert!(world.watchers[watcher].seen.troubles.is_empty() && world.server.machine.watchers() == 1);
    let now = world.now;
    order(&mut world, watcher, seek(2, 0));
    world.run(seconds(3));
    assert_from(&world, watcher, now, 0, 60);
    world.check_no_trouble(watcher);
}

#[test]
fn a_hundred_seeks_land_on_their_pictures_with_the_sound_in_step() {
    for (seed, path) in
        [(2, Path::GOOD), (3, Path { loss: 0.02, reorder: 0.02, held_back: ms(4), latency: ms(15), ..Path::GOOD })]
    {
        let mut world = world(seed, true);
        let watcher = view(&mut world, path);
        world.run(seconds(2));
        let mut random = Random::fork(seed, 99);
        for number in 2..102 {
            let place = (random.next() % 110_000) as i64;
            let since = world.now;
            order(&mut world, watcher, seek(number, place));
            world.run(ms(1_000));
            let seen = &world.watchers[watcher].seen;
            let told = played(&world, watcher);
            assert_eq!((told.obeyed, told.state), (number, State::Playing));
            let jumped = seen.played.iter().find(|(_, played)| played.jump == told.jump).expect("told").0;
            // Not one picture of the place before is shown once the new one is told of.
            let shown: Vec<u32> = seen.shown[seen.shown_before..].iter().map(|(_, ready, _)| ready.unit.0).collect();
            let wanted = (place / 40) as u32;
            assert!(shown.len() >= 15, "{number}: only {} shown at {place} ms", shown.len());
            assert_eq!(shown[0], wanted, "seek to {place} ms: {shown:?}");
            assert!(shown.windows(2).all(|pair| pair[0] < pair[1] && pair[1] <= pair[0] + 3), "{shown:?}");
            let first = seen.sound.iter().find(|(at, ..)| *at >= jumped).map(|(_, first, _)| *first).expect("sound");
            let heard = first as i64 * 10 / 441;
            assert!((heard - place).abs() < 60 || path.loss > 0.0 && (heard - place).abs() < 200, "{heard} {place}");
            assert!(jumped.since(since) < ms(300), "told after {:?}", jumped.since(since));
        }
        world.check_no_trouble(watcher);
    }
}

#[test]
fn a_film_stands_for_an_hour_and_goes_on_where_it_was() {
    let mut world = world(4, true);
    let watcher = view(&mut world, Path::GOOD);
    world.run(seconds(3));
    order(&mut world, watcher, Play { number: 2, paused: true, ..PLAY });
    world.run(ms(500));
    let stood = played(&world, watcher);
    let last = *units(&world, watcher, Time::ZERO).last().expect("something was shown");
    assert_eq!((stood.state, i64::from(last)), (State::Paused, stood.media.micros() / 40_000));
    let (now, sounds) = (world.now, world.watchers[watcher].seen.sound.len());
    world.run(seconds(3_600));
    assert!(units(&world, watcher, now).is_empty() && world.watchers[watcher].seen.sound.len() == sounds);
    let now = world.now;
    order(&mut world, watcher, Play { number: 3, ..PLAY });
    world.run(seconds(2));
    assert_from(&world, watcher, now, last, 40);
    world.check_no_trouble(watcher);
}

#[test]
fn who_seeks_while_a_film_stands_sees_one_picture() {
    let mut world = world(5, true);
    let watcher = view(&mut world, Path::GOOD);
    world.run(seconds(2));
    order(&mut world, watcher, Play { number: 2, paused: true, ..PLAY });
    world.run(ms(500));
    for (number, place) in (3..).zip([50_000, 50_040, 50_000, 119_990, 500_000]) {
        let now = world.now;
        order(&mut world, watcher, Play { paused: true, ..seek(number, place) });
        world.run(ms(600));
        let wanted = ((place / 40) as u32).min(PICTURES - 1);
        assert_eq!(units(&world, watcher, now), [wanted], "at {place} ms");
        let told = played(&world, watcher);
        assert_eq!((told.state, told.media), (State::Paused, at(i64::from(wanted) * 40)));
    }
    world.check_no_trouble(watcher);
}

#[test]
fn it_runs_faster_and_slower() {
    let mut world = world(6, true);
    let watcher = view(&mut world, Path::GOOD);
    world.run(seconds(2));
    for (number, num, den) in [(2, 2, 1), (3, 1, 2), (4, 3, 2), (5, 1, 1)] {
        let speed = Speed::new(num, den).expect("a usual speed");
        order(&mut world, watcher, Play { number, speed, ..PLAY });
        world.run(seconds(1));
        let now = world.now;
        world.run(seconds(4));
        let shown = units(&world, watcher, now).len() as u32;
        let wanted = 100 * num / den;
        assert!(shown.abs_diff(wanted) <= 2, "{num}/{den}: {shown}, not {wanted}");
        let heard = world.watchers[watcher].seen.sound.iter().filter(|(at, ..)| *at >= now).count() as u32;
        let wanted = 689 * num / den;
        assert!(heard.abs_diff(wanted) <= 8, "{num}/{den}: {heard} chunks, not {wanted}");
        assert_eq!(played(&world, watcher).speed, speed);
    }
    world.check_no_trouble(watcher);
}

#[test]
fn each_has_a_timeline_and_a_party_has_one() {
    let mut world = world(7, false);
    let alone = view(&mut world, Path::GOOD);
    world.run(seconds(2));
    let party = |config: &mut udpstream::proto::receiver::Config| {
        (config.stream, config.together) = (film("films/one"), Some("friends".to_owned()));
    };
    let first = world.watch_with(Path::GOOD, party);
    world.run(seconds(2));
    // What one who joins later orders at first is not for the others.
    let second = world.watch_with(Path::GOOD, |config| {
        party(config);
        config.play = Some(seek(1, 90_000));
    });
    world.run(seconds(2));
    let last = |world: &World, watcher| *units(world, watcher, Time::ZERO).last().expect("shown");
    let [own, one, other] = [alone, first, second].map(|watcher| last(&world, watcher));
    assert!(own.abs_diff(150) < 8 && one.abs_diff(100) < 8 && other.abs_diff(one) <= 1, "{own} {one} {other}");
    let now = world.now;
    order(&mut world, second, seek(2, 60_000));
    world.run(seconds(1));
    assert_eq!(units(&world, first, now + ms(60)).first(), Some(&1_500), "the party goes together");
    assert_eq!((played(&world, first).obeyed, played(&world, second).obeyed), (0, 2));
    assert_from(&world, alone, now, last(&world, alone) - units(&world, alone, now).len() as u32 + 1, 20);
    assert_eq!(world.projector().reels(), 2);
}

#[test]
fn streams_of_who_has_left_are_used_again() {
    let mut world = world(8, true);
    for n in 0..12 {
        let watcher = view(&mut world, Path::GOOD);
        world.run(seconds(1));
        assert!(units(&world, watcher, Time::ZERO).len() > 10, "watcher {n}");
        world.tell_watcher(watcher, Local::Stop);
        world.run(seconds(1));
        assert!(world.server.machine.watchers() == 0 && world.projector().reels() == 0);
    }
    assert_eq!(world.server.machine.keys().count(), 2, "the film of the world, and one more");
    assert_eq!((world.projector().viewed.len(), world.projector().vacated.len()), (12, 12));
}

#[test]
fn whoever_comes_back_goes_on_where_it_was() {
    let mut world = world(9, true);
    let watcher = world.watch_with(Path::GOOD, |config| {
        (config.stream, config.play) = (film("films/one"), Some(seek(1, 30_000)));
    });
    world.run(seconds(3));
    assert_from(&world, watcher, Time::ZERO, 750, 50);
    let before = *units(&world, watcher, Time::ZERO).last().expect("shown");
    world.restart_server(10);
    world.open_library(PICTURES, true, |_| {});
    world.run(seconds(6));
    let after: Vec<u32> = units(&world, watcher, Time::ZERO).into_iter().skip_while(|unit| *unit != before).collect();
    assert!(after.len() > 50 && after[1].abs_diff(before) <= 1, "{before} {after:?}");
}

#[test]
fn a_film_that_is_shared_is_nobodys_to_stop() {
    let mut world = world(11, false);
    world.open_library(100, false, |library| library.shared = true);
    let first = view(&mut world, Path::GOOD);
    world.run(seconds(1));
    let second = view(&mut world, Path::GOOD);
    order(&mut world, second, Play { number: 2, paused: true, ..PLAY });
    world.run(seconds(5));
    let last = |watcher| *units(&world, watcher, Time::ZERO).last().expect("shown");
    assert_eq!((last(first), last(second)), (99, 99));
    let over = |watcher: usize| world.watchers[watcher].seen.over.len();
    assert_eq!((over(first), over(second)), (1, 1), "it has ended");
}

#[test]
fn nothing_of_a_new_place_is_sent_before_it_was_told() {
    let mut world = world(12, false);
    let watcher = view(&mut world, Path { latency: ms(100), ..Path::GOOD });
    world.run(seconds(3));
    world.record = true;
    let now = world.now;
    order(&mut world, watcher, seek(2, 60_000));
    world.run(seconds(2));
    let slice = |sent: &Sent, from: u32| sent.slice.is_some_and(|(unit, _)| unit.0 >= from);
    let first = world.sent.iter().find(|sent| slice(sent, 1_500)).expect("the new place").at;
    // The order takes 100 ms, and so do the Update and the Report that acknowledges it.
    assert!(first >= now + ms(300), "after {:?}", first.since(now));
    let old = world.sent.iter().filter(|sent| !slice(sent, 1_500) && sent.slice.is_some());
    let late = old.map(|sent| sent.at).max().expect("the old place").since(now);
    assert!(late < ms(150), "the old place is sent for {late:?}");
}

impl World {
    fn check_no_trouble(&self, watcher: usize) {
        let seen = &self.watchers[watcher].seen;
        assert!(seen.troubles.is_empty() && seen.over.is_empty() && seen.refused == 0, "{:?}", seen.troubles);
    }
}

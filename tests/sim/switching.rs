//! A viewer's wishes from end to end: what plays goes on until the other stream is there, and nothing is lost by a pause.

use std::rc::Rc;
use std::time::Duration;

use udpstream::media::sound::Rendition;
use udpstream::proto::receiver::Local;
use udpstream::proto::server::{Event, StreamKey};
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::Kind;

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{Lose, SOUND, World, ms, seconds};
use crate::sources::{name, stream};

/// One picture interval.
const INTERVAL: Duration = Duration::from_millis(40);
/// 20 ms there and back.
const FAR: Path = Path { latency: Duration::from_millis(10), ..Path::GOOD };

fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(160, 96), Rate::new(25, 1).expect("25 fps"), 12))
}

/// A server of two films, "film" and "desk", both with sound.
fn two(seed: u64) -> (World, StreamKey) {
    let film = film();
    let mut world = World::with(seed, &film, Time::from_millis(60_000), |config, first| {
        config.sound_port = SOUND.port();
        *first = stream("film", &film, false, true);
    });
    let desk = world.open(stream("desk", &film, false, true));
    (world, desk)
}

/// When pictures were shown after a moment, since then.
fn shown_after(world: &World, n: usize, since: Time) -> Vec<Duration> {
    let shown = world.watchers[n].seen.shown.iter().filter(|(at, ..)| *at >= since);
    shown.map(|(at, ..)| at.since(since)).collect()
}

/// The longest time between two pictures from `since` on.
fn longest_gap(world: &World, n: usize, since: Time) -> Duration {
    let shown = shown_after(world, n, since);
    shown.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().expect("pictures")
}

#[test]
fn a_switch_takes_three_round_trips_and_a_picture() {
    for (seed, loudspeaker) in [(70, false), (71, true)] {
        let (mut world, _) = two(seed);
        // Both films run.
        world.watch_with(FAR, |config| config.stream = Some(name("desk")));
        let n = world.watch(FAR);
        if loudspeaker {
            world.tell_watcher(n, Local::Loudspeaker(Some(ms(30))));
        }
        world.run(seconds(2));
        let mut slowest = Duration::ZERO;
        for round in 0..24 {
            world.run(ms(700 + 7 * round));
            let (pressed, joined) = (world.now, world.watchers[n].seen.playing.len());
            world.tell_watcher(n, Local::Switch(Some(name(["desk", "film"][round as usize % 2]))));
            world.run(ms(300));
            let seen = &world.watchers[n].seen;
            assert_eq!((seen.playing.len(), seen.refused), (joined + 1, 0));
            let (there, _, rejoined) = *seen.playing.last().expect("switched");
            assert!(!rejoined && there.since(pressed) <= 2 * ms(20) + ms(1), "{:?}", there.since(pressed));
            // Two round trips are one picture interval: the old one is still seen meanwhile.
            assert!(seen.shown_between(pressed, there) >= 1, "round {round}: the old pictures stop");
            let first = seen.shown.iter().find(|(at, ..)| *at >= there).expect("a picture of the new stream").0;
            slowest = slowest.max(first.since(pressed));
        }
        assert!(slowest <= 3 * ms(20) + INTERVAL + ms(1), "{slowest:?}, loudspeaker: {loudspeaker}");
        assert!(world.watchers[n].seen.troubles.is_empty());
        let counts = world.counts(n);
        assert_eq!((counts.reconnects, counts.pictures.damaged, counts.traffic.rejected), (0, 0, 0), "{counts:?}");
        assert_eq!(world.server.machine.watchers(), 2, "one session took the place of the other");
    }
}

#[test]
fn a_switch_on_a_bad_path_ends_where_it_was_to() {
    for seed in 0..8 {
        let (mut world, desk) = two(80 + seed);
        let n = world.watch(Path { loss: 0.2, jitter: ms(8), ..FAR });
        world.run(seconds(2));
        for to in ["desk", "film", "nowhere", "desk"] {
            world.tell_watcher(n, Local::Switch(Some(name(to))));
            world.run(ms(seed * 9));
        }
        world.run(seconds(4));
        let sessions: Vec<_> = world.server.machine.sessions().map(|session| session.stream).collect();
        assert!(sessions.iter().all(|stream| *stream == desk) && !sessions.is_empty(), "{sessions:?}");
        assert!(shown_after(&world, n, world.now - seconds(1)).len() > 5);
    }
}

#[test]
fn a_pause_costs_the_server_nothing_and_the_watcher_nothing() {
    let (mut world, _) = two(90);
    world.record = true;
    let n = world.watch(FAR);
    world.run(seconds(2));
    world.tell_watcher(n, Local::Pause(true));
    world.run(ms(200));
    let paused = world.now;
    world.run(seconds(20));
    assert_eq!(shown_after(&world, n, paused), []);
    let departed = |(at, event): &(Time, Event)| *at > paused && matches!(event, Event::Departed { .. });
    assert!(!world.server.events.iter().any(departed), "nothing is sent, so nothing is encoded");
    assert!(world.watchers[n].seen.troubles.is_empty());
    let wants = world.sent.iter().filter(|sent| sent.kind == Kind::WANT).count();
    assert_eq!(wants, 1, "it was acknowledged");
    let resumed = world.now;
    world.tell_watcher(n, Local::Pause(false));
    world.run(seconds(2));
    let shown = shown_after(&world, n, resumed);
    assert!(shown[0] <= ms(20) + INTERVAL + ms(1), "{:?}", shown[0]);
    assert!(shown.len() >= 47, "{}", shown.len());
    let counts = world.counts(n);
    assert_eq!(
        (counts.pictures.lost, counts.pictures.late, counts.pictures.damaged, counts.reconnects),
        (0, 0, 0, 0),
        "{counts:?}"
    );
    world.check(n);
}

#[test]
fn a_pause_outlives_a_server() {
    let (mut world, _) = two(91);
    let n = world.watch_with(FAR, |config| config.stay = true);
    world.run(seconds(1));
    world.tell_watcher(n, Local::Pause(true));
    world.run(seconds(1));
    world.restart_server(92);
    let restarted = world.now;
    world.run(seconds(5));
    assert_eq!(world.watchers[n].seen.playing.len(), 2, "it is there again");
    assert_eq!(shown_after(&world, n, restarted), []);
    world.tell_watcher(n, Local::Pause(false));
    world.run(seconds(1));
    assert!(shown_after(&world, n, restarted).len() > 20);
}

#[test]
fn sound_goes_and_comes_and_no_picture_waits_for_it() {
    let (mut world, _) = two(93);
    let n = world.watch(FAR);
    world.tell_watcher(n, Local::Loudspeaker(Some(ms(60))));
    world.run(seconds(3));
    let begin = world.now;
    for _ in 0..3 {
        world.tell_watcher(n, Local::Sound(None));
        let off = world.now;
        world.run(seconds(2));
        let seen = &world.watchers[n].seen;
        assert!(seen.sound.iter().all(|(at, ..)| *at <= off), "nothing is heard");
        let late = |(at, _, due): &&(Time, _, Option<Time>)| {
            *at > off + ms(100) && due.is_none_or(|due| at.since(due) > ms(10) + ms(2))
        };
        assert_eq!(seen.shown.iter().filter(late).count(), 0, "pictures are shown when they come");
        world.tell_watcher(n, Local::Sound(Some(Rendition::Mono)));
        let on = world.now;
        world.run(seconds(2));
        let heard = world.watchers[n].seen.sound.iter().find(|(at, ..)| *at > on).expect("sound again").0;
        assert!(heard.since(on) <= 4 * ms(20), "{:?}", heard.since(on));
    }
    // The wait for sound comes and goes; no picture is left out.
    assert!(longest_gap(&world, n, begin) <= INTERVAL + ms(80), "{:?}", longest_gap(&world, n, begin));
    let counts = world.counts(n);
    assert_eq!(
        (counts.pictures.lost, counts.pictures.late, counts.pictures.thinned, counts.reconnects),
        (0, 0, 0, 0),
        "{counts:?}"
    );
    world.check(n);
}

#[test]
fn a_list_larger_than_a_datagram_comes_on_a_bad_path_while_pictures_go_on() {
    let film = film();
    let (mut world, _) = two(94);
    for at in 2..60 {
        world.open(stream(&format!("room-{at}/camera"), &film, true, false));
    }
    let n = world.watch(Path { loss: 0.2, ..FAR });
    world.run(seconds(2));
    let (to, asked) = (world.watchers[n].address, world.now);
    world.lose.push(Lose { to, kind: Kind::LISTING, object: None, count: 3 });
    world.tell_watcher(n, Local::List);
    world.run(seconds(4));
    let seen = &world.watchers[n].seen;
    let names: Vec<String> = seen.listings[0].iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(
        (seen.listings.len(), names.len(), names[1].as_str(), names[59].as_str()),
        (1, 60, "desk", "room-59/camera")
    );
    assert_eq!(seen.listings[0][0].watchers, 1);
    assert!(shown_after(&world, n, asked).len() > 50);
    assert_eq!(seen.playing.len(), 1, "the session is not disturbed");
}

#[test]
fn a_switch_to_pictures_that_are_too_large_leads_back() {
    let (mut world, _) = two(95);
    let mut huge = stream("huge", &film(), false, false);
    huge.description.size = Size::new(16_384, 16_384);
    world.open(huge);
    let n = world.watch_with(FAR, |config| config.stream = Some(name("desk")));
    world.run(seconds(1));
    let switched = world.now;
    world.tell_watcher(n, Local::Switch(Some(name("huge"))));
    world.run(seconds(1));
    let seen = &world.watchers[n].seen;
    let played: Vec<u64> = seen.playing.iter().map(|(_, stream, _)| *stream).collect();
    assert_eq!((played.len(), played[0], seen.refused), (2, played[1], 1), "what was there is there again");
    assert!(longest_gap(&world, n, switched) < ms(200), "{:?}", longest_gap(&world, n, switched));
}

//! When pictures leave: exactly on time for an hour, at half the rate when encoding is slow, and after a stall.

use std::rc::Rc;
use std::time::Duration;

use udpstream::proto::{Machine, Output, server};
use udpstream::units::{MediaTime, Rate, Size, Time, Unit};

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{State, World, ms, seconds};

fn tiny(num: u32, den: u32) -> Rc<Film> {
    Rc::new(Film::new(Size::new(32, 32), Rate::new(num, den).expect("a usual rate"), 0))
}

/// An hour across the moment at which the clock on the wire wraps.
fn an_hour(num: u32, den: u32) {
    let film = tiny(num, den);
    let begin = Time::from_micros(u64::from(u32::MAX)) - seconds(1_800);
    let mut world = World::with(u64::from(num), &film, begin, |_, _| {});
    world.lateness = Duration::from_micros(1_500);
    world.watch(Path { jitter: ms(2), ..Path::GOOD });
    world.run(seconds(3_600));

    let start = world.started();
    let departures = world.departures();
    let expected = film.rate.index_at(world.now.since(start));
    assert!(departures.len() as u64 >= expected, "{} of {expected}", departures.len());
    for (n, (unit, due, at)) in departures.iter().enumerate() {
        assert_eq!(*unit, Unit(n as u32), "none is skipped");
        let media = film.rate.media_time(n as u64);
        assert_eq!(*due, start + media.since(MediaTime::ZERO), "nothing accumulates");
        assert!(at.signed_since(*due) >= 0 && at.since(*due) < ms(2), "{unit:?} left {:?} late", at.since(*due));
    }
    world.check(0);
    let counts = world.counts(0);
    assert_eq!(
        (counts.pictures.lost, counts.pictures.late, counts.pictures.thinned, counts.pictures.damaged),
        (0, 0, 0, 0),
        "{counts:?}"
    );
    assert_eq!(world.watchers[0].seen.lost, 0, "the server was always there");
    assert!(counts.pictures.shown + 2 >= departures.len() as u64);
    for (at, picture, due) in world.watchers[0].seen.shown.iter().skip(100) {
        let due = due.expect("the timeline is known");
        let error = due.signed_since(start + film.rate.at(u64::from(picture.unit.0))).unsigned_abs();
        assert!(error < 2_500_000, "the clocks are {error} ns apart");
        assert!(at.since(due) < ms(8));
    }
}

#[test]
fn an_hour_at_23_976_fps() {
    an_hour(24_000, 1_001);
}

#[test]
fn an_hour_at_25_fps() {
    an_hour(25, 1);
}

#[test]
fn an_hour_at_29_97_fps() {
    an_hour(30_000, 1_001);
}

#[test]
fn an_hour_at_30_fps() {
    an_hour(30, 1);
}

#[test]
fn an_hour_at_60_fps() {
    an_hour(60, 1);
}

#[test]
fn an_uneven_film_is_seen_at_its_own_times_and_its_last_picture_as_long_as_it_lasts() {
    // Slides, a burst at 100 pictures a second, nothing for seven seconds, and a last slide of five.
    let slides = [0, 2_000, 4_000].into_iter();
    let stamps: Vec<_> = slides.chain((400..500).map(|n| n * 10 + 50)).chain([12_000, 17_000]).collect();
    for latency in [0, 300] {
        let mut film = Film::new(Size::new(32, 32), Rate::new(12, 1).expect("a usual rate"), 0);
        film.stamps.clone_from(&stamps);
        let film = Rc::new(film);
        let mut world = World::new(7, &film);
        world.encoder.length = film.stamps.len() as u32 - 1;
        world.watch_with(Path::GOOD, |config| config.latency = ms(latency));
        world.run(seconds(25));
        let start = world.started();
        let watcher = &world.watchers[0].seen;
        assert_eq!(watcher.shown.len(), film.stamps.len() - 1, "each once");
        for ((at, picture, _), stamp) in watcher.shown.iter().zip(&film.stamps) {
            assert_eq!(picture.media_time.micros(), stamp * 1_000);
            let off = at.signed_since(start + ms(stamp.unsigned_abs() + latency));
            assert!((-2_000_000..20_000_000).contains(&off), "the picture of {stamp} ms is {off} ns late");
        }
        let over = watcher.over[0].0.since(start + ms(17_000 + latency));
        assert!(watcher.over[0].0 >= start + ms(17_000 + latency) && over < ms(500), "over {over:?} after that");
        let stalls = world.server.events.iter().filter(|(_, event)| matches!(event, server::Event::Stalled { .. }));
        assert_eq!(stalls.count(), 0);
    }
}

#[test]
fn who_comes_while_a_slide_stands_is_sent_it() {
    let mut film = Film::new(Size::new(32, 32), Rate::new(1, 20).expect("a slide"), 0);
    film.stamps = vec![0, 20_000, 40_000];
    let mut world = World::new(8, &Rc::new(film));
    world.encoder.length = 2;
    world.watch(Path::GOOD);
    world.run(seconds(25));
    let came = world.now;
    world.watch(Path::GOOD);
    world.run(seconds(5));
    for (watcher, slides) in [(0, 2), (1, 1)] {
        assert_eq!(world.watchers[watcher].seen.shown.len(), slides, "once each");
        world.check(watcher);
    }
    let (at, picture, _) = world.watchers[1].seen.shown[0];
    assert!(picture.unit == Unit(1) && at.since(came) < ms(500), "{:?} after {:?}", picture.unit, at.since(came));
    assert_eq!(world.counts(1).pictures.thinned + world.counts(1).pictures.lost, 0);
}

/// The shortest and the longest time between departures.
fn gaps(departures: &[(Unit, Time, Time)]) -> (Duration, Duration) {
    let gaps = departures.windows(2).map(|pair| pair[1].2.since(pair[0].2));
    (gaps.clone().min().expect("departures"), gaps.max().expect("departures"))
}

#[test]
fn encoding_that_takes_two_intervals_halves_the_rate() {
    for (num, den) in [(24_000, 1_001), (25, 1), (30_000, 1_001), (30, 1), (60, 1)] {
        let film = tiny(num, den);
        let interval = film.rate.interval();
        let mut world = World::new(1, &film);
        world.encoder.cost = interval * 2;
        world.watch(Path::GOOD);
        world.run(seconds(2));
        let from = world.departures().len();
        world.run(seconds(60));
        let departures = &world.departures()[from..];
        let fps = departures.len() as f64 / 60.0;
        assert!((fps - film.rate.fps() / 2.0).abs() < film.rate.fps() * 0.1, "{fps} of {}", film.rate);
        let (shortest, longest) = gaps(departures);
        assert!(shortest >= interval / 2 && longest <= interval * 3, "{shortest:?} … {longest:?} at {interval:?}");
        assert!(world.encoder.skipped > 0);
        world.check(0);
    }
}

#[test]
fn a_source_that_stalls_goes_on_where_it_was() {
    for lateness in [0, 500] {
        let film = tiny(30, 1);
        let interval = film.rate.interval();
        let mut world = World::new(2, &film);
        world.lateness = Duration::from_micros(lateness);
        world.encoder.stall = world.now + seconds(5)..world.now + seconds(35);
        world.watch(Path::GOOD);
        world.run(seconds(60));
        let departures = world.departures();
        let (shortest, longest) = gaps(&departures);
        assert!(shortest >= interval / 2, "a burst: {shortest:?}");
        assert!(longest > seconds(29) && longest < seconds(31), "{longest:?}");
        for (n, (unit, ..)) in departures.iter().enumerate() {
            assert_eq!(*unit, Unit(n as u32), "nothing is lost");
        }
        let stalls = world.server.events.iter().filter(|(_, event)| matches!(event, server::Event::Stalled { .. }));
        assert_eq!(stalls.count(), 1);
        assert_eq!(world.server.machine.demand(world.server.key, 0).schedule.expect("runs").generation(), 2);
        // The watcher was kept company, and was told of the new timeline.
        assert_eq!((world.watchers[0].seen.lost, world.counts(0).reconnects), (0, 0));
        let (at, _, due) = world.watchers[0].seen.shown.last().expect("shown");
        assert!(at.since(due.expect("known")) < ms(5), "{at:?} {due:?}");
        world.check(0);
        assert_eq!(
            world.counts(0).pictures.shown,
            u64::from(world.watchers[0].seen.shown.last().expect("shown").1.unit.0) + 1
        );
    }
}

#[test]
fn a_stopped_server_recovers_without_a_burst() {
    let film = tiny(30, 1);
    let interval = film.rate.interval();
    let mut world = World::new(3, &film);
    world.watch(Path::GOOD);
    world.run(seconds(5));
    world.server_state(State::Stopped);
    world.run(seconds(30));
    let back = world.now;
    world.server_state(State::Running);
    world.run(seconds(10));

    let departures = world.departures();
    let (shortest, longest) = gaps(&departures);
    assert!(shortest >= interval / 2, "a burst: {shortest:?}");
    assert!(longest < seconds(31), "{longest:?}");
    // Everybody had fallen silent, so at most what was due until they are back goes uncoded.
    let (first, last) = (departures[0].0.0, departures[departures.len() - 1].0.0);
    let skipped = (last - first + 1) as usize - departures.len();
    assert!(skipped <= 15, "{skipped} pictures were lost");
    let seen = &world.watchers[0].seen;
    let again = seen.shown.iter().find(|(at, ..)| *at > back).expect("shown again");
    assert!(again.0.since(back) < ms(600), "{:?}", again.0.since(back));
    assert!(seen.shown_between(back + seconds(1), world.now) >= 268, "{:?}", world.counts(0));
    assert_eq!(seen.lost, 1);
}

/// Whoever hears that a picture has departed wakes the encoder, which would take the processor from sending.
#[test]
fn a_picture_is_sent_before_anybody_is_told_that_it_departs() {
    let film = tiny(30, 1);
    let mut world = World::new(9, &film);
    world.watch(Path::GOOD);
    world.run(seconds(2));
    let last = world.departures().last().expect("pictures").1;
    let due = last + film.rate.interval() + Duration::from_micros(1);
    world.run_until(due - ms(1));
    let mut outputs = Vec::new();
    loop {
        match world.server.machine.poll(due) {
            Output::Wait(..) => break,
            output => outputs.push(output),
        }
    }
    let sent = outputs.iter().take_while(|output| matches!(output, Output::Send(_))).count();
    let told = |output: &_| matches!(output, Output::Event(server::Event::Departed { .. }));
    assert!(sent > 0 && outputs[sent..].iter().any(told), "{outputs:?}");
    assert!(outputs[sent..].iter().all(|output| matches!(output, Output::Event(_))), "{outputs:?}");
}

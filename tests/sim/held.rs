//! What a watcher holds: pictures and sound for as long as the viewer has chosen, and no more bytes than it has room for.

use std::rc::Rc;
use std::time::Duration;

use udpstream::media::sound::{FRAMES, media_time};
use udpstream::proto::receiver::{Local, MAX_LATENCY};
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::{Kind, SizeClass};

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{Lose, SOUND, World, ms, seconds};

fn film(fps: u32) -> Rc<Film> {
    Rc::new(Film::new(Size::new(320, 240), Rate::new(fps, 1).expect("a rate"), 8))
}

#[test]
fn whatever_latency_is_chosen_every_picture_is_shown_at_its_time() {
    for (fps, latency) in [(30, seconds(3)), (60, seconds(3)), (60, MAX_LATENCY)] {
        let mut world = World::new(1, &film(fps));
        let watcher = world.watch_with(Path::GOOD, |config| config.latency = latency);
        world.run(seconds(30));
        world.check(watcher);
        let counts = world.counts(watcher);
        let bad = [
            counts.pictures.lost,
            counts.pictures.late,
            counts.pictures.thinned,
            counts.pictures.damaged,
            counts.traffic.rejected,
            counts.duplicates(),
        ];
        assert_eq!(bad, [0; 6], "{fps} fps, {latency:?}: {counts:?}");
        let wanted = u64::from(fps) * (30 - latency.as_secs()) - u64::from(fps) / 10;
        assert!(counts.pictures.shown >= wanted, "{fps} fps, {latency:?}: {counts:?}");
        let shown = &world.watchers[watcher].seen.shown;
        let late = |(at, _, due): &(Time, _, Option<Time>)| at.since(due.expect("known") + latency);
        assert!(shown.iter().all(|picture| late(picture) < ms(1)), "each at its time");
    }
}

/// Loss is read from hop sequences, and these must be remembered until the pictures between them are shown.
#[test]
fn what_was_lost_is_told_from_what_was_skipped_however_long_pictures_are_held() {
    // Some 14 slices a picture: 8 400 datagrams in ten seconds.
    let film = Rc::new(Film::new(Size::new(320, 240), Rate::new(60, 1).expect("60 fps"), 16));
    let mut world = World::new(2, &film);
    let watcher = world.watch_with(Path::GOOD, |config| {
        config.latency = MAX_LATENCY;
        config.max_datagram = SizeClass::ANY.datagram() as u16;
    });
    world.run(seconds(2));
    world.path_down(watcher, Path { loss: 1.0, ..Path::GOOD });
    world.run(ms(200));
    world.path_down(watcher, Path::GOOD);
    world.run(seconds(15));
    world.check(watcher);
    let counts = world.counts(watcher);
    assert!((8..=16).contains(&counts.pictures.lost) && counts.pictures.thinned == 0, "{counts:?}");
}

#[test]
fn sound_is_heard_with_its_pictures_however_long_they_are_held() {
    let mut world = World::with(3, &film(30), Time::from_millis(60_000), |config, stream| {
        stream.description.sound = true;
        config.sound_port = SOUND.port();
    });
    // A lost chunk is waited for until it is to be heard, and all that come meanwhile wait behind it.
    let path = Path { loss: 0.01, ..Path::GOOD };
    let n = world.watch_with(path, |config| config.latency = MAX_LATENCY);
    world.tell_watcher(n, Local::Loudspeaker(Some(ms(30))));
    world.run(seconds(40));
    let seen = &world.watchers[n].seen;
    let heard: Vec<u64> = seen.sound.iter().map(|(_, first, _)| first / FRAMES as u64).collect();
    assert!(heard.windows(2).all(|pair| pair[1] == pair[0] + 1) && heard.len() > 4_500, "{}", heard.len());
    let lost = seen.sound.iter().filter(|(.., came)| !came).count();
    assert!(lost <= 2, "{lost} of {}: there is time to ask again", heard.len());
    let zero = seen.zero.last().expect("told").1;
    let late = |(at, first, _): &&(Time, u64, bool)| zero.offset(media_time(*first).micros() * 1_000) < *at;
    assert_eq!(seen.sound.iter().filter(late).count(), 0);
}

/// As on a machine that is switched on every morning and shows what a camera sends day and night.
#[test]
fn a_stream_may_have_begun_before_the_watchers_machine() {
    let mut world = World::with(5, &film(30), Time::from_millis(60_000), |config, stream| {
        (stream.description.sound, stream.no_wait) = (true, true);
        config.sound_port = SOUND.port();
    });
    world.run(seconds(100));
    let (latency, booted) = (ms(500), seconds(20));
    let n = world.watch_booted(booted, Path::GOOD, |config| config.latency = latency);
    let silent = world.watch_booted(booted, Path::GOOD, |config| (config.latency, config.sound) = (latency, None));
    world.tell_watcher(n, Local::Loudspeaker(Some(ms(30))));
    world.run(seconds(5));
    for watcher in [n, silent] {
        world.check(watcher);
        let counts = world.counts(watcher);
        assert!(counts.pictures.shown > 125 && counts.traffic.rejected == 0, "{counts:?}");
        let node = &world.watchers[watcher];
        let late = |(at, _, due): &(Time, _, Option<Time>)| node.local(*at).signed_since(due.expect("known") + latency);
        assert!(node.seen.shown.iter().all(|picture| late(picture).abs() < 1_000_000), "each at its time");
    }
    let seen = &world.watchers[n].seen;
    let zero = seen.zero.last().expect("told").1;
    assert!(zero.signed_since(Time::ZERO) < -70_000_000_000, "{zero:?}: before there was a clock");
    assert!(seen.sound.len() > 700 && seen.sound.iter().all(|(.., came)| *came), "{} chunks", seen.sound.len());
}

/// What is held is shown at its time although the new session does not know the timeline yet, and what was sent while
/// nobody heard it is lost.
#[test]
fn a_rejoin_throws_nothing_away_that_is_held() {
    let mut world = World::new(6, &film(30));
    let (latency, away) = (seconds(6), ms(3_500));
    let n = world.watch_with(Path::GOOD, |config| config.latency = latency);
    world.run(seconds(10));
    // Of some of what is held every second picture was skipped by the server.
    world.encoder.cost = world.film.rate.interval() * 2;
    world.run(seconds(2));
    world.encoder.cost = Duration::ZERO;
    world.run(seconds(1));
    world.path(n, Path { loss: 1.0, ..Path::GOOD });
    world.run(away);
    world.path(n, Path::GOOD);
    // The timeline is told again 100 ms later.
    let to = world.watchers[n].address;
    world.lose.push(Lose { to, kind: Kind::UPDATE, object: None, count: 2 });
    world.run(seconds(12));
    let counts = world.counts(n);
    assert_eq!((counts.reconnects, counts.pictures.late, counts.pictures.damaged), (1, 0, 0), "{counts:?}");
    assert_eq!(counts.pictures.away, counts.pictures.lost, "all between the sessions: {counts:?}");
    assert!((20..45).contains(&counts.pictures.thinned), "{counts:?}");
    let sum = counts.pictures.shown + counts.pictures.lost + counts.pictures.thinned;
    let [first, .., last] = &world.watchers[n].seen.shown[..] else { panic!("nothing shown") };
    assert_eq!(sum, u64::from(last.1.unit.0 - first.1.unit.0 + 1), "{counts:?}");
    assert!((100..135).contains(&counts.pictures.lost), "{counts:?}");
    for (at, picture, due) in &world.watchers[n].seen.shown {
        let meant = due.unwrap_or(picture.first_at) + latency;
        assert!(at.signed_since(meant).abs() < 2_000_000, "{picture:?} at {at:?}, not {meant:?}");
    }
}

/// A picture of 1.2 MB, thirty times a second: 128 MiB are full after some four seconds. Then pictures are shown sooner, and none is
/// refused.
#[test]
fn where_there_is_no_room_for_the_latency_pictures_are_shown_sooner() {
    let film = Rc::new(Film::new(Size::new(2_560, 1_920), Rate::new(30, 1).expect("30 fps"), 25));
    let mut world = World::new(4, &film);
    let watcher = world.watch_with(Path::GOOD, |config| config.latency = seconds(8));
    world.run(seconds(7));
    world.check(watcher);
    let counts = world.counts(watcher);
    let bad = [counts.pictures.lost, counts.pictures.late, counts.pictures.damaged, counts.traffic.rejected];
    assert!(bad == [0; 4] && counts.pictures.shown > 30, "{counts:?}");
    let after = |(at, _, due): &(Time, _, Option<Time>)| at.since(due.expect("known"));
    let shown = &world.watchers[watcher].seen.shown;
    let held: Vec<Duration> = shown.iter().map(after).collect();
    assert!(held.iter().all(|held| (seconds(2)..seconds(6)).contains(held)), "{held:?}");
}

#[test]
fn a_loudspeaker_that_opens_late_is_told_when_the_sound_began() {
    let mut world = World::with(7, &film(30), Time::from_millis(60_000), |config, stream| {
        stream.description.sound = true;
        config.sound_port = SOUND.port();
    });
    let n = world.watch_with(Path::GOOD, |config| config.latency = ms(500));
    world.run(seconds(2));
    let told = world.watchers[n].seen.zero.len();
    assert!(told > 0 && !world.watchers[n].seen.sound.is_empty(), "sound came already");
    for needs in [Some(ms(30)), Some(ms(40)), None] {
        world.tell_watcher(n, Local::Loudspeaker(needs));
        world.run(ms(100));
        assert_eq!(world.watchers[n].seen.zero.len(), told + 1);
    }
}

//! Sound on a path that has no room for samples: coded units in the place of chunks, without a gap at the change.

use std::rc::Rc;

use udpstream::media::sound::{CODED_FRAMES, FRAMES, Rendition, SWITCH_UNITS};
use udpstream::proto::receiver::Local;
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::Kind;
use udpstream::wire::object::Type;

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{Lose, SOUND, World, ms, seconds};

fn world(seed: u64, live: bool) -> World {
    let film = Rc::new(Film::new(Size::new(160, 96), Rate::new(30, 1).expect("30 fps"), 12));
    World::with(seed, &film, Time::from_millis(60_000), |config, stream| {
        (stream.description.sound, stream.description.live) = (true, live);
        config.sound_port = SOUND.port();
    })
}

fn ask(world: &mut World, watcher: usize, rendition: Rendition) {
    world.tell_watcher(watcher, Local::Sound(Some(rendition)));
}

/// Pieces follow each other without a gap and none is heard twice; returns how many frames were heard.
fn seamless(world: &World, watcher: usize) -> u64 {
    let frames = &world.watchers[watcher].seen.frames;
    let broken = frames.windows(2).find(|pair| pair[1].0 != pair[0].0 + pair[0].1);
    assert_eq!(broken, None, "{frames:?}");
    frames.last().map_or(0, |last| last.0 + last.1) - frames.first().map_or(0, |first| first.0)
}

#[test]
fn from_chunks_to_units_and_back_nothing_is_missing_and_nothing_is_heard_twice() {
    for (seed, millis) in [(1, 1_000), (2, 1_033), (3, 1_071), (4, 1_090)] {
        let mut world = world(seed, false);
        (world.chunks, world.encoder.length) = (1_000, 150);
        let n = world.watch(Path::GOOD);
        world.run(ms(millis));
        let order = [Rendition::Coded, Rendition::Stereo, Rendition::Mono, Rendition::Coded, Rendition::Mono];
        for rendition in order {
            ask(&mut world, n, rendition);
            world.run(ms(700));
        }
        world.run(seconds(10));
        assert_eq!(seamless(&world, n), 1_000 * FRAMES as u64);
        let counts = *world.watchers[n].machine.sound_counts();
        assert_eq!((counts.lost, counts.late, counts.duplicates), (0, 0, 0), "{counts:?}");
        let coded = &world.watchers[n].seen.coded;
        let begun: Vec<u32> = coded.iter().filter(|(_, warm)| *warm).map(|(number, _)| *number).collect();
        assert_eq!(begun.len(), 2, "twice it went over to units, warm: {coded:?}");
        assert!(begun.iter().all(|number| number.is_multiple_of(SWITCH_UNITS)), "{begun:?}");
        assert!(coded.len() > 40, "{} units", coded.len());
        world.check(n);
    }
}

#[test]
fn who_hears_units_hears_them_to_the_end_of_the_stream() {
    for chunks in [990, 1_000, 1_003, 1_007] {
        let mut world = world(5, false);
        (world.chunks, world.encoder.length) = (chunks, 150);
        let n = world.watch_with(Path::GOOD, |config| config.sound = Some(Rendition::Coded));
        world.run(seconds(12));
        assert_eq!(seamless(&world, n), u64::from(chunks) * FRAMES as u64);
        let seen = &world.watchers[n].seen;
        assert_eq!((seen.sound_over, seen.finished.is_some()), (1, true));
        let counts = *world.watchers[n].machine.sound_counts();
        assert_eq!((counts.lost, counts.late), (0, 0), "{counts:?}");
        let units = world.watchers[n].seen.coded.len() as u64;
        assert!(units * CODED_FRAMES as u64 > u64::from(chunks - 80) * FRAMES as u64, "{units} units");
        world.check(n);
    }
}

#[test]
fn coded_sound_takes_a_twelfth_of_the_path() {
    let rate = |rendition: Rendition| {
        let mut world = world(6, false);
        world.watch_with(Path::GOOD, |config| config.sound = Some(rendition));
        world.run(seconds(1));
        world.record = true;
        world.run(seconds(10));
        let sound = world.sent.iter().filter(|sent| sent.chunk.is_some());
        // 28 bytes more are the headers of UDP and IPv4.
        let bits = sound.map(|sent| (sent.bytes as u64 + 28) * 8).sum::<u64>() / 10;
        let wanted = rendition.bitrate().as_bps();
        assert!(bits.abs_diff(wanted) < wanted / 50, "{rendition:?}: {bits} {wanted}");
    };
    [Rendition::Stereo, Rendition::Mono, Rendition::Coded].into_iter().for_each(rate);
}

#[test]
fn a_live_stream_changes_without_a_gap_too_and_waits_for_units() {
    let mut world = world(7, true);
    world.microphone = Some(world.now);
    world.encoder.stall = Time::ZERO..Time::NEVER;
    let n = world.watch(Path::GOOD);
    world.tell_watcher(n, Local::Loudspeaker(Some(ms(30))));
    world.run(seconds(2));
    ask(&mut world, n, Rendition::Coded);
    world.run(seconds(2));
    ask(&mut world, n, Rendition::Stereo);
    world.run(seconds(2));
    let heard = seamless(&world, n);
    let counts = *world.watchers[n].machine.sound_counts();
    assert!(heard > 0 && counts.lost == 0 && counts.late == 0, "{counts:?}");
}

#[test]
fn what_is_lost_at_a_change_leaves_a_gap_of_its_own_length() {
    for (seed, count) in [(10, 1), (11, 1), (12, 2), (13, 3), (14, 6), (15, 12)] {
        for after in 0..30 {
            let mut world = world(seed, false);
            let n = world.watch(Path::GOOD);
            world.tell_watcher(n, Local::Loudspeaker(Some(ms(30))));
            world.run(seconds(1));
            ask(&mut world, n, Rendition::Coded);
            world.run(ms(after * 20));
            let to = world.watchers[n].on(udpstream::proto::Port::SOUND);
            world.lose.push(Lose { to, kind: Kind::OBJECT, object: Some(Type::SOUND), count });
            world.run(ms(400));
            ask(&mut world, n, Rendition::Stereo);
            world.run(seconds(1));
            seamless(&world, n);
            let counts = *world.watchers[n].machine.sound_counts();
            assert!(counts.duplicates == 0 && counts.late <= 1, "{counts:?}");
            assert!(counts.lost <= 4 * count as u64, "{count} datagrams after {after}: {counts:?}");
        }
    }
}

#[test]
fn loss_reorder_and_jitter_make_gaps_and_nothing_else() {
    for seed in 20..26 {
        let mut world = world(seed, false);
        let path = Path { loss: 0.03, jitter: ms(20), ..Path::GOOD };
        let n = world.watch(path);
        world.tell_watcher(n, Local::Loudspeaker(Some(ms(30))));
        world.run(seconds(1));
        for turn in 0..12 {
            let order = [Rendition::Coded, Rendition::Mono, Rendition::Coded, Rendition::Stereo];
            ask(&mut world, n, order[turn % 4]);
            world.run(ms(450));
        }
        seamless(&world, n);
        let counts = *world.watchers[n].machine.sound_counts();
        let share = counts.lost as f64 / (counts.lost + counts.chunks) as f64;
        assert!(share < 0.12, "{counts:?}");
        assert!(world.watchers[n].seen.coded.len() > 60, "{counts:?}");
        world.check(n);
    }
}

//! Sound beside the pictures: its own lane, in step with them, whole, and without harm to anybody.

use std::rc::Rc;
use std::time::Duration;

use udpstream::media::sound::{Chunk, FRAMES, Rendition, media_time};
use udpstream::proto::receiver::{Local, Over};
use udpstream::proto::server::{self, Event};
use udpstream::units::{MediaTime, Rate, Size, Time, Unit};
use udpstream::wire::message::bye;
use udpstream::wire::object::{ObjectHeader, Type, flags};
use udpstream::wire::tlv::Tlvs;
use udpstream::wire::{Description, Hop, Kind, Message};

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{Lose, SOUND, Sent, State, World, address, chunk, description, ms, seconds};

fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(160, 96), Rate::new(30, 1).expect("30 fps"), 12))
}

/// A world whose film has sound.
fn world(seed: u64) -> World {
    World::with(seed, &film(), Time::from_millis(60_000), |config, stream| {
        stream.description.sound = true;
        config.sound_port = SOUND.port();
    })
}

/// Chunks handed out, and how many of them had been lost.
fn heard(world: &World, watcher: usize) -> (Vec<u64>, usize) {
    let sound = &world.watchers[watcher].seen.sound;
    let numbers = sound.iter().map(|(_, first, _)| first / FRAMES as u64).collect();
    (numbers, sound.iter().filter(|(.., came)| !came).count())
}

fn loudspeaker(world: &mut World, watcher: usize, needs: Duration) {
    world.tell_watcher(watcher, Local::Loudspeaker(Some(needs)));
}

#[test]
fn who_is_there_from_the_start_hears_every_chunk_to_the_end() {
    let mut world = world(1);
    world.chunks = 1_000;
    world.encoder.length = 150;
    let n = world.watch(Path::GOOD);
    loudspeaker(&mut world, n, ms(30));
    world.run(seconds(3));
    world.run(seconds(10));
    let (numbers, lost) = heard(&world, n);
    assert_eq!((numbers, lost), ((0..1_000).collect(), 0), "every chunk, in order");
    let counts = *world.watchers[n].machine.sound_counts();
    assert_eq!((counts.chunks, counts.lost, counts.late, counts.duplicates), (1_000, 0, 0, 0));
    // 150 pictures take 5 s, 1 000 chunks 5.8 s: the stream ends with the sound, and not before it has been heard.
    let (zero, finished) = (world.watchers[n].seen.zero.last().expect("told").1, world.watchers[n].seen.finished);
    let end = zero.offset(media_time(1_000 * FRAMES as u64).micros() * 1_000);
    assert!(finished.is_some_and(|at| at >= end && at < end + ms(300)), "{finished:?} {end:?}");
    assert_eq!((world.watchers[n].seen.over.len(), world.watchers[n].seen.sound_over), (1, 1));
    assert_eq!((world.counts(n).pictures.shown, world.counts(n).pictures.lost), (150, 0));
    world.check(n);
}

#[test]
fn sound_leaves_before_the_pictures_of_its_time_and_pictures_leave_as_without_it() {
    let run = |sound: bool| {
        let mut world = world(2);
        world.record = true;
        world.watch_with(Path::GOOD, |config| config.sound = sound.then_some(Rendition::Stereo));
        world.run(seconds(5));
        world
    };
    let (with, without) = (run(true), run(false));
    let departures = |world: &World| {
        let started = world.started();
        let relative = |(unit, due, at): (_, Time, Time)| (unit, due.since(started), at.since(started));
        world.departures().into_iter().map(relative).collect::<Vec<_>>()
    };
    let (a, b) = (departures(&with), departures(&without));
    assert!(a.len() > 140 && a[..140] == b[..140], "no picture leaves a moment later because of sound");
    let start = with.started();
    let sound: Vec<&Sent> = with.sent.iter().filter(|sent| sent.chunk.is_some()).collect();
    assert!(sound.len() > 800, "{}", sound.len());
    for sent in sound {
        let due = start.offset(media_time(u64::from(sent.chunk.expect("sound")) * FRAMES as u64).micros() * 1_000);
        assert!(sent.from == SOUND && due >= sent.at + ms(50) || sent.at <= start + ms(60), "{sent:?} due {due:?}");
    }
    assert!(without.sent.iter().all(|sent| sent.chunk.is_none() && sent.from != SOUND));
}

#[test]
fn a_blocked_sound_port_costs_half_a_second_and_no_sound() {
    let mut world = world(3);
    world.lose.push(Lose { to: SOUND, kind: Kind::HELLO, object: None, count: usize::MAX });
    let n = world.watch(Path { loss: 0.02, ..Path::GOOD });
    world.run(seconds(5));
    let (numbers, lost) = heard(&world, n);
    assert!(numbers.len() > 650 && lost < numbers.len() / 20, "{} chunks, {lost} lost", numbers.len());
    let first = world.watchers[n].seen.sound[0].0;
    assert!(first < Time::from_millis(62_000), "{first:?}");
    world.check(n);
}

#[test]
fn mono_is_half_the_bytes_and_sound_alone_is_enough() {
    let bytes = |rendition| {
        let mut world = world(4);
        world.record = true;
        let n = world.watch_with(Path::GOOD, |config| config.sound = Some(rendition));
        world.run(seconds(3));
        assert!(heard(&world, n).0.len() > 400);
        world.sent.iter().filter(|sent| sent.chunk.is_some()).map(|sent| sent.bytes).max()
    };
    assert_eq!((bytes(Rendition::Stereo), bytes(Rendition::Mono)), (Some(1_088), Some(576)));

    let mut world = world(5);
    let n = world.watch_with(Path::GOOD, |config| config.servers = vec![SOUND].into());
    world.run(seconds(3));
    assert!(heard(&world, n).0.len() > 400, "whoever joins the sound port hears");
    assert_eq!((world.counts(n).pictures.shown, world.departures().len()), (0, 0), "nothing is encoded for ears");
    assert_eq!(world.server.machine.watchers(), 1);
}

#[test]
fn two_lanes_are_one_watcher_and_leave_together() {
    let mut world = world(6);
    let n = world.watch(Path::GOOD);
    world.run(seconds(1));
    assert_eq!((world.server.machine.watchers(), world.server.machine.sessions().count()), (1, 1));
    world.tell_watcher(n, Local::Stop);
    world.run(ms(100));
    assert_eq!(world.server.machine.watchers(), 0);
    let said = |kind: fn(&Event) -> bool| world.server.events.iter().filter(|(_, event)| kind(event)).count();
    assert_eq!(said(|event| matches!(event, Event::Joined { .. })), 1);
    assert_eq!(said(|event| matches!(event, Event::Left { .. })), 1);
}

#[test]
fn a_stream_without_sound_and_a_watcher_without_ears_open_no_second_lane() {
    let mut world = World::new(7, &film());
    world.record = true;
    let n = world.watch(Path::GOOD);
    world.run(seconds(1));
    assert!(world.sent.iter().all(|sent| sent.to != SOUND) && world.watchers[n].seen.sound.is_empty());
    // Whoever asks on the sound port all the same is told.
    let n = world.watch_with(Path::GOOD, |config| config.servers = vec![SOUND].into());
    world.run(seconds(1));
    assert!(world.watchers[n].seen.refused > 0);
}

#[test]
fn another_server_in_its_place_is_heard_too() {
    let mut world = world(8);
    let n = world.watch_with(Path::GOOD, |config| config.stay = true);
    world.run(seconds(2));
    let before = heard(&world, n).0.len();
    world.restart_server(99);
    world.run(seconds(4));
    assert!(before > 250, "{before}");
    let (numbers, _) = heard(&world, n);
    assert_eq!(numbers[before], 0, "the new stream's sound begins at its beginning");
    assert!(numbers.len() > before + 250, "{}", numbers.len());
    world.check(n);
}

#[test]
fn bursts_of_loss_are_gaps_in_order_and_nothing_else() {
    let mut world = world(9);
    let path = Path { loss: 0.05, jitter: ms(20), ..Path::GOOD };
    let n = world.watch(path);
    loudspeaker(&mut world, n, ms(30));
    world.run(seconds(20));
    let (numbers, lost) = heard(&world, n);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "no gap without a word");
    let share = lost as f64 / numbers.len() as f64;
    assert!(share < 0.01, "{lost} of {} lost: there is time to ask again", numbers.len());
    // Everything was there in time for the loudspeaker.
    let zero = world.watchers[n].seen.zero.clone();
    let late = world.watchers[n].seen.sound.iter().filter(|(at, first, _)| {
        let told = zero.iter().take_while(|(when, _)| when <= at).last();
        told.is_some_and(|(_, zero)| zero.offset(media_time(*first).micros() * 1_000) < *at + ms(30))
    });
    let late = late.count();
    assert!(late < numbers.len() / 50, "{late} of {} came late", numbers.len());
    world.check(n);
}

#[test]
fn where_nobody_listens_no_chunk_is_given_up_that_comes_a_little_later() {
    let mut world = world(12);
    (world.chunks, world.encoder.length) = (1_000, 150);
    let n = world.watch(Path { reorder: 0.3, held_back: ms(95), ..Path::GOOD });
    world.run(seconds(10));
    let (numbers, lost) = heard(&world, n);
    let first = numbers[0];
    // The server sends the first 150 ms at once: those of them that come much later than others are not waited for.
    assert!(first < 26, "{first}");
    assert_eq!((numbers, lost), ((first..1_000).collect(), 0), "every chunk, to the last");
    assert_eq!((world.watchers[n].seen.over.len(), world.watchers[n].seen.sound_over), (1, 1));
    world.check(n);
}

/// A server that lies says that there were months of sound, and goodbye.
#[test]
fn an_end_that_cannot_be_is_not_waited_for() {
    let mut world = world(13);
    let n = world.watch(Path::GOOD);
    loudspeaker(&mut world, n, ms(30));
    world.run(seconds(2));
    let session = world.server.machine.sessions().next().expect("joined").id;
    let ended = (Some(Unit(1)), Some(Unit(u32::MAX)));
    let description =
        Description { sound: true, ended: ended.0, sound_ended: ended.1, ..description(&world.film.clone()) };
    let header = ObjectHeader {
        kind: Type::DESCRIPTION,
        flags: flags::LAST,
        stream: world.stream_id(),
        rendition: 0,
        cut: 0,
        tables: 0,
        format: 0,
        unit: Unit(1),
        part: 0,
        parts: 1,
        media_time: MediaTime::ZERO,
        size: description.size,
        x8: 0,
        y8: 0,
    };
    let mut object = Hop { kind: Kind::OBJECT, tag: session as u32, sequence: 9_000, sent_at: 0 }.to_bytes().to_vec();
    header.emit(&mut object, |out| description.emit(out));
    let mut goodbye = Hop::unsequenced(Kind::BYE, session as u32, 0).to_bytes().to_vec();
    Message::Bye { session, code: bye::ENDED, sentence: "" }.emit(&mut goodbye);
    world.server_state(State::Dead);
    [object, goodbye].into_iter().for_each(|bytes| world.forge(n, bytes));
    world.run(seconds(5));
    assert!(world.watchers[n].seen.finished.is_some(), "three seconds of sound may be on their way, not more");
}

#[test]
fn a_server_that_stops_says_so_at_once_however_much_sound_there_is() {
    let mut world = world(10);
    let n = world.watch(Path::GOOD);
    world.run(seconds(2));
    world.tell_server(server::Local::Stop("Stopped.".to_owned()));
    world.run(seconds(1));
    assert_eq!(world.watchers[n].seen.over.first().map(|(_, why)| *why), Some(Over::Stopped));
    assert!(world.watchers[n].seen.finished.is_some());
}

#[test]
fn a_stranger_gets_no_sound_in_anybodys_name() {
    let mut world = world(11);
    let n = world.watch(Path::GOOD);
    world.run(seconds(1));
    let session = world.server.machine.sessions().next().expect("joined").id;
    let mut want = Vec::new();
    let tlvs = [0, 35, 0, 2, 1, 0];
    Message::Want { session, number: 9, tlvs: Tlvs::trusted(&tlvs) }.emit(&mut want);
    let hop = Hop::unsequenced(Kind::WANT, session as u32, 0).to_bytes();
    let stranger = address(200, 1);
    world.record = true;
    world.inject(stranger, &[&hop[..], &want].concat());
    world.run(seconds(1));
    assert!(world.sent.iter().all(|sent| sent.to != stranger));
    assert!(
        world.sent.iter().all(|sent| sent.chunk.is_none() || sent.from == SOUND),
        "nothing changed for the watcher"
    );
    assert!(!world.watchers[n].seen.sound.is_empty());
}

#[test]
fn a_stopped_server_says_how_much_sound_there_was_and_none_of_it_is_lost() {
    for speaker in [false, true] {
        for (seed, millis) in [(40, 2_000), (41, 2_003), (42, 2_017), (43, 2_030)] {
            let mut world = world(seed);
            let n = world.watch(Path::GOOD);
            if speaker {
                loudspeaker(&mut world, n, ms(30));
            }
            world.run(ms(millis));
            world.tell_server(server::Local::Stop("Interrupted.".to_owned()));
            world.run(seconds(2));
            world.check(n);
            let (counts, totals) = (*world.watchers[n].machine.sound_counts(), world.server.machine.totals());
            assert_eq!((counts.lost, counts.late), (0, 0), "{millis} ms: {counts:?} {totals:?}");
            assert!(counts.chunks > 300 && totals.chunks == counts.chunks, "{counts:?} {totals:?}");
            assert!(totals.chunks_unsent > 20, "what was held for later is counted: {totals:?}");
            assert_eq!(world.watchers[n].seen.sound_over, 1);
        }
    }
}

/// A number that would be heard in a minute, or was heard a minute ago, makes no gap, no silence and no end of the sound.
#[test]
fn a_chunk_that_cannot_be_near_now_is_dropped() {
    for on_sound_port in [true, false] {
        let mut world = world(14);
        if !on_sound_port {
            world.lose.push(Lose { to: SOUND, kind: Kind::HELLO, object: None, count: usize::MAX });
        }
        let n = world.watch(Path::GOOD);
        world.run(seconds(3));
        let session = world.server.machine.sessions().next().expect("joined").id;
        let next = heard(&world, n).0.last().expect("heard") + 1;
        // A little ahead of what the server has sent in that session, or it would not be believed.
        let ahead = if on_sound_port { 400 } else { 1_000 };
        // The first is believed, as it is due in less than two seconds; it only waits.
        let numbers = [next + 300, next + 500, next + 10_000, next + 300_000];
        for (hop, far) in (ahead..).zip(numbers) {
            let far = Chunk { number: far as u32, frames: chunk(far as u32), captured: Time::ZERO };
            let hop = Hop { kind: Kind::OBJECT, tag: session as u32, sequence: hop, sent_at: 0 }.to_bytes();
            let object = far.object(world.stream_id(), Rendition::Stereo);
            world.forge(n, [&hop[..], object.bytes()].concat());
            world.run(ms(100));
        }
        world.run(seconds(1));
        let (numbers, lost) = heard(&world, n);
        assert_eq!(lost, 0, "nothing was waited for");
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "in order, without a jump");
        assert!(numbers.last() > Some(&(next + 200)), "and it goes on: {:?}", numbers.last());
        assert_eq!(world.counts(n).traffic.rejected, 3);
    }
}

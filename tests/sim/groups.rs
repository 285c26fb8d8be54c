//! Groups: one stream of datagrams for any number of receivers, none of which says a word.

use std::rc::Rc;
use std::time::Duration;

use udpstream::proto::receiver::{Local, Over, RepairPlace};
use udpstream::proto::server::{self, Feed, Guard, StreamConfig};
use udpstream::proto::{Input, Machine, Port, SendFailure};
use udpstream::units::{Bitrate, Rate, Size, Time, Unit};
use udpstream::wire::tlv::{self, Tlvs};
use udpstream::wire::{Hop, Kind, Message};

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{SERVER, World, address, group, ms, seconds};
use crate::random::Random;
use crate::sources::stream;

const LOSSY: Path = Path { loss: 0.02, jitter: Duration::from_micros(300), ..Path::GOOD };

/// Pictures of some forty datagrams, 25 a second.
fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(640, 360), Rate::new(25, 1).expect("25 fps"), 14))
}

/// A film that is sent to group 1, with so much parity; it begins at once.
fn world(seed: u64, parity: u8) -> World {
    let mut world = World::with(seed, &film(), Time::from_millis(60_000), |_, stream| stream.description.sound = true);
    world.record = true;
    world.send_to_group(world.server.key, 1, |config| config.parity = parity);
    world
}

/// Pictures that a watcher was shown, and those of them that were whole.
fn shown(world: &World, watcher: usize) -> (usize, usize) {
    let shown = &world.watchers[watcher].seen.shown;
    (shown.len(), shown.iter().filter(|(_, picture, _)| picture.missing == 0).count())
}

/// How long after it came a watcher was shown its first whole picture.
fn first_whole(world: &World, watcher: usize, came: Time) -> Duration {
    let mut shown = world.watchers[watcher].seen.shown.iter();
    let whole = shown.find(|(_, picture, _)| picture.missing == 0 && !picture.same);
    whole.map_or(Duration::MAX, |(at, ..)| at.since(came))
}

#[test]
fn fifty_receivers_with_losses_of_their_own_are_sent_everything_once() {
    let mut world = world(1, 10);
    for _ in 0..50 {
        world.tune(1, LOSSY);
    }
    world.run(seconds(8));
    let (mut pictures, mut whole, mut lost) = (0, 0, 0);
    for watcher in 0..50 {
        world.check(watcher);
        let counts = world.counts(watcher);
        let (own, own_whole) = shown(&world, watcher);
        (pictures, whole) = (pictures + own, whole + own_whole);
        lost += counts.pictures.lost;
        assert!(own > 190, "watcher {watcher}: {own} pictures, {counts:?}");
        assert!(counts.traffic.repair.parity > 0 && counts.traffic.repair.asked == 0, "{counts:?}");
        let sounds = world.watchers[watcher].machine.sound_counts();
        assert!(sounds.chunks > 1_200 && sounds.lost * 200 < sounds.chunks, "watcher {watcher}: {sounds:?}");
    }
    let damaged = 1.0 - (whole as f64) / (pictures as f64 + lost as f64);
    assert!(damaged < 0.005, "{:.3} % of {pictures} pictures came damaged, {lost} not at all", damaged * 100.0);
    assert!(world.sent.iter().all(|sent| sent.from == SERVER && sent.to == group(1)), "nobody says a word");
    let (parity, objects) = (bytes(&world, Kind::PARITY), bytes(&world, Kind::OBJECT));
    assert!(parity * 100 <= objects * 20, "{parity} bytes of parity for {objects}");
}

fn bytes(world: &World, kind: Kind) -> usize {
    world.sent.iter().filter(|sent| sent.kind == kind).map(|sent| sent.bytes).sum()
}

#[test]
fn without_parity_many_pictures_are_damaged() {
    // The regime of the test above.
    let mut world = world(2, 0);
    world.tune(1, LOSSY);
    world.run(seconds(10));
    let (pictures, whole) = shown(&world, 0);
    assert!(whole * 2 < pictures, "{whole} of {pictures}");
    assert_eq!(bytes(&world, Kind::PARITY), 0);
}

#[test]
fn who_comes_late_sees_a_whole_picture_within_seven_hundred_milliseconds() {
    let mut world = world(3, 10);
    let mut random = Random::fork(3, 9);
    let mut came = Vec::new();
    for _ in 0..40 {
        world.run(random.duration(ms(400)));
        came.push((world.tune(1, LOSSY), world.now));
    }
    world.run(seconds(2));
    for (watcher, at) in came {
        let took = first_whole(&world, watcher, at);
        assert!(took <= ms(700), "watcher {watcher} waited for {took:?}");
    }
}

#[test]
fn a_picture_that_stands_still_is_sent_anew_for_who_comes_late() {
    // Live, and nothing changes from the tenth picture on; and a film of one picture in ten seconds.
    let live = {
        let mut world = World::with(4, &film(), Time::from_millis(60_000), |_, stream| stream.description.live = true);
        world.encoder.decode = ms(40);
        world.encoder.still_from = Unit(10);
        world
    };
    let slides = {
        let mut slow = Film::new(Size::new(640, 360), film().rate, 14);
        slow.stamps = vec![0, 10_000, 20_000, 30_000];
        World::new(5, &Rc::new(slow))
    };
    for mut world in [live, slides] {
        world.record = true;
        world.send_to_group(world.server.key, 1, |_| {});
        let first = world.tune(1, Path::GOOD);
        let mut came = Vec::new();
        for _ in 0..8 {
            world.run(ms(1_130));
            came.push((world.tune(1, Path::GOOD), world.now));
        }
        world.run(ms(800));
        for (watcher, at) in came {
            let took = first_whole(&world, watcher, at);
            assert!(took <= ms(700), "watcher {watcher} waited for {took:?}");
        }
        let counts = world.counts(first).pictures;
        assert_eq!((counts.damaged, counts.lost), (0, 0), "{counts:?}");
    }
}

#[test]
fn two_groups_do_not_mix_and_unicast_goes_on_beside_them() {
    let mut world = world(6, 10);
    let other = world.open(stream("other", &film(), false, false));
    world.send_to_group(other, 2, |_| {});
    let (first, second) = (world.tune(1, Path::GOOD), world.tune(2, Path::GOOD));
    let alone = world.watch(Path::GOOD);
    world.run(seconds(5));
    let of = |watcher: usize| world.watchers[watcher].seen.playing.last().expect("playing").1;
    assert_eq!((of(first), of(second)), (world.stream_id(), world.server.machine.id(other)));
    assert_eq!(of(alone), of(first));
    for watcher in [first, second, alone] {
        world.check(watcher);
        let (pictures, whole) = shown(&world, watcher);
        assert!(pictures > 110 && whole == pictures, "watcher {watcher}: {whole} of {pictures}");
    }
    assert_eq!(world.server.machine.watchers(), 1, "a group is no watcher");
}

#[test]
fn a_new_generation_of_the_timeline_is_followed() {
    let mut world = world(7, 10);
    let watcher = world.tune_with(1, Path::GOOD, |config| config.latency = ms(200));
    world.run(seconds(3));
    world.encoder.stall = world.now..world.now + seconds(2);
    world.run(seconds(5));
    assert!(world.server.events.iter().any(|(_, event)| matches!(event, server::Event::Stalled { .. })));
    let late = |from: Time| {
        let shown = world.watchers[watcher].seen.shown.iter().rfind(|(at, ..)| *at < from).expect("shown");
        shown.0.signed_since(shown.2.expect("the timeline is known"))
    };
    let (before, after) = (late(Time::from_millis(63_000)), late(world.now));
    assert!((before - after).abs() < 5_000_000, "{before} ns after it was due, then {after}");
    assert!((200_000_000..215_000_000).contains(&after), "{after} ns after it was due");
}

#[test]
fn all_are_told_of_the_end_and_who_comes_in_it_too() {
    let mut world = world(8, 10);
    (world.encoder.length, world.chunks) = (100, 600);
    let watchers: Vec<usize> = (0..20).map(|_| world.tune(1, LOSSY)).collect();
    world.run(ms(4_300));
    let last = world.tune(1, Path::GOOD);
    world.run(seconds(3));
    for watcher in watchers.into_iter().chain([last]) {
        let seen = &world.watchers[watcher].seen;
        assert_eq!(seen.over.first().map(|(_, why)| *why), Some(Over::Ended), "watcher {watcher}");
        assert!(seen.finished.is_some(), "watcher {watcher}");
        world.check(watcher);
    }
    assert!(world.server.events.iter().any(|(_, event)| matches!(event, server::Event::Finished)));
}

#[test]
fn who_stays_follows_a_server_that_is_started_anew_at_once_and_is_not_fooled_by_goodbyes() {
    let mut world = world(9, 10);
    let stays = world.tune_with(1, Path::GOOD, |config| config.stay = true);
    world.run(seconds(2));
    let first = world.stream_id();
    world.tell_server(server::Local::Stop("Stopped.".to_owned()));
    world.run(seconds(3));
    assert_eq!(world.watchers[stays].seen.over.len(), 1, "one goodbye, however often it was said");
    for round in 0..2 {
        // The second time it dies without a word.
        world.restart_server(90 + round);
        let (began, key) = (world.now, world.server.key);
        world.send_to_group(key, 1, |_| {});
        world.run(seconds(2));
        let (at, id, _) = *world.watchers[stays].seen.playing.last().expect("playing");
        assert_eq!(id, world.stream_id());
        assert!(id != first && at.since(began) < ms(300), "{:?} after it began", at.since(began));
        let last = world.watchers[stays].seen.shown.last().expect("shown").0;
        assert!(world.now.since(last) < ms(100));
    }
    let counts = world.counts(stays);
    assert_eq!((counts.pictures.damaged, counts.traffic.others), (0, 0), "{counts:?}");
}

/// What a server of its own sends to the group in so much time.
fn other_sender(time: Duration) -> Vec<(Time, Vec<u8>)> {
    let mut other = world(77, 10);
    other.run(time);
    other.stray.remove(&group(1)).expect("nobody listens there")
}

#[test]
fn another_sender_is_told_of_once_and_takes_over_when_the_first_is_silent() {
    let mut world = world(10, 10);
    let watcher = world.tune_with(1, Path::GOOD, |config| config.stay = true);
    world.run(seconds(1));
    let (stranger, other) = (address(9, 5_000), other_sender(seconds(6)));
    let (first, began) = (world.stream_id(), world.now);
    let mut sent = other.iter();
    for n in 0..6_000 {
        if n == 2_000 {
            // It dies, and says nothing.
            world.server_state(crate::net::State::Dead);
        }
        world.run(ms(1));
        let now = world.now.since(began);
        while let Some((_, bytes)) =
            sent.as_slice().first().filter(|(at, _)| at.since(Time::from_millis(60_000)) <= now)
        {
            world.stranger_sends(watcher, stranger, bytes.clone());
            sent.next();
        }
    }
    let seen = &world.watchers[watcher].seen;
    assert_eq!(seen.others, [stranger], "told once");
    assert!(world.counts(watcher).traffic.others > 1_000);
    let (at, id, _) = *seen.playing.last().expect("playing");
    assert!(id != first && seen.playing.len() == 2, "{:?}", seen.playing);
    let took = at.since(began + seconds(2));
    assert!(took > ms(1_000) && took < ms(1_600), "after {took:?}");
    let pictures = seen.shown_between(at, world.now);
    assert!(pictures > 50, "{pictures} of the other were shown");
}

#[test]
fn what_is_sent_to_a_group_keeps_to_its_limit() {
    for parity in [0, 20, 50] {
        let mut world = world(11, parity);
        let key = world.open(stream("other", &film(), false, false));
        let limit = Bitrate::bps(6_000_000);
        world.send_to_group(key, 3, |config| (config.max_rate, config.parity) = (limit, parity));
        world.tune(3, Path::GOOD);
        world.run(seconds(10));
        let sent = world.sent.iter().filter(|sent| sent.to == group(3));
        let bits = sent.map(|sent| (sent.bytes + 28) * 8).sum::<usize>() / 10;
        assert!(bits < 6_100_000, "{bits} bits a second with {parity} % of parity");
        assert!(bits > 3_500_000, "and yet as many as there may be: {bits} with {parity} %");
        let (pictures, whole) = shown(&world, 0);
        assert_eq!(pictures, whole);
    }
}

#[test]
fn a_guarded_stream_is_sent_to_no_group_and_strangers_are_not_heard_there() {
    let mut world = World::with(12, &film(), Time::from_millis(60_000), |_, stream: &mut StreamConfig| {
        stream.guard = Guard::Password(udpstream::seal::Key::new([1; 32]));
    });
    world.record = true;
    world.send_to_group(world.server.key, 1, |_| {});
    world.run(seconds(1));
    assert!(world.sent.is_empty(), "{:?}", world.sent.first());
}

#[test]
fn a_group_that_falls_silent_is_missed_and_pausing_asks_nobody() {
    let mut world = world(13, 10);
    let (watcher, nobody) = (world.tune(1, Path::GOOD), world.tune(2, Path::GOOD));
    world.run(seconds(2));
    world.tell_watcher(watcher, Local::Pause(true));
    world.tell_watcher(watcher, Local::List);
    world.tell_watcher(watcher, Local::Switch(None));
    world.run(seconds(1));
    world.tell_watcher(watcher, Local::Pause(false));
    world.tell_server(server::Local::Stream(world.server.key, Feed::Pause(true)));
    world.run(seconds(3));
    assert_eq!(world.watchers[watcher].seen.troubles, [], "a stream that is paused is no silence");
    world.server_state(crate::net::State::Dead);
    world.run(seconds(3));
    assert_eq!(world.watchers[watcher].seen.lost, 1);
    assert_eq!(world.watchers[nobody].seen.troubles.len(), 1, "and who hears nothing at all is told");
    world.tell_watcher(watcher, Local::Stop);
    world.run(seconds(1));
    assert!(world.watchers[watcher].seen.finished.is_some());
    assert!(world.sent.iter().all(|sent| sent.from == SERVER));
}

#[test]
fn what_few_have_lost_they_ask_for_beside_the_group_and_the_many_pay_nothing() {
    let run = |repairs: bool| {
        let mut world = World::with(14, &film(), Time::from_millis(60_000), |_, stream| {
            stream.description.sound = true;
        });
        world.record = true;
        let other = world.open(stream("other", &film(), false, false));
        world.send_to_group(other, 2, |config| (config.parity, config.unicast) = (0, SERVER.port()));
        let good = world.tune(2, Path::GOOD);
        let lossy = world.tune(2, Path { latency: ms(3), ..LOSSY });
        if repairs {
            world.watchers[lossy].machine.repair_from(RepairPlace::Told);
        }
        world.run(seconds(10));
        world.check(lossy);
        assert!(shown(&world, good).0 > 240);
        world
    };
    let (with, without) = (run(true), run(false));
    let ((pictures, whole), (_, damaged)) = (shown(&with, 1), shown(&without, 1));
    assert!(damaged * 2 < pictures, "the regime: {damaged} of {pictures} whole without");
    // It takes a moment until it has joined there.
    assert!(whole * 100 >= pictures * 95 && pictures > 240, "{whole} of {pictures} whole");
    let to_group =
        |world: &World| world.sent.iter().filter(|sent| sent.to == group(2)).map(|sent| sent.bytes).sum::<usize>();
    let (ours, theirs) = (to_group(&with), to_group(&without));
    assert!(ours.abs_diff(theirs) < 2_000, "the group is sent what it was: {ours} and {theirs}");
    let again: usize = with
        .sent
        .iter()
        .filter(|sent| sent.from == SERVER && sent.slice.is_some() && sent.to != group(2))
        .map(|sent| sent.bytes)
        .sum();
    assert!(again > 0 && again * 4 < ours, "{again} bytes again, of {ours}");
    let counts = with.counts(1);
    assert!(counts.traffic.repair.resent > 100 && counts.traffic.repair.asked > 100, "{counts:?}");
}

#[test]
fn who_cannot_reach_the_server_is_as_well_off_as_who_does_not_ask() {
    let mut world = World::with(15, &film(), Time::from_millis(60_000), |_, stream| stream.description.sound = true);
    world.send_to_group(world.server.key, 1, |config| config.unicast = SERVER.port());
    let watcher = world.tune(1, LOSSY);
    world.watchers[watcher].machine.repair_from(RepairPlace::At(address(200, 1)));
    world.run(seconds(5));
    world.check(watcher);
    let (pictures, whole) = shown(&world, watcher);
    assert!(pictures > 115 && whole * 100 >= pictures * 98, "{whole} of {pictures}");
    assert_eq!(world.watchers[watcher].seen.repairs, [false], "it is told once");
    world.watchers[watcher].machine.repair_from(RepairPlace::Told);
    world.run(seconds(10));
    assert_eq!(world.watchers[watcher].seen.repairs, [false, true]);
    world.tell_watcher(watcher, Local::Stop);
    world.run(seconds(1));
    assert!(world.watchers[watcher].seen.finished.is_some());
}

/// An Update that names a port to be asked, as anybody can forge it.
fn names_port(now: Time, sequence: u32, port: u16) -> Vec<u8> {
    let mut tlvs = Vec::new();
    tlv::put(&mut tlvs, tlv::kind::UNICAST, &port.to_be_bytes());
    let hop = Hop { sequence, ..Hop::unsequenced(Kind::UPDATE, 0, now.wire_micros()) };
    let mut datagram = hop.to_bytes().to_vec();
    Message::Update { number: 0, tlvs: Tlvs::trusted(&tlvs) }.emit(&mut datagram);
    datagram
}

#[test]
fn who_forges_where_to_ask_makes_no_receiver_ask_much_and_none_that_is_let_in_anything() {
    let run = |unicast: u16, forged: bool, lasts: u32| {
        let mut world = world(16, 0);
        world.send_to_group(world.server.key, 2, |config| (config.parity, config.unicast) = (0, unicast));
        let watcher = world.tune(2, LOSSY);
        world.watchers[watcher].machine.repair_from(RepairPlace::Told);
        world.run(seconds(2));
        let (asked, known) = (hellos(&world), world.counts(watcher).traffic.repair.resent);
        for n in 0..lasts * 100 {
            if forged {
                let bytes = names_port(world.now, 10_000 + n, 1_000 + n as u16);
                world.stranger_sends(watcher, SERVER, bytes);
            }
            world.run(ms(10));
        }
        (hellos(&world) - asked, world.counts(watcher).traffic.repair.resent - known)
    };
    let (asked, repaired) = run(SERVER.port(), true, 10);
    assert!(asked == 0 && repaired > 100, "let in: {asked} Hellos, {repaired} parts repaired");
    let (forged, alone) = (run(1, true, 35).0, run(1, false, 35).0);
    assert!((3..10).contains(&forged), "{forged} Hellos to ports that change");
    assert!((30..100).contains(&alone), "{alone} Hellos to a port where nobody is");
}

fn hellos(world: &World) -> usize {
    world.sent.iter().filter(|sent| sent.kind == Kind::HELLO).count()
}

#[test]
fn a_group_is_no_watcher_in_the_list() {
    let mut world = world(1, 10);
    let (asks, _) = (world.watch(Path::GOOD), world.tune(1, Path::GOOD));
    world.run(seconds(1));
    world.tell_watcher(asks, Local::List);
    world.run(seconds(1));
    let listed = world.watchers[asks].seen.listings.last().expect("a list");
    assert_eq!(listed[0].watchers, 1, "{listed:?}");
}

#[test]
fn that_nothing_leaves_for_a_group_is_told_once_and_so_is_that_it_does_again() {
    let mut world = world(17, 10);
    world.run(seconds(1));
    let fails = |world: &mut World, port, to| {
        let now = world.now;
        world.server.machine.handle(now, Input::NotSent(port, to, SendFailure::Unreachable));
        world.run(ms(250));
    };
    (0..20).for_each(|_| fails(&mut world, Port::PICTURES, address(7, 7)));
    (0..20).for_each(|_| fails(&mut world, Port(Port::GROUP.0 + 1), group(1)));
    world.run(seconds(3));
    let told = world.server.events.iter().filter_map(|(_, event)| match event {
        server::Event::GroupReached { address, reached } => Some((*address, *reached)),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [(group(1), false), (group(1), true)]);
}

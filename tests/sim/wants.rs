//! What a watcher wants while it watches: no pictures and pictures again, sound and none; and what becomes of it when
//! Wants and their acknowledgements are lost.

use std::rc::Rc;

use udpstream::proto::receiver::Local;
use udpstream::proto::server::SessionView;
use udpstream::units::{Bitrate, Rate, Size, Time, Unit};
use udpstream::wire::message::{AdaptationReason, InForce, Message, Place, SoundWish, WantedPictures};
use udpstream::wire::tlv::{self, Tlvs, kind};

use crate::client::Client;
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{World, address, ms, seconds};
use crate::told::Told;

fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(160, 96), Rate::new(30, 1).expect("30 fps"), 12))
}

fn world(seed: u64, live: bool, sound: bool) -> World {
    let film = film();
    let mut world = World::with(seed, &film, Time::from_millis(60_000), |_, stream| {
        (stream.description.live, stream.description.sound) = (live, sound);
    });
    if live {
        world.encoder.decode = film.rate.interval();
    }
    world
}

fn pause() -> Vec<u8> {
    let mut tlvs = Vec::new();
    tlv::put(&mut tlvs, kind::PAUSE, &[]);
    tlvs
}

fn resume() -> Vec<u8> {
    let mut tlvs = Vec::new();
    tlv::put(&mut tlvs, kind::RESUME, &[]);
    tlvs
}

fn sound(place: Place) -> Vec<u8> {
    let mut tlvs = Vec::new();
    SoundWish { place, rendition: 0 }.put(&mut tlvs);
    tlvs
}

/// A client that joins with these wishes, and its first second.
fn joined(world: &mut World, wishes: &[u8]) -> Client {
    let mut tlvs = Vec::new();
    tlv::put(&mut tlvs, kind::WANT, wishes);
    let mut client = Client::join_with(world, address(70, 7_000), 5, &tlvs);
    live_on(world, &mut client, 1_000);
    client
}

/// So long it reports, as a watcher does.
fn live_on(world: &mut World, client: &mut Client, millis: u64) {
    let end = world.now + ms(millis);
    while world.now < end {
        client.live(world);
        world.run(ms(45));
    }
}

/// Pictures and chunks since a moment.
fn since(world: &World, client: &Client, moment: Time) -> (usize, usize) {
    let pictures = client.pictures(world).into_iter().filter(|(at, ..)| *at > moment).count();
    (pictures, client.chunks_since(world, moment))
}

#[test]
fn a_paused_session_is_sent_no_pictures_and_nothing_is_encoded_for_it() {
    let mut world = world(1, false, false);
    let mut client = joined(&mut world, &[]);
    assert!(client.pictures(&world).len() > 25, "the regime");
    client.want(&mut world, 1, &pause());
    world.run(ms(100));
    let (paused, encoded) = (world.now, world.encoder.encoded);
    live_on(&mut world, &mut client, 5_000);
    assert_eq!(since(&world, &client, paused), (0, 0));
    // What stood in the queue when it paused may be made still.
    assert!(world.encoder.encoded <= encoded + 1, "{} were encoded for nobody", world.encoder.encoded - encoded);
    assert_eq!(world.server.machine.watchers(), 1, "it is there all the same");
    let told = world.server.machine.sessions().next().expect("joined").stats;
    client.want(&mut world, 2, &resume());
    let resumed = world.now;
    live_on(&mut world, &mut client, 2_000);
    let first = client.pictures(&world).into_iter().find(|(at, ..)| *at > resumed).expect("pictures again");
    assert!(first.0.since(resumed) < ms(80), "{:?}", first.0.since(resumed));
    assert!(since(&world, &client, resumed).0 > 55);
    let stats = world.server.machine.sessions().next().expect("joined").stats;
    assert_eq!(stats.thinned, told.thinned, "what it did not want was not kept from it");
    assert_eq!(client.wanted(&world), [1, 2]);
}

#[test]
fn who_joins_paused_does_not_start_a_film_but_with_its_sound_it_does() {
    for (wishes, hears) in [(pause(), false), ([pause(), sound(Place::Here)].concat(), true)] {
        let mut world = world(2, false, true);
        let client = joined(&mut world, &wishes);
        assert_eq!((client.pictures(&world).len(), client.chunks_since(&world, Time::ZERO) > 100), (0, hears));
        assert_eq!((world.departures().len(), world.encoder.encoded), (0, 0), "nobody looks");
        assert_eq!(world.server.machine.demand(world.server.key, 0).schedule.is_some(), hears);
    }
}

#[test]
fn a_session_that_resumes_is_sent_what_stands_at_once_with_its_body() {
    let mut world = world(3, true, false);
    world.encoder.still_from = Unit(20);
    // Somebody else goes on watching, so that the word that nothing has changed goes on leaving.
    world.watch(Path::GOOD);
    let mut client = joined(&mut world, &[]);
    client.want(&mut world, 1, &pause());
    world.run(ms(40));
    let paused = world.now;
    live_on(&mut world, &mut client, 3_000);
    assert_eq!(since(&world, &client, paused), (0, 0));
    world.run(ms(8));
    let (resumed, encoded) = (world.now, world.encoder.encoded);
    client.want(&mut world, 2, &resume());
    world.run(ms(100));
    let again: Vec<_> = client.pictures(&world).into_iter().filter(|(at, ..)| *at > resumed).collect();
    let (at, unit, body) = again[0];
    assert!(at.since(resumed) <= ms(2), "at once: {:?}", at.since(resumed));
    assert!(body && again[1..].iter().all(|(_, _, body)| !body), "a body, and then the word: {again:?}");
    let standing = world.departures().iter().rev().find(|(_, _, left)| *left <= resumed).expect("departures").0;
    assert_eq!(unit, standing.0);
    assert_eq!(world.encoder.encoded, encoded, "nothing is encoded for it");
    world.check(0);
    assert_eq!(world.counts(0).pictures.thinned, 0, "nobody else is concerned");
}

/// However often it asks, a session costs no more than twice what others do, and large pictures are paced each time.
#[test]
fn one_that_pauses_and_resumes_all_the_time_is_not_sent_the_same_each_time() {
    let film = Rc::new(Film::new(Size::new(640, 360), Rate::new(5, 1).expect("5 fps"), 12));
    let mut world = World::new(9, &film);
    world.watch(Path::GOOD);
    let mut client = joined(&mut world, &[]);
    let begun = world.now;
    for number in 0..400 {
        client.want(&mut world, 2 * number + 1, &pause());
        client.want(&mut world, 2 * number + 2, &resume());
        world.run(ms(5));
        if number % 10 == 0 {
            client.live(&mut world);
        }
    }
    let sent = since(&world, &client, begun).0;
    let departed = world.departures().iter().filter(|(_, _, left)| *left >= begun).count();
    assert!(departed > 20 && sent > departed && sent <= 2 * departed + 2, "{sent} pictures of {departed}");
}

#[test]
fn a_stale_picture_is_not_sent_to_one_that_resumes() {
    let mut world = world(4, true, false);
    let mut client = joined(&mut world, &[]);
    client.want(&mut world, 1, &pause());
    live_on(&mut world, &mut client, 2_500);
    let (resumed, last) = (world.now, world.departures().last().expect("departures").0);
    client.want(&mut world, 2, &resume());
    live_on(&mut world, &mut client, 500);
    let first = client.pictures(&world).into_iter().find(|(at, ..)| *at > resumed).expect("pictures again");
    assert!(first.1 > last.0 + 60 && first.2, "{first:?} after {last:?}");
    assert!(first.0.since(resumed) < ms(60), "{:?}", first.0.since(resumed));
}

#[test]
fn a_picture_that_is_begun_is_sent_to_its_end() {
    // Some 180 kB a picture: it takes most of an interval to leave.
    let film = Rc::new(Film::new(Size::new(1_280, 720), Rate::new(30, 1).expect("30 fps"), 16));
    for millis in [3, 11, 17, 29] {
        let mut world = World::new(5, &film);
        let mut client = joined(&mut world, &[]);
        world.run(ms(millis));
        client.want(&mut world, 1, &pause());
        let parts = |world: &World, client: &Client| {
            let last = client.pictures(world).last().expect("pictures").1;
            let all = client.parts(world, last);
            (all.len(), usize::from(all.first().expect("a part").1))
        };
        world.run(ms(100));
        let (came, all) = parts(&world, &client);
        assert_eq!(came, all, "whole, paused {millis} ms later");
        live_on(&mut world, &mut client, 1_000);
        assert_eq!(parts(&world, &client), (came, all), "and no other");
    }
}

/// As the page says: the same number again until it is acknowledged.
#[test]
fn a_wish_is_obeyed_once_and_acknowledged_each_time_it_is_said() {
    let mut world = world(6, false, true);
    let mut client = joined(&mut world, &sound(Place::Here));
    let steps = [
        (sound(Place::Off), (true, false)),
        ([pause(), sound(Place::Here)].concat(), (false, true)),
        (sound(Place::Off), (false, false)),
        ([resume(), sound(Place::Off)].concat(), (true, false)),
        ([resume(), sound(Place::Here)].concat(), (true, true)),
    ];
    for (n, (wish, (pictures, chunks))) in steps.into_iter().enumerate() {
        let number = n as u32 + 1;
        // Of what was said before nothing came; now it is said three times, and each time answered.
        world.run(ms(200));
        for _ in 0..3 {
            client.want(&mut world, number, &wish);
            world.run(ms(95));
        }
        assert_eq!(client.wanted(&world).iter().filter(|wanted| **wanted == number).count(), 3);
        // One that was held up on its way is not obeyed any more, nor answered.
        client.want(&mut world, number - 1, &[pause(), sound(Place::Off)].concat());
        client.want(&mut world, number.wrapping_sub(9), &[resume(), sound(Place::Here)].concat());
        let (from, answers) = (world.now + ms(100), client.wanted(&world).len());
        live_on(&mut world, &mut client, 1_100);
        let (sent, heard) = since(&world, &client, from);
        assert_eq!((sent > 20, heard > 100), (pictures, chunks), "step {n}: {sent} pictures, {heard} chunks");
        assert_eq!((sent == 0, heard == 0), (!pictures, !chunks), "step {n}: {sent} pictures, {heard} chunks");
        assert_eq!(client.wanted(&world).len(), answers, "step {n}");
    }
    // What it leaves out stays as it is.
    client.want(&mut world, 100, &[]);
    assert_eq!(client.wanted(&world).last(), Some(&100));
    let from = world.now;
    live_on(&mut world, &mut client, 1_000);
    let (sent, heard) = since(&world, &client, from);
    assert!(sent > 20 && heard > 100);
}

#[test]
fn a_paused_session_lives_on_its_reports_and_dies_without_them() {
    let mut world = world(7, false, false);
    let mut client = joined(&mut world, &pause());
    live_on(&mut world, &mut client, 6_000);
    assert_eq!(world.server.machine.watchers(), 1);
    world.run(seconds(4));
    assert_eq!(world.server.machine.watchers(), 0);
}

#[test]
fn a_forged_want_from_elsewhere_changes_nothing() {
    let mut world = world(8, false, false);
    let mut client = joined(&mut world, &[]);
    let (own, rejected) = (client.address, world.server.machine.totals().rejected);
    client.address = address(99, 9_999);
    client.want(&mut world, 50, &pause());
    assert_eq!(world.server.machine.totals().rejected, rejected + 1);
    assert!(!world.stray.contains_key(&client.address), "nor is it answered");
    client.address = own;
    let from = world.now;
    live_on(&mut world, &mut client, 500);
    assert!(since(&world, &client, from).0 > 10);
    let SessionView { stats, .. } = world.server.machine.sessions().next().expect("joined");
    assert_eq!(stats.thinned, 0);
}

#[test]
fn a_picture_that_stands_is_sent_again_to_one_that_resumes() {
    let film = Rc::new(Film::new(Size::new(160, 96), Rate::new(1, 2).expect("a picture in 2 s"), 12));
    let mut world = World::new(9, &film);
    let mut client = joined(&mut world, &[]);
    client.want(&mut world, 1, &pause());
    live_on(&mut world, &mut client, 100);
    client.want(&mut world, 2, &resume());
    live_on(&mut world, &mut client, 100);
    let units: Vec<_> = client.pictures(&world).into_iter().map(|(_, unit, body)| (unit, body)).collect();
    assert_eq!(units, [(0, true), (0, true)], "a part of it may have been lost");
    live_on(&mut world, &mut client, 2_000);
    assert_eq!(client.pictures(&world).len(), 3);
}

fn limits(world: &World) -> WantedPictures {
    world.server.machine.sessions().next().expect("joined").wanted
}

#[test]
fn limits_of_a_join_and_of_wants_are_the_sessions_until_they_are_taken_back() {
    let mut world = world(11, false, false);
    let opening = WantedPictures { max_size: Some(Size::new(80, 48)), ..WantedPictures::ANY };
    let mut tlvs = Vec::new();
    opening.put(&mut tlvs);
    let client = joined(&mut world, &tlvs);
    assert_eq!(limits(&world), opening);
    let more = WantedPictures { quality: Some(40), max_rate: Some(Bitrate::bps(1_000_000)), max_size: None };
    tlvs.clear();
    more.put(&mut tlvs);
    client.want(&mut world, 1, &tlvs);
    world.run(ms(50));
    assert_eq!(limits(&world), WantedPictures { max_size: opening.max_size, ..more }, "what it leaves out stays");
    client.want(&mut world, 2, &pause());
    world.run(ms(50));
    assert!(limits(&world).is_limited(), "another wish has nothing to do with them");
    tlvs.clear();
    WantedPictures::ANY.put_all(&mut tlvs);
    client.want(&mut world, 3, &tlvs);
    world.run(ms(50));
    assert_eq!(limits(&world), WantedPictures::ANY);
}

#[test]
fn a_watcher_says_its_limits_when_it_joins_and_when_they_change() {
    let mut world = world(12, false, false);
    let opening = WantedPictures { quality: Some(50), ..WantedPictures::ANY };
    world.watch_with(Path::GOOD, |config| config.limits = opening);
    world.run(ms(200));
    assert_eq!(limits(&world), opening);
    let later = WantedPictures { max_size: Some(Size::new(40, 24)), ..WantedPictures::ANY };
    world.tell_watcher(0, Local::Limits(later));
    world.run(ms(200));
    assert_eq!(limits(&world), later);
}

#[test]
fn what_is_in_force_is_that_of_the_last_update() {
    let mut told = Told::joined(1);
    assert_eq!(told.machine.in_force(), None, "nothing was told");
    let mut tlvs = Vec::new();
    let in_force =
        InForce { rendition: 1, quality: 44, every: 2, reason: AdaptationReason::Queue, ..InForce::default() };
    in_force.put(&mut tlvs);
    told.say(1, &Message::Update { number: 0, tlvs: Tlvs::trusted(&tlvs) });
    assert_eq!(told.machine.in_force(), Some(in_force));
    told.say(1, &Message::Update { number: 0, tlvs: Tlvs::default() });
    assert_eq!(told.machine.in_force(), Some(in_force), "an Update about something else");
}

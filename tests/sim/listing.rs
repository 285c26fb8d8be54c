//! Which streams there are: asked page by page, answered to nobody who has not shown where it is.

use std::collections::BTreeSet;
use std::rc::Rc;

use udpstream::proto::Port;
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::message::{Entry, List, Message, State};
use udpstream::wire::{HOP_LEN, Hop, Kind, MIN_DATAGRAM};

use crate::client::Client;
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{SERVER, World, address, ms, seconds};
use crate::sources::stream;

/// So many streams, some with the longest of names and titles.
fn many(seed: u64, count: usize, joins: u32) -> World {
    let film = Rc::new(Film::new(Size::new(160, 96), Rate::new(30, 1).expect("30 fps"), 12));
    let mut world =
        World::with(seed, &film, Time::from_millis(60_000), |config, _| config.max_joins_per_second = joins);
    for n in 1..count {
        let long = n % 3 == 0;
        let name = format!("room-{n}/{}", if long { "é".repeat(27) } else { "desk".to_owned() });
        let mut config = stream(&name, &film, n % 2 == 0, n % 5 == 0);
        config.description.title = if long { "ü".repeat(100) } else { format!("The desk in room {n}") };
        config.description.length = long.then_some(5_000_000);
        world.server.machine.open(config);
    }
    world
}

/// One page, as it came: how many bytes, of how many, from which on.
struct Page {
    bytes: usize,
    total: u16,
    first: u16,
    entries: Vec<Entry>,
}

fn pages(world: &World, client: &Client) -> Vec<Page> {
    let page = |bytes: &Vec<u8>| {
        let (hop, body) = Hop::parse(bytes).expect("the server's own");
        let Ok(Message::Listing(listing)) = Message::parse(hop.kind, body) else { return None };
        assert_eq!((hop.tag, hop.sequence, listing.nonce), (0, 0, client.nonce));
        let (total, first) = (listing.total, listing.first);
        Some(Page { bytes: bytes.len(), total, first, entries: listing.entries().expect("readable") })
    };
    world.stray.get(&client.address).into_iter().flatten().filter_map(|(_, bytes)| page(bytes)).collect()
}

/// Asks from `first` on until all are known.
fn all(world: &mut World, client: &Client) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        client.list(world, entries.len() as u16);
        let page = pages(world, client).pop().expect("an answer");
        assert_eq!(usize::from(page.first), entries.len());
        assert!(page.bytes <= MIN_DATAGRAM, "{} bytes for {MIN_DATAGRAM}", page.bytes);
        assert!(!page.entries.is_empty(), "each page brings it further");
        entries.extend(page.entries);
        if entries.len() >= usize::from(page.total) {
            return entries;
        }
    }
}

#[test]
fn all_streams_are_listed_however_many_pages_that_takes() {
    for count in [1, 2, 5, 40, 300] {
        let mut world = many(1, count, 10_000);
        let client = Client::greet(&mut world, address(70, 7_000), 5);
        let entries = all(&mut world, &client);
        assert_eq!(entries.len(), count);
        let names: BTreeSet<_> = entries.iter().map(|entry| entry.name.clone()).collect();
        assert_eq!(names.len(), count, "each once");
        let pages = pages(&world, &client);
        assert!(pages.len() >= count.div_ceil(20), "the regime: {} pages", pages.len());
        assert!(entries[0].name.as_str() == "film" && entries[0].description.size == world.film.size);
        if count > 3 {
            assert_eq!(entries[3].description.length, Some(5_000_000));
            assert!(entries[2].description.live && entries[3].description.title.len() == 200);
        }
        // Behind the last there is nothing.
        client.list(&mut world, count as u16);
        let beyond = self::pages(&world, &client).pop().expect("an answer");
        assert_eq!((beyond.entries.len(), usize::from(beyond.total)), (0, count));
        assert_eq!(world.server.machine.watchers(), 0, "who asks is no watcher");
    }
}

#[test]
fn a_listing_tells_what_happens_in_each_stream() {
    let mut world = many(2, 3, 200);
    let key = world.server.machine.keys().nth(2).expect("three");
    world.watch(Path::GOOD);
    world.run(seconds(1));
    let client = Client::greet(&mut world, address(70, 7_000), 5);
    let told = |world: &mut World| {
        all(world, &client).into_iter().map(|entry| (entry.state, entry.watchers)).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut world), [(State::Playing, 1), (State::Waiting, 0), (State::Waiting, 0)]);
    world.kill(key);
    world.run(ms(50));
    assert_eq!(told(&mut world), [(State::Playing, 1), (State::Waiting, 0), (State::Ended, 0)]);
    // A cookie that has been shown before still makes a session, once, and one that has made a session still lists.
    client.ask(&mut world, 0);
    assert_eq!(world.server.machine.watchers(), 2);
    assert_eq!(told(&mut world)[0], (State::Playing, 2));
}

#[test]
fn nobody_is_told_without_a_cookie_of_its_own_nor_too_often_nor_for_less_than_it_gets() {
    let mut world = many(3, 40, 10);
    let client = Client::greet(&mut world, address(70, 7_000), 5);
    let rejected = |world: &World| world.server.machine.totals().rejected;
    let before = rejected(&world);
    let list = |world: &mut World, from, cookie, nonce, length: usize| {
        let mut bytes = Hop::unsequenced(Kind::LIST, 0, 0).to_bytes().to_vec();
        Message::List(List { nonce, cookie, first: 0 }).emit(&mut bytes);
        bytes.truncate(length);
        world.inject(from, &bytes);
        world.run(ms(5));
    };
    let answers = |world: &World| pages(world, &client).len();
    list(&mut world, client.address, [7; 24], client.nonce, MIN_DATAGRAM);
    list(&mut world, client.address, client.cookie, client.nonce + 1, MIN_DATAGRAM);
    list(&mut world, client.address, client.cookie, client.nonce, MIN_DATAGRAM - 1);
    list(&mut world, client.address, client.cookie, client.nonce, HOP_LEN + 34);
    list(&mut world, address(71, 7_000), client.cookie, client.nonce, MIN_DATAGRAM);
    assert_eq!((answers(&world), rejected(&world) - before), (0, 5));
    assert!(!world.stray.contains_key(&address(71, 7_000)), "nor is somebody else told");
    for _ in 0..20 {
        list(&mut world, client.address, client.cookie, client.nonce, MIN_DATAGRAM);
    }
    assert_eq!((answers(&world), rejected(&world) - before), (10, 15), "as many as may join in a second");
    world.run(seconds(1));
    list(&mut world, client.address, client.cookie, client.nonce, MIN_DATAGRAM);
    assert_eq!(answers(&world), 11);
    // A cookie is good for two minutes at most.
    world.run(seconds(121));
    list(&mut world, client.address, client.cookie, client.nonce, MIN_DATAGRAM);
    assert_eq!(answers(&world), 11);
}

#[test]
fn a_watcher_lists_beside_its_session() {
    let mut world = many(4, 40, 200);
    world.record = true;
    let watcher = world.watch(Path::GOOD);
    world.run(seconds(1));
    world.tell_watcher(watcher, udpstream::proto::receiver::Local::List);
    world.run(seconds(1));
    let to = world.watchers[watcher].on(Port::PICTURES);
    let bytes = |kind: Kind, from, to| {
        let own = world.sent.iter().filter(|sent| (sent.kind, sent.from, sent.to) == (kind, from, to));
        own.map(|sent| sent.bytes).collect::<Vec<_>>()
    };
    let (asked, answered) = (bytes(Kind::LIST, to, SERVER), bytes(Kind::LISTING, SERVER, to));
    assert!(asked.len() > 3 && asked.len() == answered.len(), "{asked:?} {answered:?}");
    assert!(answered.iter().zip(&asked).all(|(answer, question)| answer <= question));
    assert_eq!(world.server.machine.watchers(), 1);
    world.check(watcher);
    assert_eq!(world.counts(watcher).reconnects, 0);
}

//! Who asks for what is missing: what was sent is sent again, within bounds, and nothing else is.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use udpstream::units::{Rate, Size, Time, Unit};
use udpstream::wire::message::{ANY_CUT, Message, NackName, Place, RepairWish, SoundWish};
use udpstream::wire::object::{ObjectHeader, SAME_CUT, Type};
use udpstream::wire::tlv::{self, kind};
use udpstream::wire::{HOP_LEN, Hop, Kind, ObjectView};

use crate::client::Client;
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{SOUND, World, address, ms, seconds};

/// Some dozen parts a picture.
fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(320, 240), Rate::new(25, 1).expect("25 fps"), 16))
}

fn joined(world: &mut World, host: u8) -> Client {
    joined_with(world, host, &[])
}

/// One that wants something besides, as TLVs say.
fn joined_with(world: &mut World, host: u8, wants: &[u8]) -> Client {
    let (mut want, mut join) = (wants.to_vec(), Vec::new());
    RepairWish { asks: true, patience: RepairWish::INTERVAL, latency: Duration::ZERO }.put(&mut want);
    tlv::put(&mut join, kind::WANT, &want);
    let mut client = Client::greet(world, address(host, 1), u64::from(host));
    client.ask_with(world, 1_200, &join);
    let accepted = client.hear(world, |message| match message {
        Message::Accept(accept) => Some((accept.session, accept.token)),
        _ => None,
    });
    (client.session, client.token) = accepted.expect("accepted");
    client.live(world);
    client
}

/// Headers and bytes of the objects that it was sent since a moment, with their hop sequences.
fn objects(world: &World, client: &Client, since: Time) -> Vec<(u32, ObjectHeader, Vec<u8>)> {
    let all = world.stray.get(&client.address).into_iter().flatten().filter(|(at, _)| *at > since);
    let of = |(_, bytes): &(Time, Vec<u8>)| {
        let (hop, body) = Hop::parse(bytes).ok().filter(|(hop, _)| hop.kind == Kind::OBJECT)?;
        let header = ObjectView::parse(body).ok()?.header;
        Some((hop.sequence, header, bytes[HOP_LEN..].to_vec()))
    };
    all.filter_map(of).collect()
}

fn name(header: &ObjectHeader, bitmap: u64) -> NackName {
    let ObjectHeader { stream, kind, rendition, cut, unit, part, .. } = *header;
    NackName { stream, kind, rendition, cut, unit, first_part: part, bitmap }
}

fn ask(world: &mut World, client: &Client, session: u64, names: Vec<NackName>) {
    client.say(world, session as u32, &Message::Nack { session, names });
}

/// The newest picture that was sent whole.
fn newest(world: &World, client: &Client) -> ObjectHeader {
    let sent = objects(world, client, Time::ZERO);
    let whole = sent.iter().rev().find(|(_, header, _)| header.part + 1 == header.parts && header.parts > 4);
    ObjectHeader { part: 0, ..whole.expect("some were sent").1 }
}

/// One that has been sent pictures for half a second, and asks for what it lacks.
fn playing(seed: u64) -> (World, Client) {
    let mut world = World::new(seed, &film());
    let mut client = joined(&mut world, 9);
    world.run(ms(500));
    client.live(&mut world);
    (world, client)
}

#[test]
fn what_is_asked_for_is_sent_again_to_the_byte_under_a_new_number_and_twice_at_most() {
    let (mut world, client) = playing(1);
    let picture = newest(&world, &client);
    for tries in 0..6 {
        ask(&mut world, &client, client.session, vec![name(&picture, 0b101)]);
        world.run(ms(if tries == 0 { 10 } else { 5 }));
    }
    let sent = objects(&world, &client, Time::ZERO);
    let mut copies: BTreeMap<u16, Vec<(u32, Vec<u8>)>> = BTreeMap::new();
    for (hop, header, bytes) in sent.into_iter().filter(|(_, header, _)| header.unit == picture.unit) {
        copies.entry(header.part).or_default().push((hop, bytes));
    }
    for (part, copies) in &copies {
        let again = if [0, 2].contains(part) { 3 } else { 1 };
        assert_eq!(copies.len(), again, "part {part}");
        assert!(copies.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 == pair[1].1), "part {part}");
    }
}

#[test]
fn names_of_what_was_never_sent_are_answered_by_nothing() {
    let mut world = World::new(2, &film());
    let (mut client, mut other) = (joined(&mut world, 9), joined(&mut world, 10));
    world.run(ms(500));
    client.live(&mut world);
    other.live(&mut world);
    let picture = newest(&world, &client);
    let right = name(&picture, u64::MAX);
    let wrong = [
        NackName { stream: 1, ..right },
        NackName { kind: Type::SOUND, ..right },
        NackName { kind: Type::DESCRIPTION, unit: Unit(0), ..right },
        NackName { rendition: 1, ..right },
        NackName { cut: SAME_CUT, ..right },
        NackName { cut: right.cut ^ 1, ..right },
        NackName { unit: Unit(picture.unit.0 + 100), ..right },
        NackName { unit: Unit(0), ..right },
        NackName { first_part: picture.parts, ..right },
    ];
    let again = |world: &World, client: &Client| {
        let mut seen = std::collections::BTreeSet::new();
        let sent = objects(world, client, Time::ZERO);
        sent.iter().filter(|(_, header, _)| header.kind == Type::PICTURE && !seen.insert(header.name())).count()
    };
    for wrong in wrong {
        ask(&mut world, &client, client.session, vec![wrong; 64]);
    }
    // Another's session, in its own name and in ours, and one that is not there.
    ask(&mut world, &client, other.session, vec![right]);
    let mut stolen = joined(&mut world, 11);
    stolen.address = address(77, 1);
    ask(&mut world, &stolen, client.session, vec![right]);
    ask(&mut world, &client, 12_345, vec![right]);
    assert_eq!((again(&world, &client), again(&world, &other)), (0, 0));
    assert!(!world.stray.contains_key(&stolen.address), "nothing goes to who has no session");
    ask(&mut world, &client, client.session, vec![NackName { cut: ANY_CUT, bitmap: 0b11, ..right }]);
    assert_eq!(again(&world, &client), 2, "whichever cut it was");
}

#[test]
fn a_flood_of_nacks_is_answered_within_a_quarter_of_what_is_sent_and_harms_nobody() {
    let mut world = World::new(3, &film());
    let watcher = world.watch(Path::GOOD);
    let mut client = joined(&mut world, 9);
    world.run(ms(500));
    client.live(&mut world);
    let from = world.now;
    for _ in 0..200 {
        let picture = newest(&world, &client);
        let names =
            (0..4).map(|n| NackName { unit: Unit(picture.unit.0.saturating_sub(n)), ..name(&picture, u64::MAX) });
        for names in [names.collect::<Vec<_>>()].iter().cycle().take(10) {
            let mut bytes = Hop::unsequenced(Kind::NACK, client.session as u32, 0).to_bytes().to_vec();
            Message::Nack { session: client.session, names: names.clone() }.emit(&mut bytes);
            world.inject(client.address, &bytes);
        }
        client.live(&mut world);
        world.run(ms(10));
    }
    let session =
        world.server.machine.sessions().find(|session| session.address == client.address).expect("it is there");
    let repair = session.stats.repair;
    let media = session.stats.bytes - repair.resent_bytes;
    assert!(repair.resent > 50, "{repair:?}");
    assert!(repair.resent_bytes as f64 <= 0.25 * media as f64 + 40_000.0, "{repair:?} of {media}");
    assert!(world.now.since(from) > seconds(2));
    world.check(watcher);
    let counts = world.counts(watcher).pictures;
    assert_eq!((counts.damaged, counts.lost, counts.late), (0, 0, 0), "{counts:?}");
    assert!(counts.shown > 60, "{counts:?}");
}

#[test]
fn of_sound_that_rendition_is_sent_again_that_was_sent_and_nothing_that_was_not() {
    let mut world = World::with(5, &film(), Time::from_millis(60_000), |config, stream| {
        stream.description.sound = true;
        config.sound_port = SOUND.port();
    });
    let mut wants = Vec::new();
    SoundWish { place: Place::Here, rendition: 1, coarsest: 1 }.put(&mut wants);
    let mut client = joined_with(&mut world, 9, &wants);
    world.run(ms(500));
    client.live(&mut world);
    let sound = |sent: Vec<(u32, ObjectHeader, Vec<u8>)>| {
        sent.into_iter().filter(|(_, header, _)| header.kind == Type::SOUND).collect::<Vec<_>>()
    };
    let (_, newest, bytes) = sound(objects(&world, &client, Time::ZERO)).pop().expect("it hears");
    assert_eq!(newest.rendition, 1);
    let right = name(&newest, 1);
    let wrong = [
        NackName { rendition: 0, ..right },
        NackName { rendition: 2, ..right },
        NackName { rendition: 3, ..right },
        NackName { unit: Unit(newest.unit.0 + 1_000), ..right },
        NackName { cut: 0, ..right },
        NackName { first_part: 1, ..right },
        NackName { bitmap: 0b10, ..right },
    ];
    let again = |world: &World, client: &Client| {
        let mut seen = std::collections::BTreeSet::new();
        let sent = sound(objects(world, client, Time::ZERO)).into_iter();
        sent.filter(|(_, header, _)| !seen.insert(header.name())).map(|(.., bytes)| bytes).collect::<Vec<_>>()
    };
    for wrong in wrong {
        ask(&mut world, &client, client.session, vec![wrong; 8]);
    }
    assert!(again(&world, &client).is_empty(), "it was sent none of these");
    ask(&mut world, &client, client.session, vec![right]);
    assert_eq!(again(&world, &client), [bytes], "to the byte");
}

#[test]
fn one_that_is_paused_may_ask_for_the_picture_that_it_pauses_on() {
    let (mut world, client) = playing(6);
    let mut pause = Vec::new();
    tlv::put(&mut pause, kind::PAUSE, &[]);
    client.want(&mut world, 1, &pause);
    let (paused, picture) = (world.now, newest(&world, &client));
    for _ in 0..20 {
        ask(
            &mut world,
            &client,
            client.session,
            vec![name(&picture, 0b101), NackName { unit: picture.unit.next(), ..name(&picture, 1) }],
        );
    }
    let sent = objects(&world, &client, paused).into_iter().filter(|(_, header, _)| header.kind == Type::PICTURE);
    let mut parts: Vec<_> = sent.map(|(_, header, _)| (header.unit, header.part)).collect();
    parts.sort_unstable();
    assert_eq!(
        parts,
        [0, 0, 2, 2].map(|part| (picture.unit, part)),
        "twice at most, and none of the pictures that it was not sent"
    );
}

#[test]
fn nothing_is_sent_again_after_the_goodbye() {
    let mut world = World::new(4, &film());
    world.encoder.length = 20;
    let mut client = joined(&mut world, 9);
    world.run(ms(700));
    client.live(&mut world);
    let picture = newest(&world, &client);
    world.run(ms(400));
    client.live(&mut world);
    let goodbye = client.hear(&world, |message| matches!(message, Message::Bye { .. }).then_some(()));
    assert!(goodbye.is_some(), "the film is over");
    let since = world.now;
    ask(&mut world, &client, client.session, vec![name(&picture, u64::MAX)]);
    world.run(ms(100));
    let media = objects(&world, &client, since).into_iter().filter(|(_, header, _)| header.kind == Type::PICTURE);
    assert_eq!(media.count(), 0);
}

#[test]
fn of_a_picture_that_stands_a_lost_part_is_sent_again_and_not_the_whole_body() {
    let film = film();
    let (mut whole, mut repaired) = (0, 0);
    for seed in 0..10 {
        let mut world = World::with(40 + seed, &film, Time::from_millis(60_000), |_, stream| {
            stream.description.live = true;
        });
        world.encoder.decode = film.rate.interval();
        world.encoder.still_from = Unit(60);
        world.record = true;
        let watcher = world.watch(Path { mtu: 1_200, ..Path::GOOD });
        world.run(seconds(1));
        world.path_down(watcher, Path { loss: 0.1, mtu: 1_200, ..Path::GOOD });
        world.run(seconds(5));
        world.check(watcher);
        let to = world.watchers[watcher].address;
        let slices = world.sent.iter().filter(|sent| sent.to == to).filter_map(|sent| sent.slice);
        // Each unit that came with its body has a part 5; the last that had to is unit 59.
        whole += slices.filter(|(unit, part)| *part == 5 && unit.0 > 60).count();
        repaired += world.counts(watcher).pictures.slices_repaired.resent;
    }
    assert!(repaired > 300, "{repaired}");
    // A tenth of a dozen parts is lost: of ten last bodies hardly one comes whole.
    assert!(whole <= 4, "{whole} bodies were sent anew");
}

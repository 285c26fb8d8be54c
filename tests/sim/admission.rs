//! Who gets in, how often, and who stays: cookies, tags, tokens and echoes.

use std::cell::RefCell;
use std::rc::Rc;

use udpstream::proto::server::{Event, Gone};
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::message::{Join, Message, Place, RefuseCode, Role, SoundWish, bye};
use udpstream::wire::object::Type;
use udpstream::wire::tlv::{self, Tlvs, kind};
use udpstream::wire::{HOP_LEN, ObjectView};

use crate::client::Client;
use crate::jpeg::Film;
use crate::net::{World, address, ms, seconds};

fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(160, 96), Rate::new(30, 1).expect("30 fps"), 12))
}

fn gone(world: &World) -> Vec<Gone> {
    let left = |(_, event): &(Time, Event)| if let Event::Left { why, .. } = event { Some(*why) } else { None };
    world.server.events.iter().filter_map(left).collect()
}

#[test]
fn a_cookie_admits_once() {
    let mut world = World::new(1, &film());
    let client = Client::join(&mut world, address(70, 7_000), 5);
    assert_eq!(world.server.machine.watchers(), 1);
    // Again while the session lives: the Accept may have been lost, so it is the same one.
    client.ask(&mut world, 0);
    let ids: Vec<u64> = world.server.machine.sessions().map(|session| session.id).collect();
    assert_eq!(ids, [client.session]);
    client.say(
        &mut world,
        client.session as u32,
        &Message::Bye { session: client.session, code: bye::LEAVING, sentence: "" },
    );
    assert_eq!(world.server.machine.watchers(), 0);
    // Somebody has kept the Join. The cookie would be good for a minute or two.
    let heard = world.stray[&client.address].len();
    for _ in 0..30 {
        client.ask(&mut world, 0);
        world.run(seconds(2));
        assert_eq!(world.server.machine.watchers(), 0);
    }
    assert_eq!(world.stray[&client.address].len(), heard, "nothing is said to an old Join");
    // The same client with a cookie of its own is welcome.
    let again = Client::join(&mut world, client.address, 6);
    assert_ne!(again.session, client.session);
}

#[test]
fn words_with_another_tag_are_not_heard() {
    let mut world = World::new(2, &film());
    let mut client = Client::join(&mut world, address(70, 7_000), 5);
    let rejected = world.server.machine.totals().rejected;
    for tag in [0, client.session as u32 ^ 1, (client.session >> 32) as u32] {
        client.say(&mut world, tag, &Message::Bye { session: client.session, code: bye::LEAVING, sentence: "" });
        let (nonce, cookie, role, fec, max_datagram, tlvs) = (9, [0; 24], Role::Watch, 0, 0, Tlvs::default());
        client.say(&mut world, tag | 1, &Message::Join(Join { nonce, cookie, role, fec, max_datagram, tlvs }));
        client.say(&mut world, tag | 1, &Message::Hello { highest: 1, lowest: 1, nonce: 9 });
    }
    assert_eq!((world.server.machine.watchers(), world.server.machine.totals().rejected - rejected), (1, 9));
    let echo = client.newest(&world);
    let token = client.token;
    client.report(&mut world, echo, token);
    assert!(client.objects(&world) > 1, "with its own it is");
}

#[test]
fn a_refused_rejoin_leaves_the_old_session_alone() {
    let mut world = World::with(3, &film(), Time::from_millis(60_000), |config, _| config.max_joins_per_second = 2);
    let mut client = Client::join(&mut world, address(70, 7_000), 5);
    let (echo, token) = (client.newest(&world), client.token);
    client.report(&mut world, echo, token);
    let anew = Client::greet(&mut world, client.address, 6);
    anew.ask(&mut world, 600);
    assert_eq!(anew.refusal(&world), Some(RefuseCode::TOO_SMALL), "there are no datagrams of 600 bytes");
    let ids: Vec<u64> = world.server.machine.sessions().map(|session| session.id).collect();
    assert_eq!((ids, gone(&world)), (vec![client.session], vec![]));
    let before = client.objects(&world);
    world.run(seconds(1));
    assert!(client.objects(&world) > before + 20, "it is served on");
    // Too many from its network this second: refused too. Accepted later, it takes the old one's place.
    for n in 0..3 {
        Client::greet(&mut world, address(71, 7_000 + n), 7).ask(&mut world, 0);
    }
    anew.ask(&mut world, 0);
    assert_eq!((anew.refusal(&world), gone(&world)), (Some(RefuseCode::BUSY), vec![]));
    world.run(seconds(1));
    anew.ask(&mut world, 0);
    assert_eq!(gone(&world), [Gone::Replaced]);
}

#[test]
fn a_full_server_lets_its_own_watcher_join_anew() {
    let mut world = World::with(4, &film(), Time::from_millis(60_000), |config, _| config.max_sessions = 1);
    Client::join(&mut world, address(70, 7_000), 5);
    let other = Client::greet(&mut world, address(71, 7_000), 5);
    other.ask(&mut world, 0);
    assert_eq!(other.refusal(&world), Some(RefuseCode::FULL));
    Client::join(&mut world, address(70, 7_000), 6);
    assert_eq!((world.server.machine.watchers(), gone(&world)), (1, vec![Gone::Replaced]));
}

#[test]
fn a_wish_that_cannot_be_read_is_none_and_the_join_counts() {
    let mut world = World::with(8, &film(), Time::from_millis(60_000), |_, stream| stream.description.sound = true);
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    let mut wish = Vec::new();
    SoundWish { place: Place::Here, rendition: 0, coarsest: 1 }.put(&mut wish);
    tlv::put(&mut right, kind::WANT, &wish);
    // Its length is beyond the end.
    wish[3] += 1;
    tlv::put(&mut wrong, kind::WANT, &wish);
    for (n, tlvs, sounds) in [(0, &right, true), (1, &wrong, false)] {
        let client = Client::greet(&mut world, address(70 + n, 7_000), 5);
        client.ask_with(&mut world, 0, tlvs);
        world.run(seconds(1));
        assert!(client.hear(&world, |message| matches!(message, Message::Accept(_)).then_some(())).is_some());
        let objects =
            world.stray[&client.address].iter().filter_map(|(_, bytes)| ObjectView::parse(&bytes[HOP_LEN..]).ok());
        let kinds: Vec<_> = objects.map(|object| object.header.kind).collect();
        assert_eq!((kinds.contains(&Type::SOUND), kinds.contains(&Type::PICTURE)), (sounds, true), "{n}");
    }
}

/// Whoever once had the session knows its id and, from the clock and the rate, when every picture leaves.
#[test]
fn no_forged_report_keeps_a_flood_alive() {
    let mut world = World::new(5, &film());
    let mut client = Client::join(&mut world, address(70, 7_000), 5);
    let (echo, token, begun) = (client.newest(&world), client.token, world.now);
    client.report(&mut world, echo, token);
    let end = world.now + seconds(8);
    while world.now < end {
        // The truth about a stamp, as whoever can foretell departures knows it, with the only token it ever heard; and
        // guesses.
        let echo = client.newest(&world);
        client.report(&mut world, echo, token);
        for guess in [1, 1_000, 33_333] {
            let now = world.now.wire_micros();
            client.report(&mut world, now.wrapping_sub(guess), token);
        }
        world.run(ms(20));
    }
    // A token is good for two seconds or a little more; then there is silence of three seconds.
    assert_eq!(gone(&world), [Gone::Silent]);
    let left = world.server.events.iter().find(|(_, event)| matches!(event, Event::Left { .. })).expect("gone").0;
    assert!(left < begun + ms(6_200), "{:?}", left.since(begun));
    let before = client.objects(&world);
    world.run(seconds(2));
    assert_eq!(client.objects(&world), before);
}

#[test]
fn only_what_was_sent_can_be_echoed() {
    let mut world = World::new(6, &film());
    let mut client = Client::join(&mut world, address(70, 7_000), 5);
    let rejected = |world: &World| world.server.machine.totals().rejected;
    let (echo, token, before) = (client.newest(&world), client.token, rejected(&world));
    for wrong in [echo.wrapping_add(1), echo.wrapping_sub(1), 0] {
        client.report(&mut world, wrong, token);
    }
    assert_eq!(rejected(&world), before + 3);
    client.report(&mut world, echo, token);
    assert_eq!(rejected(&world), before + 3);
}

/// A cookie that has not admitted yet is good for a minute, however often it is shown.
#[test]
fn wrong_names_count_among_the_joins_of_a_second_however_long_they_are() {
    let mut world = World::with(9, &film(), Time::from_millis(60_000), |config, _| config.max_joins_per_second = 10);
    let client = Client::greet(&mut world, address(70, 7_000), 5);
    let mut named = Vec::new();
    tlv::put(&mut named, kind::STREAM, "film".repeat(16_000).as_bytes());
    for _ in 0..30 {
        client.ask_with(&mut world, 0, &named);
    }
    let codes = RefCell::new(Vec::new());
    let note = |message: Message<'_>| -> Option<()> {
        if let Message::Refuse(refuse) = message {
            codes.borrow_mut().push((refuse.code, refuse.sentence.contains("there is only film")));
        }
        None
    };
    client.hear(&world, note);
    let count = |wanted| codes.borrow().iter().filter(|code| **code == wanted).count();
    assert_eq!((count((RefuseCode::NO_SUCH_STREAM, true)), count((RefuseCode::BUSY, false))), (10, 20));
    world.run(seconds(1));
    client.ask(&mut world, 0);
    assert_eq!(world.server.machine.watchers(), 1, "its cookie is not used up");
}

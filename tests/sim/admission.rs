//! Who gets in, how often, and who stays: cookies, tags, tokens and echoes.

use std::net::SocketAddr;
use std::rc::Rc;

use udpstream::proto::server::{Event, Gone};
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::message::{Accept, Join, Message, Place, Refuse, RefuseCode, Role, SoundWish, bye};
use udpstream::wire::object::Type;
use udpstream::wire::report::Arrival;
use udpstream::wire::tlv::{self, Tlvs, kind};
use udpstream::wire::{HOP_LEN, Hop, Kind, ObjectView, Report};

use crate::jpeg::Film;
use crate::net::{World, address, ms, seconds};

fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(160, 96), Rate::new(30, 1).expect("30 fps"), 12))
}

/// A client that speaks for itself, byte by byte.
struct Client {
    address: SocketAddr,
    nonce: u64,
    cookie: [u8; 24],
    session: u64,
    token: u64,
    reports: u32,
}

impl Client {
    /// As far as a cookie.
    fn greet(world: &mut World, address: SocketAddr, nonce: u64) -> Self {
        let mut client = Self { address, nonce, cookie: [0; 24], session: 0, token: 0, reports: 0 };
        client.say(world, 0, &Message::Hello { highest: 1, lowest: 1, nonce });
        let challenge = |message: Message<'_>| match message {
            Message::Challenge { nonce: of, cookie, .. } if of == nonce => Some(cookie),
            _ => None,
        };
        client.cookie = client.hear(world, challenge).expect("a challenge");
        client
    }

    fn join(world: &mut World, address: SocketAddr, nonce: u64) -> Self {
        let mut client = Self::greet(world, address, nonce);
        client.ask(world, 0);
        let accept = |message: Message<'_>| match message {
            Message::Accept(Accept { session, token, .. }) => Some((session, token)),
            _ => None,
        };
        (client.session, client.token) = client.hear(world, accept).expect("accepted");
        client
    }

    fn say(&self, world: &mut World, tag: u32, message: &Message<'_>) {
        let mut bytes = Hop::unsequenced(message.kind(), tag, 0).to_bytes().to_vec();
        message.emit(&mut bytes);
        world.inject(self.address, &bytes);
        world.run(ms(5));
    }

    fn ask(&self, world: &mut World, max_datagram: u16) {
        self.ask_with(world, max_datagram, &[]);
    }

    fn ask_with(&self, world: &mut World, max_datagram: u16, tlvs: &[u8]) {
        let (nonce, cookie, role, fec, tlvs) = (self.nonce, self.cookie, Role::Watch, 0, Tlvs::trusted(tlvs));
        self.say(world, 0, &Message::Join(Join { nonce, cookie, role, fec, max_datagram, tlvs }));
    }

    /// The newest that was sent to it and is this.
    fn hear<T>(&self, world: &World, wanted: impl Fn(Message<'_>) -> Option<T>) -> Option<T> {
        world.stray.get(&self.address).into_iter().flatten().rev().find_map(|(_, bytes)| {
            let (hop, body) = Hop::parse(bytes).expect("the server's own");
            Message::parse(hop.kind, body).ok().and_then(&wanted)
        })
    }

    /// When the newest datagram to it left.
    fn newest(&self, world: &World) -> u32 {
        let (_, bytes) = world.stray[&self.address].last().expect("something was sent");
        Hop::parse(bytes).expect("the server's own").0.sent_at
    }

    fn report(&mut self, world: &mut World, echo: u32, token: u64) {
        self.reports += 1;
        let arrivals = vec![Arrival::received(0); 100];
        let report = Report { session: self.session, number: self.reports, echo, token, arrivals, ..Report::default() };
        self.say(world, self.session as u32, &Message::Report(report));
    }

    /// Media that was sent to it.
    fn objects(&self, world: &World) -> usize {
        let all = world.stray.get(&self.address).into_iter().flatten();
        all.filter(|(_, bytes)| bytes[3] == Kind::OBJECT.0).count()
    }

    fn refusal(&self, world: &World) -> Option<RefuseCode> {
        self.hear(world, |message| match message {
            Message::Refuse(Refuse { code, .. }) => Some(code),
            _ => None,
        })
    }
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
    SoundWish { place: Place::Here, rendition: 0 }.put(&mut wish);
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

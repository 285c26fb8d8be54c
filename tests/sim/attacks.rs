//! What anybody can send: forged, damaged, replayed. Nothing is stored and nothing is amplified before a cookie has
//! come back, and nobody else's session suffers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use udpstream::proto::{Input, Machine, Output, Port, Received};
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::message::{Join, Message, Role, bye};
use udpstream::wire::tlv::Tlvs;
use udpstream::wire::{Ecn, Hop, Kind, Report};

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{World, address, ms, seconds};
use crate::random::Random;

fn datagram(tag: u32, message: &Message<'_>) -> Vec<u8> {
    let mut bytes = Hop::unsequenced(message.kind(), tag, 0).to_bytes().to_vec();
    message.emit(&mut bytes);
    bytes
}

/// A world with one honest watcher in it.
fn world(seed: u64) -> (World, usize) {
    let film = Rc::new(Film::new(Size::new(160, 96), Rate::new(30, 1).expect("30 fps"), 12));
    let mut world = World::new(seed, &film);
    world.record = true;
    let victim = world.watch(Path { mtu: 1_200, ..Path::GOOD });
    world.run(seconds(1));
    (world, victim)
}

/// The honest watcher noticed nothing.
fn unharmed(world: &World, victim: usize) {
    world.check(victim);
    let (counts, seen) = (world.counts(victim), &world.watchers[victim].seen);
    let bad = [
        counts.pictures.lost,
        counts.pictures.late,
        counts.pictures.thinned,
        counts.pictures.damaged,
        counts.reconnects,
        counts.traffic.rejected,
    ];
    assert_eq!((bad, seen.lost, seen.over.len()), ([0; 6], 0, 0), "{counts:?}");
    let last = seen.shown.last().expect("shown");
    assert!(world.now.since(last.0) < ms(40), "{counts:?}");
    assert_eq!(world.server.machine.watchers(), 1, "no session was made");
    assert_eq!(world.server.machine.sessions().next().expect("the victim").address, world.watchers[victim].address);
}

/// Sends and adds up.
#[derive(Default)]
struct Attack(BTreeMap<SocketAddr, usize>);

impl Attack {
    fn send(&mut self, world: &mut World, from: SocketAddr, bytes: &[u8]) {
        *self.0.entry(from).or_default() += bytes.len();
        world.inject(from, bytes);
    }

    /// No address was sent more than came from it.
    fn not_amplified(&self, world: &World) {
        for (address, sent) in &self.0 {
            let back: usize = world.sent.iter().filter(|s| s.to == *address).map(|s| s.bytes).sum();
            assert!(back <= *sent, "{address}: {back} bytes for {sent}");
        }
    }
}

#[test]
fn noise_and_forged_hellos() {
    let (mut world, victim) = world(1);
    let mut random = Random::new(9);
    let mut attack = Attack::default();
    let hello = |nonce, highest| datagram(0, &Message::Hello { highest, lowest: highest, nonce });
    for n in 0..3_000_u64 {
        let from = address(20 + (n % 100) as u8, 1_024 + (n % 7) as u16);
        let mut bytes = hello(random.next(), 1 + (n % 3) as u8);
        match n % 4 {
            0 => bytes.truncate(random.below(1_200) as usize),
            1 => bytes = random.bytes(random.clone().below(1_400) as usize),
            2 => (0..4).for_each(|_| bytes[random.below(40) as usize] = random.next() as u8),
            _ => bytes.resize(1_200 + random.below(200) as usize, 7),
        }
        attack.send(&mut world, from, &bytes);
        if n % 10 == 0 {
            world.run(ms(5));
        }
    }
    world.run(seconds(1));
    attack.not_amplified(&world);
    unharmed(&world, victim);
    let padded = address(250, 1);
    attack.send(&mut world, padded, &hello(1, 1));
    let short = address(250, 2);
    attack.send(&mut world, short, &hello(1, 1)[..1_199]);
    world.run(ms(10));
    let answers = |world: &World, to| world.sent.iter().filter(|s| s.to == to).count();
    assert_eq!((answers(&world, padded), answers(&world, short)), (1, 0), "only a whole Hello is answered");
}

#[test]
fn a_cookie_is_good_for_nobody_else() {
    let (mut world, victim) = world(2);
    let honest = address(77, 7_000);
    world.inject(honest, &datagram(0, &Message::Hello { highest: 1, lowest: 1, nonce: 5 }));
    world.run(ms(10));
    let (_, challenge) = world.stray[&honest][0].clone();
    let (hop, body) = Hop::parse(&challenge).expect("a challenge");
    let Ok(Message::Challenge { nonce: 5, cookie, .. }) = Message::parse(hop.kind, body) else { panic!("{hop:?}") };
    let join =
        |nonce, cookie| Join { nonce, cookie, role: Role::Watch, fec: 0, max_datagram: 0, tlvs: Tlvs::default() };
    let mut attack = Attack::default();
    let mut forged = cookie;
    forged[9] ^= 1;
    let tries = [
        (address(77, 7_001), 5, cookie),
        (address(78, 7_000), 5, cookie),
        (honest, 6, cookie),
        (honest, 5, forged),
        (world.watchers[victim].address, 5, cookie),
    ];
    let before: Vec<_> = world.sent.iter().filter(|s| s.to == honest).cloned().collect();
    for (from, nonce, cookie) in tries {
        let bytes = datagram(0, &Message::Join(join(nonce, cookie)));
        attack.send(&mut world, from, &bytes);
    }
    world.run(seconds(1));
    unharmed(&world, victim);
    assert!(world.sent.iter().filter(|s| s.to == honest).eq(&before), "nothing was said to a bad Join");
    // Two minutes later it is stale, before that it is good.
    world.run(seconds(125));
    world.inject(honest, &datagram(0, &Message::Join(join(5, cookie))));
    world.run(ms(10));
    unharmed(&world, victim);
}

#[test]
fn forged_words_of_a_known_session() {
    let (mut world, victim) = world(3);
    let id = world.server.machine.sessions().next().expect("joined").id;
    let stranger = address(99, 9_999);
    let mut attack = Attack::default();
    for n in 0..400 {
        let forged = [
            Message::Bye { session: id, code: bye::LEAVING, sentence: "" },
            Message::Report(Report { session: id, number: u32::MAX / 4 + n, ..Report::default() }),
            Message::PathReply { session: id, token: [n as u8; 8] },
            Message::PathReply { session: id ^ 1, token: [0; 8] },
        ];
        for message in &forged {
            attack.send(&mut world, stranger, &datagram(id as u32, message));
        }
        world.run(ms(10));
    }
    world.run(seconds(1));
    attack.not_amplified(&world);
    let kinds = world.sent.iter().filter(|s| s.to == stranger);
    assert!(kinds.clone().count() > 0 && kinds.clone().all(|s| s.kind == Kind::PATH_CHECK), "only asked for proof");
    unharmed(&world, victim);
}

/// While the server's socket takes nothing, what strangers ask is not kept without end.
#[test]
fn a_flood_while_nothing_can_be_sent_takes_no_memory() {
    let (mut world, victim) = world(8);
    let mut bytes = datagram(0, &Message::Hello { highest: 1, lowest: 1, nonce: 1 });
    bytes.resize(1_200, 0);
    world.server.wake = Time::NEVER;
    for n in 0..50_000_u32 {
        let from = address(20 + (n % 200) as u8, 1_024 + (n / 200) as u16);
        let received = Received { port: Port(0), from, local: None, ecn: Ecn::Not, bytes: &bytes };
        world.server.machine.handle(world.now, Input::Datagram(received));
    }
    let mut answers = 0;
    while let Output::Send(transmit) = world.server.machine.poll(world.now) {
        answers += usize::from(Hop::parse(&transmit.hop).is_ok_and(|(hop, _)| hop.kind == Kind::CHALLENGE));
    }
    assert!((1..10_000).contains(&answers), "{answers} answers were kept");
    world.server.wake = world.now;
    world.run(seconds(1));
    unharmed(&world, victim);
}

//! Streams that are watched by a code or a password: who is let in, and what those learn who are not.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use udpstream::proto::receiver::{Config as Viewer, Secret};
use udpstream::proto::server::{Config, Guard, StreamConfig};
use udpstream::seal::{Code, Key, LookupId, Subject};
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::message::{Accept, Entry, Listing, Message, Refuse, RefuseCode, Role};
use udpstream::wire::tlv::{self, kind};

use crate::client::Client;
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{SOUND, World, address, ms, seconds, streaming};
use crate::sources::{name, stream};

fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(160, 96), Rate::new(30, 1).expect("30 fps"), 12))
}

fn code() -> Code {
    "K7QM-01AB-CDEF-GHJK-MNPQ".parse().expect("a code")
}

fn id() -> LookupId {
    code().lookup()
}

fn elsewhere() -> LookupId {
    LookupId::new(id().get() ^ 1).expect("20 bits")
}

/// Words are tried where keys are made of them.
fn password() -> Key {
    Key::new([5; 32])
}

/// An open stream, one with a code, one with a password, all with sound.
fn world(seed: u64) -> World {
    let film = film();
    let mut world = World::with(seed, &film, Time::from_millis(60_000), |config: &mut Config, first| {
        config.sound_port = SOUND.port();
        *first = StreamConfig { guard: Guard::Code(id(), code().key()), ..stream("hidden", &film, false, true) };
    });
    world.open(stream("open", &film, false, true));
    world.open(StreamConfig { guard: Guard::Password(password()), ..stream("words", &film, false, true) });
    world
}

fn watch(world: &mut World, path: Path, secret: Option<Secret>, stream: Option<&str>) -> usize {
    world.watch_with(path, |config: &mut Viewer| {
        (config.secret, config.stream) = (secret, stream.map(name));
    })
}

/// What a watcher that shows nothing was told.
fn refusal(client: &Client, world: &World) -> Option<(RefuseCode, String, u32)> {
    client.hear(world, |message| match message {
        Message::Refuse(Refuse { nonce, code, sentence, retry_after_ms, .. }) if nonce == client.nonce => {
            Some((code, sentence.to_owned(), retry_after_ms))
        }
        _ => None,
    })
}

fn accepted(client: &Client, world: &World) -> bool {
    let accept = |message: Message<'_>| match message {
        Message::Accept(Accept { nonce, .. }) if nonce == client.nonce => Some(()),
        _ => None,
    };
    client.hear(world, accept).is_some()
}

/// One host of a network of its own.
fn network(n: u32) -> SocketAddr {
    let [_, a, b, c] = n.to_be_bytes();
    SocketAddr::new(IpAddr::from([20 + a, b, c, 1]), 4_000)
}

#[test]
fn who_knows_the_code_sees_and_hears_and_nobody_else_does() {
    let mut world = world(1);
    let knows = watch(&mut world, Path::GOOD, Some(Secret::Code(id(), code().key())), None);
    let wrong = watch(&mut world, Path::GOOD, Some(Secret::Code(id(), Key::new([1; 32]))), None);
    let by_name = watch(&mut world, Path::GOOD, None, Some("hidden"));
    let first = watch(&mut world, Path::GOOD, None, None);
    world.run(seconds(3));
    let hidden = world.server.key;
    let seen = &world.watchers[knows].seen;
    assert!(seen.shown.len() > 60 && seen.sound.len() > 300, "{} {}", seen.shown.len(), seen.sound.len());
    assert_eq!(world.server.machine.watchers_of(hidden), 1);
    for other in [wrong, by_name] {
        assert!(world.watchers[other].seen.shown.is_empty() && world.watchers[other].seen.refused >= 1);
    }
    assert!(world.watchers[first].seen.shown.len() > 60, "who names none has the first that is listed");
}

#[test]
fn a_stream_with_a_code_is_in_no_list_and_one_with_a_password_is_marked() {
    let mut world = world(2);
    let client = Client::greet(&mut world, address(70, 7_000), 5);
    client.list(&mut world, 0);
    let listed = client.hear(&world, |message| match message {
        Message::Listing(Listing { total, tlvs, nonce, first }) => {
            let entries = Listing { total, tlvs, nonce, first }.entries().expect("entries");
            Some((total, entries.iter().map(|Entry { name, guarded, .. }| (name.to_string(), *guarded)).collect()))
        }
        _ => None,
    });
    assert_eq!(listed, Some((2, vec![("open".to_owned(), false), ("words".to_owned(), true)])));
}

#[test]
fn a_password_is_asked_for_and_its_stream_alone_is_opened_by_it() {
    let mut world = world(3);
    let secret = |stream: &str, key| Some(Secret::Password(name(stream), key));
    let knows = watch(&mut world, Path::GOOD, secret("words", password()), Some("words"));
    world.run(seconds(2));
    assert!(world.watchers[knows].seen.shown.len() > 40);
    let ask = |world: &mut World, n: u16, tlvs: &dyn Fn(&Client) -> Vec<u8>| {
        let client = Client::greet(world, address(70, 7_000 + n), 5 + u64::from(n));
        client.ask_with(world, 0, &tlvs(&client));
        refusal(&client, world).map(|(code, sentence, _)| (code, sentence))
    };
    let named = |stream: &str| {
        let mut tlvs = Vec::new();
        tlv::put(&mut tlvs, kind::STREAM, stream.as_bytes());
        tlvs
    };
    let said = ask(&mut world, 1, &|_| named("words")).expect("refused");
    assert_eq!(said, (RefuseCode::GUARDED, "words is guarded: it is watched with its password.".to_owned()));
    let proof = |client: &Client, stream: &str, key: &Key| client.proof(key, Subject::Name(stream), Role::Watch);
    let said = ask(&mut world, 2, &|client| proof(client, "words", &Key::new([6; 32]))).expect("refused");
    assert_eq!(said, (RefuseCode::GUARDED, "That is not the password of words.".to_owned()));
    let said = ask(&mut world, 3, &|client| proof(client, "open", &password())).expect("refused");
    assert_eq!(said, (RefuseCode::GUARDED, "open has no password: it is watched without one.".to_owned()));
    assert_eq!(ask(&mut world, 4, &|client| proof(client, "words", &password())), None);
}

/// Ten thousand strangers guess at the code that there is, and ten thousand at one that there is not.
#[test]
fn a_wrong_code_is_answered_as_no_stream_in_bytes_and_in_time() {
    let mut world = world(4);
    let mut answers: [Vec<(Vec<u8>, f64)>; 2] = Default::default();
    for n in 0..20_000_u32 {
        let (which, guess) = (n as usize % 2, [n.to_be_bytes(); 8].concat().try_into().expect("32 bytes"));
        let client = Client::greet(&mut world, network(n), 9);
        let id = if which == 0 { id() } else { elsewhere() };
        let tlvs = client.proof(&Key::new(guess), Subject::Code(id), Role::Watch);
        let (asked, before) = (world.now, world.stray[&client.address].len());
        client.ask_with(&mut world, 0, &tlvs);
        let heard = &world.stray[&client.address][before..];
        assert_eq!(heard.len(), 1, "one answer");
        // But for the moment when it left.
        let bytes = [&heard[0].1[..12], &heard[0].1[16..]].concat();
        answers[which].push((bytes, heard[0].0.since(asked).as_secs_f64()));
        world.stray.remove(&client.address);
    }
    assert_eq!(world.server.machine.watchers(), 0);
    let [there, nowhere] = answers;
    assert_eq!((there.len(), nowhere.len()), (10_000, 10_000));
    assert!(there.iter().chain(&nowhere).all(|(bytes, _)| *bytes == there[0].0), "the same bytes");
    let mean = |all: &[(Vec<u8>, f64)]| all.iter().map(|(_, took)| took).sum::<f64>() / all.len() as f64;
    let deviation = |all: &[(Vec<u8>, f64)], mean: f64| {
        (all.iter().map(|(_, took)| (took - mean).powi(2)).sum::<f64>() / all.len() as f64).sqrt()
    };
    let means = [mean(&there), mean(&nowhere)];
    let error = deviation(&there, means[0]).hypot(deviation(&nowhere, means[1])) / 100.0;
    assert!((means[0] - means[1]).abs() <= 2.0 * error + 1e-12, "{means:?} {error}");
}

#[test]
fn who_guesses_on_waits_longer_and_longer_and_others_do_not() {
    let mut world = world(5);
    let guess = |world: &mut World, n: u16, key: &Key| {
        let client = Client::greet(world, address(70, 7_000 + n), 9);
        client.ask_with(world, 0, &client.proof(key, Subject::Code(id()), Role::Watch));
        client
    };
    let mut busy = 0;
    for n in 0..800 {
        let client = guess(&mut world, n, &Key::new([1; 32]));
        match refusal(&client, &world).expect("refused") {
            (RefuseCode::NO_SUCH_STREAM, ..) => {}
            (RefuseCode::BUSY, sentence, again) => {
                assert!(sentence.contains("wrong codes") && (1..=30_001).contains(&again), "{sentence} {again}");
                busy += 1;
            }
            other => panic!("{other:?}"),
        }
        world.run(ms(50));
    }
    assert!(busy > 400, "{busy} of 800 were not even looked at");
    let neighbour = guess(&mut world, 1_900, &code().key());
    assert_eq!(refusal(&neighbour, &world).map(|(code, ..)| code), Some(RefuseCode::BUSY), "of the same network");
    let stranger = Client::greet(&mut world, network(7), 9);
    stranger.ask_with(&mut world, 0, &stranger.proof(&code().key(), Subject::Code(id()), Role::Watch));
    assert!(accepted(&stranger, &world), "whom the guesses of others do not concern");
    world.run(seconds(40));
    assert!(accepted(&guess(&mut world, 1_901, &code().key()), &world), "after a while");
}

#[test]
fn no_proof_is_good_for_anything_but_its_own_join() {
    let mut world = world(6);
    let owner = Client::greet(&mut world, address(70, 7_000), 9);
    let tlvs = owner.proof(&code().key(), Subject::Code(id()), Role::Watch);
    let one_more = |world: &World, client: &Client| accepted(client, world);
    // For another role.
    owner.ask_as(&mut world, Role::Relay, 0, &tlvs);
    assert!(!one_more(&world, &owner));
    // From another address, with the cookie of the owner and with one of its own.
    let mut thief = Client::greet(&mut world, address(70, 7_000), 9);
    thief.address = address(71, 7_001);
    thief.ask_with(&mut world, 0, &tlvs);
    let other = Client::greet(&mut world, address(71, 7_002), 9);
    other.ask_with(&mut world, 0, &tlvs);
    assert!(!one_more(&world, &thief) && !one_more(&world, &other));
    // For another stream, by whatever name.
    let mut renamed = Vec::new();
    tlv::put(&mut renamed, kind::STREAM, b"words");
    renamed.extend_from_slice(&tlvs[8..]);
    owner.ask_with(&mut world, 0, &renamed);
    assert!(!one_more(&world, &owner));
    // As it was meant.
    owner.ask_with(&mut world, 0, &tlvs);
    assert!(one_more(&world, &owner));
    // What the server proves back opens nothing.
    let back = owner.hear(&world, |message| match message {
        Message::Accept(accept) => accept.tlvs.find(kind::PROOF).map(<[u8]>::to_vec),
        _ => None,
    });
    let again = Client::greet(&mut world, address(70, 7_003), 9);
    let mut reflected = again.proof(&code().key(), Subject::Code(id()), Role::Watch);
    let end = reflected.len();
    reflected[end - 32..].copy_from_slice(&back.expect("a proof"));
    again.ask_with(&mut world, 0, &reflected);
    assert!(!one_more(&world, &again));
}

#[test]
fn a_proof_for_one_server_opens_no_other_that_has_the_same_code() {
    let (mut one, mut other) = (world(7), world(8));
    let at_one = Client::greet(&mut one, address(70, 7_000), 9);
    let tlvs = at_one.proof(&code().key(), Subject::Code(id()), Role::Watch);
    // Whoever is in between may pass on the cookie, and even the nonces.
    let at_other = Client::greet(&mut other, address(70, 7_000), 9);
    at_other.ask_with(&mut other, 0, &tlvs);
    at_one.ask_with(&mut other, 0, &tlvs);
    assert!(!accepted(&at_other, &other) && other.server.machine.watchers() == 0);
    at_one.ask_with(&mut one, 0, &tlvs);
    assert!(accepted(&at_one, &one));
}

/// Who stands in for the server without the code is not believed.
#[test]
fn a_server_that_does_not_know_the_code_is_not_watched() {
    let film = film();
    let mut world = World::with(9, &film, Time::from_millis(60_000), |_, first: &mut StreamConfig| {
        *first = streaming("film", &film);
        first.guard = Guard::Code(id(), Key::new([1; 32]));
    });
    // It lets everybody in: as if it had heard the right proof, with one of its own.
    let client = Client::greet(&mut world, address(70, 7_000), 9);
    client.ask_with(&mut world, 0, &client.proof(&Key::new([1; 32]), Subject::Code(id()), Role::Watch));
    assert!(accepted(&client, &world));
    let told = client.hear(&world, |message| match message {
        Message::Accept(accept) => accept.tlvs.find(kind::PROOF).map(|proof| proof.len()),
        _ => None,
    });
    assert_eq!(told, Some(32));
    let knows = watch(&mut world, Path::GOOD, Some(Secret::Code(id(), code().key())), None);
    world.run(seconds(2));
    assert!(world.watchers[knows].seen.shown.is_empty());
}

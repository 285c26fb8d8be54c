//! Several streams in one server: each with its own watchers, timeline and end.

use std::collections::BTreeSet;
use std::rc::Rc;

use udpstream::proto::receiver::{Local as Wish, Over};
use udpstream::proto::server::{Event, Local, StreamKey};
use udpstream::proto::{Machine, Output, Port};
use udpstream::units::{Rate, Size, Time, Unit};
use udpstream::wire::message::RefuseCode;
use udpstream::wire::tlv::{self, kind};
use udpstream::wire::{Kind, SizeClass};

use crate::client::Client;
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{SOUND, World, address, ms, seconds};
use crate::sources::{name, stream};

fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(160, 96), Rate::new(30, 1).expect("30 fps"), 12))
}

/// A film with sound, which is the first, a live stream in which little changes, and a film without sound.
fn three(seed: u64, film: &Rc<Film>) -> (World, [StreamKey; 3]) {
    let mut world = World::with(seed, film, Time::from_millis(60_000), |config, first| {
        config.sound_port = SOUND.port();
        *first = stream("film", film, false, true);
    });
    let desk = world.open(stream("desk", film, true, false));
    let card = world.open(stream("test/card", film, false, false));
    let film = world.server.key;
    (world, [film, desk, card])
}

fn watch(world: &mut World, stream: Option<&str>, path: Path) -> usize {
    world.watch_with(path, |config| config.stream = stream.map(name))
}

/// When each slice left for a watcher.
fn slices_to(world: &World, watcher: usize) -> Vec<(Time, Unit, u16)> {
    let to = world.watchers[watcher].on(Port::PICTURES);
    let own = world.sent.iter().filter(|sent| sent.to == to);
    own.filter_map(|sent| sent.slice.map(|(unit, part)| (sent.at, unit, part))).collect()
}

/// When each chunk of sound left for a watcher.
fn chunks_to(world: &World, watcher: usize) -> Vec<(Time, u32)> {
    let to = world.watchers[watcher].on(Port::SOUND);
    let own = world.sent.iter().filter(|sent| sent.to == to);
    own.filter_map(|sent| sent.chunk.map(|chunk| (sent.at, chunk))).collect()
}

/// Watchers come and go on each of the three; one source fails, if so.
fn run(seed: u64, path: Path, killed: Option<usize>) -> (World, [StreamKey; 3]) {
    let film = film();
    let (mut world, keys) = three(seed, &film);
    world.record = true;
    let names = [None, Some("desk"), Some("test/card")];
    for stream in names {
        watch(&mut world, stream, path);
        world.run(ms(1_137));
    }
    for stream in names {
        watch(&mut world, stream, path);
    }
    world.run(ms(2_000));
    if let Some(killed) = killed {
        world.kill(keys[killed]);
    }
    world.run(ms(1_500));
    for (n, stream) in names.iter().enumerate().filter(|(n, _)| Some(*n) != killed) {
        world.tell_watcher(n, Wish::Stop);
        world.run(ms(333));
        watch(&mut world, *stream, path);
    }
    world.run(seconds(4));
    (world, keys)
}

#[test]
fn a_source_that_fails_takes_only_its_own_watchers_along() {
    let path = Path { jitter: ms(1), mtu: 1_452, ..Path::GOOD };
    let (whole, keys) = run(1, path, None);
    for killed in [1, 2] {
        let (world, _) = run(1, path, Some(killed));
        for (n, key) in keys.into_iter().enumerate() {
            let (all, now) = (whole.departures_of(key), world.departures_of(key));
            if n == killed {
                assert!(now.len() < all.len() - 100, "the regime: {} of {}", now.len(), all.len());
                continue;
            }
            assert!(all.len() > 250, "the regime: {} departures", all.len());
            assert_eq!(all.iter().map(|(unit, ..)| unit.0).collect::<BTreeSet<_>>().len(), all.len());
            let common = all.len().min(now.len());
            assert!(common + 40 > all.len() && all[..common] == now[..common], "stream {n} departs as ever");
        }
        // Those that came before it happened, and stayed: to the microsecond.
        for watcher in (3..6).filter(|watcher| watcher - 3 != killed) {
            let (all, now) = (slices_to(&whole, watcher), slices_to(&world, watcher));
            let common = all.len().min(now.len());
            assert!(common > 200 && all[..common] == now[..common], "watcher {watcher} is sent the same as ever");
            // A film's sound leaves between 150 and 100 ms before it is due, when there is something else to do.
            let (all, now) = (chunks_to(&whole, watcher), chunks_to(&world, watcher));
            assert!(all.is_empty() == now.is_empty(), "watcher {watcher} hears as ever");
            for ((at, chunk), (then, other)) in all.iter().zip(&now) {
                assert_eq!(chunk, other);
                assert!(at.since(*then).max(then.since(*at)) <= ms(50), "chunk {chunk}: {at:?} and {then:?}");
            }
            world.check(watcher);
            assert!(world.watchers[watcher].seen.over.is_empty());
        }
        let of_the_killed = &world.watchers[3 + killed].seen;
        assert!(matches!(of_the_killed.over[..], [(_, Over::Failed)]) && of_the_killed.finished.is_some());
        assert_eq!(world.said(|event| *event == Event::StreamOver(keys[killed])), 1);
        assert_eq!(world.said(|event| *event == Event::Finished), 0);
        assert_eq!(world.server.machine.watchers_of(keys[killed]), 0);
    }
}

#[test]
fn each_watcher_is_sent_its_own_stream_only_whatever_the_path() {
    let path = Path { loss: 0.03, jitter: ms(3), duplicate: 0.01, held_back: ms(5), ..Path::GOOD };
    let (world, keys) = run(2, path, Some(1));
    for watcher in 0..world.watchers.len() {
        world.check(watcher);
        let own = [Port::PICTURES, Port::SOUND].map(|port| world.watchers[watcher].on(port));
        let streams: BTreeSet<u64> =
            world.sent.iter().filter(|sent| own.contains(&sent.to)).filter_map(|sent| sent.stream).collect();
        let of = if watcher < 6 { keys[watcher % 3] } else { [keys[0], keys[2]][watcher - 6] };
        assert_eq!(streams, BTreeSet::from([world.server.machine.id(of)]), "watcher {watcher}");
    }
    assert_eq!(world.server.machine.watchers(), 4);
    assert_eq!(keys.map(|key| world.server.machine.watchers_of(key)), [2, 0, 2]);
    // What was counted for streams and for the server as a whole is what left.
    let bytes: usize = world.sent.iter().filter(|sent| sent.from.ip() == SOUND.ip()).map(|sent| sent.bytes).sum();
    assert_eq!(world.server.machine.totals().bytes, bytes as u64);
    let pictures: u64 = keys.map(|key| world.server.machine.totals_of(key).pictures).iter().sum();
    assert_eq!(world.server.machine.totals().pictures, pictures);
}

#[test]
fn sound_is_of_the_stream_of_its_pictures_and_only_told_of_where_there_is_some() {
    let film = film();
    let (mut world, [first, desk, _]) = three(3, &film);
    let loud = world.open(stream("loud", &film, false, true));
    world.record = true;
    let watcher = watch(&mut world, Some("loud"), Path::GOOD);
    let silent = watch(&mut world, Some("desk"), Path::GOOD);
    world.tell_watcher(watcher, Wish::Loudspeaker(Some(ms(20))));
    world.run(seconds(3));
    let heard = |world: &World, of: StreamKey| {
        let to = world.watchers[watcher].on(Port::SOUND);
        let id = Some(world.server.machine.id(of));
        world.sent.iter().filter(|sent| sent.to == to && sent.chunk.is_some() && sent.stream == id).count()
    };
    assert!(heard(&world, loud) > 400 && heard(&world, first) == 0, "{}", heard(&world, loud));
    assert_eq!(world.server.machine.watchers_of(loud), 1, "both sessions are one watcher");
    // Nobody knocks at the sound port for a stream without sound.
    let ears = world.watchers[silent].on(Port::SOUND);
    assert!(world.sent.iter().all(|sent| sent.from != ears));
    assert_eq!(world.server.machine.watchers_of(desk), 1);
    // Who only listens, and names no stream, hears the first; who names a silent one is refused.
    let ear = world.watch_with(Path::GOOD, |config| config.servers = vec![SOUND].into());
    let deaf = world.watch_with(Path::GOOD, |config| {
        (config.servers, config.stream) = (vec![SOUND].into(), Some(name("desk")));
    });
    world.run(seconds(1));
    assert_eq!((world.server.machine.watchers_of(first), world.watchers[ear].seen.refused), (1, 0));
    assert!(world.watchers[deaf].seen.refused > 0);
}

fn named(text: &str) -> Vec<u8> {
    let mut tlvs = Vec::new();
    tlv::put(&mut tlvs, kind::STREAM, text.as_bytes());
    tlvs
}

#[test]
fn a_wrong_name_is_answered_with_the_nearest_and_a_right_one_in_any_form() {
    let film = film();
    let (mut world, [_, _, card]) = three(4, &film);
    world.open(stream("Küche", &film, true, false));
    let cases = [
        ("dsek", "There is no stream \"dsek\" here; the nearest is desk."),
        ("card", "There is no stream \"card\" here; the nearest is test/card."),
        ("DESK", "There is no stream \"DESK\" here; the nearest is desk."),
        ("zzzzz", "There is no stream \"zzzzz\" here; there are film, desk, test/card and Küche."),
        ("no name\u{7}", "There is no stream \"no name\" here; there are film, desk, test/card and Küche."),
        ("", "There is no stream \"\" here; the nearest are "),
    ];
    for (n, (wrong, sentence)) in cases.into_iter().enumerate() {
        let client = Client::greet(&mut world, address(70, 7_000 + n as u16), 5);
        client.ask_with(&mut world, 0, &named(wrong));
        let (code, said) = client.sentence(&world).expect("refused");
        assert_eq!(code, RefuseCode::NO_SUCH_STREAM.0);
        assert!(said.starts_with(sentence), "{said}");
        assert_eq!(world.said(|event| matches!(event, Event::Refused { why, .. } if *why == said)), 1);
    }
    assert_eq!(world.server.machine.watchers(), 0);
    // The same letters, composed and in parts.
    for (n, right) in ["Küche", "Ku\u{308}che"].into_iter().enumerate() {
        let client = Client::join_with(&mut world, address(71, 7_000 + n as u16), 5, &named(right));
        assert_eq!(client.accepted_name(&world).as_deref(), Some("Küche"));
    }
    // The cookie of a refused Join is still good.
    let client = Client::greet(&mut world, address(72, 7_000), 5);
    client.ask_with(&mut world, 0, &named("nowhere"));
    client.ask_with(&mut world, 0, &named("test/card"));
    assert_eq!(world.server.machine.watchers_of(card), 1);
    let default = Client::join(&mut world, address(73, 7_000), 5);
    assert_eq!(default.accepted_name(&world).as_deref(), Some("film"));
}

#[test]
fn a_stream_that_is_over_refuses_and_the_server_finishes_with_the_last() {
    let film = film();
    let (mut world, keys) = three(5, &film);
    let watcher = watch(&mut world, None, Path::GOOD);
    world.run(seconds(1));
    world.kill(keys[1]);
    world.run(ms(100));
    // Nobody watched it: it is over at once.
    assert_eq!(world.said(|event| *event == Event::StreamOver(keys[1])), 1);
    let client = Client::greet(&mut world, address(70, 7_000), 5);
    client.ask_with(&mut world, 0, &named("desk"));
    assert_eq!(client.sentence(&world), Some((RefuseCode::ENDED.0, "The camera is gone.".to_owned())));
    world.tell_server(Local::Stop("Stopped.".to_owned()));
    client.ask_with(&mut world, 0, &named("test/card"));
    assert_eq!(client.sentence(&world), Some((RefuseCode::ENDED.0, "The stream has just ended.".to_owned())));
    world.run(ms(1_200));
    assert!(matches!(world.watchers[watcher].seen.over[..], [(_, Over::Stopped)]));
    for key in keys {
        assert_eq!(world.said(|event| *event == Event::StreamOver(key)), 1);
    }
    assert_eq!(world.said(|event| *event == Event::Finished), 1);
    // Polled for long after, it says nothing more, and has nothing to wait for.
    assert!(matches!(world.server.machine.poll(world.now + seconds(100)), Output::Wait(Time::NEVER, _)));
    let late = world.open(stream("late", &film, true, false));
    world.run(ms(10));
    assert!(!world.server.machine.wants_picture(late), "what is opened after the end is over");
    assert_eq!(world.said(|event| *event == Event::StreamOver(late)), 1);
}

#[test]
fn a_description_may_change_until_somebody_watches() {
    let film = film();
    let (mut world, [first, desk, _]) = three(6, &film);
    let mut other = stream("desk", &film, false, true).description;
    other.title = "Another desk".to_owned();
    assert!(world.server.machine.describe(desk, other.clone()));
    assert!(world.server.machine.wants_sound(desk), "it has sound now");
    assert!(!world.server.machine.describe(nowhere(&film), other.clone()), "there is no such stream");
    watch(&mut world, None, Path::GOOD);
    world.run(seconds(1));
    assert!(!world.server.machine.describe(first, other));
}

/// The key of a fourth stream, which only another server has.
fn nowhere(film: &Rc<Film>) -> StreamKey {
    let (mut world, _) = three(0, film);
    world.open(stream("fourth", film, false, false))
}

/// Datagrams of pictures to the watchers of each stream since a moment.
fn shares(world: &World, keys: &[StreamKey], since: Time) -> Vec<usize> {
    let of = |key: &StreamKey| {
        let id = Some(world.server.machine.id(*key));
        let media = world.sent.iter().filter(|sent| sent.at > since && sent.slice.is_some() && sent.stream == id);
        media.count()
    };
    keys.iter().map(of).collect()
}

/// Some 12 kB and a dozen slices a picture.
fn crowds(seed: u64, few: usize, many: usize) -> (World, [StreamKey; 2]) {
    let film = Rc::new(Film::new(Size::new(320, 240), Rate::new(30, 1).expect("30 fps"), 16));
    let mut world = World::new(seed, &film);
    world.record = true;
    let busy = world.open(stream("busy", &film, false, false));
    let small = |config: &mut udpstream::proto::receiver::Config| config.max_datagram = 1_200;
    let path = Path { mtu: SizeClass::ANY.datagram(), ..Path::GOOD };
    (0..few).for_each(|_| {
        world.watch_with(path, small);
    });
    (0..many).for_each(|_| {
        world.watch_with(path, |config| {
            small(config);
            config.stream = Some(name("busy"));
        });
    });
    world.run(seconds(2));
    assert!(!world.server.machine.is_overloaded());
    let keys = [world.server.key, busy];
    (world, keys)
}

#[test]
fn an_overloaded_stream_takes_nothing_from_another_that_is_not() {
    let (mut world, keys) = crowds(7, 2, 16);
    let datagrams = world.film.slices(Unit(0), SizeClass::ANY) as u32;
    // Room for nine watchers, of eighteen.
    world.datagram_cost = world.film.rate.interval() / (9 * datagrams);
    world.run(seconds(2));
    let stats = |world: &World| {
        world
            .server
            .machine
            .sessions()
            .map(|view| (view.stream, view.stats.pictures, view.stats.thinned))
            .collect::<Vec<_>>()
    };
    let (before, departed) = (stats(&world), world.departures_of(keys[0]).len());
    world.run(seconds(10));
    let departed = (world.departures_of(keys[0]).len() - departed) as u64;
    assert!((298..=302).contains(&departed), "{departed} departures of the small one");
    let mut of_the_busy = Vec::new();
    for ((key, before, thinned), (_, after, thinned_after)) in before.into_iter().zip(stats(&world)) {
        if key == keys[0] {
            assert!(after - before >= departed - 1 && thinned == thinned_after, "{} of {departed}", after - before);
        } else {
            of_the_busy.push(after - before);
        }
    }
    let (least, most) = (of_the_busy.iter().min().expect("some"), of_the_busy.iter().max().expect("some"));
    assert!(*least > 110 && most - least <= most / 10, "{of_the_busy:?}");
    assert_eq!(world.said(|event| *event == Event::Overload(true)), 1, "one word for the server");
    let served = world.server.machine.served();
    assert!(served > 0.3 && served < 0.6, "of the stream that gets least: {served}");
    // Nobody else is let in, whatever the stream; when it is over, everybody is.
    let newcomer = watch(&mut world, None, Path::GOOD);
    world.run(seconds(1));
    assert!(world.watchers[newcomer].seen.refused > 0);
    world.datagram_cost = std::time::Duration::ZERO;
    world.run(seconds(8));
    assert_eq!(world.said(|event| *event == Event::Overload(false)), 1);
    assert_eq!(world.server.machine.watchers_of(keys[0]), 3);
}

#[test]
fn two_overloaded_streams_share_what_there_is() {
    let (mut world, keys) = crowds(8, 8, 16);
    let datagrams = world.film.slices(Unit(0), SizeClass::ANY) as u32;
    world.datagram_cost = world.film.rate.interval() / (8 * datagrams);
    world.run(seconds(2));
    let since = world.now;
    world.run(seconds(10));
    let shares = shares(&world, &keys, since);
    let ratio = shares[0] as f64 / shares[1] as f64;
    assert!((0.9..1.1).contains(&ratio), "{shares:?}");
}

#[test]
fn the_server_knows_its_streams_only() {
    let film = film();
    let (mut world, [first, desk, card]) = three(9, &film);
    assert_eq!(world.server.machine.keys().collect::<Vec<_>>(), [first, desk, card]);
    let ids: BTreeSet<u64> = [first, desk, card].iter().map(|key| world.server.machine.id(*key)).collect();
    assert_eq!(ids.len(), 3);
    let nowhere = nowhere(&film);
    assert!(!world.server.machine.wants_picture(nowhere) && !world.server.machine.wants_sound(nowhere));
    assert!(!world.server.machine.demand(nowhere, 0).watched && !world.server.machine.demand(first, 1).watched);
    world.tell_server(Local::Stream(nowhere, udpstream::proto::server::Feed::Stop(String::new())));
    world.run(ms(10));
    assert!(world.server.machine.keys().count() == 3 && world.said(|_| true) == 0, "no stream was stopped");
}

#[test]
fn who_waits_for_a_stream_that_has_ended_asks_less_and_less_while_others_go_on() {
    let film = film();
    let (mut world, [_, _, card]) = three(10, &film);
    world.record = true;
    let n = world.watch_with(Path::GOOD, |config| (config.stream, config.stay) = (Some(name("test/card")), true));
    world.run(seconds(2));
    world.kill(card);
    let killed = world.now;
    world.run(seconds(40));
    let joins = |from: u64, to: u64| {
        let own = world.sent.iter().filter(|sent| sent.from == world.watchers[n].address && sent.kind == Kind::JOIN);
        own.filter(|sent| (killed + seconds(from)..killed + seconds(to)).contains(&sent.at)).count()
    };
    assert!((8..14).contains(&joins(0, 5)), "{}: the next server may be there at once", joins(0, 5));
    assert!((2..5).contains(&joins(6, 40)), "{}", joins(6, 40));
    let seen = &world.watchers[n].seen;
    assert_eq!((seen.over.len(), seen.refused), (1, 1), "it is said once");
}

#[test]
fn the_overload_of_a_stream_ends_with_it() {
    let (mut world, keys) = crowds(11, 2, 16);
    world.datagram_cost = world.film.rate.interval() / (9 * world.film.slices(Unit(0), SizeClass::ANY) as u32);
    world.run(seconds(2));
    assert!(world.server.machine.is_overloaded());
    world.kill(keys[1]);
    world.run(ms(400));
    assert!(!world.server.machine.is_overloaded());
    assert_eq!(world.said(|event| *event == Event::Overload(false)), 1);
}

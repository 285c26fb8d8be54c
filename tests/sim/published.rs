//! Streams that are published to a server: watched by their codes, within what the server allows.

mod returning;

use std::rc::Rc;
use std::time::Duration;

use udpstream::media::sound::Rendition;
use udpstream::proto::publisher::{Event, Local};
use udpstream::proto::receiver::Secret;
use udpstream::proto::relay::{Above, Publishing};
use udpstream::proto::server;
use udpstream::seal::{Code, Grant, Key};
use udpstream::units::{Bitrate, Rate, Size, Time};
use udpstream::wire::Kind;
use udpstream::wire::message::{RefuseCode, WantedPictures};
use udpstream::wire::object::Type;

use crate::grid::{Grid, Node, Published, grant, is_media};
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{ms, seconds};

const OPEN: Publishing = Publishing { most: 16, allowed: None, max_rate: None };

fn grid(seed: u64) -> Grid {
    Grid::new(seed, &Rc::new(Film::new(Size::new(320, 176), Rate::TYPICAL, 12)))
}

fn code(last: &str) -> Code {
    format!("K7QM-01AB-CDEF-GHJK-{last}").parse().expect("a code")
}

fn other_code() -> Code {
    "ZZZZ-01AB-CDEF-GHJK-MNPQ".parse().expect("a code")
}

fn camera(at: Node) -> Published {
    Published { at, name: Some("cam"), grant: grant(&code("MNPQ"), 1), allowed: None, live: true }
}

fn public(at: Node, owner: u8) -> Published {
    Published { grant: Grant { code: None, owner: Key::new([owner; 32]) }, ..camera(at) }
}

fn watch_by(grid: &mut Grid, at: Node, code: &Code) -> Node {
    let secret = Secret::Code(code.lookup(), code.key());
    grid.watch_with(at, None, |config| config.secret = Some(secret))
}

/// A server, the camera that is published to it, and somebody who has watched it by its code for some seconds.
fn watched(seed: u64) -> (Grid, Node, Node, Node) {
    let mut grid = grid(seed);
    let hub = grid.hub(OPEN);
    let camera = grid.publish(&camera(hub));
    grid.run(seconds(1));
    let watcher = watch_by(&mut grid, hub, &code("MNPQ"));
    grid.run(seconds(3));
    (grid, hub, camera, watcher)
}

/// When pictures were shown since a moment that were no card: those with sound beside them.
fn shown_since(grid: &Grid, watcher: Node, since: Time) -> usize {
    grid.seen(watcher).shown.iter().filter(|(at, ..)| *at >= since).count()
}

/// The longest time without a picture since then.
fn gap_since(grid: &Grid, watcher: Node, since: Time) -> Duration {
    let times = grid.seen(watcher).shown.iter().map(|(at, ..)| *at).filter(|at| *at >= since);
    let all: Vec<Time> = std::iter::once(since).chain(times).chain([grid.now]).collect();
    all.windows(2).map(|two| two[1].since(two[0])).max().unwrap_or_default()
}

fn accepted(grid: &Grid, publisher: Node) -> Vec<String> {
    let name = |event: &Event| if let Event::Accepted { name, .. } = event { Some(name.to_string()) } else { None };
    grid.told(publisher).iter().filter_map(|(_, event)| name(event)).collect()
}

fn refusals(grid: &Grid, publisher: Node) -> Vec<(RefuseCode, String)> {
    let all = grid.told(publisher).iter().filter_map(|(_, event)| match event {
        Event::Refused { code, sentence } => Some((*code, sentence.clone())),
        _ => None,
    });
    all.collect()
}

fn media_bytes(grid: &Grid, from: Node, to: Node, since: Time) -> usize {
    let media = grid.crossed.iter().filter(|crossed| crossed.name.is_some_and(|name| is_media(&name)));
    media.filter(|crossed| (crossed.from, crossed.to) == (from, to) && crossed.at >= since).map(|c| c.bytes).sum()
}

#[test]
fn a_camera_is_published_and_watched_by_its_code_alone() {
    let mut grid = grid(1);
    (grid.record, grid.tape) = (true, Some(Vec::new()));
    let hub = grid.hub(OPEN);
    let camera = grid.publish(&camera(hub));
    grid.run(seconds(3));
    assert_eq!(accepted(&grid, camera), ["cam"]);
    assert_eq!(media_bytes(&grid, camera, hub, Time::ZERO), 0, "nobody watches, and nothing is sent");
    let knows = watch_by(&mut grid, hub, &code("MNPQ"));
    let wrong = watch_by(&mut grid, hub, &code("MNPR"));
    let (named, first) = (grid.watch(hub, Some("cam")), grid.watch(hub, None));
    let began = grid.now;
    grid.run(seconds(10));
    assert!(shown_since(&grid, knows, began) >= 240, "{}", shown_since(&grid, knows, began));
    let sound = grid.seen(knows).sound.iter().filter(|(_, _, came)| *came).count();
    assert!(sound >= 1_600, "{sound} chunks heard");
    for stranger in [wrong, named, first] {
        assert_eq!(grid.seen(stranger).shown.len(), 0);
    }
    assert_eq!(grid.server(hub).watchers(), 1);
    // What is no secret is on the wire; what is one is not, in any form.
    let tape = grid.tape.take().expect("kept").concat();
    let text = code("MNPQ").to_string();
    // Each byte a letter, so that text is found wherever it stands.
    let tape: String = tape.iter().map(|byte| char::from(byte.to_ascii_uppercase())).collect();
    let has = |part: &str| tape.contains(part);
    let lookup: String =
        code("MNPQ").lookup().get().to_be_bytes().map(|byte| char::from(byte.to_ascii_uppercase())).iter().collect();
    assert!(has(&lookup));
    let bare = text.replace('-', "");
    for part in [&text[..], &bare, &text[5..], &bare[4..], &text[5..14], &text[15..]] {
        assert!(!has(part), "{part}");
    }
    grid.run(seconds(1));
}

#[test]
fn nobody_watches_and_nothing_is_sent_and_less_is_sent_where_less_is_wanted() {
    let mut grid = grid(2);
    grid.record = true;
    let hub = grid.hub(OPEN);
    let camera = grid.publish(&public(hub, 1));
    grid.run(seconds(2));
    let watcher = grid.watch_with(hub, Some("cam"), |config| config.sound = None);
    grid.run(seconds(4));
    let all = media_bytes(&grid, camera, hub, Time::ZERO);
    let sounds = |grid: &Grid| {
        grid.crossed.iter().filter(|c| c.name.is_some_and(|name| name.kind == Type::SOUND) && c.from == camera).count()
    };
    assert!(all > 0 && sounds(&grid) == 0, "no sound is wanted, and none is sent");
    let half = WantedPictures { max_size: Some(Size::new(160, 88)), ..WantedPictures::ANY };
    grid.tell_watcher(watcher, udpstream::proto::receiver::Local::Limits(half));
    grid.run(seconds(1));
    let demand = grid.publisher(camera).server().demand(grid.publisher(camera).stream(), 0);
    assert_eq!(demand.wish.rung.rendition, 1, "the smaller size alone is made");
    grid.kill(watcher);
    grid.run(seconds(4));
    let left = grid.now;
    grid.run(seconds(4));
    assert_eq!(media_bytes(&grid, camera, hub, left), 0, "the last has left");
}

#[test]
fn two_publishers_with_one_name_are_told_apart() {
    let mut grid = grid(3);
    let hub = grid.hub(OPEN);
    let publishers: Vec<Node> = (1..=3).map(|owner| grid.publish(&public(hub, owner))).collect();
    grid.run(seconds(2));
    let mut names: Vec<String> = publishers.iter().flat_map(|node| accepted(&grid, *node)).collect();
    names.sort();
    assert_eq!(names, ["cam", "cam-2", "cam-3"]);
    let watchers: Vec<Node> = names.iter().map(|name| grid.watch(hub, Some(name))).collect();
    grid.run(seconds(3));
    let ids: std::collections::BTreeSet<u64> =
        watchers.iter().filter_map(|node| grid.seen(*node).playing.last().map(|(_, id, _)| *id)).collect();
    assert_eq!(ids.len(), 3, "each has another stream");
    // By codes each may be called as it likes.
    let one = grid.publish(&camera(hub));
    let two = grid.publish(&Published { grant: grant(&other_code(), 9), ..camera(hub) });
    grid.run(seconds(2));
    assert_eq!((accepted(&grid, one), accepted(&grid, two)), (vec!["cam".to_owned()], vec!["cam".to_owned()]));
}

#[test]
fn an_uplink_that_falls_to_a_fifth_gets_what_it_carries_and_no_queue() {
    let film = Rc::new(Film::new(Size::new(640, 352), Rate::TYPICAL, 12));
    let mut grid = Grid::new(8, &film);
    let hub = grid.hub(OPEN);
    let camera = grid.publish(&camera(hub));
    let path = |rate| Path { latency: ms(10), rate: Some(rate), queue: ms(300), mtu: 1_500, ..Path::GOOD };
    grid.record = true;
    grid.path(camera, hub, path(Bitrate::bps(100_000_000)));
    grid.run(seconds(1));
    let watcher = watch_by(&mut grid, hub, &code("MNPQ"));
    grid.run(seconds(8));
    let before = grid.now;
    grid.run(seconds(4));
    let full = shown_since(&grid, watcher, before);
    let needs = media_bytes(&grid, camera, hub, before) as u64 * 2;
    grid.path(camera, hub, path(Bitrate::bps(needs * 2)));
    grid.run(seconds(4));
    grid.path(camera, hub, path(Bitrate::bps(needs * 2 / 5)));
    grid.run(seconds(6));
    let settled = grid.now;
    grid.run(seconds(10));
    let shown = shown_since(&grid, watcher, settled);
    let sent = media_bytes(&grid, camera, hub, settled) as u64 * 8 / 10;
    assert!(sent < needs * 2 / 5 && sent > needs / 5, "{sent} b/s of {}", needs * 2 / 5);
    assert!(full >= 95 && shown >= 50, "{full} in 4 s before, {shown} in 10 s after");
    let sessions: Vec<_> = grid.publisher(camera).server().sessions().collect();
    assert!(sessions[0].adaptation.queue < ms(60), "{:?}", sessions[0].adaptation);
    let damaged = grid.seen(watcher).shown.iter().filter(|(at, ready, _)| *at >= settled && ready.missing > 0).count();
    assert!(damaged * 50 <= shown, "{damaged} of {shown} damaged");
}

#[test]
fn limits_are_kept_each_with_its_sentence() {
    let mut grid = grid(9);
    let allowed = Key::new([4; 32]);
    let hub = grid.hub(Publishing { most: 2, allowed: Some(allowed.clone()), max_rate: None });
    let may = |published: Published| Published { allowed: Some(allowed.clone()), ..published };
    let stranger = grid.publish(&public(hub, 1));
    let guesser = grid.publish(&Published { allowed: Some(Key::new([5; 32])), ..public(hub, 2) });
    let two = [3, 4].map(|owner| grid.publish(&may(public(hub, owner))));
    grid.run(seconds(2));
    let third = grid.publish(&may(public(hub, 5)));
    grid.run(seconds(2));
    for node in [stranger, guesser] {
        let said = refusals(&grid, node);
        let why = "Publishing here needs the code of whoever runs the server, after --allow-publish; none came, or a wrong one.";
        assert_eq!(said[0], (RefuseCode::GUARDED, why.to_owned()));
        assert!(accepted(&grid, node).is_empty());
    }
    assert!(two.iter().all(|node| accepted(&grid, *node).len() == 1));
    assert_eq!(
        refusals(&grid, third)[0],
        (RefuseCode::FULL, "The server takes 2 publishers, and has as many.".to_owned())
    );
    // Nor is a code taken that is not asked for.
    let open = grid.hub(OPEN);
    let eager = grid.publish(&Published { at: open, ..may(public(open, 6)) });
    grid.run(seconds(1));
    assert!(refusals(&grid, eager)[0].1.contains("leave out --allow-publish"));
    // A place is free again.
    grid.kill(two[0]);
    grid.run(seconds(20));
    assert_eq!(accepted(&grid, third).len(), 1);
}

#[test]
fn who_sends_more_than_is_allowed_is_told_and_shown_out() {
    let mut grid = grid(10);
    let hub = grid.hub(Publishing { max_rate: Some(Bitrate::bps(200_000)), ..OPEN });
    let camera = grid.publish(&public(hub, 1));
    grid.run(seconds(1));
    let watcher = grid.watch_with(hub, Some("cam"), |_| {});
    grid.run(seconds(2));
    let session = grid.publisher(camera).server().sessions().next().expect("attached");
    let told = (session.wanted.max_rate, session.sound);
    assert_eq!(told, (Some(Bitrate::bps(200_000)), Some(Rendition::Coded)), "and sound takes little of it");
    grid.run(seconds(8));
    // The simulator's film is as large as it is, whatever is asked of it.
    let said: Vec<&Event> = grid.told(camera).iter().map(|(_, event)| event).collect();
    let dismissed = Event::Dismissed("The publisher sent more than the server allows.".to_owned());
    assert!(said.contains(&&dismissed), "{said:?}");
    assert!(grid.refused(watcher).iter().any(|said| said.contains("more than the server allows")));
}

#[test]
fn a_publisher_may_pause_and_whoever_watches_is_told() {
    for live in [true, false] {
        let mut grid = grid(14);
        grid.record = true;
        let hub = grid.hub(OPEN);
        let camera = grid.publish(&Published { live, ..public(hub, 1) });
        grid.run(seconds(1));
        let watcher = grid.watch(hub, Some("cam"));
        grid.run(seconds(2));
        let pause = |grid: &mut Grid, paused| {
            let key = grid.publisher(camera).stream();
            let feed = server::Local::Stream(key, server::Feed::Pause(paused));
            grid.tell_publisher(camera, Local::Server(feed));
        };
        pause(&mut grid, true);
        grid.run(seconds(1));
        let (paused, cards) = (grid.now, grid.seen(watcher).playing.len());
        grid.run(seconds(5));
        assert_eq!(media_bytes(&grid, camera, hub, paused), 0, "live: {live}");
        assert!(grid.above(hub).iter().any(|(_, above)| *above == Above::Paused));
        // Who comes now sees the card.
        let late = grid.watch(hub, Some("cam"));
        grid.run(seconds(1));
        assert!(!grid.seen(late).shown.is_empty() && cards >= 2);
        pause(&mut grid, false);
        let back = grid.now;
        grid.run(seconds(3));
        for node in [watcher, late] {
            assert!(shown_since(&grid, node, back) > 55, "live: {live}: {}", shown_since(&grid, node, back));
        }
        assert_eq!(accepted(&grid, camera).len(), 1);
    }
}

#[test]
fn a_server_without_publishers_says_so() {
    let mut grid = grid(11);
    let origin = grid.origin(&[("film", false)]);
    let camera = grid.publish(&public(origin, 1));
    grid.run(seconds(2));
    let said = refusals(&grid, camera);
    let why = "This server takes no published streams; it must run with --accept-publishers.";
    assert_eq!(said[0], (RefuseCode::ROLE, why.to_owned()));
}

#[test]
fn a_code_that_is_taken_is_drawn_anew() {
    let mut grid = grid(12);
    let hub = grid.hub(OPEN);
    let first = grid.publish(&camera(hub));
    grid.run(seconds(1));
    // Another owner, and a code that begins with the same letters.
    let second = grid.publish(&Published { grant: grant(&code("MNPR"), 2), ..camera(hub) });
    grid.run(seconds(1));
    assert_eq!(grid.told(second).iter().filter(|(_, event)| *event == Event::Taken).count(), 1);
    grid.tell_publisher(second, Local::Grant(grant(&other_code(), 2)));
    grid.run(seconds(1));
    assert_eq!((accepted(&grid, first).len(), accepted(&grid, second).len()), (1, 1));
    let watcher = watch_by(&mut grid, hub, &other_code());
    let began = grid.now;
    grid.run(seconds(2));
    assert!(shown_since(&grid, watcher, began) > 40);
}

/// Whoever heard a publisher join can do nothing with it.
#[test]
fn what_a_publisher_says_is_of_no_use_to_others() {
    let mut grid = grid(13);
    grid.tape = Some(Vec::new());
    let hub = grid.hub(OPEN);
    let camera = grid.publish(&camera(hub));
    grid.run(seconds(2));
    let joins: Vec<Vec<u8>> =
        grid.tape.take().expect("kept").into_iter().filter(|bytes| bytes[3] == Kind::JOIN.0).collect();
    assert!(!joins.is_empty());
    let peers: Vec<_> = grid.relay_at(hub).publishers().collect();
    for join in &joins {
        grid.inject(hub, crate::grid::address(50), join);
    }
    grid.run(seconds(1));
    assert_eq!(grid.relay_at(hub).publishers().collect::<Vec<_>>(), peers, "the same publisher, at the same place");
    assert!(grid.publisher(camera).is_accepted());
    // Nor when it is gone, from its own address.
    grid.kill(camera);
    grid.run(seconds(13));
    for join in &joins {
        grid.inject(hub, crate::grid::address(camera), join);
    }
    grid.run(seconds(1));
    assert_eq!(grid.relay_at(hub).publishers().count(), 0);
}

//! Relays: chains of them, what is passed on and how often, who goes away and comes back, loops, several origins.

use std::rc::Rc;

use udpstream::proto::relay::Above;
use udpstream::units::{Bitrate, Rate, Size, Time};
use udpstream::wire::Kind;

use crate::grid::{Grid, Node, is_media};
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{ms, seconds};

const LIVE: &[(&str, bool)] = &[("cam", true)];
const FILM: &[(&str, bool)] = &[("film", false)];

fn film() -> Rc<Film> {
    Rc::new(Film::new(Size::new(320, 176), Rate::TYPICAL, 12))
}

fn grid(seed: u64) -> Grid {
    Grid::new(seed, &film())
}

/// Pictures shown since a moment, and those of them that were not whole.
fn shown_since(grid: &Grid, watcher: Node, since: Time) -> (usize, usize) {
    let shown = grid.seen(watcher).shown.iter().filter(|(at, ..)| *at >= since);
    (shown.clone().count(), shown.filter(|(_, ready, _)| ready.missing > 0).count())
}

#[test]
fn a_chain_of_two_relays_passes_pictures_and_sound_on_to_the_byte() {
    for streams in [LIVE, FILM] {
        let mut grid = grid(1);
        grid.record = true;
        let origin = grid.origin(streams);
        let first = grid.relay(&[origin], None);
        let second = grid.relay(&[first], None);
        grid.run(seconds(3));
        let (near, far) = (grid.watch(origin, None), grid.watch(second, None));
        let began = grid.now;
        grid.run(seconds(10));
        let (pictures, damaged) = shown_since(&grid, far, began);
        assert!(pictures >= 240 && damaged == 0, "{pictures} shown, {damaged} damaged");
        // What reached the last is what left the first, and each name was one byte string on every hop (the grid sees to that).
        let media = |from: Node, to: Node| {
            let of = grid.crossed.iter().filter(move |crossed| (crossed.from, crossed.to) == (from, to));
            of.filter_map(|crossed| crossed.name.filter(is_media)).collect::<std::collections::BTreeSet<_>>()
        };
        let (left, reached) = (media(origin, first), media(second, far));
        assert!(reached.is_subset(&left) && reached.len() >= 240, "{} of {}", reached.len(), left.len());
        let sound = grid.seen(far).sound.iter().filter(|(_, _, came)| *came).count();
        assert!(sound >= 1_500, "{sound} chunks heard");
        assert_eq!(grid.seen(far).sound.iter().filter(|(_, _, came)| !came).count(), 0);
        assert_eq!(
            grid.seen(far).playing.last().map(|(_, id, _)| *id),
            grid.seen(near).playing.last().map(|(_, id, _)| *id)
        );
        // Each relay on the way says how old pictures are when they leave it.
        let hops = grid.receiver(far).hops().to_vec();
        assert!(hops.len() == 2 && hops.iter().all(|hop| hop.age.is_some_and(|age| age < ms(60))), "{hops:?}");
        assert!(hops[0].age < hops[1].age, "{hops:?}");
    }
}

#[test]
fn two_hundred_watchers_cost_the_origin_one() {
    let mut grid = grid(2);
    grid.record = true;
    let origin = grid.origin(LIVE);
    let relay = grid.relay(&[origin], Some("cam"));
    grid.run(seconds(1));
    assert_eq!(grid.server(origin).watchers(), 0, "nobody watches yet");
    let first = grid.watch(relay, None);
    grid.run(seconds(3));
    let since = grid.now;
    grid.run(seconds(2));
    let one = grid.object_bytes(origin, relay, since);
    let watchers: Vec<Node> = (0..199).map(|_| grid.watch(relay, Some("cam"))).collect();
    grid.run(seconds(3));
    let since = grid.now;
    grid.run(seconds(2));
    let many = grid.object_bytes(origin, relay, since);
    assert!(many.abs_diff(one) <= one / 50, "{one} bytes for one watcher, {many} for 200");
    assert_eq!(grid.server(origin).watchers(), 1);
    for watcher in watchers.into_iter().chain([first]) {
        let (pictures, damaged) = shown_since(&grid, watcher, since);
        assert!(pictures >= 48 && damaged == 0, "watcher {watcher}: {pictures}, {damaged} damaged");
        assert!(grid.object_bytes(relay, watcher, since) > one / 2);
    }
}

#[test]
fn a_subscription_ends_ten_seconds_after_the_last_watcher() {
    let mut grid = grid(3);
    let origin = grid.origin(LIVE);
    let relay = grid.relay(&[origin], Some("cam"));
    let watcher = grid.watch(relay, None);
    grid.run(seconds(3));
    assert_eq!(grid.server(origin).watchers(), 1);
    grid.tell_watcher(watcher, udpstream::proto::receiver::Local::Stop);
    grid.run(seconds(9));
    assert_eq!(grid.server(origin).watchers(), 1);
    grid.run(seconds(2));
    assert_eq!(grid.server(origin).watchers(), 0);
    // The next one has it all again.
    let again = grid.watch(relay, None);
    let began = grid.now;
    grid.run(seconds(2));
    assert!(shown_since(&grid, again, began).0 >= 40);
}

#[test]
fn who_joins_a_stream_that_flows_sees_a_whole_picture_at_once() {
    let mut grid = grid(4);
    let origin = grid.origin(LIVE);
    // Nothing changes after the hundredth picture: what is sent from then on has no body.
    let relay = grid.relay(&[origin], Some("cam"));
    grid.source(origin).encoder.still_from = udpstream::units::Unit(60);
    grid.watch(relay, None);
    grid.run(ms(4_700));
    for _ in 0..10 {
        let (began, late) = (grid.now, grid.watch(relay, None));
        grid.run(ms(170));
        let (at, ready, _) = grid.seen(late).shown.first().expect("a picture");
        assert!(at.since(began) <= ms(100) && ready.missing == 0, "{:?} {ready:?}", at.since(began));
    }
}

#[test]
fn origin_and_relay_die_and_come_back_in_each_order() {
    for seed in 0..4 {
        let mut grid = grid(10 + seed);
        let origin = grid.origin(LIVE);
        let relay = grid.relay(&[origin], Some("cam"));
        let watcher = grid.watch(relay, None);
        grid.run(seconds(3));
        assert!(shown_since(&grid, watcher, Time::ZERO).0 >= 60);
        let (dead, alive) = if seed % 2 == 0 { ([origin, relay], seed < 2) } else { ([relay, origin], seed < 2) };
        grid.kill(dead[0]);
        grid.run(ms(2_500));
        if alive {
            // Only one of them was away.
            start(&mut grid, dead[0], origin);
        } else {
            grid.kill(dead[1]);
            grid.run(ms(2_500));
            start(&mut grid, dead[0], origin);
            grid.run(ms(1_700));
            start(&mut grid, dead[1], origin);
        }
        let back = grid.now;
        grid.run(seconds(6));
        let first = grid.seen(watcher).shown.iter().find(|(at, ..)| *at > back + ms(50)).map(|(at, ..)| at.since(back));
        let live = |at: &Time| *at > back + seconds(1);
        let pictures = grid.seen(watcher).shown.iter().filter(|(at, ..)| live(at)).count();
        assert!(pictures >= 120, "seed {seed}: {pictures} pictures in the 5 s after the first, which came {first:?}");
    }
}

fn start(grid: &mut Grid, node: Node, origin: Node) {
    if node == origin { grid.start_origin(node, LIVE) } else { grid.start_relay(node) }
}

#[test]
fn while_the_origin_is_away_watchers_stay_and_see_a_card() {
    let mut grid = grid(20);
    let origin = grid.origin(LIVE);
    let relay = grid.relay(&[origin], Some("cam"));
    let watcher = grid.watch(relay, None);
    grid.run(seconds(3));
    let (_, stream, _) = *grid.seen(watcher).playing.last().expect("it plays");
    grid.kill(origin);
    grid.run(seconds(4));
    assert!(matches!(grid.above(relay).last(), Some((_, Above::Away(_)))), "{:?}", grid.above(relay));
    let (_, card, _) = *grid.seen(watcher).playing.last().expect("the card");
    assert_ne!(stream, card);
    assert_eq!((grid.server(relay).watchers(), grid.seen(watcher).over.len(), grid.seen(watcher).lost), (1, 0, 0));
    // Who comes meanwhile sees the card too.
    let (late, began) = (grid.watch(relay, None), grid.now);
    grid.run(seconds(1));
    assert_eq!(shown_since(&grid, late, began).0, 1);
    grid.start_origin(origin, LIVE);
    let back = grid.now;
    grid.run(seconds(3));
    for watcher in [watcher, late] {
        let (_, again, _) = *grid.seen(watcher).playing.last().expect("it plays");
        assert!(again != card && again != stream, "a restarted origin is another stream");
        assert!(shown_since(&grid, watcher, back).0 >= 40);
    }
    assert_eq!(grid.server(relay).watchers(), 2);
}

#[test]
fn an_origin_that_is_stopped_is_waited_for_and_a_film_that_ends_is_over() {
    let mut grid = grid(21);
    let origin = grid.origin(LIVE);
    let relay = grid.relay(&[origin], Some("cam"));
    let watcher = grid.watch(relay, None);
    grid.run(seconds(2));
    grid.tell_origin(origin, udpstream::proto::server::Local::Stop("Stopped.".to_owned()));
    grid.run(seconds(3));
    assert!(grid.seen(watcher).over.is_empty(), "watchers stay");
    assert!(matches!(grid.above(relay).last(), Some((_, Above::Away(_)))));

    let mut grid = Grid::new(22, &film());
    let origin = grid.origin(FILM);
    grid.source(origin).encoder.length = 50;
    grid.source(origin).chunks = 344;
    let relay = grid.relay(&[origin], Some("film"));
    let watcher = grid.watch_with(relay, None, |config| (config.stay, config.sound) = (false, None));
    grid.run(seconds(8));
    assert_eq!(grid.seen(watcher).over.len(), 1, "{:?}", grid.above(relay));
    assert!(grid.seen(watcher).finished.is_some());
    let (pictures, damaged) = shown_since(&grid, watcher, Time::ZERO);
    assert!(pictures == 50 && damaged == 0, "{pictures} of 50, {damaged} damaged");
}

#[test]
fn loops_are_refused_with_a_sentence() {
    // Of itself, of two, of three.
    for length in 1..=3 {
        let mut grid = grid(30 + length as u64);
        let ring: Vec<Node> = (0..length).collect();
        for node in &ring {
            assert_eq!(grid.relay(&[(node + 1) % length], Some("cam")), *node);
        }
        let watcher = grid.watch(0, None);
        grid.run(seconds(5));
        for node in &ring {
            eprintln!("{node} {:?}", grid.above(*node));
        }
        let said = grid.refused(watcher);
        assert!(said.iter().any(|sentence| sentence.contains("watch itself")), "{length} relays: {said:?}");
        // Nothing goes round for ever.
        grid.record = true;
        grid.run(seconds(5));
        assert!(grid.crossed.len() < 600, "{length} relays: {} datagrams in 5 s", grid.crossed.len());
    }
}

#[test]
fn a_relay_that_claims_to_be_on_the_way_harms_nobody_else() {
    let mut grid = grid(36);
    let origin = grid.origin(LIVE);
    let near = grid.relay(&[origin], Some("cam"));
    let far = grid.relay(&[near], Some("cam"));
    grid.run(seconds(1));
    // It bears the id of the relay above the one that it asks.
    let liar = grid.relay_called(&[far], Some("cam"), grid.relay_at(near).id());
    let (behind, honest) = (grid.watch(liar, None), grid.watch(far, None));
    grid.run(seconds(6));
    assert!(shown_since(&grid, honest, Time::ZERO).0 >= 100, "{:?}", grid.refused(honest));
    assert!(
        grid.refused(behind).iter().any(|sentence| sentence.contains("watch itself")),
        "{:?}",
        grid.refused(behind)
    );
}

#[test]
fn many_relays_side_by_side_are_no_row() {
    let mut grid = grid(37);
    let origin = grid.origin(LIVE);
    let middle = grid.relay(&[origin], Some("cam"));
    let leaves: Vec<Node> = (0..12).map(|_| grid.relay(&[middle], Some("cam"))).collect();
    let watchers: Vec<Node> = leaves.iter().map(|leaf| grid.watch(*leaf, None)).collect();
    grid.run(seconds(4));
    for watcher in watchers {
        assert!(shown_since(&grid, watcher, Time::ZERO).0 >= 60, "{:?}", grid.refused(watcher));
    }
}

#[test]
fn a_row_of_relays_is_as_long_as_eight() {
    let mut grid = grid(34);
    let mut last = grid.origin(LIVE);
    let mut row = Vec::new();
    for _ in 0..9 {
        last = grid.relay(&[last], Some("cam"));
        row.push(last);
    }
    let eighth = grid.watch(row[7], None);
    grid.run(seconds(6));
    assert!(shown_since(&grid, eighth, Time::ZERO).0 > 50);
    let ninth = grid.watch(row[8], None);
    grid.run(seconds(4));
    assert!(
        grid.refused(ninth).iter().any(|sentence| sentence.contains("Too many relays")),
        "{:?}",
        grid.refused(ninth)
    );
}

#[test]
fn a_slow_watcher_behind_a_fast_relay_costs_the_others_nothing() {
    let mut grid = grid(40);
    let origin = grid.origin(LIVE);
    let relay = grid.relay(&[origin], Some("cam"));
    let fast: Vec<Node> = (0..3).map(|_| grid.watch(relay, None)).collect();
    let slow = grid.watch(relay, None);
    let mtu = 1_472;
    for watcher in &fast {
        grid.path(relay, *watcher, Path { mtu, ..Path::GOOD });
    }
    grid.path(relay, slow, Path { mtu, rate: Some(Bitrate::bps(2_000_000)), latency: ms(10), ..Path::GOOD });
    grid.run(seconds(6));
    let since = grid.now;
    grid.run(seconds(6));
    for watcher in fast {
        let (pictures, damaged) = shown_since(&grid, watcher, since);
        assert!(pictures >= 149 && damaged == 0, "{pictures} of 150, {damaged} damaged");
    }
    let (pictures, damaged) = shown_since(&grid, slow, since);
    assert!((5..140).contains(&pictures) && damaged <= pictures / 10, "slow: {pictures}, {damaged} damaged");
}

#[test]
fn what_is_lost_on_a_hop_is_repaired_on_that_hop() {
    // Where little is sent, a few losses in one second look like a full queue.
    let mut grid = Grid::new(50, &Rc::new(Film::new(Size::new(640, 352), Rate::TYPICAL, 12)));
    grid.record = true;
    let origin = grid.origin(LIVE);
    let relay = grid.relay(&[origin], Some("cam"));
    let watcher = grid.watch(relay, None);
    let lossy = Path { loss: 0.01, mtu: 1_472, latency: ms(1), ..Path::GOOD };
    grid.path(origin, relay, lossy);
    grid.path(relay, watcher, lossy);
    grid.run(seconds(2));
    let since = grid.now;
    grid.run(seconds(20));
    let (pictures, damaged) = shown_since(&grid, watcher, since);
    assert!(pictures >= 498 && damaged <= 5, "{pictures} of 500 shown, {damaged} damaged");
    let nacks = |from: Node, to: Node| {
        let of = |crossed: &&crate::grid::Crossed| (crossed.from, crossed.to, crossed.kind) == (from, to, Kind::NACK);
        grid.crossed.iter().filter(of).count()
    };
    assert!(nacks(watcher, relay) > 20 && nacks(relay, origin) > 20, "each hop asks for its own");
    assert_eq!(nacks(watcher, origin), 0);
    let passed: Vec<_> = grid.relay_at(relay).streams().map(|stream| stream.passed).collect();
    assert!(passed[0].1 * 200 <= passed[0].0, "{passed:?} were passed on damaged");
}

#[test]
fn the_second_origin_takes_over_within_a_second() {
    let mut grid = grid(60);
    let (first, second) = (grid.origin(LIVE), grid.origin(LIVE));
    let relay = grid.relay(&[first, second], Some("cam"));
    let watcher = grid.watch(relay, None);
    grid.run(seconds(4));
    let serving = if grid.server(first).watchers() == 1 { first } else { second };
    let other = first + second - serving;
    assert_eq!(grid.server(other).watchers(), 0, "one of them is watched");
    grid.kill(serving);
    let dead = grid.now;
    grid.run(seconds(3));
    let next = grid.seen(watcher).shown.iter().find(|(at, ..)| *at > dead + ms(40)).map(|(at, ..)| at.since(dead));
    assert!(next.is_some_and(|after| after <= seconds(1)), "{next:?}");
    assert!(shown_since(&grid, watcher, dead + seconds(1)).0 >= 45);
    // One that does not have the stream is no hindrance.
    let mut grid = Grid::new(61, &film());
    let (without, with) = (grid.origin(&[("other", true)]), grid.origin(LIVE));
    grid.path(with, 2, Path { latency: ms(5), ..Path::GOOD });
    let relay = grid.relay(&[without, with], Some("cam"));
    let watcher = grid.watch(relay, None);
    grid.run(seconds(4));
    assert!(shown_since(&grid, watcher, Time::ZERO).0 >= 60, "{:?}", grid.above(relay));
}

#[test]
fn streams_come_and_go_with_the_origins_list() {
    let mut grid = grid(70);
    let origin = grid.origin(&[("a", true), ("b", true)]);
    let relay = grid.relay(&[origin], None);
    grid.run(seconds(1));
    let on_b = grid.watch(relay, Some("b"));
    grid.run(seconds(2));
    assert!(shown_since(&grid, on_b, Time::ZERO).0 >= 30);
    grid.kill(origin);
    grid.start_origin(origin, &[("b", true), ("c", true)]);
    grid.run(seconds(5));
    let (on_a, on_c) = (grid.watch(relay, Some("a")), grid.watch(relay, Some("c")));
    let since = grid.now;
    grid.run(seconds(3));
    assert!(grid.refused(on_a).iter().any(|sentence| sentence.contains("no stream \"a\"")), "{:?}", grid.refused(on_a));
    assert!(shown_since(&grid, on_c, since).0 >= 40 && shown_since(&grid, on_b, since).0 >= 70);
}

//! Talk: who hears what, in which order, how often; through relays, guarded streams, losses and restarts.

use std::rc::Rc;

use udpstream::proto::publisher::{self, TalkNews};
use udpstream::proto::receiver::Secret;
use udpstream::proto::relay::Publishing;
use udpstream::proto::server::{Feed, Guard, Local, TalkRules};
use udpstream::seal::Code;
use udpstream::units::{Rate, Size};
use udpstream::wire::Kind;
use udpstream::wire::talk::Line;

use crate::grid::{Grid, Node, Published, grant};
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{ms, seconds};

const LIVE: &[(&str, bool)] = &[("cam", true)];

fn grid(seed: u64) -> Grid {
    Grid::new(seed, &Rc::new(Film::new(Size::new(160, 96), Rate::TYPICAL, 12)))
}

fn code() -> Code {
    "K7QM-01AB-CDEF-GHJK-MNPQ".parse().expect("a code")
}

/// What a watcher has heard, as people read it.
fn heard(grid: &Grid, watcher: Node) -> Vec<String> {
    grid.seen(watcher).lines.iter().map(|line| format!("{}: {}", line.name, line.text)).collect()
}

fn numbers(lines: &[Line]) -> Vec<u32> {
    lines.iter().map(|line| line.unit.0).collect()
}

/// Each watcher says so many lines, as fast as it may.
fn talk(grid: &mut Grid, watchers: &[Node], lines: usize) {
    for n in 0..lines {
        for (at, watcher) in watchers.iter().enumerate() {
            grid.say(*watcher, &format!("{at}-{n}"));
        }
        grid.run(ms(2_700));
    }
}

/// All have heard the same, everything, and of each author in the order in which it was said.
fn all_heard(grid: &Grid, watchers: &[Node], lines: usize) {
    let first = heard(grid, watchers[0]);
    assert_eq!(first.len(), watchers.len() * lines, "{first:?}");
    for (at, watcher) in watchers.iter().enumerate() {
        assert_eq!(heard(grid, *watcher), first, "watcher {at}");
        let own: Vec<String> = first.iter().filter(|line| line.contains(&format!(": {at}-"))).cloned().collect();
        let said: Vec<String> = (0..lines).map(|n| format!("w{at}: {at}-{n}")).collect();
        assert_eq!(own, said, "watcher {at}");
        let numbers = numbers(&grid.seen(*watcher).lines);
        assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1), "{numbers:?}");
    }
}

fn talkers(grid: &mut Grid, at: &[Node]) -> Vec<Node> {
    let watchers = at.iter().enumerate().map(|(n, at)| grid.watch_talking(*at, &format!("w{n}"))).collect();
    grid.run(seconds(3));
    watchers
}

#[test]
fn a_line_is_back_in_a_round_trip_and_heard_by_all() {
    let mut grid = grid(1);
    let origin = grid.origin(LIVE);
    let watchers = talkers(&mut grid, &[origin, origin]);
    let deaf = grid.watch(origin, None);
    grid.run(seconds(1));
    grid.say(watchers[0], "hello");
    grid.run(ms(2));
    all_lines(&grid, &watchers, &["w0: hello"]);
    let media = grid.seen(watchers[1]).lines[0].media.micros();
    assert!((3_000_000..5_000_000).contains(&media), "{media} µs: when it was said on the stream's own time");
    grid.run(seconds(3));
    all_lines(&grid, &watchers, &["w0: hello"]);
    assert!(grid.seen(deaf).lines.is_empty() && grid.seen(deaf).shown.len() > 80, "who does not ask hears nothing");
}

fn all_lines(grid: &Grid, watchers: &[Node], lines: &[&str]) {
    watchers.iter().for_each(|watcher| assert_eq!(heard(grid, *watcher), lines, "watcher {watcher}"));
}

#[test]
fn on_a_bad_path_nothing_is_lost_doubled_or_out_of_order() {
    for seed in 0..5 {
        let mut grid = grid(10 + seed);
        let origin = grid.origin(LIVE);
        let watchers = talkers(&mut grid, &[origin, origin, origin]);
        let bad = Path { loss: 0.2, duplicate: 0.1, reorder: 0.2, held_back: ms(60), jitter: ms(20), ..Path::GOOD };
        watchers.iter().for_each(|watcher| grid.path(origin, *watcher, bad));
        talk(&mut grid, &watchers, 12);
        grid.run(seconds(5));
        all_heard(&grid, &watchers, 12);
    }
}

#[test]
fn who_comes_later_hears_the_last_fifty() {
    let mut grid = grid(2);
    let origin = grid.origin(LIVE);
    let watchers = talkers(&mut grid, &[origin, origin, origin]);
    talk(&mut grid, &watchers, 20);
    let late = grid.watch_talking(origin, "late");
    grid.run(seconds(2));
    let (all, last) = (heard(&grid, watchers[0]), heard(&grid, late));
    assert_eq!((all.len(), last.len()), (60, 50));
    assert_eq!(last[..], all[10..]);
    assert!(grid.seen(late).shown.len() > 40, "and sees the stream beside");
}

#[test]
fn five_lines_in_ten_seconds_are_the_most() {
    let mut grid = grid(3);
    let origin = grid.origin(LIVE);
    let watchers = talkers(&mut grid, &[origin, origin]);
    (0..8).for_each(|n| grid.say(watchers[0], &n.to_string()));
    grid.say(watchers[1], "calm");
    grid.run(seconds(1));
    assert_eq!(heard(&grid, watchers[1]).len(), 6);
    let refused: Vec<&str> = grid.seen(watchers[0]).unsaid.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(refused, ["5", "6", "7"]);
    assert!(grid.seen(watchers[0]).unsaid[0].1.starts_with("Five lines in ten seconds"));
    grid.run(seconds(10));
    grid.say(watchers[0], "again");
    grid.run(seconds(1));
    assert_eq!(heard(&grid, watchers[1]).last().map(String::as_str), Some("w0: again"));
}

#[test]
fn a_chain_of_relays_passes_talk_both_ways() {
    for seed in 0..3 {
        let mut grid = grid(20 + seed);
        let origin = grid.origin(LIVE);
        let first = grid.relay(&[origin], None);
        let second = grid.relay(&[first], None);
        grid.run(seconds(2));
        let watchers = talkers(&mut grid, &[second, second, first, origin]);
        let lossy = Path { loss: 0.1, jitter: ms(5), ..Path::GOOD };
        for (a, b) in [(origin, first), (first, second), (second, watchers[0])] {
            grid.path(a, b, lossy);
        }
        talk(&mut grid, &watchers, 6);
        grid.run(seconds(4));
        all_heard(&grid, &watchers, 6);
        // A newcomer at the end of the chain has the relay's own memory of it.
        let late = grid.watch_talking(second, "late");
        grid.run(seconds(3));
        assert_eq!(heard(&grid, late), heard(&grid, watchers[0]));
        assert_eq!(numbers(grid.said(second)), numbers(grid.said(origin)), "the relay tells of each line once");
    }
}

#[test]
fn limits_hold_for_each_who_watches_behind_a_relay() {
    let mut grid = grid(4);
    let origin = grid.origin(LIVE);
    let relay = grid.relay(&[origin], None);
    grid.run(seconds(2));
    let watchers = talkers(&mut grid, &[relay, relay, origin]);
    (0..7).for_each(|n| grid.say(watchers[0], &n.to_string()));
    (0..5).for_each(|n| grid.say(watchers[1], &n.to_string()));
    grid.run(seconds(2));
    assert_eq!(heard(&grid, watchers[2]).len(), 10);
    assert_eq!((grid.seen(watchers[0]).unsaid.len(), grid.seen(watchers[1]).unsaid.len()), (2, 0));
}

#[test]
fn hostile_text_arrives_without_its_weapons_or_not_at_all() {
    let mut grid = grid(5);
    let origin = grid.origin(LIVE);
    let watchers = talkers(&mut grid, &[origin, origin]);
    let pile = format!("z{}", "\u{301}".repeat(249));
    for text in ["\u{1b}[2J\0bell\u{7}", "\u{202e}evil\u{2066}", &pile, "\u{301}\u{200b}"] {
        grid.say(watchers[0], text);
    }
    grid.run(seconds(1));
    let lines = heard(&grid, watchers[1]);
    assert_eq!(lines[..2], ["w0: [2Jbell", "w0: evil"]);
    assert_eq!((lines.len(), lines[2].chars().count()), (3, "w0: z".len() + 8));
    assert_eq!(grid.seen(watchers[0]).unsaid[0].1, "There is nothing to read in this line.");
    grid.run(seconds(10));
    // Longer than a line may be: its first 500 bytes travel.
    grid.say(watchers[0], &"é".repeat(400));
    grid.run(seconds(1));
    assert_eq!(grid.seen(watchers[1]).lines[3].text.len(), 500);
}

#[test]
fn what_is_muted_or_not_wanted_is_told_to_who_says_it() {
    let mut grid = grid(6);
    grid.rules = TalkRules { off: false, muted: vec!["W0".to_owned()] };
    let origin = grid.origin(LIVE);
    let relay = grid.relay(&[origin], None);
    grid.run(seconds(2));
    let watchers = talkers(&mut grid, &[relay, origin]);
    grid.say(watchers[0], "psst");
    grid.say(watchers[1], "fine");
    grid.run(seconds(1));
    all_lines(&grid, &watchers, &["w1: fine"]);
    assert!(grid.seen(watchers[0]).unsaid[0].1.contains("muted"));
    let mut grid = self::grid(7);
    grid.rules = TalkRules { off: true, muted: Vec::new() };
    let origin = grid.origin(LIVE);
    grid.rules = TalkRules::OPEN;
    let relay = grid.relay(&[origin], None);
    grid.run(seconds(2));
    let watchers = talkers(&mut grid, &[relay, origin]);
    watchers.iter().for_each(|watcher| grid.say(*watcher, "anybody?"));
    grid.run(seconds(2));
    for watcher in watchers {
        let seen = grid.seen(watcher);
        assert_eq!((&seen.talk_open[..], seen.lines.len(), seen.unsaid.len()), (&[false][..], 0, 1), "{watcher}");
        assert!(seen.unsaid[0].1.contains("no talk"));
    }
}

#[test]
fn after_a_restart_talk_goes_on_and_what_was_on_its_way_is_said_once() {
    let mut grid = grid(8);
    let origin = grid.origin(LIVE);
    let relay = grid.relay(&[origin], None);
    grid.run(seconds(2));
    let watchers = talkers(&mut grid, &[relay, origin]);
    talk(&mut grid, &watchers, 2);
    grid.kill(origin);
    grid.run(seconds(1));
    watchers.iter().for_each(|watcher| grid.say(*watcher, "are you there?"));
    grid.run(seconds(2));
    grid.start_origin(origin, LIVE);
    grid.run(seconds(8));
    let lines = heard(&grid, watchers[0]);
    assert_eq!((lines.len(), lines[..4].to_vec()), (6, heard(&grid, watchers[1])[..4].to_vec()), "{lines:?}");
    assert_eq!(heard(&grid, watchers[1])[4..], lines[4..]);
    let late = grid.watch_talking(origin, "late");
    grid.run(seconds(2));
    assert_eq!(heard(&grid, late), lines[4..], "what was said before is gone with the server");
}

#[test]
fn a_line_to_a_server_that_stays_away_comes_back_to_its_author() {
    let mut grid = grid(9);
    let origin = grid.origin(LIVE);
    let watchers = talkers(&mut grid, &[origin]);
    grid.kill(origin);
    grid.say(watchers[0], "lost");
    grid.run(seconds(19));
    assert!(grid.seen(watchers[0]).unsaid.is_empty());
    grid.run(seconds(2));
    assert_eq!(grid.seen(watchers[0]).unsaid[0].0, "lost");
}

#[test]
fn publisher_and_watchers_of_a_stream_with_a_code_talk_and_nobody_else_hears() {
    let mut grid = grid(30);
    let hub = grid.hub(Publishing { most: 4, allowed: None, max_rate: None });
    let published = Published { at: hub, name: Some("cam"), grant: grant(&code(), 1), allowed: None, live: true };
    let camera = grid.publish(&published);
    grid.publisher_listens(camera, "maker");
    grid.run(seconds(1));
    let relay = grid.relay(&[hub], None);
    let secret = Secret::Code(code().lookup(), code().key());
    let watch = |grid: &mut Grid, at, name: &str| {
        grid.watch_with(at, None, |config| (config.secret, config.talk) = (Some(secret.clone()), Some(name.to_owned())))
    };
    let (near, far) = (watch(&mut grid, hub, "near"), watch(&mut grid, relay, "far"));
    grid.run(seconds(4));
    grid.say(far, "hello");
    grid.run(seconds(1));
    grid.tell_publisher(camera, publisher::Local::Say("welcome".to_owned()));
    grid.run(seconds(1));
    grid.say(near, "thanks");
    grid.run(seconds(1));
    let lines = ["far: hello", "maker: welcome", "near: thanks"];
    all_lines(&grid, &[near, far], &lines);
    let told = publisher_heard(&grid, camera);
    assert_eq!(told, lines);
    let maker: Vec<bool> = grid.seen(far).lines.iter().map(|line| line.is_maker).collect();
    assert_eq!(maker, [false, true, false], "the publisher is known as who makes the stream");
    // Both ends come back, and each line stays one.
    grid.relocate(camera);
    grid.run(seconds(3));
    grid.tell_publisher(camera, publisher::Local::Say("moved".to_owned()));
    grid.run(seconds(2));
    let lines = [&lines[..], &["maker: moved"]].concat();
    all_lines(&grid, &[near, far], &lines);
    assert_eq!(publisher_heard(&grid, camera), lines);
}

fn publisher_heard(grid: &Grid, publisher: Node) -> Vec<String> {
    let told = grid.told(publisher).iter();
    told.filter_map(|(_, event)| match event {
        publisher::Event::Talk(TalkNews::Line(line)) => Some(format!("{}: {}", line.name, line.text)),
        _ => None,
    })
    .collect()
}

#[test]
fn a_hub_that_is_started_anew_makes_no_line_anew() {
    let mut grid = grid(31);
    let hub = grid.hub(Publishing { most: 4, allowed: None, max_rate: None });
    let published = Published { at: hub, name: Some("cam"), grant: grant(&code(), 1), allowed: None, live: true };
    let camera = grid.publish(&published);
    grid.publisher_listens(camera, "maker");
    let secret = Secret::Code(code().lookup(), code().key());
    grid.run(seconds(1));
    let watcher = grid.watch_with(hub, None, |config| (config.secret, config.talk) = (Some(secret), Some("w".into())));
    grid.run(seconds(3));
    grid.say(watcher, "before");
    grid.run(seconds(1));
    grid.start_relay(hub);
    grid.run(seconds(6));
    grid.say(watcher, "after");
    grid.run(seconds(2));
    // The stream and its id are the publisher's, so a line's name would be the same: the grid sees to it that none is.
    assert_eq!(heard(&grid, watcher), ["w: before", "w: after"]);
    assert_eq!(publisher_heard(&grid, camera), ["w: before", "w: after"]);
}

#[test]
fn whoever_serves_talks_as_its_maker_and_under_the_same_rules() {
    let mut grid = grid(32);
    grid.rules = TalkRules { off: false, muted: vec!["host".to_owned()] };
    grid.guards = vec![("cam", Guard::Code(code().lookup(), code().key()))];
    let origin = grid.origin(LIVE);
    let secret = Secret::Code(code().lookup(), code().key());
    let watcher =
        grid.watch_with(origin, None, |config| (config.secret, config.talk) = (Some(secret), Some("w".into())));
    grid.run(seconds(2));
    let key = grid.server(origin).keys().next().expect("a stream");
    for n in 0..7 {
        let say = Feed::Say { name: "host".to_owned(), text: n.to_string() };
        grid.tell_origin(origin, Local::Stream(key, say));
    }
    grid.run(seconds(1));
    let lines = &grid.seen(watcher).lines;
    assert!(lines.len() == 5 && lines.iter().all(|line| line.is_maker), "{lines:?}");
    assert_eq!(grid.said(origin).len(), 5);
}

#[test]
fn lines_cost_little_and_none_is_sent_to_who_has_it() {
    let mut grid = grid(33);
    grid.record = true;
    let origin = grid.origin(LIVE);
    let watchers = talkers(&mut grid, &[origin, origin]);
    talk(&mut grid, &watchers, 10);
    grid.run(seconds(2));
    let text = |to: Node| {
        let all = grid.crossed.iter().filter(|crossed| crossed.to == to && crossed.kind == Kind::OBJECT);
        all.filter(|crossed| crossed.name.is_some_and(|name| name.kind == udpstream::wire::object::Type::TEXT)).count()
    };
    assert_eq!(watchers.iter().map(|watcher| text(*watcher)).collect::<Vec<_>>(), [20, 20]);
    let says = grid.crossed.iter().filter(|crossed| crossed.kind == Kind::SAY).count();
    assert_eq!(says, 20, "each is said once where nothing is lost");
}

#[test]
fn who_comes_by_a_path_that_turns_everything_round_hears_all_of_it() {
    for seed in 0..12 {
        let mut grid = grid(40 + seed);
        let origin = grid.origin(LIVE);
        let watchers = talkers(&mut grid, &[origin, origin]);
        let late = grid.watch_talking(origin, "late");
        let bad = Path { loss: 0.05, duplicate: 0.3, reorder: 0.3, held_back: ms(1_500), ..Path::GOOD };
        grid.path(origin, late, bad);
        talk(&mut grid, &watchers, 6);
        grid.path(origin, late, Path::GOOD);
        grid.run(seconds(20));
        let (all, own) = (heard(&grid, watchers[0]), heard(&grid, late));
        assert_eq!((all.len(), own), (12, all), "seed {seed}");
    }
}

#[test]
fn talk_that_begins_with_another_start_of_the_server_is_heard_behind_a_relay_too() {
    let mut grid = grid(60);
    grid.rules = TalkRules { off: true, muted: Vec::new() };
    let origin = grid.origin(LIVE);
    let relay = grid.relay(&[origin], None);
    grid.run(seconds(2));
    let watchers = talkers(&mut grid, &[relay, origin]);
    assert!(watchers.iter().all(|watcher| grid.seen(*watcher).talk_open == [false]));
    grid.kill(origin);
    grid.run(seconds(1));
    grid.rules = TalkRules::OPEN;
    grid.start_origin(origin, LIVE);
    grid.run(seconds(6));
    assert!(watchers.iter().all(|watcher| grid.seen(*watcher).talk_open == [false, true]));
    watchers.iter().for_each(|watcher| grid.say(*watcher, "at last"));
    grid.run(seconds(2));
    let mut lines = heard(&grid, watchers[0]);
    assert_eq!(heard(&grid, watchers[1]), lines);
    lines.sort();
    assert_eq!(lines, ["w0: at last", "w1: at last"]);
    assert!(watchers.iter().all(|watcher| grid.seen(*watcher).unsaid.is_empty()));
}

#[test]
fn what_is_meant_for_one_stream_is_not_said_in_another() {
    let mut grid = grid(61);
    let origin = grid.origin(&[("a", true), ("b", true)]);
    let in_b = grid.watch_with(origin, Some("b"), |config| config.talk = Some("eve".to_owned()));
    let watcher = grid.watch_talking(origin, "ann");
    grid.run(seconds(2));
    grid.one_way(watcher, origin, Path { loss: 0.9, ..Path::GOOD });
    (0..4).for_each(|n| grid.say(watcher, &n.to_string()));
    let other = udpstream::wire::StreamName::parse("b").expect("a name");
    grid.tell_watcher(watcher, udpstream::proto::receiver::Local::Switch(Some(other)));
    grid.run(seconds(1));
    grid.one_way(watcher, origin, Path::GOOD);
    grid.run(seconds(6));
    grid.say(watcher, "hello, b");
    grid.run(seconds(2));
    assert_eq!(heard(&grid, in_b), ["ann: hello, b"]);
    assert!(!grid.seen(watcher).unsaid.is_empty(), "who said it is told");
}

#[test]
fn after_a_goodbye_a_line_is_tried_at_the_server_that_comes_and_given_up_in_time() {
    let mut grid = grid(62);
    let origin = grid.origin(LIVE);
    let watchers = talkers(&mut grid, &[origin]);
    grid.tell_origin(origin, Local::Stop("Stopped.".to_owned()));
    grid.run(seconds(3));
    grid.say(watchers[0], "lost");
    grid.run(seconds(21));
    assert_eq!(grid.seen(watchers[0]).unsaid.len(), 1, "in its time, although nobody is there");
    grid.say(watchers[0], "kept");
    grid.start_origin(origin, LIVE);
    grid.run(seconds(8));
    assert_eq!(heard(&grid, watchers[0]), ["w0: kept"]);
}

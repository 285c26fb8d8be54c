//! When a watcher reports, and of what; and what it makes of the clock that comes back.

use std::rc::Rc;

use udpstream::units::{Rate, Size, Time};
use udpstream::wire::tlv::{self, Tlvs, kind};
use udpstream::wire::{Ecn, Kind, Message, Report};

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{SERVER, SOUND, World, ms, seconds};
use crate::told::{PICTURE, Told};

fn reports(told: &mut Told) -> Vec<Report> {
    let reports = std::mem::take(&mut told.sent).into_iter().filter(|(kind, _)| *kind == Kind::REPORT);
    let report = |(kind, body): (Kind, Vec<u8>)| match Message::parse(kind, &body) {
        Ok(Message::Report(report)) => report,
        other => panic!("{other:?}"),
    };
    reports.map(report).collect()
}

/// A part of a picture, as it travels.
fn picture() -> Vec<u8> {
    let mut body = Vec::new();
    PICTURE.emit(&mut body, |out| out.extend_from_slice(b"a slice"));
    body
}

#[test]
fn the_first_report_follows_the_description_at_once_on_both_ports() {
    let film = Rc::new(Film::new(Size::new(160, 96), Rate::new(30, 1).expect("30 fps"), 12));
    let mut world = World::with(1, &film, Time::from_millis(60_000), |config, stream| {
        stream.description.sound = true;
        config.sound_port = SOUND.port();
    });
    world.record = true;
    world.watch(Path::GOOD);
    world.run(seconds(1));
    for port in [SERVER, SOUND] {
        let first = |kind| world.sent.iter().find(|sent| sent.kind == kind && (sent.from == port || sent.to == port));
        let (accepted, reported) =
            (first(Kind::ACCEPT).expect("joined").at, first(Kind::REPORT).expect("it reports").at);
        assert!(reported.since(accepted) < ms(1), "{port}: {:?}", reported.since(accepted));
    }
    // So sound begins with what the way there and back takes, not after the 20 ms for those who do not report.
    let accepted = world.sent.iter().find(|sent| sent.kind == Kind::ACCEPT && sent.from == SOUND).expect("joined").at;
    let sound = world.sent.iter().find(|sent| sent.chunk.is_some()).expect("it has sound").at;
    assert!(sound.since(accepted) < ms(2), "{:?}", sound.since(accepted));
}

#[test]
fn a_report_of_nothing_new_says_where_the_next_goes_on() {
    let mut told = Told::joined(1);
    told.wait(1);
    let first = reports(&mut told);
    assert_eq!(first.iter().map(|report| (report.first, report.arrivals.len())).collect::<Vec<_>>(), [(0, 1)]);
    told.wait(110);
    let empty = reports(&mut told);
    assert_eq!(empty.iter().map(|report| (report.first, report.arrivals.len())).collect::<Vec<_>>(), [(1, 0); 2]);
    assert_eq!(empty.iter().map(|report| report.number).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn what_one_report_cannot_hold_follows_at_once() {
    let mut told = Told::joined(1);
    told.wait(1);
    reports(&mut told);
    // 1 299 datagrams are missing before the next two.
    told.sequence += 1_299;
    told.say(1, &Message::Probe { size: 100 });
    assert_eq!(reports(&mut told).len(), 0, "one alone is not believed");
    told.say(1, &Message::Probe { size: 100 });
    let split = reports(&mut told);
    let cells = |report: &Report| (report.first, report.arrivals.len());
    assert_eq!(split.iter().map(cells).collect::<Vec<_>>(), [(1, 560), (561, 560), (1_121, 181)]);
    let came: usize = split.iter().flat_map(|report| &report.arrivals).filter(|cell| cell.is_received()).count();
    assert_eq!(came, 2);
    told.wait(40);
    assert_eq!(reports(&mut told).len(), 0, "and then the next after an interval");
}

#[test]
fn a_report_tells_how_the_path_marked_what_came_and_how_old_it_is() {
    let mut told = Told::joined(1);
    told.wait(1);
    reports(&mut told);
    // Of a server with so many watchers that it is reported to once a second.
    let mut tlvs = Vec::new();
    tlv::put(&mut tlvs, kind::REPORT_INTERVAL, &1_000_u16.to_be_bytes());
    told.say(1, &Message::Update { number: 1, tlvs: Tlvs::trusted(&tlvs) });
    told.wait(60);
    reports(&mut told);
    for ecn in [Ecn::Ect0, Ecn::Ce, Ecn::Not] {
        let sequence = told.sequence;
        told.sequence += 1;
        told.marked(Kind::OBJECT, 1, sequence, &picture(), ecn);
        told.wait(200);
    }
    told.wait(800);
    let later = reports(&mut told);
    let [report] = &later[..] else { panic!("{later:?}") };
    assert_eq!(report.arrivals.iter().map(|cell| cell.ecn()).collect::<Vec<_>>(), [Ecn::Ect0, Ecn::Ce, Ecn::Not]);
    let apart = |n| report.age_of(n).abs_diff(report.age_of(n + 1) + ms(200));
    assert!(report.age_of(0) > ms(500) && apart(0) < ms(1) && apart(1) < ms(1), "{report:?}");
}

/// The best exchange is that of a quiet moment long ago; when it is forgotten, all others came over a path that jitters,
/// and the clocks have parted meanwhile.
#[test]
fn a_moment_of_the_server_does_not_jump_when_the_best_exchange_is_forgotten() {
    let film = Rc::new(Film::new(Size::new(32, 32), Rate::new(10, 1).expect("10 fps"), 4));
    for seed in 0..4 {
        let mut world = World::new(seed, &film);
        let n = world.watch_with(Path::GOOD, |config| config.sound = None);
        world.watchers[n].ppm = 100;
        world.run(seconds(5));
        world.path(n, Path { latency: ms(5), jitter: ms(60), ..Path::GOOD });
        world.run(seconds(200));
        let watcher = &world.watchers[n];
        // Where the stream's zero is in the watcher's clock, as each picture says; the clock's own pace taken off.
        let zero = |(at, picture, due): &(Time, udpstream::proto::receiver::Ready, Option<Time>)| {
            let drift = watcher.local(*at).signed_since(*at);
            due.expect("known").signed_since(Time::ZERO) - picture.media_time.micros() * 1_000 - drift
        };
        let zeros: Vec<i64> = watcher.seen.shown.iter().skip(20).map(zero).collect();
        assert!(zeros.len() > 1_900, "{}", zeros.len());
        let step = zeros.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max().expect("shown");
        let span = zeros.iter().max().expect("shown") - zeros.iter().min().expect("shown");
        assert!(step < 1_500_000 && span < 16_000_000, "seed {seed}: a step of {step} ns, {span} ns in all");
    }
}

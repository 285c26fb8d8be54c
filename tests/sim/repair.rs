//! Nothing visible is lost: what becomes of pictures and sound where datagrams are, in figures that are the same in each run.
//!
//! Each watcher asserts of every slice that it has the sender's bytes, those that were repaired among them.

use std::rc::Rc;
use std::time::Duration;

use udpstream::proto::receiver::{Config, Local, WatchCounts};
use udpstream::proto::server::RepairStats;
use udpstream::units::{Rate, Size, Time, Unit};
use udpstream::wire::SizeClass;

use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{SOUND, World, ms, seconds};
use crate::scene::{Layout, MEGA, Scene, USUAL};

const SEEDS: [u64; 2] = [1, 2];
/// Ethernet's datagrams.
const CLASS: usize = 1_452;
/// Until then the path has been found to carry all.
const BEGINS: Duration = seconds(5);
const LASTS: Duration = seconds(30);

/// A film of 25 pictures a second of so many parts or a few more.
pub fn film(parts: usize) -> Rc<Film> {
    let class = SizeClass::forced(CLASS).expect("a class");
    let of = |(width, height, detail)| Film::new(Size::new(width, height), Rate::new(25, 1).expect("25 fps"), detail);
    let sizes = [(544, 304), (704, 400)];
    let all = sizes.into_iter().flat_map(|(width, height)| (4..32).map(move |detail| (width, height, detail)));
    // Of those with as few parts the largest: their datagrams are full, as those of films are.
    let made = all.map(|drawn| (drawn.2, of(drawn))).map(|(detail, film)| (film.slices(Unit(0), class), detail, film));
    let nearest = made.filter(|(count, ..)| *count >= parts).min_by_key(|(count, detail, _)| (*count, 40 - detail));
    Rc::new(nearest.expect("one is large enough").2)
}

/// What became of the pictures that were due in the time that counts.
#[derive(Clone, Copy, Debug)]
struct Figures {
    /// Shares of slices and of pictures.
    slices: f64,
    whole: f64,
    /// Shown after they were due, 95th percentile, ms.
    late: f64,
    /// Bytes of repair to all others; and resends that were not needed to all datagrams, but for those that are sent twice.
    overhead: f64,
    needless: f64,
    repair: RepairStats,
    counts: WatchCounts,
}

fn path(round_trip: Duration) -> Path {
    Path { latency: round_trip / 2, mtu: CLASS, ..Path::GOOD }
}

fn world(seed: u64, film: &Rc<Film>) -> World {
    World::with(seed, film, Time::from_millis(60_000), |config, stream| {
        stream.adapt = true;
        config.sound_port = SOUND.port();
    })
}

fn watched(film: &Rc<Film>, seed: u64, down: Path, up: Path) -> Figures {
    watched_by(film, seed, down, up, |_| {})
}

/// By one that is set up so.
fn watched_by(film: &Rc<Film>, seed: u64, down: Path, up: Path, set: impl FnOnce(&mut Config)) -> Figures {
    let mut world = world(seed, film);
    let watcher = world.watch_with(path(down.latency * 2), set);
    world.run(BEGINS);
    world.watchers[watcher].down.path = down;
    world.watchers[watcher].up.path = up;
    world.run(LASTS);
    world.check(watcher);
    figures(&world, watcher, film)
}

fn figures(world: &World, watcher: usize, film: &Film) -> Figures {
    let from = world.now - LASTS + seconds(2);
    let shown = world.watchers[watcher].seen.shown.iter();
    let shown: Vec<_> = shown.filter(|(_, _, due)| due.is_some_and(|due| due > from)).collect();
    let (first, last) = (shown[0].1.unit.0, shown[shown.len() - 1].1.unit.0);
    let class = SizeClass::forced(CLASS).expect("a class");
    let parts: usize = (first..=last).map(|unit| film.slices(Unit(unit), class).max(1)).sum();
    let missing: usize = shown.iter().map(|(_, ready, _)| usize::from(ready.missing)).sum();
    let absent = (last - first + 1) as usize - shown.len();
    let whole = shown.iter().filter(|(_, ready, _)| ready.missing == 0);
    let mut late: Vec<Duration> = whole.clone().map(|(at, _, due)| at.since(due.expect("known"))).collect();
    late.sort();
    let session = world.server.machine.sessions().next().expect("it watches");
    let (repair, counts) = (session.stats.repair, world.counts(watcher));
    let bytes = repair.resent_bytes + repair.parity_bytes;
    Figures {
        slices: 1.0 - (missing + absent * parts / (last - first + 1) as usize) as f64 / parts as f64,
        whole: whole.count() as f64 / f64::from(last - first + 1),
        late: late[late.len() * 95 / 100].as_secs_f64() * 1e3,
        overhead: bytes as f64 / (session.stats.bytes - bytes) as f64,
        needless: counts.traffic.repair.needless.saturating_sub(repair.doubled) as f64 / session.stats.datagrams as f64,
        repair,
        counts,
    }
}

/// The worst of all seeds, and how much later than without loss pictures are shown.
fn trials(name: &str, parts: usize, down: Path, up: Path) -> Figures {
    let film = film(parts);
    let clean = watched(&film, 1, path(down.latency * 2), path(down.latency * 2));
    assert_eq!((clean.repair, clean.counts.traffic.repair.bytes), (RepairStats::default(), 0), "nothing is lost");
    let all = SEEDS.map(|seed| watched(&film, seed, down, up));
    let worst = all.into_iter().reduce(|a, b| Figures {
        slices: a.slices.min(b.slices),
        whole: a.whole.min(b.whole),
        late: a.late.max(b.late),
        overhead: a.overhead.max(b.overhead),
        needless: a.needless.max(b.needless),
        ..b
    });
    let worst = worst.expect("some seeds");
    let worst = Figures { late: worst.late - clean.late, ..worst };
    println!(
        "{name}, {} parts: {:.3} % of slices, {:.2} % of pictures, {:.1} ms later, overhead {:.2} %, needless {:.3} %, \
         repaired {:?}",
        film.slices(Unit(0), SizeClass::forced(CLASS).expect("a class")),
        100.0 * worst.slices,
        100.0 * worst.whole,
        worst.late,
        100.0 * worst.overhead,
        100.0 * worst.needless,
        worst.counts.pictures.slices_repaired
    );
    worst
}

fn lossy(round_trip: Duration, loss: f64) -> (Path, Path) {
    let lossy = Path { loss, ..path(round_trip) };
    (lossy, lossy)
}

#[test]
fn nearby_a_resend_mends_nearly_all() {
    for parts in [38, 100] {
        let (down, up) = lossy(ms(2), 0.01);
        let figures = trials("1 %, 2 ms", parts, down, up);
        assert!(figures.slices >= 0.999 && figures.whole >= 0.998, "{figures:?}");
        assert!(figures.late <= 12.0 && figures.overhead <= 0.02, "{figures:?}");
    }
}

#[test]
fn further_away_pictures_wait_a_round_trip() {
    for parts in [38, 100] {
        let (down, up) = lossy(ms(20), 0.01);
        let figures = trials("1 %, 20 ms", parts, down, up);
        assert!(figures.whole >= 0.988, "{figures:?}");
        assert!(figures.late <= 44.0 && figures.overhead <= 0.04, "{figures:?}");
    }
}

#[test]
fn far_away_parity_mends_what_a_resend_would_bring_too_late() {
    for parts in [38, 100] {
        let (down, up) = lossy(ms(60), 0.03);
        let figures = trials("3 %, 60 ms", parts, down, up);
        assert!(figures.whole >= 0.995 && figures.overhead <= 0.25, "{figures:?}");
        assert!(figures.counts.pictures.slices_repaired.rebuilt > 500, "{figures:?}");
    }
}

#[test]
fn what_a_viewer_bears_decides_between_answers_and_parity() {
    let film = film(38);
    let (down, up) = lossy(ms(60), 0.03);
    let patient = watched_by(&film, 1, down, up, |config| config.patience = Some(ms(200)));
    assert!(patient.whole >= 0.995, "a picture is never waited for longer than until the next: {patient:?}");
    assert!(patient.repair.parity > 500, "{patient:?}");
    let later = watched_by(&film, 1, down, up, |config| config.latency = ms(200));
    assert!(later.whole >= 0.995 && later.overhead <= 0.05, "all that is asked for twice is in time: {later:?}");
    assert_eq!(later.repair.parity, 0, "{later:?}");
    let impatient = watched_by(&film, 1, down, up, |config| config.patience = Some(ms(0)));
    assert!(impatient.late <= 40.0 && impatient.slices >= 0.96, "{impatient:?}");
    assert_eq!(impatient.overhead, 0.0, "no picture waits for what repairs it: {impatient:?}");
}

#[test]
fn runs_of_losses_are_mended_by_more_parity() {
    for parts in [38, 100] {
        let (down, up) = lossy(ms(60), 0.03);
        let runs = |path: Path| Path { run: 4.0, ..path };
        let figures = trials("3 % in runs of 4, 60 ms", parts, runs(down), up);
        assert!(figures.whole >= 0.96 && figures.overhead <= 0.35, "{figures:?}");
    }
}

#[test]
fn a_tenth_lost_is_no_collapse() {
    for round_trip in [2, 20] {
        let (down, up) = lossy(ms(round_trip), 0.1);
        let figures = trials("10 %", 38, down, up);
        assert!(figures.whole >= 0.6 && figures.slices >= 0.97, "{figures:?}");
        assert!(figures.overhead <= 0.45, "{figures:?}");
    }
}

#[test]
fn what_is_lost_on_the_way_up_costs_nothing_and_lost_nacks_little() {
    let (good, (lossy, _)) = (path(ms(10)), lossy(ms(10), 0.05));
    let up = trials("5 % on the way up", 38, good, lossy);
    assert_eq!((up.repair.resent, up.whole), (0, 1.0), "{up:?}");
    let down = trials("5 % on the way down", 38, lossy, good);
    assert!(down.whole >= 0.98 && down.needless <= 0.005, "{down:?}");
    let both = trials("5 % both ways", 38, lossy, lossy);
    assert!(both.whole >= 0.97 && both.needless <= 0.005, "{both:?}");
}

#[test]
fn what_comes_twice_or_out_of_its_turn_is_not_asked_for() {
    for round_trip in [2, 20] {
        let bad = Path { duplicate: 0.02, reorder: 0.05, held_back: ms(10), ..path(ms(round_trip)) };
        let figures = trials("2 % twice, 5 % up to 10 ms later", 38, bad, bad);
        assert!(figures.needless <= 0.005 && figures.whole >= 0.995, "{figures:?}");
        let worse = Path { loss: 0.01, ..bad };
        let figures = trials("and 1 % lost", 38, worse, worse);
        assert!(figures.needless <= 0.005 && figures.whole >= 0.98, "{figures:?}");
    }
}

/// Shares of chunks that were there in time, of a film's sound and of a microphone's.
fn sound(seed: u64, loss: f64, round_trip: Duration, live: bool) -> f64 {
    let film = Rc::new(Film::new(Size::new(160, 96), Rate::new(25, 1).expect("25 fps"), 12));
    let mut world = World::with(seed, &film, Time::from_millis(60_000), |config, stream| {
        (stream.description.sound, stream.description.live, stream.adapt) = (true, live, true);
        config.sound_port = SOUND.port();
    });
    if live {
        world.microphone = Some(world.now);
    }
    let watcher = world.watch(Path { loss, ..path(round_trip) });
    world.tell_watcher(watcher, Local::Loudspeaker(Some(ms(30))));
    // The first losses of live sound nobody can have waited for.
    world.run(seconds(3));
    let heard = world.watchers[watcher].seen.sound.len();
    world.run(seconds(60));
    world.check(watcher);
    let counts = *world.watchers[watcher].machine.sound_counts();
    println!("sound, {loss}, {round_trip:?}, live {live}: {counts:?}");
    let heard = &world.watchers[watcher].seen.sound[heard..];
    heard.iter().filter(|(.., came)| *came).count() as f64 / heard.len() as f64
}

#[test]
fn sound_is_repaired_in_time() {
    for (loss, least) in [(0.01, 0.9999), (0.05, 0.999)] {
        for (round_trip, live) in [(2, false), (20, false), (2, true)] {
            let shares = SEEDS.map(|seed| sound(seed, loss, ms(round_trip), live));
            let mean = shares.iter().sum::<f64>() / shares.len() as f64;
            assert!(mean >= least, "{loss} {round_trip} {live}: {shares:?}");
        }
    }
}

/// The estimate holds while a path falls that loses by chance, and pictures are repaired on it.
#[test]
fn a_path_that_falls_and_loses_by_chance_is_followed_and_repaired() {
    for seed in SEEDS {
        let mut scene = Scene::new(Layout { seed, ..USUAL });
        scene.bottleneck().loss = 0.01;
        scene.plan(10.0, 5.0 * MEGA);
        scene.plan(25.0, 20.0 * MEGA);
        scene.run(40.0);
        let (before, after) = (scene.figures(5.0, 10.0), scene.figures(12.0, 25.0));
        let (calm, missing, back) =
            (scene.calm(10.0, 25.0, 50.0), scene.missing(10.0, 12.0), scene.reached(25.0, 14.0 * MEGA));
        println!("seed {seed}: {before:?} then calm {calm:.2} s, missing {missing} of 50, {after:?}, back {back:.2} s");
        assert!(before.fps >= 24.8 && after.fps >= 24.3, "{before:?} {after:?}");
        assert!(before.rate >= 0.9 * 18.8 && after.rate >= 0.9 * 4.9 && after.queue <= 30.0, "{before:?} {after:?}");
        assert!(calm <= 0.5 && missing <= 10 && back <= 3.0, "{calm} {missing} {back}");
    }
}

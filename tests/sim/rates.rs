//! The stream fits the path: what the estimate, pacing and the ladder reach on bottlenecks, in figures. They are the same in each
//! run; a table of them is kept beside this file (`UDPSTREAM_BLESS=1` writes it anew).

use std::rc::Rc;
use std::time::Duration;

use udpstream::proto::ladder::Rung;
use udpstream::proto::receiver::Local;
use udpstream::proto::server::StreamConfig;
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::message::WantedPictures;

use crate::bottleneck::{Bottleneck, Limit, Radio};
use crate::cubic::Cubic;
use crate::elastic::Elastic;
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{SOUND, World, ms};
use crate::random::Random;
use crate::sources::{name, stream};

const MEGA: f64 = 1e6;

/// One watcher, or several, behind a bottleneck.
pub struct Scene {
    world: World,
    start: Time,
    /// When, and what is believed that the first watcher's path carries; then of the others.
    rates: Vec<(f64, f64)>,
    others: Vec<(f64, f64)>,
    /// When, and what was sent to the first.
    rungs: Vec<(f64, Rung)>,
}

/// How the scene is laid out.
#[derive(Clone, Copy)]
pub struct Layout {
    pub seed: u64,
    pub rate: f64,
    pub limit: Limit,
    /// There and back.
    pub round_trip: Duration,
    pub quality: u8,
    pub even: bool,
}

pub const USUAL: Layout = Layout {
    seed: 7,
    rate: 20.0 * MEGA,
    limit: Limit::Time(Duration::from_millis(100)),
    round_trip: Duration::from_millis(20),
    quality: 80,
    even: false,
};

fn film(layout: &Layout) -> Rc<Film> {
    let size = Size::new(1_280, 720);
    let elastic = if layout.even { Elastic::even(size) } else { Elastic::harsh(size, layout.seed) };
    Rc::new(Film::elastic(size, Rate::new(25, 1).expect("25 fps"), elastic))
}

impl Scene {
    pub fn new(layout: Layout) -> Self {
        Self::of(layout, &film(&layout))
    }

    fn of(layout: Layout, film: &Rc<Film>) -> Self {
        let start = Time::from_millis(60_000);
        let mut world = World::with(layout.seed, film, start, |config, stream| {
            stream.description.sound = true;
            stream.adapt = true;
            stream.quality = layout.quality;
            config.sound_port = SOUND.port();
        });
        world.bottleneck = Some(Bottleneck::new(layout.rate, layout.limit, Random::fork(layout.seed, 77)));
        let mut scene = Self { world, start, rates: Vec::new(), others: Vec::new(), rungs: Vec::new() };
        scene.watch(layout.round_trip);
        scene
    }

    pub fn watch(&mut self, round_trip: Duration) -> usize {
        self.world.watch(Path { latency: round_trip / 2, mtu: 1_472, ..Path::GOOD })
    }

    /// Another stream of the same server, and somebody who watches it.
    pub fn second_stream(&mut self) {
        let film = Rc::clone(&self.world.film);
        let other = StreamConfig { adapt: true, ..stream("other", &film, false, true) };
        self.world.open(other);
        let path = Path { latency: ms(10), mtu: 1_472, ..Path::GOOD };
        self.world.watch_with(path, |config| config.stream = Some(name("other")));
    }

    /// A stream of little pictures.
    pub fn small(layout: Layout) -> Self {
        let size = Size::new(320, 180);
        let film = Film::elastic(size, Rate::new(25, 1).expect("25 fps"), Elastic::harsh(size, layout.seed));
        Self::of(layout, &Rc::new(film))
    }

    /// Somebody whose way does not lead through the bottleneck.
    pub fn watch_beside(&mut self, round_trip: Duration) -> usize {
        let watcher = self.watch(round_trip);
        let address = self.world.watchers[watcher].address.ip();
        self.bottleneck().beside.insert(address);
        watcher
    }

    /// The first watcher wants pictures of this quality at most; 0: any.
    pub fn want(&mut self, quality: u8) {
        let limits = WantedPictures { quality: Some(quality).filter(|quality| *quality > 0), ..WantedPictures::ANY };
        self.world.tell_watcher(0, Local::Limits(limits));
    }

    /// Changes what lies behind the bottleneck.
    pub fn change_path(&mut self, change: impl Fn(&mut Path)) {
        change(&mut self.world.watchers[0].down.path);
    }

    /// Pictures that watchers beside the first were not sent.
    pub fn thinned_of_others(&self) -> u64 {
        let address = self.world.watchers[0].address;
        let others = self.world.server.machine.sessions().filter(|session| session.address != address);
        others.map(|session| session.stats.thinned).sum()
    }

    /// How long after `from` pictures had this quality in full size.
    pub fn full_quality(&self, from: f64, quality: u8) -> f64 {
        let full = |(at, rung): &&(f64, Rung)| *at > from && *rung == Rung::new(0, quality);
        self.rungs.iter().find(full).map_or(99.0, |(at, _)| at - from)
    }

    pub fn bottleneck(&mut self) -> &mut Bottleneck {
        self.world.bottleneck.as_mut().expect("it is there")
    }

    /// Seconds since the start.
    pub fn now(&self) -> f64 {
        self.world.now.since(self.start).as_secs_f64()
    }

    fn at(&self, seconds: f64) -> Time {
        self.start + Duration::from_secs_f64(seconds)
    }

    /// The bottleneck has this rate from then on.
    pub fn plan(&mut self, seconds: f64, rate: f64) {
        let at = self.at(seconds);
        self.bottleneck().plan.insert(at, rate);
    }

    pub fn cubic(&mut self, from: f64, until: f64, round_trip: Duration) {
        let cubic = Cubic::new(self.at(from), self.at(until), round_trip / 2);
        self.bottleneck().others.push(cubic);
    }

    pub fn run(&mut self, until: f64) {
        while self.now() < until {
            self.world.run(ms(40));
            let now = self.now();
            let address = self.world.watchers[0].address;
            for session in self.world.server.machine.sessions() {
                let Some(rate) = session.adaptation.in_force.estimate else { continue };
                if session.address == address {
                    let sent = session.adaptation.in_force;
                    self.rungs.push((now, Rung::new(sent.rendition, sent.quality)));
                }
                let rates = if session.address == address { &mut self.rates } else { &mut self.others };
                rates.push((now, rate.as_bps() as f64));
            }
        }
    }

    pub fn figures(&self, from: f64, until: f64) -> Figures {
        let bottleneck = self.world.bottleneck.as_ref().expect("there");
        let within = |at: Time| (self.at(from)..self.at(until)).contains(&at);
        let rates: Vec<f64> = self.rates.iter().filter(|(at, _)| (from..until).contains(at)).map(|(_, r)| *r).collect();
        let mean = rates.iter().sum::<f64>() / rates.len().max(1) as f64;
        let deviation = (rates.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / rates.len().max(1) as f64).sqrt();
        let waits: Vec<f64> = bottleneck.waits.iter().filter(|(at, _)| within(*at)).map(|(_, wait)| *wait).collect();
        let address = self.world.watchers[0].address.ip();
        let got = bottleneck.passed.iter().filter(|(at, to, _)| within(*at) && to.ip() == address);
        let got = got.map(|(.., bytes)| *bytes).sum::<usize>() as f64 * 8.0 / (until - from);
        let shown = self.world.watchers[0].seen.shown.iter().filter(|(_, _, due)| due.is_some_and(within));
        let (mut whole, mut damaged, mut late) = (0, 0, Vec::new());
        for (at, ready, due) in shown {
            if ready.missing == 0 {
                whole += 1;
                late.push(at.since(due.expect("known")).as_secs_f64());
            } else {
                damaged += 1;
            }
        }
        Figures {
            rate: mean / MEGA,
            deviation: 100.0 * deviation / mean.max(1.0),
            got: got / MEGA,
            queue: 1e3 * part(waits, 0.95),
            fps: f64::from(whole) / (until - from),
            damaged,
            late: 1e3 * part(late, 0.95),
        }
    }

    /// Pictures that were not seen whole of those due in this time.
    pub fn missing(&self, from: f64, until: f64) -> usize {
        let due = ((until - from) * 25.0).round() as usize;
        let whole = (self.figures(from, until).fps * (until - from)).round() as usize;
        due.saturating_sub(whole)
    }

    /// When after `from` the rate is this.
    pub fn reached(&self, from: f64, rate: f64) -> f64 {
        self.rates.iter().find(|(at, now)| *at > from && *now >= rate).map_or(99.0, |(at, _)| at - from)
    }

    /// How long after the first picture had left the rate was this.
    pub fn started(&self, rate: f64) -> f64 {
        let first = self.world.departures().first().map_or(self.start, |(.., at)| *at);
        let first = first.since(self.start).as_secs_f64();
        self.rates.iter().find(|(_, now)| *now >= rate).map_or(99.0, |(at, _)| (at - first).max(0.0))
    }

    /// How often the rate fell by more than a tenth.
    pub fn cuts(&self, from: f64, until: f64) -> usize {
        let rates: Vec<f64> = self.rates.iter().filter(|(at, _)| (from..until).contains(at)).map(|(_, r)| *r).collect();
        rates.windows(2).filter(|pair| pair[1] < 0.9 * pair[0]).count()
    }

    /// The least that was believed, Mb/s.
    pub fn least(&self, from: f64, until: f64) -> f64 {
        let rates = self.rates.iter().filter(|(at, _)| (from..until).contains(at));
        rates.map(|(_, rate)| *rate).fold(f64::MAX, f64::min) / MEGA
    }

    /// Mb/s of the flow of others.
    pub fn other_rate(&self, from: f64, until: f64) -> f64 {
        let other = &self.world.bottleneck.as_ref().expect("there").others[0];
        other.rate(self.at(from), self.at(until)) / MEGA
    }

    /// Mb/s that a watcher got.
    pub fn got_by(&self, watcher: usize, from: f64, until: f64) -> f64 {
        let within = self.at(from)..self.at(until);
        let address = self.world.watchers[watcher].address.ip();
        let passed = &self.world.bottleneck.as_ref().expect("there").passed;
        let got = passed.iter().filter(|(at, to, _)| within.contains(at) && to.ip() == address);
        got.map(|(.., bytes)| *bytes).sum::<usize>() as f64 * 8.0 / (until - from) / MEGA
    }

    /// From when on no window of a second has a queue of more than so many milliseconds, until `until`.
    pub fn calm(&self, from: f64, until: f64, queue: f64) -> f64 {
        let (mut calm, mut at) = (from, from);
        while at < until - 1.0 {
            if self.figures(at, at + 1.0).queue >= queue {
                calm = at + 0.05;
            }
            at += 0.05;
        }
        calm - from
    }
}

fn part(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = ((share * values.len() as f64) as usize).min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or(0.0)
}

#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Mb/s: the estimate's mean, its deviation in percent, and what passed.
    pub rate: f64,
    pub deviation: f64,
    pub got: f64,
    /// The 95th percentile of what datagrams waited, ms.
    pub queue: f64,
    /// Whole pictures a second.
    pub fps: f64,
    pub damaged: u32,
    /// The 95th percentile of the time from due to shown, ms.
    pub late: f64,
}

/// Each scene is laid out from as many seeds.
const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

fn each(layout: Layout, scene: impl Fn(&mut Scene)) -> Vec<Scene> {
    let of = |seed| {
        let mut laid = Scene::new(Layout { seed, ..layout });
        scene(&mut laid);
        laid
    };
    SEEDS.into_iter().map(of).collect()
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The table that is kept of these figures.
fn kept(name: &str, rows: &[String]) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/rates").join(format!("{name}.txt"));
    let table = rows.join("\n") + "\n";
    println!("{table}");
    if std::env::var_os("UDPSTREAM_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(&path, &table).expect("writable");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(table, known, "the figures are others than those in {}", path.display());
}

impl Figures {
    fn row(&self) -> String {
        format!(
            "{:6.2} Mb/s sd {:4.1} % got {:5.2} queue {:5.1} ms {:5.2} fps damaged {:3} late {:5.1} ms",
            self.rate, self.deviation, self.got, self.queue, self.fps, self.damaged, self.late
        )
    }
}

/// A fall to a tenth after 10 s, and the way back after 20. Returns rows; asserts what must hold.
fn falls(name: &str, limit: Limit, calm: f64, missing: usize, fps: f64) {
    let scenes = each(Layout { limit, ..USUAL }, |scene| {
        scene.plan(10.0, 2.0 * MEGA);
        scene.plan(20.0, 20.0 * MEGA);
        scene.run(26.0);
    });
    let mut rows = Vec::new();
    for (seed, scene) in SEEDS.iter().zip(&scenes) {
        let (after, back) = (scene.figures(12.0, 20.0), scene.reached(20.0, 14.0 * MEGA));
        let (calmed, lost) = (scene.calm(10.0, 20.0, 50.0), scene.missing(10.0, 12.0));
        rows.push(format!(
            "seed {seed}: calm {calmed:.2} s, missing {lost:2} of 50, then {}, back {back:.2} s",
            after.row()
        ));
    }
    kept(name, &rows);
    for scene in &scenes {
        let (after, back) = (scene.figures(12.0, 20.0), scene.reached(20.0, 14.0 * MEGA));
        assert!(scene.calm(10.0, 20.0, 50.0) <= calm, "{rows:#?}");
        assert!(scene.missing(10.0, 12.0) <= missing, "{rows:#?}");
        assert!(after.fps >= fps && after.queue <= 30.0, "{rows:#?}");
        assert!(back <= 3.0, "{rows:#?}");
    }
}

#[test]
fn a_fall_to_a_tenth_is_over_within_half_a_second() {
    falls("fall-100ms", Limit::Time(ms(100)), 0.5, 10, 24.5);
}

#[test]
fn so_is_one_on_a_short_queue() {
    falls("fall-25ms", Limit::Time(ms(25)), 0.5, 10, 23.0);
}

#[test]
fn a_queue_of_bytes_must_drain_first() {
    falls("fall-250kB", Limit::Bytes(250e3), 2.0, 50, 24.5);
}

fn alone(name: &str, rates: &[f64]) {
    let mut rows = Vec::new();
    for rate in rates {
        let scenes = each(Layout { rate: rate * MEGA, ..USUAL }, |scene| scene.run(60.0));
        for (seed, scene) in SEEDS.iter().zip(&scenes) {
            let (figures, start) = (scene.figures(5.0, 60.0), scene.started(0.8 * rate * MEGA));
            rows.push(format!("{rate:4} Mb/s seed {seed}: {}, start {start:.2} s", figures.row()));
            println!("{}", rows[rows.len() - 1]);
            assert!(figures.deviation <= 5.0 && figures.queue <= 30.0 && figures.damaged == 0, "{rows:#?}");
            let limit = if *rate <= 20.0 { 1.0 } else { 2.0 };
            assert!(start <= limit, "{rows:#?}");
        }
    }
    kept(name, &rows);
}

#[test]
fn alone_on_a_slow_path_the_rate_is_steady() {
    alone("alone-slow", &[2.0, 5.0]);
}

#[test]
fn alone_on_a_usual_path_the_rate_is_steady() {
    alone("alone-usual", &[10.0, 20.0]);
}

#[test]
fn alone_on_a_fast_path_the_rate_is_steady() {
    alone("alone-fast", &[50.0]);
}

const RADIO: Radio = Radio { burst: (0.005, 0.010), stalls: (1.0, 0.06) };

#[test]
fn a_radios_bursts_and_stalls_are_no_congestion() {
    let full = each(USUAL, |scene| {
        scene.bottleneck().radio = Some(RADIO);
        scene.run(60.0);
    });
    // At this quality it needs half of it.
    let limited = each(Layout { quality: 10, ..USUAL }, |scene| {
        scene.bottleneck().radio = Some(RADIO);
        scene.run(60.0);
    });
    let row = |scene: &Scene| format!("cuts {} {}", scene.cuts(5.0, 60.0), scene.figures(5.0, 60.0).row());
    let rows: Vec<String> = full.iter().chain(&limited).map(row).collect();
    println!("{rows:#?}");
    for (full, limited) in full.iter().zip(&limited) {
        assert!(full.cuts(5.0, 60.0) <= 3, "{rows:#?}");
        // What it needs is never in question.
        assert!(limited.least(5.0, 60.0) > limited.figures(5.0, 60.0).got, "{rows:#?}");
    }
    kept("radio", &rows);
}

#[test]
fn losses_that_meet_no_queue_do_not_slow_it_down() {
    let with = |loss: f64| {
        let scenes = each(USUAL, |scene| {
            scene.bottleneck().loss = loss;
            scene.run(30.0);
        });
        scenes.iter().map(|scene| scene.figures(5.0, 30.0)).collect::<Vec<_>>()
    };
    let (none, one, three) = (with(0.0), with(0.01), with(0.03));
    let rows: Vec<String> = none.iter().chain(&one).chain(&three).map(Figures::row).collect();
    println!("{rows:#?}");
    for (none, lossy) in none.iter().zip(&one).chain(none.iter().zip(&three)) {
        assert!(lossy.rate >= 0.9 * none.rate, "{rows:#?}");
    }
    kept("loss", &rows);
}

/// Beside one CUBIC flow from 10 s to 70.
fn beside_cubic(name: &str, queue: u64, least: f64, most: f64) {
    let scenes = each(Layout { limit: Limit::Time(ms(queue)), ..USUAL }, |scene| {
        scene.cubic(10.0, 70.0, ms(20));
        scene.run(76.0);
    });
    let share = |scene: &Scene| {
        let cubic = scene.other_rate(20.0, 70.0);
        let ours = scene.figures(20.0, 70.0).got;
        ours / (ours + cubic)
    };
    let row = |scene: &Scene| {
        let after = scene.figures(70.0, 75.0).rate;
        format!("share {:4.1} % {}, after it {after:5.2} Mb/s", 100.0 * share(scene), scene.figures(20.0, 70.0).row())
    };
    let rows: Vec<String> = scenes.iter().map(row).collect();
    println!("{rows:#?}");
    for scene in &scenes {
        assert!((least..most).contains(&share(scene)), "{rows:#?}");
    }
    assert!(mean(scenes.iter().map(|scene| scene.figures(70.0, 75.0).rate)) >= 16.0, "{rows:#?}");
    kept(name, &rows);
}

#[test]
fn it_comes_to_its_part_beside_cubic() {
    beside_cubic("cubic-100ms", 100, 0.3, 0.7);
}

#[test]
fn also_on_a_long_queue() {
    beside_cubic("cubic-300ms", 300, 0.2, 0.75);
}

#[test]
fn and_on_a_short_one() {
    beside_cubic("cubic-25ms", 25, 0.08, 1.0);
}

#[test]
fn two_streams_share_a_path() {
    let rows: Vec<(f64, String)> = SEEDS.into_iter().map(two).collect();
    let texts: Vec<String> = rows.iter().map(|(_, row)| row.clone()).collect();
    println!("{texts:#?}");
    assert!(rows.iter().all(|(share, _)| (0.3..=0.7).contains(share)), "{texts:#?}");
    kept("two", &texts);
}

/// Two servers would be two worlds: the second stream is another one of the same server, to another watcher.
fn two(seed: u64) -> (f64, String) {
    let mut scene = Scene::new(Layout { seed, ..USUAL });
    scene.run(10.0);
    scene.second_stream();
    scene.run(70.0);
    let (first, second) = (scene.got_by(0, 20.0, 70.0), scene.got_by(1, 20.0, 70.0));
    let share = first / (first + second);
    (share, format!("{first:5.2} and {second:5.2} Mb/s, {:4.1} %", 100.0 * share))
}

#[test]
fn who_wanted_little_hardly_notes_a_fall_and_has_all_it_wants_soon_after() {
    let scenes = each(Layout { rate: 50.0 * MEGA, ..USUAL }, |scene| {
        // It takes some 8 Mb/s.
        scene.want(5);
        scene.plan(10.0, 5.0 * MEGA);
        scene.plan(20.0, 50.0 * MEGA);
        scene.run(30.0);
        scene.want(0);
        scene.run(40.0);
    });
    let row = |scene: &Scene| {
        let (fall, rises) = (scene.figures(10.0, 20.0), scene.full_quality(30.0, 80));
        format!("at the fall {}; full quality after {rises:.2} s", fall.row())
    };
    let rows: Vec<String> = scenes.iter().map(row).collect();
    println!("{rows:#?}");
    for scene in &scenes {
        // What is on its way when the path falls is more than a queue of a tenth of a second holds.
        assert!(scene.figures(10.0, 20.0).damaged <= 2, "{rows:#?}");
        assert!(scene.full_quality(30.0, 80) <= 1.5, "{rows:#?}");
    }
    kept("limited", &rows);
}

#[test]
fn what_befalls_a_path_is_mended() {
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    let mut say = |name: &str, scene: &Scene, from: f64, until: f64, least: f64| {
        let figures = scene.figures(from, until);
        rows.push(format!("{name:24} {}", figures.row()));
        if figures.rate < least {
            bad.push(rows[rows.len() - 1].clone());
        }
    };
    for seed in SEEDS {
        let mut dark = Scene::new(Layout { seed, ..USUAL });
        dark.plan(10.0, 10e3);
        dark.plan(13.0, 20.0 * MEGA);
        dark.run(18.0);
        say("nothing for 3 s", &dark, 13.0, 18.0, 10.0);
        let mut longer = Scene::new(Layout { seed, ..USUAL });
        longer.run(10.0);
        longer.change_path(|path| path.latency += ms(50));
        longer.run(20.0);
        say("the way 50 ms longer", &longer, 15.0, 20.0, 14.0);
        let mut mixed = Scene::new(Layout { seed, ..USUAL });
        mixed.change_path(|path| (path.reorder, path.held_back) = (0.02, ms(3)));
        mixed.run(20.0);
        say("two of a hundred late", &mixed, 5.0, 20.0, 17.0);
        for ppm in [200, -200] {
            let mut drifting = Scene::new(Layout { seed, ..USUAL });
            drifting.world.watchers[0].ppm = ppm;
            drifting.run(60.0);
            say("a clock of ±200 ppm", &drifting, 30.0, 60.0, 17.0);
        }
    }
    println!("{rows:#?}");
    assert!(bad.is_empty(), "{bad:#?}");
    kept("mended", &rows);
}

#[test]
fn a_hundred_watchers_blind_nobody() {
    let mut rows = Vec::new();
    for seed in SEEDS {
        let mut scene = Scene::small(Layout { seed, rate: 8.0 * MEGA, ..USUAL });
        for _ in 0..99 {
            scene.watch_beside(ms(20));
        }
        scene.plan(6.0, 1.0 * MEGA);
        scene.run(12.0);
        let (calm, missing) = (scene.calm(6.0, 12.0, 50.0), scene.missing(6.0, 8.0));
        let others = scene.thinned_of_others();
        rows.push(format!("seed {seed}: calm {calm:.2} s, missing {missing} of 50; the others miss {others}"));
        println!("{}", rows[rows.len() - 1]);
        assert!(calm <= 1.0 && missing <= 20, "{rows:#?}");
    }
    kept("hundred", &rows);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = || {
        let mut scene = Scene::new(USUAL);
        scene.bottleneck().loss = 0.01;
        scene.plan(3.0, 3.0 * MEGA);
        scene.run(6.0);
        scene.world.digest()
    };
    assert_eq!(run(), run());
}

//! The stream fits the path: what the estimate, pacing and the ladder reach on bottlenecks, in figures.

use std::rc::Rc;
use std::time::Duration;

use udpstream::units::{Rate, Size, Time, Unit};

use crate::bottleneck::{Bottleneck, Limit, Radio, Runs};
use crate::cubic::Cubic;
use crate::elastic::Elastic;
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{SOUND, World, ms, seconds};
use crate::random::Random;

const MEGA: f64 = 1e6;

/// One watcher, or several, behind a bottleneck.
pub struct Scene {
    world: World,
    start: Time,
    /// When, and what is believed that the first watcher's path carries; then of the others.
    rates: Vec<(f64, f64)>,
    others: Vec<(f64, f64)>,
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
        let start = Time::from_millis(60_000);
        let mut world = World::with(layout.seed, &film(&layout), start, |config, stream| {
            stream.description.sound = true;
            stream.adapt = true;
            stream.quality = layout.quality;
            config.sound_port = SOUND.port();
        });
        world.bottleneck = Some(Bottleneck::new(layout.rate, layout.limit, Random::fork(layout.seed, 77)));
        let mut scene = Self { world, start, rates: Vec::new(), others: Vec::new() };
        scene.watch(layout.round_trip);
        scene
    }

    pub fn watch(&mut self, round_trip: Duration) -> usize {
        self.world.watch(Path { latency: round_trip / 2, mtu: 1_472, ..Path::GOOD })
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

#[test]
fn table() {
    for (name, limit) in [
        ("100 ms", Limit::Time(ms(100))),
        ("25 ms", Limit::Time(ms(25))),
        ("300 ms", Limit::Time(ms(300))),
        ("250 kB", Limit::Bytes(250e3)),
    ] {
        let mut scene = Scene::new(Layout { limit, ..USUAL });
        scene.plan(10.0, 2.0 * MEGA);
        scene.plan(20.0, 20.0 * MEGA);
        scene.run(30.0);
        println!("step {name}: before {:?}", scene.figures(5.0, 10.0));
        println!(
            "  calm {:.2} missing {} then {:?} up {:.2}",
            scene.calm(10.0, 20.0, 50.0),
            scene.missing(10.0, 12.0),
            scene.figures(12.0, 20.0),
            scene.reached(20.0, 14.0 * MEGA)
        );
    }
    for rate in [2.0, 5.0, 10.0, 20.0, 50.0] {
        let mut scene = Scene::new(Layout { rate: rate * MEGA, ..USUAL });
        scene.run(40.0);
        println!("alone {rate}: {:?} start {:.2}", scene.figures(5.0, 40.0), scene.reached(0.0, 0.8 * rate * MEGA));
    }
    let mut scene = Scene::new(USUAL);
    scene.cubic(10.0, 70.0, ms(20));
    scene.run(90.0);
    let (from, until) = (scene.at(20.0), scene.at(70.0));
    let cubic = scene.bottleneck().others[0].rate(from, until);
    println!("cubic: {:?} {:.2} after {:?}", scene.figures(20.0, 70.0), cubic / MEGA, scene.figures(70.0, 75.0));
    let mut scene = Scene::new(USUAL);
    scene.bottleneck().loss = 0.01;
    scene.run(30.0);
    println!("loss 1 %: {:?}", scene.figures(5.0, 30.0));
    let mut scene = Scene::new(USUAL);
    scene.bottleneck().radio = Some(Radio { burst: (0.005, 0.010), stalls: (1.0, 0.06) });
    scene.run(60.0);
    println!("radio: {:?}", scene.figures(5.0, 60.0));
    let _ = (Runs(0.0, 0.0, 0.0), Unit(0), seconds(1));
}

#[test]
fn trace() {
    let mut scene = Scene::new(Layout { limit: Limit::Time(ms(300)), ..USUAL });
    scene.plan(10.0, 2.0 * MEGA);
    scene.run(9.8);
    while scene.now() < 14.0 {
        scene.run(scene.now() + 0.04);
        let wait = scene.bottleneck().wait();
        let view = scene.world.server.machine.sessions().next().expect("one");
        let f = view.adaptation.in_force;
        println!(
            "{:.2} wait {:.0} rate {:.2} q {} reason {:?} r{} q{} every {} sent {} thinned {}",
            scene.now(),
            wait * 1e3,
            f.estimate.map_or(0.0, |r| r.as_bps() as f64 / 1e6),
            f.queue / 10,
            f.reason,
            f.rendition,
            f.quality,
            f.every,
            view.stats.pictures,
            view.stats.thinned
        );
    }
    let mut scene = Scene::new(USUAL);
    scene.cubic(10.0, 70.0, ms(20));
    scene.run(9.8);
    while scene.now() < 18.0 {
        scene.run(scene.now() + 0.1);
        let wait = scene.bottleneck().wait();
        let view = scene.world.server.machine.sessions().next().expect("one");
        let f = view.adaptation.in_force;
        println!(
            "{:.2} wait {:.0} rate {:.2} q {} reason {:?} r{} q{} every {} sent {} thinned {}",
            scene.now(),
            wait * 1e3,
            f.estimate.map_or(0.0, |r| r.as_bps() as f64 / 1e6),
            f.queue / 10,
            f.reason,
            f.rendition,
            f.quality,
            f.every,
            view.stats.pictures,
            view.stats.thinned
        );
    }
}

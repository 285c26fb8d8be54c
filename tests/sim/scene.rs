//! Scenes behind a bottleneck: who watches, what befalls the path, and the figures that come of it.

use std::rc::Rc;
use std::time::Duration;

use udpstream::proto::ladder::Rung;
use udpstream::proto::receiver::Local;
use udpstream::proto::server::StreamConfig;
use udpstream::units::{Rate, Size, Time};
use udpstream::wire::message::WantedPictures;

use crate::bottleneck::{Bottleneck, Limit};
use crate::cubic::Cubic;
use crate::elastic::Elastic;
use crate::jpeg::Film;
use crate::link::Path;
use crate::net::{SOUND, World, ms};
use crate::random::Random;
use crate::sources::{name, stream};

pub const MEGA: f64 = 1e6;

/// One watcher, or several, behind a bottleneck.
pub struct Scene {
    pub world: World,
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

    pub fn at(&self, seconds: f64) -> Time {
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

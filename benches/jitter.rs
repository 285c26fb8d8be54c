//! Departure error and jitter of arrival at 30 fps: ours, the origin's rule, and a bare timerfd loop as the floor.

#![expect(clippy::disallowed_types, reason = "the sampler is the system's own socket")]
#![expect(clippy::disallowed_methods, reason = "the origin's rule sleeps")]

#[expect(dead_code, reason = "each bench needs another part of it")]
mod pacing;
#[expect(dead_code, reason = "each bench needs another part of it")]
mod stage;

use std::time::Duration;

use criterion::{Criterion, SamplingMode, criterion_group};
use pacing::{Played, SIZE, Sender, play};
use stage::{Sample, is_short, is_whole};
use udpstream::stats::{Block, Samples};

const FPS: u32 = 30;

/// What criterion calls the time of one iteration is here the error of one picture.
fn errors(c: &mut Criterion) {
    let sample = Sample::new(SIZE);
    let mut group = c.benchmark_group("mean error of the arrival interval at 30 fps");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(15));
    for sender in Sender::ALL {
        group.bench_function(sender.name(), |b| {
            b.iter_custom(|pictures| {
                // Two pictures make one interval.
                let played = play(sender, &sample, FPS, pictures as u32 + 1);
                played.interval_error() * pictures as u32
            });
        });
    }
}

/// All three in turn, so that a slow minute of the machine strikes all.
fn in_turn() {
    let (rounds, seconds) = if is_short() { (1, 1) } else { (4, 15) };
    let sample = Sample::new(SIZE);
    let mut played: [Vec<Played>; 3] = Default::default();
    for _ in 0..rounds {
        for (sender, runs) in Sender::ALL.into_iter().zip(&mut played) {
            runs.push(play(sender, &sample, FPS, FPS * seconds));
        }
    }
    println!("\njitter at {FPS} fps, {} bytes a picture, {rounds} rounds of {seconds} s in turn:", sample.jpeg.len());
    println!("{:<20}{:>27}{:>36}", "", "departure error µs", "arrival interval µs");
    print!("{:<20}{:>9}{:>9}{:>9}", "", "p50", "p99", "stdev");
    println!("{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}{:>9}", "mean", "p99", "stdev", "fps", "offered", "delivered", "dropped");
    let mut deviations = Vec::new();
    for (sender, runs) in Sender::ALL.into_iter().zip(&played) {
        deviations.push(row(sender, runs));
    }
    println!(
        "interval stdev, ours / floor: {:.2}, ours / origin: {:.2}",
        deviations[0] / deviations[2],
        deviations[0] / deviations[1]
    );
}

fn row(sender: Sender, runs: &[Played]) -> f64 {
    let late = block(runs.iter().flat_map(|run| run.late.iter().copied()));
    let interval = block(runs.iter().flat_map(Played::intervals));
    let sum = |what: fn(&Played) -> u64| runs.iter().map(what).sum::<u64>();
    let (offered, delivered) = (sum(|run| run.offered), sum(|run| run.arrivals.len() as u64));
    let fps = runs.iter().map(Played::fps).sum::<f64>() / runs.len() as f64;
    // The regime: whoever has deadlines plays at the film's speed. The origin's rule may do as it does.
    assert!(is_short() || sender == Sender::Origin || (fps / f64::from(FPS) - 1.0).abs() < 0.02, "{fps} fps");
    print!("{:<20}{:>9.0}{:>9.0}{:>9.0}", sender.name(), late.p50, late.p99, late.stdev);
    print!("{:>9.0}{:>9.0}{:>9.0}{fps:>9.3}", interval.mean, interval.p99, interval.stdev);
    println!("{offered:>9}{delivered:>10}{:>9}", sum(|run| run.dropped));
    interval.stdev
}

fn block(micros: impl Iterator<Item = f64>) -> Block {
    let mut samples = Samples::default();
    micros.for_each(|us| samples.record(us));
    samples.block(1.0).expect("samples")
}

criterion_group!(benches, errors);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    if is_whole() {
        in_turn();
    }
}

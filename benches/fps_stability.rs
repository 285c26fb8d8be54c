//! Whether 30 fps stay 30 fps: second by second, with the machine at rest and with one core busy; ours, the origin's
//! rule, and a bare timerfd loop as the floor.

#![expect(clippy::disallowed_types, reason = "the sampler is the system's own socket")]
#![expect(clippy::disallowed_methods, reason = "the origin's rule sleeps")]

#[expect(dead_code, reason = "each bench needs another part of it")]
mod pacing;
#[expect(dead_code, reason = "each bench needs another part of it")]
mod stage;

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group};
use pacing::{Played, SIZE, Sender, play};
use stage::{Sample, is_short, is_whole};

const FPS: u32 = 30;

/// Runs `work` while another thread keeps one core busy, or alone.
fn beside<T>(busy: bool, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(!busy);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                spin_loop();
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    })
}

const fn condition(busy: bool) -> &'static str {
    if busy { "one core busy" } else { "at rest" }
}

/// The time that a picture takes: 33.333 ms, if the rate is held.
fn time_per_picture(c: &mut Criterion) {
    let sample = Sample::new(SIZE);
    let mut group = c.benchmark_group("time per picture at 30 fps");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(10));
    for busy in [false, true] {
        for sender in Sender::ALL {
            group.bench_function(BenchmarkId::new(sender.name(), condition(busy)), |b| {
                b.iter_custom(|pictures| {
                    let pictures = pictures as u32;
                    beside(busy, || play(sender, &sample, FPS, pictures + 1)).span()
                });
            });
        }
    }
}

fn second_by_second() {
    let seconds = if is_short() { 2 } else { 30 };
    let sample = Sample::new(SIZE);
    println!("\n{FPS} fps for {seconds} s, in windows of one second:");
    print!("{:<20}{:<16}{:>9}{:>9}{:>9}{:>9}", "", "", "mean", "least", "most", "stdev");
    println!("{:>14}{:>10}{:>10}{:>9}", "drift ms/min", "offered", "delivered", "dropped");
    for busy in [false, true] {
        for sender in Sender::ALL {
            let played = beside(busy, || play(sender, &sample, FPS, FPS * seconds + 1));
            row(sender, busy, &played);
        }
    }
}

fn row(sender: Sender, busy: bool, played: &Played) {
    let windows = windows(played);
    let n = windows.len() as f64;
    let mean = windows.iter().sum::<f64>() / n;
    let stdev = (windows.iter().map(|fps| (fps - mean).powi(2)).sum::<f64>() / n).sqrt();
    let (least, most) = windows.iter().fold((f64::MAX, f64::MIN), |(low, high), fps| (low.min(*fps), high.max(*fps)));
    // The regime: whoever has deadlines plays at the film's speed. The origin's rule may do as it does.
    let held = (played.fps() / f64::from(FPS) - 1.0).abs() < 0.02;
    assert!(is_short() || sender == Sender::Origin || held, "{} fps", played.fps());
    print!("{:<20}{:<16}{mean:>9.3}{least:>9.3}{most:>9.3}{stdev:>9.4}", sender.name(), condition(busy));
    print!("{:>14.2}{:>10}", played.drift_ms_per_minute(), played.offered);
    println!("{:>10}{:>9}", played.arrivals.len(), played.dropped);
}

/// The rate over each run of [`FPS`] intervals: finer than counting pictures in a second, which knows whole numbers.
fn windows(played: &Played) -> Vec<f64> {
    let ends: Vec<_> = played.arrivals.iter().step_by(FPS as usize).collect();
    let fps = |pair: &[&(u32, udpstream::units::Time)]| {
        f64::from(pair[1].0 - pair[0].0) / pair[1].1.since(pair[0].1).as_secs_f64()
    };
    ends.windows(2).map(fps).collect()
}

criterion_group!(benches, time_per_picture);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    if is_whole() {
        second_by_second();
    }
}

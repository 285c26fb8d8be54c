//! Tells a program that was late from a machine that stood still: beside a measurement runs a bare loop, which does what
//! every stream does, a little work at fixed moments, and nothing else. Where it was late too, the measurement says
//! nothing of the program and is made again; where it was in time, the program is at fault.

use std::hint::black_box;
use std::sync::{Mutex, OnceLock};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// The bare loop's work is due once in this time, twice as often as a film's pictures.
const PERIOD: Duration = Duration::from_millis(20);
/// Steps of the bare loop's work: about a millisecond, less than a small picture takes to be coded.
const STEPS: u64 = 100_000;
/// A bare loop so much too late shows that the machine stood still. A picture is left out when it is one interval late,
/// a sound device runs dry when it waits for half of that.
const STILL: Duration = Duration::from_millis(10);
/// A machine that stands still again and again cannot be measured on.
const ATTEMPTS: usize = 3;

/// Makes a measurement that depends on time. One that fails is made again if the machine stood still meanwhile, and
/// fails the test if not. `None` if the machine stood still in every attempt.
#[track_caller]
pub fn measured<T>(mut attempt: impl FnMut() -> anyhow::Result<T>) -> Option<T> {
    for n in 1..=ATTEMPTS {
        let (bare, begun) = (BareLoop::get(), Instant::now());
        let wrong = match attempt() {
            Ok(value) => return Some(value),
            Err(wrong) => wrong,
        };
        let late = bare.latest(begun);
        println!("attempt {n}: {wrong:#}; meanwhile a bare loop was up to {late:?} late");
        assert!(late >= STILL, "{wrong:#}; and a bare loop was at most {late:?} late meanwhile");
    }
    println!("nothing is known: the machine stood still in each of {ATTEMPTS} attempts");
    None
}

/// How late the bare loop was when, as far as that is worth noting.
struct BareLoop {
    late: Mutex<Vec<(Instant, Duration)>>,
}

impl BareLoop {
    /// The one of this process, which runs from its first use on.
    fn get() -> &'static Self {
        static LOOP: OnceLock<BareLoop> = OnceLock::new();
        static STARTED: OnceLock<()> = OnceLock::new();
        let bare = LOOP.get_or_init(|| Self { late: Mutex::default() });
        STARTED.get_or_init(|| drop(spawn(|| bare.run())));
        bare
    }

    fn run(&self) {
        let shortest = (0..20).map(|_| work()).min().unwrap_or_default();
        let mut due = Instant::now();
        loop {
            due += PERIOD;
            sleep(due.saturating_duration_since(Instant::now()));
            work();
            let done = Instant::now();
            let late = done.saturating_duration_since(due + shortest);
            if late >= STILL / 2 {
                self.late.lock().unwrap().push((done, late));
                due = done;
            }
        }
    }

    /// The most that it was late since `begun`.
    fn latest(&self, begun: Instant) -> Duration {
        // It may stand still just now.
        sleep(2 * PERIOD);
        let late = self.late.lock().unwrap();
        late.iter().filter(|(at, _)| *at >= begun).map(|(_, late)| *late).max().unwrap_or_default()
    }
}

/// Counts, and says how long that took.
fn work() -> Duration {
    let begun = Instant::now();
    let sum = (0..STEPS).fold(0_u64, |sum, n| black_box(sum.wrapping_mul(31).wrapping_add(n)));
    black_box(sum);
    begun.elapsed()
}

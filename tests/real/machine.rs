//! Tells a program that was late from a machine that stood still: beside a measurement runs a bare loop, which does what
//! every stream does, a little work at fixed moments, and nothing else. Where it was late too, the measurement says
//! nothing of the program and is made again; where it was in time, the program is at fault.

use std::fs::OpenOptions;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::{Mutex, OnceLock};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// The bare loop wakes up this often: a halt that is longer than a sound device bears cannot lie between two turns.
const PERIOD: Duration = Duration::from_millis(5);
/// It has work to do each fourth time, twice as often as a film's pictures are due.
const WORKING: u64 = 4;
/// Steps of the bare loop's work: about a millisecond, less than a small picture takes to be coded.
const STEPS: u64 = 100_000;
/// A bare loop so much too late shows that the machine stood still. A sound device runs dry when it waits for 13 ms, and of
/// such a halt at least 8 ms are seen.
const STILL: Duration = Duration::from_millis(8);
/// Work that takes so many times as long as it needs shows that others had the processors.
const STARVED: f64 = 1.5;
/// A machine that stands still again and again cannot be measured on.
const ATTEMPTS: usize = 3;
/// Names a file for the names of tests that could measure nothing, so that whoever runs them hears of it.
const UNMEASURED: &str = "UDPSTREAM_UNMEASURED";

/// Makes a measurement that depends on time. One that fails is made again if the machine stood still meanwhile, and
/// fails the test if not. `None` if the machine stood still in every attempt.
#[track_caller]
pub fn measured<T>(mut attempt: impl FnMut() -> anyhow::Result<T>) -> Option<T> {
    for n in 1..=ATTEMPTS {
        let begun = begin();
        let wrong = match attempt() {
            Ok(value) => return Some(value),
            Err(wrong) => wrong,
        };
        let (late, stretched) = BareLoop::get().since(begun);
        let meanwhile =
            format!("meanwhile a bare loop was up to {late:?} late, and its work took {stretched:.2} times as long");
        println!("attempt {n}: {wrong:#}; {meanwhile}");
        assert!(is_still(late, stretched), "{wrong:#}; and the machine ran: {meanwhile}");
    }
    println!("nothing is known: the machine stood still in each of {ATTEMPTS} attempts");
    note_unmeasured();
    None
}

fn note_unmeasured() {
    let Some(path) = std::env::var_os(UNMEASURED) else { return };
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    writeln!(file, "{}", std::thread::current().name().unwrap_or("?")).unwrap();
}

/// The moment from which on the machine is watched.
pub fn begin() -> Instant {
    BareLoop::get();
    Instant::now()
}

/// Whether the machine stood still after `begun`.
pub fn stood_still(begun: Instant) -> bool {
    let (late, stretched) = BareLoop::get().since(begun);
    is_still(late, stretched)
}

fn is_still(late: Duration, stretched: f64) -> bool {
    late >= STILL || stretched >= STARVED
}

/// One turn of the bare loop.
struct Turn {
    ended: Instant,
    late: Duration,
    /// How many times as long as the shortest its work took, if it had some.
    stretched: Option<f64>,
}

struct BareLoop {
    turns: Mutex<Vec<Turn>>,
}

impl BareLoop {
    /// The one of this process, which runs from its first use on.
    fn get() -> &'static Self {
        static LOOP: OnceLock<BareLoop> = OnceLock::new();
        static STARTED: OnceLock<()> = OnceLock::new();
        let bare = LOOP.get_or_init(|| Self { turns: Mutex::default() });
        STARTED.get_or_init(|| drop(spawn(|| bare.run())));
        bare
    }

    fn run(&self) {
        let shortest = (0..20).map(|_| work()).min().unwrap_or_default();
        let mut due = Instant::now();
        for turn in 0_u64.. {
            due += PERIOD;
            sleep(due.saturating_duration_since(Instant::now()));
            let took = turn.is_multiple_of(WORKING).then(work);
            let ended = Instant::now();
            let late = ended.saturating_duration_since(due + took.map_or(Duration::ZERO, |_| shortest));
            let stretched = took.map(|took| took.as_secs_f64() / shortest.as_secs_f64());
            self.turns.lock().unwrap().push(Turn { ended, late, stretched });
            due = due.max(ended - PERIOD);
        }
    }

    /// The most that it was late since `begun`, and how its work was stretched on average.
    fn since(&self, begun: Instant) -> (Duration, f64) {
        // It may stand still just now.
        sleep(2 * WORKING as u32 * PERIOD);
        let turns = self.turns.lock().unwrap();
        let since = || turns.iter().filter(|turn| turn.ended >= begun);
        let late = since().map(|turn| turn.late).max().unwrap_or(STILL);
        let stretched: Vec<f64> = since().filter_map(|turn| turn.stretched).collect();
        (late, stretched.iter().sum::<f64>() / stretched.len().max(1) as f64)
    }
}

/// Counts, and says how long that took.
fn work() -> Duration {
    let begun = Instant::now();
    let sum = (0..STEPS).fold(0_u64, |sum, n| black_box(sum.wrapping_mul(31).wrapping_add(n)));
    black_box(sum);
    begun.elapsed()
}

//! The series of docs/CONGESTION.md: what the path carries, what is believed and what arrives, the queue, whole pictures.
//!
//! With `UDPSTREAM_PLOTS` a CSV file of each scene is written into that folder, of which `scripts/plots` draws; without it the
//! scenes run for two seconds only.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use udpstream::units::Time;

use crate::bottleneck::Radio;
use crate::net::ms;
use crate::scene::{Layout, Scene, USUAL};

const MEGA: f64 = 1e6;
/// Rates and queues are of so many steps a second.
const STEPS: u32 = 10;
/// When a scene begins.
const START: Time = Time::from_millis(60_000);
/// How long scenes run that are not drawn, s.
const GLANCE: u32 = 2;

/// What is drawn.
struct Plot {
    name: &'static str,
    /// How long it runs, s.
    seconds: u32,
    scene: fn() -> Scene,
}

const PLOTS: [Plot; 4] = [
    Plot { name: "fall", seconds: 30, scene: fall },
    Plot { name: "cubic", seconds: 60, scene: cubic },
    Plot { name: "start", seconds: 6, scene: start },
    Plot { name: "radio", seconds: 20, scene: radio },
];

fn fall() -> Scene {
    let mut scene = Scene::new(USUAL);
    scene.plan(10.0, 2.0 * MEGA);
    scene.plan(20.0, 20.0 * MEGA);
    scene
}

fn cubic() -> Scene {
    let mut scene = Scene::new(USUAL);
    scene.cubic(10.0, 45.0, ms(20));
    scene
}

fn start() -> Scene {
    Scene::new(Layout { rate: 50.0 * MEGA, ..USUAL })
}

fn radio() -> Scene {
    let mut scene = Scene::new(USUAL);
    scene.bottleneck().radio = Some(Radio { burst: (0.005, 0.010), stalls: (1.0, 0.06) });
    scene
}

/// One line a step: the moment, Mb/s of the path, of the estimate, of ours that passed and of the other flow, the queue in ms,
/// and whole pictures in the second that ends there.
fn series(scene: &mut Scene, seconds: u32) -> Vec<[f64; 7]> {
    let mut rows = Vec::new();
    for step in 1..=seconds * STEPS {
        let (from, until) = (f64::from(step - 1) / f64::from(STEPS), f64::from(step) / f64::from(STEPS));
        scene.run(until);
        let path = scene.bottleneck().rate / MEGA;
        let at = |seconds: f64| START + Duration::from_secs_f64(seconds);
        let other = scene.bottleneck().others.first().map_or(0.0, |other| other.rate(at(from), at(until)) / MEGA);
        let now = scene.figures(from, until);
        rows.push([until, path, now.rate, now.got, other, now.queue, 0.0]);
    }
    // The last pictures are shown a little later.
    scene.run(f64::from(seconds) + 0.5);
    for row in &mut rows {
        let from = (row[0] - 1.0).max(0.0);
        row[6] = scene.figures(from, row[0]).fps * (row[0] - from);
    }
    rows
}

#[test]
fn the_series_that_are_drawn() {
    let folder = std::env::var_os("UDPSTREAM_PLOTS");
    for Plot { name, seconds, scene } in PLOTS {
        let rows = series(&mut scene(), if folder.is_some() { seconds } else { GLANCE });
        for (column, what) in [(1, "path"), (2, "estimate"), (3, "passed"), (6, "pictures")] {
            assert!(rows.iter().any(|row| row[column] > 0.0), "{name}: no {what}");
        }
        let Some(folder) = &folder else { continue };
        let mut text = "t,path,estimate,passed,other,queue,whole\n".to_owned();
        for row in rows {
            let fields = row.map(|value| format!("{value:.3}"));
            writeln!(text, "{}", fields.join(",")).expect("a string takes all");
        }
        std::fs::write(Path::new(folder).join(format!("{name}.csv")), text).expect("the folder can be written to");
    }
}

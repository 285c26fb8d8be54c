//! The stream fits the path: what the estimate, pacing and the ladder reach on bottlenecks, in figures. They are the same in each
//! run; tables of them are kept beside this file (`UDPSTREAM_BLESS=1` writes them anew).

use crate::bottleneck::{Limit, Radio};
use crate::net::ms;
use crate::scene::{Figures, Layout, MEGA, Scene, USUAL};

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
    assert!((least..most).contains(&mean(scenes.iter().map(share))), "{rows:#?}");
    for scene in &scenes {
        assert!((0.7 * least..1.2 * most).contains(&share(scene)), "{rows:#?}");
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

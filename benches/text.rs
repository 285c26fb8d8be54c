//! What words cost: an overlay on each picture, a help sheet, a card, a line that is new, and the first use of all.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use udpstream::text::card::text_card;
use udpstream::text::{Engine, Folders};
use udpstream::units::{Bitrate, Size, Time};
use udpstream::view::inside::{HELP, Hud};
use udpstream::view::{Card, Rates};

const WINDOW: Size = Size::new(1_280, 720);

/// Figures with both graphs, as after half a minute.
fn overlay() -> Hud {
    let mut hud = Hud::default();
    hud.figures = true;
    "robot/door".clone_into(&mut hud.label);
    hud.lines = (0..11).map(|n| format!("network 1.{n}  wait 12.{n}  decode 3.4  present 0.{n} ms")).collect();
    hud.rates = vec![Rates { received: Bitrate::bps(5_000_000), estimate: Some(Bitrate::bps(9_000_000)) }; 30];
    (0..200).for_each(|n| hud.presented(Time::ZERO + Duration::from_millis(33 * n + n % 3)));
    hud
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("1280x720");
    let mut target = vec![0x0080_8080; WINDOW.pixels()];
    let mut draw = |name: &str, hud: &Hud| {
        assert!(hud.draw(&mut target, WINDOW, 1.0), "all letters are there");
        assert!(target.iter().any(|pixel| *pixel != 0x0080_8080), "something is drawn");
        group.bench_function(name, |b| b.iter(|| hud.draw(black_box(&mut target), WINDOW, 1.0)));
    };
    draw("overlay", &overlay());
    draw("help sheet", &Hud::explaining(HELP));
    let lines = vec!["Its program, its machine or the network has stopped.".to_owned()];
    let card = Card { title: "server.example:9688 has fallen silent".to_owned(), lines };
    let mut hud = Hud::default();
    hud.card = Some(card);
    draw("card", &hud);
    group.bench_function("card on a picture", |b| {
        b.iter(|| text_card(WINDOW, "robot is away", &["There is no answer from 192.0.2.7:9688."]));
    });
    group.finish();
}

fn lines(c: &mut Criterion) {
    let mut group = c.benchmark_group("a line");
    let mut number = 0_u32;
    let mut engine = Engine::new(Folders::System);
    engine.wait();
    for (name, words) in [("of figures", "latency 6.5 ms  p99 9.1 ms"), ("in Arabic", "انقطع الاتصال بالخادم")]
    {
        let mut set = || {
            number += 1;
            engine.set(&[&format!("{words} {number}")], 16.0, Some(400))
        };
        assert!(set().is_complete() && set().width() > 50);
        group.bench_function(format!("{name}, set anew"), |b| b.iter(&mut set));
    }
    group.finish();
}

fn first(c: &mut Criterion) {
    let set = |mut engine: Engine| engine.set(&["latency 6.5 ms  p99 9.1 ms"], 16.0, None);
    let new = || Engine::new(Folders::These(Vec::new()));
    assert!(set(new()).is_complete());
    c.bench_function("first use", |b| b.iter_batched(|| (), |()| set(new()), BatchSize::PerIteration));
}

criterion_group!(benches, frames, lines, first);
criterion_main!(benches);

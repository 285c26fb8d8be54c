//! What the estimate must not do: cost others something for one who lies, or leave a picture half sent.

use std::collections::BTreeSet;

use std::net::SocketAddr;

use udpstream::wire::report::{Arrival, Ecn};
use udpstream::wire::{Kind, Report};

use crate::bottleneck::Limit;
use crate::client::Client;
use crate::net::{address, ms};
use crate::scene::{Layout, MEGA, Scene, USUAL};

/// What its reports say of everything that it was sent.
#[derive(Clone, Copy, PartialEq)]
enum Lie {
    /// All came at once.
    Optimist,
    /// Nothing came.
    Pessimist,
}

/// Somebody beside the first watcher who reports each 5 ms, as it likes.
fn beside(lie: Option<Lie>) -> (f64, f64, u64) {
    let mut scene = Scene::new(USUAL);
    scene.run(2.0);
    let liar: SocketAddr = address(200, 4_000);
    scene.bottleneck().beside.insert(liar.ip());
    let mut client = lie.map(|_| Client::join(&mut scene.world, liar, 77));
    let mut first = 0;
    while scene.now() < 8.0 {
        let Some((client, lie)) = client.as_mut().zip(lie) else {
            scene.run(8.0);
            break;
        };
        let cell = if lie == Lie::Optimist { Arrival::received(ms(0), Ecn::Not, 0) } else { Arrival::LOST };
        let report = Report { first, arrivals: vec![cell; 40], ..Report::default() };
        client.claim(&mut scene.world, report);
        first += 20;
    }
    let figures = scene.figures(5.0, 8.0);
    let stats = scene.world.server.machine.sessions().next().expect("the first").stats;
    (figures.fps, figures.got, stats.thinned)
}

#[test]
fn who_lies_costs_others_nothing() {
    let (fps, got, thinned) = beside(None);
    for lie in [Lie::Optimist, Lie::Pessimist] {
        let (with, took, missed) = beside(Some(lie));
        assert!(with >= fps - 0.5 && missed <= thinned + 2, "{with} of {fps}, {missed} missed");
        assert!(took >= 0.9 * got, "{took} of {got} Mb/s");
    }
}

#[test]
fn a_picture_that_has_begun_is_finished_whatever_befalls_the_path() {
    let mut scene = Scene::new(Layout { limit: Limit::Bytes(1e9), ..USUAL });
    scene.plan(5.0, 2.0 * MEGA);
    scene.plan(15.0, 20.0 * MEGA);
    scene.world.record = true;
    scene.run(25.0);
    let figures = scene.figures(5.0, 24.0);
    assert_eq!(figures.damaged, 0, "new ones are left out instead: {figures:?}");
    let stats = scene.world.server.machine.sessions().next().expect("one").stats;
    assert!(stats.thinned > 3, "{stats:?}");
    // Of each picture all datagrams leave before the first of the next.
    let objects = scene.world.sent.iter().filter(|sent| sent.kind == Kind::OBJECT);
    // What was sent again does not count.
    let mut sent_before = BTreeSet::new();
    let slices: Vec<_> = objects.filter_map(|sent| sent.slice).filter(|slice| sent_before.insert(*slice)).collect();
    assert!(slices.windows(2).all(|pair| pair[0].0 < pair[1].0 || pair[0].1 < pair[1].1), "one after the other");
}

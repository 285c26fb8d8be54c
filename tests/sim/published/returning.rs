//! Publishers that are lost and come back: to the same server or one that was started anew, from wherever they are.

use super::*;

/// The second of two that have kept the same code is told so, and sends once the first is gone.
#[test]
fn two_publishers_with_one_code_do_not_take_it_from_each_other() {
    let mut grid = grid(15);
    let hub = grid.hub(OPEN);
    let [first, second] = [camera(hub), camera(hub)].map(|published| grid.publish(&published));
    grid.run(seconds(8));
    let (one, other) = if accepted(&grid, first).is_empty() { (second, first) } else { (first, second) };
    assert_eq!((accepted(&grid, one).len(), accepted(&grid, other).len()), (1, 0));
    let said = refusals(&grid, other);
    let twice = |said: &(RefuseCode, String)| said.0 == RefuseCode::BUSY && said.1.contains("stop one of the two");
    assert!(said.iter().all(twice) && (10..20).contains(&said.len()), "each half second: {said:?}");
    grid.path(one, hub, Path { loss: 0.05, ..Path::GOOD });
    grid.run(seconds(10));
    assert_eq!((accepted(&grid, one).len(), accepted(&grid, other).len()), (1, 0));
    grid.kill(one);
    grid.run(seconds(2));
    assert_eq!(accepted(&grid, other).len(), 1);
}

/// A laptop that goes from one network to another need not wait until it is forgotten at the old address.
#[test]
fn a_publisher_that_comes_by_another_address_is_let_in_at_once() {
    let (mut grid, _hub, camera, watcher) = watched(16);
    for moved in 1..=3 {
        let before = grid.now;
        grid.relocate(camera);
        grid.run(seconds(4));
        assert_eq!(accepted(&grid, camera), vec!["cam".to_owned(); 1 + moved], "{:?}", refusals(&grid, camera));
        assert!(gap_since(&grid, watcher, before) < ms(900), "{:?}", gap_since(&grid, watcher, before));
    }
    assert_eq!(refusals(&grid, camera), []);
}

#[test]
fn a_broken_line_is_mended_within_ten_seconds_and_the_watchers_stay() {
    let (mut grid, hub, camera, watcher) = watched(4);
    let session = grid.server(hub).sessions().next().expect("a watcher").id;
    for away in [800, 1_300, 1_600, 2_000, 2_800, 4_000, 8_500] {
        grid.path(camera, hub, Path { loss: 1.0, ..Path::GOOD });
        grid.run(ms(away));
        grid.path(camera, hub, Path::GOOD);
        let back = grid.now;
        grid.run(seconds(1));
        assert!(shown_since(&grid, watcher, back) > 5, "live within a second after {away} ms");
        grid.run(seconds(3));
        assert!(gap_since(&grid, watcher, back + seconds(1)) < ms(200), "after {away} ms");
        assert_eq!(grid.server(hub).sessions().map(|session| session.id).collect::<Vec<_>>(), [session]);
    }
}

#[test]
fn a_publisher_that_is_started_again_has_its_code_and_its_watchers() {
    let (mut grid, hub, camera, watcher) = watched(5);
    let session = grid.server(hub).sessions().next().expect("a watcher").id;
    grid.kill(camera);
    grid.run(seconds(5));
    grid.start_publisher(camera, &super::camera(hub));
    let back = grid.now;
    grid.run(seconds(1));
    assert!(shown_since(&grid, watcher, back) > 5, "live within a second");
    grid.run(seconds(3));
    assert_eq!(grid.server(hub).sessions().map(|session| session.id).collect::<Vec<_>>(), [session]);
    assert!(gap_since(&grid, watcher, back + seconds(1)) < ms(200));
}

#[test]
fn after_ten_seconds_the_stream_is_over_and_its_code_is_good_for_the_next_one() {
    let (mut grid, hub, mut camera, watcher) = watched(6);
    grid.kill(camera);
    grid.run(seconds(12));
    assert!(grid.refused(watcher).iter().any(|said| said == "The publisher was lost."), "{:?}", grid.refused(watcher));
    assert_eq!(grid.server(hub).keys().count(), 1);
    grid.run(seconds(5));
    for _ in 0..3 {
        camera = grid.publish(&super::camera(hub));
        grid.run(seconds(2));
        let back = grid.now;
        grid.run(seconds(2));
        assert!(shown_since(&grid, watcher, back) > 40, "the same code, and whoever waited for it");
        grid.tell_publisher(camera, Local::Server(server::Local::Stop("That was all.".to_owned())));
        grid.run(seconds(3));
        assert!(grid.refused(watcher).iter().any(|said| said == "That was all."));
    }
    assert_eq!(grid.server(hub).keys().count(), 1, "one place was enough");
}

#[test]
fn a_server_that_is_started_again_has_publisher_and_watchers_back() {
    let (mut grid, hub, camera, watcher) = watched(7);
    for away in [300, 3_000, 9_000] {
        grid.kill(hub);
        grid.run(ms(away));
        grid.start_relay(hub);
        let back = grid.now;
        grid.run(ms(1_500));
        assert!(shown_since(&grid, watcher, back) > 3, "after {away} ms: {:?}", grid.told(camera));
        grid.run(seconds(3));
        assert!(gap_since(&grid, watcher, back + ms(1_500)) < ms(200));
    }
    assert_eq!(accepted(&grid, camera), ["cam", "cam", "cam", "cam"]);
}

//! What is known is kept, and comes to no harm whatever happens to the file that keeps it.

use std::fs;

use super::*;
use crate::wire::StreamName;

fn name(text: &str) -> StreamName {
    StreamName::parse(text).expect("a name")
}

#[test]
fn what_has_not_changed_is_not_looked_at_again() {
    let place = Place::new();
    let count = 10_000;
    for number in 0..count {
        place.file(&format!("{}/{number}.mkv", number % 100), b"film");
    }
    let library = place.open();
    until(|| seen(&library));
    assert_eq!((library.progress().found, place.looks()), (count, count));
    drop(library);
    let changed = place.file("7/7.mkv", b"film that is longer");
    fs::remove_file(place.films.path().join("8/8.mkv")).expect("removed");
    let library = place.open();
    assert_eq!(library.progress().found, count - 1, "it is there at once");
    assert!(library.progress().seen >= count - 2, "and what is known of it");
    until(|| seen(&library) && place.looks() == count + 1);
    assert_eq!(
        place.counting.of.lock().expect("not poisoned").last().map(|path| place.films.path().join(path)),
        Some(changed)
    );
    assert!(library.find(&name("8/8.mkv")).is_none());
}

#[test]
fn files_that_come_change_and_go_are_noticed() {
    let place = Place::new();
    place.file("one.mkv", b"film");
    let library = place.open();
    until(|| seen(&library));
    place.file("new/two.mkv", b"film");
    until(|| library.find(&name("new/two.mkv")).is_some_and(|entry| !entry.unseen));
    place.file("one.mkv", b"broken now");
    until(|| library.find(&name("one.mkv")).is_some_and(|entry| entry.what == What::Broken));
    fs::remove_dir_all(place.films.path().join("new")).expect("removed");
    until(|| library.find(&name("new/two.mkv")).is_none());
    assert!(library.listing("new", 0).is_none());
}

/// Cuts and changes are spread over the file: each page's beginning and some place in it.
#[test]
fn a_database_that_is_cut_or_changed_anywhere_is_used_or_made_anew() {
    let place = Place::new();
    for number in 0..200 {
        place.file(&format!("{number}.mkv"), b"film");
    }
    let library = place.open();
    until(|| seen(&library));
    drop(library);
    let file = place.state.path().join("library.db");
    // All is in the one file.
    let connection = rusqlite::Connection::open(&file).expect("opened");
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("written");
    drop(connection);
    let whole = fs::read(&file).expect("read");
    assert!(whole.len() > 8_192);
    let cuts = (0..whole.len()).step_by(1_777).chain([0, 1, 15, 16, 99, 100, whole.len() - 1]);
    for cut in cuts {
        restore(&place, &whole[..cut]);
        let library = place.open();
        assert_eq!(library.progress().found, 200, "cut at {cut}");
    }
    for at in (0..whole.len()).step_by(2_311) {
        let mut changed = whole.clone();
        changed[at..(at + 64).min(whole.len())].fill(0xa5);
        restore(&place, &changed);
        let library = place.open();
        assert_eq!(library.progress().found, 200, "changed at {at}");
    }
}

fn restore(place: &Place, content: &[u8]) {
    for entry in fs::read_dir(place.state.path()).expect("a folder") {
        fs::remove_file(entry.expect("a file").path()).expect("removed");
    }
    fs::write(place.state.path().join("library.db"), content).expect("written");
}

#[test]
fn without_a_place_for_a_database_it_works_all_the_same() {
    let place = Place::new();
    place.file("one.mkv", b"film");
    let state = place.state.path().join("file");
    fs::write(&state, "no folder").expect("written");
    let roots = vec![Root { path: place.films.path().to_owned() }];
    let options = Options { roots, folder: state, jobs: 1, waker: Arc::new(|| {}) };
    let library = open(options, Arc::clone(&place.counting) as Arc<dyn Inspect>).expect("a library");
    until(|| seen(&library) && library.progress().found == 1);
    place.file("two.mkv", b"film");
    until(|| seen(&library) && library.progress().found == 2);
    assert_eq!(place.looks(), 2, "what is known is not looked at again");
}

#[test]
fn a_database_that_somebody_else_holds_is_left_as_it_is() {
    let place = Place::new();
    place.file("one.mkv", b"film");
    let library = place.open();
    until(|| seen(&library));
    drop(library);
    let file = place.state.path().join("library.db");
    let other = rusqlite::Connection::open(&file).expect("opened");
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;").expect("held");
    let library = place.open();
    until(|| seen(&library) && library.progress().found == 1);
    drop(library);
    other.execute_batch("COMMIT;").expect("released");
    drop(other);
    assert!(!place.state.path().join("library.db.damaged").exists(), "it was sound");
    let looks = place.looks();
    let library = place.open();
    until(|| seen(&library));
    assert_eq!(place.looks(), looks, "and still knows what it knew");
}

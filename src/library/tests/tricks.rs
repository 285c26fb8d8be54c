//! Paths that lead elsewhere, and names that are no names.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::wire::StreamName;

fn name(text: &str) -> StreamName {
    StreamName::parse(text).expect("a name")
}

fn reason(library: &Library, text: &str) -> String {
    library.find(&name(text)).and_then(|entry| entry.reason.clone()).unwrap_or_default()
}

#[test]
fn links_lead_about_inside_and_nowhere_else() {
    let (place, outside) = (Place::new(), tempfile::tempdir().expect("a folder"));
    place.file("inside.mkv", b"film");
    fs::write(outside.path().join("secret.mkv"), "secret").expect("written");
    rested(&outside.path().join("secret.mkv"));
    let at = |name: &str| place.films.path().join(name);
    symlink("inside.mkv", at("near.mkv")).expect("linked");
    symlink(outside.path().join("secret.mkv"), at("far.mkv")).expect("linked");
    symlink(outside.path(), at("folder.mkv")).expect("linked");
    symlink("nothing", at("nowhere.mkv")).expect("linked");
    symlink("loop.mkv", at("loop.mkv")).expect("linked");
    let library = place.open();
    until(|| seen(&library));
    assert!(library.open_inside(&name("inside.mkv")).is_ok() && library.open_inside(&name("near.mkv")).is_ok());
    assert!(reason(&library, "far.mkv").contains("out of the library"));
    assert!(reason(&library, "folder.mkv").contains("link"));
    assert!(reason(&library, "nowhere.mkv").contains("nowhere") && reason(&library, "loop.mkv").contains("nowhere"));
    for bad in ["far.mkv", "folder.mkv", "nowhere.mkv", "loop.mkv", "folder.mkv/secret.mkv"] {
        let refused = library.open_inside(&name(bad)).err().map(|error| error.to_string());
        assert!(refused.is_some_and(|said| said.ends_with('.') && !said.contains("tmp")), "{bad}");
    }
    // A link that comes in the place of a file after it was looked at.
    fs::remove_file(at("inside.mkv")).expect("removed");
    symlink(outside.path().join("secret.mkv"), at("inside.mkv")).expect("linked");
    assert!(library.open_inside(&name("inside.mkv")).is_err());
}

#[test]
fn names_are_found_and_never_made_into_paths() {
    let place = Place::new();
    place.file("films/кино.mkv", b"film");
    place.file("films/映画 (1).mkv", b"film");
    place.file(&format!("{}.mkv", "long ".repeat(45)), b"film");
    let library = place.open();
    until(|| seen(&library));
    assert!(library.find(&name("films/кино.mkv")).is_some() && library.find(&name("films/映画-1-.mkv")).is_some());
    let all = library.listing("", 0).expect("the library");
    assert_eq!((all.total, all.entries[0].what, all.entries[0].count), (2, What::Folder, Some(2)));
    assert!(all.entries[1].name.len() <= 200 && library.open_inside(&name(&all.entries[1].name)).is_ok());
    for bad in ["films", "films/кин", "films/кино.mkv/x", "кино.mkv", "Films/кино.mkv", "etc/passwd"] {
        assert!(library.find(&name(bad)).is_none() && library.open_inside(&name(bad)).is_err(), "{bad}");
    }
    for bad in ["..", "films/..", "../x", "/films", "films/", "%2e%2e", "a\0b", "films//кино.mkv"] {
        assert!(library.listing(bad, 0).is_none(), "{bad}");
        assert!(StreamName::parse(bad).is_err(), "{bad} is no name");
    }
}

#[test]
fn hidden_halfwritten_and_broken_files_are_listed_with_their_reasons() {
    let place = Place::new();
    for (path, content) in [
        (".hidden.mkv", &b"film"[..]),
        ("fetched.mkv.part", b"film"),
        ("broken.mkv", b"broken"),
        ("empty.mkv", b""),
        ("text.txt", b"film"),
        ("picture.mkv", b"other"),
        ("film", b"film"),
        ("notes", b"other"),
        ("garbage", b"broken"),
    ] {
        place.file(path, content);
    }
    let written = place.films.path().join("written.mkv");
    fs::write(&written, "film").expect("written");
    let library = place.open();
    until(|| seen(&library) && place.looks() >= 5);
    assert!(reason(&library, "written.mkv").contains("still being written"));
    rested(&written);
    until(|| library.find(&name("written.mkv")).is_some_and(|entry| entry.what == What::Film && !entry.unseen));
    until(|| library.find(&name("notes")).is_none() && library.find(&name("picture.mkv")).is_none());
    for (file, why) in [
        ("hidden.mkv", "hidden"),
        ("fetched.mkv.part", "fetching"),
        ("broken.mkv", "it is broken"),
        ("empty.mkv", "empty"),
    ] {
        assert!(reason(&library, file).contains(why), "{file}: {}", reason(&library, file));
    }
    for none in ["text.txt", "notes", "garbage", "picture.mkv"] {
        assert!(library.find(&name(none)).is_none(), "{none}");
    }
    assert_eq!(
        library.find(&name("film")).map(|entry| entry.what),
        Some(What::Film),
        "what has no ending is looked into"
    );
}

#[test]
fn words_find_films_however_they_are_written() {
    let place = Place::new();
    for path in ["Show/Season 1/S01E01 Première.mkv", "Show/Season 1/S01E02.mkv", "Other (2001).mkv"] {
        place.file(path, b"film");
    }
    let library = place.open();
    until(|| seen(&library));
    let found = |folder: &str, words: &str| {
        let listing = library.search(folder, words, 0).expect("a folder");
        listing.entries.into_iter().map(|entry| entry.title).collect::<Vec<_>>()
    };
    assert_eq!(found("", "PREMIERE"), ["Première"]);
    assert_eq!(found("", "show episode"), ["Episode 2"]);
    assert_eq!(found("Show", "other"), [""; 0]);
    assert_eq!(found("", "").len(), 3);
}

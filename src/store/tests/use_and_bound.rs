//! Ordinary use, the bound, the order of eviction, protection, and folders that are not ours.

use std::fs;

use super::{KIND, Random, TemporaryFolder, film, name, object, slices, unit};
use crate::store::error::StoreError;
use crate::store::film::Film;
use crate::store::opened::Store;
use crate::units::Unit;

fn fill(store: &mut Store, stream: u64, units: u32) -> Result<(), StoreError> {
    store.begin(film(stream), stream)?;
    (0..units).try_for_each(|number| store.put(&slices(&unit(stream, number))).map(|_| ()))
}

fn streams(store: &Store) -> Vec<u64> {
    store.films().map(|stored| stored.film.stream).collect()
}

#[test]
fn a_film_comes_back_with_all_that_is_known_of_it() {
    let folder = TemporaryFolder::new();
    let mut store = Store::open(&folder.0, 1 << 20).expect("it opens");
    fill(&mut store, 1, 20).expect("there is room");
    store.describe(1, 1, b"second").expect("there is room");
    store.describe(1, 0, b"first").expect("there is room");
    store.complete(1).expect("there is room");
    store.touch(1, 5000).expect("there is room");
    assert_eq!(store.put(&slices(&unit(1, 3))).expect("all is there"), 0);
    assert!(matches!(store.describe(1, 2, b""), Err(StoreError::Description { which: 2 })));
    let bytes = store.bytes();
    drop(store);
    let mut store = Store::open(&folder.0, 1 << 20).expect("it opens");
    let description = [Some(b"first".to_vec()), Some(b"second".to_vec())];
    assert_eq!(store.film(1), Some(&Film { complete: true, description, ..film(1) }));
    let stored = store.films().next().expect("a film");
    assert_eq!((stored.bytes, stored.last_used, store.recovered_bytes()), (bytes, 5000, 0));
    assert_eq!(store.missing(1, KIND, 0, 0..25), Some(20..25));
    let found = store.unit(1, KIND, 0, Unit(13)).expect("a unit");
    assert!(found.whole && found.cut == 13 % 3 && found.objects().eq(unit(1, 13)));
    // It goes on with what it knows, and another identity is another film.
    store.begin(film(1), 6000).expect("there is room");
    assert!(store.film(1).is_some_and(|film| film.complete) && store.has_unit(1, KIND, 0, Unit(13)));
    store.begin(Film { identity: vec![7], ..film(1) }, 6000).expect("there is room");
    assert!(store.film(1).is_some_and(|film| !film.complete) && !store.has_unit(1, KIND, 0, Unit(13)));
}

#[test]
fn objects_that_cannot_be_put_are_told() {
    let folder = TemporaryFolder::new();
    let mut store = Store::open(&folder.0, 1 << 20).expect("it opens");
    let (mut first, second) = (object(name(1, 0, 0)), object(name(2, 0, 0)));
    assert!(matches!(store.put(&[&first]), Err(StoreError::Unknown { stream: 1 })));
    store.begin(film(1), 0).expect("there is room");
    assert!(matches!(store.put(&[&first, &second]), Err(StoreError::Mixed { first: 1, other: 2 })));
    first[50] ^= 1;
    assert!(matches!(store.put(&[&first]), Err(StoreError::Damaged { position: 0, count: 1 })));
    assert!(matches!(store.put(&[&first[..20]]), Err(StoreError::Damaged { .. })));
    assert_eq!(store.put(&[]).expect("nothing to do"), 0);
    let long = Film { name: "x".repeat(201), ..film(3) };
    assert!(matches!(store.begin(long, 0), Err(StoreError::Name { length: 201, .. })));
}

#[test]
fn the_film_used_least_recently_goes_first_and_protected_ones_stay() {
    let folder = TemporaryFolder::new();
    let mut store = Store::open(&folder.0, 120_000).expect("it opens");
    (1..=3).for_each(|stream| fill(&mut store, stream, 14).expect("there is room"));
    assert_eq!(streams(&store), [1, 2, 3]);
    store.touch(1, 100).expect("a film");
    drop(store);
    // The order outlives the process.
    let mut store = Store::open(&folder.0, 120_000).expect("it opens");
    store.protect(&[3]);
    fill(&mut store, 4, 14).expect("there is room");
    assert_eq!(streams(&store), [1, 3, 4]);
    fill(&mut store, 5, 14).expect("there is room");
    assert_eq!(streams(&store), [3, 4, 5]);
    store.protect(&[3, 4, 5]);
    let before = store.bytes();
    assert!(matches!(fill(&mut store, 6, 14), Err(StoreError::Full { most_bytes: 120_000 })));
    assert!(store.bytes() >= before && store.bytes() <= 120_000);
    store.protect(&[]);
    fill(&mut store, 6, 14).expect("there is room");
    assert_eq!(streams(&store), [4, 5, 6]);
    drop(store);
    let store = Store::open(&folder.0, 40_000).expect("it opens");
    assert_eq!(streams(&store), [6]);
}

#[test]
fn an_object_that_never_fits_evicts_nothing() {
    let folder = TemporaryFolder::new();
    let mut store = Store::open(&folder.0, 60_000).expect("it opens");
    fill(&mut store, 1, 14).expect("there is room");
    store.begin(film(2), 9).expect("there is room");
    let much: Vec<_> = (0..60).flat_map(|number| unit(2, number)).collect();
    assert!(matches!(store.put(&slices(&much)), Err(StoreError::Full { .. })));
    assert_eq!(streams(&store), [1, 2]);
}

#[test]
fn a_put_larger_than_a_segment_and_parts_in_any_order_come_back() {
    let disk = super::memory_disk::MemoryDisk::default();
    let mut store = super::model::open(&disk, u64::MAX).expect("it opens");
    store.begin(film(1), 0).expect("there is room");
    let mut all: Vec<_> = (0..60).flat_map(|number| unit(1, number)).collect();
    let mut random = Random::new(3);
    (1..all.len()).rev().for_each(|last| all.swap(last, random.below(last as u64 + 1) as usize));
    assert_eq!(store.put(&slices(&all)).expect("there is room"), all.len());
    assert!(disk.paths().len() > 7);
    for store in [store, super::model::open(&disk, u64::MAX).expect("it opens")] {
        assert_eq!(store.missing(1, KIND, 0, 0..60), None);
        assert!((0..60).all(|number| {
            store.unit(1, KIND, 0, Unit(number)).is_some_and(|found| found.objects().eq(unit(1, number)))
        }));
    }
}

#[test]
fn a_foreign_folder_is_refused_and_not_written_to() {
    let folder = TemporaryFolder::new();
    fs::create_dir_all(&folder.0).expect("a folder");
    fs::write(folder.0.join("lock"), "letters of a friend").expect("a file");
    let error = Store::open(&folder.0, 1).err().expect("it is not ours");
    assert!(matches!(error, StoreError::Foreign { .. }));
    assert!(error.to_string().ends_with("name one of its own, or a new one"));
    assert_eq!(fs::read_dir(&folder.0).expect("a folder").count(), 1);
    assert_eq!(fs::read_to_string(folder.0.join("lock")).expect("a file"), "letters of a friend");
}

#[test]
fn a_store_that_was_killed_while_it_was_made_opens() {
    let folder = TemporaryFolder::new();
    fs::create_dir_all(&folder.0).expect("a folder");
    fs::write(folder.0.join("udpstream-store.new"), "A store of").expect("a file");
    Store::open(&folder.0, 1).expect("it is ours");
    assert!(!folder.0.join("udpstream-store.new").exists());
}

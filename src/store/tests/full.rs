//! A disk that is full after any number of bytes.

use super::memory_disk::MemoryDisk;
use super::model::{Action, Model, open};
use super::{Random, film, slices, unit};
use crate::store::error::StoreError;
use crate::units::Unit;

#[test]
fn a_full_disk_loses_nothing_but_evicted_films() {
    for seed in 0..250 {
        let (disk, mut random, mut model) = (MemoryDisk::default(), Random::new(seed), Model::default());
        disk.set_capacity(Some(random.below(90_000)));
        let mut store = open(&disk, u64::MAX).expect("it opens");
        for now in 0..120 {
            let before = model.clone();
            let protect = [1 + random.below(4), 1 + random.below(4)];
            store.protect(&protect);
            let action = Action::random(&mut random);
            match model.step(&mut store, &action, now) {
                Ok(()) | Err(StoreError::DiskFull) => {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
            for stream in protect.into_iter().filter(|stream| before.films.contains_key(stream)) {
                assert!(
                    store.film(stream).is_some() || action.removes(stream),
                    "seed {seed}: protected {stream} is gone"
                );
            }
            model.forget_gone(&store);
            if now % 20 == 0 {
                model.verify(&store, &format!("seed {seed}, step {now}"));
            }
            assert_eq!(store.bytes(), disk.used(), "seed {seed}, step {now}: the files and the books differ");
        }
        drop(store);
        let mut store = open(&disk, u64::MAX).expect("it opens");
        model.verify(&store, &format!("seed {seed}, reopened"));
        // With room again it goes on.
        disk.set_capacity(None);
        store.begin(film(9), 1).expect("there is room");
        store.put(&slices(&unit(9, 13))).expect("there is room");
        assert!(store.has_unit(9, super::KIND, 0, Unit(13)));
    }
}

#[test]
fn a_full_disk_without_another_film_is_told_and_undone() {
    let disk = MemoryDisk::default();
    let mut store = open(&disk, u64::MAX).expect("it opens");
    store.begin(film(1), 0).expect("there is room");
    store.put(&slices(&unit(1, 6))).expect("there is room");
    let used = disk.used();
    for free in 0..3000 {
        disk.set_capacity(Some(used + free));
        let Err(StoreError::DiskFull) = store.put(&slices(&unit(1, 13))) else { return };
        assert_eq!(disk.used(), used);
        assert!(store.has_unit(1, super::KIND, 0, Unit(6)));
    }
}

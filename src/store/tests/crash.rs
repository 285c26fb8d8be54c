//! A process that dies at any byte, and a machine that loses power.

use super::Random;
use super::memory_disk::MemoryDisk;
use super::model::{Action, Model, open, verify_all};
use crate::store::error::StoreError;
use crate::units::Unit;

const STEPS: u64 = 120;

/// Runs until the disk dies or the steps are done; returns what was being done when it died.
fn drive(disk: &MemoryDisk, model: &mut Model, random: &mut Random, most_bytes: u64) -> Option<Action> {
    // A process that dies while it opens the store has done nothing.
    let Ok(mut store) = open(disk, most_bytes) else { return Some(Action::Complete(0)) };
    model.forget_gone(&store);
    for now in 0..STEPS {
        let action = Action::random(random);
        match model.step(&mut store, &action, now * 30) {
            Ok(()) | Err(StoreError::Full { .. }) => model.forget_gone(&store),
            Err(_) => return Some(action),
        }
    }
    None
}

/// How much a run without a death writes.
fn life_of(seed: u64, most_bytes: u64) -> u64 {
    let disk = MemoryDisk::default();
    assert!(drive(&disk, &mut Model::default(), &mut Random::new(seed), most_bytes).is_none());
    disk.written()
}

fn die_and_reopen(seed: u64, most_bytes: u64, evicts: bool) {
    let life = life_of(seed, most_bytes);
    let mut lives = Random::new(seed + 1_000_000);
    let (disk, mut model, mut random) = (MemoryDisk::default(), Model::default(), Random::new(seed));
    for death in 0..3 {
        let context = format!("seed {seed}, death {death}");
        disk.die_after(lives.below(life));
        let died = drive(&disk, &mut model, &mut random, most_bytes);
        disk.revive();
        disk.assert_entries_have_data(&context);
        let store = open(&disk, most_bytes).unwrap_or_else(|error| panic!("{context}: {error}"));
        if let Some(action) = died {
            // What the last action was to remove or evict may be gone, but only as a whole film.
            model.films.retain(|stream, _| store.film(*stream).is_some() || !(evicts || action.removes(*stream)));
        }
        model.verify(&store, &context);
        assert_eq!(store.bytes(), disk.used(), "{context}: the files and the books differ");
    }
    // It goes on taking objects, and all of them are there after a quiet end.
    assert!(drive(&disk, &mut model, &mut random, most_bytes).is_none(), "seed {seed}");
    let store = open(&disk, most_bytes).expect("it opens");
    assert_eq!(store.recovered_bytes(), 0, "seed {seed}");
    model.verify(&store, &format!("seed {seed}, at the end"));
}

#[test]
fn a_death_at_any_byte_loses_nothing_that_was_put() {
    for seed in 0..150 {
        die_and_reopen(seed, u64::MAX, false);
    }
}

#[test]
fn a_death_while_films_are_evicted_loses_whole_films_only() {
    for seed in 0..100 {
        die_and_reopen(seed, 60_000, true);
    }
}

#[test]
fn a_loss_of_power_makes_no_wrong_objects() {
    for seed in 0..200 {
        let (disk, mut random) = (MemoryDisk::default(), Random::new(seed));
        for _ in 0..3 {
            assert!(drive(&disk, &mut Model::default(), &mut random, u64::MAX).is_none());
            disk.lose_power(&mut random);
            let mut store = open(&disk, u64::MAX).expect("it opens");
            // The first reading forgets what is damaged, the second finds books and files in agreement.
            let streams: Vec<u64> = store.films().map(|stored| stored.film.stream).collect();
            for stream in &streams {
                (0..60).for_each(|unit| _ = store.unit(*stream, super::KIND, 0, Unit(unit)));
            }
            verify_all(&store, &format!("seed {seed}"));
            let mut model = Model::default();
            for now in 0..40 {
                model.step(&mut store, &Action::random(&mut random), now).expect("it goes on");
                model.forget_gone(&store);
            }
            drop(store);
            model.verify(&open(&disk, u64::MAX).expect("it opens"), &format!("seed {seed}"));
        }
    }
}

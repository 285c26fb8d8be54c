//! Bits that change on the disk, and the check that finds them.

use std::fs;

use super::memory_disk::MemoryDisk;
use super::model::open;
use super::{KIND, Random, TemporaryFolder, film, name, object, slices, unit};
use crate::store::check::check;
use crate::store::opened::Store;
use crate::units::Unit;

const SEVEN_PARTS: u32 = 6;

fn position(bytes: &[u8], object: &[u8]) -> usize {
    bytes.windows(object.len()).position(|window| window == object).expect("the object is there")
}

#[test]
fn a_damaged_object_is_forgotten_and_fetched_again() {
    let disk = MemoryDisk::default();
    let mut store = open(&disk, u64::MAX).expect("it opens");
    store.begin(film(1), 0).expect("there is room");
    store.put(&slices(&unit(1, SEVEN_PARTS))).expect("there is room");
    let lost = object(name(1, SEVEN_PARTS, 3));
    disk.change("0000000000000001/objects.0", |bytes| {
        let at = position(bytes, &lost);
        bytes[at + 60] ^= 1;
    });
    assert!(store.has_unit(1, KIND, 0, Unit(SEVEN_PARTS)));
    let found = store.unit(1, KIND, 0, Unit(SEVEN_PARTS)).expect("six parts");
    assert_eq!((found.parts.len(), found.whole), (6, false));
    assert!(!store.has_unit(1, KIND, 0, Unit(SEVEN_PARTS)));
    assert_eq!(store.put(&slices(&unit(1, SEVEN_PARTS))).expect("there is room"), 1);
    for _ in 0..2 {
        let found = store.unit(1, KIND, 0, Unit(SEVEN_PARTS)).expect("all parts");
        assert!(found.whole && found.objects().eq(unit(1, SEVEN_PARTS)));
        store = open(&disk, u64::MAX).expect("it opens");
    }
}

#[test]
fn any_damaged_byte_is_found() {
    for seed in 0..300 {
        let (disk, mut random) = (MemoryDisk::default(), Random::new(seed));
        let mut store = open(&disk, u64::MAX).expect("it opens");
        store.begin(film(1), 0).expect("there is room");
        (0..20).for_each(|number| _ = store.put(&slices(&unit(1, number))).expect("there is room"));
        drop(store);
        let paths = disk.paths();
        let path = &paths[random.below(paths.len() as u64) as usize];
        disk.change(path, |bytes| {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
        });
        let mut store = open(&disk, u64::MAX).expect("it opens");
        store.begin(film(1), 0).expect("there is room");
        (0..20).for_each(|number| _ = store.unit(1, KIND, 0, Unit(number)));
        super::model::verify_all(&store, &format!("seed {seed}"));
        (0..20).for_each(|number| _ = store.put(&slices(&unit(1, number))).expect("there is room"));
        drop(store);
        let store = open(&disk, u64::MAX).expect("it opens");
        assert_eq!(store.missing(1, KIND, 0, 0..20), None, "seed {seed}");
        super::model::verify_all(&store, &format!("seed {seed}"));
    }
}

#[test]
fn a_check_reports_damage_and_repairs_it() {
    let folder = TemporaryFolder::new();
    let mut store = Store::open(&folder.0, u64::MAX).expect("it opens");
    store.begin(film(1), 0).expect("there is room");
    (0..14).for_each(|number| _ = store.put(&slices(&unit(1, number))).expect("there is room"));
    drop(store);
    let path = folder.0.join("0000000000000001/objects.0");
    let mut bytes = fs::read(&path).expect("the segment");
    let at = position(&bytes, &object(name(1, SEVEN_PARTS, 3)));
    bytes[at + 60] ^= 1;
    fs::write(&path, bytes).expect("the segment");
    for _ in 0..2 {
        let report = check(&folder.0, false).expect("it opens");
        assert_eq!((report.films[0].objects, report.films[0].damaged, report.films[0].units), (55, 1, 14));
    }
    check(&folder.0, true).expect("it opens");
    let report = check(&folder.0, false).expect("it opens");
    assert_eq!((report.films[0].objects, report.films[0].damaged, report.films[0].units), (55, 0, 13));
    let store = Store::open(&folder.0, u64::MAX).expect("it opens");
    assert_eq!(store.missing(1, KIND, 0, 0..14), Some(6..7));
}

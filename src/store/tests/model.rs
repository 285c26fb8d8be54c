//! A store is driven at random, and a model of what it must have is kept beside it.

use std::collections::{BTreeMap, BTreeSet};

use super::memory_disk::MemoryDisk;
use super::{KIND, Random, film, name, object, parts_of, slices};
use crate::store::error::StoreError;
use crate::store::objects::parse;
use crate::store::opened::Store;
use crate::units::Unit;
use crate::wire::object::Name;

/// What was put successfully into the films that are there.
#[derive(Clone, Default)]
pub struct Model {
    pub films: BTreeMap<u64, BTreeSet<Name>>,
}

/// One thing to do.
#[derive(Debug)]
pub enum Action {
    Begin(u64),
    Put(Vec<Name>),
    Describe(u64),
    Complete(u64),
    Touch(u64),
    Remove(u64),
}

impl Action {
    pub fn random(random: &mut Random) -> Self {
        let stream = 1 + random.below(STREAMS);
        match random.below(100) {
            0..6 => Self::Begin(stream),
            6..9 => Self::Describe(stream),
            9..11 => Self::Complete(stream),
            11..15 => Self::Touch(stream),
            15..17 => Self::Remove(stream),
            _ => Self::Put(random_names(random, stream)),
        }
    }

    pub fn run(&self, store: &mut Store, now: u64) -> Result<(), StoreError> {
        match self {
            Self::Begin(stream) => store.begin(film(*stream), now),
            Self::Put(names) => {
                let objects: Vec<_> = names.iter().map(|name| object(*name)).collect();
                store.put(&slices(&objects)).map(|_| ())
            }
            Self::Describe(stream) => store.describe(*stream, 0, &[now as u8; 300]),
            Self::Complete(stream) => store.complete(*stream),
            Self::Touch(stream) => store.touch(*stream, now),
            Self::Remove(stream) => store.remove(*stream).map(|_| ()),
        }
    }

    pub fn removes(&self, stream: u64) -> bool {
        matches!(self, Self::Remove(removed) if *removed == stream)
    }
}

/// Some parts of a unit or two, in any order, some of them known already.
fn random_names(random: &mut Random, stream: u64) -> Vec<Name> {
    let mut names = Vec::new();
    for _ in 0..1 + random.below(2) {
        let unit = random.below(60) as u32;
        let all = random.below(2) == 0;
        names.extend((0..parts_of(unit)).filter(|_| all || random.below(2) == 0).map(|part| name(stream, unit, part)));
    }
    for last in (1..names.len()).rev() {
        names.swap(last, random.below(last as u64 + 1) as usize);
    }
    names
}

impl Model {
    /// Does one thing in the store, and in the model if that worked.
    pub fn step(&mut self, store: &mut Store, action: &Action, now: u64) -> Result<(), StoreError> {
        let done = action.run(store, now);
        if done.is_ok() {
            match action {
                Action::Begin(stream) => _ = self.films.entry(*stream).or_default(),
                Action::Put(names) if !names.is_empty() => {
                    self.films.entry(names[0].stream).or_default().extend(names);
                }
                _ => {}
            }
        }
        if matches!(done, Err(StoreError::Unknown { .. })) { Ok(()) } else { done }
    }

    /// Films that were evicted or removed are gone from the model too.
    pub fn forget_gone(&mut self, store: &Store) {
        self.films.retain(|stream, _| store.film(*stream).is_some());
    }

    /// All that must be there is there, and all that is there is right.
    pub fn verify(&self, store: &Store, context: &str) {
        for (stream, names) in &self.films {
            assert!(store.film(*stream).is_some(), "{context}: film {stream} is lost");
            for name in names {
                let unit =
                    store.unit(*stream, KIND, 0, name.unit).unwrap_or_else(|| panic!("{context}: {name:?} is lost"));
                let found = unit.objects().any(|bytes| bytes == object(*name));
                assert!(found, "{context}: {name:?} is lost");
            }
        }
        verify_all(store, context);
    }
}

/// Every object that the store lists is the one of its name, and is there as a whole.
pub fn verify_all(store: &Store, context: &str) {
    for stored in store.films() {
        let (stream, mut count) = (stored.film.stream, 0);
        for unit in 0..UNITS {
            let Some(read) = store.unit(stream, KIND, 0, Unit(unit)) else { continue };
            assert_eq!(
                read.whole,
                store.has_unit(stream, KIND, 0, Unit(unit)),
                "{context}: unit {unit} of film {stream}"
            );
            for bytes in read.objects() {
                let header = parse(bytes).expect("a whole object");
                assert_eq!((header.name.stream, header.name.unit), (stream, Unit(unit)), "{context}");
                assert!(bytes == object(header.name), "{context}: {:?} is wrong", header.name);
                count += 1;
            }
        }
        assert_eq!(count, stored.objects, "{context}: film {stream} lists objects that it does not have");
    }
}

pub fn open(disk: &MemoryDisk, most_bytes: u64) -> Result<Store, StoreError> {
    Store::on_disk(Box::new(disk.clone()), most_bytes, 20_000)
}

const STREAMS: u64 = 4;
const UNITS: u32 = 60;

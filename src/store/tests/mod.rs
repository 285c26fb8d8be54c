//! What the tests share: random numbers, films and objects made from their names alone, a temporary folder, and a model.

mod crash;
mod damage;
mod full;
mod memory_disk;
mod model;
mod processes;
mod use_and_bound;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::store::film::Film;
use crate::store::objects::emit;
use crate::units::Unit;
use crate::wire::object::{Name, Type};

/// Xorshift. The seed is in the message of each failure.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

pub const KIND: Type = Type(1);

pub fn film(stream: u64) -> Film {
    let (identity, description) = (stream.to_be_bytes().to_vec(), [None, None]);
    Film { stream, name: format!("film-{stream}"), identity, description, complete: false }
}

pub fn name(stream: u64, unit: u32, part: u16) -> Name {
    Name { stream, kind: KIND, rendition: 0, cut: (unit % 3) as u8, unit: Unit(unit), part }
}

/// How many parts a unit has.
pub fn parts_of(unit: u32) -> u16 {
    1 + (unit % 7) as u16
}

/// The one object of a name.
pub fn object(name: Name) -> Vec<u8> {
    let mut random = Random::new(name.stream << 40 | u64::from(name.unit.0) << 8 | u64::from(name.part));
    let length = 150 + random.below(800);
    let body: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    emit(name, parts_of(name.unit.0), &body)
}

/// All objects of a unit.
pub fn unit(stream: u64, unit: u32) -> Vec<Vec<u8>> {
    (0..parts_of(unit)).map(|part| object(name(stream, unit, part))).collect()
}

pub fn slices(objects: &[Vec<u8>]) -> Vec<&[u8]> {
    objects.iter().map(Vec::as_slice).collect()
}

/// A folder of its own for one test, removed at the end.
pub struct TemporaryFolder(pub PathBuf);

impl TemporaryFolder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("udpstore-test-{}-{number}", std::process::id())))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

//! A stream of the world's film.

use udpstream::proto::server::StreamConfig;
use udpstream::units::Unit;
use udpstream::wire::description::Smaller;
use udpstream::wire::{Description, SizeClass, StreamName};

use crate::jpeg::Film;

pub fn description(film: &Film) -> Description {
    let (title, size, rate) = ("A film".to_owned(), film.size, film.rate);
    Description {
        title,
        size,
        smaller: Smaller::worth_having(size),
        rate,
        length: None,
        live: false,
        sound: false,
        ended: None,
        sound_ended: None,
        film: None,
    }
}

/// A stream of this film.
pub fn streaming(name: &str, film: &Film) -> StreamConfig {
    let config = StreamConfig::new(StreamName::parse(name).expect("a name"), description(film));
    // Paths are asked what they carry only where that is what is tested.
    StreamConfig { adapt: false, ..config }
}

/// Slices of one picture at the smallest class, for tests that need several.
pub fn parts(film: &Film) -> usize {
    film.slices(Unit(0), SizeClass::ANY)
}

//! The films of a library as a server knows them: by their names, and what can be told of them at once.

use std::sync::Arc;

use anyhow::Context;

use crate::library::Library;
use crate::library::about::{Entry, What};
use crate::proto::server::Films;
use crate::units::{Rate, Size};
use crate::wire::description::Smaller;
use crate::wire::{Description, StreamName};

/// What a film's name ends with if another sound track than the usual one is wanted. No file is below a file, so nothing else has
/// such a name.
const TRACK: &str = "/sound-";
/// Of a film that nobody has looked into.
const SIZE: Size = Size::new(1_280, 720);

/// See the head of this file.
pub struct Shelf(pub Arc<Library>);

impl Films for Shelf {
    fn film(&self, name: &StreamName) -> Option<Description> {
        let (name, track) = split(name);
        let entry = self.0.find(&name)?;
        let there = track.is_none_or(|track| usize::from(track) < entry.tracks.len());
        let watched = matches!(entry.what, What::Film | What::Song);
        if there && watched { described(&entry) } else { None }
    }

    fn like(&self, name: &str) -> Vec<StreamName> {
        self.0.like(name)
    }
}

/// The film's own name, and which sound track is wanted, counted from 0.
pub fn split(name: &StreamName) -> (StreamName, Option<u8>) {
    let parts = name.as_str().rsplit_once(TRACK);
    let found = parts.and_then(|(film, number)| {
        let number: u8 = number.parse().ok().filter(|number| *number > 0)?;
        Some((StreamName::parse(film).ok()?, Some(number - 1)))
    });
    found.unwrap_or_else(|| (name.clone(), None))
}

/// Of a film of which nothing is known.
pub fn unknown() -> anyhow::Result<Description> {
    described(&Entry::default()).context("a usual film can be described")
}

fn described(entry: &Entry) -> Option<Description> {
    let size = entry.width.zip(entry.height).map_or(SIZE, |(width, height)| Size::new(width, height));
    let rate =
        entry.fps.and_then(|fps| Rate::new((fps * 1_000.0).round() as u32, 1_000)).or_else(|| Rate::new(25, 1))?;
    Some(Description {
        title: entry.title.clone(),
        size,
        smaller: Smaller::NONE,
        rate,
        length: entry.seconds.map(|seconds| (seconds.max(0.0) * 1e6) as u64),
        live: false,
        sound: entry.sound_codec.is_some() || entry.what == What::Song || entry.unseen,
        ended: None,
        sound_ended: None,
        film: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_is_chosen_by_the_end_of_a_name() {
        let name = |text| StreamName::parse(text).expect("a name");
        let film = name("films/one.mkv");
        assert_eq!(split(&name("films/one.mkv/sound-2")), (film.clone(), Some(1)));
        assert_eq!(split(&film), (film, None));
        for odd in ["a/sound-0", "a/sound-x", "a/sound-300", "sound-2"] {
            assert_eq!(split(&name(odd)), (name(odd), None));
        }
    }
}

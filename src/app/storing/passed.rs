//! What passes through, as the recorder takes it: objects become slices, and sound, which comes as it comes, frames in order.

use std::collections::BTreeMap;

use crate::app::recording::pictures::What;
use crate::app::watch::unpacking::{Heard, Unpacking};
use crate::media::coded::PassedPicture;
use crate::media::sound::{Frame, PassedSound, Piece, RATE};
use crate::proto::receiver::{Came, Slice};
use crate::wire::{Description, ObjectView};

/// What came of a picture of this stream; `None`: nothing that can be recorded.
pub fn picture(picture: &PassedPicture, description: &Description) -> Option<What> {
    if picture.is_same {
        return Some(What::Same);
    }
    let (rendition, full) = (picture.rendition, description.size);
    // There is no room for a picture that was not announced.
    let size = description.rendition(rendition)?;
    let views = picture.cut.objects().iter().filter_map(|object| ObjectView::parse_unchecked(object.bytes()).ok());
    let views =
        views.filter(|view| (view.header.size, view.header.rendition) == (size, rendition) && !view.body.is_empty());
    let slice = |ObjectView { header, body }: ObjectView<'_>| {
        let (x8, y8, tables) = (header.x8, header.y8, header.tables);
        Slice { unit: header.unit, size, rendition, full, x8, y8, tables, jpeg: body.to_vec().into() }
    };
    let slices: Vec<Slice> = views.map(slice).collect();
    (!slices.is_empty()).then_some(What::Slices(size, slices))
}

/// Frames of the stream, the first of which has this number.
pub type Run = (u64, Vec<Frame>);

/// Sound in order: what is missing is waited for until enough has come that follows it, for it may be repaired.
#[derive(Default)]
pub struct SoundInOrder {
    /// The frame that is due.
    next: Option<u64>,
    waiting: BTreeMap<u64, Came>,
    unpacking: Unpacking,
}

impl SoundInOrder {
    /// Takes sound as it came; what is next now.
    pub fn put(&mut self, sound: &PassedSound) -> Vec<Run> {
        let came = ObjectView::parse_unchecked(sound.object.bytes()).ok().and_then(|object| Came::of(&object));
        let Some(came) = came else { return Vec::new() };
        let first = came.first();
        if self.next.is_some_and(|next| first + JUMP < next) {
            // The next one was wrong: what goes on coming is right.
            (self.next, self.waiting) = (None, BTreeMap::new());
        }
        let next = *self.next.get_or_insert(first);
        if first >= next {
            self.waiting.entry(first).or_insert(came);
        }
        self.release(PATIENCE)
    }

    /// All that still waits.
    pub fn rest(&mut self) -> Vec<Run> {
        self.release(0)
    }

    fn release(&mut self, patience: u64) -> Vec<Run> {
        let mut runs = Vec::new();
        while let (Some((first, _)), Some((last, _)), Some(next)) =
            (self.waiting.first_key_value(), self.waiting.last_key_value(), self.next)
            && (*first <= next || *last >= next + patience)
            && let Some((first, came)) = self.waiting.pop_first()
        {
            // What begins within what was taken already is of another rendition.
            if first < next {
                continue;
            }
            let (length, frames) = self.frames(first, came);
            self.next = Some(first + length);
            runs.extend(frames.map(|frames| (first, frames)));
        }
        runs
    }

    /// How many frames there are, and what they are, if that can be told.
    fn frames(&mut self, first: u64, came: Came) -> (u64, Option<Vec<Frame>>) {
        let (length, piece) = match came {
            Came::Chunk(_, frames) => (frames.len() as u64, Piece::Frames(frames)),
            Came::Coded(unit) => {
                (u64::from(unit.frames), Piece::Coded { packet: unit.packet, frames: unit.frames, before: None })
            }
        };
        match self.unpacking.take(first, piece) {
            Heard::Whole(frames) | Heard::Made(frames) => (length, Some(frames)),
            Heard::Lost(_) => (length, None),
        }
    }
}

/// So many frames come before one that is missing is given up: 0.3 s.
const PATIENCE: u64 = RATE as u64 * 3 / 10;
/// So far behind what is due nothing is late, and everything else wrong.
const JUMP: u64 = 2 * RATE as u64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::sound::{Chunk, FRAMES, Rendition};
    use crate::units::Time;

    fn sound(number: u32) -> PassedSound {
        let chunk = Chunk { number, frames: vec![[number as i16, -7]; FRAMES], captured: Time::ZERO };
        PassedSound { object: chunk.object(1, Rendition::Stereo), rendition: Rendition::Stereo, number }
    }

    fn numbers(runs: &[Run]) -> Vec<u64> {
        let number = |(first, frames): &Run| {
            assert!(frames.len() == FRAMES && frames[0] == [(first / FRAMES as u64) as i16, -7]);
            first / FRAMES as u64
        };
        runs.iter().map(number).collect()
    }

    #[test]
    fn sound_that_is_repaired_finds_its_place_and_what_never_comes_is_given_up() {
        let mut order = SoundInOrder::default();
        let mut came = |number: u32| numbers(&order.put(&sound(number)));
        assert_eq!(came(10), [10]);
        assert_eq!((came(12), came(13), came(12)), (vec![], vec![], vec![]));
        assert_eq!(came(11), [11, 12, 13]);
        assert_eq!((came(11), came(9)), (vec![], vec![]), "too late, or twice");
        let all: Vec<u64> = (15..80).flat_map(&mut came).collect();
        assert_eq!(all, (15..80).collect::<Vec<_>>());
        assert!(came(81).is_empty());
        assert_eq!(numbers(&order.rest()), [81]);
    }

    #[test]
    fn one_wrong_number_does_not_end_the_sound() {
        let mut order = SoundInOrder::default();
        let mut came = |number: u32| numbers(&order.put(&sound(number))).len();
        assert_eq!((came(0), came(4_000_000_000)), (1, 1));
        assert_eq!((1..50).map(came).sum::<usize>(), 49);
    }

    #[test]
    fn coded_units_become_frames_and_go_on_behind_chunks() {
        let mut encoder = crate::codec::SoundEncoder::new().expect("libopus");
        let mut units = Vec::new();
        for number in 0..60 {
            let chunk = Chunk { number, frames: vec![[0; 2]; FRAMES], captured: Time::ZERO };
            encoder.put(&chunk, &mut units).expect("a chunk");
        }
        let mut order = SoundInOrder::default();
        let mut runs: Vec<Run> = (0..15).flat_map(|number| order.put(&sound(number))).collect();
        for unit in &units[4..8] {
            let coded = PassedSound { object: unit.object(1), rendition: Rendition::Coded, number: unit.number };
            runs.extend(order.put(&coded));
        }
        runs.extend(order.put(&sound(30)));
        let lengths = runs.iter().map(|(first, frames)| (*first, first + frames.len() as u64));
        let lengths: Vec<(u64, u64)> = lengths.collect();
        assert!(lengths.windows(2).all(|pair| pair[0].1 == pair[1].0) && lengths.len() == 20, "{lengths:?}");
    }
}

//! What must hold of everything that a receiver tells its program.

use super::film::Film;
use super::sources::{packet, sound};
use crate::media::sound::{CODED_FRAMES, FRAMES, Frame, Piece, mono};
use crate::proto::receiver::{Event, Local, SoundCounts, TalkNews, WatchCounts};
use crate::units::Unit;

#[derive(Default)]
pub struct Seen {
    stream: Option<u64>,
    last: Option<Unit>,
    /// First frame of the last chunk.
    heard: Option<u64>,
    /// Whether sound was asked for, and how many chunks were handed out whole.
    ears: bool,
    chunks: u64,
    sound_over: bool,
    /// Units from the first shown to the last, of all streams.
    units: u64,
    shown: u64,
    damaged: u64,
    open: Vec<(Unit, u16, u16)>,
    /// Ids of the lines of talk.
    lines: Vec<u64>,
    over: bool,
    pub finished: bool,
    /// The server itself lies: its pictures need not be the origin's, and it may rename the stream at any time.
    pub hostile: bool,
}

impl Seen {
    /// Of a watcher that wants sound, or none.
    pub fn of(ears: bool) -> Self {
        Self { ears, ..Self::default() }
    }

    /// What the receiver is about to be told.
    pub fn told(&mut self, local: &Local) {
        if let Local::Sound(wish) = local
            && wish.is_some() != self.ears
        {
            // It begins anew.
            (self.ears, self.heard, self.sound_over) = (wish.is_some(), None, false);
        }
    }

    pub fn event(&mut self, event: &Event, film: &Film) {
        assert!(!self.finished, "something follows the end: {event:?}");
        match event {
            Event::Playing { stream, .. } => {
                if self.stream.replace(*stream).is_some_and(|old| old != *stream) {
                    (self.last, self.heard, self.open) = (None, None, Vec::new());
                    self.sound_over = false;
                }
            }
            Event::Slice(slice) => {
                let stream = self.stream.unwrap_or_default();
                let name = (slice.unit, slice.x8, slice.y8);
                let made = film.has(stream, slice.unit, slice.x8, slice.y8, slice.jpeg.bytes());
                assert!(self.hostile || made, "not the origin's bytes: {name:?}");
                assert!(self.hostile || !self.open.contains(&name), "handed out twice: {name:?}");
                self.open.push(name);
            }
            Event::Show { picture, .. } => {
                let open = std::mem::take(&mut self.open);
                assert!(picture.received > 0, "shown, but nothing of it came: {picture:?}");
                let own = open.iter().all(|(unit, ..)| *unit == picture.unit);
                assert!(self.hostile || own && open.len() == usize::from(picture.received), "{open:?} {picture:?}");
                assert!(self.hostile || self.last < Some(picture.unit), "{:?} before {picture:?}", self.last);
                self.units += self.last.map_or(1, |last| u64::from(picture.unit.0.saturating_sub(last.0)));
                self.last = Some(picture.unit);
                self.shown += 1;
                self.damaged += u64::from(picture.missing > 0);
            }
            Event::Sound { first, piece } => self.sound(*first, piece),
            Event::SoundOver => {
                assert!(self.hostile || !std::mem::replace(&mut self.sound_over, true), "sound ends once");
            }
            Event::SoundTiming(_) | Event::Played(_) => {}
            Event::Over { .. } => self.over = true,
            Event::Finished => self.finished = true,
            Event::Talk(TalkNews::Line(line)) => {
                assert!(!line.text.is_empty() && !self.lines.contains(&line.id), "each line once: {line:?}");
                self.lines.push(line.id);
            }
            Event::Listing(_) | Event::ListFailed(_) | Event::Talk(_) => {}
            Event::Refused { .. } | Event::TooLarge(_) | Event::Trouble(_) | Event::AnotherSender(_) => {}
            Event::Repairs { .. } => {}
        }
    }

    fn sound(&mut self, first: u64, piece: &Piece) {
        assert!(self.ears, "nobody has asked for sound");
        assert!(self.hostile || !self.sound_over, "sound after its end");
        self.chunks += u64::from(!piece.is_lost());
        assert!(self.hostile || self.heard.is_none_or(|heard| heard < first), "{first} after {:?}", self.heard);
        self.heard = Some(first);
        let made = sound((first / FRAMES as u64) as u32);
        // Whoever speaks in the watcher's name may have asked for mono.
        let samples = |frames: &[Frame]| *frames == made || frames.iter().zip(&made).all(|(a, b)| *a == mono(*b));
        let own = match piece {
            Piece::Frames(frames) => samples(frames),
            Piece::Coded { packet: coded, .. } => *coded == packet((first / CODED_FRAMES as u64) as u32),
            Piece::Lost { .. } => true,
        };
        assert!(self.hostile || own, "not the origin's sound: {first}");
    }

    /// Once all events have been heard.
    pub fn agrees(&self, counts: &WatchCounts, sound: &SoundCounts) {
        assert_eq!(sound.chunks, self.chunks, "{sound:?}");
        assert_eq!((counts.pictures.shown, counts.pictures.damaged), (self.shown, self.damaged), "{counts:?}");
        // An announced end counts what was to come before it.
        if !self.over && !self.hostile {
            let sum = counts.pictures.shown + counts.pictures.lost + counts.pictures.late + counts.pictures.thinned;
            assert_eq!(sum, self.units, "units are accounted for: {counts:?}");
        }
    }
}

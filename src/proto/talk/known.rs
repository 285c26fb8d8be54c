//! Lines that came, by their ids: a line that comes once more, from another server or under another stream, is the same line.

use std::collections::VecDeque;

use super::{Told, Unspoken};
use crate::wire::talk::Line;

/// So many are known again.
const MOST: usize = 1_024;

/// What is told of talk to people and programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TalkNews {
    /// Whether there is talk at this stream.
    Open(bool),
    /// Somebody has said this of the stream; each line once, in the order of the server.
    Line(Line),
    /// What was said here was not taken, for this reason.
    Unsaid(Unspoken),
}

/// See the head of this file.
#[derive(Default)]
pub struct KnownLines(VecDeque<u64>);

impl KnownLines {
    pub fn has(&self, id: u64) -> bool {
        self.0.contains(&id)
    }

    /// Notes a line. Returns whether it is new.
    pub fn note(&mut self, id: u64) -> bool {
        let is_new = !self.has(id);
        if is_new {
            if self.0.len() == MOST {
                self.0.pop_front();
            }
            self.0.push_back(id);
        }
        is_new
    }

    /// What is news of what an ear tells.
    pub fn news(&mut self, told: Told) -> Option<TalkNews> {
        match told {
            Told::Open(open) => Some(TalkNews::Open(open)),
            Told::Line(heard) if heard.line.text.is_empty() || !self.note(heard.line.id) => None,
            Told::Line(heard) => Some(TalkNews::Line(heard.line)),
            Told::Unsaid(unspoken) => Some(TalkNews::Unsaid(unspoken)),
            // Of use to who passes lines on.
            Told::Begins(_) | Told::Unpassed { .. } => None,
        }
    }

    /// For fuzzing: panics if it grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.0.len() <= MOST);
    }
}

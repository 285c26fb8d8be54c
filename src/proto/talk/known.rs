//! Lines that came, by their ids: a line that comes once more, from another server or under another stream, is the same line.

use std::collections::VecDeque;

/// So many are known again.
const MOST: usize = 1_024;

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

    /// For fuzzing: panics if it grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.0.len() <= MOST);
    }
}

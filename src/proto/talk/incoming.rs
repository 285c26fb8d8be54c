//! Lines from the other end of a hop: in order, and each once.

use std::collections::BTreeMap;

use super::HeardLine;
use crate::wire::ObjectView;
use crate::wire::message::LineRange;
use crate::wire::talk::Line;

/// So many may come before their turn.
const EARLY: usize = 16;

/// See the head of this file.
#[derive(Default)]
pub struct Incoming {
    stream: u64,
    /// The line whose turn it is; `None` until it was told which there are.
    next: Option<u32>,
    early: BTreeMap<u32, HeardLine>,
}

impl Incoming {
    /// These lines are there. True if what comes next begins anew, with the first of them.
    pub fn range(&mut self, range: LineRange) -> bool {
        let LineRange { stream, first, next } = range;
        let goes_on = self.stream == stream && self.next.is_some_and(|own| (first..=next).contains(&own));
        if !goes_on {
            *self = Self { stream, next: Some(first), early: BTreeMap::new() };
        }
        !goes_on
    }

    /// The stream and the line whose turn it is: all before it have come.
    pub fn heard(&self) -> Option<(u64, u32)> {
        Some((self.stream, self.next?))
    }

    /// Takes an object in. Returns the lines whose turn it is; `None` if it was no line of this stream.
    pub fn take(&mut self, object: &ObjectView<'_>, bytes: &[u8]) -> Option<Vec<HeardLine>> {
        let line = Line::read(object).ok().filter(|_| object.header.stream == self.stream)?;
        let (next, number) = (self.next?, line.unit.0);
        if number < next || number - next >= EARLY as u32 {
            return Some(Vec::new());
        }
        self.early.insert(number, HeardLine { line, object: bytes.to_vec() });
        Some(self.due())
    }

    fn due(&mut self) -> Vec<HeardLine> {
        let mut due = Vec::new();
        while let Some(next) = &mut self.next
            && let Some(heard) = self.early.remove(next)
        {
            *next += 1;
            due.push(heard);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{MediaTime, Unit};

    fn object(unit: u32) -> Vec<u8> {
        let (name, text) = (String::new(), unit.to_string());
        Line { unit: Unit(unit), media: MediaTime::ZERO, id: unit.into(), is_maker: false, name, text }.object(7)
    }

    fn take(incoming: &mut Incoming, unit: u32) -> Vec<u32> {
        let bytes = object(unit);
        let heard = incoming.take(&ObjectView::parse(&bytes).expect("an object"), &bytes);
        heard.expect("a line").into_iter().map(|heard| heard.line.unit.0).collect()
    }

    #[test]
    fn lines_come_in_order_and_each_once() {
        let mut incoming = Incoming::default();
        let bytes = object(5);
        let early = incoming.take(&ObjectView::parse(&bytes).expect("an object"), &bytes);
        assert_eq!(early, None, "nobody told which there are");
        let range = |first, next| LineRange { stream: 7, first, next };
        assert!(incoming.range(range(5, 8)) && !incoming.range(range(5, 8)));
        assert!(take(&mut incoming, 7).is_empty());
        assert_eq!(take(&mut incoming, 5), [5]);
        assert!(take(&mut incoming, 5).is_empty());
        assert_eq!(take(&mut incoming, 6), [6, 7]);
        assert!(take(&mut incoming, 8 + EARLY as u32).is_empty(), "much too early");
        assert_eq!(incoming.heard(), Some((7, 8)));
        assert!(!incoming.range(range(6, 20)), "what is asked for is there");
        assert!(incoming.range(range(10, 20)) && incoming.heard() == Some((7, 10)), "8 and 9 are no more");
        assert!(incoming.range(range(3, 4)) && incoming.heard() == Some((7, 3)), "a room that was made anew");
    }
}

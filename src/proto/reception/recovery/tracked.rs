//! A picture whose parts come: which are missing, and whether all have been sent.

use std::collections::BTreeMap;
use std::time::Duration;

use super::MOST_PARTS;
use super::missing::MissingObject;
use crate::units::{Time, Unit};
use crate::wire::message::NackName;
use crate::wire::object::{ObjectHeader, Type};

/// What is known of a picture whose parts come.
pub struct Tracked {
    pub rendition: u8,
    pub cut: u8,
    pub stream: u64,
    /// 0: not yet known.
    pub parts: u16,
    /// One more than the last part that came in its turn, the number that it had, and when it came.
    pub top: u16,
    pub hop: u64,
    pub at: Time,
    pub missing: BTreeMap<u16, MissingObject>,
    /// From this part on nothing came for so long that it is believed to be lost.
    pub silent_from: Option<u16>,
    /// Since when it is known that all its parts have been sent.
    pub closed: Option<Time>,
}

impl Tracked {
    /// Its first object comes.
    pub const fn new(header: &ObjectHeader) -> Self {
        Self {
            rendition: header.rendition,
            cut: header.cut,
            stream: header.stream,
            parts: header.parts_told(),
            top: 0,
            hop: 0,
            at: Time::ZERO,
            missing: BTreeMap::new(),
            silent_from: None,
            closed: None,
        }
    }

    pub fn is_of(&self, header: &ObjectHeader) -> bool {
        (self.stream, self.rendition, self.cut) == (header.stream, header.rendition, header.cut)
    }

    pub const fn name(&self, unit: Unit) -> NackName {
        let Self { stream, rendition, cut, .. } = *self;
        NackName { stream, kind: Type::PICTURE, rendition, cut, unit, first_part: 0, bitmap: 1 }
    }

    /// A part came in its turn: those before it that did not are missing.
    pub fn note(&mut self, now: Time, part: u16, hop: u64, wait: Duration) {
        self.miss(self.top..part, &MissingObject::new(now, hop, wait));
        (self.top, self.hop, self.at) = (part.saturating_add(1), hop, now);
        if self.top == self.parts {
            self.closed.get_or_insert(now);
        }
    }

    /// A part that was believed lost comes in its turn: those behind it may come as well.
    pub fn resume(&mut self, now: Time, part: u16, hop: u64) {
        self.missing.split_off(&part);
        self.silent_from = None;
        (self.top, self.hop, self.at) = (part.saturating_add(1), hop, now);
        if self.top == self.parts {
            self.closed = Some(now);
        }
    }

    /// All of it has been sent before what has this number; `lost`: so many numbers are missing since its last part.
    pub fn close(&mut self, now: Time, hop: u64, lost: usize, wait: Duration) {
        self.closed = Some(now);
        if lost > 0 {
            self.miss(self.top..self.parts, &MissingObject::new(now, hop, wait));
            self.top = self.top.max(self.parts);
        }
    }

    pub fn miss(&mut self, parts: std::ops::Range<u16>, gap: &MissingObject) {
        if parts.len() + self.missing.len() <= MOST_PARTS {
            self.missing.extend(parts.map(|part| (part, *gap)));
        }
    }
}

//! Where the objects of a put go: which bytes at the end of which segment, and which entries of the index.

use crate::store::entry::Entry;
use crate::store::objects::Header;
use crate::store::runs::{Run, RunKey, Track};
use crate::wire::object::Name;

/// An object that a put takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted<'a> {
    pub header: Header,
    pub bytes: &'a [u8],
}

/// The end of the last segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    pub segment: u16,
    pub at: u32,
}

/// One write of a put; there are two only if a segment becomes full.
#[derive(Debug)]
pub(crate) struct SegmentWrite {
    pub segment: u16,
    pub at: u32,
    pub bytes: Vec<u8>,
}

/// All that a put writes.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub writes: Vec<SegmentWrite>,
    pub entries: Vec<Entry>,
}

impl Plan {
    /// Lays out objects, sorted by name, behind the tail. `None`: the film has as many segments as can be numbered.
    pub fn new(objects: &[Accepted<'_>], mut tail: Tail, segment_bytes: u32) -> Option<Self> {
        let mut plan = Self::default();
        let mut room = objects.iter().map(|object| object.bytes.len()).sum();
        for Accepted { header, bytes } in objects {
            // An object is at most 66 559 bytes long, by its header.
            let length = bytes.len() as u32;
            if tail.at > 0 && tail.at.saturating_add(length) > segment_bytes {
                tail = Tail { segment: tail.segment.checked_add(1)?, at: 0 };
            }
            plan.write(tail, bytes, room);
            plan.enter(header, tail, length);
            tail.at += length;
            room -= bytes.len();
        }
        Some(plan)
    }

    /// How many bytes the plan adds to the store.
    pub fn cost(&self) -> u64 {
        let data: usize = self.writes.iter().map(|write| write.bytes.len()).sum();
        (data + self.entries.len() * Entry::LEN) as u64
    }

    fn write(&mut self, tail: Tail, bytes: &[u8], room: usize) {
        if let Some(last) = self.writes.last_mut().filter(|last| last.segment == tail.segment) {
            last.bytes.extend_from_slice(bytes);
            return;
        }
        let mut gathered = Vec::with_capacity(room);
        gathered.extend_from_slice(bytes);
        self.writes.push(SegmentWrite { segment: tail.segment, at: tail.at, bytes: gathered });
    }

    fn enter(&mut self, header: &Header, tail: Tail, length: u32) {
        let (track, key) = place(&header.name);
        if let Some(Entry { track: last_track, key: last_key, run, .. }) = self.entries.last_mut() {
            let next = RunKey { first: last_key.first + run.count, ..*last_key };
            if (*last_track, next, run.segment) == (track, key, tail.segment) {
                run.count += 1;
                run.length += length;
                run.parts = run.parts.max(header.parts);
                return;
            }
        }
        let run = Run { offset: tail.at, length, segment: tail.segment, count: 1, parts: header.parts };
        self.entries.push(Entry { track, key, run, gone: false });
    }
}

/// Where the index has an object of this name.
pub(crate) fn place(name: &Name) -> (Track, RunKey) {
    let track = Track { kind: name.kind.0, rendition: name.rendition };
    (track, RunKey { unit: name.unit.0, cut: name.cut, first: name.part })
}

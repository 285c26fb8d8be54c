//! The entries of a film's index file: 28 bytes each, big-endian, the last four a CRC-32 of the stream and the rest.
//!
//! ```text
//! unit 4 | offset 4 | length 4 | first part 2 | count 2 | parts 2 | segment 2 | kind 1 | rendition 1 | cut 1 | gone 1 | CRC 4
//! ```

use crate::store::runs::{Run, RunKey, Track};

/// One line of an index: a run of parts is there, or those parts are there no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub track: Track,
    pub key: RunKey,
    pub run: Run,
    pub gone: bool,
}

impl Entry {
    pub const LEN: usize = 28;

    pub fn encode(&self, stream: u64) -> [u8; Self::LEN] {
        let Self { track, key, run, gone } = self;
        let [u0, u1, u2, u3] = key.unit.to_be_bytes();
        let [o0, o1, o2, o3] = run.offset.to_be_bytes();
        let [l0, l1, l2, l3] = run.length.to_be_bytes();
        let [f0, f1] = key.first.to_be_bytes();
        let [c0, c1] = run.count.to_be_bytes();
        let [p0, p1] = run.parts.to_be_bytes();
        let [s0, s1] = run.segment.to_be_bytes();
        let content = [
            [u0, u1, u2, u3],
            [o0, o1, o2, o3],
            [l0, l1, l2, l3],
            [f0, f1, c0, c1],
            [p0, p1, s0, s1],
            [track.kind, track.rendition, key.cut, u8::from(*gone)],
        ];
        let mut out = [0; Self::LEN];
        let crc = check_value(stream, content.as_flattened()).to_be_bytes();
        for (to, from) in out.chunks_exact_mut(4).zip(content.iter().chain([&crc])) {
            to.copy_from_slice(from);
        }
        out
    }

    /// `None`: torn, damaged, or of another film.
    pub fn decode(bytes: &[u8; Self::LEN], stream: u64) -> Option<Self> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        if u32::from_be_bytes(*crc) != check_value(stream, content) {
            return None;
        }
        let [u0, u1, u2, u3, o0, o1, o2, o3, l0, l1, l2, l3, f0, f1, rest @ ..] = *bytes;
        let [c0, c1, p0, p1, s0, s1, kind, rendition, cut, gone, ..] = rest;
        let key = RunKey { unit: u32::from_be_bytes([u0, u1, u2, u3]), cut, first: u16::from_be_bytes([f0, f1]) };
        let run = Run {
            offset: u32::from_be_bytes([o0, o1, o2, o3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
            segment: u16::from_be_bytes([s0, s1]),
            count: u16::from_be_bytes([c0, c1]),
            parts: u16::from_be_bytes([p0, p1]),
        };
        key.first.checked_add(run.count)?;
        Some(Self { track: Track { kind, rendition }, key, run, gone: gone == 1 })
    }
}

fn check_value(stream: u64, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&stream.to_be_bytes());
    hasher.update(content);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_and_a_changed_one_does_not() {
        let key = RunKey { unit: 0x0102_0304, cut: 5, first: 0x0607 };
        let run = Run { offset: 0x0809_0a0b, length: 0x0c0d_0e0f, segment: 0x1011, count: 0x1213, parts: 0x1415 };
        let entry = Entry { track: Track { kind: 1, rendition: 2 }, key, run, gone: true };
        let bytes = entry.encode(77);
        assert_eq!(Entry::decode(&bytes, 77), Some(entry));
        assert_eq!(Entry::decode(&bytes, 78), None);
        for at in 0..Entry::LEN {
            let mut changed = bytes;
            changed[at] ^= 0x40;
            assert_eq!(Entry::decode(&changed, 77), None);
        }
    }
}

//! Putting pictures together: which slices of which unit have come, which unit is next, and what never came.
//!
//! Coded slices only, never pixels, and a bounded number of bytes, in which what must be remembered of each picture counts.
//! When they are nearly used up, the picture in front is shown whatever its time is; so nothing is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::media::coded::Object;
use crate::proto::reception::{Receipt, Via};
use crate::units::{MediaTime, Size, Time, Unit};
use crate::wire::object::{ObjectView, flags};

/// Bytes held in all: two seconds of 500 Mb/s, ten of 100 Mb/s.
const MAX_BYTES: usize = 128 << 20;
/// What may come between two looks: a batch of the largest datagrams from each of two sockets.
const BATCH: usize = 8 << 20;
/// Coded bytes of one picture: twice an 8K picture of noise at quality 90.
const MAX_PICTURE: usize = 64 << 20;
/// A unit number further ahead than this of what was shown is not believed at once: nine hours at 30 pictures a second.
const MAX_JUMP: u32 = 1 << 20;
/// Given-up units whose slices may still straggle in.
const REMEMBERED: u32 = 64;
/// So many objects of units far from all that is expected, and for so long no other, are the stream as it is now: after a
/// long sleep, or after one that was forged, what is expected is wrong.
const STRAYS: u32 = 16;
const ASTRAY: Duration = Duration::from_secs(1);

/// What a slice that is held takes beside its bytes.
const SLICE: usize = size_of::<Slice>() + 64;

/// One slice, ready for the decoder.
#[derive(Clone, Debug)]
pub struct Slice {
    pub unit: Unit,
    /// Of the picture, and that is of this rendition.
    pub size: Size,
    pub rendition: u8,
    /// Of the stream's pictures in full.
    pub full: Size,
    pub x8: u16,
    pub y8: u16,
    /// 0: tables inline, 1–100: Annex K.
    pub tables: u8,
    pub jpeg: Object,
}

/// A unit that leaves the assembly to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub unit: Unit,
    pub media_time: MediaTime,
    /// Of this rendition.
    pub size: Size,
    pub rendition: u8,
    /// Of the stream's pictures in full: as large as it is shown.
    pub full: Size,
    pub received: u16,
    pub missing: u16,
    /// Nothing to decode: show what was shown before.
    pub same: bool,
    /// First datagram of the unit.
    pub first_at: Time,
    pub last_at: Time,
    /// The last of its datagrams that came in its turn, and was no repair.
    pub in_turn_at: Time,
    /// In which session its first datagram came; the sequences are those of this session.
    pub session: u64,
    pub first_hop: u64,
    pub last_hop: u64,
}

/// A unit whose time has come, and what follows from that.
pub struct Shown {
    pub picture: Ready,
    /// Slices of the next unit that were held back.
    pub held: Vec<Slice>,
    /// Units that came, but after a later one was put in front of them.
    pub overtaken: Vec<Unit>,
}

struct Assembly {
    ready: Ready,
    /// 0: not yet known.
    parts: u16,
    /// One more than the highest part that came.
    beyond: u16,
    cut: u8,
    tables: u8,
    format: u8,
    /// A bit per part.
    have: Vec<u64>,
    held: Vec<Slice>,
    /// Of the slices held.
    held_bytes: usize,
    /// Coded bytes of all that came, held or not.
    coded: usize,
}

/// What one object did.
#[derive(Debug)]
pub enum Took {
    /// A slice of the unit in front: decode it now.
    Front(Slice),
    Held,
    Duplicate,
    /// Of a unit that has been shown or given up: late.
    Late {
        first: bool,
    },
    /// Contradicts what came before it.
    Nonsense,
}

#[derive(Default)]
pub struct Units {
    units: BTreeMap<Unit, Assembly>,
    /// The last unit shown or given up.
    done: Option<Unit>,
    /// Units given up without a trace, of those near `done`.
    traceless: std::collections::BTreeSet<Unit>,
    bytes: usize,
    front: Option<Unit>,
    /// Objects of units far from all that is expected since anything else came: when the first came, and how many.
    strays: Option<(Time, u32)>,
}

impl Units {
    /// Takes a picture object in, of a stream whose pictures in full have this size.
    pub fn take(&mut self, came: Receipt, object: &ObjectView<'_>, full: Size) -> Took {
        let header = &object.header;
        let unit = header.unit;
        self.look_for_strays(came.at, unit);
        if let Some(done) = self.done {
            if unit <= done {
                return Took::Late { first: self.traceless.remove(&unit) };
            }
            if unit.0 - done.0 > MAX_JUMP {
                return Took::Nonsense;
            }
        }
        if self.bytes > MAX_BYTES {
            return Took::Nonsense;
        }
        if header.has(flags::SAME) && (header.parts > 1 || header.part > 0) {
            // It would begin a picture that nothing can complete.
            return Took::Nonsense;
        }
        let before = self.bytes_of(unit);
        let assembly = self.units.entry(unit).or_insert_with(|| Assembly::new(came, object, full));
        let took = match assembly.add(came, object) {
            Some(slice) => self.place(unit, slice),
            None if assembly.contradicts(object) => Took::Nonsense,
            None => Took::Duplicate,
        };
        self.bytes += self.bytes_of(unit) - before;
        took
    }

    /// Begins anew if nothing comes any more but units far from those that are expected.
    fn look_for_strays(&mut self, now: Time, unit: Unit) {
        let expected = |done: Unit| done.0.saturating_sub(REMEMBERED)..=done.0.saturating_add(MAX_JUMP);
        if self.done.is_none_or(|done| expected(done).contains(&unit.0)) {
            self.strays = None;
            return;
        }
        let (since, count) = self.strays.unwrap_or((now, 0));
        self.strays = Some((since, count + 1));
        if count >= STRAYS && now.since(since) >= ASTRAY {
            *self = Self::default();
        }
    }

    fn bytes_of(&self, unit: Unit) -> usize {
        self.units.get(&unit).map_or(0, Assembly::bytes)
    }

    fn place(&mut self, unit: Unit, slice: Slice) -> Took {
        self.front = self.front.or(Some(unit));
        if self.front == Some(unit) {
            return Took::Front(slice);
        }
        if let Some(assembly) = self.units.get_mut(&unit) {
            assembly.held_bytes += slice.jpeg.len() + SLICE;
            assembly.held.push(slice);
        }
        Took::Held
    }

    /// The unit whose slices are being decoded: it is shown next.
    pub fn front(&self) -> Option<&Ready> {
        self.front.and_then(|unit| self.units.get(&unit)).map(|assembly| &assembly.ready)
    }

    /// Whether nothing of the front unit is missing.
    pub fn is_complete(&self) -> bool {
        self.front().is_some_and(|ready| ready.missing == 0)
    }

    /// Whether there is hardly any room left: the front unit must go.
    pub const fn is_full(&self) -> bool {
        self.bytes > MAX_BYTES - BATCH
    }

    /// When the first slice of a later unit came, if one has: then the front unit is overdue.
    pub fn overtaken_at(&self) -> Option<Time> {
        let front = self.front?;
        let later = self.units.range(front.next()..);
        later.map(|(_, assembly)| assembly.ready.first_at).min()
    }

    /// Whether what comes of this unit can still be shown.
    pub fn is_awaited(&self, unit: Unit) -> bool {
        self.done.is_none_or(|done| unit > done)
    }

    /// The media time of this unit, if anything of it has come.
    pub fn media_time(&self, unit: Unit) -> Option<MediaTime> {
        self.units.get(&unit).map(|assembly| assembly.ready.media_time)
    }

    /// Takes the front unit out to be shown.
    pub fn show(&mut self) -> Option<Shown> {
        let front = self.front.take()?;
        let shown = self.units.remove(&front)?;
        self.bytes -= shown.bytes();
        self.done = Some(front);
        // A unit that starts after a later one was put in front can no longer be shown.
        let later = self.units.split_off(&front);
        let overtaken = std::mem::replace(&mut self.units, later);
        self.bytes -= overtaken.values().map(Assembly::bytes).sum::<usize>();
        self.front = self.units.keys().next().copied();
        let held = self.front.and_then(|unit| self.units.get_mut(&unit)).map(|next| {
            self.bytes -= std::mem::take(&mut next.held_bytes);
            std::mem::take(&mut next.held)
        });
        let overtaken = overtaken.into_keys().collect();
        Some(Shown { picture: shown.ready, held: held.unwrap_or_default(), overtaken })
    }

    /// Remembers units that were given up without a trace, in case something of them still comes.
    pub fn gave_up(&mut self, units: std::ops::Range<u32>, overtaken: &[Unit]) {
        let recent = units.start.max(units.end.saturating_sub(REMEMBERED));
        self.traceless.extend((recent..units.end).map(Unit).filter(|unit| !overtaken.contains(unit)));
        while self.traceless.len() > REMEMBERED as usize {
            self.traceless.pop_first();
        }
    }

    /// For fuzzing: panics if something grows without bound, or if units wait that nothing will show.
    pub fn assert_sound(&self) {
        assert!(self.traceless.len() <= REMEMBERED as usize);
        let slices = self.units.values().flat_map(|unit| &unit.held).map(|slice| slice.jpeg.len() + SLICE);
        let held = slices.sum::<usize>() + self.units.values().map(Assembly::overhead).sum::<usize>();
        assert!(self.bytes == held && !self.is_full(), "{held} bytes held, {}", self.bytes);
        assert_eq!(self.front.is_some(), !self.units.is_empty(), "one of those that wait is shown next");
    }

    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// How much playing time is held.
    pub fn held(&self, interval: Duration) -> Duration {
        interval * self.units.len() as u32
    }
}

impl Assembly {
    fn new(came: Receipt, object: &ObjectView<'_>, full: Size) -> Self {
        let header = &object.header;
        let parts = if header.has(flags::SAME) { 1 } else { header.parts_told() };
        let ready = Ready {
            unit: header.unit,
            media_time: header.media_time,
            size: header.size,
            rendition: header.rendition,
            full,
            received: 0,
            missing: parts.max(1),
            same: header.has(flags::SAME),
            first_at: came.at,
            last_at: came.at,
            in_turn_at: came.at,
            session: came.session,
            first_hop: came.hop,
            last_hop: came.hop,
        };
        let have = vec![0; usize::from(parts.max(1)).div_ceil(64)];
        let (cut, tables, format) = (header.cut, header.tables, header.format);
        Self { ready, parts, beyond: 0, cut, tables, format, have, held: Vec::new(), held_bytes: 0, coded: 0 }
    }

    fn bytes(&self) -> usize {
        self.held_bytes + self.overhead()
    }

    /// What it takes beside slices.
    fn overhead(&self) -> usize {
        size_of::<Self>() + size_of_val(self.have.as_slice())
    }

    fn contradicts(&self, object: &ObjectView<'_>) -> bool {
        let header = &object.header;
        let told = header.parts_told();
        let parts = match self.parts {
            0 => told == 0 || told >= self.beyond,
            parts => header.part < parts && (told == 0 || told == parts),
        };
        let alike = (header.size, header.rendition) == (self.ready.size, self.ready.rendition)
            && header.media_time == self.ready.media_time
            && (header.cut, header.tables, header.format) == (self.cut, self.tables, self.format)
            && header.has(flags::SAME) == self.ready.same;
        !parts || !alike || self.coded + object.body.len() > MAX_PICTURE
    }

    /// The slice, unless it contradicts the unit or is there already.
    fn add(&mut self, came: Receipt, object: &ObjectView<'_>) -> Option<Slice> {
        let header = &object.header;
        if self.contradicts(object) {
            return None;
        }
        let word = usize::from(header.part) / 64;
        if self.have.len() <= word {
            self.have.resize(word + 1, 0);
        }
        let bit = 1 << (header.part % 64);
        if self.have[word] & bit != 0 {
            return None;
        }
        self.have[word] |= bit;
        self.coded += object.body.len();
        self.beyond = self.beyond.max(header.part.saturating_add(1));
        if self.parts == 0 {
            self.parts = header.parts_told();
        }
        let ready = &mut self.ready;
        ready.received = ready.received.saturating_add(1);
        ready.missing = if self.parts == 0 { 1 } else { self.parts.saturating_sub(ready.received) };
        ready.last_at = came.at;
        if came.via == Via::Sent {
            ready.in_turn_at = came.at;
        }
        if came.session == ready.session && came.via == Via::Sent {
            ready.first_hop = ready.first_hop.min(came.hop);
            ready.last_hop = ready.last_hop.max(came.hop);
        }
        Some(Slice {
            unit: header.unit,
            size: header.size,
            rendition: header.rendition,
            full: ready.full,
            x8: header.x8,
            y8: header.y8,
            tables: header.tables,
            jpeg: object.body.to_vec().into(),
        })
    }
}

//! Objects of pictures from above, until the picture they are of can go on: when it is whole, or when waiting for what is missing
//! is no use any more. Pictures go on in the order of their units.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::media::coded::{Object, PassedPicture};
use crate::units::{Time, Unit};
use crate::wire::object::{ObjectHeader, flags};

/// Pictures, and bytes of them, that are gathered at once.
const MOST: usize = 64;
const BYTES: usize = 64 << 20;
/// Where nothing is known of what is missing, it is waited for so long after a later picture began.
const REORDER: Duration = Duration::from_millis(8);
/// A picture alone is waited for so long after its newest part.
const ALONE: Duration = Duration::from_millis(500);

/// See the head of this file.
#[derive(Default)]
pub struct Assembly {
    units: BTreeMap<Unit, Gathered>,
    bytes: usize,
    /// The last picture that went on.
    last: Option<Unit>,
}

struct Gathered {
    /// Of the first part that came.
    header: ObjectHeader,
    parts: BTreeMap<u16, Object>,
    /// How many there are; 0: not known yet.
    count: u16,
    began: Time,
    newest: Time,
}

/// Until when it is worth waiting for what is missing of a picture; `None`: that cannot be told.
pub type Awaited<'a> = &'a dyn Fn(Unit) -> Option<Time>;

impl Assembly {
    /// Takes a part in. False: it is nothing that could be asked for.
    pub fn take(&mut self, now: Time, header: &ObjectHeader, object: &[u8]) -> bool {
        if self.last.is_some_and(|last| header.unit <= last) {
            return true;
        }
        while self.units.len() >= MOST || self.bytes + object.len() > BYTES {
            let Some((_, gone)) = self.units.pop_first() else { break };
            self.bytes -= gone.bytes();
        }
        let gathered = self.units.entry(header.unit).or_insert_with(|| Gathered {
            header: *header,
            parts: BTreeMap::new(),
            count: 0,
            began: now,
            newest: now,
        });
        if !gathered.is_of(header) {
            return false;
        }
        gathered.newest = now;
        gathered.count = gathered.count.max(header.parts_told());
        if gathered.parts.contains_key(&header.part) {
            return true;
        }
        self.bytes += object.len();
        gathered.parts.insert(header.part, object.to_vec().into());
        true
    }

    /// The next picture that can go on, if one can; `lasts`: the usual time between two.
    pub fn next(&mut self, now: Time, lasts: Duration, awaited: Awaited<'_>) -> Option<PassedPicture> {
        loop {
            let at = self.deadline(awaited)?;
            if at > now {
                return None;
            }
            let (unit, gathered) = self.units.pop_first()?;
            self.bytes -= gathered.bytes();
            self.last = Some(unit);
            // Of a picture whose parts fit no datagram nothing can be sent.
            if let Some(picture) = gathered.picture(lasts) {
                return Some(picture);
            }
        }
    }

    /// When the picture in front goes on, as things stand; `None` while there is none.
    pub fn deadline(&self, awaited: Awaited<'_>) -> Option<Time> {
        let mut units = self.units.iter();
        let (unit, front) = units.next()?;
        if front.is_whole() {
            return Some(Time::ZERO);
        }
        let overtaken = units.map(|(_, later)| later.began).min();
        let alone = front.newest + ALONE;
        let until = match (awaited(*unit), overtaken) {
            (Some(at), _) => at,
            (None, Some(overtaken)) => overtaken + REORDER,
            (None, None) => alone,
        };
        Some(until.min(alone))
    }

    /// Whether a part of this unit could still go on.
    pub fn wants(&self, unit: Unit) -> bool {
        self.last.is_none_or(|last| unit > last)
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        let bytes: usize = self.units.values().map(Gathered::bytes).sum();
        assert!(self.units.len() <= MOST && self.bytes == bytes, "{} of {bytes} bytes", self.bytes);
    }
}

impl Gathered {
    fn is_of(&self, header: &ObjectHeader) -> bool {
        let alike = |header: &ObjectHeader| {
            (header.rendition, header.cut, header.size, header.media_time, header.has(flags::SAME))
        };
        let fits = self.count == 0 || header.part < self.count;
        let told = header.parts_told();
        let agrees = told == 0
            || (self.count == 0 || told == self.count)
                && self.parts.last_key_value().is_none_or(|(part, _)| *part < told);
        alike(&self.header) == alike(header) && fits && agrees
    }

    fn is_whole(&self) -> bool {
        self.count > 0 && self.parts.len() == usize::from(self.count)
    }

    fn bytes(&self) -> usize {
        self.parts.values().map(Object::len).sum()
    }

    fn picture(self, lasts: Duration) -> Option<PassedPicture> {
        PassedPicture::of(&self.header, self.parts.into_values().collect(), self.count, lasts, self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::object::Type;

    const LASTS: Duration = Duration::from_millis(40);

    fn take(assembly: &mut Assembly, millis: u64, unit: u32, part: u16, parts: u16) -> bool {
        let header = ObjectHeader::sample(Type::PICTURE, unit, part, parts);
        let mut object = Vec::new();
        header.emit(&mut object, |out| out.push(part as u8));
        assembly.take(Time::from_millis(millis), &header, &object)
    }

    fn passed(assembly: &mut Assembly, millis: u64, awaited: Option<u64>) -> Vec<(u32, usize, bool)> {
        let awaited = |_: Unit| awaited.map(Time::from_millis);
        let next = || assembly.next(Time::from_millis(millis), LASTS, &awaited);
        let tell = |picture: PassedPicture| (picture.cut.unit.0, picture.cut.parts(), picture.is_whole);
        std::iter::from_fn(next).map(tell).collect()
    }

    #[test]
    fn a_whole_picture_goes_on_at_once_and_in_order() {
        let mut assembly = Assembly::default();
        assert!(take(&mut assembly, 0, 5, 1, 2) && passed(&mut assembly, 0, None).is_empty());
        assert!(take(&mut assembly, 1, 5, 0, 2));
        assert_eq!(passed(&mut assembly, 1, None), [(5, 2, true)]);
        assert!(take(&mut assembly, 2, 5, 0, 2), "late, and of no use");
        assert!(passed(&mut assembly, 1_000, None).is_empty());
        assembly.assert_sound();
    }

    #[test]
    fn what_is_missing_is_waited_for_as_long_as_it_may_come() {
        let mut assembly = Assembly::default();
        take(&mut assembly, 0, 1, 0, 2);
        take(&mut assembly, 40, 2, 0, 1);
        assert!(passed(&mut assembly, 50, Some(60)).is_empty());
        assert_eq!(passed(&mut assembly, 60, Some(60)), [(1, 1, false), (2, 1, true)]);
        take(&mut assembly, 80, 3, 0, 2);
        take(&mut assembly, 120, 4, 0, 1);
        assert!(passed(&mut assembly, 127, None).is_empty());
        assert_eq!(passed(&mut assembly, 128, None), [(3, 1, false), (4, 1, true)]);
    }

    #[test]
    fn what_contradicts_the_parts_before_it_is_refused() {
        let mut assembly = Assembly::default();
        assert!(take(&mut assembly, 0, 1, 0, 3));
        assert!(!take(&mut assembly, 0, 1, 1, 4) && !take(&mut assembly, 0, 1, 3, 0));
        assert!(take(&mut assembly, 0, 1, 2, 0), "the number of parts need not be told");
    }

    #[test]
    fn it_holds_no_more_than_it_may() {
        let mut assembly = Assembly::default();
        assert!((0..500).all(|unit| take(&mut assembly, 0, unit, 0, 2)));
        assembly.assert_sound();
        assert_eq!(assembly.units.len(), MOST);
    }
}

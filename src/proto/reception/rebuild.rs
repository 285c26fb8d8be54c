//! What of a session is kept as long as parity comes, and objects that are rebuilt from it.
//!
//! Symbols come behind what they protect, so objects are kept before anybody knows that they will be needed; where no parity
//! came lately, none are.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::media::coded::Object;
use crate::media::parity::rebuild;
use crate::units::{Time, Unit};
use crate::wire::message::{Parity, Scheme};
use crate::wire::object::{Name, ObjectHeader, ObjectView, Type};

/// Parity came within so long: more may come.
const PROTECTED: Duration = Duration::from_secs(5);
/// What is kept: so many bytes, and of sound so many chunks.
const BYTES: usize = 16 << 20;
const OBJECTS: usize = 2_048;
/// Codes that may still be completed, and symbols of one.
const CODES: usize = 16;
const SYMBOLS: usize = 255;

/// A code, by what its symbols say of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    scheme: Scheme,
    first: Name,
    k: u8,
    m: u8,
    stride: u8,
    symbol: usize,
}

/// See the head of this file.
#[derive(Default)]
pub struct Rebuild {
    /// When parity came last.
    protected: Option<Time>,
    /// In the order in which they came.
    order: VecDeque<Name>,
    objects: BTreeMap<Name, Vec<u8>>,
    bytes: usize,
    codes: VecDeque<(Key, BTreeMap<u8, Vec<u8>>)>,
    out: VecDeque<Object>,
}

impl Rebuild {
    /// An object has come whole.
    pub fn object(&mut self, now: Time, header: &ObjectHeader, bytes: &[u8]) {
        if self.protected.is_none_or(|at| now.since(at) > PROTECTED) {
            if self.bytes > 0 {
                *self = Self::default();
            }
            return;
        }
        let name = header.name();
        self.keep(name, bytes.to_vec());
        let completed = self.codes.iter().position(|(key, _)| key.holds(&name));
        completed.into_iter().for_each(|code| self.try_code(code));
    }

    fn keep(&mut self, name: Name, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        if let Some(old) = self.objects.insert(name, bytes) {
            self.bytes -= old.len();
        } else {
            self.order.push_back(name);
        }
        while self.bytes > BYTES || self.order.len() > OBJECTS {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.objects.remove(&oldest).map_or(0, |bytes| bytes.len());
        }
    }

    /// A repair symbol has come.
    pub fn parity(&mut self, now: Time, parity: &Parity<'_>) {
        self.protected = Some(now);
        let key = Key::of(parity);
        let code = self.codes.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
            if self.codes.len() >= CODES {
                self.codes.pop_front();
            }
            self.codes.push_back((key, BTreeMap::new()));
            self.codes.len() - 1
        });
        let symbols = &mut self.codes[code].1;
        if symbols.len() < SYMBOLS {
            symbols.insert(parity.index, parity.symbol.to_vec());
        }
        self.try_code(code);
    }

    fn try_code(&mut self, code: usize) {
        let (key, symbols) = &self.codes[code];
        let names: Vec<Name> = (0..key.k).filter_map(|place| key.member(place)).collect();
        let members: Vec<Option<&[u8]>> = names.iter().map(|name| self.objects.get(name).map(Vec::as_slice)).collect();
        let missing = members.iter().filter(|member| member.is_none()).count();
        if names.len() < usize::from(key.k)
            || missing == 0
            || missing > symbols.len()
            || missing == members.len() && key.k > 1
        {
            return;
        }
        let symbols: Vec<(u8, &[u8])> = symbols.iter().map(|(index, symbol)| (*index, symbol.as_slice())).collect();
        let rebuilt = rebuild(key.scheme, key.m.into(), &members, &symbols).unwrap_or_default();
        let sound = rebuilt.into_iter().filter(|(place, bytes)| {
            ObjectView::parse(bytes).is_ok_and(|view| names.get(*place) == Some(&view.header.name()))
        });
        let sound: Vec<(Name, Vec<u8>)> = sound.map(|(place, bytes)| (names[place], bytes)).collect();
        for (name, bytes) in sound {
            self.keep(name, bytes.clone());
            self.out.push_back(bytes.into());
        }
    }

    /// An object that was rebuilt; each once.
    pub fn next(&mut self) -> Option<Object> {
        self.out.pop_front()
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.codes.len() <= CODES && self.codes.iter().all(|(_, symbols)| symbols.len() <= SYMBOLS));
        assert!(self.order.len() == self.objects.len() && self.order.len() <= OBJECTS && self.bytes <= BYTES);
    }
}

impl Key {
    fn of(parity: &Parity<'_>) -> Self {
        let Parity { scheme, kind, rendition, cut, stream, unit, first_part: part, k, m, stride, .. } = *parity;
        let first = Name { stream, kind, rendition, cut, unit, part };
        Self { scheme, first, k, m, stride, symbol: parity.symbol.len() }
    }

    /// The name of a member; `None` if there is no such number.
    fn member(&self, place: u8) -> Option<Name> {
        let ahead = u16::from(place) * u16::from(self.stride);
        if self.first.kind == Type::SOUND {
            let unit = Unit(self.first.unit.0.checked_add(ahead.into())?);
            return Some(Name { unit, part: 0, ..self.first });
        }
        Some(Name { part: self.first.part.checked_add(ahead)?, ..self.first })
    }

    /// Whether a member has this name.
    fn holds(&self, name: &Name) -> bool {
        let behind = if name.kind == Type::SOUND {
            name.unit.0.checked_sub(self.first.unit.0)
        } else {
            u32::from(name.part).checked_sub(self.first.part.into())
        };
        let place =
            behind.filter(|behind| behind.is_multiple_of(self.stride.into())).map(|n| n / u32::from(self.stride));
        let place = place.and_then(|place| u8::try_from(place).ok()).filter(|place| *place < self.k);
        place.is_some_and(|place| self.member(place).as_ref() == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::parity::protect;
    use crate::wire::{Kind, Message};

    fn objects(kind: Type, unit: u32, count: usize) -> Vec<Object> {
        let of = |n: usize| {
            let (unit, part) = if kind == Type::SOUND { (unit + n as u32, 0) } else { (unit, n as u16) };
            let header = ObjectHeader::sample(kind, unit, part, count as u16);
            let mut out = Vec::new();
            header.emit(&mut out, |body| body.extend((0..300 + n).map(|i| (i * 5 + n) as u8)));
            out.into()
        };
        (0..count).map(of).collect()
    }

    fn comes(rebuild: &mut Rebuild, object: &Object) {
        let view = ObjectView::parse(object.bytes()).expect("an object");
        rebuild.object(Time::ZERO, &view.header, object.bytes());
    }

    fn symbols_come(rebuild: &mut Rebuild, bodies: &[Object]) {
        for body in bodies {
            let Ok(Message::Parity(parity)) = Message::parse(Kind::PARITY, body.bytes()) else { panic!("parity") };
            rebuild.parity(Time::ZERO, &parity);
        }
        rebuild.assert_sound();
    }

    #[test]
    fn what_was_lost_is_rebuilt_once_whatever_comes_last() {
        for kind in [Type::PICTURE, Type::SOUND] {
            for scheme in [Scheme::ReedSolomon, Scheme::Xor] {
                let mut rebuild = Rebuild::default();
                symbols_come(&mut rebuild, &protect(scheme, &objects(kind, 1, 8), 1));
                let objects = objects(kind, 16, 8);
                let symbols = protect(scheme, &objects, 1);
                (0..8).filter(|n| *n != 3 && *n != 5).for_each(|n| comes(&mut rebuild, &objects[n]));
                symbols_come(&mut rebuild, &symbols);
                assert!(rebuild.next().is_none(), "two are missing");
                comes(&mut rebuild, &objects[5]);
                assert_eq!(rebuild.next().map(|object| object.bytes().to_vec()), Some(objects[3].bytes().to_vec()));
                symbols_come(&mut rebuild, &symbols);
                comes(&mut rebuild, &objects[3]);
                assert!(rebuild.next().is_none(), "once");
            }
        }
    }

    #[test]
    fn lies_make_nothing_and_take_no_room() {
        let mut rebuild = Rebuild::default();
        let objects = objects(Type::PICTURE, 9, 8);
        let bodies = protect(Scheme::ReedSolomon, &objects, 2);
        let Ok(Message::Parity(honest)) = Message::parse(Kind::PARITY, bodies[0].bytes()) else { panic!("parity") };
        rebuild.parity(Time::ZERO, &honest);
        objects.iter().skip(1).for_each(|object| comes(&mut rebuild, object));
        assert!(rebuild.next().is_some(), "honest");
        for n in 0..100_u8 {
            let symbol = vec![n; 2 + usize::from(n) * 2];
            rebuild.parity(Time::ZERO, &Parity { symbol: &symbol, unit: Unit(n.into()), index: n % 2, ..honest });
            rebuild.parity(Time::ZERO, &Parity { stride: 200, k: 255, first_part: u16::MAX, index: n % 2, ..honest });
            rebuild.assert_sound();
        }
        assert!(rebuild.next().is_none());
        // Nobody sends parity any more.
        let view = ObjectView::parse(objects[0].bytes()).expect("an object");
        rebuild.object(Time::from_millis(9_000), &view.header, objects[0].bytes());
        assert_eq!((rebuild.bytes, rebuild.codes.len()), (0, 0));
    }
}

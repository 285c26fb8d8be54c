//! Parity over objects: repair symbols, of which any `k` of the `k + m` members and symbols of a code give all members.
//!
//! A member is the object with its length before it and zeros behind it, so that all are as long as the longest. Scheme 1 is the
//! code of the crate `reed-solomon-simd` (Leopard's: Lin, Al-Naffouri, Han and Chung, "Novel Polynomial Basis and Its
//! Application to Reed–Solomon Erasure Codes", 2016); scheme 2 the members added up bit by bit, which mends one loss.

use std::ops::Range;

use reed_solomon_simd as reed_solomon;

use super::coded::Object;
use crate::units::Unit;
use crate::wire::message::{Message, Parity, Scheme};
use crate::wire::object::{Name, ObjectView, Type};

/// Objects in one code. More are spread over several, so that `k` fits a byte and neighbours are in different codes.
const LARGEST: usize = 200;
/// Before each object in a member: its length.
const LENGTH: usize = 2;

/// `symbols` repair symbols of the objects of one picture in the order of their parts, or of consecutive chunks of sound: bodies of
/// [`Message::Parity`], in the order in which they leave. Where that is too few they are sent from the first on. None, if there
/// is nothing to protect.
pub fn protect(scheme: Scheme, objects: &[Object], symbols: usize) -> Vec<Object> {
    let first = objects.first().and_then(|object| ObjectView::parse_unchecked(object.bytes()).ok());
    let Some(name) = first.map(|view| view.header.name()).filter(|_| symbols > 0) else { return Vec::new() };
    let codes = match scheme {
        Scheme::ReedSolomon => objects.len().div_ceil(LARGEST),
        Scheme::Xor => symbols.min(objects.len()).max(objects.len().div_ceil(LARGEST)),
    };
    if codes > usize::from(u8::MAX) {
        return Vec::new();
    }
    let made: Vec<Code> = (0..codes).map(|code| Code::new(scheme, objects, code, codes, symbols)).collect();
    let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
    'all: for index in 0..made.iter().map(|code| code.symbols.len()).max().unwrap_or(0) {
        for code in made.iter().filter(|code| index < code.symbols.len()) {
            if ranges.len() == symbols {
                break 'all;
            }
            ranges.push(code.emit(&name, index, &mut bytes));
        }
    }
    Object::all(bytes, ranges)
}

/// One code: every so many of the objects, from the first on.
struct Code {
    scheme: Scheme,
    first: usize,
    stride: usize,
    members: usize,
    symbols: Vec<Vec<u8>>,
}

impl Code {
    fn new(scheme: Scheme, objects: &[Object], first: usize, stride: usize, symbols: usize) -> Self {
        let objects: Vec<&Object> = objects.iter().skip(first).step_by(stride).collect();
        let members = members(objects.iter().map(|object| object.bytes()));
        let most = match scheme {
            // Those left over are the first codes'.
            Scheme::ReedSolomon => (symbols + stride - 1 - first) / stride,
            Scheme::Xor => 1,
        };
        let symbols = match scheme {
            Scheme::ReedSolomon => reed_solomon::encode(members.len(), most.min(255), &members).unwrap_or_default(),
            Scheme::Xor => members.iter().cloned().reduce(|sum, member| xor(sum, &member)).into_iter().collect(),
        };
        Self { scheme, first, stride, members: members.len(), symbols }
    }

    fn emit(&self, name: &Name, index: usize, out: &mut Vec<u8>) -> Range<usize> {
        let of_sound = name.kind == Type::SOUND;
        let parity = Parity {
            scheme: self.scheme,
            kind: name.kind,
            rendition: name.rendition,
            cut: name.cut,
            stream: name.stream,
            unit: if of_sound { Unit(name.unit.0.wrapping_add(self.first as u32)) } else { name.unit },
            first_part: if of_sound { 0 } else { self.first as u16 },
            k: self.members as u8,
            m: self.symbols.len() as u8,
            index: index as u8,
            stride: self.stride as u8,
            symbol: &self.symbols[index],
        };
        let start = out.len();
        Message::Parity(parity).emit(out);
        start..out.len()
    }
}

fn members<'a>(objects: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<Vec<u8>> {
    let longest = objects.clone().map(<[u8]>::len).max().unwrap_or(0) + LENGTH;
    let symbol = longest.next_multiple_of(2);
    objects.filter_map(|object| member(object, symbol)).collect()
}

/// `None` if it does not fit a symbol of this length.
fn member(object: &[u8], symbol: usize) -> Option<Vec<u8>> {
    let length = u16::try_from(object.len()).ok().filter(|_| object.len() + LENGTH <= symbol)?;
    let mut member = Vec::with_capacity(symbol);
    member.extend_from_slice(&length.to_be_bytes());
    member.extend_from_slice(object);
    member.resize(symbol, 0);
    Some(member)
}

fn xor(mut sum: Vec<u8>, other: &[u8]) -> Vec<u8> {
    sum.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
    sum
}

/// The members of a code that are missing, each with its place: of a code of `m` symbols in all, from the `members` that are
/// there and the `symbols` that are, each with its index. `None`: there is not enough, or nothing that fits together.
///
/// A symbol may have been damaged, or made up: whoever takes an object checks its CRC and its name.
pub fn rebuild(
    scheme: Scheme,
    m: usize,
    members: &[Option<&[u8]>],
    symbols: &[(u8, &[u8])],
) -> Option<Vec<(usize, Vec<u8>)>> {
    let length = symbols.first()?.1.len();
    let present: Option<Vec<(usize, Vec<u8>)>> = members
        .iter()
        .enumerate()
        .filter_map(|(place, object)| object.map(|object| Some((place, member(object, length)?))))
        .collect();
    let present = present?;
    let missing = members.len() - present.len();
    let alike = symbols.iter().all(|(index, symbol)| symbol.len() == length && usize::from(*index) < m);
    if missing == 0 || symbols.len() < missing || !alike {
        return None;
    }
    let rebuilt: Vec<(usize, Vec<u8>)> = match scheme {
        Scheme::ReedSolomon => {
            let symbols = symbols.iter().map(|(index, symbol)| (usize::from(*index), *symbol));
            let restored = reed_solomon::decode(members.len(), m, present, symbols).ok()?;
            restored.into_iter().collect()
        }
        Scheme::Xor => {
            let place = members.iter().position(Option::is_none).filter(|_| missing == 1)?;
            let sum = symbols.first()?.1.to_vec();
            vec![(place, present.iter().fold(sum, |sum, (_, member)| xor(sum, member)))]
        }
    };
    rebuilt.into_iter().map(|(place, member)| Some((place, object_of(&member)?))).collect()
}

/// Members and symbols out of arbitrary bytes, for fuzzing.
#[doc(hidden)]
pub fn fuzz_parity(bytes: &[u8]) {
    let [scheme, k, m, size, rest @ ..] = bytes else { return };
    let scheme = if scheme % 2 == 0 { Scheme::ReedSolomon } else { Scheme::Xor };
    let (size, m) = (usize::from(*size).next_multiple_of(2).max(2), usize::from(*m));
    let mut pieces = rest.chunks(size);
    let member = |piece: &[u8]| piece.first().is_some_and(|byte| byte % 4 > 0);
    let members: Vec<Option<&[u8]>> =
        (0..*k).map(|_| pieces.next().filter(|piece| member(piece)).map(|piece| &piece[1..])).collect();
    let symbols: Vec<(u8, &[u8])> = pieces.zip(0..=u8::MAX).map(|(symbol, index)| (index, symbol)).collect();
    for (place, object) in rebuild(scheme, m, &members, &symbols).unwrap_or_default() {
        assert!(members.get(place).is_some_and(Option::is_none), "only what was missing");
        assert!(object.len() + LENGTH <= size, "no longer than a member");
    }
}

/// The object in a member.
fn object_of(member: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = member.split_first_chunk::<LENGTH>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length))).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::object::ObjectHeader;
    use crate::wire::{HOP_LEN, Kind, SizeClass};

    fn objects(kind: Type, count: usize, longest: usize) -> Vec<Object> {
        let of = |n: usize| {
            let (unit, part) = if kind == Type::SOUND { (n as u32 + 16, 0) } else { (9, n as u16) };
            let header = ObjectHeader::sample(kind, unit, part, count as u16);
            let mut out = Vec::new();
            let length = longest - n * 31 % (longest / 2);
            header.emit(&mut out, |body| body.extend((0..length).map(|i| (i * 7 + n * 13) as u8)));
            out.into()
        };
        (0..count).map(of).collect()
    }

    fn parsed(bodies: &[Object]) -> Vec<Parity<'_>> {
        bodies
            .iter()
            .filter_map(|body| match Message::parse(Kind::PARITY, body.bytes()) {
                Ok(Message::Parity(parity)) => Some(parity),
                _ => None,
            })
            .collect()
    }

    /// How many of the objects that are lost are rebuilt out of these symbols.
    fn mended(objects: &[Object], symbols: &[Parity<'_>], lost: &[usize]) -> usize {
        let codes: std::collections::BTreeSet<(u32, u16)> = symbols.iter().map(|p| (p.unit.0, p.first_part)).collect();
        let mut mended = 0;
        for (unit, first) in codes {
            let own: Vec<&Parity<'_>> = symbols.iter().filter(|p| (p.unit.0, p.first_part) == (unit, first)).collect();
            let from = if own[0].kind == Type::SOUND { (unit - 16) as usize } else { usize::from(first) };
            let places = (0..usize::from(own[0].k)).map(|n| from + n * usize::from(own[0].stride));
            let members: Vec<Option<&[u8]>> =
                places.clone().map(|n| (!lost.contains(&n)).then(|| objects[n].bytes())).collect();
            let symbols: Vec<(u8, &[u8])> = own.iter().map(|p| (p.index, p.symbol)).collect();
            let places: Vec<usize> = places.collect();
            for (place, bytes) in rebuild(own[0].scheme, own[0].m.into(), &members, &symbols).unwrap_or_default() {
                assert_eq!(bytes, objects[places[place]].bytes(), "to the byte");
                mended += 1;
            }
        }
        mended
    }

    #[test]
    fn as_many_losses_are_mended_as_there_are_symbols() {
        for (count, symbols) in [(1, 1), (8, 2), (38, 5), (100, 9), (200, 20), (201, 21), (460, 40)] {
            let objects = objects(Type::PICTURE, count, 1_332);
            let bodies = protect(Scheme::ReedSolomon, &objects, symbols);
            assert_eq!(bodies.len(), symbols);
            let parity = parsed(&bodies);
            let codes = count.div_ceil(LARGEST);
            let run = (symbols / codes * codes).min(count);
            let lost: Vec<usize> = (0..run).map(|n| (count / 2 + n) % count).collect();
            assert_eq!(mended(&objects, &parity, &lost), lost.len(), "{count}: a run of losses");
            let fewer = &parity[..symbols - codes];
            assert!(mended(&objects, fewer, &lost) < lost.len(), "{count}, {codes} codes");
        }
    }

    #[test]
    fn a_sum_mends_one_loss_of_each_code() {
        let objects = objects(Type::PICTURE, 38, 1_332);
        let bodies = protect(Scheme::Xor, &objects, 4);
        let parity = parsed(&bodies);
        assert!(parity.iter().all(|p| (p.m, p.stride) == (1, 4)));
        assert_eq!(mended(&objects, &parity, &[10, 11, 12, 13]), 4, "a run of losses is spread over the codes");
        assert_eq!(mended(&objects, &parity, &[10, 14, 11]), 1);
    }

    #[test]
    fn sound_is_protected_across_chunks() {
        let objects = objects(Type::SOUND, 8, 1_024);
        for scheme in [Scheme::ReedSolomon, Scheme::Xor] {
            let bodies = protect(scheme, &objects, 1);
            assert_eq!(mended(&objects, &parsed(&bodies), &[3]), 1);
        }
    }

    #[test]
    fn symbols_fit_the_datagrams_of_what_they_protect() {
        for class in SizeClass::ALL {
            let objects = objects(Type::PICTURE, 3, class.body_max());
            let bodies = protect(Scheme::ReedSolomon, &objects, 2);
            assert!(bodies.iter().all(|body| HOP_LEN + body.len() <= class.datagram()), "{class:?}");
        }
    }

    #[test]
    fn nothing_and_nonsense_give_nothing() {
        assert!(protect(Scheme::ReedSolomon, &[], 3).is_empty());
        assert!(protect(Scheme::Xor, &objects(Type::PICTURE, 3, 100), 0).is_empty());
        let objects = objects(Type::PICTURE, 4, 100);
        let all: Vec<Option<&[u8]>> = objects.iter().map(|object| Some(object.bytes())).collect();
        let mut one = all.clone();
        one[2] = None;
        let symbol = vec![9; 200];
        for scheme in [Scheme::ReedSolomon, Scheme::Xor] {
            assert_eq!(rebuild(scheme, 1, &all, &[(0, &symbol)]), None, "all is there");
            assert_eq!(rebuild(scheme, 1, &one, &[]), None);
            assert_eq!(rebuild(scheme, 1, &one, &[(1, &symbol)]), None, "no such symbol");
            assert_eq!(rebuild(scheme, 2, &one, &[(0, &symbol[..20])]), None, "shorter than a member");
            assert_eq!(rebuild(scheme, 1, &one, &[(0, &symbol)]), None, "a length of 0x0909 bytes");
        }
    }
}

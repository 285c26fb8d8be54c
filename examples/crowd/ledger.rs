//! What came, checked datagram by datagram and without the receiver's help: its checksum, its place in the session's
//! sequence, the picture that it completes, and whether its name has ever stood for other bytes.

use std::collections::BTreeMap;

use udpstream::media::jpeg::{header_of_slice, index};
use udpstream::units::Unit;
use udpstream::wire::message::Message;
use udpstream::wire::object::{Name, Type, flags};
use udpstream::wire::{Description, Hop, Kind, ObjectView};

/// Objects of so many of the newest units are kept to be compared.
const KEPT: u32 = 64;

/// What all watchers were sent together: the first copy of every object.
#[derive(Default)]
pub struct Origin {
    objects: BTreeMap<(Unit, Name), Vec<u8>>,
    /// Every unit that anybody saw anything of.
    pub units: Vec<Unit>,
    pub newest: Option<Unit>,
    /// Units in all, once the stream has ended.
    pub ended: Option<Unit>,
    /// Objects whose name had stood for other bytes before.
    pub different: u64,
    /// Pictures and slices that are no JPEG of the size they claim.
    pub unsound: u64,
}

impl Origin {
    /// Compares with the first copy, or keeps it as such.
    fn take(&mut self, object: &ObjectView<'_>, bytes: &[u8]) {
        let unit = object.header.unit;
        if object.header.kind == Type::DESCRIPTION {
            let ended = Description::parse(object.body).ok().and_then(|description| description.ended);
            self.ended = self.ended.or(ended);
            return;
        }
        let key = (unit, object.header.name());
        if let Some(first) = self.objects.get(&key) {
            self.different += u64::from(first != bytes);
            return;
        }
        let oldest = self.newest.map_or(0, |newest| newest.0.saturating_sub(KEPT));
        if unit.0 < oldest {
            return;
        }
        self.unsound += u64::from(!is_sound(object));
        self.objects.insert(key, bytes.to_vec());
        if let Err(at) = self.units.binary_search(&unit) {
            self.units.insert(at, unit);
        }
        self.newest = self.newest.max(Some(unit));
        while self.objects.first_key_value().is_some_and(|((unit, _), _)| unit.0 < oldest) {
            self.objects.pop_first();
        }
    }
}

/// Whether the body is a picture that fits the header.
fn is_sound(object: &ObjectView<'_>) -> bool {
    let header = &object.header;
    if header.has(flags::SAME) {
        return object.body.is_empty();
    }
    if header.has(flags::WHOLE) {
        return index(object.body).is_ok_and(|index| index.size == header.size);
    }
    header_of_slice(object.body).is_ok_and(|slice| {
        let right = u32::from(header.x8) * 8 + u32::from(slice.width);
        let bottom = u32::from(header.y8) * 8 + u32::from(slice.height);
        right <= u32::from(header.size.width) && bottom <= u32::from(header.size.height)
    })
}

/// A picture of which something has come.
struct Parts {
    parts: u16,
    have: Vec<bool>,
}

/// One watcher's own account.
#[derive(Default)]
pub struct Ledger {
    session: Option<u64>,
    hops: Option<(u32, u32)>,
    open: BTreeMap<Unit, Parts>,
    /// Units of which every part has come, in that order.
    pub complete: Vec<Unit>,
    pub datagrams: u64,
    pub bytes: u64,
    pub sequenced: u64,
    pub crc_errors: u64,
    /// Not of this protocol, or impossible.
    pub malformed: u64,
    /// Datagrams that came twice.
    pub duplicates: u64,
    /// Parts that came again in another datagram: repair that was asked for in vain.
    pub repeated: u64,
    /// Datagrams behind a later one (or far behind itself), and pictures complete after a later one.
    pub out_of_order: u64,
    /// Sessions after the first.
    pub rejoined: u64,
}

impl Ledger {
    pub fn datagram(&mut self, bytes: &[u8], origin: &mut Origin) {
        self.datagrams += 1;
        self.bytes += bytes.len() as u64;
        let Ok((hop, body)) = Hop::parse(bytes) else {
            self.malformed += 1;
            return;
        };
        match hop.kind {
            Kind::OBJECT => match ObjectView::parse(body) {
                Ok(object) if self.in_session(hop) => self.object(&object, body, origin),
                Ok(_) => {}
                Err(udpstream::wire::WireError::Checksum) => self.crc_errors += 1,
                Err(_) => self.malformed += 1,
            },
            kind => match Message::parse(kind, body) {
                Ok(Message::Accept(accept)) => self.accepted(accept.session),
                Ok(_) => drop(self.in_session(hop)),
                Err(_) => self.malformed += 1,
            },
        }
    }

    fn accepted(&mut self, session: u64) {
        if self.session.is_some_and(|old| old != session) {
            self.rejoined += 1;
            self.hops = None;
        }
        self.session = Some(session);
    }

    /// Notes the place in the sequence; whether it is a new datagram of the session.
    fn in_session(&mut self, hop: Hop) -> bool {
        if self.session.is_none_or(|session| session as u32 != hop.tag) {
            return false;
        }
        if hop.kind.is_sequenced() {
            self.sequenced += 1;
            let (first, newest) = self.hops.unwrap_or((hop.sequence, hop.sequence.wrapping_sub(1)));
            let ahead = hop.sequence.wrapping_sub(newest).cast_signed();
            self.out_of_order += u64::from(ahead < 0);
            self.duplicates += u64::from(ahead == 0);
            self.hops = Some((first, if ahead > 0 { hop.sequence } else { newest }));
            return ahead != 0;
        }
        true
    }

    /// Sequences of the session that never came.
    pub fn gaps(&self) -> u64 {
        let sent = self.hops.map_or(0, |(first, newest)| u64::from(newest.wrapping_sub(first)) + 1);
        sent.saturating_sub(self.sequenced.saturating_sub(self.duplicates))
    }

    fn object(&mut self, object: &ObjectView<'_>, bytes: &[u8], origin: &mut Origin) {
        let header = &object.header;
        origin.take(object, bytes);
        if header.kind != Type::PICTURE || header.parts == 0 {
            return;
        }
        let new = || Parts { parts: header.parts, have: vec![false; usize::from(header.parts)] };
        let parts = self.open.entry(header.unit).or_insert_with(new);
        match parts.have.get_mut(usize::from(header.part)) {
            Some(have) if parts.parts == header.parts => {
                self.repeated += u64::from(std::mem::replace(have, true));
            }
            _ => self.malformed += 1,
        }
        if parts.have.iter().all(|have| *have) {
            self.open.remove(&header.unit);
            self.out_of_order += u64::from(self.complete.last().is_some_and(|last| *last >= header.unit));
            self.complete.push(header.unit);
        }
    }
}

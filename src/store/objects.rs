//! The little of an object that the store needs.

use crate::wire::ObjectView;
use crate::wire::object::Name;

/// An object's name and how many parts its unit has; 0 parts: it does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub name: Name,
    pub parts: u16,
}

/// The object that begins here, and is not damaged as far as its lengths go.
pub fn first(bytes: &[u8]) -> Option<&[u8]> {
    ObjectView::exact(bytes)
}

/// Reads an object, which must be exactly these bytes, and verifies its CRC.
pub fn parse(bytes: &[u8]) -> Option<Header> {
    let header = ObjectView::parse(bytes).ok()?.header;
    (first(bytes)?.len() == bytes.len()).then(|| Header { name: header.name(), parts: header.parts_told() })
}

/// A whole object with this body, for tests.
#[cfg(test)]
pub fn emit(name: Name, parts: u16, body: &[u8]) -> Vec<u8> {
    use crate::wire::ObjectHeader;
    let Name { stream, kind, rendition, cut, unit, part } = name;
    let header = ObjectHeader { stream, rendition, cut, ..ObjectHeader::sample(kind, unit.0, part, parts) };
    let mut out = Vec::new();
    header.emit(&mut out, |out| out.extend_from_slice(body));
    out
}

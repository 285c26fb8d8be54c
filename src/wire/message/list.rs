//! What a server has to show: the question, a page of the answer, and one entry of it.

use super::{COOKIE_LEN, State};
use crate::wire::bytes::{Put, Reader};
use crate::wire::name::StreamName;
use crate::wire::tlv::{self, Tlvs};
use crate::wire::{Description, HOP_LEN, MIN_DATAGRAM, WireError};

/// Kind 0x0a: asks for the page that begins with stream `first`, counted from 0 in the order in which they were opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    pub nonce: u64,
    pub cookie: [u8; COOKIE_LEN],
    pub first: u16,
}

impl List {
    pub(super) fn parse(mut r: Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { nonce: r.u64()?, cookie: r.array()?, first: r.u16()? })
    }

    /// Padded like a Hello: the page that answers it is no longer.
    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.u64(self.nonce);
        out.extend_from_slice(&self.cookie);
        out.u16(self.first);
        out.resize(start + MIN_DATAGRAM - HOP_LEN, 0);
    }
}

/// Kind 0x0b: a page. Its entries are ENTRY extensions, from stream `first` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<'a> {
    pub nonce: u64,
    /// How many streams there are on all pages.
    pub total: u16,
    pub first: u16,
    pub tlvs: Tlvs<'a>,
}

impl<'a> Listing<'a> {
    pub(super) fn parse(mut r: Reader<'a>) -> Result<Self, WireError> {
        Ok(Self { nonce: r.u64()?, total: r.u16()?, first: r.u16()?, tlvs: Tlvs::parse(r.rest())? })
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.u64(self.nonce);
        out.u16(self.total);
        out.u16(self.first);
        out.extend_from_slice(self.tlvs.bytes());
    }

    /// The streams on this page; an entry that cannot be read is an error of the whole page.
    pub fn entries(&self) -> Result<Vec<Entry>, WireError> {
        self.tlvs.iter().filter(|(kind, _)| *kind == tlv::kind::ENTRY).map(|(_, value)| Entry::parse(value)).collect()
    }
}

/// Bytes of a Listing in front of its entries.
pub const LISTING_HEAD: usize = 12;

/// One stream of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: StreamName,
    pub state: State,
    pub watchers: u32,
    /// It is watched with a password.
    pub guarded: bool,
    pub description: Description,
}

/// Flags of an entry.
const GUARDED: u8 = 1;

impl Entry {
    /// Reads the value of an ENTRY extension.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(value, "an entry");
        let [state, flags, _, _] = r.array()?;
        let (state, guarded) = (State::of(state)?, flags & GUARDED != 0);
        let (watchers, name) = (r.u32()?, r.text()?);
        let name = StreamName::parse(name).map_err(|_| WireError::Value { what: "the name of a stream" })?;
        Ok(Self { name, state, watchers, guarded, description: Description::parse(r.rest())? })
    }

    /// Appends an ENTRY extension: at most 400 bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut value = Vec::with_capacity(128);
        value.extend_from_slice(&[self.state as u8, if self.guarded { GUARDED } else { 0 }, 0, 0]);
        value.u32(self.watchers);
        value.text(self.name.as_str());
        self.description.emit(&mut value);
        tlv::put(out, tlv::kind::ENTRY, &value);
    }
}

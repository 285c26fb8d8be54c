//! Proofs of knowing a key without saying it: HMAC-SHA-256 over all that makes one join different from every other. The one who
//! joins proves first, and the server proves back over the same with another label, so no proof answers another.
//!
//! What this does *not* give: pictures travel in the clear, and somebody in between who passes on every datagram of a join is
//! let in by its proof.

use std::fmt;

use ring::hmac;

use super::code::LookupId;
use super::{COOKIE_LEN, same};

/// What stands behind a code or a password. The server keeps this alone.
#[derive(Clone)]
pub struct Key([u8; Self::LENGTH]);

impl Key {
    pub const LENGTH: usize = 32;

    pub const fn new(key: [u8; Self::LENGTH]) -> Self {
        Self(key)
    }

    pub(super) const fn bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    pub fn prove(&self, side: Side, exchange: &Exchange<'_>) -> Proof {
        let mut proof = Proof::default();
        proof.iter_mut().zip(self.tag(side, exchange).as_ref()).for_each(|(to, from)| *to = *from);
        proof
    }

    /// Whether this is `side`'s proof, in constant time.
    pub fn is_proven_by(&self, side: Side, exchange: &Exchange<'_>, proof: &[u8]) -> bool {
        same(self.tag(side, exchange).as_ref(), proof)
    }

    fn tag(&self, side: Side, exchange: &Exchange<'_>) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(side.label());
        let (kind, subject) = match exchange.subject {
            Subject::Name(name) => (0, name.as_bytes().to_vec()),
            Subject::Code(id) => (1, id.get().to_be_bytes().to_vec()),
        };
        context.update(&[exchange.role, kind]);
        context.update(&(subject.len() as u16).to_be_bytes());
        context.update(&subject);
        context.update(&exchange.client_nonce.to_be_bytes());
        context.update(&exchange.server_nonce.to_be_bytes());
        context.update(exchange.cookie);
        context.sign()
    }
}

impl PartialEq for Key {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Whole HMAC-SHA-256.
pub type Proof = [u8; 32];

/// Who proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Joining,
    Accepting,
}

impl Side {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Joining => b"udpstream join v1",
            Self::Accepting => b"udpstream accept v1",
        }
    }
}

/// What a proof is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A stream that is asked for by its name.
    Name(&'a str),
    /// One that is asked for by a code.
    Code(LookupId),
}

/// The join that a proof is made for.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// As on the wire.
    pub role: u8,
    pub subject: Subject<'a>,
    pub client_nonce: u64,
    pub server_nonce: u64,
    pub cookie: &'a [u8; COOKIE_LEN],
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: &[u8; COOKIE_LEN] = b"a cookie of twenty-four.";

    fn exchange() -> Exchange<'static> {
        let subject = Subject::Name("lobby");
        Exchange { role: 0, subject, client_nonce: 1, server_nonce: 2, cookie: COOKIE }
    }

    #[test]
    fn a_proof_is_of_one_join_one_side_and_one_key() {
        let key = Key::new([7; 32]);
        let proof = key.prove(Side::Joining, &exchange());
        assert!(key.is_proven_by(Side::Joining, &exchange(), &proof));
        let id = LookupId::new(5).expect("20 bits");
        let others = [
            Exchange { role: 2, ..exchange() },
            Exchange { subject: Subject::Name("lobbz"), ..exchange() },
            Exchange { subject: Subject::Name("lobb"), ..exchange() },
            Exchange { subject: Subject::Code(id), ..exchange() },
            Exchange { client_nonce: 2, server_nonce: 1, ..exchange() },
            Exchange { server_nonce: 3, ..exchange() },
            Exchange { cookie: b"another of twenty-four..", ..exchange() },
        ];
        for other in &others {
            assert!(!key.is_proven_by(Side::Joining, other, &proof), "{other:?}");
        }
        assert!(!key.is_proven_by(Side::Accepting, &exchange(), &proof), "it proves nothing back");
        assert!(!Key::new([8; 32]).is_proven_by(Side::Joining, &exchange(), &proof));
    }

    #[test]
    fn no_bit_and_no_byte_of_a_proof_may_differ() {
        let key = Key::new([7; 32]);
        let proof = key.prove(Side::Accepting, &exchange());
        for bit in 0..proof.len() * 8 {
            let mut forged = proof;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.is_proven_by(Side::Accepting, &exchange(), &forged), "bit {bit}");
        }
        for length in 0..proof.len() {
            assert!(!key.is_proven_by(Side::Accepting, &exchange(), &proof[..length]), "{length} bytes");
        }
        let longer: Vec<u8> = proof.iter().copied().chain([0]).collect();
        assert!(!key.is_proven_by(Side::Accepting, &exchange(), &longer));
    }

    /// A four-letter name and a look-up id have as many bytes.
    #[test]
    fn a_name_is_no_look_up_id_of_the_same_bytes() {
        let key = Key::new([7; 32]);
        let id = LookupId::new(u32::from_be_bytes([0, 1, 2, 3])).expect("20 bits");
        let code = Exchange { subject: Subject::Code(id), ..exchange() };
        let name = Exchange { subject: Subject::Name("\0\u{1}\u{2}\u{3}"), ..exchange() };
        assert_ne!(key.prove(Side::Joining, &code), key.prove(Side::Joining, &name));
    }

    /// Computed apart from this code, with Python's hmac.
    #[test]
    fn a_proof_is_these_bytes() {
        assert_eq!(
            Key::new([7; 32]).prove(Side::Joining, &exchange()),
            [
                0x67, 0xe3, 0x5a, 0xc7, 0xac, 0x36, 0x62, 0x02, 0xa7, 0x01, 0x47, 0x90, 0x5e, 0x78, 0x5c, 0xf4, 0x5c,
                0xfa, 0x4d, 0x60, 0x92, 0x23, 0xc1, 0x26, 0x3c, 0xfc, 0xb3, 0x12, 0xd7, 0x86, 0xb9, 0x7b,
            ]
        );
        let id = LookupId::new(0x12345).expect("20 bits");
        let code = Exchange { role: 2, subject: Subject::Code(id), ..exchange() };
        assert_eq!(
            Key::new([7; 32]).prove(Side::Accepting, &code),
            [
                0xa6, 0x8b, 0xba, 0x77, 0x22, 0x7d, 0x95, 0xb4, 0x04, 0x50, 0x1e, 0x1b, 0x30, 0xfd, 0x8d, 0x67, 0xea,
                0xe2, 0x62, 0x45, 0xa4, 0x95, 0x29, 0xd2, 0x88, 0xa9, 0x8f, 0x55, 0x03, 0x2f, 0x3e, 0x98,
            ]
        );
    }
}

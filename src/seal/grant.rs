//! What a publisher tells the server in secret: the key of its code, which it drew itself, and a key of its own by which it is known
//! again. The code itself is told to nobody.
//!
//! Its key travels under one that both agree on: X25519 (RFC 7748) of a pair of the server's, new at each of its starts, and of one
//! for this join; HKDF-SHA-256 (RFC 5869) of that with all that makes the join; ChaCha20-Poly1305 (RFC 8439), once. Where the server
//! takes only publishers with a code, that code's key is the salt, so whoever stands in between without it can neither read nor make
//! a grant; where it takes all, he can.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use x25519_dalek::{PublicKey, StaticSecret};

use super::{COOKIE_LEN, Key, LookupId, Random, Seed};

const PURPOSE: &[u8] = b"udpstream grant v1";
/// Bytes before they are sealed: flags, look-up id, key, owner's key.
const PLAIN: usize = 1 + 4 + 2 * Key::LENGTH;
const TAG: usize = 16;
/// Bytes of a sealed grant: the publisher's half of the agreement, and the rest.
pub const GRANT_LEN: usize = PUBLIC_LEN + PLAIN + TAG;
/// Bytes of one half.
pub const PUBLIC_LEN: usize = 32;
const OPEN: u8 = 1;

/// What a publisher wants its stream to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Watched by this code; `None`: listed, and open to all.
    pub code: Option<(LookupId, Key)>,
    /// Who has this too is the same publisher.
    pub owner: Key,
}

/// The join that a grant is for.
#[derive(Clone, Copy, Debug)]
pub struct GrantExchange<'a> {
    pub client_nonce: u64,
    pub cookie: &'a [u8; COOKIE_LEN],
    /// Of the code that says who may publish, if the server asks for one.
    pub allowed: Option<&'a Key>,
}

/// The server's half.
pub struct GrantKey {
    secret: StaticSecret,
    public: [u8; PUBLIC_LEN],
}

impl GrantKey {
    pub fn new(seed: &Seed) -> Self {
        // Apart from all else that is made of the seed.
        let secret = StaticSecret::from(Random::new(&super::digest([&seed[..], PURPOSE])).seed());
        let public = PublicKey::from(&secret).to_bytes();
        Self { secret, public }
    }

    pub const fn public(&self) -> [u8; PUBLIC_LEN] {
        self.public
    }

    /// The grant, if it was made for us and for this join, by somebody who may publish.
    pub fn open(&self, exchange: &GrantExchange<'_>, sealed: &[u8]) -> Option<Grant> {
        let (theirs, rest) = sealed.split_first_chunk::<PUBLIC_LEN>().filter(|_| sealed.len() == GRANT_LEN)?;
        let key = key(&self.secret, theirs, (&self.public, theirs), exchange)?;
        let mut rest = rest.to_vec();
        let plain = key.open_in_place(nonce(), Aad::empty(), &mut rest).ok()?;
        let (flags, plain) = plain.split_first()?;
        let (id, plain) = plain.split_first_chunk()?;
        let (watch, owner) = plain.split_first_chunk()?;
        let code = Some((LookupId::new(u32::from_be_bytes(*id))?, Key::new(*watch)));
        Some(Grant { code: code.filter(|_| flags & OPEN == 0), owner: Key::new(owner.try_into().ok()?) })
    }
}

impl Grant {
    /// As it travels to the server with this half; `None`: that is no half that could be.
    pub fn seal(
        &self,
        theirs: &[u8; PUBLIC_LEN],
        exchange: &GrantExchange<'_>,
        random: &mut Random,
    ) -> Option<Vec<u8>> {
        let secret = StaticSecret::from(random.seed());
        let ours = PublicKey::from(&secret).to_bytes();
        let key = key(&secret, theirs, (theirs, &ours), exchange)?;
        let nobody = (LookupId::new(0)?, Key::new([0; Key::LENGTH]));
        let (id, watch) = self.code.as_ref().unwrap_or(&nobody);
        let mut plain = vec![if self.code.is_none() { OPEN } else { 0 }];
        plain.extend_from_slice(&id.get().to_be_bytes());
        plain.extend_from_slice(watch.bytes());
        plain.extend_from_slice(self.owner.bytes());
        key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut plain).ok()?;
        Some([&ours[..], &plain].concat())
    }
}

/// Each key seals once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn key(
    secret: &StaticSecret,
    other: &[u8; PUBLIC_LEN],
    (server, publisher): (&[u8; PUBLIC_LEN], &[u8; PUBLIC_LEN]),
    exchange: &GrantExchange<'_>,
) -> Option<LessSafeKey> {
    let shared = secret.diffie_hellman(&PublicKey::from(*other));
    // A half that makes the same of every secret.
    if !shared.was_contributory() {
        return None;
    }
    let salt = exchange.allowed.map_or(&[][..], |key| key.bytes());
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(shared.as_bytes());
    let nonce = exchange.client_nonce.to_be_bytes();
    let info = [PURPOSE, server, publisher, &nonce, exchange.cookie];
    let key: UnboundKey = extracted.expand(&info, &CHACHA20_POLY1305).ok()?.into();
    Some(LessSafeKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: &[u8; COOKIE_LEN] = b"a cookie of twenty-four.";

    fn exchange() -> GrantExchange<'static> {
        GrantExchange { client_nonce: 5, cookie: COOKIE, allowed: None }
    }

    fn grant() -> Grant {
        Grant { code: LookupId::new(77).map(|id| (id, Key::new([1; 32]))), owner: Key::new([2; 32]) }
    }

    #[test]
    fn a_grant_is_read_by_its_server_for_its_join_alone() {
        let (server, other) = (GrantKey::new(&[7; 32]), GrantKey::new(&[8; 32]));
        let mut random = Random::new(&[9; 32]);
        for grant in [grant(), Grant { code: None, ..grant() }] {
            let sealed = grant.seal(&server.public(), &exchange(), &mut random).expect("sealed");
            assert_eq!(sealed.len(), GRANT_LEN);
            assert_eq!(server.open(&exchange(), &sealed), Some(grant));
            assert_eq!(other.open(&exchange(), &sealed), None);
            assert_eq!(server.open(&GrantExchange { client_nonce: 6, ..exchange() }, &sealed), None);
            let cookie = b"another of twenty-four..";
            assert_eq!(server.open(&GrantExchange { cookie, ..exchange() }, &sealed), None);
            for bit in 0..sealed.len() * 8 {
                let mut forged = sealed.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                // X25519 does not look at the highest bit of a half; but the half is part of what the key is made of.
                assert_eq!(server.open(&exchange(), &forged), None, "bit {bit}");
            }
            for length in 0..sealed.len() {
                assert_eq!(server.open(&exchange(), &sealed[..length]), None, "{length} bytes");
            }
        }
    }

    #[test]
    fn who_may_publish_is_part_of_it() {
        let (server, mut random) = (GrantKey::new(&[7; 32]), Random::new(&[9; 32]));
        let (key, wrong) = (Key::new([3; 32]), Key::new([4; 32]));
        let with = |allowed| GrantExchange { allowed, ..exchange() };
        let sealed = grant().seal(&server.public(), &with(Some(&key)), &mut random).expect("sealed");
        assert_eq!(server.open(&with(Some(&key)), &sealed), Some(grant()));
        assert_eq!(server.open(&with(Some(&wrong)), &sealed), None);
        assert_eq!(server.open(&with(None), &sealed), None);
    }

    #[test]
    fn a_half_that_makes_every_secret_the_same_is_none() {
        let (server, mut random) = (GrantKey::new(&[7; 32]), Random::new(&[9; 32]));
        for half in [[0; PUBLIC_LEN], {
            let mut one = [0; PUBLIC_LEN];
            one[0] = 1;
            one
        }] {
            assert!(grant().seal(&half, &exchange(), &mut random).is_none());
            assert_eq!(server.open(&exchange(), &[&half[..], &[0; GRANT_LEN - PUBLIC_LEN]].concat()), None);
        }
    }

    #[test]
    fn nothing_of_the_keys_is_seen() {
        let (server, mut random) = (GrantKey::new(&[7; 32]), Random::new(&[9; 32]));
        let sealed = grant().seal(&server.public(), &exchange(), &mut random).expect("sealed");
        let again = grant().seal(&server.public(), &exchange(), &mut random).expect("sealed");
        assert!(sealed != again && !sealed.windows(8).any(|bytes| bytes == [1; 8] || bytes == [2; 8]));
    }
}

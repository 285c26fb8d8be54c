//! Keys in, bytes out: join cookies, tokens, the machines' random numbers, secret codes and passwords, the proofs of knowing them, and what
//! publishers tell a server in secret.
//! Later: SFrame, tickets.
#![forbid(unsafe_code)]

mod code;
mod grant;
mod password;
mod proof;

pub use code::{Code, CodeError, LookupId};
pub use grant::{GRANT_LEN, Grant, GrantExchange, GrantKey, PUBLIC_LEN};
pub use password::{LONGEST_PASSWORD, PasswordError, SHORTEST_PASSWORD, check_password};
pub use proof::{Exchange, Key, Proof, Side, Subject};
use ring::hmac;

use crate::units::Time;

/// 32 random bytes that everything secret in one machine is derived from.
pub type Seed = [u8; 32];

/// A stream of unguessable numbers: HMAC-SHA-256 of a counter, so that a simulated run can be repeated from its seed.
pub struct Random {
    key: hmac::Key,
    counter: u64,
}

impl Random {
    pub fn new(seed: &Seed) -> Self {
        Self { key: derive(seed, b"random"), counter: 0 }
    }

    pub fn u64(&mut self) -> u64 {
        self.counter += 1;
        number(&hmac::sign(&self.key, &self.counter.to_be_bytes()))
    }

    /// A seed for another machine. Nobody can tell it from the numbers, although these are seen on the wire.
    pub fn seed(&mut self) -> Seed {
        self.counter += 1;
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"seed");
        context.update(&self.counter.to_be_bytes());
        let mut seed = Seed::default();
        seed.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        seed
    }

    /// A number that is not zero: zero stands for "none" on the wire.
    pub fn id(&mut self) -> u64 {
        loop {
            let id = self.u64();
            if id as u32 != 0 && id != 0 {
                return id;
            }
        }
    }
}

/// A seed from the operating system. `None` if it has no randomness to give.
pub fn system_seed() -> Option<Seed> {
    let mut seed = Seed::default();
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut seed).ok()?;
    Some(seed)
}

/// SHA-256 of these, each with its length before it.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    digest
}

/// Join cookies: proof that a client receives at the address it claims, without storing anything about it.
pub struct CookieJar {
    key: hmac::Key,
    nonces: hmac::Key,
}

/// Bytes of a cookie: key id, minute (low byte), 22 bytes of HMAC-SHA-256.
pub const COOKIE_LEN: usize = 24;
const MAC_LEN: usize = COOKIE_LEN - 2;
const KEY_ID: u8 = 1;

impl CookieJar {
    pub fn new(seed: &Seed) -> Self {
        Self { key: derive(seed, b"cookie"), nonces: derive(seed, b"server nonce") }
    }

    /// `subject` is whatever the cookie is bound to: address, ports, nonce.
    pub fn bake(&self, minute: u64, subject: &[u8]) -> [u8; COOKIE_LEN] {
        let mut cookie = [0; COOKIE_LEN];
        cookie[0] = KEY_ID;
        cookie[1] = minute as u8;
        cookie[2..].copy_from_slice(&self.mac(minute, subject).as_ref()[..MAC_LEN]);
        cookie
    }

    /// Whether the cookie was baked for `subject` in this minute or the last. Constant time in the MAC.
    pub fn is_ours(&self, minute: u64, subject: &[u8], cookie: &[u8; COOKIE_LEN]) -> bool {
        let baked = [Some(minute), minute.checked_sub(1)].into_iter().flatten().find(|m| *m as u8 == cookie[1]);
        let Some(baked) = baked.filter(|_| cookie[0] == KEY_ID) else { return false };
        same(&self.mac(baked, subject).as_ref()[..MAC_LEN], &cookie[2..])
    }

    /// The number that a server adds to what is proven in the join that this cookie is for. Nothing is stored: it follows from the
    /// cookie.
    pub fn server_nonce(&self, cookie: &[u8; COOKIE_LEN]) -> u64 {
        let mut context = hmac::Context::with_key(&self.nonces);
        context.update(cookie);
        number(&context.sign())
    }

    fn mac(&self, minute: u64, subject: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[KEY_ID]);
        context.update(&minute.to_be_bytes());
        context.update(subject);
        context.sign()
    }
}

/// Numbers that a watcher is told again and again and that its reports repeat. Only a client that receives this session's
/// datagrams knows the current one. Nothing is stored.
pub struct Tokens {
    key: hmac::Key,
}

impl Tokens {
    pub fn new(seed: &Seed) -> Self {
        Self { key: derive(seed, b"token") }
    }

    /// The session's token in this second.
    pub fn token(&self, now: Time, session: u64) -> u64 {
        self.of_second(now.micros() / 1_000_000, session)
    }

    /// Whether it is the session's token of this second or of one of the two before.
    pub fn is_recent(&self, now: Time, session: u64, token: u64) -> bool {
        let second = now.micros() / 1_000_000;
        (second.saturating_sub(2)..=second).any(|second| self.of_second(second, session) == token)
    }

    fn of_second(&self, second: u64, session: u64) -> u64 {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&second.to_be_bytes());
        context.update(&session.to_be_bytes());
        number(&context.sign())
    }
}

/// The first eight bytes.
fn number(tag: &hmac::Tag) -> u64 {
    tag.as_ref().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Compares in a time that depends on the lengths alone.
fn same(one: &[u8], other: &[u8]) -> bool {
    let difference = one.iter().zip(other).fold(0, |acc, (a, b)| acc | (a ^ b));
    one.len() == other.len() && std::hint::black_box(difference) == 0
}

fn derive(seed: &Seed, purpose: &[u8]) -> hmac::Key {
    let root = hmac::Key::new(hmac::HMAC_SHA256, seed);
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, purpose).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_good_for_its_subject_this_minute_and_the_next() {
        let jar = CookieJar::new(&[7; 32]);
        let cookie = jar.bake(300, b"alice");
        assert!(jar.is_ours(300, b"alice", &cookie));
        assert!(jar.is_ours(301, b"alice", &cookie));
        assert!(!jar.is_ours(302, b"alice", &cookie));
        assert!(!jar.is_ours(299, b"alice", &cookie));
        assert!(!jar.is_ours(300, b"bob", &cookie));
        assert!(!CookieJar::new(&[8; 32]).is_ours(300, b"alice", &cookie));
        for bit in 0..COOKIE_LEN * 8 {
            let mut forged = cookie;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!jar.is_ours(300, b"alice", &forged), "bit {bit}");
        }
    }

    #[test]
    fn a_seed_is_none_of_the_numbers_that_are_seen() {
        let (mut one, mut other) = (Random::new(&[7; 32]), Random::new(&[7; 32]));
        let seeds = [one.seed(), one.seed()];
        assert_ne!(seeds[0], seeds[1]);
        let numbers: Vec<_> = (0..16).map(|_| other.u64().to_be_bytes()).collect();
        assert!(seeds.iter().flat_map(|seed| seed.chunks(8)).all(|part| numbers.iter().all(|number| number != part)));
    }

    #[test]
    fn a_token_is_of_one_session_and_good_for_two_seconds() {
        let tokens = Tokens::new(&[7; 32]);
        let at = Time::from_millis;
        let token = tokens.token(at(60_900), 5);
        for (millis, recent) in [(60_000, true), (60_900, true), (62_999, true), (63_000, false), (59_999, false)] {
            assert_eq!(tokens.is_recent(at(millis), 5, token), recent, "{millis}");
        }
        assert!(!tokens.is_recent(at(60_900), 6, token) && !tokens.is_recent(at(60_900), 5, token ^ 1));
        assert!(!Tokens::new(&[8; 32]).is_recent(at(60_900), 5, token));
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let take = |seed| {
            std::iter::repeat_with({
                let mut r = Random::new(&seed);
                move || r.u64()
            })
            .take(9)
            .collect()
        };
        let (a, b, c): (Vec<u64>, Vec<u64>, Vec<u64>) = (take([1; 32]), take([1; 32]), take([2; 32]));
        assert_eq!(a, b);
        assert_ne!(a, c);
    }
}

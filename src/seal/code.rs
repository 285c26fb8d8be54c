//! Secret codes: twenty letters by which a stream is found and opened. The first four are its look-up id, which anybody may
//! see. The other sixteen are the secret: it never leaves the program that was told it, which proves that it knows the
//! [key](Key) made of it.
//!
//! The letters are Crockford's base 32 (<https://www.crockford.com/base32.html>): digits and letters without I, L, O and U. Read
//! are also I and L as 1 and O as 0, in any case, with dashes and spaces anywhere.

use std::fmt;
use std::str::FromStr;

use ring::hkdf;
use thiserror::Error;

use super::{Key, Random};

/// Letters of a code.
const LETTERS: usize = 20;
/// The first so many are the look-up id.
const LOOKUP: usize = 4;
/// Letters are shown in groups of so many.
const GROUP: usize = 4;
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// What the key is derived for (HKDF's info, RFC 5869).
const PURPOSE: &[u8] = b"udpstream code v1";

/// Which stream a code is of: the 20 bits that are no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LookupId(u32);

impl LookupId {
    /// `None`: it has more than 20 bits.
    pub const fn new(id: u32) -> Option<Self> {
        if id < 1 << (5 * LOOKUP) { Some(Self(id)) } else { None }
    }

    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for LookupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |n: usize| ALPHABET[(self.0 >> (5 * (LOOKUP - 1 - n))) as usize % 32] as char;
        (0..LOOKUP).try_for_each(|n| write!(f, "{}", letter(n)))
    }
}

/// A code. Its `Display` is the code itself, for the eyes of its owner; its `Debug` tells no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    /// 100 bits, the first letter's highest.
    bits: u128,
}

/// Why a text is no code.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CodeError {
    #[error("a code has 20 letters and digits, and this has {count}")]
    Length { count: usize },
    /// Its place counts letters from 1. The letter alone is told: the rest may be right, and a secret.
    #[error(
        "{letter:?}, letter {place} of the code, is not one that codes are made of: they have digits and letters without U"
    )]
    Letter { letter: char, place: usize },
}

impl Code {
    pub fn random(random: &mut Random) -> Self {
        let bits = u128::from(random.u64()) << 64 | u128::from(random.u64());
        Self { bits: bits >> (128 - 5 * LETTERS) }
    }

    pub const fn lookup(&self) -> LookupId {
        LookupId((self.bits >> (5 * (LETTERS - LOOKUP))) as u32)
    }

    /// The key that this code stands for: HKDF-SHA-256 (RFC 5869) of the 80 secret bits, without salt.
    pub fn key(&self) -> Key {
        let secret = &self.bits.to_be_bytes()[16 - 5 * (LETTERS - LOOKUP) / 8..];
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret);
        let mut key = [0; Key::LENGTH];
        // It fails for more than 255 hashes' worth of bytes, and this is one.
        let expanded = extracted.expand(&[PURPOSE], hkdf::HKDF_SHA256).and_then(|made| made.fill(&mut key));
        debug_assert!(expanded.is_ok(), "as long as the hash");
        Key::new(key)
    }

    /// Whether a text is a code, whole or with a slip in it, and no name: twenty letters in groups of four or in one piece; or as good
    /// as that, with digits among them. What is meant as a code must never be sent as a name.
    pub fn is_meant(text: &str) -> bool {
        let groups: Vec<&str> = text.trim().split('-').collect();
        let count: usize = groups.iter().map(|group| group.chars().count()).sum();
        let alphanumeric = groups.iter().all(|group| group.chars().all(char::is_alphanumeric));
        let in_fours = groups.iter().filter(|group| group.chars().count() == GROUP).count();
        if groups.len() == 1 || in_fours == groups.len() && count == LETTERS {
            let whole = text.parse::<Self>().is_ok();
            let slip = (LETTERS - 2..=LETTERS + 2).contains(&count) && alphanumeric && is_mixed(text);
            return whole || slip;
        }
        in_fours + 2 >= groups.len() && in_fours >= 3 && (16..=24).contains(&count) && alphanumeric && is_mixed(text)
    }

    fn letter(&self, n: usize) -> char {
        ALPHABET[(self.bits >> (5 * (LETTERS - 1 - n))) as usize % 32] as char
    }
}

impl FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let (mut bits, mut count) = (0, 0);
        for letter in text.chars().filter(|letter| *letter != '-' && !letter.is_whitespace()) {
            count += 1;
            let value = value(letter).ok_or(CodeError::Letter { letter, place: count })?;
            // What is too long is refused below, whatever its bits.
            bits = bits << 5 | u128::from(value);
        }
        if count == LETTERS { Ok(Self { bits }) } else { Err(CodeError::Length { count }) }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for n in 0..LETTERS {
            let dash = if n > 0 && n % GROUP == 0 { "-" } else { "" };
            write!(f, "{dash}{}", self.letter(n))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({}-…)", self.lookup())
    }
}

/// Whether letters and digits stand in it as in few names: at least three digits, and not all at its end.
fn is_mixed(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    digits >= 3 && text.trim_end_matches(|c: char| c.is_ascii_digit()).contains(|c: char| c.is_ascii_digit())
}

fn value(letter: char) -> Option<u8> {
    let letter = match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        letter => letter,
    };
    ALPHABET.iter().position(|known| char::from(*known) == letter).map(|at| at as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        text.parse().expect("a code")
    }

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let shown = "K7QM-01AB-CDEF-GHJK-MNPQ";
        let whole = code(shown);
        assert_eq!(whole.to_string(), shown);
        for typed in ["k7qm01abcdefghjkmnpq", " K7QM OLab cdef-ghjk--mnpq\n", "k-7-q-m-o-i-a-b-c-d-e-f-g-h-j-k-m-n-p-q"]
        {
            assert_eq!(code(typed), whole, "{typed}");
        }
        assert_eq!(whole.lookup().to_string(), "K7QM");
        assert_eq!(whole.lookup().get(), 19 << 15 | 7 << 10 | 23 << 5 | 20);
        assert_eq!(LookupId::new(whole.lookup().get()), Some(whole.lookup()));
        assert_eq!(LookupId::new(1 << 20), None);
    }

    #[test]
    fn what_is_no_code_is_told_without_the_rest_of_it() {
        let refused = |text: &str| text.parse::<Code>().expect_err("no code");
        assert_eq!(refused(""), CodeError::Length { count: 0 });
        assert_eq!(refused("K7QM-01AB-CDEF-GHJK-MNP"), CodeError::Length { count: 19 });
        assert_eq!(refused(&"7".repeat(400)), CodeError::Length { count: 400 });
        for letter in ['U', 'u', 'é', '!', '\u{1d7d9}'] {
            let error = refused(&format!("K7QM-01AB-{letter}DEF-GHJK-MNPQ"));
            assert_eq!(error, CodeError::Letter { letter, place: 9 });
            assert!(!error.to_string().contains("K7QM") && !error.to_string().contains("DEF"), "{error}");
        }
    }

    #[test]
    fn a_code_with_a_slip_is_no_name() {
        let mut random = Random::new(&[8; 32]);
        let mut unclear = 0;
        for _ in 0..500 {
            let whole = Code::random(&mut random).to_string();
            let bare = whole.replace('-', "");
            let slips =
                [&whole[1..], &whole[..23], &format!("{whole}7"), &bare[1..], &format!("{bare}7")].map(str::to_owned);
            assert!(Code::is_meant(&whole) && Code::is_meant(&bare) && Code::is_meant(&whole.to_lowercase()));
            unclear += slips.iter().filter(|slip| !Code::is_meant(slip)).count();
        }
        // Codes with two digits or fewer, or with all of them at the end.
        assert!(unclear < 100, "{unclear} of 2500");
        for name in [
            "lobby",
            "front-door-camera-east",
            "2026-11-30",
            "hall/west",
            "room-west-door-left",
            "room-west-door-1042",
            "",
        ] {
            assert!(!Code::is_meant(name), "{name}");
        }
        assert!(Code::is_meant("livingroomcamerawest"), "this one is a code");
    }

    #[test]
    fn each_bit_of_a_code_counts_and_comes_back() {
        let mut random = Random::new(&[7; 32]);
        for _ in 0..200 {
            let whole = Code::random(&mut random);
            assert_eq!(code(&whole.to_string()), whole);
        }
        let whole = Code::random(&mut random);
        for bit in 0..100 {
            let other = Code { bits: whole.bits ^ 1 << bit };
            let same = (other.lookup() == whole.lookup(), other.key() == whole.key());
            assert_eq!(same, (bit < 80, bit >= 80), "bit {bit}");
        }
    }

    /// Computed apart from this code, with Python's hmac and hashlib from RFC 5869's own words.
    #[test]
    fn the_key_is_hkdf_of_the_secret_half() {
        let expected = [
            0x39, 0x75, 0xc1, 0xb4, 0x95, 0xb0, 0xbc, 0x1b, 0x0e, 0x2b, 0x92, 0x68, 0x18, 0x95, 0x00, 0x29, 0x87, 0xe1,
            0x89, 0x85, 0xa2, 0xc8, 0xf8, 0x1c, 0xbc, 0xd3, 0xc8, 0xba, 0x2b, 0x04, 0xc8, 0x53,
        ];
        assert!(code("K7QM-01AB-CDEF-GHJK-MNPQ").key() == Key::new(expected));
        assert!(code("0000-01AB-CDEF-GHJK-MNPQ").key() == Key::new(expected));
    }

    #[test]
    fn debug_tells_the_look_up_id_only() {
        let shown = format!("{:?}", code("K7QM-01AB-CDEF-GHJK-MNPQ"));
        assert_eq!(shown, "Code(K7QM-…)");
    }
}

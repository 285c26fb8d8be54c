//! Words that people choose. They can be guessed by whoever has seen a proof, as fast as his machines allow, so each guess is made
//! expensive: Argon2id (RFC 9106) stands between the words and the key.

use argon2::{Algorithm, Argon2, Params, Version};
use thiserror::Error;

use super::{Key, digest};

/// Characters of a password, at least: each further one makes guessing some tens of times as long.
pub const SHORTEST_PASSWORD: usize = 10;
/// Bytes of one, at most.
pub const LONGEST_PASSWORD: usize = 1_024;

/// Memory in KiB, passes and lanes: the second of the choices that RFC 9106, section 4, recommends.
const COST: (u32, u32, u32) = (64 * 1_024, 3, 4);
const PURPOSE: &[u8] = b"udpstream password v1";

/// Why words are no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PasswordError {
    #[error("a password has at least 10 characters, and this has {0}: a few words that are in no book are good")]
    Short(usize),
    #[error("a password has at most 1024 bytes")]
    Long,
    /// 64 MiB are needed for a moment.
    #[error("the memory to make a key of the password is not there")]
    Memory,
}

/// Whether these words are long enough for a password, and not too long.
pub fn check_password(words: &str) -> Result<(), PasswordError> {
    match words.chars().count() {
        count if count < SHORTEST_PASSWORD => Err(PasswordError::Short(count)),
        _ if words.len() > LONGEST_PASSWORD => Err(PasswordError::Long),
        _ => Ok(()),
    }
}

impl Key {
    /// The key that these words stand for, for the stream of this name: the same words make another key elsewhere. It takes some
    /// tenths of a second and 64 MiB.
    pub fn of_password(words: &str, name: &str) -> Result<Self, PasswordError> {
        check_password(words)?;
        let (memory, passes, lanes) = COST;
        let mut key = [0; Self::LENGTH];
        let salt = digest([PURPOSE, name.as_bytes()]);
        // The numbers are good, and so are the lengths: what may fail is the memory.
        let params = Params::new(memory, passes, lanes, Some(Self::LENGTH)).map_err(|_| PasswordError::Memory)?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon.hash_password_into(words.as_bytes(), &salt, &mut key).map_err(|_| PasswordError::Memory)?;
        Ok(Self::new(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_and_make_a_key_of_their_own_for_each_name() {
        let refused = |words: &str| Key::of_password(words, "lobby").expect_err("no password");
        assert_eq!(refused("ninechars"), PasswordError::Short(9));
        assert_eq!(refused("äääääääää"), PasswordError::Short(9));
        assert_eq!(refused(&"x".repeat(1_025)), PasswordError::Long);
        let key = |words, name| Key::of_password(words, name).expect("a key");
        let lobby = key("correct horse", "lobby");
        assert!(lobby == key("correct horse", "lobby"));
        assert!(lobby != key("correct horse", "lobb") && lobby != key("correct horsf", "lobby"));
    }
}

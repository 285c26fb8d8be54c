//! NUT's numbers and texts, each of which says how long it is.

use std::io::Read;

use super::NutError;

pub(super) fn bytes<const N: usize>(input: &mut impl Read) -> Result<[u8; N], NutError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Seven bits a byte, the highest first.
pub(super) fn number(input: &mut impl Read) -> Result<u64, NutError> {
    let mut value = 0_u64;
    loop {
        let [byte] = bytes(input)?;
        if value >> 57 != 0 {
            return Err(NutError::Bad("a number is too long"));
        }
        value = value << 7 | u64::from(byte & 127);
        if byte & 128 == 0 {
            return Ok(value);
        }
    }
}

pub(super) fn signed(input: &mut impl Read) -> Result<i64, NutError> {
    number(input).map(unfold)
}

/// 0, 1, −1, 2, −2, …
pub(super) fn unfold(value: u64) -> i64 {
    let half = (value / 2 + value % 2).cast_signed();
    if value % 2 == 1 { half } else { -half }
}

pub(super) fn string<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], NutError> {
    let length = number(input)?;
    let length = usize::try_from(length).ok().filter(|&length| length <= input.len());
    let (string, rest) = input.split_at(length.ok_or(NutError::Bad("a text has no end"))?);
    *input = rest;
    Ok(string)
}

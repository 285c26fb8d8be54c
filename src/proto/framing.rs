//! Datagrams in a stream of bytes, as TCP carries them: each behind its length, a u32. What is announced makes no room; only what has come
//! is kept, and no longer than until its datagram is whole.

use crate::wire::{HOP_LEN, SizeClass};

/// Bytes of the length in front of each datagram.
pub const LENGTH: usize = 4;

/// No datagram has this length: what follows cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a datagram of {0} bytes was announced; there are 16 to 65 488 in one")]
pub struct BadLength(pub u32);

/// What stands in front of a datagram of so many bytes.
pub fn length(bytes: usize) -> [u8; LENGTH] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// Takes datagrams out of a stream.
#[derive(Debug, Default)]
pub struct Deframer {
    /// The beginning of a datagram, with its length.
    begun: Vec<u8>,
}

impl Deframer {
    /// Takes what came next; `whole` is given each datagram of which that is the end. After an error nothing more can be read.
    pub fn take(&mut self, mut bytes: &[u8], mut whole: impl FnMut(&[u8])) -> Result<(), BadLength> {
        while !bytes.is_empty() {
            if self.begun.is_empty()
                && let Some((datagram, rest)) = split(bytes)?
            {
                whole(datagram);
                bytes = rest;
                continue;
            }
            let wanted = match needed(&self.begun)? {
                Some(all) => all - self.begun.len(),
                None => LENGTH - self.begun.len(),
            };
            let (now, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.begun.extend_from_slice(now);
            bytes = rest;
            if needed(&self.begun)? == Some(self.begun.len()) {
                whole(&self.begun[LENGTH..]);
                self.begun.clear();
                self.begun.shrink_to(KEPT);
            }
        }
        Ok(())
    }

    /// Whether the rest of a datagram is still to come.
    pub const fn is_within(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Bytes of memory that are held.
    pub const fn held(&self) -> usize {
        self.begun.capacity()
    }
}

/// A datagram, and what follows it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// The first datagram of these bytes, if it is whole.
fn split(bytes: &[u8]) -> Result<Option<Split<'_>>, BadLength> {
    let Some(all) = needed(bytes)? else { return Ok(None) };
    let Some((datagram, rest)) = bytes.split_at_checked(all) else { return Ok(None) };
    Ok(Some((&datagram[LENGTH..], rest)))
}

/// How many bytes the datagram that begins here takes with its length; `None` while that is not known.
fn needed(bytes: &[u8]) -> Result<Option<usize>, BadLength> {
    let Some(length) = bytes.first_chunk::<LENGTH>() else { return Ok(None) };
    let announced = u32::from_be_bytes(*length);
    let length = announced as usize;
    if !(HOP_LEN..=SizeClass::LOOPBACK.datagram()).contains(&length) {
        return Err(BadLength(announced));
    }
    Ok(Some(LENGTH + length))
}

/// So much is kept for the next beginning.
const KEPT: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(datagrams: &[Vec<u8>]) -> Vec<u8> {
        datagrams.iter().flat_map(|datagram| [&length(datagram.len())[..], datagram].concat()).collect()
    }

    #[test]
    fn datagrams_come_out_as_they_went_in_however_the_stream_is_cut() {
        let datagrams: Vec<Vec<u8>> = [16, 1_200, 17, 65_488, 300].map(|bytes| vec![bytes as u8; bytes]).to_vec();
        let bytes = stream(&datagrams);
        for step in [1, 3, 7, 1_204, 1_205, 9_000, bytes.len()] {
            let (mut deframer, mut came) = (Deframer::default(), Vec::new());
            for part in bytes.chunks(step) {
                deframer.take(part, |datagram| came.push(datagram.to_vec())).expect("good lengths");
            }
            assert!(came == datagrams && !deframer.is_within(), "in steps of {step}");
            assert!(deframer.held() <= KEPT);
        }
    }

    #[test]
    fn what_is_announced_makes_no_room() {
        for announced in [0, 15, 65_489, 1 << 20, u32::MAX] {
            let mut deframer = Deframer::default();
            let bytes = [&announced.to_be_bytes()[..], &[0; 64]].concat();
            let mut nothing = |_: &[u8]| panic!("nothing comes");
            assert_eq!(deframer.take(&bytes, &mut nothing), Err(BadLength(announced)));
            // The same byte by byte.
            let mut deframer = Deframer::default();
            let failed = bytes.chunks(1).find_map(|byte| deframer.take(byte, &mut nothing).err());
            assert_eq!((failed, deframer.held() <= 64), (Some(BadLength(announced)), true));
        }
        let mut deframer = Deframer::default();
        deframer.take(&65_488_u32.to_be_bytes(), |_| panic!("nothing comes")).expect("a length");
        assert!(deframer.is_within() && deframer.held() <= 64, "{} bytes", deframer.held());
    }
}

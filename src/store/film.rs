//! What is known of a film apart from its objects, and the file that keeps it.

/// A film as its relay describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Film {
    pub stream: u64,
    /// The name for people, at most 200 bytes.
    pub name: String,
    /// What tells this film from another of the same stream number; opaque here.
    pub identity: Vec<u8>,
    /// The description objects of unit 0 and, once known, of unit 1.
    pub description: [Option<Vec<u8>>; 2],
    /// Nothing more will come: the relay has all of it, or all that it wants.
    pub complete: bool,
}

impl Film {
    /// The content of the film's file.
    pub(crate) fn encode(&self, last_used: u64) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(&last_used.to_be_bytes());
        out.push(u8::from(self.complete));
        push(&mut out, self.name.as_bytes());
        push(&mut out, &self.identity);
        for description in &self.description {
            out.push(u8::from(description.is_some()));
            push(&mut out, description.as_deref().unwrap_or_default());
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// The film and when it was last used; `None` if the file is damaged or of another version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, u64)> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        if u32::from_be_bytes(*crc) != crc32fast::hash(content) {
            return None;
        }
        let rest = &mut content.strip_prefix(MAGIC)?;
        let stream = u64::from_be_bytes(take(rest)?);
        let last_used = u64::from_be_bytes(take(rest)?);
        let complete = take::<1>(rest)? == [1];
        let name = String::from_utf8(pull(rest)?).ok()?;
        let identity = pull(rest)?;
        let description = [pull_optional(rest)?, pull_optional(rest)?];
        rest.is_empty().then_some((Self { stream, name, identity, description, complete }, last_used))
    }
}

fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn take<const LENGTH: usize>(rest: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (first, behind) = rest.split_first_chunk::<LENGTH>()?;
    *rest = behind;
    Some(*first)
}

fn pull(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let length = u32::from_be_bytes(take(rest)?) as usize;
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(bytes.to_vec())
}

fn pull_optional(rest: &mut &[u8]) -> Option<Option<Vec<u8>>> {
    let there = take::<1>(rest)? == [1];
    let bytes = pull(rest)?;
    Some(there.then_some(bytes))
}

const MAGIC: &[u8] = b"udpfilm1";
/// Most bytes of a film's name, as everywhere in udpstream.
pub(crate) const MOST_NAME: usize = crate::wire::name::MAX_NAME;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_comes_back_and_a_torn_one_does_not() {
        let description = [Some(vec![1, 2, 3]), None];
        let film = Film { stream: 7, name: "lobby".into(), identity: vec![9; 40], description, complete: true };
        let bytes = film.encode(1234);
        assert_eq!(Film::decode(&bytes), Some((film, 1234)));
        for cut in 0..bytes.len() {
            assert_eq!(Film::decode(&bytes[..cut]), None);
        }
    }
}

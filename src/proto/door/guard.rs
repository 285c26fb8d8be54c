//! Who may watch a stream: everybody, or whoever proves that he knows its code or password.

use std::time::Duration;

use super::{Culprit, Door, Refusal};
use crate::proto::Peer;
use crate::seal::{Exchange, Key, LookupId, Proof, Side, Subject};
use crate::units::Time;
use crate::wire::StreamName;
use crate::wire::message::{COOKIE_LEN, Join, RefuseCode, Role};
use crate::wire::tlv::kind;

/// What stands before a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    #[default]
    Open,
    /// It is in no list, and found by its code alone.
    Code(LookupId, Key),
    /// It is listed, and asks for a password.
    Password(Key),
    /// The proof is the origin's to check; see [`vouching`](crate::proto::relay).
    Elsewhere { listed: bool },
}

impl Guard {
    /// Whether a list may name it.
    pub const fn is_listed(&self) -> bool {
        !matches!(self, Self::Code(..) | Self::Elsewhere { listed: false })
    }

    /// Whether everybody may watch.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether a proof is asked for.
    pub const fn asks(&self) -> bool {
        !matches!(self, Self::Open)
    }

    /// The key, if this code leads here.
    pub fn of_code(&self, id: LookupId) -> Option<&Key> {
        match self {
            Self::Code(own, key) if *own == id => Some(key),
            _ => None,
        }
    }
}

/// Who a wrong code comes from waits before the next is looked at, longer each time; what is answered tells nothing.
const WRONG_CODE_AGAIN_MS: u32 = 1_000;
const WRONG_PASSWORD_AGAIN_MS: u32 = 5_000;

impl Refusal {
    /// A code that leads nowhere, and one that is wrong: the same answer, byte for byte.
    pub fn no_such_code() -> Self {
        let why = "There is no stream with this code here now: look at the code once more, letter for letter.";
        Self::new(RefuseCode::NO_SUCH_STREAM, why, WRONG_CODE_AGAIN_MS)
    }

    fn password(name: &StreamName, given: bool) -> Self {
        let why = if given {
            format!("That is not the password of {name}.")
        } else {
            format!("{name} is guarded: it is watched with its password.")
        };
        Self::new(RefuseCode::GUARDED, why, WRONG_PASSWORD_AGAIN_MS)
    }

    fn open(name: &StreamName) -> Self {
        let why = format!("{name} has no password: it is watched without one.");
        Self::new(RefuseCode::GUARDED, why, WRONG_PASSWORD_AGAIN_MS)
    }

    fn again_in(wait: Duration) -> Self {
        let why = "Too many wrong codes or passwords came from your network: the next is looked at after a while.";
        let wait = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).saturating_add(1);
        Self::new(RefuseCode::BUSY, why, wait)
    }
}

/// The look-up id that a Join asks by, if it asks by one.
pub fn lookup(join: &Join<'_>) -> Option<LookupId> {
    let id = join.tlvs.find(kind::LOOKUP)?;
    // A value of another length or with more bits is of no code: the highest that there can be stands for it, which is nobody's
    // more than any other.
    let id = id.try_into().ok().map(u32::from_be_bytes);
    id.and_then(LookupId::new).or(LookupId::new((1 << 20) - 1))
}

/// Role, nonce and cookie of the Join that a relay speaks for.
fn behalf<'a>(join: &Join<'a>) -> Option<(u8, u64, &'a [u8; COOKIE_LEN])> {
    let value = join.tlvs.find(kind::ON_BEHALF).filter(|_| join.role == Role::Relay)?;
    let (role, rest) = value.split_first()?;
    let (nonce, cookie) = rest.split_first_chunk()?;
    Some((*role, u64::from_be_bytes(*nonce), cookie.try_into().ok()?))
}

impl Door {
    /// What is proven in this Join.
    pub fn exchange<'a>(&self, join: &'a Join<'_>, subject: Subject<'a>) -> Exchange<'a> {
        let server_nonce = self.server_nonce(&join.cookie);
        let (role, client_nonce, cookie) = behalf(join).unwrap_or((join.role as u8, join.nonce, &join.cookie));
        Exchange { role, subject, client_nonce, server_nonce, cookie }
    }

    /// Whether a Join that asks by a code proves that it knows it. `key`: of the stream that the code is of, if there is one. Both
    /// take as long, and are answered alike.
    pub fn passes_code(
        &mut self,
        now: Time,
        from: Peer,
        join: &Join<'_>,
        id: LookupId,
        key: Option<&Key>,
    ) -> Result<(), Refusal> {
        let culprit = Culprit::new(from, Subject::Code(id), behalf(join).is_some());
        self.waits(now, culprit)?;
        let nobody = Key::new([0; Key::LENGTH]);
        let exchange = self.exchange(join, Subject::Code(id));
        let proof = join.tlvs.find(kind::PROOF).unwrap_or_default();
        let proven = key.unwrap_or(&nobody).is_proven_by(Side::Joining, &exchange, proof);
        if proven && key.is_some() {
            return Ok(());
        }
        self.penalties.fails(now, culprit);
        Err(Refusal::no_such_code())
    }

    /// Whether a Join that asks by a name may watch the stream of that name.
    pub fn passes(
        &mut self,
        now: Time,
        from: Peer,
        join: &Join<'_>,
        (name, guard): (&StreamName, &Guard),
    ) -> Result<(), Refusal> {
        let proof = join.tlvs.find(kind::PROOF);
        let key = match guard {
            Guard::Open if proof.is_none() => return Ok(()),
            Guard::Open => return Err(Refusal::open(name)),
            Guard::Code(..) | Guard::Elsewhere { listed: false } => return Err(Refusal::no_such_code()),
            Guard::Elsewhere { listed: true } => return Err(Refusal::password(name, proof.is_some())),
            Guard::Password(key) => key,
        };
        let Some(proof) = proof else { return Err(Refusal::password(name, false)) };
        let subject = Subject::Name(name.as_str());
        let culprit = Culprit::new(from, subject, behalf(join).is_some());
        self.waits(now, culprit)?;
        if key.is_proven_by(Side::Joining, &self.exchange(join, subject), proof) {
            return Ok(());
        }
        self.penalties.fails(now, culprit);
        Err(Refusal::password(name, true))
    }

    /// Whether a proof of something else is looked at now.
    pub fn may_try(&self, now: Time, from: Peer, subject: Subject<'_>) -> Result<(), Refusal> {
        self.waits(now, Culprit::new(from, subject, false))
    }

    /// It was wrong.
    pub fn note_failure(&mut self, now: Time, from: Peer, subject: Subject<'_>) {
        self.penalties.fails(now, Culprit::new(from, subject, false));
    }

    fn waits(&self, now: Time, culprit: Culprit) -> Result<(), Refusal> {
        self.penalties.wait(now, culprit).map_or(Ok(()), |wait| Err(Refusal::again_in(wait)))
    }

    /// What proves to the one who joins that this is the server he meant.
    pub fn proof(&self, join: &Join<'_>, (name, guard): (&StreamName, &Guard)) -> Option<Proof> {
        let (subject, key) = match guard {
            Guard::Open | Guard::Elsewhere { .. } => return None,
            Guard::Code(id, key) => (Subject::Code(*id), key),
            Guard::Password(key) => (Subject::Name(name.as_str()), key),
        };
        Some(key.prove(Side::Accepting, &self.exchange(join, subject)))
    }
}

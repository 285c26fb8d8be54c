//! What a client knows of a guarded stream, and how it proves that, and has it proven by the server.

use super::joining::PendingJoin;
use crate::seal::{Exchange, Key, LookupId, Side, Subject};
use crate::wire::StreamName;
use crate::wire::message::Role;
use crate::wire::tlv::{self, Tlvs, kind};

/// The key of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// Of the stream with this code, which is asked for by no name.
    Code(LookupId, Key),
    /// Made of the password of the stream of this name.
    Password(StreamName, Key),
}

impl Secret {
    const fn key(&self) -> &Key {
        match self {
            Self::Code(_, key) | Self::Password(_, key) => key,
        }
    }

    fn subject(&self) -> Subject<'_> {
        match self {
            Self::Code(id, _) => Subject::Code(*id),
            Self::Password(name, _) => Subject::Name(name.as_str()),
        }
    }

    /// Whether a Join for this stream is made with it; `None`: for none by name.
    pub fn is_of(&self, stream: Option<&StreamName>) -> bool {
        match self {
            Self::Code(..) => stream.is_none(),
            Self::Password(name, _) => stream == Some(name),
        }
    }

    fn exchange<'a>(&'a self, asked: &'a PendingJoin, role: Role) -> Exchange<'a> {
        Exchange {
            role: role as u8,
            subject: self.subject(),
            client_nonce: asked.nonce,
            server_nonce: asked.server_nonce,
            cookie: &asked.cookie,
        }
    }

    /// Appends what a Join says of it.
    pub fn put(&self, asked: &PendingJoin, role: Role, out: &mut Vec<u8>) {
        if let Self::Code(id, _) = self {
            tlv::put(out, kind::LOOKUP, &id.get().to_be_bytes());
        }
        let proof = self.key().prove(Side::Joining, &self.exchange(asked, role));
        tlv::put(out, kind::PROOF, &proof);
    }

    /// Whether an Accept comes from somebody who has the key too.
    pub fn is_proven(&self, asked: &PendingJoin, role: Role, accept: Tlvs<'_>) -> bool {
        let proof = accept.find(kind::PROOF).unwrap_or_default();
        self.key().is_proven_by(Side::Accepting, &self.exchange(asked, role), proof)
    }
}

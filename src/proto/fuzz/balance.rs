//! What the server may send to whom: no more than came from there, until a secret that was sent there has come back; and
//! no page of a listing that is longer than its question.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::proto::Transmit;
use crate::wire::message::Message;
use crate::wire::{Hop, Kind};

#[derive(Default)]
struct Account {
    came: usize,
    /// Bytes of the last List.
    asked: usize,
    went: usize,
    proven: bool,
}

#[derive(Default)]
pub struct Balance {
    accounts: BTreeMap<SocketAddr, Account>,
    secrets: BTreeSet<(SocketAddr, Vec<u8>)>,
}

impl Balance {
    /// A datagram that the server is about to get.
    pub fn came(&mut self, from: SocketAddr, bytes: &[u8]) {
        let parsed = Hop::parse(bytes).and_then(|(hop, body)| Message::parse(hop.kind, body));
        let asked = if matches!(parsed, Ok(Message::List(_))) { bytes.len() } else { 0 };
        let secret = match parsed {
            Ok(Message::Join(join)) => join.cookie.to_vec(),
            Ok(Message::List(list)) => list.cookie.to_vec(),
            Ok(Message::PathReply { token, .. }) => token.to_vec(),
            _ => Vec::new(),
        };
        let account = self.accounts.entry(from).or_default();
        account.came += bytes.len();
        account.asked = asked;
        account.proven |= self.secrets.contains(&(from, secret));
    }

    /// A datagram that the server sends.
    pub fn went(&mut self, transmit: &Transmit) {
        let kind = Hop::parse(&transmit.hop).map(|(hop, _)| hop.kind);
        let secret = match kind.and_then(|kind: Kind| Message::parse(kind, transmit.body.bytes())) {
            Ok(Message::Challenge { cookie, .. }) => Some(cookie.to_vec()),
            Ok(Message::PathCheck { token }) => Some(token.to_vec()),
            _ => None,
        };
        self.secrets.extend(secret.map(|secret| (transmit.to, secret)));
        let account = self.accounts.entry(transmit.to).or_default();
        let page = kind == Ok(Kind::LISTING);
        assert!(!page || transmit.len() <= account.asked, "a page of {} for {}", transmit.len(), account.asked);
        account.went += transmit.len();
        let fair = account.proven || account.went <= account.came;
        assert!(fair, "{} was sent {} bytes for {}", transmit.to, account.went, account.came);
    }
}

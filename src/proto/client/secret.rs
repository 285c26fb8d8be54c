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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::super::{Client, Config, Wishes};
    use super::*;
    use crate::proto::{Port, Received};
    use crate::units::Time;
    use crate::wire::message::{Accept, COOKIE_LEN, Message};
    use crate::wire::{Ecn, Hop, Kind};

    const COOKIE: [u8; COOKIE_LEN] = [3; COOKIE_LEN];

    fn hear(client: &mut Client, tag: u32, message: &Message<'_>) {
        let mut bytes = Hop::unsequenced(message.kind(), tag, 0).to_bytes().to_vec();
        message.emit(&mut bytes);
        let from = SocketAddr::from(([10, 0, 0, 1], 9));
        let datagram = Received { port: Port::PICTURES, from, local: None, ecn: Ecn::Not, bytes: &bytes };
        client.datagram(Time::from_millis(61_000), datagram);
    }

    fn said(client: &mut Client) -> Vec<(Kind, Vec<u8>)> {
        let all = std::iter::from_fn(|| client.transmit());
        all.map(|transmit| (Kind(transmit.hop[3]), transmit.body.bytes().to_vec())).collect()
    }

    /// As far as a Join; and what is proven back by somebody with this key.
    fn joined(with: &Key, forge: impl Fn(&mut Vec<u8>)) -> bool {
        let id = LookupId::new(77).expect("20 bits");
        let config = Config {
            servers: vec![SocketAddr::from(([10, 0, 0, 1], 9))].into(),
            several: false,
            port: Port::PICTURES,
            max_datagram: 0,
            stream: None,
            secret: Some(Secret::Code(id, Key::new([7; 32]))),
            wishes: Wishes::NONE,
            together: None,
            with_session: None,
            memory: Duration::ZERO,
            role: Role::Watch,
            via: Vec::new(),
            film: None,
        };
        let now = Time::from_millis(61_000);
        let mut client = Client::new(config, &[1; 32], now);
        client.tend(now, Duration::ZERO, &|_, _, _| None);
        let hello = said(&mut client).remove(0);
        let Ok(Message::Hello { nonce, .. }) = Message::parse(hello.0, &hello.1) else { panic!("{hello:?}") };
        hear(&mut client, 0, &Message::Challenge { nonce, cookie: COOKIE, server_nonce: 5, publish_key: None });
        client.tend(now, Duration::ZERO, &|_, _, _| None);
        assert_eq!(said(&mut client).remove(0).0, Kind::JOIN);
        let exchange = Exchange {
            role: Role::Watch as u8,
            subject: Subject::Code(id),
            client_nonce: nonce,
            server_nonce: 5,
            cookie: &COOKIE,
        };
        let mut proof = with.prove(Side::Accepting, &exchange).to_vec();
        forge(&mut proof);
        let mut tlvs = Vec::new();
        tlv::put(&mut tlvs, kind::PROOF, &proof);
        let (session, clock, report_interval_ms, silence_limit_ms) = (9, 0, 50, 3_000);
        let (sound_port, token, tlvs) = (0, 0, Tlvs::trusted(&tlvs));
        let accept = Accept { nonce, session, clock, report_interval_ms, silence_limit_ms, sound_port, token, tlvs };
        hear(&mut client, 9, &Message::Accept(accept));
        client.heard().is_some()
    }

    #[test]
    fn a_server_is_believed_that_has_the_key_and_no_other() {
        let key = Key::new([7; 32]);
        assert!(joined(&key, |_| {}));
        assert!(!joined(&Key::new([8; 32]), |_| {}), "another key");
        assert!(!joined(&key, Vec::clear), "no proof");
        assert!(!joined(&key, |proof| proof[31] ^= 1), "one bit");
    }
}

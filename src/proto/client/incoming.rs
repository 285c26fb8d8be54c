//! What a client makes of the datagrams that come.

use super::{Client, Event, MOST_WAITING};
use crate::proto::reception::{Receipt, Taken};
use crate::proto::{Peer, Received};
use crate::units::Time;
use crate::wire::message::Message;
use crate::wire::object::{ObjectView, Type, flags};
use crate::wire::{Hop, Kind};

impl Client {
    /// Takes a datagram in; if it brought an object of the session other than a description, that is the answer.
    pub fn datagram<'a>(&mut self, now: Time, datagram: Received<'a>) -> Option<(Receipt, ObjectView<'a>)> {
        if self.tuned.is_some() {
            return self.hear_group(now, datagram);
        }
        if !self.config.servers.has(datagram.peer()) {
            return None;
        }
        let Ok((hop, body)) = Hop::parse(datagram.bytes) else {
            self.traffic.rejected += 1;
            return None;
        };
        self.traffic.came(datagram.bytes.len());
        if matches!(hop.kind, Kind::CHALLENGE | Kind::ACCEPT | Kind::REFUSE) {
            self.outside_session(now, datagram.peer(), hop, body);
            return None;
        }
        self.in_session(now, datagram, hop, body)
    }

    fn outside_session(&mut self, now: Time, from: Peer, hop: Hop, body: &[u8]) {
        match Message::parse(hop.kind, body) {
            // They belong to no session yet: with a tag they are nobody's.
            Ok(Message::Challenge { .. } | Message::Refuse(_)) if hop.tag != 0 => self.traffic.rejected += 1,
            Ok(Message::Challenge { nonce, cookie, server_nonce, .. }) => {
                self.challenge(now, from, nonce, (cookie, server_nonce));
            }
            Ok(Message::Accept(accept)) => self.accept(now, from, hop.tag, &accept),
            Ok(Message::Refuse(refuse)) => self.refused(now, from.address, &refuse),
            Ok(_) => {}
            Err(_) => self.traffic.rejected += 1,
        }
    }

    pub(super) fn in_session<'a>(
        &mut self,
        now: Time,
        datagram: Received<'_>,
        hop: Hop,
        body: &'a [u8],
    ) -> Option<(Receipt, ObjectView<'a>)> {
        let session = self.session.as_mut()?;
        let taken = session.reception.take(now, datagram, (hop, body), &mut self.traffic);
        if !matches!(taken, Taken::Foreign) {
            self.heard_again(now);
        }
        match taken {
            Taken::Foreign | Taken::Nothing => None,
            Taken::Message(message) => {
                self.heed(now, &message);
                None
            }
            // What cannot be opened.
            Taken::Object(_, object) if object.header.has(flags::SEALED) => {
                self.reject();
                None
            }
            Taken::Object(receipt, object) if self.config.film == Some(object.header.stream) => Some((receipt, object)),
            Taken::Object(_, object) if object.header.kind == Type::DESCRIPTION => {
                let exact = ObjectView::exact(body).unwrap_or(body);
                self.description(now, &object, exact);
                None
            }
            Taken::Object(_, object) if object.header.kind == Type::TEXT => {
                self.hear(now, &object, body);
                None
            }
            Taken::Object(receipt, object) => Some((receipt, object)),
        }
    }

    fn heed(&mut self, now: Time, message: &Message<'_>) {
        if self.heed_talk(now, message) {
            return;
        }
        let Some(session) = self.session.as_mut() else { return };
        match message {
            // More of them than these wait for the socket: who asks will ask again.
            Message::PathCheck { .. } if self.out.len() >= MOST_WAITING => {}
            Message::PathCheck { token } => {
                let reply = Message::PathReply { session: session.reception.id(), token: *token };
                self.out.push_back(session.reception.say(now, &reply));
            }
            // It is no session that a group hears of.
            Message::Bye { session: 0, code, sentence } if self.tuned.is_some() => session.end(*code, sentence),
            Message::Gone { session: id, range } if *id == session.reception.id() => {
                self.events.push_back(Event::Gone(*range));
            }
            message => {
                session.heed(message);
                if std::mem::take(&mut session.jumped) {
                    self.events.push_back(Event::Jumped);
                }
            }
        }
    }
}

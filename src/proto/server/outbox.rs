//! What waits to be sent or told: messages, and objects that are no media. They are stamped when they leave.

use std::collections::VecDeque;

use crate::media::coded::Object;
use crate::proto::sender::Cargo;
use crate::proto::session::Sessions;
use crate::proto::stream::{Events, StreamKey};
use crate::proto::{Route, Transmit, hop};
use crate::units::Time;
use crate::wire::Kind;
use crate::wire::message::Message;

/// Answers to strangers are kept for a socket that takes nothing just now up to here; who gets none asks again.
const MAX_WAITING: usize = 8_192;

struct Queued {
    to: Route,
    /// `None`: to a stranger.
    session: Option<u64>,
    kind: Kind,
    tag: u32,
    body: Object,
}

/// Whether a message is not made good by the next one: then it goes through the connection, if there is one beside UDP.
fn must_arrive(kind: Kind, body: &Object) -> bool {
    let numbered = || body.bytes().first_chunk::<4>().is_some_and(|number| *number != [0; 4]);
    matches!(kind, Kind::BYE | Kind::TALK | Kind::UNSAID) || kind == Kind::UPDATE && numbered()
}

#[derive(Default)]
pub struct Outbox {
    queue: VecDeque<Queued>,
    pub events: Events,
}

impl Outbox {
    /// Whether so much waits that strangers are not answered.
    pub fn is_full(&self) -> bool {
        self.queue.len() + self.events.len() >= MAX_WAITING
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.events.is_empty()
    }

    /// A sequenced message or object to one session. It gets its place in the sequence when it leaves.
    pub fn sequenced(&mut self, slot: usize, kind: Kind, body: Vec<u8>, sessions: &Sessions) {
        let Some(session) = sessions.get(slot) else { return };
        let (to, session, tag) = (session.route(), Some(session.id), session.media.tag());
        self.queue.push_back(Queued { to, session, kind, tag, body: body.into() });
    }

    /// A message outside any sequence: in a session, or to a stranger.
    pub fn say(&mut self, to: Route, session: Option<u64>, message: &Message<'_>) {
        let mut body = Vec::with_capacity(64);
        message.emit(&mut body);
        self.say_again(to, session, message.kind(), body);
    }

    /// A message outside any sequence that is written already.
    pub fn say_again(&mut self, to: Route, session: Option<u64>, kind: Kind, body: Vec<u8>) {
        let tag = session.map_or(0, |session| session as u32);
        self.queue.push_back(Queued { to, session, kind, tag, body: body.into() });
    }

    /// The same with the tag of a session that is not among ours.
    pub fn say_as(&mut self, to: Route, tag: u32, kind: Kind, body: Vec<u8>) {
        self.queue.push_back(Queued { to, session: None, kind, tag, body: body.into() });
    }

    /// The next datagram, and the stream whose session it is in. It gets its stamp, and its number, only now, so that both
    /// are those of what left, in the order in which it left.
    pub fn next(&mut self, now: Time, sessions: &mut Sessions) -> Option<(Transmit, Option<StreamKey>)> {
        while let Some(Queued { to, session, kind, tag, body }) = self.queue.pop_front() {
            let Some(id) = session else { return Some((Transmit::new(to, hop(kind, tag, now), body), None)) };
            // The session may have ended since this was queued.
            let Some(slot) = sessions.slot(id) else { continue };
            let Some(session) = sessions.get_mut(slot) else { continue };
            let stream = Some(session.stream);
            if !kind.is_sequenced() {
                session.media.speak(now);
                let to = session.control.filter(|_| must_arrive(kind, &body)).unwrap_or(to);
                return Some((Transmit::new(to, hop(kind, tag, now), body), stream));
            }
            let cargo = if kind == Kind::PROBE { Cargo::Probe } else { Cargo::Other };
            return sessions.transmit(slot, now, kind, cargo, body).map(|transmit| (transmit, stream));
        }
        None
    }
}

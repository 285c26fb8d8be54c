//! A relay of a group: the one stream that is sent there goes on to those who ask for it here, and what they say stays here.

use super::listed::unknown;
use super::{Relay, Upstream};
use crate::proto::server::StreamKey;
use crate::proto::talk::RoomState;
use crate::proto::{Port, Received};
use crate::wire::object::Type;
use crate::wire::{Description, Hop, Kind, ObjectView, StreamName};

impl Relay {
    /// Passes on what is sent to the group that is heard on [`Port::TUNED`], as the stream of this name.
    pub fn tune(&mut self, name: StreamName) -> Option<StreamKey> {
        let listed = unknown(&name);
        let key = self.open(name, listed, false)?;
        let at = self.upstreams.iter().position(|upstream| upstream.key == key)?;
        self.upstreams[at].is_tuned = true;
        self.tune_again(at);
        Some(key)
    }

    /// A stream that comes from a group begins anew.
    pub(super) fn tune_again(&mut self, at: usize) {
        let Some(upstream) = self.upstreams.get_mut(at).filter(|upstream| upstream.is_tuned) else { return };
        upstream.tap.iter_mut().for_each(|tap| tap.is_listed = true);
        // Lines are not sent to groups: those who watch here may talk among themselves.
        self.server.set_room(upstream.key, RoomState::Here);
    }

    /// While nobody watches, a description is all that is taken from the group: it is listed. Its datagrams come in any case.
    pub(super) fn overhear(&mut self, datagram: Received<'_>) {
        let idle = |upstream: &&Upstream| upstream.is_tuned && !upstream.is_subscribed();
        if let Some(upstream) = self.upstreams.iter().find(idle)
            && let Some(description) = described(datagram.bytes).filter(|description| description.ended.is_none())
        {
            self.server.list_as(upstream.key, description);
        }
    }

    /// The port on which a stream is to be subscribed.
    pub(super) fn port_for(&mut self, at: usize) -> Option<Port> {
        let tuned = self.upstreams.get(at).is_some_and(|upstream: &Upstream| upstream.is_tuned);
        if tuned { Some(Port::TUNED) } else { self.free_port() }
    }
}

/// What a datagram of a group describes; `None`: it is no description, or damaged.
fn described(bytes: &[u8]) -> Option<Description> {
    let (hop, body) = Hop::parse(bytes).ok()?;
    // Of all that is sent there only this byte of each is looked at.
    let likely = hop.tag == 0 && hop.kind == Kind::OBJECT && body.get(1) == Some(&Type::DESCRIPTION.0);
    let object = likely.then(|| ObjectView::parse(body).ok()).flatten()?;
    Description::parse(object.body).ok().filter(|_| object.header.kind == Type::DESCRIPTION)
}

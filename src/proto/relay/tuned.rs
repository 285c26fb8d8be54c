//! A relay of a group: the one stream that is sent there goes on to those who ask for it here, and what they say stays here.

use super::listed::unknown;
use super::{Relay, Upstream};
use crate::proto::Port;
use crate::proto::server::StreamKey;
use crate::proto::talk::RoomState;
use crate::wire::StreamName;

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

    /// The port on which a stream is to be subscribed.
    pub(super) fn port_for(&mut self, at: usize) -> Option<Port> {
        let tuned = self.upstreams.get(at).is_some_and(|upstream: &Upstream| upstream.is_tuned);
        if tuned { Some(Port::TUNED) } else { self.free_port() }
    }
}

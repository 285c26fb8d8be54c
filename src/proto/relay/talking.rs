//! Talk through a relay: what is said here goes up, and lines come down from there.

use super::{Relay, Upstream};
use crate::proto::server::{self, StreamKey};
use crate::proto::talk::RoomState;
use crate::units::Time;

impl Relay {
    /// The lines of a stream are those of the one above, which are not known yet.
    pub(super) fn awaits_talk(&mut self, key: StreamKey) {
        self.server.set_room(key, RoomState::Awaited);
    }

    /// A publisher may lack a line.
    pub(super) fn note_talk(&mut self, event: &server::Event) {
        if let server::Event::Said { stream, .. } = event {
            let own = self.upstreams.iter_mut().filter(|upstream| upstream.key == *stream && upstream.is_listened_to());
            own.for_each(Upstream::stir);
        }
    }

    /// Passes on what was said here.
    pub(super) fn pass_talk(&mut self, now: Time) {
        while let Some((key, said)) = self.server.take_forward() {
            let above = self.upstreams.iter_mut().find(|upstream| upstream.key == key);
            above.into_iter().for_each(|upstream: &mut Upstream| upstream.pass_up(now, &said));
        }
    }
}

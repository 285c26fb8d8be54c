//! Sessions whose media takes another way than what must arrive.

use super::Reception;
use crate::proto::Peer;

impl Reception {
    /// The connection beside it, if there is one.
    pub const fn control(&self) -> Option<Peer> {
        self.control
    }

    /// Media comes from this peer from now on; what must arrive goes on through the connection that there is.
    pub fn split(&mut self, media: Peer) {
        self.control = self.control.or(Some(self.peer));
        self.peer = media;
    }
}

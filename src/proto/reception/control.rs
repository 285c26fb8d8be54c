//! Sessions whose media takes another way than what must arrive.

use super::Reception;
use crate::proto::Peer;

impl Reception {
    /// Everything comes through the connection again, if there is one, or nothing does.
    pub fn unite(&mut self) {
        self.peer = self.control.take().unwrap_or(self.peer);
    }

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

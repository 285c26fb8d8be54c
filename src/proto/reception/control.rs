//! Sessions that come through connections, and those whose media takes another way than what must arrive.

use super::Reception;
use crate::proto::Peer;
use crate::units::Time;
use crate::wire::object::{ObjectHeader, Type};

/// Where media comes through a connection, a report goes out after so many datagrams …
const REPORT_DATAGRAMS: usize = 16;

impl Reception {
    /// … and with each picture: whoever sends waits for that before it puts more into the connection.
    pub(super) fn tell_early(&mut self, now: Time, header: &ObjectHeader) {
        let is_last = header.kind == Type::PICTURE && header.part.saturating_add(1) == header.parts_told();
        let many = || self.hops.unreported() >= REPORT_DATAGRAMS;
        if self.peer.port.is_connections() && (is_last || many()) {
            self.report_soon(now);
        }
    }

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

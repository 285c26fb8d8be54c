//! What must hold of a receiver whenever it waits.

use super::Receiver;

impl Receiver {
    /// Panics if something grows without bound.
    pub(in crate::proto) fn assert_sound(&self) {
        assert!(self.out.is_empty() && self.events.is_empty(), "all is said");
        if let Some(session) = &self.session {
            session.hops.assert_sound();
        }
        if let Some(stream) = &self.stream {
            stream.units.assert_sound();
        }
    }
}

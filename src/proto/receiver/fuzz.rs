//! What must hold of a receiver whenever it waits.

use super::{Lane, Receiver, Second};

impl Receiver {
    /// Panics if something grows without bound.
    pub(in crate::proto) fn assert_sound(&self) {
        assert!(self.events.is_empty(), "all is said");
        self.sound.assert_sound();
        self.main.assert_sound();
        if let Second::Lane(lane, _) = &self.second {
            lane.assert_sound();
        }
    }
}

impl Lane {
    fn assert_sound(&self) {
        assert!(self.out.is_empty() && self.events.is_empty() && self.heard.is_empty(), "all is said");
        if let Some(session) = &self.session {
            session.hops.assert_sound();
        }
        if let Some(stream) = &self.stream {
            stream.units.assert_sound();
        }
    }
}

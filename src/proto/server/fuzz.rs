//! What must hold of a server whenever it waits.

use super::Server;

impl Server {
    /// Panics if something grows without bound, or if the tables disagree.
    pub(in crate::proto) fn assert_sound(&self) {
        assert!(self.sessions.slots() <= 2 * self.config.max_sessions, "a session for each of two ports");
        self.sessions.assert_sound();
        self.streams.iter().for_each(|stream| stream.assert_sound(&self.sessions));
        let members: usize = self.streams.iter().map(|stream| stream.members().len()).sum();
        assert_eq!(members, self.sessions.len(), "each session is of one stream");
        self.talking.assert_sound();
        assert!(self.outbox.is_empty(), "all is said");
    }
}

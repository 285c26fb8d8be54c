//! What must hold of a server whenever it waits.

use std::collections::BTreeSet;

use super::Server;
use super::session::Session;

impl Server {
    /// Panics if something grows without bound, or if the tables disagree.
    pub(in crate::proto) fn assert_sound(&self) {
        let live = self.sessions.iter().flatten().count();
        assert!(self.sessions.len() <= 2 * self.config.max_sessions, "a session for each of two ports");
        let viewers = self.sessions.iter().flatten().filter(|session| session.pictures).count();
        let watchers = self.sessions.iter().flatten().filter(|session| !session.is_second()).count();
        assert_eq!((self.viewers, self.watchers), (viewers, watchers), "those counted are those there");
        self.sound.assert_sound();
        assert_eq!((self.by_id.len(), self.by_peer.len()), (live, live), "each session has an id and an address");
        for (slot, session) in self.sessions.iter().enumerate() {
            let Some(session) = session else { continue };
            assert_eq!(self.by_id.get(&session.id), Some(&slot));
            assert_eq!(self.by_peer.get(&session.peer), Some(&slot));
            session.assert_sound();
        }
        assert!(self.out.is_empty() && self.events.is_empty(), "all is said");
        let slots = |of: fn(&Session) -> bool| {
            let these = self.sessions.iter().enumerate().filter(|(_, session)| session.as_ref().is_some_and(of));
            these.map(|(slot, _)| slot).collect::<BTreeSet<_>>()
        };
        let sending = slots(|session| session.sending.is_some());
        let pictures = slots(|session| session.pictures);
        assert!(
            self.turns.assert_sound(&pictures).all(|slot| sending.contains(&slot)),
            "only who has something to send is paced"
        );
    }
}

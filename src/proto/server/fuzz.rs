//! What must hold of a server whenever it waits.

use std::collections::BTreeSet;

use super::Server;

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
        let nothing = self.out.is_empty() && self.events.is_empty() && self.ready.is_empty() && self.late.is_empty();
        assert!(nothing, "all is said");
        let turns: BTreeSet<usize> = self.turns.iter().copied().collect();
        let pictures = |slot: &usize| self.sessions[*slot].as_ref().is_some_and(|session| session.pictures);
        assert!(
            turns.len() == self.turns.len() && turns.len() == viewers && turns.iter().all(pictures),
            "one turn each"
        );
        assert!(self.departing.as_ref().is_none_or(|departing| departing.left == 0), "everybody has had a turn");
        let paced =
            self.paced.iter().all(|(_, slot)| self.sessions[*slot].as_ref().is_some_and(|s| s.sending.is_some()));
        assert!(paced && self.paced.len() <= live, "only who has something to send is paced");
    }
}

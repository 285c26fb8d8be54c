//! What must hold of a receiver whenever it waits.

use super::Receiver;
use crate::proto::client::Client;
use crate::proto::lister::Fetch;

impl Receiver {
    /// Panics if something grows without bound.
    pub(in crate::proto) fn assert_sound(&self) {
        assert!(self.out.is_empty() && self.events.is_empty(), "all is said");
        self.player.assert_sound();
        self.client.assert_sound();
        self.sound_path.client().into_iter().for_each(Client::assert_sound);
        self.fetch.iter().for_each(Fetch::assert_sound);
    }
}

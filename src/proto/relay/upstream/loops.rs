//! Relays that would come to watch themselves, and rows of them that are too long.

use std::time::Duration;

use super::{Above, Upstream};
use crate::proto::Server;
use crate::proto::client::Client;
use crate::proto::server::{ITSELF, TOO_LONG};
use crate::units::Time;
use crate::wire::message::{MAX_HOPS, RefuseCode};

/// After a loop was found nobody is let in for so long, and the server above is not asked.
const BARRED: Duration = Duration::from_secs(10);

impl Upstream {
    /// Whoever asks for a stream that would come through here is told so for a while.
    pub fn bar(&self, now: Time, server: &mut Server) {
        let why =
            self.barred.as_ref().filter(|(until, _)| now < *until).map(|(_, why)| (RefuseCode::LOOP, why.clone()));
        server.bar(self.key, why);
    }

    /// The stream would come through here. If relays watch it here, one of them is the cause, and they go; the others stay.
    pub(super) fn found_loop(&mut self, now: Time, server: &mut Server, sentence: String) {
        let relays = self.client.as_ref().is_some_and(|client| client.config().via.len() > 1);
        if relays {
            server.bar_relays(self.key, Some(sentence.clone()));
            self.no_relays = Some(now + BARRED);
            (self.needs, self.next_look) = (None, Time::ZERO);
        } else {
            server.dismiss(now, self.key, &sentence);
            self.barred = Some((now + BARRED, sentence.clone()));
            self.bar(now, server);
        }
        self.over = true;
        self.above = Above::Away(sentence);
    }

    /// The relays above are too many, or this one is among them.
    pub(super) fn look_at_hops(&mut self, now: Time, server: &mut Server) {
        let Some(hops) = self.client.as_ref().map(Client::hops) else { return };
        let own = hops.iter().any(|hop| Some(hop.id) == server.relay_id());
        let sentence = if own { ITSELF } else { TOO_LONG };
        if own || hops.len() >= MAX_HOPS {
            server.dismiss(now, self.key, sentence);
            self.barred = Some((now + BARRED, sentence.to_owned()));
            self.bar(now, server);
            (self.over, self.above) = (true, Above::Away(sentence.to_owned()));
        }
    }
}

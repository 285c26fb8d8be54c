//! Goodbyes from above.

use super::{AGAIN, Above, Tapped, Upstream};
use crate::proto::relay::upstream::Assembly;
use crate::proto::server::{Feed, Local};
use crate::proto::{Input, Machine, Server};
use crate::units::Time;
use crate::wire::message::bye;

impl Upstream {
    /// A goodbye above: of a stream that has ended it goes on to those who watch; a server that was stopped is looked for again.
    pub(super) fn consider_end(&mut self, now: Time, server: &mut Server) -> bool {
        let Some(client) = self.client.as_mut() else { return false };
        let Some((code, sentence)) = client.goodbye().cloned() else { return false };
        if self.published.is_some() {
            let why = if sentence.is_empty() { "The publisher has left." } else { &sentence };
            self.end_here(now, server, why);
            return true;
        }
        if code != bye::ENDED {
            let why = if sentence.is_empty() { "The origin was stopped.".to_owned() } else { sentence };
            if self.vouched.is_some() {
                self.is_lost(server);
                return false;
            }
            self.above = Above::Away(why);
            client.look_again(now, AGAIN);
            return false;
        }
        // What has not come by now was lost.
        self.flush(now, server);
        let feed = Feed::Goodbye(code, sentence);
        server.handle(now, Input::Local(Local::Stream(self.key, feed)));
        self.leave_ended(now);
        true
    }

    pub(super) fn leave_ended(&mut self, now: Time) {
        self.client.iter_mut().for_each(|client| client.close(now));
        (self.above, self.shown, self.idle) = (Above::Over, None, None);
        self.assembly = Assembly::default();
        self.tap.iter_mut().for_each(|tap| tap.is_listed = false);
        self.tap(|| Tapped::Over);
    }
}

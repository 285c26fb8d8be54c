//! A server whose name was not known at the start: what is said meanwhile, and how watching begins.

use super::{Watching, wishes};
use crate::app::watch::{rendition, trouble};
use crate::net::Flow;
use crate::proto::receiver::{Config, Receiver};
use crate::units::Time;

impl Watching {
    /// Begins with the addresses of the server, once they are known.
    pub(super) fn find(&mut self, now: Time, receiver: &mut Receiver) -> Flow {
        let Some(finder) = self.wiring.finder.as_ref().filter(|_| !self.limits.is_over()) else {
            return Flow::Continue;
        };
        let servers = match finder.found.try_recv() {
            Ok(Ok(servers)) => servers,
            Ok(Err(error)) => return self.trouble("lost", trouble::unknown(&error, &self.subject.target.address.host)),
            Err(_) => return Flow::Continue,
        };
        if let Some(finder) = self.wiring.finder.take() {
            let sound = rendition(&self.options, self.wiring.hearing.is_heard(), &self.wiring.recordings);
            *receiver = Receiver::new(Config { servers, sound, ..finder.config }, now);
            self.wishes = wishes::Wishes::new(&self.options, &self.wiring);
            self.said.clear();
        }
        Flow::Continue
    }
}

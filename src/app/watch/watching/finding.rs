//! A server whose name was not known at the start: what is said meanwhile, and how watching begins.

use super::{Watching, wishes};
use crate::app::watch::{rendition, trouble};
use crate::net::Flow;
use crate::proto::receiver::{Config, Local, Receiver};
use crate::proto::{Input, Machine};
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

    /// Goes where the server says that it is by now.
    pub(super) fn follow(&mut self, now: Time, receiver: &mut Receiver) {
        let Some(follower) = &self.wiring.follower else { return };
        let Some(servers) = follower.found.try_iter().last() else { return };
        // Addresses become known one by one, and one that plays is still there.
        let is_lost = self.parted || !self.said.is_empty();
        let known = servers.iter().any(|server| self.subject.servers.addresses().contains(server));
        if is_lost && !known {
            let before = self.subject.server().to_owned();
            self.subject.moved(servers);
            self.output.say(&format!("The server at {before} is at {} now.", self.subject.server()));
        } else if !self.subject.may_be_at(&servers) {
            return;
        }
        receiver.handle(now, Input::Local(Local::Servers(self.subject.servers.clone())));
    }
}

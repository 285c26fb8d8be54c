//! Goodbyes of a client.

use super::Client;
use crate::units::Time;
use crate::wire::message::{Message, bye};

impl Client {
    /// Says goodbye, and nothing more.
    pub fn close(&mut self, now: Time) {
        self.say_goodbye(now);
        self.closed = true;
    }

    /// Says why, and nothing more.
    pub fn close_with(&mut self, now: Time, code: u16, sentence: &str) {
        self.say_bye(now, code, sentence);
        self.closed = true;
    }

    /// Says goodbye in the session that there is.
    pub(super) fn say_goodbye(&mut self, now: Time) {
        self.say_bye(now, bye::LEAVING, "");
    }

    fn say_bye(&mut self, now: Time, code: u16, sentence: &str) {
        if let Some(session) = self.session.as_mut().filter(|_| !self.closed && self.tuned.is_none()) {
            let id = session.reception.id();
            let goodbye = Message::Bye { session: id, code, sentence };
            self.out.push_back(session.reception.say(now, &goodbye));
        }
    }
}

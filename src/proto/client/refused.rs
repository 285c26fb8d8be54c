//! What a client makes of a refusal.

use std::net::SocketAddr;
use std::time::Duration;

use super::joining::{Ended, Step};
use super::retry::steady;
use super::{Client, Event};
use crate::units::Time;
use crate::wire::message::{Refuse, RefuseCode};
use crate::wire::tlv::printable;

/// A stream that has ended is asked for as quickly as a server that has fallen silent for so long: another server may be
/// about to take the place of the one that ends.
const ENDED_HASTE: Duration = Duration::from_secs(3);

impl Client {
    pub(super) fn refused(&mut self, now: Time, from: SocketAddr, refuse: &Refuse<'_>) {
        if refuse.nonce != self.joining.nonce || matches!(self.joining.step, Step::Joined | Step::Describe(_)) {
            return;
        }
        self.asked.retain(|asked| asked.nonce != refuse.nonce);
        let code = if refuse.other_versions().is_some() { RefuseCode::VERSION } else { refuse.code };
        let sentence = printable(refuse.sentence);
        if self.joining.returns {
            // The connection goes on.
            return self.joining.finish(now);
        }
        if let Some(session) = self.session.as_ref().filter(|_| self.joining.switch.is_some()) {
            if session.described {
                self.joining.finish(now)
            } else {
                self.search(now)
            }
            return self.events.push_back(Event::Refused { code, sentence, kept: true });
        }
        let wait = Duration::from_millis(u64::from(refuse.retry_after_ms.clamp(250, 60_000)));
        if code == RefuseCode::ENDED && self.stream.is_some() && !self.switched && !self.config.several {
            return self.refused_as_ended(now, wait, sentence);
        }
        let others = self.leave_out(now, from, wait);
        self.search(if others { now } else { now + wait });
        self.events.push_back(Event::Refused { code, sentence, kept: false });
    }

    /// The stream that was seen has ended. A server that has just said goodbye may not have gone yet: nothing is said of
    /// that for a while.
    fn refused_as_ended(&mut self, now: Time, wait: Duration, sentence: String) {
        let expected = self.session.is_none();
        let ended = self.ended.get_or_insert(Ended { since: now, told: false });
        let hasty = now.since(ended.since) < ENDED_HASTE;
        if !(ended.told || hasty && expected) {
            ended.told = true;
            self.events.push_back(Event::Refused { code: RefuseCode::ENDED, sentence, kept: false });
        }
        self.search(now + if hasty { steady() } else { wait });
    }

    /// Among several servers one that refuses is left out. Returns whether there are others to be asked.
    fn leave_out(&mut self, now: Time, server: SocketAddr, wait: Duration) -> bool {
        self.refusing.retain(|(other, until)| *other != server && now < *until);
        self.refusing.push((server, now + wait));
        self.config.several && self.refusing.len() < self.config.servers.addresses().len()
    }
}

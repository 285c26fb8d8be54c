//! From a TCP connection back to UDP, which is quicker, once that gets through: it is asked for now and then, while the connection goes
//! on.

use std::time::Duration;

use super::Client;
use super::joining::{Joining, Step};
use crate::proto::{ConnectionState, Peer, Transport};
use crate::units::Time;

/// UDP is asked for again after so long, then after twice as long each time, …
const FIRST: Duration = Duration::from_secs(10);
/// … up to this.
const LAST: Duration = Duration::from_secs(60);
/// So long an answer is waited for.
pub const RETURN_PATIENCE: Duration = Duration::from_secs(1);

/// When UDP is asked for again.
pub struct Returning {
    /// The last session went through a connection.
    connected: bool,
    /// When it began, or media went over UDP in it.
    began: Time,
    /// UDP was tried beside a connection.
    tried: bool,
    next: Time,
    wait: Duration,
}

impl Default for Returning {
    fn default() -> Self {
        Self { connected: false, began: Time::NEVER, tried: false, next: Time::NEVER, wait: FIRST }
    }
}

impl Returning {
    /// Whether connections are known to work, and sockets not.
    pub const fn was_connected(&self) -> bool {
        self.connected
    }

    /// A session begins with this server.
    pub fn begins(&mut self, now: Time, server: Peer, splits: bool) {
        let was = self.goes_by(now, server.port.is_connections());
        if self.connected && splits && !self.tried {
            self.next = now;
        } else if !(was && self.connected) {
            self.postpone(now);
        }
    }

    /// What media goes by from now on. Returns whether it was a connection before. UDP that has served for long counts as new when it
    /// fails.
    pub fn goes_by(&mut self, now: Time, connection: bool) -> bool {
        let was = std::mem::replace(&mut self.connected, connection);
        if !was && self.began != Time::NEVER && now.since(self.began) > LAST {
            self.wait = FIRST;
        }
        if was != connection || self.began == Time::NEVER {
            self.began = now;
        }
        was
    }

    pub const fn next(&self) -> Time {
        self.next
    }

    /// Whether it is asked for now; it counts as done.
    pub fn is_due(&mut self, now: Time) -> bool {
        let due = now >= self.next;
        if due {
            self.tried = true;
            self.postpone(now);
        }
        due
    }

    fn postpone(&mut self, now: Time) {
        self.next = if self.connected { now + self.wait } else { Time::NEVER };
        self.wait = if self.connected { (self.wait * 2).min(LAST) } else { self.wait };
    }
}

impl Client {
    /// Asks for UDP if it is time for that, and gives it up again if nobody answers.
    pub(super) fn look_for_socket(&mut self, now: Time) {
        if self.joining.returns {
            let unheard = matches!(self.joining.step, Step::Hello) && now >= self.joining.since + RETURN_PATIENCE;
            if unheard || self.joining.retry.is_stale() {
                self.joining.finish(now);
            }
        } else if self.may_return() && self.returning.is_due(now) {
            self.joining = Joining::start(self.random.id(), now);
            (self.joining.switch, self.joining.returns) = (Some(self.config.stream.clone()), true);
        }
    }

    fn may_return(&self) -> bool {
        let idle = self.joining.is_over() && self.trouble.is_none() && !self.accepted;
        let wanted = matches!(self.config.servers.transport, Transport::Auto | Transport::Both);
        idle && self.is_joined() && self.is_connected() && wanted
    }

    /// The server sends the media of the session that there is over UDP from now on; false: this is another session.
    pub(super) fn takes_split(&mut self, now: Time, server: Peer, id: u64) -> bool {
        let Some(session) = self.session.as_mut().filter(|session| session.reception.id() == id) else { return false };
        session.reception.split(server);
        self.returning.goes_by(now, false);
        session.reception.report_soon(now);
        self.joining.finish(now);
        self.asked.clear();
        true
    }

    /// When UDP is to be asked for, or given up.
    pub(super) fn return_deadline(&self) -> Option<Time> {
        if self.joining.returns {
            return matches!(self.joining.step, Step::Hello).then(|| self.joining.since + RETURN_PATIENCE);
        }
        self.may_return().then_some(self.returning.next)
    }

    /// Says goodbye to a server that is left for one that is reached another way.
    pub(super) fn leave_elsewhere(&mut self, now: Time, next: Peer) {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.reception.peer() != next && session.reception.control() != Some(next))
        {
            self.say_goodbye(now);
        }
    }

    /// A connection is full, has room again, or is gone: then the server is looked for.
    pub fn connection(&mut self, now: Time, peer: Peer, state: ConnectionState) {
        let ours = self
            .session
            .as_ref()
            .is_some_and(|session| session.reception.peer() == peer || session.reception.control() == Some(peer));
        if ours && state == ConnectionState::Closed && !self.accepted && !self.closed {
            // Media that goes on for a moment beside it belongs to no session.
            self.session.iter_mut().for_each(|session| session.reception.unite());
            self.search(now);
        }
    }
}

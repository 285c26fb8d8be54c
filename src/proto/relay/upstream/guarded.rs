//! A stream that is guarded above: its session was made for somebody who proved that he may watch, and cannot be made again without
//! one.

use std::time::Duration;

use super::{Above, Upstream};
use crate::proto::client::{self, Client, Wishes};
use crate::proto::reception::{Terms, report_interval};
use crate::proto::relay::vouching::Asked;
use crate::proto::{Peer, Port, Server, Servers};
use crate::seal::Seed;
use crate::units::Time;
use crate::wire::message::{Accept, Role};

impl Upstream {
    /// Whether all comes in one session that is not ours to make.
    pub(super) const fn is_single(&self) -> bool {
        self.is_place || self.vouched.is_some()
    }

    /// Whether it is in no list, whatever its name.
    pub const fn is_hidden(&self) -> bool {
        self.is_place || self.is_vacant || matches!(self.vouched, Some(Asked::Code(_)))
    }

    /// Takes a session that was made for somebody who watches here; false: there is one already.
    pub fn take_session(&mut self, now: Time, (port, server): (Port, Peer), accept: &Accept<'_>, seed: &Seed) -> bool {
        if self.client.is_some() {
            return false;
        }
        let memory = Duration::from_secs(1);
        let config = client::Config {
            servers: Servers::at(server),
            several: false,
            port,
            max_datagram: 0,
            stream: None,
            secret: None,
            wishes: Wishes::NONE,
            together: None,
            with_session: None,
            memory,
            role: Role::Relay,
            via: Vec::new(),
            film: None,
        };
        let terms = Terms {
            id: accept.session,
            peer: server,
            report_interval: report_interval(accept.report_interval_ms),
            token: accept.token,
            memory,
        };
        self.client = Some(Self::listening(Client::accepted(config, terms, self.name.clone(), seed, now)));
        (self.port, self.above, self.idle, self.waits) = (port, Above::Asked, None, false);
        self.look_soon();
        self.stirred = true;
        true
    }

    /// There is no use in the session above any more.
    pub const fn is_given_up(&mut self) {
        (self.over, self.stirred) = (self.client.is_some(), true);
    }

    /// The session above is gone, and those who watch have to prove anew.
    pub(super) fn is_lost(&mut self, server: &mut Server) {
        server.forget_watchers(self.key);
        (self.over, self.above) = (true, Above::Idle);
    }
}

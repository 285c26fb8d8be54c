//! How a publisher is let in: Hello, Challenge with the server's half of a key, Join with the grant, Accept.

use std::time::Duration;

use super::{Event, Publisher, Session};
use crate::proto::client::{RETURN_PATIENCE, Retry};
use crate::proto::server::Attachment;
use crate::proto::{Peer, Port, Received, Route, Transmit, Transport, hop};
use crate::seal::{Exchange, GrantExchange, PUBLIC_LEN, Side, Subject};
use crate::units::Time;
use crate::wire::message::{Accept, COOKIE_LEN, Join, Message, Refuse, RefuseCode, Role, Scheme, via};
use crate::wire::tlv::{self, Tlvs, kind, printable};
use crate::wire::{Kind, StreamName, VERSION};

/// After a goodbye the server, or one in its place, is asked again so soon.
pub const AGAIN: Duration = Duration::from_millis(250);
/// Another code, or the same once more, comes within this time after one was taken.
const WAITS: Duration = Duration::from_secs(2);
/// A server that takes no publishers may be another one soon.
const NO_KEY_AGAIN: Duration = Duration::from_secs(5);

/// How far it has got.
pub struct Joining {
    nonce: u64,
    step: Step,
    retry: Retry,
    since: Time,
    /// Only to leave a connection for a socket.
    pub returns: bool,
    failures: usize,
    stuck: bool,
}

enum Step {
    Hello,
    Join(PendingJoin),
    /// Refused because of the code: a new one comes.
    Waiting,
    Joined,
}

struct PendingJoin {
    server: Peer,
    cookie: [u8; COOKIE_LEN],
    server_nonce: u64,
    grant: Vec<u8>,
}

impl Joining {
    pub const fn start(nonce: u64, first: Time) -> Self {
        let (step, retry) = (Step::Hello, Retry::new(first));
        Self { nonce, step, retry, since: first, returns: false, failures: 0, stuck: false }
    }

    pub const fn is_over(&self) -> bool {
        matches!(self.step, Step::Joined)
    }

    /// Whether the session that there is would be gone on with if it were heard.
    pub const fn is_search(&self) -> bool {
        matches!(self.step, Step::Hello | Step::Join(_))
    }

    /// Nothing can even be sent.
    pub const fn is_stuck(&self) -> bool {
        self.stuck
    }

    pub const fn not_sent(&mut self) {
        self.failures += 1;
    }

    pub const fn deadline(&self) -> Option<Time> {
        self.retry.deadline()
    }

    pub fn finish(&mut self, now: Time) {
        (self.step, self.retry, self.returns) = (Step::Joined, Retry::none(now), false);
    }
}

impl Publisher {
    /// Sends what is due.
    pub(super) fn ask(&mut self, now: Time) {
        if !self.joining.retry.is_due(now) {
            return;
        }
        let servers = self.asked_servers(now).len();
        let joining = &mut self.joining;
        joining.stuck = joining.retry.tries() > 1 && joining.failures >= servers;
        joining.failures = 0;
        match &joining.step {
            Step::Join(_) if joining.retry.is_stale() => {
                self.joining = Joining::start(self.random.id(), now);
                self.joining.retry.is_due(now);
                self.say_hello(now);
            }
            Step::Hello => self.say_hello(now),
            Step::Join(_) => self.say_join(now),
            Step::Waiting | Step::Joined => {}
        }
    }

    fn asked_servers(&self, now: Time) -> Vec<Peer> {
        if self.joining.returns {
            return self.config.servers.sockets(Port::PICTURES).collect();
        }
        let (waited, connected) = (now.since(self.joining.since), self.returning.was_connected());
        self.config.servers.asked(Port::PICTURES, waited, connected)
    }

    /// Asks for UDP if it is time for that, and gives it up again if nobody answers.
    pub(super) fn look_for_socket(&mut self, now: Time) {
        if self.joining.returns {
            let unheard = matches!(self.joining.step, Step::Hello) && now >= self.joining.since + RETURN_PATIENCE;
            if unheard || self.joining.retry.is_stale() {
                self.joining.finish(now);
            }
        } else if self.may_return() && self.returning.is_due(now) {
            self.joining = Joining::start(self.random.id(), now);
            self.joining.returns = true;
        }
    }

    fn may_return(&self) -> bool {
        let connected = self.session.as_ref().is_some_and(|session| session.server.port.is_connections());
        let auto = self.config.servers.transport == Transport::Auto;
        connected && auto && self.joining.is_over() && self.trouble.is_none()
    }

    /// When UDP is to be asked for, or given up.
    pub(super) fn return_deadline(&self) -> Option<Time> {
        if self.joining.returns {
            return matches!(self.joining.step, Step::Hello).then(|| self.joining.since + RETURN_PATIENCE);
        }
        self.may_return().then(|| self.returning.next())
    }

    fn say_hello(&mut self, now: Time) {
        let message = Message::Hello { highest: VERSION, lowest: VERSION, nonce: self.joining.nonce };
        for server in self.asked_servers(now) {
            self.out.push_back(Transmit::message(server, hop(Kind::HELLO, 0, now), &message));
        }
    }

    pub(super) fn challenge(
        &mut self,
        now: Time,
        datagram: Received<'_>,
        (nonce, cookie, server_nonce): (u64, [u8; COOKIE_LEN], u64),
        key: Option<[u8; PUBLIC_LEN]>,
    ) {
        if nonce != self.joining.nonce || !matches!(self.joining.step, Step::Hello) {
            return;
        }
        let exchange = GrantExchange { client_nonce: nonce, cookie: &cookie, allowed: self.config.allowed.as_ref() };
        let sealed = key.and_then(|key| self.config.grant.seal(&key, &exchange, &mut self.random));
        let Some(grant) = sealed else {
            let sentence = "This server takes no published streams; it must run with --accept-publishers.".to_owned();
            self.events.push_back(Event::Refused { code: RefuseCode::ROLE, sentence });
            self.joining = Joining::start(self.random.id(), now + NO_KEY_AGAIN);
            return;
        };
        let asked = PendingJoin { server: datagram.peer(), cookie, server_nonce, grant };
        (self.joining.step, self.joining.retry) = (Step::Join(asked), Retry::new(now));
    }

    fn say_join(&mut self, now: Time) {
        let Step::Join(asked) = &self.joining.step else { return };
        let mut tlvs = Vec::new();
        if let Some(name) = &self.config.name {
            tlv::put(&mut tlvs, kind::STREAM, name.as_str().as_bytes());
        }
        tlv::put(&mut tlvs, kind::GRANT, &asked.grant);
        if let Some(session) = &self.session {
            tlv::put(&mut tlvs, kind::WITH_SESSION, &session.id.to_be_bytes());
        }
        let message = Message::Join(Join {
            nonce: self.joining.nonce,
            cookie: asked.cookie,
            role: Role::Publish,
            fec: Scheme::ReedSolomon.bit(),
            max_datagram: 0,
            tlvs: Tlvs::trusted(&tlvs),
        });
        self.out.push_back(Transmit::message(asked.server, hop(Kind::JOIN, 0, now), &message));
    }

    pub(super) fn accept(&mut self, now: Time, datagram: Received<'_>, tag: u32, accept: &Accept<'_>) {
        let Step::Join(asked) = &self.joining.step else { return };
        let ours =
            accept.nonce == self.joining.nonce && asked.server == datagram.peer() && tag == accept.session as u32;
        let name = accept.tlvs.text(kind::STREAM).and_then(|name| StreamName::parse(name).ok());
        let (true, Some(name)) = (ours, name) else { return };
        let exchange = Exchange {
            role: Role::Publish as u8,
            subject: Subject::Name(name.as_str()),
            client_nonce: accept.nonce,
            server_nonce: asked.server_nonce,
            cookie: &asked.cookie,
        };
        let proof = accept.tlvs.find(kind::PROOF).unwrap_or_default();
        if !self.config.grant.owner.is_proven_by(Side::Accepting, &exchange, proof) {
            // Whoever could not read the grant is not the server that it was sealed for.
            return;
        }
        let server = asked.server;
        let route = Route { peer: server, local: datagram.local };
        let attachment = Attachment { id: accept.session, route, via: via(accept.tlvs) };
        self.server.attach(now, self.key, attachment);
        self.returning.begins(now, server, false);
        self.session = Some(Session { id: accept.session, server });
        self.joining.finish(now);
        // It goes by this name from now on, also after the server was started anew.
        self.config.name = Some(name.clone());
        let again = std::mem::replace(&mut self.known, true);
        self.trouble = None;
        self.events.push_back(Event::Accepted { server: server.address, name, again });
    }

    pub(super) fn refused(&mut self, now: Time, refuse: &Refuse<'_>) {
        if refuse.nonce != self.joining.nonce || !self.joining.is_search() {
            return;
        }
        if self.joining.returns {
            // The connection goes on.
            return self.joining.finish(now);
        }
        let code = if refuse.other_versions().is_some() { RefuseCode::VERSION } else { refuse.code };
        let wait = Duration::from_millis(u64::from(refuse.retry_after_ms.clamp(250, 60_000)));
        // Silence is looked at anew once it asks again.
        (self.since, self.trouble) = (now + wait.max(WAITS), None);
        if code == RefuseCode::TAKEN {
            (self.joining.step, self.joining.retry) = (Step::Waiting, Retry::none(now));
            return self.events.push_back(Event::Taken);
        }
        self.joining = Joining::start(self.random.id(), now + wait);
        self.events.push_back(Event::Refused { code, sentence: printable(refuse.sentence) });
    }
}

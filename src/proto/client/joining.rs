//! Finding a server and staying with it: Hello, Challenge, Join, Accept, and all that again when it falls silent, or when
//! another of its streams is wanted. Meanwhile the session that there is goes on.

use std::time::Duration;

use super::retry::Retry;
use super::session::Session;
use super::wishes::{Wanting, Wishes};
use super::{Client, Event, Secret, Trouble};
use crate::proto::clocksync::ClockSync;
use crate::proto::reception::{Reception, Terms, report_interval};
use crate::proto::{Peer, Servers, Transmit, Transport, hop};
use crate::units::Time;
use crate::wire::message::{Accept, COOKIE_LEN, Join, MAX_HOPS, Message, RelayHop, Role, Scheme, put_via, via};
use crate::wire::tlv::{self, Tlvs, kind};
use crate::wire::{Kind, StreamName, VERSION};

/// After this much silence the server counts as lost.
const LOST_AFTER: Duration = Duration::from_millis(1_200);
/// After a halt of this machine Challenges may be read before the pictures that waited with them.
const SECOND_THOUGHTS: Duration = Duration::from_millis(100);
/// Nobody may be slow to answer for longer than this without a word about it.
const NOBODY_AFTER: Duration = Duration::from_secs(1);
/// Joins whose Accept is still taken. Each switch that replaces another leaves one behind.
const MOST_ASKED: usize = 4;

/// How far joining has got.
pub struct Joining {
    pub nonce: u64,
    /// The stream to switch to, while the session that there is goes on; `None`: any session will do.
    pub switch: Option<Option<StreamName>>,
    /// That is only to leave a connection for a socket.
    pub returns: bool,
    pub step: Step,
    pub retry: Retry,
    pub since: Time,
    /// Datagrams of this try that could not be sent, and whether that was all of them the last time.
    failures: usize,
    stuck: bool,
}

pub enum Step {
    Hello,
    Join(PendingJoin),
    /// Accepted; until the Description is there, Join is repeated.
    Describe(PendingJoin),
    Joined,
}

/// A Join, as it goes out each time.
#[derive(Clone)]
pub struct PendingJoin {
    pub nonce: u64,
    server: Peer,
    pub cookie: [u8; COOKIE_LEN],
    pub server_nonce: u64,
    stream: Option<StreamName>,
    secret: Option<Secret>,
    wishes: Wishes,
    switch: bool,
}

impl PendingJoin {
    /// Whether it is to prove what it proves to somebody behind the server, and does so from now on.
    fn takes(&mut self, nonce: u64, server: Peer, cookie: [u8; COOKIE_LEN], server_nonce: u64) -> bool {
        let same = (self.nonce, self.server, self.cookie) == (nonce, server, cookie) && self.secret.is_some();
        same && std::mem::replace(&mut self.server_nonce, server_nonce) != server_nonce
    }
}

/// What is known of the end of a stream that was seen.
pub struct Ended {
    /// When it was first said.
    pub since: Time,
    /// [`Event::Refused`] has been told.
    pub told: bool,
}

impl Joining {
    /// The first Hello leaves at `first`.
    pub const fn start(nonce: u64, first: Time) -> Self {
        let retry = Retry::new(first);
        Self { nonce, switch: None, returns: false, step: Step::Hello, retry, since: first, failures: 0, stuck: false }
    }

    /// Nobody is asked.
    pub const fn listening(since: Time) -> Self {
        let (step, retry) = (Step::Joined, Retry::none(since));
        Self { nonce: 0, switch: None, returns: false, step, retry, since, failures: 0, stuck: false }
    }

    /// A datagram of this try could not be sent.
    pub const fn not_sent(&mut self) {
        self.failures += 1;
    }

    /// When to try again.
    pub const fn deadline(&self) -> Option<Time> {
        self.retry.deadline()
    }

    pub const fn is_over(&self) -> bool {
        matches!(self.step, Step::Joined)
    }

    /// Whether the session that there is would be taken up again if it were heard.
    const fn is_search(&self) -> bool {
        self.switch.is_none() && matches!(self.step, Step::Hello | Step::Join(_))
    }

    fn step(&mut self, step: Step, retry: Retry) {
        (self.step, self.retry) = (step, retry);
    }

    pub fn finish(&mut self, now: Time) {
        (self.switch, self.returns) = (None, false);
        self.step(Step::Joined, Retry::none(now));
    }
}

impl Client {
    /// Looks for a server from `first` on, whichever session there is.
    pub(super) fn search(&mut self, first: Time) {
        self.asked.clear();
        if self.tuned.is_some() {
            self.joining = Joining::listening(first);
            return;
        }
        self.joining = Joining::start(self.random.id(), first);
    }

    /// Sends the Hello or Join that is due, and notices a server that has fallen silent.
    pub(super) fn look_for_server(&mut self, now: Time) {
        if self.joining.is_over()
            && !self.waits_to_be_asked()
            && self.session.as_ref().is_some_and(|session| now >= session.suspect_at())
        {
            self.search(now);
        }
        if self.joining.retry.is_due(now) {
            self.try_again(now);
        }
        let trouble = self.trouble_at(now).filter(|trouble| self.trouble != Some(*trouble));
        if let Some(trouble) = trouble {
            self.trouble = Some(trouble);
            self.events.push_back(Event::Trouble(trouble));
        }
    }

    fn try_again(&mut self, now: Time) {
        let servers = self.asked_servers(now).len();
        let joining = &mut self.joining;
        joining.stuck = joining.retry.tries() > 1 && joining.failures >= servers;
        joining.failures = 0;
        match &joining.step {
            Step::Join(_) | Step::Describe(_) if joining.retry.is_stale() => {
                let switch = joining.switch.take();
                self.search(now);
                self.joining.switch = switch;
                self.joining.retry.is_due(now);
                self.send_hello(now);
            }
            Step::Hello => self.send_hello(now),
            Step::Join(asked) | Step::Describe(asked) => {
                let asked = asked.clone();
                self.send_join(now, &asked);
            }
            Step::Joined => {}
        }
    }

    /// Another stream of the same server: asked of the server that there is a session with, or else of all.
    pub fn switch(&mut self, now: Time, stream: Option<StreamName>) {
        if self.tuned.is_some() {
            return;
        }
        let plays = self.session.as_ref().is_some_and(|session| session.bye.is_none());
        let there = self.config.stream == stream || stream.is_some() && self.name() == stream.as_ref();
        if plays && there && self.asked.is_empty() {
            // That is the one that plays; a switch of which the server knows nothing yet is taken back.
            self.config.stream = stream;
            if self.joining.switch.is_some() {
                self.joining.finish(now);
            }
            return;
        }
        if self.joining.switch.as_ref() == Some(&stream) {
            return;
        }
        if plays {
            self.joining = Joining::start(self.random.id(), now);
            self.joining.switch = Some(stream);
        } else if !there {
            (self.config.stream, self.switched) = (stream, true);
            self.search(now);
        }
    }

    /// Whom a Hello goes to: in a switch the server that plays, unless that has fallen silent.
    fn asked_servers(&self, now: Time) -> Vec<Peer> {
        if let (Some(session), Some(_), None) = (&self.session, &self.joining.switch, self.trouble) {
            let peer = session.reception.peer();
            if !self.joining.returns {
                return vec![peer];
            }
            let splits = self.config.servers.transport == Transport::Both;
            let sockets = self.config.servers.sockets(self.config.port);
            return sockets.filter(|socket| !splits || socket.address.ip() == peer.address.ip()).collect();
        }
        let waited = now.since(self.joining.since);
        let asked = self.config.servers.asked(self.config.port, waited, self.returning.was_connected());
        let refuses =
            |server: &Peer| self.refusing.iter().any(|(other, until)| *other == server.address && now < *until);
        let willing: Vec<_> = asked.iter().copied().filter(|server| !refuses(server)).collect();
        if willing.is_empty() { asked } else { willing }
    }

    /// The server may be at these addresses from now on. The session that there is lasts as long as it is heard.
    pub fn move_to(&mut self, mut servers: Servers) {
        let peers =
            self.session.iter().flat_map(|session| [Some(session.reception.peer()), session.reception.control()]);
        peers.flatten().for_each(|peer| servers.add(peer));
        self.config.servers = servers;
    }

    /// Whether silence is no reason to look for a server: the other end has asked for the session, or nobody ever asks.
    const fn waits_to_be_asked(&self) -> bool {
        self.accepted || self.tuned.is_some()
    }

    /// What is to be said about the silence by now, if anything.
    fn trouble_at(&self, now: Time) -> Option<Trouble> {
        let (limit, silent) = self.silence()?;
        (now >= limit).then_some(if self.joining.stuck { Trouble::Network } else { silent })
    }

    /// When silence becomes trouble, and which. After a goodbye, or a refusal, enough has been said.
    fn silence(&self) -> Option<(Time, Trouble)> {
        match &self.session {
            Some(session) => Some((session.reception.heard() + LOST_AFTER, Trouble::Silent)),
            None if self.stream.is_none()
                && matches!(self.trouble, None | Some(Trouble::Nobody | Trouble::Network)) =>
            {
                Some((self.joining.since + NOBODY_AFTER, Trouble::Nobody))
            }
            None => None,
        }
    }

    /// When silence is looked at next.
    pub(super) fn alarm(&self) -> Option<Time> {
        let looks = self.joining.is_over() && !self.waits_to_be_asked();
        let suspect = self.session.as_ref().filter(|_| looks).map(Session::suspect_at);
        let trouble = self.silence().filter(|_| self.trouble.is_none()).map(|(limit, _)| limit);
        [suspect, trouble].into_iter().flatten().min()
    }

    /// The session lives: what is looked for because of its silence is not needed.
    pub(super) fn heard_again(&mut self, now: Time) {
        if !self.session.as_ref().is_some_and(|session| session.described) {
            return;
        }
        if self.joining.is_search() {
            self.joining.finish(now);
        } else if self.joining.switch.is_none() && !self.waits_to_be_asked() {
            return;
        }
        if self.trouble.take().is_some() {
            self.events.push_back(Event::HeardAgain);
        }
    }

    /// After a goodbye: looks for the server, or one in its place, after `wait`, for as long as it takes.
    pub fn look_again(&mut self, now: Time, wait: Duration) {
        self.say_goodbye(now);
        self.session = None;
        self.trouble = None;
        match self.joining.switch.take() {
            // What is on its way is not asked for again.
            Some(stream) => (self.config.stream, self.switched) = (stream, true),
            None => self.search(now + wait),
        }
    }

    /// As after a goodbye, and as if no stream had ever been there. If the session was switched to its stream, the one before
    /// is wanted again, at once.
    pub fn set_aside(&mut self, now: Time, wait: Duration) {
        let before = self.before.take();
        let wait = if before.is_some() { Duration::ZERO } else { wait };
        self.config.stream = before.unwrap_or_else(|| self.config.stream.take());
        self.look_again(now, wait);
        self.stream = None;
    }

    fn send_hello(&mut self, now: Time) {
        let message = Message::Hello { highest: VERSION, lowest: VERSION, nonce: self.joining.nonce };
        let hellos = self.asked_servers(now).into_iter();
        let hellos: Vec<_> = hellos.map(|to| Transmit::message(to, hop(Kind::HELLO, 0, now), &message)).collect();
        self.out.extend(hellos);
    }

    fn send_join(&mut self, now: Time, asked: &PendingJoin) {
        let mut tlvs = Vec::new();
        // Media of the session that there is is to come another way.
        let splits = self.joining.returns && self.config.servers.transport == Transport::Both;
        if let Some(id) = self.session.as_ref().map(|session| session.reception.id()).filter(|_| splits) {
            tlv::put(&mut tlvs, kind::WITH_SESSION, &id.to_be_bytes());
        }
        if let Some(stream) = &asked.stream {
            tlv::put(&mut tlvs, kind::STREAM, stream.as_str().as_bytes());
        }
        if let Some(party) = &self.config.together {
            tlv::put(&mut tlvs, kind::TOGETHER, party.as_bytes());
        }
        if let Some(secret) = &asked.secret {
            secret.put(asked, self.config.role, &mut tlvs);
        }
        if let Some(id) = self.config.with_session {
            tlv::put(&mut tlvs, kind::WITH_SESSION, &id.to_be_bytes());
        }
        if self.config.role == Role::Relay {
            put_via(&mut tlvs, &self.config.via);
        }
        let wishes = asked.wishes.opening();
        if !wishes.is_empty() {
            tlv::put(&mut tlvs, kind::WANT, &wishes);
        }
        let message = Message::Join(Join {
            nonce: asked.nonce,
            cookie: asked.cookie,
            role: self.config.role,
            fec: Scheme::ReedSolomon.bit(),
            max_datagram: self.config.max_datagram,
            tlvs: Tlvs::trusted(&tlvs),
        });
        self.out.push_back(Transmit::message(asked.server, hop(Kind::JOIN, 0, now), &message));
    }

    pub(super) fn challenge(
        &mut self,
        now: Time,
        server: Peer,
        nonce: u64,
        (cookie, server_nonce): ([u8; COOKIE_LEN], u64),
    ) {
        // A session that is only suspected to be gone gets a moment to prove that it is not.
        let suspected = self.session.is_some() && self.joining.switch.is_none();
        let patient = suspected && now < self.joining.since + SECOND_THOUGHTS;
        if let Step::Join(asked) = &mut self.joining.step
            && asked.takes(nonce, server, cookie, server_nonce)
        {
            // A relay hands on what the origin asks.
            let asked = asked.clone();
            self.asked.iter_mut().filter(|old| old.nonce == nonce).for_each(|old| old.server_nonce = server_nonce);
            return self.send_join(now, &asked);
        }
        if nonce != self.joining.nonce || !matches!(self.joining.step, Step::Hello) || patient {
            return;
        }
        let stream = self.joining.switch.clone().unwrap_or_else(|| self.config.stream.clone());
        let switch = self.joining.switch.is_some() && !self.joining.returns || self.switched;
        let secret = self.config.secret.clone().filter(|secret| secret.is_of(stream.as_ref()));
        let wishes = self.config.wishes;
        let asked = PendingJoin { nonce, server, cookie, server_nonce, stream, secret, wishes, switch };
        if self.asked.len() == MOST_ASKED {
            self.asked.remove(0);
        }
        self.asked.push(asked.clone());
        self.joining.step(Step::Join(asked), Retry::new(now));
    }

    /// Takes up a session that a server has made, for the Join in hand or for one that another switch has replaced.
    pub(super) fn accept(&mut self, now: Time, from: Peer, tag: u32, accept: &Accept<'_>) {
        let ours = |asked: &PendingJoin| asked.nonce == accept.nonce && asked.server == from;
        let Some(at) = self.asked.iter().position(ours).filter(|_| tag == accept.session as u32) else { return };
        let secret = self.asked[at].secret.as_ref();
        if secret.is_some_and(|secret| !secret.is_proven(&self.asked[at], self.config.role, accept.tlvs)) {
            // Somebody else who would like to be the server.
            self.traffic.rejected += 1;
            return;
        }
        // Those before it are of no session any more: this one has taken their place.
        let Some(asked) = self.asked.drain(..=at).next_back() else { return };
        let in_hand = asked.nonce == self.joining.nonce;
        if self.takes_split(now, asked.server, accept.session) {
            return;
        }
        let mut clock = ClockSync::default();
        if in_hand && self.joining.retry.tries() == 1 {
            // After a repeat nobody knows which Join was answered; the first clock update will tell the time.
            clock.exchange(self.joining.retry.sent(), Duration::ZERO, Time::from_micros(accept.clock), now);
        }
        self.begin_session(now, &asked, accept, clock);
        if in_hand {
            self.asked.clear();
            (self.joining.switch, self.joining.returns) = (None, false);
            self.joining.step(Step::Describe(asked), Retry::soon(now));
        }
    }

    fn begin_session(&mut self, now: Time, asked: &PendingJoin, accept: &Accept<'_>, clock: ClockSync) {
        let terms = Terms {
            id: accept.session,
            peer: asked.server,
            report_interval: report_interval(accept.report_interval_ms),
            token: accept.token,
            memory: self.config.memory,
        };
        let mut wanting = Wanting::new(asked.wishes);
        // What was wished since the Join left.
        wanting.wish(now, self.config.wishes);
        self.leave_elsewhere(now, asked.server);
        let old = self.session.take();
        self.before = match &old {
            Some(old) if !old.described => self.before.take(),
            Some(old) if old.bye.is_none() => Some(self.config.stream.clone()),
            _ => None,
        };
        self.before = self.before.take().filter(|_| asked.switch);
        self.past = old.map(|session| session.reception.into_hops());
        self.session = Some(Session {
            name: accept.tlvs.text(kind::STREAM).and_then(|name| StreamName::parse(name).ok()),
            sound_port: accept.sound_port,
            switched: asked.switch,
            hops: via(accept.tlvs).into_iter().take(MAX_HOPS).map(|id| RelayHop { id, age: None }).collect(),
            ..Session::new(Reception::new(terms, clock, now), wanting)
        });
        self.config.stream.clone_from(&asked.stream);
        let splits = self.config.servers.transport == Transport::Both;
        self.returning.begins(now, asked.server, splits);
        (self.trouble, self.switched, self.ended) = (None, false, None);
    }
}

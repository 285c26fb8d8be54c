//! The publisher: a [`Server`] whose streams go to one server of others, which passes them on. It finds that server, tells it in
//! secret what the stream is to be, stays with it, and comes back under the same grant.

mod joining;
mod talking;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use joining::Joining;

use super::client::Returning;
pub use super::client::Trouble;
use super::server::{self, Server, StreamConfig, StreamKey};
pub use super::talk::TalkNews;
use super::talk::{Ear, KnownLines};
use super::{Input, Machine, Output, Peer, Reason, Received, Servers, Transmit};
use crate::seal::{Grant, Key, Random, Seed};
use crate::units::Time;
use crate::wire::message::{Message, RefuseCode, bye};
use crate::wire::{Hop, Kind, StreamName};

/// After this much silence the server counts as lost, …
const LOST_AFTER: Duration = Duration::from_millis(1_200);
/// … and before that it is asked whether it is there.
const SUSPECT_AFTER: Duration = Duration::from_millis(500);
/// Nobody may be slow to answer for longer than this without a word about it.
const NOBODY_AFTER: Duration = Duration::from_secs(1);

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Config {
    pub seed: Seed,
    /// Where the server may be: all are asked, the first to answer is taken.
    pub servers: Servers,
    /// What the stream is to be called there.
    pub name: Option<StreamName>,
    pub grant: Grant,
    /// Of the code that says who may publish.
    pub allowed: Option<Key>,
    /// Of the server half. Nobody but the server at the other end is let in.
    pub server: server::Config,
}

/// What the program around the publisher tells it.
pub enum Local {
    Server(server::Local),
    /// Another code was drawn, as the one before is taken.
    Grant(Grant),
    /// Says this to all who watch the stream.
    Say(String),
}

/// What the publisher tells the program around it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Server(server::Event),
    /// The server takes the stream, under this name. `again`: it had done so before.
    Accepted {
        server: SocketAddr,
        name: StreamName,
        again: bool,
    },
    /// It does not, and is asked again after a while.
    Refused {
        code: RefuseCode,
        sentence: String,
    },
    /// The code is another's: [`Local::Grant`] brings a new one.
    Taken,
    Trouble(Trouble),
    /// The server is heard again after [`Event::Trouble`].
    HeardAgain,
    /// The server at the other end has said goodbye, with this sentence.
    Dismissed(String),
    /// What people say of the stream.
    Talk(TalkNews),
}

/// The session with the server at the other end.
#[derive(Clone, Debug)]
struct Session {
    id: u64,
    server: Peer,
}

/// See the head of this file.
pub struct Publisher {
    server: Server,
    key: StreamKey,
    config: Config,
    random: Random,
    joining: Joining,
    /// The way back from a connection to UDP.
    returning: Returning,
    session: Option<Session>,
    /// It was accepted before.
    known: bool,
    /// What was last said about silence.
    trouble: Option<Trouble>,
    since: Time,
    finished: bool,
    ear: Option<Ear>,
    lines: KnownLines,
    out: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Publisher {
    pub fn new(config: Config, stream: StreamConfig, now: Time) -> Self {
        let mut random = Random::new(&config.seed);
        let (server, key) = Server::single(config.server.clone(), stream);
        Self {
            server,
            key,
            joining: Joining::start(random.id(), now),
            returning: Returning::default(),
            config,
            random,
            session: None,
            known: false,
            trouble: None,
            since: now,
            finished: false,
            ear: None,
            lines: KnownLines::default(),
            out: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The server half, of use to whatever makes pictures.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    pub const fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    pub const fn stream(&self) -> StreamKey {
        self.key
    }

    /// Whether the server at the other end takes the stream at present.
    pub const fn is_accepted(&self) -> bool {
        self.session.is_some()
    }

    fn datagram(&mut self, now: Time, datagram: Received<'_>) {
        if !self.config.servers.has(datagram.peer()) {
            return;
        }
        let Ok((hop, body)) = Hop::parse(datagram.bytes) else { return };
        match (hop.kind, Message::parse(hop.kind, body)) {
            (Kind::CHALLENGE, Ok(Message::Challenge { nonce, cookie, server_nonce, publish_key })) => {
                self.challenge(now, datagram, (nonce, cookie, server_nonce), publish_key);
            }
            (Kind::ACCEPT, Ok(Message::Accept(accept))) => self.accept(now, datagram, hop.tag, &accept),
            (Kind::REFUSE, Ok(Message::Refuse(refuse))) => self.refused(now, &refuse),
            (Kind::BYE, Ok(Message::Bye { session, code, sentence })) => {
                self.bye(now, datagram, session, code, sentence)
            }
            (Kind::OBJECT | Kind::TALK | Kind::UNSAID, _) => self.talk_datagram(now, datagram, hop, body),
            (Kind::REPORT | Kind::NACK | Kind::WANT | Kind::PATH_REPLY | Kind::GET, _)
                if self.is_of_session(&datagram) =>
            {
                self.server.handle(now, Input::Datagram(datagram));
            }
            _ => {}
        }
    }

    fn is_of_session(&self, datagram: &Received<'_>) -> bool {
        self.session.as_ref().is_some_and(|session| session.server == datagram.peer())
    }

    /// The server will not have the stream any more, or is stopped; or it answers our own goodbye.
    fn bye(&mut self, now: Time, datagram: Received<'_>, id: u64, code: u16, sentence: &str) {
        if !self.session.as_ref().is_some_and(|session| session.id == id && session.server == datagram.peer()) {
            return;
        }
        self.server.handle(now, Input::Datagram(datagram));
        if self.server.heard(id).is_some() {
            return;
        }
        self.session = None;
        if code != bye::LEAVING {
            self.events.push_back(Event::Dismissed(crate::wire::tlv::printable(sentence)));
        }
        self.joining = Joining::start(self.random.id(), now + joining::AGAIN);
        (self.since, self.trouble) = (now, None);
    }

    /// Looks after the session: whether the server is heard, and whether it is to be asked again.
    fn tend(&mut self, now: Time) {
        if self.finished {
            return;
        }
        if let Some(session) = &self.session {
            match self.server.heard(session.id) {
                None => {
                    self.session = None;
                    self.since = now;
                    if self.joining.is_over() {
                        self.joining = Joining::start(self.random.id(), now);
                    }
                }
                Some(heard) => self.look_at_silence(now, now.since(heard)),
            }
        }
        self.tend_talk(now);
        self.look_for_socket(now);
        self.ask(now);
        let limit = if self.known { LOST_AFTER } else { NOBODY_AFTER };
        if self.session.is_none() && self.trouble.is_none() && now >= self.since + limit {
            let nobody = if self.known { Trouble::Silent } else { Trouble::Nobody };
            self.tell_trouble(if self.joining.is_stuck() { Trouble::Network } else { nobody });
        }
    }

    fn look_at_silence(&mut self, now: Time, silent: Duration) {
        if silent < SUSPECT_AFTER {
            if self.joining.is_search() && !self.joining.returns {
                self.joining.finish(now);
            }
            if self.trouble.take().is_some() {
                self.events.push_back(Event::HeardAgain);
            }
        } else if self.joining.is_over() {
            self.joining = Joining::start(self.random.id(), now);
        }
        if silent >= LOST_AFTER && self.trouble.is_none() {
            self.tell_trouble(Trouble::Silent);
        }
    }

    fn tell_trouble(&mut self, trouble: Trouble) {
        self.trouble = Some(trouble);
        self.events.push_back(Event::Trouble(trouble));
    }

    /// When it has something to do.
    fn deadline(&self) -> Option<Time> {
        if self.finished {
            return None;
        }
        let heard = self.session.as_ref().and_then(|session| self.server.heard(session.id));
        let suspect = heard.filter(|_| self.joining.is_over()).map(|heard| heard + SUSPECT_AFTER);
        let untold = self.trouble.is_none();
        let lost = heard.filter(|_| untold).map(|heard| heard + LOST_AFTER);
        let limit = if self.known { LOST_AFTER } else { NOBODY_AFTER };
        let nobody = (self.session.is_none() && untold).then(|| self.since + limit);
        [self.joining.deadline(), suspect, lost, nobody, self.return_deadline(), self.talk_deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Machine for Publisher {
    type Local = Local;
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_, Local>) {
        match input {
            Input::Datagram(datagram) => self.datagram(now, datagram),
            Input::NotSent(port, to, failure) => {
                self.joining.not_sent();
                self.server.handle(now, Input::NotSent(port, to, failure));
            }
            Input::Connection(peer, state) => self.server.handle(now, Input::Connection(peer, state)),
            Input::Local(Local::Server(local)) => self.server.handle(now, Input::Local(local)),
            Input::Local(Local::Say(text)) => self.speak(now, text),
            Input::Local(Local::Grant(grant)) => {
                self.config.grant = grant;
                self.joining = Joining::start(self.random.id(), now);
            }
        }
    }

    fn poll(&mut self, now: Time) -> Output<Event> {
        self.tend(now);
        if let Some(transmit) = self.out.pop_front() {
            return Output::Send(transmit);
        }
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        match self.server.poll(now) {
            Output::Send(transmit) => Output::Send(transmit),
            Output::Event(event) => {
                self.finished |= event == server::Event::Finished;
                Output::Event(Event::Server(event))
            }
            Output::Wait(at, reason) => match self.deadline().filter(|own| *own < at) {
                // What is due already was looked at above.
                Some(own) if own > now => Output::Wait(own, Reason::Retry),
                Some(_) => Output::Wait(at.min(now + LOST_AFTER), Reason::Retry),
                None => Output::Wait(at, reason),
            },
        }
    }
}

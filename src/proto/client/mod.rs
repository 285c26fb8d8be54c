//! The client of a server: joins, stays joined, switches between its streams, tells it what is wished, and hands out
//! descriptions and objects. What becomes of them is not its concern: a watcher plays them, a relay passes them on.

mod accepted;
mod described;
mod event;
mod incoming;
mod joining;
mod leaving;
mod refused;
mod retry;
mod returning;
mod secret;
mod session;
mod talking;
mod tuned;
mod wishes;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

pub use event::{Event, Found, Stream, Trouble};
pub use retry::{Retry, steady};
pub use returning::{RETURN_PATIENCE, Returning};
pub use secret::Secret;
pub use wishes::Wishes;

use super::hops::Hops;
use super::reception::{InTime, Receipt, Traffic};
use super::talk::Ear;
use super::{Port, Reason, Servers, Soonest, Transmit, Transport};
use crate::media::coded::Object;
use crate::seal::{Random, Seed};
use crate::units::{Time, Timing, Unit};
use crate::wire::StreamName;
use crate::wire::message::{InForce, Message, NameRange, RelayHop, Role, State};
use crate::wire::tlv::Tlvs;
use joining::{Ended, Joining, PendingJoin};
pub use session::Played;
use session::Session;
use tuned::Tuned;

/// Datagrams that may wait to be sent while a socket is full.
const MOST_WAITING: usize = 4_096;

/// What a client is for.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the server may be: all are asked, the first to answer is taken.
    pub servers: Servers,
    /// They are servers of their own: one that refuses is left out for a while, and the others are asked.
    pub several: bool,
    /// Over which of our sockets, or through connections of which port.
    pub port: Port,
    /// Largest datagram wanted; 0: no limit.
    pub max_datagram: u16,
    /// Which stream; `None`: the server's first. After a switch it is the one that was switched to.
    pub stream: Option<StreamName>,
    /// What is known of it, if it is guarded.
    pub secret: Option<Secret>,
    /// What each session is made with.
    pub wishes: Wishes,
    /// Of a film on demand: it is watched with those who name the same.
    pub together: Option<String>,
    /// The session of pictures that this one belongs to.
    pub with_session: Option<u64>,
    /// Arrivals are remembered for at least so long.
    pub memory: Duration,
    pub role: Role,
    /// Of a relay: its id, and those of the relays below it.
    pub via: Vec<u64>,
    /// The film whose objects are asked for: not even its description concerns the stream that plays.
    pub film: Option<u64>,
}

pub struct Client {
    config: Config,
    random: Random,
    joining: Joining,
    /// Joins that may still be accepted, oldest first.
    asked: Vec<PendingJoin>,
    session: Option<Session>,
    /// What came in the session before this one, of which pictures may still be held.
    past: Option<(u64, Hops)>,
    stream: Option<Stream>,
    traffic: Traffic,
    /// What was last said about silence; none while all is well.
    trouble: Option<Trouble>,
    /// Another stream was chosen while there was no session.
    switched: bool,
    /// The stream that played before the session was switched to this one.
    before: Option<Option<StreamName>>,
    /// The stream that was seen has ended, as refusals say since the last session.
    ended: Option<Ended>,
    /// Servers that are not asked until then.
    refusing: Vec<(SocketAddr, Time)>,
    /// The other end has asked for the session, and asks again if need be.
    accepted: bool,
    /// The way back from a connection to UDP.
    returning: Returning,
    /// What hears and says the lines of the stream.
    ear: Option<Ear>,
    /// It listens to a group; `None`: it asks a server.
    tuned: Option<Tuned>,
    /// Said goodbye for good.
    closed: bool,
    out: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Client {
    pub fn new(config: Config, seed: &Seed, now: Time) -> Self {
        let mut random = Random::new(seed);
        Self {
            joining: Joining::start(random.id(), now),
            config,
            random,
            asked: Vec::new(),
            session: None,
            past: None,
            stream: None,
            traffic: Traffic::default(),
            trouble: None,
            switched: false,
            before: None,
            ended: None,
            refusing: Vec::new(),
            accepted: false,
            returning: Returning::default(),
            ear: None,
            tuned: None,
            closed: false,
            out: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Objects of this film are asked for from now on.
    pub fn set_film(&mut self, film: Option<u64>) {
        self.config.film = film;
        self.session.iter_mut().for_each(|session| session.reception.set_film(film));
    }

    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The stream that is played, or was before the session that is being made.
    pub const fn stream(&self) -> Option<&Stream> {
        self.stream.as_ref()
    }

    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// What came was nothing that could be asked for.
    pub const fn reject(&mut self) {
        self.traffic.rejected += 1;
    }

    /// Accepted and described.
    pub fn is_joined(&self) -> bool {
        self.joined().is_some()
    }

    fn joined(&self) -> Option<&Session> {
        self.session.as_ref().filter(|session| session.described)
    }

    /// Id, server and sound port of the session, once it is described. Through a connection, sound comes with the pictures.
    pub fn session(&self) -> Option<(u64, SocketAddr, u16)> {
        let session = self.joined()?;
        Some((session.reception.id(), session.reception.peer().address, session.sound_port))
    }

    /// Whether the session goes through a TCP connection, media and all.
    pub fn is_connected(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.reception.peer().port.is_connections())
    }

    /// What the session uses.
    pub fn transport(&self) -> Transport {
        let split = self.session.as_ref().is_some_and(|session| session.reception.control().is_some());
        Transport::of(self.is_connected(), split)
    }

    /// The name of the stream that was joined.
    pub fn name(&self) -> Option<&StreamName> {
        self.session.as_ref()?.name.as_ref()
    }

    /// Where a server is asked for something outside any session: where the session is, or wherever it may be.
    pub fn servers(&self) -> Servers {
        self.session.as_ref().map_or_else(|| self.config.servers.clone(), |s| Servers::at(s.reception.peer()))
    }

    pub fn rtt(&self) -> Option<Duration> {
        self.session.as_ref()?.reception.clock().rtt()
    }

    /// Relays between the origin and the server, as the server told last, and how old pictures are when they leave each.
    pub fn hops(&self) -> &[RelayHop] {
        self.session.as_ref().map_or(&[], |session| &session.hops)
    }

    /// What the server sends at present, as it told last in this session.
    pub fn in_force(&self) -> Option<InForce> {
        self.session.as_ref()?.in_force
    }

    /// When the moments of the stream are, or were, due at the server, in our clock.
    pub fn timing(&self) -> Option<Timing> {
        self.session.as_ref()?.timing()
    }

    /// How a film on demand is played; `None`: it is none.
    pub fn played(&self) -> Option<Played> {
        self.session.as_ref()?.played()
    }

    /// Which jump of a film on demand this session was told of last.
    pub fn jump(&self) -> Option<u32> {
        self.session.as_ref()?.jump.map(|jump| jump.number)
    }

    /// The sender shows nothing just now, and says so.
    pub fn is_paused(&self) -> bool {
        let timeline = self.session.as_ref().and_then(|session| session.timeline);
        timeline.is_some_and(|timeline| timeline.state == State::Paused)
    }

    /// Code and sentence of the server's goodbye.
    pub fn goodbye(&self) -> Option<&(u16, String)> {
        self.session.as_ref()?.bye.as_ref()
    }

    /// How many datagrams between these two of a session did not come; `None`: nothing is known of it any more.
    pub fn missing_between(&self, session: u64, after: u64, before: u64) -> Option<usize> {
        let now = self.session.as_ref().map(|session| (session.reception.id(), session.reception.hops()));
        let past = self.past.as_ref().map(|(id, hops)| (*id, hops));
        let (_, hops) = [now, past].into_iter().flatten().find(|(id, _)| *id == session)?;
        Some(hops.missing_between(after, before))
    }

    /// What is wished of each session to come, and of this one.
    pub fn wish(&mut self, now: Time, opening: Wishes, here: Wishes) {
        self.config.wishes = opening;
        if self.tuned.is_some() {
            return;
        }
        // Who is asked for nothing goes on saying what the stream is.
        let waits = self.accepted && !self.is_joined();
        let here = if waits { Wishes { paused: true, ..Wishes::NONE } } else { here };
        if let Some(session) = &mut self.session {
            session.wanting.wish(now, here);
        }
        self.send_want(now);
    }

    /// What is wished of each session to come.
    pub const fn open_with(&mut self, opening: Wishes) {
        self.config.wishes = opening;
    }

    /// Sends the Want that is due.
    fn send_want(&mut self, now: Time) {
        let Some(session) = self.session.as_mut().filter(|_| !self.closed) else { return };
        if let Some((number, tlvs)) = session.wanting.due(now) {
            let want = Message::Want { session: session.reception.id(), number, tlvs: Tlvs::trusted(&tlvs) };
            self.out.push_back(session.reception.say(now, &want));
        }
    }

    /// Asks for objects, in the session that there is.
    pub fn get(&mut self, now: Time, range: NameRange) {
        if let Some(session) = self.session.as_mut().filter(|session| session.described) {
            let get = Message::Get { session: session.reception.id(), range };
            self.out.push_back(session.reception.say(now, &get));
        }
    }

    /// A datagram could not be sent. There is no route, perhaps for a moment: the retry timer is the answer.
    pub const fn not_sent(&mut self) {
        self.traffic.send_errors += 1;
        self.joining.not_sent();
    }

    /// An object that was rebuilt from parity and what has come.
    pub fn rebuilt(&mut self, now: Time) -> Option<(Receipt, Object)> {
        self.session.as_mut()?.reception.rebuilt(now)
    }

    /// So long a picture is waited for at most, after it could have been complete.
    pub fn set_patience(&mut self, patience: Duration) {
        self.session.iter_mut().for_each(|session| session.reception.set_patience(patience));
    }

    /// So long a picture is waited for at most after it could have been whole.
    pub fn waits(&self) -> Duration {
        self.session.as_ref().map_or(Duration::ZERO, |session| session.reception.waits())
    }

    /// Until when it is worth waiting for what is missing of this picture; `None` as long as that cannot be told.
    pub fn awaited(&self, now: Time, unit: Unit) -> Option<Time> {
        self.session.as_ref()?.reception.awaited(now, unit)
    }

    /// So long after sound is missed it is there; zero where none was missed lately.
    pub fn sound_takes(&self, now: Time) -> Duration {
        self.session.as_ref().map_or(Duration::ZERO, |session| session.reception.sound_takes(now))
    }

    /// Does what is due; `held`: so much media waits here to be played; `in_time`: until when what is missing would be of use.
    pub fn tend(&mut self, now: Time, held: Duration, in_time: InTime<'_>) {
        if self.closed {
            return;
        }
        self.look_for_socket(now);
        self.look_for_server(now);
        if self.tuned.is_some() {
            return self.tend_tuned(now);
        }
        self.send_want(now);
        self.tend_talk(now);
        self.ask_for_missing(now, in_time);
        let report = self.session.as_mut().and_then(|session| session.reception.report(now, held));
        self.out.extend(report);
    }

    /// What does not fit one Nack goes into further ones.
    fn ask_for_missing(&mut self, now: Time, in_time: InTime<'_>) {
        let Self { session, traffic, out, .. } = self;
        let Some(session) = session.as_mut().filter(|session| session.described) else { return };
        out.extend(std::iter::from_fn(|| session.reception.nack(now, in_time, traffic)));
    }

    /// When the other end was heard last.
    pub fn heard(&self) -> Option<Time> {
        self.session.as_ref().map(|session| session.reception.heard())
    }

    /// What is to be sent next.
    pub fn transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// What is to be told next.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to tend it next.
    pub fn soonest(&self) -> Soonest {
        if self.closed {
            return Soonest::new();
        }
        let session = self.session.as_ref();
        let asks = session.filter(|_| self.tuned.is_none());
        let report = asks.and_then(|session| session.reception.report_deadline());
        let want = session.and_then(|session| session.wanting.deadline());
        let described = session.filter(|session| session.described);
        let repair = described.and_then(|session| session.reception.recovery_deadline());
        Soonest::new()
            .or(self.joining.deadline(), Reason::Retry)
            .or(report, Reason::Report)
            .or(want, Reason::Retry)
            .or(repair, Reason::Repair)
            .or(self.talk_deadline(), Reason::Retry)
            .or(self.alarm(), Reason::Retry)
            .or(self.return_deadline(), Reason::Retry)
    }

    /// For fuzzing: panics if something grows without bound.
    pub fn assert_sound(&self) {
        assert!(self.out.is_empty() && self.events.is_empty(), "all is said");
        if let Some(session) = &self.session {
            session.reception.assert_sound();
        }
    }
}

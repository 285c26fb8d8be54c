//! The server: a door, sessions, and any number of streams, each with a timeline of its own.
//!
//! What is to be sent leaves in this order: messages, then a datagram of each stream that has one, in turns.

mod api;
mod attaching;
mod connections;
mod fuzz;
mod grouping;
mod joining;
mod networks;
mod outbox;
mod passing;
mod supplying;
mod talking;
mod upkeep;
mod viewing;

use std::collections::BTreeSet;
use std::time::Duration;

pub use api::{Adaptation, Config, Event, Feed, Local, SessionView, Totals};
pub(in crate::proto) use attaching::Attachment;
pub use grouping::MOST_GROUPS;
use networks::Networks;
use outbox::Outbox;
pub use passing::{ITSELF, TOO_LONG};

use super::door::Door;
pub use super::door::Guard;
use super::sender::Control;
pub use super::sender::{RepairStats, SessionStats};
pub use super::session::{Gone, GroupConfig, PARITY};
use super::session::{Session, Sessions};
pub use super::stream::{Adoption, Needs, StreamConfig, StreamKey};
use super::stream::{Meter, Stream};
pub use super::talk::TalkRules;
use super::{Input, Machine, Output, Peer, Reason, Received, Route, SendFailure, Soonest, Transmit, Transport};
use crate::proto::schedule::Demand;
use crate::seal::{Random, Tokens};
use crate::units::Time;
use crate::wire::message::Message;
use crate::wire::{Description, Hop, Report};
use talking::Talking;
pub use viewing::{Films, Library, MOST_PARTY};

/// How long a watcher may be silent. Only reports that echo something recent count as heard.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(3);
/// Sessions are looked after this often.
const UPKEEP: Duration = Duration::from_millis(50);

/// Events wait for what is to be sent, but no longer than this.
const EVENT_PATIENCE: Duration = Duration::from_millis(5);

/// See the head of this file.
pub struct Server {
    config: Config,
    door: Door,
    tokens: Tokens,
    random: Random,
    /// By their keys.
    streams: Vec<Stream>,
    sessions: Sessions,
    /// Films that are joined by their names.
    library: Option<Library>,
    /// Streams of films that nobody watches any more.
    vacant: Vec<StreamKey>,
    /// Which streams are sent to which groups.
    groups: Vec<(StreamKey, GroupConfig)>,
    outbox: Outbox,
    /// The stream whose turn it is to send.
    turn: usize,
    meter: Meter,
    networks: Networks,
    /// Slots of sessions that have asked for something with Get.
    supplied: BTreeSet<usize>,
    talking: Talking,
    overloaded: bool,
    /// The sentence with which all was stopped.
    stopped: Option<String>,
    finished: bool,
    /// When the event queue was last empty.
    silent_since: Time,
    last_upkeep: Time,
    /// When it was asked last what to do.
    polled: Time,
    /// What is of no stream.
    totals: Totals,
}

impl Server {
    pub fn new(config: Config) -> Self {
        Self {
            door: Door::new(&config.seed, config.limits(), config.publish_key),
            tokens: Tokens::new(&config.seed),
            random: Random::new(&config.seed),
            config,
            streams: Vec::new(),
            sessions: Sessions::default(),
            library: None,
            vacant: Vec::new(),
            groups: Vec::new(),
            outbox: Outbox::default(),
            turn: 0,
            meter: Meter::default(),
            networks: Networks::default(),
            supplied: BTreeSet::new(),
            talking: Talking::default(),
            overloaded: false,
            stopped: None,
            finished: false,
            silent_since: Time::ZERO,
            last_upkeep: Time::ZERO,
            polled: Time::ZERO,
            totals: Totals::default(),
        }
    }

    /// A server of one stream.
    pub fn single(config: Config, stream: StreamConfig) -> (Self, StreamKey) {
        let mut server = Self::new(config);
        let key = server.open(stream);
        (server, key)
    }

    /// One more stream; the first is the one that watchers join who name none. Names should differ: of two streams with
    /// the same name only the first is found.
    pub fn open(&mut self, config: StreamConfig) -> StreamKey {
        let key = StreamKey::new(self.streams.len());
        let mut stream = Stream::new(key, self.random.id(), config, &self.config.talk);
        match &self.stopped {
            Some(sentence) => stream.cancel(sentence, &mut self.outbox.events),
            None => self.finished = false,
        }
        self.streams.push(stream);
        key
    }

    /// Describes a stream anew, because its source has turned out to be different. Returns false, and changes nothing, once
    /// somebody watches it or something was taken from its source.
    pub fn describe(&mut self, key: StreamKey, description: Description) -> bool {
        self.streams.get_mut(key.index()).is_some_and(|stream| stream.describe(description))
    }

    fn stream(&self, key: StreamKey) -> Option<&Stream> {
        self.streams.get(key.index())
    }

    /// The stream id of the wire; 0 if there is no such stream.
    pub fn id(&self, key: StreamKey) -> u64 {
        self.stream(key).map_or(0, Stream::id)
    }

    pub fn description(&self, key: StreamKey) -> Option<&Description> {
        self.stream(key).map(Stream::description)
    }

    pub fn keys(&self) -> impl Iterator<Item = StreamKey> + use<> {
        (0..self.streams.len()).map(StreamKey::new)
    }

    /// Whether a [`Feed::Picture`] or [`Feed::Ended`] would be taken now.
    pub fn wants_picture(&self, key: StreamKey) -> bool {
        self.stream(key).is_some_and(Stream::wants_picture)
    }

    /// Whether a [`Feed::Sound`] or [`Feed::SoundEnded`] would be taken now.
    pub fn wants_sound(&self, key: StreamKey) -> bool {
        // What is captured goes on, and is dropped; a film's sound waits as its pictures do.
        let waits = |stream: &Stream| stream.is_paused() && !stream.description().live;
        self.stream(key).is_some_and(|stream| stream.wants_sound() && !waits(stream))
    }

    /// Whether somebody is to be sent coded sound: then [`Feed::CodedSound`] goes before the chunks. Whoever is to have it is
    /// sent mono until there is some.
    pub fn wants_coded_sound(&self, key: StreamKey) -> bool {
        self.stream(key).is_some_and(|stream| stream.wants_coded_sound(&self.sessions))
    }

    /// What the encoder of this rendition should know before its next picture. There is only rendition 0.
    pub fn demand(&self, key: StreamKey, rendition: u8) -> Demand {
        let idle = Demand::idle(0, false);
        self.stream(key).filter(|_| rendition == 0).map_or(idle, Stream::demand)
    }

    /// Of all streams together, and of what is of none.
    pub fn totals(&self) -> Totals {
        let mut totals = self.totals;
        self.streams.iter().for_each(|stream| totals.add(&stream.totals));
        totals
    }

    /// Of one stream; what was refused, rejected and not sent is not told apart by streams.
    pub fn totals_of(&self, key: StreamKey) -> Totals {
        self.stream(key).map(|stream| stream.totals).unwrap_or_default()
    }

    pub fn watchers(&self) -> usize {
        self.streams.iter().map(Stream::watchers).sum()
    }

    pub fn watchers_of(&self, key: StreamKey) -> usize {
        self.stream(key).map_or(0, Stream::watchers)
    }

    /// Every watcher. The sound sessions of those that watch are left out.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView> {
        self.sessions.iter().filter(|session| !session.is_second()).map(|session| SessionView {
            id: session.id,
            address: session.peer().address,
            transport: Transport::of(session.peer().port.is_connections(), session.control.is_some()),
            stream: session.stream,
            class: session.media.class(),
            stats: session.stats(),
            sound: session.sound,
            wanted: session.wanted,
            adaptation: self.adaptation(session),
        })
    }

    fn adaptation(&self, session: &Session) -> Adaptation {
        let in_force = self.streams[session.stream.index()].in_force(self.polled, session);
        let control = session.control();
        Adaptation {
            in_force,
            rate: control.map(|control| control.sent_rate(self.polled)).unwrap_or_default(),
            queue: control.map(Control::queue).unwrap_or_default(),
        }
    }

    /// Whether more is to be sent than can be.
    pub const fn is_overloaded(&self) -> bool {
        self.overloaded
    }

    /// The share of pictures that were sent to those for whom they were, in the last second, in the stream in which that is
    /// least: 0 … 1.
    pub fn served(&self) -> f64 {
        self.streams.iter().map(Stream::served).fold(1.0, f64::min)
    }

    fn datagram(&mut self, now: Time, datagram: Received<'_>) {
        let parsed = Hop::parse(datagram.bytes).and_then(|(hop, body)| Ok((hop, Message::parse(hop.kind, body)?)));
        let (hop, message) = match parsed {
            Ok(parsed) => parsed,
            Err(_) => {
                self.totals.rejected += 1;
                return;
            }
        };
        let from = datagram.peer();
        // What is said in a session bears its tag; what is said before there is one bears none.
        if hop.tag != message.session().map_or(0, |session| session as u32) {
            self.totals.rejected += 1;
            return;
        }
        match message {
            Message::Hello { highest, lowest, nonce } => self.hello(now, datagram, lowest..=highest, nonce),
            Message::Join(join) => self.join(now, datagram, &join),
            Message::List(list) => self.list(now, datagram, &list),
            Message::Report(report) => self.report(now, datagram.route(), hop, &report),
            Message::Bye { session, .. } => self.bye(from, session),
            Message::PathReply { session, token } => self.path_reply(now, datagram.route(), session, token),
            Message::Want { session, number, tlvs } => self.want(now, from, session, number, tlvs),
            Message::Nack { session, names } => self.nack(now, from, session, &names),
            Message::Get { session, range } => self.get(from, session, range),
            Message::Say(say) => self.say(now, from, &say),
            Message::Heard { session, stream, next } => self.heard_lines(now, from, session, stream, next),
            // Watchers have nothing else to say yet; what later versions say is skipped.
            _ => self.totals.rejected += 1,
        }
    }

    fn report(&mut self, now: Time, from: Route, hop: Hop, report: &Report) {
        let Some(slot) = self.sessions.slot(report.session) else { return };
        let recent = self.tokens.is_recent(now, report.session, report.token);
        let Some(session) = self.sessions.get_mut(slot) else { return };
        if session.peer() == from.peer {
            let (first, stream) = (session.heard_stamp.is_none(), session.stream);
            let (class, held) = (session.media.class(), session.media.is_held());
            let untold = session.spot.untold.is_some();
            let told = recent.then(|| session.report(now, report, hop.sent_at)).flatten();
            // It can be sent now what its path did not carry, as far as was known.
            let again = session.unfit.filter(|_| session.media.class() > class);
            if let Some(departure) = again {
                session.pass(departure - 1);
                session.unfit = None;
            }
            if held && !session.media.is_held() {
                self.streams[stream.index()].has_room(slot, session);
            }
            let Some(told) = told else {
                self.totals.rejected += 1;
                return;
            };
            let is_there = untold && session.spot.untold.is_none();
            self.sessions.tell_control(now, slot, hop.sent_at, report, &told);
            self.look_for_tunnel(now, slot);
            self.allow_sound(slot);
            self.streams[stream.index()].is_to_be_reconsidered();
            if is_there {
                self.is_there(now, slot);
            }
            if first || again.is_some() {
                self.sessions.next_upkeep = now;
                self.streams[stream.index()].catch_up(now, slot);
            }
        } else if session.peer().port == from.peer.port && !from.peer.port.is_connections() {
            // A session at a connection ends with it.
            self.new_address(slot, from);
        }
    }

    fn bye(&mut self, from: Peer, id: u64) {
        let Some(slot) = self.sessions.slot_of(from, id) else {
            self.totals.rejected += 1;
            return;
        };
        let leaving = self.sessions.get(slot).is_some_and(|session| session.leaving.is_some());
        self.remove(slot, if leaving { Gone::Ended } else { Gone::Left });
    }

    /// All streams end.
    fn stop(&mut self, now: Time, sentence: &str) {
        for stream in &mut self.streams {
            stream.feed(now, Feed::Stop(sentence.to_owned()), &self.sessions);
        }
        self.stopped = Some(sentence.to_owned());
    }

    /// The datagram handed out last did not leave.
    fn not_sent(&mut self, now: Time, to: Peer, failure: SendFailure) {
        self.totals.send_errors += 1;
        self.sessions.not_sent(to.address, failure);
        self.group_fails(now, to);
    }

    /// The next message.
    fn message(&mut self, now: Time) -> Option<Transmit> {
        let (transmit, stream) = self.outbox.next(now, &mut self.sessions)?;
        let stream = stream.and_then(|key| self.streams.get_mut(key.index()));
        stream.map_or(&mut self.totals, |stream| &mut stream.totals).count(&transmit);
        Some(transmit)
    }

    /// The next datagram of a stream: each in turn has one of what is due, and only if there is none of what may go ahead.
    fn media(&mut self, now: Time) -> Option<Transmit> {
        let Self { streams, sessions, outbox, turn, .. } = self;
        let due = in_turn(streams, turn, |stream| stream.send(now, sessions, &mut outbox.events));
        let due = due.or_else(|| in_turn(streams, turn, |stream| stream.send_ahead(now, sessions)));
        due.or_else(|| self.supply(now))
    }

    fn soonest(&self) -> (Time, Reason) {
        let soonest = self.streams.iter().fold(Soonest::new(), |soonest, stream| stream.soonest(soonest));
        let watched = !self.sessions.is_empty() || self.streams.iter().any(Stream::is_ending);
        let upkeep = watched || self.stopped.is_some();
        let upkeep = (upkeep && !self.finished).then_some(self.sessions.next_upkeep);
        let soonest = soonest.or(self.supply_at(), Reason::Pacing);
        let Soonest(at, reason) = soonest.or(upkeep, Reason::Housekeeping);
        (at, reason)
    }
}

/// The first that one of the streams has, beginning with the one whose turn it is; then it is the next one's.
fn in_turn<T>(streams: &mut [Stream], turn: &mut usize, mut of: impl FnMut(&mut Stream) -> Option<T>) -> Option<T> {
    let count = streams.len();
    for _ in 0..count {
        let at = if *turn < count { *turn } else { 0 };
        *turn = at + 1;
        let found = of(&mut streams[at]);
        if found.is_some() {
            return found;
        }
    }
    None
}

impl Machine for Server {
    type Local = Local;
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_, Local>) {
        match input {
            Input::Datagram(datagram) if Self::is_for_group(&datagram) => self.totals.rejected += 1,
            Input::Datagram(datagram) => self.datagram(now, datagram),
            Input::NotSent(port, to, failure) => self.not_sent(now, Peer { port, address: to }, failure),
            Input::Connection(peer, state) => self.connection(peer, state),
            Input::Local(Local::Stream(key, Feed::Pause(paused))) => {
                let stream = self.streams.get_mut(key.index());
                stream.into_iter().for_each(|stream| stream.hold(paused, &mut self.sessions));
            }
            Input::Local(Local::Stream(key, Feed::Say { name, text })) => self.speak(now, key, name, text),
            Input::Local(Local::Stream(key, feed)) => {
                if let Some(stream) = self.streams.get_mut(key.index()) {
                    stream.feed(now, feed, &self.sessions);
                }
            }
            Input::Local(Local::Group(key, config)) => self.open_group(now, key, config),
            Input::Local(Local::Supply(id, objects)) => self.take_supply(id, objects),
            Input::Local(Local::Gone(id, range)) => self.tell_gone(id, range),
            Input::Local(Local::Stop(sentence)) => self.stop(now, &sentence),
        }
    }

    fn poll(&mut self, now: Time) -> Output<Event> {
        if self.outbox.events.is_empty() {
            self.silent_since = now;
        }
        self.meter.sent(now);
        self.polled = now;
        for stream in &mut self.streams {
            stream.reconsider(&self.sessions, false);
            stream.begin(now, &mut self.sessions, &mut self.outbox.events);
            stream.depart(now, self.meter.busy(), &mut self.sessions, &mut self.outbox.events);
        }
        self.upkeep(now);
        self.sessions.note_stamped(None);
        if now.since(self.silent_since) >= EVENT_PATIENCE
            && let Some(event) = self.event()
        {
            return Output::Event(event);
        }
        if let Some(transmit) = self.message(now) {
            return Output::Send(transmit);
        }
        if let Some(transmit) = self.line_or_media(now) {
            self.meter.sends(now);
            return Output::Send(transmit);
        }
        // Events go last: handling one may wake the encoder, which takes the processor from sending.
        if let Some(event) = self.event() {
            return Output::Event(event);
        }
        let (at, reason) = self.soonest();
        if at <= now && matches!(reason, Reason::Departure | Reason::Housekeeping) {
            // A picture waited for a watcher that turned out to be paced, or sound that nobody hears has set the timeline.
            return self.poll(now);
        }
        Output::Wait(at, reason)
    }
}

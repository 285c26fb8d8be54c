//! The server: one stream, many watchers, one shared timeline.
//!
//! It holds at most one coded picture, the next to leave; [`Server::wants_picture`] says when it can take another.
//! A file's picture leaves at its deadline, a live one when it comes. It is cut once for each size class in use, and each
//! watcher gets the shared objects behind a hop header of its own.

mod departure;
mod fuzz;
mod history;
mod join;
mod load;
mod path;
mod session;
mod sound;
mod turns;
mod upkeep;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub use session::{Gone, SessionStats};

use super::schedule::{Demand, Schedule};
use super::{Input, Machine, Output, Peer, Port, Reason, Received, Route, Soonest, Transmit};
use crate::media::coded::{CodedPicture, Object, Stamps};
use crate::media::sound::Chunk;
use crate::seal::{CookieJar, Random, Seed, Tokens};
use crate::units::{MediaTime, Span, Time, Unit};
use crate::wire::message::{Message, bye};
use crate::wire::{Description, Hop, Kind, Report, SizeClass};
use departure::Offer;
use join::{Admitted, MOST_ADMITTED};
use load::Load;
use session::Session;
use sound::{Sound, Urgency};
use turns::Turns;

/// How long a watcher may be silent. Only reports that echo something recent count as heard.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(3);
/// Sessions are looked after this often.
const UPKEEP: Duration = Duration::from_millis(50);

/// Events wait for what is to be sent, but no longer than this.
const EVENT_PATIENCE: Duration = Duration::from_millis(5);

/// When it is stopped, a picture that has departed may take so long to be sent.
const STOP_LIMIT: Duration = Duration::from_millis(250);

/// Answers to strangers are kept for a socket that takes nothing just now up to here; who gets none asks again.
const MAX_WAITING: usize = 8_192;

/// What the operator chose.
#[derive(Clone, Debug)]
pub struct Config {
    pub seed: Seed,
    pub description: Description,
    /// `None`: probe for the largest that passes.
    pub datagram: Option<SizeClass>,
    pub quality: u8,
    /// Start the timeline at once instead of with the first watcher.
    pub no_wait: bool,
    pub max_sessions: usize,
    pub max_sessions_per_address: usize,
    /// New sessions a second from one /24 or /48 network; loopback is exempt.
    pub max_joins_per_second: u32,
    /// Told to watchers; 0: none.
    pub sound_port: u16,
}

impl Config {
    pub const fn new(seed: Seed, description: Description) -> Self {
        Self {
            seed,
            description,
            datagram: None,
            quality: 80,
            no_wait: false,
            max_sessions: 4_096,
            max_sessions_per_address: 1_024,
            max_joins_per_second: 200,
            sound_port: 0,
        }
    }
}

/// What the program around the server tells it.
pub enum Local {
    Picture(CodedPicture),
    /// No more pictures will come. With a media time, that is when the film's last one has had its time on the screen.
    Ended(Option<MediaTime>),
    Sound(Chunk),
    /// No more sound will come.
    SoundEnded,
    /// Say goodbye with this sentence and finish.
    Stop(String),
    /// The source failed: say so and finish.
    Failed(String),
}

/// What the server tells the program around it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A watcher came; its sound session goes with it and is not told of.
    Joined {
        id: u64,
        address: SocketAddr,
        watchers: usize,
    },
    Left {
        id: u64,
        address: SocketAddr,
        why: Gone,
        watchers: usize,
        stats: SessionStats,
    },
    Moved {
        id: u64,
        from: SocketAddr,
        to: SocketAddr,
    },
    Started(Time),
    /// The timeline moved because everything stood still for this long.
    Stalled(Duration),
    Departed {
        unit: Unit,
        span: Span,
        due: Time,
        at: Time,
        stamps: Stamps,
    },
    /// More is to be sent than can be: newcomers are refused, and watchers miss pictures. Or, with false, no longer.
    Overload(bool),
    /// Never left: too late for its moment, or not cuttable.
    Skipped(Unit),
    Refused {
        address: SocketAddr,
        why: &'static str,
    },
    /// All is said; the program can end.
    Finished,
}

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub pictures: u64,
    /// Chunks of sound whose moment came.
    pub chunks: u64,
    /// Chunks that were held when the stream was stopped, or came too late to be heard: nobody was sent them.
    pub chunks_unsent: u64,
    pub datagrams: u64,
    pub bytes: u64,
    /// UDP payload of the largest media datagram.
    pub largest: usize,
    pub refused: u64,
    pub rejected: u64,
    pub send_errors: u64,
}

/// Where the stream is in its life.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// The last picture is on its way; goodbyes follow when it has left, at the latest then.
    Ending {
        goodbye: Goodbye,
        until: Time,
    },
    Leaving {
        until: Time,
    },
    Finished,
}

/// A picture that has left, and who is still to get it.
struct Departing {
    offer: Offer,
    at: Time,
    /// Counted from 1.
    departure: u64,
    /// Whether all who had their turn could be sent it.
    cuttable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Goodbye {
    code: u16,
    sentence: String,
}

/// A message, or an object that is no media, that waits to be handed out. It is stamped when it leaves.
struct Queued {
    to: Route,
    /// `None`: to a stranger.
    session: Option<u64>,
    kind: Kind,
    tag: u32,
    body: Object,
}

pub struct Server {
    config: Config,
    stream: u64,
    jar: CookieJar,
    admitted: Admitted,
    tokens: Tokens,
    random: Random,
    phase: Phase,
    goodbye: Goodbye,
    /// Units that will have been on the timeline: one more than the last picture's.
    units: u32,
    schedule: Option<Schedule>,
    /// A live stream's media zero in our clock.
    live_zero: Option<Time>,
    next: Option<Offer>,
    departing: Option<Departing>,
    /// The last picture with a body of a live stream, for those who lack it.
    body: Option<Arc<CodedPicture>>,
    turns: Turns,
    load: Load,
    overloaded: bool,
    /// See [`Demand::fresh`].
    fresh: u64,
    /// The smallest class that the picture in hand was cut for.
    smallest: SizeClass,
    /// No more pictures will come; see [`Local::Ended`].
    ended: Option<Option<MediaTime>>,
    sound: Sound,
    sessions: Vec<Option<Session>>,
    by_id: BTreeMap<u64, usize>,
    by_peer: BTreeMap<Peer, usize>,
    /// Sessions that are sent pictures, and sessions that are not another one's sound.
    viewers: usize,
    watchers: usize,
    out: VecDeque<Queued>,
    /// The session whose sequence the datagram handed out last is in.
    stamped: Option<u64>,
    events: VecDeque<Event>,
    /// When the event queue was last empty.
    silent_since: Time,
    joins: BTreeMap<(Port, IpAddr), u32>,
    joins_second: u64,
    next_upkeep: Time,
    last_upkeep: Time,
    totals: Totals,
}

impl Server {
    pub fn new(config: Config) -> Self {
        let mut random = Random::new(&config.seed);
        let load = Load::new(config.description.rate.interval());
        Self {
            stream: random.id(),
            jar: CookieJar::new(&config.seed),
            admitted: Admitted::new(MOST_ADMITTED),
            tokens: Tokens::new(&config.seed),
            random,
            sound: Sound::new(config.description.sound),
            config,
            phase: Phase::Running,
            goodbye: Goodbye { code: bye::ENDED, sentence: String::new() },
            units: 0,
            schedule: None,
            live_zero: None,
            next: None,
            departing: None,
            body: None,
            turns: Turns::default(),
            load,
            overloaded: false,
            fresh: 0,
            smallest: SizeClass::ANY,
            ended: None,
            sessions: Vec::new(),
            by_id: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            viewers: 0,
            watchers: 0,
            out: VecDeque::new(),
            stamped: None,
            events: VecDeque::new(),
            silent_since: Time::ZERO,
            joins: BTreeMap::new(),
            joins_second: 0,
            next_upkeep: Time::ZERO,
            last_upkeep: Time::ZERO,
            totals: Totals::default(),
        }
    }

    pub const fn stream(&self) -> u64 {
        self.stream
    }

    /// Whether a [`Local::Picture`] or [`Local::Ended`] would be taken now.
    pub const fn wants_picture(&self) -> bool {
        self.next.is_none() && self.ended.is_none() && matches!(self.phase, Phase::Running)
    }

    /// What the encoder should know before its next picture.
    pub fn demand(&self) -> Demand {
        Demand {
            watched: self.viewers > 0,
            quality: self.config.quality,
            schedule: self.schedule,
            live: self.config.description.live,
            fresh: self.fresh,
            class: self.smallest,
        }
    }

    pub const fn totals(&self) -> Totals {
        self.totals
    }

    pub const fn watchers(&self) -> usize {
        self.watchers
    }

    /// Every watcher: id, address, size class, figures. The sound sessions of those that watch are left out.
    pub fn sessions(&self) -> impl Iterator<Item = (u64, SocketAddr, SizeClass, SessionStats)> {
        let own = self.sessions.iter().flatten().filter(|session| !session.is_second());
        own.map(|s| (s.id, s.peer.address, s.path.class(), s.stats))
    }

    /// Whether more is to be sent than can be.
    pub const fn is_overloaded(&self) -> bool {
        self.overloaded
    }

    /// The share of pictures that were sent to those for whom they were, in the last second: 0 … 1.
    pub fn served(&self) -> f64 {
        self.load.served()
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
            Message::Hello { highest, lowest, nonce } => {
                self.hello(now, datagram, (lowest, highest), nonce);
            }
            Message::Join(join) => self.join(now, datagram, &join),
            Message::Report(report) => self.report(now, datagram.route(), hop, &report),
            Message::Bye { session, .. } => self.bye(from, session),
            Message::PathReply { session, token } => self.path_reply(now, datagram.route(), session, token),
            Message::Want { session, number, tlvs } => self.want(from, session, number, tlvs),
            // Watchers have nothing else to say yet; what later versions say is skipped.
            _ => self.totals.rejected += 1,
        }
    }

    fn report(&mut self, now: Time, from: Route, hop: Hop, report: &Report) {
        let Some(&slot) = self.by_id.get(&report.session) else { return };
        let recent = self.tokens.is_recent(now, report.session, report.token);
        let Some(session) = self.sessions[slot].as_mut() else { return };
        if session.peer == from.peer {
            let first = session.heard_stamp.is_none();
            if !recent || !session.report(now, report, hop.sent_at) {
                self.totals.rejected += 1;
            } else if first {
                self.next_upkeep = now;
                self.catch_up(now, slot);
            }
        } else if session.peer.port == from.peer.port {
            self.new_address(slot, from);
        }
    }

    /// The slot of session `id`, if it is `from` who speaks of it.
    fn slot_of(&self, from: Peer, id: u64) -> Option<usize> {
        let known = self.by_id.get(&id).copied();
        known.filter(|slot| self.sessions[*slot].as_ref().is_some_and(|session| session.peer == from))
    }

    fn bye(&mut self, from: Peer, id: u64) {
        match self.slot_of(from, id) {
            Some(slot) => self.remove(slot, if self.leaving() { Gone::Ended } else { Gone::Left }),
            None => self.totals.rejected += 1,
        }
    }

    /// Nothing departs any more. What has departed is sent to its end, if that does not take long.
    fn stop(&mut self, now: Time, goodbye: Goodbye) {
        if matches!(self.phase, Phase::Leaving { .. } | Phase::Finished) {
            return;
        }
        self.next = None;
        self.totals.chunks_unsent += self.sound.cut();
        self.phase = Phase::Ending { goodbye, until: now + STOP_LIMIT };
    }

    /// Whether so much waits to be sent that strangers are not answered; each one who is not counts as rejected.
    fn is_backed_up(&mut self) -> bool {
        let full = self.out.len() + self.events.len() >= MAX_WAITING;
        self.totals.rejected += u64::from(full);
        full
    }

    const fn leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving { .. })
    }

    fn remove(&mut self, slot: usize, why: Gone) {
        let Some(session) = self.sessions[slot].take() else { return };
        self.by_id.remove(&session.id);
        if self.by_peer.get(&session.peer) == Some(&slot) {
            self.by_peer.remove(&session.peer);
        }
        self.turns.remove(slot);
        self.viewers -= usize::from(session.pictures);
        if session.is_second() {
            return self.untie(&session);
        }
        self.watchers -= 1;
        let (id, address, mut stats) = (session.id, session.peer.address, session.stats);
        stats.thinned += session.missed(self.totals.pictures);
        self.events.push_back(Event::Left { id, address, why, watchers: self.watchers, stats });
        if let Some(&second) = session.tied.and_then(|id| self.by_id.get(&id)) {
            self.remove(second, why);
        }
    }

    /// How often watchers report: 50 ms for few, a second for a thousand.
    fn report_interval(&self) -> Duration {
        Duration::from_millis((50 + self.by_id.len() as u64).min(1_000))
    }

    fn send(&mut self, transmit: Transmit) -> Output<Event> {
        self.totals.datagrams += 1;
        self.totals.bytes += transmit.len() as u64;
        Output::Send(transmit)
    }

    fn soonest(&self) -> (Time, Reason) {
        let departure = self.next.as_ref().and_then(|next| self.departure_of(next));
        let sound = self.sound_at(Urgency::Due);
        let upkeep = (!self.by_id.is_empty() || self.phase != Phase::Running).then_some(self.next_upkeep);
        let waits_for_the_last = self.phase == Phase::Running && self.next.is_none() && self.sound.is_over();
        let over = self.over_at().filter(|_| waits_for_the_last);
        let stop = if let Phase::Ending { until, .. } = self.phase { Some(until) } else { None };
        let Soonest(at, reason) = Soonest::new()
            .or(departure, Reason::Departure)
            .or(sound, Reason::Sound)
            .or(self.turns.next_paced(), Reason::Pacing)
            .or(stop.or(over), Reason::Housekeeping)
            .or(upkeep.filter(|_| self.phase != Phase::Finished), Reason::Housekeeping);
        (at, reason)
    }
}

impl Machine for Server {
    type Local = Local;
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_, Local>) {
        match input {
            Input::Datagram(datagram) => self.datagram(now, datagram),
            Input::NotSent(_, to, failure) => self.not_sent(to, failure),
            Input::Local(Local::Picture(picture)) if self.phase == Phase::Running => self.take(now, picture),
            Input::Local(Local::Picture(_)) => {}
            Input::Local(Local::Ended(end)) => self.ended = Some(end),
            Input::Local(Local::Sound(chunk)) => self.sound.take(now, chunk),
            Input::Local(Local::SoundEnded) => self.sound.end(),
            Input::Local(Local::Stop(sentence)) => self.stop(now, Goodbye { code: bye::STOPPED, sentence }),
            Input::Local(Local::Failed(sentence)) => self.stop(now, Goodbye { code: bye::FAILED, sentence }),
        }
    }

    fn poll(&mut self, now: Time) -> Output<Event> {
        if self.events.is_empty() {
            self.silent_since = now;
        }
        self.load.sent(now);
        self.begin(now);
        self.depart(now);
        self.upkeep(now);
        self.stamped = None;
        if now.since(self.silent_since) >= EVENT_PATIENCE
            && let Some(event) = self.events.pop_front()
        {
            return Output::Event(event);
        }
        if let Some(transmit) = self.queued(now) {
            return self.send(transmit);
        }
        let due = self.sounding(now, Urgency::Due).or_else(|| self.media(now));
        if let Some(transmit) = due.or_else(|| self.sounding(now, Urgency::MayGo)) {
            self.totals.largest = self.totals.largest.max(transmit.len());
            self.load.sends(now);
            return self.send(transmit);
        }
        // Events go last: handling one may wake the encoder, which takes the processor from sending.
        if let Some(event) = self.events.pop_front() {
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

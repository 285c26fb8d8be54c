//! The watcher: joins, stays joined, puts pictures together, says when to show them, and reports.
//!
//! Slices of the picture that is shown next are handed out as they come ([`Event::Slice`]), so that decoding runs
//! along with receiving; [`Event::Show`] closes the picture. Whatever is missing then is the decoder's to conceal.

mod assembly;
mod fuzz;
mod join;
mod playout;
mod stats;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

pub use assembly::{Ready, Slice};
pub use stats::Counts;

use super::clocksync::ClockSync;
use super::hops::{Hops, Seen};
use super::{Input, Machine, Output, Reason, Received, Soonest, Transmit, hop};
use crate::seal::{Random, Seed};
use crate::units::{Rate, Time, Unit};
use crate::wire::message::{ClockEcho, Message, RefuseCode, Timeline, bye};
use crate::wire::object::{ObjectView, Type, flags};
use crate::wire::tlv::{Tlvs, kind, printable};
use crate::wire::{Description, Hop, Kind, Report};
use assembly::{Took, Units};
use join::Join;

/// A server speaks at least four times a second, to a thousand watchers twice. After this much silence it is asked
/// whether it is there, or a new one in its place; nothing is said about that yet.
const SUSPECT_AFTER: Duration = Duration::from_millis(500);
/// After this much silence it counts as lost.
const LOST_AFTER: Duration = Duration::from_millis(1_200);
/// A report goes out after so many datagrams even if its time has not come.
const REPORT_DATAGRAMS: usize = 400;
/// Probes are answered together, this soon after the first.
const PROBE_REPORT: Duration = Duration::from_micros(500);

/// What the viewer chose.
#[derive(Clone, Debug)]
pub struct Config {
    pub seed: Seed,
    /// Where the server may be: all are asked, the first to answer is taken.
    pub servers: Vec<SocketAddr>,
    /// Largest datagram wanted; 0: no limit.
    pub max_datagram: u16,
    /// Show pictures this long after they are due; zero: as soon as they are there.
    pub latency: Duration,
    /// After a goodbye look for the server again, instead of finishing.
    pub stay: bool,
}

impl Config {
    /// Datagrams of any size, pictures as soon as they are there, and the end of the stream is the end.
    pub const fn new(seed: Seed, servers: Vec<SocketAddr>) -> Self {
        Self { seed, servers, max_datagram: 0, latency: Duration::ZERO, stay: false }
    }
}

/// What the program around the receiver tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// Say goodbye and finish.
    Stop,
}

/// What the receiver tells the program around it.
#[derive(Clone, Debug)]
pub enum Event {
    /// Accepted by a server, with the stream's description.
    Playing {
        description: Description,
        stream: u64,
        server: SocketAddr,
        rejoined: bool,
    },
    /// To be decoded into the canvas of its unit; slices of one unit come between two Shows.
    Slice(Slice),
    /// The picture's time has come. `due` is when it should have left the server (paced) or was captured (live), in
    /// our clock.
    Show {
        picture: Ready,
        due: Option<Time>,
    },
    Refused {
        code: RefuseCode,
        sentence: String,
    },
    /// Nothing has been heard for a while; looking for the server.
    Trouble(Trouble),
    /// The stream ended, or the server stopped, with its sentence. Unless [`Config::stay`], `Finished` follows.
    Over {
        why: Over,
        sentence: String,
    },
    /// All is said; the program can end.
    Finished,
}

/// Why a server said goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The stream came to its end.
    Ended,
    /// Somebody stopped the server.
    Stopped,
    /// The stream's source failed.
    Failed,
}

impl Over {
    const fn of(code: u16) -> Self {
        match code {
            bye::ENDED => Self::Ended,
            bye::FAILED => Self::Failed,
            _ => Self::Stopped,
        }
    }
}

/// Why no pictures come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody has answered since the start.
    Nobody,
    /// The server was there and has fallen silent.
    Silent,
    /// This machine has no way to the server: nothing can even be sent.
    Network,
}

/// A session with a server.
struct Session {
    id: u64,
    server: SocketAddr,
    /// Its Description has come: without one there is nothing to show.
    described: bool,
    hops: Hops,
    heard: Time,
    echo: Option<(u32, Time)>,
    reports: u32,
    report_interval: Duration,
    next_report: Time,
    update_ack: u32,
    /// May come before the Description.
    timeline: Option<Timeline>,
    bye: Option<(u16, String)>,
}

/// One stream's pictures.
struct Stream {
    id: u64,
    description: Description,
    units: Units,
    last_shown: Option<Ready>,
    ended_at: Option<Time>,
}

pub struct Receiver {
    config: Config,
    random: Random,
    join: Join,
    session: Option<Session>,
    stream: Option<Stream>,
    clock: ClockSync,
    counts: Counts,
    /// What was last said about missing pictures; none while all is well.
    trouble: Option<Trouble>,
    finished: bool,
    out: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Receiver {
    pub fn new(config: Config, now: Time) -> Self {
        let mut random = Random::new(&config.seed);
        Self {
            join: Join::start(random.id(), now),
            random,
            config,
            session: None,
            stream: None,
            clock: ClockSync::default(),
            counts: Counts::default(),
            trouble: None,
            finished: false,
            out: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// A goodbye is not the end.
    pub const fn is_staying(&self) -> bool {
        self.config.stay
    }

    pub const fn rtt(&self) -> Option<Duration> {
        self.clock.rtt()
    }

    fn datagram(&mut self, now: Time, datagram: Received<'_>) {
        if !self.config.servers.contains(&datagram.from) {
            return;
        }
        match Hop::parse(datagram.bytes) {
            Ok((hop, body)) => self.datagram_of(now, datagram, hop, body),
            Err(_) => self.counts.rejected += 1,
        }
    }

    fn datagram_of(&mut self, now: Time, datagram: Received<'_>, hop: Hop, body: &[u8]) {
        self.counts.datagrams += 1;
        self.counts.bytes += datagram.bytes.len() as u64;
        self.counts.largest = self.counts.largest.max(datagram.bytes.len());
        if hop.kind == Kind::OBJECT {
            // A damaged object did not arrive, as far as its hop sequence is concerned.
            let Ok(object) = ObjectView::parse(body) else {
                self.counts.rejected += 1;
                return;
            };
            if let Some(sequence) = self.in_session(now, datagram.from, hop) {
                self.object(now, datagram.from, sequence, &object);
            }
            return;
        }
        match Message::parse(hop.kind, body) {
            Ok(message) => self.message(now, datagram.from, hop, message),
            Err(_) => {
                // A kind of a later version: skipped and counted, but it did arrive.
                self.counts.rejected += 1;
                self.in_session(now, datagram.from, hop);
            }
        }
    }

    /// The extended sequence of a new datagram of our session; `None` for anybody else's and for duplicates.
    fn in_session(&mut self, now: Time, from: SocketAddr, hop: Hop) -> Option<u64> {
        let session = self.session.as_mut().filter(|s| s.id as u32 == hop.tag && s.server == from)?;
        session.heard = now;
        let id = session.id;
        self.heard_again(id);
        let session = self.session.as_mut()?;
        let newest = session.echo.is_none_or(|(echo, _)| hop.sent_at.wrapping_sub(echo).cast_signed() >= 0);
        if newest {
            session.echo = Some((hop.sent_at, now));
        }
        if !hop.kind.is_sequenced() {
            return Some(0);
        }
        match session.hops.note(hop.sequence, now) {
            Seen::New(sequence) => Some(sequence),
            Seen::Duplicate | Seen::Outside => {
                self.counts.duplicates += 1;
                None
            }
        }
    }

    fn message(&mut self, now: Time, from: SocketAddr, hop: Hop, message: Message<'_>) {
        match message {
            Message::Challenge { nonce, cookie, .. } => self.challenge(now, from, nonce, cookie),
            Message::Accept(accept) => self.accept(now, from, hop.tag, &accept),
            Message::Refuse(refuse) => self.refused(now, &refuse),
            message => {
                if self.in_session(now, from, hop).is_some() {
                    self.session_message(now, message);
                }
            }
        }
    }

    fn session_message(&mut self, now: Time, message: Message<'_>) {
        let Some(session) = self.session.as_mut() else { return };
        match message {
            Message::Probe { .. } => session.next_report = session.next_report.min(now + PROBE_REPORT),
            Message::PathCheck { token } => {
                let reply = Message::PathReply { session: session.id, token };
                let (to, tag) = (session.server, session.id as u32);
                self.out.push_back(Transmit::message(to, hop(Kind::PATH_REPLY, tag, now), &reply));
            }
            Message::Update { number, tlvs } => self.update(now, number, tlvs),
            Message::Bye { session: id, code, sentence } if id == session.id => {
                session.bye = Some((code, printable(sentence)));
                self.consider_end(now);
            }
            _ => {}
        }
    }

    fn update(&mut self, now: Time, number: u32, tlvs: Tlvs<'_>) {
        let Some(session) = self.session.as_mut() else { return };
        session.update_ack = session.update_ack.max(number);
        if let Some(&[high, low]) = tlvs.find(kind::REPORT_INTERVAL) {
            let millis = u16::from_be_bytes([high, low]).clamp(10, 2_000);
            session.report_interval = Duration::from_millis(u64::from(millis));
        }
        if let Some(Ok(clock)) = tlvs.find(kind::CLOCK).map(ClockEcho::parse) {
            self.clock.echo(clock.echo, clock.held, Time::from_micros(clock.clock), now);
        }
        if let Some(Ok(timeline)) = tlvs.find(kind::TIMELINE).map(Timeline::parse)
            && session.timeline.is_none_or(|old| timeline.generation >= old.generation)
        {
            session.timeline = Some(timeline);
        }
    }

    fn object(&mut self, now: Time, from: SocketAddr, hop: u64, object: &ObjectView<'_>) {
        let header = &object.header;
        match header.kind {
            // What cannot be opened, or was not asked for.
            _ if header.has(flags::SEALED) || header.rendition != 0 => self.counts.rejected += 1,
            Type::DESCRIPTION => self.description(now, from, object),
            Type::PICTURE => self.picture(now, hop, object),
            // Sound, text and tables: not ours yet, skipped.
            _ => {}
        }
    }

    fn picture(&mut self, now: Time, hop: u64, object: &ObjectView<'_>) {
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.id == object.header.stream) else { return };
        if object.header.size != stream.description.size {
            // Nobody makes room for a picture that was not announced.
            self.counts.rejected += 1;
            return;
        }
        match stream.units.take(now, hop, object) {
            Took::Front(slice) => {
                self.counts.slices += 1;
                if !slice.jpeg.is_empty() {
                    self.events.push_back(Event::Slice(slice));
                }
            }
            Took::Held => self.counts.slices += 1,
            Took::Duplicate => self.counts.duplicates += 1,
            Took::Late { first } => self.late(first),
            Took::Nonsense => self.counts.rejected += 1,
        }
    }

    fn late(&mut self, first: bool) {
        self.counts.slices_late += 1;
        if first {
            self.counts.late += 1;
            // It was counted as lost or thinned when it was given up.
            match self.counts.lost.checked_sub(1) {
                Some(lost) => self.counts.lost = lost,
                None => self.counts.thinned = self.counts.thinned.saturating_sub(1),
            }
        }
    }

    fn report(&mut self, now: Time) {
        let Some(session) = self.session.as_mut() else { return };
        let hops = session.hops.unreported();
        if now < session.next_report && hops < REPORT_DATAGRAMS {
            return;
        }
        session.next_report = now + session.report_interval;
        let Some((echo, at)) = session.echo else { return };
        let (first, arrivals) = session.hops.report(now);
        let interval = self.stream.as_ref().map_or(Duration::ZERO, |s| s.description.rate.interval());
        let held = self.stream.as_ref().map_or(Duration::ZERO, |s| s.units.held(interval));
        session.reports += 1;
        let report = Report {
            session: session.id,
            number: session.reports,
            echo,
            held: u32::try_from(now.since(at).as_micros()).unwrap_or(u32::MAX),
            first,
            update_ack: session.update_ack,
            buffer: u32::try_from(held.as_micros()).unwrap_or(u32::MAX),
            arrivals,
        };
        let hop = Hop { sequence: session.reports, ..hop(Kind::REPORT, session.id as u32, now) };
        let transmit = Transmit::message(session.server, hop, &Message::Report(report));
        self.out.push_back(transmit);
    }

    fn stop(&mut self, now: Time) {
        self.say_goodbye(now);
        self.finish();
    }

    fn say_goodbye(&mut self, now: Time) {
        if let Some(session) = &self.session {
            let goodbye = Message::Bye { session: session.id, code: bye::LEAVING, sentence: "" };
            let (to, tag) = (session.server, session.id as u32);
            self.out.push_back(Transmit::message(to, hop(Kind::BYE, tag, now), &goodbye));
        }
    }

    fn finish(&mut self) {
        if !self.finished {
            self.finished = true;
            self.events.push_back(Event::Finished);
        }
    }

    fn soonest(&self) -> Soonest {
        let report = self.session.as_ref().filter(|s| s.echo.is_some()).map(|s| s.next_report);
        Soonest::new()
            .or(self.join.deadline(), Reason::Retry)
            .or(report, Reason::Report)
            .or(self.alarm(), Reason::Retry)
            .or(self.playout_deadline(), Reason::Playout)
    }
}

impl Machine for Receiver {
    type Local = Local;
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_, Local>) {
        match input {
            _ if self.finished => {}
            Input::Datagram(datagram) => self.datagram(now, datagram),
            // No route, perhaps for a moment: the retry timer is the answer.
            Input::NotSent(..) => {
                self.counts.send_errors += 1;
                self.join.not_sent();
            }
            Input::Local(Local::Stop) => self.stop(now),
        }
    }

    fn poll(&mut self, now: Time) -> Output<Event> {
        if !self.finished {
            self.look_for_server(now);
            self.playout(now);
            self.report(now);
        }
        if let Some(transmit) = self.out.pop_front() {
            return Output::Send(transmit);
        }
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        let Soonest(at, reason) = if self.finished { Soonest::new() } else { self.soonest() };
        Output::Wait(at, reason)
    }
}

/// Pictures between two units, and whether the hops between them say that something was lost.
fn gap(hops: Option<&Hops>, before: &Ready, after: &Ready) -> (u32, usize) {
    let between = after.unit.0.saturating_sub(before.unit.0).saturating_sub(1);
    let missing = hops.map_or(0, |hops| hops.missing_between(before.last_hop, after.first_hop));
    (between, missing)
}

/// The last unit of a stream of so many.
const fn last_of(ended: Unit) -> Option<Unit> {
    match ended.0.checked_sub(1) {
        Some(last) => Some(Unit(last)),
        None => None,
    }
}

/// Time to wait for stragglers once a later picture has begun: a quarter of an interval, at most 8 ms.
fn reorder_window(rate: Rate) -> Duration {
    (rate.interval() / 4).min(Duration::from_millis(8))
}

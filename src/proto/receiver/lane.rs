//! One lane: a session with a server, found, kept and reported on, and the stream that comes in it. Pictures are put
//! together here; sound is only taken in, because it may come in either of two lanes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::assembly::{Ready, Receipt, Took, Units};
use super::join::Join;
use super::{Config, Counts, Event, Trouble};
use crate::media::sound::{self, Frame, Rendition};
use crate::proto::clocksync::ClockSync;
use crate::proto::hops::{Hops, Seen};
use crate::proto::{Output, Peer, Port, Reason, Received, Soonest, Transmit, hop};
use crate::seal::Random;
use crate::units::{MediaTime, Rate, Time, Unit};
use crate::wire::message::{ClockEcho, Message, Timeline, bye};
use crate::wire::object::{ObjectView, Type, flags, format};
use crate::wire::tlv::{Tlvs, kind, printable};
use crate::wire::{Description, Hop, Kind, Report};

/// A server speaks at least four times a second, to a thousand watchers twice. After this much silence it is asked
/// whether it is there, or a new one in its place; nothing is said about that yet.
pub const SUSPECT_AFTER: Duration = Duration::from_millis(500);
/// After this much silence it counts as lost.
pub const LOST_AFTER: Duration = Duration::from_millis(1_200);
/// A report goes out after so many datagrams even if its time has not come.
const REPORT_DATAGRAMS: usize = 400;
/// What may wait to be sent, or to be taken by the program around, while a socket is full.
const MOST_WAITING: usize = 4_096;
/// Chunks of sound taken in between two looks: more than a server has ready at once.
const MOST_HEARD: usize = 1_024;
/// No chunk for so long: it does not come, or it has ended.
const SOUND_SILENCE: Duration = Duration::from_secs(1);

/// What a lane is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Pictures; sound too, if it is asked for here.
    Main,
    /// The sound of the session with this id.
    SoundOf(u64),
}

/// A chunk of sound as it came.
pub struct Heard {
    pub stream: u64,
    pub number: u32,
    pub frames: Vec<Frame>,
    pub media_time: MediaTime,
    pub at: Time,
}

/// A session with a server.
pub struct Session {
    pub id: u64,
    pub server: SocketAddr,
    /// Where its sound is; 0: nowhere.
    pub sound_port: u16,
    /// Its Description has come: without one there is nothing to show.
    pub described: bool,
    pub hops: Hops,
    pub heard: Time,
    pub echo: Option<(u32, Time)>,
    pub reports: u32,
    /// Messages sent in the sequence of this session.
    pub sequence: u32,
    pub report_interval: Duration,
    pub next_report: Time,
    pub update_ack: u32,
    /// The newest that the server has told.
    pub token: u64,
    /// May come before the Description.
    pub timeline: Option<Timeline>,
    pub bye: Option<(u16, String)>,
}

/// One stream's pictures.
pub struct Stream {
    pub id: u64,
    pub description: Description,
    pub units: Units,
    pub last_shown: Option<Ready>,
    pub ended_at: Option<Time>,
}

pub struct Lane {
    pub config: Config,
    pub role: Role,
    pub random: Random,
    pub join: Join,
    pub session: Option<Session>,
    /// What came in the session before this one, of which pictures may still be held.
    pub past: Option<(u64, Hops)>,
    pub stream: Option<Stream>,
    pub clock: ClockSync,
    pub counts: Counts,
    /// Pictures are shown so long after they are due.
    pub latency: Duration,
    /// Chunks that nobody has taken yet.
    pub heard: Vec<Heard>,
    /// When the last chunk came.
    sound_at: Option<Time>,
    /// How late the pictures shown since the last look were complete, ns.
    pub lateness: Vec<i64>,
    /// There is sound to be heard until then: the stream is not over before.
    pub hold: Option<Time>,
    /// What was last said about missing pictures; none while all is well.
    pub trouble: Option<Trouble>,
    pub finished: bool,
    pub out: VecDeque<Transmit>,
    pub events: VecDeque<Event>,
}

impl Lane {
    pub fn new(config: Config, role: Role, now: Time) -> Self {
        let mut random = Random::new(&config.seed);
        Self {
            join: Join::start(random.id(), now),
            random,
            role,
            latency: config.latency,
            config,
            session: None,
            past: None,
            stream: None,
            clock: ClockSync::default(),
            counts: Counts::default(),
            heard: Vec::new(),
            sound_at: None,
            lateness: Vec::new(),
            hold: None,
            trouble: None,
            finished: false,
            out: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Whoever is at this address, over our socket for this lane.
    pub fn peer(&self, address: SocketAddr) -> Peer {
        let port = if self.role == Role::Main { Port::PICTURES } else { Port::SOUND };
        Peer { port, address }
    }

    /// Accepted and described.
    pub fn is_joined(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.described)
    }

    /// Whether sound has come here lately.
    pub fn hears_sound(&self, now: Time) -> bool {
        self.sound_at.is_some_and(|at| now.since(at) < SOUND_SILENCE)
    }

    pub fn datagram(&mut self, now: Time, datagram: Received<'_>) {
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
            // They belong to no session yet: with a tag they are nobody's.
            Message::Challenge { .. } | Message::Refuse(_) if hop.tag != 0 => self.counts.rejected += 1,
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
            Message::Probe { .. } => self.report_soon(now),
            // More of them than these wait for the socket: whoever asks will ask again.
            Message::PathCheck { .. } if self.out.len() >= MOST_WAITING => {}
            Message::PathCheck { token } => {
                let reply = Message::PathReply { session: session.id, token };
                let (to, tag) = (session.server, session.id as u32);
                self.out.push_back(Transmit::message(self.peer(to), hop(Kind::PATH_REPLY, tag, now), &reply));
            }
            Message::Update { number, tlvs } => self.update(now, number, tlvs),
            Message::Bye { session: id, code, sentence } if id == session.id => {
                session.bye = Some((code, printable(sentence)));
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
        if let Some(token) = tlvs.find(kind::TOKEN).and_then(|token| token.try_into().ok()) {
            session.token = u64::from_be_bytes(token);
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
            _ if header.has(flags::SEALED) => self.counts.rejected += 1,
            Type::PICTURE if header.rendition != 0 || self.role != Role::Main => self.counts.rejected += 1,
            Type::DESCRIPTION => self.description(now, from, object),
            Type::PICTURE => self.picture(now, hop, object),
            Type::SOUND => self.sound(now, object),
            // Text and tables: not ours yet, skipped.
            _ => {}
        }
    }

    fn sound(&mut self, now: Time, object: &ObjectView<'_>) {
        let (stream, number, media_time) = (object.header.stream, object.header.unit.0, object.header.media_time);
        let ours = self.stream.as_ref().is_some_and(|known| known.id == stream);
        // Nobody who has not asked for sound is made to hear it.
        if !ours || self.config.sound.is_none() || self.heard.len() >= MOST_HEARD {
            return;
        }
        match frames(object) {
            Some(frames) => {
                self.sound_at = Some(now);
                self.heard.push(Heard { stream, number, frames, media_time, at: now });
            }
            None => self.counts.rejected += 1,
        }
    }

    fn picture(&mut self, now: Time, hop: u64, object: &ObjectView<'_>) {
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.id == object.header.stream) else { return };
        let waits = self.events.len() >= MOST_WAITING;
        if object.header.size != stream.description.size || waits {
            // Nobody makes room for a picture that was not announced, nor for more than the program takes.
            self.counts.rejected += 1;
            return;
        }
        let came = Receipt { at: now, session: self.session.as_ref().map_or(0, |session| session.id), hop };
        match stream.units.take(came, object) {
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
        if session.hops.unreported() > 0 {
            // What one report cannot hold the next one tells at once.
            session.next_report = now;
        }
        let interval = self.stream.as_ref().map_or(Duration::ZERO, |s| s.description.rate.interval());
        let held = self.stream.as_ref().map_or(Duration::ZERO, |s| s.units.held(interval));
        session.reports += 1;
        session.sequence += 1;
        let report = Report {
            session: session.id,
            number: session.reports,
            echo,
            held: u32::try_from(now.since(at).as_micros()).unwrap_or(u32::MAX),
            first,
            update_ack: session.update_ack,
            buffer: u32::try_from(held.as_micros()).unwrap_or(u32::MAX),
            token: session.token,
            arrivals,
        };
        let hop = Hop { sequence: session.sequence, ..hop(Kind::REPORT, session.id as u32, now) };
        let to = session.server;
        self.out.push_back(Transmit::message(self.peer(to), hop, &Message::Report(report)));
    }

    /// Tells the server a wish; nothing confirms that it came.
    pub fn want(&mut self, now: Time, number: u32, tlvs: &[u8]) {
        let Some(session) = self.session.as_mut() else { return };
        session.sequence += 1;
        let hop = Hop { sequence: session.sequence, ..hop(Kind::WANT, session.id as u32, now) };
        let want = Message::Want { session: session.id, number, tlvs: Tlvs::trusted(tlvs) };
        let to = session.server;
        self.out.push_back(Transmit::message(self.peer(to), hop, &want));
    }

    pub fn stop(&mut self, now: Time) {
        self.say_goodbye(now);
        self.finish();
    }

    pub fn say_goodbye(&mut self, now: Time) {
        if let Some(session) = &self.session {
            let goodbye = Message::Bye { session: session.id, code: bye::LEAVING, sentence: "" };
            let (to, tag) = (session.server, session.id as u32);
            self.out.push_back(Transmit::message(self.peer(to), hop(Kind::BYE, tag, now), &goodbye));
        }
    }

    fn finish(&mut self) {
        if !self.finished {
            self.finished = true;
            self.events.push_back(Event::Finished);
        }
    }

    /// What lies between two units, by the hop sequence of the session in which they came: this one, or that before it.
    pub fn gap(&self, before: &Ready, after: &Ready) -> Gap {
        let pictures = after.unit.0.saturating_sub(before.unit.0).saturating_sub(1);
        let now = self.session.as_ref().map(|session| (session.id, &session.hops));
        let known = [now, self.past.as_ref().map(|(id, hops)| (*id, hops))].into_iter().flatten();
        let hops = known.filter(|(id, _)| before.session == *id && after.session == *id).map(|(_, hops)| hops).next();
        Gap { pictures, missing: hops.map(|hops| hops.missing_between(before.last_hop, after.first_hop)) }
    }

    /// Takes what could not be sent. No route, perhaps for a moment: the retry timer is the answer.
    pub fn not_sent(&mut self) {
        self.counts.send_errors += 1;
        self.join.not_sent();
    }

    /// As [`crate::proto::Machine::poll`].
    pub fn poll(&mut self, now: Time) -> Output<Event> {
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

    fn soonest(&self) -> Soonest {
        let report = self.session.as_ref().filter(|s| s.echo.is_some()).map(|s| s.next_report);
        Soonest::new()
            .or(self.join.deadline(), Reason::Retry)
            .or(report, Reason::Report)
            .or(self.alarm(), Reason::Retry)
            .or(self.playout_deadline(), Reason::Playout)
    }
}

/// What is to be heard of a sound object, if it is one that can be: whole, of a known rendition and format.
fn frames(object: &ObjectView<'_>) -> Option<Vec<Frame>> {
    let header = &object.header;
    let rendition = Rendition::of(header.rendition)?;
    let known = header.format == format::PCM_S16LE && rendition.channels() == header.size.height;
    let whole = header.part == 0 && header.parts_told() == 1;
    let in_place = header.media_time == sound::media_time(u64::from(header.unit.0) * sound::FRAMES as u64);
    (known && whole && in_place).then(|| sound::read(object.body, header.size.width, header.size.height))?
}

/// What lies between two units that were shown one after the other.
pub struct Gap {
    pub pictures: u32,
    /// Datagrams that did not come; `None` between two sessions, of which no sequence tells.
    pub missing: Option<usize>,
}

/// The last unit of a stream of so many.
pub const fn last_of(ended: Unit) -> Option<Unit> {
    match ended.0.checked_sub(1) {
        Some(last) => Some(Unit(last)),
        None => None,
    }
}

/// Time to wait for stragglers once a later picture has begun: a quarter of an interval, at most 8 ms.
pub fn reorder_window(rate: Rate) -> Duration {
    (rate.interval() / 4).min(Duration::from_millis(8))
}

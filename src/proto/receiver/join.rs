//! Finding a server and staying with it: Hello, Challenge, Join, Accept, and all that again when it falls silent.

use std::net::SocketAddr;
use std::time::Duration;

use super::assembly::Units;
use super::lane::{LOST_AFTER, Lane, Role as LaneRole, SUSPECT_AFTER, Session, Stream};
use super::{Event, Trouble};
use crate::media::Canvas;
use crate::proto::hops::Hops;
use crate::proto::{Transmit, hop};
use crate::units::{Size, Time};
use crate::wire::message::{
    Accept, COOKIE_LEN, Join as JoinMessage, Message, Place, Refuse, RefuseCode, Role, SoundWish,
};
use crate::wire::object::ObjectView;
use crate::wire::tlv::{self, Tlvs, kind, printable};
use crate::wire::{Description, Kind, VERSION};

/// Waits between tries: short at first, then steady, so that a server that comes back is found within half a second.
const RETRY_MILLIS: [u64; 4] = [50, 100, 200, 250];
/// After a halt of this machine Challenges may be read before the pictures that waited with them.
const SECOND_THOUGHTS: Duration = Duration::from_millis(100);
/// Nobody may be slow to answer for longer than this without a word about it.
const NOBODY_AFTER: Duration = Duration::from_secs(1);

/// A stream whose pictures are too large is looked at again after this.
const TOO_LARGE_AGAIN: Duration = Duration::from_secs(5);
/// The Description and Probes are answered together, this soon after the first.
const FIRST_REPORT: Duration = Duration::from_micros(500);

/// How far joining has got.
pub struct Join {
    nonce: u64,
    step: Step,
    /// Whom a Join went to, with which cookie, until he accepts: he may although the old session has spoken again.
    asked: Option<(SocketAddr, [u8; COOKIE_LEN])>,
    tries: usize,
    next: Option<Time>,
    sent: Time,
    since: Time,
    /// Datagrams of this try that could not be sent, and whether that was all of them the last time.
    failures: usize,
    stuck: bool,
}

#[derive(Clone, Copy)]
enum Step {
    Hello,
    Join {
        server: SocketAddr,
        cookie: [u8; COOKIE_LEN],
    },
    /// Accepted; until the Description is there, Join is repeated.
    Describe {
        server: SocketAddr,
        cookie: [u8; COOKIE_LEN],
    },
    Joined,
}

impl Join {
    pub const fn start(nonce: u64, now: Time) -> Self {
        let (asked, tries, failures, stuck) = (None, 0, 0, false);
        Self { nonce, step: Step::Hello, asked, tries, next: Some(now), sent: now, since: now, failures, stuck }
    }

    /// A datagram of this try could not be sent.
    pub const fn not_sent(&mut self) {
        self.failures += 1;
    }

    /// When to try again.
    pub const fn deadline(&self) -> Option<Time> {
        self.next
    }

    fn step(&mut self, step: Step, next: Option<Time>) {
        self.step = step;
        self.tries = 0;
        self.next = next;
    }
}

impl Lane {
    /// Sends the Hello or Join that is due, and notices a server that has fallen silent.
    pub(super) fn look_for_server(&mut self, now: Time) {
        let joined = matches!(self.join.step, Step::Joined);
        if joined && self.session.as_ref().is_some_and(|session| now >= session.suspect_at()) {
            self.join = Join::start(self.random.id(), now);
        }
        if self.join.next.is_some_and(|next| now >= next) {
            self.try_again(now);
        }
        let trouble = self.trouble_at(now).filter(|trouble| self.trouble != Some(*trouble));
        if let Some(trouble) = trouble {
            self.trouble = Some(trouble);
            self.events.push_back(Event::Trouble(trouble));
        }
    }

    fn try_again(&mut self, now: Time) {
        let join = &mut self.join;
        let wait = RETRY_MILLIS[join.tries.min(RETRY_MILLIS.len() - 1)];
        join.stuck = join.tries > 0 && join.failures >= self.config.servers.len();
        (join.tries, join.failures) = (join.tries + 1, 0);
        (join.next, join.sent) = (Some(now + Duration::from_millis(wait)), now);
        match join.step {
            Step::Hello => self.send_hello(now),
            // A cookie is good for a minute or two; a server that has restarted knows nothing of it.
            Step::Join { .. } | Step::Describe { .. } if join.tries > 8 => {
                self.join = Join::start(self.random.id(), now);
                self.try_again(now);
            }
            Step::Join { server, cookie } | Step::Describe { server, cookie } => self.send_join(now, server, cookie),
            Step::Joined => {}
        }
    }

    /// What is to be said about the silence by now, if anything.
    fn trouble_at(&self, now: Time) -> Option<Trouble> {
        let (limit, silent) = self.silence()?;
        (now >= limit).then_some(if self.join.stuck { Trouble::Network } else { silent })
    }

    /// When silence becomes trouble, and which. After a goodbye, or a refusal, enough has been said.
    fn silence(&self) -> Option<(Time, Trouble)> {
        match &self.session {
            Some(session) => Some((session.heard + LOST_AFTER, Trouble::Silent)),
            None if self.stream.is_none()
                && matches!(self.trouble, None | Some(Trouble::Nobody | Trouble::Network)) =>
            {
                Some((self.join.since + NOBODY_AFTER, Trouble::Nobody))
            }
            None => None,
        }
    }

    /// When silence is looked at next.
    pub(super) fn alarm(&self) -> Option<Time> {
        let suspect = self.session.as_ref().filter(|_| matches!(self.join.step, Step::Joined)).map(Session::suspect_at);
        let trouble = self.silence().filter(|_| self.trouble.is_none()).map(|(limit, _)| limit);
        [suspect, trouble].into_iter().flatten().min()
    }

    /// The session lives after all: whatever is looked for is not needed.
    pub(super) fn heard_again(&mut self, id: u64) {
        let looking = matches!(self.join.step, Step::Hello | Step::Join { .. });
        let found = |session: &&Session| looking && session.described && session.id == id;
        let Some(session) = self.session.as_ref().filter(found) else { return };
        self.join.step(Step::Joined, None);
        if let (Some(_), Some(stream)) = (self.trouble.take(), &self.stream) {
            let (description, stream, server) = (stream.description.clone(), stream.id, session.server);
            self.events.push_back(Event::Playing { description, stream, server, rejoined: true });
        }
    }

    /// After a goodbye: looks for the server, or one in its place, for as long as it takes.
    pub(super) fn start_over(&mut self, now: Time) {
        self.say_goodbye(now);
        self.session = None;
        self.trouble = None;
        self.join = Join::start(self.random.id(), now + Duration::from_millis(RETRY_MILLIS[3]));
    }

    fn send_hello(&mut self, now: Time) {
        let message = Message::Hello { highest: VERSION, lowest: VERSION, nonce: self.join.nonce };
        for &to in &self.config.servers {
            self.out.push_back(Transmit::message(self.peer(to), hop(Kind::HELLO, 0, now), &message));
        }
    }

    fn send_join(&mut self, now: Time, server: SocketAddr, cookie: [u8; COOKIE_LEN]) {
        let wishes = self.wishes();
        let message = Message::Join(JoinMessage {
            nonce: self.join.nonce,
            cookie,
            role: Role::Watch,
            fec: 0,
            max_datagram: self.config.max_datagram,
            tlvs: Tlvs::trusted(&wishes),
        });
        self.out.push_back(Transmit::message(self.peer(server), hop(Kind::JOIN, 0, now), &message));
    }

    /// What a Join says of sound: that a session for it will follow, or that this is it.
    fn wishes(&self) -> Vec<u8> {
        let (mut out, mut want) = (Vec::new(), Vec::new());
        let Some(rendition) = self.config.sound else { return out };
        if let LaneRole::SoundOf(id) = self.role {
            tlv::put(&mut out, kind::WITH_SESSION, &id.to_be_bytes());
        }
        SoundWish { place: Place::SoundPort, rendition: rendition.id() }.put(&mut want);
        tlv::put(&mut out, kind::WANT, &want);
        out
    }

    pub(super) fn challenge(&mut self, now: Time, server: SocketAddr, nonce: u64, cookie: [u8; COOKIE_LEN]) {
        // A session that is only suspected to be gone gets a moment to prove that it is not.
        let patient = self.session.is_some() && now < self.join.since + SECOND_THOUGHTS;
        if nonce == self.join.nonce && matches!(self.join.step, Step::Hello) && !patient {
            self.join.asked = Some((server, cookie));
            self.join.step(Step::Join { server, cookie }, Some(now));
        }
    }

    pub(super) fn accept(&mut self, now: Time, from: SocketAddr, tag: u32, accept: &Accept<'_>) {
        let Some((server, cookie)) = self.join.asked else { return };
        if accept.nonce != self.join.nonce || from != server || tag != accept.session as u32 {
            return;
        }
        self.join.asked = None;
        self.clock = crate::proto::clocksync::ClockSync::default();
        if self.join.tries == 1 {
            // After a repeat nobody knows which Join was answered; the first clock update will tell the time.
            self.clock.exchange(self.join.sent, Duration::ZERO, Time::from_micros(accept.clock), now);
        }
        let report_interval = Duration::from_millis(u64::from(accept.report_interval_ms.clamp(10, 2_000)));
        self.past = self.session.take().map(|session| (session.id, session.hops));
        self.session = Some(Session {
            id: accept.session,
            server,
            sound_port: accept.sound_port,
            described: false,
            hops: Hops::for_latency(self.config.latency),
            heard: now,
            echo: None,
            reports: 0,
            sequence: 0,
            report_interval,
            next_report: now + report_interval,
            update_ack: 0,
            token: accept.token,
            timeline: None,
            bye: None,
        });
        self.trouble = None;
        self.join.step(Step::Describe { server, cookie }, Some(now + Duration::from_millis(RETRY_MILLIS[0])));
    }

    pub(super) fn refused(&mut self, now: Time, refuse: &Refuse<'_>) {
        if refuse.nonce != self.join.nonce || matches!(self.join.step, Step::Joined | Step::Describe { .. }) {
            return;
        }
        let code = if refuse.other_versions().is_some() { RefuseCode::VERSION } else { refuse.code };
        let wait = Duration::from_millis(u64::from(refuse.retry_after_ms.clamp(250, 60_000)));
        self.join = Join::start(self.random.id(), now + wait);
        if code == RefuseCode::ENDED && self.stream.is_some() {
            // The server we have just said goodbye to has not gone yet; the next one may be there at any moment.
            self.join.next = Some(now + Duration::from_millis(RETRY_MILLIS[3]));
            return;
        }
        self.join.since = now + wait;
        self.events.push_back(Event::Refused { code, sentence: printable(refuse.sentence) });
    }

    pub(super) fn description(&mut self, now: Time, server: SocketAddr, object: &ObjectView<'_>) {
        let Ok(description) = Description::parse(object.body) else {
            self.counts.rejected += 1;
            return;
        };
        if self.role == LaneRole::Main && !Canvas::fits(description.size) {
            return self.too_large(now, description.size);
        }
        let id = object.header.stream;
        let rejoined = self.stream.is_some();
        let first = self.session.as_mut().is_some_and(|session| !std::mem::replace(&mut session.described, true));
        let renamed = self.stream.as_ref().is_some_and(|stream| stream.id != id);
        if first || renamed {
            if matches!(self.join.step, Step::Describe { .. }) {
                self.join.step(Step::Joined, None);
            }
            self.report_soon(now);
            self.counts.reconnects += u64::from(first && rejoined);
            let description = description.clone();
            self.events.push_back(Event::Playing { description, stream: id, server, rejoined });
        }
        match self.stream.as_mut().filter(|stream| stream.id == id) {
            Some(stream) => {
                let ended = description.ended.or(stream.description.ended);
                if ended.is_some() && stream.ended_at.is_none() {
                    stream.ended_at = Some(now);
                }
                let sound_ended = description.sound_ended.or(stream.description.sound_ended);
                stream.description = Description { ended, sound_ended, ..description };
            }
            None => self.stream = Some(Stream::new(id, description)),
        }
    }
}

impl Lane {
    /// Pictures that no canvas is made for: leaves, and looks again later, when something else may be served.
    fn too_large(&mut self, now: Time, size: Size) {
        self.say_goodbye(now);
        (self.session, self.stream) = (None, None);
        self.join = Join::start(self.random.id(), now + TOO_LARGE_AGAIN);
        self.events.push_back(Event::TooLarge(size));
    }

    /// The next report is due a moment from now: it tells the server that this watcher is there.
    pub(super) fn report_soon(&mut self, now: Time) {
        if let Some(session) = &mut self.session {
            session.next_report = session.next_report.min(now + FIRST_REPORT);
        }
    }
}

impl Session {
    /// When silence becomes suspicious: never before the server was to speak.
    fn suspect_at(&self) -> Time {
        self.heard + SUSPECT_AFTER.max(self.report_interval)
    }
}

impl Stream {
    fn new(id: u64, description: Description) -> Self {
        let units = Units::default();
        Self { id, description, units, last_shown: None, ended_at: None }
    }
}

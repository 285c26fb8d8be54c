//! Finding a server and staying with it: Hello, Challenge, Join, Accept, and all that again when it falls silent.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Event, LOST_AFTER, Receiver, Session, Stream};
use crate::proto::hops::Hops;
use crate::proto::{Transmit, hop};
use crate::units::Time;
use crate::wire::message::{Accept, COOKIE_LEN, Join as JoinMessage, Message, Refuse, RefuseCode, Role};
use crate::wire::object::ObjectView;
use crate::wire::tlv::{Tlvs, printable};
use crate::wire::{Description, Kind, VERSION};

/// Waits between tries: short at first, then steady, so that a server that comes back is found within half a second.
const RETRY_MILLIS: [u64; 4] = [50, 100, 200, 250];

/// How far joining has got.
pub struct Join {
    nonce: u64,
    step: Step,
    tries: usize,
    next: Option<Time>,
    sent: Time,
}

#[derive(Clone, Copy)]
enum Step {
    Hello,
    Join { server: SocketAddr, cookie: [u8; COOKIE_LEN] },
    /// Accepted; until the Description is there, Join is repeated.
    Describe { server: SocketAddr, cookie: [u8; COOKIE_LEN] },
    Joined,
}

impl Join {
    pub const fn start(nonce: u64, now: Time) -> Self {
        Self { nonce, step: Step::Hello, tries: 0, next: Some(now), sent: now }
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

impl Receiver {
    /// Sends the Hello or Join that is due, and notices a server that has fallen silent.
    pub(super) fn look_for_server(&mut self, now: Time) {
        if !self.lost && self.session.as_ref().is_some_and(|session| now >= session.heard + LOST_AFTER) {
            self.lost = true;
            self.join = Join::start(self.random.id(), now);
            self.events.push_back(Event::Lost);
        }
        if self.join.next.is_none_or(|next| now < next) {
            return;
        }
        let wait = RETRY_MILLIS[self.join.tries.min(RETRY_MILLIS.len() - 1)];
        self.join.tries += 1;
        self.join.next = Some(now + Duration::from_millis(wait));
        self.join.sent = now;
        match self.join.step {
            Step::Hello => self.send_hello(now),
            // A cookie is good for a minute or two; a server that has restarted knows nothing of it.
            Step::Join { .. } | Step::Describe { .. } if self.join.tries > 8 => {
                self.join = Join::start(self.random.id(), now);
            }
            Step::Join { server, cookie } | Step::Describe { server, cookie } => self.send_join(now, server, cookie),
            Step::Joined => {}
        }
    }

    fn send_hello(&mut self, now: Time) {
        let message = Message::Hello { highest: VERSION, lowest: VERSION, nonce: self.join.nonce };
        for &to in &self.config.servers {
            self.out.push_back(Transmit::message(to, hop(Kind::HELLO, 0, now), &message));
        }
    }

    fn send_join(&mut self, now: Time, server: SocketAddr, cookie: [u8; COOKIE_LEN]) {
        let message = Message::Join(JoinMessage {
            nonce: self.join.nonce,
            cookie,
            role: Role::Watch,
            fec: 0,
            max_datagram: self.config.max_datagram,
            tlvs: Tlvs::default(),
        });
        self.out.push_back(Transmit::message(server, hop(Kind::JOIN, 0, now), &message));
    }

    pub(super) fn challenge(&mut self, now: Time, server: SocketAddr, nonce: u64, cookie: [u8; COOKIE_LEN]) {
        if nonce == self.join.nonce && matches!(self.join.step, Step::Hello) {
            self.join.step(Step::Join { server, cookie }, Some(now));
        }
    }

    pub(super) fn accept(&mut self, now: Time, from: SocketAddr, tag: u32, accept: &Accept<'_>) {
        let Step::Join { server, cookie } = self.join.step else { return };
        if accept.nonce != self.join.nonce || from != server || tag != accept.session as u32 {
            return;
        }
        self.clock = crate::proto::clocksync::ClockSync::default();
        self.clock.exchange(self.join.sent, Duration::ZERO, Time::from_micros(accept.clock), now);
        let report_interval = Duration::from_millis(u64::from(accept.report_interval_ms.clamp(10, 2_000)));
        self.session = Some(Session {
            id: accept.session,
            server,
            hops: Hops::default(),
            heard: now,
            echo: None,
            reports: 0,
            report_interval,
            next_report: now + report_interval,
            update_ack: 0,
            timeline: None,
            bye: None,
        });
        self.lost = false;
        self.join.step(Step::Describe { server, cookie }, Some(now + Duration::from_millis(RETRY_MILLIS[0])));
    }

    pub(super) fn refused(&mut self, now: Time, refuse: &Refuse<'_>) {
        if refuse.nonce != self.join.nonce || matches!(self.join.step, Step::Joined | Step::Describe { .. }) {
            return;
        }
        let code = if refuse.other_versions().is_some() { RefuseCode::VERSION } else { refuse.code };
        self.events.push_back(Event::Refused { code, sentence: printable(refuse.sentence) });
        let wait = Duration::from_millis(u64::from(refuse.retry_after_ms.clamp(250, 60_000)));
        self.join = Join::start(self.random.id(), now + wait);
    }

    pub(super) fn description(&mut self, now: Time, server: SocketAddr, object: &ObjectView<'_>) {
        let Ok(description) = Description::parse(object.body) else {
            self.counts.rejected += 1;
            return;
        };
        let id = object.header.stream;
        let rejoined = self.stream.is_some();
        if matches!(self.join.step, Step::Describe { .. }) {
            self.join.step(Step::Joined, None);
            self.counts.reconnects += u64::from(rejoined);
            let description = description.clone();
            self.events.push_back(Event::Playing { description, stream: id, server, rejoined });
        }
        match self.stream.as_mut().filter(|stream| stream.id == id) {
            Some(stream) => {
                let ended = description.ended.or(stream.description.ended);
                if ended.is_some() && stream.ended_at.is_none() {
                    stream.ended_at = Some(now);
                }
                stream.description = Description { ended, ..description };
            }
            None => self.stream = Some(Stream::new(id, description)),
        }
        self.consider_end(now);
    }
}

impl Stream {
    fn new(id: u64, description: Description) -> Self {
        let units = super::Units::default();
        Self { id, description, units, last_shown: None, ended_at: None }
    }
}

//! A source, its bounded queue and an encoder that obeys the server's demand, in virtual time.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use udpstream::media::coded::{CodedPicture, Stamps};
use udpstream::proto::ladder::{Rung, Wish};
use udpstream::proto::schedule::{Cost, Demand, Verdict};
use udpstream::proto::server::{Feed, Local, StreamKey};
use udpstream::proto::{Input, Machine, Server};
use udpstream::units::{Time, Unit};

use crate::jpeg::Film;

const QUEUE: usize = 10;

pub struct Encoder {
    pub film: Rc<Film>,
    /// The source reads a picture in this time.
    pub decode: Duration,
    pub cost: Duration,
    /// Nothing is read in this time.
    pub stall: Range<Time>,
    /// Pictures in all.
    pub length: u32,
    pub skipped: u64,
    pub discarded: u64,
    pub encoded: u64,
    /// Of the encoded: those that took two attempts.
    pub again: u64,
    /// From this picture on nothing changes.
    pub still_from: Unit,
    /// `Demand::fresh` at the last picture that was encoded, the rung that was wished then, and the rendition that it became.
    fresh: Option<u64>,
    wished: Option<Rung>,
    rendition: u8,
    estimate: Cost,
    next: u32,
    next_read: Time,
    queue: VecDeque<(Unit, Time)>,
    busy: Option<Busy>,
    /// The hand-off.
    slot: Option<CodedPicture>,
    hold: Time,
    told: bool,
}

/// What is being encoded.
struct Busy {
    unit: Unit,
    wish: Wish,
    since: Time,
    done: Time,
}

impl Encoder {
    pub fn new(film: Rc<Film>) -> Self {
        Self {
            film,
            decode: Duration::from_micros(500),
            cost: Duration::from_millis(2),
            stall: Time::NEVER..Time::NEVER,
            length: u32::MAX,
            skipped: 0,
            discarded: 0,
            encoded: 0,
            again: 0,
            still_from: Unit(u32::MAX),
            fresh: None,
            wished: None,
            rendition: 0,
            estimate: Cost::default(),
            next: 0,
            next_read: Time::ZERO,
            queue: VecDeque::new(),
            busy: None,
            slot: None,
            hold: Time::NEVER,
            told: false,
        }
    }

    pub fn wake(&self) -> Time {
        let read = self.may_read().then_some(self.next_read);
        let done = self.busy.as_ref().map(|busy| busy.done);
        [read, done].into_iter().flatten().min().unwrap_or(Time::NEVER).min(self.hold)
    }

    fn may_read(&self) -> bool {
        self.queue.len() < QUEUE && self.next < self.length
    }

    /// Does what is due; returns whether the server was given something.
    pub fn step(&mut self, now: Time, server: &mut Server, key: StreamKey) -> bool {
        let mut gave = false;
        loop {
            self.read(now);
            if let Some(busy) = self.busy.take_if(|busy| busy.done <= now) {
                self.estimate.observe(now.since(busy.since));
                self.encoded += 1;
                let (picture, again) = self.film.wished(busy.unit, &busy.wish, busy.since, now);
                self.again += u64::from(again);
                (self.wished, self.rendition) = (Some(busy.wish.rung), picture.rendition);
                self.slot = Some(picture);
            }
            if server.wants_picture(key)
                && let Some(picture) = self.slot.take()
            {
                server.handle(now, Input::Local(Local::Stream(key, Feed::Picture(picture))));
                gave = true;
            }
            if !self.take(now, server, key) {
                break;
            }
        }
        let over = self.next == self.length && self.queue.is_empty() && self.busy.is_none() && self.slot.is_none();
        if over && !self.told && server.wants_picture(key) {
            self.told = true;
            let end = self.film.span(self.length - 1).end();
            server.handle(now, Input::Local(Local::Stream(key, Feed::Ended(Some(end)))));
            gave = true;
        }
        gave
    }

    fn read(&mut self, now: Time) {
        while self.may_read() && self.next_read <= now {
            if self.stall.contains(&now) {
                self.next_read = self.stall.end;
                return;
            }
            self.queue.push_back((Unit(self.next), now));
            self.next += 1;
            self.next_read = now + self.decode;
        }
    }

    /// Decides on the picture in front; returns whether there is more to do now.
    fn take(&mut self, now: Time, server: &Server, key: StreamKey) -> bool {
        self.hold = Time::NEVER;
        if self.busy.is_some() || self.slot.is_some() {
            return false;
        }
        let Some(&(unit, _)) = self.queue.front() else { return false };
        let demand = server.demand(key, 0);
        match demand.verdict(self.film.span(unit.0), now, self.estimate.estimate(), self.queue.len() > 1) {
            Verdict::Hold(until) => {
                self.hold = until;
                return false;
            }
            Verdict::Encode if unit > self.still_from && self.is_shown(&demand) => {
                let stamps = Stamps { captured: now, encoding: now, encoded: now };
                let span = self.film.span(unit.0);
                let rendition = self.rendition;
                let size = self.film.size.rendition(rendition);
                self.slot = Some(CodedPicture::same(unit, span, size, rendition, stamps));
            }
            Verdict::Encode => {
                self.fresh = Some(demand.fresh);
                self.busy = Some(Busy { unit, wish: demand.wish, since: now, done: now + self.cost });
            }
            Verdict::Skip => self.skipped += 1,
            Verdict::Discard => self.discarded += 1,
        }
        self.queue.pop_front();
        true
    }

    /// Whether all who watch have it on their screens, as well as they may.
    fn is_shown(&self, demand: &Demand) -> bool {
        let worth = |shown: Rung| demand.wish.rung.is_worth_coding_after(shown) && self.film.is_elastic();
        self.fresh == Some(demand.fresh) && !self.wished.is_some_and(worth)
    }
}

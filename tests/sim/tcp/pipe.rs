//! A TCP connection as its two ends see it: bytes in order, a rate, a delay, a receive buffer that a reader may leave full, and a writer
//! that is told when about a picture waits. Framing is the program's own.

use std::collections::VecDeque;
use std::time::Duration;

use udpstream::proto::framing::{Deframer, length};
use udpstream::units::{Bitrate, Time};

/// Bytes that travel together.
const SEGMENT: usize = 1_448;

pub struct Pipe {
    pub rate: Bitrate,
    pub latency: Duration,
    /// Bytes that the far end keeps unread.
    pub room: usize,
    /// Bytes that may wait here before the writer is told that it is full.
    pub unsent_most: usize,
    unsent: VecDeque<u8>,
    flying: VecDeque<(Time, Vec<u8>)>,
    come: VecDeque<u8>,
    free: Time,
    full: bool,
    deframer: Deframer,
    /// The most that ever waited here.
    pub peak: usize,
    /// Bytes that were put in so far.
    pub taken: usize,
}

impl Pipe {
    pub fn new(rate: Bitrate, latency: Duration) -> Self {
        Self {
            rate,
            latency,
            room: 512 << 10,
            unsent_most: 64 << 10,
            unsent: VecDeque::new(),
            flying: VecDeque::new(),
            come: VecDeque::new(),
            free: Time::ZERO,
            full: false,
            deframer: Deframer::default(),
            peak: 0,
            taken: 0,
        }
    }

    /// Returns whether it is full now and was not before.
    pub fn put(&mut self, now: Time, datagram: &[u8]) -> bool {
        if self.unsent.is_empty() {
            self.free = self.free.max(now);
        }
        self.unsent.extend(length(datagram.len()));
        self.unsent.extend(datagram);
        self.taken += datagram.len();
        self.peak = self.peak.max(self.unsent.len());
        let full = self.unsent.len() >= self.unsent_most;
        full && !std::mem::replace(&mut self.full, full)
    }

    fn has_window(&self) -> bool {
        let under_way: usize = self.flying.iter().map(|(_, bytes)| bytes.len()).sum();
        under_way + self.come.len() + SEGMENT <= self.room
    }

    pub fn wake(&self) -> Time {
        let leaves = if self.unsent.is_empty() || !self.has_window() { Time::NEVER } else { self.free };
        self.flying.front().map_or(leaves, |(at, _)| leaves.min(*at))
    }

    /// Lets bytes leave and arrive; returns whether there is room again after there was none.
    pub fn step(&mut self, now: Time) -> bool {
        while self.flying.front().is_some_and(|(at, _)| *at <= now) {
            self.come.extend(self.flying.pop_front().into_iter().flat_map(|(_, bytes)| bytes));
        }
        while !self.unsent.is_empty() && self.free <= now && self.has_window() {
            let bytes: Vec<u8> = self.unsent.drain(..SEGMENT.min(self.unsent.len())).collect();
            self.free = self.free.max(now) + self.rate.time_for(bytes.len() as u64 + 66);
            self.flying.push_back((self.free + self.latency, bytes));
        }
        // As Linux does: half of it has to be free.
        let ready = self.full && self.unsent.len() * 2 < self.unsent_most;
        self.full &= !ready;
        ready
    }

    /// What a reader takes.
    pub fn read(&mut self) -> Vec<Vec<u8>> {
        let bytes: Vec<u8> = self.come.drain(..).collect();
        let mut whole = Vec::new();
        self.deframer.take(&bytes, |datagram| whole.push(datagram.to_vec())).expect("the program's own framing");
        whole
    }

    pub fn has_come(&self) -> bool {
        !self.come.is_empty()
    }
}

//! Lines to one who listens: which there are is told first; then each is sent until all have come.

use std::time::Duration;

use super::Room;
use crate::media::coded::Object;
use crate::units::Time;
use crate::wire::message::LineRange;

/// So many lines may be on their way: some 5 kB of the longest.
const WINDOW: u32 = 8;
/// What was not confirmed is said again after this, and then after twice as long each time …
const REPEAT: Duration = Duration::from_millis(200);
/// … up to this.
const SLOWEST: Duration = Duration::from_secs(2);

/// What is to be sent next.
pub enum Next {
    Range(LineRange),
    Line(Object),
}

/// See the head of this file.
#[derive(Default)]
pub struct Outgoing {
    stream: u64,
    /// The first line that has not come, as far as is known.
    wanted: u32,
    /// The next to send.
    next: u32,
    /// Up to here the listener knows that there is nothing before.
    told_first: Option<u32>,
    /// The range was sent, and its answer is awaited.
    asked: bool,
    repeat_at: Time,
    tries: u32,
}

impl Outgoing {
    /// What is to be sent now.
    pub fn next(&mut self, now: Time, stream: u64, room: &Room) -> Option<Next> {
        let range = room.range(stream);
        self.follow(range);
        if now >= self.repeat_at && self.is_waiting() {
            (self.asked, self.next) = (false, self.wanted);
        }
        if self.told_first.is_none() {
            if std::mem::replace(&mut self.asked, true) {
                return None;
            }
            self.wait(now);
            return Some(Next::Range(range));
        }
        if self.next >= range.next || self.next - self.wanted >= WINDOW {
            return None;
        }
        if self.next == self.wanted {
            self.wait(now);
        }
        let line = room.line(self.next)?;
        self.next += 1;
        Some(Next::Line(line))
    }

    /// The room may have become another one, or have forgotten what was not sent yet.
    fn follow(&mut self, range: LineRange) {
        let other = self.stream != range.stream || self.wanted > range.next;
        if other || self.wanted < range.first {
            *self = Self { stream: range.stream, wanted: range.first, next: range.first, ..Self::default() };
        }
    }

    fn wait(&mut self, now: Time) {
        self.repeat_at = now + (REPEAT * (1 << self.tries.min(4))).min(SLOWEST);
        self.tries += 1;
    }

    /// Whether an answer is awaited.
    const fn is_waiting(&self) -> bool {
        self.asked || self.next > self.wanted
    }

    /// The listener has all lines before this one.
    pub fn heard(&mut self, now: Time, stream: u64, next: u32, room: &Room) {
        let range = room.range(stream);
        if stream != self.stream || next > range.next || next < self.wanted {
            return;
        }
        let news = next > self.wanted || self.told_first.is_none();
        (self.told_first, self.asked) = (Some(range.first), false);
        self.wanted = next;
        self.next = self.next.max(next);
        if news {
            self.tries = 0;
            self.wait(now);
        }
    }

    /// When something is to be said again; `None`: all has come.
    pub fn deadline(&self) -> Option<Time> {
        self.is_waiting().then_some(self.repeat_at)
    }
}

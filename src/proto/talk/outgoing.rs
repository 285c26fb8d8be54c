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
/// What has come already is sent once more only so often.
const BACK: Duration = Duration::from_millis(200);

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
    /// The listener has said from which line on it listens.
    is_agreed: bool,
    /// The range was sent, and its answer is awaited.
    asked: bool,
    repeat_at: Time,
    tries: u32,
    /// It does not go back before then: whoever says that little has come is sent much.
    back_at: Time,
}

impl Outgoing {
    /// What is to be sent now.
    pub fn next(&mut self, now: Time, stream: u64, room: &Room) -> Option<Next> {
        let range = room.range(stream);
        // The room may have become another one, or have forgotten what was not sent yet.
        if self.stream != range.stream || !(range.first..=range.next).contains(&self.wanted) {
            self.begin_again(range);
        }
        if now >= self.repeat_at && self.is_waiting() {
            (self.asked, self.next) = (false, self.wanted);
        }
        if !self.is_agreed {
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

    fn begin_again(&mut self, range: LineRange) {
        let LineRange { stream, first, .. } = range;
        *self = Self { stream, wanted: first, next: first, back_at: self.back_at, ..Self::default() };
    }

    fn wait(&mut self, now: Time) {
        self.repeat_at = now + (REPEAT * (1 << self.tries.min(4))).min(SLOWEST);
        self.tries += 1;
    }

    /// Whether an answer is awaited.
    const fn is_waiting(&self) -> bool {
        self.asked || self.next > self.wanted
    }

    /// Whether it may go back now, which it then does not for a while.
    fn may_go_back(&mut self, now: Time) -> bool {
        let may = now >= self.back_at;
        if may {
            self.back_at = now + BACK;
        }
        may
    }

    /// The listener asks whether there is talk: it knows nothing.
    pub fn ask(&mut self, now: Time) {
        if self.may_go_back(now) {
            *self = Self { back_at: self.back_at, ..Self::default() };
        }
    }

    /// The listener has all lines before this one.
    pub fn heard(&mut self, now: Time, stream: u64, next: u32, room: &Room) {
        let range = room.range(self.stream);
        if stream != self.stream || !(range.first..=range.next).contains(&next) {
            // What it listens to is not what there is, perhaps because of something that came late: it is told again.
            if self.is_agreed && self.may_go_back(now) {
                self.begin_again(range);
            }
            return;
        }
        // Less than before: this came late, or the listener began anew.
        if next < self.wanted && self.is_agreed && !self.may_go_back(now) {
            return;
        }
        let is_news = next != self.wanted || !self.is_agreed;
        (self.is_agreed, self.asked) = (true, false);
        self.next = if next < self.wanted { next } else { self.next.max(next) };
        self.wanted = next;
        if is_news {
            self.tries = 0;
            if self.is_waiting() {
                self.wait(now);
            }
        }
    }

    /// When something is to be said again; `None`: all has come.
    pub fn deadline(&self) -> Option<Time> {
        self.is_waiting().then_some(self.repeat_at)
    }
}

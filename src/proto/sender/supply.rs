//! Objects that a relay asked for with Get: they have no deadline, and leave only with what live traffic leaves of the path.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Cargo, Control, MediaSender, NO_PICTURE, wire_bits};
use crate::media::coded::Object;
use crate::proto::Transmit;
use crate::units::Time;
use crate::wire::Kind;

/// So many bytes wait at most: what is asked for is made as it leaves.
const ROOM: usize = 1 << 20;
/// Where the path is not estimated: bits a second. A default receive buffer holds what comes in 4 ms at this rate.
const UNKNOWN_PATH: f64 = 400e6;
/// The part of the estimate that live traffic and this take together.
const SHARE: f64 = 0.8;
/// However much live traffic takes: a film is to be there some day.
const LEAST: f64 = 100e3;
/// After a queue stood nothing leaves for so long.
const REST: Duration = Duration::from_millis(200);
/// A queue that is no longer than this is one picture's own.
const STANDING: Duration = Duration::from_millis(5);
/// No more than this leaves at once.
const BURST: Duration = Duration::from_millis(2);

/// See the head of this file.
#[derive(Default)]
pub struct Supply {
    queue: VecDeque<Object>,
    bytes: usize,
    /// When the next may leave.
    free: Time,
}

impl Supply {
    /// How many bytes may be put in.
    pub const fn room(&self) -> usize {
        ROOM.saturating_sub(self.bytes)
    }

    pub fn put(&mut self, objects: Vec<Object>) {
        self.bytes += objects.iter().map(Object::len).sum::<usize>();
        self.queue.extend(objects);
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// When the next leaves, as things stand.
    pub fn release(&self) -> Option<Time> {
        (!self.queue.is_empty()).then_some(self.free)
    }

    /// The next that may leave now.
    pub fn next(&mut self, now: Time, control: Option<&Control>) -> Option<Object> {
        if self.free > now {
            return None;
        }
        let stands = |control: &Control| {
            control.queue() > STANDING || control.congested().is_some_and(|at| now.since(at) < REST)
        };
        if control.is_some_and(stands) {
            self.free = now + REST / 4;
            return None;
        }
        let object = self.queue.pop_front()?;
        self.bytes -= object.len();
        let took = Duration::from_secs_f64(wire_bits(object.len()) / rate(now, control));
        self.free = self.free.max(now - BURST) + took;
        Some(object)
    }
}

/// What is left of the path, in bits a second.
fn rate(now: Time, control: Option<&Control>) -> f64 {
    let left = |control: &Control| SHARE * control.rate().as_bps() as f64 - control.live_rate(now);
    control.map_or(UNKNOWN_PATH, left).max(LEAST)
}

impl MediaSender {
    /// The next of what it asked for with Get, if that may leave now.
    pub fn next_supply(&mut self, now: Time) -> Option<Transmit> {
        let paced = self.control.as_ref().is_some_and(|control| control.release(now) > now);
        if paced || self.is_full || self.has_more() {
            return None;
        }
        let object = self.supply.next(now, self.control.as_deref())?;
        Some(self.transmit_of(now, Kind::OBJECT, Cargo::Supply, object, NO_PICTURE))
    }

    /// When the next of what it asked for with Get may leave, as things stand.
    pub fn supply_at(&self, now: Time) -> Option<Time> {
        let at = self.supply.release().filter(|_| !self.is_full)?;
        Some(self.control.as_ref().map_or(at, |control| at.max(control.release(now))))
    }
}

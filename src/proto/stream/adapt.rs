//! What is made of a stream's pictures: as much as the paths of those who watch carry.
//!
//! Of several watchers the one whose path carries least sets the rung, if it carries the coarsest at least; those below are sent
//! fewer pictures, and so are those that are still being tried out while others watch. What a watcher does not want counts only
//! if nobody wants more.

use std::time::Duration;

use super::Stream;
use super::offer::Offer;
use crate::proto::ladder::{Ladder, Limits, Rung, Wish};
use crate::proto::sender::{Control, Move, wire_bits};
use crate::proto::session::{Session, Sessions};
use crate::units::{Bitrate, Size, Time};
use crate::wire::message::{AdaptationReason, InForce};
use crate::wire::{Description, HOP_LEN};

/// With more watchers than this their paths are looked at once a picture, and not with each report.
const FEW: usize = 16;
/// A watcher that is sent nearly all pictures is sent all.
const NEARLY_ALL: f32 = 0.9;
/// Bytes on the wire as parts of the JPEG's, before anything was cut.
const OVERHEAD: f64 = 1.12;
/// A picture that lasts longer is sent as if it lasted so long: it is to be seen before.
const LONGEST: Duration = Duration::from_millis(250);
/// Eight chunks of sound take 6 ms at this rate.
const SLOW: Bitrate = Bitrate::bps(12_000_000);
/// A watcher with so little more than the least is one of those that set the rung.
const ALIKE: f64 = 1.05;

/// What is made at present, and why.
pub struct Adapting {
    ladder: Ladder,
    pub wish: Wish,
    /// Bits on the wire as parts of the JPEG's.
    overhead: f64,
    /// Bits of a picture that set the rung; `None`: there is no limit.
    least: Option<f64>,
    /// Paths have been told of since it was last looked at them.
    stale: bool,
    /// What departed last.
    pub sent: Rung,
    /// Somebody's path is slow.
    tight: bool,
}

impl Adapting {
    pub fn new(size: Size, quality: u8) -> Self {
        Self {
            ladder: Ladder::new(size.pixels()),
            wish: Wish::free(quality),
            overhead: OVERHEAD,
            least: None,
            stale: true,
            sent: Rung::new(0, quality),
            tight: false,
        }
    }

    /// Whether somebody's path is so slow that what leaves together is a queue there.
    pub const fn is_tight(&self) -> bool {
        self.tight
    }

    /// A picture has come; `description`: what its stream is.
    pub fn came(&mut self, offer: &Offer, description: &Description) {
        let bits = offer.bits();
        if let Some(passed) = offer.passed().filter(|passed| !passed.is_same) {
            let halvings = description.halvings(passed.rendition).unwrap_or(passed.rendition);
            self.sent = Rung::new(halvings, passed.quality);
        }
        let Some(picture) = offer.coded().filter(|picture| !picture.is_same()) else { return };
        let rung = Rung::new(picture.rendition, picture.quality.max(1));
        self.ladder.learn(rung, picture.jpeg.len());
        if let Some(bits) = bits {
            self.overhead = bits / (picture.jpeg.len() * 8) as f64;
        }
        self.sent = rung;
    }
}

/// Bits on the wire of so many bytes of objects in so many datagrams.
pub fn bits_of(bytes: usize, parts: usize) -> f64 {
    wire_bits(bytes) + wire_bits(HOP_LEN) * parts as f64 - wire_bits(0)
}

impl Stream {
    /// A path has been told of, or a wish.
    pub const fn is_to_be_reconsidered(&mut self) {
        self.adapting.stale = true;
    }

    /// The time that a picture's budget is of.
    pub(super) fn budgeted(&self, lasts: Duration) -> Duration {
        lasts.min(LONGEST)
    }

    /// Looks at the paths and wishes of those who watch, if anything was told of them. `departs`: a picture is about to be made.
    pub fn reconsider(&mut self, sessions: &Sessions, departs: bool) {
        if !self.adapting.stale || !departs && self.members.len() > FEW {
            return;
        }
        self.adapting.stale = false;
        let limits = self.limits(sessions);
        let controls = || self.members.iter().filter_map(|slot| sessions.get(*slot)?.control());
        self.adapting.tight = controls().any(|control| control.rate() < SLOW);
        self.adapting.least = if self.config.adapt { self.least(sessions, limits) } else { None };
        let bytes = self.adapting.least.map(|bits| bits / 8.0 / self.adapting.overhead);
        let rung = self.adapting.ladder.choose(bytes, limits);
        self.adapting.wish = Wish { rung, most: bytes.map(|bytes| bytes as u32), limits };
    }

    /// Between which rungs: the operator's, and what is wanted at most by all.
    fn limits(&self, sessions: &Sessions) -> Limits {
        let description = &self.config.description;
        let coarsest = if self.config.adapt { description.renditions() as u8 - 1 } else { 0 };
        let wanted = || self.turns.all().filter_map(|slot| sessions.get(slot)).map(|session| session.wanted);
        let nobody = self.turns.is_empty() || !self.config.adapt;
        let quality = wanted().map(|wanted| wanted.quality).reduce(|a, b| Some(a?.max(b?))).flatten();
        let rendition = wanted().map(|wanted| rendition_for(description.size, coarsest, wanted.max_size)).min();
        let (quality, rendition) = if nobody { (None, None) } else { (quality, rendition) };
        Limits {
            finest: Rung::new(
                rendition.unwrap_or(0),
                quality.map_or(self.config.quality, |q| q.min(self.config.quality)),
            ),
            least_quality: self.config.least_quality,
            coarsest,
        }
    }

    /// What a watcher may be sent, whatever its path carries: the less of the operator's limit and its own.
    pub fn most(&self, session: &Session) -> Option<Bitrate> {
        let group = session.group.as_ref().map(|group| group.config.max_rate);
        [self.config.max_rate, session.wanted.max_rate, group].into_iter().flatten().min()
    }

    /// The bits of a picture that suit the slowest of those who can be sent the coarsest rung; `None`: there is no limit.
    fn least(&self, sessions: &Sessions, limits: Limits) -> Option<f64> {
        let lasts = self.budgeted(self.config.description.rate.interval());
        // Also those who have only just come: the first picture is made for them.
        let watching = || self.turns.all().filter_map(|slot| sessions.get(slot));
        let bits = |session: &Session| session.budget(lasts, self.most(session));
        // A limit of its own counts only where all have one.
        let own = |session: &Session| self.most(session) != self.config.max_rate;
        let all_limited = watching().all(own);
        let path = |session: &Session| session.budget(lasts, self.config.max_rate);
        let is_alone = watching().take(2).count() == 1;
        let floor = self.adapting.ladder.expected(limits.coarsest()) * 8.0 * self.adapting.overhead;
        let counts = |session: &&Session| {
            let tried_out = session.control().is_some_and(|control| !is_alone && control.is_starting());
            !tried_out && path(session).is_some_and(|bits| bits >= floor)
        };
        let least = watching().filter(counts).filter_map(path).reduce(f64::min);
        let unlimited = watching().any(|session| path(session).is_none());
        let least = if all_limited {
            least.into_iter().chain(watching().filter_map(bits).reduce(f64::max)).reduce(f64::min)
        } else {
            least
        };
        if least.is_some() || unlimited {
            return least;
        }
        // All are below the coarsest rung, or are being tried out.
        watching().filter_map(path).reduce(f64::max)
    }

    /// What a watcher is sent at present, and why it is not more.
    pub fn in_force(&self, now: Time, session: &Session) -> InForce {
        let sent = self.adapting.sent;
        let share = session.share();
        let control = session.control();
        InForce {
            rendition: sent.rendition,
            quality: sent.quality,
            every: if share > NEARLY_ALL { 1 } else { (1.0 / share.max(0.004)).round() as u8 },
            reason: self.reason(now, session),
            estimate: control.map(Control::rate),
            queue: control.map_or(0, |control| u16::try_from(control.queue().as_micros() / 100).unwrap_or(u16::MAX)),
        }
    }

    fn reason(&self, now: Time, session: &Session) -> AdaptationReason {
        let limits = self.adapting.wish.limits;
        let all = session.share() > NEARLY_ALL;
        let finest = limits.finest == Rung::new(0, self.config.quality);
        let Some(control) = session.control() else {
            return match (self.adapting.wish.rung == limits.finest, finest) {
                (true, true) => AdaptationReason::Full,
                (true, false) => AdaptationReason::Wish,
                (false, _) if session.wanted.max_rate.is_some() => AdaptationReason::Wish,
                (false, _) => AdaptationReason::Others,
            };
        };
        if control.is_deaf(now) {
            return AdaptationReason::Silence;
        }
        if all && self.adapting.wish.rung == limits.finest {
            return if finest { AdaptationReason::Full } else { AdaptationReason::Wish };
        }
        let lasts = self.budgeted(self.config.description.rate.interval());
        let own = control.budget(lasts, self.most(session));
        if all && self.adapting.least.is_some_and(|least| own > least * ALIKE) {
            return AdaptationReason::Others;
        }
        if session.wanted.max_rate.is_some() && control.budget(lasts, self.config.max_rate) > own * ALIKE {
            return AdaptationReason::Wish;
        }
        match control.cause() {
            Move::Startup => AdaptationReason::Probing,
            Move::Free | Move::Path => AdaptationReason::Path,
            Move::Queue => AdaptationReason::Queue,
            Move::Loss => AdaptationReason::Congestion,
            Move::Competition => AdaptationReason::Competition,
        }
    }
}

/// The finest rendition that is not larger than is wanted; a tenth more is not worth another.
fn rendition_for(full: Size, coarsest: u8, wanted: Option<Size>) -> u8 {
    let Some(wanted) = wanted else { return 0 };
    let fits = |side: u16, wanted: u16| wanted == 0 || u32::from(side) * 10 <= u32::from(wanted) * 11;
    let size = |rendition: &u8| full.rendition(*rendition);
    let fit = |rendition: &u8| fits(size(rendition).width, wanted.width) && fits(size(rendition).height, wanted.height);
    (0..=coarsest).find(fit).unwrap_or(coarsest)
}

//! A session that is no watcher's: a multicast group, or a broadcast address. It is sent to whether anybody listens or not, and
//! nothing is heard from it: what it is sent, and how fast, is the operator's choice, and what makes losses good is parity.

use std::net::SocketAddr;
use std::time::Duration;

use super::Session;
use crate::media::sound::Rendition;
use crate::proto::sender::{Pace, budget};
use crate::proto::{Peer, Port, Route};
use crate::units::{Bitrate, Time};
use crate::wire::SizeClass;

/// What the stream is, and its timeline, are told this often: a receiver that misses one has the next within half a second.
pub const ANNOUNCE: Duration = Duration::from_millis(250);
/// It is reached again when so long nothing has failed.
const RECOVERED: Duration = Duration::from_secs(1);
/// With one of so many the body of a picture that stands is sent anew.
const WITH_BODY: u32 = 2;

/// How a group is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// From which of our sockets.
    pub port: Port,
    /// Group and port, or a broadcast address.
    pub address: SocketAddr,
    /// All datagrams fit this: nobody tells what a path carries.
    pub class: SizeClass,
    /// Most that is sent, all included.
    pub max_rate: Bitrate,
    /// Repair symbols, as percent of what they protect; 0: none.
    pub parity: u8,
    /// Where receivers can ask the server for what they lack: its picture port; 0: nowhere.
    pub unicast: u16,
}

/// What is known of such a session.
pub struct Group {
    pub config: GroupConfig,
    /// When it is told next what the stream is.
    pub next: Time,
    /// How often it was told.
    told: u32,
    /// Whoever has come since then lacks what was sent before.
    since: Time,
    /// When the body of a picture was begun last.
    body_at: Option<Time>,
    /// When something did not leave last, as long as that may be so still.
    failed: Option<Time>,
}

impl GroupConfig {
    /// As a group is sent to that nothing else was said of.
    pub const fn new(port: Port, address: SocketAddr) -> Self {
        let (class, max_rate) = (SizeClass::ETHERNET, MAX_RATE);
        Self { port, address, class, max_rate, parity: PARITY, unicast: 0 }
    }

    /// The way there.
    pub(in crate::proto) const fn route(&self) -> Route {
        Route { peer: Peer { port: self.port, address: self.address }, local: None }
    }
}

impl Group {
    pub const fn new(config: GroupConfig, now: Time) -> Self {
        Self { config, next: now, told: 0, since: now, body_at: None, failed: None }
    }

    /// It is told now what the stream is.
    pub fn tells(&mut self, now: Time) {
        self.next = now + ANNOUNCE;
        if self.told.is_multiple_of(WITH_BODY) {
            self.since = now;
        }
        self.told = self.told.wrapping_add(1);
    }

    /// What was for it did not leave. Returns whether that is new.
    pub const fn fails(&mut self, now: Time) -> bool {
        self.failed.replace(now).is_none()
    }

    /// Whether all has left for a while now after it had not; told once.
    pub fn has_recovered(&mut self, now: Time) -> bool {
        self.failed.take_if(|at| now.since(*at) > RECOVERED).is_some()
    }

    /// When the first of so many bytes of a picture that leaves now may leave, and the others: at the limit's rate, so that no
    /// switch on the way has more to hold than that.
    pub fn pace(&self, now: Time, bytes: usize, interval: Duration) -> Pace {
        Pace::steady(now, bytes, self.config.max_rate, interval)
    }

    /// Bits of its pictures alone that leave so much for parity that all together keeps to the limit.
    fn budget(&self, side: f64, lasts: Duration) -> f64 {
        budget(self.config.max_rate.as_bps() as f64, side, lasts) * 100.0 / (100.0 + f64::from(self.config.parity))
    }
}

impl Session {
    /// It is a group's, and not a watcher's.
    pub fn set_group(&mut self, group: Group) {
        // Samples can be protected, and played by everybody.
        (self.sound, self.sound_coarsest, self.expects_sound) = (Some(Rendition::Stereo), Rendition::Mono, false);
        self.group = Some(Box::new(group));
    }

    pub const fn is_group(&self) -> bool {
        self.group.is_some()
    }

    /// Whether it is somebody who watches: how many listen to a group nobody knows.
    pub const fn is_watcher(&self) -> bool {
        !self.is_second() && !self.is_group()
    }

    /// The bits that a picture may take which lasts so long, as far as it is a group; `side`: what sound takes.
    pub(super) fn group_budget(&self, side: f64, lasts: Duration) -> Option<f64> {
        self.group.as_ref().map(|group| group.budget(side, lasts))
    }

    /// The body of a picture begins.
    pub fn note_body(&mut self, now: Time) {
        self.group.iter_mut().for_each(|group| group.body_at = Some(now));
    }

    /// Whether whoever has come since lacks the body of the picture that stands.
    pub fn is_to_be_shown_again(&self) -> bool {
        let Some(group) = &self.group else { return false };
        group.body_at.is_none_or(|at| at < group.since)
    }
}

/// Half of what Fast Ethernet carries, the slowest that is still in use.
pub const MAX_RATE: Bitrate = Bitrate::bps(50_000_000);
/// Of pictures of forty datagrams, with 2 % of them lost, three in two thousand stay damaged.
pub const PARITY: u8 = 10;

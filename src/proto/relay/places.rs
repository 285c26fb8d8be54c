//! Places of streams that come and go: where one is over, another may be, and what the first has carried counts all the same.

use super::upstream::Upstream;
use super::{Event, Relay, unknown};
use crate::proto::server::Guard;
use crate::wire::StreamName;

/// What went through, of all streams that are or have been here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throughput {
    /// Bytes of UDP payload that came from above, or from publishers.
    pub came: u64,
    /// Bytes of UDP payload that went to those who watch.
    pub sent: u64,
    /// Pictures that went on.
    pub pictures: u64,
    /// Pictures that went on and were not whole.
    pub damaged: u64,
}

/// What came of streams that are no more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Past {
    came: u64,
    damaged: u64,
}

impl Relay {
    /// What was relayed since the start.
    pub fn throughput(&self) -> Throughput {
        let Past { came, damaged } = self.past;
        let sent = self.server.totals();
        Throughput {
            came: came + self.upstreams.iter().map(|upstream| upstream.traffic().1).sum::<u64>(),
            sent: sent.bytes,
            pictures: sent.pictures,
            damaged: damaged + self.upstreams.iter().map(|upstream| upstream.passed.1).sum::<u64>(),
        }
    }

    /// Nothing is left of the stream in this place.
    pub(super) fn vacate(&mut self, at: usize) {
        let Upstream { key, is_place, ref name, .. } = self.upstreams[at];
        let (name, tapped) = (name.clone(), is_place && self.config.tapped);
        self.server.renew(key, name.clone(), unknown(&name), Guard::Elsewhere { listed: false });
        self.server.withdraw(key, true);
        let told = std::mem::take(&mut self.upstreams[at].told);
        self.put(at, Upstream::new(key, name, tapped));
        let upstream = &mut self.upstreams[at];
        (upstream.is_place, upstream.is_vacant) = (is_place, true);
        (upstream.above, upstream.told) = (told.clone(), told);
    }

    /// Another stream is in this place from now on.
    pub(super) fn take_place(&mut self, at: usize, name: StreamName, guard: Guard) {
        let Upstream { key, is_place, .. } = self.upstreams[at];
        self.server.renew(key, name.clone(), unknown(&name), guard);
        self.put(at, Upstream::new(key, name.clone(), is_place && self.config.tapped));
        self.upstreams[at].is_place = is_place;
        self.events.push_back(Event::Opened(key, name));
    }

    /// Puts another subscription into this place.
    fn put(&mut self, at: usize, upstream: Upstream) {
        let before = std::mem::replace(&mut self.upstreams[at], upstream);
        self.past.came += before.traffic().1;
        self.past.damaged += before.passed.1;
    }
}

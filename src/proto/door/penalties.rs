//! What wrong codes and passwords cost: the first few nothing, for people mistype and streams come a moment after those who watch
//! them; then a delay that doubles, for each network. A stream that many fail at makes those wait who have failed before, and
//! nobody else: a stranger cannot shut out who knows the code.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::network;
use crate::proto::Peer;
use crate::seal::Subject;
use crate::units::Time;

/// So many failures of one network are free …
const FREE: u32 = 32;
/// … and of all networks together at one stream.
const FREE_AT_STREAM: u32 = 256;
/// One is forgiven after so long without another.
const FORGIVEN: Duration = Duration::from_secs(10);
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// Networks and streams that are remembered, each.
const MOST: usize = 4_096;

/// Who fails at what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Culprit {
    network: IpAddr,
    stream: Mark,
}

/// Stands for a stream, or for a code that leads to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Code(u32),
    /// FNV-1a of the name.
    Name(u64),
}

impl Culprit {
    pub fn new(from: Peer, subject: Subject<'_>) -> Self {
        let stream = match subject {
            Subject::Code(id) => Mark::Code(id.get()),
            Subject::Name(name) => Mark::Name(fnv(name.as_bytes())),
        };
        Self { network: network(from.address.ip()), stream }
    }
}

#[derive(Clone, Copy, Default)]
struct Failures {
    count: u32,
    /// When the last was.
    last: Time,
    until: Time,
}

impl Failures {
    fn is_forgotten(&self, now: Time) -> bool {
        now >= self.until && self.left(now) == 0
    }

    fn left(&self, now: Time) -> u32 {
        let forgiven = now.since(self.last).as_secs() / FORGIVEN.as_secs();
        self.count.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }

    fn one_more(&mut self, now: Time, free: u32) {
        self.count = self.left(now).saturating_add(1);
        self.last = now;
        if self.count > free {
            let doublings = (self.count - free - 1).min(16);
            self.until = now + (FIRST * (1 << doublings)).min(LONGEST);
        }
    }
}

#[derive(Default)]
pub struct Penalties {
    networks: BTreeMap<IpAddr, Failures>,
    streams: BTreeMap<Mark, Failures>,
}

impl Penalties {
    /// How long it is until a proof of this one is looked at; `None`: it is now.
    pub fn wait(&self, now: Time, culprit: Culprit) -> Option<Duration> {
        let own = self.networks.get(&culprit.network).filter(|failures| failures.left(now) > 0)?;
        let stream = self.streams.get(&culprit.stream).map_or(Time::ZERO, |failures| failures.until);
        let until = own.until.max(stream);
        (now < until).then(|| until.since(now))
    }

    pub fn fails(&mut self, now: Time, culprit: Culprit) {
        note(&mut self.networks, culprit.network, now, FREE);
        note(&mut self.streams, culprit.stream, now, FREE_AT_STREAM);
    }
}

fn note<K: Ord + Copy>(table: &mut BTreeMap<K, Failures>, key: K, now: Time, free: u32) {
    if table.len() >= MOST && !table.contains_key(&key) {
        table.retain(|_, failures| !failures.is_forgotten(now));
        // If all are remembered for good reason, the one that failed longest ago gives way.
        let oldest = table.iter().min_by_key(|(_, failures)| failures.last).map(|(key, _)| *key);
        if let Some(oldest) = oldest.filter(|_| table.len() >= MOST) {
            table.remove(&oldest);
        }
    }
    table.entry(key).or_default().one_more(now, free);
}

/// Fowler, Noll and Vo's hash, 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>). A collision makes two streams share what
/// failures at them cost.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::proto::Port;
    use crate::seal::LookupId;

    fn culprit(network: u32, stream: u32) -> Culprit {
        let ip = IpAddr::from((network << 8 | 7).to_be_bytes());
        let peer = Peer { port: Port::PICTURES, address: SocketAddr::new(ip, 9) };
        Culprit::new(peer, Subject::Code(LookupId::new(stream).expect("20 bits")))
    }

    fn fail(penalties: &mut Penalties, now: Time, culprit: Culprit, times: u32) {
        (0..times).for_each(|_| penalties.fails(now, culprit));
    }

    #[test]
    fn a_network_waits_twice_as_long_each_time_and_is_forgiven_slowly() {
        let (mut penalties, one) = (Penalties::default(), culprit(1, 1));
        let mut now = Time::from_millis(60_000);
        fail(&mut penalties, now, one, FREE);
        assert_eq!(penalties.wait(now, one), None, "so many are free");
        let mut waits = Vec::new();
        for _ in 0..9 {
            penalties.fails(now, one);
            let wait = penalties.wait(now, one).expect("it waits");
            assert_eq!(penalties.wait(now + wait, one), None);
            now += wait;
            waits.push(wait.as_millis());
        }
        // What the longer waits are long is forgiven meanwhile.
        assert_eq!(waits[..6], [250, 500, 1_000, 2_000, 4_000, 8_000]);
        assert!(waits[6..].iter().all(|wait| (8_000..=30_000).contains(wait)), "{waits:?}");
        assert_eq!(penalties.wait(now, culprit(2, 1)), None, "others do not wait");
        let later = now + FORGIVEN * 60;
        fail(&mut penalties, later, one, FREE);
        assert_eq!(penalties.wait(later, one), None, "all is forgiven");
    }

    #[test]
    fn a_stream_that_many_fail_at_is_slow_for_those_who_failed_and_open_to_all_others() {
        let (mut penalties, now) = (Penalties::default(), Time::from_millis(60_000));
        (0..FREE_AT_STREAM + 8).for_each(|network| penalties.fails(now, culprit(network, 5)));
        let wait = penalties.wait(now, culprit(3, 5)).expect("it failed once, as hundreds did");
        assert_eq!(wait, LONGEST);
        assert_eq!(penalties.wait(now, culprit(3, 6)), None, "another stream");
        assert_eq!(penalties.wait(now, culprit(9_999, 5)), None, "who comes for the first time");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_gives_way() {
        let (mut penalties, now) = (Penalties::default(), Time::from_millis(60_000));
        fail(&mut penalties, now, culprit(0, 0), FREE + 1);
        for n in 1..MOST as u32 * 2 {
            penalties.fails(now + Duration::from_micros(u64::from(n)), culprit(n, n));
        }
        assert_eq!((penalties.networks.len(), penalties.streams.len()), (MOST, MOST));
        assert_eq!(penalties.wait(now, culprit(0, 0)), None, "the first is forgotten");
    }
}

//! What wrong codes and passwords cost: the first few nothing, for people mistype and streams come a moment after those who watch
//! them; then a delay that doubles, for each network at each stream. A stream that many fail at makes those wait who have failed
//! there before: a stranger shuts out only who shares a network, or a relay, with him.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::network;
use crate::proto::Peer;
use crate::seal::Subject;
use crate::units::Time;

/// So many failures of one network at one stream are free, and one is forgiven after so long without another: at a code, which
/// nobody guesses, and at which all fail whose stream has just ended and may come back …
const AT_CODE: Allowance = Allowance { free: 256, forgiven: Duration::from_secs(1) };
/// … and at a password.
const AT_PASSWORD: Allowance = Allowance { free: 32, forgiven: Duration::from_secs(10) };
/// So many of one network at all streams together, …
const OF_NETWORK: Allowance = Allowance { free: 1_024, forgiven: Duration::from_secs(1) };
/// … and of all networks together at one stream.
const AT_STREAM: Allowance = Allowance { free: 1_024, forgiven: Duration::from_secs(1) };
/// A relay fails for all who are behind it.
const RELAY: u32 = 16;
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// Of each kind so many are remembered.
const MOST: usize = 2_048;

#[derive(Clone, Copy)]
struct Allowance {
    free: u32,
    forgiven: Duration,
}

impl Allowance {
    const fn times(self, count: u32) -> Self {
        Self { free: self.free * count, forgiven: Duration::from_nanos(self.forgiven.as_nanos() as u64 / count as u64) }
    }
}

/// Who fails at what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Culprit {
    network: IpAddr,
    stream: Mark,
    /// It speaks for others.
    relays: bool,
}

/// Stands for a stream, or for a code that leads to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Code(u32),
    /// FNV-1a of the name.
    Name(u64),
}

impl Culprit {
    /// `relays`: it speaks for others.
    pub fn new(from: Peer, subject: Subject<'_>, relays: bool) -> Self {
        let stream = match subject {
            Subject::Code(id) => Mark::Code(id.get()),
            Subject::Name(name) => Mark::Name(fnv(name.as_bytes())),
        };
        Self { network: network(from.address.ip()), stream, relays }
    }

    const fn share(self) -> u32 {
        if self.relays { RELAY } else { 1 }
    }

    const fn at_stream(self) -> Allowance {
        let one = match self.stream {
            Mark::Code(_) => AT_CODE,
            Mark::Name(_) => AT_PASSWORD,
        };
        one.times(self.share())
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
    fn left(&self, now: Time, allowed: Allowance) -> u32 {
        let forgiven = now.since(self.last).as_millis() / allowed.forgiven.as_millis().max(1);
        self.count.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }

    fn one_more(&mut self, now: Time, allowed: Allowance) {
        self.count = self.left(now, allowed).saturating_add(1);
        self.last = now;
        if self.count > allowed.free {
            let doublings = (self.count - allowed.free - 1).min(16);
            self.until = now + (FIRST * (1 << doublings)).min(LONGEST);
        }
    }
}

#[derive(Default)]
pub struct Penalties {
    /// Of a network at a stream.
    pairs: BTreeMap<(IpAddr, Mark), Failures>,
    networks: BTreeMap<IpAddr, Failures>,
    streams: BTreeMap<Mark, Failures>,
}

impl Penalties {
    /// How long it is until a proof of this one is looked at; `None`: it is now.
    pub fn wait(&self, now: Time, culprit: Culprit) -> Option<Duration> {
        let until = |failures: Option<&Failures>| failures.map_or(Time::ZERO, |failures| failures.until);
        let own = self.pairs.get(&(culprit.network, culprit.stream));
        let failed = own.is_some_and(|failures| failures.left(now, culprit.at_stream()) > 0);
        let network = until(self.networks.get(&culprit.network));
        let stream = if failed { until(self.streams.get(&culprit.stream)) } else { Time::ZERO };
        let until = until(own).max(network).max(stream);
        (now < until).then(|| until.since(now))
    }

    pub fn fails(&mut self, now: Time, culprit: Culprit) {
        note(&mut self.pairs, (culprit.network, culprit.stream), now, culprit.at_stream());
        note(&mut self.networks, culprit.network, now, OF_NETWORK.times(culprit.share()));
        note(&mut self.streams, culprit.stream, now, AT_STREAM);
    }
}

fn note<K: Ord + Copy>(table: &mut BTreeMap<K, Failures>, key: K, now: Time, allowed: Allowance) {
    if table.len() >= MOST && !table.contains_key(&key) {
        table.retain(|_, failures| now < failures.until || failures.left(now, allowed) > 0);
        // If all are remembered for good reason, the one that failed longest ago gives way.
        let oldest = table.iter().min_by_key(|(_, failures)| failures.last).map(|(key, _)| *key);
        if let Some(oldest) = oldest.filter(|_| table.len() >= MOST) {
            table.remove(&oldest);
        }
    }
    table.entry(key).or_default().one_more(now, allowed);
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
        Culprit::new(peer, Subject::Code(LookupId::new(stream).expect("20 bits")), false)
    }

    fn password(network: u32) -> Culprit {
        Culprit { stream: Mark::Name(7), ..culprit(network, 1) }
    }

    fn fail(penalties: &mut Penalties, now: Time, culprit: Culprit, times: u32) {
        (0..times).for_each(|_| penalties.fails(now, culprit));
    }

    #[test]
    fn a_network_waits_twice_as_long_each_time_and_is_forgiven_slowly() {
        let (mut penalties, one) = (Penalties::default(), password(1));
        let mut now = Time::from_millis(60_000);
        fail(&mut penalties, now, one, AT_PASSWORD.free);
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
        assert_eq!((penalties.wait(now, password(2)), penalties.wait(now, culprit(1, 1))), (None, None));
        let later = now + AT_PASSWORD.forgiven * 60;
        fail(&mut penalties, later, one, AT_PASSWORD.free);
        assert_eq!(penalties.wait(later, one), None, "all is forgiven");
    }

    /// Thirty of them ask each second for ten minutes.
    #[test]
    fn a_class_that_waits_for_its_stream_is_slowed_down_there_and_nowhere_else() {
        let (mut penalties, class) = (Penalties::default(), culprit(1, 5));
        let mut now = Time::from_millis(60_000);
        for _ in 0..30 * 600 {
            now += Duration::from_millis(33);
            if penalties.wait(now, class).is_none() {
                penalties.fails(now, class);
            }
        }
        assert!(penalties.wait(now, class).is_none_or(|wait| wait <= LONGEST));
        assert_eq!((penalties.wait(now, culprit(1, 6)), penalties.wait(now, password(1))), (None, None));
        // A relay speaks for many.
        let relay = Culprit { relays: true, ..culprit(3, 5) };
        fail(&mut penalties, now, relay, AT_CODE.free * 2);
        assert_eq!(penalties.wait(now, relay), None);
    }

    #[test]
    fn a_stream_that_many_fail_at_is_slow_for_those_who_failed_and_open_to_all_others() {
        let (mut penalties, now) = (Penalties::default(), Time::from_millis(60_000));
        (0..AT_STREAM.free + 8).for_each(|network| penalties.fails(now, culprit(network, 5)));
        let wait = penalties.wait(now, culprit(3, 5)).expect("it failed once, as a thousand did");
        assert_eq!(wait, LONGEST);
        assert_eq!(penalties.wait(now, culprit(3, 6)), None, "another stream");
        assert_eq!(penalties.wait(now, culprit(9_999, 5)), None, "who comes for the first time");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_gives_way() {
        let (mut penalties, now) = (Penalties::default(), Time::from_millis(60_000));
        fail(&mut penalties, now, culprit(0, 0), AT_CODE.free + 1);
        for n in 1..MOST as u32 * 2 {
            penalties.fails(now + Duration::from_micros(u64::from(n)), culprit(n, n));
        }
        let lengths = [penalties.pairs.len(), penalties.networks.len(), penalties.streams.len()];
        assert_eq!(lengths, [MOST; 3]);
        assert_eq!(penalties.wait(now, culprit(0, 0)), None, "the first is forgotten");
    }
}

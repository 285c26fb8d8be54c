//! What the paths to networks carried when somebody there watched last: a start with that is a better one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::units::{Bitrate, Time};

/// Networks that are remembered, and for how long.
const MOST: usize = 256;
const FOR: Duration = Duration::from_secs(3_600);
/// Somebody else may use the path now: a start with this share of it.
const SHARE: (u64, u64) = (3, 4);

/// Less is no start for pictures, b/s.
const LEAST: u64 = 1_000_000;

/// Rates by network: /24 of IPv4, /48 of IPv6.
#[derive(Default)]
pub struct Networks(BTreeMap<[u8; 6], (Time, Bitrate)>);

impl Networks {
    pub fn remember(&mut self, now: Time, ip: IpAddr, rate: Bitrate) {
        if self.0.len() >= MOST
            && let Some(oldest) = self.0.iter().min_by_key(|(_, (at, _))| *at).map(|(network, _)| *network)
        {
            self.0.remove(&oldest);
        }
        self.0.insert(network(ip), (now, rate));
    }

    /// The rate to start with.
    pub fn start(&self, now: Time, ip: IpAddr) -> Option<Bitrate> {
        let (at, rate) = self.0.get(&network(ip))?;
        (now.since(*at) <= FOR).then(|| Bitrate::bps((rate.as_bps() * SHARE.0 / SHARE.1).max(LEAST)))
    }
}

fn network(ip: IpAddr) -> [u8; 6] {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            // No IPv6 network begins with this: ::ffff:0:0/96 is IPv4 mapped.
            [0, 0, 0, a, b, c]
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, ..] = v6.octets();
            [a, b, c, d, e, f]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_remembered_for_an_hour_and_the_oldest_gives_way() {
        let mut networks = Networks::default();
        let ip = |a: u8, d: u8| IpAddr::from([10, 0, a, d]);
        networks.remember(Time::ZERO, ip(0, 1), Bitrate::bps(8_000_000));
        assert_eq!(networks.start(Time::ZERO + FOR, ip(0, 9)), Some(Bitrate::bps(6_000_000)));
        assert_eq!(networks.start(Time::ZERO + FOR + Duration::from_secs(1), ip(0, 9)), None);
        assert_eq!(networks.start(Time::ZERO, ip(1, 1)), None);
        for n in 1..=255 {
            networks.remember(Time::from_millis(n), ip(n as u8, 1), Bitrate::bps(1));
        }
        networks.remember(Time::from_millis(999), IpAddr::from([11, 0, 0, 1]), Bitrate::bps(1));
        assert_eq!((networks.0.len(), networks.start(Time::ZERO, ip(0, 1))), (MOST, None));
    }
}

//! Groups in the world: what is sent to one reaches each watcher that listens, over its own link.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use udpstream::proto::Port;
use udpstream::proto::receiver::{self, Receiver};
use udpstream::proto::server::{GroupConfig, Local, StreamKey};

use super::World;
use crate::link::Path;

/// Group number n.
pub fn group(n: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 7, n)), 9_688)
}

impl World {
    /// A stream is sent to group number n from now on.
    pub fn send_to_group(&mut self, key: StreamKey, n: u8, configure: impl FnOnce(&mut GroupConfig)) {
        let mut config = GroupConfig::new(Port(Port::GROUP.0 + u16::from(n)), group(n));
        configure(&mut config);
        self.tell_server(Local::Group(key, config));
    }

    /// A watcher that listens to group number n starts now; returns its number.
    pub fn tune(&mut self, n: u8, path: Path) -> usize {
        self.tune_with(n, path, |_| {})
    }

    pub fn tune_with(&mut self, n: u8, path: Path, configure: impl FnOnce(&mut receiver::Config)) -> usize {
        let mut tuned = None;
        let watcher = self.watch_with(path, |config| {
            config.servers = Vec::new().into();
            configure(config);
            tuned = Some(config.clone());
        });
        let now = self.now;
        let node = &mut self.watchers[watcher];
        node.machine = Receiver::tuned(tuned.expect("configured"), node.local(now));
        self.groups.entry(group(n)).or_default().push(watcher);
        watcher
    }

    /// Sends a datagram on its way to each member of the group, if it is to one.
    pub(super) fn fly_to_group(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> bool {
        let Some(members) = self.groups.get(&to).cloned() else { return false };
        for member in members {
            let to = self.watchers[member].address;
            self.fly(self.now, from, to, bytes.to_vec());
        }
        true
    }

    /// Somebody else's datagram reaches a watcher now.
    pub fn stranger_sends(&mut self, watcher: usize, from: SocketAddr, bytes: Vec<u8>) {
        self.reach_watcher(watcher, Port::PICTURES, from, bytes);
    }
}

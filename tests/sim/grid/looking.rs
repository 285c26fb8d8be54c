//! What there is to see in a grid.

use udpstream::proto::relay::{Above, Relay};
use udpstream::proto::{Receiver, Server};
use udpstream::units::Time;
use udpstream::wire::talk::Line;

use super::{Grid, Machinery, Node};
use crate::net::Seen;

impl Grid {
    pub fn server(&self, node: Node) -> &Server {
        match &self.places[node].machinery {
            Machinery::Origin { server, .. } => server,
            Machinery::Relay { relay, .. } => relay.server(),
            _ => panic!("node {node} is no server"),
        }
    }

    pub fn relay_at(&self, node: Node) -> &Relay {
        let Machinery::Relay { relay, .. } = &self.places[node].machinery else { panic!("node {node} is no relay") };
        relay
    }

    /// Lines that a server took in.
    pub fn said(&self, node: Node) -> &[Line] {
        &self.places[node].said
    }

    pub fn above(&self, node: Node) -> &[(Time, Above)] {
        &self.places[node].above
    }

    pub fn refused(&self, node: Node) -> &[String] {
        &self.places[node].refused
    }

    pub fn seen(&self, node: Node) -> &Seen {
        let Machinery::Watcher { seen, .. } = &self.places[node].machinery else { panic!("node {node} is no watcher") };
        seen
    }

    pub fn receiver(&self, node: Node) -> &Receiver {
        let Machinery::Watcher { receiver, .. } = &self.places[node].machinery else { panic!("{node} is no watcher") };
        receiver
    }
}

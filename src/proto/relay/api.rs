//! What a relay and the program around it tell each other.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Above, Fetched, Tapped};
use crate::proto::lister::ListFailure;
use crate::proto::server::{self, Adoption, StreamKey};
use crate::wire::message::{NameRange, RelayHop};
use crate::wire::{Description, StreamName};

/// What the program around the relay tells it.
pub enum Local {
    Server(server::Local),
    /// A stream shows this from now on; its pictures follow as [`server::Feed`]. It gives way when the one above is there.
    Show(StreamKey, Adoption),
    /// The same of something that is shown to its end.
    Play(StreamKey, Adoption),
    /// A stream of this name can be shown here although nothing is listed above.
    Open(StreamName, Description),
    /// Asks above for objects of the film that a stream is of; [`Event::Fetched`] follows.
    Get(StreamKey, NameRange),
}

/// What the relay tells the program around it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Server(server::Event),
    /// A stream is known now.
    Opened(StreamKey, StreamName),
    /// What has become of the stream above.
    Above(StreamKey, Above),
    /// The stream above is of a film that can be had as a whole.
    Film(StreamKey, Description),
    /// What came of what was asked for.
    Fetched(StreamKey, Fetched),
    /// Somebody else sends to the group that a stream comes from; said once of each.
    AnotherSender(StreamKey, SocketAddr),
    /// What came of a stream, as it goes on; see [`Config::tapped`](super::Config::tapped).
    Tapped(StreamKey, Tapped),
    /// No list of streams came from above, for this reason; `None`: one came again.
    Unlisted(Option<ListFailure>),
}

/// What is known of one stream of a relay.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamView {
    pub key: StreamKey,
    pub above: Above,
    /// Datagrams and bytes of UDP payload that have come from above.
    pub came: (u64, u64),
    /// Pictures that went on, and those of them that were not whole.
    pub passed: (u64, u64),
    /// To the server above.
    pub round_trip: Option<Duration>,
    /// Which server above that is.
    pub origin: Option<SocketAddr>,
    /// Relays above, the nearest to the origin first.
    pub hops: Vec<RelayHop>,
    /// How long after it was due the newest picture left here.
    pub age: Option<Duration>,
}

//! Figures of `relay`: of each stream, and of all together.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::keeper::Kept;
use crate::app::figures::{self, rounded};
use crate::app::storing::StoringFigures;
use crate::proto::relay::{Above, Throughput};
use crate::units::Bitrate;
use crate::wire::StreamName;
use crate::wire::message::RelayHop;

/// One stream, in the last second or since the start.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamFigures {
    pub name: StreamName,
    pub state: StreamState,
    pub watchers: usize,
    /// From above, and to all who watch.
    pub came: Bitrate,
    pub sent: Bitrate,
    /// Bytes of UDP payload since the start.
    pub came_bytes: u64,
    pub sent_bytes: u64,
    /// Pictures that went on, and those that were not whole, since the start.
    pub pictures: u64,
    pub damaged: u64,
    pub round_trip: Option<Duration>,
    /// Relays above, the nearest to the origin first, with the ages of pictures that leave them.
    pub hops: Vec<RelayHop>,
    /// How long after it was due the newest picture left here.
    pub age: Option<Duration>,
    /// What it is recorded to.
    pub file: Option<PathBuf>,
}

/// What is shown of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// Nobody watches it.
    Idle,
    /// Asked for above.
    Asked,
    /// As it comes from above.
    Flows,
    /// A card, because its publisher pauses.
    Paused,
    /// A card, because nothing comes.
    Away,
    /// Out of the cache.
    Kept,
}

impl StreamState {
    pub fn of(above: &Above, plays: bool) -> Self {
        match above {
            _ if plays => Self::Kept,
            Above::Idle | Above::Over => Self::Idle,
            Above::Asked => Self::Asked,
            Above::Flows => Self::Flows,
            Above::Paused => Self::Paused,
            Above::Away(_) => Self::Away,
        }
    }

    /// One word, for people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Asked => "asked",
            Self::Flows => "flows",
            Self::Paused => "paused",
            Self::Away => "away",
            Self::Kept => "kept",
        }
    }
}

impl StreamFigures {
    pub fn json(&self) -> Value {
        let ms = |time: Duration| rounded(time.as_secs_f64() * 1e3, 1e3);
        let hop = |hop: &RelayHop| json!({ "id": format!("{:016x}", hop.id), "age_ms": hop.age.map(ms) });
        json!({
            "name": self.name.as_str(), "state": self.state.name(), "watchers": self.watchers,
            "came_bps": self.came.as_bps(), "sent_bps": self.sent.as_bps(),
            "came_bytes": self.came_bytes, "sent_bytes": self.sent_bytes,
            "pictures": self.pictures, "damaged": self.damaged,
            "rtt_ms": self.round_trip.map(ms), "age_ms": self.age.map(ms),
            "hops": self.hops.iter().map(hop).collect::<Vec<_>>(),
            "recording": self.file.as_ref().map(|file| file.display().to_string()),
        })
    }
}

/// All of it.
#[derive(Clone, Debug)]
pub struct RelayFigures {
    pub streams: Vec<StreamFigures>,
    /// Since the start, with what streams have carried that are over and not among these.
    pub all: Throughput,
    pub watchers: usize,
    pub refused: u64,
    /// `None`: nothing is kept.
    pub kept: Option<Kept>,
    /// `None`: nothing is recorded.
    pub stored: Option<StoringFigures>,
}

impl RelayFigures {
    pub fn json(&self) -> Value {
        let kept = self.kept.map(|kept| json!({ "films": kept.films, "complete": kept.complete, "bytes": kept.bytes }));
        json!({
            "watchers": self.watchers, "refused": self.refused, "cache": kept,
            "came_bytes": self.all.came, "sent_bytes": self.all.sent,
            "pictures": self.all.pictures, "damaged": self.all.damaged,
            "recordings": self.stored.as_ref().map(StoringFigures::json),
            "streams": self.streams.iter().map(StreamFigures::json).collect::<Vec<_>>(),
            "cpu_seconds": rounded(figures::cpu_seconds(), 1e3), "rss_bytes": figures::rss_bytes(),
        })
    }
}

//! What `serve` tells of itself each second and at its end: typed here, as JSON here, as words in words.rs.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::app::figures::{block, in_force, rounded};
use crate::app::relay::figures::StreamFigures as Published;
use crate::app::screening::LibraryFigures;
use crate::app::storing::StoringFigures;
use crate::proto::Transport;
use crate::proto::server::{Adaptation, RepairStats};
use crate::stats::Block;
use crate::units::Size;
use crate::wire::StreamName;
use crate::wire::message::InForce;

/// What became of a source's pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServedPictures {
    pub sent: u64,
    /// Too late for their moment.
    pub skipped: u64,
    /// Nobody watched.
    pub unwatched: u64,
    pub encoded: u64,
    /// As the camera had coded them.
    pub passed: u64,
    /// A camera's, with other codes.
    pub recoded: u64,
    /// Nothing had changed.
    pub same: u64,
    /// Unusable JPEGs of a camera.
    pub damaged: u64,
}

/// Chunks of sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkCounts {
    pub chunks: u64,
    pub unsent: u64,
}

/// How long the stages of a picture take, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageBlocks {
    pub queue: Option<Block>,
    pub encode: Option<Block>,
    pub send: Option<Block>,
}

/// What a stream is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    #[default]
    Running,
    /// Its source is closed until somebody watches.
    Resting,
    Ended,
    Failed,
}

/// Figures of one stream, of the running second or of the whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamFigures {
    pub name: Option<StreamName>,
    pub activity: Activity,
    pub pictures: ServedPictures,
    pub watchers: usize,
    pub fps: f64,
    /// Microseconds.
    pub departure_error: Option<Block>,
    pub stages: StageBlocks,
    pub sound: Option<ChunkCounts>,
    pub largest_datagram: usize,
    pub datagrams: u64,
    pub bytes: u64,
    pub bits_per_second: f64,
    pub quality: u8,
    pub source_cpu_seconds: f64,
}

/// One of those who watch.
#[derive(Clone, Debug, PartialEq)]
pub struct WatcherFigures {
    pub id: u64,
    pub address: SocketAddr,
    pub transport: Transport,
    /// Where there are several streams.
    pub stream: Option<StreamName>,
    pub datagram: usize,
    pub quality: u8,
    /// The share of its objects that did not arrive.
    pub loss: f64,
    pub rtt_ms: Option<f64>,
    pub repair: RepairStats,
    /// What repair takes beside all else, as a part of that.
    pub overhead: f64,
    pub sent: u64,
    pub thinned: u64,
    /// Pictures that it was sent in the last second.
    pub fps: f64,
    /// Of the pictures that it is sent.
    pub size: Option<Size>,
    pub adaptation: Adaptation,
}

/// Figures of the whole server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServeFigures {
    pub streams: Vec<StreamFigures>,
    /// Those that others publish here; `None`: none are taken.
    pub published: Option<Vec<Published>>,
    /// What is recorded of those.
    pub stored: Option<StoringFigures>,
    /// Films of a library; `None`: there is none.
    pub library: Option<LibraryFigures>,
    /// Pictures of both since the start.
    pub passed: u64,
    /// Those with the greatest loss first.
    pub watchers: Vec<WatcherFigures>,
    pub overloaded: bool,
    /// The share of pictures that were sent to those for whom they were.
    pub served: f64,
    pub refused: u64,
    /// Datagrams and bytes to those who are in no session: answers to Hello, Join and List.
    pub to_strangers: (u64, u64),
    pub send_errors: u64,
    pub cpu_seconds: f64,
    pub rss_bytes: Option<u64>,
}

impl ServedPictures {
    /// Each count with its name in JSON.
    const fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("pictures_sent", self.sent),
            ("pictures_skipped", self.skipped),
            ("pictures_unwatched", self.unwatched),
            ("pictures_encoded", self.encoded),
            ("pictures_passed", self.passed),
            ("pictures_recoded", self.recoded),
            ("pictures_same", self.same),
            ("pictures_damaged", self.damaged),
        ]
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            skipped: self.skipped + other.skipped,
            unwatched: self.unwatched + other.unwatched,
            encoded: self.encoded + other.encoded,
            passed: self.passed + other.passed,
            recoded: self.recoded + other.recoded,
            same: self.same + other.same,
            damaged: self.damaged + other.damaged,
        }
    }
}

impl Activity {
    const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Resting => "resting",
            Self::Ended => "ended",
            Self::Failed => "failed",
        }
    }
}

impl StreamFigures {
    /// Two streams as one: counts are added, and what cannot be added is the first's.
    fn plus(self, other: &Self) -> Self {
        let sound = match (self.sound, other.sound) {
            (Some(a), Some(b)) => Some(ChunkCounts { chunks: a.chunks + b.chunks, unsent: a.unsent + b.unsent }),
            (a, b) => a.or(b),
        };
        Self {
            pictures: self.pictures.plus(other.pictures),
            watchers: self.watchers + other.watchers,
            fps: self.fps + other.fps,
            sound,
            largest_datagram: self.largest_datagram.max(other.largest_datagram),
            datagrams: self.datagrams + other.datagrams,
            bytes: self.bytes + other.bytes,
            bits_per_second: self.bits_per_second + other.bits_per_second,
            source_cpu_seconds: self.source_cpu_seconds + other.source_cpu_seconds,
            ..self
        }
    }

    fn json(&self) -> Map<String, Value> {
        let stages = &self.stages;
        let fields = json!({
            "watchers": self.watchers,
            "fps": rounded(self.fps, 1e3),
            "departure_error_us": block(self.departure_error),
            "stages_ms": { "queue": block(stages.queue), "encode": block(stages.encode), "send": block(stages.send) },
            "largest_datagram": self.largest_datagram, "datagrams": self.datagrams, "bytes": self.bytes,
            "bitrate_bps": self.bits_per_second.round(),
            "audio": self.sound.map(|sound| json!({ "chunks": sound.chunks, "unsent": sound.unsent })),
            "quality": self.quality,
            "source_cpu_seconds": rounded(self.source_cpu_seconds, 1e3),
        });
        let mut fields = if let Value::Object(fields) = fields { fields } else { Map::new() };
        fields.extend(self.pictures.named().map(|(name, count)| (name.to_owned(), count.into())));
        fields
    }
}

impl WatcherFigures {
    fn json(&self) -> Value {
        let mut fields = json!({
            "id": format!("{:016x}", self.id), "address": self.address.to_string(),
            "transport": self.transport.name(), "cut": self.datagram, "rate_bps": self.adaptation.rate.as_bps(), "loss": rounded(self.loss, 1e6),
            "rtt_ms": self.rtt_ms.map(|ms| rounded(ms, 1e3)), "sent": self.sent, "thinned": self.thinned,
        });
        let RepairStats { nacks, asked, resent, resent_bytes, parity, parity_bytes, .. } = self.repair;
        let repair = json!({
            "nacks": nacks, "objects_asked": asked, "resends": resent, "resend_bytes": resent_bytes,
            "parity_datagrams": parity, "parity_bytes": parity_bytes, "overhead": rounded(self.overhead, 1e6),
        });
        if let (Value::Object(fields), Value::Object(repair)) = (&mut fields, repair) {
            fields.extend(repair);
        }
        if let Value::Object(fields) = &mut fields {
            fields.extend(in_force(Some(InForce { quality: self.quality, ..self.adaptation.in_force })));
        }
        if let Some(name) = &self.stream {
            fields["stream"] = name.as_str().into();
        }
        fields
    }
}

impl ServeFigures {
    pub fn is_several(&self) -> bool {
        self.streams.len() > 1
    }

    /// All streams as one.
    pub fn together(&self) -> StreamFigures {
        let mut streams = self.streams.iter();
        let first = streams.next().cloned().unwrap_or_default();
        let all = streams.fold(first, StreamFigures::plus);
        let (datagrams, bytes) = self.to_strangers;
        StreamFigures { datagrams: all.datagrams + datagrams, bytes: all.bytes + bytes, ..all }
    }

    /// The fields of `stats` and `summary`: those of all streams together and, of several, of each.
    pub fn json(&self) -> Value {
        let mut fields = self.together().json();
        let whole = json!({
            "overload": self.overloaded, "served": rounded(self.served, 1e4), "refused": self.refused,
            "send_errors": self.send_errors, "cpu_seconds": rounded(self.cpu_seconds, 1e3),
            "rss_bytes": self.rss_bytes,
            "per_watcher": self.watchers.iter().map(WatcherFigures::json).collect::<Vec<_>>(),
        });
        if let Value::Object(whole) = whole {
            fields.extend(whole);
        }
        if let Some(published) = &self.published {
            fields.insert("recordings".into(), self.stored.as_ref().map_or(Value::Null, StoringFigures::json));
            fields.insert("published".into(), published.iter().map(Published::json).collect());
        }
        if let Some(library) = &self.library {
            fields.insert("library".into(), library.json());
        }
        if self.is_several() {
            fields.insert("streams".into(), self.streams.iter().map(stream_json).collect());
        }
        Value::Object(fields)
    }
}

/// One of several streams.
fn stream_json(stream: &StreamFigures) -> Value {
    let mut fields = stream.json();
    fields.insert("name".into(), stream.name.as_ref().map(StreamName::as_str).into());
    fields.insert("state".into(), stream.activity.name().into());
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str, sent: u64, watchers: usize) -> StreamFigures {
        StreamFigures {
            name: StreamName::parse(name).ok(),
            pictures: ServedPictures { sent, ..ServedPictures::default() },
            watchers,
            fps: 25.0,
            largest_datagram: 1_000 + watchers,
            quality: 80 - watchers as u8,
            ..StreamFigures::default()
        }
    }

    #[test]
    fn one_stream_is_told_as_one_and_several_also_one_by_one() {
        let mut figures = ServeFigures { streams: vec![stream("a", 3, 1)], ..ServeFigures::default() };
        let json = figures.json();
        assert_eq!((&json["pictures_sent"], &json["watchers"], &json["streams"]), (&3.into(), &1.into(), &Value::Null));
        figures.streams.push(StreamFigures { sound: Some(ChunkCounts { chunks: 5, unsent: 0 }), ..stream("b", 4, 2) });
        let json = figures.json();
        assert_eq!((&json["pictures_sent"], &json["watchers"], &json["fps"]), (&7.into(), &3.into(), &50.0.into()));
        assert_eq!((&json["quality"], &json["largest_datagram"]), (&79.into(), &1_002.into()));
        assert_eq!((&json["audio"]["chunks"], &json["streams"][0]["audio"]), (&5.into(), &Value::Null));
        assert_eq!((&json["streams"][1]["name"], &json["streams"][1]["state"]), (&"b".into(), &"running".into()));
        assert_eq!(json["streams"][1]["pictures_sent"], 4);
    }
}

//! A watcher's figures as values. Text and JSON are made of them, and never read back.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::app::figures::{block, in_force, rounded};
use crate::proto::Transport;
use crate::proto::receiver::{RepairTraffic, Repaired};
use crate::stats::Block;
use crate::wire::message::{InForce, RelayHop};

/// Figures of a second, or of a whole run. Blocks are in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct WatchFigures {
    pub pictures: Pictures,
    pub slices: Slices,
    pub network: Network,
    pub fps: f64,
    /// Between first datagrams of pictures.
    pub interval: Option<Block>,
    pub shown_interval: Option<Block>,
    pub latency: Option<Block>,
    pub stages: Stages,
    /// From the start until the first picture was on the screen.
    pub first_picture: Option<Duration>,
    pub reconnects: u64,
    pub process: Process,
    /// `None` without sound.
    pub sound: Option<SoundFigures>,
    /// Relays on the way, the nearest to the origin first, and how old pictures are when they leave each.
    pub hops: Vec<RelayHop>,
}

/// What became of pictures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pictures {
    pub shown: u64,
    /// Handed out, but the screen had a newer one already. They count as late, too.
    pub superseded: u64,
    pub damaged: u64,
    pub lost: u64,
    pub late: u64,
    pub thinned: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Slices {
    pub received: u64,
    pub lost: u64,
    pub repaired: Repaired,
    pub rejected: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Network {
    pub largest_datagram: u64,
    pub datagrams: u64,
    pub bytes: u64,
    pub bitrate_bps: f64,
    pub rtt: Option<Duration>,
    pub transport: Transport,
    /// What others have sent to the group.
    pub others: u64,
    /// Datagrams that must have been sent, and did not come.
    pub lost: u64,
    /// What repair took, and how much later pictures are shown for it.
    pub repair: RepairTraffic,
    pub repair_delay: Duration,
    /// What the server says that it sends, and of the path; `None`: nothing yet.
    pub in_force: Option<InForce>,
}

/// Where the time goes.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    pub network: Option<Block>,
    pub wait: Option<Block>,
    pub decode: Option<Block>,
    pub present: Option<Block>,
}

/// Of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    pub cpu_seconds: f64,
    pub rss_bytes: Option<u64>,
}

/// The loudspeaker's.
#[derive(Clone, Debug, Default)]
pub struct SoundFigures {
    pub chunks: u64,
    pub lost: u64,
    pub late: u64,
    pub repaired: Repaired,
    pub underruns: u64,
    /// In milliseconds.
    pub skew: Option<Block>,
    pub concealed: u64,
    pub dropped: u64,
    pub device_underruns: u64,
    /// How long after it was due everything is played.
    pub delay: Duration,
    pub device: String,
    pub open: bool,
    pub device_latency: Duration,
    pub volume: u8,
    pub muted: bool,
}

impl WatchFigures {
    /// The fields of `stats` and `summary`.
    pub fn json(&self) -> Value {
        let Self { pictures, slices, network, stages, process, .. } = self;
        let of = |figures: &Option<Block>| block(*figures);
        let mut fields = json!({
            "pictures_shown": pictures.shown, "pictures_superseded": pictures.superseded,
            "pictures_damaged": pictures.damaged, "pictures_lost": pictures.lost,
            "pictures_late": pictures.late, "pictures_thinned": pictures.thinned,
            "slices_received": slices.received, "slices_lost": slices.lost,
            "slices_repaired": slices.repaired.resent + slices.repaired.rebuilt,
            "slices_repaired_nack": slices.repaired.resent, "slices_repaired_parity": slices.repaired.rebuilt,
            "slices_repaired_late": slices.repaired.late,
            "slices_rejected": slices.rejected,
            "largest_datagram": network.largest_datagram, "datagrams": network.datagrams, "bytes": network.bytes,
            "bitrate_bps": network.bitrate_bps.round(), "fps": rounded(self.fps, 1e3),
            "interval_ms": of(&self.interval), "shown_interval_ms": of(&self.shown_interval),
            "latency_ms": of(&self.latency),
            "stages_ms": {
                "encode": Value::Null, "send": Value::Null, "network": of(&stages.network), "wait": of(&stages.wait),
                "decode": of(&stages.decode), "present": of(&stages.present),
            },
            "first_picture_ms": self.first_picture.map(millis),
            "reconnects": self.reconnects, "rate_bps": network.bitrate_bps.round(),
            "rtt_ms": network.rtt.map(millis), "transport": network.transport.name(),
            "cpu_seconds": rounded(process.cpu_seconds, 1e3), "rss_bytes": process.rss_bytes,
            "audio": self.sound.as_ref().map(SoundFigures::json),
            "relays": self.hops.iter().map(relay).collect::<Vec<_>>(),
        });
        if let Value::Object(fields) = &mut fields {
            fields.extend(network.repaired());
            fields.extend(in_force(network.in_force));
        }
        fields
    }
}

impl Network {
    /// What was lost on the way, and what repair took.
    fn repaired(&self) -> Map<String, Value> {
        let RepairTraffic { nacks, asked, resent, needless, parity, bytes } = self.repair;
        let fields = json!({
            "datagrams_lost": self.lost, "datagrams_of_others": self.others, "nacks": nacks, "objects_asked": asked, "resends": resent,
            "resends_needless": needless, "parity_datagrams": parity, "repair_bytes": bytes,
            "repair_delay_ms": millis(self.repair_delay),
        });
        if let Value::Object(fields) = fields { fields } else { Map::new() }
    }

    /// Of what came, the part that was repair.
    pub fn overhead(&self) -> f64 {
        self.repair.bytes as f64 / self.bytes.saturating_sub(self.repair.bytes).max(1) as f64
    }
}

impl SoundFigures {
    fn json(&self) -> Value {
        json!({
            "chunks": self.chunks, "lost": self.lost, "late": self.late,
            "repaired_nack": self.repaired.resent, "repaired_parity": self.repaired.rebuilt,
            "repaired_late": self.repaired.late, "underruns": self.underruns,
            "skew_ms": block(self.skew), "concealed": self.concealed, "dropped": self.dropped,
            "device_underruns": self.device_underruns, "delay_ms": millis(self.delay), "device": self.device,
            "open": self.open, "device_latency_ms": millis(self.device_latency), "volume": self.volume,
            "muted": self.muted,
        })
    }
}

/// A relay on the way.
pub fn relay(hop: &RelayHop) -> Value {
    json!({ "id": format!("{:016x}", hop.id), "age_ms": hop.age.map(millis) })
}

fn millis(time: Duration) -> Value {
    rounded(time.as_secs_f64() * 1e3, 1e3)
}

//! What `serve` tells of itself each second and at its end, as JSON.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::Serving;
use crate::app::figures::{self, block, rounded};
use crate::proto::server::{Server, SessionView};
use crate::units::Time;

impl Serving {
    /// The fields of `stats` (since the last tick) or `summary` (the whole run).
    pub(super) fn figures(&self, now: Time, server: &Server, whole: bool) -> Value {
        let totals = server.totals();
        let (since, pictures, bytes) = if whole { (self.output.start(), 0, 0) } else { self.last };
        let seconds = now.since(since).as_secs_f64().max(1e-9);
        let errors = if whole { &self.departure_error.total } else { &self.departure_error.recent };
        let mut watchers: Vec<_> = server.sessions().collect();
        let loss = |lost: u64, reported: u64| lost as f64 / reported.max(1) as f64;
        watchers.sort_by(|a, b| loss(b.stats.lost, b.stats.reported).total_cmp(&loss(a.stats.lost, a.stats.reported)));
        let per_watcher: Vec<Value> = watchers
            .iter()
            .take(LISTED)
            .map(|SessionView { id, address, class, stats, .. }| {
                json!({
                    "id": format!("{id:016x}"), "address": address.to_string(), "rendition": 0, "cut": class.datagram(),
                    "quality": self.options.quality, "loss": rounded(loss(stats.lost, stats.reported), 1e6),
                    "rtt_ms": stats.rtt.map(|rtt| rounded(rtt.as_secs_f64() * 1e3, 1e3)),
                    "sent": stats.pictures, "thinned": stats.thinned, "why": Value::Null,
                })
            })
            .collect();
        let all = || self.sent.map_or(0.0, |(first, last)| figures::fps(totals.pictures, first, last));
        let fps = if whole { all() } else { (totals.pictures - pictures) as f64 / seconds };
        let (counts, count) = (&self.counts, |count: &AtomicU64| count.load(Ordering::Relaxed));
        json!({
            "pictures_sent": totals.pictures,
            "pictures_skipped": count(&counts.skipped),
            "pictures_unwatched": count(&counts.discarded),
            "pictures_encoded": count(&counts.encoded),
            "pictures_passed": count(&counts.passed),
            "pictures_recoded": count(&counts.recoded),
            "pictures_same": count(&counts.same),
            "pictures_damaged": count(&counts.damaged),
            "watchers": server.watchers(),
            "fps": rounded(fps, 1e3),
            "departure_error_us": block(errors.block(1.0)), "stages_ms": self.stages.json(whole),
            "largest_datagram": totals.largest, "datagrams": totals.datagrams, "bytes": totals.bytes,
            "bitrate_bps": ((totals.bytes - bytes) as f64 * 8.0 / seconds).round(),
            "audio": self.info.sound.then(|| json!({ "chunks": totals.chunks, "unsent": totals.chunks_unsent })),
            "overload": server.is_overloaded(), "served": rounded(server.served(), 1e4),
            "quality": self.options.quality, "refused": totals.refused, "send_errors": totals.send_errors,
            "cpu_seconds": rounded(figures::cpu_seconds(), 1e3), "rss_bytes": figures::rss_bytes(),
            "source_cpu_seconds": rounded(self.usage.cpu_seconds(), 1e3),
            "per_watcher": per_watcher,
        })
    }

    /// More is to be sent than this machine can, or no longer. `served` is the share of pictures that arrive in time.
    pub(super) fn overload(&self, overloaded: bool, served: f64) {
        let (code, text) = if overloaded {
            let percent = served * 100.0;
            (
                "overload",
                format!(
                    "this machine cannot send so much: each watcher gets {percent:.0} % of the pictures, and nobody else is let in; serve with a smaller --width, --fps or --quality, or let larger datagrams through"
                ),
            )
        } else {
            ("overload-over", "every watcher gets every picture again".to_owned())
        };
        self.output.warn(&format!("{}: {text}", if overloaded { "warning" } else { "note" }));
        // A closed output is noticed at the next statistics.
        self.output.event("warning", json!({ "code": code, "text": text })).ok();
    }
}

/// Watchers listed.
const LISTED: usize = 100;

//! What is told of those who watch, and of all together.

use std::collections::BTreeMap;

use super::figures::{ServeFigures, StreamFigures, WatcherFigures};
use super::measured::Period;
use super::serving::Serving;
use crate::app::figures;
use crate::proto::server::{Server, SessionStats, SessionView};
use crate::units::{Bitrate, Size, Time};

/// Watchers listed.
const LISTED: usize = 100;

/// What each watcher had been sent when the running second began.
pub struct Second {
    begun: Time,
    /// Pictures and bytes by session.
    sent: BTreeMap<u64, (u64, u64)>,
}

impl Second {
    pub fn new(now: Time) -> Self {
        Self { begun: now, sent: BTreeMap::new() }
    }

    pub fn begin(&mut self, now: Time, server: &Server) {
        self.begun = now;
        self.sent =
            server.sessions().map(|session| (session.id, (session.stats.pictures, session.stats.bytes))).collect();
    }

    /// Pictures a second and rate since then.
    pub fn since(&self, now: Time, session: &SessionView) -> (f64, Bitrate) {
        let (pictures, bytes) = self.sent.get(&session.id).copied().unwrap_or_default();
        let elapsed = now.since(self.begun);
        let pictures = session.stats.pictures.saturating_sub(pictures) as f64;
        let fps = if elapsed.is_zero() { 0.0 } else { pictures / elapsed.as_secs_f64() };
        (fps, Bitrate::of(session.stats.bytes.saturating_sub(bytes), elapsed).unwrap_or_default())
    }
}

impl Serving {
    pub(super) fn figures(&self, now: Time, server: &Server, period: Period) -> ServeFigures {
        let totals = server.totals();
        let streams: Vec<_> = self.channels.iter().map(|channel| channel.figures(now, server, period)).collect();
        let in_sessions = |of: fn(&StreamFigures) -> u64| streams.iter().map(of).sum::<u64>();
        let datagrams = totals.datagrams.saturating_sub(in_sessions(|stream| stream.datagrams));
        let bytes = totals.bytes.saturating_sub(in_sessions(|stream| stream.bytes));
        ServeFigures {
            passed: totals.pictures.saturating_sub(in_sessions(|stream| stream.pictures.sent)),
            published: self.published.clone(),
            stored: self.stored.clone(),
            library: self.screening.as_ref().map(|screening| screening.figures(server)),
            to_strangers: (datagrams, bytes),
            streams,
            watchers: self.watchers(now, server),
            overloaded: server.is_overloaded(),
            served: server.served(),
            refused: totals.refused,
            send_errors: totals.send_errors,
            cpu_seconds: figures::cpu_seconds(),
            rss_bytes: figures::rss_bytes(),
        }
    }

    /// Those with the greatest loss.
    fn watchers(&self, now: Time, server: &Server) -> Vec<WatcherFigures> {
        let several = self.channels.len() > 1;
        let mut watchers: Vec<_> =
            server.sessions().map(|session| self.watcher(now, server, session, several)).collect();
        watchers.sort_by(|a, b| b.loss.total_cmp(&a.loss));
        watchers.truncate(LISTED);
        watchers
    }

    fn watcher(&self, now: Time, server: &Server, session: SessionView, several: bool) -> WatcherFigures {
        let channel = self.channels.iter().find(|channel| channel.key == session.stream);
        let stream = channel.map(|channel| &channel.stream);
        let SessionView { stats, mut adaptation, .. } = session;
        let (fps, rate) = self.second.since(now, &session);
        if adaptation.rate == Bitrate::default() {
            adaptation.rate = rate;
        }
        let told = adaptation.in_force;
        let half = |side: u16| side.div_ceil(1 << told.rendition.min(15));
        let film = server.film_name(session.stream);
        let full = server.description(session.stream).map(|description| description.size);
        let size = full
            .filter(|_| channel.is_some() || film.is_some())
            .map(|size| Size::new(half(size.width), half(size.height)));
        WatcherFigures {
            id: session.id,
            address: session.address,
            transport: session.transport,
            stream: stream.filter(|_| several).map(|stream| stream.name.clone()).or_else(|| film.cloned()),
            datagram: session.class.datagram(),
            quality: if told.quality > 0 { told.quality } else { stream.map_or(0, |stream| stream.quality) },
            loss: stats.lost as f64 / stats.reported.max(1) as f64,
            repair: stats.repair,
            overhead: overhead(&stats),
            rtt_ms: stats.rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
            sent: stats.pictures,
            thinned: stats.thinned,
            fps,
            size,
            adaptation,
        }
    }
}

/// What repair takes beside all else.
fn overhead(stats: &SessionStats) -> f64 {
    let repair = stats.repair.resent_bytes + stats.repair.parity_bytes;
    repair as f64 / stats.bytes.saturating_sub(repair).max(1) as f64
}

//! What is measured of one stream, and the figures made of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::figures::{ChunkCounts, ServedPictures, StageBlocks, StreamFigures};
use crate::app::encode::EncoderCounts;
use crate::app::figures::fps;
use crate::media::coded::Stamps;
use crate::proto::server::Totals;
use crate::stats::{Samples, Windowed};
use crate::units::{MediaTime, Span, Time};

/// Of which time figures are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Second,
    Run,
}

/// How long a picture's stages take, a sample a picture.
#[derive(Default)]
struct Stages {
    /// From the first byte here until the encoder took it up.
    queue: Windowed,
    encode: Windowed,
    /// From the encoder's hands to departure; a film's pictures wait for their moment here.
    send: Windowed,
}

impl Stages {
    fn record(&mut self, stamps: &Stamps, departed: Time) {
        let micros = |from: Time, to: Time| to.since(from).as_secs_f64() * 1e6;
        self.queue.record(micros(stamps.captured, stamps.encoding));
        self.encode.record(micros(stamps.encoding, stamps.encoded));
        self.send.record(micros(stamps.encoded, departed));
    }

    fn next_second(&mut self) {
        [&mut self.queue, &mut self.encode, &mut self.send].into_iter().for_each(|stage| stage.recent.clear());
    }

    fn blocks(&self, period: Period) -> StageBlocks {
        let of = |stage| samples(stage, period).block(1e3);
        StageBlocks { queue: of(&self.queue), encode: of(&self.encode), send: of(&self.send) }
    }
}

const fn samples(windowed: &Windowed, period: Period) -> &Samples {
    match period {
        Period::Second => &windowed.recent,
        Period::Run => &windowed.total,
    }
}

/// A picture's departure.
pub struct Departure {
    pub span: Span,
    pub due: Time,
    pub at: Time,
    pub stamps: Stamps,
}

/// The pictures of one stream that have departed.
pub struct Measured {
    /// When the first departed, and the last so far.
    pub sent: Option<(Time, Time)>,
    /// Where in the film we are.
    pub position: Duration,
    /// When the last one has had its time.
    pub end: Option<MediaTime>,
    departure_error: Windowed,
    stages: Stages,
    start: Time,
    /// When the running second began, and pictures and bytes until then.
    second: (Time, u64, u64),
}

impl Measured {
    pub fn new(start: Time) -> Self {
        Self {
            sent: None,
            position: Duration::ZERO,
            end: None,
            departure_error: Windowed::default(),
            stages: Stages::default(),
            start,
            second: (start, 0, 0),
        }
    }

    pub fn departed(&mut self, departure: &Departure, live: bool) {
        let Departure { span, due, at, stamps } = departure;
        self.stages.record(stamps, *at);
        let first = self.sent.map_or(*at, |(first, _)| first);
        self.sent = Some((first, *at));
        self.end = Some(span.end());
        // While a device is away pictures come seldom, and time goes on.
        self.position = if live { at.since(first) } else { span.at.since(MediaTime::ZERO) };
        if !live {
            self.departure_error.record(at.since(*due).as_secs_f64() * 1e6);
        }
    }

    pub fn next_second(&mut self, now: Time, totals: &Totals) {
        self.second = (now, totals.pictures, totals.bytes);
        self.departure_error.recent.clear();
        self.stages.next_second();
    }

    /// All that follows from what has departed.
    pub fn figures(&self, now: Time, totals: &Totals, counts: &EncoderCounts, period: Period) -> StreamFigures {
        let whole = period == Period::Run;
        let (since, pictures, bytes) = if whole { (self.start, 0, 0) } else { self.second };
        let seconds = now.since(since).as_secs_f64().max(1e-9);
        let all = || self.sent.map_or(0.0, |(first, last)| fps(totals.pictures, first, last));
        let fps = if whole { all() } else { totals.pictures.saturating_sub(pictures) as f64 / seconds };
        StreamFigures {
            pictures: tally(totals, counts),
            fps,
            departure_error: samples(&self.departure_error, period).block(1.0),
            stages: self.stages.blocks(period),
            sound: Some(ChunkCounts { chunks: totals.chunks, unsent: totals.chunks_unsent }),
            largest_datagram: totals.largest,
            datagrams: totals.datagrams,
            bytes: totals.bytes,
            bits_per_second: totals.bytes.saturating_sub(bytes) as f64 * 8.0 / seconds,
            ..StreamFigures::default()
        }
    }
}

fn tally(totals: &Totals, counts: &EncoderCounts) -> ServedPictures {
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    ServedPictures {
        sent: totals.pictures,
        skipped: count(&counts.skipped),
        unwatched: count(&counts.discarded),
        encoded: count(&counts.encoded),
        passed: count(&counts.passed),
        recoded: count(&counts.recoded),
        same: count(&counts.same),
        damaged: count(&counts.damaged),
    }
}

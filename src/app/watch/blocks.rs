//! What is measured of each picture, and what it comes to.

use std::time::Duration;

use super::figures::{Network, Pictures, Process, Slices, Stages, WatchFigures};
use crate::app::decode::Shown;
use crate::app::figures;
use crate::app::words::Position;
use crate::proto::receiver::Receiver;
use crate::stats::Windowed;
use crate::units::Time;
use crate::wire::Description;

/// What is measured once a picture, in microseconds.
#[derive(Default)]
struct Blocks {
    interval: Windowed,
    shown_interval: Windowed,
    latency: Windowed,
    network: Windowed,
    wait: Windowed,
    decode: Windowed,
    present: Windowed,
}

impl Blocks {
    fn picture(&mut self, shown: &Shown, before: Option<&Shown>) {
        let micros = |from: Time, to: Time| to.since(from).as_secs_f64() * 1e6;
        let picture = &shown.picture;
        if let Some(due) = shown.due {
            self.latency.record(micros(due, shown.presented));
            self.network.record(micros(due, picture.first_at));
        }
        self.wait.record(micros(picture.last_at, shown.handed));
        self.decode.record(micros(shown.handed, shown.decoded));
        self.present.record(micros(shown.decoded, shown.presented));
        if let Some(before) = before.filter(|before| before.picture.unit.next() == picture.unit) {
            self.interval.record(micros(before.picture.first_at, picture.first_at));
            self.shown_interval.record(micros(before.presented, shown.presented));
        }
    }

    fn next_second(&mut self) {
        let Self { interval, shown_interval, latency, network, wait, decode, present } = self;
        let all = [interval, shown_interval, latency, network, wait, decode, present];
        all.into_iter().for_each(|block| block.recent.clear());
    }
}

/// All that was measured in one run.
pub struct Measured {
    start: Time,
    blocks: Blocks,
    /// Handed out, but the screen had a newer one already.
    superseded: u64,
    undecodable: u64,
    /// Pictures that were on the screen, and when the first of them was.
    shown: u64,
    first_at: Option<Time>,
    last_shown: Option<Shown>,
    /// When the running second began, and pictures and bytes until then.
    second: (Time, u64, u64),
}

impl Measured {
    pub fn new(start: Time) -> Self {
        Self {
            start,
            blocks: Blocks::default(),
            superseded: 0,
            undecodable: 0,
            shown: 0,
            first_at: None,
            last_shown: None,
            second: (start, 0, 0),
        }
    }

    /// A picture was shown, or came too late for the screen.
    pub fn take(&mut self, shown: Shown) {
        self.undecodable += u64::from(shown.undecodable);
        if shown.superseded {
            self.superseded += 1;
            return;
        }
        self.blocks.picture(&shown, self.last_shown.as_ref());
        self.shown += 1;
        self.first_at.get_or_insert(shown.presented);
        self.last_shown = Some(shown);
    }

    /// Begins a new second.
    pub fn next_second(&mut self, now: Time, receiver: &Receiver) {
        self.second = (now, self.on_screen(receiver), receiver.counts().traffic.bytes);
        self.blocks.next_second();
    }

    /// Pictures and bits a second, of the running second or of the whole run.
    fn rates(&self, now: Time, receiver: &Receiver, whole: bool) -> (f64, f64) {
        let (since, shown, bytes) = if whole { (self.start, 0, 0) } else { self.second };
        let seconds = now.since(since).as_secs_f64().max(1e-9);
        let (now_shown, now_bytes) = (self.on_screen(receiver), receiver.counts().traffic.bytes);
        let fps = if whole { self.fps() } else { now_shown.saturating_sub(shown) as f64 / seconds };
        (fps, (now_bytes - bytes) as f64 * 8.0 / seconds)
    }

    /// Of all pictures shown.
    fn fps(&self) -> f64 {
        let last = self.last_shown.map(|last| last.presented);
        self.first_at.zip(last).map_or(0.0, |(first, last)| figures::fps(self.shown, first, last))
    }

    /// Of the pictures that the receiver handed out, those that nothing newer took the place of.
    fn on_screen(&self, receiver: &Receiver) -> u64 {
        receiver.counts().pictures.shown.saturating_sub(self.superseded)
    }

    /// Those of the last second, or of the whole run; without sound.
    pub fn sum(&self, now: Time, receiver: &Receiver, whole: bool) -> WatchFigures {
        let counts = receiver.counts();
        let (fps, bitrate_bps) = self.rates(now, receiver, whole);
        let of = |w: &Windowed| if whole { w.total.block(1e3) } else { w.recent.block(1e3) };
        let b = &self.blocks;
        WatchFigures {
            pictures: Pictures {
                // What the receiver handed out but the screen could not take was late after all.
                shown: self.on_screen(receiver),
                superseded: self.superseded,
                damaged: counts.pictures.damaged,
                lost: counts.pictures.lost,
                late: counts.pictures.late + self.superseded,
                thinned: counts.pictures.thinned,
            },
            slices: Slices {
                received: counts.pictures.slices,
                lost: counts.pictures.slices_lost,
                repaired: counts.pictures.slices_repaired,
                rejected: counts.traffic.rejected + self.undecodable,
            },
            network: Network {
                largest_datagram: counts.traffic.largest as u64,
                datagrams: counts.traffic.datagrams,
                bytes: counts.traffic.bytes,
                bitrate_bps,
                rtt: receiver.rtt(),
                transport: receiver.transport(),
                others: counts.traffic.others,
                lost: counts.traffic.numbers.saturating_sub(counts.traffic.numbers_came),
                repair: counts.traffic.repair,
                repair_delay: receiver.repair_delay(),
                in_force: receiver.in_force(),
            },
            fps,
            interval: of(&b.interval),
            shown_interval: of(&b.shown_interval),
            // How long it was on its way a group does not tell.
            latency: of(&b.latency).filter(|_| !receiver.is_tuned()),
            stages: Stages {
                network: of(&b.network).filter(|_| !receiver.is_tuned()),
                wait: of(&b.wait),
                decode: of(&b.decode),
                present: of(&b.present),
            },
            first_picture: self.first_at.map(|first| first.since(self.start)),
            reconnects: counts.reconnects,
            process: Process { cpu_seconds: figures::cpu_seconds(), rss_bytes: figures::rss_bytes() },
            sound: None,
            hops: receiver.hops().to_vec(),
        }
    }

    /// Where in the film the last picture shown was.
    pub fn position(&self, description: Option<&Description>) -> Option<Position> {
        let length = description.and_then(|description| description.length).map(Duration::from_micros);
        self.last_shown.map(|shown| {
            let micros = shown.picture.media_time.micros().max(0).unsigned_abs();
            Position { position: Duration::from_micros(micros), length, looped: false }
        })
    }
}

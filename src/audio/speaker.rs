//! The speaker as the event loop has it. Nothing here waits for the device.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Builder;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::shared::{Block, Shared};
use super::supervisor::{Lines, Supervisor};
use super::{Figures, Happened, Settings};
use crate::media::conceal::{Concealer, HELD};
use crate::media::sound::{FRAMES, Frame};
use crate::queue::Waker;
use crate::stats::Windowed;
use crate::units::Time;

/// Plays one stream after the other on the system's default sound device, for as long as it lives.
pub struct Speaker {
    shared: Arc<Shared>,
    concealer: Concealer,
    /// The number of the frame that is put next; none in a stream that has not begun.
    next: Option<u64>,
    made: Vec<Frame>,
    volume: u8,
    muted: bool,
    lines: Option<Lines>,
    new_lines: Receiver<Lines>,
    news: Receiver<Happened>,
    skew: f64,
    skews: Windowed,
    device: String,
    concealed: u64,
    dropped: u64,
    /// Dropped to end the thread, which then drops the other end of `ended`.
    stop: Option<Sender<()>>,
    ended: Receiver<()>,
}

impl Speaker {
    /// Opens the device in a thread of its own; `waker` is called when there is news.
    pub fn start(settings: Settings, waker: Waker) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(settings.volume, settings.muted));
        let (lines, new_lines) = bounded(4);
        let (tell, news) = bounded(16);
        let (stop, stopped) = bounded(0);
        let (alive, ended) = bounded(0);
        let supervisor = Supervisor { settings, shared: Arc::clone(&shared), lines, news: tell, waker, stop: stopped };
        Builder::new().name("audio".into()).spawn(move || {
            supervisor.run();
            drop::<Sender<()>>(alive);
        })?;
        Ok(Self {
            shared,
            concealer: Concealer::default(),
            next: None,
            made: Vec::with_capacity(2 * FRAMES),
            volume: settings.volume,
            muted: settings.muted,
            lines: None,
            new_lines,
            news,
            skew: 0.0,
            skews: Windowed::default(),
            device: String::new(),
            concealed: 0,
            dropped: 0,
            stop: Some(stop),
            ended,
        })
    }

    /// The stream's next chunk, which begins with frame `first`; `None` was lost and is filled in for. Chunks come in
    /// order and without gaps; where they do not, there is silence between them. One that comes before those that were put
    /// already begins anew. Never waits.
    pub fn put(&mut self, first: u64, frames: Option<&[Frame]>) {
        let Some(frames) = frames else { return self.lose(first, FRAMES) };
        self.begin(first);
        self.concealer.put(frames, &mut self.made);
        self.made(first);
    }

    /// As [`put`](Self::put), of so many frames that are lost.
    pub fn lose(&mut self, first: u64, frames: usize) {
        self.begin(first);
        self.concealed += 1;
        self.concealer.lose(frames, &mut self.made);
        self.made(first);
    }

    fn begin(&mut self, first: u64) {
        if self.next != Some(first) {
            self.concealer.reset();
        }
        if self.next.is_some_and(|next| first < next) {
            // What was put before it was wrong, and would be waited for.
            self.shared.stream.fetch_add(1, Ordering::Release);
        }
        self.made.clear();
    }

    fn made(&mut self, first: u64) {
        self.next = Some(first + self.made.len() as u64);
        self.hand_over(first as i64 - HELD as i64);
    }

    /// The stream has ended with what was put last: that there is no more is no underrun.
    pub fn finish(&mut self) {
        let Some(end) = self.next.take() else { return };
        self.made.clear();
        self.concealer.finish(&mut self.made);
        self.shared.end.store(end as i64, Ordering::Relaxed);
        self.hand_over(end as i64 - HELD as i64);
    }

    /// Frame 0 of the stream is or was to be heard at this moment. `None`: nothing is heard.
    pub fn set_zero(&mut self, zero: Option<Time>) {
        self.shared.set_zero(zero);
    }

    /// What is put from here on belongs to another stream, whose zero is not known yet. Nothing more is heard of this.
    pub fn reset(&mut self) {
        self.shared.set_zero(None);
        self.shared.end.store(i64::MAX, Ordering::Relaxed);
        self.shared.stream.fetch_add(1, Ordering::Release);
        self.concealer.reset();
        self.next = None;
    }

    /// In percent; 50 is heard as about half as loud as 100.
    pub fn volume(&mut self, percent: u8) {
        self.volume = percent.min(100);
        self.shared.set_gain(self.volume, self.muted);
    }

    pub fn mute(&mut self, muted: bool) {
        self.muted = muted;
        self.shared.set_gain(self.volume, self.muted);
    }

    /// The oldest news that was not asked for yet.
    pub fn happened(&mut self) -> Option<Happened> {
        self.news.try_recv().ok()
    }

    pub fn figures(&mut self) -> Figures {
        self.look();
        let nanos = |value: &std::sync::atomic::AtomicU64| Duration::from_nanos(value.load(Ordering::Relaxed));
        Figures {
            open: self.shared.open.load(Ordering::Relaxed),
            device: self.device.clone(),
            latency: nanos(&self.shared.latency),
            lead: nanos(&self.shared.lead),
            skew: self.skew,
            underruns: self.shared.underruns.load(Ordering::Relaxed),
            device_underruns: self.shared.device_underruns.load(Ordering::Relaxed),
            concealed: self.concealed,
            dropped: self.dropped,
        }
    }

    /// How far frames were heard from when they should have been, in microseconds without a sign, each time that the
    /// device asked.
    pub fn skews(&mut self) -> &mut Windowed {
        self.look();
        &mut self.skews
    }

    /// Takes over a device that was opened meanwhile, and what was measured.
    fn look(&mut self) {
        if let Some(lines) = self.new_lines.try_iter().last() {
            self.device.clone_from(&lines.device);
            self.lines = Some(lines);
        }
        let Some(lines) = &mut self.lines else { return };
        while let Ok(skew) = lines.skews.pop() {
            self.skew = f64::from(skew);
            self.skews.record(self.skew.abs() * 1e6);
        }
    }

    /// Puts what was made into the ring. While no device is open it goes nowhere.
    fn hand_over(&mut self, first: i64) {
        self.look();
        let Some(lines) = self.lines.as_mut().filter(|lines| !lines.blocks.is_abandoned()) else { return };
        let stream = self.shared.stream.load(Ordering::Relaxed);
        for (n, chunk) in self.made.chunks(FRAMES).enumerate() {
            let mut frames = [[0; 2]; FRAMES];
            frames[..chunk.len()].copy_from_slice(chunk);
            let block = Block { stream, first: first + (n * FRAMES) as i64, len: chunk.len() as u16, frames };
            self.dropped += u64::from(lines.blocks.push(block).is_err());
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.stop = None;
        // A device in trouble may not let itself be closed; then the thread is left to its fate.
        self.ended.recv_timeout(PATIENCE).ok();
    }
}

const PATIENCE: Duration = Duration::from_secs(2);

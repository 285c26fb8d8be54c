//! One run of a stream's source: its threads, its queues and its encoder.

use std::sync::Arc;

use anyhow::Context;

use super::StreamOptions;
use crate::app::encode::{self, Coded, Encoder, EncoderCounts, Order, Origin};
use crate::media::Picture;
use crate::media::sound::{Chunk, FRAMES, frame_of};
use crate::proto::schedule::Demand;
use crate::queue::{self, Consumer, Pop, Waker, Watched, WhenFull};
use crate::source::{Info, News, Pace, Running, Source, Usage};
use crate::units::MediaTime;
use crate::wire::SizeClass;

/// The most that raw pictures may take in the queue: ten of 1080p, two of 4K.
const QUEUE_BYTES: usize = 36 << 20;
/// A minute: more than any file has its sound before or behind its pictures.
const FILE_CHUNKS: usize = 10_336;
/// Two seconds: MPEG-TS carries sound of few bits in packets of a second and more, and all of one comes at once.
const LIVE_CHUNKS: usize = 344;

/// A running source, and what it has ready. Dropping it ends its threads and children.
pub struct Pipeline {
    origin: Origin,
    /// The number of its chunk 0 in the stream, once that is known.
    first_chunk: Option<u32>,
    /// The one after the last that was taken.
    next_chunk: u32,
    orders: Arc<Watched<Order>>,
    coded: Option<Consumer<Coded>>,
    sound: Option<Consumer<Chunk>>,
    running: Option<Running>,
    encoder: Option<Encoder>,
}

/// How a source came to its end.
pub enum Ended {
    /// A film's last picture has then had its time.
    Over(Option<MediaTime>),
    /// A sentence without its full stop.
    Failed(String),
}

impl Pipeline {
    /// Starts the source and its encoder. Pictures are made to the size and rate of `info`, whatever the source gives now.
    pub fn start(
        stream: &StreamOptions,
        info: &Info,
        source: Source,
        origin: Origin,
        counts: Arc<EncoderCounts>,
        waker: Waker,
    ) -> anyhow::Result<Self> {
        let live = info.pace == Pace::Live;
        let policy = if live { WhenFull::DropOldest } else { WhenFull::Block };
        let room = (QUEUE_BYTES / Picture::bytes(info.size)).clamp(2, stream.queue.max(2));
        let (filling, pictures) = queue::bounded(room, policy, None);
        let (coding, coded) = queue::bounded(1, policy, Some(waker.clone()));
        let orders = Arc::new(Watched::new(Order::idle(stream.quality, live)));
        // Whatever the operator chose: a watcher's path, or its wish, may be for less.
        let settings = encode::Settings { size: info.size, rate: info.rate, live, smallest: SizeClass::ANY, origin };
        // A file's sound is asked for whenever pictures are, and now and then; of a live one each chunk counts.
        let (chunks, wake) = if live { (LIVE_CHUNKS, Some(waker)) } else { (FILE_CHUNKS, None) };
        let (speaking, sound) = queue::bounded(chunks, policy, wake);
        let running = source.start(filling, info.sound.then_some(speaking));
        let encoder = encode::spawn(settings, pictures, Arc::clone(&orders), counts, coding)
            .context("the encoder's thread could not be started")?;
        Ok(Self {
            origin,
            first_chunk: origin.zero.is_none().then_some(origin.chunk),
            next_chunk: origin.chunk,
            orders,
            coded: Some(coded),
            sound: Some(sound),
            running: Some(running),
            encoder: Some(encoder),
        })
    }

    /// What watchers want, and whether taps want pictures.
    pub fn order(&self, demand: Demand, taps: bool) {
        self.orders.store(Order { demand, taps, ..self.orders.load() });
    }

    pub fn picture(&self) -> Pop<Coded> {
        self.coded.as_ref().map_or(Pop::Closed, Consumer::try_pop)
    }

    /// The next chunk, numbered in the stream. Of a source that goes on it waits for the moment of its first picture.
    pub fn chunk(&mut self) -> Pop<Chunk> {
        let Some(first) = self.first_chunk.or_else(|| self.find_first_chunk()) else { return Pop::Empty };
        match self.sound.as_ref().map_or(Pop::Closed, Consumer::try_pop) {
            Pop::Item(chunk) => {
                let number = first.wrapping_add(chunk.number);
                self.next_chunk = self.next_chunk.max(number.wrapping_add(1));
                Pop::Item(Chunk { number, ..chunk })
            }
            other => other,
        }
    }

    /// Frame 0 of a source belongs to its first picture; to the nearest chunk, which is 3 ms at most.
    fn find_first_chunk(&mut self) -> Option<u32> {
        let (zero, first) = (self.origin.zero?, self.encoder.as_ref()?.first_captured()?);
        let frame = frame_of(MediaTime::from_micros(first.signed_since(zero) / 1_000));
        let number = u32::try_from((frame + FRAMES as u64 / 2) / FRAMES as u64).ok();
        // Sound may have run ahead of the clock before.
        self.first_chunk = number.map(|number| number.max(self.origin.chunk));
        self.first_chunk
    }

    /// Where the stream goes on if the source is closed now, whose pictures count on from `unit`.
    pub fn goes_on(&self, unit: u32) -> Origin {
        let zero = self.origin.zero.or_else(|| self.encoder.as_ref()?.first_captured());
        Origin { unit, zero, chunk: self.next_chunk }
    }

    pub fn news(&self) -> Option<News> {
        self.running.as_ref().and_then(Running::news)
    }

    pub fn usage(&self) -> Option<Usage> {
        self.running.as_ref().map(Running::usage)
    }

    /// After the last picture: how it ended, or `None` while the source has sound to bring, which has to be taken.
    pub fn end(&mut self) -> Option<Ended> {
        // Its queue is closed, so that its thread is ending.
        if let Some(sentence) = self.encoder.take().and_then(Encoder::join) {
            return Some(Ended::Failed(sentence));
        }
        let Some(running) = &mut self.running else { return Some(Ended::Over(None)) };
        let ended = match running.result()? {
            Ok(finished) => Ended::Over(finished.end),
            Err(error) => Ended::Failed(error.to_string()),
        };
        self.running = None;
        Some(ended)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let order = Order { stop: true, ..self.orders.load() };
        self.orders.store(order);
        drop(self.running.take());
        (self.coded, self.sound) = (None, None);
        if let Some(encoder) = self.encoder.take() {
            encoder.join();
        }
    }
}

//! The encoder's thread: takes pictures from the source's queue, asks the server's demand whether each is worth
//! encoding, and hands over one coded picture at a time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::clock::now;
use crate::codec::{CodecError, PairedEncoder, second_thread};
use crate::media::Picture;
use crate::media::coded::{CodedPicture, Stamps};
use crate::media::jpeg::{plan, restart_interval};
use crate::proto::schedule::{Cost, Demand, Verdict};
use crate::queue::{Consumer, Pop, Producer, Watched};
use crate::units::{MediaTime, Rate, Size, Time, Unit};
use crate::wire::SizeClass;

/// What the event loop tells the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub demand: Demand,
    pub stop: bool,
}

/// What became of the source's pictures.
#[derive(Default)]
pub struct Counts {
    pub encoded: AtomicU64,
    /// Too late for their moment.
    pub skipped: AtomicU64,
    /// Nobody watched.
    pub discarded: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    #[error("a picture could not be encoded: {0}")]
    Codec(#[from] CodecError),
    #[error("a picture is too complex to cut into datagrams of this size even at the lowest quality")]
    TooComplex,
}

/// How pictures are numbered and cut.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub size: Size,
    pub rate: Rate,
    pub live: bool,
    /// The smallest class that a picture may have to be cut to.
    pub smallest: SizeClass,
}

impl Settings {
    /// Two threads make a live picture sooner ready, and a large one in time; for others one does with less work.
    fn paired(&self) -> bool {
        self.live || self.size.pixels() as f64 * self.rate.fps() > HEAVY
    }
}

/// Starts the thread. It ends when the source's queue ends, or on [`Order::stop`].
pub fn spawn(
    settings: Settings,
    pictures: Consumer<Picture>,
    orders: Arc<Watched<Order>>,
    counts: Arc<Counts>,
    out: Producer<CodedPicture>,
) -> io::Result<JoinHandle<Result<(), EncodeError>>> {
    Builder::new().name("encode".into()).spawn(move || {
        let encoder = PairedEncoder::new(settings.paired())?;
        let _second = settings.paired().then(|| second_thread("encode")).transpose()?;
        let mut worker = Worker { settings, orders, counts, encoder, cost: Cost::default(), zero: None };
        worker.run(&pictures, &out)
    })
}

struct Worker {
    settings: Settings,
    orders: Arc<Watched<Order>>,
    counts: Arc<Counts>,
    encoder: PairedEncoder,
    cost: Cost,
    /// When the first live picture was captured.
    zero: Option<Time>,
}

const PATIENCE: Duration = Duration::from_millis(100);
/// Pixels a second of which one thread would be encoding half the time: 1920×1080 at 60.
const HEAVY: f64 = 125e6;

impl Worker {
    fn run(&mut self, pictures: &Consumer<Picture>, out: &Producer<CodedPicture>) -> Result<(), EncodeError> {
        loop {
            let picture = match pictures.pop_timeout(PATIENCE) {
                Pop::Item(picture) => picture,
                Pop::Empty if self.orders.load().stop => return Ok(()),
                Pop::Empty => continue,
                Pop::Closed => return Ok(()),
            };
            if !self.worth_encoding(&picture, pictures) {
                continue;
            }
            if self.orders.load().stop {
                return Ok(());
            }
            let coded = self.encode(&picture)?;
            self.counts.encoded.fetch_add(1, Ordering::Relaxed);
            if out.push(coded).is_err() {
                return Ok(());
            }
        }
    }

    /// Waits until the verdict is clear; false if the picture was dropped (and counted).
    fn worth_encoding(&self, picture: &Picture, pictures: &Consumer<Picture>) -> bool {
        loop {
            let order = self.orders.load();
            if order.stop {
                return true;
            }
            let unit = Unit(picture.number);
            let dropped = match order.demand.verdict(unit, now(), self.cost.estimate(), !pictures.is_empty()) {
                Verdict::Encode => return true,
                Verdict::Skip => &self.counts.skipped,
                Verdict::Discard => &self.counts.discarded,
                Verdict::Hold(until) => {
                    self.orders.wait_change(&order, until.since(now()).min(Duration::from_secs(3_600)));
                    continue;
                }
            };
            dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
    }

    /// One JPEG that can be cut to every class: if an interval is too long for the smallest, with shorter intervals,
    /// at last with less quality.
    fn encode(&mut self, picture: &Picture) -> Result<CodedPicture, EncodeError> {
        let encoding = now();
        let mcus = picture.size.width.div_ceil(16);
        let wanted = self.orders.load().demand.quality;
        let (mut layout, mut quality) = (0, wanted);
        loop {
            let Some(interval) = restart_interval(mcus, layout) else {
                if quality <= 5 {
                    return Err(EncodeError::TooComplex);
                }
                // One MCU an interval was not enough.
                (layout, quality) = (layout - 1, quality.saturating_sub(15).max(5));
                continue;
            };
            let (jpeg, index) = self.encoder.encode(picture, quality, interval)?;
            if plan(&index, jpeg.len(), self.settings.smallest.body_max()).is_err() {
                layout += 1;
                continue;
            }
            let encoded = now();
            self.cost.observe(encoded.since(encoding));
            let stamps = Stamps { captured: picture.captured, encoding, encoded };
            let media_time = self.media_time(picture);
            let unit = Unit(picture.number);
            let size = picture.size;
            return Ok(CodedPicture { unit, media_time, size, rendition: 0, quality, layout, jpeg, index, stamps });
        }
    }

    fn media_time(&mut self, picture: &Picture) -> MediaTime {
        if !self.settings.live {
            return self.settings.rate.media_time(u64::from(picture.number));
        }
        let zero = *self.zero.get_or_insert(picture.captured);
        MediaTime::from_micros(picture.captured.signed_since(zero) / 1_000)
    }
}

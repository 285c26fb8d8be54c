//! The encoder's thread: takes pictures from the source's queue, asks the server's demand whether each is worth
//! encoding, and hands over one coded picture at a time.

mod coding;
mod layout;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::clock::now;
use crate::codec::{CodecError, Fitter, PairedEncoder, second_thread};
use crate::media::Picture;
use crate::media::coded::{CodedPicture, Stamps};
use crate::media::jpeg::{JpegError, Recoder};
use crate::proto::ladder::{Rung, Wish};
use crate::proto::schedule::{Cost, Demand, Verdict};
use crate::queue::{Consumer, Pool, Pop, Producer, Watched};
use crate::units::{MediaTime, RENDITIONS, Rate, Size, Span, Time, Unit};
use crate::wire::SizeClass;
use coding::{Aim, Way};
pub use layout::RestartLayout;

/// What the event loop tells the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What watchers want.
    pub demand: Demand,
    /// Something in this program wants pictures, in full and at the operator's quality.
    pub taps: bool,
    /// The operator's quality.
    pub quality: u8,
    pub stop: bool,
}

impl Order {
    /// Nobody wants anything.
    pub const fn idle(quality: u8, live: bool) -> Self {
        Self { demand: Demand::idle(quality, live), taps: false, quality, stop: false }
    }

    /// With whoever looks in here among the watchers.
    const fn audience(&self) -> Demand {
        Demand { watched: self.demand.watched || self.taps, ..self.demand }
    }

    /// To what a picture is coded. Where nobody watches it is for the taps alone.
    const fn wish(&self) -> Wish {
        if self.demand.watched { self.demand.wish } else { Wish::free(self.quality) }
    }
}

/// One picture, as it is handed over.
pub struct Coded {
    /// For the server.
    pub picture: CodedPicture,
    /// For the taps, where that is less than they want.
    pub full: Option<CodedPicture>,
}

impl Coded {
    /// What taps are given; nothing if there is only less than they want, as it was coded before they were there.
    pub fn for_taps(&self) -> Option<&CodedPicture> {
        let whole = self.picture.is_same() || self.picture.rendition == 0;
        self.full.as_ref().or_else(|| whole.then_some(&self.picture))
    }
}

/// What became of the source's pictures.
#[derive(Default)]
pub struct EncoderCounts {
    pub encoded: AtomicU64,
    /// Coded a second time, because the first was too large for some path.
    pub again: AtomicU64,
    /// Too late for their moment.
    pub skipped: AtomicU64,
    /// Nobody watched.
    pub discarded: AtomicU64,
    /// Sent as the camera had coded them; not among the encoded.
    pub passed: AtomicU64,
    /// A camera's, coded anew without being decoded so that it can be cut; not among the encoded.
    pub recoded: AtomicU64,
    /// Nothing had changed; not among the encoded.
    pub same: AtomicU64,
    /// Unusable JPEGs of a camera.
    pub damaged: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    #[error("a picture could not be encoded: {0}")]
    Codec(#[from] CodecError),
    #[error("a picture of the camera could not be used: {0}")]
    Jpeg(#[from] JpegError),
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
    pub origin: Origin,
}

/// Where a source's pictures lie in the stream. A source that was closed and opened again goes on where it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The unit of its picture 0.
    pub unit: u32,
    /// The moment of a live stream's media time 0; without it the capture of the first picture.
    pub zero: Option<Time>,
    /// The least number that its chunks of sound may have.
    pub chunk: u32,
}

/// A running encoder.
pub struct Encoder {
    thread: JoinHandle<Result<(), EncodeError>>,
    /// When the source's first picture was captured.
    first: Arc<OnceLock<Time>>,
}

impl Encoder {
    /// When the source's first picture was captured, once there is one.
    pub fn first_captured(&self) -> Option<Time> {
        self.first.get().copied()
    }

    /// Waits for the thread's end: why it failed, if it did.
    pub fn join(self) -> Option<String> {
        match self.thread.join() {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the encoder's thread died: this is a bug".to_owned()),
        }
    }
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
    counts: Arc<EncoderCounts>,
    out: Producer<Coded>,
) -> io::Result<Encoder> {
    let first = Arc::new(OnceLock::new());
    let seen = Arc::clone(&first);
    let work = move || {
        let encoder = PairedEncoder::new(settings.paired())?;
        let _second = settings.paired().then(|| second_thread("encode")).transpose()?;
        let fitter = Fitter::new()?;
        let mut worker = Worker {
            settings,
            orders,
            counts,
            encoder,
            fitter,
            recoder: Recoder::default(),
            cost: Cost::default(),
            first: seen,
            shown: None,
            layouts: Default::default(),
            pool: Pool::new(2),
        };
        worker.run(&pictures, &out)
    };
    Ok(Encoder { thread: Builder::new().name("encode".into()).spawn(work)?, first })
}

struct Worker {
    settings: Settings,
    orders: Arc<Watched<Order>>,
    counts: Arc<EncoderCounts>,
    encoder: PairedEncoder,
    fitter: Fitter,
    recoder: Recoder,
    cost: Cost,
    /// When the first picture was captured, whether or not anybody watched.
    first: Arc<OnceLock<Time>>,
    shown: Option<Shown>,
    /// Of each rendition.
    layouts: [RestartLayout; RENDITIONS],
    /// Buffers of smaller renditions.
    pool: Pool<Vec<u8>>,
}

/// What was encoded last.
#[derive(Clone, Copy)]
struct Shown {
    content: u32,
    fresh: u64,
    at: Time,
    /// As what it was wished.
    wished: Rung,
    /// What it came out as, of which the word SAME tells.
    rendition: u8,
    size: Size,
    /// The taps have it in full.
    full: bool,
}

impl Shown {
    /// Whether all who watch have this picture on their screens, as well as they may.
    fn is_still(&self, picture: &Picture, order: &Order, now: Time) -> bool {
        let same = (self.content, self.fresh) == (picture.content, order.demand.fresh);
        let lacking = order.taps && !self.full || order.wish().rung.is_worth_coding_after(self.wished);
        same && !lacking && now.since(self.at) < REFRESH
    }
}

/// A picture that stands still is sent anew this often, whatever is known of those who watch.
const REFRESH: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_millis(100);
/// Pixels a second of which one thread would be encoding half the time: 1920×1080 at 60.
const HEAVY: f64 = 125e6;

impl Worker {
    fn run(&mut self, pictures: &Consumer<Picture>, out: &Producer<Coded>) -> Result<(), EncodeError> {
        loop {
            let mut picture = match pictures.pop_timeout(PATIENCE) {
                Pop::Item(picture) => picture,
                Pop::Empty if self.orders.load().stop => return Ok(()),
                Pop::Empty => continue,
                Pop::Closed => return Ok(()),
            };
            self.first.get_or_init(|| picture.captured);
            if !self.worth_encoding(&picture, pictures) {
                continue;
            }
            if self.orders.load().stop {
                return Ok(());
            }
            let Some(coded) = self.code(&mut picture)? else { continue };
            let dropped = out.dropped();
            if out.push(coded).is_err() {
                return Ok(());
            }
            if out.dropped() != dropped {
                // What was shown last has not left after all.
                self.shown = None;
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
            let more = !pictures.is_empty();
            let dropped = match order.audience().verdict(self.span(picture), now(), self.cost.estimate(), more) {
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

    /// The least that shows the picture to everybody; nothing if a camera's JPEG is damaged.
    fn code(&mut self, picture: &mut Picture) -> Result<Option<Coded>, EncodeError> {
        let (encoding, order) = (now(), self.orders.load());
        picture.draw();
        let picture = &*picture;
        if let Some(shown) = self.shown.filter(|shown| shown.is_still(picture, &order, encoding)) {
            let stamps = Stamps { captured: picture.captured, encoding, encoded: encoding };
            self.counts.same.fetch_add(1, Ordering::Relaxed);
            let (unit, span) = (self.unit(picture), self.span(picture));
            let picture = CodedPicture::same(unit, span, shown.size, shown.rendition, stamps);
            return Ok(Some(Coded { picture, full: None }));
        }
        let (wish, operator, class) = (order.wish(), order.quality, order.demand.class);
        let Some(aimed) = self.aim(picture, &Aim { wish, operator, class, encoding })? else {
            self.counts.damaged.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        };
        let counted = match aimed.way {
            Way::Encoded => &self.counts.encoded,
            Way::Passed => &self.counts.passed,
            Way::Recoded => &self.counts.recoded,
        };
        counted.fetch_add(1, Ordering::Relaxed);
        let less = aimed.way != Way::Passed && Rung::new(0, operator).is_finer_than(aimed.rung);
        let mut full = None;
        if less && order.taps {
            let wish = Wish::free(operator);
            full = self.aim(picture, &Aim { wish, operator, class, encoding })?.map(|aimed| aimed.picture);
        }
        self.cost.observe(now().since(encoding));
        self.shown = Some(Shown {
            content: picture.content,
            fresh: order.demand.fresh,
            at: encoding,
            wished: wish.rung,
            rendition: aimed.picture.rendition,
            size: aimed.picture.size,
            full: full.is_some() || !less,
        });
        Ok(Some(Coded { picture: aimed.picture, full }))
    }

    fn unit(&self, picture: &Picture) -> Unit {
        Unit(self.settings.origin.unit.wrapping_add(picture.number))
    }

    /// Of a film its own word, of a live picture when it was captured.
    fn span(&self, picture: &Picture) -> Span {
        if let Some(span) = picture.span.filter(|_| !self.settings.live) {
            return span;
        }
        let zero = self.settings.origin.zero.or(self.first.get().copied()).unwrap_or(picture.captured);
        let since = picture.captured.signed_since(zero);
        Span { at: MediaTime::from_micros(since / 1_000), lasts: self.settings.rate.interval() }
    }
}

#[cfg(test)]
mod tests;

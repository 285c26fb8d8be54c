//! The encoder's thread: takes pictures from the source's queue, asks the server's demand whether each is worth
//! encoding, and hands over one coded picture at a time.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::clock::now;
use crate::codec::{CodecError, Fitter, PairedEncoder, second_thread};
use crate::media::Picture;
use crate::media::coded::{CodedPicture, Stamps};
use crate::media::jpeg::{self, Index, JpegError, Recoder, plan, quality_for, restart_interval, tables};
use crate::proto::schedule::{Cost, Demand, Verdict};
use crate::queue::{Consumer, Pop, Producer, Watched};
use crate::units::{MediaTime, Rate, Size, Span, Time, Unit};
use crate::wire::SizeClass;

/// What the event loop tells the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub demand: Demand,
    pub stop: bool,
}

/// What became of the source's pictures.
#[derive(Default)]
pub struct EncoderCounts {
    pub encoded: AtomicU64,
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
    out: Producer<CodedPicture>,
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
            layout: RestartLayout::default(),
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
    layout: RestartLayout,
}

/// The restart layout to begin with: pictures that follow each other are alike, and each attempt is a whole encoding.
#[derive(Clone, Copy, Default)]
struct RestartLayout {
    fitted: u8,
    /// Pictures since a larger one was tried.
    since: u32,
}

impl RestartLayout {
    /// The one that fitted the last picture, now and then the next larger one.
    fn next(&mut self) -> u8 {
        self.since += 1;
        let again = self.since >= TRY_LARGER;
        if again {
            self.since = 0;
        }
        self.fitted.saturating_sub(u8::from(again))
    }

    /// One JPEG that can be cut to every class: if an interval is too long for the smallest, with shorter intervals,
    /// at last with less quality. `code` makes it of a quality and an interval; with it come quality and layout.
    fn cuttable(
        &mut self,
        smallest: SizeClass,
        mcus: u16,
        wanted: u8,
        mut code: impl FnMut(u8, u16) -> Result<(Vec<u8>, Index), EncodeError>,
    ) -> Result<Made, EncodeError> {
        let (mut layout, mut quality) = (self.next(), wanted);
        // What fitted may have been of a picture with other MCUs.
        while layout > 0 && restart_interval(mcus, layout).is_none() {
            layout -= 1;
        }
        loop {
            let Some(interval) = restart_interval(mcus, layout) else {
                if quality <= 5 {
                    return Err(EncodeError::TooComplex);
                }
                // One MCU an interval was not enough.
                (layout, quality) = (layout - 1, quality.saturating_sub(15).max(5));
                continue;
            };
            let (jpeg, index) = code(quality, interval)?;
            if plan(&index, jpeg.len(), smallest.body_max()).is_ok() {
                self.fitted = layout;
                return Ok(Made { jpeg, index, quality, layout });
            }
            layout += 1;
        }
    }
}

/// A JPEG that can be cut, and with which quality and layout it was made.
struct Made {
    jpeg: Vec<u8>,
    index: Index,
    quality: u8,
    layout: u8,
}

/// What was encoded last.
#[derive(Clone, Copy)]
struct Shown {
    content: u32,
    fresh: u64,
    at: Time,
}

/// Restart markers closer than need be cost up to a tenth in bytes, an attempt in vain as much as a picture.
const TRY_LARGER: u32 = 32;
/// A picture that stands still is sent anew this often, whatever is known of those who watch.
const REFRESH: Duration = Duration::from_secs(2);
/// Bytes of the marker at a JPEG's end.
const EOI: usize = 2;
const PATIENCE: Duration = Duration::from_millis(100);
/// Pixels a second of which one thread would be encoding half the time: 1920×1080 at 60.
const HEAVY: f64 = 125e6;

impl Worker {
    fn run(&mut self, pictures: &Consumer<Picture>, out: &Producer<CodedPicture>) -> Result<(), EncodeError> {
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
            let dropped = match order.demand.verdict(self.span(picture), now(), self.cost.estimate(), more) {
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
    fn code(&mut self, picture: &mut Picture) -> Result<Option<CodedPicture>, EncodeError> {
        let (encoding, demand) = (now(), self.orders.load().demand);
        picture.draw();
        let picture = &*picture;
        if self.is_shown(picture, &demand, encoding) {
            let stamps = Stamps { captured: picture.captured, encoding, encoded: encoding };
            self.counts.same.fetch_add(1, Ordering::Relaxed);
            let (unit, span) = (self.unit(picture), self.span(picture));
            return Ok(Some(CodedPicture::same(unit, span, self.settings.size, 0, stamps)));
        }
        let coded = match picture.jpeg() {
            Some(jpeg) => self.pass_on(picture, jpeg, &demand, encoding)?,
            None => Some(self.fitted(picture, encoding)?),
        };
        if coded.is_some() {
            self.shown = Some(Shown { content: picture.content, fresh: demand.fresh, at: encoding });
        }
        Ok(coded)
    }

    /// Whether all who watch have it on their screens.
    fn is_shown(&self, picture: &Picture, demand: &Demand, now: Time) -> bool {
        let shown = |shown: Shown| (shown.content, shown.fresh) == (picture.content, demand.fresh);
        self.shown.is_some_and(|last| shown(last) && now.since(last.at) < REFRESH)
    }

    /// A camera's JPEG as it is, if it reaches everybody so; else with other codes, or made anew.
    fn pass_on(
        &mut self,
        picture: &Picture,
        jpeg: &[u8],
        demand: &Demand,
        encoding: Time,
    ) -> Result<Option<CodedPicture>, EncodeError> {
        let complete = tables::with_huffman(jpeg).and_then(|jpeg| Ok((jpeg::index(&jpeg)?, jpeg)));
        let Ok((index, jpeg)) = complete else {
            let index = jpeg::index_of_tall(jpeg).ok();
            let made = index.map_or(Ok(None), |index| self.decoded(picture, (jpeg, &index), encoding))?;
            self.counts.damaged.fetch_add(u64::from(made.is_none()), Ordering::Relaxed);
            return Ok(made);
        };
        let jpeg = jpeg.get(..index.scan.end + EOI).unwrap_or(&jpeg);
        let sized = index.size == self.settings.size;
        if sized && (jpeg.len() <= demand.class.body_max() || self.can_be_cut(&index, jpeg)) {
            self.counts.passed.fetch_add(1, Ordering::Relaxed);
            let made = Made { jpeg: jpeg.to_vec(), quality: index.quality.unwrap_or(0), index, layout: 0 };
            return Ok(Some(self.coded(picture, made, encoding)));
        }
        let made = if sized {
            self.recoded(picture, (jpeg, &index), encoding)?
        } else {
            self.decoded(picture, (jpeg, &index), encoding)?
        };
        self.counts.damaged.fetch_add(u64::from(made.is_none()), Ordering::Relaxed);
        Ok(made)
    }

    /// By way of its pixels; nothing if it is damaged.
    fn decoded(
        &mut self,
        picture: &Picture,
        (jpeg, index): (&[u8], &Index),
        encoding: Time,
    ) -> Result<Option<CodedPicture>, EncodeError> {
        let decoded = self.fitter.decode(picture, jpeg, index).ok();
        decoded.map(|decoded| self.fitted(&decoded, encoding)).transpose()
    }

    fn can_be_cut(&self, index: &Index, jpeg: &[u8]) -> bool {
        index.quality.is_some() && plan(index, jpeg.len(), self.settings.smallest.body_max()).is_ok()
    }

    /// The same coefficients where its tables are the usual ones, with markers to cut at; by way of its pixels where that
    /// cannot be; nothing if it is damaged.
    fn recoded(
        &mut self,
        picture: &Picture,
        (jpeg, index): (&[u8], &Index),
        encoding: Time,
    ) -> Result<Option<CodedPicture>, EncodeError> {
        let Ok(quality) = quality_for(jpeg, self.orders.load().demand.wish.rung.quality) else { return Ok(None) };
        let mcus = index.size.width.div_ceil(index.mcu.width);
        let made = self.layout.cuttable(self.settings.smallest, mcus, quality, |quality, interval| {
            Ok(self.recoder.recode(jpeg, index, quality, interval)?)
        });
        match made {
            Ok(made) => {
                self.counts.recoded.fetch_add(1, Ordering::Relaxed);
                Ok(Some(self.coded(picture, made, encoding)))
            }
            // Decoders bear more: what is a little damaged, and what no quality makes small.
            Err(_) => self.decoded(picture, (jpeg, index), encoding),
        }
    }

    /// At the stream's size.
    fn fitted(&mut self, picture: &Picture, encoding: Time) -> Result<CodedPicture, EncodeError> {
        if picture.size == self.settings.size {
            return self.encode(picture, encoding);
        }
        let fitted = self.fitter.fit(picture, self.settings.size)?;
        self.encode(&fitted, encoding)
    }

    fn encode(&mut self, picture: &Picture, encoding: Time) -> Result<CodedPicture, EncodeError> {
        let (mcus, wanted) = (picture.size.width.div_ceil(16), self.orders.load().demand.wish.rung.quality);
        let made = self.layout.cuttable(self.settings.smallest, mcus, wanted, |quality, interval| {
            Ok(self.encoder.encode(picture, quality, interval)?)
        })?;
        self.counts.encoded.fetch_add(1, Ordering::Relaxed);
        Ok(self.coded(picture, made, encoding))
    }

    fn coded(&mut self, picture: &Picture, made: Made, encoding: Time) -> CodedPicture {
        let Made { jpeg, index, quality, layout } = made;
        let encoded = now();
        self.cost.observe(encoded.since(encoding));
        let stamps = Stamps { captured: picture.captured, encoding, encoded };
        let (unit, Span { at: media_time, lasts }, size) = (self.unit(picture), self.span(picture), picture.size);
        CodedPicture { unit, media_time, lasts, size, rendition: 0, quality, layout, jpeg, index, stamps }
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

//! Live pictures: a device that is opened, watched over, and opened again whenever it is lost.
//!
//! While it is away the stream goes on with a card that says why, at the stream's size; when the device is back, its pictures
//! are back. They may have another size then: the encoder fits them.

mod arguments;
pub(super) mod call;
pub(super) mod camera;
mod feed;
pub(super) mod line;
mod list;
mod meter;
pub(super) mod mic;
mod offers;
mod placer;
pub(super) mod screen;
mod stamps;
pub(super) mod station;
mod trouble;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

pub use self::list::{Devices, Listed, ListedMode, devices};
pub use self::offers::fuzz_offers;
pub(super) use self::stamps::CaptureClock;
pub use self::trouble::Trouble;
use super::plan::fit_size;
use super::{Finished, Guard, Info, Options, Pace, Source, SourceError};
use crate::clock;
use crate::ffmpeg::Control;
use crate::media::Picture;
use crate::media::sound::Chunk;
use crate::queue::{Pool, Producer, Watched};
use crate::text::card::text_card;
use crate::text::wait_for_fonts;
use crate::units::{Rate, Size, Time};

/// What an open device gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    pub size: Size,
    pub rate: Rate,
    /// One line for people: what it is, its size and rate.
    pub details: String,
}

/// Something that makes live pictures and can be opened again and again.
pub(super) trait Device: Send {
    /// Its name in messages.
    fn name(&self) -> String;

    /// Opens it; waits until the first picture is certain, some seconds at most. Whatever stands behind it is gone
    /// before this fails. `control` ends every wait.
    fn open(&mut self, control: &Control) -> Result<Box<dyn Grabber>, SourceError>;

    /// What it will give, if that is known although it could not be opened.
    fn foreseen(&self) -> Option<Mode> {
        None
    }
}

/// An open device; dropping it closes it, and leaves no process, thread or descriptor behind.
pub(super) trait Grabber: Send {
    fn mode(&self) -> Mode;

    /// Waits for the next picture and stamps it with the moment at which it was captured, in our clock. Never older
    /// pictures than the newest there is. Its number is set by the caller; a picture that shows the same as the one
    /// before is made by [`Picture::again`]. An error is the end of this grabber, also when `control` was stopped.
    fn grab(&mut self, pool: &Pool<Vec<u8>>) -> Result<Picture, SourceError>;
}

/// Sound from another device than the pictures.
pub(super) trait Ear: Send {
    /// One line for people.
    fn details(&self) -> String;

    /// Fills `out` with chunks until it is closed or `control` was stopped. Frame `n` belongs to the moment
    /// `zero + n / 44 100 s` of our clock whatever the device's own clock does; where the device is away there is silence.
    /// `zero` is the capture of the first picture, once there is one.
    fn hear(&mut self, control: &Control, zero: &Watched<Option<Time>>, out: Producer<Chunk>, news: &Sender<News>);
}

/// What happened to a device, or on the way of a film, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It is away; the sentence says why and what to do. It is tried again without end.
    Lost(String),
    /// The device of this name is back.
    Back(String),
    /// Nothing comes of a film that is read through a network.
    Stalled { name: String, seconds: u64 },
    /// The film of this name goes on.
    Resumed(String),
}

/// A source of what `device` shows, and of what `ear` hears. A device that is not there yet is waited for with a card.
pub(super) fn open(
    mut device: Box<dyn Device>,
    ear: Option<Box<dyn Ear>>,
    options: &Options,
    mut guard: Guard,
) -> Result<Source, SourceError> {
    let opened = match device.open(&guard.control) {
        Err(error) if guard.control.stopped() || error.is_final() => return Err(error),
        opened => opened,
    };
    let unknown = |_: &SourceError| device.foreseen().unwrap_or_else(|| Mode::unknown(options.size, options.rate));
    let mode = opened.as_ref().map_or_else(unknown, |grabber| grabber.mode());
    // A size that was asked for is one that is wanted, unless another is too.
    let size =
        if options.size.is_some() && options.width.is_none() { mode.size } else { fit_size(mode.size, options.width) };
    let scaled = if size == mode.size { String::new() } else { format!(" → {size}") };
    let heard = ear.as_ref().map_or_else(|| "no sound".to_owned(), |ear| ear.details());
    let info = Info {
        title: device.name(),
        size,
        rate: mode.rate,
        length: None,
        pictures: None,
        pace: Pace::Live,
        details: format!("{}{scaled}, {heard}", mode.details),
        sound: ear.is_some(),
    };
    let (tell, news) = bounded(NEWS);
    guard.news = Some(news);
    let (control, name) = (guard.control.clone(), device.name());
    let work = Box::new(move |out, sound: Option<Producer<Chunk>>| {
        let zero = Watched::new(None);
        let heard = ear.zip(sound);
        std::thread::scope(|scope| {
            if let Some((mut ear, sound)) = heard {
                let (control, zero, tell) = (&control, &zero, &tell);
                let hear = move || ear.hear(control, zero, sound, tell);
                Builder::new().name("sound".into()).spawn_scoped(scope, hear).map_err(SourceError::Start)?;
            }
            let steady = Steady {
                name,
                device: Arc::new(Mutex::new(device)),
                size,
                control: &control,
                out,
                zero: &zero,
                tell: &tell,
                label: 0,
                raw: None,
                pictures: 0,
            };
            let finished = steady.run(opened);
            // The sound goes with the pictures.
            control.stop();
            finished
        })
    });
    Ok(Source { info, work, guard })
}

impl Mode {
    /// Of a device that was never there yet, and of which this is wanted.
    fn unknown(size: Option<Size>, rate: Option<Rate>) -> Self {
        let (size, rate) = (size.unwrap_or(Size::new(1280, 720)), rate.unwrap_or(THIRTY));
        Self { size, rate, details: format!("{size}, {rate} fps, not there yet") }
    }
}

/// A device under care.
struct Steady<'a> {
    name: String,
    /// Locked only while it is opened.
    device: Arc<Mutex<Box<dyn Device>>>,
    size: Size,
    control: &'a Control,
    out: Producer<Picture>,
    zero: &'a Watched<Option<Time>>,
    tell: &'a Sender<News>,
    /// The content handed on last, and what the grabber called it.
    label: u32,
    raw: Option<u32>,
    pictures: u32,
}

/// The queue of pictures was closed.
struct Closed;

impl Steady<'_> {
    fn run(mut self, mut opened: Result<Box<dyn Grabber>, SourceError>) -> Result<Finished, SourceError> {
        let mut pause = FIRST_PAUSE;
        let mut told = None;
        loop {
            let error = match opened {
                Ok(grabber) => {
                    if told.take().is_some() {
                        self.tell.try_send(News::Back(self.name.clone())).ok();
                    }
                    let before = self.pictures;
                    let Err(error) = self.grab_all(grabber) else { break };
                    if self.pictures != before {
                        pause = FIRST_PAUSE;
                    }
                    error
                }
                Err(error) => error,
            };
            if self.control.stopped() {
                break;
            }
            let why = error.to_string();
            if told.as_ref() != Some(&why) {
                self.tell.try_send(News::Lost(why.clone())).ok();
            }
            match self.wait(&why, pause) {
                Ok(again) => opened = again,
                Err(Closed) => break,
            }
            told = Some(why);
            pause = (pause * 2).min(LAST_PAUSE);
        }
        Ok(Finished { pictures: self.pictures, end: None })
    }

    /// Until the device fails; `Ok` if the queue of pictures was closed.
    fn grab_all(&mut self, mut grabber: Box<dyn Grabber>) -> Result<Closed, SourceError> {
        let pool = Pool::new(POOL);
        self.raw = None;
        loop {
            let mut picture = grabber.grab(&pool)?;
            if self.control.stopped() {
                return Ok(Closed);
            }
            if self.raw.replace(picture.content) != Some(picture.content) {
                self.label = self.pictures;
            }
            picture.content = self.label;
            if self.push(picture).is_err() {
                return Ok(Closed);
            }
        }
    }

    /// Shows a card for as long as `pause` and until opening the device has come to something.
    fn wait(&mut self, why: &str, pause: Duration) -> Result<Result<Box<dyn Grabber>, SourceError>, Closed> {
        wait_for_fonts(&[&self.name, why]);
        let mut card = text_card(self.size, &self.name, &[why, AGAIN]);
        card.content = self.pictures;
        let until = clock::now() + pause;
        while clock::now() < until {
            self.show(&mut card)?;
        }
        // Opening may take seconds; the card is shown meanwhile.
        let (device, control) = (Arc::clone(&self.device), self.control.clone());
        let open = move || lock(&device).open(&control);
        let opening = Builder::new().name("open device".into()).spawn(open);
        let opening = match opening {
            Ok(opening) => opening,
            Err(error) => return Ok(Err(SourceError::Start(error))),
        };
        let mut shown = Ok(());
        while !opening.is_finished() && shown.is_ok() {
            shown = self.show(&mut card);
        }
        if shown.is_err() {
            self.control.stop();
        }
        let opened = opening.join().unwrap_or_else(|_| Err(SourceError::Start(io::Error::other("a thread died"))));
        shown.map(|()| opened)
    }

    /// The card once more, until it is time for the next.
    fn show(&mut self, card: &mut Picture) -> Result<(), Closed> {
        let now = clock::now();
        self.push(card.again(0, now).ok_or(Closed)?)?;
        if self.control.sleep_until(now + CARD) { Ok(()) } else { Err(Closed) }
    }

    fn push(&mut self, mut picture: Picture) -> Result<(), Closed> {
        self.zero.store(self.zero.load().or(Some(picture.captured)));
        picture.number = self.pictures;
        self.out.push(picture).map_err(|_| Closed)?;
        self.pictures = self.pictures.wrapping_add(1);
        Ok(())
    }
}

fn lock<T>(device: &Mutex<T>) -> MutexGuard<'_, T> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

const THIRTY: Rate = match Rate::new(30, 1) {
    Some(rate) => rate,
    None => unreachable!(),
};
const AGAIN: &str = "It is tried again until it is back.";
/// A device that was unplugged is looked for soon, and then less often.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(3);
/// How often a card is repeated, so that watchers know that the server is there.
const CARD: Duration = Duration::from_millis(200);
const POOL: usize = 8;
/// More than happens between two looks.
const NEWS: usize = 32;

#[cfg(test)]
pub(super) mod tests;

//! Where pictures and sound come from: files and addresses through an ffmpeg child, YUV4MPEG2 on stdin, the test card.
//!
//! [`open`] finds out all there is to know and starts ffmpeg; [`Source::start`] puts pictures and chunks of sound into
//! queues from threads of its own; [`Running`] ends it all, children included, when dropped. Every picture and chunk is
//! stamped when its first byte arrived here (test card: when it was made, or is heard). [`listen`] is for sound alone.

mod ahead;
mod backlog;
mod card;
pub mod excerpt;
mod fifo;
mod file;
mod film_clock;
mod guess;
mod heard;
mod input;
mod listen;
mod live;
mod pace;
mod pass;
mod passes;
mod photo;
mod plan;
mod probe;
mod run;
mod sound;
mod stall;
mod stdin;
#[cfg(test)]
mod tests;
mod timeline;
mod tune;
mod voice;

use std::io;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError, bounded};

pub use self::input::{Input, Screen, size};
pub use self::listen::{Listening, listen};
pub use self::live::{Devices, Listed, ListedMode, News, Trouble, devices, fuzz_offers};
pub use self::probe::fuzz_probe;
use crate::ffmpeg::{Control, FfmpegError};
use crate::media::Picture;
use crate::media::sound::Chunk;
use crate::media::y4m::Y4mError;
use crate::queue::{Closer, Producer};
use crate::units::{MediaTime, Rate, Size};

/// Whether pictures leave at their deadline or as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    File,
    Live,
}

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaceChoice {
    #[default]
    Auto,
    File,
    Live,
}

/// How a source is to be opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Scale to this width, keeping the shape. Without it the own size is kept within 1920×1080.
    pub width: Option<u16>,
    /// Exactly this rate, pictures left out or doubled as needed. A device is asked for it.
    pub rate: Option<Rate>,
    /// The size that a device is asked for.
    pub size: Option<Size>,
    /// The mouse pointer is part of a screen.
    pub pointer: bool,
    pub pace: PaceChoice,
    /// Begin again at the end; picture numbers go on. Not for stdin.
    pub looped: bool,
    /// A light filter against noise in the pictures.
    pub denoise: bool,
    /// `None`: no sound is taken out at all.
    pub sound: Option<SoundOptions>,
}

/// What is to be heard, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SoundOptions {
    /// Which of the tracks, counted from 0; without it the one that players choose.
    pub track: Option<u32>,
    /// Louder or softer, in decibels; what would be louder than full scale is cut.
    pub gain_db: f64,
    /// Both sides become their mean.
    pub mono: bool,
    /// A filter against noise in the sound.
    pub denoise: bool,
}

/// What is known before the first picture.
#[derive(Clone, Debug)]
pub struct Info {
    pub title: String,
    pub size: Size,
    pub rate: Rate,
    /// One pass.
    pub length: Option<Duration>,
    /// Pictures in one pass, where the film says so.
    pub pictures: Option<u32>,
    pub pace: Pace,
    /// One line for people: codec, size, rate, length, sound.
    pub details: String,
    /// Chunks of sound will come.
    pub sound: bool,
}

/// Why there are no (more) pictures; each text is a sentence with advice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    #[error("{0} was not found; check its name and folder")]
    NotFound(String),
    #[error("{name} was not found; if no film is meant, write {meant}")]
    Meant { name: String, meant: String },
    #[error("{name} names no port from 1 to 65535; write {scheme}://HOST:PORT")]
    NoPort { name: String, scheme: String },
    #[error("{0} is a folder; name one film in it")]
    Directory(String),
    #[error("{name} cannot be read ({why}); check its permissions")]
    Unreadable { name: String, why: io::Error },
    #[error("{0} is empty; copy or record it again")]
    Empty(String),
    #[error(
        "{name} is not a film that ffmpeg can read ({why}); it may be damaged or cut short: record or copy it again"
    )]
    NotFilm { name: String, why: String },
    #[error("{name} cannot be opened ({why}); check the address, and that what it names is there")]
    NotOpened { name: String, why: String },
    #[error("{name} cannot be opened ({why}); check the address, the network, and that its server runs")]
    NotReached { name: String, why: String },
    #[error("{name} lets nobody in whom it does not know ({why}); {how}")]
    NotLetIn { name: String, why: String, how: String },
    #[error("{name} is forbidden by its server ({why}); check the address, and that it lets this machine in")]
    Forbidden { name: String, why: String },
    #[error("{0} is a list that points where a file may not point to; serve what it points to, by its own name")]
    Elsewhere(String),
    #[error("{name} did not answer within {seconds} s; check the address, the network, and that its server runs")]
    NoAnswer { name: String, seconds: u64 },
    #[error("nothing came out of {name} within {seconds} s; check that something fills it, or copy it to this machine")]
    NothingCame { name: String, seconds: u64 },
    #[error("{0} has no picture in it, and no sound; choose a film that has more than words or data")]
    NoPicture(String),
    #[error(
        "{0} has its index at its end or is cut short, and cannot be read as it comes; save it and serve the file, or move its index with `ffmpeg -i IN -c copy -movflags +faststart OUT`"
    )]
    IndexAtEnd(String),
    #[error(
        "{0} is an animated WebP or a damaged one, and ffmpeg can read neither; convert it to GIF or MP4, for example with ImageMagick"
    )]
    AnimatedWebp(String),
    #[error(
        "{0} is a HEIC or AVIF picture, and the ffmpeg on this machine cannot read those; convert it to JPEG, or install a newer ffmpeg"
    )]
    Heic(String),
    #[error("{0} has no sound in it; choose a film that has, or leave the sound out")]
    NoSound(String),
    #[error("{0} has no sound to take out; name a film, a song or an address")]
    NothingToTake(String),
    #[error("{name} has no sound track {number}; it has {list}: choose one of them with --audio-track")]
    NoTrack { name: String, number: u32, list: String },
    #[error(transparent)]
    Ffmpeg(#[from] FfmpegError),
    #[error(
        "ffmpeg stopped in the middle of {name}, after {done} ({why}); start again, and if it stops there again repair the film"
    )]
    Died { name: String, done: String, why: String },
    #[error(transparent)]
    Y4m(#[from] Y4mError),
    #[error("{0:?} is not a test card; write test:, test:1280x720, test:@30 or test:1280x720@30")]
    BadTest(String),
    #[error("{0:?} is not a screen or a part of one; write screen:, screen::0 or screen::0+X,Y,WIDTHxHEIGHT")]
    BadScreen(String),
    #[error("{0} gives sound alone, and that was left out; let it be heard")]
    SoundLeftOut(String),
    #[error(
        "no screen is named and DISPLAY is not set; write screen::0, or start this in a terminal of the desktop to be shown{0}"
    )]
    NoDisplay(&'static str),
    #[error("no X server answers at {name} ({why}); check the name, and that its desktop runs")]
    NoScreen { name: String, why: String },
    #[error("the X server at {name} has no screen of that number; write screen: and the display without .NUMBER")]
    NoSuchScreen { name: String },
    #[error(
        "the X server at {name} lets nobody in without its key ({why}); allow it there with `xhost +si:localuser:$USER`, or set XAUTHORITY to that desktop's file"
    )]
    ScreenRefused { name: String, why: String },
    #[error("the screen {name} has {what}, which cannot be read; set it to 16, 24 or 32 bits")]
    ScreenColours { name: String, what: String },
    #[error("the area {area} lies outside of the screen, which has {screen}; name a part of that")]
    OutsideScreen { area: String, screen: Size },
    #[error("the screen {name} was lost ({why}); check that its desktop still runs{session}")]
    ScreenLost { name: String, why: String, session: &'static str },
    #[error("{0} is no microphone; beside pictures only mic: or mic:DEVICE can be named")]
    NotHeard(String),
    #[error("the {ear} cannot be heard beside {name}; name it with a camera, a screen or an address without an end")]
    NotBeside { name: String, ear: String },
    #[error("nothing has come from {name} for {seconds} s; check the network, and that its sender runs")]
    FellSilent { name: String, seconds: u64 },
    #[error("{name} broke off ({why}); check the network, and that its sender runs")]
    BrokeOff { name: String, why: String },
    #[error("{name} {trouble}")]
    Device { name: String, trouble: Trouble },
    #[error("the source could not be started ({0}); close some programs and try again")]
    Start(#[source] io::Error),
    #[error("the source was stopped before its first picture; start it again")]
    Stopped,
}

impl SourceError {
    /// Trying again would come to the same.
    const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Ffmpeg(FfmpegError::NotInstalled { .. })
                | Self::Stopped
                | Self::BadScreen(_)
                | Self::NoDisplay(_)
                | Self::NoSuchScreen { .. }
                | Self::ScreenColours { .. }
                | Self::OutsideScreen { .. }
        )
    }

    /// No server answered.
    const fn is_away(&self) -> bool {
        matches!(self, Self::NotReached { .. } | Self::NoAnswer { .. })
    }
}

/// Ends a source from any thread, also while it is being opened.
#[derive(Clone)]
pub struct Stopper(Control);

impl Stopper {
    pub fn new() -> Result<Self, SourceError> {
        Control::new().map(Self).map_err(SourceError::Start)
    }

    /// Children are gone when this returns, and every wait of the source ends, now and later.
    pub fn stop(&self) {
        self.0.stop();
    }
}

/// Finds out what `input` is and starts what it takes; waits until the first picture is certain. With `ear`, a
/// microphone, the sound is its, whatever else there is to hear.
pub fn open(input: &Input, ear: Option<&Input>, options: &Options, stopper: &Stopper) -> Result<Source, SourceError> {
    let guard = Guard { control: stopper.0.clone(), threads: Vec::new(), news: None };
    match input {
        Input::File(path) if fifo::is_named_pipe(path) => {
            nothing_beside(input, ear, options).and_then(|()| fifo::open(path, &input.name(), options, guard))
        }
        Input::File(_) | Input::Url(_) => file::open(input, heard(ear, options)?, options, guard),
        Input::Stdin => nothing_beside(input, ear, options).and_then(|()| stdin::open(options, guard)),
        Input::Test { size, rate } => {
            nothing_beside(input, ear, options).and_then(|()| card::open(*size, *rate, options, guard))
        }
        Input::Screen(screen) => {
            live::open(live::screen::device(screen, options), heard(ear, options)?, options, guard)
        }
        Input::Camera(device) => {
            live::open(live::camera::device(device, options), heard(ear, options)?, options, guard)
        }
        Input::Mic(device) => {
            let sound = options.sound.ok_or_else(|| SourceError::SoundLeftOut(input.name()))?;
            let (card, ear) = live::mic::card(device, sound, options);
            live::open(card, Some(ear), options, guard)
        }
    }
}

/// Nothing is heard beside `input`, and so nothing may be named.
fn nothing_beside(input: &Input, ear: Option<&Input>, options: &Options) -> Result<(), SourceError> {
    let not_beside = |ear: Box<dyn live::Ear>| SourceError::NotBeside { name: input.name(), ear: ear.details() };
    heard(ear, options)?.map_or(Ok(()), |ear| Err(not_beside(ear)))
}

/// The device that hears, if one is named and sound is wanted.
fn heard(input: Option<&Input>, options: &Options) -> Result<Option<Box<dyn live::Ear>>, SourceError> {
    match (input, options.sound) {
        (Some(Input::Mic(device)), Some(sound)) => Ok(Some(live::mic::ear(device, sound))),
        (Some(Input::Mic(_)), None) | (None, _) => Ok(None),
        (Some(other), _) => Err(SourceError::NotHeard(other.name())),
    }
}

/// The work of a source: pushes pictures and sound until the end, a failure, or a closed queue of pictures.
type Work = Box<dyn FnOnce(Producer<Picture>, Option<Producer<Chunk>>) -> Result<Finished, SourceError> + Send>;

/// An open source, not yet producing. It may hold a running ffmpeg or an open device; dropping it ends those.
pub struct Source {
    /// The first field: once the children are gone, no thread of the work waits for them.
    guard: Guard,
    info: Info,
    work: Work,
}

impl Source {
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Gives up what is running and keeps what was found out: an input that is opened again when it is needed costs nothing
    /// until then. Its [`Stopper`] is used up.
    pub fn close(self) -> Info {
        let Self { guard, info, work } = self;
        drop(guard);
        drop(work);
        info
    }

    /// Begins to fill `out`, and `sound` if there is any (see [`Info::sound`]; else it is closed at once). Each queue's own
    /// policy decides what happens when it is full: neither waits for the other.
    pub fn start(self, mut out: Producer<Picture>, mut sound: Option<Producer<Chunk>>) -> Running {
        let Self { work, guard, .. } = self;
        let closers = [Some(out.closer()), sound.as_mut().map(Producer::closer)];
        let (sender, result) = bounded(1);
        let thread = Builder::new().name("source".into()).spawn(move || {
            sender.send(work(out, sound)).ok();
        });
        let (thread, failed) = match thread {
            Ok(thread) => (Some(thread), None),
            Err(error) => (None, Some(SourceError::Start(error))),
        };
        Running { result, failed, thread, closers, guard }
    }
}

/// A source came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Pictures handed over, all passes together.
    pub pictures: u32,
    /// When the last of them has had its time on the screen; `None` of a live source.
    pub end: Option<MediaTime>,
}

fn lost() -> SourceError {
    SourceError::Start(io::Error::other("the source thread ended without a result"))
}

/// A producing source. Dropping it kills and reaps its children and ends its threads.
pub struct Running {
    result: Receiver<Result<Finished, SourceError>>,
    failed: Option<SourceError>,
    thread: Option<JoinHandle<()>>,
    /// Of the queues of pictures and sound.
    closers: [Option<Closer>; 2],
    guard: Guard,
}

impl Running {
    /// A meter that may be read from any thread, also after the end.
    pub fn usage(&self) -> Usage {
        Usage(self.guard.control.clone())
    }

    /// What happened to a live device, or on the way of a film, and was not asked for yet.
    pub fn news(&self) -> Option<News> {
        self.guard.news.as_ref()?.try_recv().ok()
    }

    /// Ends the source soon, also one that waits for room in its queues; children are gone when this returns.
    pub fn stop(&self) {
        self.guard.control.stop();
        self.closers.iter().flatten().for_each(Closer::close);
    }

    /// How it ended, once pictures and sound have; never waits. It is said once.
    pub fn result(&mut self) -> Option<Result<Finished, SourceError>> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        match self.result.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(lost())),
        }
    }

    /// Waits for the end of pictures and sound, so take from both queues until they are closed, or drop them. A stopped
    /// source finished; only failures are errors.
    pub fn join(mut self) -> Result<Finished, SourceError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.result.recv().unwrap_or_else(|_| Err(lost()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Processor time of a source's children.
#[derive(Clone)]
pub struct Usage(Control);

impl Usage {
    /// User and system seconds of every ffmpeg of this source, also of those that have ended.
    pub fn cpu_seconds(&self) -> f64 {
        self.0.cpu_seconds()
    }
}

/// Stops everything when dropped, whichever stage the source was in.
struct Guard {
    control: Control,
    threads: Vec<JoinHandle<()>>,
    /// Of live devices, and of films that come through a network.
    news: Option<Receiver<News>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.control.stop();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

//! One pass through a film: a run of ffmpeg that hands over its pictures, their stamps and its sound.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ChildStdin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};

use super::SourceError;
use super::backlog::Surplus;
use super::film_clock::{FilmClock, FilmZero};
use super::heard::Heard;
use super::plan::{Descriptors, Plan};
use super::run::{Run, named};
use super::sound::SoundPlan;
use super::timeline::{StampReader, Timeline, longest_gap};
use crate::clock;
use crate::ffmpeg::{self, Control, FfmpegCommand, Pipes, Process, Tap};
use crate::media::Picture;
use crate::media::convert;
use crate::media::tonemap::ToneMap;
use crate::media::y4m::{Reader, Y4mError};
use crate::queue::Pool;
use crate::units::{MediaTime, Span, Time};

impl Plan {
    /// Starts ffmpeg; it works ahead until its pipe is full. `surplus`: what to do with sound far ahead of the pictures.
    pub fn spawn(&self, control: &Control, surplus: Surplus) -> Result<Decoder, SourceError> {
        let program = ffmpeg::find("ffmpeg")?;
        let (sound, sound_end) = pipe_if(self.sound.is_some())?.unzip();
        let (stamps, stamps_end) = pipe_if(self.is_stamped())?.unzip();
        let (sound_stamps, sound_stamps_end) = pipe_if(self.is_sound_stamped())?.unzip();
        let number = |end: &Option<OwnedFd>| end.as_ref().map(AsRawFd::as_raw_fd);
        let (sound_to, stamps_to) = (number(&sound_end), number(&stamps_end));
        let to = Descriptors { sound: sound_to, stamps: stamps_to, sound_stamps: number(&sound_stamps_end) };
        let mut command = self.command(program.as_os_str(), &to);
        let invocation = Invocation { arguments: arguments(&command), to };
        let inherited = sound_end.into_iter().chain(stamps_end).chain(sound_stamps_end).collect();
        let (process, pipes) = Process::start_with(control, &mut command, named(&self.reading), inherited)?;
        let Pipes { stdin, stdout } = pipes;
        if !self.reading.live {
            // Half the processor time in the hand-over.
            stdout.widen(PIPE);
        }
        let mono = self.sound.as_ref().is_some_and(SoundPlan::mono);
        let sound_stamps = sound_stamps.map(|stamps| Tap::new(stamps, control));
        let heard = sound.map(|sound| Heard::of(Tap::new(sound, control), sound_stamps, surplus, mono)).transpose();
        Ok(Decoder {
            invocation,
            stdin,
            tap: stdout,
            matrix: self.matrix(),
            tones: self.tones.clone(),
            run: Run::new(process, self.reading.local),
            times: stamps.map(|stamps| self.times(Tap::new(stamps, control))),
            heard: heard.map_err(SourceError::Start)?,
        })
    }

    fn times(&self, tap: Tap) -> Times {
        let stamps = match self.rate {
            // The next picture, whose stamp that is, must not be waited for.
            _ if self.reading.live => StampReader::new(tap),
            None if self.film.stamped_by_ends => StampReader::of_ends(tap, self.film.rate.interval()),
            _ => StampReader::new(tap),
        };
        let timeline = Timeline::new(self.usual_rate(), self.zero(), longest_gap(self.film.cut));
        Times { stamps, timeline, ends_marked: self.is_end_marked(), live: self.reading.live, film: FilmClock::new() }
    }

    /// Starts ffmpeg and waits for its first picture.
    pub fn open(&self, control: &Control, surplus: Surplus) -> Result<Pass, SourceError> {
        self.spawn(control, surplus)?.open(FIRST_PICTURE)
    }
}

/// When pictures are due.
struct Times {
    stamps: StampReader<Tap>,
    timeline: Timeline,
    /// Behind the last picture comes one more, whose stamp is the film's end.
    ends_marked: bool,
    /// Pictures are handed over as they come, without a place on the timeline.
    live: bool,
    film: FilmClock,
}

/// How an ffmpeg was started.
struct Invocation {
    arguments: Vec<OsString>,
    to: Descriptors,
}

fn arguments(command: &FfmpegCommand) -> Vec<OsString> {
    command.get_args().map(OsStr::to_owned).collect()
}

/// A pipe of its own for sound or stamps.
pub(super) fn pipe_if(wanted: bool) -> Result<Option<(OwnedFd, OwnedFd)>, SourceError> {
    let pipe = wanted.then(|| pipe_with(PipeFlags::CLOEXEC)).transpose();
    pipe.map_err(|error| SourceError::Start(error.into()))
}

/// A started ffmpeg whose header has not been read.
pub(super) struct Decoder {
    invocation: Invocation,
    stdin: Option<ChildStdin>,
    tap: Tap,
    matrix: Option<convert::Matrix>,
    tones: Option<Arc<ToneMap>>,
    run: Run,
    times: Option<Times>,
    /// After the run, which must be dead before its sound ends.
    heard: Option<Heard>,
}

impl Decoder {
    /// Copies `input` to ffmpeg on a thread of its own until either side ends.
    pub fn feed(&mut self, input: Tap) -> Result<Option<JoinHandle<()>>, SourceError> {
        Ok(self.stdin.take().map(|stdin| ffmpeg::feed(stdin, input)).transpose()?)
    }

    /// The same run for `plan`, if ffmpeg would have been started with the same arguments for that; what is done with its
    /// pictures may differ.
    pub fn adapted_to(mut self, plan: &Plan) -> Option<Self> {
        let program = ffmpeg::find("ffmpeg").ok()?;
        let same = arguments(&plan.command(program.as_os_str(), &self.invocation.to)) == self.invocation.arguments;
        let fits = same && plan.sound.is_some() == self.heard.is_some() && plan.is_stamped() == self.times.is_some();
        if !fits {
            return None;
        }
        (self.matrix, self.tones) = (plan.matrix(), plan.tones.clone());
        self.times = self.times.map(|times| plan.times(times.stamps.into_inner()));
        Some(self)
    }

    /// Waits for the header, which comes with the first picture, no longer than `patience`.
    pub fn open(mut self, patience: Duration) -> Result<Pass, SourceError> {
        // Not fed: a film from a file must not wait for a stdin that stays open.
        self.stdin = None;
        let ready = self.tap.ready(clock::now() + patience);
        if !ready && !self.run.stopped() {
            return Err(self.run.silent(patience));
        }
        match Reader::new(self.tap) {
            Ok(mut reader) => {
                self.matrix.into_iter().for_each(|matrix| reader.set_matrix(matrix));
                self.tones.into_iter().for_each(|tones| reader.set_tones(tones));
                let Self { run, times, heard, .. } = self;
                let end = MediaTime::ZERO;
                Ok(Pass { reader, run, times, ahead: None, failed: None, end, count: 0, heard })
            }
            Err(_) => Err(self.run.no_start()),
        }
    }
}

/// One pass through the film.
pub(super) struct Pass {
    pub reader: Reader<Tap>,
    run: Run,
    /// `None`: pictures are handed over as they come, and have no stamps.
    times: Option<Times>,
    /// Of a film, the picture behind the one that was handed over last, and what ended them meanwhile.
    ahead: Option<Picture>,
    failed: Option<SourceError>,
    end: MediaTime,
    /// Pictures so far.
    pub count: u32,
    /// Its sound, until it is taken; after the run, as in [`Decoder`].
    pub heard: Option<Heard>,
}

impl Pass {
    /// From now on pictures are handed over as they come.
    pub fn go_live(&mut self) {
        self.times.iter_mut().for_each(|times| times.live = true);
    }

    /// Where the film's time lies on our clock; `None` if its pictures have no stamps.
    pub fn film_zero(&self) -> Option<FilmZero> {
        self.times.as_ref().map(|times| times.film.zero())
    }

    fn is_live(&self) -> bool {
        self.times.as_ref().is_none_or(|times| times.live)
    }

    /// When the last picture has had its time; counted from the beginning of the pass, and known when it is over.
    pub const fn end(&self) -> MediaTime {
        self.end
    }

    /// The next picture, captured when it began to arrive; `None` at the end. Of a film it is handed over when the one
    /// behind it is there, so that it is known how long it lasts.
    pub fn read(&mut self, pool: &Pool<Vec<u8>>) -> Result<Option<Picture>, SourceError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let first = self.ahead.take().map_or_else(|| self.next(pool), |picture| Ok(Some(picture)))?;
        let picture = match first {
            // The first is not held up by the second.
            Some(picture) if self.count > 0 && !self.is_live() => self.timed(picture, pool),
            first => first,
        };
        if let Some(span) = picture.as_ref().and_then(|picture| picture.span) {
            self.end = span.end();
        }
        self.count += u32::from(picture.is_some());
        Ok(picture)
    }

    /// `picture` with the time it lasts; nothing if it only marks the end.
    fn timed(&mut self, mut picture: Picture, pool: &Pool<Vec<u8>>) -> Option<Picture> {
        let Some(span) = &mut picture.span else { return Some(picture) };
        match self.next(pool) {
            Ok(next) => self.ahead = next,
            Err(error) => self.failed = Some(error),
        }
        if let Some(next) = self.ahead.as_ref().and_then(|next| next.span) {
            span.lasts = next.at.since(span.at);
        }
        let marks_end = self.times.as_ref().is_some_and(|times| times.ends_marked);
        let is_mark = marks_end && self.ahead.is_none() && self.failed.is_none();
        if is_mark {
            self.end = span.at;
            return None;
        }
        Some(picture)
    }

    fn next(&mut self, pool: &Pool<Vec<u8>>) -> Result<Option<Picture>, SourceError> {
        match self.reader.read(pool, clock::now) {
            Ok(Some(mut picture)) => {
                if let Some(Times { stamps, timeline, live, film, .. }) = &mut self.times {
                    let at = timeline.place(stamps.next());
                    film.picture(at, picture.captured);
                    picture.span = (!*live).then(|| Span { at, lasts: timeline.interval() });
                }
                Ok(Some(picture))
            }
            Ok(None) => self.finish().map(|()| None),
            // It closed its end in the middle of a picture: how it ends says why.
            Err(Y4mError::Truncated(_)) => Err(self.run.cut_short(&self.done())),
            Err(_) => Err(self.run.unreadable(&self.done())),
        }
    }

    /// Whether there is something to read (or the end) before `until`.
    pub fn ready(&mut self, until: Time) -> bool {
        self.reader.input_mut().ready(until)
    }

    fn finish(&mut self) -> Result<(), SourceError> {
        self.run.finish(&self.done())
    }

    fn done(&self) -> String {
        format!("{} pictures", self.count)
    }
}

/// A camera begins with its next whole picture, which may be ten seconds away.
pub(super) const FIRST_PICTURE: Duration = Duration::from_secs(30);
/// The most an unprivileged process may ask for.
const PIPE: usize = 1 << 20;

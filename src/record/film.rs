//! One recording: pictures, sound and lines of talk by their media time into a file of any kind that can be recorded to;
//! nothing is encoded again. Whatever fails, what was written stays playable.
//!
//! The file begins with the first picture, or with the sound where the stream itself begins with that: sound that a
//! recording finds on its way when it begins in mid-stream belongs to a picture that it has missed.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

pub use super::matroska::Tracks;

use super::RecordError;
use super::matroska::Matroska;
use super::path::{RecordingKind, RecordingPath};
use super::sound::{PendingSound, frame_after, frame_from};
use super::talk::{Caption, PendingLines};
use super::wav::WavWriter;
use crate::ffmpeg::{Container, Remux};
use crate::media::sound::{Frame, RATE, media_time};
use crate::units::MediaTime;

/// A recording in the making.
pub struct Film {
    path: RecordingPath,
    tracks: Tracks,
    sink: Option<Sink>,
    /// The media time that is the beginning of the file.
    zero: Option<MediaTime>,
    last: Option<MediaTime>,
    pending: PendingSound,
    /// Lines that nothing of their time or later was written behind.
    lines: PendingLines,
    /// The time in the file of the last picture or piece of sound.
    written: Duration,
    /// Pictures that came before it is known where the file begins.
    waiting: VecDeque<(MediaTime, Vec<u8>)>,
    pictures: u64,
    length: Duration,
    /// When to see to it that the file still has its name.
    look: Duration,
}

/// What became of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    pub path: PathBuf,
    pub pictures: u64,
    pub length: Duration,
}

enum Sink {
    File(Matroska<File>),
    Pipe(Matroska<Pipe>),
    Wav(WavWriter),
}

impl Film {
    pub fn new(path: RecordingPath, tracks: Tracks) -> Self {
        Self {
            path,
            tracks,
            sink: None,
            zero: None,
            last: None,
            pending: PendingSound::default(),
            lines: PendingLines::default(),
            written: Duration::ZERO,
            waiting: VecDeque::new(),
            pictures: 0,
            length: Duration::ZERO,
            look: LOOK,
        }
    }

    /// The same path for another stream, if nothing has been written yet; else the path of the file that follows.
    pub fn next_path(&mut self) -> Result<RecordingPath, RecordError> {
        let next = self.path.next()?;
        Ok(if self.sink.is_none() { std::mem::replace(&mut self.path, next) } else { next })
    }

    pub const fn tracks(&self) -> Tracks {
        self.tracks
    }

    /// A picture of this media time, after all sound until then. False if it is not later than the one before, or if
    /// this kind of file has no pictures: then it is left out.
    pub fn picture(&mut self, media: MediaTime, jpeg: &[u8]) -> Result<bool, RecordError> {
        if self.path.kind() == RecordingKind::Wav || self.last.is_some_and(|last| media <= last) {
            return Ok(false);
        }
        self.last = Some(media);
        if self.zero.is_none() {
            self.waiting.push_back((media, jpeg.to_vec()));
            return self.settle().map(|()| true);
        }
        self.write_picture(media, jpeg)?;
        Ok(true)
    }

    /// Finds out where the file begins, as soon as that can be known, and writes the pictures that waited for it.
    fn settle(&mut self) -> Result<(), RecordError> {
        let Some(&(first, _)) = self.waiting.front() else { return Ok(()) };
        let sound = self.pending.first().map(|frame| (frame, media_time(frame)));
        let beginning = match sound {
            _ if !self.tracks.sound || first <= MediaTime::ZERO => first,
            Some((frame, at)) if at < first && frame < FIRST_SECOND => at,
            Some(_) => first,
            // Its sound may still come, but not later than it would be heard.
            None if self.last.is_some_and(|last| last.since(first) < SOUND_LAGS) => return Ok(()),
            None => first,
        };
        self.begin_at(beginning)?;
        self.write_waiting()
    }

    fn write_waiting(&mut self) -> Result<(), RecordError> {
        while let Some((media, jpeg)) = self.waiting.pop_front() {
            self.write_picture(media, &jpeg)?;
        }
        Ok(())
    }

    fn write_picture(&mut self, media: MediaTime, jpeg: &[u8]) -> Result<(), RecordError> {
        self.write_sound(frame_after(media))?;
        let at = self.time_of(media);
        self.write_lines(at)?;
        let written = match &mut self.sink {
            Some(Sink::File(film)) => film.picture(at, jpeg),
            Some(Sink::Pipe(film)) => film.picture(at, jpeg),
            Some(Sink::Wav(_)) | None => Ok(()),
        };
        written.map_err(|why| self.failed(why))?;
        self.written = at;
        self.pictures += 1;
        self.note_length();
        self.look_after()
    }

    /// Frames, the first of which is this one of the stream.
    pub fn sound(&mut self, first: u64, frames: &[Frame]) -> Result<(), RecordError> {
        if self.path.kind() == RecordingKind::Wav {
            self.begin_at(media_time(first))?;
        } else if !self.tracks.sound {
            return Ok(());
        }
        self.pending.put(first, frames);
        if self.path.kind() == RecordingKind::Wav {
            self.write_sound(u64::MAX)?;
            return self.look_after();
        }
        self.settle()?;
        if let Some(zero) = self.zero {
            self.pending.forget(frame_from(zero));
        }
        match self.zero {
            // Pictures have stopped coming, or come much later.
            Some(_) if self.pending.len() > AHEAD => self.write_sound(u64::MAX),
            Some(_) => Ok(()),
            // There are no pictures yet. A moment of sound may belong to a picture that is on its way.
            None if self.pending.len() > AHEAD => {
                self.pending.first().map_or(Ok(()), |first| self.begin_at(media_time(first)))
            }
            None => Ok(()),
        }
    }

    /// A line that somebody wrote at this media time, under a name that may be empty; it is written before the first picture
    /// that is not earlier. One that comes late is put where the file is now, at the time of the last picture written, for a
    /// file does not go back; one from long before the file's beginning is left out, so that a recording begun in mid-stream
    /// does not begin with all that was said before. False if it is left out, as where the stream has no talk, in a kind of
    /// file without text, and where nothing is to be read or too many lines wait.
    pub fn line(&mut self, media: MediaTime, name: &str, text: &str) -> Result<bool, RecordError> {
        let is_old = self.zero.is_some_and(|zero| media < before(zero));
        let Some(caption) = Caption::of(name, text).filter(|_| self.tracks_of_file().talk && !is_old) else {
            return Ok(false);
        };
        let taken = self.lines.put(media, caption);
        if self.zero.is_some() {
            self.write_lines(self.written)?;
        }
        Ok(taken)
    }

    /// Writes what is left and closes the file. `None` if nothing was recorded: then there is no file either. Also
    /// behind an error, to leave as much as there is.
    pub fn finish(mut self) -> (Option<Totals>, Result<(), RecordError>) {
        let first = self.waiting.front().map(|&(first, _)| first);
        let waited = first.map_or(Ok(()), |first| self.begin_at(first).and_then(|()| self.write_waiting()));
        let rest = if self.sink.is_some() { self.write_rest() } else { Ok(()) };
        let path = self.path.path().to_owned();
        let outcome = match self.sink.take() {
            Some(Sink::File(mut film)) => {
                let ended = film.finish().map(drop).map_err(|why| RecordError::of(&path, why));
                // Behind a failed write stands half a picture.
                ended.and(self.path.cut(film.bytes()))
            }
            Some(Sink::Pipe(mut film)) => {
                // If ffmpeg has gone, it is asked why.
                film.finish().ok();
                film.into_inner().0.finish().map_err(|words| told_by_ffmpeg(&self.path, words))
            }
            Some(Sink::Wav(wav)) => wav.finish(),
            None => Ok(()),
        };
        let something = self.pictures > 0 || self.length > Duration::ZERO;
        let totals = something.then_some(Totals { path, pictures: self.pictures, length: self.length });
        (totals, waited.and(rest).and(outcome))
    }

    /// Opens the file, if this is the first that goes into it.
    fn begin_at(&mut self, media: MediaTime) -> Result<(), RecordError> {
        if self.sink.is_some() || self.zero.is_some() {
            return Ok(());
        }
        let file = self.path.begin()?;
        let tracks = self.tracks_of_file();
        let failed = |why| RecordError::of(self.path.path(), why);
        let piped = |container| -> Result<Sink, RecordError> {
            let pipe = Pipe(Remux::start(self.path.path(), container, tracks.rate, tracks.talk)?);
            Matroska::begin(pipe, tracks, false).map(Sink::Pipe).map_err(failed)
        };
        self.sink = Some(match self.path.kind() {
            RecordingKind::Mkv => Sink::File(Matroska::begin(file, tracks, true).map_err(failed)?),
            RecordingKind::Mp4 => piped(Container::Mp4)?,
            RecordingKind::Avi => piped(Container::Avi)?,
            RecordingKind::Wav => Sink::Wav(WavWriter::over(file, self.path.path())?),
        });
        self.zero = Some(media);
        self.pending.forget(frame_from(media));
        self.lines.forget(before(media));
        Ok(())
    }

    /// What of the stream this kind of file has room for.
    fn tracks_of_file(&self) -> Tracks {
        Tracks { talk: self.tracks.talk && self.path.kind().has_talk(), ..self.tracks }
    }

    /// Writes the sound that comes before this frame.
    fn write_sound(&mut self, until: u64) -> Result<(), RecordError> {
        while self.sink.is_some()
            && let Some((first, frames)) = self.pending.take(until)
        {
            let at = self.since_zero(i128::from(first) * 1_000_000_000 / i128::from(RATE));
            self.write_lines(at)?;
            let written = match &mut self.sink {
                Some(Sink::File(film)) => film.sound(at, &frames),
                Some(Sink::Pipe(film)) => film.sound(at, &frames),
                Some(Sink::Wav(wav)) => {
                    wav.write(&frames)?;
                    Ok(())
                }
                None => Ok(()),
            };
            written.map_err(|why| self.failed(why))?;
            self.written = at;
            self.note_length();
        }
        Ok(())
    }

    /// Writes the lines of this time in the file or earlier.
    fn write_lines(&mut self, until: Duration) -> Result<(), RecordError> {
        while self.sink.is_some()
            && self.lines.first().is_some_and(|media| self.time_of(media) <= until)
            && let Some((media, Caption { text, lasts })) = self.lines.take()
        {
            let at = self.time_of(media).max(self.written);
            self.write_line(at, lasts, &text)?;
        }
        Ok(())
    }

    fn write_line(&mut self, at: Duration, lasts: Duration, text: &str) -> Result<(), RecordError> {
        let written = match &mut self.sink {
            Some(Sink::File(film)) => film.line(at, lasts, text),
            Some(Sink::Pipe(film)) => film.line(at, lasts, text),
            Some(Sink::Wav(_)) | None => Ok(()),
        };
        written.map_err(|why| self.failed(why))
    }

    /// Writes all that still waits. Lines from after the end are put there, so that none is lost where a film is parted.
    fn write_rest(&mut self) -> Result<(), RecordError> {
        self.write_sound(u64::MAX)?;
        self.write_lines(self.length)?;
        while let Some((_, Caption { text, lasts })) = self.lines.take() {
            self.write_line(self.length, lasts, &text)?;
        }
        Ok(())
    }

    /// A media time as a time in the file; what comes before its beginning is at the beginning.
    fn time_of(&self, media: MediaTime) -> Duration {
        self.since_zero(i128::from(media.micros()) * 1_000)
    }

    /// Nanoseconds of the stream as a time in the file.
    fn since_zero(&self, nanos: i128) -> Duration {
        let zero = i128::from(self.zero.unwrap_or_default().micros()) * 1_000;
        Duration::from_nanos(u64::try_from(nanos - zero).unwrap_or(0))
    }

    fn note_length(&mut self) {
        self.length = match &self.sink {
            Some(Sink::File(film)) => film.length(),
            Some(Sink::Pipe(film)) => film.length(),
            Some(Sink::Wav(wav)) => Duration::from_secs_f64(wav.frames() as f64 / f64::from(RATE)),
            None => self.length,
        };
    }

    /// What is written into a file that was deleted is lost.
    fn look_after(&mut self) -> Result<(), RecordError> {
        if self.length < self.look {
            return Ok(());
        }
        self.look = self.length + LOOK;
        self.path.check()
    }

    /// What a failed write means; of its own failure ffmpeg knows more.
    fn failed(&mut self, why: io::Error) -> RecordError {
        match self.sink.take() {
            Some(Sink::Pipe(film)) => {
                let words = film.into_inner().0.finish().err().unwrap_or_else(|| why.to_string());
                told_by_ffmpeg(&self.path, words)
            }
            sink => {
                self.sink = sink;
                RecordError::of(self.path.path(), why)
            }
        }
    }
}

/// Lines from before this moment are left out of a file that begins at `zero`.
fn before(zero: MediaTime) -> MediaTime {
    MediaTime::from_micros(zero.micros().saturating_sub(JUST_SAID.as_micros() as i64))
}

fn told_by_ffmpeg(path: &RecordingPath, why: String) -> RecordError {
    let path = path.path().display().to_string();
    match why {
        why if why.contains("No space left") => RecordError::Full(path),
        why if why.contains("File too large") => RecordError::TooLarge(path),
        why => RecordError::Ffmpeg { path, why },
    }
}

/// Nothing can be sought in what has gone through a pipe.
struct Pipe(Remux);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for Pipe {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::NotSeekable.into())
    }
}

/// Frames of sound that wait for pictures: a second.
const AHEAD: usize = RATE as usize;
/// Frames of the stream's first second; its very first may have been lost on the way.
const FIRST_SECOND: u64 = RATE as u64;
/// How long pictures wait to see whether sound comes that belongs before them.
const SOUND_LAGS: Duration = Duration::from_secs(1);
/// What was said so shortly before a file begins is kept: it came between the end of one file and the picture that begins the
/// next, or while that was on its way.
const JUST_SAID: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;

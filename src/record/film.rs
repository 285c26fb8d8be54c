//! One recording: pictures and sound by their media time into a file of any kind that can be recorded to. The first
//! picture's time is zero; nothing is encoded again. Whatever fails, what was written stays playable.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

pub use super::matroska::Tracks;

use super::RecordError;
use super::matroska::Matroska;
use super::path::{RecordingKind, RecordingPath};
use super::sound::{PendingSound, frame_after, frame_from};
use super::wav::WavWriter;
use crate::ffmpeg::{Container, Remux};
use crate::media::sound::{Frame, RATE, media_time};
use crate::units::MediaTime;

/// A recording in the making. It begins with the first picture, or, where there is no picture for a second, or none at all,
/// with sound.
pub struct Film {
    path: RecordingPath,
    tracks: Tracks,
    sink: Option<Sink>,
    /// The media time that is the beginning of the file.
    zero: Option<MediaTime>,
    last: Option<MediaTime>,
    pending: PendingSound,
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
        self.begin_at(media)?;
        self.last = Some(media);
        self.write_sound(frame_after(media))?;
        let at = self.since_zero(media.micros().saturating_mul(1_000).into());
        let written = match &mut self.sink {
            Some(Sink::File(film)) => film.picture(at, jpeg),
            Some(Sink::Pipe(film)) => film.picture(at, jpeg),
            Some(Sink::Wav(_)) | None => Ok(()),
        };
        written.map_err(|why| self.failed(why))?;
        self.pictures += 1;
        self.note_length();
        self.look_after()?;
        Ok(true)
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
        match self.zero {
            // Pictures have stopped coming, or come much later.
            Some(_) if self.pending.len() > AHEAD => self.write_sound(u64::MAX),
            Some(_) => Ok(()),
            // The film begins with sound; a moment of it belongs to a picture that was on its way.
            None if self.pending.len() > AHEAD => {
                self.pending.first().map_or(Ok(()), |first| self.begin_at(media_time(first)))
            }
            None => Ok(()),
        }
    }

    /// Writes what is left and closes the file. `None` if nothing was recorded: then there is no file either. Also
    /// behind an error, to leave as much as there is.
    pub fn finish(mut self) -> (Option<Totals>, Result<(), RecordError>) {
        let rest = if self.sink.is_some() { self.write_sound(u64::MAX) } else { Ok(()) };
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
        (totals, rest.and(outcome))
    }

    /// Opens the file, if this is the first that goes into it.
    fn begin_at(&mut self, media: MediaTime) -> Result<(), RecordError> {
        if self.sink.is_some() || self.zero.is_some() {
            return Ok(());
        }
        let file = self.path.begin()?;
        let failed = |why| RecordError::of(self.path.path(), why);
        let piped = |container| -> Result<Sink, RecordError> {
            let pipe = Pipe(Remux::start(self.path.path(), container, self.tracks.rate)?);
            Matroska::begin(pipe, self.tracks, false).map(Sink::Pipe).map_err(failed)
        };
        self.sink = Some(match self.path.kind() {
            RecordingKind::Mkv => Sink::File(Matroska::begin(file, self.tracks, true).map_err(failed)?),
            RecordingKind::Mp4 => piped(Container::Mp4)?,
            RecordingKind::Avi => piped(Container::Avi)?,
            RecordingKind::Wav => Sink::Wav(WavWriter::over(file, self.path.path())?),
        });
        self.zero = Some(media);
        self.pending.forget(frame_from(media));
        Ok(())
    }

    /// Writes the sound that comes before this frame.
    fn write_sound(&mut self, until: u64) -> Result<(), RecordError> {
        while self.sink.is_some()
            && let Some((first, frames)) = self.pending.take(until)
        {
            let at = self.since_zero(i128::from(first) * 1_000_000_000 / i128::from(RATE));
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
            self.note_length();
        }
        Ok(())
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
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::units::{Rate, Size};

    fn tracks(sound: bool) -> Tracks {
        Tracks { size: Size::new(16, 16), rate: Rate::new(25, 1).expect("usual"), sound }
    }

    fn film(path: &Path, sound: bool) -> Film {
        Film::new(RecordingPath::take(path, false).expect("free"), tracks(sound))
    }

    #[test]
    fn the_first_picture_is_the_beginning_and_time_never_goes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("film.mkv");
        let mut film = film(&path, true);
        let at = |n: i64| MediaTime::from_micros(7_000_000 + n * 40_000);
        // Sound from half a second before the first picture until the last.
        film.sound(13 * 22_050, &vec![[1, 1]; 22_050]).expect("kept");
        assert!(film.picture(at(-1), b"jpeg").expect("written"));
        film.sound(14 * 22_050, &vec![[2, 2]; 44_100]).expect("kept");
        for (n, later) in [(0, true), (1, true), (2, true), (2, false), (1, false), (5, true)] {
            assert_eq!(film.picture(at(n), b"jpeg").expect("written"), later, "{n}");
        }
        let (totals, outcome) = film.finish();
        outcome.expect("finished");
        let totals = totals.expect("recorded");
        assert_eq!(totals.pictures, 5);
        // Sound from the first picture on.
        assert!((totals.length.as_secs_f64() - 1.04).abs() < 1e-6, "{:?}", totals.length);
        assert!(fs::metadata(&path).expect("there").len() > 44_100 * 4);
    }

    #[test]
    fn sound_that_is_a_second_ahead_of_the_first_picture_is_the_beginning() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut film = film(&folder.path().join("film.mkv"), true);
        (0..30).for_each(|n| film.sound(n * 4_410, &vec![[1, 1]; 4_410]).expect("kept"));
        assert!(film.picture(MediaTime::from_micros(3_000_000), b"jpeg").expect("written"));
        let (totals, outcome) = film.finish();
        outcome.expect("finished");
        assert_eq!(totals.expect("recorded").length, Duration::from_millis(3_040));
    }

    #[test]
    fn a_film_without_sound_is_as_long_as_its_pictures() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut film = film(&folder.path().join("film.mkv"), false);
        film.sound(0, &vec![[1, 1]; 441_000]).expect("left out");
        for n in 0..50 {
            assert!(film.picture(MediaTime::from_micros(n * 40_000), b"jpeg").expect("written"));
        }
        let (totals, outcome) = film.finish();
        outcome.expect("finished");
        assert_eq!(totals.expect("recorded").length, Duration::from_secs(2));
    }

    #[test]
    fn sound_alone_goes_into_a_wav_file_with_silence_for_what_was_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sound.wav");
        let mut film = film(&path, true);
        assert!(!film.picture(MediaTime::ZERO, b"jpeg").expect("left out"));
        film.sound(5_120, &[[1, 2]; 256]).expect("written");
        film.sound(5_632, &[[3, 4]; 256]).expect("written");
        let (totals, outcome) = film.finish();
        outcome.expect("finished");
        assert_eq!(totals.map(|totals| totals.pictures), Some(0));
        let samples: Vec<i16> =
            hound::WavReader::open(&path).expect("a WAV").samples().map(|sample| sample.expect("whole")).collect();
        assert_eq!(samples, [[1, 2].repeat(256), vec![0; 512], [3, 4].repeat(256)].concat());
    }

    #[test]
    fn where_nothing_was_recorded_there_is_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["film.mkv", "film.mp4", "sound.wav"] {
            let film = film(&folder.path().join(name), true);
            assert_eq!(film.finish().0, None);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_deleted_file_is_noticed_within_a_second() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("film.mkv");
        let mut film = film(&path, false);
        film.picture(MediaTime::ZERO, b"jpeg").expect("written");
        fs::remove_file(&path).expect("deleted");
        let failed = (1..=30).find_map(|n| film.picture(MediaTime::from_micros(n * 40_000), b"jpeg").err());
        assert!(matches!(failed, Some(RecordError::Deleted(_))), "{failed:?}");
    }
}

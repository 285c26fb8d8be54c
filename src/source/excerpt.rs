//! A film or a song that is read from any place, as often as is wanted: its pictures on a steady grid, so that it follows from a
//! moment which picture is to be seen, and its sound to the frame.
//!
//! Picture `n` is due `n` intervals after the reel's zero, and shows what the film shows then: ffmpeg's filter `fps` repeats and
//! leaves out where the film's own stamps are uneven. ffmpeg decodes from the keyframe before a place and hands over what is at the
//! place or later. The same picture comes out from wherever it was begun, so it is coded to the same bytes.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use super::plan::{Descriptors, Grid, Plan};
use super::probe::Found;
use super::run::{Run, named};
use super::sound::SoundPlan;
use super::timeline::StampReader;
use super::{Input, Options, SoundOptions, SourceError, Stopper, file};
use crate::clock;
use crate::ffmpeg::{self, Pipes, Process, Reading, Tap, quiet};
use crate::media::Picture;
use crate::media::sound::{Frame, RATE};
use crate::media::y4m::{Reader, Y4mError};
use crate::queue::Pool;
use crate::units::{MediaTime, Rate, Size};

/// See the head of this file.
pub struct Reel {
    reading: Reading,
    plan: Option<Plan>,
    sound: Option<SoundPlan>,
    /// Of its pictures; of a song those that somebody else makes.
    pub size: Size,
    pub rate: Rate,
    pub length: Option<Duration>,
    /// Stamp of the moment zero, in seconds, and of what ffmpeg takes for the file's beginning.
    zero: f64,
    start: f64,
}

impl Reel {
    /// Finds out what there is to read. `name`: what the film is called in sentences; `track`: which of its sound tracks is heard,
    /// counted from 0; without it the one that players choose.
    pub fn look(path: &Path, name: &str, track: Option<u32>, stopper: &Stopper) -> Result<Self, SourceError> {
        let (mut reading, found) = file::look(&Input::File(path.to_owned()), &stopper.0)?;
        name.clone_into(&mut reading.name);
        let sound = SoundOptions { track, ..SoundOptions::default() };
        let options = Options { sound: Some(sound), ..Options::default() };
        if found.film.is_none() {
            return Self::song(reading, &found, sound);
        }
        let mut plan = file::plan(reading.clone(), &found, &options)?;
        let (sound, film) = (plan.sound.take(), &plan.film);
        let rate = steady(film.rate);
        let first = film.start.unwrap_or(found.start);
        let heard = sound.as_ref().and_then(|sound| sound.start(&found)).unwrap_or(first);
        // Sound that begins before the pictures is heard, up to whole pictures that are not there.
        let lead = ((first - heard).max(0.0) * rate.fps()).floor().min(LONGEST_LEAD) / rate.fps();
        plan.rate = Some(rate);
        let (size, length) = (plan.size, plan.film.length);
        Ok(Self { reading, plan: Some(plan), sound, size, rate, length, zero: first - lead, start: found.start })
    }

    fn song(reading: Reading, found: &Found, options: SoundOptions) -> Result<Self, SourceError> {
        let sound = SoundPlan::choose(found, Some(options), &reading.name)?;
        let sound = sound.ok_or_else(|| SourceError::NoPicture(reading.name.clone()))?;
        let zero = sound.start(found).unwrap_or(found.start);
        let rate = Rate::new(CARDS, 1).ok_or_else(|| SourceError::NoPicture(reading.name.clone()))?;
        let (size, length) = (Size::new(640, 360), found.length);
        Ok(Self { reading, plan: None, sound: Some(sound), size, rate, length, zero, start: found.start })
    }

    pub const fn has_pictures(&self) -> bool {
        self.plan.is_some()
    }

    pub const fn has_sound(&self) -> bool {
        self.sound.is_some()
    }

    /// How many pictures it has, as far as its length says it.
    pub fn expected(&self) -> Option<u32> {
        let pictures = self.length?.as_secs_f64() * self.rate.fps();
        Some((pictures.round() as u32).max(1))
    }

    /// What stands there in the file, in seconds after its beginning.
    fn seek(&self, seconds: f64) -> Option<String> {
        let from = self.zero + seconds - self.start;
        (from > 0.0).then(|| format!("{from:.6}"))
    }

    /// Starts reading with picture `from`; `exact`: or with a keyframe before it, which is there sooner.
    pub fn pictures(&self, from: u32, exact: bool, stopper: &Stopper) -> Result<Pictures, SourceError> {
        // Some containers find a place only roughly.
        let mut back = 0.0;
        loop {
            let pictures = self.pictures_from(from, exact, back, stopper)?;
            let late = exact && pictures.next > from && from > 0;
            // Behind the last keyframe some containers find nothing at all.
            let none = !pictures.begun && from > 0 && back < FARTHEST;
            if !(late || none) || back > f64::from(from) / self.rate.fps() {
                return Ok(pictures);
            }
            back = if back == 0.0 { 3.0 } else { back * 8.0 };
        }
    }

    fn pictures_from(&self, from: u32, exact: bool, back: f64, stopper: &Stopper) -> Result<Pictures, SourceError> {
        let plan = self.plan.as_ref().ok_or_else(|| SourceError::NoPicture(self.reading.name.clone()))?;
        let grid = Grid { zero: self.zero, from: if exact { from } else { 0 }, begins: from == 0 };
        let mut plan = Plan { grid: Some(grid), ..plan.clone() };
        // A picture is to be seen from half an interval before its moment, where stamps are rounded.
        let seconds = (f64::from(from) - 0.5) / self.rate.fps() - back;
        plan.seek = self.seek(seconds);
        let program = ffmpeg::find("ffmpeg")?;
        let (stamps, end) = super::pass::pipe_if(true)?.ok_or(SourceError::Stopped)?;
        let to = Descriptors { stamps: Some(std::os::fd::AsRawFd::as_raw_fd(&end)), ..Descriptors::default() };
        let mut command = plan.command(program.as_os_str(), &to);
        let (process, pipes) = Process::start_with(&stopper.0, &mut command, named(&self.reading), vec![end])?;
        let Pipes { stdout, .. } = pipes;
        stdout.widen(PIPE);
        let mut run = Run::new(process, true);
        let stamps = StampReader::new(Tap::new(stamps, &stopper.0));
        let reader = match Reader::new(stdout) {
            Ok(mut reader) => {
                plan.matrix().into_iter().for_each(|matrix| reader.set_matrix(matrix));
                plan.tones.iter().for_each(|tones| reader.set_tones(std::sync::Arc::clone(tones)));
                Some(reader)
            }
            Err(_) if stopper.0.stopped() => return Err(SourceError::Stopped),
            // Behind the last picture there is none; what cannot be read ends otherwise.
            Err(_) => run.finish("no pictures").map(|()| None)?,
        };
        let mut pictures = Pictures { reader, run, stamps, next: from, begun: false };
        pictures.begin();
        Ok(pictures)
    }

    /// Starts reading the sound that is heard from this second on, to the frame.
    pub fn sound(&self, second: u32, stopper: &Stopper) -> Result<Frames, SourceError> {
        let sound = self.sound.as_ref().ok_or_else(|| SourceError::NoSound(self.reading.name.clone()))?;
        let mut command = quiet(ffmpeg::find("ffmpeg")?.as_os_str());
        command.arg("-copyts");
        // Decoders need a moment until what they say is right.
        let seek = self.seek(f64::from(second) - WARM_UP);
        let seek: Vec<&str> = seek.as_deref().map_or_else(Vec::new, |seek| vec!["-ss", seek]);
        self.reading.input(&mut command, &[&seek[..], &["-vn", "-sn", "-dn"]].concat());
        sound.excerpt(&mut command, self.zero + f64::from(second));
        let (process, Pipes { stdout, .. }) =
            Process::start_with(&stopper.0, &mut command, named(&self.reading), vec![])?;
        Ok(Frames { tap: stdout, run: Run::new(process, true), rest: Vec::new() })
    }
}

/// Pictures of a reel, one after the other.
pub struct Pictures {
    /// `None`: there are none.
    reader: Option<Reader<Tap>>,
    run: Run,
    stamps: StampReader<Tap>,
    /// The number of the next.
    next: u32,
    begun: bool,
}

impl Pictures {
    /// The number of the picture that comes next; after the last one how many there are.
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// Which one is first, its stamp says, that was written before the picture.
    fn begin(&mut self) {
        if self.reader.is_some()
            && let Some(first) = self.stamps.next().and_then(|stamp| u32::try_from(stamp).ok())
        {
            (self.next, self.begun) = (first, true);
        }
    }

    /// The next picture, numbered in the reel; `None` at the end.
    pub fn read(&mut self, pool: &Pool<Vec<u8>>) -> Result<Option<Picture>, SourceError> {
        let done = format!("picture {}", self.next);
        let Some(reader) = &mut self.reader else { return Ok(None) };
        match reader.read(pool, clock::now) {
            Ok(Some(mut picture)) => {
                // Each has one, which must not fill the pipe.
                if !std::mem::take(&mut self.begun) {
                    self.stamps.next();
                }
                picture.number = self.next;
                self.next += 1;
                Ok(Some(picture))
            }
            Ok(None) => self.run.finish(&done).map(|()| None),
            Err(Y4mError::Truncated(_)) => Err(self.run.cut_short(&done)),
            Err(_) => Err(self.run.unreadable(&done)),
        }
    }
}

/// Sound of a reel, from some second on.
pub struct Frames {
    tap: Tap,
    run: Run,
    /// Bytes of a frame that has not come as a whole.
    rest: Vec<u8>,
}

impl Frames {
    /// The next frames, some; `None` at the end.
    pub fn read(&mut self) -> Result<Option<Vec<Frame>>, SourceError> {
        let mut bytes = vec![0; READ];
        loop {
            let read = self.tap.read(&mut bytes).unwrap_or(0);
            if read == 0 {
                return self.run.finish("some sound").map(|()| None);
            }
            self.rest.extend_from_slice(&bytes[..read]);
            let whole = self.rest.len() / 4 * 4;
            if whole > 0 {
                let sample = |bytes: &[u8]| i16::from_le_bytes([bytes[0], bytes[1]]);
                let frames =
                    self.rest[..whole].chunks_exact(4).map(|frame| [sample(frame), sample(&frame[2..])]).collect();
                self.rest.drain(..whole);
                return Ok(Some(frames));
            }
        }
    }
}

/// The rate of the grid: the film's own, or a part of one that is more than people see.
fn steady(rate: Rate) -> Rate {
    let parts = (rate.fps() / MOST_RATE).ceil().max(1.0) as u32;
    Rate::new(rate.num(), rate.den().saturating_mul(parts)).unwrap_or(rate)
}

/// The moment of a picture of the grid.
pub fn moment(rate: Rate, unit: u32) -> MediaTime {
    rate.media_time(unit.into())
}

/// Pictures a second that are worth sending.
const MOST_RATE: f64 = 60.5;
/// Pictures a second of a song's card.
const CARDS: u32 = 5;
/// Sound before the first picture is heard for so many pictures.
const LONGEST_LEAD: f64 = 600.0;
/// So many seconds before a place at most is looked for it where nothing was found.
const FARTHEST: f64 = 20.0;
/// Sound is decoded from so many seconds before a place.
const WARM_UP: f64 = 0.5;
/// The most an unprivileged process may ask for.
const PIPE: usize = 1 << 20;
/// Bytes of sound read at once.
const READ: usize = 16 << 10;
/// Frames a second, for those who place what they read.
pub const FRAMES_A_SECOND: u32 = RATE;

//! Films that ffmpeg opens itself, files and addresses: looked at first, then decoded, once or in a loop.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::child::Control;
use super::ffmpeg::{self, Pass, Plan};
use super::probe::Film;
use super::{Finished, Guard, Info, Input, Options, Pace, PaceChoice, Source, SourceError};
use crate::media::Picture;
use crate::queue::{Pool, Producer};
use crate::units::Rate;

pub(super) fn open(input: &Input, options: &Options, guard: Guard) -> Result<Source, SourceError> {
    let name = input.name();
    let (address, local) = match input {
        Input::File(path) => (local_address(path, &name)?, true),
        Input::Url(url) => (OsString::from(url), false),
        Input::Stdin | Input::Test { .. } => return Err(SourceError::NotFound(name)),
    };
    let film = ffmpeg::probe(&guard.control, &address, local, &name, &[])?;
    let pace = match options.pace {
        PaceChoice::File => Pace::File,
        PaceChoice::Live => Pace::Live,
        // An address without an end is a camera or a broadcast.
        PaceChoice::Auto if local || film.length.is_some() => Pace::File,
        PaceChoice::Auto => Pace::Live,
    };
    let mut plan = plan(address, local, film, options, name);
    plan.live = pace == Pace::Live;
    plan.paced = plan.live && (local || plan.film.length.is_some());
    let pass = plan.open(&guard.control)?;
    let info = info(&plan, title(input), &pass, pace);
    let (control, looped, known) = (guard.control.clone(), options.looped, info.pictures);
    let work = Box::new(move |out| {
        let mut passes = Passes { plan, control, looped, known, pass, next: None, pictures: 0 };
        passes.run(&out)
    });
    Ok(Source { info, work, guard })
}

/// What ffmpeg is to do with a film.
pub(super) fn plan(input: OsString, local: bool, film: Film, options: &Options, name: String) -> Plan {
    let size = ffmpeg::fit(&film, options.width);
    let rate = options.rate.filter(|&rate| rate != film.rate || film.uneven);
    let rate = rate.or_else(|| (film.uneven && options.rate.is_none()).then_some(film.rate));
    Plan { input, local, paced: false, live: false, film, size, rate, name }
}

/// What is known now that ffmpeg's header is there: size and rate are its word.
pub(super) fn info(plan: &Plan, title: String, pass: &Pass, pace: Pace) -> Info {
    let header = *pass.reader.header();
    let rate: Rate = plan.rate.unwrap_or(plan.film.rate);
    Info {
        title,
        size: header.size,
        rate,
        length: plan.film.length,
        pictures: plan.film.pictures.filter(|_| plan.rate.is_none()),
        pace,
        details: ffmpeg::describe(&plan.film, header.size, rate),
        has_sound: plan.film.has_sound,
    }
}

/// `file:` before the path, so that neither a colon nor a dash in it means anything.
fn local_address(path: &Path, name: &str) -> Result<OsString, SourceError> {
    let unreadable = |why: io::Error| match why.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SourceError::NotFound(name.to_owned()),
        _ => SourceError::Unreadable { name: name.to_owned(), why },
    };
    let data = fs::metadata(path).map_err(unreadable)?;
    if data.is_dir() {
        return Err(SourceError::Directory(name.to_owned()));
    }
    // One byte tells more than the length does: files of the system have none and yet may be read, or not.
    if data.is_file() && File::open(path).and_then(|mut file| file.read(&mut [0])).map_err(unreadable)? == 0 {
        return Err(SourceError::Empty(name.to_owned()));
    }
    let mut address = OsString::from("file:");
    address.push(path);
    Ok(address)
}

fn title(input: &Input) -> String {
    match input {
        Input::File(path) => path.file_name().map_or_else(|| input.name(), |name| name.to_string_lossy().into_owned()),
        _ => input.name(),
    }
}

/// One film, as often as wanted.
struct Passes {
    plan: Plan,
    control: Control,
    looped: bool,
    /// Pictures in a pass: the film's word at first, counted after the first pass.
    known: Option<u32>,
    pass: Pass,
    /// The next pass, started before this one ends, so that the queue does not run dry.
    next: Option<ffmpeg::Child>,
    pictures: u32,
}

impl Passes {
    fn run(&mut self, out: &Producer<Picture>) -> Result<Finished, SourceError> {
        let pool = Pool::new(POOL);
        loop {
            match self.pass.read(&pool) {
                _ if self.control.stopped() => break,
                Ok(Some(mut picture)) => {
                    picture.number = self.pictures;
                    if out.push(picture).is_err() {
                        break;
                    }
                    self.pictures = self.pictures.wrapping_add(1);
                    self.look_ahead()?;
                }
                // A pass without a picture would be repeated for ever.
                Ok(None) if self.looped && self.pass.count > 0 => match self.again() {
                    Err(SourceError::Stopped) => break,
                    again => again?,
                },
                Ok(None) => break,
                Err(error) => return Err(error),
            }
        }
        // The child goes with its pass; a queue that was closed leaves nothing behind.
        self.control.stop();
        Ok(Finished { pictures: self.pictures })
    }

    fn look_ahead(&mut self) -> Result<(), SourceError> {
        let near_end = self.known.is_some_and(|known| self.pass.count + AHEAD >= known);
        if self.looped && near_end && self.next.is_none() && !self.plan.live {
            self.next = Some(self.plan.spawn(&self.control)?);
        }
        Ok(())
    }

    fn again(&mut self) -> Result<(), SourceError> {
        self.known = Some(self.pass.count);
        self.pass = match self.next.take() {
            Some(child) => child.open(ffmpeg::FIRST_PICTURE)?,
            None => self.plan.open(&self.control)?,
        };
        Ok(())
    }
}

const POOL: usize = 16;
/// ffmpeg needs 0.1–0.3 s to its first picture; half a second of film at 50 pictures a second, one at 25.
const AHEAD: u32 = 25;

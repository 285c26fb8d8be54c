//! Films that ffmpeg opens itself, files and addresses: looked at first, then decoded, once or in a loop, with their sound.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::ahead;
use super::backlog::Surplus;
use super::guess;
use super::input::meant;
use super::live::call::{self, Call};
use super::live::{Ear, station};
use super::pass::{Decoder, FIRST_PICTURE, Pass};
use super::passes::Passes;
use super::plan::{self, Plan};
use super::probe::{self, Found};
use super::sound::{self, SoundPlan};
use super::stall::Patience;
use super::{Guard, Info, Input, Options, Pace, PaceChoice, Source, SourceError, photo, tune};
use crate::ffmpeg::{Control, Reading};
use crate::media::tonemap::ToneMap;

/// `ear`: an address without an end may be heard by a microphone in place of its own sound.
pub(super) fn open(
    input: &Input,
    ear: Option<Box<dyn Ear>>,
    options: &Options,
    guard: Guard,
) -> Result<Source, SourceError> {
    if let Some(url) = one_connection(input, options) {
        let (call, found) = Call::new(url, &input.name(), &guard.control)?;
        if found.film.is_some() {
            return station::open(input, (call.reading(), found), Some(call), ear, options, guard);
        }
    }
    let guess = guess::start(input, options, &guard.control, surplus(options));
    let (mut reading, mut found) = look(input, &guard.control)?;
    if let Some(film) = found.film.as_mut().filter(|_| found.cut && reading.twice && options.sound.is_some()) {
        film.start = probe::first_stamp(&guard.control, &reading, film).or(film.start);
    }
    let endless = !reading.local && found.length().is_none() && !found.is_still();
    let recorded = endless && options.pace == PaceChoice::Auto && ahead::is_recording(&guard.control, &reading, &found);
    let pace = pace(options, &found, endless && !recorded);
    if pace == Pace::Live && endless && found.film.is_some() {
        return station::open(input, (reading, found), None, ear, options, guard);
    }
    if let Some(ear) = ear {
        return Err(SourceError::NotBeside { name: input.name(), ear: ear.details() });
    }
    reading.live = pace == Pace::Live;
    reading.paced = reading.live && (reading.local || found.length().is_some());
    if found.film.is_none() {
        return tune::open(reading, &found, title(input), pace, options, guard);
    }
    let mut plan = plan(reading, &found, options)?;
    if let Some(sound) = plan.sound.as_mut().filter(|_| endless && !recorded) {
        sound.place_by_arrival();
    }
    if plan.film.still && options.looped {
        return photo::stand(plan, &found, title(input), guard);
    }
    decode(plan, guess, &found, (title(input), pace), options, guard)
}

/// Whether pictures leave at their times or as they come; `now`: what comes happens now, and has no end.
fn pace(options: &Options, found: &Found, now: bool) -> Pace {
    match options.pace {
        PaceChoice::File => Pace::File,
        // One picture that leaves as it comes would be over at once.
        PaceChoice::Live if !found.is_still() => Pace::Live,
        // An address without an end is a camera or a broadcast.
        _ if now => Pace::Live,
        _ => Pace::File,
    }
}

/// A film with pictures: the first pass is started, by the guess if that was right.
fn decode(
    mut plan: Plan,
    guess: Option<Decoder>,
    found: &Found,
    (title, pace): (String, Pace),
    options: &Options,
    mut guard: Guard,
) -> Result<Source, SourceError> {
    let surplus = surplus(options);
    let guessed = guess.and_then(|run| run.adapted_to(&plan)).and_then(|run| run.open(FIRST_PICTURE).ok());
    let pass = guessed.map_or_else(|| open_pass(&mut plan, &guard.control, surplus), Ok)?;
    let info = info(&plan, found, title, &pass, pace);
    let (control, looped) = (guard.control.clone(), options.looped);
    let (patience, news) =
        (!plan.reading.local && !plan.reading.live).then(|| Patience::new(&plan.reading.name)).unzip();
    guard.news = news;
    let passes = Passes::new(plan, control, looped, surplus, patience);
    Ok(Source { info, work: Box::new(move |out, sound| passes.run(pass, out, sound)), guard })
}

/// The address of a sender that may serve one connection only.
pub(super) fn one_connection<'a>(input: &'a Input, options: &Options) -> Option<&'a str> {
    match input {
        Input::Url(url) if call::is_due(url) && options.pace != PaceChoice::File => Some(url),
        _ => None,
    }
}

/// What a file or an address holds, and how ffmpeg is to read it.
pub(super) fn look(input: &Input, control: &Control) -> Result<(Reading, Found), SourceError> {
    let name = input.name();
    let (address, local, twice) = match input {
        Input::File(path) => (local_address(path, &name)?, true, path.is_file()),
        Input::Url(url) => (OsString::from(url), false, false),
        _ => return Err(SourceError::NotFound(name)),
    };
    let reading = Reading { address, local, paced: false, live: false, twice, name };
    let mut found = match local {
        true => probe::probe(control, &reading, &[]).map_err(|error| known_picture(input, error))?,
        false => probe::probe_address(control, &reading)?,
    };
    photo::look(control, &reading, &mut found);
    Ok((reading, found))
}

/// A photograph of a kind that older versions of ffmpeg take for a damaged film.
fn known_picture(input: &Input, error: SourceError) -> SourceError {
    match (error, input) {
        (SourceError::NotFilm { name, .. }, Input::File(path)) if photo::is_heic(path) => SourceError::Heic(name),
        (error, _) => error,
    }
}

/// What ffmpeg is to do with a film.
pub(super) fn plan(reading: Reading, found: &Found, options: &Options) -> Result<Plan, SourceError> {
    let film = found.film.clone().ok_or_else(|| SourceError::NoPicture(reading.name.clone()))?;
    let sound = SoundPlan::choose(found, options.sound, &reading.name)?;
    let size = plan::fit(&film, options.width);
    // A still picture has no rate, and would be lost on the way to another.
    let rate = options.rate.filter(|_| !film.still);
    // A film that is over before half an interval is would lose its only picture.
    let rate = rate.filter(|rate| film.length.is_none_or(|length| length * 2 > rate.interval()));
    let tones = film.transfer.map(ToneMap::new).map(Arc::new);
    Ok(Plan { reading, film, size, rate, denoise: options.denoise, sound, tones, grid: None, seek: None })
}

/// The first pass. Sound that ffmpeg cannot decode does not take the pictures with it.
pub(super) fn open_pass(plan: &mut Plan, control: &Control, surplus: Surplus) -> Result<Pass, SourceError> {
    match plan.open(control, surplus) {
        Err(SourceError::NotFilm { .. } | SourceError::NotOpened { .. }) if plan.sound.is_some() => {
            plan.sound = None;
            plan.open(control, surplus)
        }
        opened => opened,
    }
}

const fn surplus(options: &Options) -> Surplus {
    if options.looped { Surplus::Silence } else { Surplus::Wait }
}

/// What is known now that ffmpeg's header is there: size and rate are its word.
pub(super) fn info(plan: &Plan, found: &Found, title: String, pass: &Pass, pace: Pace) -> Info {
    let header = *pass.reader.header();
    let rate = plan.usual_rate();
    let heard = sound::describe(found, plan.sound.as_ref());
    Info {
        title,
        size: header.size,
        rate,
        length: plan.film.length,
        pictures: plan.film.pictures.filter(|_| plan.rate.is_none()),
        pace,
        details: plan::describe(&plan.film, header.size, rate, &heard),
        sound: plan.sound.is_some(),
    }
}

/// `file:` before the path, so that neither a colon nor a dash in it means anything.
pub(super) fn local_address(path: &Path, name: &str) -> Result<OsString, SourceError> {
    let unreadable = |why: io::Error| match why.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => match meant(name) {
            Some(meant) => SourceError::Meant { name: name.to_owned(), meant },
            None => SourceError::NotFound(name.to_owned()),
        },
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

//! Films that ffmpeg opens itself, files and addresses: looked at first, then decoded, once or in a loop, with their sound.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::ahead;
use super::backlog::Surplus;
use super::guess;
use super::input::meant;
use super::live::call::{self, Call};
use super::live::{Ear, station};
use super::pass::{Decoder, FIRST_PICTURE, Pass};
use super::plan::{self, Plan};
use super::probe::{self, Found};
use super::sound::{self, SoundPlan};
use super::stall::Patience;
use super::voice::{Gauge, Manner, Voice};
use super::{Finished, Guard, Info, Input, Options, Pace, PaceChoice, Source, SourceError, photo, tune};
use crate::ffmpeg::{Control, Reading};
use crate::media::Picture;
use crate::media::sound::Chunk;
use crate::media::tonemap::ToneMap;
use crate::queue::{Pool, Producer};
use crate::units::{MediaTime, Span};

/// `ear`: an address without an end may be heard by a microphone in place of its own sound.
pub(super) fn open(
    input: &Input,
    ear: Option<Box<dyn Ear>>,
    options: &Options,
    mut guard: Guard,
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
    let pace = match options.pace {
        PaceChoice::File => Pace::File,
        // One picture that leaves as it comes would be over at once.
        PaceChoice::Live if !found.is_still() => Pace::Live,
        // An address without an end is a camera or a broadcast.
        _ if recorded || !endless => Pace::File,
        _ => Pace::Live,
    };
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
    let surplus = surplus(options);
    let guessed = guess.and_then(|child| child.adapted_to(&plan)).and_then(|child| child.open(FIRST_PICTURE).ok());
    let pass = guessed.map_or_else(|| open_pass(&mut plan, &guard.control, surplus), Ok)?;
    let info = info(&plan, &found, title(input), &pass, pace);
    let (control, looped) = (guard.control.clone(), options.looped);
    let (patience, news) =
        (!plan.reading.local && !plan.reading.live).then(|| Patience::new(&plan.reading.name)).unzip();
    guard.news = news;
    let length = plan.film.length;
    let work = Box::new(move |out, sound| {
        let (next, begun) = (None, MediaTime::ZERO);
        let passes = Passes { plan, control, looped, surplus, patience, length, next, pictures: 0, begun };
        passes.run(pass, out, sound)
    });
    Ok(Source { info, work, guard })
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
        true => probe::probe(control, &reading, &[])?,
        false => probe::probe_address(control, &reading)?,
    };
    photo::look(control, &reading, &mut found);
    Ok((reading, found))
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
    Ok(Plan { reading, film, size, rate, denoise: options.denoise, sound, tones })
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

/// One film, as often as wanted.
struct Passes {
    plan: Plan,
    control: Control,
    looped: bool,
    surplus: Surplus,
    /// Of a film that comes through a network.
    patience: Option<Patience>,
    /// How long a pass is: the film's word at first, measured by the first pass.
    length: Option<Duration>,
    /// The next pass, started before this one ends, so that the queue does not run dry.
    next: Option<Decoder>,
    pictures: u32,
    /// When the running pass began on the stream's timeline.
    begun: MediaTime,
}

impl Passes {
    fn run(
        mut self,
        pass: Pass,
        out: Producer<Picture>,
        sound: Option<Producer<Chunk>>,
    ) -> Result<Finished, SourceError> {
        let voice = voice(&self.plan, self.looped, sound)?;
        let result = self.pictures(pass, &voice, &out);
        // The queue of pictures is closed first: its consumer then takes the rest of the sound.
        drop((out, self.next.take()));
        voice.finish();
        let end = self.plan.is_stamped().then_some(self.begun);
        result.map(|()| Finished { pictures: self.pictures, end })
    }

    fn pictures(&mut self, mut pass: Pass, voice: &Voice, out: &Producer<Picture>) -> Result<(), SourceError> {
        let pool = Pool::new(POOL);
        let mut gauge = voice.pass(pass.heard.take(), self.begun);
        loop {
            self.patience.iter_mut().for_each(|patience| patience.wait(&mut pass, &self.control));
            match pass.read(&pool) {
                _ if self.control.stopped() => return Ok(()),
                Ok(Some(picture)) => {
                    self.patience.iter_mut().for_each(Patience::came);
                    let end = picture.span.map_or(MediaTime::ZERO, Span::end).within(self.begun);
                    if !self.picture(picture, &gauge, out) {
                        // The sound goes with the pictures.
                        self.control.stop();
                        return Ok(());
                    }
                    self.look_ahead(end)?;
                }
                // A pass without a picture would be repeated for ever.
                Ok(None) if self.looped && pass.count > 0 => {
                    self.end(&pass, &gauge);
                    drop(gauge);
                    pass = match self.again(&pass) {
                        Err(SourceError::Stopped) => return Ok(()),
                        again => again?,
                    };
                    gauge = voice.pass(pass.heard.take(), self.begun);
                }
                Ok(None) if self.pictures == 0 => return Err(SourceError::NoPicture(self.plan.reading.name.clone())),
                Ok(None) => {
                    self.end(&pass, &gauge);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The pass is over; what comes next begins where its last picture has had its time.
    fn end(&mut self, pass: &Pass, gauge: &Gauge) {
        let end = if self.plan.film.still { MediaTime::ZERO + photo::SHOWN } else { pass.end() };
        self.begun = end.within(self.begun);
        gauge.ends_at(self.begun);
    }

    /// `false` if the queue of pictures was closed.
    fn picture(&mut self, mut picture: Picture, gauge: &Gauge, out: &Producer<Picture>) -> bool {
        picture.number = self.pictures;
        self.pictures = self.pictures.wrapping_add(1);
        if let Some(span) = &mut picture.span {
            span.at = span.at.within(self.begun);
            gauge.picture(span.end(), picture.captured);
        }
        let pushed = out.push(picture).is_ok();
        self.pictures -= u32::from(!pushed);
        pushed
    }

    /// `end`: when the last picture that was read has had its time.
    fn look_ahead(&mut self, end: MediaTime) -> Result<(), SourceError> {
        let near_end = self.length.is_some_and(|length| end.since(self.begun) + AHEAD >= length);
        if self.looped && near_end && self.next.is_none() && !self.plan.reading.live {
            self.next = Some(self.plan.spawn(&self.control, self.surplus)?);
        }
        Ok(())
    }

    fn again(&mut self, pass: &Pass) -> Result<Pass, SourceError> {
        self.length = Some(pass.end().since(MediaTime::ZERO));
        match self.next.take() {
            Some(child) => child.open(FIRST_PICTURE),
            None => self.plan.open(&self.control, self.surplus),
        }
    }
}

/// The thread for the plan's sound.
pub(super) fn voice(plan: &Plan, looped: bool, out: Option<Producer<Chunk>>) -> Result<Voice, SourceError> {
    let sound = plan.sound.as_ref();
    let manner = Manner {
        looped,
        by_arrival: sound.is_some_and(SoundPlan::is_placed_by_arrival),
        silence: sound.map_or(0, SoundPlan::silence),
    };
    // A queue that nothing will come into is closed at once.
    Voice::start(out.filter(|_| sound.is_some()), manner).map_err(SourceError::Start)
}

const POOL: usize = 16;
/// ffmpeg needs 0.1–0.3 s to its first picture. Its sound waits meanwhile, and what is too much of it would be left out.
const AHEAD: Duration = Duration::from_secs(1);

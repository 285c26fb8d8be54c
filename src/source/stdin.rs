//! A film on stdin. YUV4MPEG2 is parsed in this process, with no delay at all; everything else, and what must be
//! scaled, re-timed or deinterlaced, passes through ffmpeg. The pace shows in how the first pictures come.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::stdio;

use super::backlog::Surplus;
use super::pace::{self, Decision};
use super::pass::Pass;
use super::photo::Turn;
use super::probe::{Film, Matrix};
use super::{Finished, Guard, Info, Options, Pace, PaceChoice, Source, SourceError, file, passes, plan, probe, tune};
use crate::clock;
use crate::ffmpeg::{Control, Reading, Tap};
use crate::media::Picture;
use crate::media::sound::Chunk;
use crate::media::y4m::{self, Header, Reader, Y4mError};
use crate::queue::{Pool, Producer};
use crate::units::{MediaTime, Rate, Span, Time};

pub(super) fn open(options: &Options, guard: Guard) -> Result<Source, SourceError> {
    let stdin = stdio::stdin().try_clone_to_owned().map_err(SourceError::Start)?;
    let tap = Tap::new(stdin, &guard.control);
    let source = open_pipe(tap, options, guard)?;
    widen(&source, stdio::stdin());
    Ok(source)
}

/// The pace was found out with the pipe as it came; of a live one a picture is to pass in few pieces from here on. A
/// refusal (not a pipe, or the user's pipes have all the memory they may) costs nothing but that.
pub(super) fn widen(source: &Source, pipe: impl AsFd) {
    if source.info().pace == Pace::Live {
        rustix::pipe::fcntl_setpipe_size(pipe, LIVE_PIPE).ok();
    }
}

/// Any pipe; `tap` has not been read from.
pub(super) fn open_pipe(tap: Tap, options: &Options, guard: Guard) -> Result<Source, SourceError> {
    open_named(tap, NAME, options, guard)
}

/// The same of one that is called `name`.
pub(super) fn open_named(mut tap: Tap, name: &str, options: &Options, guard: Guard) -> Result<Source, SourceError> {
    let start = read_up_to(&mut tap, y4m::MAGIC.len(), name)?;
    if start.is_empty() {
        return Err(SourceError::Empty(name.to_owned()));
    }
    if start != y4m::MAGIC {
        return open_film(tap, start, name, options, guard);
    }
    let mut line = start;
    y4m::read_line(&mut tap, &mut line).map_err(cut_short)?;
    match Header::parse(&line) {
        Ok(header) if as_it_comes(&header, options) => open_raw(Reader::with_header(tap, header), name, options, guard),
        // Formats of more than eight bits and the like: ffmpeg knows them, and its probe tells their size.
        Ok(_) | Err(Y4mError::Unsupported(_)) => {
            line.push(b'\n');
            open_film(tap, line, name, options, guard)
        }
        Err(error) => Err(error.into()),
    }
}

/// A pipe that ends within its header ends before its first picture.
fn cut_short(error: Y4mError) -> Y4mError {
    match error {
        Y4mError::Io(why) if why.kind() == io::ErrorKind::UnexpectedEof => Y4mError::Truncated(0),
        other => other,
    }
}

/// Whether nothing has to be done that takes ffmpeg.
fn as_it_comes(header: &Header, options: &Options) -> bool {
    let film = film(header);
    let rate_fits = options.rate.is_none_or(|rate| rate == header.rate);
    rate_fits
        && !header.deep
        && !header.interlaced
        && !options.denoise
        && plan::fit(&film, options.width) == header.size
}

fn film(header: &Header) -> Film {
    Film {
        stream: 0,
        codec: "yuv4mpeg".to_owned(),
        width: header.size.width.into(),
        height: header.size.height.into(),
        aspect: header.aspect,
        rate: header.rate,
        indexed: false,
        cut: false,
        stamped_by_ends: false,
        changing: false,
        matrix: Matrix::Other,
        transfer: None,
        full_range: header.full_range,
        interlaced: header.interlaced,
        length: None,
        pictures: None,
        start: None,
        still: false,
        turn: Turn::default(),
    }
}

/// Pictures that are read in this process.
fn open_raw(mut reader: Reader<Tap>, name: &str, options: &Options, guard: Guard) -> Result<Source, SourceError> {
    let header = *reader.header();
    let pool = Pool::new(POOL);
    let read = || {
        let picture = reader.read(&pool, clock::now)?;
        Ok(picture.map(|picture| (picture, reader.input_mut().first_wait())))
    };
    let start = decide(options, header.rate, read)?;
    let mut details = plan::describe(&film(&header), header.size, header.rate, "no sound");
    if !header.rate_known {
        details.push_str(" (the rate is not given: 25 assumed)");
    }
    let info = Info {
        title: name.to_owned(),
        size: header.size,
        rate: header.rate,
        length: None,
        pictures: None,
        pace: start.pace,
        details,
        sound: false,
    };
    let control = guard.control.clone();
    let work = Box::new(move |out: Producer<Picture>, _: Option<Producer<Chunk>>| {
        let next = || reader.read(&pool, clock::now).map_err(SourceError::from);
        run(start, next, |_| {}, &control, &out)
    });
    Ok(Source { info, work, guard })
}

/// Pictures that ffmpeg makes of what comes; `start` was read already.
fn open_film(
    mut tap: Tap,
    start: Vec<u8>,
    name: &str,
    options: &Options,
    mut guard: Guard,
) -> Result<Source, SourceError> {
    let start = gather(&mut tap, start);
    let reading = Reading::fed(name, true, options.pace == PaceChoice::Live);
    let mut found = probe::probe(&guard.control, &reading, &start)?;
    tap.put_back(start);
    let Some(film) = &mut found.film else {
        // The length of the rest is not known.
        found.length = None;
        return tune::open_fed(reading, &found, tap, options, guard);
    };
    // Of a film that was cut off here only its own index knows how long it is.
    film.length = film.length.filter(|_| film.pictures.is_some());
    let plan = file::plan(reading, &found, options)?;
    let mut child = plan.spawn(&guard.control, Surplus::Wait)?;
    guard.threads.extend(child.feed(tap)?);
    // The program that fills the pipe may take any time.
    let mut pass = child.open(Duration::MAX)?;
    let pool = Pool::new(POOL);
    let rate = plan.usual_rate();
    let read = |pass: &mut Pass| {
        let picture = pass.read(&pool)?;
        Ok(picture.map(|picture| (picture, pass.reader.input_mut().first_wait())))
    };
    let start = decide(options, rate, || read(&mut pass))?;
    if start.pace == Pace::Live {
        pass.go_live();
    }
    let info = file::info(&plan, &found, name.to_owned(), &pass, start.pace);
    let control = guard.control.clone();
    let work = Box::new(move |out: Producer<Picture>, sound: Option<Producer<Chunk>>| {
        let voice = passes::voice(&plan, false, sound)?;
        let gauge = voice.pass(pass.heard.take(), MediaTime::ZERO);
        let tell = |picture: &Picture| gauge.picture(MediaTime::ZERO, picture.captured);
        let result = run(start, || pass.read(&pool), tell, &control, &out);
        // ffmpeg ends here even if there is more: it must not be waited for.
        drop((out, gauge, pass));
        voice.finish();
        result
    });
    Ok(Source { info, work, guard })
}

fn decide(
    options: &Options,
    rate: Rate,
    read: impl FnMut() -> Result<Option<(Picture, Option<Time>)>, SourceError>,
) -> Result<Decision, SourceError> {
    match options.pace {
        PaceChoice::File => Ok(Decision::new(Pace::File, Vec::new())),
        PaceChoice::Live => Ok(Decision::new(Pace::Live, Vec::new())),
        PaceChoice::Auto => pace::decide(rate, read),
    }
}

/// First what was held back, then what comes; `tell` hears of each.
fn run(
    start: Decision,
    mut next: impl FnMut() -> Result<Option<Picture>, SourceError>,
    tell: impl Fn(&Picture),
    control: &Control,
    out: &Producer<Picture>,
) -> Result<Finished, SourceError> {
    let (mut held, mut failed) = (VecDeque::from(start.held), start.failed);
    let live = start.pace == Pace::Live;
    let (mut pictures, mut end) = (0, None);
    loop {
        let picture = match held.pop_front() {
            Some(picture) => Ok(Some(picture)),
            None => failed.take().map_or_else(&mut next, Err),
        };
        if control.stopped() {
            break;
        }
        let Some(picture) = picture? else { break };
        tell(&picture);
        end = picture.span.map(Span::end).filter(|_| !live);
        if out.push(picture).is_err() {
            break;
        }
        pictures += 1;
    }
    Ok(Finished { pictures, end })
}

/// Enough for ffprobe to see what it is: a megabyte, or what comes within a second, or all there is.
fn gather(tap: &mut Tap, mut bytes: Vec<u8>) -> Vec<u8> {
    let until = clock::now() + Duration::from_secs(1);
    let mut block = vec![0; 64 << 10];
    while bytes.len() < PROBED && tap.ready(until) {
        match tap.read(&mut block) {
            Ok(count @ 1..) => bytes.extend_from_slice(&block[..count]),
            _ => break,
        }
    }
    bytes
}

fn read_up_to(tap: &mut Tap, count: usize, name: &str) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::with_capacity(count);
    let read = tap.take(count as u64).read_to_end(&mut bytes);
    read.map_err(|why| SourceError::Unreadable { name: name.to_owned(), why })?;
    Ok(bytes)
}

const NAME: &str = "standard input";
const POOL: usize = 16;
/// Bytes of a live pipe: what an ordinary user may have.
const LIVE_PIPE: usize = 1 << 20;
const PROBED: usize = 1 << 20;

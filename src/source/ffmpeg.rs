//! One run of ffmpeg: started, watched, and asked why when it ends too soon.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStderr, ChildStdin, ExitStatus};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use ffmpeg_sidecar::command::FfmpegCommand;
use rustix::pipe::{PipeFlags, pipe_with};

use super::SourceError;
use super::backlog::Surplus;
use super::child::{self, Answer, Control, Question, Started, Tap};
use super::heard::Heard;
use super::input::Input;
use super::photo;
use super::plan::{LOCAL, Plan, Reading, quiet};
use super::probe::{self, Film, Found};
use super::sound::SoundPlan;
use super::tail::{Tail, Words};
use super::timeline::{Stamps, Timeline, longest_gap};
use crate::clock;
use crate::media::Picture;
use crate::media::convert;
use crate::media::tonemap::ToneMap;
use crate::media::y4m::{Reader, Y4mError};
use crate::queue::Pool;
use crate::units::{MediaTime, Span, Time};

impl Plan {
    /// Starts ffmpeg; it works ahead until its pipe is full. `surplus`: what to do with sound far ahead of the pictures.
    pub fn spawn(&self, control: &Control, surplus: Surplus) -> Result<Child, SourceError> {
        let program = child::find("ffmpeg")?;
        let ears = self.sound.as_ref().map(|_| pipe_with(PipeFlags::CLOEXEC)).transpose();
        let (ear, mouth) = ears.map_err(|error| SourceError::Start(error.into()))?.unzip();
        let beside = self.is_stamped().then(|| pipe_with(PipeFlags::CLOEXEC)).transpose();
        let (stamps, stamping) = beside.map_err(|error| SourceError::Start(error.into()))?.unzip();
        let [sound_to, stamps_to] = [&mouth, &stamping].map(|end| end.as_ref().map(AsRawFd::as_raw_fd));
        let mut command = self.command(program.as_os_str(), sound_to, stamps_to);
        let arguments = told(&command);
        let inherited = mouth.into_iter().chain(stamping).collect();
        let started = control.start_with(&mut command, inherited).map_err(SourceError::Start)?;
        let Started { id, stdin, stdout, stderr } = started;
        if !self.reading.live {
            // Half the processor time in the hand-over; where the limit is lower the pipe stays as it is.
            rustix::pipe::fcntl_setpipe_size(&stdout, PIPE).ok();
        }
        let run = Run::new(id, stderr, control, &self.reading)?;
        let mono = self.sound.as_ref().is_some_and(SoundPlan::mono);
        let heard = ear.map(|ear| Heard::of(Tap::new(ear, control), surplus, mono)).transpose();
        let heard = heard.map_err(SourceError::Start)?;
        let times = stamps.map(|stamps| self.times(Tap::new(stamps, control)));
        let told = Told { arguments, sound_to, stamps_to };
        Ok(Child {
            told,
            stdin,
            tap: Tap::new(stdout, control),
            matrix: self.matrix(),
            tones: self.tones.clone(),
            run,
            times,
            heard,
        })
    }

    fn times(&self, tap: Tap) -> Times {
        let stamps = match self.rate {
            None if self.film.stamped_by_ends => Stamps::of_ends(tap, self.film.rate.interval()),
            _ => Stamps::new(tap),
        };
        let timeline = Timeline::new(self.usual_rate(), self.zero(), longest_gap(self.film.cut));
        Times { stamps, timeline, ends_marked: self.is_end_marked() }
    }

    /// Starts ffmpeg and waits for its first picture.
    pub fn open(&self, control: &Control, surplus: Surplus) -> Result<Pass, SourceError> {
        self.spawn(control, surplus)?.open(FIRST_PICTURE)
    }
}

/// A running ffmpeg, whatever it has written so far.
pub(super) struct Run {
    id: u32,
    stderr: Tail,
    control: Control,
    /// As ffmpeg knows it.
    input: String,
    name: String,
    local: bool,
}

impl Run {
    pub fn new(id: u32, stderr: ChildStderr, control: &Control, reading: &Reading) -> Result<Self, SourceError> {
        let stderr = Tail::of(stderr).map_err(SourceError::Start).inspect_err(|_| control.kill(id))?;
        let input = reading.address.to_string_lossy().into_owned();
        let (name, local) = (reading.name.clone(), reading.local);
        Ok(Self { id, stderr, control: control.clone(), input, name, local })
    }

    fn words(&mut self) -> Words {
        self.stderr.finish(&self.input, &self.name)
    }

    /// Why it wrote nothing at all.
    pub fn no_start(&mut self) -> SourceError {
        self.control.kill(self.id);
        if self.control.stopped() {
            return SourceError::Stopped;
        }
        let words = self.words();
        no_film(&words, self.local, &self.name)
    }

    /// Nothing came within `patience`.
    pub fn silent(&self, patience: Duration) -> SourceError {
        silent(self.local, &self.name, patience)
    }

    /// It has closed its pipes: waits for its end. A failure if it says so; killed by us is an end as well.
    pub fn finish(&mut self, done: &str) -> Result<(), SourceError> {
        match self.control.reap(self.id) {
            Some(status) if !status.success() => Err(self.died(done, Some(status))),
            _ => Ok(()),
        }
    }

    /// It has ended, or ends soon, before its film did; `done` says how much came.
    fn died(&mut self, done: &str, status: Option<ExitStatus>) -> SourceError {
        let signal = status.and_then(|status| status.signal());
        let why = signal.map(|signal| format!("it was killed by signal {signal}"));
        let why = why.or_else(|| self.words().gist()).unwrap_or_else(|| "it does not say why".to_owned());
        SourceError::Died { name: self.name.clone(), done: done.to_owned(), why }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.control.kill(self.id);
    }
}

/// When pictures are due.
struct Times {
    stamps: Stamps<Tap>,
    timeline: Timeline,
    /// Behind the last picture comes one more, whose stamp is the film's end.
    ends_marked: bool,
}

/// What an ffmpeg was told when it was started.
struct Told {
    arguments: Vec<OsString>,
    /// The descriptors it inherited.
    sound_to: Option<RawFd>,
    stamps_to: Option<RawFd>,
}

fn told(command: &FfmpegCommand) -> Vec<OsString> {
    command.get_args().map(OsStr::to_owned).collect()
}

/// A started ffmpeg whose header has not been read.
pub(super) struct Child {
    told: Told,
    stdin: Option<ChildStdin>,
    tap: Tap,
    matrix: Option<convert::Matrix>,
    tones: Option<Arc<ToneMap>>,
    run: Run,
    times: Option<Times>,
    /// After the run, which must be dead before its sound ends.
    heard: Option<Heard>,
}

impl Child {
    /// Copies `input` to ffmpeg on a thread of its own until either side ends.
    pub fn feed(&mut self, input: Tap) -> Result<Option<JoinHandle<()>>, SourceError> {
        self.stdin.take().map(|stdin| feed(stdin, input)).transpose()
    }

    /// The same child as one of `plan`'s, if that would have been told the same; what is done with its pictures may differ.
    pub fn adapted_to(mut self, plan: &Plan) -> Option<Self> {
        let Told { arguments, sound_to, stamps_to } = &self.told;
        let program = child::find("ffmpeg").ok()?;
        let same = told(&plan.command(program.as_os_str(), *sound_to, *stamps_to)) == *arguments;
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
        // Not fed: a film from a file must not wait for a stdin that nobody writes.
        self.stdin = None;
        let ready = self.tap.ready(clock::now() + patience);
        if !ready && !self.run.control.stopped() {
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
    /// `None`: pictures are handed over as they come.
    times: Option<Times>,
    /// Of a film, the picture behind the one that was handed over last, and what ended them meanwhile.
    ahead: Option<Picture>,
    failed: Option<SourceError>,
    end: MediaTime,
    /// Pictures so far.
    pub count: u32,
    /// Its sound, until somebody takes it; after the run, as in [`Child`].
    pub heard: Option<Heard>,
}

impl Pass {
    /// From now on pictures are handed over as they come.
    pub fn go_live(&mut self) {
        self.times = None;
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
        let picture = match (first, &self.times) {
            // The first is not held up by the second.
            (Some(picture), Some(_)) if self.count > 0 => self.timed(picture, pool),
            (first, _) => first,
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
                if let Some(Times { stamps, timeline, .. }) = &mut self.times {
                    let at = timeline.place(stamps.next());
                    picture.span = Some(Span { at, lasts: timeline.interval() });
                }
                Ok(Some(picture))
            }
            Ok(None) => self.finish().map(|()| None),
            // It closed its end in the middle of a picture: how it ends says why.
            Err(Y4mError::Truncated(_)) => {
                let status = self.run.control.reap(self.run.id);
                Err(self.run.died(&self.done(), status))
            }
            Err(_) => {
                self.run.control.kill(self.run.id);
                Err(self.run.died(&self.done(), None))
            }
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

/// Copies `input` to ffmpeg on a thread of its own until either side ends.
pub(super) fn feed(mut stdin: ChildStdin, mut input: Tap) -> Result<JoinHandle<()>, SourceError> {
    let copy = move || {
        let mut block = vec![0; 64 << 10];
        while let Ok(count @ 1..) = input.read(&mut block) {
            if stdin.write_all(&block[..count]).is_err() {
                break;
            }
        }
    };
    Builder::new().name("ffmpeg stdin".into()).spawn(copy).map_err(SourceError::Start)
}

/// Asks ffprobe about a film; `feed` is what it finds on its stdin.
pub(super) fn probe(
    control: &Control,
    input: &OsStr,
    local: bool,
    name: &str,
    feed: &[u8],
) -> Result<Found, SourceError> {
    ask(control, input, local, name, feed, &[])
}

/// The same of an address. A glance says all about most that have no end, where ffprobe would look for five seconds.
pub(super) fn probe_address(control: &Control, url: &OsStr, name: &str) -> Result<Found, SourceError> {
    match ask(control, url, false, name, &[], GLANCE) {
        Ok(found) if found.settled && found.length().is_none() => Ok(found),
        Ok(_) | Err(SourceError::NoPicture(_)) => probe(control, url, false, name, &[]),
        Err(error) => Err(error),
    }
}

/// The same of what came first from somewhere; all of it is looked at.
pub(super) fn probe_bytes(control: &Control, input: &OsStr, name: &str, bytes: &[u8]) -> Result<Found, SourceError> {
    ask(control, input, false, name, bytes, &["-probesize", "100000000", "-analyzeduration", "60000000"])
}

/// `more` are options for the input.
fn ask(
    control: &Control,
    input: &OsStr,
    local: bool,
    name: &str,
    feed: &[u8],
    more: &[&str],
) -> Result<Found, SourceError> {
    let program = child::find("ffprobe")?;
    let mut command = FfmpegCommand::new_with_path(program.as_os_str());
    command.args(["-hide_banner", "-loglevel", "error"]).args(more);
    if local {
        command.args(["-protocol_whitelist", LOCAL]).args(photo::as_named(input));
    }
    command.args(["-of", "json", "-show_programs", "-show_streams", "-show_format", "-i"]).arg(input);
    let patience = if local { PROBE_FILE } else { PROBE_ADDRESS };
    let question = Question { command, feed, input: &input.to_string_lossy(), name };
    let answer = control.ask(question, clock::now() + patience).map_err(SourceError::Start)?;
    let Some(Answer { succeeded, output, words }) = answer else {
        return Err(if control.stopped() { SourceError::Stopped } else { silent(local, name, patience) });
    };
    match probe::parse(&output) {
        Some(found) => Ok(found),
        None if !succeeded || words.say_animated_webp() => Err(no_film(&words, local, name)),
        None => Err(SourceError::NoPicture(name.to_owned())),
    }
}

/// The stamp of the first picture that can be decoded, in seconds; the container's word is that of its first packet, which
/// of a film that was cut anywhere is often none. `None` if nothing comes soon.
pub(super) fn first_stamp(control: &Control, reading: &Reading, film: &Film) -> Option<f64> {
    let program = child::find("ffmpeg").ok()?;
    let mut command = quiet(program.as_os_str());
    command.arg("-copyts");
    reading.input(&mut command, &["-an", "-sn", "-dn"]);
    command.args(["-map", &format!("0:{}", film.stream), "-frames:v", "1", "-vf", "scale=16:16", "-fps_mode"]);
    command.args(["passthrough", "-enc_time_base", "1:1000000", "-f", "framecrc", "pipe:1"]);
    let input = reading.address.to_string_lossy();
    let question = Question { command, feed: &[], input: &input, name: &reading.name };
    let answer = control.ask(question, clock::now() + PROBE_ADDRESS).ok()??;
    // `#tb 0: 1/1000000`, then `0, dts, pts, duration, size, sum`.
    let text = String::from_utf8_lossy(&answer.output).into_owned();
    let unit = text.lines().find_map(|line| line.strip_prefix("#tb 0: 1/")?.parse::<f64>().ok())?;
    let line = text.lines().find(|line| !line.starts_with('#'))?;
    Some(line.split(',').nth(2)?.trim().parse::<f64>().ok()? / unit)
}

/// What ffmpeg's words mean when it opened nothing.
pub(super) fn no_film(words: &Words, local: bool, name: &str) -> SourceError {
    let name = name.to_owned();
    let piped = name == Input::Stdin.name();
    match words.gist() {
        _ if local && words.point_elsewhere() => SourceError::Elsewhere(name),
        _ if words.say_animated_webp() => SourceError::AnimatedWebp(name),
        // Of a pipe only the beginning was looked at, and nothing can be read twice.
        _ if piped && words.mention("moov atom not found") => SourceError::IndexAtEnd(name),
        _ if words.say_index_at_end() && (piped || !local) => SourceError::IndexAtEnd(name),
        Some(why) if words.say_index_at_end() => SourceError::NotFilm { name, why },
        None => SourceError::NoPicture(name),
        Some(_) if words.say_empty() => SourceError::NoPicture(name),
        Some(why) if local => SourceError::NotFilm { name, why },
        Some(why) if words.say_forbidden() => SourceError::Forbidden { name, why },
        Some(why) if words.ask_for_a_password() => SourceError::NotLetIn { how: how_to_get_in(&name), name, why },
        Some(why) if words.say_away() => {
            let why = if why == "Input/output error" { "nobody answers there".to_owned() } else { why };
            SourceError::NotReached { name, why }
        }
        Some(why) => SourceError::NotOpened { name, why },
    }
}

/// Where name and password, or whatever stands for them, belong in an address like this one.
fn how_to_get_in(name: &str) -> String {
    let scheme = name.split_once("://").map_or("rtsp", |(scheme, _)| scheme);
    if scheme == "srt" {
        return PASSPHRASE.to_owned();
    }
    format!("write the right name and password before its host, as in {scheme}://NAME:PASSWORD@HOST/")
}

pub(super) fn silent(local: bool, name: &str, patience: Duration) -> SourceError {
    let (name, seconds) = (name.to_owned(), patience.as_secs());
    if local { SourceError::NothingCame { name, seconds } } else { SourceError::NoAnswer { name, seconds } }
}

const PASSPHRASE: &str =
    "write its passphrase of ten letters or more at the end, as in srt://HOST:PORT?passphrase=WORDS";
/// In microseconds.
const GLANCE: &[&str] = &["-analyzeduration", "1000000"];
/// A dead address must not hold anybody up; ffprobe itself looks at a live one for five seconds.
pub(super) const PROBE_ADDRESS: Duration = Duration::from_secs(10);
/// A disc that sleeps wakes in less, and so does a machine that is busy.
const PROBE_FILE: Duration = Duration::from_secs(30);
/// A camera begins with its next whole picture, which may be ten seconds away.
pub(super) const FIRST_PICTURE: Duration = Duration::from_secs(30);
/// The most an unprivileged process may ask for.
const PIPE: usize = 1 << 20;

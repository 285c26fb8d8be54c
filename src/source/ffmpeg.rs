//! One run of ffmpeg: any film in, YUV4MPEG2 4:2:0 out, each picture exactly once. Ordinary films keep the colours that
//! they are coded in, and are converted as they are read; the rest comes as full-range BT.601.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdin, ExitStatus};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use ffmpeg_sidecar::command::FfmpegCommand;

use super::child::{self, Answer, Control, Question, Started, Tap};
use super::probe::{self, Film, Matrix, NoFilm};
use super::tail::{Tail, Words};
use super::{Pace, SourceError};
use crate::clock;
use crate::media::Picture;
use crate::media::convert;
use crate::media::y4m::{Reader, Y4mError};
use crate::queue::Pool;
use crate::units::{Rate, Size, Time};

/// Everything ffmpeg must be told; the same for every pass of a loop.
#[derive(Clone)]
pub(super) struct Plan {
    /// What follows `-i`.
    pub input: OsString,
    /// Only files, pipes and what hangs on them may be opened.
    pub local: bool,
    /// Read at the film's own speed (`-re`).
    pub paced: bool,
    /// Hand on each picture as soon as it is there.
    pub live: bool,
    pub film: Film,
    pub size: Size,
    /// `fps=`, only where pictures must be added or left out.
    pub rate: Option<Rate>,
    /// How the film is called in messages.
    pub name: String,
}

impl Plan {
    /// The filters in order. Colours that we cannot convert are left to swscale, which takes anything and needs longer.
    pub fn filters(&self) -> String {
        let mut filters = Vec::new();
        if self.film.interlaced {
            filters.push("bwdif=mode=send_frame".to_owned());
        }
        filters.extend(self.rate.map(|rate| format!("fps={}/{}", rate.num(), rate.den())));
        let (Size { width, height }, film) = (self.size, &self.film);
        if self.matrix().is_none() {
            let scale = format!("scale={width}:{height}:flags={}+accurate_rnd+full_chroma_int", self.scaler());
            filters.push(format!("{scale}{}:out_color_matrix=bt601:out_range=full", swscale_input(film)));
            filters.push("format=yuv420p".to_owned());
        } else {
            if (film.width, film.height) != (width.into(), height.into()) {
                filters.push(format!("scale={width}:{height}:flags={}", self.scaler()));
            }
            filters.push("format=yuv420p".to_owned());
        }
        filters.push("setsar=1".to_owned());
        filters.join(",")
    }

    /// To half the width or less, each pixel is the mean of those it stands for: it takes a fifth less of the whole
    /// decoding than bicubic, which would look at four times as many (measured, 1280 → 500).
    fn scaler(&self) -> &'static str {
        if self.film.width >= 2 * u32::from(self.size.width) { "area" } else { "bicubic" }
    }

    /// What the pictures are converted from as they are read. `None` for full-range films and those that are not YUV:
    /// they go through swscale's formats.
    fn matrix(&self) -> Option<convert::Matrix> {
        match self.film.matrix {
            _ if self.film.full_range => None,
            Matrix::Bt601 => Some(convert::Matrix::BT601),
            Matrix::Bt709 => Some(convert::Matrix::BT709),
            Matrix::Smpte240m => Some(convert::Matrix::SMPTE240M),
            Matrix::Bt2020 => Some(convert::Matrix::BT2020),
            Matrix::Other => None,
        }
    }

    /// So few pixels a second that one thread decodes them several times faster than they are shown. More threads would
    /// only talk to each other: at 720p one takes a quarter less processor time than two (measured).
    fn is_light(&self) -> bool {
        let pixels = f64::from(self.film.width) * f64::from(self.film.height) * self.film.rate.fps();
        pixels <= LIGHT
    }

    fn command(&self, program: &OsStr) -> FfmpegCommand {
        let mut command = FfmpegCommand::new_with_path(program);
        command.args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", "error"]);
        if self.local {
            command.args(["-protocol_whitelist", LOCAL]);
        }
        if self.live {
            command.args(["-fflags", "nobuffer", "-flags", "low_delay"]);
        }
        if self.paced {
            command.arg("-re");
        }
        if self.is_light() {
            command.args(["-threads", "1", "-filter_threads", "1"]);
        }
        command.arg("-i").arg(&self.input);
        command.args(["-map", &format!("0:{}", self.film.stream), "-an", "-sn", "-dn"]);
        command.args(["-vf", &self.filters(), "-fps_mode", "passthrough"]);
        command.args(["-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "pipe:1"]);
        command
    }

    /// Starts ffmpeg; it works ahead until its pipe is full.
    pub fn spawn(&self, control: &Control) -> Result<Child, SourceError> {
        let program = child::find("ffmpeg")?;
        let started = control.start(&mut self.command(program.as_os_str())).map_err(SourceError::Start)?;
        let Started { id, stdin, stdout, stderr } = started;
        if !self.live {
            // Half the processor time in the hand-over; where the limit is lower the pipe stays as it is.
            rustix::pipe::fcntl_setpipe_size(&stdout, PIPE).ok();
        }
        let stderr = Tail::of(stderr).map_err(SourceError::Start).inspect_err(|_| control.kill(id))?;
        let input = self.input.to_string_lossy().into_owned();
        let run = Run { id, stderr, control: control.clone(), input, name: self.name.clone(), local: self.local };
        Ok(Child { stdin, tap: Tap::new(stdout, control), matrix: self.matrix(), run })
    }

    /// Starts ffmpeg and waits for its first picture.
    pub fn open(&self, control: &Control) -> Result<Pass, SourceError> {
        self.spawn(control)?.open(FIRST_PICTURE)
    }
}

/// A running ffmpeg, whatever it has written so far.
struct Run {
    id: u32,
    stderr: Tail,
    control: Control,
    /// As ffmpeg knows it.
    input: String,
    name: String,
    local: bool,
}

impl Run {
    fn words(&mut self) -> Words {
        self.stderr.finish(&self.input, &self.name)
    }

    /// Why it wrote not even a header.
    fn no_header(&mut self) -> SourceError {
        self.control.kill(self.id);
        if self.control.stopped() {
            return SourceError::Stopped;
        }
        let words = self.words();
        no_film(&words, self.local, &self.name)
    }

    /// It has ended, or ends soon, before its film did.
    fn died(&mut self, pictures: u32, status: Option<ExitStatus>) -> SourceError {
        let signal = status.and_then(|status| status.signal());
        let why = signal.map(|signal| format!("it was killed by signal {signal}"));
        let why = why.or_else(|| self.words().gist()).unwrap_or_else(|| "it does not say why".to_owned());
        SourceError::Died { name: self.name.clone(), pictures, why }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.control.kill(self.id);
    }
}

/// A started ffmpeg whose header has not been read.
pub(super) struct Child {
    stdin: Option<ChildStdin>,
    tap: Tap,
    matrix: Option<convert::Matrix>,
    run: Run,
}

impl Child {
    /// Copies `input` to ffmpeg on a thread of its own until either side ends.
    pub fn feed(&mut self, mut input: Tap) -> Result<Option<JoinHandle<()>>, SourceError> {
        let Some(mut stdin) = self.stdin.take() else { return Ok(None) };
        let copy = move || {
            let mut block = vec![0; 64 << 10];
            while let Ok(count @ 1..) = input.read(&mut block) {
                if stdin.write_all(&block[..count]).is_err() {
                    break;
                }
            }
        };
        Builder::new().name("ffmpeg stdin".into()).spawn(copy).map(Some).map_err(SourceError::Start)
    }

    /// Waits for the header, which comes with the first picture, no longer than `patience`.
    pub fn open(mut self, patience: Duration) -> Result<Pass, SourceError> {
        // Not fed: a film from a file must not wait for a stdin that nobody writes.
        self.stdin = None;
        let ready = self.tap.ready(clock::now() + patience);
        if !ready && !self.run.control.stopped() {
            return Err(silent(self.run.local, &self.run.name, patience));
        }
        match Reader::new(self.tap) {
            Ok(mut reader) => {
                self.matrix.into_iter().for_each(|matrix| reader.set_matrix(matrix));
                Ok(Pass { reader, run: self.run, count: 0 })
            }
            Err(_) => Err(self.run.no_header()),
        }
    }
}

/// One pass through the film.
pub(super) struct Pass {
    pub reader: Reader<Tap>,
    run: Run,
    /// Pictures so far.
    pub count: u32,
}

impl Pass {
    /// The next picture, stamped when it began to arrive; `None` at the end of the film.
    pub fn read(&mut self, pool: &Pool<Vec<u8>>) -> Result<Option<Picture>, SourceError> {
        match self.reader.read(pool, clock::now) {
            Ok(Some(picture)) => {
                self.count += 1;
                Ok(Some(picture))
            }
            Ok(None) => self.finish().map(|()| None),
            // It closed its end in the middle of a picture: how it ends says why.
            Err(Y4mError::Truncated(_)) => {
                let status = self.run.control.reap(self.run.id);
                Err(self.run.died(self.count, status))
            }
            Err(_) => {
                self.run.control.kill(self.run.id);
                Err(self.run.died(self.count, None))
            }
        }
    }

    fn finish(&mut self) -> Result<(), SourceError> {
        match self.run.control.reap(self.run.id) {
            Some(status) if !status.success() => Err(self.run.died(self.count, Some(status))),
            // Killed by us: that is an end as well.
            _ => Ok(()),
        }
    }
}

/// Asks ffprobe about a film; `feed` is what it finds on its stdin.
pub(super) fn probe(
    control: &Control,
    input: &OsStr,
    local: bool,
    name: &str,
    feed: &[u8],
) -> Result<Film, SourceError> {
    let program = child::find("ffprobe")?;
    let mut command = FfmpegCommand::new_with_path(program.as_os_str());
    command.args(["-hide_banner", "-loglevel", "error"]);
    if local {
        command.args(["-protocol_whitelist", LOCAL]);
    }
    command.args(["-of", "json", "-show_streams", "-show_format", "-i"]).arg(input);
    let patience = if local { PROBE_FILE } else { PROBE_ADDRESS };
    let question = Question { command, feed, input: &input.to_string_lossy(), name };
    let answer = control.ask(question, clock::now() + patience).map_err(SourceError::Start)?;
    let Some(Answer { succeeded, output, words }) = answer else {
        return Err(if control.stopped() { SourceError::Stopped } else { silent(local, name, patience) });
    };
    match probe::parse(&output) {
        Ok(film) => Ok(film),
        Err(NoFilm::Nothing) if !succeeded => Err(no_film(&words, local, name)),
        Err(_) => Err(SourceError::NoPicture(name.to_owned())),
    }
}

/// What ffmpeg's words mean when it opened nothing.
fn no_film(words: &Words, local: bool, name: &str) -> SourceError {
    let name = name.to_owned();
    match words.gist() {
        _ if local && words.point_elsewhere() => SourceError::Elsewhere(name),
        None => SourceError::NoPicture(name),
        Some(_) if words.say_empty() => SourceError::NoPicture(name),
        Some(why) if local => SourceError::NotFilm { name, why },
        Some(why) => SourceError::NotOpened { name, why },
    }
}

fn silent(local: bool, name: &str, patience: Duration) -> SourceError {
    let (name, seconds) = (name.to_owned(), patience.as_secs());
    if local { SourceError::NothingCame { name, seconds } } else { SourceError::NoAnswer { name, seconds } }
}

/// The size a film is shown at: square pixels, within 1920×1080 or `width` wide, its shape kept.
pub(super) fn fit(film: &Film, width: Option<u16>) -> Size {
    let (num, den) = (f64::from(film.aspect.0), f64::from(film.aspect.1));
    let own = (f64::from(film.width) * num / den, f64::from(film.height));
    let scale = match width {
        Some(width) => f64::from(width.max(1)) / own.0,
        None => (1920.0 / own.0).min(1080.0 / own.1).min(1.0),
    };
    let side = |length: f64| length.round().clamp(1.0, f64::from(LONGEST_SIDE)) as u16;
    let even = |length: f64| side((length / 2.0).round().max(1.0) * 2.0);
    match width {
        Some(width) => Size::new(width.clamp(1, LONGEST_SIDE), even(own.1 * scale)),
        None if scale < 1.0 => Size::new(even(own.0 * scale), even(own.1 * scale)),
        // Untouched, odd or not, unless its samples are not square.
        None if film.aspect.0 == film.aspect.1 => Size::new(side(own.0), side(own.1)),
        None => Size::new(even(own.0), side(own.1)),
    }
}

/// One line for people.
pub(super) fn describe(film: &Film, size: Size, rate: Rate) -> String {
    let mut line = format!("{} {}×{}", film.codec, film.width, film.height);
    if (film.width, film.height) != (size.width.into(), size.height.into()) {
        line.push_str(&format!(" → {size}"));
    }
    line.push_str(&format!(", {rate} fps"));
    if let Some(length) = film.length {
        line.push_str(&format!(", {:.1} s", length.as_secs_f64()));
    }
    line.push_str(if film.has_sound { ", with sound" } else { ", no sound" });
    line
}

/// What ten pictures said about how fast they come; see [`decide`].
pub(super) struct Decision {
    pub pace: Pace,
    pub held: Vec<Picture>,
    /// What ended the pictures meanwhile: those that are held come first.
    pub failed: Option<SourceError>,
}

impl Decision {
    pub fn new(pace: Pace, held: Vec<Picture>) -> Self {
        Self { pace, held, failed: None }
    }
}

/// Finds out whether a pipe brings a file or something live: from the first read that had to wait, ten pictures in
/// less than five intervals is a file. Pictures that lay in the pipe before say nothing. Holds what it reads.
pub(super) fn decide(
    rate: Rate,
    mut read: impl FnMut() -> Result<Option<(Picture, Option<Time>)>, SourceError>,
) -> Result<Decision, SourceError> {
    let (mut held, mut bytes, mut fresh) = (Vec::new(), 0, Vec::<Time>::new());
    loop {
        let (picture, first_wait) = match read() {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(Decision::new(Pace::File, held)),
            Err(error) if held.is_empty() => return Err(error),
            Err(error) => return Ok(Decision { failed: Some(error), ..Decision::new(Pace::File, held) }),
        };
        bytes += Picture::bytes(picture.size);
        if fresh.is_empty() && first_wait.is_none() && bytes <= PIPE_BACKLOG {
            held.push(picture);
            continue;
        }
        fresh.push(picture.captured);
        held.push(picture);
        let elapsed = clock::now().since(fresh[0]);
        let limit = rate.at(5);
        if elapsed >= limit {
            return Ok(Decision::new(Pace::Live, held));
        }
        if fresh.len() >= 10 || bytes >= HELD {
            // Too large to hold ten: judge by those there are, at the same speed.
            let live = elapsed.saturating_mul(10) >= limit.saturating_mul(fresh.len() as u32);
            return Ok(Decision::new(if live { Pace::Live } else { Pace::File }, held));
        }
    }
}

fn swscale_input(film: &Film) -> String {
    let matrix = match film.matrix {
        Matrix::Bt601 => "bt601",
        Matrix::Bt709 => "bt709",
        Matrix::Smpte240m => "smpte240m",
        Matrix::Bt2020 => "bt2020",
        Matrix::Other => return String::new(),
    };
    format!(":in_color_matrix={matrix}:in_range={}", if film.full_range { "full" } else { "limited" })
}

/// Pixels a second of 1080p at 30 fps; one thread decodes ordinary H.264 at five times that and more.
const LIGHT: f64 = 64e6;
/// A dead address must not hold anybody up; ffprobe itself looks at a live one for five seconds.
const PROBE_ADDRESS: Duration = Duration::from_secs(10);
/// A disc that sleeps wakes in less, and so does a machine that is busy.
const PROBE_FILE: Duration = Duration::from_secs(30);
/// A camera begins with its next whole picture, which may be ten seconds away.
pub(super) const FIRST_PICTURE: Duration = Duration::from_secs(30);
/// A playlist that came as a file must not make us fetch things from the network.
const LOCAL: &str = "file,pipe,crypto,data";
/// The most an unprivileged process may ask for.
const PIPE: usize = 1 << 20;
/// A Linux pipe as it comes holds 64 kB; twice that, to be sure, may have waited for us.
const PIPE_BACKLOG: usize = 128 << 10;
/// The most that is held back before the pace is known.
const HELD: usize = 48 << 20;
/// As long as a side of a YUV4MPEG2 picture may be.
const LONGEST_SIDE: u16 = 16_384;

//! Sound without pictures: one run of ffmpeg that writes nothing else, and [`listen`], which hands its frames over as they
//! are decoded.

use std::thread::JoinHandle;
use std::time::Duration;

use super::backlog::{Block, Surplus};
use super::heard::Heard;
use super::pass::FIRST_PICTURE;
use super::run::{Run, named};
use super::sound::{self, SoundPlan};
use super::{Guard, Input, SoundOptions, SourceError, Stopper, file};
use crate::clock;
use crate::ffmpeg::{self, Control, Pipes, Process, Reading, Tap};
use crate::media::sound::{Frame, RATE};

/// One run of ffmpeg for sound alone.
pub(super) struct SoundPass {
    run: Run,
    /// After the run, which must be dead before its sound ends.
    heard: Heard,
    first: Option<Block>,
    frames: u64,
}

impl SoundPass {
    /// Starts ffmpeg and waits for its first sound, no longer than `patience`. With `feed` that is copied to its stdin, by
    /// the thread that comes back too.
    pub fn open(
        reading: &Reading,
        plan: &SoundPlan,
        control: &Control,
        feed: Option<Tap>,
        patience: Duration,
    ) -> Result<(Self, Option<JoinHandle<()>>), SourceError> {
        let mut command = ffmpeg::ffmpeg()?;
        reading.input(&mut command, &[]);
        plan.output(&mut command, 0, STDOUT);
        let (process, Pipes { stdin, stdout }) = Process::start(control, &mut command, named(reading))?;
        let mut run = Run::new(process, reading.local);
        let feeding = stdin.zip(feed).map(|(stdin, feed)| ffmpeg::feed(stdin, feed)).transpose()?;
        if !stdout.ready(clock::now() + patience) && !control.stopped() {
            return Err(run.silent(patience));
        }
        let heard = Heard::of(stdout, Surplus::Wait, plan.mono()).map_err(SourceError::Start)?;
        let Some(first) = heard.next() else { return Err(run.no_start()) };
        Ok((Self { run, heard, first: Some(first), frames: 0 }, feeding))
    }

    /// The next sound; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Block>, SourceError> {
        let Some(block) = self.first.take().or_else(|| self.heard.next()) else {
            let done = format!("{:.1} s of sound", self.frames as f64 / f64::from(RATE));
            return self.run.finish(&done).map(|()| None);
        };
        self.frames += block.frames.len() as u64;
        Ok(Some(block))
    }
}

/// The sound of a file or an address, from its first frame to its last.
pub struct Listening {
    pass: SoundPass,
    length: Option<Duration>,
    details: String,
    _guard: Guard,
}

/// Opens the sound of `input`; the frames are those that `ffmpeg -i INPUT -ac 2 -ar 44100` decodes.
pub fn listen(input: &Input, options: SoundOptions, stopper: &Stopper) -> Result<Listening, SourceError> {
    if !matches!(input, Input::File(_) | Input::Url(_)) {
        return Err(SourceError::NothingToTake(input.name()));
    }
    let guard = Guard { control: stopper.0.clone(), threads: Vec::new(), news: None };
    let (reading, mut found) = file::look(input, &guard.control)?;
    let length = found.length;
    // Its own time is all that counts.
    found.film = None;
    let plan = SoundPlan::choose(&found, Some(options), &reading.name)?;
    let plan = plan.ok_or_else(|| SourceError::NoSound(reading.name.clone()))?;
    let (pass, _) = SoundPass::open(&reading, &plan, &guard.control, None, FIRST_PICTURE)?;
    let details = sound::describe(&found, Some(&plan));
    Ok(Listening { pass, length, details, _guard: guard })
}

impl Listening {
    /// Of the whole file, where it says so.
    pub fn length(&self) -> Option<Duration> {
        self.length
    }

    /// One line for people: codec, rate, channels.
    pub fn details(&self) -> &str {
        &self.details
    }

    /// The next frames; waits for them. `None` at the end, and when it was stopped.
    pub fn next_frames(&mut self) -> Result<Option<Vec<Frame>>, SourceError> {
        Ok(self.pass.next()?.map(|block| block.frames))
    }
}

/// ffmpeg's own.
const STDOUT: i32 = 1;

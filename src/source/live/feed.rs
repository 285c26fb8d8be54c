//! One run of ffmpeg that hands on what a device gives, packet after packet with its stamp; and what it says when it ends.

use std::io::{self, Read};
use std::time::Duration;

use super::trouble::{DeviceKind, Trouble};
use crate::clock;
use crate::ffmpeg::{self, Control, Named, Pipes, Process, Tap};
use crate::media::nut::{NutError, Reader, Stream};
use crate::source::SourceError;
use crate::units::{Rate, Time};

/// What a device is called.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// By people.
    pub name: String,
    /// By ffmpeg.
    pub address: String,
    pub kind: DeviceKind,
}

impl Who {
    pub fn trouble(&self, trouble: Trouble) -> SourceError {
        SourceError::Device { name: self.name.clone(), trouble }
    }
}

/// A child that has said nothing yet; dropping it ends it.
pub(super) struct Starting {
    tap: Tap,
    run: Run,
}

/// A child that gives packets; dropping it ends it.
pub(super) struct Feed {
    reader: Reader<Patient>,
    run: Run,
}

struct Run {
    process: Process,
    who: Who,
}

/// A pipe that is not waited for longer than until then.
struct Patient {
    tap: Tap,
    until: Time,
}

impl Starting {
    pub fn new(arguments: &[String], who: &Who, control: &Control) -> Result<Self, SourceError> {
        let mut command = ffmpeg::ffmpeg()?;
        command.args(arguments);
        let named = Named { input: who.address.clone(), name: who.name.clone() };
        let (process, Pipes { stdout, .. }) = Process::start_on_time(control, &mut command, named)?;
        // A whole picture at once, where that is allowed.
        stdout.widen(PIPE);
        Ok(Self { tap: stdout, run: Run { process, who: who.clone() } })
    }

    /// Whether it has said something, or ended, before `until`.
    pub fn ready(&self, until: Time) -> bool {
        self.tap.ready(until)
    }

    /// Waits for the beginning of the first packet, no longer than `patience`.
    pub fn open(mut self, patience: Duration) -> Result<Feed, SourceError> {
        match Reader::new(Patient { tap: self.tap, until: clock::now() + patience }) {
            Ok(reader) => Ok(Feed { reader, run: self.run }),
            Err(error) => Err(self.run.failed(&error, patience, false)),
        }
    }
}

impl Feed {
    pub fn stream(&self) -> &Stream {
        self.reader.stream()
    }

    pub fn rate(&self) -> Option<Rate> {
        self.reader.rate()
    }

    pub fn who(&self) -> &Who {
        &self.run.who
    }

    /// Whether there is more, or an end, before `until`.
    pub fn ready(&self, until: Time) -> bool {
        self.reader.has_more() || self.reader.input().tap.ready(until)
    }

    /// The next packet in place of what `body` held, and its stamp; waits no longer than `patience`.
    pub fn next(&mut self, body: &mut Vec<u8>, patience: Duration) -> Result<i64, SourceError> {
        self.reader.input_mut().until = clock::now() + patience;
        match self.reader.next(body) {
            Ok(Some(stamp)) => Ok(stamp),
            Ok(None) => Err(self.run.failed(&NutError::Read(io::ErrorKind::UnexpectedEof.into()), patience, true)),
            Err(error) => Err(self.run.failed(&error, patience, true)),
        }
    }
}

impl Run {
    fn failed(&mut self, error: &NutError, patience: Duration, opened: bool) -> SourceError {
        self.process.kill();
        if self.process.control().stopped() {
            return SourceError::Stopped;
        }
        let silent = matches!(error, NutError::Read(error) if error.kind() == io::ErrorKind::TimedOut);
        self.who.trouble(if silent {
            Trouble::Silent(patience.as_secs())
        } else {
            Trouble::of(&self.process.words(), self.who.kind, opened)
        })
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.tap.ready(self.until) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.tap.read(buffer)
    }
}

/// A list that ffmpeg writes to stderr when it is asked for one; it then ends with an error, which is no failure.
pub(super) fn ask(arguments: &[String], control: &Control) -> Result<String, SourceError> {
    let mut command = ffmpeg::ffmpeg()?;
    // The later level counts.
    command.args(["-loglevel", "info"]).args(arguments);
    control.list(&mut command, clock::now() + ANSWER).map_err(SourceError::Start)
}

/// The most an unprivileged process may ask for.
const PIPE: usize = 1 << 20;
/// A camera that sleeps wakes in less.
const ANSWER: Duration = Duration::from_secs(5);

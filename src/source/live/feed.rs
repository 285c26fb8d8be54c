//! One run of ffmpeg that hands on what a device gives, packet after packet with its stamp; and what it says when it ends.

use std::io::{self, Read};
use std::time::Duration;

use super::trouble::{Kind, Trouble};
use crate::clock;
use crate::media::nut::{NutError, Reader, Stream};
use crate::source::SourceError;
use crate::source::child::{self, Control, Started, Tap};
use crate::source::plan::quiet;
use crate::source::tail::Tail;
use crate::units::{Rate, Time};

/// What a device is called.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// By people.
    pub name: String,
    /// By ffmpeg.
    pub address: String,
    pub kind: Kind,
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
    id: u32,
    stderr: Tail,
    control: Control,
    who: Who,
}

/// A pipe that is not waited for longer than until then.
struct Patient {
    tap: Tap,
    until: Time,
}

impl Starting {
    pub fn new(arguments: &[String], who: &Who, control: &Control) -> Result<Self, SourceError> {
        let program = child::find("ffmpeg")?;
        let mut command = quiet(program.as_os_str());
        command.args(arguments);
        let Started { id, stdout, stderr, .. } = control.start_on_time(&mut command).map_err(SourceError::Start)?;
        // A whole picture in one go, where that is allowed.
        rustix::pipe::fcntl_setpipe_size(&stdout, PIPE).ok();
        let stderr = Tail::of(stderr).map_err(SourceError::Start).inspect_err(|_| control.kill(id))?;
        let run = Run { id, stderr, control: control.clone(), who: who.clone() };
        Ok(Self { tap: Tap::new(stdout, control), run })
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
        self.control.kill(self.id);
        if self.control.stopped() {
            return SourceError::Stopped;
        }
        let silent = matches!(error, NutError::Read(error) if error.kind() == io::ErrorKind::TimedOut);
        self.who.trouble(if silent {
            Trouble::Silent(patience.as_secs())
        } else {
            let Who { name, address, kind } = &self.who;
            Trouble::of(&self.stderr.finish(address, name), *kind, opened)
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.control.kill(self.id);
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

/// What ffmpeg says of itself on stderr when it is asked for a list; it then ends with an error, which is no failure.
pub(super) fn ask(arguments: &[String], control: &Control) -> Result<String, SourceError> {
    let program = child::find("ffmpeg")?;
    let mut command = ffmpeg_sidecar::command::FfmpegCommand::new_with_path(program.as_os_str());
    command.args(["-hide_banner", "-nostdin", "-loglevel", "info"]).args(arguments);
    let Started { id, stdout, stderr, .. } = control.start(&mut command).map_err(SourceError::Start)?;
    let said = Tap::new(stderr, control).read_until(clock::now() + ANSWER);
    drop(stdout);
    control.kill(id);
    Ok(String::from_utf8_lossy(&said.unwrap_or_default()).into_owned())
}

/// The most an unprivileged process may ask for.
const PIPE: usize = 1 << 20;
/// A camera that sleeps wakes in less.
const ANSWER: Duration = Duration::from_secs(5);

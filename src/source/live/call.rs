//! One connection to an address whose sender may serve a single caller, or call a single time: `srt:` and `tcp:`. One run
//! of ffmpeg reads it and touches nothing; what came first is looked at, and then all of it is decoded by another.

use std::ffi::OsStr;
use std::io::Read;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock;
use crate::source::SourceError;
use crate::source::backlog::Surplus;
use crate::source::child::{self, Control, Started, Tap};
use crate::source::ffmpeg::{self, FIRST_PICTURE, PROBE_ADDRESS, Pass};
use crate::source::plan::{Plan, Reading, quiet};
use crate::source::probe::Found;
use crate::source::tail::Tail;
use crate::units::Time;

/// Whether all that comes from there is one run of bytes without an end, and another connection may not be had.
pub(in crate::source) fn is_due(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| ["srt", "tcp"].iter().any(|one| scheme.eq_ignore_ascii_case(one)))
}

/// Whether it is the sender who calls. That may take as long as it likes.
fn is_called(url: &str) -> bool {
    let options = url.split_once('?').map_or("", |(_, options)| options);
    options.split('&').any(|option| matches!(option, "mode=listener" | "listen" | "listen=1"))
}

/// A connection that has been answered, and nothing that came is lost.
pub(in crate::source) struct Call {
    line: Line,
    tap: Tap,
}

/// The run of ffmpeg that holds the connection; dropping it ends it.
struct Line {
    id: u32,
    stderr: Tail,
    control: Control,
    address: String,
    name: String,
}

/// A connection that is being decoded; dropping it ends it, so drop what decodes before.
pub(super) struct Fed {
    line: Line,
    thread: Option<JoinHandle<()>>,
}

impl Call {
    /// Connects to `url`, which is called `name`, and finds out what comes.
    pub fn new(url: &str, name: &str, control: &Control) -> Result<(Self, Found), SourceError> {
        let program = child::find("ffmpeg")?;
        let mut command = quiet(program.as_os_str());
        command.args([
            "-f",
            "data",
            "-i",
            url,
            "-map",
            "0",
            "-c",
            "copy",
            "-flush_packets",
            "1",
            "-f",
            "data",
            "pipe:1",
        ]);
        let Started { id, stdout, stderr, .. } = control.start_on_time(&mut command).map_err(SourceError::Start)?;
        let stderr = Tail::of(stderr).map_err(SourceError::Start).inspect_err(|_| control.kill(id))?;
        let (address, name) = (url.to_owned(), name.to_owned());
        let line = Line { id, stderr, control: control.clone(), address, name };
        let mut call = Self { line, tap: Tap::new(stdout, control) };
        let found = call.listen()?;
        Ok((call, found))
    }

    /// How ffmpeg reads what comes.
    pub fn reading(&self) -> Reading {
        let name = self.line.name.clone();
        Reading { address: PIPE.into(), local: false, paced: false, live: true, twice: false, name }
    }

    /// Reads until it is known what comes, and puts that back.
    fn listen(&mut self) -> Result<Found, SourceError> {
        let patient = if is_called(&self.line.address) { Time::NEVER } else { clock::now() + PROBE_ADDRESS };
        if !self.tap.ready(patient) && !self.line.control.stopped() {
            return Err(ffmpeg::silent(false, &self.line.name, PROBE_ADDRESS));
        }
        let (began, mut step, mut bytes) = (clock::now(), STEP, Vec::new());
        let until = began + FIRST_PICTURE;
        loop {
            let open = gather(&mut self.tap, &mut bytes, until.min(clock::now() + step));
            if bytes.is_empty() || self.line.control.stopped() {
                return Err(self.line.no_answer());
            }
            let last = !open || bytes.len() >= MOST || clock::now() >= until;
            let patient = clock::now() < began + PROBE_ADDRESS;
            match ffmpeg::probe_bytes(&self.line.control, OsStr::new(PIPE), &self.line.name, &bytes) {
                Err(error) if last || error.is_final() => return Err(error),
                // Before the first whole picture a broadcast looks like sound alone.
                Ok(found) if last || found.settled || (found.film.is_some() && !patient) => {
                    self.tap.put_back(bytes);
                    return Ok(endless(found));
                }
                _ => step = (step * 2).min(LONGEST_STEP),
            }
        }
    }

    /// Starts what decodes it, and waits for the first picture.
    pub(super) fn open(self, plan: &Plan) -> Result<(Pass, Fed), SourceError> {
        let mut child = plan.spawn(&self.line.control, Surplus::LeaveOut)?;
        let thread = child.feed(self.tap)?;
        let fed = Fed { line: self.line, thread };
        Ok((child.open(FIRST_PICTURE)?, fed))
    }
}

/// Reads until then; `false` if it came to an end before.
fn gather(tap: &mut Tap, bytes: &mut Vec<u8>, until: Time) -> bool {
    let mut block = vec![0; 64 << 10];
    while bytes.len() < MOST && tap.ready(until) {
        match tap.read(&mut block) {
            Ok(count @ 1..) => bytes.extend_from_slice(&block[..count]),
            _ => return false,
        }
    }
    true
}

/// What was cut off has no length.
fn endless(mut found: Found) -> Found {
    found.length = None;
    if let Some(film) = &mut found.film {
        film.length = None;
        film.pictures = None;
    }
    found
}

impl Line {
    fn no_answer(&mut self) -> SourceError {
        self.control.kill(self.id);
        if self.control.stopped() {
            return SourceError::Stopped;
        }
        ffmpeg::no_film(&self.stderr.finish(&self.address, &self.name), false, &self.name)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.control.kill(self.id);
    }
}

impl Fed {
    /// Why nothing comes any more, if ffmpeg says so.
    pub fn why(&mut self) -> Option<String> {
        let Line { id, stderr, control, address, name } = &mut self.line;
        control.kill(*id);
        stderr.finish(address, name).gist()
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        self.line.control.kill(self.line.id);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

const PIPE: &str = "pipe:0";
/// How soon what has come is looked at, and then less and less often: the next whole picture may be many seconds away.
const STEP: Duration = Duration::from_millis(500);
const LONGEST_STEP: Duration = Duration::from_secs(4);
/// Thirteen seconds of 40 Mb/s.
const MOST: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_runs_of_bytes_are_one_connection() {
        for (url, due) in [
            ("srt://host:1?mode=listener", true),
            ("TCP://0.0.0.0:1?listen", true),
            ("udp://host:1", false),
            ("http://host/tcp://", false),
            ("rtsp://host/", false),
        ] {
            assert_eq!(is_due(url), due, "{url}");
        }
        for (url, called) in [
            ("srt://host:1?latency=1&mode=listener", true),
            ("tcp://0.0.0.0:1?listen", true),
            ("tcp://host:1?listen_timeout=5", false),
            ("tcp://listen:1", false),
        ] {
            assert_eq!(is_called(url), called, "{url}");
        }
    }
}

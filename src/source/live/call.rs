//! One connection to an address whose sender may serve a single caller, or call a single time: `srt:` and `tcp:`. One run
//! of ffmpeg reads it and touches nothing; what came first is looked at, and then all of it is decoded by another.

use std::io::Read;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock;
use crate::ffmpeg::{self, Control, Named, Pipes, Process, Reading, Tap};
use crate::source::SourceError;
use crate::source::backlog::Surplus;
use crate::source::pass::{FIRST_PICTURE, Pass};
use crate::source::plan::Plan;
use crate::source::probe::{self, Found, PROBE_ADDRESS};
use crate::source::run::{no_film, silent};
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
    /// The run of ffmpeg that holds the connection.
    line: Process,
    tap: Tap,
}

/// A connection that is being decoded; dropping it ends it, so drop what decodes before.
pub(super) struct Fed {
    line: Process,
    thread: Option<JoinHandle<()>>,
}

impl Call {
    /// Connects to `url`, which is called `name`, and finds out what comes.
    pub fn new(url: &str, name: &str, control: &Control) -> Result<(Self, Found), SourceError> {
        let mut command = ffmpeg::ffmpeg()?;
        command.args(["-f", "data", "-i", url]);
        command.args("-map 0 -c copy -flush_packets 1 -f data pipe:1".split(' '));
        let named = Named { input: url.to_owned(), name: name.to_owned() };
        let (line, Pipes { stdout, .. }) = Process::start_on_time(control, &mut command, named)?;
        let mut call = Self { line, tap: stdout };
        let found = call.listen()?;
        Ok((call, found))
    }

    /// How ffmpeg reads what comes.
    pub fn reading(&self) -> Reading {
        Reading::fed(&self.line.named().name, false, true)
    }

    /// Reads until it is known what comes, and puts that back.
    fn listen(&mut self) -> Result<Found, SourceError> {
        let patient = if is_called(&self.line.named().input) { Time::NEVER } else { clock::now() + PROBE_ADDRESS };
        if !self.tap.ready(patient) && !self.line.control().stopped() {
            return Err(silent(false, &self.line.named().name, PROBE_ADDRESS));
        }
        let (began, mut step, mut bytes) = (clock::now(), STEP, Vec::new());
        let until = began + FIRST_PICTURE;
        loop {
            let open = gather(&mut self.tap, &mut bytes, until.min(clock::now() + step));
            if bytes.is_empty() || self.line.control().stopped() {
                return Err(self.no_answer());
            }
            let last = !open || bytes.len() >= MOST || clock::now() >= until;
            let patient = clock::now() < began + PROBE_ADDRESS;
            match probe::probe_bytes(self.line.control(), &self.reading(), &bytes) {
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

    /// Why nothing came.
    fn no_answer(&mut self) -> SourceError {
        self.line.kill();
        if self.line.control().stopped() {
            return SourceError::Stopped;
        }
        no_film(&self.line.words(), false, &self.line.named().name)
    }

    /// Starts what decodes it, and waits for the first picture.
    pub(super) fn open(self, plan: &Plan) -> Result<(Pass, Fed), SourceError> {
        let mut child = plan.spawn(self.line.control(), Surplus::LeaveOut)?;
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

impl Fed {
    /// Why nothing comes any more, if ffmpeg says so.
    pub fn why(&mut self) -> Option<String> {
        self.line.kill();
        self.line.words().gist()
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        self.line.kill();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

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

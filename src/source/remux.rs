//! The other way round: a film in Matroska goes into ffmpeg, which puts it into another kind of file without touching a
//! picture. Whatever ends this program, ffmpeg finds the end of its pipe and finishes the file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ChildStdin;
use std::time::Duration;

use ffmpeg_sidecar::command::FfmpegCommand;

use super::SourceError;
use super::child::{self, Control, Started, Tap};
use super::tail::Tail;
use crate::clock;
use crate::units::Rate;

/// A kind of file that ffmpeg is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// In fragments, so that it can be played wherever it was cut off; sound is ALAC, which loses nothing.
    Mp4,
    /// Sound is PCM.
    Avi,
}

impl Container {
    /// AVI knows no times, only a rate, and ffmpeg would take twice the true one.
    fn arguments(self, rate: Rate) -> Vec<String> {
        let fragments = "-movflags +empty_moov+default_base_moof -frag_duration 1000000";
        let words = match self {
            Self::Mp4 => format!("-c:v copy -c:a alac {fragments} -f mp4"),
            Self::Avi => format!("-c copy -r {}/{} -f avi", rate.num(), rate.den()),
        };
        words.split(' ').map(str::to_owned).collect()
    }
}

/// A running ffmpeg. Dropped before [`Remux::finish`] it is killed, and the file stays as it is.
pub struct Remux {
    path: PathBuf,
    control: Control,
    id: u32,
    stdin: Option<ChildStdin>,
    output: Tap,
    stderr: Tail,
}

impl Remux {
    /// Whether there is an ffmpeg to start.
    pub fn check() -> Result<(), SourceError> {
        child::find("ffmpeg").map(drop)
    }

    /// Starts ffmpeg, which writes over the file at `path`.
    pub fn start(path: &Path, container: Container, rate: Rate) -> Result<Self, SourceError> {
        let control = Control::new().map_err(SourceError::Start)?;
        let mut command = FfmpegCommand::new_with_path(child::find("ffmpeg")?);
        command.args(["-hide_banner", "-nostats", "-loglevel", "error", "-y"]);
        // All there is to know stands in the header, so it need not look far ahead.
        command.args(["-analyzeduration", "0", "-fpsprobesize", "0", "-f", "matroska", "-i", "pipe:0", "-map", "0"]);
        command.args(container.arguments(rate)).arg(named(path));
        let Started { id, stdin, stdout, stderr } = control.start(&mut command).map_err(SourceError::Start)?;
        let stderr = Tail::of(stderr).map_err(SourceError::Start).inspect_err(|_| control.kill(id))?;
        Ok(Self { path: path.to_owned(), output: Tap::new(stdout, &control), control, id, stdin, stderr })
    }

    /// Ends the film and waits until ffmpeg has written the file; `Err` has what it says of its failure.
    pub fn finish(mut self) -> Result<(), String> {
        drop(self.stdin.take());
        // It says nothing there; when it ends, so does its output.
        let ended = self.output.read_until(clock::now() + PATIENCE).is_some();
        if !ended {
            self.control.kill(self.id);
        }
        let status = self.control.reap(self.id);
        let name = self.path.display().to_string();
        let words = self.stderr.finish(&named(&self.path).to_string_lossy(), &name);
        match status {
            Some(status) if status.success() => Ok(()),
            _ if !ended => Err(format!("ffmpeg did not finish within {} s", PATIENCE.as_secs())),
            _ => Err(words.gist().unwrap_or_else(|| "ffmpeg ended without a word".to_owned())),
        }
    }
}

impl Write for Remux {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stdin.as_mut().map_or(Err(io::ErrorKind::BrokenPipe.into()), |stdin| stdin.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Remux {
    fn drop(&mut self) {
        self.control.stop();
    }
}

/// A name that ffmpeg takes for no option and no protocol.
fn named(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from("file:");
    name.push(path);
    name.into()
}

/// The rest of a film that is written as it comes takes less.
const PATIENCE: Duration = Duration::from_secs(10);

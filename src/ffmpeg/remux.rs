//! ffmpeg as a writer: a film in Matroska goes into it, and ffmpeg puts it into another kind of file without touching a
//! picture. However this program ends, ffmpeg reaches the end of its pipe and finishes the file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ChildStdin;
use std::time::Duration;

use super::{Control, FED, FfmpegError, Named, Pipes, Process, Tap, ffmpeg, find};
use crate::clock;
use crate::units::Rate;

/// A kind of file that ffmpeg is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// In fragments, so that it can be played wherever it was cut off; sound is ALAC, which loses nothing. Of lines of text
    /// that overlap, each takes the place of the one before.
    Mp4,
    /// Sound is PCM. There is no room for text.
    Avi,
}

impl Container {
    /// AVI knows no times, only a rate, and ffmpeg would take twice the true one.
    fn arguments(self, rate: Rate, has_text: bool) -> Vec<String> {
        let fragments = "-movflags +empty_moov+default_base_moof -frag_duration 1000000";
        let text = if has_text {
            format!("-c:s mov_text -max_interleave_delta {} ", APART.as_micros())
        } else {
            String::new()
        };
        let words = match self {
            Self::Mp4 => format!("-c:v copy -c:a alac {text}{fragments} -f mp4"),
            Self::Avi => format!("-c copy -sn -r {}/{} -f avi", rate.num(), rate.den()),
        };
        words.split(' ').map(str::to_owned).collect()
    }
}

/// A running ffmpeg that writes a file. Dropped before [`Remux::finish`] it is killed, and the file stays as it is.
pub struct Remux {
    process: Process,
    stdin: Option<ChildStdin>,
    output: Tap,
}

impl Remux {
    /// Whether there is an ffmpeg to start.
    pub fn check() -> Result<(), FfmpegError> {
        find("ffmpeg").map(drop)
    }

    /// Starts ffmpeg, which writes over the file at `path`; `has_text` says whether there is a track of text.
    pub fn start(path: &Path, container: Container, rate: Rate, has_text: bool) -> Result<Self, FfmpegError> {
        let mut command = ffmpeg()?;
        // The header says everything about the tracks, so ffmpeg need not look far ahead.
        command.args(["-y", "-analyzeduration", "0", "-fpsprobesize", "0", "-f", "matroska", "-i", FED, "-map", "0"]);
        command.args(container.arguments(rate, has_text)).arg(named(path));
        let named = Named { input: named(path).to_string_lossy().into_owned(), name: path.display().to_string() };
        let (process, Pipes { stdin, stdout }) = Process::start(&Control::new()?, &mut command, named)?;
        Ok(Self { process, stdin, output: stdout })
    }

    /// Ends the film and waits until ffmpeg has written the file; `Err` has what it says of its failure.
    pub fn finish(mut self) -> Result<(), String> {
        drop(self.stdin.take());
        // It writes nothing to its output, which ends when ffmpeg does.
        let ended = self.output.read_until(clock::now() + PATIENCE).is_some();
        if !ended {
            self.process.kill();
        }
        let status = self.process.wait();
        let words = self.process.words();
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

/// A name that ffmpeg takes for no option and no protocol.
fn named(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from("file:");
    name.push(path);
    name.into()
}

/// How far tracks may be apart before ffmpeg writes what it has. It holds back all of them until each has a packet, and
/// often nobody talks; pictures and sound are fed at most a second apart.
const APART: Duration = Duration::from_secs(1);
/// The rest of a film that is written as it comes takes less.
const PATIENCE: Duration = Duration::from_secs(10);

//! ffmpeg and ffprobe as programs: found, started, asked, listened to and ended. What they are told to do with a film is
//! the business of `source`, which reads from them, and of `record`, which writes to them.
//!
//! [`Control`] owns the children, [`Process`] is one of them, [`Tap`] is a pipe from one, [`Words`] are what one said.

mod address;
mod command;
mod control;
mod process;
mod remux;
mod tap;
mod words;

use std::env;
use std::io;
use std::path::PathBuf;

pub use ffmpeg_sidecar::command::FfmpegCommand;
use rustix::fs::Access;

pub use self::address::public_part;
pub use self::address::without_user;
pub use self::command::{FED, Reading, ffmpeg, ffprobe, quiet};
pub use self::control::{Answer, Control, Question, speak_plainly};
pub use self::process::{Named, Pipes, Process, feed};
pub use self::remux::{Container, Remux};
pub use self::tap::Tap;
pub use self::words::Words;

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FfmpegError {
    #[error("{program} is not installed or not on the PATH; install it, for example with `sudo apt install ffmpeg`")]
    NotInstalled { program: &'static str },
    #[error("ffmpeg could not be started ({0}); close some programs and try again")]
    Start(#[from] io::Error),
}

/// The program `name` on PATH. It is started by its whole path, so that one beside our own binary never wins.
pub fn find(name: &'static str) -> Result<PathBuf, FfmpegError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let runs = |file: &PathBuf| file.is_file() && rustix::fs::access(file, Access::EXEC_OK).is_ok();
    let mut files = env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    files.find(runs).ok_or(FfmpegError::NotInstalled { program: name })
}

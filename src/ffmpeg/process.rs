//! One running ffmpeg: its pipes, what it says, and how it ended.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{ChildStdin, ExitStatus};
use std::thread::{Builder, JoinHandle};

use super::control::Started;
use super::words::Tail;
use super::{Control, FfmpegCommand, FfmpegError, Tap, Words};

/// The two names of an input.
#[derive(Clone, Debug)]
pub struct Named {
    /// As ffmpeg knows it; it may hold a password.
    pub input: String,
    /// As people know it.
    pub name: String,
}

/// A running ffmpeg; dropping it ends it.
pub struct Process {
    id: u32,
    control: Control,
    stderr: Tail,
    named: Named,
}

/// Our ends of its pipes.
pub struct Pipes {
    /// Where a stdin was asked for.
    pub stdin: Option<ChildStdin>,
    pub stdout: Tap,
}

impl Process {
    /// Starts a niced child, in a process group of its own: Ctrl-C in a terminal is meant for us, and a child that it ended
    /// as well would look like one that failed.
    pub fn start(control: &Control, command: &mut FfmpegCommand, named: Named) -> Result<(Self, Pipes), FfmpegError> {
        Self::start_with(control, command, named, Vec::new())
    }

    /// The same for a child that inherits files, under the numbers that they have here.
    pub fn start_with(
        control: &Control,
        command: &mut FfmpegCommand,
        named: Named,
        inherited: Vec<OwnedFd>,
    ) -> Result<(Self, Pipes), FfmpegError> {
        Self::of(control, control.start(command, inherited, true)?, named)
    }

    /// The same for a child that only passes on what a device gives: it needs little processor time, and needs it at once,
    /// so it is not niced.
    pub fn start_on_time(
        control: &Control,
        command: &mut FfmpegCommand,
        named: Named,
    ) -> Result<(Self, Pipes), FfmpegError> {
        Self::of(control, control.start(command, Vec::new(), false)?, named)
    }

    fn of(control: &Control, started: Started, named: Named) -> Result<(Self, Pipes), FfmpegError> {
        let Started { id, stdin, stdout, stderr } = started;
        let stderr = Tail::of(stderr).inspect_err(|_| control.kill(id))?;
        let pipes = Pipes { stdin, stdout: Tap::new(stdout, control) };
        Ok((Self { id, control: control.clone(), stderr, named }, pipes))
    }

    pub fn named(&self) -> &Named {
        &self.named
    }

    pub const fn control(&self) -> &Control {
        &self.control
    }

    /// Ends it at once.
    pub fn kill(&self) {
        self.control.kill(self.id);
    }

    /// Waits until it has ended; `None` if it was killed by us.
    pub fn wait(&self) -> Option<ExitStatus> {
        self.control.reap(self.id)
    }

    /// What it said last. Waits for its end.
    pub fn words(&mut self) -> Words {
        self.stderr.finish(&self.named.input, &self.named.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Copies `input` to ffmpeg on a thread of its own until either side ends.
pub fn feed(mut stdin: ChildStdin, mut input: Tap) -> Result<JoinHandle<()>, FfmpegError> {
    let copy = move || {
        let mut block = vec![0; 64 << 10];
        while let Ok(count @ 1..) = input.read(&mut block) {
            if stdin.write_all(&block[..count]).is_err() {
                break;
            }
        }
    };
    Ok(Builder::new().name("ffmpeg stdin".into()).spawn(copy)?)
}

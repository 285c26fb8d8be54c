//! Child processes: started niced and in a group of their own, killed and reaped when their source stops, their processor
//! time counted also after they have ended.

use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use ffmpeg_sidecar::command::FfmpegCommand;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, WaitId, WaitIdOptions, setpriority_process, waitid};

use super::words::Tail;
use super::{Tap, Words};
use crate::clock;
use crate::units::Time;

/// Removes the variables that make ffmpeg and ffprobe colour their messages or write a report: we quote their messages.
pub fn speak_plainly(command: &mut Command) -> &mut Command {
    for name in LOUD {
        command.env_remove(name);
    }
    command
}

/// A child that a [`Control`] owns, and our ends of its pipes.
pub(super) struct Started {
    pub id: u32,
    pub stdin: Option<ChildStdin>,
    pub stdout: ChildStdout,
    pub stderr: ChildStderr,
}

/// What a program wrote before it ended.
pub struct Answer {
    pub succeeded: bool,
    pub output: Vec<u8>,
    pub words: Words,
}

/// What a program is asked: `feed` is what it finds on its stdin, `name` what its `input` is called in messages.
pub struct Question<'a> {
    pub command: FfmpegCommand,
    pub feed: &'a [u8],
    pub input: &'a str,
    pub name: &'a str,
}

/// All child processes of one source, and the one way to end them. Clones share them.
#[derive(Clone)]
pub struct Control {
    children: Arc<Mutex<Children>>,
    /// Readable for ever once stopped, so that every wait can include it.
    wake: Arc<OwnedFd>,
}

#[derive(Default)]
struct Children {
    stopping: bool,
    running: Vec<Child>,
    /// Processor seconds of the children that have ended.
    spent: f64,
}

impl Control {
    pub fn new() -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { children: Arc::default(), wake: Arc::new(wake) })
    }

    /// Starts a child in a process group of its own. It inherits `inherited` under the numbers that the files have here.
    pub(super) fn start(
        &self,
        command: &mut FfmpegCommand,
        inherited: Vec<OwnedFd>,
        niced: bool,
    ) -> io::Result<Started> {
        // Not by `FfmpegCommand::spawn`, which adds an argument that ffprobe refuses.
        let command = speak_plainly(command.as_inner_mut()).process_group(0);
        let mut child = inheriting(inherited, || command.spawn())?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let id = self.own(child, niced);
        match (stdout, stderr) {
            (Some(stdout), Some(stderr)) => Ok(Started { id, stdin, stdout, stderr }),
            _ => {
                self.kill(id);
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
    }

    /// Puts a new child among the others, or kills it at once if we are stopping. Returns its process id.
    fn own(&self, mut child: Child, niced: bool) -> u32 {
        let id = child.id();
        if let Some(pid) = pid(id).filter(|_| niced) {
            // If the kernel refuses, the child runs at our own priority.
            setpriority_process(Some(pid), NICE).ok();
        }
        let mut children = self.lock();
        if children.stopping {
            children.spent += end(&mut child);
        } else {
            children.running.push(child);
        }
        id
    }

    /// Runs a program to its end; `None` if it took longer than `until` or we were stopped. It has ended in any case.
    pub fn ask(&self, mut question: Question<'_>, until: Time) -> io::Result<Option<Answer>> {
        let Started { id, stdin, stdout, stderr } = self.start(&mut question.command, Vec::new(), true)?;
        let kill = |_: &io::Error| self.kill(id);
        let mut stderr = Tail::of(stderr).inspect_err(kill)?;
        let mut tap = Tap::new(stdout, self);
        let output = std::thread::scope(|scope| {
            // A program that has seen enough closes its end; that is no error.
            let write = || stdin.map(|mut stdin| stdin.write_all(question.feed));
            Builder::new().name("probe stdin".into()).spawn_scoped(scope, write).inspect_err(kill)?;
            let output = tap.read_until(until);
            if output.is_none() {
                self.kill(id);
            }
            io::Result::Ok(output)
        })?;
        let Some((output, status)) = output.zip(self.reap(id)) else { return Ok(None) };
        let words = stderr.finish(question.input, question.name);
        Ok(Some(Answer { succeeded: status.success(), output, words }))
    }

    /// Everything a program writes to stderr by `until`, such as a list of devices; its exit status means nothing then.
    pub fn list(&self, command: &mut FfmpegCommand, until: Time) -> io::Result<String> {
        let Started { id, stdout, stderr, .. } = self.start(command, Vec::new(), true)?;
        let said = Tap::new(stderr, self).read_until(until);
        drop(stdout);
        self.kill(id);
        Ok(String::from_utf8_lossy(&said.unwrap_or_default()).into_owned())
    }

    /// Waits until child `id` has ended and reaps it; `None` if it was killed by us.
    pub(super) fn reap(&self, id: u32) -> Option<ExitStatus> {
        // The lock is not held while waiting, so that `stop` can still kill the child; the zombie keeps its number.
        wait_for_end(id);
        let mut children = self.lock();
        let at = children.running.iter().position(|child| child.id() == id)?;
        let mut child = children.running.swap_remove(at);
        children.spent += processor_seconds(id);
        child.wait().ok()
    }

    /// Kills child `id` and reaps it.
    pub(crate) fn kill(&self, id: u32) {
        let mut children = self.lock();
        if let Some(at) = children.running.iter().position(|child| child.id() == id) {
            let mut child = children.running.swap_remove(at);
            children.spent += end(&mut child);
        }
    }

    /// Kills and reaps every child and ends every wait, now and later.
    pub fn stop(&self) {
        let mut children = self.lock();
        children.stopping = true;
        for mut child in std::mem::take(&mut children.running) {
            children.spent += end(&mut child);
        }
        rustix::io::write(&*self.wake, &1_u64.to_ne_bytes()).ok();
    }

    pub fn stopped(&self) -> bool {
        self.lock().stopping
    }

    /// Processor seconds of all children, running and ended.
    pub fn cpu_seconds(&self) -> f64 {
        let children = self.lock();
        let running: f64 = children.running.iter().map(|child| processor_seconds(child.id())).sum();
        children.spent + running
    }

    /// `true` when `file` can be read by `until`, `false` when the time is over or we were stopped.
    pub fn wait_readable(&self, file: BorrowedFd<'_>, until: Time) -> bool {
        self.wait_ready(file, PollFlags::IN, until)
    }

    /// The same for the events in `wanted`.
    pub fn wait_ready(&self, file: BorrowedFd<'_>, wanted: PollFlags, until: Time) -> bool {
        let mut files = [PollFd::from_borrowed_fd(file, wanted), PollFd::new(&*self.wake, PollFlags::IN)];
        wait(&mut files, until) && files[1].revents().is_empty() && !files[0].revents().is_empty()
    }

    /// Sleeps to a moment of our clock; `false` when stopped first.
    pub fn sleep_until(&self, moment: Time) -> bool {
        !wait(&mut [PollFd::new(&*self.wake, PollFlags::IN)], moment)
    }

    /// The process ids of the running children.
    #[cfg(test)]
    pub fn children(&self) -> Vec<u32> {
        self.lock().running.iter().map(|child| child.id()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Children> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `start` with `inherited` open to children. One child is started at a time, so that no other child inherits these
/// files. Our copies are closed afterwards, so that the pipe ends when the child does.
fn inheriting<T>(inherited: Vec<OwnedFd>, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    static STARTING: Mutex<()> = Mutex::new(());
    let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    // Declared after the lock, and so closed before the lock is released.
    let inherited = inherited;
    for file in &inherited {
        fcntl_setfd(file, FdFlags::empty())?;
    }
    start()
}

/// Polls until a file is ready (`true`) or the moment has come (`false`). After an interruption the rest of the wait is
/// computed from the absolute moment, so interruptions do not prolong it.
fn wait(files: &mut [PollFd<'_>], until: Time) -> bool {
    loop {
        let left = until.since(clock::now());
        let timeout = (until != Time::NEVER)
            .then(|| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) });
        match poll(files, timeout.as_ref()) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            // Polling failed: the read that follows reports what is wrong.
            Err(_) => return true,
        }
    }
}

fn pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

fn wait_for_end(id: u32) {
    let Some(pid) = pid(id) else { return };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
}

/// Kills and reaps a child; returns its processor seconds.
fn end(child: &mut Child) -> f64 {
    let id = child.id();
    child.kill().ok();
    wait_for_end(id);
    let spent = processor_seconds(id);
    child.wait().ok();
    spent
}

/// User and system time of a running or unreaped process, 0 for any other (proc(5), stat fields 14 and 15).
fn processor_seconds(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name in brackets may contain anything, so fields are counted from its end.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / TICKS_PER_SECOND
}

/// From ffmpeg's libavutil/log.c and fftools/opt_common.c.
const LOUD: [&str; 4] = ["AV_LOG_FORCE_COLOR", "AV_LOG_FORCE_256COLOR", "AV_LOG_FORCE_NOCOLOR", "FFREPORT"];
/// A little below the threads of this program, which must be on time.
const NICE: i32 = 5;
/// USER_HZ, which is 100 on every Linux whatever the kernel's own HZ.
const TICKS_PER_SECOND: f64 = 100.0;

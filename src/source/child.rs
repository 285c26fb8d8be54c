//! Child processes with manners: found through PATH, niced, their stderr drained, killed and reaped when we stop,
//! and their processor time counted even after they are gone.

use std::env;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use ffmpeg_sidecar::command::FfmpegCommand;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::Access;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, WaitId, WaitIdOptions, setpriority_process, waitid};

use super::SourceError;
use super::tail::{Tail, Words};
use crate::clock;
use crate::units::Time;

/// The program `name` on PATH. Asked for by its whole path, so that one beside our own binary never wins.
pub(super) fn find(name: &'static str) -> Result<PathBuf, SourceError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let runs = |file: &PathBuf| file.is_file() && rustix::fs::access(file, Access::EXEC_OK).is_ok();
    let mut files = env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    files.find(runs).ok_or(SourceError::NoFfmpeg { program: name })
}

/// Takes away what has ffmpeg and ffprobe colour their messages or write a report: their words go into our sentences.
pub fn speak_plainly(command: &mut Command) -> &mut Command {
    for name in LOUD {
        command.env_remove(name);
    }
    command
}

/// A child in care, and its ends of the pipes.
pub(super) struct Started {
    pub id: u32,
    pub stdin: Option<ChildStdin>,
    pub stdout: ChildStdout,
    pub stderr: ChildStderr,
}

/// What a program said before it ended.
pub(super) struct Answer {
    pub succeeded: bool,
    pub output: Vec<u8>,
    pub words: Words,
}

/// What a program is asked: `feed` is what it finds on its stdin, `name` what its `input` is called in messages.
pub(super) struct Question<'a> {
    pub command: FfmpegCommand,
    pub feed: &'a [u8],
    pub input: &'a str,
    pub name: &'a str,
}

/// Everything one source has running, and the one way to end it. Clones share it.
#[derive(Clone)]
pub(super) struct Control {
    family: Arc<Mutex<Family>>,
    /// Readable for ever once stopped, so that every wait can include it.
    wake: Arc<OwnedFd>,
}

#[derive(Default)]
struct Family {
    stopping: bool,
    children: Vec<Child>,
    /// Processor seconds of the children that are gone.
    spent: f64,
}

impl Control {
    pub fn new() -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { family: Arc::default(), wake: Arc::new(wake) })
    }

    /// Starts a child and takes it into care. It gets a group of its own: Ctrl-C in a terminal is meant for us, and a
    /// child that it ended as well would look like one that failed.
    pub fn start(&self, command: &mut FfmpegCommand) -> io::Result<Started> {
        self.start_with(command, Vec::new())
    }

    /// The same for a child that inherits files, under the numbers that they have here.
    pub fn start_with(&self, command: &mut FfmpegCommand, inherited: Vec<OwnedFd>) -> io::Result<Started> {
        self.begin(command, inherited, true)
    }

    /// The same for a child that only hands on what a device gives: it needs little, and that at once, so it is not niced.
    pub fn start_on_time(&self, command: &mut FfmpegCommand) -> io::Result<Started> {
        self.begin(command, Vec::new(), false)
    }

    fn begin(&self, command: &mut FfmpegCommand, inherited: Vec<OwnedFd>, polite: bool) -> io::Result<Started> {
        // Not by `FfmpegCommand::spawn`, which adds an argument that ffprobe refuses.
        let command = speak_plainly(command.as_inner_mut()).process_group(0);
        let mut child = inheriting(inherited, || command.spawn())?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let id = self.adopt(child, polite);
        match (stdout, stderr) {
            (Some(stdout), Some(stderr)) => Ok(Started { id, stdin, stdout, stderr }),
            _ => {
                self.kill(id);
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
    }

    /// Niced if it is to be polite, and killed at once if we are stopping. Returns its process id.
    fn adopt(&self, mut child: Child, polite: bool) -> u32 {
        let id = child.id();
        if let Some(pid) = pid(id).filter(|_| polite) {
            // A refusal costs nothing but politeness.
            setpriority_process(Some(pid), NICE).ok();
        }
        let mut family = self.lock();
        if family.stopping {
            family.spent += end(&mut child).0;
        } else {
            family.children.push(child);
        }
        id
    }

    /// Runs a program to its end; `None` if it took longer than `until` or we were stopped, and then it is gone.
    pub fn ask(&self, mut question: Question<'_>, until: Time) -> io::Result<Option<Answer>> {
        let Started { id, stdin, stdout, stderr } = self.start(&mut question.command)?;
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

    /// Waits until child `id` has ended and reaps it; `None` if it was killed by [`Control::stop`].
    pub fn reap(&self, id: u32) -> Option<ExitStatus> {
        // Waited for without the lock, so that `stop` can still kill it; the zombie keeps its number until then.
        wait_for_end(id);
        let mut family = self.lock();
        let at = family.children.iter().position(|child| child.id() == id)?;
        let mut child = family.children.swap_remove(at);
        family.spent += processor_seconds(id);
        child.wait().ok()
    }

    /// Ends child `id` at once.
    pub fn kill(&self, id: u32) {
        let mut family = self.lock();
        if let Some(at) = family.children.iter().position(|child| child.id() == id) {
            let mut child = family.children.swap_remove(at);
            family.spent += end(&mut child).0;
        }
    }

    /// Kills and reaps every child and ends every wait, now and later.
    pub fn stop(&self) {
        let mut family = self.lock();
        family.stopping = true;
        for mut child in std::mem::take(&mut family.children) {
            family.spent += end(&mut child).0;
        }
        rustix::io::write(&*self.wake, &1_u64.to_ne_bytes()).ok();
    }

    pub fn stopped(&self) -> bool {
        self.lock().stopping
    }

    /// Processor seconds of all children, living and gone.
    pub fn cpu_seconds(&self) -> f64 {
        let family = self.lock();
        let living: f64 = family.children.iter().map(|child| processor_seconds(child.id())).sum();
        family.spent + living
    }

    /// `true` when `file` can be read by `until` (or ever), `false` when the time is over or we were stopped.
    pub fn wait_readable(&self, file: BorrowedFd<'_>, until: Time) -> bool {
        self.wait_ready(file, PollFlags::IN, until)
    }

    /// The same for whatever `wanted` says.
    pub fn wait_ready(&self, file: BorrowedFd<'_>, wanted: PollFlags, until: Time) -> bool {
        let mut files = [PollFd::from_borrowed_fd(file, wanted), PollFd::new(&*self.wake, PollFlags::IN)];
        wait(&mut files, until) && files[1].revents().is_empty() && !files[0].revents().is_empty()
    }

    /// Sleeps to a moment of our clock; `false` when stopped first.
    pub fn sleep_until(&self, moment: Time) -> bool {
        !wait(&mut [PollFd::new(&*self.wake, PollFlags::IN)], moment)
    }

    #[cfg(test)]
    pub fn children(&self) -> Vec<u32> {
        self.lock().children.iter().map(|child| child.id()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Family> {
        self.family.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every child is started in here, one at a time: while files can be inherited, no other child is started that would
/// inherit them too. Our own copies are closed right after, so that the child's end is the end of its pipes.
fn inheriting<T>(inherited: Vec<OwnedFd>, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    static STARTING: Mutex<()> = Mutex::new(());
    let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    // Declared after the lock, and so closed before it is given back.
    let inherited = inherited;
    for file in &inherited {
        fcntl_setfd(file, FdFlags::empty())?;
    }
    start()
}

/// Polls until something happens (`true`) or the moment has come; the wait is taken anew from the absolute moment
/// after every interruption, so nothing adds up.
fn wait(files: &mut [PollFd<'_>], until: Time) -> bool {
    loop {
        let left = until.since(clock::now());
        let timeout = (until != Time::NEVER)
            .then(|| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) });
        match poll(files, timeout.as_ref()) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            // Nothing to wait with: let the read that follows say what is wrong.
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

/// Kills, counts and reaps.
fn end(child: &mut Child) -> (f64, Option<ExitStatus>) {
    let id = child.id();
    child.kill().ok();
    wait_for_end(id);
    (processor_seconds(id), child.wait().ok())
}

/// User and system time of a living or unreaped process, 0 for any other (proc(5), stat fields 14 and 15).
fn processor_seconds(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name in brackets may hold anything, so count from its end.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / TICKS_PER_SECOND
}

/// A pipe or file that is read without a buffer, can be stopped, and knows when it first had to wait.
pub(super) struct Tap {
    file: std::fs::File,
    control: Control,
    /// Bytes read earlier that come first.
    before: io::Cursor<Vec<u8>>,
    first_wait: Option<Time>,
}

impl Tap {
    pub fn new(file: impl Into<OwnedFd>, control: &Control) -> Self {
        Self { file: file.into().into(), control: control.clone(), before: io::Cursor::default(), first_wait: None }
    }

    /// Puts bytes back that were read too early.
    pub fn put_back(&mut self, bytes: Vec<u8>) {
        self.before = io::Cursor::new(bytes);
    }

    /// When a read first found nothing ready; `None` if none ever did.
    pub fn first_wait(&self) -> Option<Time> {
        self.first_wait
    }

    /// Whether there is something to read (or the end) before `until`.
    pub fn ready(&self, until: Time) -> bool {
        self.control.wait_readable(self.file.as_fd(), until)
    }

    /// All there is; `None` if the end has not come by then.
    pub fn read_until(&mut self, until: Time) -> Option<Vec<u8>> {
        let (mut bytes, mut block) = (Vec::new(), [0; 16 << 10]);
        while self.ready(until) {
            match self.file.read(&mut block) {
                Ok(count @ 1..) => bytes.extend_from_slice(&block[..count]),
                _ => return Some(bytes),
            }
        }
        None
    }
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.before.read(buffer)?;
        if count > 0 {
            return Ok(count);
        }
        if !self.ready(Time::ZERO) {
            self.first_wait.get_or_insert_with(clock::now);
            if !self.ready(Time::NEVER) {
                return Err(io::Error::other("stopped"));
            }
        }
        self.file.read(buffer)
    }
}

/// From ffmpeg's libavutil/log.c and fftools/opt_common.c.
const LOUD: [&str; 4] = ["AV_LOG_FORCE_COLOR", "AV_LOG_FORCE_256COLOR", "AV_LOG_FORCE_NOCOLOR", "FFREPORT"];
/// Below everything that must be on time, above nothing at all.
const NICE: i32 = 5;
/// USER_HZ, which is 100 on every Linux whatever the kernel's own HZ.
const TICKS_PER_SECOND: f64 = 100.0;

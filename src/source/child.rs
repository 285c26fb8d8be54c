//! Child processes with manners: found through PATH, niced, their stderr drained, killed and reaped when we stop,
//! and their processor time counted even after they are gone.
#![expect(clippy::disallowed_methods, reason = "this is the one place that starts ffprobe, and it reaps it")]

use std::env;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use ffmpeg_sidecar::child::FfmpegChild;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::Access;
use rustix::process::{Pid, WaitId, WaitIdOptions, setpriority_process, waitid};

use super::SourceError;
use crate::clock;
use crate::units::Time;

/// The program `name` on PATH. Asked for by its whole path, so that one beside our own binary never wins.
pub(super) fn find(name: &'static str) -> Result<PathBuf, SourceError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let runs = |file: &PathBuf| file.is_file() && rustix::fs::access(file, Access::EXEC_OK).is_ok();
    let mut files = env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    files.find(runs).ok_or(SourceError::NoFfmpeg { program: name })
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
    children: Vec<FfmpegChild>,
    /// Processor seconds of the children that are gone.
    spent: f64,
}

impl Control {
    pub fn new() -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { family: Arc::default(), wake: Arc::new(wake) })
    }

    /// Takes a child into care: niced, and killed at once if we are stopping. Returns its process id.
    pub fn adopt(&self, mut child: FfmpegChild) -> u32 {
        let id = child.as_inner().id();
        if let Some(pid) = pid(id) {
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

    /// Waits until child `id` has ended and reaps it; `None` if it was killed by [`Control::stop`].
    pub fn reap(&self, id: u32) -> Option<ExitStatus> {
        // Waited for without the lock, so that `stop` can still kill it; the zombie keeps its number until then.
        wait_for_end(id);
        let mut family = self.lock();
        let at = family.children.iter_mut().position(|child| child.as_inner().id() == id)?;
        let mut child = family.children.swap_remove(at);
        family.spent += processor_seconds(id);
        child.wait().ok()
    }

    /// Ends child `id` at once.
    pub fn kill(&self, id: u32) {
        let mut family = self.lock();
        if let Some(at) = family.children.iter_mut().position(|child| child.as_inner().id() == id) {
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
        let mut family = self.lock();
        let living: f64 = family.children.iter_mut().map(|child| processor_seconds(child.as_inner().id())).sum();
        family.spent + living
    }

    /// `true` when `file` can be read by `until` (or ever), `false` when the time is over or we were stopped.
    pub fn wait_readable(&self, file: BorrowedFd<'_>, until: Time) -> bool {
        let mut files = [PollFd::from_borrowed_fd(file, PollFlags::IN), PollFd::new(&*self.wake, PollFlags::IN)];
        wait(&mut files, until) && files[1].revents().is_empty() && !files[0].revents().is_empty()
    }

    /// Sleeps to a moment of our clock; `false` when stopped first.
    pub fn sleep_until(&self, moment: Time) -> bool {
        !wait(&mut [PollFd::new(&*self.wake, PollFlags::IN)], moment)
    }

    #[cfg(test)]
    pub fn children(&self) -> Vec<u32> {
        self.lock().children.iter_mut().map(|child| child.as_inner().id()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Family> {
        self.family.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
fn end(child: &mut FfmpegChild) -> (f64, Option<ExitStatus>) {
    let id = child.as_inner().id();
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

/// What a child says on stderr, read as it comes; only the end is kept.
pub(super) struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Tail {
    pub fn of(mut stderr: impl Read + Send + 'static) -> io::Result<Self> {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&kept);
        let thread = Builder::new().name("ffmpeg stderr".into()).spawn(move || drain(&mut stderr, &shared))?;
        Ok(Self { kept, thread: Some(thread) })
    }

    /// The last lines in one; waits for the child to close its stderr, so call it when the child is gone.
    pub fn finish(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        last_lines(&self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn drain(stderr: &mut impl Read, kept: &Mutex<Vec<u8>>) {
    let mut block = [0; 1_024];
    while let Ok(count @ 1..) = stderr.read(&mut block) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&block[..count]);
        let surplus = kept.len().saturating_sub(TAIL);
        kept.drain(..surplus);
    }
}

/// At most three lines, joined; "no message" if there is none.
pub(super) fn last_lines(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join("; ");
    if last.is_empty() { "no message".into() } else { last }
}

/// Runs a program to its end with `feed` on its stdin: whether it succeeded, its output and its last words.
pub(super) fn run(program: &Path, arguments: &[&std::ffi::OsStr], feed: &[u8]) -> io::Result<(bool, Vec<u8>, String)> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // A program that has seen enough closes its end; that is no error.
        let writer = Builder::new().name("probe stdin".into());
        writer.spawn_scoped(scope, move || stdin.map(|mut stdin| stdin.write_all(feed)))?;
        child.wait_with_output()
    })?;
    Ok((output.status.success(), output.stdout, last_lines(&output.stderr)))
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

/// Below everything that must be on time, above nothing at all.
const NICE: i32 = 5;
/// USER_HZ, which is 100 on every Linux whatever the kernel's own HZ.
const TICKS_PER_SECOND: f64 = 100.0;
/// Bytes of stderr kept: some twenty lines.
const TAIL: usize = 2_048;

//! The program under test, in an empty folder of its own, with everything it says and starts in view.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Nothing here takes as long, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a program is to be run.
pub struct Run {
    command: Command,
    folder: TempDir,
    mark: String,
}

/// `udpstream` with `arguments`, in an empty folder, with nothing on its stdin.
pub fn udpstream<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Run {
    through(&[], arguments)
}

/// The same, started by another program, such as `setpriv`.
pub fn through<I: AsRef<std::ffi::OsStr>>(starter: &[&str], arguments: impl IntoIterator<Item = I>) -> Run {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let mark = format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_udpstream");
    let mut command = Command::new(starter.first().unwrap_or(&program));
    command.args(starter.iter().skip(1)).args(starter.first().map(|_| program)).args(arguments);
    // Children inherit the mark: it finds them wherever they hang when their parent is gone.
    command.current_dir(folder.path()).env(MARK, &mark);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Run { command, folder, mark }
}

/// `serve` on a free port of this machine, with figures.
pub fn serve(input: &str, more: &[&str]) -> Run {
    let fixed = ["serve", input, "--no-announce", "--port", "0", "--bind", "127.0.0.1", "--stats", "json"];
    udpstream(fixed.iter().chain(more))
}

/// `watch` without a window, with figures; gives up on its own.
pub fn watch(server: &str, more: &[&str]) -> Run {
    let fixed = ["watch", server, "--headless", "--stats", "json", "--timeout", "20"];
    udpstream(fixed.iter().chain(more))
}

impl Run {
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    pub fn start(self) -> Program {
        let Self { mut command, folder, mark } = self;
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32).unwrap();
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().map(lines);
        let stderr = child.stderr.take().map(lines);
        let ended = wait(child);
        Program { pid, stdin, stdout, stderr, ended, status: None, folder, mark }
    }

    /// Runs to the end.
    pub fn end(self) -> Ended {
        self.start().end()
    }
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    spawn(move || BufReader::new(pipe).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

fn wait(mut child: Child) -> Receiver<ExitStatus> {
    let (sender, receiver) = channel();
    spawn(move || sender.send(child.wait().unwrap()));
    receiver
}

/// A running program, killed with the test.
pub struct Program {
    pub pid: Pid,
    pub stdin: Option<ChildStdin>,
    stdout: Option<Receiver<String>>,
    stderr: Option<Receiver<String>>,
    ended: Receiver<ExitStatus>,
    status: Option<ExitStatus>,
    folder: TempDir,
    mark: String,
}

impl Program {
    /// Waits for the next event of this name.
    pub fn event(&self, name: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        let stdout = self.stdout.as_ref().unwrap();
        loop {
            let line = stdout.recv_timeout(until.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("no {name}: {:?}", self.said()));
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Where it listens, once it does.
    pub fn address(&self) -> String {
        let listening = self.event("listening");
        format!("127.0.0.1:{}", listening["port"])
    }

    fn said(&self) -> Vec<String> {
        self.stderr.iter().flat_map(Receiver::try_iter).collect()
    }

    /// What it started: every living process with its mark but itself.
    pub fn children(&self) -> Vec<Pid> {
        let mark = format!("{MARK}={}", self.mark);
        let marked = |pid: &Pid| {
            let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
            environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
        };
        let names = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        let pids = names.filter_map(|name| Pid::from_raw(name.parse().ok()?));
        pids.filter(|pid| *pid != self.pid).filter(marked).collect()
    }

    /// Returns when its signals are caught, so that one sent from now on is not the system's affair.
    pub fn wait_until_it_waits(&self) {
        let path = format!("/proc/{}/status", self.pid.as_raw_nonzero());
        let caught =
            |line: &str| line.strip_prefix("SigCgt:").and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let status = fs::read_to_string(&path).unwrap();
            // Bits 1 and 14: signals 2 and 15.
            if status.lines().find_map(caught).is_some_and(|mask| mask & 0x4002 == 0x4002) {
                return;
            }
            std::thread::yield_now();
        }
        panic!("no signal is caught");
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Closes our end of its stdout.
    pub fn hang_up(&mut self) {
        self.stdout = None;
    }

    /// Writes to its stdin, and closes it. A program that has seen enough is no reason to fail.
    pub fn feed(&mut self, bytes: Vec<u8>) {
        let mut stdin = self.stdin.take().unwrap();
        spawn(move || stdin.write_all(&bytes));
    }

    /// Waits for the end. Nothing may be left then: no process, and no file in its folder.
    pub fn end(mut self) -> Ended {
        let status = self.ended.recv_timeout(PATIENCE);
        let status = status.unwrap_or_else(|_| panic!("still running: {:?}", self.said()));
        self.status = Some(status);
        assert_eq!(self.children(), [], "children were left behind");
        let files: Vec<PathBuf> = fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files, [""; 0].map(PathBuf::from), "files were left behind");
        let all = |pipe: Option<Receiver<String>>| pipe.into_iter().flatten().collect::<Vec<String>>();
        let (stdout, stderr) = (all(self.stdout.take()), all(self.stderr.take()));
        Ended { code: status.code(), stdout, stderr }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.status.is_none() {
            kill_process(self.pid, Signal::KILL).ok();
            for child in self.children() {
                kill_process(child, Signal::KILL).ok();
            }
        }
    }
}

/// A program that has ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

impl Ended {
    /// It ended with `code`, said `words`, and did not panic.
    pub fn says(&self, code: i32, words: &[&str]) {
        let said = self.stderr.join("\n");
        assert_eq!(self.code, Some(code), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        for words in words {
            assert!(said.contains(words), "not a word of {words:?}: {said}");
        }
    }

    /// It failed with one sentence and said no more: the cause, advice, and nothing that only ffmpeg understands.
    pub fn one_sentence(&self, code: i32, words: &[&str]) {
        self.says(code, words);
        let [line] = &self.stderr[..] else { panic!("not one line: {:?}", self.stderr) };
        assert!(line.starts_with("error: ") && line.contains(['!', ';', ':']), "{line}");
        assert!(!line.contains("@ 0x") && !line.contains("file:") && !line.contains("pipe:0"), "{line}");
    }

    /// A password in the address is nobody's business.
    pub fn keeps(&self, secret: &str) {
        assert!(!format!("{self:?}").contains(secret), "{self:?}");
    }

    pub fn summary(&self) -> Value {
        let last = self.stdout.last().unwrap_or_else(|| panic!("no output: {:?}", self.stderr));
        let summary: Value = serde_json::from_str(last).unwrap();
        assert_eq!(summary["event"], "summary", "{last}");
        summary
    }
}

/// Makes `name` in `folder` with ffmpeg; `arguments` are split at spaces.
pub fn film(folder: &Path, name: &str, arguments: &str) -> String {
    let path = folder.join(name);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-nostdin"]).args(arguments.split_whitespace()).arg(&path);
    assert!(command.status().unwrap().success(), "ffmpeg {arguments}");
    path.to_str().unwrap().to_owned()
}

/// A file with these bytes.
pub fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Bytes without any order, the same in every run.
pub fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// Arguments of ffmpeg for a small film of this many pictures at 25 a second.
pub fn small(pictures: u32) -> String {
    format!("-f lavfi -i testsrc2=size=160x120:rate=25 -frames:v {pictures} -c:v libx264 -preset ultrafast -g 5")
}

/// Serves a film to one watcher; both must come to a good end. What the server announced, and what was shown.
pub fn shown(film: &str, serving: &[&str], watching: &[&str]) -> (Value, Value) {
    let server = serve(film, serving).start();
    let listening = server.event("listening");
    let watched = watch(&format!("127.0.0.1:{}", listening["port"]), watching).end();
    watched.says(0, &[]);
    let served = server.end();
    served.says(0, &[]);
    assert_eq!(served.summary()["end"], "end", "{film}");
    let summary = watched.summary();
    assert_ne!(summary["pictures_shown"], 0, "{film}: {summary}");
    (listening, summary)
}

const MARK: &str = "UDPSTREAM_TEST_RUN";

//! What people see in a terminal: help, advice, completions, the manual page, `doctor`, the line that updates itself,
//! and how Ctrl-C ends it all. Runs the real program; needs no display, no sound and no ffmpeg.

#![cfg(feature = "app")]
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a black-box test starts programs and may panic")]

mod devices;
mod doctor;
mod help;
mod line;
mod signals;

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_udpstream");
/// Far longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(25);

fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    command.stdin(Stdio::null()).env_remove("NO_COLOR");
    command
}

fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    program().args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Whether a program can be run here; where it cannot, what it would check is left to other machines.
fn have(name: &str) -> bool {
    let mut command = Command::new(name);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A running program and what it has said so far.
struct Running {
    child: Child,
    chunks: Receiver<Vec<u8>>,
    said: Vec<u8>,
}

impl Running {
    /// Listens to standard error, or, of a program under a terminal, to the terminal.
    fn start(mut command: Command, terminal: bool) -> Self {
        command.stdin(if terminal { Stdio::piped() } else { Stdio::null() });
        command.stdout(if terminal { Stdio::piped() } else { Stdio::null() });
        command.stderr(if terminal { Stdio::null() } else { Stdio::piped() });
        let mut child = command.spawn().unwrap();
        let (sender, chunks) = channel();
        let stdout = child.stdout.take().map(|stdout| Box::new(stdout) as Box<dyn Read + Send>);
        let stderr = child.stderr.take().map(|stderr| Box::new(stderr) as Box<dyn Read + Send>);
        let mut from = stdout.or(stderr).unwrap();
        let listen = move || {
            let mut block = [0; 4_096];
            while let Ok(count @ 1..) = from.read(&mut block) {
                sender.send(block[..count].to_vec()).ok();
            }
        };
        Builder::new().spawn(listen).unwrap();
        Self { child, chunks, said: Vec::new() }
    }

    /// A shell command under a terminal of so many columns, by util-linux's `script`.
    fn under_terminal(columns: u16, environment: &[(&str, &str)], shell: &str) -> Self {
        let mut command = Command::new("script");
        let shell = format!("stty cols {columns} rows 24 -echo; {shell}");
        command.args(["-qec", &shell, "/dev/null"]).env_remove("NO_COLOR").env("TERM", "xterm");
        command.envs(environment.iter().copied());
        Self::start(command, true)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.said).into_owned()
    }

    /// Waits until what was said answers `wanted`.
    fn wait_for<T>(&mut self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = wanted(&self.text()) {
                return found;
            }
            match self.chunks.recv_timeout(LONG.saturating_sub(start.elapsed())) {
                Ok(chunk) => self.said.extend(chunk),
                Err(RecvTimeoutError::Timeout) => panic!("no {what} in {LONG:?}: {}", self.text()),
                Err(RecvTimeoutError::Disconnected) => panic!("no {what} before the end: {}", self.text()),
            }
        }
    }

    /// Keys that are pressed at the terminal.
    fn press(&mut self, keys: &[u8]) {
        let typed = self.child.stdin.as_mut().unwrap();
        typed.write_all(keys).and_then(|()| typed.flush()).unwrap();
    }

    /// The port of a server that says where it listens.
    fn port(&mut self) -> u16 {
        self.wait_for("port", |said| {
            let digits: String = said.split_once("Listening on port ")?.1.split('.').next()?.to_owned();
            digits.parse().ok()
        })
    }

    /// Waits for the end: exit code and all that was said.
    fn end(mut self) -> (i32, String) {
        let start = Instant::now();
        loop {
            match self.chunks.recv_timeout(LONG.saturating_sub(start.elapsed())) {
                Ok(chunk) => self.said.extend(chunk),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("still running after {LONG:?}: {}", self.text()),
            }
        }
        (self.child.wait().unwrap().code().unwrap_or(-1), self.text())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A small test card for whoever watches, with `arguments` as well.
fn serve(arguments: &[&str]) -> Command {
    let mut command = program();
    command.args(["serve", "test:320x180@30", "--no-announce", "--port", "0", "--bind", "127.0.0.1"]).args(arguments);
    command
}

/// A watcher without a window.
fn watch(port: u16, arguments: &[&str]) -> Command {
    let mut command = program();
    command.args(["watch", &format!("127.0.0.1:{port}"), "--headless"]).args(arguments);
    command
}

fn signal(id: u32, signal: rustix::process::Signal) -> io::Result<()> {
    let pid = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    Ok(rustix::process::kill_process(pid, signal)?)
}

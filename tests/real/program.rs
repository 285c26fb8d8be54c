//! Starting the program, and reading what it says.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/sample.mp4");
/// Generous: a machine with two busy cores must pass too.
pub const END: Duration = Duration::from_secs(10);

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpstream"));
    command.stdin(Stdio::null());
    command
}

/// A running `serve`, killed with the test.
pub struct Server {
    pub child: Child,
    pub stdout: BufReader<ChildStdout>,
    pub port: u16,
}

impl Server {
    pub fn start(arguments: &[&str]) -> Self {
        Self::spawn(Self::command(arguments))
    }

    pub fn command(arguments: &[&str]) -> Command {
        let mut command = program();
        command.arg("serve").args(arguments).args(["--stats", "json", "--bind", "127.0.0.1"]);
        if !arguments.contains(&"--port") {
            command.args(["--port", "0"]);
        }
        command
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut why = String::new();
            child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
            panic!("the server did not start: {why}");
        }
        let listening: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(listening["event"], "listening");
        let port = listening["port"].as_u64().unwrap() as u16;
        Self { child, stdout, port }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Waits for the end: exit code and summary.
    pub fn end(mut self, within: Duration) -> (i32, Value) {
        let code = wait(&mut self.child, within);
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        (code, summary(&text))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A running `watch --headless` that has shown its first second of figures.
pub struct Watcher {
    pub child: Child,
    pub stdout: BufReader<ChildStdout>,
}

impl Watcher {
    pub fn start(address: &str) -> Self {
        let mut command = program();
        command.args(["watch", address, "--headless", "--stats", "json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut watcher = Self { child, stdout };
        let mut line = String::new();
        while !line.contains("\"stats\"") {
            line.clear();
            assert!(watcher.stdout.read_line(&mut line).unwrap() > 0, "the watcher ended before its first figures");
        }
        watcher
    }

    /// Waits for the end: exit code and summary.
    pub fn end(mut self) -> (i32, Value) {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), summary(&text))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub fn wait(child: &mut Child, within: Duration) -> i32 {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        assert!(start.elapsed() < within, "still running after {within:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How many pictures of so many there are to see: those that a busy machine could not send in time the server has left
/// out, and says so.
pub fn made(pictures: u64, sent: &Value) -> u64 {
    let skipped = sent["pictures_skipped"].as_u64().unwrap();
    assert!(skipped <= pictures / 4, "the regime: most of it is sent: {sent}");
    pictures - skipped
}

pub fn summary(text: &str) -> Value {
    let last = text.lines().last().unwrap_or_else(|| panic!("no output"));
    let value: Value = serde_json::from_str(last).unwrap();
    assert_eq!(value["event"], "summary", "the last line is the summary: {last}");
    value
}

pub fn watch(address: &str, arguments: &[&str]) -> Output {
    program().args(["watch", address, "--headless", "--stats", "json"]).args(arguments).output().unwrap()
}

pub fn figures(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    summary(&String::from_utf8_lossy(&output.stdout))
}

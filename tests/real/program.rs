//! Starting the program, and reading what it says.
#![expect(unsafe_code, reason = "a limit that the system keeps is set between fork and exec")]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::ensure;
use nix::unistd::alarm;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/sample.mp4");
/// Generous: a machine with two busy cores must pass too.
pub const END: Duration = Duration::from_secs(10);

/// No test lets a program run for longer, s: one that hangs fails its test, and not the whole run.
const MOST: u32 = 100;

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpstream"));
    command.stdin(Stdio::null());
    let limit = || {
        alarm::set(MOST);
        Ok(())
    };
    // SAFETY: between fork and exec only alarm(2) is called, which POSIX allows there; it outlives exec.
    unsafe { command.pre_exec(limit) };
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
        // The network hears of servers in the tests of that alone.
        if !arguments.contains(&"--announce-name") {
            command.arg("--no-announce");
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

    /// Asks it to end, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
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
        Self::spawn(command.stdout(Stdio::piped()).stderr(Stdio::null()))
    }

    /// The same of a command that writes figures into a pipe.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
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

/// A film, and how many pictures ffprobe finds in it.
pub struct Film {
    pub path: String,
    pub pictures: u64,
}

impl Film {
    pub fn new(path: &Path) -> Self {
        let path = path.to_str().unwrap().to_owned();
        let arguments = ["-v", "error", "-select_streams", "v:0", "-count_packets"];
        let output = Command::new("ffprobe")
            .args(arguments)
            .args(["-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", &path])
            .output()
            .unwrap();
        let count = String::from_utf8_lossy(&output.stdout);
        let pictures = count.trim().parse().unwrap_or_else(|_| panic!("{path}: {count:?} pictures"));
        Self { path, pictures }
    }

    /// The first two seconds of the sample film with their sound, as they stand in it.
    pub fn clip() -> &'static Self {
        static CLIP: OnceLock<Film> = OnceLock::new();
        CLIP.get_or_init(|| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
            // Another run of these tests may want the same file at the same time.
            let [mine, path] =
                [format!("{}.mkv", std::process::id()), "clip.mkv".to_owned()].map(|name| folder.join(name));
            let arguments = ["-v", "error", "-y", "-i", SAMPLE, "-t", "2", "-c", "copy"];
            assert!(Command::new("ffmpeg").args(arguments).arg(&mine).status().unwrap().success());
            std::fs::rename(mine, &path).unwrap();
            Self::new(&path)
        })
    }
}

/// Whether all of so many pictures were sent, and shown to a watcher that was there from the start. What became of each is
/// told on both sides, however busy the machine was.
pub fn all_shown(pictures: u64, sent: &Value, shown: &Value) -> anyhow::Result<()> {
    let count = |summary: &Value, name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("no {name}: {summary}"));
    // A pipe that a slow machine fills in its own time is taken for what happens now, and waits for nobody.
    let unwatched = count(sent, "pictures_unwatched");
    ensure!(unwatched == 0, "{unwatched} pictures were over before anybody watched: {sent}");
    let [sent_out, left_out] = ["pictures_sent", "pictures_skipped"].map(|name| count(sent, name));
    let parts = ["pictures_shown", "pictures_lost", "pictures_late", "pictures_thinned"].map(|name| count(shown, name));
    let known = parts.iter().sum::<u64>();
    assert!(count(shown, "reconnects") > 0 || known == sent_out + left_out, "{known} pictures add up: {sent} {shown}");
    ensure!(left_out == 0, "the server left out {left_out} pictures and sent {sent_out}");
    assert_eq!(sent_out, pictures, "{sent}");
    ensure!(
        parts == [pictures, 0, 0, 0] && count(shown, "pictures_damaged") == 0,
        "not every picture was shown: {shown}"
    );
    Ok(())
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

/// How many pictures came to be shown: one gives way to the next where the machine stands still before it is decoded.
pub fn handed(shown: &Value) -> u64 {
    let [seen, gave_way] = ["pictures_shown", "pictures_superseded"].map(|name| shown[name].as_u64().unwrap());
    assert!(seen > 0, "{shown}");
    seen + gave_way
}

pub fn figures(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    summary(&String::from_utf8_lossy(&output.stdout))
}

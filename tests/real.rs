//! The program as a user runs it: real sockets, real time, real films. Alone on the machine, one test after the other.

#![cfg(feature = "app")]
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a black-box test starts programs and may panic")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/sample.mp4");
/// Generous: a machine with two busy cores must pass too.
const END: Duration = Duration::from_secs(2);

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpstream"));
    command.stdin(Stdio::null());
    command
}

/// A running `serve`, killed with the test.
struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    port: u16,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut command = program();
        command.arg("serve").args(arguments).args(["--stats", "json", "--bind", "127.0.0.1"]);
        if !arguments.contains(&"--port") {
            command.args(["--port", "0"]);
        }
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

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Waits for the end: exit code and summary.
    fn end(mut self, within: Duration) -> (i32, Value) {
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
struct Watcher {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Watcher {
    fn start(address: &str) -> Self {
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
    fn end(mut self) -> (i32, Value) {
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

fn wait(child: &mut Child, within: Duration) -> i32 {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        assert!(start.elapsed() < within, "still running after {within:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn summary(text: &str) -> Value {
    let last = text.lines().last().unwrap_or_else(|| panic!("no output"));
    let value: Value = serde_json::from_str(last).unwrap();
    assert_eq!(value["event"], "summary", "the last line is the summary: {last}");
    value
}

fn watch(address: &str, arguments: &[&str]) -> Output {
    program().args(["watch", address, "--headless", "--stats", "json"]).args(arguments).output().unwrap()
}

fn figures(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    summary(&String::from_utf8_lossy(&output.stdout))
}

/// A film of another size, rate and length, with soft content in HD or SD colour.
fn film(folder: &Path) -> PathBuf {
    let path = folder.join("film.mkv");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "gradients=s=854x480:r=30000/1001:d=3:speed=0.02:seed=7"])
        .args(["-vf", "scale=out_color_matrix=bt601:out_range=tv,format=yuv420p", "-colorspace", "smpte170m"])
        .args(["-color_range", "tv", "-c:v", "libx264", "-crf", "12"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path
}

fn whole_film(path: &str, pictures: u64, extra: &[&str], largest: u64) {
    whole_film_watched(path, pictures, extra, largest, &[]);
}

fn whole_film_watched(path: &str, pictures: u64, extra: &[&str], largest: u64, watching: &[&str]) {
    let server = Server::start(&[&[path], extra].concat());
    let output = watch(&server.address(), watching);
    let figures = figures(&output);
    for (name, expected) in
        [("pictures_shown", pictures), ("pictures_lost", 0), ("pictures_damaged", 0), ("pictures_late", 0)]
    {
        assert_eq!(figures[name], expected, "{extra:?}: {name} in {figures}");
    }
    assert_eq!(figures["pictures_thinned"], 0, "{figures}");
    assert_eq!(figures["end"], "end");
    let (code, sent) = server.end(END);
    assert_eq!((code, &sent["end"]), (0, &Value::from("end")));
    assert_eq!(sent["pictures_sent"], pictures);
    let sent_largest = sent["largest_datagram"].as_u64().unwrap();
    assert!(
        sent_largest <= largest && (largest > 9_000 || sent_largest > largest / 2),
        "{sent_largest} bytes at --datagram {largest}"
    );
}

#[test]
fn the_sample_film_arrives_whole_at_every_datagram_size() {
    whole_film(SAMPLE, 132, &[], 65_488);
    whole_film(SAMPLE, 132, &["--datagram", "1452"], 1_452);
    whole_film(SAMPLE, 132, &["--datagram", "1200"], 1_200);
}

/// The buffer that an ordinary system grants: small pictures leave it room for a machine that halts for a moment.
#[test]
fn an_ordinary_receive_buffer_is_enough() {
    let small = ["--width", "320", "--datagram", "1200"];
    whole_film_watched(SAMPLE, 132, &small, 1_200, &["--receive-buffer", "212992"]);
}

#[test]
fn a_film_of_another_size_rate_and_length_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());
    let path = film.to_str().unwrap();
    whole_film(path, 90, &[], 65_488);
    whole_film(path, 90, &["--datagram", "1452"], 1_452);
    whole_film(path, 90, &["--datagram", "1200"], 1_200);
}

/// True RGB of picture `n`, by ffmpeg with the right matrix and no shortcuts.
fn true_rgb(film: &str, n: u64, matrix: &str) -> Vec<u8> {
    let filter = format!(
        "select=eq(n\\,{n}),scale=in_color_matrix={matrix}:in_range=tv:out_range=pc:\
         flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,format=rgb24"
    );
    let raw = Command::new("ffmpeg")
        .args(["-v", "error", "-i", film, "-vf", &filter, "-frames:v", "1", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    assert!(raw.status.success());
    raw.stdout
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / squares).log10()
}

fn shown_is_true(film: &str, n: u64, matrix: &str, folder: &Path) {
    let server = Server::start(&[film]);
    let shot = folder.join(format!("shot{n}.png"));
    let frames = (n + 1).to_string();
    let output = watch(&server.address(), &["--frames", &frames, "--snapshot", shot.to_str().unwrap()]);
    assert_eq!(figures(&output)["end"], "limit");
    let shown = image::open(&shot).unwrap().to_rgb8().into_raw();
    let psnr = psnr(&shown, &true_rgb(film, n, matrix));
    assert!(psnr >= 38.0, "picture {n} of {film}: {psnr:.1} dB");
}

#[test]
fn what_is_shown_has_the_colours_of_the_film() {
    let folder = tempfile::tempdir().unwrap();
    for n in [0, 40, 100] {
        shown_is_true(SAMPLE, n, "bt709", folder.path());
    }
    let film = film(folder.path());
    shown_is_true(film.to_str().unwrap(), 20, "bt601", folder.path());
}

#[test]
fn one_watcher_is_killed_and_another_does_not_notice() {
    let server = Server::start(&[SAMPLE, "--loop", "--duration", "8"]);
    let victim = Watcher::start(&server.address());
    let watching = Watcher::start(&server.address());
    // SIGKILL: it cannot say goodbye.
    drop(victim);
    let (code, figures) = watching.end();
    assert_eq!(code, 0);
    assert_eq!((&figures["pictures_lost"], &figures["pictures_damaged"]), (&0.into(), &0.into()), "{figures}");
    // Eight seconds of 25 pictures, less the one or two before joining; the film went round after five.
    assert!(figures["pictures_shown"].as_u64().unwrap() > 100, "{figures}");
    let (code, sent) = server.end(Duration::from_secs(10));
    assert_eq!((code, &sent["end"]), (0, &Value::from("limit")));
}

#[test]
fn the_test_card_and_a_pipe_need_no_film() {
    let server = Server::start(&["test:320x180@60", "--frames", "60"]);
    let shown = figures(&watch(&server.address(), &[]));
    assert_eq!((&shown["pictures_shown"], &shown["pictures_lost"]), (&60.into(), &0.into()), "{shown}");
    assert_eq!(server.end(END).0, 0);

    let mut y4m = Command::new("ffmpeg")
        .args(["-v", "error", "-i", SAMPLE, "-frames:v", "50", "-vf", "scale=320:180", "-f", "yuv4mpegpipe", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = y4m.stdout.take().unwrap();
    let mut serving = program()
        .args(["serve", "-", "--port", "0", "--bind", "127.0.0.1", "--stats", "json"])
        .stdin(pipe)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(serving.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let port = serde_json::from_str::<Value>(&line).unwrap()["port"].as_u64().unwrap();
    let shown = figures(&watch(&format!("127.0.0.1:{port}"), &[]));
    assert_eq!((&shown["pictures_shown"], &shown["pictures_lost"]), (&50.into(), &0.into()), "{shown}");
    assert_eq!(wait(&mut serving, END), 0);
    y4m.wait().unwrap();
}

#[test]
fn a_window_shows_the_film() {
    if std::env::var_os("DISPLAY").is_none() {
        assert!(std::env::var_os("CI").is_none(), "the gate brings its own display");
        return;
    }
    let server = Server::start(&[SAMPLE]);
    let output = program().args(["watch", &server.address(), "--stats", "json"]).output().unwrap();
    let shown = figures(&output);
    assert_eq!((&shown["pictures_lost"], &shown["pictures_damaged"]), (&0.into(), &0.into()), "{shown}");
    let (on_screen, late) = (shown["pictures_shown"].as_u64().unwrap(), shown["pictures_late"].as_u64().unwrap());
    assert_eq!(on_screen + late, 132, "{shown}");
    assert!(on_screen > 100, "{shown}");
    assert_eq!(server.end(END).0, 0);
}

#[test]
fn every_failure_is_one_sentence_and_a_code() {
    let cases: &[(&[&str], i32, &str)] = &[
        (&["serve", "no-such-film.mp4"], 1, "was not found"),
        (&["serve", "/"], 1, "is a folder"),
        (&["serve", "/dev/null"], 1, ""),
        (&["serve", "test:0x0"], 2, "is not a test card"),
        (&["serve", SAMPLE, "--datagram", "100"], 2, "1200"),
        (&["serve", SAMPLE, "--quality", "0"], 2, "1 to 100"),
        (&["serve", "test:", "--bind", "192.0.2.1"], 1, "is not an address of this machine"),
        (&["watch", "no-such-host.invalid", "--headless"], 1, "no address is known"),
        (&["watch", "tcp://localhost"], 2, "tcp://"),
        (&["watch", "127.0.0.1:9", "--headless", "--timeout", "0.3"], 3, "nothing was heard"),
        (&["watch", "127.0.0.1:9", "--headless", "--duration", "0.3"], 3, ""),
        (&["watch"], 2, "SERVER"),
        (&["sreve"], 2, "serve"),
    ];
    for (arguments, code, text) in cases {
        let output = program().args(*arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {said}");
        assert!(said.contains(text), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
    let mut no_display = program();
    no_display.args(["watch", "127.0.0.1:9"]).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    let output = no_display.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--headless"));
}

#[test]
fn a_port_in_use_is_named() {
    let server = Server::start(&["test:"]);
    let port = server.port.to_string();
    let output = program().args(["serve", "test:", "--bind", "127.0.0.1", "--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is in use"));
}

#[test]
fn interrupting_the_server_ends_everybody_in_good_order() {
    let server = Server::start(&["test:320x180@25"]);
    let watcher = Watcher::start(&server.address());
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let (code, sent) = server.end(END);
    assert_eq!((code, &sent["end"]), (0, &Value::from("interrupted")));
    let (code, shown) = watcher.end();
    assert_eq!((code, &shown["end"]), (0, &Value::from("end")));
    assert_eq!(shown["pictures_lost"], 0, "{shown}");
}

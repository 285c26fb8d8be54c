//! A display that stops: neither `watch` nor `serve --preview` grows with what cannot be shown, and pictures come back when
//! it goes on.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat};

use crate::program::{Server, program, wait};
use crate::screen;

/// How long it stands still; `UDPSTREAM_STALL=60` measures a minute.
fn stall() -> Duration {
    let seconds = std::env::var("UDPSTREAM_STALL").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(4))
}

/// A display of its own, which can be stopped.
struct Display {
    xvfb: Child,
    name: String,
}

impl Display {
    fn start() -> Self {
        let mut xvfb = Command::new("Xvfb");
        xvfb.args(["-noreset", "-displayfd", "1", "-screen", "0", "1600x900x24", "-nolisten", "tcp"]);
        let mut xvfb = xvfb.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut number = String::new();
        BufReader::new(xvfb.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Self { xvfb, name: format!(":{}", number.trim()) }
    }

    /// All that is on it.
    fn pixels(&self) -> Vec<u8> {
        let (display, number) = x11rb::connect(Some(&self.name)).unwrap();
        let root = display.setup().roots[number].root;
        display.get_image(ImageFormat::Z_PIXMAP, root, 0, 0, 1_600, 900, !0).unwrap().reply().unwrap().data
    }

    fn signal(&self, signal: &str) {
        let told = Command::new("kill").args([signal, &self.xvfb.id().to_string()]).status().unwrap();
        assert!(told.success());
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.xvfb.kill().ok();
        self.xvfb.wait().ok();
    }
}

/// Memory in use, MB.
fn memory(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

/// What it grows by while the display stands still.
fn growth(child: &Child, display: &Display) -> u64 {
    display.signal("-STOP");
    let (start, before) = (Instant::now(), memory(child));
    let mut most = before;
    while start.elapsed() < stall() {
        most = most.max(memory(child));
        std::thread::sleep(Duration::from_millis(100));
    }
    display.signal("-CONT");
    eprintln!("{before} MB, and {most} MB at most while the display stood still");
    most - before
}

fn stats(lines: &mut Lines<BufReader<ChildStdout>>, wanted: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let value: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        if value["event"] == "stats" && wanted(&value) {
            return value;
        }
        assert!(start.elapsed() < stall() + Duration::from_secs(20), "in vain; the last was {value}");
    }
}

fn shown(stats: &Value) -> u64 {
    stats["pictures_shown"].as_u64().unwrap()
}

#[test]
fn a_watcher_whose_display_stops_keeps_its_size_and_goes_on() {
    if !screen::is_there() {
        return;
    }
    let display = Display::start();
    let server = Server::start(&["test:1280x720@30"]);
    let mut command = program();
    command.args(["watch", &server.address(), "--stats", "json"]).env("DISPLAY", &display.name);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    stats(&mut lines, |stats| shown(stats) > 30);
    let grown = growth(&child, &display);
    // A picture takes 3.7 MB on the screen: unbounded, it were 108 MB a second.
    assert!(grown < 60, "it has grown by {grown} MB");
    let stood = stats(&mut lines, |stats| stats["pictures_superseded"].as_u64().unwrap() > 30);
    stats(&mut lines, |stats| shown(stats) > shown(&stood) + 30);
    // It ends although its window cannot be closed.
    display.signal("-STOP");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 0);
}

#[test]
fn a_preview_whose_display_stops_keeps_its_size_and_the_stream_goes_on() {
    if !screen::is_there() {
        return;
    }
    let display = Display::start();
    let mut command = Server::command(&["test:1280x720@30", "--preview", "--no-wait"]);
    command.env("DISPLAY", &display.name);
    let mut server = Server::spawn(command);
    let mut lines = BufRead::lines(&mut server.stdout);
    let sent = |stats: &Value| stats["pictures_encoded"].as_u64().unwrap_or_default();
    let mut next = || loop {
        let value: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        if value["event"] == "stats" {
            return value;
        }
    };
    (0..4).for_each(|_| drop(next()));
    let grown = growth(&server.child, &display);
    assert!(grown < 60, "it has grown by {grown} MB");
    // A line a second: those of the stall, and one of the time after it. The machine may have stood still for some.
    let counts: Vec<u64> = (0..=stall().as_secs()).map(|_| sent(&next())).collect();
    let on = counts.windows(2).filter(|pair| pair[1] > pair[0]).count();
    assert!(2 * on >= counts.len() - 1, "pictures are sent all the while: {counts:?}");
    let before = display.pixels();
    screen::until("pictures in the preview again", || display.pixels() != before);
}

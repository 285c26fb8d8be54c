//! A window under X: found, looked at, typed into.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use image::RgbImage;
use serde_json::Value;
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat};

use crate::machine;
use crate::program::{program, summary, wait};

/// Generous: a machine with two busy cores must pass too.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks, so that looking takes no processor from what is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Whether there is a screen; the gate brings its own.
pub fn is_there() -> bool {
    let there = std::env::var_os("DISPLAY").is_some();
    assert!(there || std::env::var_os("CI").is_none(), "the gate brings its own display");
    there
}

pub fn xdotool(arguments: &[&str]) -> String {
    let output = Command::new("xdotool").args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Asks again and again until the answer is yes. A machine that stands still is waited for longer.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..3 {
        let begun = machine::begin();
        if within(PATIENCE, begun, &mut is_so) {
            return;
        }
        assert!(machine::stood_still(begun), "waited in vain: {what}");
    }
    panic!("waited in vain, three times: {what}");
}

fn within(patience: Duration, begun: Instant, is_so: &mut impl FnMut() -> bool) -> bool {
    while begun.elapsed() < patience {
        if is_so() {
            return true;
        }
        std::thread::sleep(LOOK);
    }
    false
}

/// Does something to a window, and waits until it shows. On a machine that stood still a key or a click can be lost, and is
/// sent again; but only after so long that it is not merely late, because many a key that comes twice takes itself back.
pub fn until_done(what: &str, act: impl Fn(), mut is_so: impl FnMut() -> bool) {
    let begun = machine::begin();
    act();
    if within(2 * PATIENCE, begun, &mut is_so) {
        return;
    }
    assert!(machine::stood_still(begun), "waited in vain: {what}");
    act();
    until(what, is_so);
}

/// A program's window that can be seen, or nothing.
fn visible(child: &Child) -> String {
    let pid = child.id().to_string();
    xdotool(&["search", "--onlyvisible", "--pid", &pid]).lines().next().unwrap_or_default().to_owned()
}

/// A program's window, once there is one.
pub fn window_of(child: &Child) -> String {
    let mut id = String::new();
    until("a window", || {
        id = visible(child);
        !id.is_empty()
    });
    id
}

pub fn title_of(id: &str) -> String {
    xdotool(&["getwindowname", id])
}

pub fn size_of(id: &str) -> (u32, u32) {
    let text = xdotool(&["getwindowgeometry", "--shell", id]);
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap();
    (field("WIDTH="), field("HEIGHT="))
}

/// A window's pixels; `None` while it changes its size.
pub fn grab(id: &str) -> Option<RgbImage> {
    let (screen, _) = x11rb::connect(None).unwrap();
    let window = id.parse().unwrap();
    let place = screen.get_geometry(window).ok()?.reply().ok()?;
    let (width, height) = (place.width, place.height);
    let pixels = screen.get_image(ImageFormat::Z_PIXMAP, window, 0, 0, width, height, !0).ok()?.reply().ok()?;
    let rgb = pixels.data.chunks_exact(4).flat_map(|bgrx| [bgrx[2], bgrx[1], bgrx[0]]).collect();
    RgbImage::from_raw(width.into(), height.into(), rgb)
}

/// A display of our own, killed with the test.
pub struct Xvfb {
    pub child: Child,
    pub name: String,
}

impl Xvfb {
    /// Its `size` is WIDTHxHEIGHTxBITS.
    pub fn start(size: &str) -> Self {
        let mut command = Command::new("Xvfb");
        command.args(["-noreset", "-displayfd", "1", "-screen", "0", size, "-nolisten", "tcp"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut number = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Self { child, name: format!(":{}", number.trim()) }
    }

    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Lines of a program's output, which are read as soon as they come.
fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        // Whoever is no longer interested has ended the program, or is about to.
        BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok();
    });
    lines
}

/// `watch` in a window.
pub struct Viewer {
    pub child: Child,
    /// Read as they come: a program that nobody listens to leaves lines out.
    lines: Receiver<String>,
    pub id: String,
}

impl Viewer {
    pub fn start(address: &str, arguments: &[&str], folder: &Path) -> Self {
        let mut command = program();
        command.args(["watch", address, "--stats", "json"]).args(arguments).current_dir(folder);
        Self::of(command)
    }

    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let mut id = String::new();
        until("a window", || {
            if let Some(status) = child.try_wait().unwrap() {
                let mut said = String::new();
                child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("it ended before it had a window: {status}: {said}");
            }
            id = visible(&child);
            !id.is_empty()
        });
        xdotool(&["windowfocus", "--sync", &id]);
        Self { child, lines, id }
    }

    /// Reads JSON lines up to one with this event.
    pub fn event(&mut self, name: &str) -> Value {
        loop {
            let line = self.lines.recv().unwrap_or_else(|_| panic!("it ended before any {name}"));
            let value: Value = serde_json::from_str(&line).unwrap();
            if value["event"] == name {
                return value;
            }
        }
    }

    pub fn key(&self, key: &str) {
        xdotool(&["key", key]);
    }

    pub fn title(&self) -> String {
        title_of(&self.id)
    }

    pub fn size(&self) -> (u32, u32) {
        size_of(&self.id)
    }

    /// The window's pixels now.
    pub fn shot(&self) -> RgbImage {
        let mut shot = None;
        until("a shot of the window", || {
            shot = grab(&self.id);
            shot.is_some()
        });
        shot.unwrap()
    }

    /// The window's pixels as soon as they are as wanted, whether or not they go on changing.
    pub fn seen(&self, wanted: impl Fn(&RgbImage) -> bool) -> RgbImage {
        let mut shot = self.shot();
        until("wanted pixels", || {
            let seen = wanted(&shot);
            if !seen {
                shot = self.shot();
            }
            seen
        });
        shot
    }

    /// Waits until the picture on the screen is frozen, and returns it.
    pub fn freeze(&self) -> RgbImage {
        until_done("a frozen picture", || self.key("space"), || self.title().contains("(frozen)"));
        self.steady(|_| true)
    }

    /// The window's pixels once they are as wanted and no longer change.
    pub fn steady(&self, wanted: impl Fn(&RgbImage) -> bool) -> RgbImage {
        let mut before = self.shot();
        until("steady pixels", || {
            let shot = self.shot();
            let steady = shot == before && wanted(&shot);
            before = shot;
            steady
        });
        before
    }

    /// Types what quits: exit code, summary and everything on stderr.
    pub fn quit(mut self) -> (i32, Value, String) {
        until_done("the end", || drop(xdotool(&["key", "q"])), || self.child.try_wait().unwrap().is_some());
        self.end()
    }

    /// Waits for the end: exit code, summary and everything on stderr.
    pub fn end(mut self) -> (i32, Value, String) {
        let code = wait(&mut self.child, 3 * PATIENCE);
        let mut said = String::new();
        let last = self.lines.iter().last().unwrap_or_default();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!said.contains("panicked"), "{said}");
        (code, summary(&last), said)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

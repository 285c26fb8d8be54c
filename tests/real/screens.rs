//! Screens that are served: what is painted on an X server of our own is what a watcher sees.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::ensure;
use image::RgbImage;
use serde_json::Value;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt as _, CreateWindowAux, WindowClass};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use crate::machine::measured;
use crate::program::{END, Server, figures, handed, watch};
use crate::relays::relay;

/// A virtual X server, killed with the test.
struct Xvfb {
    child: Child,
    name: String,
}

impl Xvfb {
    const SCREEN: [&str; 3] = ["-screen", "0", "640x360x24"];

    /// On any free display.
    fn start() -> Self {
        Self::run(Command::new("Xvfb").args(Self::SCREEN))
    }

    /// On a display that nobody else comes to who takes the first free one.
    fn start_at(number: u32) -> Self {
        Self::run(Command::new("Xvfb").arg(format!(":{number}")).args(Self::SCREEN))
    }

    fn run(command: &mut Command) -> Self {
        command.args(["-noreset", "-displayfd", "1", "-nolisten", "tcp"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut number = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Self { child, name: format!(":{}", number.trim()) }
    }

    fn serve(&self, area: &str, arguments: &[&str]) -> Server {
        let screen = format!("screen:{}{area}", self.name);
        Server::start(&[&[screen.as_str()], arguments].concat())
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A program with one window, 200×100 at (301, 51), over a grey screen.
struct Painter {
    connection: RustConnection,
    root: u32,
    window: u32,
}

const GREY: u32 = 0x60_6060;

impl Painter {
    fn new(xvfb: &Xvfb) -> Self {
        let (connection, screen) = x11rb::connect(Some(&xvfb.name)).unwrap();
        let (root, window) = (connection.setup().roots[screen].root, connection.generate_id().unwrap());
        let aux = CreateWindowAux::new().override_redirect(1);
        let (class, depth) = (WindowClass::INPUT_OUTPUT, x11rb::COPY_DEPTH_FROM_PARENT);
        connection.create_window(depth, window, root, 301, 51, 200, 100, 0, class, 0, &aux).unwrap();
        connection.map_window(window).unwrap();
        let painter = Self { connection, root, window };
        painter.fill(painter.root, GREY);
        painter
    }

    fn fill(&self, window: u32, colour: u32) {
        let aux = x11rb::protocol::xproto::ChangeWindowAttributesAux::new().background_pixel(colour);
        self.connection.change_window_attributes(window, &aux).unwrap();
        self.connection.clear_area(false, window, 0, 0, 0, 0).unwrap();
        self.connection.sync().unwrap();
    }

    fn paint(&self, colour: u32) {
        self.fill(self.window, colour);
    }

    fn point(&self, x: i16, y: i16) {
        self.connection.warp_pointer(x11rb::NONE, self.root, 0, 0, 0, 0, x, y).unwrap();
        self.connection.sync().unwrap();
    }
}

/// What a watcher saw last, after some pictures.
fn seen(server: &Server) -> RgbImage {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seen.png");
    figures(&watch(&server.address(), &["--frames", "8", "--snapshot", text(&file)]));
    image::open(file).unwrap().to_rgb8()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[track_caller]
fn assert_colour(image: &RgbImage, (x, y): (u32, u32), colour: u32) {
    let [_, want @ ..] = colour.to_be_bytes();
    let have = image.get_pixel(x, y).0;
    assert!(have.iter().zip(want).all(|(have, want)| have.abs_diff(want) < 8), "{have:?} at {x},{y}, not {want:?}");
}

/// The next warning of this name.
fn warning(server: &mut Server, code: &str) -> Value {
    loop {
        let mut line = String::new();
        assert!(server.stdout.read_line(&mut line).unwrap() > 0, "it ended before any {code}");
        let value: Value = serde_json::from_str(&line).unwrap();
        if value["event"] == "warning" && value["code"] == code {
            return value;
        }
    }
}

#[test]
fn a_window_is_seen_in_its_colours_where_it_stands() {
    let xvfb = Xvfb::start();
    let painter = Painter::new(&xvfb);
    let whole = xvfb.serve("", &["--no-pointer", "--fps", "60"]);
    let part = xvfb.serve("+297,41,64x32", &["--no-pointer"]);
    for colour in [0xD0_2030, 0x20_C040, 0x30_40E0, 0xF0_F0F0] {
        painter.paint(colour);
        let shot = seen(&whole);
        assert_eq!(shot.dimensions(), (640, 360));
        for at in [(312, 62), (490, 62), (312, 140), (490, 140), (400, 100)] {
            assert_colour(&shot, at, colour);
        }
        for at in [(2, 2), (637, 357), (290, 100), (512, 100), (400, 40), (400, 162)] {
            assert_colour(&shot, at, GREY);
        }
        let shot = seen(&part);
        assert_eq!(shot.dimensions(), (64, 32));
        assert_colour(&shot, (30, 25), colour);
        assert_colour(&shot, (1, 30), GREY);
        assert_colour(&shot, (30, 4), GREY);
    }
    for server in [whole, part] {
        assert_eq!(server.end_politely().0, 0);
    }
}

#[test]
fn a_screen_reaches_those_behind_a_relay_of_a_relay() {
    let xvfb = Xvfb::start();
    let painter = Painter::new(&xvfb);
    let server = xvfb.serve("", &["--no-pointer"]);
    let first = relay(&server.address(), &[]);
    let second = relay(&first.address(), &[]);
    for colour in [0xD0_2030, 0x30_40E0] {
        painter.paint(colour);
        // The second time nothing but the word has come lately that nothing changed: the body is there at once.
        for _ in 0..2 {
            let shot = seen(&second);
            assert_colour(&shot, (400, 100), colour);
            assert_colour(&shot, (2, 2), GREY);
        }
    }
    for server in [second, first, server] {
        assert_eq!(server.end_politely().0, 0);
    }
}

#[test]
fn the_pointer_is_part_of_it_or_not() {
    let xvfb = Xvfb::start();
    let painter = Painter::new(&xvfb);
    let (with, without) = (xvfb.serve("", &[]), xvfb.serve("", &["--no-pointer"]));
    for (x, y) in [(100, 100), (200, 300)] {
        painter.point(x, y);
        let drawn = |shot: &RgbImage| {
            let square = image::imageops::crop_imm(shot, x as u32 - 8, y as u32 - 8, 16, 16).to_image();
            square.pixels().any(|pixel| pixel.0.iter().any(|have| have.abs_diff(0x60) > 40))
        };
        assert!(drawn(&seen(&with)) && !drawn(&seen(&without)), "at {x},{y}");
    }
}

#[test]
fn a_still_screen_is_encoded_once_and_goes_on() {
    let xvfb = Xvfb::start();
    let painter = Painter::new(&xvfb);
    painter.paint(0x80_4020);
    measured(|| {
        let server = xvfb.serve("", &[]);
        let shown = figures(&watch(&server.address(), &["--frames", "60"]));
        assert_eq!(handed(&shown), 60, "{shown}");
        let (code, sent) = server.end_politely();
        assert_eq!(code, 0);
        let (encoded, same) = (sent["pictures_encoded"].as_u64().unwrap(), sent["pictures_same"].as_u64().unwrap());
        assert!(encoded >= 1 && same > encoded, "{sent}");
        // The first one, and every two seconds once more.
        ensure!(encoded <= 3, "{sent}");
        Ok(())
    });
}

#[test]
fn a_server_that_dies_and_comes_back_is_seen_again() {
    let number = 32_000 + std::process::id() % 20_000;
    let xvfb = Xvfb::start_at(number);
    Painter::new(&xvfb).paint(0xD0_2030);
    let mut server = xvfb.serve("", &["--no-pointer"]);
    drop(xvfb);
    let lost = warning(&mut server, "device-lost");
    let words = lost["text"].as_str().unwrap();
    assert!(words.contains(&format!(":{number}")) && words.contains("check that its desktop"), "{words}");
    // Whoever comes meanwhile sees why.
    assert!(seen(&server).pixels().filter(|pixel| pixel.0.iter().all(|light| *light > 180)).count() > 100);
    let xvfb = Xvfb::start_at(number);
    let painter = Painter::new(&xvfb);
    painter.paint(0x20_C040);
    warning(&mut server, "device-back");
    let shot = seen(&server);
    assert_colour(&shot, (400, 100), 0x20_C040);
    assert_colour(&shot, (2, 2), GREY);
    assert_eq!(server.end_politely().0, 0);
}

#[test]
fn what_is_not_there_is_a_sentence() {
    let xvfb = Xvfb::start();
    for (input, wanted) in [
        (format!("screen:{}+700,0,20x20", xvfb.name), "640×360"),
        (format!("screen:{}.5", xvfb.name), "no screen of that number"),
        ("screen:".to_owned(), "DISPLAY is not set"),
    ] {
        let mut command = crate::program::program();
        command.args(["serve", &input, "--port", "0", "--no-announce"]).env_remove("DISPLAY");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{input}: {said}");
        assert!(said.contains(wanted) && said.lines().count() == 1, "{input}: {said}");
    }
}

impl Server {
    /// Asked to end: exit code and summary.
    fn end_politely(self) -> (i32, Value) {
        self.signal(rustix::process::Signal::TERM);
        self.end(END)
    }
}

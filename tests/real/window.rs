//! The window: what it shows, and what each key does.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::ensure;
use image::RgbImage;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat};

use crate::films::{psnr, true_rgb};
use crate::machine::measured;
use crate::program::{END, Film, Server, all_shown, program};
use crate::screen::{self, Viewer, Xvfb, until, until_done, xdotool};

/// The pixels of a rectangle.
fn part(image: &RgbImage, (x, y): (u32, u32), (width, height): (u32, u32)) -> Vec<u8> {
    image::imageops::crop_imm(image, x, y, width, height).to_image().into_raw()
}

/// The one file in a folder with this ending, once it is whole.
fn file(folder: &Path, ending: &str) -> Option<RgbImage> {
    let mut paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let path = paths.find(|path| path.extension().is_some_and(|end| end == ending))?;
    image::open(path).ok().map(|image| image.to_rgb8())
}

#[test]
fn a_window_shows_the_whole_film_and_leaves_when_told() {
    if !screen::is_there() {
        return;
    }
    let film = Film::clip();
    measured(|| {
        let server = Server::start(&[&film.path]);
        let folder = tempfile::tempdir().unwrap();
        let viewer = Viewer::start(&server.address(), &["--autoexit"], folder.path());
        let (code, shown, said) = viewer.end();
        assert_eq!(code, 0, "{said}");
        let (ended, sent) = server.end(END);
        assert_eq!(ended, 0);
        all_shown(film.pictures, &sent, &shown)
    });
}

#[test]
fn freezing_snapshots_figures_and_help() {
    if !screen::is_there() {
        return;
    }
    measured(freezes_saves_and_explains);
}

fn freezes_saves_and_explains() -> anyhow::Result<()> {
    let film = Film::clip();
    let server = Server::start(&[&film.path, "--loop", "--no-adapt"]);
    let folder = tempfile::tempdir().unwrap();
    let mut viewer = Viewer::start(&server.address(), &[], folder.path());
    viewer.event("stats");
    until("a moving picture", || viewer.shot() != viewer.shot());
    let still = viewer.freeze();

    viewer.key("s");
    until("a PNG", || file(folder.path(), "png").is_some());
    let saved = file(folder.path(), "png").unwrap();
    // Without the word in the corner and the notice at the bottom it is what is on the screen.
    assert_eq!(part(&saved, (0, 100), (1_280, 500)), part(&still, (0, 100), (1_280, 500)));
    let name = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    let number: u64 = name.trim_start_matches("clip-").trim_end_matches(".png").parse().unwrap();
    let truth = RgbImage::from_raw(1_280, 720, true_rgb(&film.path, number % film.pictures, "bt709")).unwrap();
    let psnr = psnr(&part(&still, (0, 100), (1_280, 500)), &part(&truth, (0, 100), (1_280, 500)));
    assert!(psnr >= 38.0, "picture {number}: {psnr:.1} dB");
    viewer.key("S");
    until("a JPEG", || file(folder.path(), "jpg").is_some());

    // The notice goes by itself, and the picture stands still while others come.
    viewer.steady(|shot| *shot == still);
    let differs = |shot: &RgbImage, at, size| part(shot, at, size) != part(&still, at, size);
    viewer.key("i");
    let figures = viewer.seen(|shot| differs(shot, (0, 0), (200, 100)));
    assert!(!differs(&figures, (700, 300), (580, 420)), "the figures stay in their corner");
    viewer.key("i");
    viewer.steady(|shot| *shot == still);
    viewer.key("question");
    viewer.steady(|shot| differs(shot, (500, 300), (280, 120)));
    viewer.key("question");
    viewer.steady(|shot| *shot == still);
    // Nothing sounds yet, and it says so; what records says where to.
    for keys in [&["r", "r"][..], &["m", "Up", "Down", "9", "0"]] {
        for key in keys {
            viewer.key(key);
            viewer.seen(|shot| differs(shot, (0, 640), (300, 80)));
        }
    }
    until_done(
        "a moving picture again",
        || viewer.key("space"),
        || !viewer.title().contains("frozen") && viewer.shot() != viewer.shot(),
    );
    let (code, shown, _) = viewer.quit();
    assert_eq!((code, &shown["end"]), (0, &"interrupted".into()));
    ensure!(shown["pictures_lost"] == 0, "{shown}");
    Ok(())
}

#[test]
fn a_compositor_that_has_gone_leaves_the_window_to_x() {
    if !screen::is_there() {
        return;
    }
    let server = Server::start(&["test:320x180@25"]);
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command.args(["watch", &server.address(), "--stats", "json"]);
    command.env("WAYLAND_DISPLAY", "wayland-9").env("XDG_RUNTIME_DIR", folder.path());
    let mut viewer = Viewer::of(command);
    viewer.event("stats");
    assert_eq!(viewer.quit().0, 0);
}

#[test]
fn fullscreen_and_the_keys_that_leave() {
    if !screen::is_there() {
        return;
    }
    let server = Server::start(&["test:640x360@25"]);
    let folder = tempfile::tempdir().unwrap();
    let mut viewer = Viewer::start(&server.address(), &[], folder.path());
    viewer.event("stats");
    let screen = xdotool(&["getdisplaygeometry"]);
    let screen: Vec<u32> = screen.split_whitespace().map(|side| side.parse().unwrap()).collect();
    until("the picture's size", || viewer.size() == (640, 360));
    for (enter, leave) in [("f", "f"), ("f", "Escape"), ("", "Escape")] {
        let enter = || match enter {
            "" => drop(xdotool(&["mousemove", "100", "100", "click", "--repeat", "2", "--delay", "50", "1"])),
            key => viewer.key(key),
        };
        until_done("a full screen", enter, || viewer.size() == (screen[0], screen[1]));
        until_done("a window again", || viewer.key(leave), || viewer.size() == (640, 360));
    }
    viewer.key("Escape");
    assert_eq!(viewer.end().0, 0);
    for key in ["Return", "q"] {
        let viewer = Viewer::start(&server.address(), &["--fullscreen"], folder.path());
        until("a full screen", || viewer.size() == (screen[0], screen[1]));
        viewer.key(key);
        assert_eq!(viewer.end().0, 0, "{key}");
    }
}

#[test]
fn every_shape_is_shown_whole_and_in_proportion() {
    if !screen::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (card, size) in [
        ("test:176x144@10", (176, 144)),
        ("test:361x641@10", (361, 641)),
        ("test:333x77@10", (333, 77)),
        // Larger than the screen's nine tenths.
        ("test:3840x2160@5", (1_440, 810)),
        ("test:1000x2000@5", (450, 900)),
    ] {
        let server = Server::start(&[card]);
        let mut viewer = Viewer::start(&server.address(), &[], folder.path());
        viewer.event("stats");
        until(card, || viewer.size() == size);
        viewer.seen(|shot| shot.dimensions() == size && shot.get_pixel(2, 2).0 != [0; 3]);
        let shot = viewer.freeze();
        // The bars' first colour and last, top left and top right (beside the word).
        let (left, right) = (shot.get_pixel(2, 2).0, shot.get_pixel(size.0 - 2, 2).0);
        assert!(left.iter().all(|c| c.abs_diff(191) < 12), "{card}: {left:?}");
        assert!(right[0] < 40 && right[1] < 40 && right[2] > 150, "{card}: {right:?}");
        assert_eq!(viewer.quit().0, 0, "{card}");
    }
}

#[test]
fn resizing_leaves_no_hole_in_the_picture() {
    if !screen::is_there() {
        return;
    }
    let server = Server::start(&["test:640x360@25"]);
    let folder = tempfile::tempdir().unwrap();
    let mut viewer = Viewer::start(&server.address(), &[], folder.path());
    viewer.event("stats");
    for (width, height) in [(801, 601), (300, 700), (1_200, 200), (33, 21), (640, 360)] {
        xdotool(&["windowsize", &viewer.id, &width.to_string(), &height.to_string()]);
        until("the new size", || viewer.size() == (width, height));
        let (wide, high) = (width.min(height * 640 / 360), height.min(width * 360 / 640));
        let grey = |shot: &RgbImage| {
            let (x, y) = ((width - wide) / 2 + wide / 20, (height - high) / 2 + high / 8);
            shot.get_pixel(x, y).0.iter().all(|c| c.abs_diff(191) < 25)
        };
        // Bars beside it are black. Until it is drawn anew the window shows what it did before.
        let exact = wide.abs_diff(width).max(high.abs_diff(height)) < 2;
        let barred = |shot: &RgbImage| exact || shot.get_pixel(0, 0).0 == [0, 0, 0];
        until("the picture at the new size", || {
            let shot = viewer.shot();
            grey(&shot) && barred(&shot)
        });
    }
    assert_eq!(viewer.quit().0, 0);
}

#[test]
fn a_snapshot_that_cannot_be_saved_is_a_notice() {
    if !screen::is_there() {
        return;
    }
    let server = Server::start(&["test:640x360@25"]);
    // Not even the superuser can make a file here.
    let mut viewer = Viewer::start(&server.address(), &[], Path::new("/proc/self"));
    viewer.event("stats");
    let still = viewer.freeze();
    viewer.key("s");
    viewer.steady(|shot| part(shot, (0, 300), (300, 60)) != part(&still, (0, 300), (300, 60)));
    let (code, _, said) = viewer.quit();
    assert_eq!(code, 0);
    assert!(said.contains("could not be written"), "{said}");
}

#[test]
fn a_display_that_dies_is_a_sentence() {
    if !screen::is_there() {
        return;
    }
    let mut xvfb = Xvfb::start("800x600x24");
    let server = Server::start(&["test:320x180@25"]);
    let mut command = program();
    command.args(["watch", &server.address(), "--stats", "json"]).env("DISPLAY", &xvfb.name);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"stats\"") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it ended at once");
    }
    xvfb.kill();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    // Xlib may be first to notice, and ends the program with words of its own.
    let told = said.contains("the display stopped answering") || said.contains("X connection");
    assert!(told && !said.contains("panicked"), "{said}");
}

/// The pixel of the screen at (100, 100), in parts of 255.
fn pixel(display: &str) -> Option<[u32; 3]> {
    let (screen, number) = x11rb::connect(Some(display)).unwrap();
    let root = screen.setup().roots[number].root;
    let image = screen.get_image(ImageFormat::Z_PIXMAP, root, 100, 100, 1, 1, !0).ok()?.reply().ok()?;
    let (value, widths) = match (image.depth, &image.data[..]) {
        (15, &[low, high, ..]) => (u32::from_le_bytes([low, high, 0, 0]), [5, 5, 5]),
        (16, &[low, high, ..]) => (u32::from_le_bytes([low, high, 0, 0]), [5, 6, 5]),
        (30, &[a, b, c, d]) => (u32::from_le_bytes([a, b, c, d]), [10, 10, 10]),
        _ => return None,
    };
    let [_, green, blue] = widths;
    let parts = [value >> (green + blue), value >> blue, value];
    Some([0, 1, 2].map(|at| (parts[at] & ((1 << widths[at]) - 1)) * 255 / ((1 << widths[at]) - 1)))
}

#[test]
fn a_display_of_other_than_24_bits_shows_the_picture_or_says_why_not() {
    if !screen::is_there() {
        return;
    }
    let server = Server::start(&["camera:lavfi:color=0xC86432:size=320x180:rate=10"]);
    let watch = |display: &Xvfb| {
        let mut command = program();
        command.args(["watch", &server.address(), "--no-audio"]).env("DISPLAY", &display.name);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for bits in [15, 16, 30] {
        let display = Xvfb::start(&format!("640x480x{bits}"));
        let mut child = watch(&display);
        let near =
            |parts: [u32; 3]| parts.iter().zip([0xc8, 0x64, 0x32]).all(|(part, wanted)| part.abs_diff(wanted) <= 10);
        until("the picture's colour", || pixel(&display.name).is_some_and(near));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let display = Xvfb::start("640x480x8");
    let output = watch(&display).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("too few colours for pictures; set it to 16") && !said.contains("panicked"), "{said}");
}

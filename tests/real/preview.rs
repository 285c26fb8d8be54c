//! `serve --preview`: a window on what is sent, and a stream that does not care about it.

use std::io::Read;
use std::process::{Child, Stdio};

use anyhow::ensure;
use image::RgbImage;

use crate::machine::measured;
use crate::program::{END, Server, all_shown, figures, handed, wait, watch};
use crate::screen::{self, Viewer, until};

fn said(child: &mut Child) -> String {
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

#[test]
fn the_preview_shows_what_is_sent_and_may_be_closed() {
    if !screen::is_there() {
        return;
    }
    let mut server = Server::start(&["test:640x360@25", "--preview"]);
    let id = screen::window_of(&server.child);
    until("the test card's size", || screen::size_of(&id) == (640, 360));
    // The bars' first colour, which is grey.
    let grey = |shot: &RgbImage| shot.get_pixel(80, 100).0.iter().all(|c| c.abs_diff(191) < 12);
    until("the test card", || screen::grab(&id).is_some_and(|shot| grey(&shot)));
    until("why it stands still", || screen::title_of(&id).contains("waiting for the first watcher – preview"));
    let first = figures(&watch(&server.address(), &["--frames", "10"]));
    assert_eq!(handed(&first), 10, "{first}");
    until("its fps in the title", || screen::title_of(&id).contains("fps – preview"));
    until("a moving picture", || screen::grab(&id) != screen::grab(&id));
    screen::xdotool(&["windowfocus", "--sync", &id]);
    screen::until_done("no preview", || drop(screen::xdotool(&["key", "q"])), || screen::grab(&id).is_none());
    let shown = figures(&watch(&server.address(), &["--frames", "25"]));
    assert_eq!((handed(&shown), &shown["end"]), (25, &"limit".into()), "{shown}");
    server.interrupt();
    assert_eq!(wait(&mut server.child, END), 0);
    assert!(said(&mut server.child).contains("The preview is closed"));
}

#[test]
fn without_a_display_there_is_a_sentence_and_a_stream() {
    measured(|| {
        let mut command = Server::command(&["test:320x180@25", "--frames", "25", "--preview"]);
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").stdin(Stdio::null());
        let mut server = Server::spawn(command);
        let shown = figures(&watch(&server.address(), &[]));
        assert_eq!(wait(&mut server.child, END), 0);
        let said = said(&mut server.child);
        assert!(said.contains("No preview: there is no display") && said.contains("goes on without it"), "{said}");
        all_shown(25, &server.end(END).1, &shown)
    });
}

#[test]
fn the_r_key_records_what_is_on_the_screen() {
    if !screen::is_there() {
        return;
    }
    measured(records_while_r_says_so);
}

fn records_while_r_says_so() -> anyhow::Result<()> {
    let server = Server::start(&["test:640x360@25"]);
    let folder = tempfile::tempdir().unwrap();
    let mut viewer = Viewer::start(&server.address(), &[], folder.path());
    viewer.event("stats");
    let red = |shot: &RgbImage| {
        let corner = image::imageops::crop_imm(shot, 560, 0, 80, 40).to_image();
        corner.pixels().filter(|pixel| pixel.0 == [0xF0, 0x50, 0x40]).count() > 20
    };
    assert!(!red(&viewer.shot()));
    viewer.key("r");
    viewer.seen(red);
    (0..2).for_each(|_| drop(viewer.event("stats")));
    viewer.key("r");
    viewer.seen(|shot| !red(shot));
    let (code, shown, said) = viewer.quit();
    assert_eq!(code, 0, "{said}");
    let recorded = &shown["recorded"];
    let name = recorded["file"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert!(name.starts_with("test-card-00h00m") && name.ends_with("s.mkv"), "{name}");
    assert!(folder.path().join(&name).exists());
    assert!(said.contains(&format!("Recording to {name}")) && said.contains("Recorded "), "{said}");
    // At least the second between two lines of figures.
    ensure!(recorded["pictures"].as_u64() >= Some(25), "{recorded}");
    Ok(())
}

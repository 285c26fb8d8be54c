//! Talk as people have it: in windows, through pipes and relays, by a code, in recordings.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use image::RgbImage;
use serde_json::Value;

use crate::program::{END, Server, program, wait};
use crate::published::{Publisher, code, hub};
use crate::relays::relay;
use crate::screen::{self, Viewer, until, until_done, xdotool};

/// A program that is typed into, and that tells what was said; killed with the test.
struct Talker {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
}

impl Talker {
    fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let values = BufReader::new(stdout).lines().map_while(Result::ok);
            // Whoever is no longer interested has ended the program, or is about to.
            values.map(|line| serde_json::from_str(&line).unwrap()).try_for_each(|line| sender.send(line)).ok();
        });
        Self { child, stdin, lines }
    }

    /// Until its stream plays.
    fn watch(address: &str, name: &str, more: &[&str]) -> Self {
        let mut command = program();
        command.args(["watch", address, "--headless", "--talk", "--name", name, "--stats", "json"]).args(more);
        let talker = Self::of(command);
        talker.event("playing");
        talker
    }

    fn say(&self, text: &[u8]) {
        let mut stdin = self.stdin.as_ref().unwrap();
        stdin.write_all(&[text, b"\n"].concat()).unwrap();
    }

    /// The next event of this name.
    fn event(&self, name: &str) -> Value {
        let begun = Instant::now();
        loop {
            // Figures come each second, whatever else does not.
            match self.lines.recv_timeout(END) {
                Ok(value) if value["event"] == name => return value,
                Ok(value) => assert!(begun.elapsed() < 3 * END, "waited in vain for {name}: {value}"),
                Err(RecvTimeoutError::Timeout) => panic!("waited in vain for {name}"),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended before any {name}"),
            }
        }
    }

    fn hears(&self, said: &[(&str, &str)]) {
        for (name, text) in said {
            let line = self.event("talk");
            assert_eq!((line["name"].as_str(), line["text"].as_str()), (Some(*name), Some(*text)), "{line}");
        }
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A server with somebody at its terminal.
fn served(arguments: &[&str]) -> (Server, ChildStdin) {
    let mut command = Server::command(arguments);
    command.stdin(Stdio::piped());
    let mut server = Server::spawn(command);
    let stdin = server.child.stdin.take().unwrap();
    (server, stdin)
}

#[test]
fn host_and_watchers_write_to_each_other_through_a_relay_and_it_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("talk.mkv");
    let (server, mut host) = served(&["test:160x120@10", "--talk=Maria"]);
    let through = relay(&server.address(), &[]);
    let near = Talker::watch(&server.address(), "Ann", &["--record", film.to_str().unwrap()]);
    let far = Talker::watch(&through.address(), "Βασίλης", &[]);
    host.write_all("welcome, all\n".as_bytes()).unwrap();
    near.hears(&[("Maria", "welcome, all")]);
    far.hears(&[("Maria", "welcome, all")]);
    far.say("שלום — नमस्ते 👩‍👩‍👧".as_bytes());
    let said = [("Βασίλης", "שלום — नमस्ते 👩‍👩‍👧")];
    near.hears(&said);
    far.hears(&said);
    // What is no text, and what is too long, harms nobody.
    far.say(b"\x1b]0;owned\x07\xed\xa0\x80");
    near.hears(&[("Βασίλης", "]0;owned\u{fffd}\u{fffd}\u{fffd}")]);
    far.say("x".repeat(501).as_bytes());
    near.say(b"bye");
    near.hears(&[("Ann", "bye")]);
    let late = Talker::watch(&through.address(), "late", &[]);
    late.hears(&[("Maria", "welcome, all"), said[0]]);
    let mut near = near;
    interrupt(&mut near);
    let lines = subtitles(&film);
    assert!(lines.contains("Maria: welcome, all") && lines.contains("Ann: bye"), "{lines}");
}

fn interrupt(talker: &mut Talker) {
    rustix::process::kill_process(rustix::process::Pid::from_child(&talker.child), rustix::process::Signal::INT)
        .unwrap();
    assert_eq!(wait(&mut talker.child, END), 0);
}

/// The lines of a recording, as ffmpeg reads them.
fn subtitles(film: &Path) -> String {
    let output =
        Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(film).args(["-map", "0:s", "-f", "srt", "-"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn a_publisher_talks_with_those_who_have_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("code");
    let server = hub(&[]);
    let mut command = Publisher::command(&server.address(), &["--talk=maker", "--keep", kept.to_str().unwrap()]);
    command.stderr(Stdio::null());
    let publisher = Talker::of(command);
    publisher.event("accepted");
    let watcher = Talker::watch(&format!("{}/{}", server.address(), code(&kept)), "Ann", &[]);
    watcher.say(b"is anybody there?");
    publisher.hears(&[("Ann", "is anybody there?")]);
    publisher.say(b"yes");
    watcher.hears(&[("Ann", "is anybody there?"), ("maker", "yes")]);
    publisher.say(b"/p");
    publisher.event("paused");
}

#[test]
fn no_talk_and_muted_names_are_told() {
    let server = Server::start(&["test:160x120@10", "--no-talk"]);
    let talker = Talker::watch(&server.address(), "Ann", &[]);
    talker.say(b"hello?");
    let unsaid = talker.event("unsaid");
    assert!(unsaid["reason"].as_str().unwrap().contains("no talk"), "{unsaid}");
    let server = Server::start(&["test:160x120@10", "--mute", "ANN", "--mute", "bob"]);
    let (ann, eve) = (Talker::watch(&server.address(), "Ann", &[]), Talker::watch(&server.address(), "Eve", &[]));
    ann.say(b"psst");
    let unsaid = ann.event("unsaid");
    assert!(unsaid["reason"].as_str().unwrap().contains("muted"), "{unsaid}");
    eve.say(b"fine");
    ann.hears(&[("Eve", "fine")]);
}

/// Whether pixels of the lower left corner have changed.
fn corner(shot: &RgbImage) -> Vec<u8> {
    let (wide, high) = shot.dimensions();
    image::imageops::crop_imm(shot, 0, high - high / 5, wide / 2, high / 5).to_image().into_raw()
}

#[test]
fn a_line_goes_from_window_to_window_and_fades() {
    if !screen::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["test:640x360@10"]);
    let mut reader = Viewer::start(&server.address(), &["--name", "Eve", "--no-audio"], folder.path());
    reader.event("stats");
    let still = reader.freeze();
    let mut writer = Viewer::start(&server.address(), &["--name", "Ann", "--no-audio"], folder.path());
    writer.event("stats");
    // What is covered has no pixels.
    xdotool(&["windowmove", "--sync", &writer.id, "0", "360"]);
    // What is typed is text, and no order: q would quit, and Escape leaves the line alone.
    xdotool(&["windowfocus", "--sync", &writer.id]);
    let type_line = || {
        writer.key("t");
        xdotool(&["type", "--delay", "40", "quit? hi"]);
        writer.key("Return");
    };
    type_line();
    let line = reader.event("talk");
    assert_eq!((line["name"].as_str(), line["text"].as_str()), (Some("Ann"), Some("quit? hi")), "{line}");
    assert_eq!(writer.event("talk")["text"], "quit? hi");
    let shown = reader.seen(|shot| corner(shot) != corner(&still));
    assert!(shown.get_pixel(400, 100) == still.get_pixel(400, 100), "the picture is there beside it");
    reader.steady(|shot| *shot == still);
    // The history lies over the whole picture; Escape puts it away, and not the window.
    xdotool(&["windowfocus", "--sync", &reader.id]);
    let dark = |shot: &RgbImage| shot.get_pixel(600, 20).0.iter().all(|part| *part < 40);
    until_done("the history", || reader.key("T"), || dark(&reader.shot()));
    until_done("the picture", || reader.key("Escape"), || reader.shot() == still);
    xdotool(&["windowfocus", "--sync", &writer.id]);
    writer.key("t");
    xdotool(&["type", "--delay", "40", "half"]);
    writer.key("Escape");
    until("a window that is still there", || screen::grab(&writer.id).is_some());
    writer.key("t");
    writer.key("Return");
    assert_eq!(reader.event("talk")["text"], "half", "what was typed is still there");
    let (code, ..) = writer.quit();
    assert_eq!(code, 0);
}

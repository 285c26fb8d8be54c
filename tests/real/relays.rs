//! Relays from end to end: three processes and more, films that are kept, and a relay of a relay in another network.

use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use anyhow::ensure;
use serde_json::Value;

use crate::machine::measured;
use crate::program::{END, Film, Server, Watcher, figures, program, watch};
use crate::records::{length, pictures, probe};

/// A running `relay`, killed with the test.
pub fn relay(origin: &str, arguments: &[&str]) -> Server {
    let mut command = program();
    command.args([
        "relay",
        origin,
        "--no-announce",
        "--stats",
        "json",
        "--bind",
        "127.0.0.1",
        "--port",
        "0",
        "--audio-port",
        "0",
    ]);
    command.args(arguments);
    Server::spawn(command)
}

/// Reads the figures of each second until one is as is wanted.
fn until(relay: &mut Server, what: &str, is: impl Fn(&Value) -> bool) {
    let (start, mut line) = (Instant::now(), String::new());
    loop {
        line.clear();
        assert!(relay.stdout.read_line(&mut line).unwrap() > 0, "the relay ended before {what}");
        let value: Value = serde_json::from_str(&line).unwrap();
        if is(&value) {
            return;
        }
        assert!(start.elapsed() < END * 6, "still not {what}: {value}");
    }
}

fn count(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().unwrap_or_else(|| panic!("no {name}: {summary}"))
}

/// Watches a film that was over a moment ago, once it begins anew.
fn after_the_end(address: &str) -> Output {
    let start = Instant::now();
    loop {
        let seen = watch(address, &[]);
        if !String::from_utf8_lossy(&seen.stderr).contains("has just ended") || start.elapsed() > END {
            return seen;
        }
    }
}

fn cache(arguments: &[&str]) -> Output {
    program().arg("cache").args(arguments).output().unwrap()
}

#[test]
fn a_film_is_kept_beside_playing_and_plays_without_its_origin() {
    let (film, folder) = (Film::clip(), tempfile::tempdir().unwrap());
    let kept = folder.path().join("films");
    let kept = kept.to_str().unwrap();
    let origin = Server::start(&[film.path.as_str(), "--loop", "--name", "clip"]);
    let mut through = relay(&origin.address(), &["--cache", kept]);
    until(&mut through, "listed", |line| line["streams"][0]["name"] == "clip");
    // It is fetched while somebody watches.
    let watcher = Watcher::start(&through.address());
    until(&mut through, "kept", |line| line["cache"]["complete"] == 1);
    drop(watcher);
    // Nobody else may have the folder.
    let second = program().args(["relay", "127.0.0.1", "--cache", kept, "--port", "0"]).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(second.status.code() == Some(1) && said.contains("is in use by process"), "{said}");
    drop(origin);
    // It goes on where it was, wherever that is, to its end; and whoever comes a moment later sees all of it.
    let again = figures(&watch(&through.address(), &[]));
    assert_eq!(again["end"], "end", "{again}");
    assert_eq!(["pictures_damaged", "pictures_lost"].map(|name| count(&again, name)), [0, 0], "{again}");
    measured(|| {
        let shown = figures(&after_the_end(&through.address()));
        assert_eq!(shown["end"], "end", "{shown}");
        let parts = ["pictures_shown", "pictures_damaged", "pictures_lost"].map(|name| count(&shown, name));
        // A machine that stands still may pass over some; all were there to be sent.
        ensure!(parts[0] * 10 >= film.pictures * 9 && parts[1..] == [0, 0], "{parts:?} of {}: {shown}", film.pictures);
        let sound = &shown["audio"];
        ensure!(sound["lost"] == 0 && sound["chunks"].as_u64() > Some(300), "{sound}");
        Ok(())
    });
    through.interrupt();
    let (code, last) = through.end(END);
    assert_eq!(code, 0, "{last}");
    let [listed, checked] = [cache(&["ls", kept]), cache(&["check", kept, "--json"])];
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.starts_with("clip  ") && listed.contains("whole"), "{listed}");
    let checked: Value = crate::program::summary(&String::from_utf8_lossy(&checked.stdout));
    assert_eq!((count(&checked, "damaged"), count(&checked, "films")), (0, 1));
    assert_eq!(cache(&["rm", kept, "clip"]).status.code(), Some(0));
    assert_eq!(cache(&["rm", kept, "clip"]).status.code(), Some(1), "it is gone");
}

#[test]
fn a_film_reaches_the_end_of_a_chain_whole() {
    let film = Film::clip();
    measured(|| {
        let origin = Server::start(&[film.path.as_str(), "--no-adapt"]);
        let first = relay(&origin.address(), &[]);
        let second = relay(&first.address(), &[]);
        let shown = figures(&watch(&second.address(), &[]));
        let parts = ["pictures_shown", "pictures_lost", "pictures_late", "pictures_thinned", "pictures_damaged"];
        let parts = parts.map(|name| count(&shown, name));
        assert_eq!(origin.end(END).0, 0);
        let nearly_all = parts[0] * 10 >= film.pictures * 9 && parts[1] + parts[4] == 0;
        ensure!(nearly_all, "{parts:?} of {}: {shown}", film.pictures);
        Ok(())
    });
}

#[test]
fn a_relay_records_what_passes_although_nobody_watches() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = folder.path().join("recordings");
    let record = ["--record-dir", recordings.to_str().unwrap()];
    let origin = Server::start(&["test:320x240@25", "--name", "halls/one"]);
    let mut through = relay(&origin.address(), &record);
    until(&mut through, "recorded", |line| line["recordings"]["pictures"].as_u64() >= Some(50));
    // Nobody else may have the folder.
    let second = program().args(["relay", "127.0.0.1", "--port", "0"]).args(record).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(second.status.code() == Some(1) && said.contains("is in use by process"), "{said}");
    through.interrupt();
    let (code, last) = through.end(END);
    assert_eq!(
        (code, &last["recordings"]["ended"], &last["recordings"]["running"]),
        (0, &1.into(), &0.into()),
        "{last}"
    );
    // A relay that is killed leaves what can be played.
    let mut killed = relay(&origin.address(), &record);
    until(&mut killed, "recorded", |line| line["recordings"]["pictures"].as_u64() >= Some(50));
    drop(killed);
    let mut files: Vec<_> = recordings.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "mkv"));
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(
        files.iter().all(|path| path.file_name().unwrap().to_str().unwrap().starts_with("halls-one 20")),
        "{files:?}"
    );
    let [whole, cut] = [probe(&files[0]), probe(&files[1])];
    assert_eq!(pictures(&whole), count(&last["recordings"], "pictures"), "{whole}");
    assert!(pictures(&cut) >= 25 && length(&whole) > 1.0, "{whole} {cut}");
    for probed in [whole, cut] {
        let sound = probed["streams"].as_array().unwrap().iter().find(|stream| stream["codec_type"] == "audio");
        let packets = sound.and_then(|sound| sound["nb_read_packets"].as_str()?.parse::<u64>().ok());
        assert!(packets > Some(0), "{probed}");
    }
}

/// A network beside that of the machine, and the way there; gone with the test.
struct Beside {
    name: String,
}

const HERE: &str = "10.213.77.1";

impl Beside {
    /// `None` where this may not be done.
    fn new() -> Option<Self> {
        let name = format!("udpstream{}", std::process::id());
        let (near, far) =
            (format!("us{}a", std::process::id() % 10_000), format!("us{}b", std::process::id() % 10_000));
        let ip = |words: &str| {
            let done = Command::new("ip").args(words.split(' ')).output();
            done.is_ok_and(|output| output.status.success())
        };
        if !ip(&format!("netns add {name}")) {
            return None;
        }
        let beside = Self { name };
        let name = &beside.name;
        let made = ip(&format!("link add {near} type veth peer name {far} netns {name}"))
            && ip(&format!("addr add {HERE}/24 dev {near}"))
            && ip(&format!("link set {near} up"))
            && ip(&format!("-n {name} addr add 10.213.77.2/24 dev {far}"))
            && ip(&format!("-n {name} link set {far} up"))
            && ip(&format!("-n {name} link set lo up"));
        made.then_some(beside)
    }

    fn run(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program().get_program().to_str().unwrap()]).args(arguments);
        command
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // With it goes the way there.
        Command::new("ip").args(["netns", "del", &self.name]).status().ok();
    }
}

#[test]
fn a_relay_of_a_relay_passes_on_into_another_network() {
    let Some(beside) = Beside::new() else {
        println!("skipped: networks of its own may not be made here");
        return;
    };
    let origin = Server::start(&["test:320x240@25"]);
    let mut near = program();
    near.args([
        "relay",
        &origin.address(),
        "--no-announce",
        "--stats",
        "json",
        "--bind",
        HERE,
        "--port",
        "0",
        "--audio-port",
        "0",
    ]);
    let near = Server::spawn(near);
    let above = format!("{HERE}:{}", near.port);
    let relayed = [
        "relay",
        above.as_str(),
        "--no-announce",
        "--stats",
        "json",
        "--bind",
        "127.0.0.1",
        "--port",
        "0",
        "--audio-port",
        "0",
    ];
    let mut far = Server::spawn(beside.run(&relayed));
    let address = far.address();
    let watched = ["watch", address.as_str(), "--headless", "--stats", "json", "--frames", "60"];
    measured(|| {
        let shown = figures(&beside.run(&watched).output().unwrap());
        // What came over the network between them was cut for it, and is not put together again on this machine.
        assert!(count(&shown, "slices_received") >= 4 * count(&shown, "pictures_shown"), "{shown}");
        ensure!(count(&shown, "pictures_damaged") == 0, "{shown}");
        Ok(())
    });
    until(&mut far, "told of the relay above", |line| {
        line["streams"][0]["hops"].as_array().is_some_and(|h| h.len() == 1)
    });
}

#[test]
fn what_a_user_may_get_wrong_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letter"), "Dear reader").unwrap();
    let there = folder.path().to_str().unwrap();
    let [missing, letter] = ["none", "letter"].map(|name| Path::new(there).join(name));
    for (arguments, part) in [
        (&["relay", "127.0.0.1", "--cache", there, "--port", "0"][..], "something else than films"),
        (&["relay", "127.0.0.1", "--record-dir", letter.to_str().unwrap(), "--port", "0"], "is no folder"),
        (&["relay", "127.0.0.1", "--record-dir", "/proc/none", "--port", "0"], "choose another folder"),
        (&["cache", "ls", there], "something else than films"),
        (&["cache", "ls", missing.to_str().unwrap()], "is no folder"),
    ] {
        let output = program().args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(part), "{arguments:?}: {said}");
    }
    for (folder, size) in [("--cache", "--cache-size"), ("--record-dir", "--record-size")] {
        let output = program().args(["relay", "127.0.0.1", folder, "x", size, "5"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

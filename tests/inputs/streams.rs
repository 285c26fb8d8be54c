//! Many streams in one server: by the command line and by a file, watched by name, listed, one of them killed, and
//! devices that run only while somebody watches.

use std::fs;
use std::path::Path;

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::program::{Program, Run, film, serve, shown, small, udpstream, watch};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/sample.mp4");

/// `serve` on a free port of this machine, with figures and these arguments.
fn serving(arguments: &[&str]) -> Run {
    let fixed =
        ["serve", "--no-announce", "--port", "0", "--audio-port", "0", "--bind", "127.0.0.1", "--stats", "json"];
    udpstream(fixed.iter().chain(arguments))
}

/// What a server says of itself once it listens, and its address.
fn listening(server: &Program) -> (Value, String) {
    let listening = server.event("listening");
    let address = format!("127.0.0.1:{}", listening["port"]);
    (listening, address)
}

fn names(streams: &Value) -> Vec<&str> {
    streams.as_array().into_iter().flatten().filter_map(|stream| stream["name"].as_str()).collect()
}

/// The next figures of one stream for which `wanted` holds.
fn until(server: &Program, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let stats = server.event("stats");
        let stream = stats["streams"].as_array().unwrap().iter().find(|stream| stream["name"] == name).unwrap().clone();
        if wanted(&stream) {
            return stream;
        }
    }
}

#[test]
fn each_stream_is_watched_by_its_name_and_listed() {
    let server = serving(&["test:64x48@25", "--stream", "small=test:160x120@25,no-audio,title=A small one"]).start();
    let (said, address) = listening(&server);
    assert_eq!((names(&said["streams"]), &said["width"]), (vec!["test", "small"], &64.into()), "{said}");
    for (place, width) in [(address.clone(), 64), (format!("{address}/small"), 160), (format!("{address}/test"), 64)] {
        let watcher = watch(&place, &["--frames", "5"]).start();
        assert_eq!(watcher.event("playing")["width"], width, "{place}");
        watcher.end().says(0, &[]);
    }
    let listed = udpstream(["ls", &address, "--json"]).end();
    listed.says(0, &[]);
    let streams: Vec<Value> = listed.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&streams[1]["name"], &streams[1]["title"]), (&"small".into(), &"A small one".into()), "{streams:?}");
    assert_eq!((&streams[0]["audio"], &streams[1]["audio"]), (&true.into(), &false.into()));
    assert_eq!(streams[2]["streams"], 2);
    let table = udpstream(["ls", &address]).end();
    table.says(0, &[]);
    assert!(table.stdout[0].starts_with("NAME ") && table.stdout[2].contains("160×120"), "{:?}", table.stdout);
    assert!(table.stdout[3].contains(&format!("udpstream watch {address}/test")), "{:?}", table.stdout);
    let wrong = watch(&format!("{address}/smal"), &[]).end();
    wrong.says(3, &["There is no stream \"smal\" here; the nearest is small."]);
    server.signal(Signal::INT);
    let ended = server.end();
    ended.says(0, &[]);
    let summary = ended.summary();
    assert_eq!((&summary["end"], names(&summary["streams"])), (&"interrupted".into(), vec!["test", "small"]));
    let sent = |at: usize| summary["streams"][at]["pictures_sent"].as_u64().unwrap();
    assert!(sent(0) >= 10 && sent(1) >= 5, "{summary}");
    assert_eq!(summary["pictures_sent"].as_u64(), Some(sent(0) + sent(1)));
}

#[test]
fn nobody_there_to_be_listed() {
    udpstream(["ls", "127.0.0.1:9", "--timeout", "1"]).end().one_sentence(3, &["nothing was heard from 127.0.0.1:9"]);
}

#[test]
fn a_source_that_dies_takes_only_its_own_watchers_along() {
    let film = format!("film={SAMPLE},loop");
    let server = serving(&["test:64x48@25", "--stream", &film, "--stream", "live=test:64x48@25,pace=live"]).start();
    let (_, address) = listening(&server);
    let watchers = ["test", "film", "live"].map(|name| watch(&format!("{address}/{name}"), &[]).start());
    watchers.iter().for_each(|watcher| drop(watcher.event("stats")));
    for child in server.children() {
        kill_process(child, Signal::KILL).ok();
    }
    let warning = server.event("warning");
    assert_eq!((&warning["code"], &warning["stream"]), (&"failed".into(), &"film".into()), "{warning}");
    let [first, film, live] = watchers;
    let ended = film.end();
    ended.says(1, &["The source failed: ", "signal 9"]);
    assert_eq!(until(&server, "film", |_| true)["state"], "failed");
    for other in [&first, &live] {
        let before = other.event("stats")["pictures_shown"].as_u64().unwrap();
        assert!(other.event("stats")["pictures_shown"].as_u64().unwrap() > before);
    }
    // Those who come late are told.
    let late = watch(&format!("{address}/film"), &[]).end();
    assert_eq!(late.code, Some(3), "{late:?}");
    server.signal(Signal::INT);
    server.end().says(0, &["error: film: ffmpeg stopped in the middle"]);
    [first, live].into_iter().for_each(|watcher| watcher.end().says(0, &[]));
}

#[test]
fn a_stream_that_cannot_be_opened_is_named_and_ends_the_program() {
    let ended = serving(&["test:64x48", "--stream", "b=test:64x48", "--stream", "c=no-such-film.mp4"]).end();
    ended.one_sentence(1, &["c: no-such-film.mp4 was not found"]);
}

#[test]
fn a_film_with_a_comma_in_its_name_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = film(folder.path(), "a,b.mp4", &small(30));
    let spec = format!("film={path},quality=50,no-wait=no");
    let server = serving(&["--stream", &spec]).start();
    let (said, address) = listening(&server);
    assert_eq!((&said["title"], &said["streams"]), (&"a,b.mp4".into(), &Value::Null), "{said}");
    watch(&format!("{address}/film"), &[]).end().says(0, &[]);
    let ended = server.end();
    ended.says(0, &[]);
    assert_eq!((&ended.summary()["pictures_sent"], &ended.summary()["quality"]), (&30.into(), &50.into()));
}

#[test]
fn a_device_on_demand_runs_while_somebody_watches() {
    let camera = "cam=camera:lavfi:testsrc2=size=160x120:rate=25+mic:lavfi:sine=440,on-demand";
    let server = serving(&["test:64x48@25", "--stream", camera]).start();
    let (said, address) = listening(&server);
    assert_eq!((&said["streams"][1]["on_demand"], &said["streams"][1]["width"]), (&true.into(), &160.into()), "{said}");
    let place = format!("{address}/cam");
    let mut last = 0;
    for _ in 0..2 {
        until(&server, "cam", |cam| cam["state"] == "resting");
        assert!(server.children().is_empty());
        let watcher = watch(&place, &["--frames", "50"]).start();
        until(&server, "cam", |cam| cam["pictures_sent"].as_u64() > Some(last));
        assert!(!server.children().is_empty());
        let ended = watcher.end();
        ended.says(0, &[]);
        let seen = ended.summary();
        assert!(seen["audio"]["chunks"].as_u64().is_some_and(|chunks| chunks > 100), "{seen}");
        last = until(&server, "cam", |cam| cam["watchers"] == 0)["pictures_sent"].as_u64().unwrap();
    }
    server.signal(Signal::INT);
    server.end().says(0, &[]);
}

#[test]
fn limits_are_those_of_the_whole_program() {
    let server = serving(&["test:64x48@25", "--stream", "b=test:64x48@25", "--frames", "40"]).start();
    let (_, address) = listening(&server);
    let watchers = ["test", "b"].map(|name| watch(&format!("{address}/{name}"), &[]).start());
    watchers.into_iter().for_each(|watcher| watcher.end().says(0, &[]));
    let ended = server.end();
    ended.says(0, &[]);
    let summary = ended.summary();
    assert_eq!((&summary["pictures_sent"], &summary["end"]), (&40.into(), &"limit".into()), "{summary}");
}

/// A photo stands for five seconds after its only picture has come.
#[test]
fn a_limit_of_time_holds_while_the_last_picture_stands() {
    let folder = tempfile::tempdir().unwrap();
    let photo = film(folder.path(), "p.png", "-f lavfi -i color=red:size=64x48 -frames:v 1");
    let server = serve(&photo, &["--duration", "2"]).start();
    let watcher = watch(&server.address(), &[]).start();
    watcher.event("playing");
    let ended = server.end();
    ended.says(0, &[]);
    assert_eq!(ended.summary()["end"], "limit");
    watcher.end().says(0, &[]);
}

#[test]
fn a_file_says_what_is_served_and_the_command_line_overrides_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("streams.toml");
    film(folder.path(), "short.mp4", &small(40));
    let text = "quality = 50\nport = 1\n\n[[stream]]\nname = \"film\"\ninput = \"short.mp4\"\nrecord = \"kept.mkv\"\n\n\
                [[stream]]\nname = \"card\"\ninput = \"test:160x120@25\"\nquality = 60\nno-audio = true\n";
    fs::write(&path, text).unwrap();
    let config = path.to_str().unwrap();
    let checked = udpstream(["serve", "--config", config, "--check-config"]).end();
    checked.says(0, &[]);
    let said = checked.stdout.join("\n");
    assert!(said.contains("port 1 ") && said.contains("short.mp4, quality 50, recorded to "), "{said}");

    let server = serving(&["--config", config, "--stream", "card=test:64x48@25", "--frames", "60"]).start();
    let (said, address) = listening(&server);
    assert_eq!((names(&said["streams"]), &said["streams"][1]["width"]), (vec!["film", "card"], &64.into()));
    let watchers = ["film", "card"].map(|name| watch(&format!("{address}/{name}"), &[]).start());
    watchers.into_iter().for_each(|watcher| watcher.end().says(0, &[]));
    let ended = server.end();
    ended.says(0, &[]);
    let summary = ended.summary();
    let kept = &summary["streams"][0]["recorded"];
    assert!(kept["file"].as_str().is_some_and(|file| Path::new(file) == folder.path().join("kept.mkv")), "{summary}");
    assert!(folder.path().join("kept.mkv").exists());
    assert_eq!(summary["streams"][1]["quality"], 50);

    fs::write(&path, format!("{text}qualty = 5\n")).unwrap();
    let wrong = udpstream(["serve", "--config", config, "--check-config"]).end();
    wrong.says(2, &["streams.toml, line 14: there is no option \"qualty\": is quality meant?"]);
    fs::write(&path, text.replace("short.mp4", "long.mp4")).unwrap();
    let missing = udpstream(["serve", "--config", config, "--check-config"]).end();
    missing.says(2, &["long.mp4 was not found"]);
}

#[test]
fn the_example_in_the_documents_is_right() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/streams.toml");
    let checked = udpstream(["serve", "--config", config, "--check-config"]).end();
    checked.says(0, &[]);
    assert!(checked.stdout[0].contains("is right") && checked.stdout.len() > 3, "{:?}", checked.stdout);
}

#[test]
fn one_stream_says_what_it_always_said() {
    let folder = tempfile::tempdir().unwrap();
    let (said, seen) = shown(&film(folder.path(), "one.mp4", &small(20)), &[], &[]);
    assert_eq!(
        (&said["streams"], &said["title"], &seen["pictures_shown"]),
        (&Value::Null, &"one.mp4".into(), &20.into())
    );
}

/// More than a film's queue of sound holds is left when the pictures are over.
#[test]
fn sound_that_outlasts_its_pictures_holds_up_no_other_stream() {
    let folder = tempfile::tempdir().unwrap();
    let long = "-f lavfi -i testsrc2=size=64x48:rate=25:duration=1 -f lavfi -i sine=duration=100";
    let path = film(folder.path(), "long.mkv", long);
    let server = serving(&["test:64x48@25", "--stream", &format!("film={path}")]).start();
    let (_, address) = listening(&server);
    let listener = watch(&format!("{address}/film"), &[]).start();
    until(&server, "film", |film| film["pictures_sent"].as_u64() >= Some(25));
    watch(&format!("{address}/test"), &["--frames", "50"]).end().says(0, &[]);
    server.signal(Signal::INT);
    server.end().says(0, &[]);
    listener.end().says(0, &[]);
}

//! `doctor` on machines that lack this or that.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use serde_json::Value;

use super::{program, stderr, stdout};

/// Without a display, sound, or a PATH.
fn bare() -> Command {
    let mut command = program();
    command.arg("doctor").env("PATH", "");
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "XDG_RUNTIME_DIR", "PULSE_SERVER"] {
        command.env_remove(name);
    }
    command
}

/// The checks by name, and the summary.
fn checks(output: &Output) -> (Vec<Value>, Value) {
    let text = stdout(output);
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap();
    assert_eq!((&summary["event"], &summary["v"]), (&Value::from("summary"), &Value::from(1)), "{text}");
    assert!(lines.iter().all(|line| line["event"] == "check" && line["v"] == 1), "{text}");
    (lines, summary)
}

fn mark<'a>(checks: &'a [Value], name: &str) -> &'a str {
    let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name} in {checks:?}"));
    check["mark"].as_str().unwrap()
}

#[test]
fn what_is_missing_is_named_with_advice() {
    let output = bare().output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(1), String::new()));
    let text = stdout(&output);
    for line in ["problem  ffmpeg ", "problem  ffprobe ", "problem  display ", "apt install ffmpeg", "watch --headless"]
    {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert!(!text.contains('\x1b'), "no colours in a pipe: {text}");
    assert!(text.contains("Something needed is missing: "), "{text}");
}

#[test]
fn programs_get_one_object_a_line() {
    let output = bare().args(["--json", "--headless"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let (checks, summary) = checks(&output);
    assert_eq!(mark(&checks, "display"), "ok", "not wanted");
    for name in ["ffmpeg", "ffprobe"] {
        assert_eq!(mark(&checks, name), "problem");
    }
    for name in ["sound", "receive buffer", "send buffer", "port", "loopback", "timer", "codec"] {
        assert_ne!(mark(&checks, name), "problem", "{name} in {checks:?}");
    }
    for check in &checks {
        assert_eq!(check["mark"] == "ok", check["advice"].is_null(), "advice where it is needed: {check}");
    }
    let problems = checks.iter().filter(|check| check["mark"] == "problem").count();
    assert_eq!(summary["problems"], problems);
}

#[test]
fn a_machine_with_everything_passes() {
    let folder = ffmpeg_that_lists("scale format fps setsar bwdif yuv4mpegpipe");
    let output = bare().args(["--json", "--headless"]).env("PATH", folder.path()).output().unwrap();
    let (checks, summary) = checks(&output);
    assert_eq!((output.status.code(), &summary["problems"]), (Some(0), &Value::from(0)), "{checks:?}");
    assert_eq!((mark(&checks, "ffmpeg"), mark(&checks, "ffprobe")), ("ok", "ok"));
}

#[test]
fn an_ffmpeg_without_what_we_use_is_found_out() {
    let folder = ffmpeg_that_lists("scale format fps setsar bwdif");
    let output = bare().arg("--headless").env("PATH", folder.path()).output().unwrap();
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("9.9-test in ") && text.contains("was built without yuv4mpegpipe"), "{text}");
}

/// A PATH with an ffmpeg and an ffprobe that claim to have these filters and muxers.
fn ffmpeg_that_lists(names: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let listing: String = names.split(' ').map(|name| format!("echo ' .. {name} V->V'\n")).collect();
    let script = format!("#!/bin/sh\ncase $2 in\n-version) echo 'ffmpeg version 9.9-test';;\n*) {listing};;\nesac\n");
    for name in ["ffmpeg", "ffprobe"] {
        let path = folder.path().join(name);
        fs::write(&path, &script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

#[test]
fn a_display_that_does_not_answer_is_a_problem_and_no_crash() {
    let output = bare().arg("--json").env("DISPLAY", "127.0.0.1:6999").output().unwrap();
    let (checks, _) = checks(&output);
    assert_eq!((output.status.code(), mark(&checks, "display")), (Some(1), "problem"));
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_port_that_is_taken_is_a_warning() {
    // Whoever holds the port, this test or another program, `doctor` must say so and go on.
    let mut holder = super::program();
    holder.args(["serve", "test:64x64", "--no-announce", "--duration", "20"]);
    let mut holder = super::Running::start(holder, false);
    holder.wait_for("port or refusal", |said| said.contains("9688").then_some(()));
    let output = bare().args(["--json", "--headless"]).output().unwrap();
    assert_eq!(mark(&checks(&output).0, "port"), "warning");
}

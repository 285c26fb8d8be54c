//! `devices`: what there is on this machine, or what to do where there is nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use super::{program, stderr, stdout};

/// With an ffmpeg that knows one microphone. Screens are found where their servers listen, whatever DISPLAY says.
fn with_ffmpeg(folder: &std::path::Path, says: &str) -> Command {
    let file = folder.join("ffmpeg");
    fs::write(&file, format!("#!/bin/sh\nprintf '{says}'\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = program();
    command.arg("devices").env("PATH", folder);
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "XDG_RUNTIME_DIR", "PULSE_SERVER"] {
        command.env_remove(name);
    }
    command
}

#[test]
fn each_line_says_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let says = "Auto-detected sources for pulse:\\n* desk.monitor [What the desk plays] (none)\\n";
    let output = with_ffmpeg(folder.path(), says).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let text = stdout(&output);
    assert!(text.contains("  serve mic:desk.monitor         What the desk plays (default)\n"), "{text}");
    let output = with_ffmpeg(folder.path(), says).arg("--json").output().unwrap();
    let text = stdout(&output);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let microphone = lines.iter().find(|line| line["kind"] == "microphone").unwrap();
    assert_eq!((&microphone["event"], &microphone["address"]), (&"device".into(), &"mic:desk.monitor".into()));
    assert_eq!(lines.last().unwrap()["event"], "summary");
}

#[test]
fn without_ffmpeg_or_devices_there_is_advice() {
    let folder = tempfile::tempdir().unwrap();
    let mut nothing = program();
    let output = nothing.arg("devices").env("PATH", folder.path()).env_remove("DISPLAY").output().unwrap();
    let text = stdout(&output) + &stderr(&output);
    assert!(text.contains("Cameras\n  none; plug one in") || text.contains("Cameras\n  serve "), "{text}");
    assert!(text.contains("There may be more: ffmpeg is not installed"), "{text}");
}

//! `udpstream devices`: cameras, screens and microphones of this machine, and what to type for each.

use std::io::{self, Write};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::figures::Output;
use super::{Exit, StatsFormat};
use crate::source::{self, Devices, Listed, ListedMode, Stopper};

/// What the user chose.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub json: bool,
    pub quiet: bool,
}

/// Looks for all of them; [`Exit::Failed`] if there is none.
pub fn devices(options: Options) -> anyhow::Result<Exit> {
    let format = if options.json { StatsFormat::Json } else { StatsFormat::Text };
    let mut output = Output::new(format, options.quiet).context("standard output could not be written to")?;
    let all = source::devices(&Stopper::new()?)?;
    let count = all.cameras.len() + all.screens.len() + all.microphones.len();
    if options.json {
        for (kind, list, _) in kinds(&all) {
            for listed in list {
                // Whoever reads no further wants no more.
                output.event("device", fields(kind, listed)).ok();
            }
        }
        output.summary(json!({ "end": "end", "devices": count, "trouble": all.trouble }));
    } else {
        io::stdout().write_all(text(&all).as_bytes()).or_else(forgive).context("the list could not be written")?;
    }
    Ok(if count > 0 { Exit::Done } else { Exit::Failed })
}

/// A reader that has seen enough is no failure.
fn forgive(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// Each kind with its devices, and what to do where there is none.
fn kinds(all: &Devices) -> [(&'static str, &[Listed], &'static str); 3] {
    [
        ("camera", &all.cameras, "none; plug one in, or try `serve camera:lavfi:testsrc2=size=1280x720:rate=30`"),
        ("screen", &all.screens, "none; log in to a desktop, or start a screen and set DISPLAY to its number"),
        (
            "microphone",
            &all.microphones,
            "none; plug one in and start the sound server, or try `serve mic:lavfi:sine=440`",
        ),
    ]
}

fn text(all: &Devices) -> String {
    let mut text = String::new();
    for (kind, list, advice) in kinds(all) {
        let title = format!("{}{}s", kind[..1].to_uppercase(), &kind[1..]);
        text.push_str(&format!("{title}\n"));
        if list.is_empty() {
            text.push_str(&format!("  {advice}\n"));
        }
        for Listed { address, name, modes } in list {
            text.push_str(&format!("  serve {:<24} {name}\n", quoted(address)));
            for line in lines(modes) {
                text.push_str(&format!("  {:<30} {line}\n", ""));
            }
        }
    }
    if let Some(trouble) = &all.trouble {
        text.push_str(&format!("There may be more: {trouble}\n"));
    }
    text
}

/// As a shell wants it.
fn quoted(address: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/:._-+,=@".contains(&byte);
    if address.bytes().all(plain) { address.to_owned() } else { format!("'{}'", address.replace('\'', r"'\''")) }
}

/// One line for each format: `mjpeg: 640x480 at 30, 1280x720 at 30 fps`.
fn lines(modes: &[ListedMode]) -> Vec<String> {
    let mut formats: Vec<&str> = Vec::new();
    for mode in modes {
        if !formats.contains(&mode.format.as_str()) {
            formats.push(&mode.format);
        }
    }
    let line = |format: &str| {
        let of = modes.iter().filter(|mode| mode.format == format);
        let sizes: Vec<String> = of.map(size).collect();
        format!("{format}: {}", sizes.join(", "))
    };
    formats.into_iter().map(line).collect()
}

fn size(mode: &ListedMode) -> String {
    let (width, height) = (mode.size.width, mode.size.height);
    let rate = mode.rate.map(|rate| format!(" up to {rate} fps")).unwrap_or_default();
    format!("{width}x{height}{rate}")
}

fn fields(kind: &str, listed: &Listed) -> Value {
    let mode = |mode: &ListedMode| {
        let (width, height) = (mode.size.width, mode.size.height);
        json!({ "width": width, "height": height, "fps": mode.rate.map(|rate| rate.fps()), "format": mode.format })
    };
    let modes: Vec<Value> = listed.modes.iter().map(mode).collect();
    json!({ "kind": kind, "address": listed.address, "name": listed.name, "modes": modes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Rate, Size};

    #[test]
    fn each_device_says_what_to_type() {
        let mode = |width, height, fps, format: &str| ListedMode {
            size: Size::new(width, height),
            rate: Rate::from_fps(fps),
            format: format.to_owned(),
        };
        let modes = vec![mode(1280, 720, 30.0, "mjpeg"), mode(640, 480, 0.0, "yuyv422"), mode(640, 480, 30.0, "mjpeg")];
        let camera = Listed { address: "camera:/dev/video0".into(), name: "A webcam".into(), modes };
        let mic = Listed { address: "mic:It's one".into(), name: "It's one".into(), modes: Vec::new() };
        let all = Devices { cameras: vec![camera], microphones: vec![mic], ..Devices::default() };
        let text = text(&all);
        for line in [
            "Cameras\n  serve camera:/dev/video0       A webcam\n",
            "mjpeg: 1280x720 up to 30 fps, 640x480 up to 30 fps\n",
            "yuyv422: 640x480\n",
            "Screens\n  none; ",
            r"serve 'mic:It'\''s one'",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
        let json = fields("camera", &all.cameras[0]);
        assert_eq!((&json["modes"][0]["fps"], &json["modes"][1]["fps"]), (&json!(30.0), &Value::Null));
    }
}

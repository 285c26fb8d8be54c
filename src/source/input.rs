//! What the user named, as text: a path, an address, stdin or the test card.

mod local;

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use super::SourceError;
use crate::ffmpeg::{public_part, without_user};
use crate::units::{Rate, Size};

/// Where pictures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    File(PathBuf),
    Url(String),
    Stdin,
    Test {
        size: Size,
        rate: Rate,
    },
    /// Empty: the first camera of the system.
    Camera(String),
    Screen(Screen),
    /// Empty: the system's default.
    Mic(String),
}

/// What of which screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// As in `DISPLAY`, such as `:0`; without it what `DISPLAY` says.
    pub display: Option<String>,
    /// Corner and size; without it the whole screen.
    pub area: Option<((i16, i16), Size)>,
}

impl Input {
    /// The same as from text; a name that is no text can only be a path.
    pub fn named(name: OsString) -> Result<Self, SourceError> {
        name.into_string().map_or_else(|name| Ok(Self::File(name.into())), |text| text.parse())
    }

    /// What it is called in messages; never with a password or a query.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Url(url) => public_part(url),
            Self::Stdin => "standard input".to_owned(),
            Self::Test { .. } => "test card".to_owned(),
            Self::Camera(device) => named("camera", device),
            Self::Screen(Screen { display, .. }) => named("screen", display.as_deref().unwrap_or_default()),
            Self::Mic(device) => named("microphone", device),
        }
    }
}

/// What was probably meant by the name of a file that is not there, such as `Screen:`, `webcam`, `0` or `:0`.
pub(super) fn meant(text: &str) -> Option<String> {
    if (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(format!("camera:/dev/video{text}"));
    }
    let display = text.strip_prefix(':').is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()));
    if display && screen(text).is_some() {
        return Some(format!("screen:{text}"));
    }
    let word = text.split(':').next().unwrap_or_default().to_lowercase();
    let lists = [
        ("screen:", ["screen", "scren", "sreen", "desktop", "display", "monitor", "x11"]),
        ("camera:", ["camera", "cam", "webcam", "camara", "video", "v4l2", "cammera"]),
        ("mic:", ["mic", "microphone", "mike", "micro", "sound", "audio", "mick"]),
        ("test:", ["test", "testcard", "card", "tset", "pattern", "bars", "testsrc"]),
    ];
    lists.into_iter().find(|(_, words)| words.contains(&word.as_str())).map(|(name, _)| name.to_owned())
}

fn named(kind: &str, device: &str) -> String {
    if device.is_empty() { kind.to_owned() } else { format!("{kind} {device}") }
}

impl FromStr for Input {
    type Err = SourceError;

    /// `-`, `test:[WxH][@FPS]`, `camera:[DEVICE]`, `screen:[DISPLAY][+X,Y,WxH]`, `mic:[DEVICE]`, `file:` before a path,
    /// anything with `scheme://`, else a path.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        if let Some(card) = text.strip_prefix("test:") {
            return test_card(card).ok_or_else(|| SourceError::BadTest(text.to_owned()));
        }
        if let Some(screen) = text.strip_prefix("screen:") {
            return self::screen(screen).map(Self::Screen).ok_or_else(|| SourceError::BadScreen(text.to_owned()));
        }
        if let Some(device) = text.strip_prefix("camera:") {
            return Ok(Self::Camera(device.to_owned()));
        }
        if let Some(device) = text.strip_prefix("mic:") {
            return Ok(Self::Mic(device.to_owned()));
        }
        if let Some(path) = local::path(text) {
            return Ok(Self::File(path));
        }
        let is_scheme = |scheme: &str| {
            !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        };
        match text.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) && lacks_port(scheme, rest) => {
                Err(SourceError::NoPort { name: public_part(text), scheme: scheme.to_lowercase() })
            }
            Some((scheme, _)) if is_scheme(scheme) => Ok(Self::Url(text.to_owned())),
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

/// Whether it is an address that is nothing without a port, and has none from 1 to 65 535.
fn lacks_port(scheme: &str, rest: &str) -> bool {
    let host = without_user(rest).split(['/', '?', '#']).next().unwrap_or_default();
    let port = host.rsplit_once(']').map_or(host, |(_, port)| port).rsplit_once(':').map_or("", |(_, port)| port);
    let needed = ["udp", "tcp", "srt", "rtp"].contains(&scheme.to_lowercase().as_str());
    needed && port.parse::<u16>().map_or(0, |port| port) == 0
}

fn test_card(text: &str) -> Option<Input> {
    let (size, rate) = match text.split_once('@') {
        Some((size, fps)) => (size, Rate::from_fps(fps.parse().ok()?)?),
        None => (text, Rate::new(30, 1)?),
    };
    let size = if size.is_empty() { Size::new(1280, 720) } else { self::size(size)? };
    Some(Input::Test { size, rate })
}

/// `WxH`, each side 1 to 16 384.
pub fn size(text: &str) -> Option<Size> {
    let (width, height) = text.split_once(['x', 'X', '×'])?;
    let side = |text: &str| text.parse().ok().filter(|side| (1..=16_384_u16).contains(side));
    Some(Size::new(side(width)?, side(height)?))
}

/// `[DISPLAY][+X,Y,WxH]`
fn screen(text: &str) -> Option<Screen> {
    let (display, area) = match text.split_once('+') {
        Some((display, area)) => (display, Some(area)),
        None => (text, None),
    };
    let area = match area.map(|area| area.splitn(3, ',').collect::<Vec<_>>()) {
        Some(parts) => {
            let [x, y, wide] = parts[..] else { return None };
            Some(((x.parse().ok()?, y.parse().ok()?), size(wide)?))
        }
        None => None,
    };
    // A number alone is no display, and neither is a name.
    if !display.is_empty() && !display.contains(':') {
        return None;
    }
    Some(Screen { display: (!display.is_empty()).then(|| display.to_owned()), area })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_told_apart() {
        let card = |width, height, fps| Input::Test {
            size: Size::new(width, height),
            rate: Rate::from_fps(fps).expect("usual"),
        };
        for (text, input) in [
            ("-", Input::Stdin),
            ("test:", card(1280, 720, 30.0)),
            ("test:@60", card(1280, 720, 60.0)),
            ("test:640x481@29.97", card(640, 481, 29.97)),
            ("rtsp://a/b", Input::Url("rtsp://a/b".into())),
            ("screen:", Input::Screen(Screen::default())),
            (
                "screen::1.0+10,-20,64x48",
                Input::Screen(Screen { display: Some(":1.0".into()), area: Some(((10, -20), Size::new(64, 48))) }),
            ),
            ("camera:/dev/video2", Input::Camera("/dev/video2".into())),
            ("mic:", Input::Mic(String::new())),
            ("C:/a b.mp4", Input::File("C:/a b.mp4".into())),
            ("://x", Input::File("://x".into())),
        ] {
            assert_eq!(text.parse::<Input>().expect(text), input);
        }
        for text in ["test:0x5", "test:5", "test:1x1@0", "test:1x1@x", "test:@", "test:axb"] {
            let error = text.parse::<Input>().expect_err(text).to_string();
            assert!(error.contains("write test:"), "{error}");
        }
        for text in ["screen:+1", "screen::0+1,2,3", "screen:+a,2,3x4", "screen:0", "screen:foo"] {
            let error = text.parse::<Input>().expect_err(text).to_string();
            assert!(error.contains("write screen:"), "{error}");
        }
    }

    #[test]
    fn some_addresses_need_a_port() {
        for text in ["udp://127.0.0.1", "srt://:0?mode=listener", "tcp://[::1]/x", "rtp://h:99999", "UDP://name:pass@h"]
        {
            let error = text.parse::<Input>().expect_err(text).to_string();
            assert!(error.contains("://HOST:PORT") && !error.contains("pass"), "{error}");
        }
        for text in ["udp://@239.0.0.1:1234?ttl=1", "srt://:9000?mode=listener", "tcp://[::1]:7", "rtsp://cam/x"] {
            assert_eq!(text.parse::<Input>().expect(text), Input::Url(text.to_owned()));
        }
    }

    #[test]
    fn near_misses_of_devices_are_known() {
        for (text, name) in [
            ("Screen:", "screen:"),
            ("scren::0", "screen:"),
            ("webcam", "camera:"),
            ("mic", "mic:"),
            ("0", "camera:/dev/video0"),
            ("12", "camera:/dev/video12"),
            (":0", "screen::0"),
            (":0.0", "screen::0.0"),
            (":1+0,0,64x48", "screen::1+0,0,64x48"),
        ] {
            assert_eq!(meant(text).as_deref(), Some(name));
        }
        for text in ["film.mp4", "9688", "0.mp4", ":x", ":"] {
            assert_eq!(meant(text), None, "{text}");
        }
    }
}

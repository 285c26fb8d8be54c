//! Which cameras, screens and microphones there are, and what to type for each of them.

use std::fs;
use std::time::Duration;

use super::arguments::{self, System};
use super::feed::{self, Who};
use super::offers::{self, Offer, unlabelled};
use super::screen;
use super::trouble::{DeviceKind, Trouble};
use crate::clock;
use crate::ffmpeg::{self, Control, Question};
use crate::source::{Input, SourceError, Stopper};
use crate::units::{Rate, Size};

/// All there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    pub cameras: Vec<Listed>,
    pub screens: Vec<Listed>,
    pub microphones: Vec<Listed>,
    /// Why there may be more than could be seen, and what to do about it.
    pub trouble: Option<String>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What to type after `serve`.
    pub address: String,
    /// What people call it.
    pub name: String,
    pub modes: Vec<ListedMode>,
}

/// One way in which it gives pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMode {
    pub size: Size,
    /// The most pictures a second, where it says so.
    pub rate: Option<Rate>,
    pub format: String,
}

/// Looks for all of them; takes a second or two.
pub fn devices(stopper: &Stopper) -> Result<Devices, SourceError> {
    let (system, control) = (System::here(), &stopper.0);
    let trouble = ffmpeg::find("ffmpeg").err().map(|error| error.to_string());
    let ask = |arguments: &[String]| if trouble.is_none() { feed::ask(arguments, control) } else { Ok(String::new()) };
    let mut all = match arguments::devices(system) {
        Some(arguments) => named(system, &ask(&arguments)?),
        None => Devices { microphones: microphones(control), ..Devices::default() },
    };
    if system == System::Linux {
        let listed =
            |(path, name): (String, String)| Listed { address: format!("camera:{path}"), name, modes: Vec::new() };
        all.cameras = nodes().into_iter().map(listed).collect();
        all.screens = screens(control);
    }
    for camera in &mut all.cameras {
        let device = camera.address.strip_prefix("camera:").unwrap_or_default();
        let offers = offers::parse(system, &ask(&arguments::modes(system, device))?);
        camera.modes = offers.into_iter().map(ListedMode::from).collect();
    }
    if system == System::Linux {
        // Most cameras have a second node, for what they say about their pictures. One that may not be opened is shown.
        let readable = |camera: &Listed| fs::File::open(camera.address.trim_start_matches("camera:")).is_ok();
        all.cameras.retain(|camera| !camera.modes.is_empty() || !readable(camera) || trouble.is_some());
    }
    Ok(Devices { trouble, ..all })
}

impl From<Offer> for ListedMode {
    fn from(offer: Offer) -> Self {
        Self { size: offer.size, rate: offer.rate, format: offer.coding.name().to_owned() }
    }
}

/// Screens that can be served, with the names under which they are opened.
fn screens(control: &Control) -> Vec<Listed> {
    let listed = |screen: screen::Listed| Listed { address: screen.name, name: screen.description, modes: Vec::new() };
    screen::screens(control).into_iter().map(listed).collect()
}

/// Which device is meant: a path, a number, a part of its name, or, if empty, the first that gives pictures.
pub(super) fn find_camera(wanted: &str, control: &Control) -> Result<String, SourceError> {
    let system = System::here();
    if system != System::Linux {
        return Ok(if wanted.is_empty() { "0" } else { wanted }.to_owned());
    }
    let who =
        Who { name: Input::Camera(wanted.to_owned()).name(), address: wanted.to_owned(), kind: DeviceKind::Pictures };
    let missing = || who.trouble(Trouble::Missing);
    if wanted.starts_with('/') {
        return Ok(wanted.to_owned());
    }
    if !wanted.is_empty() && wanted.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(format!("/dev/video{wanted}"));
    }
    let mut last = None;
    for (path, name) in nodes() {
        if name.to_lowercase().contains(&wanted.to_lowercase()) {
            let said = feed::ask(&arguments::modes(system, &path), control)?;
            if !offers::parse(system, &said).is_empty() {
                return Ok(path);
            }
            last = Some(path);
        }
    }
    // The one that gives no list says best itself what is wrong with it.
    last.ok_or_else(missing)
}

/// The kernel's nodes for pictures in order, with their names.
fn nodes() -> Vec<(String, String)> {
    let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
    let number = |name: &str| name.strip_prefix("video")?.parse::<u32>().ok();
    let mut numbers: Vec<_> = entries.filter_map(|entry| number(entry.file_name().to_str()?)).collect();
    numbers.sort_unstable();
    let name = |number| fs::read_to_string(format!("/sys/class/video4linux/video{number}/name")).unwrap_or_default();
    numbers.into_iter().map(|number| (format!("/dev/video{number}"), name(number).trim().to_owned())).collect()
}

/// The sound server's, or else the kernel's.
fn microphones(control: &Control) -> Vec<Listed> {
    let served = sources(control).map(|text| pulse(&text)).unwrap_or_default();
    if !served.is_empty() {
        return served;
    }
    fs::read_to_string("/proc/asound/pcm").map(|text| alsa(&text)).unwrap_or_default()
}

/// ffmpeg's list of the sound server's sources.
fn sources(control: &Control) -> Option<String> {
    let mut command = ffmpeg::ffmpeg().ok()?;
    command.args(["-sources", "pulse"]);
    let question = Question { command, feed: &[], input: "", name: "" };
    let answer = control.ask(question, clock::now() + ANSWER).ok()??;
    Some(String::from_utf8_lossy(&answer.output).into_owned())
}

/// `* NAME [what people call it] (none)`, a star before the default.
fn pulse(text: &str) -> Vec<Listed> {
    let line = |line: &str| {
        let (first, rest) = line.split_at_checked(2)?;
        let (address, rest) = rest.split_once(" [")?;
        let (name, _) = rest.rsplit_once(']')?;
        let name = if first == "* " { format!("{name} (default)") } else { name.to_owned() };
        let known = (first == "* " || first == "  ") && !address.contains(' ');
        known.then(|| Listed { address: format!("mic:{address}"), name, modes: Vec::new() })
    };
    text.lines().filter_map(line).take(MOST).collect()
}

/// `00-00: ALC257 Analog : ALC257 Analog : playback 1 : capture 1`.
fn alsa(text: &str) -> Vec<Listed> {
    let line = |line: &str| {
        let (place, rest) = line.split_once(": ")?;
        let (card, device) = place.split_once('-')?;
        let (card, device) = (card.parse::<u32>().ok()?, device.parse::<u32>().ok()?);
        let name = rest.split(':').next()?.trim().to_owned();
        let hears = rest.contains(": capture");
        hears.then(|| Listed { address: format!("mic:hw:{card},{device}"), name, modes: Vec::new() })
    };
    text.lines().filter_map(line).take(MOST).collect()
}

/// ffmpeg's list of all devices, of systems that have one.
fn named(system: System, text: &str) -> Devices {
    let mut all = Devices::default();
    // Older ones name the kind once before, newer ones behind each name.
    let mut hears = false;
    for line in text.lines().map(unlabelled).take(MOST) {
        let line = line.trim();
        hears = line.contains("audio devices") || hears && !line.contains("video devices");
        let found = match system {
            System::Windows => line.strip_prefix('"').and_then(|rest| rest.split_once('"')),
            System::MacOs | System::Linux => line.strip_prefix('[').and_then(|rest| rest.split_once("] ")),
        };
        let Some((first, second)) = found else { continue };
        let (id, name) = if system == System::Windows { (first, first) } else { (first, second) };
        let sound = if system == System::Windows { second.contains("(audio)") || hears } else { hears };
        let screen = name.starts_with("Capture screen");
        let (list, kind) = match (sound, screen) {
            (true, _) => (&mut all.microphones, "mic"),
            (_, true) => (&mut all.screens, "screen"),
            _ => (&mut all.cameras, "camera"),
        };
        list.push(Listed { address: format!("{kind}:{id}"), name: name.to_owned(), modes: Vec::new() });
    }
    all
}

const ANSWER: Duration = Duration::from_secs(5);
/// More than anybody has.
const MOST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(list: &[Listed]) -> Vec<String> {
        list.iter().map(|listed| format!("{} {}", listed.address, listed.name)).collect()
    }

    #[test]
    fn microphones_are_read_from_both_lists() {
        let text = "Auto-detected sources for pulse:\n* alsa_input.pci [Built-in Audio [x]] (none)\n  null.monitor [Monitor of Null] (none)\nCannot list\n";
        assert_eq!(
            lines(&pulse(text)),
            ["mic:alsa_input.pci Built-in Audio [x] (default)", "mic:null.monitor Monitor of Null",]
        );
        let text = "00-00: ALC257 Analog : ALC257 Analog : playback 1 : capture 1\n00-03: HDMI 0 : HDMI 0 : playback 1\n01-00: USB Audio : USB Audio : capture 1\n";
        assert_eq!(lines(&alsa(text)), ["mic:hw:0,0 ALC257 Analog", "mic:hw:1,0 USB Audio"]);
        assert!(pulse("é [").is_empty() && alsa("x-y: z\n\u{0}").is_empty());
    }

    #[test]
    fn other_systems_have_one_list() {
        let mac = "\
[AVFoundation indev @ 0x7f] AVFoundation video devices:
[AVFoundation indev @ 0x7f] [0] FaceTime HD Camera
[AVFoundation indev @ 0x7f] [1] Capture screen 0
[AVFoundation indev @ 0x7f] AVFoundation audio devices:
[AVFoundation indev @ 0x7f] [0] Built-in Microphone
: Input/output error";
        let Devices { cameras, screens, microphones, .. } = named(System::MacOs, mac);
        assert_eq!(lines(&cameras), ["camera:0 FaceTime HD Camera"]);
        assert_eq!(lines(&screens), ["screen:1 Capture screen 0"]);
        assert_eq!(lines(&microphones), ["mic:0 Built-in Microphone"]);
        let windows = "\
[dshow @ 0001] \"Integrated Camera\" (video)
[dshow @ 0001]   Alternative name \"@device_pnp_x\"
[dshow @ 0001] \"Microphone (Realtek)\" (audio)
dummy: Immediate exit requested";
        let Devices { cameras, microphones, .. } = named(System::Windows, windows);
        assert_eq!(lines(&cameras), ["camera:Integrated Camera Integrated Camera"]);
        assert_eq!(lines(&microphones), ["mic:Microphone (Realtek) Microphone (Realtek)"]);
        let old = "[dshow @ 1] DirectShow video devices\n[dshow @ 1]  \"Cam\"\n[dshow @ 1] DirectShow audio devices\n[dshow @ 1]  \"Mic\"";
        let Devices { cameras, microphones, .. } = named(System::Windows, old);
        assert_eq!((lines(&cameras).len(), lines(&microphones).len()), (1, 1));
    }
}

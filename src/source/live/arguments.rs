//! What ffmpeg is told for a camera, a screen or a microphone, on each system; plain functions, so that every system is
//! tested on every other. Always what delays least: no look ahead, no buffer, small pieces, and no coding anew of what the
//! device has coded. A thread's queue (`-thread_queue_size`) is left as it is: ffmpeg has one for several inputs only.

use crate::media::sound::RATE;
use crate::source::SoundOptions;
use crate::units::{Rate, Size};

/// Whose devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source) enum System {
    Linux,
    MacOs,
    Windows,
}

impl System {
    pub const fn here() -> Self {
        if cfg!(target_os = "macos") {
            Self::MacOs
        } else if cfg!(windows) {
            Self::Windows
        } else {
            Self::Linux
        }
    }

    /// ffmpeg's name of what opens cameras.
    pub const fn cameras(self) -> &'static str {
        match self {
            Self::Linux => "v4l2",
            Self::MacOs => "avfoundation",
            Self::Windows => "dshow",
        }
    }

    /// What follows `-i` for a camera.
    pub fn camera_address(self, device: &str) -> String {
        match self {
            Self::Linux => device.to_owned(),
            Self::MacOs => format!("{device}:none"),
            Self::Windows => format!("video={device}"),
        }
    }
}

/// How a camera codes its pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) enum Coding {
    Mjpeg,
    /// Uncoded; its arrangement by ffmpeg's name, or whichever the camera likes best.
    Raw(Option<String>),
    /// Anything that ffmpeg has to decode, by its name.
    Coded(String),
}

/// What a camera is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) struct Shot {
    pub coding: Coding,
    pub size: Option<Size>,
    pub rate: Option<Rate>,
}

/// Where sound is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) enum MicAddress {
    /// A source of the sound server, by its name.
    Pulse(String),
    Alsa(String),
    AvFoundation(String),
    DirectShow(String),
    /// What tests, and people without a microphone, use.
    Graph(String),
}

/// Everything before the output: how the camera is opened.
pub(in crate::source) fn camera(system: System, device: &str, shot: &Shot) -> Vec<String> {
    let mut arguments = quick();
    arguments.extend(words(&["-f", system.cameras()]));
    match system {
        // The kernel's own stamps, which are of our clock.
        System::Linux => arguments.extend(words(&["-timestamps", "default"])),
        System::MacOs => {}
        // A picture that finds the buffer full is lost; one second of the largest.
        System::Windows => arguments.extend(words(&["-rtbufsize", "128M"])),
    }
    match (&shot.coding, system) {
        (Coding::Mjpeg, System::Linux) => arguments.extend(words(&["-input_format", "mjpeg"])),
        (Coding::Coded(name), System::Linux) => arguments.extend(words(&["-input_format", name])),
        (Coding::Raw(Some(name)), System::Linux) => arguments.extend(words(&["-input_format", name])),
        (Coding::Mjpeg, System::Windows) => arguments.extend(words(&["-vcodec", "mjpeg"])),
        (Coding::Coded(name), System::Windows) => arguments.extend(words(&["-vcodec", name])),
        (Coding::Raw(Some(name)), _) => arguments.extend(words(&["-pixel_format", name])),
        (Coding::Raw(None), _) | (_, System::MacOs) => {}
    }
    arguments.extend(mode(shot.size, shot.rate.or((system == System::MacOs).then_some(THIRTY))));
    arguments.extend([String::from("-i"), system.camera_address(device)]);
    arguments
}

/// The stand-in for a camera: a graph of filters, at its own pace; `mjpeg:` before it lets ffmpeg code its pictures.
pub(in crate::source) fn graph_camera(graph: &str, denoise: bool) -> Vec<String> {
    let (graph, coded) = graph.strip_prefix("mjpeg:").map_or((graph, false), |graph| (graph, true));
    let mut arguments = words(&["-re", "-f", "lavfi", "-i", graph]);
    arguments.extend(match (denoise, coded) {
        (true, _) => decoded(true),
        (false, true) => words(&["-c:v", "mjpeg", "-q:v", "5", "-pix_fmt", "yuvj420p", "-huffman", "default"]),
        (false, false) => words(&["-c:v", "rawvideo", "-pix_fmt", "yuyv422"]),
    });
    arguments.extend(words(&["-fps_mode", "passthrough"]));
    arguments
}

/// What is done with what a camera gives: nothing, but for what must be decoded.
pub(in crate::source) fn pictures(coding: &Coding, denoise: bool) -> Vec<String> {
    if !is_decoded(coding, denoise) {
        return words(&["-c:v", "copy"]);
    }
    let mut arguments = decoded(denoise);
    arguments.extend(words(&["-fps_mode", "passthrough"]));
    arguments
}

/// Whether ffmpeg brings a camera's pictures to the colours that we send.
pub(in crate::source) const fn is_decoded(coding: &Coding, denoise: bool) -> bool {
    denoise || matches!(coding, Coding::Coded(_))
}

fn decoded(denoise: bool) -> Vec<String> {
    let mut filters = String::from("scale=out_color_matrix=bt601:out_range=full:flags=bilinear");
    if denoise {
        filters += ",format=yuv420p,hqdn3d";
    }
    words(&["-vf", &filters, "-pix_fmt", "yuv420p", "-c:v", "rawvideo"])
}

/// Everything before the output: how a microphone is opened.
pub(in crate::source) fn microphone(place: &MicAddress) -> Vec<String> {
    let mut arguments = quick();
    let rate = RATE.to_string();
    arguments.extend(match place {
        MicAddress::Pulse(name) => words(&[
            "-f",
            "pulse",
            "-name",
            "udpstream",
            "-stream_name",
            "microphone",
            "-sample_rate",
            &rate,
            "-channels",
            "2",
            "-fragment_size",
            FRAGMENT,
            "-i",
            name,
        ]),
        // Bare devices take only what their hardware does; a plug in front of them takes anything.
        MicAddress::Alsa(name) => {
            let name = name.strip_prefix("hw:").map_or_else(|| name.clone(), |card| format!("plughw:{card}"));
            words(&["-f", "alsa", "-sample_rate", &rate, "-channels", "2", "-i", &name])
        }
        MicAddress::AvFoundation(name) => words(&["-f", "avfoundation", "-i", &format!("none:{name}")]),
        MicAddress::DirectShow(name) => {
            words(&["-f", "dshow", "-audio_buffer_size", "10", "-i", &format!("audio={name}")])
        }
        MicAddress::Graph(graph) => return words(&["-re", "-f", "lavfi", "-i", graph]),
    });
    arguments
}

/// What is done to sound before we take it; both sides become their mean on ours.
pub(in crate::source) fn sound(options: &SoundOptions) -> Vec<String> {
    let mut filters = Vec::new();
    if options.denoise {
        filters.push(format!("aresample={RATE},aformat=channel_layouts=stereo,afftdn"));
    }
    filters.extend((options.gain_db != 0.0).then(|| format!("volume={}dB", options.gain_db)));
    let mut arguments = words(&["-map", "0:a:0", "-vn"]);
    if !filters.is_empty() {
        arguments.extend([String::from("-af"), filters.join(",")]);
    }
    arguments.extend(words(&["-ac", "2", "-ar", &RATE.to_string(), "-c:a", "pcm_s16le"]));
    arguments
}

/// Into the pipe: each packet with its own stamp, as it is, at once, and nothing kept for an index.
pub(in crate::source) fn out() -> Vec<String> {
    words(&[
        "-copyts",
        "-strict",
        "experimental",
        "-f",
        "nut",
        "-syncpoints",
        "none",
        "-write_index",
        "0",
        "-flush_packets",
        "1",
        "pipe:1",
    ])
}

/// Asks for all there is to choose from.
pub(in crate::source) fn modes(system: System, device: &str) -> Vec<String> {
    let address = system.camera_address(device);
    match system {
        System::Linux => words(&["-f", "v4l2", "-list_formats", "all", "-i", &address]),
        // It tells its modes only when it is asked for one that no camera has.
        System::MacOs => words(&["-f", "avfoundation", "-video_size", "1x1", "-i", &address]),
        System::Windows => words(&["-f", "dshow", "-list_options", "true", "-i", &address]),
    }
}

/// Asks for all cameras, screens and microphones; Linux has other places to look.
pub(in crate::source) fn devices(system: System) -> Option<Vec<String>> {
    match system {
        System::Linux => None,
        System::MacOs => Some(words(&["-f", "avfoundation", "-list_devices", "true", "-i", ""])),
        System::Windows => Some(words(&["-f", "dshow", "-list_devices", "true", "-i", "dummy"])),
    }
}

/// A screen, where it is not taken without ffmpeg.
#[allow(dead_code, reason = "screens of Linux are taken without ffmpeg; the others wait for their systems")]
pub(in crate::source) fn screen(system: System, name: &str, rate: Rate, pointer: bool) -> Option<Vec<String>> {
    let (format, pointer_name, address) = match system {
        System::Linux => return None,
        System::MacOs => ("avfoundation", "-capture_cursor", format!("{name}:none")),
        System::Windows => ("gdigrab", "-draw_mouse", if name.is_empty() { "desktop" } else { name }.to_owned()),
    };
    let mut arguments = quick();
    arguments.extend(words(&["-f", format, pointer_name, if pointer { "1" } else { "0" }]));
    arguments.extend(mode(None, Some(rate)));
    arguments.extend([String::from("-i"), address]);
    Some(arguments)
}

/// No look ahead and nothing held back.
fn quick() -> Vec<String> {
    words(&["-fflags", "nobuffer", "-flags", "low_delay", "-probesize", "32", "-analyzeduration", "0"])
}

fn mode(size: Option<Size>, rate: Option<Rate>) -> Vec<String> {
    let size = size.map(|Size { width, height }| [String::from("-video_size"), format!("{width}x{height}")]);
    let rate = rate.map(|rate| [String::from("-framerate"), format!("{}/{}", rate.num(), rate.den())]);
    size.into_iter().chain(rate).flatten().collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Bytes that the sound server hands over at once: 256 frames, 6 ms.
const FRAGMENT: &str = "1024";
/// ffmpeg asks a Mac's camera for 29.97 unless told, which few have.
const THIRTY: Rate = match Rate::new(30, 1) {
    Some(rate) => rate,
    None => unreachable!(),
};

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: &str = "-fflags nobuffer -flags low_delay -probesize 32 -analyzeduration 0";

    fn shot(coding: Coding) -> Shot {
        Shot { coding, size: Some(Size::new(1280, 720)), rate: Rate::new(30_000, 1_001) }
    }

    #[test]
    fn each_system_opens_cameras_its_own_way() {
        let yuyv = Coding::Raw(Some("yuyv422".into()));
        let mode = "-video_size 1280x720 -framerate 30000/1001";
        for (system, device, coding, rest) in [
            (
                System::Linux,
                "/dev/video2",
                Coding::Mjpeg,
                format!("-f v4l2 -timestamps default -input_format mjpeg {mode} -i /dev/video2"),
            ),
            (
                System::Linux,
                "/dev/video0",
                yuyv.clone(),
                format!("-f v4l2 -timestamps default -input_format yuyv422 {mode} -i /dev/video0"),
            ),
            (
                System::Linux,
                "/dev/video0",
                Coding::Coded("h264".into()),
                format!("-f v4l2 -timestamps default -input_format h264 {mode} -i /dev/video0"),
            ),
            (
                System::MacOs,
                "0",
                Coding::Raw(Some("nv12".into())),
                format!("-f avfoundation -pixel_format nv12 {mode} -i 0:none"),
            ),
            (
                System::Windows,
                "A Cam",
                Coding::Mjpeg,
                format!("-f dshow -rtbufsize 128M -vcodec mjpeg {mode} -i video=A Cam"),
            ),
            (
                System::Windows,
                "A Cam",
                yuyv,
                format!("-f dshow -rtbufsize 128M -pixel_format yuyv422 {mode} -i video=A Cam"),
            ),
        ] {
            assert_eq!(camera(system, device, &shot(coding)).join(" "), format!("{QUICK} {rest}"));
        }
        let plain = Shot { coding: Coding::Raw(None), size: None, rate: None };
        assert_eq!(
            camera(System::Linux, "/dev/video0", &plain).join(" "),
            format!("{QUICK} -f v4l2 -timestamps default -i /dev/video0")
        );
        assert!(camera(System::MacOs, "0", &plain).join(" ").ends_with("-framerate 30/1 -i 0:none"));
    }

    #[test]
    fn only_what_must_be_decoded_is() {
        assert_eq!(pictures(&Coding::Mjpeg, false).join(" "), "-c:v copy");
        assert_eq!(pictures(&Coding::Raw(None), false), pictures(&Coding::Mjpeg, false));
        let coded = Coding::Coded("h264".into());
        let plain = pictures(&coded, false).join(" ");
        assert!(plain.contains("out_range=full") && !plain.contains("hqdn3d"));
        for coding in [Coding::Mjpeg, Coding::Raw(None), coded] {
            assert!(
                pictures(&coding, true).join(" ").contains("flags=bilinear,format=yuv420p,hqdn3d -pix_fmt yuv420p")
            );
        }
        assert!(out().join(" ").ends_with("-f nut -syncpoints none -write_index 0 -flush_packets 1 pipe:1"));
        assert!(graph_camera("mjpeg:testsrc2", false).join(" ").starts_with("-re -f lavfi -i testsrc2 -c:v mjpeg"));
        assert!(graph_camera("testsrc2", false).join(" ").contains("yuyv422"));
    }

    #[test]
    fn each_system_opens_microphones_its_own_way() {
        for (place, rest) in [
            (
                MicAddress::Pulse("default".into()),
                "-f pulse -name udpstream -stream_name microphone -sample_rate 44100 -channels 2 -fragment_size 1024 -i default",
            ),
            (MicAddress::Alsa("hw:1".into()), "-f alsa -sample_rate 44100 -channels 2 -i plughw:1"),
            (MicAddress::Alsa("default".into()), "-f alsa -sample_rate 44100 -channels 2 -i default"),
            (MicAddress::AvFoundation("0".into()), "-f avfoundation -i none:0"),
            (MicAddress::DirectShow("A Mic".into()), "-f dshow -audio_buffer_size 10 -i audio=A Mic"),
        ] {
            assert_eq!(microphone(&place).join(" "), format!("{QUICK} {rest}"));
        }
        let loud = SoundOptions { gain_db: 6.0, denoise: true, ..SoundOptions::default() };
        assert!(sound(&loud).join(" ").contains("afftdn,volume=6dB -ac 2"));
        assert_eq!(sound(&SoundOptions::default()).join(" "), "-map 0:a:0 -vn -ac 2 -ar 44100 -c:a pcm_s16le");
    }

    #[test]
    fn lists_and_screens_are_asked_for_where_ffmpeg_knows_them() {
        assert_eq!(modes(System::Linux, "/dev/video1").join(" "), "-f v4l2 -list_formats all -i /dev/video1");
        assert_eq!(modes(System::Windows, "A Cam").join(" "), "-f dshow -list_options true -i video=A Cam");
        assert_eq!(devices(System::Linux), None);
        assert!(devices(System::MacOs).is_some_and(|list| list.contains(&"-list_devices".to_owned())));
        assert_eq!(screen(System::Linux, "", THIRTY, true), None);
        let desktop = screen(System::Windows, "", THIRTY, false).expect("a screen").join(" ");
        assert_eq!(desktop, format!("{QUICK} -f gdigrab -draw_mouse 0 -framerate 30/1 -i desktop"));
        let mac = screen(System::MacOs, "1", THIRTY, true).expect("a screen").join(" ");
        assert_eq!(mac, format!("{QUICK} -f avfoundation -capture_cursor 1 -framerate 30/1 -i 1:none"));
    }
}

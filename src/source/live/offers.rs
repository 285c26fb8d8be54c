//! What a camera has to offer, read from ffmpeg's lists, and which of it is best.

use super::arguments::{Coding, Shot, System};
use crate::units::{Rate, Size};

/// One way of a camera to give pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) struct Offer {
    pub coding: Coding,
    pub size: Size,
    /// The most pictures a second, where the list says so.
    pub rate: Option<Rate>,
}

/// Reads the list that ffmpeg gives of one camera.
pub(in crate::source) fn parse(system: System, text: &str) -> Vec<Offer> {
    let offers = text.lines().map(unlabelled).flat_map(|line| match system {
        System::Linux => v4l2(line),
        System::MacOs => avfoundation(line),
        System::Windows => dshow(line),
    });
    let mut seen = Vec::new();
    for offer in offers.take(MOST) {
        if !seen.contains(&offer) {
            seen.push(offer);
        }
    }
    seen
}

/// What to ask for: what was wished, else 720p or the next beyond it at 30 pictures a second as JPEGs, which are passed on
/// as they are; else uncoded, which is limited by the cable; else what must be decoded.
pub(in crate::source) fn choose(offers: &[Offer], size: Option<Size>, rate: Option<Rate>) -> Shot {
    let fits = |offer: &&Offer| {
        size.is_none_or(|size| offer.size == size)
            && rate.zip(offer.rate).is_none_or(|(wished, most)| wished.fps() <= most.fps() + 0.01)
    };
    let best = offers.iter().filter(fits).max_by_key(|offer| worth(offer, size.is_some()));
    match best {
        Some(offer) => {
            // A list without rates says nothing about which there are: then the camera's own choice is left alone.
            let usual = offer.rate.map(|most| if most.fps() > THIRTY.fps() { THIRTY } else { most });
            Shot { coding: offer.coding.clone(), size: Some(offer.size), rate: rate.or(usual) }
        }
        // Nothing known, or nothing that fits: the camera says what it thinks of the wish.
        None => {
            let coding = offers.first().map_or(Coding::Raw(None), |offer| offer.coding.clone());
            Shot { coding, size, rate }
        }
    }
}

/// More is better.
fn worth(offer: &Offer, any_size: bool) -> (bool, bool, u8, i64) {
    let quick = offer.rate.map_or_else(|| fits_cable(offer), |rate| rate.fps() > 29.0);
    let large = any_size || offer.size.height >= GOOD;
    let coding = match offer.coding {
        Coding::Mjpeg => 2,
        Coding::Raw(_) => 1,
        Coding::Coded(_) => 0,
    };
    let pixels = offer.size.pixels() as i64;
    // Of the large ones the smallest, of the small ones the largest.
    (quick && large, quick, coding, if large { -pixels } else { pixels })
}

/// Whether 30 pictures a second of what USB cameras give uncoded, two bytes a pixel, fit what USB 2 gives a camera.
fn fits_cable(offer: &Offer) -> bool {
    let Coding::Raw(Some(name)) = &offer.coding else { return true };
    !matches!(name.as_str(), "yuyv422" | "uyvy422") || offer.size.pixels() * 2 * 30 <= USB_2
}

/// Without `[video4linux2,v4l2 @ 0x55d] `.
pub(in crate::source) fn unlabelled(line: &str) -> &str {
    line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(line, |(_, rest)| rest)
}

/// `Compressed:       mjpeg :          Motion-JPEG : 1920x1080 1280x720`, sizes also as `{32-2592, 2}x{32-1944, 2}`.
fn v4l2(line: &str) -> Vec<Offer> {
    // What people call it may have colons in it, as in 4:2:2.
    let parts = line.split_once(':').zip(line.rsplit_once(" : "));
    let Some(((kind, rest), (_, sizes))) = parts else { return Vec::new() };
    let (kind, name, sizes) = (kind.trim(), rest.split(':').next().unwrap_or_default().trim(), sizes.trim());
    let coding = match (kind, name) {
        (_, "" | "Unsupported") => return Vec::new(),
        ("Compressed", "mjpeg") => Coding::Mjpeg,
        ("Compressed", name) => Coding::Coded(name.to_owned()),
        ("Raw", name) => Coding::Raw(Some(name.to_owned())),
        _ => return Vec::new(),
    };
    let offer = |size| Offer { coding: coding.clone(), size, rate: None };
    if sizes.starts_with('{') {
        return stepped(sizes).into_iter().map(offer).collect();
    }
    sizes.split_whitespace().filter_map(size).map(offer).collect()
}

/// Of a range of sizes those that people use.
fn stepped(text: &str) -> Vec<Size> {
    let numbers: Vec<u16> =
        text.split(|letter: char| !letter.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    let &[low_width, high_width, _, low_height, high_height, _] = numbers.as_slice() else { return Vec::new() };
    let usual = [(640, 480), (1280, 720), (1920, 1080)].map(|(width, height)| Size::new(width, height));
    let within = |size: &Size| {
        (low_width..=high_width).contains(&size.width) && (low_height..=high_height).contains(&size.height)
    };
    let mut sizes: Vec<_> = usual.into_iter().filter(within).collect();
    if sizes.is_empty() {
        sizes.push(Size::new(high_width, high_height));
    }
    sizes
}

/// `  1280x720@[15.000000 30.000000]fps`: whatever its coding, ffmpeg gets it uncoded.
fn avfoundation(line: &str) -> Vec<Offer> {
    let offer = || {
        let (wide, rates) = line.trim().split_once("@[")?;
        let most = rates.split(']').next()?.split_whitespace().last()?;
        let rate = Rate::from_fps(most.parse().ok()?);
        Some(Offer { coding: Coding::Raw(Some("nv12".to_owned())), size: size(wide)?, rate })
    };
    offer().into_iter().collect()
}

/// `  vcodec=mjpeg  min s=640x480 fps=5 max s=1280x720 fps=30`, or `pixel_format=yuyv422` in front.
fn dshow(line: &str) -> Vec<Offer> {
    let offer = || {
        let (what, range) = line.trim().split_once(char::is_whitespace)?;
        let coding = match what.split_once('=')? {
            ("vcodec", "mjpeg") => Coding::Mjpeg,
            ("vcodec", name) => Coding::Coded(name.to_owned()),
            ("pixel_format", name) => Coding::Raw(Some(name.to_owned())),
            _ => return None,
        };
        let (_, most) = range.split_once("max s=")?;
        let (wide, rest) = most.split_once(" fps=")?;
        let rate = Rate::from_fps(rest.split_whitespace().next()?.parse().ok()?);
        Some(Offer { coding, size: size(wide)?, rate })
    };
    offer().into_iter().collect()
}

fn size(text: &str) -> Option<Size> {
    let (width, height) = text.split_once('x')?;
    let (width, height) = (width.parse().ok()?, height.parse().ok()?);
    (width > 0 && height > 0).then_some(Size::new(width, height))
}

/// A line, as `devices` shows it.
impl std::fmt::Display for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Size { width, height } = self.size;
        let rate = self.rate.map(|rate| format!(" up to {rate} fps")).unwrap_or_default();
        write!(f, "{width}x{height}{rate}, {}", self.coding.name())
    }
}

impl Coding {
    /// For people.
    pub fn name(&self) -> &str {
        match self {
            Self::Mjpeg => "mjpeg",
            Self::Raw(name) => name.as_deref().unwrap_or("uncoded"),
            Self::Coded(name) => name,
        }
    }
}

/// Whatever ffmpeg may say, an offer can be made of it.
#[doc(hidden)]
pub fn fuzz_offers(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for system in [System::Linux, System::MacOs, System::Windows] {
        let offers = parse(system, &text);
        assert!(offers.len() <= MOST && offers.iter().all(|offer| offer.size.pixels() > 0));
        choose(&offers, None, None);
    }
}

/// Lines of an honest camera are fewer than this.
const MOST: usize = 512;
/// Bytes a second of an isochronous endpoint: 3 × 1 024 in each of 8 000 microframes.
const USB_2: usize = 3 * 1_024 * 8_000;
/// Rows of a picture that is large enough.
const GOOD: u16 = 720;
const THIRTY: Rate = match Rate::new(30, 1) {
    Some(rate) => rate,
    None => unreachable!(),
};

#[cfg(test)]
mod tests {
    use super::*;

    const WEBCAM: &str = "\
[video4linux2,v4l2 @ 0x55d0a] Compressed:       mjpeg :          Motion-JPEG : 1920x1080 640x480 800x600 1280x720
[video4linux2,v4l2 @ 0x55d0a] Compressed:        h264 :                H.264 : 1920x1080 1280x720
[video4linux2,v4l2 @ 0x55d0a] Raw       :     yuyv422 :           YUYV 4:2:2 : 640x480 1280x720
[video4linux2,v4l2 @ 0x55d0a] Compressed: Unsupported :                 H.265 : 1280x720
/dev/video0: Immediate exit requested
";
    const BOARD: &str =
        "[video4linux2,v4l2 @ 0x1] Raw       :     yuv420p :     Planar YUV 4:2:0 : {32-2592, 2}x{32-1944, 2}\n";
    const WINDOWS: &str = r#"
[dshow @ 0000018a] DirectShow video device options (from video devices)
[dshow @ 0000018a]  Pin "Capture" (alternative pin name "0")
[dshow @ 0000018a]   vcodec=mjpeg  min s=1280x720 fps=5 max s=1280x720 fps=30
[dshow @ 0000018a]   vcodec=mjpeg  min s=1280x720 fps=5 max s=1280x720 fps=30
[dshow @ 0000018a]   pixel_format=yuyv422  min s=640x480 fps=5 max s=640x480 fps=30
[dshow @ 0000018a]   pixel_format=yuyv422  min s=1280x720 fps=5 max s=1280x720 fps=10
"#;
    const MAC: &str = "\
[avfoundation @ 0x7fb] Selected video size (1x1) is not supported by the device.
[avfoundation @ 0x7fb] Supported modes:
[avfoundation @ 0x7fb]   640x480@[15.000000 30.000000]fps
[avfoundation @ 0x7fb]   1280x720@[15.000000 30.000030]fps
[avfoundation @ 0x7fb]   1920x1080@[15.000000 30.000030]fps
0:none: Input/output error
";

    fn chosen(system: System, text: &str, wish: Option<(u16, u16)>, fps: Option<f64>) -> String {
        let size = wish.map(|(width, height)| Size::new(width, height));
        let Shot { coding, size, rate } = choose(&parse(system, text), size, fps.and_then(Rate::from_fps));
        let size = size.map_or("any size".to_owned(), |size| size.to_string());
        format!("{} {size} {}", coding.name(), rate.map_or("any rate".to_owned(), |rate| rate.to_string()))
    }

    #[test]
    fn lists_are_read() {
        let webcam = parse(System::Linux, WEBCAM);
        assert_eq!(webcam.len(), 8);
        assert_eq!(webcam[0].to_string(), "1920x1080, mjpeg");
        assert_eq!(webcam[7].to_string(), "1280x720, yuyv422");
        let windows = parse(System::Windows, WINDOWS);
        assert_eq!(
            windows.iter().map(Offer::to_string).collect::<Vec<_>>(),
            ["1280x720 up to 30 fps, mjpeg", "640x480 up to 30 fps, yuyv422", "1280x720 up to 10 fps, yuyv422",]
        );
        assert_eq!(parse(System::MacOs, MAC)[1].to_string(), "1280x720 up to 30 fps, nv12");
        assert_eq!(parse(System::Linux, BOARD).len(), 3);
        for system in [System::Linux, System::MacOs, System::Windows] {
            assert_eq!(parse(system, "a: b: c: d\n:::\nx@[]\nvcodec=\n\u{0}"), []);
        }
        for text in [WEBCAM, WINDOWS, MAC, BOARD] {
            (0..text.len()).for_each(|length| fuzz_offers(&text.as_bytes()[..length]));
        }
    }

    #[test]
    fn the_best_is_chosen_and_wishes_count_more() {
        for (system, text, size, fps, expected) in [
            (System::Linux, WEBCAM, None, None, "mjpeg 1280×720 any rate"),
            (System::Linux, WEBCAM, Some((1920, 1080)), Some(15.0), "mjpeg 1920×1080 15"),
            (System::Linux, WEBCAM, Some((333, 222)), None, "mjpeg 333×222 any rate"),
            (System::Linux, BOARD, None, None, "yuv420p 1280×720 any rate"),
            (System::Linux, "", Some((640, 480)), None, "uncoded 640×480 any rate"),
            (System::Windows, WINDOWS, None, None, "mjpeg 1280×720 30"),
            (System::Windows, WINDOWS, Some((640, 480)), None, "yuyv422 640×480 30"),
            (System::MacOs, MAC, None, None, "nv12 1280×720 30"),
            (System::MacOs, MAC, Some((1920, 1080)), Some(24.0), "nv12 1920×1080 24"),
        ] {
            assert_eq!(chosen(system, text, size, fps), expected, "{text}");
        }
        let two = "Raw : yuyv422 : YUYV 4:2:2 : 640x480 1280x720";
        assert_eq!(chosen(System::Linux, two, None, None), "yuyv422 640×480 any rate");
        let raw = WEBCAM.lines().filter(|line| !line.contains("mjpeg")).collect::<Vec<_>>().join("\n");
        assert_eq!(chosen(System::Linux, &raw, None, None), "h264 1280×720 any rate");
        let only = raw.lines().filter(|line| line.contains("h264")).collect::<Vec<_>>().join("\n");
        assert_eq!(chosen(System::Linux, &only, None, None), "h264 1280×720 any rate");
    }
}

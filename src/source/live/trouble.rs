//! Why a device gives nothing (more), by what ffmpeg and its system say; each text goes on from the device's name.

use crate::ffmpeg::Words;

/// What is wrong with a device, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    #[error("is not there; plug it in, or choose one of those that `udpstream devices` shows")]
    Missing,
    #[error("is in use by another program; close that program")]
    Busy,
    #[error("may not be opened by you; join its group, as by `sudo usermod -aG {0} $USER`, and log in again")]
    Denied(&'static str),
    #[error("does not take these settings ({0}); see `udpstream devices` for the sizes and rates that it has")]
    Refused(String),
    #[error("is no graph that ffmpeg can play ({0}); `ffmpeg -filters` lists what one is made of")]
    Graph(String),
    #[error("gives pictures that nobody knows ({0}); ask it for another size with --size")]
    Unknown(String),
    #[error("was lost ({0}); plug it in again, or look at its cable")]
    Lost(String),
    #[error("has given nothing for {0} s; plug it in again, or close what else uses it")]
    Silent(u64),
    #[error("could not be opened ({0}); choose one of those that `udpstream devices` shows")]
    NotOpened(String),
}

/// What kind of device it is, and so the group that may open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeviceKind {
    Pictures,
    Sound,
}

impl Trouble {
    /// By ffmpeg's last words; `opened`: it gave something before.
    pub(super) fn of(words: &Words, kind: DeviceKind, opened: bool) -> Self {
        let said = |signs: &[&str]| signs.iter().any(|sign| words.mention(sign));
        let gist = || words.gist().unwrap_or_else(|| "ffmpeg does not say why".to_owned());
        let group = if kind == DeviceKind::Pictures { "video" } else { "audio" };
        match () {
            () if said(&["Device or resource busy", "already in use", "Could not run graph"]) => Self::Busy,
            () if said(&["Permission denied", "Operation not permitted", "not authorized"]) => Self::Denied(group),
            () if opened => Self::Lost(gist()),
            () if said(&["No such filter", "Error initializing filter"]) => Self::Graph(gist()),
            () if said(MISSING) => Self::Missing,
            () if said(REFUSED) => Self::Refused(gist()),
            () => Self::NotOpened(gist()),
        }
    }
}

const MISSING: &[&str] = &[
    "No such file or directory",
    "No such device",
    "No such process",
    "No such entity",
    "Could not find video device",
    "Could not find audio",
    "Video device not found",
    "Audio device not found",
    "cannot find card",
];
const REFUSED: &[&str] = &[
    "not supported by the device",
    "Cannot find a proper format",
    "Invalid argument",
    "Could not set video options",
    "Selected framerate",
    "Selected video size",
    "Selected pixel format",
    "cannot set",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ffmpegs_words_become_advice() {
        for (text, opened, sign) in [
            (
                "[video4linux2,v4l2 @ 0x55c0] Cannot open video device /dev/video9: No such file or directory\n/dev/video9: No such file or directory\n",
                false,
                "is not there",
            ),
            (
                "[video4linux2,v4l2 @ 0x55] ioctl(VIDIOC_STREAMON): Device or resource busy\n/dev/video0: Device or resource busy\n",
                false,
                "close that program",
            ),
            (
                "[video4linux2,v4l2 @ 0x55] Cannot open video device /dev/video0: Permission denied\n",
                false,
                "usermod -aG video",
            ),
            (
                "[video4linux2,v4l2 @ 0x5] Cannot find a proper format for codec 'none' (id 0), pixel format 'nv12' (id 23)\n/dev/video0: Invalid argument\n",
                false,
                "settings (Cannot find a proper format",
            ),
            ("[avfoundation @ 0x7f] Selected framerate (30.000000) is not supported by the device.\n", false, "--"),
            (
                "[dshow @ 0x1] Could not find video device with name [Cam] among source devices of type video.\nvideo=Cam: I/O error\n",
                false,
                "is not there",
            ),
            (
                "[video4linux2,v4l2 @ 0x5] ioctl(VIDIOC_DQBUF): No such device\n/dev/video0: No such device\n",
                true,
                "lost (No such device)",
            ),
            ("default: No such process\n", false, "is not there"),
            (
                "[alsa @ 0x56] cannot open audio device hw:9 (Device or resource busy)\nhw:9: Input/output error\n",
                false,
                "in use",
            ),
            (
                "[AVFilterGraph @ 0x5] No such filter: '/dev/video0'\n/dev/video0: Invalid argument\n",
                false,
                "no graph that ffmpeg can play (No such filter: '/dev/video0')",
            ),
            ("hm\n", false, "could not be opened (hm)"),
            ("", true, "does not say why"),
        ] {
            let words = Words::new(text, "/dev/video0", "camera");
            let kind = if text.contains("alsa") { DeviceKind::Sound } else { DeviceKind::Pictures };
            let trouble = Trouble::of(&words, kind, opened).to_string();
            assert!(
                sign == "--" && trouble.contains("see `udpstream devices`") || trouble.contains(sign),
                "{text}{trouble}"
            );
        }
    }
}

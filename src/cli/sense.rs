//! Whether what `serve` was told fits together: an option that would do nothing is a slip, and is said at once.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use udpstream::source::Input;

use super::ServeArgs;

/// What is the matter, in one sentence with advice.
pub fn check(args: &ServeArgs) -> Result<(), String> {
    let (input, ear) = match (&args.input, args.ear.as_ref()) {
        (Input::Mic(_), Some(Input::Mic(_))) => return Err("one microphone can be heard; name only one".to_owned()),
        (mic @ Input::Mic(_), Some(input)) => (input, Some(mic)),
        as_named => as_named,
    };
    check_ear(input, ear)?;
    check_file(input)?;
    let name = input.name();
    let live = matches!(input, Input::Camera(_) | Input::Screen(_) | Input::Mic(_));
    let wrong = [
        (
            args.size.is_some() && !matches!(input, Input::Camera(_)),
            "--size is what a camera is asked for; use --width to scale, and for a part of a screen screen::0+X,Y,WxH",
        ),
        (args.no_pointer && !matches!(input, Input::Screen(_)), "--no-pointer is for a screen; leave it out"),
        (
            args.denoise && ear.is_none() && matches!(input, Input::Screen(_) | Input::Test { .. }),
            "--denoise takes noise out of films, cameras and microphones, and here is none; leave it out",
        ),
        (
            args.looped && (matches!(input, Input::Stdin) || input.is_named_pipe()),
            "--loop needs a film that can be begun again, and a pipe cannot; leave it out",
        ),
        (args.looped && live, "--loop begins a film again, and this never ends; leave it out"),
        (args.sound.audio_track.is_some() && live, "--audio-track is for films with several; leave it out"),
        (
            args.no_audio && matches!(input, Input::Mic(_)),
            "with --no-audio nothing is left of a microphone; leave it out",
        ),
    ];
    let wrong = wrong.into_iter().find(|(wrong, _)| *wrong);
    wrong.map_or(Ok(()), |(_, advice)| Err(format!("{name}: {advice}")))
}

/// A camera that is named like a file: ffmpeg would read it as one, and find no film.
fn check_file(input: &Input) -> Result<(), String> {
    let Input::File(path) = input else { return Ok(()) };
    let device = path.to_str().is_some_and(|path| path.starts_with("/dev/video")) || is_video_device(path);
    let path = path.display();
    if device { Err(format!("{path}: a camera is named with camera: before it; write camera:{path}")) } else { Ok(()) }
}

fn is_video_device(path: &Path) -> bool {
    let data = fs::metadata(path).ok().filter(|data| data.file_type().is_char_device());
    data.is_some_and(|data| rustix::fs::major(data.rdev()) == VIDEO)
}

fn check_ear(input: &Input, ear: Option<&Input>) -> Result<(), String> {
    let beside = matches!(input, Input::Camera(_) | Input::Screen(_) | Input::Url(_) | Input::Mic(_));
    match ear {
        Some(Input::Mic(_)) if !beside => Err(format!(
            "no microphone can be heard beside {}; name it with a camera, a screen or an address without an end",
            input.name()
        )),
        None | Some(Input::Mic(_)) => Ok(()),
        Some(other) => {
            Err(format!("{} is no microphone; beside pictures only mic: or mic:DEVICE can be named", other.name()))
        }
    }
}

/// The number of Video4Linux among the kernel's character devices (its Documentation/admin-guide/devices.txt).
const VIDEO: u32 = 81;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};
    use super::*;

    fn said(words: &str) -> Option<String> {
        let words = ["udpstream", "serve"].into_iter().chain(words.split(' '));
        let Command::Serve(args) = Cli::try_parse_from(words).expect("words that are known").command else {
            panic!("it was serve")
        };
        check(&args).err()
    }

    #[test]
    fn what_would_do_nothing_is_said() {
        for (words, part) in [
            ("mic:a mic:b", "name only one"),
            ("test: mic:", "test card"),
            ("film.mp4 mic:", "beside film.mp4"),
            ("camera: film.mp4", "film.mp4 is no microphone"),
            ("screen: --size 640x480", "screen::0+X"),
            ("film.mp4 --size 640x480", "--width"),
            ("camera: --no-pointer", "is for a screen"),
            ("mic: --loop", "never ends"),
            ("- --loop", "a pipe cannot"),
            ("mic: screen: --audio-track 1", "screen: --audio-track"),
            ("mic: --no-audio", "nothing is left"),
            ("screen: --denoise", "here is none"),
            ("test: --denoise", "here is none"),
            ("/dev/video0", "write camera:/dev/video0"),
        ] {
            let said = said(words).unwrap_or_default();
            assert!(said.contains(part), "{words}: {said}");
        }
        for words in [
            "film.mp4 --loop --audio-track 1",
            "mic: screen: --no-pointer",
            "camera: mic: --size 1280x720 --width 640",
            "rtsp://a/b mic:",
            "test: --loop",
            "/dev/null",
            "screen: mic: --no-audio",
            "screen: mic: --denoise",
            "camera: --denoise",
        ] {
            assert_eq!(said(words), None, "{words}");
        }
    }
}

//! Whether what `serve` was told fits together: an option that would do nothing is a slip, and is said at once.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use udpstream::source::Input;

use super::choices::{Choices, Pace};
use super::streams::QUALITY;

/// What a stream shows, and the microphone that is heard with it.
pub struct Shown<'a> {
    pub input: &'a Input,
    pub ear: Option<&'a Input>,
}

/// An option that fits only some inputs.
pub struct Rule {
    /// Whether it was said.
    is_said: fn(&Choices) -> bool,
    /// Takes it back.
    clear: fn(&mut Choices),
    /// Whether it does anything, with all that was said.
    fits: fn(&Shown<'_>, &Choices) -> bool,
    advice: &'static str,
}

const ON: Option<bool> = Some(true);

const RULES: &[Rule] = &[
    Rule {
        is_said: |said| said.size.is_some(),
        clear: |said| said.size = None,
        fits: |shown, _| matches!(shown.input, Input::Camera(_)),
        advice: "--size is what a camera is asked for; use --width to scale, and for a part of a screen screen::0+X,Y,WxH",
    },
    Rule {
        is_said: |said| said.no_pointer == ON,
        clear: |said| said.no_pointer = None,
        fits: |shown, _| matches!(shown.input, Input::Screen(_)),
        advice: "--no-pointer is for a screen; leave it out",
    },
    Rule {
        is_said: |said| said.denoise == ON,
        clear: |said| said.denoise = None,
        fits: |shown, _| shown.ear.is_some() || !matches!(shown.input, Input::Screen(_) | Input::Test { .. }),
        advice: "--denoise takes noise out of films, cameras and microphones, and here is none; leave it out",
    },
    Rule {
        is_said: |said| said.looped == ON,
        clear: |said| said.looped = None,
        fits: |shown, _| !shown.is_pipe(),
        advice: "--loop needs a film that can be begun again, and a pipe cannot; leave it out",
    },
    Rule {
        is_said: |said| said.looped == ON,
        clear: |said| said.looped = None,
        fits: |shown, _| !shown.is_device(),
        advice: "--loop begins a film again, and this never ends; leave it out",
    },
    Rule {
        is_said: |said| said.audio_track.is_some(),
        clear: |said| said.audio_track = None,
        fits: |shown, _| !shown.is_device(),
        advice: "--audio-track is for films with several; leave it out",
    },
    Rule {
        is_said: |said| said.no_audio == ON,
        clear: |said| said.no_audio = None,
        fits: |shown, _| !matches!(shown.input, Input::Mic(_)),
        advice: "with --no-audio nothing is left of a microphone; leave it out",
    },
    Rule {
        is_said: |said| said.on_demand == ON,
        clear: |said| said.on_demand = None,
        fits: |shown, said| {
            shown.is_device() || (!shown.is_pipe() && (shown.is_url() || said.pace == Some(Pace::Live)))
        },
        advice: "--on-demand is for what never ends; a film waits for its first watcher, and a pipe cannot be opened twice: \
                 leave it out",
    },
    Rule {
        is_said: |said| said.no_adapt == ON && (said.min_quality.is_some() || said.max_bitrate.is_some()),
        // As below: what the stream says itself stays.
        clear: |said| (said.no_adapt, said.min_quality, said.max_bitrate) = (None, None, None),
        fits: |_, _| false,
        advice: "--no-adapt sends everything as it is, and --min-quality and --max-bitrate say how to send less; leave one of \
                 them out",
    },
    Rule {
        is_said: |said| said.on_demand == ON && said.no_wait == ON,
        // What the stream says itself stays, whichever of the two it is.
        clear: |said| (said.no_wait, said.on_demand) = (None, None),
        fits: |_, _| false,
        advice: "--no-wait starts at once and --on-demand with the first watcher; leave one of them out",
    },
];

impl Shown<'_> {
    const fn is_device(&self) -> bool {
        matches!(self.input, Input::Camera(_) | Input::Screen(_) | Input::Mic(_))
    }

    const fn is_url(&self) -> bool {
        matches!(self.input, Input::Url(_))
    }

    fn is_pipe(&self) -> bool {
        matches!(self.input, Input::Stdin) || self.input.is_named_pipe()
    }

    /// Whether input and microphone go together.
    pub fn check(&self) -> Result<(), String> {
        check_ear(self.input, self.ear)?;
        check_file(self.input)
    }

    fn wrong(&self, rule: &Rule, said: &Choices) -> Option<String> {
        let wrong = (rule.is_said)(said) && !(rule.fits)(self, said);
        wrong.then(|| format!("{}: {}", self.input.name(), rule.advice))
    }
}

/// What each stream is told: its own options, and `defaults` where they do something for it. The error says what is the
/// matter, in one sentence with advice, and with which stream: an option of its own that does nothing there, or a default
/// that does nothing for any.
pub fn fitted(streams: &[(Shown<'_>, &Choices)], defaults: &Choices) -> Result<Vec<Choices>, (usize, String)> {
    let mut misfits = Vec::new();
    let mut all = Vec::new();
    for (at, (shown, own)) in streams.iter().enumerate() {
        let wrong = RULES.iter().find_map(|rule| shown.wrong(rule, own));
        wrong.map_or(Ok(()), |sentence| Err((at, sentence)))?;
        too_open(&(*own).clone().or(defaults.clone())).map_or(Ok(()), |sentence| Err((at, sentence.to_owned())))?;
        let mut rest = defaults.clone();
        for (number, rule) in RULES.iter().enumerate() {
            let sentence = shown.wrong(rule, &(*own).clone().or(rest.clone()));
            misfits.extend(sentence.map(|sentence| {
                (rule.clear)(&mut rest);
                (number, at, sentence)
            }));
        }
        let merged = (*own).clone().or(rest);
        // A stream with its own no-audio ignores what is said of sound for others.
        let quiet = if own.no_audio == ON { too_quiet(own) } else { too_quiet(&merged) };
        let aimless = own.group.is_useless().then(|| AIMLESS.to_owned());
        quiet.or_else(|| too_good(&merged)).or(aimless).map_or(Ok(()), |sentence| Err((at, sentence)))?;
        all.push(merged);
    }
    let useless = |(number, ..): &(usize, usize, String)| {
        RULES.get(*number).is_some_and(|rule| (rule.is_said)(defaults) && !all.iter().any(rule.is_said))
    };
    let useless = misfits.into_iter().find(useless);
    useless.map_or(Ok(all), |(_, at, sentence)| Err((at, sentence)))
}

/// A group is for everybody, at all times.
fn too_open(said: &Choices) -> Option<&'static str> {
    said.group.multicast?;
    if said.code.is_some() || said.password.is_some() {
        return Some(
            "what is sent to a group is for everybody, and code and password are for some; leave one of them out",
        );
    }
    (said.on_demand == ON).then_some("a group is sent to whether anybody watches or not; leave on-demand out")
}

const AIMLESS: &str = "ttl, interface and fec are about a group; add multicast, or leave them out";

/// Something is wanted of sound that is not to be there.
fn too_quiet(said: &Choices) -> Option<String> {
    let wanted = said.audio_track.is_some() || said.audio_gain.is_some() || said.mono == ON;
    let sentence = "with no-audio there is nothing for audio-track, audio-gain and mono to change; leave them out";
    (said.no_audio == ON && wanted).then(|| sentence.to_owned())
}

/// The lowest quality is above the highest.
fn too_good(said: &Choices) -> Option<String> {
    let (least, most) = (said.min_quality?, said.quality.unwrap_or(QUALITY));
    let sentence = || format!("min-quality {least} is above quality {most}; lower it, or raise quality");
    (least > most).then(sentence)
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
    let beside = matches!(input, Input::Camera(_) | Input::Screen(_) | Input::Url(_));
    match (input, ear) {
        (Input::Mic(_), Some(Input::Mic(_))) => Err("one microphone can be heard; name only one".to_owned()),
        (_, Some(Input::Mic(_))) if !beside => Err(format!(
            "no microphone can be heard beside {}; name it with a camera, a screen or an address without an end",
            input.name()
        )),
        (_, None | Some(Input::Mic(_))) => Ok(()),
        (_, Some(other)) => {
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

    fn said(words: &str) -> Option<String> {
        let words = ["udpstream", "serve"].into_iter().chain(words.split(' '));
        let Command::Serve(mut args) = Cli::try_parse_from(words).expect("words that are known").command else {
            panic!("it was serve")
        };
        args.settle().err()
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
            ("film.mp4 --on-demand", "waits for its first watcher"),
            ("test: --on-demand", "waits for its first watcher"),
            ("camera: --on-demand --no-wait", "leave one of them out"),
            ("camera: --multicast auto --code new", "for everybody"),
            ("test: --multicast 239.1.2.3 --password correcthorse", "for everybody"),
            ("camera: --multicast auto --on-demand", "leave on-demand out"),
            ("test: --ttl 3", "add --multicast"),
            ("test: --stream a=test:,fec=3", "a: ttl, interface and fec are about a group"),
            ("film.mp4 --stream a=test:,no-adapt,max-bitrate=2M", "a: test card: --no-adapt sends everything"),
            ("film.mp4 --min-quality 90", "min-quality 90 is above quality 80; lower it"),
            ("film.mp4 --min-quality 30 --stream a=test:,quality=20", "a: min-quality 30 is above quality 20"),
            ("film.mp4 --stream desk=screen:,loop", "desk: screen: --loop begins a film again"),
            ("- --stream desk=screen: --loop", "a pipe cannot"),
            ("film.mp4 --stream a=test:,no-audio,mono", "a: with no-audio"),
            ("film.mp4 --stream a=test:+mic:", "a: no microphone can be heard beside test card"),
            ("film.mp4 --stream a=film.mp4 --size 5x5", "--width"),
        ] {
            let said = said(words).unwrap_or_default();
            assert!(said.contains(part), "{words}: {said}");
        }
        for words in [
            "film.mp4 --loop --audio-track 1",
            "mic: screen: --no-pointer",
            "camera: mic: --size 1280x720 --width 640",
            "rtsp://a/b mic: --on-demand",
            "test: --loop",
            "/dev/null",
            "screen: mic: --no-audio",
            "screen: mic: --denoise",
            "camera: --denoise",
            "film.mp4 --min-quality 80 --max-bitrate 2M",
            "film.mp4 --no-adapt --stream a=test:,min-quality=30",
            "test: --pace live --on-demand",
            "film.mp4 --loop --stream desk=screen:",
            "film.mp4 --stream desk=screen: --no-pointer --on-demand",
            "--stream cam=camera:+mic:,size=640x480 --stream desk=screen:,no-pointer",
            "--stream cam=camera:,no-wait --stream desk=screen: --on-demand",
            "--stream cam=camera:,on-demand --stream desk=screen: --no-wait",
            "test: --multicast 239.1.2.3 --stream a=test:,multicast=239.1.2.4,ttl=3 --fec 20% --interface lo",
        ] {
            assert_eq!(said(words), None, "{words}");
        }
    }
}

//! What one stream of `serve` can be told: on the command line, behind `--stream NAME=INPUT`, or in a file.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use udpstream::app::group::GroupChoice;
use udpstream::app::secrets::{Given, GivenCode};
use udpstream::source::{self, PaceChoice, SoundOptions};
use udpstream::units::{Bitrate, Rate, Size};

use super::help::{GUARDS, INPUT, NETWORK, SOUND, TIMING};
use super::keys::{Key, Keyed, flag, value};
use super::multicast::{GroupChoices, percent};
use super::values::{bitrate, decibels, number, rate, recording, size, title};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pace {
    /// Find out.
    Auto,
    /// Pictures leave at their deadline.
    File,
    /// Pictures leave as they come.
    Live,
}

/// Options of a stream; `None` where nothing was said.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct Choices {
    /// Scale to this width in pixels, 16 to 16384, keeping the shape [default: as it is, within 1920×1080].
    #[arg(long, value_name = "PIXELS", value_parser = number(16_u16, 16_384), help_heading = INPUT)]
    pub width: Option<u16>,
    /// Pictures a second, such as 25, 29.97 or 30000/1001; of a screen at most so many [default: the film's own, else 30].
    #[arg(long, value_name = "N", value_parser = rate, help_heading = INPUT)]
    pub fps: Option<Rate>,
    /// Size that a camera is asked for, as WIDTHxHEIGHT [default: its own choice].
    #[arg(long, value_name = "WxH", value_parser = size, help_heading = INPUT)]
    pub size: Option<Size>,
    /// Leave the mouse pointer out of a screen [default: show it].
    #[arg(long, action = clap::ArgAction::SetTrue, help_heading = INPUT)]
    pub no_pointer: Option<bool>,
    /// Begin again at the end; not for standard input [default: end with the film].
    #[arg(long = "loop", action = clap::ArgAction::SetTrue, help_heading = INPUT)]
    pub looped: Option<bool>,
    /// JPEG quality, 1 to 100: the most that anybody is sent, if the path carries it [default: 80].
    #[arg(long, value_name = "N", value_parser = number(1_u8, 100), help_heading = INPUT)]
    pub quality: Option<u8>,
    /// Lowest JPEG quality, 1 to 100, before pictures become smaller or fewer on a slow path [default: 1].
    #[arg(long, value_name = "N", value_parser = number(1_u8, 100), help_heading = INPUT)]
    pub min_quality: Option<u8>,
    /// Most bits a second to each watcher, all included, such as 20M or 800k [default: as many as its path carries].
    #[arg(long, value_name = "BITS", value_parser = bitrate, help_heading = NETWORK)]
    pub max_bitrate: Option<Bitrate>,
    /// Send everything to everybody as it is, also where the path does not carry it [default: send what fits the path].
    #[arg(long, action = clap::ArgAction::SetTrue, conflicts_with_all = ["min_quality", "max_bitrate"],
        help_heading = NETWORK)]
    pub no_adapt: Option<bool>,
    /// Pictures decoded ahead, 2 to 1000 (at most 36 MB) [default: 10].
    #[arg(long, value_name = "N", value_parser = number(2_u16, 1_000), help_heading = INPUT)]
    pub queue: Option<u16>,
    /// Take noise out of pictures and sound with light filters [default: leave both as they are].
    #[arg(long, action = clap::ArgAction::SetTrue, help_heading = INPUT)]
    pub denoise: Option<bool>,
    /// Which of the sound tracks, counted from 0 [default: the one that players choose].
    #[arg(long, value_name = "N", value_parser = number(0_u32, 999), help_heading = SOUND)]
    pub audio_track: Option<u32>,
    /// Louder or softer by so many decibels, −60 to 60; what would be louder than full scale is cut [default: 0].
    #[arg(long, value_name = "DB", value_parser = decibels, allow_hyphen_values = true, help_heading = SOUND)]
    pub audio_gain: Option<f64>,
    /// The mean of left and right on both sides [default: stereo].
    #[arg(long, action = clap::ArgAction::SetTrue, help_heading = SOUND)]
    pub mono: Option<bool>,
    /// Send no sound [default: send it where there is any].
    #[arg(long, action = clap::ArgAction::SetTrue, conflicts_with_all = ["audio_track", "audio_gain", "mono"],
        help_heading = SOUND)]
    pub no_audio: Option<bool>,
    /// Start at once [default: start with the first watcher].
    #[arg(long, action = clap::ArgAction::SetTrue, help_heading = TIMING)]
    pub no_wait: Option<bool>,
    /// Let a camera, a screen, a microphone or an address without an end run only while somebody watches [default: run
    /// always].
    #[arg(long, action = clap::ArgAction::SetTrue, help_heading = TIMING)]
    pub on_demand: Option<bool>,
    /// Whether pictures leave at their deadline or as they come [default: auto].
    #[arg(long, value_enum, help_heading = TIMING)]
    pub pace: Option<Pace>,
    /// Let only those watch who have this code, and list it nowhere: new draws one at each start, CODE is one that was drawn before,
    /// @FILE holds it and is made if it is not there, - asks for it [default: everybody may watch].
    #[arg(long, value_name = "CODE", help_heading = GUARDS)]
    pub code: Option<GivenCode>,
    /// Let only those watch who have this password, of ten characters or more: the words, @FILE that they stand in, or - to be asked
    /// for them. Whoever hears a watcher join can try out words at home, so a code is safer [default: everybody may watch].
    #[arg(long, value_name = "WORDS", conflicts_with = "code", help_heading = GUARDS)]
    pub password: Option<Given>,
    /// Of one stream alone; on the command line they are the first stream's, but those that say how a group is sent to.
    #[arg(skip)]
    pub group: GroupChoices,
    /// Of one stream alone; on the command line `--record` is the first stream's.
    #[arg(skip)]
    pub record: Option<PathBuf>,
    /// Of one stream alone.
    #[arg(skip)]
    pub title: Option<String>,
}

impl Keyed for Choices {
    const KEYS: &'static [Key<Self>] = &[
        Key { name: "width", set: value!(width, number(16_u16, 16_384)) },
        Key { name: "fps", set: value!(fps, rate) },
        Key { name: "size", set: value!(size, size) },
        Key { name: "no-pointer", set: flag!(no_pointer) },
        Key { name: "loop", set: flag!(looped) },
        Key { name: "quality", set: value!(quality, number(1_u8, 100)) },
        Key { name: "min-quality", set: value!(min_quality, number(1_u8, 100)) },
        Key { name: "max-bitrate", set: value!(max_bitrate, bitrate) },
        Key { name: "no-adapt", set: flag!(no_adapt) },
        Key { name: "queue", set: value!(queue, number(2_u16, 1_000)) },
        Key { name: "denoise", set: flag!(denoise) },
        Key { name: "audio-track", set: value!(audio_track, number(0_u32, 999)) },
        Key { name: "audio-gain", set: value!(audio_gain, decibels) },
        Key { name: "mono", set: flag!(mono) },
        Key { name: "no-audio", set: flag!(no_audio) },
        Key { name: "no-wait", set: flag!(no_wait) },
        Key { name: "on-demand", set: flag!(on_demand) },
        Key { name: "pace", set: value!(pace, pace) },
        Key { name: "code", set: value!(code, str::parse::<GivenCode>) },
        Key { name: "password", set: value!(password, str::parse::<Given>) },
        Key { name: "multicast", set: value!(group.multicast, str::parse::<GroupChoice>) },
        Key { name: "ttl", set: value!(group.ttl, number(1_u8, 255)) },
        Key { name: "interface", set: value!(group.interface, interface) },
        Key { name: "fec", set: value!(group.fec, percent) },
        Key { name: "record", set: value!(record, recording) },
        Key { name: "title", set: value!(title, title) },
    ];
}

fn interface(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("write its name, such as eth0, or its address".to_owned()) } else { Ok(text.to_owned()) }
}

fn pace(text: &str) -> Result<Pace, String> {
    Pace::from_str(text, false).map_err(|_| "write auto, file or live".to_owned())
}

impl Choices {
    /// What a command line says: a flag that is not there says nothing.
    pub fn said(mut self) -> Self {
        for key in Self::KEYS {
            if let super::keys::Set::Flag(field) = key.set {
                let flag = field(&mut self);
                *flag = flag.filter(|on| *on);
            }
        }
        self
    }

    /// These, and `others` where nothing was said.
    pub fn or(self, others: Self) -> Self {
        let own_code = self.code.clone();
        Self {
            width: self.width.or(others.width),
            fps: self.fps.or(others.fps),
            size: self.size.or(others.size),
            no_pointer: self.no_pointer.or(others.no_pointer),
            looped: self.looped.or(others.looped),
            quality: self.quality.or(others.quality),
            min_quality: self.min_quality.or(others.min_quality),
            max_bitrate: self.max_bitrate.or(others.max_bitrate),
            no_adapt: self.no_adapt.or(others.no_adapt),
            queue: self.queue.or(others.queue),
            denoise: self.denoise.or(others.denoise),
            audio_track: self.audio_track.or(others.audio_track),
            audio_gain: self.audio_gain.or(others.audio_gain),
            mono: self.mono.or(others.mono),
            no_audio: self.no_audio.or(others.no_audio),
            no_wait: self.no_wait.or(others.no_wait),
            on_demand: self.on_demand.or(others.on_demand),
            pace: self.pace.or(others.pace),
            // The one or the other.
            code: self.code.or(others.code.filter(|_| self.password.is_none())),
            password: self.password.or(others.password.filter(|_| own_code.is_none())),
            group: self.group.or(others.group),
            record: self.record.or(others.record),
            title: self.title.or(others.title),
        }
    }

    /// The names of all that was said.
    pub fn names(&self) -> Vec<&'static str> {
        let said = [
            ("width", self.width.is_some()),
            ("fps", self.fps.is_some()),
            ("size", self.size.is_some()),
            ("no-pointer", self.no_pointer.is_some()),
            ("loop", self.looped.is_some()),
            ("quality", self.quality.is_some()),
            ("min-quality", self.min_quality.is_some()),
            ("max-bitrate", self.max_bitrate.is_some()),
            ("no-adapt", self.no_adapt.is_some()),
            ("queue", self.queue.is_some()),
            ("denoise", self.denoise.is_some()),
            ("audio-track", self.audio_track.is_some()),
            ("audio-gain", self.audio_gain.is_some()),
            ("mono", self.mono.is_some()),
            ("no-audio", self.no_audio.is_some()),
            ("no-wait", self.no_wait.is_some()),
            ("on-demand", self.on_demand.is_some()),
            ("pace", self.pace.is_some()),
            ("code", self.code.is_some()),
            ("password", self.password.is_some()),
            ("multicast", self.group.multicast.is_some()),
            ("ttl", self.group.ttl.is_some()),
            ("interface", self.group.interface.is_some()),
            ("fec", self.group.fec.is_some()),
            ("record", self.record.is_some()),
            ("title", self.title.is_some()),
        ];
        said.into_iter().filter(|(_, said)| *said).map(|(name, _)| name).collect()
    }

    /// Whether standard input is read for the code or password.
    pub fn reads_stdin(&self) -> bool {
        self.code == Some(GivenCode::Stdin) || self.password == Some(Given::Stdin)
    }

    /// A recording's path is relative to `folder`.
    pub fn relative_to(&mut self, folder: &Path) {
        self.record = self.record.take().map(|path| folder.join(path));
    }

    pub fn source(&self) -> source::Options {
        let on = |flag: Option<bool>| flag.unwrap_or(false);
        let sound = SoundOptions {
            track: self.audio_track,
            gain_db: self.audio_gain.unwrap_or(0.0),
            mono: on(self.mono),
            denoise: on(self.denoise),
        };
        source::Options {
            width: self.width,
            rate: self.fps,
            size: self.size,
            pointer: !on(self.no_pointer),
            pace: match self.pace {
                Some(Pace::File) => PaceChoice::File,
                Some(Pace::Live) => PaceChoice::Live,
                Some(Pace::Auto) | None => PaceChoice::Auto,
            },
            looped: on(self.looped),
            denoise: on(self.denoise),
            sound: (!on(self.no_audio)).then_some(sound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_is_set_by_its_name_and_keeps_what_was_said_before_it() {
        let mut all = Choices::default();
        for (name, text) in [
            ("width", "640"),
            ("fps", "30000/1001"),
            ("size", "640x480"),
            ("quality", "70"),
            ("min-quality", "30"),
            ("max-bitrate", "20M"),
            ("queue", "5"),
            ("audio-track", "1"),
            ("audio-gain", "-3.5"),
            ("pace", "live"),
            ("multicast", "239.1.2.3:7"),
            ("ttl", "4"),
            ("interface", "eth0"),
            ("fec", "20%"),
            ("record", "a.mkv"),
            ("title", "A door"),
            ("code", "K7QM-01AB-CDEF-GHJK-MNPQ"),
            ("password", "correct horse"),
        ] {
            all.set(name, Some(text)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(all.set(name, None).unwrap_err().contains("needs a value"), "{name}");
        }
        for flag in ["no-pointer", "loop", "no-adapt", "denoise", "mono", "no-audio", "no-wait", "on-demand"] {
            assert_eq!((all.set(flag, None), all.set(flag, Some("no"))), (Ok(()), Ok(())), "{flag}");
            assert!(all.set(flag, Some("maybe")).unwrap_err().contains("write"), "{flag}");
        }
        assert_eq!(all.clone().or(Choices { quality: Some(1), mono: Some(true), ..Choices::default() }), all);
        assert_eq!(Choices::default().or(all.clone()), all);
        let names: Vec<&str> = Choices::KEYS.iter().map(|key| key.name).collect();
        assert_eq!(all.names(), names, "all of them are tried above");
        for (name, text, part) in [
            ("quality", "101", "quality cannot be \"101\": write a whole number from 1 to 100"),
            ("pace", "fast", "auto, file or live"),
            ("record", "a.gif", ".mkv"),
            ("colour", "red", "there are width, fps"),
            ("qualty", "7", "is quality meant?"),
        ] {
            let said = all.set(name, Some(text)).unwrap_err();
            assert!(said.contains(part), "{said}");
        }
    }
}

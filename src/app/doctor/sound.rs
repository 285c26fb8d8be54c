//! What `watch` would play sound on, and what to do if that is nothing.

use std::env;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::Check;
use crate::audio::{self, Found};

pub fn check() -> Check {
    judge(audio::look(PATIENCE), &around())
}

/// Without sound there are pictures, so it is no problem.
fn judge(looked: Result<Found, String>, around: &[String]) -> Check {
    let around =
        if around.is_empty() { "no PulseAudio, no PipeWire, no ALSA card".to_owned() } else { around.join(", ") };
    match looked {
        Ok(Found { device, rate, channels }) => {
            let channels = match channels {
                1 => "mono".to_owned(),
                2 => "stereo".to_owned(),
                more => format!("{more} channels"),
            };
            Check::ok("sound", format!("{device} at {} kHz, {channels} ({around})", f64::from(rate) / 1_000.0))
        }
        Err(why) => {
            let (text, advice) = why.rsplit_once("; ").unwrap_or((&why, "nothing to do: pictures need no sound"));
            Check::warning("sound", format!("{text} ({around})"), advice)
        }
    }
}

/// The sound servers that answer and the cards that are there, whether or not they are what is played on.
fn around() -> Vec<String> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let answers = |name: &str| runtime.as_ref().is_some_and(|folder| UnixStream::connect(folder.join(name)).is_ok());
    let named = env::var("PULSE_SERVER").ok().filter(|server| !server.is_empty());
    let cards = fs::read_to_string("/proc/asound/cards").unwrap_or_default();
    let mut found = Vec::new();
    found.extend(named.map(|server| format!("PulseAudio at {server}")));
    found.extend(answers("pulse/native").then(|| "PulseAudio".to_owned()));
    found.extend(answers("pipewire-0").then(|| "PipeWire".to_owned()));
    found.extend(alsa(&cards));
    found
}

/// The cards in /proc/asound/cards: ` 0 [PCH  ]: HDA-Intel - HDA Intel PCH`, and a line of details each.
fn alsa(cards: &str) -> Vec<String> {
    let name = |line: &str| line.split_once("]: ").map(|(_, name)| format!("ALSA card {}", name.trim()));
    cards.lines().filter_map(name).collect()
}

/// A sound server far away may never answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::*;

    #[test]
    fn cards_are_listed_and_silence_is_no_problem() {
        let cards = " 0 [PCH            ]: HDA-Intel - HDA Intel PCH\n                      HDA Intel PCH at 0xb121\n";
        assert_eq!(alsa(cards), ["ALSA card HDA-Intel - HDA Intel PCH"]);
        assert_eq!(alsa("--- no soundcards ---\n"), [""; 0]);
        let found = Found { device: "Speakers".to_owned(), rate: 44_100, channels: 2 };
        let good = judge(Ok(found), &alsa(cards));
        assert_eq!(good.mark, Mark::Ok);
        assert_eq!(good.text, "Speakers at 44.1 kHz, stereo (ALSA card HDA-Intel - HDA Intel PCH)");
        let bad = judge(Err("there is none; plug one in".to_owned()), &[]);
        assert_eq!((bad.mark, bad.advice.as_deref()), (Mark::Warning, Some("plug one in")));
        assert_eq!(bad.text, "there is none (no PulseAudio, no PipeWire, no ALSA card)");
    }
}

//! What could play sound here. The program plays none yet, so nothing found is no problem.

use std::env;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::Check;

pub fn check() -> Check {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let answers = |name: &str| runtime.as_ref().is_some_and(|folder| UnixStream::connect(folder.join(name)).is_ok());
    let named = env::var("PULSE_SERVER").ok().filter(|server| !server.is_empty());
    let cards = fs::read_to_string("/proc/asound/cards").unwrap_or_default();
    let mut found = Vec::new();
    found.extend(named.map(|server| format!("PulseAudio at {server}")));
    found.extend(answers("pulse/native").then(|| "PulseAudio".to_owned()));
    found.extend(answers("pipewire-0").then(|| "PipeWire".to_owned()));
    found.extend(alsa(&cards));
    judge(&found)
}

fn judge(found: &[String]) -> Check {
    if found.is_empty() {
        let text = "no PulseAudio, no PipeWire, no ALSA card";
        return Check::warning("sound", text, "nothing to do: udpstream plays no sound yet");
    }
    Check::ok("sound", format!("{}; udpstream plays no sound yet", found.join(", ")))
}

/// The cards in /proc/asound/cards: ` 0 [PCH  ]: HDA-Intel - HDA Intel PCH`, and a line of details each.
fn alsa(cards: &str) -> Vec<String> {
    let name = |line: &str| line.split_once("]: ").map(|(_, name)| format!("ALSA card {}", name.trim()));
    cards.lines().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::*;

    #[test]
    fn cards_are_listed_and_silence_is_no_problem() {
        let cards = " 0 [PCH            ]: HDA-Intel - HDA Intel PCH\n                      HDA Intel PCH at 0xb121\n";
        assert_eq!(alsa(cards), ["ALSA card HDA-Intel - HDA Intel PCH"]);
        assert_eq!(alsa("--- no soundcards ---\n"), [""; 0]);
        assert_eq!(judge(&[]).mark, Mark::Warning);
        assert_eq!(judge(&alsa(cards)).mark, Mark::Ok);
    }
}

//! Figures as people read them: the line that updates itself, and the last sentence of a run. Those of one
//! side alone are in `serve/words.rs` and `watch/words.rs`.

use std::time::Duration;

use crate::record::film::Totals;

/// Where in the film we are.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    pub position: Duration,
    pub length: Option<Duration>,
    /// The film begins again at its end, and the position goes on.
    pub looped: bool,
}

/// The last sentence of a recording, and of the pictures that the disk was too slow for.
pub fn recorded(files: &[Totals], dropped: u64) -> String {
    let names: Vec<String> = files.iter().map(|file| file.path.display().to_string()).collect();
    let pictures: u64 = files.iter().map(|file| file.pictures).sum();
    let length = files.iter().map(|file| file.length).sum();
    let mut text = match names.join(", ") {
        none if none.is_empty() => "Nothing was recorded".to_owned(),
        names if pictures == 0 => format!("Recorded {} of sound to {names}", seconds_text(length)),
        names => format!("Recorded {}, {}, to {names}", counted(pictures, "picture"), seconds_text(length)),
    };
    if dropped > 0 {
        text.push_str(&format!(", {} dropped", grouped(dropped)));
    }
    text + "."
}

/// A sentence that goes on behind a name and a colon: its first letter is a small one.
pub fn lowered(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_lowercase(), letters.as_str()))
}

/// `83.4` seconds as 1:23.
pub fn clock_text(time: Duration) -> String {
    crate::view::clock_text(time.as_secs())
}

impl Position {
    /// Where in how much, and in which round if the film began again.
    pub fn text(self) -> String {
        let Self { position, length, looped } = self;
        let Some(length) = length.filter(|length| !length.is_zero()) else { return clock_text(position) };
        let round = if looped { position.as_nanos() / length.as_nanos() } else { 0 };
        let before = length.saturating_mul(u32::try_from(round).unwrap_or(u32::MAX));
        let text = format!("{}/{}", clock_text(position.saturating_sub(before)), clock_text(length));
        if round > 0 { format!("{text} round {}", round + 1) } else { text }
    }
}

pub fn seconds_text(time: Duration) -> String {
    if time < Duration::from_secs(600) { format!("{:.1} s", time.as_secs_f64()) } else { clock_text(time) }
}

/// Bits per second in the unit that fits.
pub fn rate_text(bps: f64) -> String {
    if bps >= 1e6 { format!("{:.1} Mb/s", bps / 1e6) } else { format!("{:.0} kb/s", bps / 1e3) }
}

pub fn fps_text(fps: Option<f64>) -> String {
    format!("{:.1} fps", fps.unwrap_or(0.0))
}

pub fn jitter_text(millis: Option<f64>) -> String {
    match millis {
        Some(millis) if millis < 1.0 => format!("jitter {millis:.2} ms"),
        Some(millis) => format!("jitter {millis:.1} ms"),
        None => String::new(),
    }
}

/// The rate of so many pictures from the first to the last; nothing to say of too few.
pub fn speed(pictures: u64, took: Duration) -> String {
    let intervals = pictures.saturating_sub(1);
    if intervals == 0 || took.is_zero() {
        return String::new();
    }
    format!(", {:.1} fps", intervals as f64 / took.as_secs_f64())
}

/// What went wrong, if it did.
pub fn mishaps(counts: &[(&str, u64)]) -> String {
    let counted = counts.iter().filter(|(_, n)| *n > 0);
    counted.map(|(word, n)| format!(", {} {word}", grouped(*n))).collect()
}

pub fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// 1199 as 1 199.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded() {
        let totals = |path: &str, pictures, tenths: u64| Totals {
            path: path.into(),
            pictures,
            length: Duration::from_millis(100 * tenths),
        };
        assert_eq!(recorded(&[], 0), "Nothing was recorded.");
        assert_eq!((lowered("Recorded it."), lowered("")), ("recorded it.".to_owned(), String::new()));
        assert_eq!(recorded(&[totals("a.wav", 0, 15)], 0), "Recorded 1.5 s of sound to a.wav.");
        let two = [totals("a.mkv", 1_000, 400), totals("a-2.mkv", 132, 53)];
        assert_eq!(recorded(&two, 7), "Recorded 1 132 pictures, 45.3 s, to a.mkv, a-2.mkv, 7 dropped.");
    }

    #[test]
    fn numbers_in_groups() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
    }
}

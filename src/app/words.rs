//! Figures as people read them: the line that updates itself, and the last sentence of a run.

use std::time::Duration;

use serde_json::Value;

use crate::record::film::Totals;

/// Where in the film we are.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub position: Duration,
    pub length: Option<Duration>,
    /// The film begins again at its end, and the position goes on.
    pub looped: bool,
}

/// The line of `watch`; without a place nothing has been shown yet.
pub fn watching(server: &str, place: Option<Place>, figures: &Value) -> Vec<String> {
    let Some(place) = place else { return vec![format!("waiting for {server}")] };
    let lost = count(figures, "pictures_lost") + count(figures, "pictures_damaged");
    vec![
        place.text(),
        fps_text(number(&figures["fps"])),
        jitter_text(number(&figures["shown_interval_ms"]["stdev"])),
        format!("{} lost", grouped(lost)),
        rate_text(number(&figures["bitrate_bps"]).unwrap_or(0.0)),
    ]
}

/// The figures over the picture of `watch`, line by line, in letters that the window has.
pub fn panel(place: Option<Place>, figures: &Value) -> Vec<String> {
    let (latency, stages) = (&figures["latency_ms"], &figures["stages_ms"]);
    let stage = |name: &str| format!("{name} {}", millis(&stages[name], "p50"));
    let [shown, damaged, lost, late, thinned] =
        ["shown", "damaged", "lost", "late", "thinned"].map(|name| count(figures, &format!("pictures_{name}")));
    let loss = 100.0 * (lost + damaged) as f64 / (shown + lost + late + thinned).max(1) as f64;
    let rate = rate_text(number(&figures["bitrate_bps"]).unwrap_or(0.0));
    let rtt = number(&figures["rtt_ms"]).map_or("-".to_owned(), |ms| format!("{ms:.1}"));
    vec![
        place.map_or_else(|| "-".to_owned(), Place::text),
        format!(
            "{}  {}",
            fps_text(number(&figures["fps"])),
            jitter_text(number(&figures["shown_interval_ms"]["stdev"]))
        ),
        format!("latency {} ms  p99 {} ms", millis(latency, "p50"), millis(latency, "p99")),
        format!(" {}  {}  {}  {} ms", stage("network"), stage("wait"), stage("decode"), stage("present")),
        format!("loss {loss:.2} %  damaged {damaged}  late {late}"),
        format!("{rate}  datagrams {} B  rtt {rtt} ms", count(figures, "largest_datagram")),
        sound_text(&figures["audio"]),
    ]
}

/// One figure of a block of milliseconds.
fn millis(block: &Value, name: &str) -> String {
    number(&block[name]).map_or("-".to_owned(), |ms| format!("{ms:.1}"))
}

/// How it goes with the sound; nothing where there is none.
fn sound_text(audio: &Value) -> String {
    let lost = grouped(count(audio, "lost"));
    let state = match (audio["open"].as_bool(), audio["muted"].as_bool()) {
        (None, _) => return String::new(),
        (Some(false), _) => "no loudspeaker".to_owned(),
        (_, Some(true)) => "muted".to_owned(),
        _ => format!("{} %  off by {} ms", count(audio, "volume"), millis(&audio["skew_ms"], "p50")),
    };
    format!("sound {state}  {lost} lost  {} gaps", grouped(count(audio, "underruns")))
}

/// The last sentence of `watch`. `took` is the time since the start.
pub fn watched(took: Duration, figures: &Value) -> String {
    let shown = count(figures, "pictures_shown");
    if shown == 0 {
        return "No picture was shown.".to_owned();
    }
    let first = number(&figures["first_picture_ms"]).unwrap_or(0.0);
    let took = took.saturating_sub(Duration::try_from_secs_f64(first / 1e3).unwrap_or_default());
    let mut text = format!("Shown {} in {}", counted(shown, "picture"), seconds_text(took));
    text.push_str(&speed(shown, took));
    text.push_str(&format!(", {} lost", grouped(count(figures, "pictures_lost"))));
    let [damaged, late] = ["pictures_damaged", "pictures_late"].map(|name| count(figures, name));
    text.push_str(&mishaps(&[("damaged", damaged), ("late", late)]));
    if let Some(p99) = number(&figures["latency_ms"]["p99"]) {
        text.push_str(&format!(", latency p99 {p99:.1} ms"));
    }
    text + "."
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

/// `83.4` seconds as 1:23.
pub fn clock_text(time: Duration) -> String {
    let whole = time.as_secs();
    match (whole / 3_600, whole / 60 % 60, whole % 60) {
        (0, m, s) => format!("{m}:{s:02}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}"),
    }
}

impl Place {
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

fn count(figures: &Value, name: &str) -> u64 {
    figures[name].as_u64().unwrap_or(0)
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_line_of_watch() {
        let second = Duration::from_secs;
        let place = |position, length, looped| Some(Place { position, length, looped });
        let seen = json!({ "fps": 25, "bitrate_bps": 512_000, "pictures_lost": 1, "pictures_damaged": 2,
            "shown_interval_ms": { "stdev": 1.26 } });
        let line = watching("robot:9688", place(second(3_700), None, false), &seen).join("  ");
        assert_eq!(line, "1:01:40  25.0 fps  jitter 1.3 ms  3 lost  512 kb/s");
        assert_eq!(watching("robot:9688", None, &seen), ["waiting for robot:9688"]);
    }

    #[test]
    fn what_was_recorded() {
        let totals = |path: &str, pictures, tenths: u64| Totals {
            path: path.into(),
            pictures,
            length: Duration::from_millis(100 * tenths),
        };
        assert_eq!(recorded(&[], 0), "Nothing was recorded.");
        assert_eq!(recorded(&[totals("a.wav", 0, 15)], 0), "Recorded 1.5 s of sound to a.wav.");
        let two = [totals("a.mkv", 1_000, 400), totals("a-2.mkv", 132, 53)];
        assert_eq!(recorded(&two, 7), "Recorded 1 132 pictures, 45.3 s, to a.mkv, a-2.mkv, 7 dropped.");
    }

    #[test]
    fn the_last_sentence() {
        let took = Duration::from_secs_f64(1_198.0 / 30.0);
        let seen = json!({ "pictures_shown": 301, "pictures_lost": 0, "pictures_late": 2, "first_picture_ms": 2_000.0,
            "latency_ms": { "p99": 13.04 } });
        let said = "Shown 301 pictures in 10.0 s, 30.0 fps, 0 lost, 2 late, latency p99 13.0 ms.";
        assert_eq!(watched(Duration::from_secs(12), &seen), said);
        assert_eq!(watched(took, &Value::Null), "No picture was shown.");
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
    }
}

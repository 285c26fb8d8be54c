//! A watcher's figures as people read them: the line that updates itself, the lines over the picture, and the last sentence.

use std::time::Duration;

use super::figures::{SoundFigures, WatchFigures};
use crate::app::words::{Position, counted, fps_text, grouped, jitter_text, rate_text, seconds_text, speed};
use crate::proto::receiver::Repaired;
use crate::stats::Block;
use crate::wire::message::{InForce, RelayHop};

/// The line of `watch`; without a position nothing has been shown yet.
pub fn status(server: &str, position: Option<Position>, figures: &WatchFigures) -> Vec<String> {
    let Some(position) = position else { return vec![format!("waiting for {server}")] };
    vec![
        position.text(),
        fps_text(Some(figures.fps)),
        jitter_text(stdev(figures)),
        format!("{} lost", grouped(figures.pictures.lost + figures.pictures.damaged)),
        rate_text(figures.network.bitrate_bps),
    ]
}

/// The figures over the picture, line by line, in letters that the window has.
pub fn panel(position: Option<Position>, figures: &WatchFigures) -> Vec<String> {
    let WatchFigures { pictures, stages, network, .. } = figures;
    let bad = pictures.lost + pictures.damaged;
    let loss = 100.0 * bad as f64 / (pictures.shown + bad + pictures.late + pictures.thinned).max(1) as f64;
    let rtt = network.rtt.map_or("-".to_owned(), |rtt| format!("{:.1}", rtt.as_secs_f64() * 1e3));
    let p50 = |block| millis(block, |block| block.p50);
    let latency = figures.latency.as_ref();
    vec![
        position.map_or_else(|| "-".to_owned(), Position::text),
        format!("{}  {}", fps_text(Some(figures.fps)), jitter_text(stdev(figures))),
        format!("latency {} ms  p99 {} ms", p50(latency), millis(latency, |block| block.p99)),
        format!(
            " network {}  wait {}  decode {}  present {} ms",
            p50(stages.network.as_ref()),
            p50(stages.wait.as_ref()),
            p50(stages.decode.as_ref()),
            p50(stages.present.as_ref())
        ),
        format!("loss {loss:.2} % of pictures  damaged {}  late {}", pictures.damaged, pictures.late),
        repair(figures),
        format!(
            "{}  datagrams {} B{}  rtt {rtt} ms",
            rate_text(network.bitrate_bps),
            network.largest_datagram,
            datagrams_lost(network)
        ),
        network.in_force.map_or_else(String::new, path),
        network.in_force.map_or_else(String::new, |told| told.reason.text().to_owned()),
        relays(&figures.hops),
        figures.sound.as_ref().map_or_else(String::new, sound),
    ]
}

/// The part of datagrams that the path has lost, repaired or not.
fn datagrams_lost(network: &super::figures::Network) -> String {
    let lost = network.lost as f64 / (network.lost + network.datagrams).max(1) as f64;
    if network.lost > 0 { format!(", {:.2} % lost", 100.0 * lost) } else { String::new() }
}

/// What was repaired: by what was sent again, by parity, and too late; what it took, and how long pictures wait for it.
fn repair(figures: &WatchFigures) -> String {
    let Repaired { resent, rebuilt, late } = figures.slices.repaired;
    if resent + rebuilt + late == 0 {
        return String::new();
    }
    let (overhead, delay) = (100.0 * figures.network.overhead(), figures.network.repair_delay.as_secs_f64() * 1e3);
    let late = if late > 0 { format!("  late {}", grouped(late)) } else { String::new() };
    let (resent, rebuilt) = (grouped(resent), grouped(rebuilt));
    format!("repaired {resent} resent {rebuilt} parity{late}  +{overhead:.1} %  wait {delay:.0} ms")
}

/// What the server sends at present, and what it believes of the path.
fn path(told: InForce) -> String {
    let estimate =
        told.estimate.map_or("path -".to_owned(), |rate| format!("path {}", rate_text(rate.as_bps() as f64)));
    let size = ["full size", "half size", "quarter size"].get(usize::from(told.rendition)).unwrap_or(&"small");
    let quality = if told.quality > 0 { format!("  quality {}", told.quality) } else { String::new() };
    let every = if told.every > 1 { format!("  1 of {}", told.every) } else { String::new() };
    format!("{estimate}  queue {:.1} ms{quality}  {size}{every}", f64::from(told.queue) / 10.0)
}

/// Through how many relays it came, and how old pictures are when they leave each.
fn relays(hops: &[RelayHop]) -> String {
    let ages: Option<Vec<String>> =
        hops.iter().map(|hop| hop.age.map(|age| format!("{:.1}", age.as_secs_f64() * 1e3))).collect();
    let ages =
        ages.filter(|ages| !ages.is_empty()).map_or_else(String::new, |ages| format!("  {} ms", ages.join(" > ")));
    match hops.len() {
        0 => String::new(),
        1 => format!("through a relay{ages}"),
        count => format!("through {count} relays{ages}"),
    }
}

/// How it goes with the sound.
fn sound(sound: &SoundFigures) -> String {
    let state = match sound.open {
        false => "no loudspeaker".to_owned(),
        true if sound.muted => "muted".to_owned(),
        true => format!("{} %  off by {} ms", sound.volume, millis(sound.skew.as_ref(), |block| block.p50)),
    };
    format!("sound {state}  {} lost  {} gaps", grouped(sound.lost), grouped(sound.underruns))
}

/// The last sentence of `watch`. `took` is the time since the start.
pub fn last(took: Duration, figures: &WatchFigures) -> String {
    let pictures = &figures.pictures;
    if pictures.shown == 0 {
        return "No picture was shown.".to_owned();
    }
    let took = took.saturating_sub(figures.first_picture.unwrap_or_default());
    let mut text = format!("Shown {} in {}", counted(pictures.shown, "picture"), seconds_text(took));
    text.push_str(&speed(pictures.shown, took));
    text.push_str(&format!(", {} lost", grouped(pictures.lost)));
    for (count, what) in [(pictures.damaged, "damaged"), (pictures.late, "late")].into_iter().filter(|(n, _)| *n > 0) {
        text.push_str(&format!(", {} {what}", grouped(count)));
    }
    let repaired = figures.slices.repaired.resent + figures.slices.repaired.rebuilt;
    if repaired > 0 {
        text.push_str(&format!(", {} repaired", counted(repaired, "slice")));
    }
    if let Some(latency) = &figures.latency {
        text.push_str(&format!(", latency p99 {:.1} ms", latency.p99));
    }
    text + "."
}

fn stdev(figures: &WatchFigures) -> Option<f64> {
    figures.shown_interval.as_ref().map(|block| block.stdev)
}

/// One figure of a block of milliseconds.
fn millis(block: Option<&Block>, figure: impl Fn(&Block) -> f64) -> String {
    block.map_or("-".to_owned(), |block| format!("{:.1}", figure(block)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::watch::figures::{Network, Pictures, Slices};
    use crate::proto::receiver::RepairTraffic;
    use crate::units::Bitrate;
    use crate::wire::message::AdaptationReason;

    fn block(stdev: f64, p99: f64) -> Option<Block> {
        Some(Block { n: 9, mean: 1.0, stdev, p50: 1.0, p95: 1.0, p99, max: p99 })
    }

    #[test]
    fn the_line_of_a_watcher() {
        let second = Duration::from_secs;
        let position = Some(Position { position: second(3_700), length: None, looped: false });
        let seen = WatchFigures {
            fps: 25.0,
            shown_interval: block(1.26, 9.0),
            pictures: Pictures { lost: 1, damaged: 2, ..Pictures::default() },
            network: Network { bitrate_bps: 512_000.0, ..Network::default() },
            ..WatchFigures::default()
        };
        let line = status("robot:9688", position, &seen).join("  ");
        assert_eq!(line, "1:01:40  25.0 fps  jitter 1.3 ms  3 lost  512 kb/s");
        assert_eq!(status("robot:9688", None, &seen), ["waiting for robot:9688"]);
    }

    #[test]
    fn the_lines_over_the_picture() {
        let seen = WatchFigures {
            fps: 25.0,
            latency: block(1.0, 4.0),
            pictures: Pictures { shown: 97, lost: 1, damaged: 2, ..Pictures::default() },
            sound: Some(SoundFigures { open: true, volume: 80, skew: block(0.1, 0.4), ..SoundFigures::default() }),
            ..WatchFigures::default()
        };
        let lines = panel(None, &seen);
        assert_eq!(lines[2], "latency 1.0 ms  p99 4.0 ms");
        assert_eq!(lines[3], " network -  wait -  decode -  present - ms");
        assert_eq!(lines[4], "loss 3.00 % of pictures  damaged 2  late 0");
        assert_eq!(lines[10], "sound 80 %  off by 1.0 ms  0 lost  0 gaps");
        assert_eq!(panel(None, &WatchFigures::default())[7..], ["", "", "", ""], "nothing where there is none");
        let hop = |micros| RelayHop { id: 1, age: Some(Duration::from_micros(micros)) };
        let hops = vec![hop(1_230), hop(2_000)];
        assert_eq!(panel(None, &WatchFigures { hops, ..WatchFigures::default() })[9], "through 2 relays  1.2 > 2.0 ms");
        let reason = AdaptationReason::Queue;
        let told =
            InForce { rendition: 1, quality: 44, every: 2, reason, estimate: Some(Bitrate::bps(2_400_000)), queue: 83 };
        let network = Network { in_force: Some(told), ..Network::default() };
        let lines = panel(None, &WatchFigures { network, ..WatchFigures::default() });
        assert_eq!(lines[7], "path 2.4 Mb/s  queue 8.3 ms  quality 44  half size  1 of 2");
        assert_eq!(lines[8], "a queue stood in the path");
    }

    #[test]
    fn what_was_repaired_is_told_where_something_was() {
        let repaired = Repaired { resent: 1_200, rebuilt: 7, late: 0 };
        let repair = RepairTraffic { bytes: 20, ..RepairTraffic::default() };
        let network = Network {
            bytes: 1_020,
            datagrams: 98,
            lost: 2,
            largest_datagram: 1_452,
            repair,
            repair_delay: Duration::from_millis(6),
            ..Network::default()
        };
        let slices = Slices { repaired, ..Slices::default() };
        let pictures = Pictures { shown: 9, ..Pictures::default() };
        let seen = WatchFigures { pictures, slices, network, ..WatchFigures::default() };
        assert_eq!(panel(None, &seen)[5], "repaired 1 200 resent 7 parity  +2.0 %  wait 6 ms");
        assert_eq!(panel(None, &seen)[6], "0 kb/s  datagrams 1452 B, 2.00 % lost  rtt - ms");
        assert_eq!(panel(None, &WatchFigures::default())[5], "");
        assert!(last(Duration::from_secs(1), &seen).ends_with(", 0 lost, 1 207 slices repaired."));
    }

    #[test]
    fn the_last_sentence() {
        let seen = WatchFigures {
            pictures: Pictures { shown: 301, late: 2, ..Pictures::default() },
            first_picture: Some(Duration::from_secs(2)),
            latency: block(1.0, 13.04),
            ..WatchFigures::default()
        };
        let said = "Shown 301 pictures in 10.0 s, 30.0 fps, 0 lost, 2 late, latency p99 13.0 ms.";
        assert_eq!(last(Duration::from_secs(12), &seen), said);
        assert_eq!(last(Duration::from_secs(12), &WatchFigures::default()), "No picture was shown.");
    }
}

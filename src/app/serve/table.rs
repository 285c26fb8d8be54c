//! Who watches, as people read it below the line that updates itself: one row each, those with the greatest loss first.

use super::figures::WatcherFigures;
use crate::app::words::{grouped, rate_text};
use crate::proto::Transport;

const HEADING: [&str; COLUMNS] =
    ["watcher", "path", "sent", "size", "quality", "a second", "lost", "repair", "rtt", "why not more"];
const COLUMNS: usize = 10;
/// Watchers that have a row of their own.
const MOST: usize = 10;

/// Where the column of repair is. Where nobody is sent any it is left out.
const REPAIR: usize = 7;

/// The rows, at most so many; of those who have no room only the number is told.
pub fn rows(watchers: &[WatcherFigures], all: usize, room: usize) -> Vec<String> {
    if watchers.is_empty() || room < 3 {
        return Vec::new();
    }
    let most = if all <= MOST.min(room - 1) { all } else { MOST.min(room - 2) };
    let cells: Vec<[String; COLUMNS]> =
        std::iter::once(HEADING.map(str::to_owned)).chain(watchers.iter().take(most).map(cells)).collect();
    let widths: Vec<usize> =
        (0..COLUMNS).map(|at| cells.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let repaired = watchers.iter().take(most).any(|watcher| watcher.overhead > 0.0);
    let mut rows: Vec<String> = cells.iter().map(|row| aligned(row, &widths, repaired)).collect();
    let more = all.saturating_sub(most.min(watchers.len()));
    if more > 0 {
        rows.push(format!("and {} more", grouped(more as u64)));
    }
    rows
}

/// Numbers end, words begin below each other.
fn aligned(row: &[String; COLUMNS], widths: &[usize], repaired: bool) -> String {
    let shown = row.iter().zip(widths).enumerate().filter(|(at, _)| *at != REPAIR || repaired);
    let cells = shown.map(|(at, (cell, width))| match at {
        0 => format!("{cell:<width$}"),
        at if at + 1 == COLUMNS => cell.clone(),
        _ => format!("{cell:>width$}"),
    });
    cells.collect::<Vec<_>>().join("  ")
}

fn cells(watcher: &WatcherFigures) -> [String; COLUMNS] {
    let known = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let in_force = watcher.adaptation.in_force;
    let name = watcher.stream.as_ref().map_or_else(String::new, |name| format!(" {name}"));
    [
        format!("{}{}{name}", watcher.address, if watcher.transport == Transport::Tcp { " TCP" } else { "" }),
        known(in_force.estimate.map(|rate| rate_text(rate.as_bps() as f64))),
        rate_text(watcher.adaptation.rate.as_bps() as f64),
        known(watcher.size.map(|size| size.to_string())),
        watcher.quality.to_string(),
        format!("{:.1}", watcher.fps),
        format!("{:.2} %", watcher.loss * 100.0),
        if watcher.overhead > 0.0 { format!("{:.1} %", watcher.overhead * 100.0) } else { "-".to_owned() },
        known(watcher.rtt_ms.map(|rtt| format!("{rtt:.1} ms"))),
        in_force.reason.text().to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::server::{Adaptation, RepairStats};
    use crate::units::{Bitrate, Size};
    use crate::wire::message::{AdaptationReason, InForce};

    fn watcher(port: u16) -> WatcherFigures {
        let reason = AdaptationReason::Path;
        let estimate = Some(Bitrate::bps(2_400_000));
        let in_force = InForce { rendition: 1, quality: 44, every: 1, reason, estimate, queue: 83 };
        WatcherFigures {
            id: 1,
            address: ([10, 0, 0, 7], port).into(),
            transport: if port == 40_000 { Transport::Tcp } else { Transport::Udp },
            stream: None,
            datagram: 1_452,
            quality: 44,
            loss: 0.012,
            rtt_ms: Some(20.44),
            repair: RepairStats::default(),
            overhead: 0.0234,
            sent: 100,
            thinned: 0,
            fps: 25.0,
            size: Some(Size::new(640, 360)),
            adaptation: Adaptation { in_force, rate: Bitrate::bps(2_100_000), ..Adaptation::default() },
        }
    }

    #[test]
    fn each_watcher_has_a_row_below_its_headings() {
        let all = [
            watcher(9),
            WatcherFigures { rtt_ms: None, overhead: 0.0, adaptation: Adaptation::default(), ..watcher(40_000) },
        ];
        assert_eq!(
            rows(&all, 2, 20),
            [
                "watcher                 path      sent     size  quality  a second    lost  repair      rtt  why not more",
                "10.0.0.7:9          2.4 Mb/s  2.1 Mb/s  640×360       44      25.0  1.20 %   2.3 %  20.4 ms  the path carries no more",
                "10.0.0.7:40000 TCP         -    0 kb/s  640×360       44      25.0  1.20 %       -        -  nothing limits it",
            ]
        );
        assert!(rows(&[], 0, 20).is_empty());
    }

    #[test]
    fn those_without_room_are_counted() {
        let all: Vec<WatcherFigures> = (0..30).map(watcher).collect();
        let told =
            |count: usize, room| (rows(&all[..count], count, room).len(), rows(&all[..count], count, room).pop());
        assert_eq!(told(10, 20).0, 11);
        assert_eq!(told(11, 20), (12, Some("and 1 more".to_owned())));
        assert_eq!(told(30, 20), (12, Some("and 20 more".to_owned())));
        assert_eq!(told(30, 5), (5, Some("and 27 more".to_owned())));
        assert_eq!(rows(&all, 1_500, 20).pop().as_deref(), Some("and 1 490 more"));
        assert_eq!(told(30, 2).0, 0, "a terminal without room has none");
    }
}

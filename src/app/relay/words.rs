//! Figures of `relay` as people read them: the line that updates itself, a row for each stream, and the last sentence.

use std::time::Duration;

use super::figures::{RelayFigures, StreamFigures, StreamState};
use super::keeper::Kept;
use crate::app::storing::StoringFigures;
use crate::app::words::{counted, grouped, rate_text, seconds_text};
use crate::proto::relay::Throughput;
use crate::units::Bitrate;

const HEADING: [&str; COLUMNS] =
    ["stream", "", "watchers", "from above", "sent", "rtt", "pictures", "damaged", "age here"];
const COLUMNS: usize = 9;

pub fn line(figures: &RelayFigures) -> Vec<String> {
    let sum = |of: fn(&StreamFigures) -> Bitrate| figures.streams.iter().map(|s| of(s).as_bps()).sum::<u64>() as f64;
    let flowing = figures.streams.iter().filter(|stream| stream.state == StreamState::Flows).count();
    let kept = figures.kept.map(kept).unwrap_or_default();
    let stored = figures.stored.as_ref().map(StoringFigures::line);
    let fields = [
        format!("{flowing} of {}", counted(figures.streams.len() as u64, "stream")),
        counted(figures.watchers as u64, "watcher"),
        format!("{} in", rate_text(sum(|stream| stream.came))),
        format!("{} out", rate_text(sum(|stream| stream.sent))),
        kept,
    ];
    fields.into_iter().chain(stored).collect()
}

/// `3 films kept, 420 MB`.
pub fn kept(kept: Kept) -> String {
    let Kept { films, complete, bytes } = kept;
    let part = if complete < films { format!(" ({} whole)", grouped(complete as u64)) } else { String::new() };
    format!("{}{part} kept, {} MB", counted(films as u64, "film"), grouped(bytes.div_ceil(1_000_000)))
}

/// A row for each stream, as far as there is room.
pub fn rows(figures: &RelayFigures, room: usize) -> Vec<String> {
    if figures.streams.is_empty() || room < 3 {
        return Vec::new();
    }
    let shown = figures.streams.iter().take(room - 2).map(cells);
    let cells: Vec<[String; COLUMNS]> = std::iter::once(HEADING.map(str::to_owned)).chain(shown).collect();
    let width = |at: usize| cells.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let aligned = |row: &[String; COLUMNS]| {
        let cell = |(at, (cell, width)): (usize, (&String, &usize))| match at {
            0 | 1 => format!("{cell:<width$}"),
            at if at + 1 == COLUMNS => cell.clone(),
            _ => format!("{cell:>width$}"),
        };
        row.iter().zip(&widths).enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut rows: Vec<String> = cells.iter().map(aligned).collect();
    let more = figures.streams.len().saturating_sub(room - 2);
    if more > 0 {
        rows.push(format!("and {} more", grouped(more as u64)));
    }
    rows
}

fn cells(stream: &StreamFigures) -> [String; COLUMNS] {
    let known = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), ms);
    [
        stream.name.to_string(),
        stream.state.name().to_owned(),
        grouped(stream.watchers as u64),
        rate_text(stream.came.as_bps() as f64),
        rate_text(stream.sent.as_bps() as f64),
        known(stream.round_trip),
        grouped(stream.pictures),
        grouped(stream.damaged),
        ages(stream),
    ]
}

/// How old pictures are when they leave each relay on the way, this one last: `1.2 → 2.0 ms`.
fn ages(stream: &StreamFigures) -> String {
    let all: Vec<Option<Duration>> = stream.hops.iter().map(|hop| hop.age).chain([stream.age]).collect();
    if all.iter().all(Option::is_none) {
        return "-".to_owned();
    }
    let one =
        |age: Option<Duration>| age.map_or_else(|| "?".to_owned(), |age| format!("{:.1}", age.as_secs_f64() * 1e3));
    format!("{} ms", all.into_iter().map(one).collect::<Vec<_>>().join(" → "))
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// The last sentence.
pub fn relayed(took: Duration, most: usize, figures: &RelayFigures) -> String {
    let Throughput { came, sent, pictures, damaged } = figures.all;
    if pictures == 0 {
        return "Nothing was relayed.".to_owned();
    }
    let megabytes = |bytes: u64| grouped(bytes.div_ceil(1_000_000));
    let damaged = if damaged > 0 { format!(" ({} damaged)", grouped(damaged)) } else { String::new() };
    let at_once =
        if most == 1 { "1 watcher".to_owned() } else { format!("up to {} watchers at once", grouped(most as u64)) };
    format!(
        "Relayed {}{damaged} in {} to {at_once}; {} MB came and {} MB went out.",
        counted(pictures, "picture"),
        seconds_text(took),
        megabytes(came),
        megabytes(sent),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::StreamName;
    use crate::wire::message::RelayHop;

    fn figures() -> RelayFigures {
        let stream = |name: &str, state| StreamFigures {
            name: StreamName::parse(name).expect("a name"),
            state,
            watchers: 12,
            came: Bitrate::bps(4_100_000),
            sent: Bitrate::bps(49_200_000),
            came_bytes: 5_000_000,
            sent_bytes: 60_000_000,
            pictures: 1_500,
            damaged: 0,
            round_trip: Some(Duration::from_micros(20_400)),
            hops: vec![RelayHop { id: 1, age: Some(Duration::from_micros(1_200)) }],
            age: Some(Duration::from_micros(11_900)),
            file: None,
        };
        let idle = StreamFigures {
            watchers: 0,
            round_trip: None,
            age: None,
            hops: Vec::new(),
            ..stream("hall", StreamState::Idle)
        };
        let kept = Some(Kept { films: 3, complete: 2, bytes: 420_100_000 });
        let streams = vec![stream("lobby", StreamState::Flows), idle];
        // A third stream is over.
        let all = Throughput { came: 16_000_000, sent: 180_000_000, pictures: 4_500, damaged: 2 };
        RelayFigures { streams, all, watchers: 12, refused: 0, kept, stored: None }
    }

    #[test]
    fn what_people_read() {
        let figures = figures();
        let text = line(&figures).join("  ");
        assert_eq!(text, "1 of 2 streams  12 watchers  8.2 Mb/s in  98.4 Mb/s out  3 films (2 whole) kept, 421 MB");
        assert_eq!(
            rows(&figures, 9),
            [
                "stream         watchers  from above       sent      rtt  pictures  damaged  age here",
                "lobby   flows        12    4.1 Mb/s  49.2 Mb/s  20.4 ms     1 500        0  1.2 → 11.9 ms",
                "hall    idle          0    4.1 Mb/s  49.2 Mb/s        -     1 500        0  -",
            ]
        );
        assert_eq!(rows(&figures, 3).last().map(String::as_str), Some("and 1 more"));
        let said = "Relayed 4 500 pictures (2 damaged) in 60.0 s to up to 12 watchers at once; 16 MB came and 180 MB went out.";
        assert_eq!(relayed(Duration::from_secs(60), 12, &figures), said);
        let none = RelayFigures { streams: Vec::new(), all: Throughput::default(), ..figures };
        assert_eq!(relayed(Duration::ZERO, 0, &none), "Nothing was relayed.");
    }
}

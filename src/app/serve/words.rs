//! Figures of `serve` as people read them: the line that updates itself, and the last sentence of a run.

use std::time::Duration;

use super::figures::{Activity, ServeFigures, StreamFigures};
use crate::app::relay::figures::StreamFigures as Published;
use crate::app::screening::LibraryFigures;
use crate::app::storing::StoringFigures;
use crate::app::words::{Position, counted, fps_text, grouped, jitter_text, mishaps, rate_text, seconds_text, speed};

/// The line; without a position nothing has been sent yet. Of several streams each is told with those who watch it.
pub fn line(position: Option<Position>, figures: &ServeFigures, whom: Option<&str>) -> Vec<String> {
    let all = figures.together();
    if let Some(published) = figures.published.as_ref().filter(|_| figures.streams.is_empty()) {
        let mut line = hosted(published);
        line.extend(figures.stored.as_ref().map(StoringFigures::line));
        return line;
    }
    if let Some(library) = figures.library.as_ref().filter(|_| figures.streams.is_empty()) {
        return library.line();
    }
    let Some(position) = position else {
        return vec![match (all.watchers, whom) {
            (0, None) => "waiting for the first watcher".to_owned(),
            (0, Some(whom)) => format!("asking {whom}"),
            (_, None) => "starting".to_owned(),
            (_, Some(whom)) => format!("{whom} waits for the first watcher"),
        }];
    };
    let several = figures.is_several();
    let jitter = all.departure_error.filter(|_| !several).map(|error| error.stdev / 1e3);
    let skipped = all.pictures.skipped;
    let mut line = vec![
        if several { counted(figures.streams.len() as u64, "stream") } else { position.text() },
        fps_text(Some(all.fps)),
        jitter_text(jitter),
        whom.map_or_else(|| counted(all.watchers as u64, "watcher"), |whom| format!("to {whom}")),
        rate_text(all.bits_per_second),
        if skipped > 0 { format!("{} skipped", grouped(skipped)) } else { String::new() },
    ];
    if figures.overloaded {
        line.push(format!("overload: {:.0} % sent", figures.served * 100.0));
    }
    if several {
        line.extend(figures.streams.iter().map(stream));
    }
    let published = figures.published.iter().flatten();
    line.extend(published.map(|stream| format!("{} {}", stream.name, grouped(stream.watchers as u64))));
    line.extend(figures.library.iter().flat_map(LibraryFigures::line));
    line
}

/// Where there are no streams but those of others.
fn hosted(published: &[Published]) -> Vec<String> {
    let sum = |of: fn(&Published) -> u64| published.iter().map(of).sum::<u64>();
    let mut line = vec![
        counted(published.len() as u64, "published stream"),
        counted(sum(|stream| stream.watchers as u64), "watcher"),
        format!("{} in", rate_text(sum(|stream| stream.came.as_bps()) as f64)),
        format!("{} out", rate_text(sum(|stream| stream.sent.as_bps()) as f64)),
    ];
    line.extend(published.iter().map(|stream| format!("{} {}", stream.name, grouped(stream.watchers as u64))));
    line
}

/// One of several: `lobby 2`.
fn stream(figures: &StreamFigures) -> String {
    let name = figures.name.as_ref().map_or("", |name| name.as_str());
    match figures.activity {
        Activity::Running | Activity::Resting => format!("{name} {}", grouped(figures.watchers as u64)),
        Activity::Ended => format!("{name} ended"),
        Activity::Failed => format!("{name} failed"),
    }
}

/// The last sentence. `took` is the time from the first departure to the last, `most` the greatest number of watchers at
/// once, `whom` who alone was sent it all.
pub fn served(took: Duration, most: usize, figures: &ServeFigures, whom: Option<&str>) -> String {
    let all = figures.together();
    if figures.published.is_some() && figures.streams.is_empty() {
        return passed_on(figures.passed, most);
    }
    if figures.library.is_some() && figures.streams.is_empty() {
        let to =
            if most == 0 { "nobody".to_owned() } else { format!("up to {} at once", counted(most as u64, "watcher")) };
        return format!("Sent {} of the library's films, to {to}.", counted(figures.passed, "picture"));
    }
    let pictures = all.pictures.sent;
    if pictures == 0 {
        return "Nothing was sent.".to_owned();
    }
    let to = match most {
        _ if whom.is_some() => whom.unwrap_or_default().to_owned(),
        0 => "nobody".to_owned(),
        1 => "1 watcher".to_owned(),
        most => format!("up to {} watchers at once", grouped(most as u64)),
    };
    let of = if figures.is_several() { format!(" of {} streams", figures.streams.len()) } else { String::new() };
    let mut text = format!("Sent {}{of} in {} to {to}", counted(pictures, "picture"), seconds_text(took));
    text.push_str(&speed(pictures, took));
    if let Some(error) = all.departure_error.filter(|_| !figures.is_several()) {
        text.push_str(&format!(", departure error p99 {:.1} ms", error.p99 / 1e3));
    }
    text.push_str(&mishaps(&[("skipped", all.pictures.skipped), ("not sendable", figures.send_errors)]));
    text + "."
}

/// The last sentence where there were no streams but those of others.
fn passed_on(pictures: u64, most: usize) -> String {
    let to = if most == 0 { "nobody".to_owned() } else { format!("up to {} at once", counted(most as u64, "watcher")) };
    format!("Passed on {} that others published, to {to}.", counted(pictures, "picture"))
}

#[cfg(test)]
mod tests {
    use super::super::figures::ServedPictures;
    use super::*;
    use crate::stats::Block;
    use crate::wire::StreamName;

    fn block(stdev: f64, p99: f64) -> Option<Block> {
        Some(Block { n: 9, mean: 0.0, stdev, p50: 0.0, p95: 0.0, p99, max: p99 })
    }

    fn one(watchers: usize, fps: f64, pictures: ServedPictures) -> ServeFigures {
        let stream = StreamFigures { watchers, fps, pictures, ..StreamFigures::default() };
        ServeFigures { streams: vec![stream], ..ServeFigures::default() }
    }

    #[test]
    fn the_line_of_one_stream_and_of_several() {
        let second = Duration::from_secs;
        let position = |position, length, looped| Some(Position { position, length, looped });
        let mut sent = one(2, 29.97, ServedPictures { skipped: 1_200, ..ServedPictures::default() });
        sent.streams[0].bits_per_second = 27.1e6;
        sent.streams[0].departure_error = block(320.0, 0.0);
        let text = line(position(second(5), Some(second(40)), false), &sent, None).join("  ");
        assert_eq!(text, "0:05/0:40  30.0 fps  jitter 0.32 ms  2 watchers  27.1 Mb/s  1 200 skipped");
        let text = line(position(second(85), Some(second(40)), true), &one(1, 0.0, ServedPictures::default()), None)
            .join("  ");
        assert_eq!(text, "0:05/0:40 round 3  0.0 fps    1 watcher  0 kb/s  ");
        let over = ServeFigures { overloaded: true, served: 0.634, ..one(1, 0.0, ServedPictures::default()) };
        let text = line(position(second(5), None, false), &over, None);
        assert_eq!(text.last().map(String::as_str), Some("overload: 63 % sent"));
        assert_eq!(line(None, &one(0, 0.0, ServedPictures::default()), None), ["waiting for the first watcher"]);
        let mut several = one(1, 25.0, ServedPictures::default());
        several.streams[0].name = StreamName::parse("lobby").ok();
        several.streams.push(StreamFigures {
            name: StreamName::parse("desk").ok(),
            activity: Activity::Failed,
            ..StreamFigures::default()
        });
        let text = line(position(second(5), None, false), &several, None).join("  ");
        assert_eq!(text, "2 streams  25.0 fps    1 watcher  0 kb/s    lobby 1  desk failed");
    }

    #[test]
    fn the_last_sentence() {
        let mut sent = one(1, 30.0, ServedPictures { sent: 1_199, ..ServedPictures::default() });
        sent.streams[0].departure_error = block(0.0, 1_400.0);
        let took = Duration::from_secs_f64(1_198.0 / 30.0);
        let said = "Sent 1 199 pictures in 39.9 s to 1 watcher, 30.0 fps, departure error p99 1.4 ms.";
        assert_eq!(served(took, 1, &sent, None), said);
        sent.streams.push(StreamFigures::default());
        let said = "Sent 1 199 pictures of 2 streams in 39.9 s to 1 watcher, 30.0 fps.";
        assert_eq!(served(took, 1, &sent, None), said);
        let few = one(1, 0.0, ServedPictures { sent: 1, skipped: 3, ..ServedPictures::default() });
        let said = "Sent 1 picture in 0.0 s to up to 12 watchers at once, 3 skipped.";
        assert_eq!(served(Duration::ZERO, 12, &few, None), said);
        assert_eq!(served(took, 0, &one(0, 0.0, ServedPictures::default()), None), "Nothing was sent.");
    }
}

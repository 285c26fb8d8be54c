//! Still pictures: told from films, stood upright as their EXIF says, and shown for as long as is wanted.
//!
//! ffmpeg versions differ in which of EXIF's orientations they obey, and none tells the shape before it has decoded. So
//! ffprobe decodes the picture once, ffmpeg is told not to turn anything, and the turning is ours.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::backlog::Surplus;
use super::plan::Plan;
use super::probe::{Found, PROBE_ADDRESS, is_still_codec};
use super::{Finished, Guard, Pace, Source, SourceError, file};
use crate::clock;
use crate::ffmpeg::{self, Control, Question, Reading};
use crate::media::Picture;
use crate::queue::{Pool, Producer};
use crate::units::Rate;

/// How a picture is turned until it stands upright; the default is not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// ffmpeg's filters for it.
    pub filter: Option<&'static str>,
    /// Width becomes height.
    pub swaps_sides: bool,
}

impl Turn {
    /// By the signs of a display matrix, row by row: each of EXIF's eight orientations is one of these.
    fn of(matrix: [i64; 4]) -> Self {
        let (filter, swaps_sides) = match matrix.map(i64::signum) {
            [-1, 0, 0, 1] => ("hflip", false),
            [-1, 0, 0, -1] => ("hflip,vflip", false),
            [1, 0, 0, -1] => ("vflip", false),
            [0, 1, 1, 0] => ("transpose=cclock_flip", true),
            [0, 1, -1, 0] => ("transpose=clock", true),
            [0, -1, -1, 0] => ("transpose=clock_flip", true),
            [0, -1, 1, 0] => ("transpose=cclock", true),
            _ => return Self::default(),
        };
        Self { filter: Some(filter), swaps_sides }
    }
}

/// What ffprobe says of the first two packets, and of the pictures in them.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Report {
    packets_and_frames: Vec<Entry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    side_data_list: Vec<SideData>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SideData {
    displaymatrix: Option<Value>,
}

/// What one still picture is like.
#[derive(Debug, PartialEq, Eq)]
struct Still {
    turn: Turn,
}

impl Still {
    /// `None` of noise, and of more pictures than one.
    fn parse(json: &[u8]) -> Option<Self> {
        let report: Report = serde_json::from_slice(json).ok()?;
        let packets = report.packets_and_frames.iter().filter(|entry| entry.kind == "packet").count();
        let side_data = report.packets_and_frames.iter().flat_map(|entry| &entry.side_data_list);
        let turn = side_data.filter_map(|data| matrix(data.displaymatrix.as_ref()?.as_str()?)).map(Turn::of).next();
        (packets == 1).then_some(Self { turn: turn.unwrap_or_default() })
    }
}

/// The upper left four of nine numbers, each row of which follows its number and a colon.
fn matrix(text: &str) -> Option<[i64; 4]> {
    let mut rows = text.lines().filter_map(|line| line.split_once(':')).map(|(_, row)| {
        let mut numbers = row.split_whitespace().filter_map(|number| number.parse::<i64>().ok());
        Some([numbers.next()?, numbers.next()?])
    });
    let ([a, b], [c, d]) = (rows.next()??, rows.next()??);
    Some([a, b, c, d])
}

/// Finds out whether the film that was found is one still picture, and how that is to be turned.
pub(super) fn look(control: &Control, reading: &Reading, found: &mut Found) {
    if !found.tracks.is_empty() || !found.origin.is_image() {
        return;
    }
    let Some(film) = found.film.as_mut().filter(|film| is_still_codec(&film.codec) || film.pictures == Some(1)) else {
        return;
    };
    let Some(still) = ask(control, reading, film.stream) else { return };
    // Formats that turn their pictures by themselves have said so, and that was taken into account.
    if is_still_codec(&film.codec) {
        film.turn = still.turn;
    }
    if film.turn.swaps_sides {
        (film.width, film.height) = (film.height, film.width);
        film.aspect = (film.aspect.1, film.aspect.0);
    }
    (film.still, film.rate, film.changing) = (true, TWENTY_FIVE, false);
    (film.length, film.pictures) = (Some(SHOWN), Some(1));
}

fn ask(control: &Control, reading: &Reading, stream: u32) -> Option<Still> {
    let mut command = ffmpeg::ffprobe().ok()?;
    reading.input(&mut command, &["-select_streams", &stream.to_string(), "-read_intervals", "%+#2"]);
    command.args(["-show_packets", "-show_frames", "-of", "json"]);
    command.args(["-show_entries", "packet=stream_index:frame=stream_index:side_data"]);
    let input = reading.address.to_string_lossy();
    let question = Question { command, feed: &[], input: &input, name: &reading.name };
    Still::parse(&control.ask(question, clock::now() + PROBE_ADDRESS).ok()??.output)
}

/// The picture of `plan`, again and again, without an end.
pub(super) fn stand(mut plan: Plan, found: &Found, title: String, guard: Guard) -> Result<Source, SourceError> {
    (plan.film.rate, plan.film.length) = (AGAIN, None);
    let mut pass = file::open_pass(&mut plan, &guard.control, Surplus::Wait)?;
    let info = file::info(&plan, found, title, &pass, Pace::Live);
    let picture = pass.read(&Pool::new(1))?.ok_or_else(|| SourceError::NoPicture(plan.reading.name.clone()))?;
    let control = guard.control.clone();
    let work = Box::new(move |out, _| Ok(repeat(picture, &control, &out)));
    Ok(Source { info, work, guard })
}

fn repeat(mut picture: Picture, control: &Control, out: &Producer<Picture>) -> Finished {
    let (mut pictures, mut due) = (0_u32, clock::now());
    while let Some(again) = picture.again(pictures, clock::now()) {
        if out.push(again).is_err() {
            break;
        }
        pictures = pictures.wrapping_add(1);
        due = due.max(clock::now() - INTERVAL) + INTERVAL;
        if !control.sleep_until(due) {
            break;
        }
    }
    Finished { pictures, end: None }
}

/// What ffmpeg itself assumes of a picture.
const TWENTY_FIVE: Rate = match Rate::new(25, 1) {
    Some(rate) => rate,
    None => unreachable!(),
};
/// How long a picture is shown where it is not looped.
pub(super) const SHOWN: Duration = Duration::from_secs(5);
/// How often a standing picture is sent again, which takes a few bytes: sooner than a watcher begins to worry.
const AGAIN: Rate = match Rate::new(5, 2) {
    Some(rate) => rate,
    None => unreachable!(),
};
const INTERVAL: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_picture_is_still_and_two_are_not() {
        let packet = r#"{"type":"packet","stream_index":0}"#;
        let frame = r#"{"type":"frame","side_data_list":[{"side_data_type":"mastering"},{"side_data_type":"3x3 displaymatrix",
            "displaymatrix":"\n00000000:   0  65536   0\n00000001: -65536  0  0\n00000002:  0  0  1073741824\n"}]}"#;
        let report = |entries: &[&str]| format!(r#"{{"packets_and_frames":[{}]}}"#, entries.join(","));
        let still = Still::parse(report(&[packet, frame]).as_bytes()).expect("one picture");
        assert_eq!(still.turn, Turn { filter: Some("transpose=clock"), swaps_sides: true });
        assert_eq!(Still::parse(report(&[packet]).as_bytes()), Some(Still { turn: Turn::default() }));
        for other in [report(&[packet, frame, packet]), report(&[]), "noise".to_owned(), report(&["7"])] {
            assert_eq!(Still::parse(other.as_bytes()), None, "{other}");
        }
        for noise in ["", "0: 1", "0: 1 2\n1: x y", "1 2\n3 4"] {
            assert_eq!(matrix(noise), None, "{noise}");
        }
    }

    #[test]
    fn each_orientation_has_its_filter() {
        let all = [-1, 0, 1].into_iter();
        let matrices = all.clone().flat_map(|a| all.clone().map(move |b| [a, b]));
        let matrices: Vec<_> =
            matrices.clone().flat_map(|[a, b]| matrices.clone().map(move |[c, d]| [a, b, c, d])).collect();
        let turned = matrices.into_iter().map(|matrix| Turn::of(matrix.map(|sign| sign * 65_536)));
        let mut filters: Vec<_> = turned.filter_map(|turn| turn.filter).collect();
        filters.sort_unstable();
        filters.dedup();
        assert_eq!(filters.len(), 7);
    }
}

//! What ffprobe says of a file, as people want to know it.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::about::{Chapter, Entry, Track, What};
use super::titles;
use crate::clock;
use crate::ffmpeg::{self, Answer, Control, Question};

/// Looks into files.
pub trait Inspect: Send + Sync {
    /// `held`: where the file is read; `path`: where it lies below its folder, which tells something too.
    fn inspect(&self, held: &Path, path: &Path, control: &Control) -> Result<Entry, NotMedia>;
}

/// Why a file is neither film nor song.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotMedia {
    /// A sentence without its end.
    Broken(String),
    /// It is something else: a picture, a text.
    Other,
    /// It was not looked into after all.
    Stopped,
}

/// By ffprobe.
pub struct Inspector;

/// No file takes longer, unless its disc stands still.
const PATIENCE: Duration = Duration::from_secs(30);
/// Subtitles that are text.
const TEXTS: &[&str] = &[
    "subrip",
    "srt",
    "ass",
    "ssa",
    "mov_text",
    "webvtt",
    "text",
    "microdvd",
    "subviewer",
    "subviewer1",
    "sami",
    "realtext",
    "jacosub",
];

impl Inspect for Inspector {
    fn inspect(&self, held: &Path, path: &Path, control: &Control) -> Result<Entry, NotMedia> {
        inspect(held, path, control)
    }
}

/// What is known of the file at `held`; its name and folders are those of `path`.
pub fn inspect(held: &Path, path: &Path, control: &Control) -> Result<Entry, NotMedia> {
    let broken = |why: String| NotMedia::Broken(why);
    let mut command = ffmpeg::ffprobe().map_err(|error| broken(error.to_string()))?;
    let mut address = std::ffi::OsString::from("file:");
    address.push(held);
    command.args([
        "-protocol_whitelist",
        "file,pipe,crypto,data",
        "-of",
        "json",
        "-show_format",
        "-show_streams",
        "-show_chapters",
    ]);
    command.arg("-i").arg(&address);
    let (input, name) = (address.to_string_lossy().into_owned(), "it");
    let question = Question { command, feed: &[], input: &input, name };
    let answer = control.ask(question, clock::now() + PATIENCE).map_err(|error| broken(error.to_string()))?;
    let Some(Answer { succeeded, output, words }) = answer else {
        return Err(if control.stopped() {
            NotMedia::Stopped
        } else {
            broken("it could not be read in half a minute".to_owned())
        });
    };
    let report: Value = serde_json::from_slice(&output).unwrap_or_default();
    if !succeeded {
        let why = words.gist().unwrap_or_else(|| "ffprobe does not say why".to_owned());
        return Err(broken(format!("it is no film that ffmpeg can read ({why})")));
    }
    read(&report, path)
}

/// A report of ffprobe.
fn read(report: &Value, path: &Path) -> Result<Entry, NotMedia> {
    let none = Vec::new();
    let streams = report["streams"].as_array().unwrap_or(&none);
    let format = report["format"]["format_name"].as_str().unwrap_or_default();
    if format.ends_with("_pipe") || format == "image2" || format == "tty" {
        return Err(NotMedia::Other);
    }
    let of_kind = |kind: &'static str| streams.iter().filter(move |stream| stream["codec_type"] == kind);
    let is_cover = |stream: &&Value| stream["disposition"]["attached_pic"] == 1;
    let picture = of_kind("video").find(|stream| !is_cover(stream));
    let sounds: Vec<&Value> = of_kind("audio").collect();
    let what = match (picture, sounds.is_empty()) {
        (Some(_), _) => What::Film,
        (None, false) => What::Song,
        (None, true) => return Err(NotMedia::Other),
    };
    let tag = |name: &str| {
        tag(&report["format"], name)
            .or_else(|| picture.or(sounds.first().copied()).and_then(|stream| tag(stream, name)))
    };
    let named = named(path);
    let is_song = what == What::Song;
    let (width, height) = picture.map_or((None, None), sides);
    let codec = |stream: Option<&Value>| stream.and_then(|stream| stream["codec_name"].as_str()).map(str::to_owned);
    let tracks = tracks(&sounds);
    let texts: Vec<&Value> = of_kind("subtitle")
        .filter(|stream| stream["codec_name"].as_str().is_some_and(|codec| TEXTS.contains(&codec)))
        .collect();
    Ok(Entry {
        what,
        title: tag("title").unwrap_or(named.title),
        seconds: seconds(&report["format"]["duration"])
            .or_else(|| picture.and_then(|stream| seconds(&stream["duration"]))),
        width,
        height,
        fps: picture.and_then(|stream| rate(&stream["avg_frame_rate"]).or_else(|| rate(&stream["r_frame_rate"]))),
        picture_codec: codec(picture),
        sound_codec: codec(sounds.first().copied()),
        language: tracks.iter().find_map(|track| track.language.clone()),
        tracks,
        subtitles: self::tracks(&texts),
        chapters: chapters(&report["chapters"]),
        year: tag("date").or_else(|| tag("year")).and_then(|date| year(&date)).or(named.year),
        artist: tag("artist").or_else(|| tag("album_artist")),
        album: tag("album"),
        genre: tag("genre"),
        series: tag("show").or(named.series),
        season: tag("season_number")
            .or_else(|| tag("disc").filter(|_| is_song))
            .and_then(|text| leading(&text))
            .or(named.season),
        episode: tag("episode_sort")
            .or_else(|| tag("track").filter(|_| is_song))
            .and_then(|text| leading(&text))
            .or(named.episode),
        cover: of_kind("video").any(|stream| is_cover(&stream)),
        ..Entry::default()
    })
}

/// What its name and those of its folders say.
fn named(path: &Path) -> titles::Named {
    let text = |name: &std::ffi::OsStr| name.to_string_lossy().into_owned();
    let stem = path.file_stem().map(text).unwrap_or_default();
    let folders: Vec<String> = path.ancestors().skip(1).filter_map(|folder| folder.file_name().map(text)).collect();
    titles::read(&stem, folders.iter().map(String::as_str))
}

/// Width and height as it is seen.
fn sides(stream: &Value) -> (Option<u16>, Option<u16>) {
    let side = |name: &str| stream[name].as_u64().and_then(|side| u16::try_from(side).ok());
    let (width, height) = (side("width"), side("height"));
    if is_turned(stream) { (height, width) } else { (width, height) }
}

/// A tag, however it is written; `None` if it says nothing.
fn tag(of: &Value, name: &str) -> Option<String> {
    let tags = of["tags"].as_object()?;
    let (_, value) = tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    let text: String = value.as_str()?.chars().filter(|letter| !letter.is_control()).take(300).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn is_turned(stream: &Value) -> bool {
    let sides = stream["side_data_list"].as_array();
    let turn = sides.and_then(|sides| sides.iter().find_map(|side| side["rotation"].as_i64()));
    turn.is_some_and(|turn| turn.rem_euclid(180) == 90)
}

fn tracks(streams: &[&Value]) -> Vec<Track> {
    let track = |stream: &&Value| Track {
        language: tag(stream, "language").filter(|language| language != "und"),
        title: tag(stream, "title"),
        codec: stream["codec_name"].as_str().map(str::to_owned),
        default: stream["disposition"]["default"] == 1,
    };
    streams.iter().take(64).map(track).collect()
}

fn chapters(list: &Value) -> Vec<Chapter> {
    let chapter = |(number, chapter): (usize, &Value)| {
        let seconds = seconds_signed(&chapter["start_time"])?;
        let title = tag(chapter, "title").unwrap_or_else(|| format!("Chapter {}", number + 1));
        Some(Chapter { seconds: seconds.max(0.0), title })
    };
    list.as_array().map(|list| list.iter().take(999).enumerate().filter_map(chapter).collect()).unwrap_or_default()
}

fn seconds(value: &Value) -> Option<f64> {
    seconds_signed(value).filter(|seconds| *seconds > 0.0 && *seconds < 1e7)
}

fn seconds_signed(value: &Value) -> Option<f64> {
    value.as_str()?.parse::<f64>().ok().filter(|seconds| seconds.is_finite())
}

fn rate(value: &Value) -> Option<f64> {
    let (num, den) = value.as_str()?.split_once('/')?;
    let (num, den): (f64, f64) = (num.parse().ok()?, den.parse().ok()?);
    Some((num / den * 1e3).round() / 1e3).filter(|fps| fps.is_finite() && *fps > 0.0)
}

fn year(date: &str) -> Option<u16> {
    date.get(..4)?.parse().ok().filter(|year| (1_000..=3_000).contains(year))
}

/// The number that a text such as `3/12` begins with.
fn leading(text: &str) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_becomes_an_entry() {
        let report = serde_json::json!({
            "streams": [
                { "codec_type": "video", "codec_name": "h264", "width": 1920, "height": 1080, "avg_frame_rate": "24000/1001" },
                { "codec_type": "audio", "codec_name": "aac", "tags": { "LANGUAGE": "ger" }, "disposition": { "default": 1 } },
                { "codec_type": "subtitle", "codec_name": "subrip", "tags": { "language": "eng", "title": "Full" } },
                { "codec_type": "subtitle", "codec_name": "dvd_subtitle" },
                { "codec_type": "video", "codec_name": "mjpeg", "disposition": { "attached_pic": 1 } },
            ],
            "chapters": [{ "start_time": "0.0" }, { "start_time": "61.5", "tags": { "title": "Two" } }],
            "format": { "format_name": "matroska,webm", "duration": "5400.2", "tags": { "title": "\u{7}Name ", "DATE": "1999-04-01" } },
        });
        let entry = read(&report, Path::new("Films/other.mkv")).expect("a film");
        assert_eq!((entry.what, entry.title.as_str(), entry.year), (What::Film, "Name", Some(1999)));
        assert_eq!((entry.width, entry.fps, entry.seconds), (Some(1_920), Some(23.976), Some(5_400.2)));
        assert_eq!((entry.tracks.len(), entry.subtitles.len(), entry.chapters.len()), (1, 1, 2));
        assert_eq!(
            (entry.language.as_deref(), entry.chapters[1].title.as_str(), entry.cover),
            (Some("ger"), "Two", true)
        );
        let song = serde_json::json!({
            "streams": [{ "codec_type": "audio", "codec_name": "mp3" }],
            "format": { "format_name": "mp3", "tags": { "track": "3/12", "artist": "One", "disc": "2" } },
        });
        let entry = read(&song, Path::new("03 Third.mp3")).expect("a song");
        assert_eq!(
            (entry.what, entry.episode, entry.season, entry.title.as_str()),
            (What::Song, Some(3), Some(2), "03 Third")
        );
        for nothing in [serde_json::json!({}), serde_json::json!({ "streams": 5 }), serde_json::json!([1])] {
            assert_eq!(read(&nothing, Path::new("x")), Err(NotMedia::Other));
        }
    }
}

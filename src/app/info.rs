//! `udpstream info`: what is known of a film or a song.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;

use super::Exit;
use super::words::{clock_text, grouped};
use crate::ffmpeg::Control;
use crate::library::about::{Entry, Track, What};
use crate::library::{NotMedia, inspect};

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    pub file: PathBuf,
    pub json: bool,
}

pub fn info(options: Options) -> anyhow::Result<Exit> {
    let Options { file, json } = options;
    let about = std::fs::metadata(&file)
        .with_context(|| format!("{} cannot be read; check its name and folder", file.display()))?;
    if !about.is_file() {
        bail!("{} is no file; name one film or song", file.display());
    }
    let control = Control::new().context("no program could be started")?;
    let path = file.canonicalize().unwrap_or_else(|_| file.clone());
    let mut entry = match inspect(&file, &path, &control) {
        Ok(entry) => entry,
        Err(NotMedia::Broken(why)) => bail!("{}: {why}", file.display()),
        Err(NotMedia::Other | NotMedia::Stopped) => bail!("{} is neither film nor song", file.display()),
    };
    entry.name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    entry.bytes = Some(about.len());
    if entry.title.is_empty() {
        entry.title.clone_from(&entry.name);
    }
    let text = if json { format!("{:#}\n", json!(entry)) } else { text(&entry) };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("it could not be written"),
        _ => Ok(Exit::Done),
    }
}

/// All that is known, a line each.
pub fn text(entry: &Entry) -> String {
    let mut lines: Vec<(&str, String)> = vec![("title", entry.title.clone())];
    let mut add = |name: &'static str, value: Option<String>| lines.extend(value.map(|value| (name, value)));
    add("series", entry.series.clone());
    add("episode", episode(entry));
    add("artist", entry.artist.clone());
    add("album", entry.album.clone());
    add("genre", entry.genre.clone());
    add("year", entry.year.map(|year| year.to_string()));
    add("length", entry.seconds.map(|seconds| clock_text(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)))));
    add("pictures", pictures(entry));
    add("sound", Some(list(&entry.tracks)).filter(|text| !text.is_empty()));
    add("subtitles", Some(list(&entry.subtitles)).filter(|text| !text.is_empty()));
    add("file", entry.bytes.map(|bytes| format!("{}, {} bytes", entry.name, grouped(bytes))));
    let clock = |seconds: f64| clock_text(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
    for chapter in &entry.chapters {
        lines.push(("chapter", format!("{} {}", clock(chapter.seconds), chapter.title)));
    }
    lines.iter().map(|(name, value)| format!("{name:<10}{value}\n")).collect()
}

fn episode(entry: &Entry) -> Option<String> {
    let number = entry.episode?;
    let name = if entry.what == What::Song { "track" } else { "episode" };
    Some(entry.season.map_or_else(|| format!("{name} {number}"), |season| format!("season {season}, {name} {number}")))
}

fn pictures(entry: &Entry) -> Option<String> {
    let codec = entry.picture_codec.as_ref()?;
    let size = entry.width.zip(entry.height).map(|(width, height)| format!(", {width}×{height}")).unwrap_or_default();
    let fps = entry.fps.map(|fps| format!(", {fps} a second")).unwrap_or_default();
    Some(format!("{codec}{size}{fps}"))
}

fn list(tracks: &[Track]) -> String {
    let track = |track: &Track| {
        let parts = [track.codec.as_deref(), track.language.as_deref(), track.title.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    tracks.iter().map(track).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_told_line_by_line() {
        let track = |language: &str| Track {
            language: Some(language.to_owned()),
            codec: Some("aac".to_owned()),
            ..Track::default()
        };
        let entry = Entry {
            name: "S01E02.mkv".to_owned(),
            title: "The Name".to_owned(),
            series: Some("The Show".to_owned()),
            season: Some(1),
            episode: Some(2),
            seconds: Some(3_725.0),
            width: Some(1_280),
            height: Some(720),
            picture_codec: Some("h264".to_owned()),
            tracks: vec![track("eng"), track("ger")],
            bytes: Some(1_234_567),
            ..Entry::default()
        };
        let said = "title     The Name\nseries    The Show\nepisode   season 1, episode 2\nlength    1:02:05\n\
                    pictures  h264, 1280×720\nsound     aac eng, aac ger\nfile      S01E02.mkv, 1 234 567 bytes\n";
        assert_eq!(text(&entry), said);
    }
}

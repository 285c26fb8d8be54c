//! `udpstream cache`: what a relay has kept of films: listed, removed, checked.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::figures::Output;
use super::words::{clock_text, counted, grouped};
use super::{Exit, StatsFormat};
use crate::clock::{now, wall_ahead};
use crate::store::{self, FilmReport, Store, StoredFilm};
use crate::wire::{Description, ObjectView};

/// What is to be done with a folder of films.
#[derive(Clone, Debug)]
pub enum Action {
    List,
    /// Remove these, by their names or numbers; none: all.
    Remove(Vec<String>),
    /// Read everything; and drop what is damaged.
    Check {
        repair: bool,
    },
}

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    pub folder: PathBuf,
    pub action: Action,
    pub json: bool,
    pub quiet: bool,
}

pub fn cache(options: Options) -> anyhow::Result<Exit> {
    let Options { folder, action, json, quiet } = options;
    if !folder.is_dir() {
        bail!("{} is no folder of films: name the one that `udpstream relay --cache` was given", folder.display());
    }
    let format = if json { StatsFormat::Json } else { StatsFormat::Text };
    let output = Output::new(format, quiet).context("standard output could not be written to")?;
    match action {
        Action::List => list(&folder, output),
        Action::Remove(names) => remove(&folder, &names, output),
        Action::Check { repair } => check(&folder, repair, output),
    }
}

/// No bound: looking at films removes none.
fn open(folder: &Path) -> anyhow::Result<Store> {
    Ok(Store::open(folder, u64::MAX)?)
}

fn list(folder: &Path, mut output: Output) -> anyhow::Result<Exit> {
    let store = open(folder)?;
    let mut films: Vec<StoredFilm<'_>> = store.films().collect();
    films.sort_by_key(|film| std::cmp::Reverse(film.last_used));
    if output.is_json() {
        films.iter().for_each(|film| output.event_patiently("film", fields(film)));
        output.summary(json!({ "end": "end", "films": films.len(), "bytes": store.bytes() }));
        return Ok(Exit::Done);
    }
    let mut text: String = films.iter().map(row).collect();
    text.push_str(&format!("{}, {}\n", counted(films.len() as u64, "film"), size(store.bytes())));
    say(&text)
}

fn say(text: &str) -> anyhow::Result<Exit> {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever has read enough has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("it could not be written"),
        _ => Ok(Exit::Done),
    }
}

fn described(film: &StoredFilm<'_>) -> Option<Description> {
    let object = film.film.description[0].as_deref()?;
    Description::parse(ObjectView::parse(object).ok()?.body).ok()
}

fn row(film: &StoredFilm<'_>) -> String {
    let about = described(film).map(|description| {
        let length = description.length.map(|micros| clock_text(std::time::Duration::from_micros(micros)));
        let sound = if description.sound { ", sound" } else { "" };
        format!(
            "{}, {}, {}{sound}",
            description.title,
            description.size,
            length.unwrap_or_else(|| "no length".to_owned())
        )
    });
    let part = if film.film.complete { "whole" } else { "in part" };
    let about = about.unwrap_or_else(|| "nothing is known of it yet".to_owned());
    let used = ago(film.last_used);
    format!("{}  {:016x}  {part}, {}, used {used}: {about}\n", film.film.name, film.film.stream, size(film.bytes))
}

fn fields(film: &StoredFilm<'_>) -> Value {
    let about = described(film);
    json!({
        "name": film.film.name, "stream": format!("{:016x}", film.film.stream), "complete": film.film.complete,
        "bytes": film.bytes, "objects": film.objects, "last_used": film.last_used,
        "title": about.as_ref().map(|about| about.title.clone()),
        "width": about.as_ref().map(|about| about.size.width), "height": about.as_ref().map(|about| about.size.height),
        "length_us": about.as_ref().and_then(|about| about.length),
    })
}

fn size(bytes: u64) -> String {
    if bytes < 1_000_000 {
        format!("{} kB", bytes.div_ceil(1_000))
    } else {
        format!("{} MB", grouped(bytes / 1_000_000))
    }
}

/// How long ago a moment of Unix time was.
fn ago(unix: u64) -> String {
    let wall = u64::try_from(now().nanos().saturating_add(wall_ahead()) / 1_000_000_000).unwrap_or(0);
    match wall.saturating_sub(unix) {
        0..90 => "just now".to_owned(),
        seconds @ 90..5_400 => format!("{} minutes ago", seconds / 60),
        seconds @ 5_400..172_800 => format!("{} hours ago", seconds / 3_600),
        seconds => format!("{} days ago", grouped(seconds / 86_400)),
    }
}

fn remove(folder: &Path, names: &[String], mut output: Output) -> anyhow::Result<Exit> {
    let mut store = open(folder)?;
    let is_named = |film: &StoredFilm<'_>, name: &String| {
        film.film.name == *name || format!("{:016x}", film.film.stream) == name.to_lowercase()
    };
    if let Some(unknown) = names.iter().find(|name| !store.films().any(|film| is_named(&film, name))) {
        let known: Vec<String> = store.films().map(|film| film.film.name.clone()).collect();
        let there =
            if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) };
        bail!("no film here is called {unknown}; {there}");
    }
    let chosen = |film: &StoredFilm<'_>| names.is_empty() || names.iter().any(|name| is_named(film, name));
    let chosen: Vec<(u64, String, u64)> =
        store.films().filter(chosen).map(|film| (film.film.stream, film.film.name.clone(), film.bytes)).collect();
    let mut freed = 0;
    for (stream, name, bytes) in &chosen {
        store.remove(*stream)?;
        freed += bytes;
        output.event_patiently("removed", json!({ "name": name, "stream": format!("{stream:016x}"), "bytes": bytes }));
    }
    output.conclude(&format!("Removed {}, {}.", counted(chosen.len() as u64, "film"), size(freed)));
    output.summary(json!({ "end": "end", "films": chosen.len(), "bytes": freed }));
    Ok(Exit::Done)
}

fn check(folder: &Path, repair: bool, mut output: Output) -> anyhow::Result<Exit> {
    let report = store::check(folder, repair)?;
    let damaged: u64 = report.films.iter().map(|film| film.damaged + film.unreadable).sum();
    let mut text = String::new();
    for film in &report.films {
        output.event_patiently("film", checked(film));
        let FilmReport { name, stream, objects, units, damaged, unreadable, .. } = film;
        let bad = match damaged + unreadable {
            0 => "all are right".to_owned(),
            bad if repair => format!("{} damaged, dropped", grouped(bad)),
            bad => format!("{} damaged", grouped(bad)),
        };
        text.push_str(&format!(
            "{name}  {stream:016x}  {} objects of {} units: {bad}\n",
            grouped(*objects),
            grouped(*units)
        ));
    }
    if report.recovered_bytes > 0 {
        text.push_str(&format!("{} of unfinished writes were cut off.\n", size(report.recovered_bytes)));
    }
    let advice = match (damaged, repair) {
        (0, _) => "Nothing is damaged.",
        (_, true) => "What was damaged is fetched again when it is wanted.",
        (_, false) => "Drop what is damaged with --repair; it is fetched again when it is wanted.",
    };
    text.push_str(&format!("{}: {advice}\n", counted(report.films.len() as u64, "film")));
    if output.is_json() {
        output.summary(json!({ "end": "end", "films": report.films.len(), "damaged": damaged, "repaired": repair }));
    } else {
        say(&text)?;
    }
    Ok(if damaged == 0 || repair { Exit::Done } else { Exit::Failed })
}

fn checked(film: &FilmReport) -> Value {
    json!({
        "name": film.name, "stream": format!("{:016x}", film.stream), "objects": film.objects, "units": film.units,
        "bytes": film.bytes, "damaged": film.damaged, "unreadable": film.unreadable,
    })
}

//! `udpstream history`: what was watched on this machine, and to where.

use std::io::{self, Write};

use anyhow::Context;
use serde_json::json;

use super::{History, Record, usual_path};
use crate::app::words::{clock_text, counted};
use crate::app::{Exit, terminal};
use crate::clock::{now, wall_ahead};

/// What is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clear {
    All,
    /// Films whose name or title this is.
    Film(String),
}

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    /// `None`: everything is listed.
    pub clear: Option<Clear>,
    pub json: bool,
    pub quiet: bool,
}

pub fn history(options: Options) -> anyhow::Result<Exit> {
    let path = usual_path().context("there is no home folder in which it would be; set XDG_STATE_HOME")?;
    let history = History::at(path);
    if let Some(clear) = options.clear {
        let is_meant = |record: &Record| match &clear {
            Clear::All => true,
            Clear::Film(name) => {
                record.name == *name || record.title == *name || format!("{}/{}", record.server, record.name) == *name
            }
        };
        let gone = history.clear(is_meant)?;
        if gone == 0 && clear != Clear::All {
            anyhow::bail!("there is no such film in the history; `udpstream history` shows those that there are");
        }
        if !options.quiet {
            terminal::conclude(&format!("{} forgotten.", counted(gone as u64, "film")));
        }
        return Ok(Exit::Done);
    }
    let records = history.records()?;
    let text = if options.json { as_json(&records) } else { table(&records, seconds_now()) };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("it could not be written"),
        _ => Ok(Exit::Done),
    }
}

fn seconds_now() -> u64 {
    u64::try_from(now().nanos().saturating_add(wall_ahead()) / 1_000_000_000).unwrap_or(0)
}

fn as_json(records: &[Record]) -> String {
    format!("{:#}\n", json!(records))
}

fn table(records: &[Record], now: u64) -> String {
    if records.is_empty() {
        return "Nothing of a library was watched yet.\n".to_owned();
    }
    let rows: Vec<[String; 4]> = records.iter().map(|record| row(record, now)).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let line = |[title, place, when, from]: &[String; 4]| {
        let [one, two, three] = widths;
        format!("{title:<one$}  {place:<two$}  {when:>three$}  {from}\n")
    };
    rows.iter().map(line).collect()
}

fn row(record: &Record, now: u64) -> [String; 4] {
    let clock = |seconds: f64| clock_text(std::time::Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
    let place = match (record.place, record.length) {
        (Some(place), Some(length)) => format!("{} of {}", clock(place), clock(length)),
        (Some(place), None) => clock(place),
        (None, _) if record.seen > 1 => format!("seen {} times", record.seen),
        (None, _) if record.seen == 1 => "seen".to_owned(),
        (None, _) => "begun".to_owned(),
    };
    let title = if record.title.is_empty() { &record.name } else { &record.title };
    [title.clone(), place, ago(now.saturating_sub(record.at)), format!("{}/{}", record.server, record.name)]
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{} ago", counted(seconds / 60, "minute")),
        3_600..86_400 => format!("{} ago", counted(seconds / 3_600, "hour")),
        _ => format!("{} ago", counted(seconds / 86_400, "day")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_watched_is_a_table() {
        let record = |name: &str, place, seen, at| Record {
            server: "host".to_owned(),
            name: name.to_owned(),
            title: name.to_uppercase(),
            place,
            length: Some(5_400.0),
            seen,
            at,
        };
        let text = table(&[record("a.mkv", Some(2_472.0), 0, 990), record("longer.mkv", None, 2, 1_000 - 600)], 1_000);
        let lines = "A.MKV       41:12 of 1:30:00        just now  host/a.mkv\n\
                     LONGER.MKV  seen 2 times      10 minutes ago  host/longer.mkv\n";
        assert_eq!(text, lines);
    }
}

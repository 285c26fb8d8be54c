//! Statistics on their way out: JSON lines on stdout for programs, sentences and one line that updates itself for
//! people (in words.rs and terminal.rs).

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::lines::{Closed, Lines};
use super::{StatsFormat, terminal};
use crate::clock::now;
use crate::stats::Block;
use crate::units::{Bitrate, Time};
use crate::wire::message::InForce;

/// Pictures a second of `pictures`, the first of which was at `first` and the last at `last`: intervals, not pictures, fill
/// the time between them. 0 where there is none.
pub fn fps(pictures: u64, first: Time, last: Time) -> f64 {
    let seconds = last.since(first).as_secs_f64();
    if seconds > 0.0 { pictures.saturating_sub(1) as f64 / seconds } else { 0.0 }
}

/// Where figures and messages of one run go. The last of its clones says the last word.
#[derive(Clone)]
pub struct Output {
    /// Standard output, if it has JSON lines.
    lines: Option<Arc<Lines>>,
    start: Time,
    quiet: bool,
    /// Which of several streams it is about.
    stream: Option<String>,
    /// Somebody types at the terminal: nothing there is drawn anew.
    typed: bool,
}

impl Output {
    pub fn new(format: StatsFormat, quiet: bool) -> io::Result<Self> {
        let lines = if format == StatsFormat::Json { Some(Arc::new(Lines::to(io::stdout())?)) } else { None };
        Ok(Self { lines, start: now(), quiet, stream: None, typed: false })
    }

    /// The same for one of several streams: each line has a field `stream`, sentences say which one they are about, and
    /// the line that updates itself is left to all together.
    pub fn of_stream(&self, name: &str) -> Self {
        let stream = Some(name.to_owned());
        Self { lines: self.lines.clone(), start: self.start, quiet: self.quiet, stream, typed: self.typed }
    }

    /// The same without the line that updates itself, which would rub out what somebody types at the terminal.
    pub const fn with_typing(mut self, typed: bool) -> Self {
        self.typed = typed;
        self
    }

    pub const fn start(&self) -> Time {
        self.start
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        now().since(self.start)
    }

    pub fn is_json(&self) -> bool {
        self.lines.is_some()
    }

    /// One JSON object on stdout, with `event`, `v` and `t` first. Never waits for whoever reads it.
    pub fn event(&self, name: &str, fields: Value) -> Result<(), Closed> {
        self.lines.as_ref().map_or(Ok(()), |lines| lines.put(self.line(name, fields)))
    }

    /// The same for a line that must not be left out: waits a while for a reader that stalls.
    pub fn event_patiently(&self, name: &str, fields: Value) {
        if let Some(lines) = &self.lines {
            lines.put_patiently(self.line(name, fields));
        }
    }

    /// The last JSON object; waits a while for a reader that stalls.
    pub fn summary(&mut self, fields: Value) {
        let line = self.line("summary", fields);
        let Some(lines) = &mut self.lines else { return };
        match Arc::get_mut(lines) {
            Some(lines) => lines.end(line),
            // Others have more to say.
            None => lines.put_patiently(line),
        }
    }

    fn line(&self, name: &str, fields: Value) -> String {
        let t = self.elapsed().as_secs_f64();
        let mut object = Map::new();
        object.insert("event".into(), name.into());
        object.insert("v".into(), 1.into());
        object.insert("t".into(), rounded(t, 1e6));
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        if let Some(stream) = &self.stream {
            object.insert("stream".into(), stream.as_str().into());
        }
        format!("{}\n", Value::Object(object))
    }

    fn has_status(&self) -> bool {
        !self.quiet && !self.is_json() && self.stream.is_none() && !self.typed
    }

    /// The line that updates itself, made of fields in order of importance.
    pub fn status(&self, fields: &[String]) {
        if self.has_status() {
            terminal::status(fields);
        }
    }

    /// The line, and below it rows of a table, as many as the terminal has room for; they are asked for with that number.
    pub fn status_with(&self, fields: &[String], rows: impl FnOnce(usize) -> Vec<String>) {
        if self.has_status() {
            terminal::table(fields, rows);
        }
    }

    /// A sentence for people, on stderr.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// A sentence that is said even when quiet.
    pub fn warn(&self, text: &str) {
        terminal::message(&self.about(text));
    }

    /// Sentences that do not name their stream anyway get its name in front.
    fn about<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.stream {
            Some(stream) if !names(text, stream) => format!("{stream}: {text}").into(),
            _ => text.into(),
        }
    }

    /// The last sentence, in place of the line; programs have the summary instead.
    pub fn conclude(&self, text: &str) {
        match self.quiet || self.is_json() {
            true => {}
            false if self.stream.is_some() => self.warn(text),
            false => terminal::conclude(text),
        }
    }
}

/// Whether a sentence says which stream it is about: `NAME: ` where it begins, or `HOST/NAME`.
fn names(text: &str, stream: &str) -> bool {
    let start = ["error: ", "warning: ", "note: "].iter().find_map(|word| text.strip_prefix(word)).unwrap_or(text);
    let begins = start.strip_prefix(stream).is_some_and(|rest| rest.starts_with(": "));
    let place = format!("/{}", stream.rsplit('/').next().unwrap_or(stream));
    begins || text.split([' ', ',', ';']).any(|word| word.trim_end_matches(['.', ':']).ends_with(&place))
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.stream.is_none() {
            terminal::leave();
        }
    }
}

/// A block as JSON, or null.
pub fn block(block: Option<Block>) -> Value {
    let Some(Block { n, mean, stdev, p50, p95, p99, max }) = block else { return Value::Null };
    let r = |value| rounded(value, 1e4);
    json!({ "n": n, "mean": r(mean), "stdev": r(stdev), "p50": r(p50), "p95": r(p95), "p99": r(p99), "max": r(max) })
}

/// A number without a tail of noise digits.
pub fn rounded(value: f64, scale: f64) -> Value {
    json!((value * scale).round() / scale)
}

/// What a watcher is sent at present, and how its path looks: the same fields on both sides. Null is what is not known.
pub fn in_force(told: Option<InForce>) -> Map<String, Value> {
    let quality = told.map(|told| told.quality).filter(|quality| *quality > 0);
    let fields = [
        ("rendition", json!(told.map_or(0, |told| told.rendition))),
        ("quality", json!(quality)),
        ("every", json!(told.map_or(1, |told| told.every.max(1)))),
        ("reason", json!(told.map(|told| told.reason.name()))),
        ("estimate_bps", json!(told.and_then(|told| told.estimate).map(Bitrate::as_bps))),
        ("queue_ms", json!(told.map(|told| f64::from(told.queue) / 10.0))),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Processor seconds of this process, user and system.
pub fn cpu_seconds() -> f64 {
    let spec = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spec.tv_sec as f64 + spec.tv_nsec as f64 / 1e9
}

/// Resident memory in bytes; `None` where the system does not tell.
pub fn rss_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_sentence_names_its_stream_only_as_a_name() {
        assert!(names("a: camera, 640x480", "a") && names("warning: a: it is gone", "a"));
        assert!(names("Test card, from localhost:4600/a", "a"));
        assert!(!names("The camera was lost.", "a") && !names("warning: a camera is lost", "a"));
    }
}

//! Statistics on their way out: JSON lines on stdout for programs, one line that updates itself for people.

use std::io::{self, IsTerminal, Write};

use serde_json::{Map, Value, json};

use super::StatsFormat;
use crate::clock::now;
use crate::stats::Block;
use crate::units::Time;

/// Where figures and messages of one run go.
pub struct Output {
    format: StatsFormat,
    start: Time,
    terminal: bool,
    line: bool,
    quiet: bool,
}

/// Standard output was closed by whoever read it: not an error, but a reason to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl Output {
    pub fn new(format: StatsFormat, quiet: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { format, start: now(), terminal, line: false, quiet }
    }

    pub const fn start(&self) -> Time {
        self.start
    }

    pub fn is_json(&self) -> bool {
        self.format == StatsFormat::Json
    }

    /// One JSON object on stdout, with `event`, `v` and `t` first.
    pub fn event(&self, name: &str, fields: Value) -> Result<(), Closed> {
        if !self.is_json() {
            return Ok(());
        }
        let t = now().since(self.start).as_secs_f64();
        let mut object = Map::new();
        object.insert("event".into(), name.into());
        object.insert("v".into(), 1.into());
        object.insert("t".into(), rounded(t, 1e6));
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", Value::Object(object)).and_then(|()| stdout.flush()).map_err(|_| Closed)
    }

    /// The line that updates itself; nothing where stderr is not a terminal.
    pub fn status(&mut self, text: &str) {
        if self.terminal && !self.quiet && !self.is_json() {
            // A terminal that went away takes its line with it.
            write!(io::stderr(), "\r\x1b[K{text}").ok();
            self.line = true;
        }
    }

    /// A sentence for people, on stderr.
    pub fn say(&mut self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// A sentence that is said even when quiet.
    pub fn warn(&mut self, text: &str) {
        let clear = if std::mem::take(&mut self.line) { "\r\x1b[K" } else { "" };
        writeln!(io::stderr(), "{clear}{text}").ok();
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.line {
            writeln!(io::stderr()).ok();
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

/// `83.4` seconds as 1:23.
pub fn clock_text(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match (whole / 3_600, whole / 60 % 60, whole % 60) {
        (0, m, s) => format!("{m}:{s:02}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}"),
    }
}

/// Bits per second in the unit that fits.
pub fn rate_text(bps: f64) -> String {
    if bps >= 1e6 { format!("{:.1} Mb/s", bps / 1e6) } else { format!("{:.0} kb/s", bps / 1e3) }
}

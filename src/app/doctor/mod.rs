//! `udpstream doctor`: looks at everything that serving and watching need on this machine, and says what to do about
//! what is missing. Each check is a function that returns [`Check`]s and has no effect.

mod display;
mod machine;
mod sockets;
mod sound;
mod tools;

use std::io::{self, Write};

use anyhow::Context as _;
use serde_json::json;

use super::figures::Output;
use super::{Exit, StatsFormat, terminal};

/// What the user chose.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub json: bool,
    /// No window will be opened here, so none has to be possible.
    pub headless: bool,
    pub quiet: bool,
}

/// Looks at everything; [`Exit::Failed`] if something needed is missing.
pub fn doctor(options: Options) -> anyhow::Result<Exit> {
    let format = if options.json { StatsFormat::Json } else { StatsFormat::Text };
    let output = Output::new(format, options.quiet).context("standard output could not be written to")?;
    let report = Report { output, counts: [0; 3], quiet: options.quiet, open: true };
    Ok(report.run(options.headless))
}

/// What to think of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Ok,
    Warning,
    Problem,
}

impl Mark {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }

    /// Green, yellow, red, as a terminal is told.
    const fn colour(self) -> &'static str {
        match self {
            Self::Ok => "\x1b[32m",
            Self::Warning => "\x1b[33m",
            Self::Problem => "\x1b[31m",
        }
    }
}

/// One finding: what was looked at, what to think of it, what is there, what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    name: &'static str,
    mark: Mark,
    text: String,
    advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, mark: Mark::Ok, text: text.into(), advice: None }
    }

    fn warning(name: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, mark: Mark::Warning, text: text.into(), advice: Some(advice.into()) }
    }

    fn problem(name: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, mark: Mark::Problem, text: text.into(), advice: Some(advice.into()) }
    }

    fn line(&self, colours: bool) -> String {
        let Self { name, mark, text, advice } = self;
        let (on, off) = if colours { (mark.colour(), "\x1b[0m") } else { ("", "") };
        let mut line = format!("{on}{:<8}{off} {name:<15} {text}\n", mark.name());
        if let Some(advice) = advice {
            line.push_str(&format!("{:25}→ {advice}\n", ""));
        }
        line
    }
}

struct Report {
    output: Output,
    /// Of each mark.
    counts: [u32; 3],
    /// Only what is not as it should be.
    quiet: bool,
    /// Somebody still reads.
    open: bool,
}

impl Report {
    fn run(mut self, headless: bool) -> Exit {
        tools::checks().into_iter().for_each(|check| self.say(&check));
        self.say(&display::check(headless));
        self.say(&sound::check());
        sockets::checks().into_iter().for_each(|check| self.say(&check));
        self.say(&machine::timer());
        self.say(&machine::codec());
        self.conclude();
        if self.count(Mark::Problem) > 0 { Exit::Failed } else { Exit::Done }
    }

    const fn count(&self, mark: Mark) -> u32 {
        self.counts[mark as usize]
    }

    fn say(&mut self, check: &Check) {
        self.counts[check.mark as usize] += 1;
        let Check { name, mark, text, advice } = check;
        let fields = json!({ "name": name, "mark": mark.name(), "text": text, "advice": advice });
        self.open &= self.output.event("check", fields).is_ok();
        let worth_it = check.mark != Mark::Ok || !self.quiet;
        if worth_it && !self.output.is_json() {
            self.print(&check.line(terminal::colours_on_stdout()));
        }
    }

    fn conclude(&mut self) {
        let [ok, warnings, problems] = self.counts;
        let fields = json!({ "end": "end", "ok": ok, "warnings": warnings, "problems": problems });
        self.output.summary(fields);
        if !self.quiet && !self.output.is_json() {
            self.print(&format!("\n{}\n", verdict(warnings, problems)));
        }
    }

    fn print(&mut self, text: &str) {
        let mut stdout = io::stdout().lock();
        self.open = self.open && stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_ok();
    }
}

fn verdict(warnings: u32, problems: u32) -> String {
    let of = |n: u32, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    match (warnings, problems) {
        (0, 0) => "Everything needed to serve and to watch is there.".to_owned(),
        (n, 0) => format!("Everything needed to serve and to watch is there; {} above.", of(n, "warning")),
        (0, n) => format!("Something needed is missing: {} above.", of(n, "problem")),
        (w, p) => format!("Something needed is missing: {} and {} above.", of(p, "problem"), of(w, "warning")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_advice_is_below_it() {
        let check = Check::warning("sound", "none", "install some");
        assert_eq!(check.line(false), "warning  sound           none\n                         → install some\n");
        assert!(Check::ok("sound", "some").line(true).starts_with("\x1b[32mok      \x1b[0m sound"));
        assert_eq!(verdict(0, 0), "Everything needed to serve and to watch is there.");
        assert_eq!(verdict(1, 2), "Something needed is missing: 2 problems and 1 warning above.");
    }
}
